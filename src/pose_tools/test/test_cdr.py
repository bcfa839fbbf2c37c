"""Serialized messages: the stamp that they begin with, and their padding."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, PoseWithCovarianceStamped
from hypothesis import given, settings
from hypothesis import strategies as st
from pose_msgs.msg import (
    JointAngles,
    People2D,
    People3D,
    Person2D,
    Person3D,
    PersonAngles,
    Skeleton,
    StageTimes,
)
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore
from sensor_msgs.msg import CameraInfo, CompressedImage, PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header, String
from visualization_msgs.msg import Marker, MarkerArray

from pose_ros.messages.names import type_name
from pose_tools.bag.cdr import HEADER, layout
from pose_tools.bag.definitions import definition


@cache
def store_of(name: str) -> Typestore:
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(definition(name), name))
    return store


def other_encoder(clean: bytes, kind: type) -> bytes:
    """The message as `rosbags` serializes it: an implementation of its own, whose padding is zero."""
    name = type_name(kind)
    store = store_of(name)
    return bytes(store.serialize_cdr(store.deserialize_cdr(clean, name), name))


names = st.text("abcdefgh", max_size=9)
floats = st.lists(st.floats(width=32, allow_nan=False), max_size=7)
headers = st.builds(Header, stamp=st.builds(Time, sec=st.integers(0, 2**31 - 1)), frame_id=names)
ints = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3)
times = st.builds(StageTimes, stage=st.lists(names, max_size=3), start=ints, end=ints)
person2d = st.builds(Person2D, id=names, xy_px=floats, joint_confidence=floats)
person3d = st.builds(
    Person3D, id=names, xyz=floats, state=st.lists(st.integers(0, 5), max_size=6), std=floats
)
angles = st.builds(
    PersonAngles, id=names, angle=floats, flags=st.lists(st.integers(0, 7), max_size=5), std=floats
)
marker = st.builds(
    Marker,
    header=headers,
    ns=names,
    points=st.lists(st.just(Point(x=1.0, y=2.0)), max_size=3),
    colors=st.lists(st.just(ColorRGBA(a=1.0)), max_size=3),
    text=names,
    frame_locked=st.booleans(),
)
pairs = st.lists(st.builds(KeyValue, key=names, value=names), max_size=3)
status = st.builds(DiagnosticStatus, level=st.sampled_from([b"\0", b"\1"]), name=names, values=pairs)
messages = st.one_of(
    st.builds(People2D, header=headers, skeleton=names, people=st.lists(person2d, max_size=3), times=times),
    st.builds(People3D, header=headers, skeleton=names, people=st.lists(person3d, max_size=3), times=times),
    st.builds(
        JointAngles, header=headers, names=st.lists(names, max_size=3), people=st.lists(angles, max_size=2)
    ),
    st.builds(
        Skeleton,
        name=names,
        joints=st.lists(names, max_size=5),
        virtual_joints=st.lists(st.integers(0, 99), max_size=5),
    ),
    st.builds(MarkerArray, markers=st.lists(marker, max_size=3)),
    st.builds(DiagnosticArray, header=headers, status=st.lists(status, max_size=3)),
    st.builds(CameraInfo, header=headers, distortion_model=names, d=st.lists(st.floats(-1, 1), max_size=5)),
    st.builds(CompressedImage, header=headers, format=names, data=st.binary(max_size=9)),
    st.builds(PoseWithCovarianceStamped, header=headers),
    st.builds(
        PointCloud2,
        header=headers,
        fields=st.lists(st.builds(PointField, name=names, count=st.just(1)), max_size=3),
    ),
)


@settings(max_examples=50, deadline=None)
@given(message=messages)
def test_clean_bytes_are_those_of_another_encoder(message: Any) -> None:
    clean = layout(type_name(type(message))).clean(serialize_message(message))
    assert clean == other_encoder(clean, type(message))
    assert deserialize_message(clean, type(message)) == message
    assert layout(type_name(type(message))).clean(clean) == clean


def padded() -> tuple[bytes, list[int]]:
    """A People2D with gaps whose places are known: frame_id and skeleton of two characters and a NUL, then 4-byte numbers."""
    message = People2D(header=Header(frame_id="ab"), skeleton="cd", width=640)
    return layout(type_name(People2D)).clean(serialize_message(message)), [HEADER + 15, HEADER + 23]


def test_planted_garbage_in_the_gaps_is_removed_and_nothing_else() -> None:
    clean, gaps = padded()
    planted = bytearray(clean) + b"\x55\x66\x77"
    for gap in gaps:
        assert clean[gap] == 0
        planted[gap] = 0xAA
    assert layout(type_name(People2D)).clean(bytes(planted)) == clean
    planted[HEADER + 24] ^= 1  # the lowest byte of width
    assert deserialize_message(layout(type_name(People2D)).clean(bytes(planted)), People2D).width == 641


def test_the_middleware_does_leave_garbage_which_clean_removes() -> None:
    """Not certain for each message, so many are tried; the cleaned bytes must agree in any case."""
    message = People2D(
        header=Header(frame_id="ab"), skeleton="cd", people=[Person2D(id="p1", xy_px=[1.0] * 66)]
    )
    seen = set()
    for size in range(100, 3000, 17):
        serialize_message(String(data=os.urandom(size).hex()))
        seen.add(layout(type_name(People2D)).clean(serialize_message(message)))
    assert len(seen) == 1


def test_big_endian_bytes_are_understood() -> None:
    cdr = (
        b"\0\0\0\0" + b"\0\0\0\5" + b"\0\0\0\7" + b"\0\0\0\3ab\0\xaa" + b"\0\0\0\1\0"
    )  # stamp, frame_id, format
    cdr += b"\xbb\xbb\xbb" + b"\0\0\0\2\x11\x22"  # two bytes of data
    cleaned = layout(type_name(CompressedImage)).clean(cdr)
    assert cleaned == cdr.replace(b"\xaa", b"\0").replace(b"\xbb", b"\0")
    assert layout(type_name(CompressedImage)).stamp(cdr) == 5_000_000_007


@pytest.mark.parametrize(
    ("message", "stamp"),
    [
        (People3D(header=Header(stamp=Time(sec=3, nanosec=4))), 3_000_000_004),
        (People3D(), None),
        (MarkerArray(markers=[Marker(header=Header(stamp=Time(sec=1, nanosec=2))), Marker()]), 1_000_000_002),
        (MarkerArray(markers=[Marker()]), None),
        (MarkerArray(), None),
        (Skeleton(name="x"), None),
    ],
)
def test_stamp_is_that_of_the_first_header(message: Any, stamp: int | None) -> None:
    assert layout(type_name(type(message))).stamp(serialize_message(message)) == stamp


@settings(max_examples=50, deadline=None)
@given(cdr=st.binary(max_size=120))
def test_any_other_bytes_are_refused_or_cleaned_but_never_crash(cdr: bytes) -> None:
    for kind in (People2D, MarkerArray, Skeleton):
        try:
            assert len(layout(type_name(kind)).clean(b"\0\1\0\0" + cdr)) <= len(cdr) + HEADER
        except ValueError as error:
            assert f"bytes are not a {kind.__name__}" in str(error)  # noqa: PT017


def test_what_cannot_be_cleaned_is_said() -> None:
    with pytest.raises(ValueError, match="begin with 0007 are not plain CDR"):
        layout(type_name(People2D)).clean(b"\0\7\0\0" + bytes(100))
    with pytest.raises(ValueError, match="32 bytes are not a People2D"):
        layout(type_name(People2D)).clean(padded()[0][:32])
    with pytest.raises(ValueError, match="message type nowhere_msgs/msg/Wide is not known here"):
        layout("nowhere_msgs/msg/Wide")
