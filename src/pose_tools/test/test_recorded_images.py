"""A recorder takes images as stages do: under the name and with the type by which they are published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from pose_core.units import NS_PER_S
from pose_ros import qos
from pose_ros.domains import own_context
from pose_ros.images import compressed_to_msg, image_to_msg
from pose_ros.testing import executing, spin_until
from pose_tools.bag.reader import read
from pose_tools.bag.writer import BagWriter
from pose_tools.graph.recorder import Recorder

BGR = np.full((4, 6, 3), 100, np.uint8)


@pytest.mark.parametrize(
    ("kind", "topic", "image_topic", "transport"),
    [
        (CompressedImage, "/cam/color/compressed", "/cam/color", "compressed"),
        (CompressedImage, "/cam/jpeg", "/cam/jpeg", "compressed"),
        (CompressedImage, "/cam/jpeg", "/cam/jpeg", "raw"),
        (Image, "/cam/color", "/cam/color", "raw"),
    ],
)
@pytest.mark.parametrize("offered", [qos.IMAGES, qos.RESULTS])
def test_images_are_recorded_by_any_name(
    ros_context: Context,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    topic: str,
    image_topic: str,
    transport: str,
    offered: QoSProfile,
) -> None:
    monkeypatch.setattr(Recorder, "LOOK_S", 0.05)
    msg = image_to_msg(BGR, NS_PER_S, "c") if kind is Image else compressed_to_msg(BGR, NS_PER_S, "c")
    with BagWriter(tmp_path / "bag") as writer, own_context(ros_context.get_domain_id()) as other:
        arguments = ["--ros-args", "-r", f"image_raw:={image_topic}"]
        recorder = Recorder(writer, images=True, transport=transport, cli_args=arguments)
        driver = rclpy.create_node("driver", context=other)  # in another participant, as in another process
        output = driver.create_publisher(kind, topic, offered)
        with executing(recorder) as executor:
            assert spin_until(executor, lambda: output.publish(msg) or recorder._seen.get(topic))
        driver.destroy_node()
    assert {message.topic for message in read(tmp_path / "bag")} == {topic}
