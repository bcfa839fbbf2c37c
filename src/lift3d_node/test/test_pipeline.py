from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lift3d_node.correspondence import Correspondence
from lift3d_node.lifter import LIFTERS, Lifter, Shape
from lift3d_node.params import Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from lift3d_node.placing.placement import Placed
from lift3d_node.placing.quality import WINDOW, Quality
from pose_core.people import JointState, People2D, People3D, Person3D, ScaleSource
from pose_core.skeleton import COCO17, MEDIAPIPE33
from pose_core.units import NS_PER_S


class Remembering(Lifter):
    """Gives nobody a shape, but notes what it is told."""

    skeleton_in = "coco17"
    skeleton_out = "coco17"

    def __init__(self, params: Lift3DParams) -> None:
        super().__init__(params)
        self.lifted: list[People2D] = []
        self.forgotten: list[str | None] = []

    def lift(self, people, camera, world) -> list[Shape]:
        self.lifted.append(people)
        return [Shape.missing(17) for _ in people.people]

    def reset(self, person: str | None = None) -> None:
        self.forgotten.append(person)


@pytest.fixture
def remembering(monkeypatch: pytest.MonkeyPatch) -> PeopleLifter:
    monkeypatch.setitem(LIFTERS._entries, "remembering", Remembering)
    return PeopleLifter(Lift3DParams(lifter="remembering"))


@pytest.fixture
def shot(scene):
    """`shot(stamp, ids)`: people and world landmarks of one image."""

    def build(stamp: int = NS_PER_S, ids: tuple[str, ...] = ("p1",)) -> tuple:
        one = scene((0.3, 0.1, 4.0))
        people = tuple(replace(one.person, id=id) for id in ids)
        world = tuple(
            Person3D(
                id,
                0.9,
                one.shape.xyz,
                np.full(33, np.nan),
                np.full(3, np.nan),
                np.full(33, 0.8),
                one.shape.state,
            )
            for id in ids
        )
        return (
            People2D(stamp, "camera", "mediapipe33", one.camera.width, one.camera.height, people),
            People3D(stamp, "camera", "mediapipe33", world),
            one,
        )

    return build


def test_the_lifter_is_told_what_points_up_where_the_tilt_is_stated(remembering) -> None:
    assert remembering.lifter.up is None
    assert remembering.tilt_in_words() == "unknown"
    stated = Lift3DParams(camera_tilt="stated", camera_pitch_deg=30.0)
    remembering.tilt(stated)
    np.testing.assert_allclose(remembering.lifter.up, [0.0, -np.sqrt(0.75), -0.5], atol=1e-12)
    assert remembering.tilt_in_words() == "looks 30.0 degrees down, rolled by 0.0"
    remembering.tilt(replace(stated, camera_tilt="unknown"))
    assert remembering.lifter.up is None


def test_people_say_what_points_up(shot) -> None:
    """Of any lifter, for the stages after this one."""
    params = Lift3DParams(lifter="mediapipe_world", camera_tilt="stated", camera_roll_deg=90.0)
    lifter = PeopleLifter(params)
    people, world, one = shot()
    np.testing.assert_allclose(lifter.process(people, world, one.camera).up, [-1.0, 0.0, 0.0], atol=1e-12)
    lifter.tilt(replace(params, camera_tilt="unknown"))
    assert lifter.process(replace(people, stamp=people.stamp + 1), world, one.camera).up is None


def test_people_come_out_where_they_are(shot) -> None:
    lifter = PeopleLifter(Lift3DParams(lifter="mediapipe_world", height=1.75))
    people, world, truth = shot(ids=("p1", "p2"))
    lifted = lifter.process(people, world, truth.camera)
    assert (lifted.stamp, lifted.frame_id, lifted.skeleton, lifted.delay) == (
        NS_PER_S,
        "camera",
        "mediapipe33",
        0.0,
    )
    assert [person.id for person in lifted.people] == ["p1", "p2"]
    for person in lifted.people:
        np.testing.assert_allclose(person.xyz, truth.xyz, atol=1e-6)
        assert person.scale_source == ScaleSource.SUBJECT
    assert lifter.quality.median_px() < 1e-3
    assert lifter.scales() == "p1 subject 1.75 m, p2 subject 1.75 m"


def test_without_a_height_the_default_is_stated(shot) -> None:
    people, world, truth = shot()
    person = (
        PeopleLifter(Lift3DParams(lifter="mediapipe_world")).process(people, world, truth.camera).people[0]
    )
    assert (person.height, person.height_std, person.scale_source) == (1.70, 0.10, ScaleSource.DEFAULT)
    np.testing.assert_allclose(person.xyz, truth.xyz * 1.70 / 1.75, atol=1e-6)
    assert person.root_std[2] > 0.06 * 4.0


def test_a_stated_height_counts_from_the_next_image(shot) -> None:
    lifter = PeopleLifter(Lift3DParams(lifter="mediapipe_world"))
    people, world, truth = shot(ids=("p1", "p2"))
    lifter.process(people, world, truth.camera)
    lifter.subjects.state("p2", 2.0, 0.0)
    first, second = lifter.process(replace(people, stamp=2 * NS_PER_S), world, truth.camera).people
    np.testing.assert_allclose(first.xyz, truth.xyz * 1.70 / 1.75, atol=1e-6)
    np.testing.assert_allclose(second.xyz, truth.xyz * 2.0 / 1.75, atol=1e-6)


