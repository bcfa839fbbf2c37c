from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lift3d_node.geometry import cross_matrix, rotation_exp, view_rotation, view_slope

coordinate = st.floats(-2.0, 2.0)


def unit(v) -> np.ndarray:
    return np.asarray(v, float) / np.linalg.norm(v)


def test_view_along_the_axis_is_the_camera() -> None:
    np.testing.assert_array_equal(view_rotation(np.array([0.0, 0.0, 1.0])), np.eye(3))


def test_view_to_the_right_is_a_turn_about_y() -> None:
    """A ray 30 degrees to the right: x of the view points right and towards the camera."""
    s, c = 0.5, np.sqrt(0.75)
    np.testing.assert_allclose(
        view_rotation(np.array([s, 0.0, c])), [[c, 0, s], [0, 1, 0], [-s, 0, c]], atol=1e-15
    )


@settings(max_examples=50, deadline=None)
@given(coordinate, coordinate)
def test_view_is_the_smallest_rotation_to_the_ray(x: float, y: float) -> None:
    ray = unit([x, y, 1.0])
    view = view_rotation(ray)
    np.testing.assert_allclose(view @ view.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(view) == pytest.approx(1.0)
    np.testing.assert_allclose(view @ [0, 0, 1], ray, atol=1e-15)
    turned = np.linalg.norm(Rotation.from_matrix(view).as_rotvec())
    assert turned == pytest.approx(np.arccos(min(ray[2], 1.0)), abs=1e-7)


def test_view_takes_many_rays() -> None:
    rays = np.array([[[0.1, 0.2, 1.0], [0.0, 0.0, 1.0]], [[-0.5, 0.1, 1.0], [0.3, -0.3, 1.0]]])
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    np.testing.assert_array_equal(view_rotation(rays)[1, 0], view_rotation(rays[1, 0]))


@settings(max_examples=30, deadline=None)
@given(coordinate, coordinate, st.floats(0.5, 5.0))
def test_view_slope_is_the_derivative(x: float, y: float, z: float) -> None:
    position, step = np.array([x, y, z]), 1e-6
    slope, view = view_slope(position), view_rotation(unit(position))
    for axis in np.eye(3):
        difference = view_rotation(unit(position + step * axis)) - view_rotation(unit(position - step * axis))
        np.testing.assert_allclose(cross_matrix(slope @ axis) @ view, difference / (2 * step), atol=1e-8)


@settings(max_examples=50, deadline=None)
@given(coordinate, coordinate, coordinate)
def test_rotation_exp_agrees_with_scipy(x: float, y: float, z: float) -> None:
    w = np.array([x, y, z])
    np.testing.assert_allclose(rotation_exp(w)[0], Rotation.from_rotvec(w).as_matrix(), atol=1e-14)


@pytest.mark.parametrize(
    "w", [(0.0, 0.0, 0.0), (1e-6, 0.0, 2e-6), (9e-5, 0.0, 0.0), (0.3, -0.2, 1.0), (0.0, 3.0, 0.0)]
)
def test_rotation_exp_slope_is_the_derivative(w: tuple[float, float, float]) -> None:
    at, step = np.array(w), 1e-6
    rotation, slope = rotation_exp(at)
    for axis in np.eye(3):
        difference = rotation_exp(at + step * axis)[0] - rotation_exp(at - step * axis)[0]
        np.testing.assert_allclose(cross_matrix(slope @ axis) @ rotation, difference / (2 * step), atol=1e-9)
