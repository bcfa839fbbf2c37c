"""What the stages hand on: people of one image in 2D and in 3D, as plain arrays.

The same names and meanings as the messages of pose_msgs; `pose_ros.conversions` maps one to the other.
Missing joints are NaN with confidence 0 and keep their place.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field, replace

import numpy as np

from pose_core.geometry import covariance as covariances
from pose_core.geometry.rotations import is_unit
from pose_core.skeleton import SKELETONS
from pose_core.types import Array

FARTHEST = 1e4
"""Metres along an axis within which positions and their standard deviations mean something; no camera sees people farther off."""
LONGEST_ID = 64
"""Characters of an id."""
MOST_PEOPLE = 256
"""People in one image."""
LONGEST_DELAY = 1e10
"""Seconds: more than lie between any two stamps, whose seconds have 31 bits."""


class JointState(enum.IntEnum):
    """Where a joint's position comes from; the numbers of pose_msgs/Person3D."""

    MISSING = 0
    MEASURED = 1
    LIFTED = 2
    INTERPOLATED = 3
    PREDICTED = 4
    SWAPPED = 5


class ScaleSource(enum.IntEnum):
    """Where metric scale comes from; the numbers of pose_msgs/Person3D."""

    NONE = 0
    DEFAULT = 1
    SUBJECT = 2
    DEPTH = 3
    CALIBRATION = 4
    MODEL = 5


class Posture(enum.IntEnum):
    """How a person holds themselves; the numbers of pose_msgs/Person3D."""

    OTHER = 0
    STANDING = 1
    SITTING = 2
    CROUCHING = 3
    LYING = 4


@dataclass(frozen=True)
class StageTime:
    """When a stage worked on an image, nanoseconds of the system clock."""

    stage: str
    start: int
    end: int


@dataclass(frozen=True)
class Person2D:
    """A person in one image, raw (distorted) pixels; (0, 0) is the centre of the top left pixel.

    Raises ValueError where the arrays disagree about the number of joints.
    """

    id: str
    confidence: float
    box_px: Array  # (4,) x_min, y_min, x_max, y_max
    xy_px: Array  # (J, 2)
    joint_confidence: Array  # (J,)
    parent: str = ""
    """Id of the person whom this one is a part of, as a hand is; empty for a whole person."""

    def __post_init__(self) -> None:
        joints = len(self.joint_confidence)
        _expect("box_px", self.box_px, (4,))
        _expect("xy_px", self.xy_px, (joints, 2))


@dataclass(frozen=True)
class People2D:
    """Everybody in one image. `stamp`: capture time in ns; `frame_id`: optical frame of the camera."""

    stamp: int
    frame_id: str
    skeleton: str
    width: int
    height: int
    people: tuple[Person2D, ...] = ()
    times: tuple[StageTime, ...] = ()

    def __post_init__(self) -> None:
        expect_joints(self.skeleton, [len(p.joint_confidence) for p in self.people])


@dataclass(frozen=True)
class Person3D:
    """A person in 3D: metres, in the frame of the `People3D` that holds it.

    `std` is the standard deviation along one axis of a joint relative to the root, root mean square of the axes, and
    `covariance` its shape (see `pose_core.geometry.covariance`); `root_std` that of the root along x, y and z, which all joints
    share. Raises ValueError where the arrays disagree about the number of joints.
    """

    id: str
    confidence: float
    xyz: Array  # (J, 3)
    std: Array  # (J,)
    root_std: Array  # (3,)
    joint_confidence: Array  # (J,)
    state: Array  # (J,) uint8, JointState
    height: float = float("nan")
    height_std: float = float("nan")
    scale_source: ScaleSource = ScaleSource.NONE
    covariance: Array | None = None
    """(J, 6) xx, xy, xz, yy, yz, zz in m2, NaN where `std` is; None where only `std` is known."""
    parent: str = ""
    """As in `Person2D`."""
    root_velocity: Array = field(default_factory=lambda: np.full(3, math.nan))
    """(3,) metres per second; NaN where not known."""
    root_velocity_std: Array = field(default_factory=lambda: np.full(3, math.nan))
    """(3,) metres per second."""
    foot_contact: Array = field(default_factory=lambda: np.full(2, math.nan))
    """(2,) how probable it is that the left, the right foot bears on something; NaN where not known."""
    posture: Posture = Posture.OTHER
    posture_confidence: float = 0.0

    def __post_init__(self) -> None:
        joints = len(self.state)
        if self.covariance is not None:
            _expect("covariance", self.covariance, (joints, 6))
        _expect("root_velocity", self.root_velocity, (3,))
        _expect("root_velocity_std", self.root_velocity_std, (3,))
        _expect("foot_contact", self.foot_contact, (2,))
        _expect("xyz", self.xyz, (joints, 3))
        _expect("std", self.std, (joints,))
        _expect("root_std", self.root_std, (3,))
        _expect("joint_confidence", self.joint_confidence, (joints,))


