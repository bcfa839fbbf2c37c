"""MediaPipe's pose landmarker as it is used here: one image in, the people in it out.

MediaPipe (Tasks, PoseLandmarker, VIDEO mode) follows people from image to image, so it wants increasing
times. With one person to look for it also smooths the landmarks over time (about 7 ms of delay and a third
of the jitter at 60 images per second); with more it does not, and gives the same result as image by image
wherever it searches anew. Tasks has no option for either.

MediaPipe is imported when the first detector is opened, which whoever only follows, lifts or replays people does not wait for.
Of its own imports two thirds of the time are for drawing and for sound, which wait until somebody uses them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from pose2d_node.detection import BadImage, Detection, check_image
from pose2d_node.params import Pose2DParams
from pose_core import assets
from pose_core.files import sha256
from pose_core.skeleton import MEDIAPIPE33
from pose_core.system.imports import imported_later
from pose_core.units import NS_PER_S

MODELS = ("lite", "full", "heavy")
SUFFIX = ".task"

UNUSED = ("matplotlib", "matplotlib.pyplot", "sounddevice")
"""What MediaPipe imports for parts of it that are not used here."""

MS = 1_000_000
"""Nanoseconds in the unit of MediaPipe's times."""


class Landmarker(Protocol):
    """The part of MediaPipe's PoseLandmarker that is used."""

    def detect_for_video(self, image: Any, timestamp_ms: int, /) -> Any: ...

    def close(self) -> None: ...


