"""Support for tests: images that tell their number, people made by hand, a detector that sees them."""

from __future__ import annotations

import numpy as np

from pose2d_node.detection import Detection, check_image
from pose2d_node.estimator import Pose2DEstimator
from pose2d_node.tracker import Tracker
from pose_core.skeleton import MEDIAPIPE33

WIDTH, HEIGHT = 64, 48


def image_of(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A grey image that tells its number, also after lossy compression."""
    return np.full((height, width, 3), 8 * (index % 30) + 8, np.uint8)


def index_of(bgr: np.ndarray) -> int:
    """The number of an `image_of`."""
    return round((float(bgr.mean()) - 8.0) / 8.0)


def figure(x: float, y: float = 0.0, size: float = 100.0, confidence: float = 1.0) -> Detection:
    """A standing figure `size` high and half as wide, its box centred at (x, y): all joints on an ellipse."""
    angle = np.linspace(0.0, 2.0 * np.pi, len(MEDIAPIPE33), endpoint=False)
    offsets = np.stack([0.25 * size * np.cos(angle), 0.5 * size * np.sin(angle)], 1)
    xy_px = offsets + np.array([x, y])
    box_px = np.array([x - 0.25 * size, y - 0.5 * size, x + 0.25 * size, y + 0.5 * size])
    confidences = np.full(len(xy_px), confidence)
    return Detection(xy_px, confidences, np.zeros((len(xy_px), 3)), box_px, confidence)


class FakeDetector:
    """Sees `seen` in every image, whose shape it checks as the real one does."""

    def __init__(self, seen: list[Detection]) -> None:
        self.seen = seen
        self.device, self.restarts, self.restart_reason = "cpu", 0, ""
        self.inference = (0, 0)
        self.stamps: list[int] = []
        self.images: list[int] = []
        self.closed = False

    def detect(self, stamp: int, bgr: np.ndarray) -> list[Detection]:
        check_image(bgr)
        back = bool(self.stamps) and stamp < self.stamps[-1]
        self.restarts += back
        self.restart_reason = "time went back" if back else ""
        self.inference = (stamp + 1, stamp + 2)
        self.stamps.append(stamp)
        self.images.append(index_of(bgr))
        return list(self.seen)

    def close(self) -> None:
        self.closed = True


def fake_estimator(seen: list[Detection]) -> Pose2DEstimator:
    """The real estimator and tracker behind a `FakeDetector`."""
    return Pose2DEstimator(FakeDetector(seen), Tracker())
