"""Joint angles on a real graph: two topics, one stamp, and parameters that change them while the stage runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from pose_msgs import msg as msgs
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from pose_biomechanics.angle_encoding import rotations
from pose_biomechanics.angle_refiner import AngleRefiner
from pose_biomechanics.angles import AngleOptions, AngleSolver
from pose_biomechanics.isb import NAMES
from pose_core.angles import AngleFlag
from pose_core.geometry.rotations import angle_between
from pose_core.people import People3D, StageTime
from pose_ros import qos, topics
from pose_ros.conversions import angles_from_msg, people3d_from_msg, people3d_to_msg, stamp_to_ns
from pose_ros.testing import executing, ros_context, spin_until  # noqa: F401 (pytest finds the fixture by its name)
from refine_node.node import RefineNode
from refine_node.params import RefineParams

pytestmark = pytest.mark.usefixtures("ros_context")

DT = 1.0 / 30.0


class Probe(Node):
    """Plays the stage before, and a robot that follows angles."""

    def __init__(self) -> None:
        super().__init__("probe")
        self.people: list[msgs.People3D] = []
        self.angles: list[msgs.JointAngles] = []
        self.states: list[JointState] = []
        self.input = self.create_publisher(msgs.People3D, topics.LIFTED, qos.RESULTS)
        for kind, topic, kept in (
            (msgs.People3D, topics.REFINED, self.people),
            (msgs.JointAngles, topics.ANGLES, self.angles),
            (JointState, topics.JOINT_STATES, self.states),
        ):
            self.create_subscription(kind, topic, kept.append, qos.RESULTS)


class Graph:
    def __init__(self, stage: RefineNode, probe: Probe, executor) -> None:
        self.stage, self.probe, self.executor = stage, probe, executor

    def until(self, condition) -> None:
        assert spin_until(self.executor, condition)

    def angles_of(self, people: People3D, states: bool = True) -> msgs.JointAngles:
        """The angles that the stage publishes for `people`."""
        probe = self.probe
        count, count_states = len(probe.angles), len(probe.states)
        probe.input.publish(people3d_to_msg(people))
        self.until(lambda: len(probe.angles) > count and len(probe.states) >= count_states + states)
        return probe.angles[-1]


@contextmanager
def graph(**params) -> Iterator[Graph]:
    stage = RefineNode(parameter_overrides=[Parameter(name, value=value) for name, value in params.items()])
    probe = Probe()
    with executing(stage, probe) as executor:
        made = Graph(stage, probe, executor)
        made.until(
            lambda: (
                probe.input.get_subscription_count()
                and all(
                    probe.count_publishers(topic)
                    for topic in (topics.REFINED, topics.ANGLES, topics.JOINT_STATES)
                )
            )
        )
        yield made


def test_angles_are_those_of_the_refined_people(figure):
    alone = AngleSolver(figure.skeleton, AngleOptions())
    with graph() as ros:
        for k in range(5):
            xyz = figure.xyz + np.array([0.0, 0.0, 3.0 + 0.01 * k])
            earlier = (StageTime("lift3d", k, k + 1),)
            got = ros.angles_of(replace(figure.people(1.0 + k * DT, figure.person(xyz)), times=earlier))
            ros.until(lambda: len(ros.probe.people) == k + 1)  # noqa: B023 (called at once)
            refined = people3d_from_msg(ros.probe.people[-1])
            angles = angles_from_msg(got)
            assert angles.stamp == refined.stamp
            assert angles.frame_id == "camera"
            assert angles.names == NAMES
            assert got.times == ros.probe.people[-1].times
            assert list(got.times.stage) == ["lift3d", "refine"]
            expected = alone.solve(refined.people[0], refined.stamp)
            (found,) = angles.people
            assert found.id == "p1"
            # Positions have 32 bits on their way: a micrometre at three metres.
            np.testing.assert_allclose(found.angle, expected.angle, atol=1e-4)
            np.testing.assert_allclose(found.std, expected.std, rtol=1e-2)
            np.testing.assert_array_equal(found.flags, expected.flags)


def test_joint_states_name_what_is_known_of_everybody(figure):
    with graph() as ros:
        xyz = figure.xyz + np.array([1.0, 0.0, 3.0])
        xyz[figure.skeleton.index("right_wrist")] = np.nan
        two = figure.people(1.0, figure.person(), figure.person(xyz, id="p2"))
        angles = angles_from_msg(ros.angles_of(two))
        (state,) = ros.probe.states
    assert stamp_to_ns(state.header.stamp) == angles.stamp
    assert state.header.frame_id == "camera"
    known = dict(zip(state.name, state.position, strict=True))
    assert len(known) == len(state.name)
    assert np.isfinite(list(known.values())).all()
    assert "p1/right_elbow_flexion" in known
    assert "p2/right_elbow_flexion" not in known
    assert "p1/trunk_flexion" not in known
    for person in angles.people:
        for name, angle, flags in zip(NAMES, person.angle, person.flags, strict=True):
            told = not flags & (AngleFlag.JOINT_MISSING | AngleFlag.UNOBSERVABLE)
            assert (f"{person.id}/{name}" in known) == told
            if told:
                assert known[f"{person.id}/{name}"] == pytest.approx(angle, abs=1e-6)
    assert list(state.velocity) == list(state.effort) == []


def test_nobody_has_no_angles_but_a_stamp(figure):
    with graph() as ros:
        got = ros.angles_of(figure.people(1.0))
        assert list(got.names) == list(NAMES)
        assert list(got.people) == []
        assert list(ros.probe.states[-1].name) == []
        assert stamp_to_ns(got.header.stamp) == 1_000_000_000


def test_angles_can_be_turned_off_and_the_camera_tilted_while_the_stage_runs(figure):
    tilt = NAMES.index("pelvis_anterior_tilt")
    with graph(pelvis_sequence="YXZ") as ros:
        level = ros.angles_of(figure.people(1.0, figure.person())).people[0].angle[tilt]
        (done,) = ros.stage.set_parameters([Parameter("camera_pitch_deg", value=10.0)])
        assert done.successful, done.reason
        tilted = ros.angles_of(figure.people(1.0 + DT, figure.person())).people[0].angle[tilt]
        # The figure faces the camera: what seems upright to one that looks down leans away from it, that is back.
        assert np.degrees(tilted - level) == pytest.approx(-10.0, abs=0.1)
        (refused,) = ros.stage.set_parameters([Parameter("pelvis_sequence", value="XYZ")])
        assert ros.probe.angles[-1].pelvis_sequence == "YXZ"
        assert "pelvis_sequence must be one of ZXY, YXZ" in refused.reason
        ros.stage.set_parameters([Parameter("joint_states", value=False)])
        ros.angles_of(figure.people(1.0 + 2 * DT, figure.person()), states=False)
        ros.stage.set_parameters([Parameter("angles", value=False)])
        ros.probe.input.publish(people3d_to_msg(figure.people(1.0 + 3 * DT, figure.person())))
        ros.until(lambda: len(ros.probe.people) == 4)
        assert len(ros.probe.angles) == 3
        assert len(ros.probe.states) == 2


def test_angles_are_corrected_where_that_is_asked_for(figure):
    def noisy() -> Iterator[People3D]:
        random = np.random.default_rng(1)
        for k in range(12):
            xyz = figure.xyz + random.normal(0.0, 0.03, (33, 3)) + (0.0, 0.0, 3.0)
            yield figure.people(1.0 + k * DT, figure.person(xyz))

    with graph() as ros:
        plain = [angles_from_msg(ros.angles_of(people)) for people in noisy()]
        (done,) = ros.stage.set_parameters([Parameter("angle_refinement", value=True)])
        assert done.successful, done.reason
        at = plain[-1].stamp * 1e-9 + DT
        later = angles_from_msg(ros.angles_of(figure.people(at, figure.person())))
        ros.stage.set_parameters([Parameter("pelvis_sequence", value="ZXY")])
        last = angles_from_msg(ros.angles_of(figure.people(at + DT, figure.person())))
    with graph(angle_refinement=True) as ros:
        corrected = [angles_from_msg(ros.angles_of(people)) for people in noisy()]
    expected = AngleRefiner()
    moved = []
    for before, after in zip(plain, corrected, strict=True):
        np.testing.assert_allclose(after.people[0].angle, expected.process(before).people[0].angle, atol=1e-4)
        valid = before.people[0].flags == AngleFlag.VALID
        step = np.abs(after.people[0].angle - before.people[0].angle)[valid]
        assert (step <= before.people[0].std[valid] + 1e-5).all()
        moved.append(float(step.mean()))
    assert np.degrees(np.mean(moved)) > 0.3
    assert np.isfinite(later.people[0].angle).any()
    assert (later.pelvis_sequence, last.pelvis_sequence) == (RefineParams.pelvis_sequence, "ZXY")
    # It is the same pelvis, and the network goes on from what it knew.
    first, second = (rotations(one.people[0].angle, one.pelvis_sequence)[0] for one in (later, last))
    assert np.degrees(angle_between(first, second)) < 5.0


def test_replay_gives_the_same_angles(figure):
    runs = []
    for _ in range(2):
        random = np.random.default_rng(0)
        with graph(stage_times=False) as ros:
            out = [
                ros.angles_of(
                    figure.people(
                        1.0 + k * DT,
                        figure.person(figure.xyz + random.normal(0.0, 0.02, (33, 3)) + (0.0, 0.0, 3.0)),
                    )
                )
                for k in range(10)
            ]
            runs.append((repr(out), repr(ros.probe.states)))
    assert runs[0] == runs[1]
