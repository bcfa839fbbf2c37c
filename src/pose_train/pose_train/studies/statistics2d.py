"""How the simulated detector's errors compare with those of MediaPipe on real video.

Real errors are keypoints against the projection of the four-view reference (`pose_train.studies.real_video`): 100 images of one
walking person per view, so all figures are rough, and none tells of people cut off by the image's border, of lying people or of
bad light. A triangulation follows the errors of its views: of V independent views it leaves 1 - 3 / (2 V) of their variance,
which is put back. What all views get wrong alike, such as a hip that sits too high or a filter's delay, it cannot show. A shift
of the whole person cannot be told from a camera that looks elsewhere, so it is taken out on both sides, and the wrong focal
length of simulated cameras with it.

Both sides go through the same code at 30 images per second, over pieces of the same length (slow errors and constant ones are
told apart only by that), in shares of the diagonal of the person's true box.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pose_core.skeleton import MEDIAPIPE33
from pose_train.data.synthesis import Clips
from pose_train.studies import tables
from pose_train.studies.real_video import EASY, PART_OF, PARTS, RATE_HZ, SWAP_GAIN, RealVideo

RATE = 30.0
STEP = round(RATE_HZ / RATE)
"""Images of the video from one that counts to the next."""
FRAMES = 100 // STEP
NEAR_RATE = (25.0, 35.0)
"""Clips of other rates do not count: how much errors change from image to image depends on it."""

GROUPS = {
    "face": ("nose", "eye", "ear", "mouth"),
    "shoulder": ("shoulder",),
    "elbow": ("elbow",),
    "wrist": ("wrist",),
    "hand": ("pinky", "index", "thumb"),
    "hip": ("hip",),
    "knee": ("knee",),
    "ankle": ("ankle",),
    "foot": ("heel", "foot"),
}
LEAST_KNOWN = 0.9
"""Share of the joints of an image whose place must be known, else the box is not the person's."""
CONFIDENCES = (0.0, 0.5, 0.8, 0.95, 0.99, 1.0)
"""Borders of the bins in which errors are averaged."""


def _group(joint: str) -> str:
    words = joint.split("_")
    if "foot" in words:  # a foot has an index too
        return "foot"
    return next(name for name, parts in GROUPS.items() if any(word in parts for word in words))


GROUP_OF = np.array([list(GROUPS).index(_group(joint)) for joint in MEDIAPIPE33.joints])


@dataclass(frozen=True)
class Detections:
    """n pieces of T frames with equal steps: keypoints as detected and where they are, in one unit of the image."""

    xy: np.ndarray  # (n, T, 33, 2), NaN where missing
    clean_xy: np.ndarray  # (n, T, 33, 2), NaN where unknown
    confidence: np.ndarray  # (n, T, 33)
    gain: (
        np.ndarray
    )  # (n, T, 33) factor that puts back what the truth took of the error; 1 for an independent truth


@dataclass(frozen=True)
class GroupStatistics:
    """Errors of some joints in percent of the box diagonal, sides put right; NaN where there are none."""

    mean: float
    median: float
    p95: float
    bias: float
    """Mean length of each joint's mean error over a piece."""
    drift: float
    """Standard deviation along one axis about that mean."""
    rho: float
    """Correlation of that with itself one frame later."""
    acceleration: float
    """Mean second difference of the error over mean error: 2.4 for white noise and no bias, less for slow errors."""


@dataclass(frozen=True)
class Statistics:
    groups: dict[str, GroupStatistics]
    """By `GROUPS`, and "all"."""
    by_confidence: tuple[tuple[float, float], ...]
    """Of each bin of `CONFIDENCES`: share of the keypoints, mean error in percent."""
    confidence_correlation: float
    """Spearman's, between confidence and error: negative where confidence means something."""
    swapped: dict[str, float]
    """Share of frames in which left and right are exchanged, by `PARTS`."""
    missing: float
    """Share of keypoints."""
    frames: int


