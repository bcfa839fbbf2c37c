"""What stages state once rather than with each image: their run, stated heights, settled bones, ids that were wrong."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pose_core.people import MOST_PEOPLE, expect_id
from pose_core.skeleton import SKELETONS
from pose_core.statements.keeping import Statement
from pose_core.types import Array

MIN_HEIGHT, MAX_HEIGHT = 0.5, 2.6
"""Standing heights in metres that a person may have: a small child to just under the tallest person on record."""
MIN_MASS, MAX_MASS = 2.0, 400.0
"""Kilograms that a person may have."""
MOST_ENTRIES = 1024
"""Parameters, or packages, that one run states."""


class ChangeReason(enum.IntEnum):
    """Why an id changed; the numbers of pose_msgs/IdentityChange."""

    UNKNOWN = 0
    RETURNED = 1
    """The new id is somebody who was away under the old one."""
    MERGED = 2
    """Both ids are one person, who has the new one from now on."""
    TAKEN_OVER = 3
    """The old id had passed to another body, which has the new one from now on, or none that is known."""
    ENDED = 4
    """The old id has ended, as nobody could tell any more whose it is."""


@dataclass(frozen=True)
class IdentityChange:
    """An id that was wrong, or has another name from `stamp` (ns) on. Raises ValueError for ids that none can be."""

    stamp: int
    frame_id: str
    old_id: str
    new_id: str = ""
    """Empty where nobody has it."""
    reason: ChangeReason = ChangeReason.UNKNOWN
    confidence: float = 1.0

    def __post_init__(self) -> None:
        expect_id(self.old_id)
        if self.new_id:
            expect_id(self.new_id)


@dataclass(frozen=True)
class RunStatement:
    """What one run of a stage is made of, and how it is set."""

    stage: str
    token: str = ""
    """Behind every id of the run; empty where ids are reproducible."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of packages and models by name."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Values as YAML by name."""


@dataclass(frozen=True)
class SubjectStatement:
    """Height (m) and mass (kg) that were stated of a person, or of everybody for an empty id; 0 where not stated.

    Raises ValueError for an id that none can be.
    """

    person: str
    height: float = 0.0
    mass: float = 0.0

    def __post_init__(self) -> None:
        if self.person:
            expect_id(self.person)

    @property
    def content(self) -> tuple[Any, ...]:
        """What was stated, with the precision of a message."""
        return float(np.float32(self.height)), float(np.float32(self.mass))


@dataclass(frozen=True)
class SubjectStatements:
    """All that was stated. Raises ValueError for two statements of one person, and for too many."""

    revision: int = 0
    """Grows with every statement; the greater one counts."""
    subjects: tuple[SubjectStatement, ...] = ()

    def __post_init__(self) -> None:
        _expect_different([subject.person for subject in self.subjects])

    @classmethod
    def of(cls, statement: Statement[SubjectStatement]) -> SubjectStatements:
        """The inverse of `statement`."""
        return cls(statement.revision, tuple(statement.entries.values()))

    @property
    def statement(self) -> Statement[SubjectStatement]:
        """By person, as an author or a keeper takes it."""
        return Statement(self.revision, {subject.person: subject for subject in self.subjects})


@dataclass(frozen=True, eq=False)
class BodyStatement:
    """Bone lengths of a person, in the order of the skeleton's bones. Raises ValueError for shapes that disagree."""

    id: str
    length: Array
    """(B,) metres; NaN where not known."""
    settled: Array
    """(B,) bool: whether the length does not change any more."""
    height: float = math.nan
    """Metres, standing height behind the scale of the lengths; NaN where not known."""

    def __post_init__(self) -> None:
        expect_id(self.id)
        object.__setattr__(self, "length", np.asarray(self.length, np.float64))
        object.__setattr__(self, "settled", np.asarray(self.settled, bool))
        if self.length.ndim != 1 or self.length.shape != self.settled.shape:
            raise ValueError(
                f"length and settled must have one value per bone, got {self.length.shape} and {self.settled.shape}"
            )

    @property
    def content(self) -> tuple[Any, ...]:
        """What is stated, with the precision of a message."""
        return (
            self.length.astype(np.float32).tobytes(),
            self.settled.tobytes(),
            np.float32(self.height).tobytes(),
        )


@dataclass(frozen=True, eq=False)
class BodyOf:
    """Bone lengths of a person, and the skeleton whose bones these are."""

    skeleton: str
    body: BodyStatement

    @property
    def content(self) -> tuple[Any, ...]:
        """As `BodyStatement.content`."""
        return self.skeleton, *self.body.content


@dataclass(frozen=True, eq=False)
class BodyStatements:
    """Bone lengths of everybody. Raises ValueError for an unknown skeleton, another number of bones, an id twice."""

    skeleton: str
    revision: int = 0
    """As in `SubjectStatements`."""
    bodies: tuple[BodyStatement, ...] = ()

    def __post_init__(self) -> None:
        bones = len(SKELETONS.get(self.skeleton).bones)
        _expect_different([body.id for body in self.bodies])
        for body in self.bodies:
            if len(body.length) != bones:
                raise ValueError(
                    f"skeleton '{self.skeleton}' has {bones} bones, got {len(body.length)} of '{body.id}'"
                )

    @classmethod
    def of(cls, statement: Statement[BodyOf], skeleton: str) -> BodyStatements:
        """Those of a statement that are of `skeleton`; others cannot be said beside them."""
        bodies = [entry.body for entry in statement.entries.values() if entry.skeleton == skeleton]
        return cls(skeleton, statement.revision, tuple(bodies))

    @property
    def statement(self) -> Statement[BodyOf]:
        """By person, as an author or a keeper takes it."""
        return Statement(self.revision, {body.id: BodyOf(self.skeleton, body) for body in self.bodies})


def _expect_different(people: list[str]) -> None:
    if len(people) > MOST_PEOPLE:
        raise ValueError(f"statements must be of at most {MOST_PEOPLE} people, got {len(people)}")
    for person in people:
        if people.count(person) > 1:
            raise ValueError(f"statements must be of different people, got '{person}' twice")
