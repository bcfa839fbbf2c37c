"""People over time: gaps, jumps, clocks, units, scale, and what becomes of bone lengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_core.geometry.covariance import std_of
from pose_core.people import JointState, People3D, Person3D, ScaleSource, with_missing
from pose_core.skeleton import SKELETONS
from pose_core.statements import BodyOf, BodyStatement
from refine_node.bones import BoneTree
from refine_node.params import RefineParams
from refine_node.pipeline import PeopleRefiner, clean, interpolated
from refine_node.refiners import REFINERS

# what has been trained is not exact: it has tests of its own
EXACT = [name for name in REFINERS if name == "averaging" or not REFINERS.get(name).runs_network]
ALL = pytest.mark.parametrize("refiner", EXACT)
PREDICTING = pytest.mark.parametrize("refiner", [name for name in EXACT if name != "raw"])
AHEAD = pytest.mark.parametrize("refiner", [name for name in EXACT if REFINERS.get(name).looks_ahead])
DT = 1.0 / 60.0
MAX_GAP = 0.29  # 17 frames and a bit
GATE_FRAMES = RefineParams().gate_frames
AWAY = np.array([2.0, 0.0, 0.0])


class Scene:
    """A pipeline and the clock of its camera."""

    def __init__(self, figure, **params) -> None:
        self.figure, self.people, self.seconds = figure, PeopleRefiner(RefineParams(**params)), 1.0

    def show(self, *people: Person3D, after: float = DT, **fields) -> People3D:
        """What comes out of a frame `after` seconds later."""
        self.seconds += after
        return self.people.process(self.figure.people(self.seconds, *people, **fields))

    def watch(self, seconds: float, person: Person3D | None = None) -> People3D:
        for _ in range(round(seconds / DT)):
            out = self.show(self.figure.person() if person is None else person)
        return out

    def settle(self, *people: Person3D) -> None:
        """See `people` stand still for as long as it takes to know their bones exactly."""
        people = people or (self.figure.person(),)
        for _ in range(115):
            self.show(*people, after=0.05)
        assert self.people.settled() == {person.id: (34, 34) for person in people}


def ids(people: People3D) -> list[str]:
    return [person.id for person in people.people]


@ALL
def test_a_message_keeps_what_is_not_refined(refiner, figure):
    scene = Scene(figure, refiner=refiner)
    given = replace(figure.people(2.0, figure.person(), figure.person(id="p2")), delay=0.125)
    out = scene.people.process(given)
    assert (out.stamp, out.frame_id, out.skeleton, out.delay, out.times) == (
        2 * 10**9,
        "camera",
        "mediapipe33",
        0.125,
        (),
    )
    assert ids(out) == ["p1", "p2"]
    for before, after in zip(given.people, out.people, strict=True):
        np.testing.assert_allclose(after.xyz, before.xyz, atol=1e-12)
        np.testing.assert_array_equal(after.state, JointState.LIFTED)
        np.testing.assert_array_equal(after.joint_confidence, before.joint_confidence)
        assert (after.height, after.height_std, after.scale_source) == (1.75, 0.02, ScaleSource.SUBJECT)


@ALL
def test_nobody_is_an_empty_message(refiner, figure):
    scene = Scene(figure, refiner=refiner)
    assert scene.show().people == ()
    assert scene.people.settled() == {}


@ALL
def test_people_come_and_go_without_touching_each_other(refiner, figure):
    alone, scene = Scene(figure, refiner=refiner), Scene(figure, refiner=refiner)
    other = figure.person(figure.person().xyz + 1.0, id="another id, ünknown")
    for k in range(30):
        person = figure.person(figure.person().xyz + 0.01 * k)
        one = alone.show(person)
        both = scene.show(person, other) if k % 3 else scene.show(person)
        assert both.people[0].xyz.tobytes() == one.people[0].xyz.tobytes()


@PREDICTING
def test_a_person_is_bridged_for_the_stated_time_and_then_gone(refiner, figure):
    scene = Scene(figure, refiner=refiner, max_gap=MAX_GAP)
    seen = scene.watch(1.0).people[0]
    confidences, stds, left_at = [seen.confidence], [seen.std[0]], scene.seconds
    joint_confidences = [seen.joint_confidence[0]]
    while bridged := scene.show().people:
        gap = scene.seconds - left_at
        assert gap < MAX_GAP
        (person,) = bridged
        assert (person.state == JointState.PREDICTED).all()
        np.testing.assert_allclose(person.xyz, seen.xyz, atol=1e-6)
        assert person.confidence == pytest.approx(0.9 * (1.0 - gap / MAX_GAP))
        assert person.joint_confidence[5] == pytest.approx(0.8 * (1.0 - gap / MAX_GAP))
        assert person.height == 1.75
        confidences.append(person.confidence)
        joint_confidences.append(person.joint_confidence[0])
        stds.append(person.std[0])
    assert scene.seconds - left_at == pytest.approx(MAX_GAP, abs=DT)
    assert len(confidences) == 18  # the last measured frame and 17 more
    assert (np.diff(confidences) < 0).all()
    assert (np.diff(joint_confidences) < 0).all()
    assert (np.diff(stds) > 0).all()
    assert scene.people.bridged == 17
    assert scene.show().people == ()


def test_raw_bridges_nothing(figure):
    scene = Scene(figure, refiner="raw")
    scene.watch(1.0)
    assert scene.show().people == ()


@ALL
def test_without_a_gap_nothing_is_bridged(refiner, figure):
    scene = Scene(figure, refiner=refiner, max_gap=0.0)
    scene.watch(0.5)
    assert scene.show().people == ()
    wrist = np.arange(33) == 15
    (person,) = scene.show(with_missing(figure.person(), wrist)).people
    np.testing.assert_array_equal(person.state == JointState.MISSING, wrist)


@PREDICTING
@pytest.mark.parametrize("rate", [2.0, 60.0])
def test_the_stated_time_is_about_missing_people_and_not_about_slow_cameras(refiner, rate, figure):
    scenes = [Scene(figure, refiner=refiner, max_gap=max_gap) for max_gap in (0.0, 0.3, 5.0)]
    rng = np.random.default_rng(0)
    for _ in range(20):
        noisy = figure.person(figure.person().xyz + 0.01 * rng.normal(size=(33, 3)))
        out = [scene.show(noisy, after=1.0 / rate).people[0].xyz for scene in scenes]
        assert out[0].tobytes() == out[1].tobytes() == out[2].tobytes()
    assert np.abs(out[0] - noisy.xyz).max() > 1e-4
    assert not any(scene.people.resets for scene in scenes)


@ALL
def test_after_a_gap_a_person_starts_where_they_are(refiner, figure):
    scene = Scene(figure, refiner=refiner)
    scene.watch(1.0)
    scene.show(after=1.0)
    back = figure.person(figure.person().xyz + AWAY)
    out = scene.show(back)
    np.testing.assert_allclose(out.people[0].xyz, back.xyz, atol=1e-9)
    assert scene.people.resets == {"gap": 1}


@ALL
def test_in_a_short_gap_a_person_keeps_their_motion(refiner, figure):
    scene = Scene(figure, refiner=refiner)
    walk = [figure.person(figure.person().xyz + np.array([1.2 * k * DT, 0.0, 0.0])) for k in range(80)]
    for person in walk[:60]:
        scene.show(person)
    for _ in walk[60:65]:
        scene.show()
    for person in walk[65:]:
        out = scene.show(person)
        assert np.abs(out.people[0].xyz - person.xyz).max() < 0.06
    assert scene.people.resets == {}


@PREDICTING
def test_a_joint_is_bridged_for_the_stated_time_and_then_missing(refiner, figure):
    scene = Scene(figure, refiner=refiner, max_gap=MAX_GAP)
    seen = scene.watch(1.0).people[0]
    wrist = np.arange(33) == figure.skeleton.index("left_wrist")
    hidden, left_at, stds = with_missing(figure.person(), wrist), scene.seconds, [seen.std[wrist][0]]
    for _ in range(30):
        (person,) = scene.show(hidden).people
        gap = scene.seconds - left_at
        assert (person.state[~wrist] == JointState.LIFTED).all()
        assert person.confidence == 0.9
        if gap < MAX_GAP:
            assert person.state[wrist] == JointState.PREDICTED
            assert person.joint_confidence[wrist] == pytest.approx(0.8 * (1.0 - gap / MAX_GAP))
            np.testing.assert_allclose(person.xyz[wrist], seen.xyz[wrist], atol=1e-6)
            stds.append(person.std[wrist][0])
        else:
            assert person.state[wrist] == JointState.MISSING
            assert person.joint_confidence[wrist] == 0.0
            assert np.isnan(person.xyz[wrist]).all()
            assert np.isnan(person.std[wrist]).all()
    assert len(stds) == 18
    assert (np.diff(stds) > 0).all()
    (person,) = scene.show(figure.person()).people
    assert (person.state == JointState.LIFTED).all()
    np.testing.assert_allclose(person.xyz, seen.xyz, atol=1e-6)


@ALL
def test_a_person_without_joints_counts_as_not_seen(refiner, figure):
    scene, twin = Scene(figure, refiner=refiner), Scene(figure, refiner=refiner)
    nobody = with_missing(figure.person(), np.ones(33, bool))
    assert scene.show(nobody).people == ()
    scene, twin = Scene(figure, refiner=refiner), Scene(figure, refiner=refiner)
    scene.watch(1.0)
    twin.watch(1.0)
    for _ in range(25):
        a, b = scene.show(nobody), twin.show()
        assert [p.xyz.tobytes() for p in a.people] == [p.xyz.tobytes() for p in b.people]


@PREDICTING
def test_a_single_jump_is_bridged(refiner, figure):
    scene = Scene(figure, refiner=refiner)
    seen = scene.watch(1.0).people[0]
    for _ in range(GATE_FRAMES - 1):
        (person,) = scene.show(figure.person(seen.xyz + AWAY)).people
        assert (person.state == JointState.PREDICTED).all()
        np.testing.assert_allclose(person.xyz, seen.xyz, atol=1e-6)
    (person,) = scene.show(figure.person()).people
    assert (person.state == JointState.LIFTED).all()
    np.testing.assert_allclose(person.xyz, seen.xyz, atol=1e-6)
    assert scene.people.resets == {}


@PREDICTING
def test_a_jump_that_frames_agree_on_is_believed(refiner, figure):
    scene = Scene(figure, refiner=refiner)
    seen = scene.watch(1.0).people[0]
    there = figure.person(seen.xyz + AWAY)
    for _ in range(GATE_FRAMES):
        (person,) = scene.show(there).people
    assert (person.state == JointState.LIFTED).all()
    np.testing.assert_allclose(person.xyz, there.xyz, atol=1e-9)
    assert scene.people.resets == {"jump": 1}


@PREDICTING
def test_jumps_that_disagree_are_not_believed_before_the_gap_ends(refiner, figure):
    scene = Scene(figure, refiner=refiner, max_gap=MAX_GAP)
    seen = scene.watch(1.0).people[0]
    for k in range(17):
        (person,) = scene.show(figure.person(seen.xyz + 3 * AWAY * (1 + k % 3))).people
        assert (person.state == JointState.PREDICTED).all()
        np.testing.assert_allclose(person.xyz, seen.xyz, atol=1e-6)
    there = figure.person(seen.xyz + AWAY)
    (person,) = scene.show(there).people
    np.testing.assert_allclose(person.xyz, there.xyz, atol=1e-9)
    assert scene.people.resets == {"gap": 1}


def test_after_a_leap_that_is_within_reach_the_root_has_no_made_up_speed(figure):
    scene = Scene(figure, refiner="kalman")
    scene.watch(1.0)
    there = figure.person(figure.person().xyz + np.array([1.5, 0.0, 0.0]))
    for after in (0.2, DT, DT, DT):  # 7.5 m/s
        (person,) = scene.show(there, after=after).people
        np.testing.assert_allclose(person.xyz, there.xyz, atol=1e-6)


@PREDICTING
def test_nobody_runs_into_the_gate(refiner, figure):
    scene = Scene(figure, refiner=refiner)
    for k in range(120):
        xyz = figure.person().xyz + np.array([0.0, 0.0, -7.0 * k * DT])
        (person,) = scene.show(figure.person(xyz)).people
        assert (person.state == JointState.LIFTED).all()


@ALL
def test_a_stamp_that_goes_back_is_a_new_start(refiner, figure):
    scene, fresh = Scene(figure, refiner=refiner), Scene(figure, refiner=refiner)
    scene.watch(9.0)
    scene.seconds = fresh.seconds
    for k in range(20):
        person = figure.person(figure.person().xyz + AWAY + 0.01 * k)
        a, b = scene.show(person), fresh.show(person)
        assert a.people[0].xyz.tobytes() == b.people[0].xyz.tobytes()
    assert scene.people.resets == {"stamp went back": 1}
    assert scene.people.settled() == {"p1": (0, 34)}


@ALL
def test_a_stamp_or_an_id_that_comes_twice_is_refused_and_changes_nothing(refiner, figure):
    scene, fresh = Scene(figure, refiner=refiner), Scene(figure, refiner=refiner)
    scene.watch(0.5)
    fresh.watch(0.5)
    with pytest.raises(ValueError, match="refined already; each stamp may come once"):
        scene.show(figure.person(), after=0.0)
    with pytest.raises(ValueError, match="different ids"):
        scene.people.process(figure.people(9.0, figure.person(), figure.person()))
    person = figure.person(figure.person().xyz + 0.02)
    assert scene.show(person).people[0].xyz.tobytes() == fresh.show(person).people[0].xyz.tobytes()


@ALL
def test_another_camera_or_skeleton_is_a_new_start(refiner, figure):
    scene = Scene(figure, refiner=refiner)
    scene.watch(0.5)
    there = figure.person(figure.person().xyz + AWAY)
    np.testing.assert_allclose(scene.show(there, frame_id="other").people[0].xyz, there.xyz, atol=1e-12)
    rng = np.random.default_rng(0)
    hand = Person3D(
        "p1",
        1.0,
        rng.normal(size=(21, 3)) * 0.1,
        np.full(21, 0.01),
        np.full(3, 0.01),
        np.ones(21),
        np.full(21, 2, np.uint8),
    )
    scene.seconds += DT
    out = scene.people.process(People3D(round(scene.seconds * 1e9), "other", "hand21", (hand,)))
    np.testing.assert_allclose(out.people[0].xyz, hand.xyz, atol=1e-12)
    assert scene.people.resets == {"another frame or skeleton": 2}


@ALL
@pytest.mark.parametrize("factor", [1000.0, 100.0, 39.37, 1e-3])
def test_another_unit_than_metres_is_refused_with_a_sentence(refiner, factor, figure):
    scene = Scene(figure, refiner=refiner)
    wrong = figure.person(figure.person().xyz * factor)
    assert scene.show(wrong, figure.person(id="p2")).people[0].id == "p2"
    assert list(scene.people.wrong_units) == ["p1"]
    assert "positions must be in metres, is this another unit?" in scene.people.wrong_units["p1"]
    assert ids(scene.show(figure.person())) == ["p1"] + ["p2"] * (refiner != "raw")
    assert scene.people.wrong_units == {}


def test_a_child_a_hand_a_giant_and_a_shape_without_scale_are_no_other_unit(figure):
    scene = Scene(figure)
    child, giant = figure.person(figure.person().xyz * 0.3), figure.person(figure.person().xyz * 1.6, id="p2")
    free = figure.person(figure.person().xyz * 50.0, id="p3", scale_source=ScaleSource.NONE)
    face = with_missing(figure.person(id="p4"), np.arange(33) > 3)
    assert ids(scene.show(child, giant, free, face)) == ["p1", "p2", "p3", "p4"]


def test_swapped_joints_of_settled_bones_are_told(figure, swapped):
    scene = Scene(figure)
    scene.settle()
    assert scene.people.contradictions() == {}
    scene.watch(3.0, figure.person(swapped(figure.person().xyz, "right_elbow", "right_wrist")))
    (found,) = scene.people.contradictions().values()
    assert any(sentence.startswith("right_shoulder-right_elbow is off") for sentence in found)
    scene.watch(6.0)
    assert scene.people.contradictions() == {}


@ALL
def test_settled_bones_have_their_length_in_every_frame_bridged_ones_too(refiner, figure):
    scene = Scene(figure, refiner=refiner)
    scene.settle()
    tree = BoneTree(figure.skeleton)
    true, _ = tree.measure(figure.xyz)
    rng = np.random.default_rng(0)
    for k in range(60):
        noisy = figure.person(figure.person().xyz + 0.02 * rng.normal(size=(33, 3)))
        out = scene.show(noisy) if k % 10 or refiner == "raw" else scene.show()
        found, _ = tree.measure(out.people[0].xyz)
        np.testing.assert_allclose(found[tree.rigid], true[tree.rigid], rtol=0, atol=1e-9)


def test_bones_can_be_left_alone(figure):
    scene = Scene(figure, bone_lengths=False, refiner="raw")
    scene.watch(10.0)
    person = figure.person(1.2 * figure.person().xyz)
    np.testing.assert_array_equal(scene.show(person).people[0].xyz, person.xyz)
    assert scene.people.settled() == {"p1": (0, 34)}


def test_reset_forgets_one_person_or_everybody(figure):
    scene = Scene(figure)
    scene.settle(figure.person(), figure.person(id="p2"))
    assert scene.people.reset("p1") == ["p1"]
    assert scene.people.reset("nobody") == []
    taller = figure.person(1.1 * figure.person().xyz)
    out = scene.show(taller, figure.person(id="p2"))
    np.testing.assert_allclose(out.people[0].xyz, taller.xyz, atol=1e-12)
    assert scene.people.settled() == {"p1": (0, 34), "p2": (34, 34)}
    assert sorted(scene.people.reset()) == ["p1", "p2"]
    assert scene.people.settled() == {}


def test_bones_outlast_a_gap_and_are_forgotten_after_the_stated_time(figure):
    scene = Scene(figure, forget_after=5.0)
    scene.settle()
    scene.show(after=4.0)
    assert scene.people.settled() == {"p1": (34, 34)}
    scene.show(figure.person())
    assert scene.people.settled() == {"p1": (34, 34)}
    scene.show(after=5.1)
    assert scene.people.settled() == {}


def test_a_stated_height_rescales_bones_and_restarts_filters(figure):
    scene = Scene(figure)
    scene.settle()
    taller = figure.person(1.1 * figure.person().xyz, height=1.1 * 1.75)
    (person,) = scene.show(taller).people
    np.testing.assert_allclose(person.xyz, taller.xyz, atol=1e-9)
    scene.watch(3.0, taller)
    assert scene.people.resets == {"another scale": 1}
    assert scene.people.contradictions() == {}
    assert scene.people.settled() == {"p1": (34, 34)}


def test_another_scale_source_without_heights_starts_bones_anew(figure):
    scene = Scene(figure)
    scene.settle()
    other = figure.person(1.3 * figure.person().xyz, height=float("nan"), scale_source=ScaleSource.DEPTH)
    (person,) = scene.show(other).people
    np.testing.assert_allclose(person.xyz, other.xyz, atol=1e-9)
    assert scene.people.settled() == {"p1": (0, 34)}


def test_a_height_estimated_frame_by_frame_restarts_nothing(figure):
    scene = Scene(figure)
    for k in range(60):
        scene.show(figure.person(height=1.75 + 0.02 * (k % 3), scale_source=ScaleSource.MODEL))
    assert scene.people.resets == {}


@ALL
def test_bad_numbers_are_missing_or_have_a_stated_deviation(refiner, figure):
    scene = Scene(figure, refiner=refiner)
    bad = figure.person()
    bad.xyz[3] = np.inf
    bad.xyz[4, 1] = np.nan
    bad.joint_confidence[5] = 0.0
    bad.std[6], bad.std[7] = np.nan, 0.0
    for _ in range(3):
        (person,) = scene.show(replace(bad, root_std=np.full(3, np.nan))).people
        assert (person.state[[3, 4, 5]] == JointState.MISSING).all()
        assert (np.delete(person.state, [3, 4, 5]) == JointState.LIFTED).all()
        assert np.isfinite(np.delete(person.xyz, [3, 4, 5], axis=0)).all()
        assert (np.delete(person.std, [3, 4, 5]) > 0.0).all()
        assert (person.root_std > 0.0).all()


def test_a_good_person_is_handed_on_untouched(figure):
    person = figure.person()
    assert clean(person) is person


def test_any_frame_rate_and_any_pauses(figure):
    scene, rng = Scene(figure), np.random.default_rng(0)
    for after in rng.choice([0.001, 0.01, 0.03, 0.07, 0.2, 1.0], 300):
        noisy = figure.person(figure.person().xyz + 0.005 * rng.normal(size=(33, 3)))
        (person,) = scene.show(noisy, after=after).people
        assert np.abs(person.xyz - figure.person().xyz).max() < 0.1


def test_input_is_not_changed(figure):
    scene = Scene(figure)
    people = figure.people(2.0, with_missing(figure.person(), np.arange(33) == 7))
    before = [
        people.people[0].xyz.tobytes(),
        people.people[0].std.tobytes(),
        people.people[0].state.tobytes(),
    ]
    scene.people.process(people)
    assert [
        people.people[0].xyz.tobytes(),
        people.people[0].std.tobytes(),
        people.people[0].state.tobytes(),
    ] == before


def test_live_parameters_keep_the_bones(figure):
    scene = Scene(figure)
    scene.settle()
    scene.people.retune(RefineParams(refiner="one_euro"))
    scene.watch(0.5)
    assert scene.people.settled() == {"p1": (34, 34)}
    with pytest.raises(ValueError, match="unknown refiner 'kalmann'"):
        scene.people.retune(RefineParams(refiner="kalmann"))
    assert scene.people.params.refiner == "one_euro"
    with pytest.raises(ValueError, match="unknown refiner"):
        PeopleRefiner(RefineParams(refiner=""))


# Looking ahead: frames wait for later ones.


@AHEAD
def test_frames_come_out_later_with_their_own_stamps_and_the_delay(refiner, figure):
    scene, out = Scene(figure, refiner=refiner, look_ahead=3), []
    steps = [0.02, 0.05, 0.03, 0.04, 0.1, 0.01]
    for k, after in enumerate(steps):
        given = replace(figure.people(scene.seconds + after, figure.person()), delay=0.25)
        scene.seconds += after
        out.append(scene.people.process(given))
        assert (out[-1] is None) == (k < 3)
    times = 1.0 + np.cumsum(steps)
    for k, people in enumerate(out[3:]):
        assert people.stamp == round(times[k] * 1e9)
        assert people.delay == pytest.approx(0.25 + times[k + 3] - times[k], abs=1e-9)
        assert ids(people) == ["p1"]
        np.testing.assert_allclose(people.people[0].xyz, figure.person().xyz, atol=1e-9)
    rest = scene.people.flush()
    assert [people.stamp for people in rest] == [round(t * 1e9) for t in times[3:]]
    assert [round(people.delay, 9) for people in rest] == [0.36, 0.26, 0.25]
    assert scene.people.flush() == []


@AHEAD
def test_who_comes_and_goes_is_there_in_the_frames_that_show_them(refiner, figure):
    ahead, now = (Scene(figure, refiner=refiner, look_ahead=n, max_gap=0.1) for n in (4, 0))
    rng, late, early = np.random.default_rng(0), [], []
    for k in range(40):
        noisy = [
            figure.person(figure.person().xyz + i + 0.01 * rng.normal(size=(33, 3)), id=f"p{i}")
            for i in range(3)
        ]
        here = [noisy[0]] * (k < 20) + [noisy[1]] * (k >= 7) + [noisy[2]] * (k % 2 == 0)
        early.append(now.show(*here))
        late.append(ahead.show(*here))
    assert late[:4] == [None] * 4
    for before, after in zip(early, late[4:] + ahead.people.flush(), strict=True):
        assert after.stamp == before.stamp
        assert ids(after) == ids(before)
    assert (ahead.people.resets, now.people.resets) == ({}, {})


@AHEAD
def test_a_person_not_seen_in_between_is_interpolated(refiner, figure):
    scene, out = Scene(figure, refiner=refiner, look_ahead=6, bone_lengths=False), []
    walk = [figure.person(figure.person().xyz + np.array([1.2 * k * DT, 0.0, 0.0])) for k in range(200)]
    for k, person in enumerate(walk):
        out.append(scene.show(*([] if 150 <= k < 153 else [person])))
    for k, people in enumerate(out[6:]):
        (person,) = people.people
        gone = 150 <= k < 153
        assert (person.state == (JointState.INTERPOLATED if gone else JointState.LIFTED)).all()
        if k > 120:
            np.testing.assert_allclose(person.xyz, walk[k].xyz, atol=2e-3)
        assert person.confidence == pytest.approx(0.9)
    assert scene.people.bridged == 0


@AHEAD
def test_a_person_who_leaves_is_predicted_as_without_look_ahead(refiner, figure):
    scene, out = Scene(figure, refiner=refiner, look_ahead=4, max_gap=MAX_GAP), []
    for k in range(90):
        out.append(scene.show(*[figure.person()] * (k < 60)))
    handed = [people.people for people in out[4:]]
    assert all(len(people) == 1 for people in handed[:77])
    assert not any(handed[77:])
    confidences = [people[0].confidence for people in handed[59:77]]
    np.testing.assert_allclose(confidences, [0.9 * (1.0 - k * DT / MAX_GAP) for k in range(18)], rtol=1e-6)
    assert all((people[0].state == JointState.PREDICTED).all() for people in handed[60:77])
    assert scene.people.bridged == 17


@AHEAD
def test_a_jump_does_not_reach_back(refiner, figure):
    """The filters restart; frames from before that still wait are handed out as they were."""
    scene, out = Scene(figure, refiner=refiner, look_ahead=5), []
    there = figure.person(figure.person().xyz + AWAY)
    for k in range(60):
        out.append(scene.show(figure.person() if k < 30 else there))
    for k, people in enumerate(out[5:]):
        (person,) = people.people
        expected = figure.person() if k < 30 + GATE_FRAMES - 1 else there
        np.testing.assert_allclose(person.xyz, expected.xyz, atol=1e-6)
    assert scene.people.resets == {"jump": 1}


@AHEAD
def test_another_scale_does_not_reach_back(refiner, figure):
    scene = Scene(figure, refiner=refiner, look_ahead=5)
    for _ in range(120):
        scene.show(figure.person(), after=0.05)
    assert scene.people.settled() == {"p1": (34, 34)}
    taller = figure.person(1.1 * figure.person().xyz, height=1.1 * 1.75)
    out = [scene.show(taller) for _ in range(10)]
    for people, expected in zip(out, [figure.person()] * 5 + [taller] * 5, strict=True):
        np.testing.assert_allclose(people.people[0].xyz, expected.xyz, atol=1e-6)


@AHEAD
def test_what_waits_is_dropped_when_everything_is_reset(refiner, figure):
    scene = Scene(figure, refiner=refiner, look_ahead=3)
    for _ in range(10):
        scene.show(figure.person())
    scene.seconds = 1.0
    assert [scene.show(figure.person()) for _ in range(3)] == [None] * 3
    assert scene.show(figure.person()).stamp == round((1.0 + DT) * 1e9)
    scene.show(figure.person(), figure.person(id="p2"))
    scene.people.reset("p1")
    assert [ids(people) for people in scene.people.flush()] == [[], [], ["p2"]]


@AHEAD
def test_everybody_waits_alone(refiner, figure):
    alone, scene = (Scene(figure, refiner=refiner, look_ahead=2) for _ in range(2))
    other = figure.person(figure.person().xyz + 1.0, id="p2")
    for k in range(30):
        person = figure.person(figure.person().xyz + 0.01 * k)
        one, both = alone.show(person), scene.show(person, *[other] * (k % 3 > 0))
        assert (one is None) == (both is None)
        if one is not None:
            assert both.people[0].xyz.tobytes() == one.people[0].xyz.tobytes()


def test_live_parameters_hand_out_what_waits_as_it_was(figure):
    scene, out = Scene(figure, look_ahead=3), []
    for k in range(20):
        out.append(scene.show(figure.person(figure.person().xyz + 0.001 * k)))
    scene.people.retune(RefineParams(refiner="savitzky_golay", look_ahead=3))
    for k in range(20, 30):
        out.append(scene.show(figure.person(figure.person().xyz + 0.001 * k)))
    for k, people in enumerate(out[3:]):
        assert np.abs(people.people[0].xyz - figure.person().xyz - 0.001 * k).max() < 0.01
    with pytest.raises(ValueError, match="refiner 'one_euro' cannot use look_ahead 3"):
        scene.people.retune(RefineParams(refiner="one_euro", look_ahead=3))
    assert scene.people.params.refiner == "savitzky_golay"


def lengths_of(body: BodyOf) -> np.ndarray:
    return np.asarray(body.body.length)


def test_one_that_starts_again_with_what_was_stated_knows_the_bones_at_once(figure):
    before = Scene(figure)
    before.settle()
    stated = before.people.bodies()
    assert before.people.bodies()["p1"] is stated["p1"]  # nothing has changed
    again = Scene(figure)
    again.people.adopt(stated)
    assert again.people.bodies() == stated  # still stated while nobody has come
    taller = figure.person(1.05 * figure.person().xyz)
    (person,) = again.show(taller).people
    assert again.people.settled() == {"p1": (34, 34)}
    np.testing.assert_array_equal(lengths_of(again.people.bodies()["p1"]), lengths_of(stated["p1"]))
    tree = BoneTree(figure.skeleton)
    found, _ = tree.measure(person.xyz)
    np.testing.assert_allclose(found[tree.rigid], lengths_of(stated["p1"])[tree.rigid], rtol=0, atol=1e-9)


def test_a_person_in_sight_takes_over_what_is_stated_late_but_keeps_what_has_settled(figure):
    before = Scene(figure)
    before.settle()
    stated = before.people.bodies()
    late = Scene(figure)
    late.show(figure.person())
    late.people.adopt(stated)
    assert late.people.settled() == {"p1": (34, 34)}
    late.people.adopt(
        {"p1": BodyOf("mediapipe33", replace(stated["p1"].body, length=2.0 * stated["p1"].body.length))}
    )
    np.testing.assert_array_equal(lengths_of(late.people.bodies()["p1"]), lengths_of(stated["p1"]))


def test_bodies_of_another_skeleton_and_of_who_never_comes_are_dropped(figure):
    before = Scene(figure)
    before.settle(figure.person(), figure.person(id="p2"))
    stated = before.people.bodies()
    bones = len(SKELETONS.get("coco17").bones)
    other = BodyOf("coco17", BodyStatement("p1", np.full(bones, 0.4), np.ones(bones, bool)))
    again = Scene(figure, forget_after=5.0)
    again.people.adopt({"p1": other, "p2": stated["p2"]})
    again.show(figure.person())
    assert again.people.settled() == {"p1": (0, 34)}
    assert set(again.people.bodies()) == {"p2"}
    again.show(figure.person(), after=5.1)
    assert again.people.bodies() == {}


def test_reset_and_a_stamp_that_goes_back_drop_what_was_stated(figure):
    before = Scene(figure)
    before.settle(figure.person(), figure.person(id="p2"))
    stated = before.people.bodies()
    again = Scene(figure)
    again.people.adopt(stated)
    assert again.people.reset("p1") == ["p1"]
    assert set(again.people.bodies()) == {"p2"}
    again.show(figure.person())
    again.show(figure.person(), after=-0.5)
    assert again.people.bodies() == {}


def test_adopted_bones_follow_the_height(figure):
    before = Scene(figure)
    before.settle()
    stated = before.people.bodies()
    assert stated["p1"].body.height == figure.person().height
    taller = replace(figure.person(1.1 * figure.person().xyz), height=1.1 * figure.person().height)
    for first in (figure.person(), taller):  # the height is stated after the bones, or before them
        again = Scene(figure)
        again.people.adopt(stated)
        again.show(first)
        again.show(taller)
        assert again.people.settled() == {"p1": (34, 34)}
        np.testing.assert_allclose(lengths_of(again.people.bodies()["p1"]), 1.1 * lengths_of(stated["p1"]))


def test_adopted_bones_of_an_unknown_height_are_learnt_anew_at_another_scale(figure):
    before = Scene(figure)
    before.settle()
    body = before.people.bodies()["p1"]
    again = Scene(figure)
    again.people.adopt({"p1": BodyOf(body.skeleton, replace(body.body, height=np.nan))})
    again.show(figure.person())
    assert again.people.settled() == {"p1": (34, 34)}
    assert np.isnan(again.people.bodies()["p1"].body.height)
    again.show(replace(figure.person(1.1 * figure.person().xyz), height=1.1 * figure.person().height))
    assert again.people.settled() == {"p1": (0, 34)}


def test_a_view_between_two_has_a_covariance_of_its_own_deviation(figure):
    """Also where the view before stated none: what is handed out must be a message that others accept."""
    shape = np.array([0.5, 0.0, 0.2, 0.5, 0.0, 2.0])
    sure, unsure = figure.person(std=0.02), figure.person(std=0.1)
    shaped = replace(unsure, covariance=np.square(unsure.std)[:, None] * shape)
    for before in (sure, replace(sure, covariance=np.square(sure.std)[:, None] * shape)):
        between = interpolated((before, 0), (shaped, 100), shaped, 50)
        np.testing.assert_allclose(between.std, 0.06)
        np.testing.assert_allclose(std_of(between.covariance), between.std)
