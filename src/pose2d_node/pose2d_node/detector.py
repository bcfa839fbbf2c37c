"""What a detector is, and the table of all of them: one image in, the people in it out.

`mediapipe` is ours; installed packages may bring others (`pose_core.doors`), which are imported when they are asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pose2d_node.params import Pose2DParams
from pose_core import doors
from pose_core.registry import Registry
from pose_core.skeleton import MEDIAPIPE33


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


def check_image(bgr: np.ndarray) -> None:
    """Raise BadImage unless `bgr` is (H, W, 3) uint8 with at least one pixel."""
    if bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3:
        raise BadImage(f"an image must be (height, width, 3) of uint8, got {bgr.shape} of {bgr.dtype}")
    if bgr.size == 0:
        raise BadImage(f"an image must have pixels, got {bgr.shape[1]} x {bgr.shape[0]}")


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
                "pose2d_node.detector.Detector asks for; mend or uninstall that package"
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