def of_video(video: RealVideo, cameras: Sequence[int] = EASY) -> Detections:
    """The detector on the real video, by numbers of cameras."""
    reference = video.reference
    rows = [camera - 1 for camera in cameras]
    frames = np.arange(0, STEP * FRAMES, STEP)
    clean = np.stack(
        [
            reference.cameras[row].camera.project(reference.cameras[row].to_camera(reference.xyz[frames]))
            for row in rows
        ]
    )
    xy, confidence = np.full(clean.shape, np.nan), np.zeros(clean.shape[:-1])
    for piece, row in enumerate(rows):
        seen = video.sightings[1][row]
        own = frames + reference.lags[row]
        there = (own >= 0) & (own < len(seen))
        xy[piece, there] = seen.xy_px[own[there]]
        confidence[piece, there] = seen.confidence[own[there]]
    views = reference.used[:, frames].sum(0)
    kept = 1.0 - 1.5 / np.maximum(views, 2)
    gain = np.where(reference.used[rows][:, frames], 1.0 / np.sqrt(kept), 1.0)
    return Detections(xy, clean, confidence, gain)


def of_clips(clips: Clips) -> Detections:
    """Those simulated clips whose rate is near `RATE`, cut to `FRAMES` frames. Raises ValueError where there is none."""
    step = np.median(clips.step, 1)
    near = (step <= 1.0 / NEAR_RATE[0]) & (step >= 1.0 / NEAR_RATE[1])
    if not near.any():
        raise ValueError(f"no clip has a rate of {NEAR_RATE[0]:g} to {NEAR_RATE[1]:g} Hz; make more clips")
    xy, clean = clips.xy[near, :FRAMES].astype(float), clips.clean_xy[near, :FRAMES].astype(float)
    # The video shows the whole person throughout.
    clean = np.where(clips.inside[near, :FRAMES, :, None], clean, np.nan)
    xy /= _focal(xy, clean)[:, None, None, None]
    return Detections(xy, clean, clips.confidence[near, :FRAMES].astype(float), np.ones(xy.shape[:-1]))


def statistics(detections: Detections) -> Statistics:
    """What the errors look like. Raises ValueError where no frame shows (nearly) the whole person."""
    xy, swapped = _unswapped(detections)
    whole = np.isfinite(detections.clean_xy).all(-1).mean(-1) >= LEAST_KNOWN
    if not whole.any():
        raise ValueError("no frame shows the whole person; give other pieces")
    swapped = swapped[whole]
    corners = [
        np.where(np.isnan(detections.clean_xy), empty, detections.clean_xy) for empty in (-np.inf, np.inf)
    ]
    diagonal = np.linalg.norm(
        np.where(whole[..., None], corners[0].max(2) - corners[1].min(2), np.nan), axis=-1
    )
    error = 100.0 * (xy - detections.clean_xy) / diagonal[..., None, None]
    error = (error - _middle(error)) * detections.gain[..., None]
    size = np.linalg.norm(error, axis=-1)
    groups = {name: _of_group(error[:, :, GROUP_OF == row]) for row, name in enumerate(GROUPS)}
    groups["all"] = _of_group(error)
    known = np.isfinite(size)
    confidence, sizes = detections.confidence[known], size[known]
    bins = []
    for low, high in itertools.pairwise(CONFIDENCES):
        within = (confidence >= low) & ((confidence < high) | (high == CONFIDENCES[-1]))
        bins.append((float(within.mean()), float(sizes[within].mean()) if within.any() else math.nan))
    told = float(stats.spearmanr(confidence, sizes).statistic) if np.ptp(confidence) > 0.0 else math.nan
    expected = np.isfinite(detections.clean_xy).all(-1) & whole[..., None]
    return Statistics(
        groups=groups,
        by_confidence=tuple(bins),
        confidence_correlation=told,
        swapped={name: float(swapped[..., part].mean()) for part, name in enumerate(PARTS)},
        missing=float(1.0 - np.isfinite(detections.xy).all(-1)[expected].mean()),
        frames=int(whole.sum()),
    )


