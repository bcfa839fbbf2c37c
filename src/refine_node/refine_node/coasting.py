"""Positions that are not seen coast to a halt: a velocity that decays with time constant T carries by v T (1 - exp(-t / T))."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from pose_core.filtering.filters import ConstantVelocityKalman
from pose_core.filtering.smoothing import FixedLagSmoother
from pose_core.units import S_PER_NS
from refine_node.params import RefineParams

JOINT_SPEED = 2.0
"""Metres per second: standard deviation of the unknown velocity of a joint about the root, along one axis."""
ROOT_SPEED = 1.0
"""The same of a person who walks or runs."""
JOINT_COAST = 0.1
"""Seconds after which a joint that is not seen has lost most of its velocity (limbs swing back)."""
ROOT_COAST = 0.25
"""The same of a person, who has more inertia."""
VELOCITY_TIME = 0.1
"""Seconds over which the velocity of positions without a filter of their own is averaged."""


class Coast:
    """Where J positions (J, D) were last seen, and where they are expected since."""

    def __init__(self, coast: float) -> None:
        """`coast`: T in seconds."""
        self._coast = coast
        self._place: np.ndarray | None = None

    def see(self, stamp: int, place: np.ndarray, velocity: np.ndarray | None = None) -> None:
        """Positions (J, D), NaN where not seen; velocities (J, D) in metres per second, without them averages of the steps."""
        if self._place is None:
            self._place, self._velocity = np.full(place.shape, np.nan), np.zeros(place.shape)
            self.seen = np.full(len(place), stamp, np.int64)
            """(J,) ns when each was last seen; means nothing for one that never was."""
        which = ~np.isnan(place[:, 0])
        if velocity is None:
            elapsed = ((stamp - self.seen) * S_PER_NS)[:, None]
            with np.errstate(invalid="ignore", divide="ignore"):
                speed = (place - self._place) / elapsed
            velocity = self._velocity - np.expm1(-elapsed / VELOCITY_TIME) * (speed - self._velocity)
            velocity = np.where(np.isfinite(velocity), velocity, 0.0)
        self._place = np.where(which[:, None], place, self._place)
        self._velocity = np.where(which[:, None], velocity, self._velocity)
        self.seen = np.where(which, stamp, self.seen)

    def at(self, stamp: int) -> np.ndarray:
        """Positions (J, D) expected at `stamp`, after at least one `see`; NaN where never seen."""
        fading = -np.expm1(-self.elapsed(stamp) / self._coast)
        return self._place + self._coast * fading[:, None] * self._velocity

    def fading(self, stamp: int) -> np.ndarray:
        """(J,) share of its velocity that each still has at `stamp`."""
        share: np.ndarray = np.exp(-self.elapsed(stamp) / self._coast)
        return share

    def elapsed(self, stamp: int) -> np.ndarray:
        """(J,) seconds since each was last seen; 0 at times before that."""
        elapsed: np.ndarray = np.maximum(stamp - self.seen, 0) * S_PER_NS
        return elapsed


class CoastingFilter:
    """Kalman filter of J positions (J, D) of which those not seen coast to a halt.

    The deviations are those of the filter, which supposes that the velocity lasts, and so rather too wide.
    """

    def __init__(self, kalman: ConstantVelocityKalman, coast: float, look_ahead: int = 0) -> None:
        """`coast`: T in seconds. `look_ahead`: frames for which `smoothed` looks back."""
        self._kalman, self._coast = kalman, Coast(coast)
        self._smoother = FixedLagSmoother(kalman.acceleration_density, look_ahead) if look_ahead else None

    def update(
        self, stamp: int, xyz: np.ndarray, std: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions (J, D) and deviations (J,) after a measurement, and which (J,) of its joints were used."""
        estimate = self._kalman.update(stamp, xyz, std)
        # a joint that starts anew was rejected by the gate, and yet its estimate is the measurement itself
        used = np.isfinite(xyz[:, 0] + std) & (~self._kalman.rejected | (estimate[:, 0] == xyz[:, 0]))
        self._coast.see(stamp, np.where(used[:, None], estimate, np.nan), self._kalman.velocity)
        if self._smoother is not None:
            self._smoother.push(self._kalman.moments)
        return self._coast.at(stamp), self._kalman.std, used

    def ahead(self, stamp: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions (J, D) and deviations (J,) expected at `stamp`; changes nothing."""
        return self._coast.at(stamp), self._kalman.predict(stamp)[1]

    def smoothed(self, back: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions (J, D) and deviations (J,) `back` frames before the latest, in the light of all since.

        A joint that has not been seen since coasts.
        """
        if self._smoother is None or not back:
            return self._coast.at(self._kalman.moments.stamp), self._kalman.std
        stamp, position, std = self._smoother.at(back)
        seen_since = (self._coast.seen > stamp)[:, None]
        return np.where(seen_since, position, self._coast.at(stamp)), std

    def velocity(self, stamp: int) -> tuple[np.ndarray, np.ndarray]:
        """Velocities (J, D) in metres per second expected at `stamp`, and their deviations (J,); changes nothing.

        What has been lost of a velocity by coasting may still be there: it is added to the deviation.
        """
        kalman, fading = self._kalman, self._coast.fading(stamp)
        velocity = kalman.velocity
        lost = (1.0 - fading) * np.abs(velocity).max(-1)
        ahead = max(stamp - kalman.moments.stamp, 0) * S_PER_NS
        gained = kalman.acceleration_density.at(velocity) * ahead
        return fading[:, None] * velocity, np.sqrt(kalman.velocity_std**2 + gained + lost**2)

    def smoothed_velocity(self, back: int) -> tuple[np.ndarray, np.ndarray]:
        """Velocities (J, D) and deviations (J,) `back` frames before the latest, in the light of all since."""
        if self._smoother is None or not back:
            return self.velocity(self._kalman.moments.stamp)
        return self._smoother.velocity_at(back)


class RootFilter:
    """The root's three coordinates, each with its own deviation, as a constant-velocity filter.

    Only `root_white_share` of the deviation is independent from frame to frame, which is the measurement's noise. The rest
    passes through and is added to the deviation of the result again, so that many frames never make a biased root look certain.
    """

    def __init__(self, params: RefineParams) -> None:
        # whether a person may be there has been asked already; a root beyond the gate only has no velocity to go on with
        kalman = ConstantVelocityKalman(
            params.root_process_noise,
            initial_speed_std=ROOT_SPEED,
            gate=params.joint_gate or math.inf,
            gate_patience=1,
        )
        self._filter = CoastingFilter(kalman, ROOT_COAST, params.look_ahead)
        self._share = params.root_white_share
        self._biases: deque[np.ndarray] = deque([np.full(3, np.nan)], maxlen=params.look_ahead + 1)

    def update(self, stamp: int, root: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) and deviation (3,) after a measurement."""
        position, deviation, _ = self._filter.update(stamp, root[:, None], self._share * std)
        self._biases.append(math.sqrt(1.0 - self._share**2) * std)
        return position[:, 0], np.hypot(deviation, self._biases[-1])

    def ahead(self, stamp: int) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) and deviation (3,) expected at `stamp`; changes nothing."""
        position, deviation = self._filter.ahead(stamp)
        return position[:, 0], np.hypot(deviation, self._biases[-1])

    def velocity(self, stamp: int) -> tuple[np.ndarray, np.ndarray]:
        """Velocity (3,) in metres per second and deviation (3,) expected at `stamp`; changes nothing."""
        velocity, deviation = self._filter.velocity(stamp)
        return velocity[:, 0], deviation

    def smoothed_velocity(self, back: int) -> tuple[np.ndarray, np.ndarray]:
        """Velocity (3,) and deviation (3,) `back` frames before the latest, in the light of all since."""
        velocity, deviation = self._filter.smoothed_velocity(back)
        return velocity[:, 0], deviation

    def smoothed(self, back: int) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) and deviation (3,) `back` frames before the latest, in the light of all since."""
        position, deviation = self._filter.smoothed(back)
        return position[:, 0], np.hypot(deviation, self._biases[-1 - back])
