"""`pose bench`: ratios, each measured side by side in one run, because absolute times depend on the machine and its load."""

from __future__ import annotations

import gc
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from pose_msgs.msg import People2D as People2DMsg
from pose_msgs.msg import People3D as People3DMsg
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import deserialize_message, serialize_message

from pose2d_node.params import Pose2DParams
from pose2d_node.sources import open_source
from pose_core import assets
from pose_core.callbacks import Say
from pose_core.people import JointState, People2D, People3D, Person2D, Person3D, ScaleSource, StageTime
from pose_core.skeleton import MEDIAPIPE33
from pose_ros import topics
from pose_ros.conversions import people2d_from_msg, people2d_to_msg, people3d_from_msg, people3d_to_msg
from pose_ros.domains import own_context, private_domain
from pose_ros.qos import RESULTS
from pose_tools.bench.draw import draw_speed
from pose_tools.bench.load import load_table
from pose_tools.bench.process import bare_landmarker, detect, speed
from pose_tools.bench.start import module_process, start
from pose_tools.graph.demo import VIDEO
from pose_tools.graph.graph import DEFAULT_EXECUTOR, EXECUTORS, Setup
from pose_tools.graph.live import Run, run
from pose_tools.graph.report import latencies, percentiles
from pose_tools.graph.workspace import config_file

MESSAGE_ROUNDS = 500
CAMERA_FPS = 15.0
LATENCY_FRAMES = 200
MEMORY_STEP_S = 10.0
SETTLE_SHARE = 0.2
"""Share of the memory run at its start that does not count for the slope: caches fill and windows grow."""
SEPARATE_S = 20.0
PAGE = os.sysconf("SC_PAGE_SIZE")


def bench(*, minutes: float, rounds: int, say: Say) -> dict[str, Any]:
    """All measurements; `rounds` of each comparison, interleaved."""
    video = assets.path(VIDEO)
    result: dict[str, Any] = {"message_ms_per_person": message_cost()}
    say(
        f"messages: {result['message_ms_per_person']:.3f} ms of Python per person and image through all topics"
    )
    with camera_film(video) as film:
        result["latency_ms"] = {
            "composed": composed_latency(film),
            "separate processes": separate_latency(film),
        }
    for name, values in result["latency_ms"].items():
        say(f"{name}: age without detection p50 {values['overhead']['p50']:.1f} ms")
    result["load"] = load_table(say)
    result["start"] = start(rounds, say)
    result["throughput"] = throughput(video, rounds, say)
    result["process"] = speed(video, rounds, say)
    result["draw"] = draw_speed(video, say)
    if minutes:
        result["memory"] = memory(video, minutes, say)
    return result


def throughput(video: Path, rounds: int, say: Say) -> dict[str, Any]:
    """Images per second of a bare MediaPipe loop over decoded frames and of the whole graph under each executor.

    The graph decodes, tracks, lifts, refines and publishes as well; the ratio is that of medians over rounds.
    """
    images = [(frame.stamp, frame.bgr) for frame in open_source(Pose2DParams(source=str(video)))]
    rates: dict[str, list[float]] = {"mediapipe": [], **{name: [] for name in EXECUTORS}}
    for number in range(rounds):
        rates["mediapipe"].append(_bare_rate(images))
        for name in EXECUTORS:
            rates[name].append(run(Run(_setup(video, executor=name)))["fps"])
        say(
            f"round {number + 1} of {rounds}: "
            + ", ".join(f"{name} {values[-1]:.1f} fps" for name, values in rates.items())
        )
    bare = statistics.median(rates["mediapipe"])
    ratios = {name: statistics.median(rates[name]) / bare for name in EXECUTORS}
    return {"mediapipe_fps": bare, "ratio": ratios}


