"""Statistics of errors that were put in by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from pose_core.skeleton import MEDIAPIPE33
from pose_train.data.synthesis import Clips
from pose_train.studies import statistics2d, tables
from pose_train.studies.real_video import PART_OF
from pose_train.studies.statistics2d import FRAMES, GROUP_OF, GROUPS, Detections, statistics

PIECES = 40
DIAGONAL = 5.0  # of a box of 3 by 4


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    """(n, T, 33, 2) people in boxes of 3 by 4 that wander."""
    random = np.random.default_rng(0)
    shape = random.uniform((0.2, 0.2), (2.8, 3.8), (PIECES, 1, 33, 2))
    shape[:, :, 0], shape[:, :, 31] = 0.0, (3.0, 4.0)
    return shape + 0.01 * np.cumsum(random.standard_normal((PIECES, FRAMES, 1, 2)), 1)


def detections(clean: np.ndarray, error: np.ndarray) -> Detections:
    """`error` in shares of the box."""
    xy = clean + DIAGONAL * error
    return Detections(xy, clean, np.ones(xy.shape[:-1]), np.ones(xy.shape[:-1]))


def test_every_joint_belongs_to_a_group() -> None:
    group_of = {joint: list(GROUPS)[row] for joint, row in zip(MEDIAPIPE33.joints, GROUP_OF, strict=True)}
    assert group_of["left_index"] == "hand"
    assert group_of["left_foot_index"] == group_of["right_heel"] == "foot"
    assert group_of["mouth_left"] == group_of["nose"] == "face"
    assert set(group_of.values()) == set(GROUPS)


def test_white_noise(clean: np.ndarray) -> None:
    random = np.random.default_rng(1)
    found = statistics(detections(clean, random.normal(0.0, 0.01, clean.shape)))
    every = found.groups["all"]
    # Lengths of normal vectors in the plane: Rayleigh.
    assert every.mean == pytest.approx(math.sqrt(math.pi / 2.0), rel=0.02)
    assert every.median == pytest.approx(math.sqrt(2.0 * math.log(2.0)), rel=0.02)
    assert every.p95 == pytest.approx(math.sqrt(-2.0 * math.log(0.05)), rel=0.02)
    assert every.acceleration == pytest.approx(math.sqrt(6.0), rel=0.02)
    assert every.rho == pytest.approx(-1.0 / FRAMES, abs=0.01)  # about a mean that was taken off
    assert every.drift == pytest.approx(math.sqrt(1.0 - 1.0 / FRAMES), rel=0.02)
    assert every.bias == pytest.approx(math.sqrt(math.pi / 2.0 / FRAMES), rel=0.05)
    assert found.swapped == {"head": 0.0, "arms": 0.0, "legs": 0.0}
    assert found.missing == 0.0
    assert found.frames == PIECES * FRAMES


def test_slow_noise_tells_its_memory(clean: np.ndarray) -> None:
    random = np.random.default_rng(2)
    rho = 0.8
    error = random.standard_normal(clean.shape)
    for frame in range(1, FRAMES):
        error[:, frame] = rho * error[:, frame - 1] + math.sqrt(1.0 - rho * rho) * error[:, frame]
    every = statistics(detections(clean, 0.01 * error)).groups["all"]
    # Taking off the mean of so short a piece takes some of the correlation with it: about (1 + 3 rho) / T.
    assert every.rho == pytest.approx(rho - (1.0 + 3.0 * rho) / FRAMES, abs=0.03)
    assert every.acceleration == pytest.approx(math.sqrt(6.0 - 8.0 * rho + 2.0 * rho * rho), rel=0.03)


def test_constant_errors_are_bias_and_the_persons_shift_is_none(clean: np.ndarray) -> None:
    random = np.random.default_rng(3)
    bias = random.choice((-0.02, 0.02), (PIECES, 1, 33, 2))
    bias[:, :, :16], bias[:, :, 16] = -bias[:, :, 17:], 0.0  # as many one way as the other
    every = statistics(detections(clean, np.broadcast_to(bias + 0.3, clean.shape))).groups["all"]
    assert every.bias == pytest.approx(2.0 * math.sqrt(2.0) * 32 / 33)
    assert every.drift == pytest.approx(0.0, abs=1e-9)
    assert every.acceleration == pytest.approx(0.0, abs=1e-9)
    shifted = statistics(detections(clean, np.full(clean.shape, 0.3))).groups["all"]
    assert shifted.mean == pytest.approx(0.0, abs=1e-9)


def test_planted_swaps_are_counted_and_put_right(clean: np.ndarray) -> None:
    legs = np.flatnonzero(PART_OF == 2)
    xy = clean.copy()
    xy[:10, :, legs] = clean[:10][:, :, MEDIAPIPE33.flip[legs]]
    found = statistics(Detections(xy, clean, np.ones(xy.shape[:-1]), np.ones(xy.shape[:-1])))
    assert found.swapped == {"head": 0.0, "arms": 0.0, "legs": 10 / PIECES}
    assert found.groups["all"].mean == pytest.approx(0.0, abs=1e-9)


def test_confidence_that_means_something(clean: np.ndarray) -> None:
    random = np.random.default_rng(4)
    confidence = random.choice((0.3, 0.97), clean.shape[:-1])
    size = np.where(confidence > 0.5, 0.005, 0.02)[..., None]
    angle = random.uniform(0.0, 2.0 * np.pi, clean.shape[:-1])
    error = size * np.stack([np.cos(angle), np.sin(angle)], -1)
    found = statistics(dataclasses.replace(detections(clean, error), confidence=confidence))
    shares = [share for share, _ in found.by_confidence]
    assert shares == pytest.approx([0.5, 0.0, 0.0, 0.5, 0.0], abs=0.01)
    assert found.by_confidence[0][1] == pytest.approx(2.0, rel=0.01)
    assert found.by_confidence[3][1] == pytest.approx(0.5, rel=0.01)
    assert math.isnan(found.by_confidence[1][1])
    assert found.confidence_correlation < -0.8


def test_gain_puts_back_what_the_truth_took(clean: np.ndarray) -> None:
    error = np.random.default_rng(5).normal(0.0, 0.01, clean.shape)
    plain = detections(clean, error)
    raised = dataclasses.replace(plain, gain=np.full(clean.shape[:-1], 1.25))
    mean = statistics(plain).groups["wrist"].mean
    assert statistics(raised).groups["wrist"].mean == pytest.approx(1.25 * mean)


def test_missing_keypoints_and_people_cut_off(clean: np.ndarray) -> None:
    xy = clean.copy()
    xy[:, :, :3] = np.nan
    cut = clean.copy()
    cut[:5, :, 23:] = np.nan
    found = statistics(Detections(xy, cut, np.ones(xy.shape[:-1]), np.ones(xy.shape[:-1])))
    assert found.missing == pytest.approx(3 / 33)
    assert found.frames == (PIECES - 5) * FRAMES
    nobody = Detections(xy, np.full_like(clean, np.nan), np.ones(xy.shape[:-1]), np.ones(xy.shape[:-1]))
    with pytest.raises(ValueError, match="whole person"):
        statistics(nobody)


def clips_of(clean: np.ndarray, xy: np.ndarray, rates: np.ndarray) -> Clips:
    count, frames = clean.shape[:2]
    inside = np.ones(clean.shape[:-1], bool)
    step = np.repeat(1.0 / rates[:, None], frames, 1)
    up = np.broadcast_to((0.0, -1.0, 0.0), (*clean.shape[:2], 3))
    return Clips(xy, np.ones(clean.shape[:-1]), clean, inside, step, {}, np.full(count, 1.7), up)


def test_clips_of_other_rates_and_wrong_focal_lengths_do_not_count(clean: np.ndarray) -> None:
    random = np.random.default_rng(6)
    rates = np.where(np.arange(PIECES) % 2, 30.0, 50.0)
    focal = random.uniform(0.8, 1.2, PIECES)[:, None, None, None]
    noise = DIAGONAL * random.normal(0.0, 0.01, clean.shape)
    noise[::2] = 9.0
    found = statistics2d.of_clips(clips_of(clean, focal * (clean + noise), rates))
    assert len(found.xy) == PIECES // 2
    every = statistics(found).groups["all"]
    assert every.mean == pytest.approx(math.sqrt(math.pi / 2.0), rel=0.03)
    with pytest.raises(ValueError, match="25 to 35 Hz"):
        statistics2d.of_clips(clips_of(clean, clean, np.full(PIECES, 60.0)))


def test_the_table_has_a_column_for_each_side(clean: np.ndarray) -> None:
    random = np.random.default_rng(7)
    one = statistics(detections(clean, random.normal(0.0, 0.01, clean.shape)))
    other = statistics(detections(clean, random.normal(0.0, 0.02, clean.shape)))
    header, rows = statistics2d.table({"real": one, "simulated": other})
    assert header == ["", "real", "simulated"]
    named = {row[0]: row[1:] for row in rows}
    assert len(named) == len(rows)
    mean = named["all: mean error, % of box"]
    assert float(mean[1]) == pytest.approx(2.0 * float(mean[0]), rel=0.05)
    assert named["confidence 0.99 to 1: share, error"][0].startswith("100 %, 1.2")
    assert tables.text(header, rows).count("\n") == len(rows) + 1
