"""The human pose pipeline from Python: `process`, `lift`, `refine`, `angles`, `read`, `compare`. No ROS and no torch is needed.

Arrays are NumPy's; missing is NaN. Lengths are in metres, angles in radians, times in nanoseconds, joints in 3D in the optical
frame of the camera (x right, y down, z forward), markers in the frame of files (X where the camera looks, Y up, Z right).
Whatever cannot work raises ValueError or OSError (FileNotFoundError) with a sentence that says what to change.

A name is imported when it is first used, so that importing this package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pose_core.angles import AngleSequence
    from pose_core.geometry.camera import Camera
    from pose_core.markers import MarkerSequence
    from pose_core.measures.comparison import Comparison, compare
    from pose_core.sequence import PoseSequence
    from pose_pipeline.recordings import Recording, Result, process, read
    from pose_pipeline.steps import angles, lift, refine

__all__ = [
    "AngleSequence",
    "Camera",
    "Comparison",
    "MarkerSequence",
    "PoseSequence",
    "Recording",
    "Result",
    "__version__",
    "angles",
    "compare",
    "lift",
    "process",
    "read",
    "refine",
]

_HOMES = {
    "AngleSequence": "pose_core.angles",
    "Camera": "pose_core.geometry.camera",
    "Comparison": "pose_core.measures.comparison",
    "MarkerSequence": "pose_core.markers",
    "PoseSequence": "pose_core.sequence",
    "Recording": "pose_pipeline.recordings",
    "Result": "pose_pipeline.recordings",
    "angles": "pose_pipeline.steps",
    "compare": "pose_core.measures.comparison",
    "lift": "pose_pipeline.steps",
    "process": "pose_pipeline.recordings",
    "read": "pose_pipeline.recordings",
    "refine": "pose_pipeline.steps",
}
"""Module of each name."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pose_pipeline")
    if name not in _HOMES:
        raise AttributeError(f"module 'pose_pipeline' has no attribute '{name}'")
    found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
