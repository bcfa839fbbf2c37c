"""Conversions by value, as round trips, and with every way a message can break its contract."""

from __future__ import annotations

from array import array
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pose_msgs import msg as msgs
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo

from pose_core.angles import PELVIS_SEQUENCES, AngleFlag, PeopleAngles, PersonAngles
from pose_core.geometry.camera import Camera
from pose_core.people import (
    JointState,
    People2D,
    People3D,
    Person2D,
    Person3D,
    Posture,
    ScaleSource,
    StageTime,
)
from pose_core.skeleton import SKELETONS, Skeleton
from pose_core.statements import (
    BodyStatement,
    BodyStatements,
    ChangeReason,
    IdentityChange,
    RunStatement,
    SubjectStatement,
    SubjectStatements,
)
from pose_ros import conversions
from pose_ros.conversions import MalformedMessage

NAN = float("nan")
JOINTS = len(SKELETONS.get("coco17"))

fast = settings(max_examples=25, deadline=None)
# What ranges admit (pose_ros.messages.ranges).
size = st.just(0.0) | st.floats(2.0**-19, 1e4, width=32)
height = st.floats(2.0**-6, 1e4, width=32)
unit = st.floats(0.0, 1.0, width=32)
position = st.floats(-1e4, 1e4, width=32)
# ROS strings end at the first NUL.
names = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=5)
stamps = st.integers(0, 2**31 * 10**9 - 1)
times = st.lists(st.builds(StageTime, names, st.integers(0, 2**62), st.integers(0, 2**62)), max_size=3).map(
    tuple
)
ids = st.lists(st.from_regex(r"\A[a-zA-Z][0-9a-z_]{0,5}\Z"), max_size=2, unique=True)


def float32(shape, elements) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, shape, elements=elements).map(lambda values: values.astype(float))


@st.composite
def people2d(draw) -> People2D:
    people = []
    for person in draw(ids):
        missing = draw(arrays(bool, JOINTS))
        low, extent = (
            draw(float32(2, st.floats(-1e4, 1e4, width=32))),
            draw(float32(2, st.floats(0, 1e4, width=32))),
        )
        people.append(
            Person2D(
                id=person,
                confidence=draw(unit),
                box_px=np.concatenate([low, (low + extent).astype(np.float32)]).astype(float),
                xy_px=np.where(missing[:, None], np.nan, draw(float32((JOINTS, 2), position))),
                joint_confidence=np.where(missing, 0.0, draw(float32(JOINTS, unit))),
            )
        )
    sides = st.integers(1, 65535)
    return People2D(
        draw(stamps),
        draw(names),
        "coco17",
        draw(sides),
        draw(sides),
        tuple(people),
        draw(times),
    )


@st.composite
def people3d(draw) -> People3D:
    people = []
    for person in draw(ids):
        state = draw(arrays(np.uint8, JOINTS, elements=st.integers(0, max(JointState))))
        missing = state == JointState.MISSING
        std = np.where(missing, np.nan, draw(float32(JOINTS, size)))
        round_ = np.square(std)[:, None] * np.array([1.0, 0.0, 0.0, 1.0, 0.0, 1.0])
        shape = draw(st.none() | st.just(round_.astype(np.float32).astype(float)))
        people.append(
            Person3D(
                id=person,
                confidence=draw(unit),
                xyz=np.where(missing[:, None], np.nan, draw(float32((JOINTS, 3), position))),
                std=std,
                covariance=shape,
                root_std=draw(float32(3, size | st.just(NAN))),
                joint_confidence=np.where(missing, 0.0, draw(float32(JOINTS, unit))),
                state=state,
                height=draw(height | st.just(NAN)),
                height_std=draw(size | st.just(NAN)),
                scale_source=draw(st.sampled_from(ScaleSource)),
                parent=draw(st.sampled_from(["", "owner"])),
                root_velocity=draw(float32(3, position | st.just(NAN))),
                root_velocity_std=draw(float32(3, size | st.just(NAN))),
                foot_contact=draw(float32(2, unit | st.just(NAN))),
                posture=draw(st.sampled_from(Posture)),
                posture_confidence=draw(unit),
            )
        )
    up = draw(st.none() | st.sampled_from([np.array([0.0, -1.0, 0.0]), np.array([0.6, 0.0, -0.8])]))
    up = None if up is None else up.astype(np.float32).astype(float)
    return People3D(draw(stamps), "camera", "coco17", tuple(people), draw(size), draw(times), up)


def assert_same(a, b) -> None:
    """Equal in every field, NaN being equal to NaN."""
    assert type(a) is type(b)
    for field in fields(a):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if field.name == "people":
            assert len(left) == len(right)
            for one, other in zip(left, right, strict=True):
                assert_same(one, other)
        else:
            np.testing.assert_array_equal(left, right, strict=isinstance(left, np.ndarray))


