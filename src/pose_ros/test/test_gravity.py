"""Which way is up, from tf; tf2_ros is played by the test where it is not installed."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.time import Time
from scipy.spatial.transform import Rotation

from pose_core.markers import up_in_camera
from pose_core.units import NS_PER_S
from pose_ros.conversions import stamp_from_ns
from pose_ros.gravity import Gravity
from pose_ros.testing import executing, spin_until

OPTICAL = Rotation.from_matrix([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""From the optical frame to a body's (REP 103): z forward to x, x right to -y, y down to -z."""


class TransformException(Exception):
    """What tf2_ros raises."""


class Buffer:
    """Transforms by stamp in ns; 0 asks for the newest, and later ones are not known yet. One of stamp 0 is static."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], dict[int, Rotation]] = {}

    def lookup_transform(self, target: str, source: str, time: Time) -> TransformStamped:
        turns = self.known.get((target, source), {})
        stamp = 0 if 0 in turns else time.nanoseconds or max(turns, default=-1)
        if stamp not in turns:
            raise TransformException(f"nothing from {source} to {target}")
        message = TransformStamped()
        message.header.stamp = stamp_from_ns(stamp)
        rotation = message.transform.rotation
        rotation.x, rotation.y, rotation.z, rotation.w = turns[stamp].as_quat()
        return message

    def clear(self) -> None:
        self.known.clear()


class TransformListener:
    """Notes whether it listens."""

    def __init__(self, buffer: Buffer, _node: object) -> None:
        self.buffer, self.listens = buffer, True

    def unregister(self) -> None:
        self.listens = False


@pytest.fixture
def gravity(monkeypatch: pytest.MonkeyPatch) -> Gravity:
    module = ModuleType("tf2_ros")
    module.Buffer, module.TransformListener = Buffer, TransformListener  # type: ignore[attr-defined]
    module.TransformException = TransformException  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tf2_ros", module)
    return Gravity(object(), "odom", 1.0)  # type: ignore[arg-type]


def looking_down(degrees: float) -> Rotation:
    """From a level frame to the optical frame of a camera that looks down."""
    return (Rotation.from_euler("y", degrees, degrees=True) * OPTICAL).inv()


def test_a_level_camera_and_one_that_looks_down(gravity: Gravity) -> None:
    gravity._buffer.known["camera", "odom"] = {NS_PER_S: looking_down(0.0), 2 * NS_PER_S: looking_down(30.0)}
    np.testing.assert_allclose(gravity.up("camera", NS_PER_S), [0.0, -1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(gravity.up("camera", 2 * NS_PER_S), up_in_camera(30.0), atol=1e-12)


def test_an_image_newer_than_all_transforms_takes_the_newest(gravity: Gravity) -> None:
    gravity._buffer.known["camera", "odom"] = {NS_PER_S: looking_down(10.0), 2 * NS_PER_S: looking_down(20.0)}
    np.testing.assert_allclose(gravity.up("camera", 3 * NS_PER_S), up_in_camera(20.0), atol=1e-12)


def test_a_transform_that_has_stopped_is_not_believed_for_ever(gravity: Gravity) -> None:
    turns = gravity._buffer.known["camera", "odom"] = {NS_PER_S: looking_down(10.0)}
    assert gravity.up("camera", 2 * NS_PER_S) is not None  # as old as is allowed
    assert gravity.fault == ""
    assert gravity.up("camera", 2 * NS_PER_S + 1) is None
    assert gravity.fault == (
        "tf from 'odom' to 'camera' has stopped: its newest transform is more than 1 s (max_tf_age) older than the image; "
        "start what publishes it again"
    )
    turns[60 * NS_PER_S] = looking_down(20.0)  # it returns
    np.testing.assert_allclose(gravity.up("camera", 60 * NS_PER_S + 1), up_in_camera(20.0), atol=1e-12)
    assert gravity.fault == ""


def test_a_static_transform_never_ages(gravity: Gravity) -> None:
    gravity._buffer.known["camera", "odom"] = {0: looking_down(10.0)}
    for stamp in (NS_PER_S, 1_700_000_000 * NS_PER_S):
        np.testing.assert_allclose(gravity.up("camera", stamp), up_in_camera(10.0), atol=1e-12)


def test_transforms_of_another_clock_are_told(gravity: Gravity) -> None:
    gravity._buffer.known["camera", "odom"] = {1_700_000_000 * NS_PER_S: looking_down(10.0)}
    assert gravity.up("camera", 3 * NS_PER_S) is None  # of a video
    assert "newer than the image; take the time of both from one clock (use_sim_time)" in gravity.fault


def test_a_bag_that_begins_again_brings_new_transforms(gravity: Gravity) -> None:
    buffer = gravity._buffer
    buffer.known["camera", "odom"] = {90 * NS_PER_S: looking_down(10.0)}
    assert gravity.up("camera", 90 * NS_PER_S) is not None
    assert gravity.up("camera", 89 * NS_PER_S) is not None  # out of order, no more
    assert gravity.up("camera", 3 * NS_PER_S) is None
    assert buffer.known == {}
    buffer.known["camera", "odom"] = {3 * NS_PER_S: looking_down(10.0)}
    assert gravity.up("camera", 3 * NS_PER_S) is not None


def test_what_tf_does_not_tell_is_unknown(gravity: Gravity) -> None:
    assert gravity.up("camera", NS_PER_S) is None
    assert gravity.fault == "there is no tf from 'odom' to 'camera'; publish it, or set level_frame"
    gravity._buffer.known["elsewhere", "odom"] = {NS_PER_S: looking_down(0.0)}
    assert gravity.up("camera", NS_PER_S) is None


@pytest.mark.parametrize("bad", [np.zeros(4), np.full(4, np.nan), np.array([0.0, 0.0, 0.0, 2.0])])
def test_a_rotation_that_is_none_is_unknown(
    gravity: Gravity, bad: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    gravity._buffer.known["camera", "odom"] = {NS_PER_S: looking_down(0.0)}
    monkeypatch.setattr(Rotation, "as_quat", lambda _rotation: bad)
    assert gravity.up("camera", NS_PER_S) is None
    assert "its quaternion is not of length 1" in gravity.fault


def test_it_can_stop_listening(gravity: Gravity) -> None:
    assert gravity._listener.listens
    gravity.close()
    assert not gravity._listener.listens


def test_without_tf2_ros_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    with pytest.raises(ValueError, match="install a ROS 2 distribution, or state the tilt"):
        Gravity(object(), "odom", 1.0)  # type: ignore[arg-type]


@pytest.mark.skipif(
    importlib.util.find_spec("tf2_ros") is None,
    reason="TF NOT RUN: tf2_ros is missing; source an installed ROS 2 and test again",
)
@pytest.mark.usefixtures("ros_context")
def test_with_the_real_one() -> None:
    import tf2_ros

    node = Node("eye")
    gravity = Gravity(node, "odom", 1.0)
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = "odom", "camera"
    rotation = message.transform.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = looking_down(30.0).inv().as_quat()
    with executing(node) as executor:
        tf2_ros.StaticTransformBroadcaster(node).sendTransform(message)
        assert spin_until(executor, lambda: gravity.up("camera", NS_PER_S) is not None)
        np.testing.assert_allclose(gravity.up("camera", NS_PER_S), up_in_camera(30.0), atol=1e-9)
        gravity.close()