def test_who_cannot_be_placed_keeps_the_place_in_the_list(shot) -> None:
    lifter = PeopleLifter(Lift3DParams(lifter="mediapipe_world"))
    people, world, truth = shot(ids=("p1", "p2"))
    world = replace(world, people=world.people[1:])
    first, second = lifter.process(people, world, truth.camera).people
    assert np.isnan(first.xyz).all()
    assert (first.state == JointState.MISSING).all()
    assert np.isfinite(second.xyz).all()
    assert dict(lifter.quality.unplaced) == {"no shape": 1}


def test_keypoints_are_translated_by_name(remembering, shot) -> None:
    people, world, truth = shot()
    lifted = remembering.process(people, world, truth.camera)
    assert lifted.skeleton == "coco17"
    got = remembering.lifter.lifted[0]
    assert got.skeleton == "coco17"
    np.testing.assert_array_equal(
        got.people[0].xy_px[COCO17.index("left_knee")], people.people[0].xy_px[MEDIAPIPE33.index("left_knee")]
    )


def test_a_skeleton_that_tells_too_little_is_refused(remembering) -> None:
    remembering.check(People2D(0, "c", "mediapipe33", 9, 9))
    with pytest.raises(
        ValueError, match="skeleton 'hand21' has 0 joints of 'coco17', which lifter 'remembering' takes"
    ):
        remembering.check(People2D(0, "c", "hand21", 9, 9))
    with pytest.raises(ValueError, match="takes 3D of skeleton 'coco17', got 'mediapipe33'"):
        remembering.check_world(People3D(0, "c", "mediapipe33"))


def test_who_is_gone_for_a_second_is_forgotten(remembering, shot) -> None:
    for stamp, ids in ((0, ("p1", "p2")), (NS_PER_S // 2, ("p1",)), (NS_PER_S, ("p1",))):
        people, world, truth = shot(NS_PER_S + stamp, ids)
        remembering.process(people, world, truth.camera)
    assert remembering.lifter.forgotten == []
    assert remembering.known() == ["p1", "p2"]
    people, world, truth = shot(2 * NS_PER_S + 1, ("p1",))
    remembering.process(people, world, truth.camera)
    assert remembering.lifter.forgotten == ["p2"]
    assert remembering.known() == ["p1"]


def test_time_that_goes_back_forgets_everybody(remembering, shot) -> None:
    for stamp in (NS_PER_S, 2 * NS_PER_S, NS_PER_S):
        people, world, truth = shot(stamp)
        remembering.process(people, world, truth.camera)
    assert remembering.lifter.forgotten == [None]
    assert remembering.rewinds == 1


def test_reset_says_whom_it_forgot(remembering, shot) -> None:
    people, world, truth = shot(ids=("p1", "p2"))
    remembering.process(people, world, truth.camera)
    assert remembering.reset("p7") == []
    assert remembering.reset("p1") == ["p1"]
    assert remembering.reset() == ["p2"]
    assert remembering.lifter.forgotten == ["p7", "p1", None]


def test_keypoints_of_fewer_joints_still_place_world_landmarks(shot) -> None:
    """17 keypoints by name for a lifter of 33: face and feet come from the shape alone."""
    people, world, truth = shot()
    xy_px, confidence = Correspondence("mediapipe33", "coco17").keypoints(
        truth.person.xy_px, truth.person.joint_confidence
    )
    coco = replace(
        people, skeleton="coco17", people=(replace(truth.person, xy_px=xy_px, joint_confidence=confidence),)
    )
    lifter = PeopleLifter(Lift3DParams(lifter="mediapipe_world", height=1.75))
    lifter.check(coco)
    person = lifter.process(coco, world, truth.camera).people[0]
    np.testing.assert_allclose(person.xyz, truth.xyz, atol=1e-6)
    assert person.std[MEDIAPIPE33.index("left_heel")] > person.std[MEDIAPIPE33.index("left_ankle")]


# Quality


def placed(errors: float | np.ndarray, reason: str = "") -> Placed:
    return Placed(person=None, error_px=np.full(33, errors) if np.isscalar(errors) else errors, reason=reason)


def test_quality_is_the_median_of_what_is_known() -> None:
    quality = Quality(MEDIAPIPE33)
    assert np.isnan(quality.median_px())
    assert quality.joint_median_px() == {}
    for error in (1.0, 2.0, 30.0):
        errors = np.full(33, error)
        errors[MEDIAPIPE33.index("nose")] = np.nan if error < 30 else 7.0
        errors[MEDIAPIPE33.index("left_ear")] = np.nan
        quality.add(placed(errors))
    quality.add(placed(np.nan, "no shape"))
    assert quality.median_px() == 2.0
    medians = quality.joint_median_px()
    assert (medians["nose"], medians["left_hip"]) == (7.0, 2.0)
    assert "left_ear" not in medians
    assert quality.unplaced == {"no shape": 1}


def test_quality_looks_back_a_bounded_time() -> None:
    quality = Quality(MEDIAPIPE33)
    for i in range(2 * WINDOW):
        quality.add(placed(100.0 if i < WINDOW else 1.0))
    assert quality.median_px() == 1.0
