"""Rotations as matrices, and what they are written as elsewhere; any leading axes, NaN in gives NaN out.

A matrix R turns column vectors, `R @ v`. Quaternions are (x, y, z, w) as in `geometry_msgs` and SciPy; rotation vectors are axis
times angle in radians; six numbers are the first two columns, one after the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pose_core.types import Array, Rotations, Scalars, Vectors

OPPOSITE = 1e-14
"""Length of the sum of two unit vectors below which it is nothing but rounding."""


NEARLY_ONE = 1e-3
"""By which the length of a unit vector may be off, as after messages in single precision."""


def is_unit(vector: Array) -> bool:
    """Whether a vector (n,) has length 1, nearly; NaN has none."""
    return bool(abs(np.linalg.norm(vector) - 1.0) < NEARLY_ONE)


def matrix_of_6d(six: Array) -> Rotations:
    """(..., 3, 3) from six numbers (..., 6), which need neither be unit nor square to each other.

    Y. Zhou et al., "On the continuity of rotation representations in neural networks", CVPR 2019, section 4.1 (Gram-Schmidt).
    NaN where one of the two vectors is zero or both are parallel.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        x = _unit(six[..., :3])
        y = six[..., 3:]
        y = _unit(y - np.einsum("...i,...i->...", x, y)[..., None] * x)
    return np.stack([x, y, np.cross(x, y)], -1)


def sixd_of_matrix(matrix: Rotations) -> Array:
    """(..., 6) from matrices (..., 3, 3); the inverse of `matrix_of_6d` on rotations."""
    return np.concatenate([matrix[..., 0], matrix[..., 1]], -1)


def matrix_of_quaternion(quaternion: Array) -> Rotations:
    """(..., 3, 3) from quaternions (..., 4) x, y, z, w of any length but 0; NaN for that."""
    known = np.isfinite(quaternion).all(-1) & (quaternion != 0.0).any(-1)
    unit = np.where(known[..., None], quaternion, (0.0, 0.0, 0.0, 1.0))
    matrix = _scipy().from_quat(unit.reshape(-1, 4)).as_matrix()
    return np.where(known[..., None, None], matrix.reshape(*known.shape, 3, 3), np.nan)


def quaternion_of_matrix(matrix: Rotations) -> Array:
    """(..., 4) unit quaternions x, y, z, w with w >= 0; the inverse of `matrix_of_quaternion`."""
    known = np.isfinite(matrix).all((-1, -2))
    turn = np.where(known[..., None, None], matrix, np.eye(3))
    quaternion = _scipy().from_matrix(turn.reshape(-1, 3, 3)).as_quat(canonical=True)
    return np.where(known[..., None], quaternion.reshape(*known.shape, 4), np.nan)


def matrix_of_rotation_vector(vector: Vectors) -> Rotations:
    """(..., 3, 3) from rotation vectors (..., 3)."""
    known = np.isfinite(vector).all(-1)
    turn = np.where(known[..., None], vector, 0.0)
    matrix = _scipy().from_rotvec(turn.reshape(-1, 3)).as_matrix()
    return np.where(known[..., None, None], matrix.reshape(*known.shape, 3, 3), np.nan)


def rotation_vector_of_matrix(matrix: Rotations) -> Vectors:
    """(..., 3) rotation vectors of at most half a turn; the inverse of `matrix_of_rotation_vector`."""
    known = np.isfinite(matrix).all((-1, -2))
    turn = np.where(known[..., None, None], matrix, np.eye(3))
    vector = _scipy().from_matrix(turn.reshape(-1, 3, 3)).as_rotvec()
    return np.where(known[..., None], vector.reshape(*known.shape, 3), np.nan)


def angle_between(a: Array, b: Array) -> Scalars:
    """Geodesic distance (...) in radians, 0 to pi, of matrices `a` and `b` (..., 3, 3), which broadcast.

    Exact for small and for half turns as well, where the usual arc cosine of the trace loses half of the digits.
    """
    turn = np.swapaxes(a, -1, -2) @ b
    skew: Array = turn - np.swapaxes(turn, -1, -2)
    sine = np.linalg.norm(np.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], -1), axis=-1)
    return np.asarray(np.arctan2(sine, np.trace(turn, axis1=-2, axis2=-1) - 1.0))


def least_rotation(start: Array, end: Array) -> Rotations:
    """(..., 3, 3) the rotation by the least angle from the direction of `start` to that of `end` (..., 3), which broadcast.

    Two reflections, at the plane across `start` and at that across the middle of both, which stays exact up to opposite
    vectors. For these any half turn does; one about an axis square to `start` is taken. NaN where a vector is zero.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        start, end = np.broadcast_arrays(_unit(start), _unit(end))
        middle = start + end
        # What rounding has left in the sum of nearly opposite vectors along them would tilt it.
        along = _unit(start - end)
        apart = np.einsum("...i,...i->...", start, end)[..., None] < 0.0
        middle = np.where(
            apart, middle - np.einsum("...i,...i->...", middle, along)[..., None] * along, middle
        )
        length = np.linalg.norm(middle, axis=-1, keepdims=True)
        middle = np.where(length < OPPOSITE, _across(start), middle / length)
    cosine = np.einsum("...i,...i->...", start, middle)[..., None, None]
    first, second = start[..., :, None] * start[..., None, :], middle[..., :, None] * middle[..., None, :]
    both = middle[..., :, None] * start[..., None, :]
    result: Rotations = np.eye(3) - 2.0 * (first + second) + 4.0 * cosine * both
    return result


def nearest_rotation(matrix: Rotations) -> Rotations:
    """(..., 3, 3) the rotation R that is nearest to a matrix M: least |R - M|, greatest trace(R^T M).

    B. K. P. Horn et al., "Closed-form solution of absolute orientation using orthonormal matrices", JOSA A 5, 1988. Where M has
    rank 1 or 0, several are equally near and one of them is taken.
    """
    known = np.isfinite(matrix).all((-1, -2))
    u, _, v = np.linalg.svd(np.where(known[..., None, None], matrix, 0.0))
    u[..., :, 2] *= np.where(np.linalg.det(u) * np.linalg.det(v) < 0.0, -1.0, 1.0)[..., None]
    return np.where(known[..., None, None], u @ v, np.nan)


def mean_rotation(matrices: Array, weights: Array | None = None) -> Rotations:
    """Chordal mean (..., 3, 3) of rotations (..., N, 3, 3) with `weights` (..., N); NaN where there is none.

    It minimises the weighted sum of squared |R - R_n|: R. Hartley et al., "Rotation averaging", IJCV 103, 2013, section 5.3. A
    rotation that is NaN takes no part.
    """
    known = np.isfinite(matrices).all((-1, -2))
    share = np.where(known, 1.0 if weights is None else weights, 0.0)
    total = np.einsum("...n,...nij->...ij", share, np.where(known[..., None, None], matrices, 0.0))
    return nearest_rotation(np.where((share > 0.0).any(-1)[..., None, None], total, np.nan))


def _scipy() -> Any:
    """SciPy's Rotation, which takes longer to import than the rest of this package together."""
    from scipy.spatial.transform import Rotation

    return Rotation


def _unit(vectors: Array) -> Array:
    result: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return result


def _across(vectors: Array) -> Array:
    """Unit vectors square to unit `vectors` (..., 3)."""
    axis = np.eye(3)[np.argmin(np.abs(vectors), -1)]
    return _unit(np.cross(vectors, axis))