@fast
@given(people2d())
def test_people2d_come_back_through_bytes(people):
    data = serialize_message(conversions.people2d_to_msg(people))
    back = conversions.people2d_from_msg(deserialize_message(data, msgs.People2D))
    assert_same(back, people)


@fast
@given(people3d())
def test_people3d_come_back_through_bytes(people):
    data = serialize_message(conversions.people3d_to_msg(people))
    back = conversions.people3d_from_msg(deserialize_message(data, msgs.People3D))
    assert_same(back, people)


@st.composite
def people_angles(draw) -> PeopleAngles:
    angle_names = draw(st.lists(st.from_regex(r"\A[a-z_]{1,9}\Z"), max_size=4, unique=True))
    count = len(angle_names)
    people = []
    for person in draw(ids):
        flags = draw(arrays(np.uint8, count, elements=st.integers(0, 7)))
        unknown = (flags & (AngleFlag.JOINT_MISSING | AngleFlag.UNOBSERVABLE)) > 0
        people.append(
            PersonAngles(
                id=person,
                angle=np.where(unknown, np.nan, draw(float32(count, position))),
                std=np.where(unknown, np.nan, draw(float32(count, size | st.just(NAN)))),
                flags=flags,
            )
        )
    sequence = draw(st.sampled_from(("", *PELVIS_SEQUENCES)))
    return PeopleAngles(draw(stamps), "camera", tuple(angle_names), tuple(people), draw(times), sequence)


@fast
@given(people_angles())
def test_angles_come_back_through_bytes(people):
    data = serialize_message(conversions.angles_to_msg(people))
    back = conversions.angles_from_msg(deserialize_message(data, msgs.JointAngles))
    assert_same(back, people)


def two_angles(**changes) -> PersonAngles:
    values = {
        "angle": [0.5, np.nan],
        "std": [0.1, np.nan],
        "flags": [AngleFlag.NEAR_GIMBAL_LOCK, AngleFlag.UNOBSERVABLE],
    }
    return PersonAngles("p1", **{name: np.array(value) for name, value in {**values, **changes}.items()})


def angles_msg() -> msgs.JointAngles:
    people = PeopleAngles(5, "camera", ("bend", "twist"), (two_angles(),), pelvis_sequence="YXZ")
    return conversions.angles_to_msg(people)


def test_angles_by_value():
    msg = angles_msg()
    assert (msg.header.stamp.nanosec, msg.header.frame_id) == (5, "camera")
    assert list(msg.names) == ["bend", "twist"]
    assert msg.pelvis_sequence == "YXZ"
    (person,) = msg.people
    assert (person.id, list(person.flags)) == ("p1", [4, 2])
    assert person.angle[0] == 0.5
    assert np.isnan(person.angle[1])
    assert np.isnan(person.std[1])


def test_joint_state_by_value():
    other = replace(two_angles(angle=[-1.25, 0.75], std=[0.1, 0.2], flags=[0, 0]), id="p2")
    state = conversions.angles_to_joint_state(
        PeopleAngles(7, "camera", ("bend", "twist"), (two_angles(), other))
    )
    assert (state.header.stamp.nanosec, state.header.frame_id) == (7, "camera")
    assert list(state.name) == ["p1/bend", "p2/bend", "p2/twist"]
    assert list(state.position) == [0.5, -1.25, 0.75]
    assert deserialize_message(serialize_message(state), type(state)) == state


BROKEN_ANGLES = {
    "angles must have different names": lambda m, p: setattr(m, "names", ["bend", "bend"]),
    "pelvis_sequence must be ZXY or YXZ, or empty where it is not stated, got 'XYZ'": lambda m, p: setattr(
        m, "pelvis_sequence", "XYZ"
    ),
    "or empty where it is not stated, got 'yxz'": lambda m, p: setattr(m, "pelvis_sequence", "yxz"),
    "or empty where it is not stated, got 'YXZ '": lambda m, p: setattr(m, "pelvis_sequence", "YXZ "),
    "angle of 'p1' must have 2 values, got 1": lambda m, p: setattr(p, "angle", [0.5]),
    "std of 'p1' must have 2 values, got 3": lambda m, p: setattr(p, "std", [0.1] * 3),
    "flags of 'p1' must have 2 values, got 0": lambda m, p: setattr(p, "flags", []),
    "flags of 'p1' must have 3 values, got 2": lambda m, p: (
        m.names.append("more"),
        setattr(p, "angle", [0.5, NAN, 0.5]),
        setattr(p, "std", [0.1, NAN, 0.1]),
    ),
    "bend of 'p1' must have flags of at most 7, got 0.5": lambda m, p: setattr(p, "flags", [8, 2]),
    "bend of 'p1' must be finite or NaN": lambda m, p: setattr(p, "angle", [np.inf, NAN]),
    "bend of 'p1' must be NaN if and only if": lambda m, p: setattr(p, "flags", [1, 2]),
    "twist of 'p1' must be NaN if and only if": lambda m, p: setattr(p, "flags", [0, 4]),
    "bend of 'p1' must have a finite std of at least 0": lambda m, p: setattr(p, "std", [-0.1, NAN]),
    "bend of 'p1' must have a finite std of at least 0, or NaN": lambda m, p: setattr(
        p, "std", [np.inf, NAN]
    ),
    "twist of 'p1' is NaN, and so must its std be": lambda m, p: setattr(p, "std", [0.1, 0.1]),
    "a person's id must start with a letter": lambda m, p: setattr(p, "id", "1"),
    "two people have the id 'p1'": lambda m, p: m.people.append(p),
    "stamp has 1000000000 nanoseconds": lambda m, p: setattr(m.header.stamp, "nanosec", 1_000_000_000),
    "times have 1 stages": lambda m, p: m.times.stage.append("refine"),
}


