"""The 14 limbs whose directions describe a body: part orientations (Xiang, Joo & Sheikh 2019, "Monocular total capture").

Limbs are pairs of joints by name, so they exist on every skeleton that has shoulders, elbows, wrists, hips, knees and ankles
(`coco17`, `mediapipe33`, `h36m17`, `mpi_inf28`, ...); a limb's direction points from its first joint, the parent, to its second.
Axes are the camera's or the view's: x right, y down, z away from the camera.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lift3d_node.stature import CHAIN
from pose_core.skeleton import COCO17, SIDES, Skeleton, mirror

LIMBS: tuple[tuple[str, str], ...] = (
    *((f"{side}_shoulder", f"{side}_elbow") for side in SIDES),
    *((f"{side}_elbow", f"{side}_wrist") for side in SIDES),
    *((f"{side}_hip", f"{side}_knee") for side in SIDES),
    *((f"{side}_knee", f"{side}_ankle") for side in SIDES),
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "right_hip"),
    *((f"{side}_shoulder", f"{side}_hip") for side in SIDES),
    *((f"{side}_shoulder", f"{other}_hip") for side, other in SIDES.items()),
)
"""(parent, child) of each limb: arms, legs, widths of shoulders and hips, sides and diagonals of the torso."""

NAMES = tuple(f"{parent}-{child}" for parent, child in LIMBS)

JOINTS = tuple(joint for joint in COCO17.joints if any(joint in limb for limb in LIMBS))
"""The 12 joints that limbs connect, in COCO's order."""

EDGES = np.array([[JOINTS.index(parent), JOINTS.index(child)] for parent, child in LIMBS], np.intp)
"""(14, 2) rows of `JOINTS`: parent, child."""


def _flip() -> tuple[np.ndarray, np.ndarray]:
    limbs, signs = [], []
    for parent, child in LIMBS:
        mirrored = (mirror(parent), mirror(child))
        signs.append(1.0 if mirrored in LIMBS else -1.0)
        limbs.append(LIMBS.index(mirrored if mirrored in LIMBS else mirrored[::-1]))
    return np.array(limbs, np.intp), np.array(signs)


FLIP, FLIP_SIGN = _flip()
"""(14,) `FLIP_SIGN[:, None] * directions[FLIP]` relabels a mirrored person: the widths run from left to right, so they turn."""

SHOULDER_WIDTH, HIP_WIDTH = 0.212, 0.102
"""Between the joint centres, in standing heights: medians over 12 people of the CMU motion capture. Drillis & Contini's 0.259
and 0.191 are breadths of the body."""

_TRUNK, _THIGH, _SHANK = (share for share, _ in CHAIN)
_ACROSS = {"side": (SHOULDER_WIDTH - HIP_WIDTH) / 2.0, "diagonal": (SHOULDER_WIDTH + HIP_WIDTH) / 2.0}
_SHARES = {
    ("shoulder", "elbow"): 0.186,
    ("elbow", "wrist"): 0.146,
    ("hip", "knee"): _THIGH,
    ("knee", "ankle"): _SHANK,
    ("shoulder", "shoulder"): SHOULDER_WIDTH,
    ("hip", "hip"): HIP_WIDTH,
}


def _kind(limb: tuple[str, str]) -> tuple[str, str]:
    return limb[0].split("_")[1], limb[1].split("_")[1]


def _share(limb: tuple[str, str]) -> float:
    if _kind(limb) in _SHARES:
        return _SHARES[_kind(limb)]
    return math.hypot(
        _TRUNK, _ACROSS["side" if limb[0].split("_")[0] == limb[1].split("_")[0] else "diagonal"]
    )


LENGTH_SHARES = np.array([_share(limb) for limb in LIMBS])
"""(14,) length over standing height. Arms, legs and trunk: Drillis & Contini 1966, as given in Winter, "Biomechanics and Motor
Control of Human Movement", 4th ed. 2009, figure 4.1 (trunk and legs as in `lift3d_node.stature`); sides and diagonals of the
torso: those of an upright, symmetric trunk between the widths above."""


def default_lengths(height: np.ndarray | float) -> np.ndarray:
    """Lengths (..., 14) of the limbs of people of standing `height` (...,), in its unit."""
    return np.asarray(height, float)[..., None] * LENGTH_SHARES


def vectors(positions: Any, skeleton: Skeleton) -> Any:
    """Child minus parent (..., 14, D) of positions (..., J, D) of `skeleton`, in space or in the image; NaN where missing.

    Arrays of NumPy, or tensors of torch.

    Raises ValueError for a skeleton that lacks one of the joints.
    """
    parents, children = (skeleton.indices(*ends) for ends in zip(*LIMBS, strict=True))
    return positions[..., children, :] - positions[..., parents, :]


def directions(positions: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Unit vectors (..., 14, D) from parent to child of positions (..., J, D); NaN where missing or of no length.

    Raises ValueError for a skeleton that lacks one of the joints.
    """
    limbs = vectors(np.asarray(positions, float), skeleton)
    length = np.linalg.norm(limbs, axis=-1, keepdims=True)
    return limbs / np.where(length > 0.0, length, np.nan)


def lengths(positions: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Lengths (..., 14) in the unit of positions (..., J, D); NaN where missing."""
    return np.linalg.norm(vectors(positions, skeleton), axis=-1)


def mirrored(limbs: np.ndarray) -> np.ndarray:
    """Directions (..., 14, 3) of the same people seen in a mirror across x, with sides relabelled; its own inverse."""
    return limbs[..., FLIP, :] * FLIP_SIGN[:, None] * (-1.0, 1.0, 1.0)


def toward(limbs: np.ndarray) -> np.ndarray:
    """Whether (..., 14) the child is nearer to the camera than the parent: z < 0 of directions (..., 14, 3).

    False where the direction is missing.
    """
    return limbs[..., 2] < 0.0


def angles(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Angles (..., 14) in radians between two sets of unit vectors (..., 14, 3); NaN where either is missing."""
    # The arc tangent keeps small angles, which the arc cosine of the dot product rounds away.
    apart = np.linalg.norm(predicted - truth, axis=-1)
    return 2.0 * np.arctan2(apart, np.linalg.norm(predicted + truth, axis=-1))


def angle_error_deg(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Mean and median of `angles` in degrees, over everything that is in both; NaN where nothing is."""
    errors = angles(predicted, truth)
    errors = np.degrees(errors[~np.isnan(errors)])
    return (float(errors.mean()), float(np.median(errors))) if errors.size else (math.nan, math.nan)


def z_sign_accuracy(predicted: np.ndarray, truth: np.ndarray, least: float = 0.0) -> float:
    """Share of limbs of directions (..., 14, 3) that both point towards the camera or both away; NaN where there are none.

    `least`: limbs whose true |z| is smaller are left out; across the line of sight the sign says nothing.
    """
    z, true_z = predicted[..., 2], truth[..., 2]
    counted = ~np.isnan(z + true_z) & (np.abs(true_z) >= least)
    return float(((z < 0.0) == (true_z < 0.0))[counted].mean()) if counted.any() else math.nan
