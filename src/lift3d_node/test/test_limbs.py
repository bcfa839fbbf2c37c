from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lift3d_node.learned import limbs
from lift3d_node.stature import Stature
from pose_core.skeleton import COCO17, H36M17, HAND21, MEDIAPIPE33, MPI_INF28, remap

COCO_PAIRS = """5-7 6-8 7-9 8-10 11-13 12-14 13-15 14-16 5-6 11-12 5-11 6-12 5-12 6-11"""


def limb(name: str) -> int:
    return limbs.NAMES.index(name)


def test_the_limbs_are_the_usual_14_of_coco() -> None:
    pairs = [tuple(map(int, pair.split("-"))) for pair in COCO_PAIRS.split()]
    assert [tuple(COCO17.indices(*pair)) for pair in limbs.LIMBS] == pairs


def test_edges_are_rows_of_the_twelve_joints() -> None:
    assert COCO17.indices(*limbs.JOINTS) == list(range(5, 17))
    assert limbs.EDGES[limb("left_knee-left_ankle")].tolist() == [8, 10]


@pytest.mark.parametrize("skeleton", [COCO17, H36M17, MPI_INF28], ids=lambda s: s.name)
def test_every_body_skeleton_gives_the_same_directions(skeleton, scene) -> None:
    xyz = scene().xyz
    converted = np.nan_to_num(remap(MEDIAPIPE33, skeleton)) @ xyz
    np.testing.assert_allclose(
        limbs.directions(converted, skeleton), limbs.directions(xyz, MEDIAPIPE33), atol=1e-12
    )


def test_a_hand_has_no_limbs() -> None:
    with pytest.raises(ValueError, match="'hand21' has no joint 'left_shoulder'"):
        limbs.directions(np.zeros((21, 3)), HAND21)


def test_direction_of_a_known_limb() -> None:
    xyz = np.zeros((2, 17, 3))
    xyz[1, COCO17.index("left_elbow")] = (0.0, 3.0, -4.0)
    found = limbs.directions(xyz, COCO17)[1]
    np.testing.assert_allclose(found[limb("left_shoulder-left_elbow")], (0.0, 0.6, -0.8))
    np.testing.assert_allclose(found[limb("left_elbow-left_wrist")], (0.0, -0.6, 0.8))
    assert limbs.toward(found)[limb("left_shoulder-left_elbow")]
    assert not limbs.toward(found)[limb("left_elbow-left_wrist")]
    assert np.isnan(found[limb("left_hip-left_knee")]).all(), "without length there is no direction"


def test_a_missing_joint_takes_its_limbs_along() -> None:
    xyz = np.random.default_rng(0).normal(size=(17, 3))
    xyz[COCO17.index("left_hip")] = np.nan
    gone = {
        name for name, d in zip(limbs.NAMES, limbs.directions(xyz, COCO17), strict=True) if np.isnan(d).all()
    }
    assert gone == {name for name in limbs.NAMES if "left_hip" in name}
    assert len(gone) == 4
    assert not limbs.toward(limbs.directions(xyz, COCO17))[[limb(name) for name in gone]].any()


def test_vectors_in_the_image() -> None:
    xy = np.arange(34.0).reshape(17, 2) ** 2
    np.testing.assert_array_equal(limbs.vectors(xy, COCO17)[8], xy[6] - xy[5])


def test_mirroring_the_person_mirrors_the_limbs() -> None:
    xyz = np.random.default_rng(1).normal(size=(3, 17, 3))
    seen = (xyz * (-1.0, 1.0, 1.0))[:, COCO17.flip]
    before, after = limbs.directions(xyz, COCO17), limbs.directions(seen, COCO17)
    np.testing.assert_allclose(limbs.mirrored(before), after, atol=1e-15)
    np.testing.assert_array_equal(limbs.mirrored(limbs.mirrored(before)), before)
    assert limbs.FLIP_SIGN[limb("left_hip-right_hip")] == -1.0
    assert limbs.FLIP[limb("left_shoulder-right_hip")] == limb("right_shoulder-left_hip")


@settings(max_examples=50, deadline=None)
@given(st.floats(-9.0, math.log10(math.pi)))
def test_angle_is_the_rotation(log_angle: float) -> None:
    angle = min(10.0**log_angle, math.pi)
    truth = Rotation.random(14, random_state=2).as_matrix()[:, 0]
    axis = np.cross(truth, truth[:, [1, 2, 0]])
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    turned = Rotation.from_rotvec(angle * axis).apply(truth)
    np.testing.assert_allclose(limbs.angles(turned, truth), angle, rtol=1e-6, atol=1e-15)


def test_mean_and_median_leave_out_what_is_missing() -> None:
    truth = np.tile([1.0, 0.0, 0.0], (14, 1))
    predicted = truth.copy()
    predicted[0] = (0.0, 1.0, 0.0)
    predicted[1] = (0.0, 0.0, -1.0)
    predicted[3:] = np.nan
    assert limbs.angle_error_deg(predicted, truth) == (pytest.approx(60.0), pytest.approx(90.0))
    assert np.isnan(limbs.angle_error_deg(np.full((14, 3), np.nan), truth)).all()


def test_z_sign_accuracy_counts_what_is_there() -> None:
    truth = np.zeros((4, 3))
    truth[:, 2] = (0.5, -0.5, -0.05, np.nan)
    predicted = np.zeros((4, 3))
    predicted[:, 2] = (0.9, 0.1, -0.1, 0.3)
    assert limbs.z_sign_accuracy(predicted, truth) == pytest.approx(2 / 3)
    assert limbs.z_sign_accuracy(predicted, truth, least=0.1) == pytest.approx(1 / 2)
    assert math.isnan(limbs.z_sign_accuracy(predicted, truth, least=0.6))


def test_default_lengths_give_the_height_back() -> None:
    """A person with the default lengths, standing with level shoulders and hips, has the height they were made for."""
    length = dict(zip(limbs.NAMES, limbs.default_lengths(1.8), strict=True))
    across, up = length["left_shoulder-right_shoulder"] / 2.0, length["left_hip-right_hip"] / 2.0
    rise = math.sqrt(length["left_shoulder-left_hip"] ** 2 - (across - up) ** 2)
    assert math.hypot(rise, across + up) == pytest.approx(length["right_shoulder-left_hip"])
    xyz = np.zeros((17, 3))
    for side, x in (("left", 1.0), ("right", -1.0)):
        xyz[COCO17.index(f"{side}_shoulder")] = (x * across, -rise, 0.0)
        xyz[COCO17.index(f"{side}_hip")] = (x * up, 0.0, 0.0)
        xyz[COCO17.index(f"{side}_knee")] = (x * up, length["left_hip-left_knee"], 0.0)
        xyz[COCO17.index(f"{side}_ankle")] = (
            x * up,
            length["left_hip-left_knee"] + length["left_knee-left_ankle"],
            0.0,
        )
    assert Stature(COCO17).of(xyz) == pytest.approx(1.8)
    seen = [i for i, (a, b) in enumerate(limbs.LIMBS) if "elbow" not in a + b]
    np.testing.assert_allclose(limbs.lengths(xyz, COCO17)[seen], limbs.default_lengths(1.8)[seen])


def test_default_lengths_are_symmetric_and_scale() -> None:
    np.testing.assert_array_equal(limbs.LENGTH_SHARES, limbs.LENGTH_SHARES[limbs.FLIP])
    np.testing.assert_allclose(
        limbs.default_lengths(np.array([1.0, 2.0])) / limbs.LENGTH_SHARES, [[1.0] * 14, [2.0] * 14]
    )
