"""Image messages of images: uint8 arrays (H, W, 3), blue first, as OpenCV has them. `pose_ros.messages.images` reads them.

And the topics on which they come, by whatever name and of which of the two types.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from pose_core.units import NS_PER_S
from pose_ros import qos, topics
from pose_ros.conversions import MalformedMessage, header
from pose_ros.messages.names import COMPRESSED_IMAGE, IMAGE
from pose_ros.stage import Stage

JPEG_QUALITY = 85

RAW, AUTO = "raw", "auto"
"""Transports beside `compressed`."""

LOOK_PERIOD = 0.5
"""Seconds between two looks at what is published, while no image comes."""


def image_to_msg(bgr: np.ndarray, stamp: int, frame_id: str) -> Image:
    """Message of encoding bgr8; `stamp` in ns."""
    height, width, _ = bgr.shape
    data = array("B")
    data.frombytes(np.ascontiguousarray(bgr).data)
    msg = Image(header=header(stamp, frame_id), height=height, width=width, encoding="bgr8", step=3 * width)
    msg.data = data
    return msg


def compressed_to_msg(
    bgr: np.ndarray, stamp: int, frame_id: str, quality: int = JPEG_QUALITY
) -> CompressedImage:
    """JPEG message of `quality` 0 to 100; `stamp` in ns."""
    done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"an image of shape {bgr.shape} cannot be written as JPEG")
    msg = CompressedImage(header=header(stamp, frame_id), format="bgr8; jpeg compressed bgr8")
    msg.data = array("B", encoded.tobytes())
    return msg


def stamp_of(msg: bytes) -> int:
    """Stamp (ns) of a serialized message that begins with a header. Raises MalformedMessage where it is too short for one.

    CDR (RTPS 10.2): four bytes, the lowest bit of the second says little endian, then seconds and nanoseconds.
    """
    if len(msg) < 12:
        raise MalformedMessage(f"an image of {len(msg)} bytes has no stamp")
    seconds, nanoseconds = struct.unpack_from("<iI" if msg[1] & 1 else ">iI", msg, 4)
    return int(seconds) * NS_PER_S + int(nanoseconds)


@dataclass(frozen=True)
class ImageTopic:
    """Where images come from. `name`: as `Stage.listen` takes it."""

    name: str
    compressed: bool


def compressed_name(node: Node) -> str:
    """The name under which `node` has compressed images: as remapped, else where image_transport has those of the image topic."""
    if node.resolve_topic_name(topics.IMAGE_COMPRESSED) != node.resolve_topic_name(
        topics.IMAGE_COMPRESSED, only_expand=True
    ):
        return topics.IMAGE_COMPRESSED
    return node.resolve_topic_name(topics.IMAGE) + topics.COMPRESSED


def choose(
    image: str, transport: str, types_of: Callable[[str], Collection[str]], compressed: str
) -> ImageTopic:
    """The topic of images, `topics.IMAGE` or `compressed` (as `compressed_name` gives it).

    `image`: full name of the first; `transport`: raw, compressed, or auto, which takes raw images where there are any.
    `types_of`: the message types that are published on a topic, which decide: whoever names a topic of compressed images as the
    image topic means it.
    """
    sent = types_of(topics.IMAGE)
    unknown = not sent and image.endswith(topics.COMPRESSED)
    if unknown or (COMPRESSED_IMAGE in sent and IMAGE not in sent):
        return ImageTopic(topics.IMAGE, True)
    if transport == RAW or (transport == AUTO and (sent or COMPRESSED_IMAGE not in types_of(compressed))):
        return ImageTopic(topics.IMAGE, False)
    return ImageTopic(compressed, True)


def image_topic(node: Node, transport: str) -> ImageTopic:
    """The topic of images by what is published now."""

    def types_of(topic: str) -> set[str]:
        return {end.topic_type for end in node.get_publishers_info_by_topic(node.resolve_topic_name(topic))}

    return choose(node.resolve_topic_name(topics.IMAGE), transport, types_of, compressed_name(node))


class ImageInput:
    """The images that a stage works on. While none come, it looks whether they are published in another way than was thought."""

    def __init__(
        self,
        stage: Stage[Any],
        transport: str,
        callbacks: Mapping[type, Callable[[Any], None]],
        arrived: Callable[[bytes], None],
    ) -> None:
        """`callbacks`: of messages of each type (Image, CompressedImage); they and `arrived` are called as by `Stage.listen`."""
        self._stage, self._transport = stage, transport
        self._callbacks, self._arrived = callbacks, arrived
        self._heard = False
        self._topic: ImageTopic | None = None
        self._subscription: Subscription | None = None
        self._listen(image_topic(stage, transport))
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = stage.create_timer(LOOK_PERIOD, self._look, clock=steady)

    @property
    def listens(self) -> bool:
        """Whether there is a subscription now."""
        return self._subscription is not None

    def close(self) -> None:
        """Look no more."""
        self._stage.destroy_timer(self._timer)

    def _look(self) -> None:
        heard, self._heard = self._heard, False
        if not heard:
            self._listen(image_topic(self._stage, self._transport))

    def _listen(self, topic: ImageTopic) -> None:
        def hear(msg: bytes) -> None:
            self._heard = True
            self._arrived(msg)

        if topic == self._topic:
            return
        if self._subscription is not None:
            self._stage.unlisten(self._subscription)
        self._topic = self._subscription = None
        kind = CompressedImage if topic.compressed else Image
        needed = "compressed images" if topic.compressed else "images"
        callback = self._callbacks[kind]
        try:
            self._subscription = self._stage.listen(
                kind, topic.name, callback, qos.IMAGES, needed=needed, arrived=hear
            )
        except (
            RuntimeError
        ):  # of rcl: another node of this process still takes the topic for one of another type
            return
        self._topic = topic