def table(columns: dict[str, Statistics]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: what is measured, and a column for each of `columns`, which are named."""
    rows = [["frames", *(f"{one.frames}" for one in columns.values())]]
    figures = {
        "mean": "mean error, % of box",
        "median": "median",
        "p95": "95th percentile",
        "bias": "constant part",
        "drift": "rest, per axis",
        "rho": "rest: correlation after 1/30 s",
        "acceleration": "acceleration / error",
    }
    for group in ("all", *GROUPS):
        for name, title in figures.items():
            digits = 2
            rows.append(
                [
                    f"{group}: {title}",
                    *(tables.number(getattr(one.groups[group], name), digits) for one in columns.values()),
                ]
            )
    for row, (low, high) in enumerate(itertools.pairwise(CONFIDENCES)):
        rows.append(
            [
                f"confidence {low:g} to {high:g}: share, error",
                *(
                    f"{tables.percent(one.by_confidence[row][0])}, {tables.number(one.by_confidence[row][1], 2)}"
                    for one in columns.values()
                ),
            ]
        )
    rows.append(
        [
            "rank correlation of confidence and error",
            *(tables.number(one.confidence_correlation, 2) for one in columns.values()),
        ]
    )
    rows += [
        [
            f"{part}: left and right exchanged",
            *(tables.percent(one.swapped[part], 1) for one in columns.values()),
        ]
        for part in PARTS
    ]
    rows.append(["missing", *(tables.percent(one.missing, 1) for one in columns.values())])
    return ["", *columns], rows


def _unswapped(detections: Detections) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints with sides put right where that clearly brings a part nearer to the truth, and where: (n, T, 3) bool."""
    xy = detections.xy
    flipped = xy[:, :, MEDIAPIPE33.flip]
    errors = [np.linalg.norm(points - detections.clean_xy, axis=-1) for points in (xy, flipped)]
    both = np.isfinite(errors[0]) & np.isfinite(errors[1])
    swapped = np.zeros((*xy.shape[:2], len(PARTS)), bool)
    for part in range(len(PARTS)):
        rows = both & (PART_OF == part)
        asis, other = (np.where(rows, error, 0.0).sum(-1) for error in errors)
        swapped[..., part] = other < SWAP_GAIN * asis
    return np.where(swapped[..., PART_OF][..., None], flipped, xy), swapped


def _focal(xy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """(n,) factor between keypoints and truth (n, T, J, 2) of each piece: least squares, then without what it misses most."""
    kept = np.isfinite(xy + clean).all(-1)
    for quantile in (0.7, 1.0):
        x, y = (np.where(kept[..., None], points, 0.0) for points in (clean, xy))
        power = np.einsum("ntjd,ntjd->n", x, x)
        factor = np.where(
            power > 0.0, np.einsum("ntjd,ntjd->n", x, y) / np.where(power > 0.0, power, 1.0), 1.0
        )
        miss = np.linalg.norm(xy - factor[:, None, None, None] * clean, axis=-1)
        for piece in np.flatnonzero(kept.any((1, 2))):
            kept[piece] &= miss[piece] <= np.quantile(miss[piece][kept[piece]], quantile)
    return factor


def _middle(error: np.ndarray) -> np.ndarray:
    """(n, 1, 1, 2) median error of each piece over frames and joints; 0 where there is none."""
    middle = np.zeros((len(error), 1, 1, 2))
    for piece, one in enumerate(error):
        known = one[np.isfinite(one).all(-1)]
        if len(known):
            middle[piece] = np.median(known, 0)
    return middle


def _of_group(error: np.ndarray) -> GroupStatistics:
    """`error`: (n, T, J, 2) percent of the box."""
    size = np.linalg.norm(error, axis=-1)
    known = np.isfinite(size)
    if not known.any():
        return GroupStatistics(*[math.nan] * 7)
    count = known.sum(1, keepdims=True)[..., None]
    mean = np.where(known[..., None], error, 0.0).sum(1, keepdims=True) / np.maximum(count, 1)
    rest = error - mean
    long = (count[:, 0, :, 0] >= error.shape[1] // 2)[:, None]
    bias = np.linalg.norm(mean[:, 0], axis=-1)[long[:, 0]]
    rest = np.where(long[..., None], rest, np.nan)
    # Pooled over joints: each piece is too short for a correlation of its own.
    product = rest[:, 1:] * rest[:, :-1]
    pairs = np.isfinite(product)
    power = 0.5 * (rest[:, 1:] ** 2 + rest[:, :-1] ** 2)[pairs].sum()
    second = np.linalg.norm(np.diff(error, n=2, axis=1), axis=-1)
    second = second[np.isfinite(second)]
    sizes = size[known]
    return GroupStatistics(
        mean=float(sizes.mean()),
        median=float(np.median(sizes)),
        p95=float(np.percentile(sizes, 95)),
        bias=float(bias.mean()) if bias.size else math.nan,
        drift=float(np.sqrt(np.nanmean(rest**2))) if np.isfinite(rest).any() else math.nan,
        rho=float(product[pairs].sum() / power) if power > 0.0 else math.nan,
        acceleration=float(second.mean() / sizes.mean()) if second.size and sizes.mean() > 0.0 else math.nan,
    )
