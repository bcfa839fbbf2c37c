"""What messages say, as types of pose_core: the inverse of `pose_ros.messages.writing`.

A message is anything with the fields of its type: an object of a generated class, or of one made from a bag's definitions.
Positions are float64 arrays on the side of pose_core. A message that breaks its contract (pose_msgs) raises
MalformedMessage, whose text says in one sentence what is wrong. Which values mean something is the table
`pose_ros.messages.ranges`; what passes here no stage raises on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pose_core.angles import AngleFlag, PeopleAngles, PersonAngles, expect_pelvis_sequence
from pose_core.geometry import covariance as covariances
from pose_core.geometry.camera import Camera
from pose_core.geometry.rotations import is_unit
from pose_core.people import (
    MOST_PEOPLE,
    JointState,
    People2D,
    People3D,
    Person2D,
    Person3D,
    Posture,
    ScaleSource,
    StageTime,
    expect_id,
)
from pose_core.skeleton import SKELETONS, Skeleton
from pose_core.statements import (
    MOST_ENTRIES,
    BodyStatement,
    BodyStatements,
    ChangeReason,
    IdentityChange,
    RunStatement,
    SubjectStatement,
    SubjectStatements,
)
from pose_core.units import NS_PER_S
from pose_ros.messages.ranges import LONGEST_NAME, MOST_STAGES, RANGES

LAST_STATE = int(max(JointState))
LAST_SCALE_SOURCE = int(max(ScaleSource))
LAST_POSTURE = int(max(Posture))
LAST_REASON = int(max(ChangeReason))
SAME_VARIANCE = 1e-2
"""Relative difference up to which a third of a covariance's trace is the square of the standard deviation beside it."""
ALL_FLAGS = int(sum(AngleFlag))
UNKNOWN_ANGLE = int(AngleFlag.JOINT_MISSING | AngleFlag.UNOBSERVABLE)
"""Flags of which an angle that is NaN has one, and an angle that is a number none."""


class MalformedMessage(ValueError):
    """A message that breaks its contract; the stage drops it."""


def stamp_to_ns(stamp: Any) -> int:
    """Nanoseconds of a time message. Raises MalformedMessage for a time before 1970 and for one that is none."""
    if stamp.sec < 0:
        raise MalformedMessage(f"stamp must not be before zero, got {stamp.sec} s")
    if stamp.nanosec >= NS_PER_S:
        raise MalformedMessage(f"stamp has {stamp.nanosec} nanoseconds, which must be less than a second")
    return stamp.sec * NS_PER_S + stamp.nanosec


def people2d_from_msg(msg: Any) -> People2D:
    """Everybody in one image. Raises MalformedMessage."""
    joints = _joints(msg.skeleton)
    check_image_size(msg.width, msg.height)
    _check_ids([person.id for person in msg.people])
    return People2D(
        stamp=stamp_to_ns(msg.header.stamp),
        frame_id=_name("frame_id", msg.header.frame_id),
        skeleton=msg.skeleton,
        width=msg.width,
        height=msg.height,
        people=tuple(_person2d_from_msg(person, joints) for person in msg.people),
        times=_times_from_msg(msg.times),
    )


def people3d_from_msg(msg: Any) -> People3D:
    """Everybody of one image in 3D. Raises MalformedMessage."""
    joints = _joints(msg.skeleton)
    if RANGES["People3D.delay"].refuses_one(msg.delay):
        raise MalformedMessage(f"delay must be {RANGES['People3D.delay']}, got {msg.delay}")
    _check_ids([person.id for person in msg.people])
    up = np.array(msg.up, float)
    if up.any() and not is_unit(up):
        raise MalformedMessage(f"up must be a unit vector, or zeros where it is not known, got {up.tolist()}")
    return People3D(
        stamp=stamp_to_ns(msg.header.stamp),
        frame_id=_name("frame_id", msg.header.frame_id),
        skeleton=msg.skeleton,
        people=tuple(_person3d_from_msg(person, joints) for person in msg.people),
        delay=msg.delay,
        times=_times_from_msg(msg.times),
        up=up if up.any() else None,
    )


