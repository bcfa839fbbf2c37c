"""`pose replay`: a bag through the stages again, one image at a time, so that the same bag gives the same bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
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
from pose_tools.bag.namespaces import camera_topic_of, namespace_of
from pose_tools.bag.reader import BagMessage, read, topics_with_messages
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


def replay(
    bag: Path, record: Path, setup: Setup, *, images: bool, progress: Progress, namespace: str | None = None
) -> dict[str, Any]:
    """Send `bag` through lifting and refinement (with `images` through detection too) and record the results.

    One frame is inside at a time, and the results of a frame are written in the order of their topics: two replays of a bag
    with the same parameters are equal to the byte. `namespace`: of the robot, where the bag has the topics of several; results
    keep it. Raises ValueError for a bag without the topics, TimeoutError where a frame never comes out.
    """
    kinds, frames, setup.namespace = read_input(bag, images, namespace)
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
        running(replace(setup, stages=stages, private=True, live=False)) as graph,
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
    stamp = frame[-1].stamp
    same = {message.topic for message in frame if message.stamp == stamp}
    return report.frames >= frames and recorder.has(stamp, also=same)


def read_input(
    bag: Path, images: bool, namespace: str | None = None
) -> tuple[dict[str, type], list[list[BagMessage]], str]:
    """What is to be sent: relative topics and their types, frames as `read_frames` makes them, and whose namespace they are from.

    Of the two image topics it is the compressed one where the bag has it; a calibration may have come on any topic, if there is
    but one. Topics without a message are left out: a stage would wait for what never comes. Raises ValueError where the bag lacks
    all that could start the stages.
    """
    kinds: dict[str, type] = dict(FROM_IMAGES if images else FROM_PEOPLE)
    starters = (topics.IMAGE_COMPRESSED, topics.IMAGE) if images else (topics.PEOPLE2D,)
    held = topics_with_messages(bag)
    robot = namespace_of(bag, held, starters, namespace)
    if images and f"{robot}/{topics.IMAGE_COMPRESSED}" in held:
        del kinds[topics.IMAGE]
    names = {f"{robot}/{topic}": topic for topic in kinds if f"{robot}/{topic}" in held}
    if camera := camera_topic_of(held, robot):
        names = {camera: topics.CAMERA_INFO, **names}
    return {topic: kinds[topic] for topic in names.values()}, read_frames(bag, names), robot


def read_frames(bag: Path, names: Mapping[str, str]) -> list[list[BagMessage]]:
    """The bag's messages on these topics (full and relative names), made relative, in frames of one capture time each, in order.

    They may have been logged in any order, as `ros2 bag record` does. A frame without the last of `names`, which starts the
    stages, is left out: recording began or ended inside it. Where the first has no calibration it gets the one that came first,
    for which stages would wait.
    """
    frames: dict[int, list[BagMessage]] = {}
    camera: BagMessage | None = None
    for message in read(bag, list(names)):
        relative = message._replace(topic=names[message.topic])
        frames.setdefault(message.stamp, []).append(relative)
        if camera is None and relative.topic == topics.CAMERA_INFO:
            camera = relative
    starter = list(names.values())[-1]
    whole = [frame for _, frame in sorted(frames.items()) if any(m.topic == starter for m in frame)]
    if camera is not None and whole and all(m.topic != topics.CAMERA_INFO for m in whole[0]):
        whole[0].insert(0, camera)
    return whole


def _await(graph: Graph, condition: Callable[[], bool], frame: list[BagMessage]) -> None:
    deadline = time.monotonic() + ANSWER_S
    graph.spin_until(lambda: condition() or time.monotonic() > deadline)
    if not condition() and graph.context.ok():
        raise TimeoutError(
            f"the image of stamp {frame[-1].stamp} ns did not come out of the stages in {ANSWER_S:.0f} s; see their log above"
        )
