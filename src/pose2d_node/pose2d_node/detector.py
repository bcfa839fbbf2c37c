"""The table of all detectors.

`mediapipe` is ours; installed packages may bring others (`pose_core.doors`), which are imported when they are asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pose2d_node.detection import Detection, Detector
from pose2d_node.params import Pose2DParams
from pose_core import doors
from pose_core.registry import Registry
from pose_core.skeleton import MEDIAPIPE33
from pose_core.statements.software import model, versions

OpenDetector = Callable[[Pose2DParams], Detector]
"""Makes a detector as the parameters ask for, or raises ValueError, saying what to change. It must be found by its name in any
process: `pose process` makes a detector for each segment of a video, several at the same time."""

DETECTORS: Registry[OpenDetector] = Registry(
    "detector", doors.DETECTORS, callable, "something to call with Pose2DParams that gives a detector"
)
"""What opens a detector, by name."""


@DETECTORS.register(Pose2DParams.detector)
def _mediapipe(params: Pose2DParams) -> Detector:
    from pose2d_node.mediapipe_detector import open_mediapipe

    return open_mediapipe(params)


def open_detector(params: Pose2DParams) -> Detector:
    """The detector that `params` describe. Raises ValueError."""
    detector = DETECTORS.get(params.detector)(params)
    return detector if params.detector in DETECTORS.own() else _Checked(detector, params.detector)


def identity(params: Pose2DParams) -> dict[str, str]:
    """What the detections of an image depend on besides it and `params`: model and versions, as JSON can say it.

    Raises ValueError for a detector or a model that is not there.
    """
    if params.detector in DETECTORS.own():
        from pose2d_node.mediapipe_detector import identity_of_mediapipe

        return identity_of_mediapipe(params)
    DETECTORS.get(params.detector)
    origin = doors.origin(doors.DETECTORS, params.detector)
    return {"package": str(origin), "place": origin.place}


def software(params: Pose2DParams) -> dict[str, str]:
    """Versions by name of what finds people: packages, and the model by its content. Raises as `identity`."""
    if params.detector in DETECTORS.own():
        from pose2d_node.mediapipe_detector import model_path

        return versions("mediapipe", "numpy") | model(model_path(params.model))
    return versions("numpy") | {
        f"detector {params.detector}": doors.origin(doors.DETECTORS, params.detector).package
    }


class _Checked:
    """A detector of another package: what it finds is what it should be."""

    SHAPES = {"xy_px": (len(MEDIAPIPE33), 2), "confidence": (len(MEDIAPIPE33),)} | {
        "world": (len(MEDIAPIPE33), 3),
        "box_px": (4,),
    }

    def __init__(self, detector: Detector, name: str) -> None:
        """Raises ValueError for what is no detector."""
        self._package = doors.origin(doors.DETECTORS, name).package
        self._name, self._detector = name, detector
        missing = [
            part
            for part in ("detect", "close", "device", "restarts", "restart_reason", "inference")
            if not hasattr(detector, part)
        ]
        if missing:
            raise ValueError(
                f"detector '{name}' of package {self._package} lacks {', '.join(missing)}, which "
                "pose2d_node.detection.Detector asks for; mend or uninstall that package"
            )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)

    def detect(self, stamp: int, bgr: np.ndarray) -> list[Detection]:
        """As `Detector.detect`; also raises ValueError for detections of other shapes, and joints half missing."""
        found = self._detector.detect(stamp, bgr)
        for one in found:
            for name, shape in self.SHAPES.items():
                got = np.shape(getattr(one, name))
                if got != shape:
                    self._refuse(f"{name} must have shape {shape}, got {got}")
            known = np.isfinite(one.xy_px).all(1)
            if not (known == (one.confidence > 0.0)).all():
                self._refuse("a joint must have a place and a confidence above 0, or NaN and confidence 0")
        return found

    def close(self) -> None:
        self._detector.close()

    def _refuse(self, why: str) -> None:
        raise ValueError(f"detector '{self._name}' of package {self._package}: {why}; ask its authors")
