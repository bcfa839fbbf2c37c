"""`pose play`: a bag to stages in other processes, under the clock of the bag, and no faster than they take it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_msgs.msg import People3D
from rclpy.executors import Executor, SingleThreadedExecutor
from rosgraph_msgs.msg import Clock

from pose_core.callbacks import Progress
from pose_core.system.exits import Failed
from pose_core.system.signals import Signals
from pose_core.units import NS_PER_S
from pose_ros import topics
from pose_ros.conversions import stamp_from_ns, stamp_to_ns
from pose_ros.domains import own_context
from pose_ros.listeners import Listeners
from pose_ros.qos import RESULTS
from pose_tools.bag.namespaces import input_of
from pose_tools.bag.reader import BagMessage
from pose_tools.bag.stated import Stated, stated_in
from pose_tools.graph.replay import UNDERSTOOD_S, Player, read_input

LISTENERS_S = 60.0
"""How long stages may take until they listen: they load networks first."""

FIRST_ANSWER_S, ANSWER_S = 15.0, 5.0
"""How long a frame may take to come out, until the first one did and after that: it was dropped by then."""

GIVE_UP = 3
"""Frames of which nothing came out after which no further one is sent."""

SETTLE_S = 0.5
"""How long the last markers may take to those who record them."""


@dataclass(frozen=True)
class Play:
    """What to play, and to whom."""

    bag: Path
    images: bool = False
    namespace: str | None = None
    """Of the robot in the bag."""
    image_topic: str = ""
    camera_info: str = ""
    transport: str = ""
    """raw or compressed, where the bag has both."""
    rate: float = 1.0
    """Of the bag's time to that of the machine, where the stages keep up; 0: as fast as they take it."""
    subjects: bool = True
    """Whether to state the heights that the bag states."""
    wait_for: tuple[str, ...] = ()
    """Nodes that must listen before the first frame, beside the stages."""


class ClockPlayer(Player):
    """Sends frames with their time on /clock, and counts what comes out."""

    def __init__(self, kinds: dict[str, type], stated: Stated, **node_options: Any) -> None:
        super().__init__(kinds, stated, **node_options)
        self.out: set[int] = set()
        """Stamps of refined people, ns."""
        self._time_outlet = self.create_publisher(Clock, "/clock", RESULTS)
        self.create_subscription(People3D, topics.REFINED, self._on_refined, RESULTS)

    def send(self, frame: list[BagMessage]) -> None:
        """Set the clock to a frame and publish it."""
        self._time_outlet.publish(Clock(clock=stamp_from_ns(frame[-1].stamp)))
        super().send(frame)

    def _on_refined(self, message: People3D) -> None:
        self.out.add(stamp_to_ns(message.header.stamp))


def play(
    job: Play, progress: Progress, ros_args: tuple[str, ...] = (), wait_s: float = LISTENERS_S
) -> dict[str, Any]:
    """Send a bag, one frame at a time, when its time has come and the frame before has come out. Returns what came out.

    `wait_s`: how long to wait for the stages. `ros_args`: remappings and the like, as after --ros-args.

    Raises ValueError for a bag that has nothing to send, Failed where the stages do not come, or nothing comes out of them.
    """
    found = input_of(
        job.bag,
        images=job.images,
        namespace=job.namespace,
        image_topic=job.image_topic,
        camera_info=job.camera_info,
        transport=job.transport,
    )
    kinds, frames = read_input(job.bag, found)
    stated = stated_in(job.bag, found.namespace)
    if not job.subjects:
        stated = stated.without_subjects()
    names = ("pose2d", "lift3d", "refine") if job.images else ("lift3d", "refine")
    awaited = (*names, *job.wait_for)
    with Signals() as signals, own_context() as context:
        cli_args = ["--ros-args", *ros_args] if ros_args else None
        player = ClockPlayer(kinds, stated, context=context, cli_args=cli_args)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(player)
        try:
            waited = Listeners(player, awaited)
            _spin(executor, signals, lambda: not waited.missing(), wait_s)
            if signals.received:
                raise Failed("interrupted before the first frame")
            if missing := waited.missing():
                raise Failed(
                    f"{' and '.join(missing)} did not come in {wait_s:.0f} s, nothing was played; see their log"
                )
            player.state()
            _spin(executor, signals, player.is_understood, UNDERSTOOD_S)
            if differences := player.differences():
                player.get_logger().warning(differences)
            sent = _send(player, executor, signals, frames, job.rate, progress)
            _spin(executor, signals, lambda: False, SETTLE_S)
        finally:
            executor.shutdown()
            player.destroy_node()
    lost = sum(frame[-1].stamp not in player.out for frame in frames[:sent])
    result: dict[str, Any] = {"bag": str(job.bag), "namespace": found.namespace or "/", "frames": len(frames)}
    result |= {"sent": sent, "came_out": sent - lost}
    if lost == sent:
        return result | {"failure": f"nothing came out of the stages for {sent} frames; see their log"}
    if lost:
        return result | {"failure": f"{lost} of {sent} frames did not come out of the stages; see their log"}
    if sent < len(frames):
        return result | {"failure": f"interrupted after {sent} of {len(frames)} frames"}
    return result


def _send(
    player: ClockPlayer,
    executor: Executor,
    signals: Signals,
    frames: list[list[BagMessage]],
    rate: float,
    progress: Progress,
) -> int:
    """The number of frames that were sent."""
    first, started = frames[0][-1].stamp, time.monotonic()
    for done, frame in enumerate(frames):
        stamp = frame[-1].stamp
        due = started + (stamp - first) / NS_PER_S / rate if rate else -math.inf
        _spin(executor, signals, lambda: False, due - time.monotonic())
        if signals.received:
            return done
        player.send(frame)
        patience = ANSWER_S if player.out else FIRST_ANSWER_S
        _spin(executor, signals, lambda stamp=stamp: stamp in player.out, patience)  # type: ignore[misc]
        progress(done + 1, len(frames))
        if not player.out and done + 1 == GIVE_UP:
            return done + 1
    return len(frames)


def _spin(executor: Executor, signals: Signals, done: Callable[[], bool], seconds: float) -> None:
    """Let `executor` work until it is `done`, a signal came, or that long."""
    deadline = time.monotonic() + seconds
    while not signals.received and not done() and (left := deadline - time.monotonic()) > 0.0:
        executor.spin_once(timeout_sec=min(left, 0.05))
