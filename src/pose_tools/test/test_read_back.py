"""What stages must not forget: one is taken down without ceremony, another one begins, and knows what was stated before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pose_msgs import msg as msgs
from pose_msgs.srv import ResetPerson, SetSubject
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from lift3d_node.node import Lift3DNode
from lift3d_node.testing import make_scene
from pose2d_node.estimator import Pose2DEstimator
from pose2d_node.node import Pose2DNode
from pose2d_node.run_token import run_token
from pose2d_node.testing import FakeDetector, figure
from pose2d_node.tracker import Tracker
from pose_core.people import People2D, People3D, Person3D, ScaleSource
from pose_core.units import NS_PER_S
from pose_ros import qos, topics
from pose_ros.conversions import (
    MalformedMessage,
    bodies_from_msg,
    people2d_to_msg,
    people3d_from_msg,
    people3d_to_msg,
    subjects_from_msg,
)
from pose_ros.testing import ros_context, spin_until  # noqa: F401 (pytest finds the fixture by its name)
from pose_viz.node import VizNode
from refine_node.node import RefineNode

pytestmark = pytest.mark.usefixtures("ros_context")

FRAME = NS_PER_S // 20


def shot(stamp: int, person: str = "p1") -> tuple[People2D, People3D]:
    """Somebody of 1.75 m in an image, and the detector's own 3D of them."""
    one = make_scene()
    nan = np.full(33, np.nan)
    solid = Person3D(person, 0.9, one.shape.xyz, nan, np.full(3, np.nan), np.full(33, 0.8), one.shape.state)
    size = (one.camera.width, one.camera.height)
    flat = People2D(stamp, "eye", "mediapipe33", *size, (replace(one.person, id=person),))
    return flat, People3D(stamp, "eye", "mediapipe33", (solid,))


class Probe(Node):
    """Plays the detector, hears everything, and keeps nothing."""

    def __init__(self) -> None:
        super().__init__("probe")
        self.people = self.create_publisher(msgs.People2D, topics.PEOPLE2D, qos.RESULTS)
        self.world = self.create_publisher(msgs.People3D, topics.WORLD, qos.RESULTS)
        self.lifted: list[People3D] = []
        self.refined: list[People3D] = []
        self.subjects: list[Any] = []
        self.bodies: list[Any] = []
        self._hear(msgs.People3D, topics.LIFTED, people3d_from_msg, self.lifted)
        self._hear(msgs.People3D, topics.REFINED, people3d_from_msg, self.refined)
        self._hear(msgs.Subjects, topics.SUBJECTS, subjects_from_msg, self.subjects)
        self._hear(msgs.Bodies, topics.BODIES, bodies_from_msg, self.bodies)
        self.set_subject = self.create_client(SetSubject, "lift3d/set_subject")
        self.reset = self.create_client(ResetPerson, "refine/reset")
        self.stamp = NS_PER_S

    def _hear(self, kind: type, topic: str, read: Callable[[Any], Any], into: list[Any]) -> None:
        def hear(msg: Any) -> None:
            with suppress(MalformedMessage):
                into.append(read(msg))

        self.create_subscription(kind, topic, hear, qos.RESULTS)


class Graph:
    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.probe = Probe()
        self.stages: dict[str, Node] = {}
        executor.add_node(self.probe)

    def until(self, condition: Callable[[], object]) -> None:
        assert spin_until(self.executor, condition)

    def begin(self, name: str, stage: type[Any], **values: Any) -> Any:
        values = {"lossless": True, **values}
        node = stage(parameter_overrides=[Parameter(k, value=v) for k, v in values.items()])
        self.stages[name] = node
        self.executor.add_node(node)
        return node

    def begin_lifting(self) -> Any:
        node = self.begin("lift3d", Lift3DNode, lifter="mediapipe_world")
        self.until(self.probe.set_subject.service_is_ready)
        self.until(
            lambda: (
                self.probe.people.get_subscription_count() == 1 + ("viz" in self.stages)
                and self.probe.world.get_subscription_count() == 1
                and self.probe.count_publishers(topics.LIFTED) == 1
            )
        )
        return node

    def begin_refining(self, **values: Any) -> Any:
        node = self.begin("refine", RefineNode, **values)
        self.until(
            lambda: (
                self.probe.count_publishers(topics.REFINED) == 1
                and self.probe.count_subscribers(topics.LIFTED) == 2
            )
        )
        return node

    def end(self, name: str) -> None:
        node = self.stages.pop(name)
        self.executor.remove_node(node)
        node.destroy_node()

    def lifted(self, person: str = "p1") -> Person3D:
        """What the stage makes of the next image."""
        self.probe.stamp += FRAME
        flat, world = shot(self.probe.stamp, person)
        self.probe.world.publish(people3d_to_msg(world))
        self.probe.people.publish(people2d_to_msg(flat))
        self.until(lambda: self.probe.lifted and self.probe.lifted[-1].stamp == flat.stamp)
        return self.probe.lifted[-1].people[0]

    def call(self, client: Any, request: Any) -> Any:
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        assert future.result().success
        return future.result()

    def heights(self) -> dict[str, float]:
        return {one.person: one.height for one in self.probe.subjects[-1].subjects}


@pytest.fixture
def graph():
    executor = SingleThreadedExecutor()
    made = Graph(executor)
    yield made
    executor.shutdown()
    for node in [*made.stages.values(), made.probe]:
        node.destroy_node()


