"""One Euro filter: smooth at rest, quick in motion, and only two numbers to tune.

Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012.
"""

from __future__ import annotations

import numpy as np

from pose_core.filtering.filters import OneEuro
from pose_core.filtering.joint_errors import DRIFT
from pose_core.people import Person3D
from pose_core.units import S_PER_NS
from refine_node.refiner import REFINERS
from refine_node.relative import RootRelativeRefiner, Split


@REFINERS.register("one_euro")
class OneEuroRefiner(RootRelativeRefiner):
    """One filter for the joints about the root, one for the coordinates of the root, each at its own cutoff.

    The filter knows no uncertainty: standard deviations are those that come in, and grow by `DRIFT` while a joint is held.
    """

    def reset(self) -> None:
        super().reset()
        params = self.params
        self._joints = OneEuro(params.min_cutoff_hz, params.beta, params.d_cutoff_hz, by_joint=True)
        self._centre = OneEuro(params.root_min_cutoff_hz, params.root_beta, params.d_cutoff_hz)
        joints = len(self.skeleton)
        nan = np.full((joints + 1, 3), np.nan)
        self._last = Split(nan[0], nan[0], nan[1:], nan[1:, 0])
        """As last seen, each joint and the root at its own time."""
        self._seen = np.zeros(joints, np.int64)
        self._root_seen = 0

    def _update(self, measured: Split, person: Person3D, stamp: int) -> tuple[Split, np.ndarray]:
        given = ~np.isnan(measured.relative[:, 0])
        relative = self._joints.filter(stamp, measured.relative, hold=True)
        root = self._centre.filter(stamp, measured.root, hold=True)
        std = np.where(given, measured.std, self._last.std)
        self._last = Split(root, measured.root_std, relative, std)
        self._seen[given] = stamp
        self._root_seen = stamp
        return self._ahead(stamp), given

    def _ahead(self, stamp: int) -> Split:
        last, drift = self._last, DRIFT * S_PER_NS
        std = np.hypot(last.std, drift * (stamp - self._seen))
        root_std = np.hypot(last.root_std, drift * (stamp - self._root_seen))
        return Split(last.root, root_std, last.relative, std)
