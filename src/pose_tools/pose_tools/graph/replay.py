"""`pose replay`: a bag through the stages again, one image at a time, so that the same bag gives the same bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from pose_msgs.msg import People2D, People3D
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pose_core.callbacks import Progress
from pose_core.system.signals import Signals
from pose_ros import topics
from pose_ros.qos import RESULTS
from pose_tools.bag.reader import BagMessage, read
from pose_tools.bag.writer import BagWriter
from pose_tools.graph.graph import Graph, Setup, running
from pose_tools.graph.recorder import Recorder
from pose_tools.graph.report import Report

ANSWER_S = 60.0
"""A frame that has not come out after this long never will."""

FROM_PEOPLE = {topics.CAMERA_INFO: CameraInfo, topics.WORLD: People3D, topics.PEOPLE2D: People2D}
FROM_IMAGES = {topics.CAMERA_INFO: CameraInfo, topics.IMAGE: Image, topics.IMAGE_COMPRESSED: CompressedImage}
"""Topics to send and their types, in the order in which those of one stamp are sent."""

RELIABLE_INPUT = {
    f"qos_overrides./{topic}.subscription.reliability": "reliable"
    for topic in (topics.IMAGE, topics.IMAGE_COMPRESSED)
}
"""A replay sends one image and waits: none may be lost."""


class Player(Node):
    """Sends the messages of a bag as they are."""

    def __init__(self, kinds: dict[str, type], **node_options: Any) -> None:
        super().__init__("pose_player", **node_options)
        self._order = list(kinds)
        self._outlets: dict[str, Publisher] = {
            topic: self.create_publisher(kind, topic, RESULTS) for topic, kind in kinds.items()
        }

    def send(self, frame: list[BagMessage]) -> None:
        """Publish the messages of one stamp, the one that starts the stages last."""
        for message in sorted(frame, key=lambda m: self._order.index(m.topic)):
            self._outlets[message.topic].publish(message.cdr)


def replay(bag: Path, record: Path, setup: Setup, *, images: bool, progress: Progress) -> dict[str, Any]:
    """Send `bag` through lifting and refinement (with `images` through detection too) and record the results.

    One frame is inside at a time, and the results of a frame are written in the order of their topics: two replays of a bag
    with the same parameters are equal to the byte. Raises ValueError for a bag without the topics, RuntimeError where a
    frame never comes out.
    """
    kinds = _input_kinds(bag, images)
    frames = read_frames(bag, kinds)
    stages = ("pose2d", "lift3d", "refine") if images else ("lift3d", "refine")
    if images:
        transport = "compressed" if topics.IMAGE_COMPRESSED in kinds else "raw"
        pose2d: dict[str, bool | int | float | str] = {
            **setup.overrides.get("pose2d", {}),
            "source": "",
            "image_transport": transport,
            **RELIABLE_INPUT,
        }
        setup = replace(setup, overrides={**setup.overrides, "pose2d": pose2d})
    report = Report()
    with (
        Signals() as signals,
        BagWriter(record) as writer,
        running(replace(setup, stages=stages, private=True)) as graph,
    ):
        graph.monitor.observers.append(report)
        player = Player(kinds, context=graph.context, namespace=setup.namespace)
        recorder = Recorder(
            writer, stages=stages, ordered=True, context=graph.context, namespace=setup.namespace
        )
        graph.add(player)
        graph.add(recorder)
        graph.spin_until(graph.connected)
        for done, frame in enumerate(frames, start=1):
            player.send(frame)
            _await(graph, partial(_is_out, report, done, recorder, frame), frame)
            recorder.flush()
            progress(done, len(frames))
            if signals.received:
                break
    return {**report.as_dict(), "bag": str(record), "interrupted": signals.received}


def _is_out(report: Report, frames: int, recorder: Recorder, frame: list[BagMessage]) -> bool:
    return report.frames >= frames and recorder.has(frame[0].stamp, also={message.topic for message in frame})


def read_frames(bag: Path, kinds: dict[str, type]) -> list[list[BagMessage]]:
    """The bag's messages on the topics of `kinds` (names made relative), grouped by stamp.

    Raises ValueError where no group holds the last topic of `kinds`, the one that starts the stages.
    """
    relative = (m._replace(topic=m.topic.lstrip("/")) for m in read(bag))
    grouped = groupby((m for m in relative if m.topic in kinds), key=lambda m: m.stamp)
    starter = list(kinds)[-1]
    frames = [
        frame for frame in (list(group) for _, group in grouped) if any(m.topic == starter for m in frame)
    ]
    if not frames:
        raise ValueError(
            f"{bag} has no message on /{starter}; record it with `pose live --record`, or choose another input"
        )
    return frames


def _input_kinds(bag: Path, images: bool) -> dict[str, type]:
    """The topics to send: of the two image topics, the compressed one where the bag has it."""
    if not images:
        return FROM_PEOPLE
    held = {m.topic.lstrip("/") for m in read(bag)}
    unused = topics.IMAGE if topics.IMAGE_COMPRESSED in held else topics.IMAGE_COMPRESSED
    return {topic: kind for topic, kind in FROM_IMAGES.items() if topic != unused}


def _await(graph: Graph, condition: Callable[[], bool], frame: list[BagMessage]) -> None:
    deadline = time.monotonic() + ANSWER_S
    graph.spin_until(lambda: condition() or time.monotonic() > deadline)
    if not condition() and graph.context.ok():
        raise RuntimeError(
            f"the image of stamp {frame[0].stamp} ns did not come out of the stages; see their log above"
        )
