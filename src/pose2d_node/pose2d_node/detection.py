"""What a detector is: one image in, the people in it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class BadImage(ValueError):
    """An image in which nobody can be looked for; the next good one works."""


@dataclass(frozen=True)
class Detection:
    """A person in an image, joints in the order of the skeleton mediapipe33.

    `xy_px`: (0, 0) is the centre of the top left pixel. A joint that a detector does not know, or cannot tell, is NaN with
    confidence 0. MediaPipe guesses joints outside the image and hidden ones, with a low confidence.
    """

    xy_px: np.ndarray  # (33, 2)
    confidence: (
        np.ndarray
    )  # (33,) 0 to 1; of MediaPipe, probability of being in the image times that of not being hidden
    world: (
        np.ndarray
    )  # (33, 3) metres, axes of the optical frame, about the middle of the hips; NaN where it is not known
    box_px: np.ndarray  # (4,) x_min, y_min, x_max, y_max of the joints
    score: float  # 0 to 1, of the person; of MediaPipe, mean confidence of the joints


class Detector(Protocol):
    """Finds people in images, one after the other.

    One that follows people from image to image starts anew where the stamp goes back, and after a pause of more than
    `Pose2DParams.max_frame_gap` seconds: ids do not outlast that. The same images give the same detections.
    """

    device: str
    """Where it computes, for diagnostics: cpu, gpu."""
    restarts: int
    """How often it has started anew because of the images' times."""
    restart_reason: str
    """Why, after the `detect` in which it did; else empty."""
    inference: tuple[int, int]
    """When the network itself last worked, from and to, ns of the system clock."""

    def detect(self, stamp: int, bgr: np.ndarray) -> list[Detection]:
        """The people in an image (H, W, 3) uint8 of time `stamp` (ns). Raises BadImage; the next image may be a good one."""
        ...

    def close(self) -> None:
        """Free what it holds. No image can be looked at afterwards."""
        ...


def check_image(bgr: np.ndarray) -> None:
    """Raise BadImage unless `bgr` is (H, W, 3) uint8 with at least one pixel."""
    if bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3:
        raise BadImage(f"an image must be (height, width, 3) of uint8, got {bgr.shape} of {bgr.dtype}")
    if bgr.size == 0:
        raise BadImage(f"an image must have pixels, got {bgr.shape[1]} x {bgr.shape[0]}")
