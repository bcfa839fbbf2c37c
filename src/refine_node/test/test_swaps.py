"""Left and right are put right before refining, flagged by the state of the joints, and counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_core.people import JointState, Person3D, with_missing
from pose_core.skeleton import MEDIAPIPE33, side
from refine_node.params import RefineParams
from refine_node.pipeline import PeopleRefiner

DT = 1.0 / 30.0
SIDED = np.array([side(joint) != "centre" for joint in MEDIAPIPE33.joints])
LEGS = np.array(
    [any(part in joint for part in ("hip", "knee", "ankle", "heel", "foot")) for joint in MEDIAPIPE33.joints]
)


class Scene:
    """A pipeline that smooths nothing, and the clock of its camera."""

    def __init__(self, figure, **params) -> None:
        self.figure, self.seconds = figure, 1.0
        self.people = PeopleRefiner(RefineParams(**{"refiner": "raw", "bone_lengths": False, **params}))

    def show(self, *people: Person3D, after: float = DT):
        self.seconds += after
        return self.people.process(self.figure.people(self.seconds, *(people or (self.figure.person(),))))

    def watch(self, seconds: float, *people: Person3D):
        for _ in range(round(seconds / DT)):
            out = self.show(*people)
        return out


@pytest.fixture
def turned(figure):
    """A person whose every joint, or those of a mask, is called by the other side's name."""

    def turn(joints: np.ndarray = SIDED, **fields) -> Person3D:
        person = replace(
            figure.person(**fields),
            joint_confidence=np.linspace(0.5, 0.9, 33),
            std=np.linspace(0.03, 0.06, 33),
        )
        order = np.where(joints, MEDIAPIPE33.flip, np.arange(33))
        return replace(
            person,
            xyz=person.xyz[order],
            joint_confidence=person.joint_confidence[order],
            std=person.std[order],
        )

    return turn


@pytest.mark.parametrize("joints", [SIDED, LEGS], ids=["body", "legs"])
def test_a_swap_is_put_right_and_said(figure, turned, joints):
    scene = Scene(figure)
    before = scene.watch(1.0, turned(np.zeros(33, bool))).people[0]
    assert (before.state == JointState.LIFTED).all()
    for k in range(5):
        after = scene.show(turned(joints)).people[0]
        np.testing.assert_array_equal(after.xyz, before.xyz)
        np.testing.assert_array_equal(after.std, before.std)
        np.testing.assert_array_equal(after.joint_confidence, before.joint_confidence)
        np.testing.assert_array_equal(after.state == JointState.SWAPPED, joints)
        assert scene.people.swapped == k + 1
    after = scene.show(turned(np.zeros(33, bool))).people[0]
    assert (after.state == JointState.LIFTED).all()
    assert scene.people.swapped == 5


def test_labels_stay_where_the_parameter_says_so(figure, turned):
    scene = Scene(figure, repair_swaps=False)
    scene.watch(1.0)
    after = scene.show(turned()).people[0]
    np.testing.assert_array_equal(after.xyz, turned().xyz)
    assert (after.state == JointState.LIFTED).all()
    assert scene.people.swapped == 0
    scene.people.retune(replace(scene.people.params, repair_swaps=True))
    scene.watch(0.5)
    scene.show(turned())
    assert scene.people.swapped == 1


def test_a_missing_joint_stays_missing(figure, turned):
    """It changes sides with its limb, and no state says that it was seen."""
    scene = Scene(figure)
    scene.watch(1.0, with_missing(figure.person(), np.arange(33) == MEDIAPIPE33.index("left_wrist")))
    after = scene.show(with_missing(turned(), np.arange(33) == MEDIAPIPE33.index("right_wrist"))).people[0]
    gone = np.arange(33) == MEDIAPIPE33.index("left_wrist")
    np.testing.assert_array_equal(after.state == JointState.MISSING, gone)
    np.testing.assert_array_equal(after.state == JointState.SWAPPED, SIDED & ~gone)


def test_each_person_has_a_past_of_their_own(figure, turned):
    scene = Scene(figure)
    other = turned(np.zeros(33, bool), id="p2")
    scene.watch(1.0, figure.person(), other)
    first, second = scene.show(figure.person(), turned(id="p2")).people
    assert (first.state == JointState.LIFTED).all()
    assert (second.state[SIDED] == JointState.SWAPPED).all()


def test_whoever_is_forgotten_begins_anew(figure, turned):
    scene = Scene(figure)
    scene.watch(1.0)
    assert scene.people.reset("p1") == ["p1"]
    scene.show(turned())
    scene.watch(1.0)
    scene.show(turned(), after=2.0)
    assert scene.people.swapped == 0


def test_a_filter_carries_on_through_a_swap(figure, turned):
    """Without repair the gate of the Kalman filter keeps swapped joints out, and predicts them."""
    for repair, state in ((True, JointState.SWAPPED), (False, JointState.PREDICTED)):
        scene = Scene(figure, refiner="kalman", repair_swaps=repair)
        scene.watch(1.0, figure.person(std=0.01))
        after = scene.show(replace(turned(), std=np.full(33, 0.01))).people[0]
        knee = MEDIAPIPE33.index("left_knee")
        assert after.state[knee] == state
        np.testing.assert_allclose(after.xyz[LEGS], figure.person().xyz[LEGS], atol=0.01)
