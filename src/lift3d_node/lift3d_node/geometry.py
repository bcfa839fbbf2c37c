"""Views along rays: the rotation that turns the camera's axis to a ray, and how it changes with the ray."""

from __future__ import annotations

import math

import numpy as np

EYE = np.eye(3)


def view_rotation(ray: np.ndarray) -> np.ndarray:
    """R_cam_view (..., 3, 3): the smallest rotation that turns the z axis to the unit vectors `ray` (..., 3).

    Its first two columns span the plane across the ray. Rays are within 180 degrees of the axis, exclusive.
    """
    a, b, c = ray[..., 0], ray[..., 1], ray[..., 2]
    k = 1.0 / (1.0 + c)
    rotation = np.empty((*ray.shape, 3))
    rotation[..., 0, 0] = 1.0 - a * a * k
    rotation[..., 1, 1] = 1.0 - b * b * k
    rotation[..., 0, 1] = rotation[..., 1, 0] = -a * b * k
    rotation[..., :, 2] = ray
    rotation[..., 2, 0] = -a
    rotation[..., 2, 1] = -b
    return rotation


def view_slope(position: np.ndarray) -> np.ndarray:
    """G (3, 3) with d V = [G dp]x V for V = view_rotation(p / |p|) at a point p = `position` (3,).

    While the ray turns by dr = dp / |p| (the part across it), the view turns by ray x dr and spins about the ray by
    -z . (ray x dr) / (1 + cos), cos = z . ray: the holonomy of smallest rotations.
    """
    distance = math.sqrt(position @ position)
    ray = position / distance
    turn = cross_matrix(ray) / distance
    return turn - np.outer(ray, turn[2]) / (1.0 + ray[2])


def cross_matrix(v: np.ndarray) -> np.ndarray:
    """[v]x (3, 3) with [v]x w = v x w."""
    x, y, z = v.tolist()
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def rotation_exp(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation matrix (3, 3) of a rotation vector (3,), and J (3, 3) with d exp(w) = [J dw]x exp(w).

    Rodrigues' formula and the left Jacobian of SO(3) (Sola, Deray & Atchuthan 2018, "A micro Lie theory for state
    estimation in robotics", appendix B).
    """
    angle2 = float(w @ w)
    if angle2 < 1e-8:  # the next terms of the series are below rounding
        a, b, c = 1.0 - angle2 / 6.0, 0.5 - angle2 / 24.0, 1.0 / 6.0 - angle2 / 120.0
    else:
        angle = math.sqrt(angle2)
        a, b = math.sin(angle) / angle, (1.0 - math.cos(angle)) / angle2
        c = (1.0 - a) / angle2
    turn, along = cross_matrix(w), np.outer(w, w)
    return (1.0 - b * angle2) * EYE + a * turn + b * along, (1.0 - c * angle2) * EYE + b * turn + c * along
