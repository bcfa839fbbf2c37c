"""How well placed people agree with their images, over the last images."""

from __future__ import annotations

from collections import Counter

import numpy as np

from lift3d_node.placing.placement import Placed
from pose_core.skeleton import Skeleton

WINDOW = 512
"""People looked back on."""


class Quality:
    """Reprojection errors of the joints of one skeleton, and why people could not be placed."""

    def __init__(self, skeleton: Skeleton) -> None:
        self._joints = skeleton.joints
        self._errors_px = np.full((WINDOW, len(skeleton)), np.nan)
        self._count = 0
        self.unplaced: Counter[str] = Counter()
        """How often people could not be placed, by reason."""

    def add(self, placed: Placed) -> None:
        """Take in one person of one image."""
        if placed.reason:
            self.unplaced[placed.reason] += 1
            return
        self._errors_px[self._count % WINDOW] = placed.error_px
        self._count += 1

    def median_px(self) -> float:
        """Median reprojection error of all joints in pixels; NaN where there is none."""
        known = self._errors_px[~np.isnan(self._errors_px)]
        return float(np.median(known)) if len(known) else float("nan")

    def joint_median_px(self) -> dict[str, float]:
        """The same by joint, of the joints that have any."""
        medians = {}
        for joint, errors_px in zip(self._joints, self._errors_px.T, strict=True):
            known = errors_px[~np.isnan(errors_px)]
            if len(known):
                medians[joint] = float(np.median(known))
        return medians