@pytest.mark.parametrize("sentence", BROKEN_ANGLES)
def test_malformed_angles(sentence):
    msg = angles_msg()
    BROKEN_ANGLES[sentence](msg, msg.people[0])
    with pytest.raises(MalformedMessage) as error:
        conversions.angles_from_msg(msg)
    assert sentence in str(error.value)


@given(st.floats(-1e4, 1e4))
@fast
def test_a_message_holds_the_nearest_float32(value):
    person = person3d()
    xyz = person.xyz.copy()
    xyz[3, 1] = value
    back = conversions.people3d_from_msg(conversions.people3d_to_msg(one3d(replace(person, xyz=xyz))))
    assert back.people[0].xyz[3, 1] == np.float32(value)


def person2d(**changes) -> Person2D:
    person = Person2D(
        id="p1",
        confidence=0.5,
        box_px=np.array([1.0, 2.0, 30.0, 40.0]),
        xy_px=np.arange(2.0 * JOINTS).reshape(JOINTS, 2),
        joint_confidence=np.full(JOINTS, 0.75),
    )
    return replace(person, **changes)


def person3d(**changes) -> Person3D:
    person = Person3D(
        id="p1",
        confidence=0.5,
        xyz=np.arange(3.0 * JOINTS).reshape(JOINTS, 3),
        std=np.full(JOINTS, 0.25),
        root_std=np.array([0.5, 0.5, 2.0]),
        joint_confidence=np.full(JOINTS, 0.75),
        state=np.full(JOINTS, JointState.LIFTED, np.uint8),
        height=1.75,
        height_std=0.125,
        scale_source=ScaleSource.SUBJECT,
        covariance=np.tile([0.03125, 0.0, 0.015625, 0.03125, 0.0, 0.125], (JOINTS, 1)),
        root_velocity=np.array([0.5, 0.0, -1.0]),
        root_velocity_std=np.array([0.25, 0.25, 0.5]),
    )
    return replace(person, **changes)


def one2d(*people: Person2D) -> People2D:
    return People2D(1_500_000_000, "camera", "coco17", 640, 480, people, (StageTime("source", 5, 7),))


def one3d(*people: Person3D) -> People3D:
    return People3D(1_500_000_000, "camera", "coco17", people, 0.25, (StageTime("source", 5, 7),))


def test_fields_of_people2d():
    msg = conversions.people2d_to_msg(one2d(person2d()))
    assert (msg.header.stamp.sec, msg.header.stamp.nanosec, msg.header.frame_id) == (1, 500_000_000, "camera")
    assert (msg.skeleton, msg.width, msg.height) == ("coco17", 640, 480)
    (person,) = msg.people
    assert (person.id, person.confidence, person.box_px.tolist()) == ("p1", 0.5, [1.0, 2.0, 30.0, 40.0])
    assert person.xy_px == array("f", range(2 * JOINTS))  # x0 y0 x1 y1 ...
    assert person.joint_confidence == array("f", [0.75] * JOINTS)
    assert (msg.times.stage, msg.times.start.tolist(), msg.times.end.tolist()) == (["source"], [5], [7])


def test_fields_of_people3d():
    msg = conversions.people3d_to_msg(one3d(person3d()))
    assert (msg.skeleton, msg.delay) == ("coco17", 0.25)
    (person,) = msg.people
    assert person.xyz == array("f", range(3 * JOINTS))  # x0 y0 z0 x1 ...
    assert person.std == array("f", [0.25] * JOINTS)
    assert person.root_std.tolist() == [0.5, 0.5, 2.0]
    assert person.state == array("B", [msgs.Person3D.LIFTED] * JOINTS)
    assert (person.height, person.height_std) == (1.75, 0.125)
    assert person.scale_source == msgs.Person3D.SCALE_SUBJECT
    assert msg.up.tolist() == msgs.People3D().up.tolist() == [0.0, 0.0, 0.0]  # not known
    told = conversions.people3d_to_msg(replace(one3d(), up=np.array([0.0, -1.0, 0.0])))
    assert told.up.tolist() == [0.0, -1.0, 0.0]


