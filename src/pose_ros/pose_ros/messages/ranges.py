"""Which values of a message mean something: one table for all conversions, and for docs/topics.md, which a test holds equal.

What lies outside breaks the contract and is refused (MalformedMessage); whatever lies inside, every stage must bear. Bounds are
wide: they keep out what is no measurement (denormals, 1e38, units gone astray), and leave it to stages whom they believe.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pose_core.angles import LEAST_STD
from pose_core.people import FARTHEST, LONGEST_DELAY
from pose_core.statements import MAX_HEIGHT, MAX_MASS, MIN_HEIGHT, MIN_MASS

MOST_STAGES = 64
"""Entries of StageTimes."""
LONGEST_NAME = 256
"""Characters of a frame, of a stage and of an angle."""
LARGEST_FACTOR = 10.0
"""Image sizes by which the principal point may lie outside the image (a crop)."""


@dataclass(frozen=True)
class Range:
    """Valid values of one field, `low` to `high`, both included. Raises nothing."""

    low: float
    high: float
    unit: str
    reason: str
    zero: bool = False
    """Whether 0 is valid too, although it is less than `low`."""
    missing: bool = False
    """Whether NaN is valid, for what is not known."""

    @cached_property
    def _bounds(self) -> tuple[float, float]:
        """`low` and `high`, rounded as messages round values: to float32."""
        return float(np.float32(self.low)), float(np.float32(self.high))

    def refuses(self, values: np.ndarray) -> bool:
        """Whether some value of an array of any shape is not valid."""
        if not values.size:
            return False
        low, high = self._bounds
        # One look at the ends of the array answers for nearly all messages.
        if np.fmin.reduce(values, None) >= low and np.fmax.reduce(values, None) <= high:
            return not self.missing and bool(np.isnan(values).any())
        valid = (values >= low) & (values <= high)
        if self.zero:
            valid |= values == 0.0
        if self.missing:
            valid |= np.isnan(values)
        return not bool(valid.all())

    def refuses_one(self, value: float) -> bool:
        """The same of one number."""
        if math.isnan(value):
            return not self.missing
        if value == 0.0 and self.zero:
            return False
        low, high = self._bounds
        return not low <= value <= high

    def __str__(self) -> str:
        words = f"from {self.low:g} to {self.high:g}" + f" {self.unit}" * bool(self.unit)
        return words + ", or 0" * self.zero + ", or NaN" * self.missing


_LEAST_STD = 1e-6

RANGES: dict[str, Range] = {
    "People2D.width": Range(1, 65535, "px", "what a JPEG can state"),
    "People2D.height": Range(1, 65535, "px", "what a JPEG can state"),
    "Person2D.confidence": Range(0.0, 1.0, "", "a share"),
    "Person2D.box_px": Range(-1e6, 1e6, "px", "a box may reach beyond the image"),
    "Person2D.xy_px": Range(-1e6, 1e6, "px", "a keypoint may lie beyond the image", missing=True),
    "Person2D.joint_confidence": Range(0.0, 1.0, "", "a share"),
    "People3D.delay": Range(0.0, LONGEST_DELAY, "s", "more than lies between any two stamps"),
    "Person3D.confidence": Range(0.0, 1.0, "", "a share"),
    "Person3D.xyz": Range(-FARTHEST, FARTHEST, "m", "no camera sees people farther off", missing=True),
    "Person3D.std": Range(_LEAST_STD, FARTHEST, "m", "0 is exact; between is no measurement", True, True),
    "Person3D.covariance": Range(
        -3.0 * FARTHEST**2,
        3.0 * FARTHEST**2,
        "m2",
        "what std allows; a third of its trace is std squared",
        missing=True,
    ),
    "Person3D.root_std": Range(_LEAST_STD, FARTHEST, "m", "as std", True, True),
    "Person3D.root_velocity": Range(-FARTHEST, FARTHEST, "m/s", "no one is faster", missing=True),
    "Person3D.root_velocity_std": Range(_LEAST_STD, FARTHEST, "m/s", "as std", True, True),
    "Person3D.joint_confidence": Range(0.0, 1.0, "", "a share"),
    "Person3D.height": Range(
        0.01, FARTHEST, "m", "0 and NaN: not known; stages scale by it", zero=True, missing=True
    ),
    "Person3D.height_std": Range(_LEAST_STD, FARTHEST, "m", "as std", True, True),
    "Person3D.foot_contact": Range(0.0, 1.0, "", "a probability", missing=True),
    "Person3D.posture_confidence": Range(0.0, 1.0, "", "a share"),
    "IdentityChange.confidence": Range(0.0, 1.0, "", "a share"),
    "Subject.height": Range(MIN_HEIGHT, MAX_HEIGHT, "m", "0: not stated", zero=True),
    "Subject.mass": Range(MIN_MASS, MAX_MASS, "kg", "0: not stated", zero=True),
    "Body.height": Range(0.01, FARTHEST, "m", "as of Person3D", zero=True, missing=True),
    "Body.length": Range(1e-3, FARTHEST, "m", "NaN: not known yet", missing=True),
    "PersonAngles.angle": Range(-1e6, 1e6, "rad", "the pelvis turns without end", missing=True),
    "PersonAngles.std": Range(LEAST_STD, 1e6, "rad", "0 is exact; between is no measurement", True, True),
    "CameraInfo.width": Range(1, 65535, "px", "of the image, after binning and region of interest"),
    "CameraInfo.height": Range(1, 65535, "px", "of the image, after binning and region of interest"),
    "CameraInfo.focal length": Range(0.01, 100.0, "longer image sides", "a view of 178.9 to 0.57 degrees"),
    "CameraInfo.principal point": Range(
        -LARGEST_FACTOR, LARGEST_FACTOR, "longer image sides", "a crop may leave it outside"
    ),
    "CameraInfo.skew": Range(-1.0, 1.0, "focal lengths", "rows and columns at 45 degrees"),
    "CameraInfo.d": Range(-1e4, 1e4, "", "lenses that are calibrated stay below some hundred"),
}
"""By message and field."""
