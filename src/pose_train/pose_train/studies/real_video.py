"""How lifters do on real video: Pose2Sim's Demo_SinglePerson, one person seen by four calibrated cameras.

The reference is the triangulation of MediaPipe's keypoints in all views, so it has what four views agree on of MediaPipe's idea
of a joint. Three things must be mended first. Where left and right are swapped in a view (camera 2, on which the person's front
is taken for the back at times), they are swapped back. The cameras look elsewhere than their calibration says: seven marks on the
floor, clicked by hand in the images, miss their triangulation by 9.2 pixels in the mean. Turning each camera about its x and y
axes (by 0.6 to 1.2 degrees) so that the person's keypoints agree, without using those marks, takes them to 3.0 pixels. And the
images of camera 3 may be late: see `LAGS`. Nothing is ever trained on these videos.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import io
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.signal import butter, sosfiltfilt
from scipy.spatial.transform import Rotation

from lift3d_node import models
from lift3d_node.correspondence import Correspondence
from lift3d_node.geometry import view_rotation
from lift3d_node.lifter import Lifter
from lift3d_node.params import Lift3DParams
from lift3d_node.stature import Stature
from pose2d_node import detector, estimator, params, tracker
from pose2d_node.estimator import Pose2DEstimator
from pose2d_node.params import Pose2DParams
from pose2d_node.sources import open_source
from pose_core import assets
from pose_core.conversion import conversion
from pose_core.files import write_whole
from pose_core.filtering.swaps import SwapRepair, exchanged
from pose_core.geometry.calibration import CalibratedCamera, read_qualisys, triangulate
from pose_core.people import JointState, People2D, People3D, Person2D, Person3D
from pose_core.reading.arrays import open_npz
from pose_core.reading.damage import damage_told
from pose_core.skeleton import MEDIAPIPE33, SKELETONS
from pose_train.lifter.tracks import Track
from pose_train.studies.scores import Scores, score

CLIP = "Demo_SinglePerson"
CAMERAS = (1, 2, 3, 4)
EASY = (1, 3, 4)
"""Cameras in which MediaPipe keeps left and right apart."""
HARD = (2,)
CALIBRATION = f"{CLIP}/calibration/Calib.qca.txt"
VIDEOS = tuple(f"{CLIP}/videos/cam{number:02d}.mp4" for number in CAMERAS)
MODEL = "pose_landmarker_full.task"
RATE_HZ = 60

LAGS = (0, 0, 1, 0)
"""Frames by which the cameras are late: frame t + lag of a camera shows what frame t of camera 1 shows.

`find_lag` finds that of camera 3: errors for lags of 0, 1, 2, 3 and 4 are 14.7, 14.6, 14.9, 15.6 and 16.4 pixels. With the
calibration taken at its word they are 19.1, 18.4, 17.9, 17.9 and 18.2: for somebody who walks at a constant speed, a camera that
is late and one that is turned look alike, until arms and legs swing. Swing alone (speeds of keypoints about the middle of the
torso, correlated between two views) says 1 too."""

CUTOFF_HZ = 8.0
"""Of the reference's low-pass filter (Butterworth, second order, forwards and backwards: gait laboratories take 6 Hz).

