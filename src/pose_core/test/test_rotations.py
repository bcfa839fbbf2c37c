from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose_core.geometry.rotations import (
    angle_between,
    least_rotation,
    matrix_of_6d,
    matrix_of_quaternion,
    matrix_of_rotation_vector,
    mean_rotation,
    nearest_rotation,
    quaternion_of_matrix,
    rotation_vector_of_matrix,
    sixd_of_matrix,
)

QUARTER_ABOUT_Z = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
seeds = st.integers(0, 2**32 - 1)


def random_rotations(seed: int, *shape: int) -> np.ndarray:
    """(*shape, 3, 3) uniformly distributed."""
    count = math.prod(shape)
    return Rotation.random(count, random_state=seed).as_matrix().reshape(*shape, 3, 3)


def about_z(angle: float) -> np.ndarray:
    return matrix_of_rotation_vector(np.array([0.0, 0.0, angle]))


def assert_rotations(matrices: np.ndarray, atol: float = 1e-12) -> None:
    eye = np.broadcast_to(np.eye(3), matrices.shape)
    np.testing.assert_allclose(matrices @ np.swapaxes(matrices, -1, -2), eye, rtol=0, atol=atol)
    np.testing.assert_allclose(np.linalg.det(matrices), 1.0, rtol=0, atol=atol)


def test_six_numbers_by_hand():
    np.testing.assert_array_equal(matrix_of_6d(np.array([2.0, 0, 0, 5.0, 3.0, 0])), np.eye(3))
    np.testing.assert_array_equal(matrix_of_6d(np.array([0, 2.0, 0, -1.0, 0, 0])), QUARTER_ABOUT_Z)
    # columns one after the other, not rows interleaved
    np.testing.assert_array_equal(sixd_of_matrix(QUARTER_ABOUT_Z), [0, 1, 0, -1, 0, 0])


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_six_numbers_make_rotations_and_come_back(seed):
    rng = np.random.default_rng(seed)
    six = rng.normal(size=(2, 5, 6))
    made = matrix_of_6d(six)
    assert_rotations(made)
    # what the first vector is stretched by, and what the second is slanted by, changes nothing
    six[..., :3] *= 3.0
    six[..., 3:] += 0.7 * six[..., :3]
    np.testing.assert_allclose(matrix_of_6d(six), made, rtol=0, atol=1e-9)
    np.testing.assert_allclose(matrix_of_6d(sixd_of_matrix(made)), made, rtol=0, atol=1e-12)


def test_six_numbers_that_tell_no_rotation_are_missing():
    six = np.array([[0.0, 0, 0, 0, 1, 0], [1, 0, 0, 2, 0, 0], [1, 0, 0, np.nan, 0, 0], [1, 0, 0, 0, 1, 0]])
    known = np.isfinite(matrix_of_6d(six)).all((1, 2))
    assert known.tolist() == [False, False, False, True]


def test_quaternions_by_hand_scalar_last():
    half = math.sqrt(0.5)
    np.testing.assert_allclose(
        matrix_of_quaternion(np.array([0.0, 0.0, half, half])), QUARTER_ABOUT_Z, atol=1e-15
    )
    np.testing.assert_allclose(quaternion_of_matrix(QUARTER_ABOUT_Z), [0.0, 0.0, half, half], atol=1e-15)
    np.testing.assert_allclose(quaternion_of_matrix(about_z(1.5 * np.pi)), [0, 0, -half, half], atol=1e-15)


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_quaternions_and_rotation_vectors_come_back(seed):
    rotations = random_rotations(seed, 3, 4)
    quaternions, vectors = quaternion_of_matrix(rotations), rotation_vector_of_matrix(rotations)
    assert quaternions.shape == (3, 4, 4)
    assert (quaternions[..., 3] >= 0.0).all()
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=-1), 1.0, rtol=0, atol=1e-12)
    for same in (quaternions, -quaternions, 3.0 * quaternions):
        np.testing.assert_allclose(matrix_of_quaternion(same), rotations, rtol=0, atol=1e-12)
    np.testing.assert_allclose(matrix_of_rotation_vector(vectors), rotations, rtol=0, atol=1e-12)
    eye = np.broadcast_to(np.eye(3), rotations.shape)
    np.testing.assert_allclose(
        np.linalg.norm(vectors, axis=-1), angle_between(eye, rotations), rtol=0, atol=1e-12
    )


def test_a_rotation_vector_by_hand():
    np.testing.assert_allclose(about_z(np.pi / 2), QUARTER_ABOUT_Z, atol=1e-15)
    np.testing.assert_allclose(rotation_vector_of_matrix(QUARTER_ABOUT_Z), [0, 0, np.pi / 2], atol=1e-15)
    np.testing.assert_array_equal(matrix_of_rotation_vector(np.zeros(3)), np.eye(3))


@pytest.mark.parametrize(
    ("there", "back", "number"),
    [
        (matrix_of_quaternion, quaternion_of_matrix, 4),
        (matrix_of_rotation_vector, rotation_vector_of_matrix, 3),
        (matrix_of_6d, sixd_of_matrix, 6),
    ],
)
def test_missing_rotations_stay_missing_and_the_others_are_known(there, back, number):
    rotations = random_rotations(1, 3)
    rotations[1] = np.nan
    written = back(rotations)
    assert written.shape == (3, number)
    assert np.isfinite(written).all(1).tolist() == [True, False, True]
    np.testing.assert_allclose(there(written), rotations, rtol=0, atol=1e-12)
    assert there(np.empty((0, 2, number))).shape == (0, 2, 3, 3)
    assert back(np.empty((0, 2, 3, 3))).shape == (0, 2, number)