def test_arrays_need_not_be_contiguous():
    xy_px = np.zeros((2, JOINTS))
    xy_px[1] = 7.0
    msg = conversions.people2d_to_msg(one2d(person2d(xy_px=xy_px.T)))
    assert msg.people[0].xy_px[:4].tolist() == [0.0, 7.0, 0.0, 7.0]


def test_numbers_of_states_and_scale_sources_are_those_of_the_message():
    for state in JointState:
        assert getattr(msgs.Person3D, state.name) == state
    for source in ScaleSource:
        assert getattr(msgs.Person3D, f"SCALE_{source.name}") == source
    for posture in Posture:
        assert getattr(msgs.Person3D, f"POSTURE_{posture.name}") == posture
    for reason in ChangeReason:
        assert getattr(msgs.IdentityChange, reason.name) == reason


def with_value(values, index, value):
    changed = array(values.typecode, values)
    changed[index] = value
    return changed


BROKEN_2D = {
    "skeleton 'coco18' is unknown here": lambda m, p: setattr(m, "skeleton", "coco18"),
    "image must have a size, got 0 x 480": lambda m, p: setattr(m, "width", 0),
    "xy_px of 'p1' must have 34 values, got 33": lambda m, p: p.xy_px.pop(),
    "joint_confidence of 'p1' must have 17 values, got 18": lambda m, p: p.joint_confidence.append(0.5),
    "must start with a letter, got ''": lambda m, p: setattr(p, "id", ""),
    "must start with a letter, got '1p'": lambda m, p: setattr(p, "id", "1p"),
    "two people have the id 'p1'": lambda m, p: m.people.append(p),
    "image width must be from 1 to 65535 px, got 65536": lambda m, p: setattr(m, "width", 65536),
    "a person's id must have at most 64 printable characters, got 65": lambda m, p: setattr(
        p, "id", "p" * 65
    ),
    "must have at most 64 printable characters, got 2: 'p\\n'": lambda m, p: setattr(p, "id", "p\n"),
    "an image must have at most 256 people, got 257": lambda m, p: m.people.extend([p] * 256),
    "xy_px of 'p1' must be from -1e+06 to 1e+06 px, or NaN": lambda m, p: setattr(
        p, "xy_px", with_value(p.xy_px, 4, 1e38)
    ),
    "box_px of 'p1' must be from -1e+06 to 1e+06 px": lambda m, p: setattr(
        p, "box_px", np.array([-1e38, 0, 1, 1], np.float32)
    ),
    "frame_id must have a name of at most 256 characters, got 257": lambda m, p: setattr(
        m.header, "frame_id", "f" * 257
    ),
    "stamp must not be before zero, got -1 s": lambda m, p: setattr(m.header.stamp, "sec", -1),
    "times must not start before zero, got -5 ns": lambda m, p: setattr(m.times, "start", [-5]),
    "times must have at most 64 stages, got 65": lambda m, p: (
        setattr(m.times, "stage", ["s"] * 65),
        setattr(m.times, "start", [0] * 65),
        setattr(m.times, "end", [0] * 65),
    ),
    "confidence of 'p1' must be from 0 to 1, got nan": lambda m, p: setattr(p, "confidence", NAN),
    "confidence of 'p1' must be from 0 to 1, got 1.5": lambda m, p: setattr(p, "confidence", 1.5),
    "confidence of joint 4 of 'p1' must be from 0 to 1, got nan": lambda m, p: setattr(
        p, "joint_confidence", with_value(p.joint_confidence, 4, NAN)
    ),
    "confidence of joint 4 of 'p1' must be from 0 to 1, got -0.5": lambda m, p: setattr(
        p, "joint_confidence", with_value(p.joint_confidence, 4, -0.5)
    ),
    "joint 2 of 'p1' must be finite or all NaN, got [inf, 5.0]": lambda m, p: setattr(
        p, "xy_px", with_value(p.xy_px, 4, np.inf)
    ),
    "joint 2 of 'p1' must be finite or all NaN, got [4.0, nan]": lambda m, p: setattr(
        p, "xy_px", with_value(p.xy_px, 5, NAN)
    ),
    "joint 2 of 'p1' is NaN but has confidence 0.75": lambda m, p: setattr(
        p, "xy_px", with_value(with_value(p.xy_px, 4, NAN), 5, NAN)
    ),
    "box_px of 'p1' must be finite": lambda m, p: setattr(
        p, "box_px", np.array([0, 0, np.inf, 1], np.float32)
    ),
    "x_min, y_min, x_max, y_max, got [2.0, 0.0, 1.0, 1.0]": lambda m, p: setattr(
        p, "box_px", np.array([2, 0, 1, 1], np.float32)
    ),
    "times have 2 stages, 1 starts and 1 ends": lambda m, p: m.times.stage.append("x"),
    "stamp has 1000000000 nanoseconds": lambda m, p: setattr(m.header.stamp, "nanosec", 10**9),
}