def _bare_rate(images: list[tuple[int, np.ndarray]]) -> float:
    """Images per second of MediaPipe called by itself: colour conversion, detection, nothing else."""
    with bare_landmarker() as landmarker:
        start = 0.0
        for number, (stamp, bgr) in enumerate(images):
            detect(landmarker, bgr, stamp // 1_000_000)
            if number == 0:  # like the graph's rate, from first result to last
                start = time.perf_counter()
        return (len(images) - 1) / (time.perf_counter() - start)


@contextmanager
def camera_film(video: Path) -> Iterator[Path]:
    """The video at `CAMERA_FPS`, a rate at which no image waits for the one before on two cores: a film to play in real time."""
    with tempfile.TemporaryDirectory(prefix="pose-bench-") as folder:
        film = Path(folder) / "camera.mp4"
        writer = None
        for frame in open_source(Pose2DParams(source=str(video))):
            height, width = frame.bgr.shape[:2]
            code = cv2.VideoWriter_fourcc(*"mp4v")  # type: ignore[attr-defined]
            writer = writer or cv2.VideoWriter(str(film), code, CAMERA_FPS, (width, height))
            writer.write(frame.bgr)
        if writer is not None:
            writer.release()
        yield film


def composed_latency(film: Path) -> dict[str, dict[str, float]]:
    """Ages in ms with all stages in one process and the film played like a camera."""
    result: dict[str, dict[str, float]] = run(
        Run(_setup(film, live=True, loop=True), max_frames=LATENCY_FRAMES)
    )["latency_ms"]
    return result


def separate_latency(film: Path) -> dict[str, dict[str, float]]:
    """The same with each stage in a process of its own, as the launch file starts them."""
    ages: dict[str, list[float]] = {}

    def add(message: People3DMsg) -> None:
        for name, value in latencies(people3d_from_msg(message).times).items():
            ages.setdefault(name, []).append(value)

    with ExitStack() as stack:
        domain = stack.enter_context(private_domain())
        context = stack.enter_context(own_context(domain))
        node = rclpy.create_node("pose_bench", context=context)
        stack.callback(node.destroy_node)
        node.create_subscription(People3DMsg, topics.REFINED, add, RESULTS)
        executor = SingleThreadedExecutor(context=context)
        stack.callback(executor.shutdown)
        executor.add_node(node)
        for package in ("refine_node", "lift3d_node"):
            stack.enter_context(module_process(package, domain))
        source = ("-p", f"source:={film}", "-p", "real_time:=true", "-p", "loop:=true")
        stack.enter_context(module_process("pose2d_node", domain, "--ros-args", *source))
        deadline = time.monotonic() + SEPARATE_S
        while time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
    if not ages:
        raise RuntimeError("no refined message came from the separate processes; run `pose doctor`")
    return {name: percentiles(values[len(values) // 4 :]) for name, values in ages.items()}


def message_cost() -> float:
    """Median ms to build, serialize, deserialize and read one person's messages on all people topics."""
    joints = len(MEDIAPIPE33)
    rng = np.random.default_rng(0)
    times = tuple(StageTime(name, 1, 2) for name in ("source", "detect", "pose2d", "lift3d", "refine"))
    flat = Person2D("p1", 0.9, np.array([1.0, 2.0, 3.0, 4.0]), rng.random((joints, 2)), rng.random(joints))
    solid = Person3D(
        "p1",
        0.9,
        rng.random((joints, 3)),
        rng.random(joints),
        rng.random(3),
        rng.random(joints),
        np.full(joints, JointState.LIFTED, np.uint8),
        1.7,
        0.1,
        ScaleSource.SUBJECT,
    )
    people2d = People2D(1, "camera_optical_frame", MEDIAPIPE33.name, 1080, 1920, (flat,), times)
    people3d = People3D(1, "camera_optical_frame", MEDIAPIPE33.name, (solid,), times=times)
    spans = []
    for _ in range(MESSAGE_ROUNDS):
        start = time.perf_counter()
        people2d_from_msg(deserialize_message(serialize_message(people2d_to_msg(people2d)), People2DMsg))
        for _topic in (topics.WORLD, topics.LIFTED, topics.REFINED):
            people3d_from_msg(deserialize_message(serialize_message(people3d_to_msg(people3d)), People3DMsg))
        spans.append(time.perf_counter() - start)
    return statistics.median(spans) * 1e3


def memory(video: Path, minutes: float, say: Say) -> dict[str, float]:
    """Resident memory in MB over a loop of the video through the whole graph: start and end of the settled part, slope."""
    started = time.monotonic()
    samples: list[tuple[float, float]] = []

    def sample(frames: int) -> None:
        now = time.monotonic() - started
        if not samples or now - samples[-1][0] >= MEMORY_STEP_S:
            gc.collect()
            samples.append((now, _resident_mb()))
            say(f"{now / 60:4.1f} of {minutes:g} min, {frames} images, {samples[-1][1]:.0f} MB")

    run(Run(_setup(video, loop=True), max_seconds=60 * minutes, progress=sample))
    settled = np.array([s for s in samples if s[0] >= SETTLE_SHARE * 60 * minutes] or samples)
    slope = float(np.polyfit(settled[:, 0] / 60, settled[:, 1], 1)[0]) if len(settled) > 1 else 0.0
    return {
        "minutes": minutes,
        "start_mb": settled[0, 1],
        "end_mb": settled[-1, 1],
        "slope_mb_per_min": slope,
    }


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def _setup(video: Path, *, live: bool = False, executor: str = DEFAULT_EXECUTOR, loop: bool = False) -> Setup:
    return Setup(
        params_file=config_file("live.yaml"),
        overrides={"pose2d": {"source": str(video), "real_time": live, "loop": loop}},
        executor=executor,
        live=live,
        private=True,
    )