def test_a_quaternion_of_length_zero_is_missing():
    assert np.isnan(matrix_of_quaternion(np.zeros(4))).all()


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-8, 1e-4, 0.3, np.pi / 2, 3.0, np.pi - 1e-9, np.pi])
def test_the_angle_is_exact_at_both_ends(angle):
    start = random_rotations(4, 1)[0]
    assert float(angle_between(start, start @ about_z(angle))) == pytest.approx(
        angle, rel=1e-9, abs=3e-16 * 8
    )


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_the_angle_is_a_distance_that_does_not_depend_on_the_axes(seed):
    a, b, c = random_rotations(seed, 3)
    between = angle_between(a, b)
    np.testing.assert_allclose(angle_between(b, a), between, rtol=0, atol=1e-12)
    np.testing.assert_allclose(angle_between(c @ a, c @ b), between, rtol=0, atol=1e-12)
    np.testing.assert_allclose(angle_between(a @ c, b @ c), between, rtol=0, atol=1e-12)
    assert between <= angle_between(a, c) + angle_between(c, b) + 1e-12
    assert np.isnan(angle_between(a, np.full((3, 3), np.nan)))


def test_the_least_rotation_by_hand():
    x, y, z = np.eye(3)
    np.testing.assert_allclose(least_rotation(x, y), QUARTER_ABOUT_Z, atol=1e-15)
    np.testing.assert_array_equal(least_rotation(z, z), np.eye(3))
    np.testing.assert_allclose(least_rotation(2.0 * x, 5.0 * y), QUARTER_ABOUT_Z, atol=1e-15)
    assert np.isnan(least_rotation(x, np.zeros(3))).all()
    assert least_rotation(x, np.stack([x, y, z, -x])).shape == (4, 3, 3)


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_the_least_rotation_turns_one_into_the_other_and_no_further(seed):
    start, end = np.random.default_rng(seed).normal(size=(2, 6, 3))
    start, end = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (start, end))
    turn = least_rotation(start, end)
    assert_rotations(turn)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", turn, start), end, rtol=0, atol=1e-12)
    between = np.arctan2(np.linalg.norm(np.cross(start, end), axis=-1), (start * end).sum(-1))
    np.testing.assert_allclose(
        angle_between(np.broadcast_to(np.eye(3), turn.shape), turn), between, rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(least_rotation(end, start), np.swapaxes(turn, -1, -2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("off", [0.0, 1e-16, 1e-15, 1e-13, 1e-9, 1e-5, 1e-2])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_opposite_and_nearly_opposite_vectors(axis, off):
    start = np.eye(3)[axis]
    end = -start + off * np.eye(3)[axis - 1]
    end /= np.linalg.norm(end)
    turn = least_rotation(start, end)
    assert_rotations(turn)
    np.testing.assert_allclose(turn @ start, end, rtol=0, atol=1e-13)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_the_nearest_rotation_is_the_best_there_is(seed):
    rng = np.random.default_rng(seed)
    matrix, others = rng.normal(size=(3, 3)), random_rotations(seed, 100)
    best = nearest_rotation(matrix)
    assert_rotations(best)
    assert np.linalg.norm(best - matrix) <= np.linalg.norm(others - matrix, axis=(1, 2)).min()
    np.testing.assert_allclose(nearest_rotation(0.2 * others), others, rtol=0, atol=1e-12)


def test_a_reflection_is_no_rotation():
    assert_rotations(nearest_rotation(np.diag([1.0, 1.0, -1.0])))
    assert_rotations(nearest_rotation(np.zeros((3, 3))))


@settings(max_examples=30, deadline=None)
@given(seeds, st.floats(-1.5, 1.5), st.floats(-1.5, 1.5), st.floats(0.01, 10.0))
def test_the_mean_about_one_axis_is_that_of_complex_numbers(seed, a, b, weight):
    pair, weights = np.stack([about_z(a), about_z(b)]), np.array([1.0, weight])
    expected = math.atan2(
        math.sin(a) + weight * math.sin(b),
        math.cos(a) + weight * math.cos(b),
    )
    np.testing.assert_allclose(mean_rotation(pair, weights), about_z(expected), rtol=0, atol=1e-9)
    turn = random_rotations(seed, 1)[0]
    np.testing.assert_allclose(
        mean_rotation(turn @ pair, weights), turn @ about_z(expected), rtol=0, atol=1e-9
    )


def test_missing_rotations_take_no_part_in_the_mean():
    rotations = random_rotations(2, 4, 5)
    rotations[0, 1], rotations[2] = np.nan, np.nan
    means = mean_rotation(rotations)
    np.testing.assert_allclose(means[0], mean_rotation(rotations[0, [0, 2, 3, 4]]), atol=1e-12)
    assert np.isnan(means[2]).all()
    assert np.isnan(mean_rotation(rotations[1], np.zeros(5))).all()
    np.testing.assert_allclose(mean_rotation(rotations[1, :1]), rotations[1, 0], atol=1e-12)
