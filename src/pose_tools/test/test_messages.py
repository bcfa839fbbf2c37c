"""Messages that are made, serialized and read without ROS are those of ROS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ament_index_python.packages import get_package_share_directory
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rclpy.exceptions import NameValidationException
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.validate_full_topic_name import validate_full_topic_name
from std_msgs.msg import String

from pose_core.angles import PeopleAngles, PersonAngles
from pose_core.geometry.camera import Camera
from pose_core.people import JointState, People2D, People3D, Person2D, Person3D, ScaleSource, StageTime
from pose_core.skeleton import SKELETONS
from pose_ros import conversions, qos
from pose_ros.messages import delivery, names, reading
from pose_tools.bag import definitions, messages
from pose_tools.bag.cdr import layout
from pose_tools.bag.definitions import definition, type_hash
from pose_tools.bag.messages import constructor, deserialize, serialize
from pose_tools.bag.topics import LONGEST_NAME, is_full_name, result_topics
from pose_tools.bag.writer import _qos_fields
from pose_tools.graph.recorder import message_class

TYPES = sorted({topic.type for topic in result_topics(images=True)} | {names.IMAGE})
JOINTS = len(SKELETONS.get("coco17"))

texts = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=5)
stamps = st.integers(0, 2**31 * 10**9 - 1)
numbers = st.floats(width=32)
times = st.lists(st.builds(StageTime, texts, st.integers(0, 2**62), st.integers(0, 2**62)), max_size=2).map(
    tuple
)


def array(*shape: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, shape, elements=numbers).map(lambda values: values.astype(float))


def states(length: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.uint8, length, elements=st.integers(0, max(JointState)))


person2d = st.builds(Person2D, texts, numbers, array(4), array(JOINTS, 2), array(JOINTS))
person3d = st.builds(
    Person3D,
    id=texts,
    confidence=numbers,
    xyz=array(JOINTS, 3),
    std=array(JOINTS),
    root_std=array(3),
    joint_confidence=array(JOINTS),
    state=states(JOINTS),
    height=numbers,
    height_std=numbers,
    scale_source=st.sampled_from(ScaleSource),
)
flat = st.builds(
    People2D,
    stamps,
    texts,
    st.just("coco17"),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.lists(person2d, max_size=2).map(tuple),
    times,
)
solid = st.builds(
    People3D,
    stamp=stamps,
    frame_id=texts,
    skeleton=st.just("coco17"),
    people=st.lists(person3d, max_size=2).map(tuple),
    delay=numbers,
    times=times,
    up=st.none() | st.sampled_from([np.array([0.0, -1.0, 0.0]), np.array([0.6, 0.0, 0.8])]),
)
turned = st.builds(
    PeopleAngles,
    stamp=stamps,
    frame_id=texts,
    names=st.just(("a", "b")),
    people=st.lists(st.builds(PersonAngles, texts, array(2), array(2), states(2)), max_size=2).map(tuple),
    times=times,
)
cameras = st.builds(
    Camera,
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.just(np.array([[700.0, 0.0, 320.0], [0.0, 710.0, 240.0], [0.0, 0.0, 1.0]])),
    st.sampled_from([np.zeros(0), np.zeros(4), np.full(5, 0.01)]),
    st.just("plumb_bob"),
    st.just("calibration"),
)


def expect_equal(generated: Any, made: Any) -> None:
    """The bytes of both serializers, and what both read of them."""
    kind = type(generated)
    name = names.type_name(kind)
    clean = layout(name).clean(serialize_message(generated))
    assert serialize(made) == clean
    assert layout(name).clean(serialize_message(deserialize_message(serialize(made), kind))) == clean
    assert serialize(deserialize(clean, name)) == clean


@settings(max_examples=60, deadline=None)
@given(flat)
def test_people_in_2d_are_the_bytes_of_rclpy(people: People2D) -> None:
    expect_equal(conversions.people2d_to_msg(people), messages.writer().people2d(people))


@settings(max_examples=60, deadline=None)
@given(solid)
def test_people_in_3d_are_the_bytes_of_rclpy(people: People3D) -> None:
    expect_equal(conversions.people3d_to_msg(people), messages.writer().people3d(people))


def test_times_of_a_bag_are_whole_numbers_of_python() -> None:
    """NumPy's, which the reader of bags has, no JSON takes."""
    people = People2D(1, "camera", "coco17", 4, 3, (), (StageTime("source", 2**60, 2**60 + 1),))
    bytes_ = serialize(messages.writer().people2d(people))
    read = reading.people2d_from_msg(
        deserialize(bytes_, names.type_name(type(conversions.people2d_to_msg(people))))
    )
    assert read.times == people.times
    assert [type(value) for value in (read.times[0].start, read.times[0].end)] == [int, int]


