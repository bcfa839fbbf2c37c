"""Joint angles as an angle-refining network sees them: a rotation for each group, with how sure and how observable it is.

Angles jump and lock, rotations do not: what is learnt is said of rotations alone, as six numbers (Y. Zhou et al., "On the
continuity of rotation representations in neural networks", CVPR 2019). They are put together from the angles themselves, left
sides mirrored as `pose_biomechanics.isb` has them, so that a message, a file and training all give the same. Training and run
time share this file.
"""

from __future__ import annotations

import numpy as np

from pose_biomechanics.angles import DEGENERATE, AngleOptions, Euler, matrix_of_euler, principal
from pose_biomechanics.isb import ANGLES, DOFS, GROUPS, ISB_SHOULDER_DOFS
from pose_core.angles import PELVIS_SEQUENCES, AngleFlag
from pose_core.geometry.rotations import sixd_of_matrix
from pose_core.networks.step import CONTEXT as CONTEXT
from pose_core.networks.step import context as context
from pose_core.types import Array, Rotations

VERSION = 1
"""Stands in every trained file; changes with anything that changes the numbers below."""

FEATURES = (
    *(f"{axis}_{part}" for axis in "xy" for part in "xyz"),
    *(f"log_std_{dof}" for dof in DOFS),
    *(f"observed_{dof}" for dof in DOFS),
    "locked",
    "known",
)
"""What is said of each group. `locked`: near gimbal lock; `known`: any angle is there. A group without any is all 0."""

MIN_LOG_STD, MAX_LOG_STD = -5.0, 1.0
"""Bounds on the logarithm of a standard deviation in radians: 0.4 and 156 degrees."""


SEQUENCE = "ZXY"
"""Of all groups but the pelvis, and the order of each row of `ROWS` and of what is said of single angles."""
PELVIS_SEQUENCE = AngleOptions.pelvis_sequence
"""Of the pelvis where none is stated: that of angles as they are taken by default. Its rotation is the same in either."""
_AT = {(angle.group, angle.dof): row for row, angle in enumerate(ANGLES)}
ROWS = np.array([[_AT[group, dof] for dof in DOFS] for group in GROUPS])
"""(12, 3) where the turns about Z, X and Y of each group stand among the angles."""
_SHOULDERS = [number for number, group in enumerate(GROUPS) if (group, ISB_SHOULDER_DOFS[0]) in _AT]
_SIGNS = np.array([angle.sign for angle in ANGLES])


class _Triples:
    """Which angles belong together, and the sequences that they are taken in."""

    def __init__(self, pelvis_sequence: str) -> None:
        shoulders = [[_AT[GROUPS[group], dof] for dof in ISB_SHOULDER_DOFS] for group in _SHOULDERS]
        rows = np.concatenate([ROWS, shoulders])
        if pelvis_sequence != SEQUENCE:
            rows[0] = [ROWS[0][SEQUENCE.index(axis)] for axis in pelvis_sequence]
        self.rows = rows
        """(14, 3) angles of each triple, in the order of its sequence."""
        self.groups = np.concatenate([np.arange(len(GROUPS)), _SHOULDERS])
        """(14,) whose rotation it is."""
        self.sequences = [pelvis_sequence, *(len(GROUPS) - 1) * [SEQUENCE], *len(_SHOULDERS) * ["YXY"]]
        self.euler = Euler(self.sequences)


_TRIPLES = {sequence: _Triples(sequence) for sequence in PELVIS_SEQUENCES}


def rotations(angle: Array, pelvis_sequence: str = PELVIS_SEQUENCE) -> Rotations:
    """(..., 12, 3, 3) rotation of each group from `angle` (..., 42) radians, left sides mirrored.

    An angle that is no number counts as 0.
    """
    triples = _TRIPLES[pelvis_sequence]
    turns = (np.where(np.isfinite(angle), angle, 0.0) * _SIGNS)[..., triples.rows[: len(GROUPS)]]
    rotation = matrix_of_euler(turns, SEQUENCE)
    if pelvis_sequence != SEQUENCE:
        rotation[..., 0, :, :] = matrix_of_euler(turns[..., 0, :], pelvis_sequence)
    return rotation


def angles_near(rotation: Rotations, angle: Array, pelvis_sequence: str = PELVIS_SEQUENCE) -> Array:
    """(..., 42) radians that rotations (..., 12, 3, 3) have; of all triples that mean the same, those nearest to `angle`.

    The inverse of `rotations`, whole turns included; `angle` broadcasts. Where it is no number its triple is chosen by the
    others. At the very singularity of its sequence a triple has no answer and stays as it is.
    """
    triples = _TRIPLES[pelvis_sequence]
    angle = np.broadcast_to(angle, (*rotation.shape[:-3], len(ANGLES)))
    near = np.where(np.isfinite(angle), angle * _SIGNS, np.nan)[..., triples.rows]
    turns = np.moveaxis(rotation[..., triples.groups, :, :].reshape(-1, len(triples.groups), 3, 3), 0, -1)
    both, sine = triples.euler.both(np.moveaxis(turns, 0, 2), np.zeros((3, len(triples.groups))))
    solutions = np.moveaxis(both, (2, 1), (-2, -1)).reshape(2, *near.shape)
    # A triple without any angle takes the first solution.
    away = principal(solutions - np.where(np.isfinite(near), near, 0.0))
    distance = np.where(np.isfinite(near), np.abs(away), 0.0).sum(-1)
    nearest = np.where((distance[1] < distance[0])[..., None], away[1], away[0])
    nearest = np.where(sine.T.reshape(*near.shape[:-1], 1) < DEGENERATE, 0.0, nearest)
    found = np.empty(angle.shape)
    found[..., triples.rows] = np.where(np.isfinite(near), near, 0.0) + nearest
    result: Array = found * _SIGNS
    return result


def encode(angle: Array, std: Array, flags: Array, pelvis_sequence: str = PELVIS_SEQUENCE) -> Array:
    """(..., 12, 14) float32, `FEATURES`, from angles, standard deviations (radians) and flags (..., 42)."""
    observed = np.isfinite(angle[..., ROWS])
    known = observed.any(-1, keepdims=True)
    stated = np.where(observed & np.isfinite(std[..., ROWS]), std[..., ROWS], np.inf)
    log_std = np.log(np.clip(stated, np.exp(MIN_LOG_STD), np.exp(MAX_LOG_STD)))
    locked = (flags[..., ROWS] & AngleFlag.NEAR_GIMBAL_LOCK).any(-1, keepdims=True)
    six = sixd_of_matrix(rotations(angle, pelvis_sequence))
    groups = np.concatenate([six, np.where(observed, log_std, 0.0), observed, locked, known], -1)
    return np.where(known, groups, 0.0).astype(np.float32)
