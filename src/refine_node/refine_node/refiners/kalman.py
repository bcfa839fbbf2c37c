"""Kalman filter with constant velocity, weighing each joint by its own standard deviation.

Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation" (2001), section 6.2.2.
"""

from __future__ import annotations

import math

import numpy as np

from pose_core.filters import ConstantVelocityKalman
from refine_node.refiner import REFINERS
from refine_node.relative import RootRelativeRefiner, Split

SECONDS = 1e-9
"""One nanosecond."""
JOINT_SPEED = 2.0
"""Metres per second: standard deviation of the unknown velocity of a joint about the root, along one axis."""
ROOT_SPEED = 1.0
"""The same of a person who walks or runs."""
JOINT_COAST = 0.1
"""Seconds after which a joint that is not seen has lost most of its velocity (limbs swing back)."""
ROOT_COAST = 0.25
"""The same of a person, who has more inertia."""


class CoastingFilter:
    """Kalman filter of J positions (J, D) of which those not seen coast to a halt.

    A velocity that decays with time constant T carries a joint on by v T (1 - exp(-t / T)). The deviations are those
    of the filter, which supposes that the velocity lasts, and so rather too wide.
    """

    def __init__(self, kalman: ConstantVelocityKalman, coast: float) -> None:
        """`coast`: T in seconds."""
        self._kalman, self._coast = kalman, coast
        self._place: np.ndarray | None = None

    def update(
        self, stamp: int, xyz: np.ndarray, std: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions (J, D) and deviations (J,) after a measurement, and which (J,) of its joints were used."""
        estimate = self._kalman.update(stamp, xyz, std)
        # a joint that starts anew was rejected by the gate, and yet its estimate is the measurement itself
        used = np.isfinite(xyz[:, 0] + std) & (~self._kalman.rejected | (estimate[:, 0] == xyz[:, 0]))
        if self._place is None:
            self._place, self._velocity = np.full(xyz.shape, np.nan), np.zeros(xyz.shape)
            self._seen = np.full(len(xyz), stamp, np.int64)
        self._place[used], self._velocity[used] = estimate[used], self._kalman.velocity[used]
        self._seen[used] = stamp
        return self._carried(stamp), self._kalman.std, used

    def ahead(self, stamp: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions (J, D) and deviations (J,) expected at `stamp`; changes nothing."""
        return self._carried(stamp), self._kalman.predict(stamp)[1]

    def _carried(self, stamp: int) -> np.ndarray:
        elapsed = (stamp - self._seen) * SECONDS
        return self._place - self._coast * np.expm1(-elapsed / self._coast)[:, None] * self._velocity


@REFINERS.register("kalman")
class Kalman(RootRelativeRefiner):
    """One filter for the joints about the root, one for the three coordinates of the root.

    The error of a lifted joint is mostly a bias that changes slowly with the pose. Only `white_share` of the standard
    deviation is independent from frame to frame: that is the measurement noise. The rest passes through and is added to
    the deviation of the result again, so that many frames never make a biased joint look certain.
    """

    def reset(self) -> None:
        super().reset()
        params = self.params
        gate = params.joint_gate or math.inf
        joints = ConstantVelocityKalman(
            params.process_noise, initial_speed_std=JOINT_SPEED, gate=gate, gate_patience=params.gate_frames
        )
        # whether a person may be there has been asked already; a root beyond the gate only has no velocity to go on with
        root = ConstantVelocityKalman(
            params.root_process_noise, initial_speed_std=ROOT_SPEED, gate=gate, gate_patience=1
        )
        self._joints, self._centre = CoastingFilter(joints, JOINT_COAST), CoastingFilter(root, ROOT_COAST)
        self._bias, self._root_bias = np.full(len(self.skeleton), np.nan), np.full(3, np.nan)

    def _update(self, measured: Split, stamp: int) -> tuple[Split, np.ndarray]:
        share, root_share = self.params.white_share, self.params.root_white_share
        relative, std, used = self._joints.update(stamp, measured.relative, share * measured.std)
        root, root_std, _ = self._centre.update(stamp, measured.root[:, None], root_share * measured.root_std)
        self._bias = np.where(used, math.sqrt(1.0 - share**2) * measured.std, self._bias)
        self._root_bias = math.sqrt(1.0 - root_share**2) * measured.root_std
        return self._split(relative, std, root, root_std), used

    def _ahead(self, stamp: int) -> Split:
        return self._split(*self._joints.ahead(stamp), *self._centre.ahead(stamp))

    def _split(self, relative: np.ndarray, std: np.ndarray, root: np.ndarray, root_std: np.ndarray) -> Split:
        return Split(root[:, 0], np.hypot(root_std, self._root_bias), relative, np.hypot(std, self._bias))