def said_by_all(graph: Graph, revision: int, count: int) -> bool:
    """Whether the author and those who keep it have all said what has this revision, or a greater one."""
    return sum(one.revision >= revision for one in graph.probe.subjects) >= count


@pytest.mark.parametrize("keeper", ["refine", "viz"])
def test_a_height_outlasts_the_stage_that_was_told_of_it(graph, keeper):
    graph.begin(keeper, {"refine": RefineNode, "viz": VizNode}[keeper])
    graph.begin_lifting()
    graph.call(graph.probe.set_subject, SetSubject.Request(person_id="p1", height=1.5))
    told = graph.lifted()
    assert (told.height, told.scale_source) == (pytest.approx(1.5), ScaleSource.SUBJECT)
    graph.until(lambda: said_by_all(graph, 1, 2))
    graph.end("lift3d")
    again = graph.begin_lifting()
    graph.until(lambda: again._lifter.subjects.author.stated.revision > 1)
    after = graph.lifted()
    assert (after.height, after.scale_source) == (told.height, ScaleSource.SUBJECT)
    assert after.xyz.tobytes() == told.xyz.tobytes()
    assert graph.lifted("p2").scale_source == ScaleSource.DEFAULT
    graph.until(lambda: graph.probe.subjects[-1].revision > 1)
    assert graph.heights() == {"p1": 1.5}


def test_what_it_is_told_after_the_start_counts_more(graph):
    graph.begin("refine", RefineNode)
    graph.begin_lifting()
    for person, height in (("p1", 1.5), ("p2", 1.6)):
        graph.call(graph.probe.set_subject, SetSubject.Request(person_id=person, height=height))
    graph.until(lambda: said_by_all(graph, 2, 2))
    graph.end("lift3d")
    graph.end("refine")
    first = graph.begin("lift3d", Lift3DNode, lifter="mediapipe_world")
    graph.call(graph.probe.set_subject, SetSubject.Request(person_id="p1", height=1.8))
    keeper = graph.probe.create_publisher(msgs.Subjects, topics.SUBJECTS, qos.LATCHED)
    kept = [msgs.Subject(person_id="p1", height=1.5), msgs.Subject(person_id="p2", height=1.625)]
    keeper.publish(msgs.Subjects(revision=2, subjects=kept))
    graph.until(lambda: len(first._lifter.subjects.author.stated.entries) == 2)
    graph.until(lambda: graph.probe.subjects[-1].revision > 2)
    assert graph.heights() == pytest.approx({"p1": 1.8, "p2": 1.625})


def test_malformed_statements_are_dropped(graph):
    node = graph.begin("lift3d", Lift3DNode, lifter="mediapipe_world")
    publisher = graph.probe.create_publisher(msgs.Subjects, topics.SUBJECTS, qos.LATCHED)
    publisher.publish(msgs.Subjects(revision=9, subjects=[msgs.Subject(person_id="p1", height=17.5)]))
    graph.until(lambda: sum(node.health.dropped().values()) == 1)
    assert node._lifter.subjects.author.stated.entries == {}


def test_a_new_run_of_the_detector_has_other_ids_and_nobody_inherits_a_height(graph):
    graph.begin_lifting()
    ids = []
    for _ in range(2):

        def make(params):
            return Pose2DEstimator(FakeDetector([figure(100.0)]), Tracker(token=run_token(params)))

        detector = Pose2DNode(None, make)
        ids.append(
            detector._estimator.track(detector._estimator.see(1, np.zeros((48, 64, 3), np.uint8)), "eye")
            .people.people[0]
            .id
        )
        detector.destroy_node()
    first, second = ids
    assert first.startswith("p1_")
    assert second.startswith("p1_")
    assert first != second
    graph.call(graph.probe.set_subject, SetSubject.Request(person_id=first, height=1.5))
    assert graph.lifted(first).scale_source == ScaleSource.SUBJECT
    assert graph.lifted(second).scale_source == ScaleSource.DEFAULT


def test_bones_outlast_the_stage_that_learnt_them(graph):
    graph.begin_lifting()
    refine = graph.begin_refining()
    while refine._refiner.settled().get("p1", (0, 1))[0] == 0:
        graph.lifted()
        graph.until(lambda: graph.probe.refined and graph.probe.refined[-1].stamp == graph.probe.stamp)
    for _ in range(5):
        graph.lifted()
        graph.until(lambda: graph.probe.refined[-1].stamp == graph.probe.stamp)
    stated = refine._author.stated
    body = stated.entries["p1"].body
    graph.until(lambda: sum(one.revision == stated.revision for one in graph.probe.bodies) >= 2)
    graph.end("refine")
    again = graph.begin_refining()
    graph.until(lambda: again._author.stated.revision > stated.revision)
    graph.lifted()
    graph.until(lambda: graph.probe.refined[-1].stamp == graph.probe.stamp)
    settled, _ = again._refiner.settled()["p1"]
    assert settled == body.settled.sum() > 0
    now = again._refiner.bodies()["p1"].body
    np.testing.assert_array_equal(now.settled, body.settled)
    np.testing.assert_array_equal(now.length, body.length.astype(np.float32))
    graph.call(graph.probe.reset, ResetPerson.Request(person_id="p1"))
    graph.until(lambda: graph.probe.bodies[-1].bodies == ())