Accelerations of the joints about the pelvis are 63 m/s^2 in the mean without it, nearly all of it noise, and 10 with it;
positions move by 6 mm."""

LIMIT_PX = 20.0
"""A view that misses a triangulated joint by more takes no part in it."""
LEAST_VIEWS = 3
"""Two views nearly always agree with some point in space, right or wrong."""
SWAP_PX = 60.0
"""Larger misses count as this when sides are compared: how wrong a wrong view is, does not matter."""
SWAP_GAIN = 0.8
"""Sides are swapped where that takes the error below this share."""
TIE_PX = 1e-3
"""Of sets of views that are alike up to this, the largest counts."""

_HEAD = ("nose", "eye", "ear", "mouth")
_LEGS = ("hip", "knee", "ankle", "heel", "foot")


def _part(joint: str) -> int:
    words = joint.split("_")
    return 0 if any(word in _HEAD for word in words) else 2 if any(word in _LEGS for word in words) else 1


PARTS = ("head", "arms", "legs")
"""What changes sides together."""
PART_OF = np.array([_part(joint) for joint in MEDIAPIPE33.joints])

ALIGNMENT = MEDIAPIPE33.indices(
    "nose",
    *(
        f"{side}_{part}"
        for side in ("left", "right")
        for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    ),
)
"""Joints that tell where cameras look."""
ALIGNMENT_PX = 10.0
"""Beyond this an error counts by its size, not its square (Huber)."""


@dataclass(frozen=True)
class Sightings:
    """What the detector saw in each of T images of one camera. Nobody: NaN, confidence 0, id ""."""

    width: int
    height: int
    stamp: np.ndarray  # (T,) ns
    id: np.ndarray  # (T,) str
    score: np.ndarray  # (T,)
    box_px: np.ndarray  # (T, 4)
    xy_px: np.ndarray  # (T, 33, 2)
    confidence: np.ndarray  # (T, 33)
    world: np.ndarray  # (T, 33, 3) MediaPipe's own 3D, metres

    def __len__(self) -> int:
        return len(self.stamp)

    def repaired(self) -> Sightings:
        """The same with left and right put right, image by image, as `lift3d` does it."""
        repair, person = SwapRepair(MEDIAPIPE33), ""
        arrays = {name: getattr(self, name).copy() for name in ("xy_px", "confidence", "world")}
        for t in range(len(self)):
            if self.id[t] != person:
                repair.reset()
                person = self.id[t]
            _, swapped = repair.repair(int(self.stamp[t]), self.xy_px[t], self.confidence[t])
            for array in arrays.values():
                array[t] = exchanged(array[t], MEDIAPIPE33, swapped)
        return replace(self, **arrays)

    def people(self, t: int, match: Correspondence) -> People2D:
        """Everybody in image `t`, in the skeleton that `match` leads to."""
        keypoints = match.keypoints(self.xy_px[t], self.confidence[t])
        person = Person2D(str(self.id[t]), float(self.score[t]), self.box_px[t], *keypoints)
        return People2D(
            int(self.stamp[t]),
            "camera",
            match.target,
            self.width,
            self.height,
            (person,) if person.id else (),
        )

    def people_world(self, t: int) -> People3D:
        """MediaPipe's own 3D of the same people."""
        missing = np.isnan(self.world[t]).any(1)
        person = Person3D(
            id=str(self.id[t]),
            confidence=float(self.score[t]),
            xyz=self.world[t],
            std=np.full(len(MEDIAPIPE33), np.nan),
            root_std=np.full(3, np.nan),
            joint_confidence=self.confidence[t],
            state=np.where(missing, JointState.MISSING, JointState.LIFTED).astype(np.uint8),
        )
        return People3D(int(self.stamp[t]), "camera", MEDIAPIPE33.name, (person,) if person.id else ())


