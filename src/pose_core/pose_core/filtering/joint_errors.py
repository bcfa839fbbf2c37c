"""How the errors of a person's joints go together.

A standard deviation says how far a joint may be off along each axis, not which way. From one camera most of an error lies along
the view, and it is handed down the body: shoulders that are too near tilt the trunk together, and a forearm that is off by as
much as its elbow has not turned at all. Taken as independent, errors of joints make a pelvis look two thirds as unsure as it is,
and an ankle twice as unsure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_core.skeleton import Skeleton, mirror, without_side
from pose_core.types import Array

DEPTH_SHARE = 0.72
"""Of the variance of a joint, what lies along the view: `pose evaluate angles` measures it, and the correlations here."""
HANDED_DOWN = {
    "shoulder": 0.8,
    "elbow": 0.45,
    "wrist": 0.7,
    "knee": 0.15,
    "ankle": 0.6,
}
"""What `handed_down` says of the joints of a body."""
RIGID = 0.95
"""The same of all other joints: those of hands, feet, heads and spines."""

DRIFT = 0.6
"""Metres per second along one axis at which a joint that is not seen may have left where it is expected."""


def handed_down(joint: str) -> float:
    """Correlation of its error along the view with that of the joint before it, for a name without the side."""
    return HANDED_DOWN.get(joint, RIGID)


@dataclass(frozen=True)
class JointErrors:
    """Errors of N points as mixtures of K independent ones."""

    mixing: Array
    """(N, K) rows of length 1: the error of a point is its standard deviation times its row times K errors of variance 1."""
    axes: Array
    """(3,) what a standard deviation is multiplied by along x, y and z; its mean square is 1."""

    @classmethod
    def independent(cls, count: int) -> JointErrors:
        """Of `count` points, each with its own error, alike along all axes: those of markers and of repeated measurements."""
        return cls(np.eye(count), np.ones(3))

    @classmethod
    def lifted(cls, skeleton: Skeleton) -> JointErrors:
        """Of the joints of somebody seen by one camera, about the root, in the optical frame (z is depth).

        Each joint has part of the error of its parent and one of its own; the two hips err about the root between them, by
        opposite amounts.
        """
        nodes = len(skeleton.nodes)
        mixing = np.eye(nodes)
        for parent, child in skeleton.bones:
            row = skeleton.index(child)
            if child == "right_hip" and parent == skeleton.root:
                mixing[row] = -mixing[skeleton.index(mirror(child))]
            elif parent != skeleton.root:
                shared = handed_down(without_side(child))
                mixing[row] *= np.sqrt(1.0 - shared * shared)
                mixing[row] += shared * mixing[skeleton.index(parent)]
        across = (1.0 - DEPTH_SHARE) / 2.0
        return cls(mixing[: len(skeleton)], np.sqrt(3.0 * np.array([across, across, DEPTH_SHARE])))

    def of(self, points: Array) -> Array:
        """(P, at most P) `mixing` of some of the points (P,), with as few errors as do the same."""
        some = self.mixing[points]
        return some if some.shape[0] >= some.shape[1] else np.linalg.qr(some.T)[1].T
