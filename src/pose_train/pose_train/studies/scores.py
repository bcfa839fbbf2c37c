"""One set of figures for every lifter, on simulated clips as on real video: what a table row of docs/models.md is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from lift3d_node.learned import limbs
from pose_core.measures import metrics
from pose_core.skeleton import Skeleton
from pose_train.lifter.tracks import Track
from pose_train.trunk.deviations import LEVEL

NOMINAL_RATE = 30.0
"""Frames per second behind millimetres per frame squared."""
SIGN_LEAST = 0.1
"""Limbs whose direction has a smaller |z| point neither towards the camera nor away (within 6 degrees across the view)."""
LARGEST_SAMPLE = 200_000
"""Errors that rank correlation looks at; more tell no more."""
PEOPLE = 8
"""In a batch of the second timing."""
SAME_STEP = 0.1
"""Relative difference of two steps up to which they count as equal."""


@dataclass(frozen=True)
class Scores:
    """Figures of one lifter under one condition; NaN where there is nothing to tell them from.

    Millimetres, degrees, shares of 1. `mpjpe_body_mm` is over the 12 joints that limbs connect, which every skeleton has, so that
    it compares lifters of different skeletons; the other positions are over all joints of the lifter's own.
    """

    mpjpe_mm: float
    mpjpe_body_mm: float
    pa_mpjpe_mm: float
    n_mpjpe_mm: float
    limb_mean_deg: float
    limb_median_deg: float
    z_sign: float
    """Share of limbs that point to the right side of the image plane."""
    z_sign_clear: float
    """The same of those with a |z| of `SIGN_LEAST` and more."""
    acceleration_mm: float
    """Millimetres per frame squared at `NOMINAL_RATE`."""
    acceleration: float
    """Metres per second squared."""
    coverage: float
    """Share of coordinates within the central `LEVEL` interval of the stated standard deviation."""
    rank_correlation: float
    """Spearman's, between a joint's stated standard deviation and its error."""
    found: float
    """Share of the known joints that the lifter gave."""


@dataclass(frozen=True)
class Cost:
    """What a lifter costs; None where it was not measured."""

    parameters: int | None = None
    macs: int | None = None
    """Multiply-accumulate operations per person and frame."""
    bytes: int | None = None
    """Size of the exported file."""
    look_ahead: int = 0
    one_ms: float | None = None
    """Median per frame of one person: the network, through onnxruntime on one thread."""
    batch_ms: float | None = None
    """The same per person, `PEOPLE` in one batch."""
    lift_ms: float | None = None
    """One person, with encoding and all else that a lifter does."""


@dataclass(frozen=True)
class Result:
    """All figures of one lifter."""

    name: str
    skeleton: str
    simulated: dict[str, Scores] = field(default_factory=dict)
    """By condition."""
    real: dict[str, dict[str, Scores]] = field(default_factory=dict)
    """By images per second ("60", "30"), by camera ("1" to "4")."""
    cost: Cost = field(default_factory=Cost)
    export_gap: float | None = None
    """Largest difference between trained and exported network, in heights, where both files were there."""

    def real_mean(self, rate: int, cameras: Sequence[int]) -> Scores:
        """Mean over cameras at that rate. Raises KeyError where those were not evaluated."""
        views = self.real[str(rate)]
        return mean_scores([views[str(camera)] for camera in cameras])

    @classmethod
    def of(cls, values: Any) -> Result:
        """From its plain values, in which NaN is None. Raises ValueError for anything else."""
        try:
            return cls(
                name=values["name"],
                skeleton=values["skeleton"],
                simulated={name: _scores(one) for name, one in values["simulated"].items()},
                real={
                    rate: {camera: _scores(one) for camera, one in views.items()}
                    for rate, views in values["real"].items()
                },
                cost=Cost(**values["cost"]),
                export_gap=values["export_gap"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no result of an evaluation: {error}") from error


def score(
    tracks: Sequence[Track], skeleton: Skeleton, rates_hz: tuple[float, float] = (0.0, math.inf)
) -> Scores:
    """Figures over all tracks together, each joint of each frame counting once; accelerations over those tracks whose frame rate
    is within `rates_hz`, because a jitter of a millimetre is four times the acceleration at twice the rate.

    Raises ValueError without any track, and for a skeleton that lacks a joint of `limbs.JOINTS`.
    """
    if not tracks:
        raise ValueError("there is nothing to score: give at least one track")
    predicted = np.concatenate([track.predicted for track in tracks]).astype(float)
    truth = np.concatenate([track.truth for track in tracks]).astype(float)
    predicted, truth = (metrics.root_aligned(xyz, skeleton) for xyz in (predicted, truth))
    body = skeleton.indices(*limbs.JOINTS)
    directions = _directions(tracks, predicted, skeleton)
    true_directions = limbs.directions(truth, skeleton)
    mean_deg, median_deg = limbs.angle_error_deg(directions, true_directions)
    steady = [track for track in tracks if rates_hz[0] <= 1.0 / np.median(track.step) <= rates_hz[1]]
    acceleration = _acceleration(steady, skeleton)
    coverage, correlation = _honesty(tracks, predicted, truth)
    known = np.isfinite(truth).all(-1)
    given = np.isfinite(predicted).all(-1) & known
    return Scores(
        mpjpe_mm=1e3 * metrics.mpjpe(predicted, truth, None),
        mpjpe_body_mm=1e3 * metrics.mpjpe(predicted[:, body], truth[:, body], None),
        pa_mpjpe_mm=1e3 * metrics.pa_mpjpe(predicted, truth),
        n_mpjpe_mm=1e3 * metrics.n_mpjpe(predicted, truth, None),
        limb_mean_deg=mean_deg,
        limb_median_deg=median_deg,
        z_sign=limbs.z_sign_accuracy(directions, true_directions),
        z_sign_clear=limbs.z_sign_accuracy(directions, true_directions, SIGN_LEAST),
        acceleration_mm=1e3 * acceleration / NOMINAL_RATE**2,
        acceleration=acceleration,
        coverage=coverage,
        rank_correlation=correlation,
        found=float(given.sum() / known.sum()) if known.any() else math.nan,
    )


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Each figure's mean over several scores (cameras), those that are NaN left out."""
    names = Scores.__dataclass_fields__
    table = np.array([[getattr(one, name) for name in names] for one in scores])
    known = np.isfinite(table)
    total = np.where(known, table, 0.0).sum(0)
    return Scores(*np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan).tolist())