BROKEN_3D = {
    "skeleton '' is unknown here": lambda m, p: setattr(m, "skeleton", ""),
    "delay must be from 0 to 1e+10 s, got nan": lambda m, p: setattr(m, "delay", NAN),
    "up must be a unit vector, or zeros": lambda m, p: setattr(
        m, "up", np.array([0.0, 0.0, 0.5], np.float32)
    ),
    "up must be a unit vector, or zeros where it is not known, got [nan": lambda m, p: setattr(
        m, "up", np.full(3, NAN, np.float32)
    ),
    "xyz of 'p1' must have 51 values, got 50": lambda m, p: p.xyz.pop(),
    "std of 'p1' must have 17 values, got 16": lambda m, p: p.std.pop(),
    "state of 'p1' must have 17 values, got 16": lambda m, p: p.state.pop(),
    "state of 'p1' must be at most 5, got 6": lambda m, p: setattr(p, "state", with_value(p.state, 9, 6)),
    "scale_source of 'p1' must be at most 5, got 6": lambda m, p: setattr(p, "scale_source", 6),
    "xyz of 'p1' must be from -10000 to 10000 m, or NaN": lambda m, p: setattr(
        p, "xyz", with_value(p.xyz, 4, 1e38)
    ),
    "height of 'p1' must be from 0.01 to 10000 m, or 0, or NaN, got 1e-38": lambda m, p: setattr(
        p, "height", 1e-38
    ),
    "got [3.0, -inf, 5.0]": lambda m, p: setattr(p, "xyz", with_value(p.xyz, 4, -np.inf)),
    "joint 1 of 'p1' is MISSING and must be NaN, got [3.0, 4.0, 5.0]": lambda m, p: setattr(
        p, "state", with_value(p.state, 1, 0)
    ),
    "joint 0 of 'p1' is NaN but not MISSING": lambda m, p: (
        setattr(p, "xyz", array("f", [NAN] * 3) + p.xyz[3:]),
        setattr(p, "joint_confidence", with_value(p.joint_confidence, 0, 0.0)),
    ),
    "std of 'p1' must be from 1e-06 to 10000 m, or 0, or NaN": lambda m, p: setattr(
        p, "std", with_value(p.std, 3, -1.0)
    ),
    "root_std of 'p1' must be from 1e-06 to 10000 m, or 0, or NaN, got [0.0, inf, 0.0]": lambda m, p: setattr(
        p, "root_std", np.array([0, np.inf, 0], np.float32)
    ),
    "height of 'p1' must be from 0.01 to 10000 m, or 0, or NaN, got -1.0": lambda m, p: setattr(
        p, "height", -1.0
    ),
    "height_std of 'p1' must be from 1e-06 to 10000 m, or 0, or NaN, got inf": lambda m, p: setattr(
        p, "height_std", np.inf
    ),
    "two people have the id 'p1'": lambda m, p: m.people.append(p),
    "covariance of 'p1' must have 102 values, got 101": lambda m, p: p.covariance.pop(),
    "covariance of 'p1' must be from -3e+08 to 3e+08 m2": lambda m, p: setattr(
        p, "covariance", with_value(p.covariance, 0, 1e38)
    ),
    "covariance of joint 2 of 'p1' must be one whose trace is three times the square of std, which is 0.25": (
        lambda m, p: setattr(p, "covariance", with_value(p.covariance, 12, 0.5))
    ),
    "covariance of joint 1 of 'p1' must be one": lambda m, p: setattr(
        p,
        "covariance",
        with_value(p.covariance, 8, 0.0650),  # xz: more than xx and zz allow
    ),
    "covariance of joint 3 of 'p1' must be one whose trace": lambda m, p: setattr(
        p, "covariance", with_value(p.covariance, 19, NAN)
    ),
    "covariance of joint 4 of 'p1' must be one whose trace": lambda m, p: setattr(
        p, "std", with_value(p.std, 4, NAN)
    ),
    "root_velocity of 'p1' must be from -10000 to 10000 m/s, or NaN": lambda m, p: setattr(
        p, "root_velocity", np.array([0.0, np.inf, 0.0], np.float32)
    ),
    "root_velocity_std of 'p1' must be from 1e-06": lambda m, p: setattr(
        p, "root_velocity_std", np.array([0.0, -1.0, 0.0], np.float32)
    ),
    "foot_contact of 'p1' must be from 0 to 1, or NaN": lambda m, p: setattr(
        p, "foot_contact", np.array([1.5, 0.0], np.float32)
    ),
    "posture of 'p1' must be at most 4, got 5": lambda m, p: setattr(p, "posture", 5),
    "posture_confidence of 'p1' must be from 0 to 1, got 2.0": lambda m, p: setattr(
        p, "posture_confidence", 2.0
    ),
    "person 'p1' must not be a part of themselves": lambda m, p: setattr(p, "parent", "p1"),
    "a person's id must start with a letter, got '7'": lambda m, p: setattr(p, "parent", "7"),
}


