"""How long nodes and commands take to start: what they import, and when a node's first result is there.

Processor time is told beside time on the clock, which on a machine with other work is mostly waiting. It is a ratio, too: of
imports to that of rclpy and NumPy, of a first result to that of the smallest node there can be, in the same rounds.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from pose_msgs.msg import People2D as People2DMsg
from pose_msgs.msg import People3D as People3DMsg
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Empty
from visualization_msgs.msg import MarkerArray

from pose_core import assets
from pose_core.callbacks import Say
from pose_core.people import JointState, People2D, People3D, Person2D, Person3D, ScaleSource
from pose_core.skeleton import MEDIAPIPE33
from pose_ros import topics
from pose_ros.conversions import people2d_to_msg, people3d_to_msg
from pose_ros.domains import own_context, private_domain
from pose_ros.qos import RESULTS
from pose_tools.graph.demo import VIDEO

YARDSTICK = "rclpy, numpy"
IMPORTS = {
    YARDSTICK: "import rclpy, numpy",
    "pose --help": "import pose_tools.cli.main",
    "pose doctor": "import pose_tools.cli.main, pose_tools.doctor.report",
    "pose live": "import pose_tools.cli.main, pose_tools.graph.live",
    "pose2d": "import pose2d_node.node",
    "mediapipe": "from pose2d_node.mediapipe_detector import mediapipe_tasks; mediapipe_tasks()",
    "lift3d": "import lift3d_node.node",
    "refine": "import refine_node.node",
    "viz": "import pose_viz.node",
}
"""What is imported until a command or node begins with its own work; `mediapipe` comes on top where people are looked for."""

SMALLEST = "smallest node"
SMALLEST_NODE = """
import rclpy
from std_msgs.msg import Empty
rclpy.init()
node = rclpy.create_node("smallest")
publisher = node.create_publisher(Empty, "smallest", 10)
node.create_timer(0.01, lambda: publisher.publish(Empty()))
rclpy.spin(node)
"""
PERIOD = 1.0 / 30.0
PATIENCE_S = 60.0

Message = Any


def start(rounds: int, say: Say) -> dict[str, Any]:
    """Medians of `rounds`: imports and first results. Raises RuntimeError where no result comes."""
    imports = _imports(rounds)
    for name, values in imports.items():
        say(
            f"imports of {name}: {values['cpu_s']:.2f} s of processor time, {values['ratio']:.2f} of {YARDSTICK}"
        )
    first: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name, measure in _FIRST.items():
            first.setdefault(name, []).append(measure())
    results = {}
    smallest = statistics.median(cpu for _, cpu in first[SMALLEST])
    for name, spans in first.items():
        wall, cpu = (statistics.median(values) for values in zip(*spans, strict=True))
        results[name] = {"wall_s": wall, "cpu_s": cpu, "ratio": cpu / smallest}
        say(
            f"first result of {name}: {wall:.2f} s, {cpu:.2f} s of processor time, {cpu / smallest:.2f} of {SMALLEST}"
        )
    return {"imports": imports, "first_result": results}


def _imports(rounds: int) -> dict[str, dict[str, float]]:
    spans: dict[str, list[float]] = {}
    for _ in range(rounds):
        bare = _cpu_of("pass")
        for name, code in IMPORTS.items():
            spans.setdefault(name, []).append(_cpu_of(code) - bare)
    medians = {name: statistics.median(values) for name, values in spans.items()}
    return {name: {"cpu_s": cpu, "ratio": cpu / medians[YARDSTICK]} for name, cpu in medians.items()}


def _cpu_of(code: str) -> float:
    """Seconds of processor time, in all, of a Python that runs `code`."""
    process = subprocess.Popen([sys.executable, "-c", code])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"python -c '{code}' failed; run `pose doctor`")
    return usage.ru_utime + usage.ru_stime


@contextmanager
def module_process(module: str, domain: int, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module` with these words, in a ROS domain; interrupted at the end."""
    with _process(["-m", module, *words], domain) as process:
        yield process