class PoseDetector:
    """Finds people in images of increasing time.

    Where time goes back, or on by more than `max_frame_gap` seconds, MediaPipe starts anew: `restarts`
    counts it and `restart_reason` says why, after the `detect` in which it happened. `inference`: when
    MediaPipe itself last worked, ns of the system clock. `device`: cpu or gpu. Times less than a
    millisecond apart are told apart all the same.
    """

    def __init__(
        self,
        model: Path,
        *,
        num_poses: int = 1,
        min_detection_confidence: float = 0.5,
        min_presence_confidence: float = 0.5,
        min_tracking_confidence: float = 0.5,
        delegate: str = "cpu",
        max_frame_gap: float = 2.0,
        create: Callable[[Any], Landmarker] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`create` makes a landmarker of MediaPipe's options; by default MediaPipe does.

        Raises ValueError, saying what to change, where the model or the GPU cannot be used.
        """
        self._options = {
            "num_poses": num_poses,
            "min_pose_detection_confidence": min_detection_confidence,
            "min_pose_presence_confidence": min_presence_confidence,
            "min_tracking_confidence": min_tracking_confidence,
        }
        self._model, self._create, self._clock = model, create, clock
        self._max_frame_gap = round(max_frame_gap * NS_PER_S)
        self.device = "cpu" if delegate == "cpu" else "gpu"
        self.restarts, self.restart_reason = 0, ""
        self.inference = (0, 0)
        self._landmarker = self._first_landmarker(delegate)
        self._stamp: int | None = None

    def detect(self, stamp: int, bgr: np.ndarray) -> list[Detection]:
        """The people in an image (H, W, 3) uint8 of time `stamp` (ns). Raises BadImage."""
        self.restart_reason = ""
        import mediapipe

        check_image(bgr)
        time_ms = self._advance(stamp)
        image = mediapipe.Image(mediapipe.ImageFormat.SRGB, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
        start = self._clock()
        try:
            result = self._landmarker.detect_for_video(image, time_ms)
        except RuntimeError as error:
            self._restart(f"MediaPipe failed: {_reason(error)}")
            raise BadImage(f"MediaPipe cannot use the image of {stamp} ns: {_reason(error)}") from error
        self.inference = (start, self._clock())
        height, width = bgr.shape[:2]
        pairs = zip(result.pose_landmarks, result.pose_world_landmarks, strict=True)
        people = [_detection(landmarks, world, width, height) for landmarks, world in pairs]
        return [person for person in people if person is not None]

    def close(self) -> None:
        """Free MediaPipe. No image can be looked at afterwards."""
        self._discard()

    def _advance(self, stamp: int) -> int:
        """MediaPipe's time of an image: milliseconds since it started, strictly increasing."""
        if self._stamp is not None:
            step = stamp - self._stamp
            if step < 0:
                self._restart(f"time went back by {-step / NS_PER_S:.3f} s")
            elif step > self._max_frame_gap:
                self._restart(f"no image for {step / NS_PER_S:.3f} s")
        if self._stamp is None:
            self._origin, self._time_ms = stamp, -1
        self._stamp = stamp
        self._time_ms = max((stamp - self._origin) // MS, self._time_ms + 1)
        return self._time_ms

    def _restart(self, reason: str) -> None:
        self._discard()
        self._landmarker = self._new_landmarker()
        self._stamp = None
        self.restarts += 1
        self.restart_reason = reason

    def _discard(self) -> None:
        with contextlib.suppress(RuntimeError):  # one that failed on an image repeats that error here
            self._landmarker.close()

    def _first_landmarker(self, delegate: str) -> Landmarker:
        try:
            return self._new_landmarker()
        except (RuntimeError, OSError, ValueError) as error:
            if self.device == "gpu":
                if delegate == "auto":
                    self.device = "cpu"
                    return self._first_landmarker("cpu")
                raise ValueError(
                    f"delegate is 'gpu', but MediaPipe cannot use a GPU here ({_reason(error)}); "
                    "set it to cpu or auto"
                ) from error
            raise ValueError(
                f"MediaPipe cannot use {self._model}: {_reason(error)}; fetch or choose another"
            ) from error

    def _new_landmarker(self) -> Landmarker:
        tasks = mediapipe_tasks()
        BaseOptions, vision = tasks.BaseOptions, tasks.vision
        create = vision.PoseLandmarker.create_from_options if self._create is None else self._create
        processor = BaseOptions.Delegate.GPU if self.device == "gpu" else BaseOptions.Delegate.CPU
        base = BaseOptions(model_asset_path=str(self._model), delegate=processor)
        return create(
            vision.PoseLandmarkerOptions(
                base_options=base, running_mode=vision.RunningMode.VIDEO, **self._options
            )
        )


def mediapipe_tasks() -> Any:
    """MediaPipe's module `tasks.python`, imported without what is not used here."""
    with imported_later(*UNUSED):
        from mediapipe.tasks import python
    return python


def model_path(model: str) -> Path:
    """The file of a model by its name (in the cache) or by the path of a .task file. Raises ValueError."""
    if model in MODELS:
        try:
            return assets.verify_once(f"pose_landmarker_{model}{SUFFIX}")
        except assets.MissingAsset as error:
            raise ValueError(str(error)) from error
    path = Path(model).expanduser()
    if path.suffix != SUFFIX:
        raise ValueError(
            f"model must be one of {', '.join(MODELS)} or the path of a {SUFFIX} file, got '{model}'"
        )
    if not path.is_file():
        raise ValueError(f"there is no model file {path}; check the path (relative to {Path.cwd()})")
    return path


def open_mediapipe(params: Pose2DParams) -> PoseDetector:
    """The landmarker that `params` describe. Raises ValueError."""
    return PoseDetector(
        model_path(params.model),
        num_poses=params.num_poses,
        min_detection_confidence=params.min_detection_confidence,
        min_presence_confidence=params.min_presence_confidence,
        min_tracking_confidence=params.min_tracking_confidence,
        delegate=params.delegate,
        max_frame_gap=params.max_frame_gap,
    )


def identity_of_mediapipe(params: Pose2DParams) -> dict[str, str]:
    """What the landmarks of an image depend on besides it and `params`. Raises ValueError for a model that is not there."""
    return {"model": sha256(model_path(params.model)), "mediapipe": version("mediapipe")}


def _detection(landmarks: list[Any], world: list[Any], width: int, height: int) -> Detection | None:
    """A detection of MediaPipe's two lists of 33 landmarks, None where not one is finite.

    Normalised coordinates times the image's size are pixels with whole numbers at pixel centres, so no half
    pixel is taken off: on mirrored images x + mirrored x was width - 0.91 +- 0.05 px (50 images of 67 to
    536 px width), where it would be width for coordinates that count from the image's edge and width - 1
    for ones that count from the first centre.
    """
    image = np.array([(p.x, p.y, p.visibility, p.presence) for p in landmarks])
    metres = np.array([(p.x, p.y, p.z) for p in world])
    if image.shape != (len(MEDIAPIPE33), 4) or metres.shape != (len(MEDIAPIPE33), 3):
        raise BadImage(
            f"the model gives {len(image)} landmarks, not the {len(MEDIAPIPE33)} of {MEDIAPIPE33.name}"
        )
    xy_px = image[:, :2] * (width, height)
    confidence = np.clip(image[:, 2] * image[:, 3], 0.0, 1.0)
    good = np.isfinite(xy_px).all(1) & np.isfinite(metres).all(1) & np.isfinite(confidence)
    if not good.any():
        return None
    xy_px[~good], metres[~good], confidence[~good] = np.nan, np.nan, 0.0
    box_px = np.concatenate([xy_px[good].min(0), xy_px[good].max(0)])
    return Detection(xy_px, confidence, metres, box_px, float(confidence.mean()))


def _reason(error: Exception) -> str:
    """The end of the first line, which is where MediaPipe says what is wrong."""
    return str(error).strip().split("\n", 1)[0].rsplit(": ", 1)[-1] or type(error).__name__