@dataclass(frozen=True)
class Reference:
    """The person in space, T frames of camera 1's time, and how the views agree with it."""

    cameras: tuple[CalibratedCamera, ...]
    """With orientations as aligned."""
    lags: tuple[int, ...]
    xyz: np.ndarray  # (T, 33, 3) metres in the calibration's world, smoothed; NaN where too few views agree
    xy_px: np.ndarray  # (4, T, 33, 2) keypoints in camera 1's time, sides put right; NaN where there are none
    used: np.ndarray  # (4, T, 33) bool, which views a joint comes from
    swapped: np.ndarray  # (4, T, 3) bool, views and `PARTS` whose sides were changed

    @property
    def height(self) -> float:
        """Standing height of the person in metres, by the proportions of its chain: median over frames."""
        stature = Stature(MEDIAPIPE33)
        return float(np.nanmedian([stature.of(xyz) for xyz in self.xyz]))

    def error_px(self) -> np.ndarray:
        """Distances (4, T, 33) of keypoints from their triangulated joints; NaN where either is missing."""
        return np.linalg.norm(self.xy_px - _projected(self.cameras, self.xyz), axis=-1)

    def in_view(self, camera: int) -> np.ndarray:
        """The person (T, 33, 3) as a `Shape` of `camera` (1 to 4) should give it: metres about the root, z along its ray."""
        xyz = self.cameras[camera - 1].to_camera(self.xyz)
        root = MEDIAPIPE33.root_of(xyz)
        R_cam_view = view_rotation(root / np.linalg.norm(root, axis=-1, keepdims=True))
        return np.matmul(xyz - root[:, None], R_cam_view)


@dataclass(frozen=True)
class RealVideo:
    """Reference, and the detector's view of it at 60 and at 30 images per second."""

    reference: Reference
    sightings: dict[int, tuple[Sightings, ...]]
    """By step: 1 is every image, 2 every second; one for each camera."""


def load(step: int = 1) -> RealVideo:
    """Reference and sightings of every `step`th image; made once (a quarter of a minute a step), then from the cache.

    Raises `pose_core.assets.MissingAsset` where the videos were not fetched.
    """
    every = _sightings(1)
    sightings = {1: every}
    if step != 1:
        sightings[step] = _sightings(step)
    return RealVideo(_reference(every), sightings)


