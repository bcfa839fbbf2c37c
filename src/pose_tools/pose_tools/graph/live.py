"""`pose live`: the whole graph in one process, from a source to topics and a bag."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo

from pose_core.callbacks import Say, silent
from pose_core.system.signals import Signals
from pose_ros import topics
from pose_ros.conversions import camera_from_msg
from pose_ros.domains import own_context
from pose_ros.qos import IMAGES
from pose_ros.signals import LOOK
from pose_tools.bag.writer import Recording
from pose_tools.graph.graph import Bundle, Graph, Setup, running
from pose_tools.graph.recorder import Recorder
from pose_tools.graph.report import Report

DRAIN_S = 5.0
"""How long to wait for the results of the last images after the source ended."""

SETTLE_S = 0.5
"""How long the last image and markers may take to the recorder; they are sent behind the people in them."""


@dataclass
class Run:
    """What to run and what to do with each result."""

    setup: Setup
    record: Path | None = None
    record_images: bool = False
    record_transport: str = "compressed"
    max_frames: int = 0
    """Stop after this many images; 0: all."""
    max_seconds: float = 0.0
    """Stop after this time on the clock; 0: never."""
    stay: bool = False
    """Keep the nodes up after the source has ended, until interrupted."""
    observers: list[Callable[[Bundle], None]] = field(default_factory=list)
    progress: Callable[[int], None] = lambda frames: None


def run(job: Run) -> dict[str, Any]:
    """Run until the source has ended (or an interrupt came). Returns the report; `failure` in it says what did not come out.

    Raises FileExistsError for a folder that cannot be recorded to, before anything starts, and ValueError for parameters that a
    stage refuses.
    """
    report = Report()
    with ExitStack() as stack:
        signals = stack.enter_context(Signals())
        writer = stack.enter_context(Recording(job.record)) if job.record is not None else None
        graph = stack.enter_context(running(job.setup))
        _learn_camera(graph, report)
        report.field_of_view_deg = graph.lift3d.params.field_of_view_deg
        lifter = graph.lift3d.lifter
        recorder = None
        if writer is not None:
            recorder = Recorder(
                writer, images=job.record_images, transport=job.record_transport, **graph.node_options
            )
            graph.add(recorder)
            graph.spin_until(graph.connected)
        graph.monitor.observers += [report, *job.observers, lambda bundle: job.progress(report.frames)]
        graph.pace.open()
        deadline = time.monotonic() + (job.max_seconds or math.inf)
        graph.spin_until(
            lambda: signals.received or time.monotonic() > deadline or _ended(graph, job, report)
        )
        graph.pace.stop()
        _drain(graph)
        if recorder is not None:
            settled = time.monotonic() + SETTLE_S
            graph.spin_until(lambda: time.monotonic() > settled)
        if job.stay:
            graph.spin_until(lambda: signals.received)
    result = {
        "lifter": lifter,
        **report.as_dict(),
        "interrupted": signals.received,
        "stalls": graph.pace.stalls,
    }
    failures = [] if report.frames else ["no image came out of the stages; see what they say above"]
    if recorder is not None and writer is not None:
        result["recording"] = writer.failure or told(recorder)
        failures += [writer.failure] if writer.failure else []
    return result | ({"failure": "; ".join(failures)} if failures else {})


def told(recorder: Recorder) -> str:
    """What became of a recording that its disk took as a whole."""
    images, lacks = recorder.lacking()
    missing = "".join(f"; of {images} images {topic} lacks {count}" for topic, count in lacks.items())
    return f"complete, {recorder.dropped} messages dropped{missing}"


def _learn_camera(graph: Graph, report: Report) -> None:
    def learn(message: CameraInfo) -> None:
        report.camera = report.camera or camera_from_msg(message)

    graph.monitor.create_subscription(CameraInfo, topics.CAMERA_INFO, learn, IMAGES)


def _ended(graph: Graph, job: Run, report: Report) -> bool:
    enough = bool(job.max_frames) and report.frames >= job.max_frames
    return enough or (graph.pose2d is not None and graph.pose2d.finished.is_set())


def _drain(graph: Graph) -> None:
    """Until the last image that was read has come out; of those before it, stages may have skipped some."""
    deadline = time.monotonic() + DRAIN_S
    last = graph.pose2d.last_stamp if graph.pose2d is not None else 0
    graph.spin_until(lambda: graph.monitor.last_stamp >= last or time.monotonic() > deadline)


def record(
    out: Path,
    *,
    images: bool,
    transport: str = "compressed",
    ros_args: tuple[str, ...] = (),
    say: Say = silent,
) -> dict[str, Any]:
    """Record the results of nodes in other processes until a signal comes, or the disk takes no more. Returns what was recorded.

    `say` is told when it listens. `ros_args`: remappings and the like, as after --ros-args. Raises FileExistsError for a folder
    that cannot be recorded to.
    """
    with ExitStack() as stack:
        signals = stack.enter_context(Signals())
        context = stack.enter_context(own_context())
        writer = stack.enter_context(Recording(out))
        cli_args = ["--ros-args", *ros_args] if ros_args else None
        recorder = Recorder(writer, images=images, transport=transport, context=context, cli_args=cli_args)
        people = recorder.resolve_topic_name(topics.PEOPLE2D)
        stack.callback(recorder.destroy_node)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(recorder)
        stack.callback(executor.shutdown)
        say(f"recording to {out}")
        while not signals.received and not recorder.failure:
            executor.spin_once(timeout_sec=LOOK)
        settled = time.monotonic() + SETTLE_S
        while time.monotonic() < settled and not recorder.failure:
            executor.spin_once(timeout_sec=SETTLE_S)
    failure = writer.failure
    if writer.is_empty and not failure:
        failure = f"no message came, there is no bag {out}; is a pipeline running that publishes on {people}?"
    result = {"bag": str(out), "messages": writer.messages}
    return result | ({"failure": failure} if failure else {"recording": told(recorder)})