@dataclass(frozen=True)
class People3D:
    """Everybody of one image in 3D. `stamp`: capture time in ns; `delay`: deliberate look-ahead in seconds.

    Raises ValueError for a person without the joints of the skeleton, and for an `up` of another length than 1.
    """

    stamp: int
    frame_id: str
    skeleton: str
    people: tuple[Person3D, ...] = ()
    delay: float = 0.0
    times: tuple[StageTime, ...] = field(default=())
    up: Array | None = None
    """(3,) unit vector in `frame_id` that points up; None where that is not known."""

    def __post_init__(self) -> None:
        expect_joints(self.skeleton, [len(p.state) for p in self.people])
        if self.up is not None:
            _expect("up", self.up, (3,))
            if not is_unit(self.up):
                raise ValueError(f"up must be a unit vector, got {self.up}")


def with_missing(person: Person3D, missing: Array) -> Person3D:
    """`person` with the joints of the (J,) mask `missing` taken out: NaN, confidence 0, state MISSING."""
    return replace(
        person,
        xyz=np.where(missing[:, None], np.nan, person.xyz),
        std=np.where(missing, np.nan, person.std),
        covariance=None
        if person.covariance is None
        else np.where(missing[:, None], np.nan, person.covariance),
        joint_confidence=np.where(missing, 0.0, person.joint_confidence),
        state=np.where(missing, JointState.MISSING, person.state).astype(np.uint8),
    )


def with_std(person: Person3D, std: Array) -> Person3D:
    """`person` with other standard deviations (J,), and the shape of the doubt carried on."""
    shape = person.covariance
    return replace(person, std=std, covariance=None if shape is None else covariances.carried_on(shape, std))


def expect_joints(skeleton: str, counts: list[int]) -> None:
    """Raise ValueError unless every count is the number of joints of `skeleton`, which must be known."""
    joints = len(SKELETONS.get(skeleton).joints)
    for count in counts:
        if count != joints:
            raise ValueError(f"skeleton '{skeleton}' has {joints} joints, got a person with {count}")


def _expect(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")


def within_reach(person: Person3D) -> Person3D:
    """`person` without what no message may say: joints farther than `FARTHEST`, or as unsure as that, are missing, deviations of
    the root beyond it unknown, and so is a velocity.
    """
    far = ~(np.abs(person.xyz).max(-1) <= FARTHEST) | (person.std > FARTHEST)
    far &= person.state != JointState.MISSING
    if far.any():
        person = with_missing(person, far)
    if (person.root_std > FARTHEST).any():
        person = replace(person, root_std=np.where(person.root_std > FARTHEST, math.nan, person.root_std))
    fast = (np.abs(person.root_velocity) > FARTHEST) | (person.root_velocity_std > FARTHEST)
    if fast.any():
        person = replace(
            person,
            root_velocity=np.where(fast, math.nan, person.root_velocity),
            root_velocity_std=np.where(fast, math.nan, person.root_velocity_std),
        )
    return person


def expect_id(person: str) -> None:
    """Raise ValueError for what no person's id can be: it starts with a letter, is short and can be printed."""
    if not person[:1].isalpha():
        raise ValueError(f"a person's id must start with a letter, got {person!r}")
    if len(person) > LONGEST_ID or not person.isprintable():
        raise ValueError(
            f"a person's id must have at most {LONGEST_ID} printable characters, got {len(person)}: {person[:LONGEST_ID]!r}"
        )
