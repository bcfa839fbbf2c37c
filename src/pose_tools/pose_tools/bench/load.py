"""What becomes of rate and age where images come faster than they can be worked on.

The stages run in processes of their own, composed or separate; this process plays the camera and listens to what comes out.
Capacity is measured first, in the same processes: images go in as results come out, so that none is skipped.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from pose_msgs.msg import People3D
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from pose2d_node.params import Pose2DParams
from pose2d_node.sources import open_source
from pose_core import assets
from pose_core.callbacks import Say
from pose_core.units import MS_PER_NS
from pose_ros import topics
from pose_ros.conversions import stamp_from_ns
from pose_ros.diagnostics import node_of, percentile
from pose_ros.domains import own_context, private_domain
from pose_ros.images import image_to_msg
from pose_ros.qos import IMAGES, RESULTS
from pose_tools.graph.demo import VIDEO
from pose_tools.graph.graph import DEFAULT_EXECUTOR, EXECUTORS
from pose_tools.parameters.chosen import Values

LOADS = (0.5, 1.0, 2.0, 4.0)
"""Images offered per image that can be worked on."""
SIZE = (720, 1280)
"""Pixels across and down: those of 720p, upright as the demo video."""
IMAGES_HELD = 40
PACKAGES = {"pose2d": "pose2d_node", "lift3d": "lift3d_node", "refine": "refine_node", "viz": "pose_viz"}
"""Of each stage that the launch file starts."""

START_S = 60.0
SETTLE_S = 2.0
"""After a change of the load, before anything counts."""
MEASURE_S = 8.0
IN_FLIGHT = 2
"""Images inside while capacity is measured: one is detected while the one before goes through the later stages."""
END_S = 20.0


@dataclass(frozen=True)
class Row:
    """One load: what was offered, what came out, how old it was, and what share of its input each stage skipped."""

    load: float
    offered_hz: float
    refined_hz: float
    age_p50_ms: float
    age_p95_ms: float
    skipped: dict[str, float]


@dataclass
class Heard:
    """What came out of the stages since it was made."""

    arrived: list[float] = field(default_factory=list)
    """Steady seconds."""
    ages_ms: list[float] = field(default_factory=list)
    counts: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Frames and skipped of each stage, in the order of its diagnostics."""

    def rate_hz(self) -> float:
        """Of the refined messages; 0 where there are not two."""
        if len(self.arrived) < 2:
            return 0.0
        return (len(self.arrived) - 1) / (self.arrived[-1] - self.arrived[0])

    def skipped(self) -> dict[str, float]:
        """Share of its input that each stage skipped between its first and last diagnostics."""
        shares = {}
        for stage, counts in self.counts.items():
            frames, skipped = (last - first for first, last in zip(counts[0], counts[-1], strict=True))
            shares[stage] = skipped / max(frames + skipped, 1)
        return shares

    def row(self, load: float, offered_hz: float) -> Row:
        """The figures of a load."""
        p50, p95 = (percentile(self.ages_ms, percent) for percent in (50, 95))
        return Row(load, offered_hz, self.rate_hz(), p50, p95, self.skipped())


