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
from pose_core.system.exits import Failed
from pose_core.system.signals import Signals
from pose_ros import topics
from pose_ros.qos import RESULTS
from pose_tools.bag.namespaces import Input, input_of
from pose_tools.bag.reader import BagMessage, read
from pose_tools.bag.writer import Recording
from pose_tools.graph.graph import Graph, Setup, running
from pose_tools.graph.recorder import Recorder
from pose_tools.graph.report import Report

ANSWER_S = 60.0
"""A frame that has not come out after this long never will."""

KINDS: dict[str, type] = {
    topics.CAMERA_INFO: CameraInfo,
    topics.WORLD: People3D,
    topics.PEOPLE2D: People2D,
    topics.IMAGE: Image,
    topics.IMAGE_COMPRESSED: CompressedImage,
}
"""Topics that may be sent and their types."""


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
    bag: Path,
    record: Path,
    setup: Setup,
    *,
    images: bool,
    progress: Progress,
    namespace: str | None = None,
    image_topic: str = "",
    camera_info: str = "",
) -> dict[str, Any]:
    """Send `bag` through lifting and refinement (with `images` through detection too) and record the results.

    One frame is inside at a time, and the results of a frame are written in the order of their topics: two replays of a bag
    with the same parameters are equal to the byte. `namespace`: of the robot, where the bag has the topics of several; results
    keep it. `image_topic`, `camera_info`: where the bag has several. The results are there when they are complete, not
    where an interrupt came first.

    Raises ValueError for a bag without the topics, TimeoutError where a frame never comes out, Failed where the results are not
    complete.
    """
    found = input_of(
        bag,
        images=images,
        namespace=namespace,
        image_topic=image_topic,
        camera_info=camera_info,
        transport=str(setup.overrides.get("pose2d", {}).get("image_transport", "")),
    )
    kinds, frames = read_input(bag, found)
    setup.namespace = found.namespace
    stages = ("pose2d", "lift3d", "refine") if images else ("lift3d", "refine")
    if images:
        pose2d = {**setup.overrides.get("pose2d", {}), **found.detecting}
        setup = replace(setup, overrides={**setup.overrides, "pose2d": pose2d})
    report = Report()
    with (
        Signals() as signals,
        Recording(record, keep=False) as writer,
        running(replace(setup, stages=stages, private=True, live=False)) as graph,
    ):
        graph.monitor.observers.append(report)
        player = Player(kinds, **graph.node_options)
        recorder = Recorder(writer, stages=stages, ordered=True, **graph.node_options)
        graph.add(player)
        graph.add(recorder)
        graph.spin_until(graph.connected)
        for done, frame in enumerate(frames, start=1):
            player.send(frame)
            out = partial(_is_out, report, done, recorder, frame)
            _await(graph, out, frame, signals)
            if signals.received and not (done == len(frames) and out()):
                raise Failed(f"interrupted at frame {done} of {len(frames)}; there is no bag {record}")
            recorder.flush()
            progress(done, len(frames))
            if recorder.failure:
                break
    if writer.failure:
        raise Failed(writer.failure)
    return {**report.as_dict(), "bag": str(record)}


def _is_out(report: Report, frames: int, recorder: Recorder, frame: list[BagMessage]) -> bool:
    stamp = frame[-1].stamp
    same = {message.topic for message in frame if message.stamp == stamp}
    return report.frames >= frames and recorder.has(stamp, also=same)


def read_input(bag: Path, found: Input) -> tuple[dict[str, type], list[list[BagMessage]]]:
    """What is to be sent of a bag: topics of the pipeline and their types, and frames as `read_frames` makes them.

    Raises ValueError where no frame is whole.
    """
    frames = read_frames(bag, found.names)
    if not frames:
        raise ValueError(f"{bag} has no whole frame of {' and '.join(found.names)}; nothing can be replayed")
    return {topic: KINDS[topic] for topic in found.names.values()}, frames


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


def _await(graph: Graph, condition: Callable[[], bool], frame: list[BagMessage], signals: Signals) -> None:
    deadline = time.monotonic() + ANSWER_S
    graph.spin_until(lambda: condition() or signals.received or time.monotonic() > deadline)
    if not condition() and not signals.received and graph.context.ok():
        raise TimeoutError(
            f"the image of stamp {frame[-1].stamp} ns did not come out of the stages in {ANSWER_S:.0f} s; see their log above"
        )
