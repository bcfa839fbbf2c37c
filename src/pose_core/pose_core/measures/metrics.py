"""How far a pose, or a motion, is from the truth.

Each function names its protocol. Positions are (frames, joints, 3) in metres, so errors are metres, m/s, ...
(papers print millimetres, or millimetres per frame: for the latter take dt = 1). Where a `skeleton` is asked
for, both sides are first moved so that its root is the origin; with None they are compared where they stand.
A joint that is NaN on either side is left out; where nothing is left, the result is NaN.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from pose_core.geometry.align import procrustes
from pose_core.skeleton import Skeleton
from pose_core.types import Array, Bones, Sets, SetWeights, Track, TrackStd

AUC_THRESHOLDS = np.arange(31) * 0.005
"""0, 5, ..., 150 mm."""


def root_aligned(xyz: Sets, skeleton: Skeleton) -> Sets:
    """Positions (..., J, D) about the skeleton's root; all NaN where the root is missing."""
    result: Sets = xyz - skeleton.root_of(xyz)[..., None, :]
    return result


def joint_errors(predicted: Sets, truth: Sets, skeleton: Skeleton | None) -> SetWeights:
    """Distance (..., J) of each joint from the truth; NaN where either is missing."""
    predicted, truth = _pair(predicted, truth, skeleton)
    result: SetWeights = np.linalg.norm(predicted - truth, axis=-1)
    return result


def mpjpe(predicted: Sets, truth: Sets, skeleton: Skeleton | None) -> float:
    """Mean per-joint position error, metres (protocol 1 with a skeleton)."""
    return _mean(joint_errors(predicted, truth, skeleton))


def pa_mpjpe(predicted: Sets, truth: Sets) -> float:
    """The same after aligning each frame by rotation, translation and scale (protocol 2), metres."""
    predicted, truth = _pair(predicted, truth, None)
    return _mean(joint_errors(procrustes(predicted, truth, scaled=True).apply(predicted), truth, None))


def n_mpjpe(predicted: Sets, truth: Sets, skeleton: Skeleton | None) -> float:
    """The same after scaling each frame by least squares, s = <p, q> / <p, p> over common joints, metres."""
    predicted, truth = _pair(predicted, truth, skeleton)
    common = np.isfinite(predicted).all(-1) & np.isfinite(truth).all(-1)
    p, q = (np.where(common[..., None], x, 0.0) for x in (predicted, truth))
    size = np.einsum("...jd,...jd->...", p, p)
    scale = np.einsum("...jd,...jd->...", p, q) / np.where(size > 0.0, size, np.nan)
    return _mean(joint_errors(scale[..., None, None] * predicted, truth, None))


def mpjve(predicted: Track, truth: Track, dt: float, skeleton: Skeleton | None) -> float:
    """Mean per-joint velocity error, m/s: first differences over `dt` seconds."""
    return _difference_error(predicted, truth, dt, skeleton, order=1)


def acceleration_error(predicted: Track, truth: Track, dt: float, skeleton: Skeleton | None) -> float:
    """Mean per-joint acceleration error, m/s^2: second differences over `dt` seconds squared.

    Only whole differences count; some published code pads both ends with zeros, which adds their size.
    """
    return _difference_error(predicted, truth, dt, skeleton, order=2)


def jitter(xyz: Track, dt: float) -> float:
    """Mean jerk of one motion alone, m/s^3: third differences over `dt` seconds cubed.

    State the truth's beside it.
    """
    _check_step(dt)
    return _mean(np.linalg.norm(np.diff(xyz, n=3, axis=0), axis=-1)) / dt**3


def pck(predicted: Sets, truth: Sets, skeleton: Skeleton | None, threshold: float = 0.15) -> float:
    """Percentage of correct keypoints in 3D, as a fraction of 1: the joints within `threshold` metres."""
    return _mean(_within(joint_errors(predicted, truth, skeleton), threshold))


def auc(predicted: Sets, truth: Sets, skeleton: Skeleton | None) -> float:
    """Area under the curve of `pck`: its mean over `AUC_THRESHOLDS`."""
    errors = joint_errors(predicted, truth, skeleton)
    return float(np.mean([_mean(_within(errors, threshold)) for threshold in AUC_THRESHOLDS]))


def limb_direction_angles(predicted: Sets, truth: Sets, skeleton: Skeleton) -> Bones:
    """Angle (..., B) between a bone's predicted and true direction, radians.

    NaN for a bone without length.
    """
    predicted, truth = _pair(predicted, truth, None)
    p, q = _directions(predicted, skeleton), _directions(truth, skeleton)
    # The arc tangent keeps small angles, which the arc cosine of the dot product rounds away.
    result: Bones = 2.0 * np.arctan2(np.linalg.norm(p - q, axis=-1), np.linalg.norm(p + q, axis=-1))
    return result


def limb_direction_error(predicted: Sets, truth: Sets, skeleton: Skeleton) -> float:
    """Mean of `limb_direction_angles`, radians."""
    return _mean(limb_direction_angles(predicted, truth, skeleton))


