"""Kalman filter with constant velocity, weighing each joint by its own standard deviation; with look-ahead, a smoother.

Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation" (2001), section 6.2.2; looking ahead it
is the fixed-lag form of the smoother of Rauch, Tung and Striebel (section 8.6).
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from pose_core.filtering.filters import AccelerationDensity, ConstantVelocityKalman
from pose_core.people import Person3D
from refine_node.coasting import JOINT_COAST, JOINT_SPEED, CoastingFilter, RootFilter
from refine_node.refiner import REFINERS
from refine_node.relative import RootRelativeRefiner, Split


@REFINERS.register("kalman")
class Kalman(RootRelativeRefiner):
    """One filter for the joints about the root, one for the three coordinates of the root.

    The error of a lifted joint is mostly a bias that changes slowly with the pose. Only `white_share` of the standard
    deviation is independent from frame to frame: that is the measurement noise. The rest passes through and is added to
    the deviation of the result again, so that many frames never make a biased joint look certain.
    """

    looks_ahead = True

    def reset(self) -> None:
        super().reset()
        params = self.params
        joints = ConstantVelocityKalman(
            AccelerationDensity(params.process_noise, params.process_noise_rate),
            initial_speed_std=JOINT_SPEED,
            gate=params.joint_gate or math.inf,
            gate_patience=params.gate_frames,
        )
        self._joints = CoastingFilter(joints, JOINT_COAST, params.look_ahead)
        self._centre = RootFilter(params)
        nothing = np.full(len(self.skeleton), np.nan)
        self._biases: deque[np.ndarray] = deque([nothing], maxlen=params.look_ahead + 1)

    def _update(self, measured: Split, person: Person3D, stamp: int) -> tuple[Split, np.ndarray]:
        share = self.params.white_share
        relative, std, used = self._joints.update(stamp, measured.relative, share * measured.std)
        root, root_std = self._centre.update(stamp, measured.root, measured.root_std)
        self._biases.append(np.where(used, math.sqrt(1.0 - share**2) * measured.std, self._biases[-1]))
        return Split(
            root, root_std, relative, np.hypot(std, self._biases[-1]), *self._centre.velocity(stamp)
        ), used

    def _ahead(self, stamp: int) -> Split:
        relative, std = self._joints.ahead(stamp)
        return Split(
            *self._centre.ahead(stamp),
            relative,
            np.hypot(std, self._biases[-1]),
            *self._centre.velocity(stamp),
        )

    def _smoothed(self, back: int) -> Split:
        relative, std = self._joints.smoothed(back)
        return Split(
            *self._centre.smoothed(back),
            relative,
            np.hypot(std, self._biases[-1 - back]),
            *self._centre.smoothed_velocity(back),
        )
