"""Frames on bodies, against axes found by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.geometry.rotations import matrix_of_quaternion, matrix_of_rotation_vector
from pose_core.people import JointState, People3D, Person3D, ScaleSource
from pose_core.skeleton import SKELETONS
from pose_viz.body_frames import JOINTS, body_frame, body_frames, frame_name

# Seen by a camera at the origin (x right, y down, z forward): a person 3 m away who faces it, so that their left is at its right.
FACING = {
    "left_hip": np.array([0.1, 0.0, 3.0]),
    "right_hip": np.array([-0.1, 0.0, 3.0]),
    "left_shoulder": np.array([0.2, -0.5, 3.0]),
    "right_shoulder": np.array([-0.2, -0.5, 3.0]),
}


def axes_of(joints: dict[str, np.ndarray]) -> list[list[float]]:
    """x, y and z of the body in the camera's frame."""
    frame = body_frame("body_p1", *(joints[name] for name in JOINTS))
    assert frame is not None
    return matrix_of_quaternion(frame.quaternion).T.round(9).tolist()


def turned(angle_deg: float, axis: tuple[float, float, float]) -> dict[str, np.ndarray]:
    """FACING, turned about an axis through the middle of the hips."""
    middle = np.array([0.0, 0.0, 3.0])
    turn = matrix_of_rotation_vector(np.radians(angle_deg) * np.array(axis))
    return {name: middle + turn @ (xyz - middle) for name, xyz in FACING.items()}


def person(identity: str = "p1", skeleton: str = "mediapipe33", **changes: object) -> Person3D:
    """FACING with every other joint missing."""
    joints = SKELETONS.get(skeleton).joints
    known = np.array([joint in FACING for joint in joints])
    xyz = np.array([FACING.get(joint, np.full(3, np.nan)) for joint in joints])
    whole = Person3D(
        identity,
        1.0,
        xyz,
        np.where(known, 0.01, np.nan),
        np.full(3, 0.1),
        np.where(known, 0.9, 0.0),
        np.where(known, JointState.LIFTED, JointState.MISSING).astype(np.uint8),
        scale_source=ScaleSource.SUBJECT,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def people(*everybody: Person3D, skeleton: str = "mediapipe33") -> People3D:
    return People3D(1_000, "optical", skeleton, everybody)


def test_who_faces_the_camera_looks_against_its_view_and_their_left_is_at_its_right() -> None:
    assert axes_of(FACING) == [[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]


def test_who_shows_the_left_side_looks_to_the_left_of_the_image() -> None:
    # A quarter turn that brings their front (-z) to -x, and their left from +x to -z, towards the camera.
    assert axes_of(turned(90.0, (0.0, 1.0, 0.0))) == [[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]]


def test_who_turns_the_back_looks_with_the_camera() -> None:
    assert axes_of(turned(180.0, (0.0, 1.0, 0.0))) == [[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]


def test_who_lies_on_the_back_with_the_head_away_looks_up() -> None:
    # The head goes from -y to +z, and with it the front from -z to -y, which is up.
    assert axes_of(turned(-90.0, (1.0, 0.0, 0.0))) == [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


def test_the_origin_is_between_the_hips_and_shoulders_that_twist_do_not_turn_it() -> None:
    twisted = {
        **FACING,
        "left_shoulder": np.array([0.0, -0.5, 2.8]),
        "right_shoulder": np.array([0.0, -0.5, 3.2]),
    }
    assert axes_of(twisted) == axes_of(FACING)
    frame = body_frame("x", *(twisted[name] for name in JOINTS))
    assert frame is not None
    assert frame.origin.tolist() == [0.0, 0.0, 3.0]


def test_hips_that_slant_leave_z_along_the_trunk() -> None:
    slanted = {**FACING, "left_hip": np.array([0.1, -0.05, 3.0]), "right_hip": np.array([-0.1, 0.05, 3.0])}
    assert axes_of(slanted) == axes_of(FACING)


@given(st.lists(st.floats(-5.0, 5.0), min_size=12, max_size=12))
@settings(max_examples=200, deadline=None)
def test_every_frame_is_a_right_handed_rotation(numbers: list[float]) -> None:
    left_hip, right_hip, left_shoulder, right_shoulder = np.array(numbers).reshape(4, 3)
    frame = body_frame("x", left_hip, right_hip, left_shoulder, right_shoulder)
    if frame is None:
        return
    matrix = matrix_of_quaternion(frame.quaternion)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    assert frame.quaternion[3] >= 0.0
    up = (left_shoulder + right_shoulder - left_hip - right_hip) / 2.0
    np.testing.assert_allclose(matrix[:, 2], up / np.linalg.norm(up), atol=1e-9)
    assert matrix[:, 1] @ (left_hip - right_hip) > 0.0


@pytest.mark.parametrize(
    "changed",
    [
        {"left_hip": FACING["right_hip"]},
        {"left_shoulder": np.array([0.1, 0.0, 3.0]), "right_shoulder": np.array([-0.1, 0.0, 3.0])},
        {"left_shoulder": np.array([0.5, 0.0, 3.0]), "right_shoulder": np.array([0.4, 0.0, 3.0])},
    ],
)
def test_joints_that_tell_no_direction_give_no_frame(changed: dict[str, np.ndarray]) -> None:
    joints = FACING | changed
    assert body_frame("x", *(joints[name] for name in JOINTS)) is None


@pytest.mark.parametrize("skeleton", ["mediapipe33", "h36m17", "coco17"])
def test_everybody_who_is_known_has_a_frame_in_every_skeleton(skeleton: str) -> None:
    everybody = people(person("p2", skeleton), person("p1", skeleton), skeleton=skeleton)
    assert [frame.name for frame in body_frames(everybody, 0.1)] == ["body_p2", "body_p1"]


def test_hands_have_none() -> None:
    hand = SKELETONS.get("hand21")
    count = len(hand.joints)
    one = Person3D(
        "p1", 1.0, np.zeros((count, 3)), np.ones(count), np.ones(3), np.ones(count), np.full(count, 2)
    )
    assert body_frames(people(one, skeleton="hand21"), 0.1) == []


@pytest.mark.parametrize("joint", JOINTS)
def test_without_one_of_the_joints_there_is_none(joint: str) -> None:
    index = SKELETONS.get("mediapipe33").joints.index(joint)
    whole = person()
    state, confidence = whole.state.copy(), whole.joint_confidence.copy()
    state[index] = JointState.MISSING
    assert body_frames(people(replace(whole, state=state)), 0.1) == []
    confidence[index] = 0.09
    assert body_frames(people(replace(whole, joint_confidence=confidence)), 0.1) == []
    assert len(body_frames(people(replace(whole, joint_confidence=confidence)), 0.05)) == 1


def test_who_has_no_metric_size_has_none() -> None:
    assert body_frames(people(person(scale_source=ScaleSource.NONE)), 0.1) == []


def test_of_two_with_one_name_the_first_counts() -> None:
    second = replace(person(), xyz=person().xyz + 1.0)
    (frame,) = body_frames(people(person(), second), 0.1)
    assert frame.origin.tolist() == [0.0, 0.0, 3.0]


@pytest.mark.parametrize(
    ("identity", "namespace", "name"),
    [
        ("p1", "", "body_p1"),
        ("p1", "/", "body_p1"),
        ("a7f3_p12", "/robots/left", "robots/left/body_a7f3_p12"),
        ("Anna Ö/2", "", "body_Anna_20__d6__2f_2"),
    ],
)
def test_names_are_legal_and_those_of_robots_apart(identity: str, namespace: str, name: str) -> None:
    assert frame_name(identity, namespace) == name
