"""A lifted person as a refining network sees it: joints about the root in standing heights, with how sure each is.

What a network sees depends neither on where a person stands nor on how tall they are. The axes stay those of the camera, because
a lifter errs along the line of sight as nowhere else. Training and run time share this file: an encoding that differs between the
two is the classic silent fault.
"""

from __future__ import annotations

import numpy as np

from pose_core.networks.step import CONTEXT as CONTEXT
from pose_core.networks.step import MAX_STEP as MAX_STEP
from pose_core.networks.step import context as context

VERSION = 1
"""Stands in every trained file; changes with anything that changes the numbers below."""

FEATURES = ("x", "y", "z", "log_std", "confidence")
"""What is said of each joint."""

DEFAULT_HEIGHT = 1.7
"""Metres; stands in for a height that is not known. Only the scale of what the network sees depends on it."""
MAX_OFFSET = 2.0
"""Bound on a coordinate about the root, in heights; a hand stretched up is 0.8 away."""
MIN_LOG_STD, MAX_LOG_STD = -7.0, 0.0
"""Bounds on the logarithm of a standard deviation in heights: 1.6 mm of a person of 1.7 m, and their height."""


def scale(height: np.ndarray | float) -> np.ndarray:
    """(...,) metres that lengths are divided by: the height (...,) where it is a positive number, else `DEFAULT_HEIGHT`."""
    height = np.asarray(height, float)
    return np.where(np.isfinite(height) & (height > 0.0), height, DEFAULT_HEIGHT)


def encode(
    relative: np.ndarray, std: np.ndarray, confidence: np.ndarray, height: np.ndarray | float
) -> np.ndarray:
    """(..., J, 5) float32, `FEATURES`: position in heights, natural logarithm of the deviation in heights, confidence.

    `relative` (..., J, 3) metres about the root, camera axes; `std` (..., J) metres along one axis; `confidence` (..., J);
    `height` (...,) metres, see `scale`. A joint without a position, a deviation or any confidence is missing: all 0.
    """
    unit = scale(height)[..., None]
    known = np.isfinite(relative).all(-1) & np.isfinite(std) & (confidence > 0.0)
    joints = np.zeros((*known.shape, len(FEATURES)), np.float32)
    position = np.where(known[..., None], relative, 0.0) / unit[..., None]
    joints[..., :3] = np.clip(position, -MAX_OFFSET, MAX_OFFSET)
    share = np.where(known, std, 1.0) / unit
    log_std = np.log(np.clip(share, np.exp(MIN_LOG_STD), np.exp(MAX_LOG_STD)))
    joints[..., 3] = np.where(known, log_std, 0.0)
    joints[..., 4] = np.where(known, np.minimum(confidence, 1.0), 0.0)
    return joints
