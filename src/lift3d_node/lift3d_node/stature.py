"""Standing height that a skeleton's own proportions imply.

Trunk and legs make up a fixed share of standing height H: from the line of the shoulders (0.818 H above the floor) by hip
(0.530 H) and knee (0.285 H) to the ankle (0.039 H). Drillis & Contini 1966, "Body segment parameters", as given in Winter,
"Biomechanics and Motor Control of Human Movement", 4th ed. 2009, figure 4.1. Bones keep their length when a person
sits or bends, so the sum along the chain tells the height of the same person standing.
"""

from __future__ import annotations

import math

import numpy as np

from pose_core.skeleton import Skeleton

CHAIN = (
    (0.288, (("pelvis", "neck"),)),
    (0.245, (("left_hip", "left_knee"), ("right_hip", "right_knee"))),
    (0.246, (("left_knee", "left_ankle"), ("right_knee", "right_ankle"))),
)
"""Share of standing height, and the bones that measure it: trunk, thigh, shank."""

PROPORTION_STD = 0.025
"""Relative standard deviation of height over chain from person to person, with the detector's idea of a joint.

Four-view triangulation of MediaPipe's landmarks of one person gave 1.65 m by the chain, 1.69 m by the height of the ears."""

BONE_STD = 0.04
"""Relative standard deviation of the chain of a lifted shape against that of the person.

Measured for MediaPipe's world landmarks in four views against triangulation. Joints err much more than that, but across the
bones, which turns them and hardly changes their length."""

STATURE_STD = math.hypot(PROPORTION_STD, BONE_STD)
"""Relative standard deviation of the height that a lifted shape implies."""


class Stature:
    """Standing height from the joints of one skeleton. Raises ValueError for a skeleton without trunk and legs."""

    def __init__(self, skeleton: Skeleton) -> None:
        nodes = skeleton.with_virtual(np.eye(len(skeleton)))
        pairs = [skeleton.indices(*bone) for _, bones in CHAIN for bone in bones]
        bones = np.array([nodes[end] - nodes[start] for start, end in pairs])
        self._joints = np.flatnonzero(bones.any(0))
        self._bones = bones[:, self._joints]
        self._link = np.repeat(np.arange(len(CHAIN)), [len(bones) for _, bones in CHAIN])
        self._shares = np.array([share for share, _ in CHAIN])
        self._weights = 1.0 / np.array([len(CHAIN[link][1]) for link in self._link]) / self._shares.sum()

    def of(self, xyz: np.ndarray) -> float:
        """Height in the unit of the joints `xyz` (J, 3).

        A bone that lacks a joint (NaN) is replaced by its mirror image, a link of the chain that lacks both by the
        proportions of the rest. NaN where nothing is left.
        """
        joints = xyz[self._joints]
        missing = np.isnan(joints[:, 0])
        vectors = self._bones @ (np.where(missing[:, None], 0.0, joints) if missing.any() else joints)
        lengths = np.sqrt(np.einsum("bi,bi->b", vectors, vectors))
        if not missing.any():
            return float(self._weights @ lengths)
        known = (self._bones != 0.0) @ missing == 0
        lengths = np.where(known, lengths, 0.0)
        sides = np.bincount(self._link, known, len(CHAIN))
        share = self._shares @ (sides > 0.0)
        if share == 0.0:
            return math.nan
        return float((np.bincount(self._link, lengths, len(CHAIN)) / np.maximum(sides, 1.0)).sum() / share)