STATED: dict[str, tuple[object, object, object]] = {
    "identity change": (
        IdentityChange(7, "camera", "p1", "p3", ChangeReason.TAKEN_OVER, 0.75),
        conversions.identity_change_to_msg,
        conversions.identity_change_from_msg,
    ),
    "run": (
        RunStatement("pose2d", "k7f2", {"mediapipe": "0.10.14"}, {"num_poses": "2", "source": "''"}),
        conversions.run_to_msg,
        conversions.run_from_msg,
    ),
    "subjects": (
        SubjectStatements(3, (SubjectStatement("", 1.75), SubjectStatement("p1", 1.5, 48.0))),
        conversions.subjects_to_msg,
        conversions.subjects_from_msg,
    ),
}


@pytest.mark.parametrize("name", STATED)
def test_statements_come_back_through_bytes(name):
    stated, write, read = STATED[name]
    msg = write(stated)
    assert read(deserialize_message(serialize_message(msg), type(msg))) == stated


def test_bodies_come_back_through_bytes():
    bones = len(SKELETONS.get("coco17").bones)
    length = np.linspace(0.125, 0.5, bones).astype(np.float32).astype(float)
    length[2] = NAN
    stated = BodyStatements("coco17", 9, (BodyStatement("p1", length, np.arange(bones) > 4, 1.75),))
    msg = conversions.bodies_to_msg(stated)
    back = conversions.bodies_from_msg(deserialize_message(serialize_message(msg), msgs.Bodies))
    assert (back.skeleton, back.revision, back.bodies[0].id) == ("coco17", 9, "p1")
    assert back.bodies[0].height == 1.75
    assert np.isnan(conversions.bodies_from_msg(bodies()).bodies[0].height)
    np.testing.assert_array_equal(back.bodies[0].length, length)
    np.testing.assert_array_equal(back.bodies[0].settled, np.arange(bones) > 4)


def bodies() -> msgs.Bodies:
    bones = len(SKELETONS.get("coco17").bones)
    body = BodyStatement("p1", np.full(bones, 0.25), np.ones(bones, bool))
    return conversions.bodies_to_msg(BodyStatements("coco17", 1, (body,)))


BROKEN_STATEMENTS = {
    "a person's id must start with a letter, got ''": (
        lambda: msgs.IdentityChange(new_id="p1"),
        conversions.identity_change_from_msg,
    ),
    "reason must be at most 4, got 5": (
        lambda: msgs.IdentityChange(old_id="p1", reason=5),
        conversions.identity_change_from_msg,
    ),
    "confidence must be from 0 to 1, got nan": (
        lambda: msgs.IdentityChange(old_id="p1", confidence=NAN),
        conversions.identity_change_from_msg,
    ),
    "run of 'lift3d' has lists of different lengths": (
        lambda: msgs.Run(stage="lift3d", parameters=["height"]),
        conversions.run_from_msg,
    ),
    "run of 'lift3d' must have at most 1024 entries": (
        lambda: msgs.Run(stage="lift3d", parameters=["a"] * 1025, values=["1"] * 1025),
        conversions.run_from_msg,
    ),
    "a token must have a name of at most 256 characters, got 257": (
        lambda: msgs.Run(token="a" * 257),
        conversions.run_from_msg,
    ),
    "height of 'p1' must be from 0.5 to 2.6 m, or 0, got 2.75": (
        lambda: msgs.Subjects(subjects=[msgs.Subject(person_id="p1", height=2.75)]),
        conversions.subjects_from_msg,
    ),
    "mass of '' must be from 2 to 400 kg, or 0, got nan": (
        lambda: msgs.Subjects(subjects=[msgs.Subject(mass=NAN)]),
        conversions.subjects_from_msg,
    ),
    "statements must be of different people, got 'p1' twice": (
        lambda: msgs.Subjects(subjects=[msgs.Subject(person_id="p1")] * 2),
        conversions.subjects_from_msg,
    ),
    "statements must be of at most 256 people, got 257": (
        lambda: msgs.Subjects(subjects=[msgs.Subject(person_id=f"p{i}") for i in range(257)]),
        conversions.subjects_from_msg,
    ),
    "skeleton 'coco18' is unknown here": (
        lambda: msgs.Bodies(skeleton="coco18"),
        conversions.bodies_from_msg,
    ),
    "skeleton 'coco17' has 18 bones, got 17 of 'p1'": (
        lambda: _changed(bodies(), lambda body: (body.length.pop(), body.settled.pop())),
        conversions.bodies_from_msg,
    ),
    "length and settled must have one value per bone, got (18,) and (17,)": (
        lambda: _changed(bodies(), lambda body: body.settled.pop()),
        conversions.bodies_from_msg,
    ),
    "length of 'p1' must be from 0.001 to 10000 m, or NaN": (
        lambda: _changed(bodies(), lambda body: setattr(body, "length", with_value(body.length, 3, 0.0))),
        conversions.bodies_from_msg,
    ),
    "height of 'p1' must be from 0.01 to 10000 m, or 0, or NaN, got -1.0": (
        lambda: _changed(bodies(), lambda body: setattr(body, "height", -1.0)),
        conversions.bodies_from_msg,
    ),
    "settled of 'p1' must be 0 or 1, got 2": (
        lambda: _changed(bodies(), lambda body: setattr(body, "settled", with_value(body.settled, 3, 2))),
        conversions.bodies_from_msg,
    ),
}


