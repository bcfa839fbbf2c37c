"""`pose replay`: a bag through the stages again, one image at a time, so that the same bag gives the same bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pose_msgs.msg import People2D, People3D, Run, Subjects
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pose_core.callbacks import Progress, Say, silent
from pose_core.statements import RunStatement
from pose_core.system.exits import Failed
from pose_core.system.signals import Signals
from pose_ros import topics
from pose_ros.conversions import MalformedMessage, run_from_msg, subjects_to_msg
from pose_ros.qos import LATCHED, RESULTS, SHARED
from pose_tools.bag.namespaces import Input, input_of
from pose_tools.bag.reader import BagMessage, read
from pose_tools.bag.stated import RUNS, Stated, recorded_values, seen_again
from pose_tools.bag.writer import Recording
from pose_tools.graph.graph import STAGES, Graph, Setup, running
from pose_tools.graph.recorder import Recorder
from pose_tools.graph.report import Report
from pose_tools.parameters.chosen import of_file

KEPT = 1
"""Revision of what a bag states: any that lifting says of its own is greater."""

UNDERSTOOD_S = 10.0
"""How long stages may take to take over what a bag states."""

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
    """Sends the messages of a bag as they are, and states what it states."""

    def __init__(self, kinds: dict[str, type], stated: Stated, **node_options: Any) -> None:
        super().__init__("pose_player", **node_options)
        self._stated = stated
        self._answered = not stated.subjects.subjects
        self._subjects = self.create_publisher(Subjects, topics.SUBJECTS, LATCHED)
        self.create_subscription(Subjects, topics.SUBJECTS, self._on_subjects, SHARED)
        self._runs: dict[str, RunStatement] = {}
        for topic, _ in RUNS.values():
            self.create_subscription(Run, topic, self._on_run, LATCHED)
        self._order = list(kinds)
        self._outlets: dict[str, Publisher] = {
            topic: self.create_publisher(kind, topic, RESULTS) for topic, kind in kinds.items()
        }

    def state(self) -> None:
        """State heights and masses, as one who kept them since the bag was recorded."""
        if not self._answered:
            self._subjects.publish(subjects_to_msg(replace(self._stated.subjects, revision=KEPT)))

    def is_understood(self) -> bool:
        """Whether lifting has taken over what was stated, and the stages have said what they run on."""
        return self._answered and self._runs.keys() == RUNS.keys()

    def differences(self) -> str:
        """As `Stated.differences`, from the stages that run."""
        return self._stated.differences(self._runs)

    def _on_subjects(self, message: Subjects) -> None:
        self._answered = self._answered or message.revision > KEPT

    def _on_run(self, message: Run) -> None:
        with suppress(MalformedMessage):
            run = run_from_msg(message)
            self._runs[run.stage] = run

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
    say: Say = silent,
) -> dict[str, Any]:
    """Send `bag` through lifting and refinement (with `images` through detection too) and record the results.

    One frame is inside at a time, and the results of a frame are written in the order of their topics: two replays of a bag
    with the same parameters are equal to the byte. What the bag states of the camera's tilt, of heights, and of parameters that
    were other than usual holds where `setup` does not state otherwise; `say` is told what cannot.

    `namespace`: of the robot, where the bag has the topics of several; results keep it. `image_topic`, `camera_info`: where the
    bag has several. The results are there when they are complete, not where an interrupt came first.

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
    by_file = of_file(setup.params_file) if setup.params_file is not None else {}
    stated, recorded = recorded_values(bag, found.namespace, (by_file, setup.overrides), say)
    overrides = {stage: recorded.get(stage, {}) | setup.overrides.get(stage, {}) for stage in STAGES}
    if images:
        overrides["pose2d"] = {**seen_again(by_file), **overrides["pose2d"], **found.detecting}
    setup = replace(setup, overrides=overrides)
    report = Report()
    with (
        Signals() as signals,
        Recording(record, keep=False) as writer,
        running(replace(setup, stages=stages, private=True, live=False)) as graph,
    ):
        graph.monitor.observers.append(report)
        player = Player(kinds, stated, **graph.node_options)
        recorder = Recorder(writer, stages=stages, ordered=True, **graph.node_options)
        graph.add(player)
        graph.add(recorder)
        graph.spin_until(graph.connected)
        player.state()
        deadline = time.monotonic() + UNDERSTOOD_S
        graph.spin_until(lambda: player.is_understood() or signals.received or time.monotonic() > deadline)
        if differences := player.differences():
            say(differences)
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
        _await_statements(graph, recorder, signals)
    if writer.failure:
        raise Failed(writer.failure)
    return {**report.as_dict(), "bag": str(record)}


def _await_statements(graph: Graph, recorder: Recorder, signals: Signals) -> None:
    """Wait until what lifting and refinement state last has been recorded, too."""
    deadline = time.monotonic() + UNDERSTOOD_S
    stages = {topics.SUBJECTS: graph.lift3d.stated_revision, topics.BODIES: graph.refine.stated_revision}
    graph.spin_until(
        lambda: (
            signals.received
            or time.monotonic() > deadline
            or all(recorder.revision(topic) >= revision for topic, revision in stages.items())
        )
    )


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