def _scores(values: dict[str, Any]) -> Scores:
    return Scores(**{name: math.nan if value is None else value for name, value in values.items()})


def _directions(tracks: Sequence[Track], predicted: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    of_joints = limbs.directions(predicted, skeleton)
    if all(track.directions is None for track in tracks):
        return of_joints
    parts = np.split(of_joints, np.cumsum([len(track.predicted) for track in tracks])[:-1])
    return np.concatenate(
        [
            part if track.directions is None else track.directions
            for part, track in zip(parts, tracks, strict=True)
        ]
    )


def _acceleration(tracks: Sequence[Track], skeleton: Skeleton) -> float:
    """m/s^2 over all frames whose two steps are alike; weighted by how many there are."""
    values, weights = [], []
    for track in tracks:
        for start, end in _even_runs(track.step):
            dt = float(track.step[start + 1 : end].mean())
            value = metrics.acceleration_error(
                track.predicted[start:end], track.truth[start:end], dt, skeleton
            )
            if math.isfinite(value):
                values.append(value)
                weights.append(end - start - 2)
    return float(np.average(values, weights=weights)) if values else math.nan


def _even_runs(step: np.ndarray) -> list[tuple[int, int]]:
    """(start, end) of pieces of at least three frames that follow each other in equal steps, the first frame's own left aside."""
    runs, start = [], 0
    for frame in range(2, len(step) + 1):
        if frame == len(step) or abs(step[frame] / step[frame - 1] - 1.0) > SAME_STEP:
            if frame - start >= 3:
                runs.append((start, frame))
            start = frame - 1
    return runs


def _honesty(tracks: Sequence[Track], predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    if any(track.std is None for track in tracks):
        return math.nan, math.nan
    std = np.concatenate([np.asarray(track.std, float) for track in tracks])
    std = np.where(std > 0.0, std, np.nan)
    errors = np.linalg.norm(predicted - truth, axis=-1)
    size = np.sqrt((std * std).mean(-1))
    known = np.isfinite(errors) & np.isfinite(size)
    if not known.any():
        return math.nan, math.nan
    covered = [
        float(metrics.interval_coverage(predicted[..., [a]], truth[..., [a]], std[..., a], None, (LEVEL,))[0])
        for a in range(3)
    ]
    every = max(int(known.sum()) // LARGEST_SAMPLE, 1)
    size, errors = size[known][::every], errors[known][::every]
    if np.ptp(size) == 0.0 or np.ptp(errors) == 0.0:
        return float(np.mean(covered)), math.nan
    return float(np.mean(covered)), float(stats.spearmanr(size, errors).statistic)
