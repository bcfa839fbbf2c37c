"""`pose play`: a bag to stages of other processes, which here are threads on the same domain."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from pose_msgs.msg import People3D
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from lift3d_node.node import Lift3DNode
from pose_core.callbacks import no_progress
from pose_core.config import StageParams
from pose_core.people import People2D, Person2D
from pose_core.skeleton import MEDIAPIPE33
from pose_core.system.exits import Failed
from pose_core.units import NS_PER_S
from pose_ros import topics
from pose_ros.conversions import stamp_to_ns
from pose_ros.domains import own_context, private_domain
from pose_ros.messages import names
from pose_ros.qos import RESULTS
from pose_ros.stage import Stage
from pose_tools.bag.messages import serialize
from pose_tools.bag.messages import writer as message_writer
from pose_tools.bag.reader import read
from pose_tools.bag.topics import Topic
from pose_tools.bag.writer import BagWriter, Recording
from pose_tools.graph import play as module
from pose_tools.graph.play import Play, play
from pose_tools.graph.recorder import Recorder
from refine_node.node import RefineNode

FRAMES = 12
STAMPS = [NS_PER_S + i * NS_PER_S // 30 for i in range(FRAMES)]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who stands, of a robot called left."""
    folder = tmp_path_factory.mktemp("bags") / "bag"
    xy = np.stack([np.full(33, 320.0), np.linspace(60.0, 420.0, 33)], axis=1)
    person = Person2D("p1", 0.9, np.array([280.0, 50.0, 360.0, 430.0]), xy, np.full(33, 0.9))
    with BagWriter(folder, [Topic("/left/pose2d/people", names.PEOPLE2D)]) as writer:
        for stamp in STAMPS:
            people = People2D(stamp, "camera", MEDIAPIPE33.name, 640, 480, (person,))
            writer.write("/left/pose2d/people", serialize(message_writer().people2d(people)))
    return folder


class Deaf(Stage[StageParams]):
    """A refining stage that hears everybody and says nothing."""

    def __init__(self, **node_options: object) -> None:
        super().__init__("refine", StageParams, **node_options)

    def on_start(self) -> None:
        self.publish_on(People3D, topics.REFINED)
        self.listen(People3D, topics.LIFTED, lambda message: None)


Spin = Callable[..., list[Node]]


@pytest.fixture
def spun(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spin]:
    """`spun(make, ...)` makes nodes of a context and spins them in a thread, on the domain that `play` then uses."""
    with ExitStack() as stack:
        domain = stack.enter_context(private_domain())
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        context: Context = stack.enter_context(own_context(domain))
        executor = SingleThreadedExecutor(context=context)
        ended = threading.Event()

        def work() -> None:
            while not ended.is_set():
                executor.spin_once(timeout_sec=0.05)

        thread = threading.Thread(target=work)

        def spin(*makes: Callable[..., Node]) -> list[Node]:
            nodes = [make(context=context, namespace="left") for make in makes]
            for node in nodes:
                executor.add_node(node)
                stack.callback(node.destroy_node)
            thread.start()
            stack.callback(executor.shutdown)
            stack.callback(thread.join)
            stack.callback(ended.set)
            return nodes

        yield spin


LEFT = ("-r", "__ns:=/left")


def test_every_frame_comes_out_and_is_recorded_under_the_clock_of_the_bag(
    spun: Spin, bag: Path, tmp_path: Path
) -> None:
    """73 of 100 reached a recorder that came late."""
    clock: list[int] = []

    def listener(**options: object) -> Node:
        node = Node("clock_listener", **options)  # type: ignore[arg-type]
        node.create_subscription(Clock, "/clock", lambda m: clock.append(stamp_to_ns(m.clock)), RESULTS)
        return node

    with Recording(tmp_path / "again") as writer:
        spun(Lift3DNode, RefineNode, listener, lambda **options: Recorder(writer, **options))
        done: list[int] = []
        result = play(
            Play(bag, rate=0.0, wait_for=("pose_recorder",)),
            lambda count, total: done.append(count),
            LEFT,
        )
    assert "failure" not in result
    assert (result["namespace"], result["frames"], result["sent"], result["came_out"]) == (
        "/left",
        *(FRAMES, FRAMES, FRAMES),
    )
    assert done == list(range(1, FRAMES + 1))
    assert clock == STAMPS
    for topic in (topics.PEOPLE2D, topics.LIFTED, topics.REFINED):
        assert [message.stamp for message in read(tmp_path / "again", [f"/left/{topic}"])] == STAMPS


def test_without_stages_nothing_is_sent(spun: Spin, bag: Path) -> None:
    spun()
    with pytest.raises(Failed, match="lift3d and refine did not come in 0 s, nothing was played"):
        play(Play(bag), no_progress, LEFT, wait_s=0.2)


def test_where_nothing_comes_out_it_says_so_and_does_not_go_on(
    spun: Spin, bag: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_ANSWER_S", 0.05)
    spun(Lift3DNode, Deaf)
    result = play(Play(bag, rate=0.0), no_progress, LEFT)
    assert result["failure"] == f"nothing came out of the stages for {module.GIVE_UP} frames; see their log"
    assert (result["sent"], result["came_out"]) == (module.GIVE_UP, 0)