def _changed(msg: msgs.Bodies, change) -> msgs.Bodies:
    change(msg.bodies[0])
    return msg


@pytest.mark.parametrize("sentence", BROKEN_STATEMENTS)
def test_malformed_statements(sentence):
    make, read = BROKEN_STATEMENTS[sentence]
    with pytest.raises(MalformedMessage) as error:
        read(make())
    assert sentence in str(error.value)


@pytest.mark.parametrize("sentence", BROKEN_2D)
def test_malformed_people2d(sentence):
    msg = conversions.people2d_to_msg(one2d(person2d()))
    BROKEN_2D[sentence](msg, msg.people[0])
    with pytest.raises(MalformedMessage) as error:
        conversions.people2d_from_msg(msg)
    assert sentence in str(error.value)


@pytest.mark.parametrize("sentence", BROKEN_3D)
def test_malformed_people3d(sentence):
    msg = conversions.people3d_to_msg(one3d(person3d()))
    BROKEN_3D[sentence](msg, msg.people[0])
    with pytest.raises(MalformedMessage) as error:
        conversions.people3d_from_msg(msg)
    assert sentence in str(error.value)


@given(st.integers(0, 2**31 * 10**9 - 1))
@fast
def test_stamps_come_back(stamp):
    assert conversions.stamp_to_ns(conversions.stamp_from_ns(stamp)) == stamp


def test_stamps_by_value():
    assert conversions.stamp_from_ns(-1).sec == -1
    assert conversions.stamp_from_ns(-1).nanosec == 999_999_999
    with pytest.raises(ValueError, match="32 bit seconds"):
        conversions.stamp_from_ns(2**31 * 10**9)


@pytest.mark.parametrize("name", SKELETONS.names())
def test_skeletons_come_back(name):
    skeleton = SKELETONS.get(name)
    data = serialize_message(conversions.skeleton_to_msg(skeleton))
    assert conversions.skeleton_from_msg(deserialize_message(data, msgs.Skeleton)) == skeleton


def test_skeleton_by_value():
    msg = conversions.skeleton_to_msg(SKELETONS.get("coco17"))
    assert msg.virtual_points == ["pelvis", "neck"]
    assert [msg.joints[i] for i in msg.virtual_joints] == [
        "left_hip",
        "right_hip",
        "left_shoulder",
        "right_shoulder",
    ]
    assert (msg.bone_parents[0], msg.bone_children[0]) == ("pelvis", "neck")


def test_a_skeleton_that_is_not_known_here_is_understood():
    skeleton = Skeleton("stick", ("head", "foot"), (("head", "foot"),), "head", "")
    assert conversions.skeleton_from_msg(conversions.skeleton_to_msg(skeleton)) == skeleton


BROKEN_SKELETONS = {
    "differs from the one of that name": lambda m: m.joints.__setitem__(slice(1, 3), m.joints[2:0:-1]),
    "names a joint twice": lambda m: m.joints.__setitem__(1, m.joints[0]),
    "lists of different lengths": lambda m: m.bone_parents.pop(),
    "a joint beyond its 17": lambda m: setattr(m, "virtual_joints", [17, 0, 0, 0]),
}


@pytest.mark.parametrize("sentence", BROKEN_SKELETONS)
def test_malformed_skeletons(sentence):
    msg = conversions.skeleton_to_msg(SKELETONS.get("coco17"))
    BROKEN_SKELETONS[sentence](msg)
    with pytest.raises(MalformedMessage, match=sentence):
        conversions.skeleton_from_msg(msg)


CAMERAS = {
    "plumb_bob": [0.1, -0.2, 0.001, -0.002, 0.05],
    "rational_polynomial": [0.1, -0.2, 0.001, -0.002, 0.05, 0.01, 0.02, 0.03],
    "equidistant": [0.1, 0.02, 0.003, 0.0004],
}


