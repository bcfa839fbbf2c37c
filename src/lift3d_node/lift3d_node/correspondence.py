"""Keypoints of one skeleton as those of another, by the names of the joints."""

from __future__ import annotations

import numpy as np

from pose_core.skeleton import SKELETONS, remap


class Correspondence:
    """Which keypoints of skeleton `source` make those of skeleton `target`; both are names of skeletons.

    A virtual point (the pelvis of `mediapipe33`) is the mean of its two keypoints, in the image too.
    """

    def __init__(self, source: str, target: str) -> None:
        self.source, self.target = source, target
        self._identity = source == target
        matrix = remap(SKELETONS.get(source), SKELETONS.get(target))
        self.known = ~np.isnan(matrix).any(1)
        """(J_target,) which keypoints of the target the source has."""
        self._matrix = np.where(np.isnan(matrix), 0.0, matrix)
        self._needs = self._matrix > 0.0

    def keypoints(self, xy_px: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (J_target, 2) and confidences (J_target,) from those of the source; NaN and 0 where one is missing.

        A keypoint that is made of several is as sure as the least of them.
        """
        if self._identity:
            return xy_px, confidence
        missing = np.isnan(xy_px).any(1)
        sure = self.known & ~(self._needs @ missing)
        least = np.where(self._needs, np.where(missing, 0.0, confidence), np.inf).min(1)
        mapped = self._matrix @ np.where(missing[:, None], 0.0, xy_px)
        return np.where(sure[:, None], mapped, np.nan), np.where(sure, least, 0.0)
