"""Covariances of points as messages carry them: six numbers each, in place of three by three.

One camera is sure across its ray and unsure along it, so the error of a joint is an ellipsoid, not a ball. Its standard deviation
is the root mean square of the three axes: a third of the trace is its square.
"""

from __future__ import annotations

import numpy as np

from pose_core.types import Array

COMPONENTS = ("xx", "xy", "xz", "yy", "yz", "zz")
"""Of the last axis, in order: the upper triangle, row by row."""
_ROWS, _COLUMNS = np.triu_indices(3)
_PLACES = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]], np.intp)
_DIAGONAL = np.array([0, 3, 5], np.intp)
_ISOTROPIC = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 1.0])

ROUNDING = 1e-4
"""Relative error of what has been rounded to float32 and added up; what is off by more was not meant to be the same."""


def matrices(covariance: Array) -> Array:
    """(..., 3, 3) symmetric matrices of (..., 6); the inverse of `components`."""
    return np.asarray(covariance[..., _PLACES])


def components(matrix: Array) -> Array:
    """(..., 6) of symmetric matrices (..., 3, 3); the inverse of `matrices`."""
    return np.asarray(matrix[..., _ROWS, _COLUMNS])


def isotropic(std: Array) -> Array:
    """(..., 6) of errors that are alike along all axes, from their standard deviations (...)."""
    return np.asarray(np.square(std)[..., None] * _ISOTROPIC)


def along_rays(positions: Array, along: Array, across: Array) -> Array:
    """(..., 6) of points (..., 3) seen from the origin: variance `along` (...) the ray, `across` (...) on each other axis.

    A point in the origin has no ray; it gets NaN.
    """
    length2 = np.einsum("...i,...i->...", positions, positions)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (along - across) / np.where(length2 > 0.0, length2, np.nan)
    return np.asarray(across[..., None] * _ISOTROPIC + share[..., None] * outer(positions))


def outer(vectors: Array) -> Array:
    """(..., 6) of the products v v' of vectors (..., 3): the covariance of an error along v that has variance v' v."""
    return np.asarray(vectors[..., _ROWS] * vectors[..., _COLUMNS])


def mean_variance(covariance: Array) -> Array:
    """(...) mean of the variances along the axes, a third of the trace, of (..., 6)."""
    return np.asarray(covariance[..., _DIAGONAL].sum(-1) / 3.0)


def std_of(covariance: Array) -> Array:
    """(...) standard deviations, root mean square of the axes, of (..., 6)."""
    return np.asarray(np.sqrt(mean_variance(covariance)))


def carried_on(covariance: Array, std: Array) -> Array:
    """(..., 6) of the same shape as `covariance`, as far as it goes, for points whose standard deviation is now `std` (...).

    Less doubt is less along all axes alike. Doubt that is added, by time that passed or by a bound from below, has no direction.
    Where the covariance is not known (NaN) all axes are alike.
    """
    before = std_of(covariance)
    # What is the same but for rounding stays as it is, so that a second time changes nothing.
    std = np.where(np.abs(std - before) <= ROUNDING**2 * before, before, std)
    with np.errstate(invalid="ignore", divide="ignore"):
        shrunk = np.where(std < before, std / before, 1.0)
    added = np.maximum(np.square(std) - np.square(before), 0.0)
    carried = np.square(shrunk)[..., None] * covariance + added[..., None] * _ISOTROPIC
    return np.where(np.isnan(before)[..., None], isotropic(std), carried)


def roots(covariance: Array) -> Array:
    """(..., 3, 3) matrices L with L L' = (..., 6); zeros where that is not known (NaN).

    The columns of L are the errors that three independent ones of variance 1 make. The first is all that errs together with z,
    which for a point seen by a camera is the error along its ray: errors of neighbours correspond, column by column.
    """
    xx, xy, xz, yy, yz, zz = np.moveaxis(np.where(np.isnan(covariance), 0.0, covariance), -1, 0)
    found = np.zeros((*xx.shape, 3, 3))
    found[..., 2, 0] = z = np.sqrt(np.maximum(zz, 0.0))
    by_z = np.divide(1.0, z, out=np.zeros_like(z), where=z > 0.0)
    found[..., 0, 0], found[..., 1, 0] = x, y = xz * by_z, yz * by_z
    found[..., 1, 1] = y_left = np.sqrt(np.maximum(yy - y * y, 0.0))
    x_left2 = np.maximum(xx - x * x, 0.0)
    # Rounding may leave next to nothing of y; what it tells of x is bounded by what x has.
    shared = np.divide(xy - x * y, y_left, out=np.zeros_like(z), where=y_left > 0.0)
    shared2 = np.minimum(shared * shared, x_left2)
    found[..., 0, 1] = np.copysign(np.sqrt(shared2), shared)
    found[..., 0, 2] = np.sqrt(x_left2 - shared2)
    return found


def is_valid(covariance: Array) -> Array:
    """(...) whether (..., 6) can be a covariance: nothing has less than no variance along any axis, but for rounding.

    False for NaN.
    """
    xx, xy, xz, yy, yz, zz = np.moveaxis(np.asarray(covariance, float), -1, 0)
    # The leading minors of the matrix scaled by its largest variance, so that the bounds have no unit.
    largest = np.maximum(np.maximum(xx, yy), zz)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.where(largest > 0.0, largest, 1.0)
        xx, xy, xz, yy, yz, zz = (part / unit for part in (xx, xy, xz, yy, yz, zz))
        minors = np.stack([xx, yy, zz, xx * yy - xy * xy, xx * zz - xz * xz, yy * zz - yz * yz])
        whole = xx * minors[5] - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
        least = np.minimum(minors.min(0), whole)
    return np.asarray(least >= -ROUNDING)
