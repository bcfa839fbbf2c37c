"""Smoothing with the future known: what `pose_core.filtering.filters` does looking back only, done looking both ways.

For recordings, and for a stage that may wait a few frames. Stamps are integer nanoseconds; NaN is a missing sample.
"""

from __future__ import annotations

import math

import numpy as np

from pose_core.filtering.filters import AccelerationDensity, ConstantVelocityKalman, Moments, density_of
from pose_core.types import Array, Joints, JointStd, Stamps, Track, TrackStd
from pose_core.units import S_PER_NS


def rts_smooth(
    stamps: Stamps,
    xyz: Track,
    std: TrackStd,
    acceleration_density: float | AccelerationDensity,
    *,
    initial_speed_std: float = 1.0,
    gate: float = math.inf,
    gate_patience: int = 5,
) -> tuple[Track, TrackStd]:
    """Positions (T, J, D) and their deviations (T, J) along one axis, given all measurements (T, J, D), (T, J).

    The exact smoother of Rauch, Tung and Striebel (AIAA Journal 3, 1965) for the model of `ConstantVelocityKalman`, which says
    what the parameters mean. A missing joint is interpolated; before it is first seen it is NaN, after it was last seen it moves
    on at its last velocity, with growing deviation. What the gate has kept out counts as missing, and no joint is smoothed
    across a place where it started anew. Raises ValueError for stamps that do not increase.
    """
    kalman = ConstantVelocityKalman(
        acceleration_density, initial_speed_std=initial_speed_std, gate=gate, gate_patience=gate_patience
    )
    density = kalman.acceleration_density
    filtered = []
    for frame, stamp in enumerate(np.asarray(stamps).tolist()):
        kalman.update(stamp, xyz[frame], std[frame])
        filtered.append(kalman.moments)
    if not filtered:
        return np.array(xyz, float), np.array(std, float)
    smoothed = [_matrices(filtered[-1])]
    for frame in range(len(filtered) - 2, -1, -1):
        mean, covariance = _matrices(filtered[frame])
        gain, mean_ahead, covariance_ahead = _link(filtered[frame], filtered[frame + 1], density)
        mean_next, covariance_next = smoothed[-1]
        known = _where_linked(gain, mean_next - mean_ahead, covariance_next - covariance_ahead)
        smoothed.append((mean + gain @ known[0], covariance + gain @ known[1] @ gain.swapaxes(-1, -2)))
    smoothed.reverse()
    return (
        np.stack([mean[:, 0] for mean, _ in smoothed]),
        np.sqrt(np.stack([covariance[:, 0, 0] for _, covariance in smoothed])),
    )


class FixedLagSmoother:
    """The last frames of a `ConstantVelocityKalman`, each in the light of all since; the same numbers as `rts_smooth`.

    A fixed-point smoother for each of them (Anderson and Moore, "Optimal Filtering" (1979), section 7.2): what a new frame
    corrects of its own prediction corrects an earlier frame by the product of the gains in between. All frames are corrected at
    once, so the cost hardly depends on how many there are.
    """

    def __init__(self, acceleration_density: float | AccelerationDensity, lag: int) -> None:
        """`lag`: frames before the newest that are kept."""
        self._density, self._lag = density_of(acceleration_density), lag
        self._newest: Moments | None = None

    def push(self, moments: Moments) -> None:
        """Take in the filter's state after its next frame."""
        mean, covariance = _matrices(moments)
        weight = np.broadcast_to(np.eye(2), covariance.shape)
        if self._newest is None:
            self._stamps, self._mean, self._covariance, self._weight = (
                [moments.stamp],
                mean[None],
                covariance[None],
                weight[None],
            )
        else:
            gain, mean_ahead, covariance_ahead = _link(self._newest, moments, self._density)
            told = _where_linked(gain, mean - mean_ahead, covariance - covariance_ahead)
            weights = self._weight @ gain
            self._mean = np.concatenate([self._mean + weights @ told[0], mean[None]])[-self._lag - 1 :]
            corrected = self._covariance + weights @ told[1] @ weights.swapaxes(-1, -2)
            self._covariance = np.concatenate([corrected, covariance[None]])[-self._lag - 1 :]
            self._weight = np.concatenate([weights, weight[None]])[-self._lag - 1 :]
            self._stamps = [*self._stamps, moments.stamp][-self._lag - 1 :]
        self._newest = moments

    def at(self, back: int) -> tuple[int, Joints, JointStd]:
        """Stamp, positions (J, D) and deviations (J,) of the frame `back` frames before the newest.

        Raises ValueError for one that is not kept.
        """
        place = self._place(back)
        return self._stamps[place], self._mean[place, :, 0], np.sqrt(self._covariance[place, :, 0, 0])

    def velocity_at(self, back: int) -> tuple[Joints, JointStd]:
        """Velocities (J, D) per second and their deviations (J,) of the frame `back` frames before the newest.

        Raises ValueError for one that is not kept.
        """
        place = self._place(back)
        return self._mean[place, :, 1], np.sqrt(self._covariance[place, :, 1, 1])

    def _place(self, back: int) -> int:
        if self._newest is None or not 0 <= back < len(self._stamps):
            raise ValueError(f"the frame {back} before the newest is not known")
        return -1 - back


def _matrices(moments: Moments) -> tuple[Array, Array]:
    """Mean (J, 2, D) and covariance (J, 2, 2) of position and velocity."""
    _, position, velocity, p, c, w = moments
    return np.stack([position, velocity], 1), np.stack([p, c, c, w], -1).reshape(-1, 2, 2)


def _link(
    moments: Moments, following: Moments, acceleration_density: AccelerationDensity
) -> tuple[Array, Array, Array]:
    """How a frame hangs together with the following one: gain (J, 2, 2), and mean and covariance predicted there.

    A joint that is unknown, or that has started anew in the following frame, has gain 0.
    """
    dt, q = (following.stamp - moments.stamp) * S_PER_NS, acceleration_density.at(moments.velocity)
    mean, covariance = _matrices(moments)
    step = np.array([[1.0, dt], [0.0, 1.0]])
    noise = q[:, None, None] * np.array([[dt**3 / 3.0, dt**2 / 2.0], [dt**2 / 2.0, dt]])
    cross = covariance @ step.T
    ahead = step @ cross + noise
    linked = ~np.isnan(ahead[:, 0, 0]) & (following.covariance != 0.0)
    gain = np.zeros_like(cross)
    gain[linked] = cross[linked] @ np.linalg.inv(ahead[linked])
    return gain, step @ mean, ahead


def _where_linked(gain: Array, *told: Array) -> list[Array]:
    """What later frames tell (J, 2, N), 0 for joints to which that means nothing."""
    linked = (gain[:, 0, 0] != 0.0)[:, None, None]
    return [np.where(linked, array, 0.0) for array in told]
