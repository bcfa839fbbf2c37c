"""Causal filters over arrays, in seconds: time steps come from stamps, so frames may be uneven or missing.

Stamps are integer nanoseconds and must increase: a filter raises ValueError for one that does not, and its
owner calls `reset` where time really jumps (a bag that loops). NaN (or infinite) input is a missing sample.
Shapes are fixed by the first call.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pose_core.filtering.windows import CausalWindow
from pose_core.types import Array, JointMask, Joints, JointStd
from pose_core.units import S_PER_NS


class OneEuro:
    """Low-pass filter whose cutoff rises with speed: smooth at rest, quick in motion.

    Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012, Algorithm 1, with the true time since each element's
    last sample instead of a fixed rate. An element that was missing therefore follows its first new sample
    the closer, the longer it was away.
    """

    def __init__(
        self,
        min_cutoff: float = 1.0,
        beta: float = 0.0,
        derivative_cutoff: float = 1.0,
        *,
        by_joint: bool = False,
        max_gap: float = math.inf,
    ) -> None:
        """`min_cutoff`, `derivative_cutoff`: Hz. `beta`: Hz per unit of speed (unit of the input per second).

        `by_joint`: one speed for all coordinates of the last axis (its norm), so that the result does not
        depend on how the axes lie; the paper treats each coordinate alone. `max_gap`: seconds without a
        sample after which an element starts anew.
        """
        for name, value in (
            ("min_cutoff", min_cutoff),
            ("derivative_cutoff", derivative_cutoff),
            ("max_gap", max_gap),
        ):
            if not value > 0.0:
                raise ValueError(f"{name} must be positive, got {value}")
        if not beta >= 0.0:
            raise ValueError(f"beta must not be negative, got {beta}")
        self.min_cutoff, self.beta, self.derivative_cutoff = min_cutoff, beta, derivative_cutoff
        self.by_joint, self.max_gap = by_joint, max_gap
        self.reset()

    def reset(self) -> None:
        """Forget everything, the shape and the time included."""
        self._stamp: int | None = None

    def filter(self, stamp: int, x: Array, hold: bool = False) -> Array:
        """The filtered `x`, of its shape.

        Where `x` is missing: NaN, or the last filtered value with `hold`.
        """
        x = np.asarray(x, float)
        if self._stamp is None:
            self._value, self._slope = np.full(x.shape, np.nan), np.zeros(x.shape)
            self._seen_at = np.full(x.shape, stamp, np.int64)
        else:
            _check_shape(x, self._value)
            _later(self._stamp, stamp)
        self._stamp = stamp
        seen = np.isfinite(x)
        dt = (stamp - self._seen_at) * S_PER_NS
        known = seen & ~np.isnan(self._value) & (dt <= self.max_gap)
        dt[~known] = 1.0
        change = np.where(known, x - self._value, 0.0)
        slope = np.where(known, self._slope, 0.0)
        slope += _smoothing(self.derivative_cutoff, dt) * (change / dt - slope)
        speed = np.linalg.norm(slope, axis=-1, keepdims=True) if self.by_joint else np.abs(slope)
        value = np.where(known, self._value, x) + _smoothing(self.min_cutoff + self.beta * speed, dt) * change
        self._value = np.where(seen, value, self._value)
        self._slope = np.where(seen, slope, self._slope)
        self._seen_at[seen] = stamp
        return self._value.copy() if hold else np.where(seen, value, np.nan)


def _smoothing(cutoff: float | Array, dt: Array) -> Array:
    """Weight of the new sample in an exponential filter of the given cutoff frequency in Hz."""
    turn = 2.0 * math.pi * cutoff * dt
    return turn / (turn + 1.0)


class Moments(NamedTuple):
    """What a constant-velocity filter knows of J joints at one time; NaN variance of the position where it knows nothing."""

    stamp: int
    position: Array  # (J, D) metres
    velocity: Array  # (J, D) metres per second
    position_variance: Array  # (J,) along one axis
    covariance: Array  # (J,) of position and velocity; 0 exactly where a joint has just started
    velocity_variance: Array  # (J,)


@dataclass(frozen=True)
class AccelerationDensity:
    """Power spectral density q of the acceleration of a joint, m^2/s^3: `rest` + `rate` |v|^2.

    A movement over a distance d that takes a time T has speeds of about d / T and accelerations of about d / T^2: what is fast
    also turns back fast, and what rests stays at rest. Raises ValueError unless `rest` is positive and `rate` not negative.
    """

    rest: float
    rate: float = 0.0
    """1/s"""

    def __post_init__(self) -> None:
        if not self.rest > 0.0:
            raise ValueError(f"acceleration_density must be positive, got {self.rest}")
        if not self.rate >= 0.0:
            raise ValueError(f"the rise of acceleration_density must not be negative, got {self.rate}")

    def at(self, velocity: Joints) -> Array:
        """(J,) for velocities (J, D) in m/s."""
        density: Array = self.rest + self.rate * np.einsum("ji,ji->j", velocity, velocity)
        return density


class ConstantVelocityKalman:
    """Kalman filter of each coordinate of J joints with white-noise acceleration.

    Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation" (2001), section
    6.2.2: state position and velocity, process noise q [[dt^3/3, dt^2/2], [dt^2/2, dt]], exact for any dt.
    The coordinates of a joint share one covariance, because they are measured together with one standard
    deviation. The unit is that of the measurements, written as metres here.
    """

    def __init__(
        self,
        acceleration_density: float | AccelerationDensity,
        *,
        initial_speed_std: float = 1.0,
        gate: float = math.inf,
        gate_patience: int = 5,
        max_gap: float = math.inf,
    ) -> None:
        """`acceleration_density`: power spectral density q of the acceleration, m^2/s^3; one that depends on speed takes the
        velocity estimated at the start of each step.

        `initial_speed_std`: standard deviation of an unknown velocity along one axis, m/s. `gate`: a
        measurement whose innovation exceeds this Mahalanobis distance is left out (3D: 4 passes 99.9 % of
        good ones); after `gate_patience` of them in a row the joint starts anew from the measurement, since
        then the state is wrong. `max_gap`: seconds without an accepted measurement after which a joint is
        unknown.
        """
        for name, value in (
            ("initial_speed_std", initial_speed_std),
            ("gate", gate),
            ("gate_patience", gate_patience),
            ("max_gap", max_gap),
        ):
            if not value > 0.0:
                raise ValueError(f"{name} must be positive, got {value}")
        self.acceleration_density = density_of(acceleration_density)
        self.initial_speed_std = initial_speed_std
        self.gate, self.gate_patience, self.max_gap = gate, gate_patience, max_gap
        self.reset()

    def reset(self) -> None:
        """Forget everything, the shape and the time included."""
        self._stamp: int | None = None
        self._x = np.empty((0, 0))
        self._rejections = np.empty(0, np.intp)

    def update(self, stamp: int, xyz: Joints, std: JointStd) -> Joints:
        """Take in measurements (J, D) with standard deviations (J,) along one axis; the estimate (J, D).

        A joint with NaN in its measurement or its standard deviation is predicted only; one never seen is
        NaN. Raises ValueError for a negative standard deviation.
        """
        xyz, std = np.asarray(xyz, float), np.asarray(std, float)
        if xyz.ndim != 2 or std.shape != xyz.shape[:1]:
            raise ValueError(
                f"expected measurements (J, D) and deviations (J,), got {xyz.shape} and {std.shape}"
            )
        if (std < 0.0).any():
            raise ValueError(f"standard deviations must not be negative, got {np.nanmin(std)}")
        if self._stamp is None:
            self._start(stamp, xyz.shape)
        else:
            _check_shape(xyz, self._x)
            _later(self._stamp, stamp)
            self._x, self._p, self._c, self._w = self._ahead(self._stamp, stamp)
        self._stamp = stamp
        given = np.isfinite(xyz).all(-1) & np.isfinite(std)
        known = ~np.isnan(self._p)
        innovation = np.where((given & known)[:, None], xyz - self._x, np.nan)
        noise = std * std
        total = self._p + noise
        self._distance = np.sqrt(np.einsum("ji,ji->j", innovation, innovation) / total)
        self._rejected = self._distance > self.gate
        self._rejections = np.where(
            given, np.where(self._rejected, self._rejections + 1, 0), self._rejections
        )
        lost = self._rejections >= self.gate_patience
        self._correct(given & known & ~self._rejected, innovation, noise / total, total)
        self._begin(given & (lost | ~known), xyz, noise)
        self._rejected = self._rejected & ~lost
        return self._x.copy()

    def predict(self, stamp: int) -> tuple[Joints, JointStd]:
        """Positions (J, D) and standard deviations (J,) expected at `stamp`, not before the last update.

        No change.
        """
        if self._stamp is None:
            raise ValueError("the filter has no state yet: update it first")
        if stamp < self._stamp:
            raise ValueError(f"cannot predict {stamp}, which is before the last update at {self._stamp}")
        x, p, _, _ = self._ahead(self._stamp, stamp)
        return x, np.sqrt(p)

    @property
    def std(self) -> JointStd:
        """(J,) standard deviation of the position along one axis."""
        return np.sqrt(self._p)

    @property
    def velocity(self) -> Joints:
        """(J, D) metres per second."""
        return np.where(np.isnan(self._p)[:, None], np.nan, self._v)

    @property
    def velocity_std(self) -> JointStd:
        """(J,) standard deviation of the velocity along one axis."""
        return np.sqrt(self._w)

    @property
    def moments(self) -> Moments:
        """All of the state. Raises ValueError before the first update."""
        if self._stamp is None:
            raise ValueError("the filter has no state yet: update it first")
        return Moments(self._stamp, self._x, self._v, self._p, self._c, self._w)

    @property
    def distance(self) -> JointStd:
        """(J,) Mahalanobis distance of the last measurements from their prediction.

        NaN where there was none.
        """
        result: JointStd = self._distance.copy()
        return result

    @property
    def rejected(self) -> JointMask:
        """(J,) whether the gate kept the last measurement out of the state."""
        result: JointMask = self._rejected.copy()
        return result

    def _start(self, stamp: int, shape: tuple[int, ...]) -> None:
        self._x, self._v = np.full(shape, np.nan), np.zeros(shape)
        self._p, self._c, self._w = (np.full(shape[0], np.nan) for _ in range(3))
        self._measured_at = np.full(shape[0], stamp, np.int64)
        self._rejections = np.zeros(shape[0], np.intp)

    def _ahead(self, last: int, stamp: int) -> tuple[Array, Array, Array, Array]:
        """Position, its variance, covariance with velocity and variance of velocity at `stamp`."""
        dt = (stamp - last) * S_PER_NS
        q = self.acceleration_density.at(self._v)
        x = self._x + dt * self._v
        p = self._p + dt * (2.0 * self._c + dt * (self._w + dt * (q / 3.0)))
        if self.max_gap < math.inf:
            gone = (stamp - self._measured_at) * S_PER_NS > self.max_gap
            x[gone], p[gone] = np.nan, np.nan
        return x, p, self._c + dt * (self._w + dt * (q / 2.0)), self._w + dt * q

    def _correct(self, which: Array, innovation: Array, keep: Array, total: Array) -> None:
        """Kalman's update.

        `keep` is 1 - gain, computed as a quotient so that variances cannot turn negative.
        """
        self._x = np.where(which[:, None], self._x + (self._p / total)[:, None] * innovation, self._x)
        self._v = np.where(which[:, None], self._v + (self._c / total)[:, None] * innovation, self._v)
        self._w = np.where(which, self._w - self._c * self._c / total, self._w)
        self._c = np.where(which, self._c * keep, self._c)
        self._p = np.where(which, self._p * keep, self._p)
        self._measured_at[which] = self._stamp

    def _begin(self, which: Array, xyz: Array, noise: Array) -> None:
        self._x = np.where(which[:, None], xyz, self._x)
        self._v = np.where(which[:, None], 0.0, self._v)
        self._p = np.where(which, noise, self._p)
        self._c = np.where(which, 0.0, self._c)
        self._w = np.where(which, self.initial_speed_std**2, self._w)
        self._measured_at[which] = self._stamp
        self._rejections[which] = 0


def density_of(acceleration_density: float | AccelerationDensity) -> AccelerationDensity:
    """A number is the density at any speed."""
    if isinstance(acceleration_density, AccelerationDensity):
        return acceleration_density
    return AccelerationDensity(acceleration_density)


class SavitzkyGolay:
    """Value at the newest sample, or an earlier one, of a polynomial fitted to the last samples by least squares.

    Savitzky and Golay, Analytical Chemistry 36 (1964), with the fit evaluated at its end instead of its
    centre unless asked, and for uneven stamps. An element's missing samples take no part in its fit; with no
    more samples than coefficients the fit passes through the sample asked for.
    """

    def __init__(self, window: int, order: int) -> None:
        """`window`: number of samples, `order`: degree of the polynomial.

        Raises ValueError unless window > order.
        """
        if order < 0 or window <= order:
            raise ValueError(
                f"window must exceed the order {order}, which must not be negative, got {window}"
            )
        self.window, self.order = window, order
        self.reset()

    def reset(self) -> None:
        """Forget everything, the shape and the time included."""
        self._stamps = CausalWindow(self.window, (), np.int64)
        self._samples: CausalWindow | None = None

    def filter(self, stamp: int, x: Array) -> Array:
        """The filtered `x`, of its shape; NaN where `x` is missing."""
        x = np.asarray(x, float)
        if self._samples is None:
            self._samples = CausalWindow(self.window, x.shape)
        else:
            _later(int(self._stamps.view[-1]), stamp)
        self._samples.push(np.where(np.isfinite(x), x, np.nan))
        self._stamps.push(np.asarray(stamp))
        return self.at(0)

    def at(self, back: int) -> Array:
        """The fit at the sample `back` before the newest, of the shape of a sample; NaN where that was missing.

        Halfway back in the window it is the centred filter. Raises ValueError for a sample that the window does not hold.
        """
        if self._samples is None or not 0 <= back < self._samples.count:
            raise ValueError(f"the window does not hold the sample {back} before the newest")
        shape = self._samples.view.shape[1:]
        place = self._samples.count - 1 - back
        ages = (self._stamps.seen - self._stamps.view[-1]) * S_PER_NS
        powers = np.vander(ages / max(-ages[0], S_PER_NS), self.order + 1, increasing=True)
        samples = self._samples.seen.reshape(len(ages), -1)
        present = ~np.isnan(samples)
        if present.all():
            result: Array = (powers[place] @ np.linalg.pinv(powers) @ samples).reshape(shape)
            return result
        fitted = np.full(samples.shape[1], np.nan)
        patterns, member = np.unique(present, axis=1, return_inverse=True)
        member = member.reshape(-1)
        for i, pattern in enumerate(patterns.T):
            if pattern[place]:
                columns = member == i
                weights = powers[place] @ np.linalg.pinv(powers[pattern])
                fitted[columns] = weights @ samples[np.ix_(pattern, columns)]
        return fitted.reshape(shape)


def _later(last: int, stamp: int) -> None:
    if stamp <= last:
        raise ValueError(f"stamps must increase, got {stamp} after {last}; reset the filter when time jumps")


def _check_shape(x: Array, state: Array) -> None:
    if x.shape != state.shape:
        raise ValueError(f"the filter holds shape {state.shape}, got {x.shape}; reset it to change the shape")
