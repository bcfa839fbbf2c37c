from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose_core.geometry.align import Similarity, procrustes


def cloud(seed: int = 0, joints: int = 17) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(joints, 3))


def moved(xyz: np.ndarray, seed: int, scale: float = 1.7) -> tuple[np.ndarray, Similarity]:
    R = Rotation.random(random_state=seed).as_matrix()
    similarity = Similarity(R, np.array([0.3, -2.0, 4.0]), np.array(scale))
    return scale * xyz @ R.T + [0.3, -2.0, 4.0], similarity


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 1000.0))
def test_a_known_motion_comes_back(seed, scale):
    xyz = cloud(seed)
    target, truth = moved(xyz, seed, scale)
    found = procrustes(xyz, target, scaled=True)
    np.testing.assert_allclose(found.R, truth.R, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-9)
    np.testing.assert_allclose(found.apply(xyz), target, rtol=0, atol=1e-9 * (1 + scale))
    np.testing.assert_allclose(found.inverse().apply(target), xyz, rtol=0, atol=1e-8)


def test_a_quarter_turn_by_hand():
    square = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    turned = np.array([[0.0, 2.0], [-2.0, 0.0], [0.0, -2.0], [2.0, 0.0]])
    turned = turned + np.array([5.0, 6.0])
    found = procrustes(square, turned, scaled=True)
    np.testing.assert_allclose(found.R, [[0.0, -1.0], [1.0, 0.0]], atol=1e-12)
    np.testing.assert_allclose(found.t, [5.0, 6.0])
    np.testing.assert_allclose(found.scale, 2.0)
    assert procrustes(square, turned, scaled=False).scale == 1.0


def test_a_mirrored_person_is_not_aligned_by_a_reflection():
    xyz = cloud()
    mirrored = xyz * [-1.0, 1.0, 1.0]
    found = procrustes(xyz, mirrored, scaled=True)
    assert np.linalg.det(found.R) == pytest.approx(1.0)
    assert np.linalg.norm(found.apply(xyz) - mirrored, axis=-1).mean() > 0.5
    # flat figures do have a rotation that mirrors them
    flat = xyz * [1.0, 1.0, 0.0]
    turned = procrustes(flat, flat * [-1.0, 1.0, 1.0], scaled=True)
    assert np.linalg.det(turned.R) == pytest.approx(1.0)
    np.testing.assert_allclose(turned.apply(flat), flat * [-1.0, 1.0, 1.0], atol=1e-12)


def test_the_fit_is_the_best_there_is():
    rng = np.random.default_rng(3)
    source, target = cloud(1), cloud(2)
    best = procrustes(source, target, scaled=True)
    least = ((best.apply(source) - target) ** 2).sum()
    for _ in range(200):
        nudge = Rotation.from_rotvec(rng.normal(size=3) * 0.05).as_matrix()
        other = Similarity(
            nudge @ best.R,
            best.t + rng.normal(size=3) * 0.02,
            np.asarray(best.scale * rng.uniform(0.95, 1.05)),
        )
        assert ((other.apply(source) - target) ** 2).sum() >= least


def test_a_batch_is_each_of_its_elements():
    source, target = np.stack([cloud(i) for i in range(6)]), np.stack([cloud(i + 10) for i in range(6)])
    together = procrustes(source.reshape(2, 3, 17, 3), target.reshape(2, 3, 17, 3), scaled=True)
    assert together.R.shape == (2, 3, 3, 3)
    for i in range(6):
        alone = procrustes(source[i], target[i], scaled=True)
        np.testing.assert_allclose(together.R.reshape(6, 3, 3)[i], alone.R, atol=1e-12)
        np.testing.assert_allclose(together.t.reshape(6, 3)[i], alone.t, atol=1e-12)
        np.testing.assert_allclose(together.scale.reshape(6)[i], alone.scale)
        np.testing.assert_allclose(
            together.apply(source.reshape(2, 3, 17, 3)).reshape(6, 17, 3)[i],
            alone.apply(source[i]),
            atol=1e-12,
        )


def test_missing_joints_and_joints_of_weight_zero_take_no_part():
    xyz = cloud()
    target, truth = moved(xyz, 5)
    target[3] = np.nan
    xyz[7, 1] = np.nan
    target[9] += 100.0
    weights = np.ones(17)
    weights[9] = 0.0
    found = procrustes(xyz, target, weights, scaled=True)
    np.testing.assert_allclose(found.R, truth.R, atol=1e-12)
    np.testing.assert_allclose(found.t, truth.t, atol=1e-10)
    assert np.abs(procrustes(xyz, target, scaled=True).R - truth.R).max() > 0.1


def test_weights_count_joints():
    xyz, target = cloud(1), cloud(2)
    weights = np.ones(17)
    weights[4] = 3.0
    repeated = [np.concatenate([points, points[[4, 4]]]) for points in (xyz, target)]
    found, expected = procrustes(xyz, target, weights, scaled=True), procrustes(*repeated, scaled=True)
    np.testing.assert_allclose(found.R, expected.R, atol=1e-12)
    np.testing.assert_allclose(found.t, expected.t, atol=1e-12)


def test_what_the_points_leave_open_is_answered_as_documented():
    line = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    along_y = line[:, [1, 0, 2]]
    found = procrustes(line, along_y, scaled=True)
    np.testing.assert_allclose(found.apply(line), along_y, atol=1e-12)
    assert np.linalg.det(found.R) == pytest.approx(1.0)
    one_place = np.ones((4, 3))
    found = procrustes(one_place, 3 * one_place, scaled=True)
    np.testing.assert_allclose(found.R, np.eye(3))
    assert found.scale == 1.0
    np.testing.assert_allclose(found.apply(one_place), 3 * one_place)
    nothing = procrustes(np.full((4, 3), np.nan), one_place, scaled=True)
    assert np.isnan(nothing.R).all()
    assert np.isnan(nothing.t).all()
    assert np.isnan(nothing.scale)


def test_wrong_input_is_refused(without_checks):
    with pytest.raises(ValueError, match=r"got \(17, 3\) and \(16, 3\)"):
        procrustes(cloud(), cloud(joints=16), scaled=True)
    with pytest.raises(ValueError, match=r"shape \(\.\.\., J, 2 or 3\)"):
        procrustes(np.zeros((3, 17)), np.zeros((3, 17)), scaled=True)
    with pytest.raises(ValueError, match=r"must not be negative, got -1\.0"):
        procrustes(cloud(), cloud(1), np.full(17, -1.0), scaled=True)
