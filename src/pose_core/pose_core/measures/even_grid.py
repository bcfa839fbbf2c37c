"""Differences over time are taken on an even grid, so that those across a lost image do not count."""

from __future__ import annotations

import numpy as np

from pose_core.formats.rate import rate_of
from pose_core.types import Array
from pose_core.units import S_PER_NS

GRID_MAX = 2_000_000
"""Places of the grid: 18 hours at 30 Hz."""


def even_grid(stamps: Array, *tracks: Array) -> tuple[list[Array], float]:
    """The tracks (T, J, 3) on an even grid, missing where an image was lost, and its step in seconds.

    One frame alone, or a recording with gaps of days, has no differences: a single missing frame, and a second.
    """
    if len(stamps) >= 2:
        rate_hz = rate_of(stamps)
        places = np.rint((stamps - stamps[0]) * (S_PER_NS * rate_hz)).astype(np.int64)
        if places[-1] < GRID_MAX:
            grids = [np.full((int(places[-1]) + 1, *track.shape[1:]), np.nan) for track in tracks]
            for grid, track in zip(grids, tracks, strict=True):
                grid[places] = track
            return grids, 1.0 / rate_hz
    return [np.full((1, *track.shape[1:]), np.nan) for track in tracks], 1.0