class Bench(Node):
    """The camera and whoever uses the results."""

    def __init__(self, images: list[np.ndarray], context: Context) -> None:
        super().__init__("pose_bench", context=context)
        self.heard = Heard()
        self._messages = [image_to_msg(bgr, 1, "camera_optical_frame") for bgr in images]
        self._sent = 0
        self._camera = self.create_publisher(Image, topics.IMAGE, IMAGES)
        self.create_subscription(People3D, topics.REFINED, self._on_refined, RESULTS)
        self.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, self._on_diagnostics, 10)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self)

    def close(self) -> None:
        """Take the node down."""
        self._executor.shutdown()
        self.destroy_node()

    def shoot(self) -> None:
        """Publish the next image, as a camera's driver does."""
        message = self._messages[self._sent % len(self._messages)]
        message.header.stamp = stamp_from_ns(time.time_ns())
        self._camera.publish(message)
        self._sent += 1

    def spin(self, seconds: float, camera: Callable[[float], float] | None = None) -> None:
        """Listen for a while. `camera` is told the time left and says after how long it wants to be called again."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0.0:
            wait = left if camera is None else camera(left)
            self._executor.spin_once(timeout_sec=max(min(wait, left), 0.0))

    def await_result(self) -> None:
        """Send images, where there are any, until the first result comes. Raises TimeoutError where none does."""
        deadline = time.monotonic() + START_S
        while not self.heard.arrived:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no refined message came within {START_S:.0f} s; run `pose doctor`")
            if self._messages:
                self.shoot()
            self.spin(0.2)

    def measure(self, camera: Callable[[float], float] | None = None) -> Heard:
        """What comes out in `MEASURE_S` after things have settled."""
        self.spin(SETTLE_S, camera)
        self.heard = Heard()
        self.spin(MEASURE_S, camera)
        return self.heard

    def capacity(self) -> float:
        """Images per second where each goes in when one comes out."""
        inside: list[int] = [0]

        def follow(_left: float) -> float:
            # An image that is lost on its way is no reason to wait for ever.
            quiet = bool(self.heard.arrived) and time.monotonic() - self.heard.arrived[-1] > 1.0
            out = len(self.heard.arrived)
            inside[0] = out if quiet or out < seen[0] else inside[0]
            seen[0] = out
            while inside[0] - out < IN_FLIGHT:
                self.shoot()
                inside[0] += 1
            return 0.01

        seen = [0]
        return self.measure(follow).rate_hz()

    def at(self, rate_hz: float) -> Callable[[float], float]:
        """A camera of that rate."""
        due = [time.monotonic()]

        def tick(_left: float) -> float:
            now = time.monotonic()
            if now >= due[0]:
                self.shoot()
                due[0] = max(due[0] + 1.0 / rate_hz, now - 1.0 / rate_hz)
            return due[0] - time.monotonic()

        return tick

    def _on_refined(self, message: People3D) -> None:
        times = message.times
        self.heard.arrived.append(time.monotonic())
        self.heard.ages_ms.append((times.end[-1] - times.start[0]) * MS_PER_NS)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.heard.counts.setdefault(node_of(status.name)[1:], []).append(_counts(status))


def _counts(status: DiagnosticStatus) -> tuple[int, int]:
    values = {item.key: item.value for item in status.values}
    return int(values["frames"]), int(values["skipped"])


def load_table(say: Say) -> dict[str, Any]:
    """Rates and ages by input (raw images on a topic; a recording that `pose2d` plays in real time), way of running and load."""
    ways: dict[str, Callable[[Values], list[list[str]]]] = {
        "separate processes": separate,
        **{f"composed, {name}": _composed(name) for name in EXECUTORS if name != "multi"},
    }
    with pictures(assets.path(VIDEO)) as (folder, images):
        result: dict[str, Any] = {"raw images on a topic": {}, "own source": {}}
        for name, way in ways.items():
            result["raw images on a topic"][name] = on_topic(way, images, name, say)
        for name in ("separate processes", f"composed, {DEFAULT_EXECUTOR}"):
            result["own source"][name] = own_source(ways[name], folder, name, say)
    return result


def on_topic(
    way: Callable[[Values], list[list[str]]], images: list[np.ndarray], name: str, say: Say
) -> dict[str, Any]:
    """The rows of one way of running, whose images come on a topic."""
    with running(way({}), images) as bench:
        bench.await_result()
        capacity = bench.capacity()
        say(f"{name}, raw images on a topic: capacity {capacity:.1f} Hz")
        rows = []
        for load in LOADS:
            rate = load * capacity
            rows.append(bench.measure(bench.at(rate)).row(load, rate))
            say(_said(rows[-1]))
    return _table(capacity, rows)


def own_source(way: Callable[[Values], list[list[str]]], folder: Path, name: str, say: Say) -> dict[str, Any]:
    """The rows of one way of running, whose first stage plays the images of `folder` at its rate."""

    def play(**pose2d: float) -> Heard:
        source: Values = {"pose2d": {"source": str(folder), "loop": True, **pose2d}}
        with running(way(source), []) as bench:
            bench.await_result()
            return bench.measure()

    capacity = play(real_time=False).rate_hz()
    say(f"{name}, own source: capacity {capacity:.1f} Hz")
    rows = []
    for load in LOADS:
        rate = load * capacity
        rows.append(play(real_time=True, image_rate_hz=rate).row(load, rate))
        say(_said(rows[-1]))
    return _table(capacity, rows)


def _said(row: Row) -> str:
    skipped = ", ".join(f"{stage} {100 * share:.0f} %" for stage, share in row.skipped.items())
    return (
        f"  {row.load:3g} x: {row.offered_hz:5.1f} Hz in, {row.refined_hz:5.1f} Hz out, "
        f"age {row.age_p50_ms:4.0f} p50, {row.age_p95_ms:4.0f} ms p95, skipped {skipped}"
    )


def _table(capacity: float, rows: list[Row]) -> dict[str, Any]:
    by_load = {row.load: row for row in rows}
    half, once, most = by_load[LOADS[0]], by_load[1.0], by_load[LOADS[-1]]
    return {
        "capacity_hz": capacity,
        "loads": {f"{row.load:g}": {k: v for k, v in vars(row).items() if k != "load"} for row in rows},
        "rate at 4 over rate at 1": most.refined_hz / once.refined_hz,
        "age p50 at 4 over age at 0.5": most.age_p50_ms / half.age_p50_ms,
        "age p95 at 4 over age at 0.5": most.age_p95_ms / half.age_p95_ms,
    }


def separate(overrides: Values) -> list[list[str]]:
    """Commands that run each stage in a process of its own."""
    commands = []
    for stage, package in PACKAGES.items():
        given = [
            word
            for name, value in overrides.get(stage, {}).items()
            for word in ("-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}")
        ]
        commands.append([sys.executable, "-m", f"{package}.node", *(("--ros-args", *given) if given else ())])
    return commands


def _composed(executor: str) -> Callable[[Values], list[list[str]]]:
    """Commands that run all stages in one process."""

    def command(overrides: Values) -> list[list[str]]:
        return [[sys.executable, "-m", "pose_tools.bench.composed", executor, json.dumps(overrides)]]

    return command


@contextmanager
def running(commands: list[list[str]], images: list[np.ndarray]) -> Iterator[Bench]:
    """The stages on a ROS domain of their own, and the bench that feeds them and listens."""
    with ExitStack() as stack:
        domain = stack.enter_context(private_domain())
        bench = Bench(images, stack.enter_context(own_context(domain)))
        stack.callback(bench.close)
        for command in commands:
            stack.enter_context(_process(command, domain))
        yield bench


@contextmanager
def _process(command: list[str], domain: int) -> Iterator[None]:
    process = subprocess.Popen(command, env={**os.environ, "ROS_DOMAIN_ID": str(domain)})
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=END_S)


@contextmanager
def pictures(video: Path) -> Iterator[tuple[Path, list[np.ndarray]]]:
    """The first images of the video at `SIZE`: a folder of them, and the arrays."""
    with tempfile.TemporaryDirectory(prefix="pose-load-") as name:
        folder, images = Path(name), []
        for frame in open_source(Pose2DParams(source=str(video))):
            images.append(cv2.resize(frame.bgr, SIZE, interpolation=cv2.INTER_AREA))
            cv2.imwrite(str(folder / f"{len(images):03d}.jpg"), images[-1])
            if len(images) == IMAGES_HELD:
                break
        yield folder, images
