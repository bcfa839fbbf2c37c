"""A calibrated camera: intrinsics and lens distortion, in both directions.

Points are metres in the optical frame (REP 103: x right, y down, z forward). Pixels are those of the raw,
distorted image; (0, 0) is the centre of the top left pixel. Normalised image coordinates are (x / z, y / z)
of the undistorted ray. `project` is the inverse of `ray` up to depth, `distort` that of `undistort`.

Lens models follow the OpenCV documentation ("Camera Calibration and 3D Reconstruction", "Fisheye camera
model") and the names of sensor_msgs/CameraInfo. Internally a point of the image plane is one complex number w
= x + iy, in which radial and tangential distortion together read

    f(w) = w (R(|w|^2) + 2 q) + |w|^2 p,   p = p2 + i p1,   q = Re(conj(p) w)

with derivatives a = df/dw = R + R' |w|^2 + 4 q (real) and b = df/dconj(w) = w (R' w + 2 p).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from pose_core.registry import suggest
from pose_core.types import Array, Jacobians, Points2, Points3

Coefficients = tuple[float, ...]
Radial = Callable[[Coefficients, Array], tuple[Array, Array]]

NOWHERE = complex(np.nan, np.nan)
NEWTON_STEPS = 30
NEWTON_STEP = 1e-6
"""Convergence is quadratic: after a step below this the error is below 1e-9."""

NEGLIGIBLE = 1e-30
"""Share of a polynomial's largest coefficient below which another is 0."""


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics of one camera. Raises ValueError for a size, matrix or distortion that cannot be a camera.

    Beyond the field that the distortion polynomial describes (where it folds back on itself) `project` is as
    meaningless as OpenCV's, and `undistort` never answers.
    """

    width: int
    height: int
    matrix: Array
    """(3, 3) K: focal lengths and principal point in pixels."""
    distortion: Array = field(default_factory=lambda: np.zeros(0))
    """plumb_bob (k1 k2 p1 p2 k3), rational_polynomial (k1 k2 p1 p2 k3 k4 k5 k6) or equidistant (k1 k2 k3 k4).

    Shorter is filled with zeros."""
    model: str = "plumb_bob"
    source: str = "given"
    """Where the intrinsics come from: `camera_info`, `field_of_view`, `calibration_file`, ..."""

    def __post_init__(self) -> None:
        for name, size in (("width", self.width), ("height", self.height)):
            if not 0 < size < np.inf or size != int(size):
                raise ValueError(f"camera {name} must be a positive number of pixels, got {size}")
            object.__setattr__(self, name, int(size))
        object.__setattr__(self, "matrix", _checked_matrix(self.matrix))
        object.__setattr__(self, "distortion", _checked_distortion(self.model, self.distortion))

    @classmethod
    def from_field_of_view(cls, width: int, height: int, field_of_view_deg: float) -> Camera:
        """An ideal camera whose angle of view across the longer image side is `field_of_view_deg`."""
        if not 0.0 < field_of_view_deg < 180.0:
            raise ValueError(f"field of view must be between 0 and 180 degrees, got {field_of_view_deg}")
        focal = 0.5 * max(width, height) / np.tan(np.radians(field_of_view_deg) / 2.0)
        matrix = np.array(
            [[focal, 0.0, (width - 1) / 2.0], [0.0, focal, (height - 1) / 2.0], [0.0, 0.0, 1.0]]
        )
        return cls(width, height, matrix, source="field_of_view")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Camera):
            return NotImplemented
        return (
            (self.width, self.height, self.model, self.source)
            == (other.width, other.height, other.model, other.source)
            and np.array_equal(self.matrix, other.matrix)
            and np.array_equal(self.distortion, other.distortion)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def field_of_view_deg(self) -> float:
        """Angle across the longer image side in degrees, distortion left aside."""
        length, focal = max(
            (self.width, self.matrix[0, 0]), (self.height, self.matrix[1, 1]), key=lambda side: side[0]
        )
        return float(np.degrees(2.0 * np.arctan(0.5 * length / focal)))

    def scaled(self, width: int, height: int) -> Camera:
        """The same camera for the whole image resized to `width` x `height` (not for a crop)."""
        factors = np.array([width / self.width, height / self.height])
        matrix = self.matrix.copy()
        matrix[:2, :2] *= factors[:, None]
        matrix[:2, 2] = (matrix[:2, 2] + 0.5) * factors - 0.5
        return replace(self, width=width, height=height, matrix=matrix)

    def cropped(self, left: int, top: int, width: int, height: int) -> Camera:
        """The same camera for a part of the image; where it reaches beyond the image, that is padding."""
        matrix = self.matrix.copy()
        matrix[:2, 2] -= (left, top)
        return replace(self, width=width, height=height, matrix=matrix)

    def letterboxed(self, width: int, height: int) -> Camera:
        """The same camera for the image scaled to fit into `width` x `height` and padded evenly on two sides."""
        factor = min(width / self.width, height / self.height)
        fitted = self.scaled(round(self.width * factor), round(self.height * factor))
        return fitted.cropped(-((width - fitted.width) // 2), -((height - fitted.height) // 2), width, height)

    def project(self, xyz: Points3) -> Points2:
        """Pixels (..., 2) of points (..., 3) in metres.

        NaN where z <= 0. Points outside the image are not cut off.
        """
        return self.distort(_pinhole(np.asarray(xyz, float)))

    def distort(self, normalised: Points2) -> Points2:
        """Pixels (..., 2) of normalised image coordinates (..., 2)."""
        normalised = np.asarray(normalised, float)
        result: Points2
        if self._straight:
            result = normalised @ self._to_pixels + self.matrix[:2, 2]
            return result
        w = _complex(normalised)
        s = w.real * w.real + w.imag * w.imag
        factor, _ = self._radial(s)
        if self._tangential:
            q = w.real * self._tangential.real + w.imag * self._tangential.imag
            w = w * (factor + 2.0 * q) + s * self._tangential
        else:
            w = w * factor
        result = _real(w, normalised.shape) @ self._to_pixels + self.matrix[:2, 2]
        return result

    def undistort(self, xy_px: Points2) -> Points2:
        """Normalised image coordinates (..., 2) of pixels (..., 2), exact to 1e-9.

        NaN where no ray within 90 degrees of the optical axis and within the model's field meets the pixel.
        """
        solve = self._undistort_angle if self.model == "equidistant" else self._undistort_plane
        with np.errstate(all="ignore"):
            distorted = (np.asarray(xy_px, float) - self.matrix[:2, 2]) @ self._from_pixels
            return distorted if self._straight else _real(solve(_complex(distorted)), distorted.shape)

    def ray(self, xy_px: Points2) -> Points3:
        """Unit vectors (..., 3) from the camera through pixels (..., 2); NaN as in `undistort`."""
        normalised = self.undistort(xy_px)
        ray = np.concatenate([normalised, np.ones_like(normalised[..., :1])], axis=-1)
        result: Points3 = ray / np.sqrt(np.einsum("...i,...i->...", ray, ray))[..., None]
        return result

    def jacobian(self, xyz: Points3) -> Jacobians:
        """Derivative (..., 2, 3) of `project` in pixels per metre at points (..., 3); NaN where z <= 0."""
        xyz = np.asarray(xyz, float)
        xy = _pinhole(xyz)
        pinhole = np.zeros((*xyz.shape[:-1], 2, 3))
        pinhole[..., 0, 0] = pinhole[..., 1, 1] = 1.0
        pinhole[..., 2] = -xy
        pinhole /= np.where(xyz[..., 2] > 0.0, xyz[..., 2], np.nan)[..., None, None]
        if self._straight:
            return self.matrix[:2, :2] @ pinhole
        _, a, b = self._distortion_and_slopes(_complex(xy))
        lens = np.stack([_real(a + b, xy.shape), _real(1j * (a - b), xy.shape)], axis=-1)
        result: Jacobians = self.matrix[:2, :2] @ lens @ pinhole
        return result

    @cached_property
    def _straight(self) -> bool:
        return self.model != "equidistant" and not self.distortion.any()

    @cached_property
    def _to_pixels(self) -> Array:
        return np.ascontiguousarray(self.matrix[:2, :2].T)

    @cached_property
    def _from_pixels(self) -> Array:
        return np.ascontiguousarray(np.linalg.inv(self.matrix[:2, :2]).T)

    @cached_property
    def _lens(self) -> Lens:
        return MODELS[self.model]

    @cached_property
    def _k(self) -> tuple[float, ...]:
        """The coefficients as Python floats, by which NumPy multiplies a small array twice as fast."""
        return tuple(self.distortion.tolist())

    @cached_property
    def _tangential(self) -> complex:
        return 0j if self.model == "equidistant" else complex(self._k[3], self._k[2])

    def _radial(self, s: Array) -> tuple[Array, Array]:
        """R and dR/ds at squared radii s."""
        return self._lens.radial(self._k, s)

    def _distortion_and_slopes(self, w: Array) -> tuple[Array, Array, Array]:
        """f(w), df/dw and df/dconj(w)."""
        s = w.real * w.real + w.imag * w.imag
        factor, slope = self._radial(s)
        if not self._tangential:
            return w * factor, factor + slope * s, slope * w * w
        q2 = 2.0 * (w.real * self._tangential.real + w.imag * self._tangential.imag)
        g = factor + q2
        return w * g + s * self._tangential, g + slope * s + q2, w * (slope * w + 2.0 * self._tangential)

    def _undistort_plane(self, target: Array) -> Array:
        """Newton's method from the distorted point.

        Along a radius it approaches the first solution from one side.
        """
        w = target.copy()
        for _ in range(NEWTON_STEPS):
            f, a, b = self._distortion_and_slopes(w)
            error = target - f
            step = (a * error - b * error.conj()) / (a * a - (b.real * b.real + b.imag * b.imag))
            w += step
            moving = np.abs(step) > NEWTON_STEP
            if not moving.any():
                break
        w[moving | ~(np.abs(w) <= self._field)] = NOWHERE
        return w

    def _undistort_angle(self, target: Array) -> Array:
        """Newton's method on the angle from the optical axis.

        The tangent of the angle would not converge near 90.
        """
        radius = np.abs(target)
        angle = radius.copy()
        for _ in range(NEWTON_STEPS):
            bent, slope = _fisheye(self._k, angle)
            step = (radius - bent) / slope
            angle += step
            moving = np.abs(step) > NEWTON_STEP
            if not moving.any():
                break
        good = ~moving & (angle >= 0.0) & (angle < np.arctan(self._field))
        scale = np.where(radius > 0.0, np.tan(angle) / np.where(radius > 0.0, radius, 1.0), 1.0)
        return np.where(good, target * scale, NOWHERE)

    @cached_property
    def _field(self) -> float:
        """Largest undistorted radius up to which distortion is one to one, infinity where it always is."""
        return self._lens.field(self._k)


def _checked_matrix(matrix: Array) -> Array:
    matrix = np.array(matrix, float)
    if matrix.shape != (3, 3):
        raise ValueError(f"camera matrix must have shape (3, 3), got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"camera matrix must be finite, got {matrix.tolist()}")
    if matrix[0, 0] <= 0.0 or matrix[1, 1] <= 0.0:
        raise ValueError(f"focal lengths must be positive, got {matrix[0, 0]} and {matrix[1, 1]}")
    if matrix[1, 0] != 0.0 or matrix[2].tolist() != [0.0, 0.0, 1.0]:
        raise ValueError(
            f"camera matrix must be [[fx, skew, cx], [0, fy, cy], [0, 0, 1]], got {matrix.tolist()}"
        )
    matrix.setflags(write=False)
    return matrix


def _checked_distortion(model: str, distortion: Array) -> Array:
    if model not in MODELS:
        raise ValueError(f"unknown distortion model '{model}'; {suggest(model, sorted(MODELS))}")
    given = np.array(distortion, float).reshape(-1)
    if not np.isfinite(given).all():
        raise ValueError(f"distortion must be finite, got {given.tolist()}")
    lengths = MODELS[model].lengths
    if given.any() and len(given) not in lengths:
        counts = " or ".join(str(n) for n in lengths)
        raise ValueError(f"distortion model '{model}' takes {counts} coefficients, got {len(given)}")
    filled = np.zeros(lengths[-1])
    filled[: len(given)] = given[: lengths[-1]]
    filled.setflags(write=False)
    return filled


def _pinhole(xyz: Array) -> Array:
    z = xyz[..., 2:]
    result: Array = xyz[..., :2] / np.where(z > 0.0, z, np.nan)
    return result


def _complex(xy: Array) -> Array:
    """(N,) x + iy of all points (..., 2)."""
    return np.ascontiguousarray(xy).reshape(-1).view(np.complex128)


def _real(w: Array, shape: tuple[int, ...]) -> Array:
    return w.view(np.float64).reshape(shape)


def _polynomial_radial(k: Coefficients, s: Array) -> tuple[Array, Array]:
    k1, k2, k3 = k[0], k[1], k[4]
    return 1.0 + s * (k1 + s * (k2 + s * k3)), k1 + s * (2.0 * k2 + s * (3.0 * k3))


def _rational_radial(k: Coefficients, s: Array) -> tuple[Array, Array]:
    above, above_slope = _polynomial_radial(k, s)
    below, below_slope = 1.0 + s * (k[5] + s * (k[6] + s * k[7])), k[5] + s * (2.0 * k[6] + s * (3.0 * k[7]))
    factor = above / below
    return factor, (above_slope - factor * below_slope) / below


def _polynomial_field(k: Coefficients) -> float:
    """First radius r at which r N(s) / D(s), s = r^2, stops growing.

    There N D + 2 s (N' D - N D') = 0 or D = 0.
    """
    polynomial: Any = np.polynomial.Polynomial
    above = polynomial([1.0, k[0], k[1], k[4]])
    below = polynomial([1.0, *k[5:8]])
    growth = above * below + polynomial([0.0, 2.0]) * (above.deriv() * below - above * below.deriv())
    return float(np.sqrt(min(_positive_roots(growth), _positive_roots(below))))


def _fisheye(k: Coefficients, angle: Array) -> tuple[Array, Array]:
    """Image radius of rays at `angle` from the optical axis, and its derivative."""
    t = angle * angle
    bent = angle * (1.0 + t * (k[0] + t * (k[1] + t * (k[2] + t * k[3]))))
    return bent, 1.0 + t * (3.0 * k[0] + t * (5.0 * k[1] + t * (7.0 * k[2] + t * (9.0 * k[3]))))


def _fisheye_radial(k: Coefficients, s: Array) -> tuple[Array, Array]:
    near = s < 1e-8
    safe = np.where(near, 1.0, s)
    radius = np.sqrt(safe)
    bent, slope = _fisheye(k, np.arctan(radius))
    factor = bent / radius
    # Near the axis R is 1 + (k1 - 1/3) s.
    return (
        np.where(near, 1.0 + (k[0] - 1.0 / 3.0) * s, factor),
        np.where(near, k[0] - 1.0 / 3.0, (slope / (1.0 + safe) - factor) / (2.0 * safe)),
    )


def _fisheye_field(k: Coefficients) -> float:
    growth = np.polynomial.Polynomial([1.0, 3.0 * k[0], 5.0 * k[1], 7.0 * k[2], 9.0 * k[3]])
    angle = np.sqrt(_positive_roots(growth))
    return float(np.tan(angle)) if angle < np.pi / 2 else np.inf


def _positive_roots(polynomial: Any) -> float:
    """The smallest positive real root, infinity where there is none."""
    size = np.abs(polynomial.coef)
    # What vanishes beside the others, such as a denormal, has no root that is a number.
    roots = type(polynomial)(np.where(size < NEGLIGIBLE * size.max(), 0.0, polynomial.coef)).trim().roots()
    real = roots[np.abs(np.imag(roots)) < 1e-9].real
    return min((float(root) for root in real if root > 0.0), default=np.inf)


@dataclass(frozen=True)
class Lens:
    """A distortion model: allowed numbers of coefficients, radial factor with slope, largest usable radius."""

    lengths: tuple[int, ...]
    radial: Radial
    field: Callable[[Coefficients], float]


MODELS = {
    "plumb_bob": Lens((4, 5), _polynomial_radial, _polynomial_field),
    "rational_polynomial": Lens((4, 5, 8), _rational_radial, _polynomial_field),
    "equidistant": Lens((4,), _fisheye_radial, _fisheye_field),
}
"""Names as in sensor_msgs/distortion_models.hpp."""
