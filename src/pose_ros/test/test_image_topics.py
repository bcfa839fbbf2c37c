"""Images by whatever name and type they are published, and why nothing comes on a topic; both on a graph of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pose_core.config import StageParams
from pose_core.units import NS_PER_S
from pose_ros import diagnostics, images, qos, topics
from pose_ros.conversions import MalformedMessage, stamp_to_ns
from pose_ros.domains import own_context
from pose_ros.images import (
    ImageInput,
    ImageTopic,
    choose,
    compressed_name,
    compressed_to_msg,
    image_to_msg,
    stamp_of,
)
from pose_ros.messages.names import COMPRESSED_IMAGE, IMAGE
from pose_ros.stage import Stage
from pose_ros.testing import executing, spin_until

BGR = np.full((4, 6, 3), 100, np.uint8)
THEORA = "theora_image_transport/msg/Packet"

DIRECT, RAW = ImageTopic(topics.IMAGE, True), ImageTopic(topics.IMAGE, False)
BESIDE = ImageTopic("/cam/color/compressed", True)


@pytest.mark.parametrize(
    ("image", "transport", "types", "expected"),
    [
        ("/cam/color", "raw", {}, RAW),
        ("/cam/color", "raw", {topics.IMAGE: {IMAGE}}, RAW),
        ("/cam/color", "raw", {BESIDE.name: {COMPRESSED_IMAGE}}, RAW),
        ("/cam/color", "compressed", {}, BESIDE),
        ("/cam/color", "compressed", {topics.IMAGE: {IMAGE}, BESIDE.name: {COMPRESSED_IMAGE}}, BESIDE),
        ("/cam/jpeg", "raw", {topics.IMAGE: {COMPRESSED_IMAGE}}, DIRECT),
        ("/cam/jpeg", "compressed", {topics.IMAGE: {COMPRESSED_IMAGE}}, DIRECT),
        ("/cam/color/compressed", "compressed", {}, DIRECT),
        ("/cam/color/compressed", "raw", {}, DIRECT),
        ("/cam/odd/compressed", "raw", {topics.IMAGE: {IMAGE}}, RAW),
        ("/cam/both", "raw", {topics.IMAGE: {IMAGE, COMPRESSED_IMAGE}}, RAW),
        ("/cam/color/theora", "raw", {topics.IMAGE: {THEORA}}, RAW),
        ("/cam/color", "auto", {}, RAW),
        ("/cam/color", "auto", {topics.IMAGE: {IMAGE}, BESIDE.name: {COMPRESSED_IMAGE}}, RAW),
        ("/cam/color", "auto", {BESIDE.name: {COMPRESSED_IMAGE}}, BESIDE),
        ("/cam/jpeg", "auto", {topics.IMAGE: {COMPRESSED_IMAGE}}, DIRECT),
    ],
)
def test_what_is_published_decides(
    image: str, transport: str, types: dict[str, set[str]], expected: ImageTopic
) -> None:
    assert choose(image, transport, lambda topic: types.get(topic, set()), BESIDE.name) == expected


@pytest.mark.parametrize(
    ("remappings", "expected"),
    [
        ([], "/left/image_raw/compressed"),
        (["image_raw:=/cam/color"], "/cam/color/compressed"),
        (["image_raw:=color"], "/left/color/compressed"),
        (["image_raw:=/cam/color", "image_raw/compressed:=/cam/jpeg"], topics.IMAGE_COMPRESSED),
    ],
)
@pytest.mark.usefixtures("ros_context")
def test_compressed_images_follow_the_image_topic(remappings: list[str], expected: str) -> None:
    arguments = [word for one in remappings for word in ("-r", one)]
    node = Node("eye", namespace="left", cli_args=["--ros-args", *arguments] if arguments else None)
    try:
        assert compressed_name(node) == expected
    finally:
        node.destroy_node()


@dataclass(frozen=True)
class EyeParams(StageParams):
    """Of a stage that looks at images."""


class Eye(Stage[EyeParams]):
    """Keeps the types of the images that come."""

    transport = "raw"

    def __init__(self, **options: object) -> None:
        self.seen: list[type] = []
        self.arrived: list[int] = []
        super().__init__("eye", EyeParams, **options)

    def on_start(self) -> None:
        callbacks = {kind: lambda msg: self.seen.append(type(msg)) for kind in (Image, CompressedImage)}
        self.input = ImageInput(
            self, self.transport, callbacks, lambda msg: self.arrived.append(stamp_of(msg))
        )

    def on_stop(self) -> None:
        self.input.close()


@contextmanager
def driver(context: Context, kind: type, topic: str) -> Iterator[Node]:
    """A camera driver, in another participant as if in another process: one participant cannot have a topic of two types."""
    with own_context(context.get_domain_id()) as other:
        node = rclpy.create_node("driver", context=other)
        output = node.create_publisher(kind, topic, qos.IMAGES)
        msg = image_to_msg(BGR, NS_PER_S, "c") if kind is Image else compressed_to_msg(BGR, NS_PER_S, "c")
        executor = SingleThreadedExecutor(context=other)
        executor.add_node(node)
        node.create_timer(0.05, lambda: output.publish(msg))
        node.publish = lambda: executor.spin_once(timeout_sec=0.01)  # type: ignore[attr-defined]
        try:
            yield node
        finally:
            executor.shutdown()
            node.destroy_node()


@pytest.mark.parametrize(
    ("kind", "topic", "image_topic", "transport"),
    [
        (Image, "/cam/image_color", "/cam/image_color", "raw"),
        (CompressedImage, "/cam/image_color/compressed", "/cam/image_color", "compressed"),
        (CompressedImage, "/cam/image_color/compressed", "/cam/image_color/compressed", "compressed"),
        (CompressedImage, "/cam/image_color/compressed", "/cam/image_color/compressed", "raw"),
        (CompressedImage, "/cam/jpeg", "/cam/jpeg", "compressed"),
        (CompressedImage, "/cam/jpeg", "/cam/jpeg", "raw"),
    ],
)
@pytest.mark.parametrize("launched", [True, False])
def test_images_come_whatever_the_topic_is_called(
    ros_context: Context,
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    topic: str,
    image_topic: str,
    transport: str,
    launched: bool,
) -> None:
    """`launched`: with the remappings of the launch files, else with those that one types."""
    monkeypatch.setattr(Eye, "transport", transport)
    monkeypatch.setattr(images, "LOOK_PERIOD", 0.05)
    remappings = ["-r", f"image_raw:={image_topic}"]
    if launched:
        remappings += ["-r", f"image_raw/compressed:={image_topic}/compressed"]
    eye = Eye(cli_args=["--ros-args", *remappings])
    with executing(eye) as executor, driver(ros_context, kind, topic) as camera:
        assert spin_until(executor, lambda: camera.publish() or eye.seen)  # type: ignore[attr-defined]
    assert set(eye.seen) == {kind}
    assert set(eye.arrived) == {NS_PER_S}


def test_a_camera_that_comes_back_with_another_type_is_heard(
    ros_context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LOOK_PERIOD", 0.05)
    eye = Eye(cli_args=["--ros-args", "-r", "image_raw:=/cam"])
    with executing(eye) as executor:
        for kind in (Image, CompressedImage, Image):
            eye.seen.clear()
            with driver(ros_context, kind, "/cam") as camera:
                assert spin_until(
                    executor, lambda camera=camera, kind=kind: camera.publish() or kind in eye.seen
                )
            assert spin_until(executor, lambda: not eye.count_publishers("/cam"))


@pytest.mark.parametrize(
    "msg", [image_to_msg(BGR, 1_700_000_000_000_000_007, "c"), CompressedImage(), CameraInfo()]
)
def test_the_stamp_of_a_serialized_message(msg: object) -> None:
    assert stamp_of(serialize_message(msg)) == stamp_to_ns(msg.header.stamp)  # type: ignore[attr-defined]


def test_what_is_no_message_has_no_stamp() -> None:
    assert stamp_of(b"\0\0\0\0" + b"\0\0\0\1" + b"\0\0\0\2") == NS_PER_S + 2
    with pytest.raises(MalformedMessage, match="an image of 11 bytes has no stamp"):
        stamp_of(bytes(11))


# --- why nothing comes ---


@pytest.fixture
def eye(ros_context: Context) -> Iterator[Node]:
    node = rclpy.create_node("eye")
    node.create_subscription(Image, "/cam/color", print, qos.RESULTS)
    yield node
    node.destroy_node()


def waits_to_see(eye: Node, *wanted: str) -> None:
    """Whether `eye` knows who publishes on these topics."""

    def names(topic: str) -> list[str]:
        return [qos.name_of(end) for end in eye.get_publishers_info_by_topic(topic)]

    with executing(rclpy.create_node("patience")) as executor:
        assert spin_until(
            executor, lambda: all(name.startswith("/") for topic in wanted for name in names(topic) or ["?"])
        )


def test_nobody_publishes_and_others_are_named(eye: Node, ros_context: Context) -> None:
    assert (
        qos.why_silent(eye, "/cam/color", Image)
        == "nobody publishes there: start what does, or remap the topic"
    )
    with (
        driver(ros_context, Image, "/front/image_raw"),
        driver(ros_context, CompressedImage, "/front/image_raw/compressed"),
        driver(ros_context, CompressedImage, "/viz/overlay/compressed"),
        driver(ros_context, CameraInfo, "/front/camera_info"),
    ):
        waits_to_see(eye, "/front/image_raw", "/front/image_raw/compressed", "/viz/overlay/compressed")
        assert qos.why_silent(eye, "/cam/color", Image) == (
            "nobody publishes there: start what does, or remap the topic; there is /front/image_raw (Image), "
            "/front/image_raw/compressed (CompressedImage)"
        )
        assert qos.why_silent(eye, "/camera_info", CameraInfo).endswith(
            "remap the topic; there is /front/camera_info"
        )


def test_another_type_is_named(eye: Node, ros_context: Context) -> None:
    with driver(ros_context, CameraInfo, "/cam/color"), driver(ros_context, Image, "/cam/mono"):
        waits_to_see(eye, "/cam/color", "/cam/mono")
        assert qos.why_silent(eye, "/cam/color", Image) == (
            "/driver publishes sensor_msgs/msg/CameraInfo there, not sensor_msgs/msg/Image: remap the topic; "
            "there is /cam/mono (Image)"
        )


def test_quality_of_service_that_keeps_images_back_is_told_with_the_parameter(
    eye: Node, ros_context: Context
) -> None:
    with driver(ros_context, Image, "/cam/color"):  # best effort, where reliable is asked for
        waits_to_see(eye, "/cam/color")
        said = qos.why_silent(eye, "/cam/color", Image)
    assert said.startswith("quality of service keeps back what /driver publishes (")
    assert said.endswith("qos_overrides./cam/color.subscription.reliability:=best_effort")


def test_latched_asked_of_one_who_does_not_latch(ros_context: Context) -> None:
    node = rclpy.create_node("eye")
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.create_subscription(CameraInfo, "/info", print, latched)
    other = rclpy.create_node("driver")
    other.create_publisher(CameraInfo, "/info", QoSProfile(depth=1))
    waits_to_see(node, "/info")
    assert qos.why_silent(node, "/info", CameraInfo).endswith(
        "qos_overrides./info.subscription.durability:=volatile"
    )
    node.destroy_node()
    other.destroy_node()


def test_a_publisher_that_is_silent_is_told(eye: Node) -> None:
    eye.create_publisher(Image, "/cam/color", qos.RESULTS)
    waits_to_see(eye, "/cam/color")
    assert qos.why_silent(eye, "/cam/color", Image).startswith("somebody publishes there but nothing comes")


def test_a_stage_logs_once_what_it_waits_for_and_what_there_is(
    ros_context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnostics, "SILENCE", 0.05)
    warnings: list[str] = []
    eye = Eye(
        cli_args=["--ros-args", "-r", "image_raw:=/cam/colour"],
        parameter_overrides=[rclpy.Parameter("diagnostics_period", value=0.1)],
    )
    monkeypatch.setattr(type(eye.get_logger()), "warning", lambda self, text, **_: warnings.append(text))
    with executing(eye) as executor, driver(ros_context, Image, "/cam/color"):
        named = "there is /cam/color (Image)"
        assert spin_until(executor, lambda: named in "".join(eye.health.waits_for().values()))
    (said,) = warnings
    assert said.startswith(
        "waits for images on /cam/colour, none for 0 s; nobody publishes there: start what does"
    )