def cached_file(step: int) -> Path:
    """Where sightings of every `step`th image are kept: named by all that they depend on."""
    code = [inspect.getsource(one).encode() for one in (Sightings, see)]
    code += [Path(str(module.__file__)).read_bytes() for module in (detector, estimator, params, tracker)]
    key = {
        "code": [hashlib.sha256(one).hexdigest() for one in code],
        "assets": [assets.find(name).sha256 for name in (*VIDEOS, MODEL)],
        "mediapipe": importlib.metadata.version("mediapipe"),
        "step": step,
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return assets.cache_dir() / f"real_video-{digest[:16]}.npz"


def see(video: Path, step: int = 1) -> Sightings:
    """What the detector of `pose2d`, with its default parameters, sees in every `step`th image of a video."""
    settings = Pose2DParams(source=str(video))
    eyes = Pose2DEstimator.from_params(settings)
    rows = []
    joints = len(MEDIAPIPE33)
    nobody = (
        "",
        np.nan,
        np.full(4, np.nan),
        np.full((joints, 2), np.nan),
        np.zeros(joints),
        np.full((joints, 3), np.nan),
    )
    try:
        for number, frame in enumerate(open_source(settings)):
            if number % step:
                continue
            estimate = eyes.process(frame.stamp, frame.bgr, "camera")
            height, width = frame.bgr.shape[:2]
            row = nobody
            if estimate.people.people:
                person, world = estimate.people.people[0], estimate.world.people[0]
                row = (
                    person.id,
                    person.confidence,
                    person.box_px,
                    person.xy_px,
                    person.joint_confidence,
                    world.xyz,
                )
            rows.append((frame.stamp, *row))
    finally:
        eyes.close()
    if not rows:
        raise ValueError(f"{video} has no image; fetch it again with `pose fetch demo`")
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Sightings(width, height, *columns)


def calibrated(sizes: Sequence[tuple[int, int]]) -> tuple[CalibratedCamera, ...]:
    """The four cameras as calibrated, for images of these (width, height).

    Sensors have 1088 x 1920 pixels; two of the videos were shrunk to 1080 x 1920 with black bars above and below.
    """
    cameras = read_qualisys(assets.path(CALIBRATION))
    return tuple(
        replace(one, camera=one.camera.letterboxed(*size)) for one, size in zip(cameras, sizes, strict=True)
    )


def reconstruct(
    cameras: Sequence[CalibratedCamera],
    xy_px: np.ndarray,
    lags: Sequence[int] = LAGS,
    align: bool = True,
) -> Reference:
    """The person in space from keypoints `xy_px` (C, T, 33, 2) of C cameras, each in its own time.

    `align` turns the cameras until they agree; without it they are taken as they are.
    """
    xy_px = in_common_time(xy_px, lags)
    if align:
        # Twice: sides are told apart well only by cameras that look where they should.
        for _ in range(2):
            mended, _ = unswapped(cameras, xy_px)
            cameras = aligned(cameras, mended)
    mended, swapped = unswapped(cameras, xy_px)
    xyz, used = robust_points(cameras, mended, LIMIT_PX)
    return Reference(tuple(cameras), tuple(lags), smoothed(xyz, RATE_HZ), mended, used, swapped)


def in_common_time(xy_px: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Keypoints (C, T, ...) of cameras that are `lags` frames late, in the time of one that is not; NaN beyond the ends."""
    frames = np.arange(xy_px.shape[1])
    out = np.full_like(xy_px, np.nan)
    for camera, lag in enumerate(lags):
        there = (frames + lag >= 0) & (frames + lag < len(frames))
        out[camera, there] = xy_px[camera, frames[there] + lag]
    return out


def robust_points(
    cameras: Sequence[CalibratedCamera], xy_px: np.ndarray, limit_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points (..., 3) of keypoints (C, ..., 2), from those views that agree; and which those were, (C, ...) bool.

    Of all sets of at least `LEAST_VIEWS` views the one with the least sum of squared reprojection errors over all views, each
    counted up to `limit_px`: MSAC (Torr & Zisserman 2000, "MLESAC") without the chance. NaN where one of its views misses by
    more.
    """
    points, used, _ = _robust(cameras, xy_px, limit_px)
    return points, used


def unswapped(cameras: Sequence[CalibratedCamera], xy_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (C, T, 33, 2) with the sides put right, and where they were not: (C, T, 3) bool by `PARTS`.

    At most a minority of views is taken to be wrong at a time, else everybody could be.
    """
    count, frames = xy_px.shape[:2]
    flipped = xy_px[:, :, MEDIAPIPE33.flip]
    choices = [
        np.array([i in wrong for i in range(count)])
        for size in range((count - 1) // 2 + 1)
        for wrong in itertools.combinations(range(count), size)
    ]
    costs = np.empty((len(choices), frames, len(PARTS)))
    for row, wrong in enumerate(choices):
        _, _, cost = _robust(cameras, np.where(wrong[:, None, None, None], flipped, xy_px), SWAP_PX)
        for part in range(len(PARTS)):
            costs[row, :, part] = cost[:, PART_OF == part].mean(-1)
    best = np.where(costs.min(0) < SWAP_GAIN**2 * costs[0], costs.argmin(0), 0)
    swapped = np.array(choices)[best].transpose(2, 0, 1)
    return np.where(swapped[..., PART_OF][..., None], flipped, xy_px), swapped


def aligned(cameras: Sequence[CalibratedCamera], xy_px: np.ndarray) -> tuple[CalibratedCamera, ...]:
    """The cameras turned about their own x and y axes so that keypoints (C, T, 33, 2) agree best in space.

    Positions stay, which fixes the world. Turning about the optical axis, and moving, were tried: both make the person's
    keypoints agree no better, and the marks on the floor less well.
    """
    chosen = xy_px[:, :, ALIGNMENT]
    _, used, _ = _robust(cameras, chosen, SWAP_PX)
    chosen = np.where(used[..., None], chosen, np.nan)

    def residuals(angles: np.ndarray) -> np.ndarray:
        turned = _turned(cameras, angles)
        return np.nan_to_num(chosen - _projected(turned, triangulate(list(turned), chosen))).ravel()

    found = least_squares(
        residuals, np.zeros(2 * len(cameras)), loss="huber", f_scale=ALIGNMENT_PX, xtol=1e-6
    )
    return _turned(cameras, found.x)


def find_lag(
    cameras: Sequence[CalibratedCamera],
    xy_px: np.ndarray,
    camera: int,
    lags: Sequence[int],
    align: bool = True,
) -> dict[int, float]:
    """Root mean square reprojection error in pixels, each counted up to `SWAP_PX`, by the lag of `camera` (1 to C)."""
    errors = {}
    for lag in lags:
        delays = [lag if number == camera else 0 for number in range(1, len(cameras) + 1)]
        found = reconstruct(cameras, xy_px, delays, align)
        _, _, cost = _robust(found.cameras, found.xy_px[:, :, ALIGNMENT], SWAP_PX)
        # The same frames for all lags, else those at the ends would count in some.
        margin = max(abs(other) for other in lags)
        errors[lag] = float(np.sqrt(cost[margin : len(cost) - margin].mean()))
    return errors


def smoothed(xyz: np.ndarray, rate_hz: float) -> np.ndarray:
    """Joints (T, J, 3) without what is faster than `CUTOFF_HZ`, without delay. Gaps are bridged for that and stay gaps."""
    known = np.isfinite(xyz).all(-1)
    frames = np.arange(len(xyz))
    filled = xyz.copy()
    for joint in np.flatnonzero(known.any(0)):
        rows = np.flatnonzero(known[:, joint])
        for axis in range(3):
            filled[:, joint, axis] = np.interp(frames, rows, xyz[rows, joint, axis])
    sections = butter(2, CUTOFF_HZ, fs=rate_hz, output="sos")
    return np.where(known[..., None], sosfiltfilt(sections, filled, axis=0), np.nan)


def lift(
    lifter: Lifter,
    sightings: Sightings,
    camera: CalibratedCamera,
    known_height: float,
    tilt_known: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Joints (T, J, 3) and standard deviations (T, J) in metres that `lifter` gives image by image, as on a robot, where swaps of
    left and right are repaired first.

    Its shapes are brought to `known_height` by the height that each states; `tilt_known`: it is told which direction points up.
    """
    joints = len(SKELETONS.get(lifter.skeleton_out))
    xyz, std = np.full((len(sightings), joints, 3), np.nan), np.full((len(sightings), joints), np.nan)
    match = Correspondence(MEDIAPIPE33.name, lifter.skeleton_in)
    sightings = sightings.repaired()
    lifter.reset()
    lifter.up = camera.up if tilt_known else None
    for t in range(len(sightings)):
        people = sightings.people(t, match)
        world = sightings.people_world(t) if lifter.uses_world else None
        for shape in lifter.lift(people, camera.camera, world):
            scale = known_height / shape.height
            xyz[t], std[t] = scale * shape.xyz, scale * shape.std
    return xyz, std


def evaluate_view(
    lifter: Lifter | str, video: RealVideo, camera: int, step: int = 1, tilt_known: bool = False
) -> Scores:
    """Figures of a lifter (or of the one registered under that name) on every `step`th image of `camera` (1 to 4).

    It works image by image on the keypoints of `pose2d`, translated as in the pipeline; what it says of frames for which there is
    no reference, and of joints that are no points of MediaPipe's, does not count.
    """
    if isinstance(lifter, str):
        lifter = models.make(Lift3DParams(lifter=lifter))
    track = view_track(lifter, video, camera, step, tilt_known)
    return score([track], SKELETONS.get(lifter.skeleton_out))


def view_track(
    lifter: Lifter, video: RealVideo, camera: int, step: int = 1, tilt_known: bool = False
) -> Track:
    """What `lifter` makes of every `step`th image of `camera` beside the reference."""
    reference = video.reference
    sightings = video.sightings[step][camera - 1]
    xyz, std = lift(lifter, sightings, reference.cameras[camera - 1], reference.height, tilt_known)
    times = np.arange(len(sightings)) * step - reference.lags[camera - 1]
    there = (times >= 0) & (times < len(reference.xyz))
    xyz, std, times = xyz[there], std[there], times[there]
    truth = reference.in_view(camera)[times]
    truth, _ = conversion(MEDIAPIPE33.name, lifter.skeleton_out, approximate=False).apply(
        truth, np.ones(truth.shape[:-1])
    )
    return Track(
        predicted=xyz,
        truth=truth,
        step=np.full(len(times), step / RATE_HZ),
        std=np.repeat(std[..., None], 3, -1) if np.isfinite(std).any() else None,
    )


def _robust(
    cameras: Sequence[CalibratedCamera], xy_px: np.ndarray, limit_px: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `robust_points`, and the mean squared truncated error (...) over the views that have the keypoint."""
    count = len(cameras)
    seen = np.isfinite(xy_px).all(-1)
    shape = xy_px.shape[1:-1]
    cost, points, used = np.full(shape, np.inf), np.full((*shape, 3), np.nan), np.zeros(seen.shape, bool)
    for size in range(count, LEAST_VIEWS - 1, -1):
        for views in itertools.combinations(range(count), size):
            rows = list(views)
            found = triangulate([cameras[i] for i in rows], xy_px[rows])
            error = np.linalg.norm(xy_px - _projected(cameras, found), axis=-1)
            # Behind a camera there is no pixel.
            error = np.where(seen, np.where(np.isnan(error), np.inf, error), np.nan)
            each = np.where(seen, np.minimum(error, limit_px) ** 2, 0.0)
            total = np.where(seen[rows].all(0), each.sum(0) / np.maximum(seen.sum(0), 1), np.inf)
            better = total < cost - TIE_PX**2
            cost = np.where(better, total, cost)
            agree = (np.where(seen, error, np.inf)[rows] <= limit_px).all(0)
            points = np.where(better[..., None], np.where(agree[..., None], found, np.nan), points)
            member = np.isin(np.arange(count), rows).reshape(-1, *(1,) * len(shape))
            used = np.where(better, member & agree, used)
    return points, used, np.where(np.isfinite(cost), cost, limit_px**2)


def _projected(cameras: Sequence[CalibratedCamera], xyz: np.ndarray) -> np.ndarray:
    return np.stack([one.camera.project(one.to_camera(xyz)) for one in cameras])


def _turned(cameras: Sequence[CalibratedCamera], angles: np.ndarray) -> tuple[CalibratedCamera, ...]:
    turned = []
    for one, (x, y) in zip(cameras, angles.reshape(-1, 2), strict=True):
        R = Rotation.from_rotvec([x, y, 0.0]).as_matrix() @ one.R_cam_world
        turned.append(replace(one, R_cam_world=R, t=-R @ one.position))
    return tuple(turned)


def _sightings(step: int) -> tuple[Sightings, ...]:
    """All cameras, from the cache where they are."""
    file = cached_file(step)
    names = [field.name for field in fields(Sightings)]
    if not file.is_file():
        seen = [see(assets.path(name), step) for name in VIDEOS]
        arrays = {f"{name}{i}": getattr(one, name) for i, one in enumerate(seen) for name in names}
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        write_whole(file, content.getvalue())
    with damage_told(file, "is damaged ({}); remove it, it is made again"), open_npz(file) as stored:
        found = []
        for i in range(len(VIDEOS)):
            values: dict[str, Any] = {name: stored[f"{name}{i}"] for name in names}
            values |= {name: int(values[name]) for name in ("width", "height")}
            found.append(Sightings(**values))
    return tuple(found)


def _reference(sightings: Sequence[Sightings]) -> Reference:
    cameras = calibrated([(one.width, one.height) for one in sightings])
    return reconstruct(cameras, np.stack([one.xy_px for one in sightings]))
