"""The node on a real graph: topics, services, parameters, diagnostics and bad input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from pose_msgs import msg as msgs
from pose_msgs.srv import ResetPerson
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message, serialize_message

from pose_core.people import People3D, StageTime
from pose_ros import qos, topics
from pose_ros.conversions import people3d_from_msg, people3d_to_msg, skeleton_from_msg
from pose_ros.testing import executing, ros_context, spin_until  # noqa: F401 (pytest finds the fixture by its name)
from refine_node.node import RefineNode
from refine_node.params import RefineParams
from refine_node.pipeline import PeopleRefiner

pytestmark = pytest.mark.usefixtures("ros_context")

DT = 1.0 / 30.0


class Probe(Node):
    """Plays the stages before and after."""

    def __init__(self) -> None:
        super().__init__("probe")
        self.out: list[msgs.People3D] = []
        self.reports: list[DiagnosticStatus] = []
        self.skeletons: list[msgs.Skeleton] = []
        self.input = self.create_publisher(msgs.People3D, topics.LIFTED, qos.RESULTS)
        self.output = self.create_subscription(msgs.People3D, topics.REFINED, self.out.append, qos.RESULTS)
        self.create_subscription(
            DiagnosticArray, topics.DIAGNOSTICS, lambda m: self.reports.extend(m.status), 10
        )
        self.reset = self.create_client(ResetPerson, "refine/reset")

    def listen_to_skeleton(self) -> None:
        self.create_subscription(msgs.Skeleton, topics.REFINED_SKELETON, self.skeletons.append, qos.LATCHED)


class Graph:
    def __init__(self, stage: RefineNode, probe: Probe, executor) -> None:
        self.stage, self.probe, self.executor = stage, probe, executor

    def until(self, condition) -> None:
        assert spin_until(self.executor, condition)

    def send(self, people: People3D) -> None:
        self.probe.input.publish(people3d_to_msg(people))

    def refined(self, people: People3D) -> msgs.People3D:
        """What the stage makes of `people`."""
        count = len(self.probe.out)
        self.send(people)
        self.until(lambda: len(self.probe.out) > count)
        return self.probe.out[-1]

    def refused(self, people: People3D | msgs.People3D) -> None:
        """The stage drops `people`."""
        before = sum(self.stage.health.dropped().values())
        self.probe.input.publish(people if isinstance(people, msgs.People3D) else people3d_to_msg(people))
        self.until(lambda: sum(self.stage.health.dropped().values()) == before + 1)

    def call_reset(self, person: str) -> ResetPerson.Response:
        self.until(self.probe.reset.service_is_ready)
        future = self.probe.reset.call_async(ResetPerson.Request(person_id=person))
        self.until(future.done)
        return future.result()

    def report(self) -> tuple[DiagnosticStatus, dict[str, str]]:
        """A diagnostics status made from now on, and its values."""
        count = len(self.probe.reports)
        self.until(lambda: len(self.probe.reports) > count + 1)
        status = self.probe.reports[-1]
        return status, {value.key: value.value for value in status.values}


@contextmanager
def graph(**params) -> Iterator[Graph]:
    """Where nothing is skipped."""
    values = {"diagnostics_period": 0.1, "lossless": True, **params}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    stage, probe = RefineNode(parameter_overrides=overrides), Probe()
    with executing(stage, probe) as executor:
        made = Graph(stage, probe, executor)
        made.until(lambda: probe.input.get_subscription_count() and probe.output.get_publisher_count())
        yield made


def walk(figure, frames: int, start: float = 1.0) -> list[People3D]:
    """A noisy walk, with nobody seen in frame 5 and a hidden wrist in frame 7."""
    rng = np.random.default_rng(0)
    people = []
    for k in range(frames):
        xyz = figure.person().xyz + np.array([k * DT, 0.0, 0.0]) + 0.01 * rng.normal(size=(33, 3))
        xyz[15] = np.nan if k == 7 else xyz[15]
        person = figure.person(xyz.astype(np.float32).astype(float))
        people.append(figure.people(start + k * DT, *([] if k == 5 else [person])))
    return people


def as_received(people: People3D) -> msgs.People3D:
    """The message that somebody gets, whose numbers have 32 bits."""
    return deserialize_message(serialize_message(people3d_to_msg(people)), msgs.People3D)


def test_the_node_does_what_the_pipeline_does(figure):
    alone = PeopleRefiner(RefineParams())
    with graph() as ros:
        for people in walk(figure, 10):
            got = ros.refined(people)
            assert list(got.times.stage) == ["refine"]
            assert got.times.end[0] > got.times.start[0]
            got.times = msgs.StageTimes()
            expected = alone.process(people3d_from_msg(as_received(people)))
            assert repr(got) == repr(as_received(expected))


def test_with_look_ahead_frames_come_out_later_as_what_they_are(figure):
    walked = [
        replace(people, times=(StageTime("lift3d", k, k + 1),)) for k, people in enumerate(walk(figure, 6))
    ]
    with graph(look_ahead=2) as ros:
        for people in walked:
            ros.send(people)
        ros.until(lambda: len(ros.probe.out) == 4)
        for k, got in enumerate(ros.probe.out):
            assert people3d_from_msg(got).stamp == walked[k].stamp
            assert got.delay == pytest.approx(2.0 * DT, abs=1e-6)
            assert list(got.times.stage) == ["lift3d", "refine"]
            assert got.times.start[0] == k
        ros.refused(walked[5])
        (refused,) = ros.stage.set_parameters([Parameter("refiner", value="one_euro")])
        assert "refiner 'one_euro' cannot use look_ahead 2" in refused.reason


def test_times_of_earlier_stages_are_kept(figure):
    earlier = (StageTime("source", 5, 6), StageTime("lift3d", 7, 8))
    with graph() as ros:
        times = ros.refined(replace(figure.people(1.0, figure.person()), times=earlier)).times
    assert list(times.stage) == ["source", "lift3d", "refine"]
    assert list(times.start)[:2] == [5, 7]


def test_replay_gives_the_same_messages(figure):
    """Field by field: what fills the gaps between them in serialized form is not ours, and may be anything."""
    runs = []
    for _ in range(2):
        with graph(stage_times=False) as ros:
            out = [ros.refined(people) for people in walk(figure, 10)]
        assert not any(message.times.stage for message in out)
        runs.append(out)
    assert repr(runs[0]) == repr(runs[1])


def test_the_skeleton_is_there_for_who_comes_late(figure):
    with graph() as ros:
        ros.refined(figure.people(1.0, figure.person()))
        ros.refined(figure.people(1.1, figure.person()))
        ros.probe.listen_to_skeleton()
        ros.until(lambda: ros.probe.skeletons)
        assert skeleton_from_msg(ros.probe.skeletons[0]) == figure.skeleton


def test_bad_messages_are_dropped_and_the_next_good_one_works(figure):
    good = walk(figure, 4)
    with graph() as ros:
        ros.refined(good[0])
        unknown = people3d_to_msg(good[1])
        unknown.skeleton = "octopus8"
        short = people3d_to_msg(good[1])
        short.people[0].xyz = short.people[0].xyz[:-1]
        for bad in (unknown, short, good[0]):
            ros.refused(bad)
        assert len(ros.refined(good[1]).people) == 1
        assert sum(ros.stage.health.dropped().values()) == 3
        status, _ = ros.report()
        assert (status.name, status.hardware_id) == ("refine: pipeline", good[0].frame_id)


def test_a_stamp_that_goes_back_is_a_new_start(figure):
    with graph(bone_lengths=False) as ros:
        for people in walk(figure, 4, start=9.0):
            ros.refined(people)
        back = walk(figure, 1)[0]
        np.testing.assert_allclose(ros.refined(back).people[0].xyz, back.people[0].xyz.ravel(), rtol=1e-6)
        assert ros.report()[1]["resets"] == "stamp went back 1"


def test_reset_service(figure):
    with graph(bone_lengths=False) as ros:
        assert ros.call_reset("").message == "forgot nobody"
        both = figure.people(1.0, figure.person(), figure.person(id="p2"))
        ros.refined(both)
        missed = ros.call_reset("p3")
        assert (missed.success, missed.message) == (False, "person 'p3' is not known; known: p1, p2")
        done = ros.call_reset("p1")
        assert (done.success, done.message) == (True, "forgot p1")
        moved = [replace(person, xyz=person.xyz + 0.05) for person in both.people]
        out = ros.refined(replace(both, stamp=both.stamp + 10**7, people=tuple(moved)))
        shift = [np.reshape(p.xyz, (33, 3)) - q.xyz for p, q in zip(out.people, moved, strict=True)]
        assert np.abs(shift[0]).max() < 1e-6
        assert np.abs(shift[1]).max() > 1e-3
        assert ros.call_reset("").message == "forgot p2, p1"


def test_diagnostics_say_what_the_stage_knows(figure):
    with graph() as ros:
        for people in walk(figure, 6):
            ros.refined(people)
        status, values = ros.report()
        assert status.level == DiagnosticStatus.OK
        assert values["refiner"] == "kalman"
        assert values["people"] == "1"
        assert values["bridged"] == "1"
        assert values["settled bones"] == "p1 0 of 34"
        assert "resets" not in values
        assert len(values) <= 16  # a monitor shows all of them, each second


def test_another_unit_is_a_fault_until_it_is_right(figure):
    millimetres = figure.person(figure.person().xyz * 1000.0)
    with graph() as ros:
        assert not ros.refined(figure.people(1.0, millimetres)).people
        status, _ = ros.report()
        assert status.level == DiagnosticStatus.ERROR
        assert "positions must be in metres" in status.message
        assert len(ros.refined(figure.people(1.1, figure.person())).people) == 1
        assert ros.report()[0].level == DiagnosticStatus.OK


def test_swapped_joints_are_a_warning(figure, swapped):
    crossed = figure.person(swapped(figure.person().xyz, "left_knee", "left_ankle"))
    with graph(settle_observations=5) as ros:
        for k in range(10):
            ros.refined(figure.people(1.0 + 0.05 * k, figure.person()))
        for k in range(10, 45):
            ros.refined(figure.people(1.0 + 0.05 * k, crossed))
        status, _ = ros.report()
        assert status.level == DiagnosticStatus.WARN
        assert "of person 'p1': left_hip-left_knee is off by a factor of" in status.message
        assert "~/reset" in status.message


def test_the_refiner_can_change_while_running(figure):
    with graph() as ros:
        ros.refined(figure.people(1.0, figure.person()))
        (done,) = ros.stage.set_parameters([Parameter("refiner", value="raw")])
        assert done.successful
        noisy = walk(figure, 3, start=2.0)
        for people in noisy:
            out = ros.refined(people)
        assert ros.report()[1]["refiner"] == "raw"
        (refused,) = ros.stage.set_parameters([Parameter("refiner", value="rwa")])
        assert not refused.successful
        assert "did you mean 'raw'" in refused.reason
        assert len(out.people) == 1


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("refiner", "kalmann", "unknown refiner 'kalmann'; did you mean 'kalman'"),
        ("max_gapp", 0.5, "unknown parameter 'max_gapp'; did you mean 'max_gap'"),
        ("max_gap", -1.0, "max_gap must be from 0.0 to 5.0, got -1.0"),
        ("bone_lengths", 1, "bone_lengths must be of type bool, got 1"),
        ("look_ahead", 9, "look_ahead must be from 0 to 8, got 9"),
        ("model", "a.onnx", "refiner 'kalman' cannot use model a.onnx"),
    ],
)
def test_a_wrong_parameter_is_refused_with_a_sentence(name, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        RefineNode(parameter_overrides=[Parameter(name, value=value)])


def test_a_run_is_stated_anew_when_a_live_parameter_changes():
    with graph(gate=5.0) as ros:
        runs: list[msgs.Run] = []
        ros.probe.create_subscription(msgs.Run, topics.REFINED_RUN, runs.append, qos.LATCHED)
        ros.until(lambda: runs)
        values = dict(zip(runs[0].parameters, runs[0].values, strict=True))
        assert (runs[0].stage, values["gate"], values["refiner"]) == ("refine", "5.0", "kalman")
        assert not any(name.endswith(".onnx") for name in runs[0].software)
        changes = [Parameter("refiner", value="raw"), Parameter("gate", value=6.0)]
        assert all(done.successful for done in ros.stage.set_parameters(changes))
        ros.until(lambda: "6.0" in runs[-1].values)
        assert "raw" in runs[-1].values
