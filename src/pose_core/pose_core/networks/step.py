"""The time between two frames as a network is told it."""

from __future__ import annotations

import numpy as np

from pose_core.types import Array

CONTEXT = ("log_step",)
"""What is said of the frame as a whole: see `context`."""

NOMINAL_STEP = 1.0 / 30.0
MIN_STEP, MAX_STEP = 1.0 / 120.0, 0.5
"""Seconds between two frames; beyond them steps count as these."""


def context(step: Array | float) -> Array:
    """(..., 1) float32, `CONTEXT`: logarithm of the `step` (...,) in seconds since the frame before over one of 1/30 s.

    NaN, where there was no frame before, counts as 1/30 s.
    """
    step = np.asarray(step, float)
    step = np.clip(np.where(np.isnan(step), NOMINAL_STEP, step), MIN_STEP, MAX_STEP)
    logarithm: Array = np.log(step / NOMINAL_STEP)[..., None].astype(np.float32)
    return logarithm