def angles_from_msg(msg: Any) -> PeopleAngles:
    """Everybody's joint angles. Raises MalformedMessage."""
    for name in msg.names:
        _name("an angle", name)
    if len(set(msg.names)) < len(msg.names):
        raise MalformedMessage(f"angles must have different names, got {', '.join(msg.names)}")
    try:
        expect_pelvis_sequence(msg.pelvis_sequence)
    except ValueError as error:
        raise MalformedMessage(str(error)) from error
    _check_ids([person.id for person in msg.people])
    return PeopleAngles(
        stamp=stamp_to_ns(msg.header.stamp),
        frame_id=_name("frame_id", msg.header.frame_id),
        names=tuple(msg.names),
        people=tuple(_person_angles_from_msg(person, msg.names) for person in msg.people),
        times=_times_from_msg(msg.times),
        pelvis_sequence=msg.pelvis_sequence,
    )


def identity_change_from_msg(msg: Any) -> IdentityChange:
    """An id that was wrong. Raises MalformedMessage."""
    if msg.reason > LAST_REASON:
        raise MalformedMessage(f"reason must be at most {LAST_REASON}, got {msg.reason}")
    if (valid := RANGES["IdentityChange.confidence"]).refuses_one(msg.confidence):
        raise MalformedMessage(f"confidence must be {valid}, got {msg.confidence}")
    with _malformed():
        return IdentityChange(
            stamp=stamp_to_ns(msg.header.stamp),
            frame_id=_name("frame_id", msg.header.frame_id),
            old_id=msg.old_id,
            new_id=msg.new_id,
            reason=ChangeReason(msg.reason),
            confidence=msg.confidence,
        )


def run_from_msg(msg: Any) -> RunStatement:
    """What a stage is made of. Raises MalformedMessage."""
    if len(msg.software) != len(msg.versions) or len(msg.parameters) != len(msg.values):
        raise MalformedMessage(f"run of '{msg.stage}' has lists of different lengths")
    if max(len(msg.software), len(msg.parameters)) > MOST_ENTRIES:
        raise MalformedMessage(f"run of '{msg.stage}' must have at most {MOST_ENTRIES} entries")
    for name in (*msg.software, *msg.parameters):
        _name("an entry", name)
    return RunStatement(
        stage=_name("a stage", msg.stage),
        token=_name("a token", msg.token),
        versions=dict(zip(msg.software, msg.versions, strict=True)),
        parameters=dict(zip(msg.parameters, msg.values, strict=True)),
    )


def subjects_from_msg(msg: Any) -> SubjectStatements:
    """What was stated of people. Raises MalformedMessage."""
    for one in msg.subjects:
        for name, value in (("height", one.height), ("mass", one.mass)):
            if (valid := RANGES[f"Subject.{name}"]).refuses_one(value):
                raise MalformedMessage(f"{name} of '{one.person_id}' must be {valid}, got {value}")
    with _malformed():
        stated = tuple(SubjectStatement(one.person_id, one.height, one.mass) for one in msg.subjects)
        return SubjectStatements(int(msg.revision), stated)


def bodies_from_msg(msg: Any) -> BodyStatements:
    """Bone lengths of people. Raises MalformedMessage."""
    _joints(msg.skeleton)
    for body in msg.bodies:
        if (valid := RANGES["Body.height"]).refuses_one(body.height):
            raise MalformedMessage(f"height of '{body.id}' must be {valid}, got {body.height}")
        _check_range(body.id, "Body", "length", np.array(body.length, float))
        if len(body.settled) and max(body.settled) > 1:
            raise MalformedMessage(f"settled of '{body.id}' must be 0 or 1, got {max(body.settled)}")
    with _malformed():
        bodies = tuple(
            BodyStatement(
                body.id,
                np.array(body.length, float),
                np.array(body.settled, bool),
                body.height or math.nan,
            )
            for body in msg.bodies
        )
        return BodyStatements(msg.skeleton, int(msg.revision), bodies)


