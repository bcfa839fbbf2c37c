"""What is measured of a refiner."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_core.measures import metrics
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS
from pose_core.units import NS_PER_S
from pose_train.studies.refiners.scenes import Take
from pose_train.studies.refiners.variants import Variant
from pose_train.studies.scores import NOMINAL_RATE
from pose_train.trunk.deviations import LEVEL
from refine_node import recording

LONGEST_LAG = 0.25
"""Seconds within which the lag is looked for."""


@dataclass(frozen=True)
class RefinerScores:
    """Figures of one refiner in one scene: means over its takes, which have one frame rate; NaN where nothing tells."""

    mpjpe_mm: float
    pa_mpjpe_mm: float
    acceleration: float
    """Error, m/s^2."""
    jitter: float
    """m/s^3, of the refined motion alone."""
    bones_mm: float
    """Standard deviation of bones' lengths over the second half of a take."""
    coverage: float
    """Share of coordinates within the central 90 % interval of the stated standard deviation."""
    lag_ms: float
    """By which the motion comes later than the true one, the look-ahead left aside."""
    ms: float
    """Per person and frame: median of the processor's time, the whole stage."""

    @property
    def acceleration_mm(self) -> float:
        """Millimetres per frame squared at `NOMINAL_RATE`."""
        return 1e3 * self.acceleration / NOMINAL_RATE**2


def run(variant: Variant, take: Take) -> tuple[PoseSequence, float]:
    """The refined take, and the median of milliseconds that a frame took."""
    spent = [time.process_time_ns()]

    def progress(_done: int, _total: int | None) -> None:
        spent.append(time.process_time_ns())

    if variant.look_ahead is None:
        refined = recording.smooth(take.given, variant.params())
        return refined, (time.process_time_ns() - spent[0]) / len(take.given) / 1e6
    refined = recording.refine_live(take.given, variant.params(), progress)
    return refined, float(np.median(np.diff(spent))) / 1e6


def score(variant: Variant, takes: Sequence[Take]) -> RefinerScores:
    """Figures over all takes."""
    rows, motions = [], []
    for take in takes:
        skeleton = SKELETONS.get(take.given.skeleton)
        refined, spent = run(variant, take)
        dt = float(np.median(np.diff(take.given.stamps))) / NS_PER_S
        xyz, truth = (metrics.root_aligned(one, skeleton) for one in (refined.xyz, take.truth))
        motions.append((xyz, truth))
        rows.append(
            {
                "mpjpe_mm": 1e3 * metrics.mpjpe(xyz, truth, None),
                "pa_mpjpe_mm": 1e3 * metrics.pa_mpjpe(xyz, truth),
                "acceleration": metrics.acceleration_error(xyz, truth, dt, None),
                "jitter": metrics.jitter(xyz, dt),
                "coverage": float(metrics.interval_coverage(xyz, truth, refined.std, None, (LEVEL,))[0]),
                "bones_mm": 1e3 * metrics.bone_length_std(xyz[len(xyz) // 2 :], skeleton),
                "ms": spent,
            }
        )
    means = {name: _mean([row[name] for row in rows]) for name in rows[0]}
    # One lag of all: that of a single noisy take is mostly chance.
    frames = min(len(xyz) for xyz, _ in motions)
    xyz, truth = (np.concatenate([one[:frames] for one in side], 1) for side in zip(*motions, strict=True))
    lag_ms = 1e3 * metrics.lag(xyz, truth, dt, LONGEST_LAG)
    return RefinerScores(lag_ms=lag_ms, **means)


def _mean(values: list[float]) -> float:
    """Of those that are numbers; NaN without any."""
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan
