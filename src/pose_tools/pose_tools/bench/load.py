"""What becomes of rate and age where images come faster than they can be worked on.

The stages run in processes of their own, composed or separate; this process plays the camera and listens to what comes out.
Capacity is measured in the same processes: images go in as results come out, so that none is skipped. All ways of running stand
side by side and are loaded by turns, in rounds, so that whatever else the machine does meets all of them.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
from pose_tools.bench.start import module_process
from pose_tools.graph.demo import VIDEO
from pose_tools.graph.graph import DEFAULT_EXECUTOR
from pose_tools.parameters.chosen import Values

LOADS = (0.5, 1.0, 2.0, 4.0)
"""Images offered per image that can be worked on."""
CAPACITY = 0.0
"""In place of a load: as many as can be worked on."""
COMPARED = ("events", "single")
"""Executors of the composed graph."""
SIZE = (720, 1280)
"""Pixels across and down: those of 720p, upright as the demo video."""
IMAGES_HELD = 40
PACKAGES = {"pose2d": "pose2d_node", "lift3d": "lift3d_node", "refine": "refine_node", "viz": "pose_viz"}
"""Of each stage that the launch file starts."""

START_S = 60.0
ROUNDS = 3
SETTLE_S = 1.0
"""After a change of the load, before anything counts."""
MEASURE_S = 4.0
IN_FLIGHT = 2
"""Images inside while capacity is measured: one is detected while the one before goes through the later stages."""
LOST_S = 1.0
"""An image that has not come out then never will, and the next one goes in."""


@dataclass
class Heard:
    """What came out of the stages in `seconds`."""

    seconds: float = 0.0
    ages_ms: list[float] = field(default_factory=list)
    """Of each refined message."""
    frames: Counter[str] = field(default_factory=Counter)
    """Of each stage, between its first and last diagnostics."""
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, other: Heard) -> None:
        """Take another round in."""
        self.seconds += other.seconds
        self.ages_ms += other.ages_ms
        self.frames += other.frames
        self.skipped += other.skipped

    @property
    def rate_hz(self) -> float:
        """Of the refined messages."""
        return len(self.ages_ms) / self.seconds if self.seconds else 0.0

    def age_ms(self, percent: float) -> float:
        """A percentile of the age of the refined messages."""
        return percentile(self.ages_ms, percent)

    def shares_skipped(self) -> dict[str, float]:
        """Of the input of each stage."""
        stages = sorted(self.frames | self.skipped)
        return {name: self.skipped[name] / (self.frames[name] + self.skipped[name]) for name in stages}


class Bench(Node):
    """The camera and whoever uses the results."""

    def __init__(self, images: list[np.ndarray], context: Context) -> None:
        super().__init__("pose_bench", context=context)
        self.heard = Heard()
        self._first: dict[str, tuple[int, int]] = {}
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

    def spin(self, seconds: float, camera: Callable[[], float] | None = None) -> None:
        """Listen for a while. `camera` says after how many seconds it wants to be called again."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0.0:
            wait = left if camera is None else camera()
            self._executor.spin_once(timeout_sec=max(min(wait, left), 0.0))

    def await_result(self) -> None:
        """Send images, where there are any, until the first result comes. Raises TimeoutError where none does."""
        deadline = time.monotonic() + START_S
        while not self.heard.ages_ms:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no refined message came within {START_S:.0f} s; run `pose doctor`")
            if self._messages:
                self.shoot()
            self.spin(0.2)

    def measure(self, camera: Callable[[], float] | None = None) -> Heard:
        """What comes out in `MEASURE_S` after things have settled."""
        self.spin(SETTLE_S, camera)
        self.heard = Heard()
        self._first.clear()
        self.spin(MEASURE_S, camera)
        self.heard.seconds = MEASURE_S
        return self.heard

    def follow(self) -> Callable[[], float]:
        """A camera that takes an image when one comes out, so that `IN_FLIGHT` are inside."""
        heard, since = self.heard, time.monotonic()
        out = sent = len(heard.ages_ms)

        def tick() -> float:
            nonlocal heard, out, sent, since
            now = time.monotonic()
            if self.heard is not heard:
                heard, out, sent = self.heard, 0, sent - out
            if len(heard.ages_ms) > out:
                out, since = len(heard.ages_ms), now
            if now - since > LOST_S:
                sent, since = out, now
            while sent - out < IN_FLIGHT:
                self.shoot()
                sent += 1
            return LOST_S

        return tick

    def at(self, rate_hz: float) -> Callable[[], float]:
        """A camera of that rate."""
        due = time.monotonic()

        def tick() -> float:
            nonlocal due
            now = time.monotonic()
            if now >= due:
                self.shoot()
                due = max(due + 1.0 / rate_hz, now - 1.0 / rate_hz)
            return due - time.monotonic()

        return tick

    def _on_refined(self, message: People3D) -> None:
        times = message.times
        self.heard.ages_ms.append((times.end[-1] - times.start[0]) * MS_PER_NS)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            stage, counts = node_of(status.name)[1:], _counts(status)
            frames, skipped = self._first.setdefault(stage, counts)
            self.heard.frames[stage] = counts[0] - frames
            self.heard.skipped[stage] = counts[1] - skipped


def _counts(status: DiagnosticStatus) -> tuple[int, int]:
    """Frames and skipped."""
    values = {item.key: item.value for item in status.values}
    return int(values["frames"]), int(values["skipped"])


Way = Callable[[Values], list[list[str]]]
"""Parameters by stage to the processes: for each its module and words."""


def load_table(say: Say) -> dict[str, Any]:
    """Rates and ages by input (raw images on a topic; a recording that `pose2d` plays in real time), way of running and load."""
    ways: dict[str, Way] = {
        "separate processes": separate,
        **{f"composed, {name}": composed(name) for name in COMPARED},
    }
    with pictures(assets.path(VIDEO)) as (folder, images):
        result = {"raw images on a topic": on_topic(ways, images, say)}
        usual = ("separate processes", f"composed, {DEFAULT_EXECUTOR}")
        result["own source"] = {name: own_source(name, ways[name], folder, say) for name in usual}
    return result


def on_topic(ways: Mapping[str, Way], images: list[np.ndarray], say: Say) -> dict[str, Any]:
    """The figures of each way of running, whose images come on a topic."""
    with ExitStack() as stack:
        benches = {name: stack.enter_context(running(way({}), images)) for name, way in ways.items()}
        for bench in benches.values():
            bench.await_result()
        found = {name: {load: Heard() for load in (CAPACITY, *LOADS)} for name in ways}
        for number in range(1, ROUNDS + 1):
            say(f"load, raw images on a topic: round {number} of {ROUNDS}")
            for name, bench in benches.items():
                capacity = bench.measure(bench.follow())
                found[name][CAPACITY].add(capacity)
                for load in LOADS:
                    found[name][load].add(bench.measure(bench.at(load * capacity.rate_hz)))
    return {name: _table(f"{name}, raw images on a topic", heard, say) for name, heard in found.items()}


def own_source(name: str, way: Way, folder: Path, say: Say) -> dict[str, Any]:
    """The figures of one way of running, whose first stage plays the images of `folder` at their rate."""

    def play(**pose2d: float) -> Heard:
        source: Values = {"pose2d": {"source": str(folder), "loop": True, **pose2d}}
        with running(way(source), []) as bench:
            bench.await_result()
            return bench.measure()

    heard = {CAPACITY: play(real_time=False)}
    rate = heard[CAPACITY].rate_hz
    heard |= {load: play(real_time=True, image_rate_hz=load * rate) for load in LOADS}
    return _table(f"{name}, own source", heard, say)


def _table(title: str, heard: dict[float, Heard], say: Say) -> dict[str, Any]:
    capacity = heard[CAPACITY].rate_hz
    say(f"{title}: capacity {capacity:.1f} Hz")
    loads = {}
    for load in LOADS:
        one = heard[load]
        shares = one.shares_skipped()
        loads[f"{load:g}"] = {
            "offered_hz": load * capacity,
            "refined_hz": one.rate_hz,
            "age_p50_ms": one.age_ms(50),
            "age_p95_ms": one.age_ms(95),
            "skipped": shares,
        }
        skipped = ", ".join(f"{stage} {100 * share:.0f} %" for stage, share in shares.items())
        say(
            f"  {load:3g} x: {load * capacity:5.1f} Hz in, {one.rate_hz:5.1f} Hz out, age {one.age_ms(50):4.0f} p50, "
            f"{one.age_ms(95):4.0f} ms p95, skipped {skipped}"
        )
    half, once, most = (heard[load] for load in (LOADS[0], 1.0, LOADS[-1]))
    return {
        "capacity_hz": capacity,
        "loads": loads,
        "rate at 4 over rate at 1": _ratio(most.rate_hz, once.rate_hz),
        "age p50 at 4 over age at 0.5": _ratio(most.age_ms(50), half.age_ms(50)),
        "age p95 at 4 over age at 0.5": _ratio(most.age_ms(95), half.age_ms(95)),
    }


def _ratio(a: float, b: float) -> float:
    return a / b if b else math.nan


def separate(overrides: Values) -> list[list[str]]:
    """Each stage in a process of its own."""
    commands = []
    for stage, package in PACKAGES.items():
        given = [
            word
            for name, value in overrides.get(stage, {}).items()
            for word in ("-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}")
        ]
        commands.append([package, *(("--ros-args", *given) if given else ())])
    return commands


def composed(executor: str) -> Way:
    """All stages in one process, under the executor of this name."""

    def command(overrides: Values) -> list[list[str]]:
        return [["pose_tools.bench.composed", executor, json.dumps(overrides)]]

    return command


@contextmanager
def running(commands: list[list[str]], images: list[np.ndarray]) -> Iterator[Bench]:
    """The stages on a ROS domain of their own, and the bench that feeds them and listens."""
    with ExitStack() as stack:
        domain = stack.enter_context(private_domain())
        bench = Bench(images, stack.enter_context(own_context(domain)))
        stack.callback(bench.close)
        for module, *words in commands:
            stack.enter_context(module_process(module, domain, *words))
        yield bench


@contextmanager
def pictures(video: Path) -> Iterator[tuple[Path, list[np.ndarray]]]:
    """The first images of the video at `SIZE`: a folder of them, and the arrays."""
    with tempfile.TemporaryDirectory(prefix="pose-load-") as name:
        folder, images = Path(name), []
        for frame in open_source(Pose2DParams(source=str(video))):
            images.append(cv2.resize(frame.bgr, SIZE, interpolation=cv2.INTER_AREA))
            cv2.imwrite(
                str(folder / f"{len(images):03d}.bmp"), images[-1]
            )  # decoding is not what is measured
            if len(images) == IMAGES_HELD:
                break
        yield folder, images