@contextmanager
def _process(words: list[str], domain: int) -> Iterator[subprocess.Popen[bytes]]:
    environ = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    process = subprocess.Popen([sys.executable, *words], env=environ, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=PATIENCE_S)


def _first(
    words: list[str], kind: type, topic: str, feed: tuple[type, str, Callable[[int], Message]] | None = None
) -> tuple[float, float]:
    """Seconds on the clock and of processor time from the start of a process until its first message on `topic`.

    `feed`: kind, topic and maker (of a stamp in ns) of the messages that it works on.
    """
    came: list[float] = []
    with ExitStack() as stack:
        domain = stack.enter_context(private_domain())
        context = stack.enter_context(own_context(domain))
        node = rclpy.create_node("pose_bench", context=context)
        stack.callback(node.destroy_node)
        node.create_subscription(kind, topic, lambda _: came.append(time.monotonic()), RESULTS)
        if feed is not None:
            feed_kind, feed_topic, make = feed
            publisher: Any = node.create_publisher(feed_kind, feed_topic, RESULTS)
            node.create_timer(PERIOD, lambda: publisher.publish(make(time.time_ns())))
        executor = SingleThreadedExecutor(context=context)
        stack.callback(executor.shutdown)
        executor.add_node(node)
        begun = time.monotonic()
        process = stack.enter_context(_process(words, domain))
        while not came:
            executor.spin_once(timeout_sec=0.05)
            if time.monotonic() - begun > PATIENCE_S or process.poll() is not None:
                raise RuntimeError(
                    f"no message came on {topic} from {' '.join(words)[:60]}; run `pose doctor`"
                )
        return came[0] - begun, _cpu_until_now(process.pid)


def _cpu_until_now(process: int) -> float:
    """Seconds of processor time of a process and its threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _people2d(stamp: int) -> Message:
    chance = np.random.default_rng(0)
    xy_px = chance.uniform(300.0, 700.0, (len(MEDIAPIPE33), 2))
    box_px = np.concatenate([xy_px.min(0), xy_px.max(0)])
    person = Person2D("p1", 0.9, box_px, xy_px, np.full(len(MEDIAPIPE33), 0.9))
    return people2d_to_msg(People2D(stamp, "camera", MEDIAPIPE33.name, 1080, 1920, (person,)))


def _people3d(stamp: int) -> Message:
    joints = len(MEDIAPIPE33)
    person = Person3D(
        "p1",
        0.9,
        np.random.default_rng(0).uniform(-0.5, 0.5, (joints, 3)) + np.array([0.0, 0.0, 3.0]),
        np.full(joints, 0.02),
        np.full(3, 0.05),
        np.full(joints, 0.9),
        np.full(joints, JointState.LIFTED, np.uint8),
        1.7,
        0.1,
        ScaleSource.SUBJECT,
    )
    return people3d_to_msg(People3D(stamp, "camera", MEDIAPIPE33.name, (person,)))


def _video_args() -> tuple[str, str]:
    return "-p", f"source:={assets.path(VIDEO)}"


_FIRST: dict[str, Callable[[], tuple[float, float]]] = {
    SMALLEST: lambda: _first(["-c", SMALLEST_NODE], Empty, "smallest"),
    "pose2d": lambda: _first(
        ["-m", "pose2d_node", "--ros-args", *_video_args(), "-p", "real_time:=true", "-p", "loop:=true"],
        People2DMsg,
        topics.PEOPLE2D,
    ),
    "lift3d": lambda: _first(
        ["-m", "lift3d_node"], People3DMsg, topics.LIFTED, (People2DMsg, topics.PEOPLE2D, _people2d)
    ),
    "refine": lambda: _first(
        ["-m", "refine_node"], People3DMsg, topics.REFINED, (People3DMsg, topics.LIFTED, _people3d)
    ),
    "viz": lambda: _first(
        ["-m", "pose_viz"], MarkerArray, topics.MARKERS, (People3DMsg, topics.REFINED, _people3d)
    ),
    "pose live": lambda: _first(
        ["-m", "pose_tools", "live", "--source", str(assets.path(VIDEO))], People3DMsg, topics.REFINED
    ),
}