def skeleton_from_msg(msg: Any) -> Skeleton:
    """The skeleton that a message describes; `source` is that of the one known here by its name, or empty.

    Raises MalformedMessage for what is no tree, and for a known name that means other joints or bones here.
    """
    bones, points = len(msg.bone_children), len(msg.virtual_points)
    if len(msg.bone_parents) != bones or len(msg.virtual_joints) != 2 * points:
        raise MalformedMessage(f"skeleton '{msg.name}' has lists of different lengths")
    if any(joint >= len(msg.joints) for joint in msg.virtual_joints):
        raise MalformedMessage(
            f"skeleton '{msg.name}' has a virtual point of a joint beyond its {len(msg.joints)}"
        )
    pairs = [msg.joints[joint] for joint in msg.virtual_joints]
    known = SKELETONS.get(msg.name) if msg.name in SKELETONS else None
    try:
        skeleton = Skeleton(
            name=msg.name,
            joints=tuple(msg.joints),
            bones=tuple(zip(msg.bone_parents, msg.bone_children, strict=True)),
            root=msg.root,
            source=known.source if known else "",
            virtual=tuple(zip(msg.virtual_points, pairs[::2], pairs[1::2], strict=True)),
        )
    except ValueError as error:
        raise MalformedMessage(str(error)) from error
    if known and skeleton != known:
        raise MalformedMessage(
            f"skeleton '{msg.name}' differs from the one of that name here; update the older side"
        )
    return skeleton


