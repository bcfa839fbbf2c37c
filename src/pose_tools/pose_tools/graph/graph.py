"""All stages in one process: the same nodes as the launch file starts, one executor, one report."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pose_msgs.msg import People2D as People2DMsg
from pose_msgs.msg import People3D as People3DMsg
from rclpy.context import Context
from rclpy.executors import Executor, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from lift3d_node.node import Lift3DNode
from pose2d_node.node import Pose2DNode
from pose_core.people import People2D, People3D
from pose_core.system.exits import refused
from pose_core.system.threads import one_blas_thread
from pose_ros import topics
from pose_ros.conversions import people2d_from_msg, people3d_from_msg
from pose_ros.domains import own_context, private_domain
from pose_ros.qos import RESULTS
from pose_ros.stage import Stage
from pose_tools.parameters.chosen import Values
from pose_viz.node import VizNode
from refine_node.node import RefineNode

STAGES: dict[str, type[Stage[Any]]] = {
    "pose2d": Pose2DNode,
    "lift3d": Lift3DNode,
    "refine": RefineNode,
    "viz": VizNode,
}
"""Node name and class of each stage, in processing order."""

EXECUTORS: dict[str, Callable[[Context], Executor]] = {
    "events": lambda context: EventsExecutor(context=context),
    "single": lambda context: SingleThreadedExecutor(context=context),
    "multi": lambda context: MultiThreadedExecutor(num_threads=2, context=context),
}
DEFAULT_EXECUTOR = "events"
"""The best in `pose bench` (docs/performance.md): it builds no wait set for each message, takes a tenth of the processor time
for one, and keeps its rate under load."""

DISCOVERY_S = 0.5
"""How long nodes of other processes are given to show themselves."""

IN_FLIGHT = 3
"""Images between grabbing and the refined message: enough to overlap detection with the later stages."""

STALL_S = 10.0
"""An image that has not come out after this long was dropped by a stage; the next one may go in."""


class Pace:
    """Lets an image into the graph when fewer than `IN_FLIGHT` are inside, so that no stage has to drop one."""

    def __init__(self, patience_s: float = STALL_S) -> None:
        self._patience_s = patience_s
        self._free = threading.Semaphore(IN_FLIGHT)
        self._stop = threading.Event()
        self._open = threading.Event()
        self.stalls = 0

    def open(self) -> None:
        """Everything is connected: let the first images in."""
        self._open.set()

    def stop(self) -> None:
        """Let no further image in; a waiting source returns at once."""
        self._stop.set()
        self._open.set()
        self._free.release()

    def __call__(self) -> bool:
        """Wait for a free place. False when the source shall stop."""
        self._open.wait()
        if not self._stop.is_set() and not self._free.acquire(timeout=self._patience_s):
            self.stalls += 1
            self._free.release(IN_FLIGHT - 1)  # those inside are lost, and this one goes in
        return not self._stop.is_set()

    def done(self) -> None:
        """An image has come out at the end."""
        self._free.release()


class OpenDoor(Pace):
    """For live sources, which drop images themselves: waits for the connections only."""

    def __call__(self) -> bool:
        self._open.wait()
        return not self._stop.is_set()


@dataclass(frozen=True)
class Bundle:
    """What the graph made of one image."""

    stamp: int
    people2d: People2D
    lifted: People3D
    refined: People3D


@dataclass
class _Parts:
    people2d: People2D | None = None
    lifted: People3D | None = None
    refined: People3D | None = None


class Monitor(Node):
    """Puts the results of each image together and hands them to `observers`, in order of stamps."""

    KEEP = 32

    def __init__(self, pace: Pace, **node_options: Any) -> None:
        super().__init__("pose_monitor", **node_options)
        self.observers: list[Callable[[Bundle], None]] = []
        self.last_stamp = 0
        """Of the last image whose results are complete, ns."""
        self._pace = pace
        self._parts: dict[int, _Parts] = {}
        self.create_subscription(People2DMsg, topics.PEOPLE2D, self._on_people2d, RESULTS)
        self.create_subscription(People3DMsg, topics.LIFTED, self._on_lifted, RESULTS)
        self.create_subscription(People3DMsg, topics.REFINED, self._on_refined, RESULTS)

    def _on_people2d(self, message: People2DMsg) -> None:
        people = people2d_from_msg(message)
        self._part(people.stamp).people2d = people
        self._complete(people.stamp)

    def _on_lifted(self, message: People3DMsg) -> None:
        people = people3d_from_msg(message)
        self._part(people.stamp).lifted = people
        self._complete(people.stamp)

    def _on_refined(self, message: People3DMsg) -> None:
        self._pace.done()
        people = people3d_from_msg(message)
        self._part(people.stamp).refined = people
        self._complete(people.stamp)

    def _part(self, stamp: int) -> _Parts:
        while len(self._parts) > self.KEEP:
            self._parts.pop(next(iter(self._parts)))
        return self._parts.setdefault(stamp, _Parts())

    def _complete(self, stamp: int) -> None:
        parts = self._parts[stamp]
        if parts.people2d is None or parts.lifted is None or parts.refined is None:
            return
        del self._parts[stamp]
        self.last_stamp = stamp
        for observer in self.observers:
            observer(Bundle(stamp, parts.people2d, parts.lifted, parts.refined))


@dataclass
class Setup:
    """Which stages run in this process, and with which parameters beyond the YAML file."""

    params_file: Path | None = None
    stages: tuple[str, ...] = tuple(STAGES)
    overrides: Values = field(default_factory=dict)
    namespace: str = ""
    executor: str = DEFAULT_EXECUTOR
    live: bool = False
    """Images come when they come, as from a camera: each stage works on the newest. Otherwise every image is processed, and the
    source waits for the stages."""
    ros_args: tuple[str, ...] = ()
    """Remappings and the like, as after --ros-args."""
    private: bool = False
    """On a ROS domain of its own, unless ROS_DOMAIN_ID asks for one: no other node can disturb the run."""


class Graph:
    """The stages, a monitor and their executor. `start` makes the stages, `close` takes everything down."""

    def __init__(self, setup: Setup, context: Context) -> None:
        self.setup = setup
        self.context = context
        self.pace: Pace = OpenDoor() if setup.live else Pace()
        self.executor = EXECUTORS[setup.executor](context)
        self.nodes: dict[str, Node] = {}
        """Stages and further nodes by name."""
        self.monitor = Monitor(self.pace, **self.node_options)
        self.executor.add_node(self.monitor)

    def start(self) -> None:
        """Make the stages. Raises WrongConfiguration for parameters that one of them refuses, or another ValueError for what does
        not answer now; `close` is due then, too."""
        try:
            for name in self.setup.stages:
                self.add(self._stage(name))
        except ValueError as error:
            raise refused(error) from error

    @property
    def node_options(self) -> dict[str, Any]:
        """Of every node that belongs to this graph: its namespace and remappings are the same."""
        return {
            "context": self.context,
            "namespace": self.setup.namespace or None,
            "cli_args": ["--ros-args", *self.setup.ros_args] if self.setup.ros_args else None,
        }

    def _stage(self, name: str) -> Node:
        arguments = list(self.setup.ros_args)
        if self.setup.params_file is not None:
            arguments += ["--params-file", str(self.setup.params_file)]
        extra: dict[str, Any] = {"gate": self.pace} if name == "pose2d" else {}
        return STAGES[name](
            context=self.context,
            namespace=self.setup.namespace or None,
            cli_args=["--ros-args", *arguments] if arguments else None,
            parameter_overrides=[Parameter(k, value=v) for k, v in self._values(name).items()],
            **extra,
        )

    def _values(self, name: str) -> dict[str, bool | int | float | str]:
        lossless = {} if self.setup.live else {"lossless": True}
        return lossless | self.setup.overrides.get(name, {})

    def add(self, node: Node) -> None:
        """Spin a further node, such as a recorder, with the stages."""
        self.nodes[node.get_name()] = node
        self.executor.add_node(node)

    @property
    def pose2d(self) -> Pose2DNode | None:
        """The first stage, None where the set-up leaves it out."""
        node = self.nodes.get("pose2d")
        return node if isinstance(node, Pose2DNode) else None

    @property
    def lift3d(self) -> Lift3DNode:
        """The lifting stage, which every set-up has."""
        node = self.nodes["lift3d"]
        assert isinstance(node, Lift3DNode)
        return node

    @property
    def refine(self) -> RefineNode:
        """The refining stage, which every set-up has."""
        node = self.nodes["refine"]
        assert isinstance(node, RefineNode)
        return node

    def connected(self) -> bool:
        """Whether the publishers and subscriptions of this graph that belong together have all found each other."""
        nodes = [self.monitor, *self.nodes.values()]
        sources = Counter(p.topic_name for node in nodes for p in node.publishers)
        sinks = Counter(s.topic_name for node in nodes for s in node.subscriptions)
        heard = (
            s.get_publisher_count() >= sources[s.topic_name] for node in nodes for s in node.subscriptions
        )
        hearing = (
            p.get_subscription_count() >= sinks[p.topic_name] for node in nodes for p in node.publishers
        )
        return all(heard) and all(hearing)

    def strangers(self) -> list[str]:
        """Result topics that a node outside this graph publishes on, too."""
        own = Counter(p.topic_name for node in self.nodes.values() for p in node.publishers)
        resolved = (
            self.monitor.resolve_topic_name(topic)
            for topic in (topics.PEOPLE2D, topics.LIFTED, topics.REFINED)
        )
        return [topic for topic in resolved if self.monitor.count_publishers(topic) > own[topic]]

    def spin_until(self, condition: Callable[[], bool], step_s: float = 0.05) -> None:
        """Run callbacks until `condition` holds or the context is shut down."""
        while self.context.ok() and not condition():
            self.executor.spin_once(timeout_sec=step_s)

    def close(self) -> None:
        """Stop the source, then take every node down."""
        self.pace.stop()
        for node in [*self.nodes.values(), self.monitor]:
            self.executor.remove_node(node)
            node.destroy_node()
        self.executor.shutdown()


@contextmanager
def running(setup: Setup) -> Iterator[Graph]:
    """A connected graph in a ROS context of its own; taken down at the end.

    Raises ValueError where another pipeline publishes on the same topics: their results would mix.
    """
    with ExitStack() as stack:
        alone = setup.private and "ROS_DOMAIN_ID" not in os.environ
        domain = stack.enter_context(private_domain()) if alone else None
        graph = Graph(setup, stack.enter_context(own_context(domain)))
        stack.callback(graph.close)
        graph.start()
        one_blas_thread()
        graph.spin_until(graph.connected)
        if not alone:
            deadline = time.monotonic() + DISCOVERY_S
            graph.spin_until(lambda: time.monotonic() > deadline)
            if strangers := graph.strangers():
                raise ValueError(
                    f"another node publishes on {' and '.join(strangers)}; stop it, or set another ROS_DOMAIN_ID"
                )
        yield graph
