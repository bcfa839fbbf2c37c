"""Keypoints of one skeleton as those of another."""

from __future__ import annotations

import numpy as np

from pose_core.conversion import conversion


class Correspondence:
    """Which keypoints of skeleton `source` make those of skeleton `target`; both are names of skeletons.

    By default those that are the same point of the body: what is compared with an image must have been seen in it. With
    `approximate` also those that lie near a line through others (`pose_core.conversion`), for networks that ask for them.
    """

    def __init__(self, source: str, target: str, approximate: bool = False) -> None:
        self.source, self.target = source, target
        self._conversion = conversion(source, target, approximate)
        self.known = self._conversion.known
        """(J_target,) which keypoints of the target the source has."""

    def keypoints(self, xy_px: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (J_target, 2) and confidences (J_target,) from those of the source; NaN and 0 where one is missing.

        A keypoint that is made of several is as sure as the least of them.
        """
        return self._conversion.apply(xy_px, confidence)
