"""Even rates: formats that state one number of frames per second, and recordings whose images came when they came."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pose_core.markers import MarkerSequence
from pose_core.people import JointState
from pose_core.sequence import PoseSequence
from pose_core.types import Array, Stamps
from pose_core.units import S_PER_NS

TOLERANCE = 0.05
"""Of a period: how far off its place in an even grid a frame may be and still count as that place's. Stamps rounded to whole
milliseconds are up to 0.5 ms off, which is this at 100 Hz."""
DRIFT = 0.02
"""Of a period: by how much a rounder rate may be off at the end of a recording."""
LONGEST_GAP = 0.2
"""Seconds between two frames over which motion is still taken for straight."""
NEIGHBOURS = 2.0 + 2.0 * TOLERANCE
"""Periods between two frames over which it always is: one lost image, however slow the camera."""
MOST_FRAMES = 5_000_000
"""A day at 50 Hz; a longer file is a mistake in stamps."""


def rate_of(stamps: Stamps) -> float:
    """Frames per second of a recording with stamps in ns, images that were lost not counted as slow ones.

    The slope of a straight line through the stamps over the places nearest to them, given the median step; of the rates that
    stay within `DRIFT` of that line the one with the fewest decimals, up to three. 1.0 for a single frame, which has none.
    Raises ValueError for no frame.
    """
    if not len(stamps):
        raise ValueError("a file needs at least one frame, got none")
    if len(stamps) == 1:
        return 1.0
    times = (stamps - stamps[0]) * S_PER_NS
    steps = np.diff(times)
    places = np.concatenate([[0.0], np.cumsum(np.maximum(np.rint(steps / np.median(steps)), 1.0))])
    centred = places - places.mean()
    rate = float(centred @ centred / (centred @ (times - times.mean())))
    for digits in range(4):
        rounded = round(rate, digits)
        if rounded > 0.0 and abs(rounded / rate - 1.0) * places[-1] <= DRIFT:
            return rounded
    return rate


def even_stamps(stamps: Stamps, rate_hz: float, origin: int | None = None) -> Array:
    """(N,) stamps at `rate_hz` from the first of `stamps` to the last, on the grid that starts at `origin` (ns).

    Without `origin` it starts at the first. A single stamp stays where it is. Raises ValueError for a rate that is none, no
    stamps, and more than `MOST_FRAMES`.
    """
    if not (rate_hz > 0.0 and math.isfinite(rate_hz)):
        raise ValueError(f"rate_hz must be positive, got {rate_hz}")
    if not len(stamps):
        raise ValueError("a file needs at least one frame, got none")
    if len(stamps) == 1:
        return stamps
    start = int(stamps[0]) if origin is None else origin
    places = (stamps[[0, -1]] - start) * (S_PER_NS * rate_hz)
    first, last = math.ceil(places[0] - TOLERANCE), math.floor(places[1] + TOLERANCE)
    if last - first >= MOST_FRAMES:
        raise ValueError(
            f"stamps span {(stamps[-1] - stamps[0]) * S_PER_NS:.0f} s, more than {MOST_FRAMES} frames at {rate_hz:g} Hz; "
            "look at the recording's stamps"
        )
    numbers = np.arange(first, max(last, first) + 1)
    result: Array = start + np.rint(numbers / (S_PER_NS * rate_hz)).astype(np.int64)
    return result


def evenly(
    markers: MarkerSequence,
    rate_hz: float | None = None,
    origin: int | None = None,
    longest_gap: float = LONGEST_GAP,
) -> MarkerSequence:
    """The markers at an even rate (by default `rate_of` their stamps) on the grid that starts at `origin` (by default the first).

    A frame that stands within `TOLERANCE` of a place is taken as it is. Other places get the straight line between the frames
    on both sides, and NaN where these are more than `longest_gap` seconds, and more than `NEIGHBOURS`, apart. What is missing
    stays missing. Raises ValueError as `even_stamps` does.
    """
    wanted, mix = _mix(markers.stamps, rate_hz, origin, longest_gap)
    return replace(markers, stamps=wanted, xyz=mix.of(markers.xyz), std=mix.of(markers.std))


def evenly_posed(
    sequence: PoseSequence,
    rate_hz: float | None = None,
    origin: int | None = None,
    longest_gap: float = LONGEST_GAP,
) -> PoseSequence:
    """The same for joints: a joint of a place between frames is INTERPOLATED."""
    wanted, mix = _mix(sequence.stamps, rate_hz, origin, longest_gap)
    xyz = mix.of(sequence.xyz)
    there = np.isfinite(xyz).all(-1)
    state = np.where(mix.exact[:, None], sequence.state[mix.nearest], JointState.INTERPOLATED)
    return replace(
        sequence,
        stamps=wanted,
        xyz=xyz,
        confidence=np.where(there, np.nan_to_num(mix.of(sequence.confidence)), 0.0),
        std=mix.of(sequence.std),
        root_std=mix.of(sequence.root_std),
        state=np.where(there, state, JointState.MISSING).astype(np.uint8),
        person_confidence=mix.of(sequence.person_confidence),
        covariance=None if sequence.covariance is None else sequence.covariance[mix.nearest],
    )


def expect_even(stamps: Stamps, rate_hz: float | None = None) -> float:
    """The rate of evenly spaced `stamps`. Raises ValueError for others, no frame, and a rate that is not theirs."""
    rate = rate_of(stamps)
    rate = rate if rate_hz is None else rate_hz
    if not (rate > 0.0 and math.isfinite(rate)):
        raise ValueError(f"rate_hz must be positive, got {rate_hz}")
    off = np.abs((stamps - stamps[0]) * (S_PER_NS * rate) - np.arange(len(stamps)))
    # twice: the first stamp may be early where another is late
    if off.max() > 2.0 * TOLERANCE:
        worst = int(np.argmax(off > 2.0 * TOLERANCE))
        raise ValueError(
            f"the format needs frames at an even rate, but frame {worst} is {off[worst]:.2f} frames off at {rate:g} Hz; "
            "resample with pose_core.formats.rate.evenly"
        )
    return rate


class _Mix:
    """How frames become those at other stamps; see `evenly`."""

    def __init__(self, stamps: Array, wanted: Array, period: float, longest_gap: float) -> None:
        place = np.searchsorted(stamps, wanted)
        self._after = np.minimum(place, len(stamps) - 1)
        self._before = np.maximum(place - 1, 0)
        to_after, to_before = stamps[self._after] - wanted, wanted - stamps[self._before]
        self.nearest = np.where(np.abs(to_after) <= np.abs(to_before), self._after, self._before)
        """(N,) the frame nearest to each wanted stamp."""
        self.exact = np.abs(stamps[self.nearest] - wanted) * S_PER_NS <= TOLERANCE * period
        """(N,) whether it stands there."""
        span = stamps[self._after] - stamps[self._before]
        near = span * S_PER_NS <= max(longest_gap, NEIGHBOURS * period)
        self._between = (span > 0) & (to_after >= 0) & (to_before >= 0) & near
        self._weight = to_before / np.maximum(span, 1)

    def of(self, values: Array) -> Array:
        """(N, ...) from `values` (T, ...)."""
        shape = (-1, *[1] * (values.ndim - 1))
        weight, between, exact = (part.reshape(shape) for part in (self._weight, self._between, self.exact))
        line = (1.0 - weight) * values[self._before] + weight * values[self._after]
        return np.where(exact, values[self.nearest], np.where(between, line, np.nan))


def _mix(stamps: Stamps, rate_hz: float | None, origin: int | None, longest_gap: float) -> tuple[Array, _Mix]:
    """The stamps of an even grid (N,), and how frames at `stamps` become those there."""
    rate = rate_of(stamps) if rate_hz is None else rate_hz
    wanted = even_stamps(stamps, rate, origin)
    return wanted, _Mix(stamps, wanted, 1.0 / rate, longest_gap)
