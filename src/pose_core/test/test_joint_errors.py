"""How errors of joints go together."""

import numpy as np
import pytest

from pose_core.filtering.joint_errors import DEPTH_SHARE, HANDED_DOWN, RIGID, JointErrors, handed_down
from pose_core.skeleton import MEDIAPIPE33, SKELETONS, without_side


def correlation(errors: JointErrors) -> np.ndarray:
    return errors.mixing @ errors.mixing.T


@pytest.mark.parametrize("name", list(SKELETONS))
def test_every_joint_has_the_variance_that_is_stated_of_it(name: str) -> None:
    errors = JointErrors.lifted(SKELETONS.get(name))
    assert len(errors.mixing) == len(SKELETONS.get(name))
    np.testing.assert_allclose(np.square(errors.mixing).sum(1), 1.0, atol=1e-12)
    assert np.square(errors.axes).mean() == pytest.approx(1.0)


def test_an_error_is_handed_down_an_arm() -> None:
    together = correlation(JointErrors.lifted(MEDIAPIPE33))
    shoulder, elbow, wrist, index, other = MEDIAPIPE33.indices(
        "left_shoulder", "left_elbow", "left_wrist", "left_index", "right_elbow"
    )
    assert together[shoulder, elbow] == pytest.approx(HANDED_DOWN["elbow"])
    assert together[elbow, wrist] == pytest.approx(HANDED_DOWN["wrist"])
    assert together[shoulder, index] == pytest.approx(HANDED_DOWN["elbow"] * HANDED_DOWN["wrist"] * RIGID)
    # Arms meet at the neck.
    shared = (HANDED_DOWN["shoulder"] * HANDED_DOWN["elbow"]) ** 2
    assert together[elbow, other] == pytest.approx(shared)


def test_hips_err_by_opposite_amounts_and_legs_do_not_know_of_arms() -> None:
    together = correlation(JointErrors.lifted(MEDIAPIPE33))
    left, right, knee, shoulder = MEDIAPIPE33.indices("left_hip", "right_hip", "right_knee", "right_shoulder")
    assert together[left, right] == pytest.approx(-1.0)
    assert together[left, knee] == pytest.approx(-HANDED_DOWN["knee"])
    assert together[knee, shoulder] == together[left, shoulder] == 0.0


def test_most_lies_along_the_view() -> None:
    axes = JointErrors.lifted(MEDIAPIPE33).axes
    assert axes[0] == axes[1]
    assert axes[2] ** 2 / np.square(axes).sum() == pytest.approx(DEPTH_SHARE)


def test_mirrored_people_have_mirrored_errors() -> None:
    together, flip = correlation(JointErrors.lifted(MEDIAPIPE33)), MEDIAPIPE33.flip
    np.testing.assert_allclose(together[np.ix_(flip, flip)], together, atol=1e-12)


def test_independent_points_share_nothing() -> None:
    errors = JointErrors.independent(5)
    np.testing.assert_array_equal(correlation(errors), np.eye(5))
    np.testing.assert_array_equal(errors.axes, 1.0)


@pytest.mark.parametrize("count", [0, 1, 7, 33])
def test_of_some_points_few_errors_do(count: int) -> None:
    errors = JointErrors.lifted(MEDIAPIPE33)
    some = np.random.default_rng(count).choice(33, count, replace=False)
    mixing = errors.of(some)
    assert mixing.shape == (count, count)
    np.testing.assert_allclose(mixing @ mixing.T, correlation(errors)[np.ix_(some, some)], atol=1e-12)


@pytest.mark.parametrize(
    ("joint", "name"), [("left_elbow", "elbow"), ("mouth_right", "mouth"), ("nose", "nose")]
)
def test_names_without_the_side(joint: str, name: str) -> None:
    assert without_side(joint) == name


def test_joints_that_no_table_names_are_rigid() -> None:
    assert handed_down("heel") == RIGID
