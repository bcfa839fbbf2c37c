"""How the pelvis is turned, for OpenSim, whose coordinates of it have one sequence, from angles in any."""

from __future__ import annotations

import numpy as np

from pose_biomechanics import angle_encoding
from pose_biomechanics.angles import Branches, Euler
from pose_biomechanics.isb import GROUPS, NAMES, OPENSIM_PELVIS_SEQUENCE
from pose_core.angles import AngleSequence
from pose_core.types import Array, Rotations


def rotation_of(angles: AngleSequence) -> Rotations:
    """(T, 3, 3) from the axes of the pelvis to those of the laboratory.

    NaN where one of its three angles is, and where the angles do not state in which sequence those are.
    """
    if not angles.pelvis_sequence:
        return np.full((len(angles), 3, 3), np.nan)
    row = GROUPS.index("pelvis")
    unknown = np.full(len(angles), np.nan)
    angle = np.stack([angles.of(name) if name in angles.names else unknown for name in NAMES], -1)
    known = np.isfinite(angle[:, angle_encoding.ROWS[row]]).all(1)
    turns = angle_encoding.rotations(angle, angles.pelvis_sequence)[:, row]
    return np.where(known[:, None, None], turns, np.nan)


def opensim_turns(rotation: Rotations) -> Array:
    """(T, 3) radians of OpenSim's tilt, list and rotation of the pelvis, each nearest to the known frame before; NaN stays."""
    known = np.isfinite(rotation).all((1, 2))
    euler = Euler([OPENSIM_PELVIS_SEQUENCE])
    turns = np.moveaxis(np.where(known[:, None, None], rotation, np.eye(3)), 0, -1)
    both, _ = euler.both(turns[:, :, None], np.zeros((3, 1)))
    # what is interpolated over a gap must not spin: angles go on from the frame before it
    branches = Branches(euler, free=[True], wide=[False])
    followed, _ = branches.follow(both, np.broadcast_to(known, both.shape[1:]))
    return np.where(known, followed[:, 0], np.nan).T