def camera(model: str = "plumb_bob") -> Camera:
    matrix = np.array([[800.0, 0.0, 321.5], [0.0, 810.0, 239.0], [0.0, 0.0, 1.0]])
    return Camera(640, 480, matrix, np.array(CAMERAS[model]), model, "camera_info")


@pytest.mark.parametrize("model", CAMERAS)
def test_cameras_come_back(model):
    msg = conversions.camera_to_msg(camera(model), 1_500_000_000, "optical")
    back = conversions.camera_from_msg(deserialize_message(serialize_message(msg), CameraInfo))
    assert back == camera(model)


def test_fields_of_camera_info():
    msg = conversions.camera_to_msg(camera(), 1_500_000_000, "optical")
    assert (msg.header.stamp.sec, msg.header.frame_id) == (1, "optical")
    assert (msg.width, msg.height, msg.distortion_model) == (640, 480, "plumb_bob")
    assert msg.k.tolist() == [800.0, 0.0, 321.5, 0.0, 810.0, 239.0, 0.0, 0.0, 1.0]
    assert msg.p.tolist() == [800.0, 0.0, 321.5, 0.0, 0.0, 810.0, 239.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    assert msg.r.tolist() == np.eye(3).ravel().tolist()
    assert msg.d.tolist() == CAMERAS["plumb_bob"]


def test_an_uncalibrated_camera_is_none():
    assert conversions.camera_from_msg(CameraInfo(width=640, height=480)) is None


def test_no_distortion_model_means_none():
    msg = conversions.camera_to_msg(camera(), 0, "")
    msg.distortion_model, msg.d = "", []
    assert not conversions.camera_from_msg(msg).distortion.any()


def test_binning_averages_blocks_of_pixels():
    """Full pixel u lies in block (u + 0.5) / 2 - 0.5: pixels 0 and 1 straddle the centre of block 0."""
    msg = conversions.camera_to_msg(camera(), 0, "")
    msg.binning_x, msg.binning_y = 2, 4
    binned = conversions.camera_from_msg(msg)
    assert (binned.width, binned.height) == (320, 120)
    point = np.array([0.3, -0.2, 2.0])
    full = camera().project(point)
    np.testing.assert_allclose(binned.project(point), (full + 0.5) / [2.0, 4.0] - 0.5, atol=1e-9)


def test_a_region_of_interest_moves_the_origin():
    msg = conversions.camera_to_msg(camera(), 0, "")
    msg.roi.x_offset, msg.roi.y_offset, msg.roi.width, msg.roi.height = 100, 50, 200, 300
    cropped = conversions.camera_from_msg(msg)
    assert (cropped.width, cropped.height) == (200, 300)
    point = np.array([0.3, -0.2, 2.0])
    np.testing.assert_allclose(cropped.project(point), camera().project(point) - [100.0, 50.0], atol=1e-9)


def test_region_of_interest_is_stated_before_binning():
    msg = conversions.camera_to_msg(camera(), 0, "")
    msg.roi.x_offset, msg.roi.width, msg.roi.height = 100, 200, 480
    msg.binning_x = msg.binning_y = 2
    both = conversions.camera_from_msg(msg)
    assert (both.width, both.height) == (100, 240)
    point = np.array([0.3, -0.2, 2.0])
    expected = (camera().project(point) - [100.0, 0.0] + 0.5) / 2.0 - 0.5
    np.testing.assert_allclose(both.project(point), expected, atol=1e-9)


BROKEN_CAMERAS = {
    "distortion": lambda m: setattr(m, "distortion_model", "barrel"),
    "finite": lambda m: setattr(m, "k", [NAN] * 9),
    "focal": lambda m: setattr(m, "k", [-1.0, *m.k[1:]]),
    "must lie in the image": lambda m: setattr(m.roi, "x_offset", 1000),
    "width": lambda m: setattr(m, "width", 0),
    "plumb_bob": lambda m: setattr(m, "d", [0.1] * 7),
    "focal length must be from 0.01 to 100 longer image sides": lambda m: setattr(m, "k", [1e-45, *m.k[1:]]),
    "principal point must be from -10 to 10": lambda m: setattr(m, "k", [*m.k[:2], 1e38, *m.k[3:]]),
    "skew must be from -1 to 1 focal lengths": lambda m: setattr(m, "k", [m.k[0], 900.0, *m.k[2:]]),
    "d must be from -10000 to 10000": lambda m: setattr(m, "d", [1e38, 0.0, 0.0, 0.0]),
}


@pytest.mark.parametrize("word", BROKEN_CAMERAS)
def test_malformed_camera_info(word):
    msg = conversions.camera_to_msg(camera(), 0, "")
    BROKEN_CAMERAS[word](msg)
    with pytest.raises(MalformedMessage, match=word):
        conversions.camera_from_msg(msg)
