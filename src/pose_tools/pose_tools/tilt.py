"""How a camera is tilted: as somebody states it, or as a recording knows it. Pitch and roll are in degrees."""

from __future__ import annotations

import numpy as np

from pose_core.markers import tilt_of

Tilt = tuple[float, float]
"""Pitch, by which the camera looks down, and roll, by which its right side is lower than its left."""
LEVEL: Tilt = (0.0, 0.0)
ANEW = (
    "the camera's tilt is stated otherwise than in the bag, so that angles are made anew, of joints; those of a bag of pose "
    "process are of markers, which tell more"
)
SAME_DEG = 0.1
"""By which two tilts may differ that are one, told twice."""
STEADY_DEG = 2.0
"""By which a camera may turn in a recording that has one tilt."""


def stated_tilt(pitch_deg: float | None, roll_deg: float | None) -> Tilt | None:
    """What is stated; an angle that is not is 0 beside one that is. None where neither is."""
    return None if pitch_deg is None and roll_deg is None else (pitch_deg or 0.0, roll_deg or 0.0)


def differs(stated: Tilt | None, recorded: Tilt | None) -> bool:
    """Whether a stated tilt says something else than what was recorded: angles of the recording are then out of date."""
    if stated is None:
        return False
    return recorded is None or any(abs(a - b) > SAME_DEG for a, b in zip(stated, recorded, strict=True))


def recorded_tilt(up: np.ndarray) -> Tilt | None:
    """The one tilt of a recording, from unit vectors (T, 3) that point up in each image, NaN where that is not known.

    None where no image tells, and for a camera that turns.
    """
    known = up[np.isfinite(up).all(1)]
    if not len(known):
        return None
    mean = known.mean(0)
    length = float(np.linalg.norm(mean))
    if not length > 0.0 or (known @ (mean / length)).min() < np.cos(np.radians(STEADY_DEG)):
        return None
    return tilt_of(mean / length)
