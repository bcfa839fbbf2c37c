"""Markers by value, for a person built by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.geometry.covariance import outer, std_of
from pose_core.geometry.rotations import matrix_of_quaternion
from pose_core.people import ScaleSource, with_missing
from pose_core.skeleton import MEDIAPIPE33
from pose_viz import scene as scenes
from pose_viz.palette import SIDES, side_colour
from pose_viz.params import VizParams
from pose_viz.scene import MarkerSpec, Scene, SceneBuilder, Shape


def marker(scene: Scene, namespace: str, number: int = 0) -> MarkerSpec:
    (found,) = [spec for spec in scene.markers if spec.key == (namespace, number)]
    return found


def keys(scene: Scene) -> set:
    return {spec.key for spec in scene.markers}


def row(spec: MarkerSpec, position: np.ndarray) -> int:
    (index,) = np.flatnonzero((spec.points == position).all(1))
    return int(index)


def test_one_person(studio):
    person = studio.person3d()
    scene = SceneBuilder(VizParams(joint_radius=0.03, bone_width=0.01)).build(studio.people3d(person))
    assert keys(scene) == {("joints", 0), ("bones", 0), ("labels", 0)}
    joints, bones = marker(scene, "joints"), marker(scene, "bones")
    assert (joints.shape, bones.shape) == (Shape.SPHERES, Shape.LINES)
    np.testing.assert_array_equal(joints.points, person.xyz)
    assert joints.scale == (0.06, 0.06, 0.06)
    assert bones.points.shape == (2 * len(MEDIAPIPE33.bones), 3)
    assert bones.scale == (0.01, 0.0, 0.0)
    # The first bone is the trunk, between the virtual pelvis and neck.
    assert MEDIAPIPE33.bones[0] == ("pelvis", "neck")
    np.testing.assert_allclose(bones.points[:2], [[0.0, 0.0, 3.0], [0.0, -0.45, 3.0]])


def test_sides_have_their_colours(studio):
    person = studio.person3d()
    scene = SceneBuilder(VizParams()).build(studio.people3d(person))
    joints, bones = marker(scene, "joints"), marker(scene, "bones")
    for joint, side in (("left_wrist", "left"), ("right_wrist", "right"), ("nose", "centre")):
        index = row(joints, person.xyz[MEDIAPIPE33.index(joint)])
        np.testing.assert_array_equal(joints.colours[index, :3], SIDES[side][0])
    for bone, side in (
        ("left_knee-left_ankle", "left"),
        ("right_elbow-right_wrist", "right"),
        ("pelvis-neck", "centre"),
    ):
        first = 2 * MEDIAPIPE33.bone_names.index(bone)
        np.testing.assert_array_equal(bones.colours[first : first + 2, :3], [SIDES[side][0]] * 2)


def test_a_swap_of_sides_shows(studio):
    person = studio.person3d()
    swapped = replace(person, xyz=person.xyz[MEDIAPIPE33.flip])
    right, wrong = (
        marker(SceneBuilder(VizParams()).build(studio.people3d(p)), "joints") for p in (person, swapped)
    )
    wrist = person.xyz[MEDIAPIPE33.index("left_wrist")]
    np.testing.assert_array_equal(right.colours[row(right, wrist), :3], SIDES["left"][0])
    np.testing.assert_array_equal(wrong.colours[row(wrong, wrist), :3], SIDES["right"][0])


def test_second_person_is_tinted(studio):
    people = studio.people3d(studio.person3d("p1"), studio.person3d("p2", (1.0, 0.0, 3.0)))
    scene = SceneBuilder(VizParams()).build(people)
    spec = marker(scene, "joints", 1)
    index = row(spec, people.people[1].xyz[MEDIAPIPE33.index("left_wrist")])
    np.testing.assert_allclose(spec.colours[index, :3], side_colour("left", "p2"))


def test_missing_joints_and_their_bones_are_left_out(studio):
    missing = np.zeros(33, bool)
    missing[MEDIAPIPE33.indices("left_elbow", "left_hip")] = True
    scene = SceneBuilder(VizParams()).build(studio.people3d(with_missing(studio.person3d(), missing)))
    joints, bones = marker(scene, "joints"), marker(scene, "bones")
    assert np.isfinite(joints.points).all()
    assert np.isfinite(bones.points).all()
    assert len(joints.points) == 31
    # Gone are both bones at the elbow, both at the hip, and all at the pelvis, which is half left hip.
    touching = [bone for bone in MEDIAPIPE33.bones if {"left_elbow", "left_hip", "pelvis"} & set(bone)]
    assert len(touching) == 6
    assert len(bones.points) == 2 * (len(MEDIAPIPE33.bones) - 6)


def test_confidence_below_the_least_is_left_out(studio):
    confidence = studio.without(np.ones(33), "nose", value=0.29)
    people = studio.people3d(studio.person3d(joint_confidence=confidence))
    drawn = [
        len(marker(SceneBuilder(VizParams(min_confidence=least)).build(people), "joints").points)
        for least in (0.3, 0.29)
    ]
    assert drawn == [32, 33]


def test_confidence_zero_is_never_drawn(studio):
    people = studio.people3d(studio.person3d(joint_confidence=np.zeros(33)))
    assert SceneBuilder(VizParams(min_confidence=0.0)).build(people).markers == ()


def test_label(studio):
    person = studio.person3d()
    spec = marker(SceneBuilder(VizParams()).build(studio.people3d(person)), "labels")
    assert (spec.shape, spec.text) == (Shape.TEXT, "p1  1.70 m")
    np.testing.assert_allclose(spec.points, [[0.0, -0.6 - 0.35, 3.0]])  # above the nose; y points down
    assumed = replace(person, scale_source=ScaleSource.DEFAULT)
    assert scenes.label(assumed) == "p1  1.70 m assumed"
    assert scenes.label(replace(person, height=np.nan)) == "p1"


def test_label_without_a_face_is_above_the_neck_and_without_that_above_the_topmost(studio):
    faceless = studio.person3d(xyz=studio.without(studio.person3d().xyz, "nose"))
    spec = marker(SceneBuilder(VizParams()).build(studio.people3d(faceless)), "labels")
    np.testing.assert_allclose(spec.points, [[0.0, -0.45 - 0.35, 3.0]])
    legs = np.ones(33, bool)
    legs[MEDIAPIPE33.indices("left_knee", "left_ankle")] = False
    spec = marker(
        SceneBuilder(VizParams()).build(studio.people3d(with_missing(studio.person3d(), legs))), "labels"
    )
    np.testing.assert_allclose(spec.points, [[0.11, 0.42 - 0.35, 3.0]])


def test_labels_can_be_switched_off_and_are_then_deleted(studio):
    builder = SceneBuilder(VizParams())
    builder.build(studio.people3d(studio.person3d()))
    builder.params = VizParams(show_labels=False)
    scene = builder.build(studio.people3d(studio.person3d(), stamp=2 * 10**9))
    assert scene.deleted == (("labels", 0),)
    assert keys(scene) == {("joints", 0), ("bones", 0)}


def test_numbers_follow_ids_not_places(studio):
    builder = SceneBuilder(VizParams())
    a, b, c = (studio.person3d(f"p{n}", (float(n), 0.0, 3.0)) for n in (1, 2, 3))
    builder.build(studio.people3d(a, b, stamp=1))
    scene = builder.build(studio.people3d(b, a, stamp=2))
    np.testing.assert_array_equal(marker(scene, "joints", 1).points, b.xyz)
    assert scene.deleted == ()
    scene = builder.build(studio.people3d(c, b, stamp=3))
    assert scene.deleted == (("bones", 0), ("joints", 0), ("labels", 0))
    np.testing.assert_array_equal(marker(scene, "joints", 2).points, c.xyz)
    np.testing.assert_array_equal(marker(scene, "joints", 1).points, b.xyz)


def test_when_everybody_leaves_all_is_deleted_once(studio):
    builder = SceneBuilder(VizParams())
    builder.build(studio.people3d(studio.person3d(), stamp=1))
    scene = builder.build(studio.people3d(stamp=2))
    assert scene.markers == ()
    assert len(scene.deleted) == 3
    assert builder.build(studio.people3d(stamp=3)) == Scene(False, (), ())


def test_clears_at_first_and_when_the_stamp_goes_back(studio):
    builder = SceneBuilder(VizParams())
    clears = []
    for stamp in (5, 6, 6, 4, 5):
        scene = builder.build(studio.people3d(studio.person3d(f"p{stamp}"), stamp=stamp))
        clears.append(scene.clear)
    assert clears == [True, False, False, True, False]
    scene = builder.build(studio.people3d(studio.person3d(), stamp=1))
    # Nothing is left to delete after a clear, and numbers start anew.
    assert scene.clear
    assert scene.deleted == ()
    assert ("joints", 0) in keys(scene)


def test_keys_are_unique_with_many_people_and_ellipsoids(studio):
    people = studio.people3d(*(studio.person3d(f"p{n}", (float(n), 0.0, 5.0)) for n in range(1, 6)))
    scene = SceneBuilder(VizParams(uncertainty="ellipsoids")).build(people)
    assert len(keys(scene)) == len(scene.markers) == 5 * (3 + 33 + 1)


def test_ellipsoids_are_one_standard_deviation(studio):
    std = studio.without(np.full(33, 0.02), "nose", value=0.05)
    std = studio.without(std, "left_ear")
    person = studio.person3d(std=std)
    scene = SceneBuilder(VizParams(uncertainty="ellipsoids")).build(studio.people3d(person))
    nose = marker(scene, "uncertainty", MEDIAPIPE33.index("nose"))
    assert nose.shape == Shape.ELLIPSOID
    assert nose.scale == (0.1, 0.1, 0.1)
    np.testing.assert_array_equal(nose.points, person.xyz[:1])
    root = marker(scene, "uncertainty", scenes.PER_PERSON - 1)
    np.testing.assert_allclose(root.scale, (0.02, 0.04, 0.2))
    np.testing.assert_allclose(root.points, [[0.0, 0.0, 3.0]])
    assert ("uncertainty", MEDIAPIPE33.index("left_ear")) not in keys(scene)
    assert marker(scene, "joints").colours[:, 3].tolist() == [scenes.OPAQUE] * 33


def test_ellipsoids_lie_as_the_doubt_does(studio):
    """The nose errs by 0.3 m along (0.6, 0, 0.8) and by 0.1 m across it; the ear only along z."""
    ray = np.array([0.6, 0.0, 0.8])
    covariance = np.tile([0.01, 0.0, 0.0, 0.01, 0.0, 0.01], (33, 1))
    covariance[0] += 0.08 * outer(ray)
    ear = MEDIAPIPE33.index("left_ear")
    covariance[ear] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.09)
    person = replace(studio.person3d(std=std_of(covariance)), covariance=covariance)
    scene = SceneBuilder(VizParams(uncertainty="ellipsoids")).build(studio.people3d(person))
    nose = marker(scene, "uncertainty", 0)
    np.testing.assert_allclose(sorted(nose.scale), [0.2, 0.2, 0.6], rtol=1e-9)
    axes = matrix_of_quaternion(np.array(nose.turn))
    np.testing.assert_allclose(np.abs(axes[:, np.argmax(nose.scale)]), ray, atol=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    flat = marker(scene, "uncertainty", ear)
    thin = 2.0 * scenes.MIN_DIAMETER_SHARE * np.sqrt(0.03)
    np.testing.assert_allclose(sorted(flat.scale), [thin, thin, 0.6])


@pytest.mark.parametrize("style", ["ellipsoids", "none"])
def test_other_styles_are_opaque(studio, style):
    person = studio.person3d(std=np.full(33, 0.5))
    scene = SceneBuilder(VizParams(uncertainty=style)).build(studio.people3d(person))
    assert marker(scene, "joints").colours[:, 3].tolist() == [scenes.OPAQUE] * 33


def test_transparency_shows_each_joints_own_std(studio):
    std = studio.without(np.zeros(33), "left_wrist", value=scenes.HALF_STD)
    scene = SceneBuilder(VizParams()).build(studio.people3d(studio.person3d(std=std)))
    alpha = marker(scene, "joints").colours[:, 3]
    half = (scenes.OPAQUE + scenes.FAINTEST) / 2.0
    np.testing.assert_allclose(alpha[MEDIAPIPE33.index("left_wrist")], half)
    np.testing.assert_allclose(np.delete(alpha, MEDIAPIPE33.index("left_wrist")), scenes.OPAQUE)
    bones = marker(scene, "bones")
    first = 2 * MEDIAPIPE33.bone_names.index("left_elbow-left_wrist")
    np.testing.assert_allclose(bones.colours[first : first + 2, 3], [scenes.OPAQUE, half])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.0, 1e6), min_size=2, max_size=20, unique=True))
def test_alpha_falls_with_std(stds):
    alpha = scenes.alpha_of(np.sort(stds))
    assert (np.diff(alpha) <= 0.0).all()
    assert (alpha >= scenes.FAINTEST).all()
    assert (alpha <= scenes.OPAQUE).all()


def test_alpha_values():
    alpha = scenes.alpha_of(np.array([0.0, 0.08, np.nan, 0.01, 0.02, np.inf]))
    np.testing.assert_allclose(alpha[[0, 1, 2, 5]], [0.99, 0.57, 0.57, 0.15])
    assert alpha[3] > alpha[4] > alpha[1]
