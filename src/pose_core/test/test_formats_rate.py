"""Even rates: of clean, rounded, lossy and jittering stamps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.formats import rate
from pose_core.formats.rate import even_stamps, evenly, evenly_posed, expect_even, rate_of
from pose_core.markers import MarkerSequence
from pose_core.people import JointState
from pose_core.sequence import PoseSequence

NAN = float("nan")
EPOCH = 1_732_000_000_123_456_789


def stamps_at(rate_hz: float, frames: int, start: int = 0) -> np.ndarray:
    return start + np.rint(np.arange(frames) * (1e9 / rate_hz)).astype(np.int64)


def markers(stamps: np.ndarray, x: object) -> MarkerSequence:
    """One marker on the x axis."""
    positions = np.zeros((len(stamps), 1, 3))
    positions[:, 0, 0] = x
    return MarkerSequence(("A",), stamps, positions, np.full((len(stamps), 1), 0.01))


@pytest.mark.parametrize("rate_hz", [24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0, 100.0, 240.0])
@pytest.mark.parametrize("unit", [1, 1000, 1_000_000], ids=["ns", "us", "ms"])
def test_the_rate_behind_rounded_stamps(rate_hz: float, unit: int):
    stamps = np.rint(stamps_at(rate_hz, 400) / unit).astype(np.int64) * unit
    assert rate_of(stamps) == rate_hz


@given(st.integers(2, 200), st.floats(1.0, 500.0), st.integers(0, 2**60))
@settings(max_examples=50, deadline=None)
def test_any_rate_fits_its_own_stamps(frames: int, rate_hz: float, start: int):
    found = rate_of(stamps_at(rate_hz, frames, start))
    assert abs(found / rate_hz - 1.0) * (frames - 1) <= rate.DRIFT * 1.01


def test_lost_images_do_not_lower_the_rate():
    stamps = np.delete(stamps_at(30.0, 300), [5, 6, 7, 100, 222])
    assert rate_of(stamps) == 30.0


def test_a_single_frame_has_a_formal_rate_and_none_has_not():
    assert rate_of(np.array([5])) == 1.0
    with pytest.raises(ValueError, match="at least one frame"):
        rate_of(np.array([], np.int64))


def test_places_near_the_grid_are_taken_as_they_are():
    stamps = np.rint(stamps_at(60.0, 60) / 1e6).astype(np.int64) * 1_000_000
    x = np.random.default_rng(0).normal(size=60)
    x[[0, 10, 59]] = NAN
    even = evenly(markers(stamps, x))
    np.testing.assert_array_equal(even.xyz[:, 0, 0], x)
    np.testing.assert_array_equal(even.stamps, stamps_at(60.0, 60))


def test_grids_of_different_people_of_a_recording_agree():
    stamps = stamps_at(30.0, 100, EPOCH)
    late = evenly(markers(stamps[40:], np.arange(60)), 30.0, EPOCH)
    np.testing.assert_array_equal(late.stamps, stamps[40:])
    np.testing.assert_array_equal(late.xyz[:, 0, 0], np.arange(60))


def test_between_frames_there_is_a_straight_line():
    stamps = np.array([0, 40, 60, 100]) * 1_000_000
    even = evenly(markers(stamps, [0.0, 4.0, 6.0, 10.0]), 50.0)
    np.testing.assert_array_equal(even.stamps, np.array([0, 20, 40, 60, 80, 100]) * 1_000_000)
    np.testing.assert_allclose(even.xyz[:, 0, 0], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0], atol=1e-12)
    np.testing.assert_allclose(even.std, 0.01)


def test_long_gaps_and_what_is_missing_stay_missing():
    stamps = np.array([0, 20, 320, 340, 380]) * 1_000_000
    even = evenly(markers(stamps, [0.0, 1.0, 2.0, NAN, 3.0]), 50.0)
    known = np.flatnonzero(~even.missing[:, 0])
    np.testing.assert_array_equal(known, [0, 1, 16, 19])
    assert len(even) == 20


def test_slow_cameras_are_interpolated_too():
    """Four images a second, 20 % off their places: no gap, though they are farther apart than `LONGEST_GAP`."""
    stamps = np.array([0, 300, 450, 800, 1000]) * 1_000_000
    even = evenly(markers(stamps, stamps / 1e9), 4.0)
    np.testing.assert_allclose(even.xyz[:, 0, 0], [0.0, 0.25, 0.5, 0.75, 1.0], atol=1e-12)


def test_a_single_frame_stays():
    even = evenly(markers(np.array([EPOCH]), [2.0]), 30.0, EPOCH - 1)
    assert even.stamps[0] == EPOCH
    assert even.xyz[0, 0, 0] == 2.0


def test_joints_are_resampled_alike():
    stamps = np.array([0, 40, 60]) * 1_000_000
    xyz = np.zeros((3, 17, 3))
    xyz[:, :, 1] = [[0.0], [4.0], [6.0]]
    xyz[2, 3] = NAN
    shown = np.isfinite(xyz).all(-1)
    sequence = PoseSequence(
        skeleton="h36m17",
        stamps=stamps,
        xyz=xyz,
        confidence=shown * 0.5,
        std=np.where(shown, 0.02, NAN),
        root_std=np.full((3, 3), 0.1),
        state=np.where(shown, JointState.LIFTED, JointState.MISSING).astype(np.uint8),
        person_confidence=np.full(3, 0.9),
    )
    even = evenly_posed(sequence, 50.0)
    np.testing.assert_allclose(even.xyz[:, 0, 1], [0.0, 2.0, 4.0, 6.0], atol=1e-12)
    np.testing.assert_array_equal(
        even.state[:, 0],
        [JointState.LIFTED, JointState.INTERPOLATED, JointState.LIFTED, JointState.LIFTED],
    )
    assert even.state[3, 3] == JointState.MISSING
    assert even.confidence[3, 3] == 0.0
    np.testing.assert_allclose(even.confidence[:, 0], 0.5)
    np.testing.assert_allclose(even.person_confidence, 0.9)


def test_what_is_even_and_what_is_not():
    assert expect_even(stamps_at(25.0, 50)) == 25.0
    assert expect_even(np.rint(stamps_at(60.0, 60) / 1e6).astype(np.int64) * 1_000_000) == 60.0
    uneven = stamps_at(25.0, 50)
    uneven[20:] += 8_000_000  # a fifth of a frame
    with pytest.raises(ValueError, match="at an even rate, but frame"):
        expect_even(uneven)


def test_stamps_that_span_an_age_are_refused():
    with pytest.raises(ValueError, match="stamps span 1000000000 s, more than 5000000 frames at 30 Hz"):
        even_stamps(np.array([0, 33_333_333, 10**18]), 30.0, 0)
    for wrong in (0.0, -1.0, NAN, float("inf")):
        with pytest.raises(ValueError, match="rate_hz must be positive"):
            even_stamps(np.array([0, 1]), wrong)
