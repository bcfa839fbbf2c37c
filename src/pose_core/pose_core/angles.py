"""Joint angles as stages and files exchange them. What each angle means stands in `pose_biomechanics.isb`."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pose_core.people import StageTime
from pose_core.types import Array, Stamps

PELVIS_SEQUENCES = ("ZXY", "YXZ")
"""Orders of tilt (Z), drop (X) and rotation (Y) in which the three angles of a pelvis may have been taken."""

LEAST_STD = 1e-9
"""Radians; a standard deviation below it is rounding, and 0."""


class AngleFlag(enum.IntFlag):
    """Why an angle is not to be trusted; 0 where it is. Values as in pose_msgs/PersonAngles."""

    VALID = 0
    JOINT_MISSING = 1
    """A joint that the angle needs is missing."""
    UNOBSERVABLE = 2
    """The joints do not determine the angle, as those of a straight limb its axial rotation."""
    NEAR_GIMBAL_LOCK = 4
    """Close to the singularity of its sequence, or just past it: counted from the other side than in the frame before."""


@dataclass(frozen=True, eq=False)
class PersonAngles:
    """One person's A angles in one image. Raises ValueError for shapes that disagree."""

    id: str
    angle: Array
    """(A,) radians; NaN where the joints do not determine it."""
    std: Array
    """(A,) radians; standard deviation, NaN where the angle is."""
    flags: Array
    """(A,) uint8, sums of `AngleFlag`."""

    def __post_init__(self) -> None:
        for name, kind in (("angle", np.float64), ("std", np.float64), ("flags", np.uint8)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
            if getattr(self, name).shape != (len(self.angle),):
                raise ValueError(
                    f"{name} must have shape {(len(self.angle),)}, got {getattr(self, name).shape}"
                )


def expect_pelvis_sequence(sequence: str) -> None:
    """Raise ValueError for a sequence of the pelvis that is neither one of `PELVIS_SEQUENCES` nor empty, which is not stated."""
    if sequence and sequence not in PELVIS_SEQUENCES:
        raise ValueError(
            f"pelvis_sequence must be {' or '.join(PELVIS_SEQUENCES)}, or empty where it is not stated, got '{sequence}'"
        )


@dataclass(frozen=True)
class PeopleAngles:
    """Everybody's angles in one image. `stamp`: capture time in ns; `names`: of the A angles, in the arrays' order.

    `pelvis_sequence`: one of `PELVIS_SEQUENCES`; empty where it is not stated. Raises ValueError for another one, and for people
    with more or fewer angles.
    """

    stamp: int
    frame_id: str
    names: tuple[str, ...]
    people: tuple[PersonAngles, ...] = ()
    times: tuple[StageTime, ...] = field(default=())
    pelvis_sequence: str = ""

    def __post_init__(self) -> None:
        expect_pelvis_sequence(self.pelvis_sequence)
        for person in self.people:
            if len(person.angle) != len(self.names):
                raise ValueError(
                    f"{len(self.names)} angles are named, person '{person.id}' has {len(person.angle)}"
                )


@dataclass(frozen=True, eq=False)
class AngleSequence:
    """One person's angles over T frames.

    Raises ValueError for shapes that disagree, stamps that do not increase and an unknown sequence of the pelvis.
    """

    names: tuple[str, ...]
    stamps: Stamps
    """ns"""
    angle: Array
    """(T, A) radians; NaN where not determined."""
    std: Array
    """(T, A) radians"""
    flags: Array
    """(T, A) uint8, sums of `AngleFlag`."""
    person: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    pelvis_sequence: str = ""
    """One of `PELVIS_SEQUENCES`; empty where it is not stated."""

    def __post_init__(self) -> None:
        expect_pelvis_sequence(self.pelvis_sequence)
        kinds = {"stamps": np.int64, "angle": np.float64, "std": np.float64, "flags": np.uint8}
        for name, kind in kinds.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        frames, angles = len(self.stamps), len(self.names)
        for name in ("angle", "std", "flags"):
            if getattr(self, name).shape != (frames, angles):
                raise ValueError(
                    f"{name} must have shape {(frames, angles)}, got {getattr(self, name).shape}"
                )
        if (np.diff(self.stamps) <= 0).any():
            raise ValueError("stamps must increase")

    def __len__(self) -> int:
        return len(self.stamps)

    def of(self, name: str) -> Array:
        """(T,) one angle by its name, radians. Raises ValueError for a name it does not have."""
        if name not in self.names:
            raise ValueError(f"no angle is called '{name}'; there are {', '.join(self.names)}")
        return self.angle[:, self.names.index(name)]