def bone_length_std(xyz: Track, skeleton: Skeleton) -> float:
    """Standard deviation of each bone's length over time, averaged over bones seen at least twice, metres."""
    lengths = skeleton.bone_lengths(xyz)
    seen = np.isfinite(lengths)
    lengths = lengths[:, seen.sum(0) >= 2]
    return _mean(np.nanstd(lengths, axis=0)) if lengths.size else float("nan")


def bone_asymmetry(xyz: Sets, skeleton: Skeleton) -> float:
    """Mean absolute difference between the lengths of a left bone and its mirror, metres."""
    lengths = skeleton.bone_lengths(xyz)
    bone_of = {child: bone for bone, (_, child) in enumerate(skeleton.edges.tolist())}
    pairs = [
        (bone, bone_of[int(skeleton.flip_nodes[child])])
        for child, bone in bone_of.items()
        if skeleton.bone_sides[bone] == "left"
    ]
    left, right = np.array(pairs, np.intp).reshape(-1, 2).T
    return _mean(np.abs(lengths[..., left] - lengths[..., right]))


def lag(predicted: Track, truth: Track, dt: float, longest: float) -> float:
    """Seconds by which the predicted motion comes later than the true one (negative: earlier).

    Where the correlation of the joints' speeds is largest over shifts of up to `longest` seconds, refined by
    a parabola through the neighbours. A constant offset of position does not matter. NaN where either does
    not move.
    """
    predicted, truth = _pair(predicted, truth, None)
    _check_step(dt)
    p, q = (np.linalg.norm(np.diff(x, axis=0), axis=-1) for x in (predicted, truth))
    reach = round(longest / dt)
    if not 1 <= reach < len(p) - 1:
        raise ValueError(f"longest must be from {dt} to {(len(p) - 2) * dt:g} seconds here, got {longest}")
    scores = np.array([_correlation(p[max(k, 0) :], q[max(-k, 0) :]) for k in range(-reach, reach + 1)])
    if not np.isfinite(scores).any():
        return float("nan")
    best = int(np.nanargmax(scores))
    return (best - reach + _vertex(scores, best)) * dt


def interval_coverage(
    predicted: Track,
    truth: Track,
    std: TrackStd,
    skeleton: Skeleton | None,
    levels: tuple[float, ...] = (0.5, 0.9),
) -> Array:
    """Share of coordinates within the central interval of each level, under a normal error of `std` (T, J)
    along each axis.

    Well-calibrated deviations give the levels back.
    """
    predicted, truth = _pair(predicted, truth, skeleton)
    errors = np.abs(predicted - truth) / std[..., None]
    return np.array([_mean(_within(errors, NormalDist().inv_cdf(0.5 + 0.5 * level))) for level in levels])


def _pair(predicted: Array, truth: Array, skeleton: Skeleton | None) -> tuple[Array, Array]:
    predicted, truth = np.asarray(predicted, float), np.asarray(truth, float)
    if predicted.shape != truth.shape:
        raise ValueError(f"prediction and truth must have one shape, got {predicted.shape} and {truth.shape}")
    if skeleton is None:
        return predicted, truth
    return root_aligned(predicted, skeleton), root_aligned(truth, skeleton)


def _difference_error(
    predicted: Array, truth: Array, dt: float, skeleton: Skeleton | None, order: int
) -> float:
    predicted, truth = _pair(predicted, truth, skeleton)
    _check_step(dt)
    return _mean(np.linalg.norm(np.diff(predicted - truth, n=order, axis=0), axis=-1)) / dt**order


def _check_step(dt: float) -> None:
    if not dt > 0.0:
        raise ValueError(f"dt must be a positive number of seconds (1 for errors per frame), got {dt}")


def _mean(values: Array) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _within(errors: Array, threshold: float) -> Array:
    return np.where(np.isnan(errors), np.nan, errors <= threshold)


def _directions(xyz: Array, skeleton: Skeleton) -> Array:
    nodes = skeleton.with_virtual(xyz)
    bones = nodes[..., skeleton.edges[:, 1], :] - nodes[..., skeleton.edges[:, 0], :]
    length = np.linalg.norm(bones, axis=-1, keepdims=True)
    result: Array = bones / np.where(length > 0.0, length, np.nan)
    return result


def _correlation(p: Array, q: Array) -> float:
    """Pearson's coefficient over the common frames and joints, each joint about its own mean."""
    frames = min(len(p), len(q))
    p, q = p[:frames], q[:frames]
    common = ~np.isnan(p + q)
    count = np.maximum(common.sum(0), 1)
    p, q = (np.where(common, x, 0.0) for x in (p, q))
    p, q = (np.where(common, x - x.sum(0) / count, 0.0) for x in (p, q))
    size = float(np.sqrt((p * p).sum() * (q * q).sum()))
    return float((p * q).sum()) / size if size > 0.0 else float("nan")


def _vertex(scores: Array, best: int) -> float:
    """Offset of the maximum of the parabola through three neighbours from the middle one, in steps."""
    if not 0 < best < len(scores) - 1:
        return 0.0
    left, middle, right = scores[best - 1 : best + 2]
    bend = left - 2.0 * middle + right
    return float(0.5 * (left - right) / bend) if bend < 0.0 else 0.0
