"""The encoding: what it forgets (place, focal length), what it keeps (proportions), and that frame by frame equals at once."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lift3d_node.geometry import view_rotation
from lift3d_node.learned import encoding
from lift3d_node.learned.encoding import CONTEXT, INFER_MISSING, TAKES_UP, UP, Encoder, View, context_names
from pose_core.geometry.standing import STANDING
from pose_core.skeleton import SKELETONS, mirror

MP = SKELETONS.get("mediapipe33")


def person(seed: int = 0, distance: float = 3.0) -> np.ndarray:
    """(33, 3) points about a place before the camera."""
    points = np.random.default_rng(seed).normal(0.0, 0.3, (33, 3))
    return points + np.array([0.2, -0.1, distance])


def flat(xyz: np.ndarray) -> np.ndarray:
    return xyz[..., :2] / xyz[..., 2:]


def encode(xy: np.ndarray, confidence: np.ndarray | None = None) -> View:
    return Encoder("mediapipe33").view(xy, np.ones(xy.shape[:-1]) if confidence is None else confidence)


def test_a_square_of_joints_around_the_axis_by_hand():
    xy = np.full((33, 2), np.nan)
    names = ["left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    xy[MP.indices(*names)] = [[0.1, -0.1], [-0.1, -0.1], [0.1, 0.1], [-0.1, 0.1]]
    view = encode(xy)
    assert view.size == pytest.approx(0.1 * np.sqrt(2.0))
    np.testing.assert_allclose(view.R_cam_view, np.eye(3), atol=1e-12)
    corner = view.joints[MP.index("left_hip")]
    np.testing.assert_allclose(corner, [1 / np.sqrt(2.0), 1 / np.sqrt(2.0), 1.0], rtol=1e-6)
    assert (view.joints[MP.index("nose")] == 0.0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_turning_the_camera_leaves_the_joints_but_for_the_roll(seed: int, pitch: float, yaw: float):
    xyz = person(seed)
    turned = Rotation.from_euler("xy", [pitch, yaw]).apply(xyz)
    before, after = encode(flat(xyz)), encode(flat(turned))
    assert after.size == pytest.approx(float(before.size), rel=1e-6)
    # A smallest rotation to the person leaves a turn about the ray: in the image plane, the same for all joints.
    p, q = (view.joints[:, :2] @ np.array([1.0, 1.0j]) for view in (before, after))
    ratio = (q / p)[np.abs(p) > 1e-3]
    np.testing.assert_allclose(ratio, ratio[0], atol=2e-4)
    assert abs(ratio[0]) == pytest.approx(1.0, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99), st.floats(0.5, 5.0))
def test_a_person_of_another_size_at_the_same_angle_looks_the_same(seed: int, factor: float):
    xyz = person(seed)
    np.testing.assert_allclose(encode(flat(factor * xyz)).joints, encode(flat(xyz)).joints, atol=1e-5)


def test_joints_projected_from_the_view_are_the_encoded_ones():
    xyz = person(4)
    view = encode(flat(xyz))
    in_view = xyz @ view.R_cam_view
    np.testing.assert_allclose(flat(in_view) / view.size, view.joints[:, :2], atol=1e-6)


def test_a_surer_joint_draws_the_centre_and_a_face_has_no_weight():
    xy = flat(person(1))
    sure = np.ones(33)
    sure[MP.index("left_wrist")] = 0.01
    towards = encode(xy).R_cam_view[:, 2] - encode(xy, sure).R_cam_view[:, 2]
    wrist = np.append(xy[MP.index("left_wrist")], 1.0)
    assert towards @ (wrist / np.linalg.norm(wrist) - encode(xy).R_cam_view[:, 2]) > 0.0
    moved = xy.copy()
    moved[MP.index("left_ear")] += 5.0
    assert encode(moved).size == encode(xy).size


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_joints_are_nobody(count: int):
    xy = np.full((33, 2), np.nan)
    xy[MP.indices("left_hip", "left_knee")[:count]] = 0.3
    view = encode(xy)
    assert np.isnan(view.size)
    assert (view.joints == 0.0).all()
    np.testing.assert_array_equal(view.R_cam_view, np.eye(3))
    np.testing.assert_array_equal(Encoder("mediapipe33").context(view, view, 0.1), np.zeros(5, np.float32))


def test_joints_in_one_place_are_nobody():
    assert np.isnan(encode(np.full((33, 2), 0.2)).size)


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(float, (33, 2), elements=st.floats(-1e6, 1e6) | st.just(np.nan)),
    hnp.arrays(float, (33,), elements=st.floats(0.0, 1.0)),
)
def test_any_numbers_give_bounded_ones(xy: np.ndarray, confidence: np.ndarray):
    view = encode(xy, confidence)
    assert np.isfinite(view.joints).all()
    assert np.abs(view.joints).max() <= encoding.MAX_OFFSET
    assert np.isfinite(Encoder("mediapipe33").context(view, encode(flat(person())), -3.0)).all()


def test_context_of_growth_and_motion_by_hand():
    encoder = Encoder("mediapipe33")
    xy = np.full((33, 2), np.nan)
    rows = MP.indices("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    square = np.array([[1, -1], [-1, -1], [1, 1], [-1, 1]]) * 0.1
    xy[rows] = square
    before = encode(xy)
    xy[rows] = 2.0 * square
    context = encoder.context(encode(xy), before, 1.0 / 15.0)
    assert context[0] == pytest.approx(np.log(0.2 * np.sqrt(2.0)) - encoding.MEAN_LOG_SIZE, rel=1e-6)
    np.testing.assert_allclose(context[1:], [0.0, 0.0, np.log(2.0), np.log(2.0)], atol=1e-6)
    turned = Rotation.from_euler("y", 0.05).as_matrix()  # the centre moves to the right
    shifted = np.full((33, 2), np.nan)
    shifted[rows] = flat(np.append(square, np.ones((4, 1)), 1) @ turned.T)
    motion = encoder.context(encode(shifted), before, 1.0 / 30.0)
    assert motion[1] == pytest.approx(np.tan(0.05) / (0.1 * np.sqrt(2.0)), rel=0.02)
    assert motion[2] == pytest.approx(0.0, abs=1e-3)
    assert motion[4] == 0.0


def test_who_asks_for_it_is_told_what_points_up_in_the_axes_of_the_view():
    """A level camera that sees somebody to its right: up stays up. Somebody above its axis: up leans away from the camera."""
    encoder = Encoder("mediapipe33", {TAKES_UP: True})
    assert context_names({TAKES_UP: True}) == CONTEXT + UP
    up = np.array([0.0, -1.0, 0.0])
    row = len(CONTEXT)
    for ray, expected in (
        ((0.5, 0.0, 1.0), (0.0, -1.0, 0.0)),
        ((0.0, -np.tan(0.3), 1.0), (0.0, -np.cos(0.3), np.sin(0.3))),
    ):
        centre = np.array(ray) / np.linalg.norm(ray)
        view = View(np.zeros((33, 3), np.float32), view_rotation(centre), np.array(0.2))
        context = encoder.context(view, None, 0.1, up)
        np.testing.assert_allclose(context[row:], expected, atol=1e-6)
        assert context[:row].tolist() == Encoder("mediapipe33").context(view, None, 0.1, up).tolist()
        for unknown in (None, np.full(3, np.nan)):
            assert encoder.context(view, None, 0.1, unknown)[row:].tolist() == [0.0, 0.0, 0.0]


def test_who_does_not_ask_is_not_told():
    view = encode(flat(person()))
    assert Encoder("mediapipe33", {TAKES_UP: False}).context(view, None, 0.1, np.ones(3)).shape == (5,)


@pytest.mark.parametrize(
    ("step", "taken"), [(0.0, encoding.MIN_STEP), (-1.0, encoding.MIN_STEP), (1e6, encoding.MAX_STEP)]
)
def test_absurd_steps_count_as_the_bounds(step: float, taken: float):
    view = encode(flat(person()))
    context = Encoder("mediapipe33").context(view, view, step)
    assert context[4] == pytest.approx(np.log(taken * 30.0), rel=1e-6)
    assert Encoder("mediapipe33").context(view, view, np.nan)[4] == 0.0


def test_frame_by_frame_equals_the_whole_sequence():
    encoder = Encoder("mediapipe33", {TAKES_UP: True})
    random = np.random.default_rng(2)
    xy = flat(person()) + 0.02 * random.normal(size=(2, 7, 33, 2)).cumsum(1)
    confidence = random.random((2, 7, 33))
    xy[0, 3] = np.nan
    step = random.uniform(0.01, 0.1, (2, 7))
    up = random.normal(size=(2, 7, 3))
    up /= np.linalg.norm(up, axis=-1, keepdims=True)
    up[1] = np.nan
    view, context = encoder.sequence(xy, confidence, step, up)
    for clip in range(2):
        previous = None
        for frame in range(7):
            one = encoder.view(xy[clip, frame], confidence[clip, frame])
            np.testing.assert_array_equal(one.joints, view.joints[clip, frame])
            np.testing.assert_array_equal(
                encoder.context(one, previous, step[clip, frame], up[clip, frame]), context[clip, frame]
            )
            previous = one


def test_the_same_for_every_skeleton_with_limbs():
    for name in ("coco17", "h36m17", "mpi_inf28"):
        joints = len(SKELETONS.get(name))
        view = Encoder(name).view(flat(person())[:joints], np.ones(joints))
        assert view.joints.shape == (joints, 3)
        assert view.size > 0.0


def test_missing_joints_are_inferred_where_the_network_asks_for_it():
    skeleton = SKELETONS.get("coco17")
    left = {name: np.array(xyz) for name, xyz in STANDING.items()}
    both = {**{mirror(name): xyz * (-1.0, 1.0, 1.0) for name, xyz in left.items()}, **left}
    standing = 0.2 * np.array([(both[name][0], 0.5 - both[name][1]) for name in skeleton.joints])
    wrists = skeleton.indices("left_wrist", "right_wrist")
    xy, sure = standing.copy(), np.ones(len(skeleton))
    xy[wrists[0]] = np.nan
    plain = Encoder("coco17", {"width": 8}).view(xy, sure)
    filled = Encoder("coco17", {INFER_MISSING: True}).view(xy, sure)
    assert plain.joints[wrists[0]].tolist() == [0.0, 0.0, 0.0]
    # By symmetry: half as sure as what it is inferred from, and as far beyond its elbow as the other wrist.
    assert filled.joints[wrists[0], 2] == pytest.approx(0.5)
    elbows = skeleton.indices("left_elbow", "right_elbow")
    forearms = filled.joints[wrists, :2] - filled.joints[elbows, :2]
    np.testing.assert_allclose(forearms[0], forearms[1] * (-1.0, 1.0), atol=1e-3)
    whole = Encoder("coco17", {INFER_MISSING: True}).view(standing, sure)
    np.testing.assert_array_equal(whole.joints, Encoder("coco17").view(standing, sure).joints)


def test_a_skeleton_in_which_nothing_can_be_inferred_is_refused():
    with pytest.raises(ValueError, match="shoulders and hips"):
        Encoder("hand21", {INFER_MISSING: True})
