"""The results of a running graph into a bag."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from pose_ros import qos
from pose_ros.messages.names import CAMERA_INFO, COMPRESSED_IMAGE, JOINT_ANGLES, PEOPLE2D, PEOPLE3D
from pose_tools.bag.cdr import layout
from pose_tools.bag.topics import Topic, result_topics
from pose_tools.bag.writer import BagWriter, RecordingStopped

PER_IMAGE = (PEOPLE2D, PEOPLE3D, JOINT_ANGLES)
"""Types of the messages that stages publish once for each image."""


@cache
def message_class(name: str) -> type:
    """The generated class of a message type. Raises ValueError where its package is not built or not sourced."""
    package, space, kind = name.split("/")
    try:
        found: type = getattr(import_module(f"{package}.{space}"), kind)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"message type {name} is not installed; install package {package}") from error
    return found


class Recorder(Node):
    """Writes the results of a running pipeline into a bag.

    Queues are deep, so that a slow moment loses nothing that its publisher still has. What cannot be written
    is counted in `dropped`; a full disk ends the recording (`failure` says why), not the pipeline.
    """

    QUEUE = 1000
    IMAGE_QUEUE = 60
    FLUSH_S = 1.0
    REMEMBERED = 64
    """Stamps of each topic that `has` looks through."""

    def __init__(
        self,
        writer: BagWriter,
        topics: Iterable[Topic] | None = None,
        *,
        stages: Iterable[str] | None = None,
        images: bool = False,
        ordered: bool = False,
        **node_options: Any,
    ) -> None:
        """`topics`: what to record, names relative to the node; by default `result_topics` of `stages` and
        `images`.

        `ordered`: keep messages until `flush` and write them by stamp and then in the order of `topics`, so
        that the bag does not depend on which callback ran first.
        """
        super().__init__("pose_recorder", **node_options)
        self.failure = ""
        self.dropped = 0
        self._writer = writer
        self._ordered = ordered
        self._waiting: list[tuple[int, int, bytes]] = []
        self._topics: list[Topic] = []
        self._seen: dict[str, deque[int]] = {}
        for topic in result_topics(stages, images=images) if topics is None else topics:
            resolved = replace(topic, name=self.resolve_topic_name(topic.name))
            writer.add(resolved)
            callback = partial(self._on_message, len(self._topics))
            self._topics.append(resolved)
            self._seen[resolved.name] = deque(maxlen=self.REMEMBERED)
            self.create_subscription(
                message_class(topic.type), topic.name, callback, self._queue(topic), raw=True
            )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.FLUSH_S, self._on_timer, clock=steady)

    def has(self, stamp: int, also: Iterable[str] = ()) -> bool:
        """Whether all topics that say something of each image and are published, and those of `also` that are recorded, have
        brought a message of this stamp (ns)."""
        extra = {self.resolve_topic_name(name) for name in also}
        return all(
            stamp in self._seen[topic.name]
            for topic in self._topics
            if topic.name in extra or (topic.type in PER_IMAGE and self._is_published(topic.name))
        )

    def _is_published(self, topic: str) -> bool:
        return bool(self._seen[topic]) or self.count_publishers(topic) > 0

    def flush(self) -> None:
        """Write what `ordered` has kept."""
        waiting, self._waiting = sorted(self._waiting, key=lambda kept: kept[:2]), []
        for stamp, index, cdr in waiting:
            self._write(self._writer.write, self._topics[index].name, cdr, stamp or None)

    def destroy_node(self) -> None:
        """Write what is left, then take the node down."""
        self.flush()
        super().destroy_node()

    def _queue(self, topic: Topic) -> QoSProfile:
        """Camera drivers may offer best effort only, which a reliable subscription would not match."""
        is_image = topic.type == COMPRESSED_IMAGE
        is_camera = is_image or topic.type == CAMERA_INFO
        reliability = ReliabilityPolicy.BEST_EFFORT if is_camera else ReliabilityPolicy.RELIABLE
        depth = self.IMAGE_QUEUE if is_image else self.QUEUE
        return QoSProfile(depth=depth, reliability=reliability, durability=qos.profile(topic.qos).durability)

    def _on_timer(self) -> None:
        self._write(self._writer.flush)

    def _on_message(self, index: int, cdr: bytes) -> None:
        topic = self._topics[index]
        try:
            stamp = layout(topic.type).stamp(cdr) or 0
        except ValueError as error:
            self._drop(error)
            return
        self._seen[topic.name].append(stamp)
        if self._ordered:
            self._waiting.append((stamp, index, cdr))
        else:
            self._write(self._writer.write, topic.name, cdr, stamp or None)

    def _write(self, action: Callable[..., None], *arguments: Any) -> None:
        if self.failure:
            return
        try:
            action(*arguments)
        except ValueError as error:
            self._drop(error)
        except RecordingStopped as error:
            self.failure = str(error)
            self.get_logger().error(self.failure)

    def _drop(self, error: ValueError) -> None:
        self.dropped += 1
        self.get_logger().warning(f"not recorded: {error}", throttle_duration_sec=1.0)
