"""Savitzky-Golay filter: a polynomial fitted to the last frames, at their end; with look-ahead, towards their middle.

Savitzky and Golay, Analytical Chemistry 36 (1964); `pose_core.filtering.filters.SavitzkyGolay`.
"""

from __future__ import annotations

import numpy as np

from pose_core.filtering.filters import SavitzkyGolay
from pose_core.filtering.joint_errors import DRIFT
from pose_core.people import Person3D
from pose_core.skeleton import Skeleton
from refine_node.coasting import JOINT_COAST, ROOT_COAST, Coast
from refine_node.params import RefineParams
from refine_node.refiner import REFINERS
from refine_node.relative import RootRelativeRefiner, Split


@REFINERS.register("savitzky_golay")
class SavitzkyGolayRefiner(RootRelativeRefiner):
    """One fit for the joints about the root, one for the root.

    It knows no uncertainty: standard deviations are those that come in, and grow by `DRIFT` while a joint is not seen. The window
    is at least so long that the frame `look_ahead` ago lies in its middle.
    """

    looks_ahead = True

    @classmethod
    def check(cls, params: RefineParams, skeleton: Skeleton | None = None) -> None:
        super().check(params, skeleton)
        SavitzkyGolay(params.savgol_window, params.savgol_order)

    def reset(self) -> None:
        super().reset()
        params = self.params
        window = max(params.savgol_window, 2 * params.look_ahead + 1)
        self._joints, self._centre = (SavitzkyGolay(window, params.savgol_order) for _ in range(2))
        self._joint_coast, self._root_coast = Coast(JOINT_COAST), Coast(ROOT_COAST)
        self._std, self._root_std = np.full(len(self.skeleton), np.nan), np.full(3, np.nan)

    def _update(self, measured: Split, person: Person3D, stamp: int) -> tuple[Split, np.ndarray]:
        given = ~np.isnan(measured.relative[:, 0])
        self._joint_coast.see(stamp, self._joints.filter(stamp, measured.relative))
        self._root_coast.see(stamp, self._centre.filter(stamp, measured.root)[None])
        self._std = np.where(given, measured.std, self._std)
        self._root_std = measured.root_std
        return self._ahead(stamp), given

    def _ahead(self, stamp: int) -> Split:
        joints, root = self._joint_coast, self._root_coast
        return Split(
            root.at(stamp)[0],
            np.hypot(self._root_std, DRIFT * root.elapsed(stamp)),
            joints.at(stamp),
            np.hypot(self._std, DRIFT * joints.elapsed(stamp)),
        )

    def _smoothed(self, back: int) -> Split:
        causal = self._frames[-1 - back].estimate
        relative, root = self._joints.at(back), self._centre.at(back)
        return Split(
            np.where(np.isnan(root), causal.root, root),
            causal.root_std,
            np.where(np.isnan(relative), causal.relative, relative),
            causal.std,
        )