def camera_from_msg(msg: Any) -> Camera | None:
    """The camera of the images that come with `msg`, or None where it is uncalibrated (K all zero).

    K is that of the whole sensor; binning and region of interest are applied to it, so that width and height
    are those of the image. Raises MalformedMessage.
    """
    k = np.array(msg.k, float).reshape(3, 3)
    if not k.any():
        return None
    binning = np.array([max(msg.binning_x, 1), max(msg.binning_y, 1)])
    offset = np.array([msg.roi.x_offset, msg.roi.y_offset])
    full = np.array([msg.width, msg.height])
    size = np.array([msg.roi.width or msg.width, msg.roi.height or msg.height])
    if ((offset + size) > full).any():
        raise MalformedMessage(
            f"region of interest of {size.tolist()} pixels at {offset.tolist()} must lie in the image of "
            f"{full.tolist()} pixels"
        )
    # Pixel centres are whole numbers, so a block of b pixels is centred (b - 1) / 2 past its first one.
    k[:2] /= binning[:, None]
    k[:2, 2] += (0.5 - offset) / binning - 0.5
    width, height = (size // binning).tolist()
    try:
        camera = Camera(
            width, height, k, np.array(msg.d, float), msg.distortion_model or "plumb_bob", "camera_info"
        )
    except ValueError as error:
        raise MalformedMessage(f"camera info: {error}") from error
    _check_camera(camera)
    return camera


def check_image_size(width: int, height: int) -> None:
    """Raise MalformedMessage for a size in pixels that no image has."""
    if width == 0 or height == 0:
        raise MalformedMessage(f"image must have a size, got {width} x {height}")
    for name, size in (("width", width), ("height", height)):
        if RANGES[f"People2D.{name}"].refuses_one(size):
            raise MalformedMessage(f"image {name} must be {RANGES[f'People2D.{name}']}, got {size}")


def _check_camera(camera: Camera) -> None:
    """Raise MalformedMessage for a lens that no camera has: a network or a solver would take it at its word."""
    longer = max(camera.width, camera.height)
    focal = camera.matrix[[0, 1], [0, 1]]
    for name, values in (
        ("width", np.array([camera.width])),
        ("height", np.array([camera.height])),
        ("focal length", focal / longer),
        ("principal point", camera.matrix[:2, 2] / longer),
        ("skew", camera.matrix[:1, 1] / focal.max()),
        ("d", camera.distortion),
    ):
        valid = RANGES[f"CameraInfo.{name}"]
        if valid.refuses(values):
            raise MalformedMessage(f"camera info: {name} must be {valid}, got {values.tolist()}")


def _person2d_from_msg(msg: Any, joints: int) -> Person2D:
    _check_lengths(msg, joints, xy_px=2, joint_confidence=1)
    xy_px = np.array(msg.xy_px, float).reshape(joints, 2)
    joint_confidence = np.array(msg.joint_confidence, float)
    x_min, y_min, x_max, y_max = box = msg.box_px.tolist()
    if not (math.isfinite(sum(box)) and x_min <= x_max and y_min <= y_max):
        raise MalformedMessage(f"box_px of '{msg.id}' must be finite x_min, y_min, x_max, y_max, got {box}")
    _check_joints(msg, xy_px, joint_confidence)
    if any(map(RANGES["Person2D.box_px"].refuses_one, box)):
        raise MalformedMessage(f"box_px of '{msg.id}' must be {RANGES['Person2D.box_px']}, got {box}")
    _check_range(msg.id, "Person2D", "xy_px", xy_px)
    return Person2D(msg.id, msg.confidence, np.array(box), xy_px, joint_confidence, _parent(msg))


def _person3d_from_msg(msg: Any, joints: int) -> Person3D:
    _check_lengths(msg, joints, xyz=3, std=1, joint_confidence=1, state=1)
    xyz = np.array(msg.xyz, float).reshape(joints, 3)
    std = np.array(msg.std, float)
    root_std = np.array(msg.root_std, float)
    joint_confidence = np.array(msg.joint_confidence, float)
    state = np.array(msg.state, np.uint8)
    if (most := np.maximum.reduce(state)) > LAST_STATE:
        raise MalformedMessage(f"state of '{msg.id}' must be at most {LAST_STATE}, got {most}")
    _check_joints(msg, xyz, joint_confidence, state)
    velocity, velocity_std = np.array(msg.root_velocity, float), np.array(msg.root_velocity_std, float)
    contact = np.array(msg.foot_contact, float)
    for name, values in (
        ("xyz", xyz),
        ("std", std),
        ("root_std", root_std),
        ("root_velocity", velocity),
        ("root_velocity_std", velocity_std),
        ("foot_contact", contact),
    ):
        _check_range(msg.id, "Person3D", name, values)
    if (valid := RANGES["Person3D.posture_confidence"]).refuses_one(msg.posture_confidence):
        raise MalformedMessage(
            f"posture_confidence of '{msg.id}' must be {valid}, got {msg.posture_confidence}"
        )
    if msg.posture > LAST_POSTURE:
        raise MalformedMessage(f"posture of '{msg.id}' must be at most {LAST_POSTURE}, got {msg.posture}")
    for name, size in (("height", msg.height), ("height_std", msg.height_std)):
        if (valid := RANGES[f"Person3D.{name}"]).refuses_one(size):
            raise MalformedMessage(f"{name} of '{msg.id}' must be {valid}, got {size}")
    if msg.scale_source > LAST_SCALE_SOURCE:
        raise MalformedMessage(
            f"scale_source of '{msg.id}' must be at most {LAST_SCALE_SOURCE}, got {msg.scale_source}"
        )
    return Person3D(
        id=msg.id,
        confidence=msg.confidence,
        xyz=xyz,
        std=std,
        root_std=root_std,
        joint_confidence=joint_confidence,
        state=state,
        height=msg.height or math.nan,  # a height of 0 is not known, which inside is NaN
        height_std=msg.height_std,
        scale_source=ScaleSource(msg.scale_source),
        covariance=_covariance(msg, std),
        parent=_parent(msg),
        root_velocity=velocity,
        root_velocity_std=velocity_std,
        foot_contact=contact,
        posture=Posture(msg.posture),
        posture_confidence=msg.posture_confidence,
    )


def _covariance(msg: Any, std: np.ndarray) -> np.ndarray | None:
    """(J, 6) of a person whose joints have deviations `std` (J,); None where it is not stated."""
    if not len(msg.covariance):
        return None
    _check_lengths(msg, len(std), covariance=6)
    covariance = np.array(msg.covariance, float).reshape(-1, 6)
    _check_range(msg.id, "Person3D", "covariance", covariance)
    unknown = np.isnan(covariance)
    known = ~np.isnan(std)
    bad = np.where(known, unknown.any(-1), ~unknown.all(-1))
    if not bad.any():
        square = np.square(std)
        mean = covariances.mean_variance(covariance)
        with np.errstate(invalid="ignore"):
            bad = known & (np.abs(mean - square) > SAME_VARIANCE * np.maximum(mean, square))
        bad |= known & ~covariances.is_valid(covariance)
    if bad.any():
        joint = _first(bad)
        raise MalformedMessage(
            f"covariance of joint {joint} of '{msg.id}' must be one whose trace is three times the square of std, which is "
            f"{std[joint]:g}, or NaN where that is, got {covariance[joint].tolist()}"
        )
    return covariance


def _person_angles_from_msg(msg: Any, names: list[str]) -> PersonAngles:
    _check_lengths(msg, len(names), angle=1, std=1, flags=1)
    angle, std, flags = np.array(msg.angle, float), np.array(msg.std, float), np.array(msg.flags, np.uint8)
    unknown = np.isnan(angle)
    for broken, what in (
        (flags > ALL_FLAGS, f"must have flags of at most {ALL_FLAGS}"),
        (np.isinf(angle), "must be finite or NaN"),
        (
            unknown != (flags & UNKNOWN_ANGLE > 0),
            "must be NaN if and only if its flags say that it is unknown",
        ),
        (~(std >= 0.0) & ~np.isnan(std) | (std == np.inf), "must have a finite std of at least 0, or NaN"),
        (unknown & ~np.isnan(std), "is NaN, and so must its std be"),
    ):
        if broken.any():
            row = _first(broken)
            got = f"{angle[row]}, std {std[row]}, flags {flags[row]}"
            raise MalformedMessage(f"{names[row]} of '{msg.id}' {what}, got {got}")
    _check_range(msg.id, "PersonAngles", "angle", angle)
    _check_range(msg.id, "PersonAngles", "std", std)
    return PersonAngles(msg.id, angle, std, flags)


def _times_from_msg(msg: Any) -> tuple[StageTime, ...]:
    if not len(msg.stage) == len(msg.start) == len(msg.end):
        raise MalformedMessage(
            f"times have {len(msg.stage)} stages, {len(msg.start)} starts and {len(msg.end)} ends"
        )
    if len(msg.stage) > MOST_STAGES:
        raise MalformedMessage(f"times must have at most {MOST_STAGES} stages, got {len(msg.stage)}")
    for stage in msg.stage:
        _name("a stage", stage)
    for name, times in (("start", msg.start), ("end", msg.end)):
        if len(times) and min(times) < 0:
            raise MalformedMessage(f"times must not {name} before zero, got {min(times)} ns")
    # the reader of bags has NumPy's numbers where ROS has Python's
    return tuple(map(StageTime, msg.stage, map(int, msg.start), map(int, msg.end)))


def _joints(skeleton: str) -> int:
    if skeleton not in SKELETONS:
        raise MalformedMessage(
            f"skeleton '{skeleton}' is unknown here; known: {', '.join(SKELETONS.names())}"
        )
    return len(SKELETONS.get(skeleton))


def _check_lengths(msg: Any, joints: int, **per_joint: int) -> None:
    for name, dimensions in per_joint.items():
        if (length := len(getattr(msg, name))) != joints * dimensions:
            raise MalformedMessage(
                f"{name} of '{msg.id}' must have {joints * dimensions} values, got {length}"
            )


def _name(what: str, name: str) -> str:
    """`name`, if it is no longer than one may be."""
    if len(name) > LONGEST_NAME:
        raise MalformedMessage(
            f"{what} must have a name of at most {LONGEST_NAME} characters, got {len(name)}"
        )
    return name


def _parent(msg: Any) -> str:
    """Id of the person whom a message's one is a part of; empty for none."""
    if not msg.parent:
        return ""
    with _malformed():
        expect_id(msg.parent)
    if msg.parent == msg.id:
        raise MalformedMessage(f"person '{msg.id}' must not be a part of themselves")
    return str(msg.parent)


@contextmanager
def _malformed() -> Iterator[None]:
    """Within it a value that pose_core refuses is one of a malformed message."""
    try:
        yield
    except MalformedMessage:
        raise
    except ValueError as error:
        raise MalformedMessage(str(error)) from error


def _check_ids(ids: Sequence[str]) -> None:
    if len(ids) > MOST_PEOPLE:
        raise MalformedMessage(f"an image must have at most {MOST_PEOPLE} people, got {len(ids)}")
    seen = set()
    for person in ids:
        try:
            expect_id(person)
        except ValueError as error:
            raise MalformedMessage(str(error)) from error
        if person in seen:
            raise MalformedMessage(f"two people have the id '{person}'")
        seen.add(person)


# The checks below run for every person of every message: each first questions a whole array, and looks
# for the joint to blame only where the answer is bad.


def _check_joints(
    msg: Any,
    positions: np.ndarray,
    confidence: np.ndarray,
    state: np.ndarray | None = None,
) -> None:
    """Confidences are from 0 to 1; positions finite, or all NaN with confidence 0 and state MISSING."""
    if not 0.0 <= msg.confidence <= 1.0:
        raise MalformedMessage(f"confidence of '{msg.id}' must be from 0 to 1, got {msg.confidence}")
    if not (np.minimum.reduce(confidence) >= 0.0 and np.maximum.reduce(confidence) <= 1.0):
        joint = _first(~((confidence >= 0.0) & (confidence <= 1.0)))
        raise MalformedMessage(
            f"confidence of joint {joint} of '{msg.id}' must be from 0 to 1, got {confidence[joint]}"
        )
    if state is not None and not np.minimum.reduce(state):
        broken = (state == JointState.MISSING) & ~np.isnan(positions).all(-1)
        if broken.any():
            joint = _first(broken)
            raise MalformedMessage(
                f"joint {joint} of '{msg.id}' is MISSING and must be NaN, got {positions[joint].tolist()}"
            )
    if math.isfinite(np.add.reduce(positions, None)):
        return
    missing = np.isnan(positions).all(-1)
    broken = ~(missing | np.isfinite(positions).all(-1))
    if broken.any():
        joint = _first(broken)
        raise MalformedMessage(
            f"joint {joint} of '{msg.id}' must be finite or all NaN, got {positions[joint].tolist()}"
        )
    broken = missing & (confidence > 0.0)
    if broken.any():
        joint = _first(broken)
        raise MalformedMessage(f"joint {joint} of '{msg.id}' is NaN but has confidence {confidence[joint]}")
    if state is not None and state[missing].any():
        raise MalformedMessage(f"joint {_first(missing & (state > 0))} of '{msg.id}' is NaN but not MISSING")


def _check_range(person: str, message: str, field: str, values: np.ndarray) -> None:
    """Values are those of the table; a whole array at once."""
    valid = RANGES[f"{message}.{field}"]
    if valid.refuses(values):
        raise MalformedMessage(f"{field} of '{person}' must be {valid}, got {values.tolist()}")


def _first(mask: np.ndarray) -> int:
    return int(np.flatnonzero(mask)[0])
