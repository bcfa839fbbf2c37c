"""Points made from motion capture stand where anatomy says, on both sides."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pose_core.skeleton import SKELETONS
from pose_train.data.landmarks import HIP_OUTWARD, MIRRORED_JOINTS, MIRRORED_SEGMENTS, Landmarks
from pose_train.data.mocap import JOINTS, SEGMENTS
from pose_train.testing import rest

NAMES = ("mediapipe33", "coco17", "h36m17", "mpi_inf28")
UPRIGHT = np.repeat(np.eye(3, dtype=np.float32)[None], len(SEGMENTS), 0)


def points(name: str, size: float = 1.0) -> dict[str, np.ndarray]:
    given = Landmarks(name).of(rest(), UPRIGHT, np.array(size))
    return dict(zip(SKELETONS.get(name).joints, given, strict=True))


def test_landmarks_of_the_reference_pose_by_hand():
    at, captured = points("mediapipe33"), dict(zip(JOINTS, rest(), strict=True))
    np.testing.assert_allclose(at["nose"], captured["head"] + (0.0, -0.055, 0.112), atol=1e-6)
    np.testing.assert_allclose(at["right_ear"], captured["head"] + (-0.074, -0.035, 0.0), atol=1e-6)
    np.testing.assert_allclose(at["left_knee"], captured["lfemur"], atol=1e-6)
    np.testing.assert_allclose(at["right_index"], captured["rwrist"] + (-0.09, 0.0, 0.025), atol=1e-6)
    np.testing.assert_allclose(at["left_heel"], captured["ltibia"] + (0.0, -0.06, -0.05), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_left_is_left_and_a_symmetric_pose_gives_symmetric_points(name: str):
    skeleton, at = SKELETONS.get(name), points(name)
    for joint, other in zip(skeleton.joints, np.array(skeleton.joints)[skeleton.flip], strict=True):
        np.testing.assert_allclose(at[joint], at[str(other)] * (-1, 1, 1), atol=1e-6)
        if "left" in joint:
            assert at[joint][0] > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_person_facing_forward_has_toes_and_nose_in_front(name: str):
    at = points(name)
    toe = next((joint for joint in ("left_foot_index", "left_toe") if joint in at), None)
    if toe:
        assert at[toe][2] > at["left_ankle"][2] + 0.1
    if "nose" in at:
        assert at["nose"][2] > 0.1


def test_the_middle_joints_rise_in_order():
    h36m, inf = points("h36m17"), points("mpi_inf28")
    for at, order in (
        (h36m, ("pelvis", "spine", "neck", "nose", "head_top")),
        (inf, ("pelvis", "spine", "spine2", "spine3", "spine4", "neck", "head", "head_top")),
    ):
        heights = [at[joint][1] for joint in order]
        assert heights == sorted(heights)
    assert h36m["head_top"][1] - h36m["nose"][1] == pytest.approx(0.155)


def test_offsets_turn_with_their_segment_and_grow_with_the_person():
    rotations = UPRIGHT.copy()
    rotations[SEGMENTS.index("head")] = Rotation.from_euler(
        "y", 90, degrees=True
    ).as_matrix()  # looks to their left
    skeleton = SKELETONS.get("mediapipe33")
    head = rest()[JOINTS.index("head")]
    turned = Landmarks("mediapipe33").of(rest(), rotations, np.array(2.0))
    np.testing.assert_allclose(turned[skeleton.index("nose")] - head, [0.224, -0.11, 0.0], atol=1e-6)


def test_mirroring_captured_joints_mirrors_the_points():
    random = np.random.default_rng(0)
    xyz = rest() + random.normal(0, 0.05, (31, 3)).astype(np.float32)
    rotations = Rotation.random(7, random_state=0).as_matrix().astype(np.float32)
    flip = np.array([-1.0, 1.0, 1.0], np.float32)
    for name in NAMES:
        landmarks, skeleton = Landmarks(name), SKELETONS.get(name)
        mirrored = landmarks.of(
            (xyz * flip)[MIRRORED_JOINTS],
            (rotations * np.outer(flip, flip))[MIRRORED_SEGMENTS],
            np.array(1.0),
        )
        plain = landmarks.of(xyz, rotations, np.array(1.0))
        np.testing.assert_allclose(mirrored, (plain * flip)[skeleton.flip], atol=1e-5)


def test_hips_in_images_lie_outside_the_centres_of_rotation():
    centre, seen = points("h36m17")["left_hip"], points("mediapipe33")["left_hip"]
    np.testing.assert_allclose(seen - centre, [HIP_OUTWARD, 0.0, 0.0], atol=1e-6)


def test_where_a_detector_places_landmarks_differs_by_the_stated_amount():
    landmarks = Landmarks("mediapipe33")
    many = 2000
    placing = landmarks.placing(many, 0.012, np.random.default_rng(0))
    xyz, rotations = (np.broadcast_to(one, (many, 1, *one.shape)) for one in (rest(), UPRIGHT))
    off = landmarks.of(xyz, rotations, np.ones((many, 1)), placing) - landmarks.of(
        xyz, rotations, np.ones((many, 1))
    )
    at = dict(zip(SKELETONS.get("mediapipe33").joints, off[:, 0].transpose(1, 0, 2), strict=True))
    np.testing.assert_allclose(at["left_hip"].std(0), [0.012] * 3, rtol=0.08)
    np.testing.assert_allclose(at["nose"].std(0), [0.012] * 3, rtol=0.08)
    # The test skeleton's shank is 0.42 m long, and stands upright.
    np.testing.assert_allclose(at["left_ankle"].std(0), [0.0, 0.012 * 0.42 / 0.3, 0.0], rtol=0.1, atol=2e-3)
    np.testing.assert_allclose(off.mean(0), 0.0, atol=0.002)


def test_a_skeleton_that_cannot_be_made_is_refused():
    with pytest.raises(ValueError, match="cannot be made"):
        Landmarks("hand21")