@settings(max_examples=40, deadline=None)
@given(turned)
def test_angles_are_the_bytes_of_rclpy(people: PeopleAngles) -> None:
    expect_equal(conversions.angles_to_msg(people), messages.writer().angles(people))
    expect_equal(conversions.angles_to_joint_state(people), messages.writer().joint_state(people))


@settings(max_examples=40, deadline=None)
@given(cameras, stamps, texts)
def test_cameras_are_the_bytes_of_rclpy(camera: Camera, stamp: int, frame_id: str) -> None:
    expect_equal(
        conversions.camera_to_msg(camera, stamp, frame_id), messages.writer().camera(camera, stamp, frame_id)
    )


@pytest.mark.parametrize("name", SKELETONS.names())
def test_skeletons_are_the_bytes_of_rclpy(name: str) -> None:
    skeleton = SKELETONS.get(name)
    made = messages.writer().skeleton(skeleton)
    expect_equal(conversions.skeleton_to_msg(skeleton), made)
    assert reading.skeleton_from_msg(made) == skeleton


@pytest.mark.parametrize("name", TYPES)
def test_what_is_not_given_is_what_ros_gives(name: str) -> None:
    expect_equal(message_class(name)(), constructor(name)())


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError, match="std_msgs/msg/Header has no field frame"):
        constructor(names.HEADER)(frame="camera")


@pytest.mark.parametrize("name", TYPES)
def test_hash_and_definition_are_those_of_the_installed_package(name: str) -> None:
    package, _, kind = name.split("/")
    folder = Path(get_package_share_directory(package)) / "msg"
    described = json.loads((folder / f"{kind}.json").read_text())["type_hashes"]
    assert type_hash(name) in {entry["hash_string"] for entry in described if entry["type_name"] == name}
    if package == names.OWN_PACKAGE:
        assert definition(name).startswith((folder / f"{kind}.msg").read_text())


def test_our_definitions_are_found_in_a_workspace_and_in_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    built = definitions.own_definitions.__wrapped__()
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/nowhere")
    assert definitions.own_definitions.__wrapped__() == built
    monkeypatch.setattr(definitions, "_places", lambda: [Path("/nowhere")])
    with pytest.raises(FileNotFoundError, match="pose_msgs are in none of /nowhere; install pose-pipeline"):
        definitions.own_definitions.__wrapped__()


def test_bytes_behind_the_last_field_are_no_matter_and_too_few_are_an_error() -> None:
    cdr = bytes(serialize_message(String(data="hello")))
    assert deserialize(cdr + bytes(9), "std_msgs/msg/String").data == "hello"
    with pytest.raises(ValueError, match="bytes are not a String"):
        deserialize(cdr[:9], "std_msgs/msg/String")
    with pytest.raises(ValueError, match="message type nowhere_msgs/msg/Thing is not known here"):
        deserialize(cdr, "nowhere_msgs/msg/Thing")


def is_valid(name: str) -> bool:
    try:
        return bool(validate_full_topic_name(name))
    except NameValidationException:
        return False


@settings(max_examples=300, deadline=None)
@given(st.text("/_a1 -~", max_size=8))
def test_topic_names_are_those_that_ros_takes(name: str) -> None:
    assert is_full_name(name) == is_valid(name)


def test_the_longest_topic_name_is_that_of_ros() -> None:
    for length in (LONGEST_NAME, LONGEST_NAME + 1):
        name = "/" + "a" * (length - 1)
        assert is_full_name(name) == is_valid(name) == (length == LONGEST_NAME)


def of_rclpy(profile: QoSProfile) -> dict[str, Any]:
    def duration(nanoseconds: int) -> dict[str, int]:
        return {"sec": nanoseconds // 10**9, "nsec": nanoseconds % 10**9}

    return {
        "history": profile.history.name.lower(),
        "depth": profile.depth,
        "reliability": profile.reliability.name.lower(),
        "durability": profile.durability.name.lower(),
        "deadline": duration(profile.deadline.nanoseconds),
        "lifespan": duration(profile.lifespan.nanoseconds),
        "liveliness": profile.liveliness.name.lower(),
        "liveliness_lease_duration": duration(profile.liveliness_lease_duration.nanoseconds),
        "avoid_ros_namespace_conventions": profile.avoid_ros_namespace_conventions,
    }


@pytest.mark.parametrize("offered", [delivery.RESULTS, delivery.IMAGES, delivery.LATCHED])
def test_metadata_states_the_profile_that_nodes_use(offered: delivery.Delivery) -> None:
    assert _qos_fields(offered) == of_rclpy(qos.profile(offered))
