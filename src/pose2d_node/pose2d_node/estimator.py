"""An image in, the people in it with their ids out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from pose2d_node.detection import BadImage, Detection, Detector
from pose2d_node.detector import open_detector, software
from pose2d_node.params import Pose2DParams
from pose2d_node.run_token import run_token
from pose2d_node.tracker import Tracker, distinct
from pose_core.people import JointState, People2D, People3D, Person2D, Person3D, ScaleSource
from pose_core.skeleton import MEDIAPIPE33

WORLD_STD = {
    "nose": 0.09,
    "eye": 0.085,
    "ear": 0.08,
    "mouth": 0.08,
    "shoulder": 0.065,
    "elbow": 0.09,
    "wrist": 0.13,
    "pinky": 0.14,
    "index": 0.14,
    "thumb": 0.14,
    "hip": 0.02,
    "knee": 0.065,
    "ankle": 0.08,
    "heel": 0.085,
    "foot": 0.11,
}
"""Standard deviation (m) along one axis of MediaPipe's world landmarks about the middle of the hips, by part
of the body.

Root mean square over 355 images of the 4 views of Demo_SinglePerson (full model, one adult who walks and
kicks) and 3 axes, against the triangulation of the image landmarks of views 1, 3 and 4. Depth is three times
as bad as width and height (0.15 m to 0.05 m), and the errors are systematic: they do not average out over
time. Left out are 29 images of view 2 in which MediaPipe takes the front of the person for the back and swaps
left and right, in the image as in 3D.
"""


def _part(joint: str) -> str:
    return next(word for word in joint.split("_") if word in WORLD_STD)


_STD = np.array([WORLD_STD[_part(joint)] for joint in MEDIAPIPE33.joints])


@dataclass(frozen=True)
class Estimate:
    """Everybody in one image: in pixels, and the detector's own 3D of the same people in the same order."""

    people: People2D
    world: People3D


@dataclass(frozen=True)
class Sight:
    """What the detector saw in one image, and what `track` must know of it later."""

    stamp: int
    width: int
    height: int
    detections: list[Detection]
    inference: tuple[int, int]
    restarts: int
    restart_reason: str


class Pose2DEstimator:
    """Detects people, drops second detections of the same person and gives ids."""

    def __init__(
        self, detector: Detector, tracker: Tracker, software: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        """`software`: what tells versions of what it runs on, by name."""
        self.detector, self.tracker = detector, tracker
        self.software = software
        self._stamp: int | None = None
        self._restarts = 0

    @classmethod
    def from_params(cls, params: Pose2DParams) -> Pose2DEstimator:
        """Raises ValueError where the detector, its model or the GPU cannot be used, or the token in no id."""
        if params.num_poses > 1:
            import scipy.optimize  # noqa: F401  (the tracker does, when the second person comes, and must not make anybody wait then)
        tracker = Tracker(params.max_track_gap, params.min_track_similarity, run_token(params))
        return cls(open_detector(params), tracker, partial(software, params))

    def process(self, stamp: int, bgr: np.ndarray, frame_id: str) -> Estimate:
        """The people of an image (H, W, 3) of time `stamp` (ns) in the optical frame `frame_id`.

        Raises BadImage for an image that cannot be used and for one with the stamp of the image before.
        """
        return self.track(self.see(stamp, bgr), frame_id)

    def see(self, stamp: int, bgr: np.ndarray) -> Sight:
        """The first half of `process`, which takes the time. One thread may see the next image while another tracks."""
        if stamp == self._stamp:
            raise BadImage(f"two images have the stamp {stamp} ns; each image needs its own capture time")
        detections = self.detector.detect(stamp, bgr)
        self._stamp = stamp
        height, width = bgr.shape[:2]
        detector = self.detector
        return Sight(
            stamp, width, height, detections, detector.inference, detector.restarts, detector.restart_reason
        )

    def track(self, sight: Sight, frame_id: str) -> Estimate:
        """The second half of `process`; images must come in the order in which they were seen."""
        detections = distinct(sight.detections)
        if sight.restarts != self._restarts:  # also where an image failed after time had gone back
            self._restarts = sight.restarts
            self.tracker.reset()
        ids = self.tracker.update(sight.stamp, detections)
        found = list(zip(ids, detections, strict=True))
        people, world = tuple(_person2d(*one) for one in found), tuple(_person3d(*one) for one in found)
        name = MEDIAPIPE33.name
        return Estimate(
            People2D(sight.stamp, frame_id, name, sight.width, sight.height, people),
            People3D(sight.stamp, frame_id, name, world),
        )

    def close(self) -> None:
        """Free the detector."""
        self.detector.close()


def _person2d(name: str, seen: Detection) -> Person2D:
    return Person2D(name, seen.score, seen.box_px, seen.xy_px, seen.confidence)


def _person3d(name: str, seen: Detection) -> Person3D:
    """The detector's metres as they are, about the middle of the hips.

    That root is not placed in the camera's frame, so `root_std` is unknown (NaN).
    """
    missing = np.isnan(seen.world).any(1)
    return Person3D(
        id=name,
        confidence=seen.score,
        xyz=seen.world,
        std=np.where(missing, np.nan, _STD),
        root_std=np.full(3, np.nan),
        joint_confidence=np.where(missing, 0.0, seen.confidence),
        state=np.where(missing, JointState.MISSING, JointState.LIFTED).astype(np.uint8),
        scale_source=ScaleSource.MODEL,
    )
