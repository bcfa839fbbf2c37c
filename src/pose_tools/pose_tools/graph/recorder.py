"""The results of a running graph into a bag."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription

from pose_ros import qos
from pose_ros import topics as names
from pose_ros.images import image_topic
from pose_ros.listeners import RECORDER
from pose_ros.messages.names import (
    BODIES,
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    IMAGE,
    JOINT_ANGLES,
    PEOPLE2D,
    PEOPLE3D,
    SUBJECTS,
)
from pose_tools.bag.cdr import layout
from pose_tools.bag.topics import Topic, result_topics
from pose_tools.bag.writer import BagWriter, RecordingStopped

PER_IMAGE = (PEOPLE2D, PEOPLE3D, JOINT_ANGLES)
"""Types of the messages that stages publish once for each image."""

SAID_AGAIN = (SUBJECTS, BODIES)
"""Types of latched statements that others say again; the one of the greatest revision counts."""

IMAGES = (COMPRESSED_IMAGE, IMAGE)
FROM_DRIVERS = (*IMAGES, CAMERA_INFO)
"""Types of what camera drivers publish, some of which offer best effort only."""


class Lacking:
    """How many of the images that have a message on one topic have none on others, by stamps; they may come in any order."""

    KEPT = 1000
    """Images for which a late message is waited."""

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._seen: dict[int, set[str]] = {}
        self._total = 0
        self._present: Counter[str] = Counter()

    def saw(self, topic: str, stamp: int) -> None:
        """A message of an image came."""
        self._seen.setdefault(stamp, set()).add(topic)
        if len(self._seen) > self.KEPT:
            seen = self._seen.pop(next(iter(self._seen)))
            if self._reference in seen:
                self._total += 1
                self._present.update(seen)

    def counts(self, expected: Iterable[str] = ()) -> tuple[int, Mapping[str, int]]:
        """The number of images, and by topic how many of them it lacks: of those `expected`, and those that had any."""
        seen = [topics for topics in self._seen.values() if self._reference in topics]
        total, present = self._total + len(seen), self._present.copy()
        for topics in seen:
            present.update(topics)
        lacks = {topic: total - present[topic] for topic in sorted({*expected, *present})}
        return total, {topic: count for topic, count in lacks.items() if count}


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
    LOOK_S = 0.2
    """How often it looks at what the drivers of cameras offer."""
    REMEMBERED = 64
    """Stamps of each topic that `has` looks through."""

    def __init__(
        self,
        writer: BagWriter,
        topics: Iterable[Topic] | None = None,
        *,
        stages: Iterable[str] | None = None,
        images: bool = False,
        transport: str = "compressed",
        ordered: bool = False,
        **node_options: Any,
    ) -> None:
        """`topics`: what to record, names relative to the node; by default `result_topics` of `stages`, `images` and `transport`.

        `ordered`: keep messages until `flush` and write them by stamp and then in the order of `topics`, so
        that the bag does not depend on which callback ran first; of statements that several say again write the last alone, in
        the end.
        """
        super().__init__(RECORDER, **node_options)
        self.failure = ""
        self.dropped = 0
        self._writer = writer
        self._ordered = ordered
        self._waiting: list[tuple[int, int, bytes]] = []
        self._kept: dict[int, tuple[int, bytes]] = {}
        self._topics: list[Topic] = []
        self._seen: dict[str, deque[int]] = {}
        self._listening: dict[int, Subscription] = {}
        self._reliable_to_drivers: set[int] = set()
        self._transport = transport if images and topics is None else ""
        self._lacking = Lacking(self.resolve_topic_name(names.PEOPLE2D))
        for topic in result_topics(stages, images=images, transport=transport) if topics is None else topics:
            self._topics.append(self._add(self._of_images(topic)))
        # whoever sees that it listens to people sees that it listens to the rest
        for index in sorted(range(len(self._topics)), key=lambda index: self._topics[index].type == PEOPLE2D):
            self._subscribe(index)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.FLUSH_S, self._on_timer, clock=steady)
        self.create_timer(self.LOOK_S, self._suit_drivers, clock=steady)

    def _add(self, topic: Topic) -> Topic:
        resolved = replace(topic, name=self.resolve_topic_name(topic.name))
        if not self._is_found(resolved):
            self._writer.add(resolved)
        self._seen[resolved.name] = deque(maxlen=self.REMEMBERED)
        return resolved

    def _is_found(self, topic: Topic) -> bool:
        """Whether name and type are not known before a message has come."""
        return bool(self._transport) and topic.type in IMAGES

    def _of_images(self, topic: Topic) -> Topic:
        """`topic` as stages take images: the type that is published decides."""
        if not self._is_found(topic):
            return topic
        found = image_topic(self, self._transport)
        return replace(topic, name=found.name, type=COMPRESSED_IMAGE if found.compressed else IMAGE)

    def _subscribe(self, index: int, *, reliable: bool = True) -> None:
        topic = self._topics[index]
        try:
            self._listening[index] = self.create_subscription(
                message_class(topic.type),
                topic.name,
                partial(self._on_message, index),
                self._queue(topic, reliable),
                raw=True,
            )
        except (
            RuntimeError
        ):  # of rcl: another node of this process still takes the topic for one of another type
            if topic.type not in IMAGES:
                raise
            return
        if reliable and topic.type in FROM_DRIVERS:
            self._reliable_to_drivers.add(index)

    def _suit_drivers(self) -> None:
        """Images come from where they are published. Nothing is lost of what is offered as reliable; what is offered as best
        effort alone has to be taken so.
        """
        for index, topic in enumerate(self._topics):
            if topic.type not in FROM_DRIVERS:
                continue
            wanted = self._of_images(topic)
            wanted = replace(wanted, name=self.resolve_topic_name(wanted.name))
            offered = self.get_publishers_info_by_topic(wanted.name)
            lossy = any(one.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for one in offered)
            if (wanted != topic and not self._seen[topic.name]) or index not in self._listening:
                self._unsubscribe(index)
                self._topics[index] = topic if wanted == topic else self._add(wanted)
                self._subscribe(index, reliable=not lossy)
            elif lossy and index in self._reliable_to_drivers:
                self._unsubscribe(index)
                self._subscribe(index, reliable=False)

    def _unsubscribe(self, index: int) -> None:
        self._reliable_to_drivers.discard(index)
        if index in self._listening:
            self.destroy_subscription(self._listening.pop(index))

    def lacking(self) -> tuple[int, Mapping[str, int]]:
        """The number of images that were looked at for people, and by topic how many of them are not recorded there."""
        return self._lacking.counts(topic.name for topic in self._topics if topic.type in IMAGES)

    def has(self, stamp: int, also: Iterable[str] = ()) -> bool:
        """Whether all topics that say something of each image and are published, and those of `also` that are recorded, have
        brought a message of this stamp (ns)."""
        extra = {self.resolve_topic_name(name) for name in also}
        return all(
            stamp in self._seen[topic.name]
            for topic in self._topics
            if topic.name in extra or (topic.type in PER_IMAGE and self._is_published(topic.name))
        )

    def revision(self, topic: str) -> int:
        """Of the greatest statement that an `ordered` recording keeps of a topic; 0 where there is none."""
        resolved = self.resolve_topic_name(topic)
        index = next(index for index, one in enumerate(self._topics) if one.name == resolved)
        return self._kept[index][0] if index in self._kept else 0

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
        for index, (_, cdr) in sorted(self._kept.items()):
            self._write(self._writer.write, self._topics[index].name, cdr, None)
        super().destroy_node()

    def _queue(self, topic: Topic, reliable: bool) -> QoSProfile:
        return QoSProfile(
            depth=self.IMAGE_QUEUE if topic.type in IMAGES else self.QUEUE,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=qos.profile(topic.qos).durability,
        )

    def _on_timer(self) -> None:
        self._write(self._writer.flush)

    def _on_message(self, index: int, cdr: bytes) -> None:
        topic = self._topics[index]
        try:
            stamp = layout(topic.type).stamp(cdr) or 0
        except ValueError as error:
            self._drop(error)
            return
        if self._is_found(topic) and not self._seen[topic.name]:
            self._writer.add(topic)
        self._seen[topic.name].append(stamp)
        if topic.type in PER_IMAGE or topic.type in IMAGES:
            self._lacking.saw(topic.name, stamp)
        if self._ordered and topic.type in SAID_AGAIN:
            self._keep(index, cdr)
        elif self._ordered:
            self._waiting.append((stamp, index, cdr))
        else:
            self._write(self._writer.write, topic.name, cdr, stamp or None)

    def _keep(self, index: int, cdr: bytes) -> None:
        statement: Any = deserialize_message(cdr, message_class(self._topics[index].type))
        revision = int(statement.revision)
        if index not in self._kept or revision > self._kept[index][0]:
            self._kept[index] = revision, cdr

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
