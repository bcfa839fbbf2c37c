"""Covariances in six numbers, by hand-derived values, inverses and invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_core.geometry.covariance import (
    along_rays,
    carried_on,
    components,
    is_valid,
    isotropic,
    matrices,
    outer,
    roots,
    std_of,
)

SIZES = st.floats(1e-6, 1e4)
SEEDS = st.integers(0, 2**32 - 1)


def some(seed: int, count: int = 5) -> np.ndarray:
    """(count, 6) of different sizes and shapes."""
    draw = np.random.default_rng(seed)
    root = draw.normal(size=(count, 3, 3)) * 10.0 ** draw.uniform(-6, 3, (count, 1, 1))
    return components(root @ root.swapaxes(-1, -2))


def test_places_of_the_components() -> None:
    assert matrices(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])).tolist() == [
        [1.0, 2.0, 3.0],
        [2.0, 4.0, 5.0],
        [3.0, 5.0, 6.0],
    ]


@given(SEEDS)
def test_components_and_matrices_are_inverse(seed: int) -> None:
    assert (components(matrices(some(seed))) == some(seed)).all()


def test_along_a_ray_straight_ahead_and_askew() -> None:
    ahead = along_rays(np.array([0.0, 0.0, 4.0]), np.array(9.0), np.array(1.0))
    np.testing.assert_allclose(ahead, [1.0, 0.0, 0.0, 1.0, 0.0, 9.0])
    askew = along_rays(np.array([3.0, 0.0, 3.0]), np.array(9.0), np.array(1.0))
    np.testing.assert_allclose(askew, [5.0, 0.0, 4.0, 1.0, 0.0, 5.0])


@given(SEEDS, SIZES, SIZES)
def test_variance_along_and_across_a_ray_are_those_given(seed: int, along: float, across: float) -> None:
    position = np.random.default_rng(seed).normal(size=3)
    ray = position / np.linalg.norm(position)
    matrix = matrices(along_rays(position, np.array(along), np.array(across)))
    side = np.cross(ray, [1.0, 0.3, 0.2])
    side /= np.linalg.norm(side)
    size = max(along, across)
    assert ray @ matrix @ ray == pytest.approx(along, abs=1e-9 * size)
    assert side @ matrix @ side == pytest.approx(across, abs=1e-9 * size)


def test_a_point_in_the_origin_has_no_ray() -> None:
    assert np.isnan(along_rays(np.zeros(3), np.array(2.0), np.array(1.0))).all()


def test_outer_product() -> None:
    assert outer(np.array([1.0, 2.0, 3.0])).tolist() == [1.0, 2.0, 3.0, 4.0, 6.0, 9.0]


def test_std_is_the_root_mean_square_of_the_axes() -> None:
    assert std_of(np.array([1.0, 0.5, 0.2, 4.0, 0.1, 7.0])) == 2.0
    np.testing.assert_allclose(std_of(isotropic(np.array([0.3, 2.0]))), [0.3, 2.0])


@given(SEEDS, SIZES)
def test_what_is_carried_on_has_the_deviation_that_was_asked(seed: int, std: float) -> None:
    carried = carried_on(some(seed), np.full(5, std))
    np.testing.assert_allclose(std_of(carried), std, rtol=1e-7)
    assert is_valid(carried).all()
    assert (carried_on(carried, np.full(5, std)) == carried).all()


def test_less_doubt_keeps_the_shape_and_more_has_no_direction() -> None:
    shape = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 10.0])  # std 2
    np.testing.assert_allclose(carried_on(shape, np.array(1.0)), shape / 4.0)
    np.testing.assert_allclose(carried_on(shape, np.array(3.0)), [6.0, 0.0, 0.0, 6.0, 0.0, 15.0])
    np.testing.assert_allclose(carried_on(np.full(6, np.nan), np.array(3.0)), [9.0, 0.0, 0.0, 9.0, 0.0, 9.0])
    assert np.isnan(carried_on(shape, np.array(np.nan))).all()


@given(SEEDS)
def test_a_covariance_is_valid_in_float32_too(seed: int) -> None:
    assert is_valid(some(seed)).all()
    flat = outer(np.random.default_rng(seed).normal(size=(5, 3)))  # one axis only: on the edge
    assert is_valid(flat.astype(np.float32)).all()


@pytest.mark.parametrize(
    "bad",
    [
        [-1.0, 0.0, 0.0, 1.0, 0.0, 1.0],
        [1.0, 1.1, 0.0, 1.0, 0.0, 1.0],
        [1.0, 0.9, -0.9, 1.0, 0.9, 1.0],  # every pair can be, all three together cannot
        [np.nan, 0.0, 0.0, 1.0, 0.0, 1.0],
    ],
)
def test_what_is_no_covariance(bad: list[float]) -> None:
    assert not is_valid(np.array(bad))


@given(SEEDS)
def test_roots_give_the_covariance_back(seed: int) -> None:
    for whole in (some(seed), outer(np.random.default_rng(seed).normal(size=(5, 3)))):
        found = roots(whole)
        size = np.square(std_of(whole))
        np.testing.assert_allclose(
            components(found @ found.swapaxes(-1, -2)) / size[:, None], whole / size[:, None], atol=1e-7
        )


def test_roots_by_hand() -> None:
    """Along a ray by 5, on one axis across it by 1: the first column is nearly the error along the ray."""
    ray = np.array([0.0, 0.6, 0.8])
    found = roots(25.0 * outer(ray) + outer(np.array([1.0, 0.0, 0.0])))
    np.testing.assert_allclose(found, [[0.0, 0.0, 1.0], [3.0, 0.0, 0.0], [4.0, 0.0, 0.0]], atol=1e-7)
    assert (roots(np.full(6, np.nan)) == 0.0).all()
    assert (roots(np.zeros((2, 6))) == 0.0).all()
