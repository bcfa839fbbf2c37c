"""What figures and reports show of joint angles over time: groups, ranges, runs of doubtful frames. No drawing.

Which angles form a group is passed in, or read from their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pose_core.angles import AngleFlag, AngleSequence
from pose_core.units import S_PER_NS

Grouping = Mapping[str, Sequence[tuple[str, str]]]
"""Groups of angles by name (`right_knee`): the angles' names and what to call each of them within the group."""

SIDES = ("right", "left")

SPAN_DEG = 20.0
"""Least height of a panel, so that the noise of a joint at rest does not look like motion."""
HEADROOM = 0.06
BAND_PERCENT = 95.0
"""Share of a panel's trusted bands, in percent, that its height makes room for: a wild one does not flatten the curve."""
GAP = 0.2
"""Seconds without a frame over which no curve is drawn."""
JUMP_DEG = 150.0
"""Degrees between two frames that are no motion: the angle counts from another side."""
MERGED = 1.0 / 400.0
"""Share of the whole time: what is closer together is marked as one."""


@dataclass(frozen=True)
class Summary:
    """What a curve comes to, over the frames in which the angle is valid; NaN where there are none."""

    low_deg: float
    high_deg: float
    std_deg: float
    """Median of the stated standard deviations."""
    valid: float
    """Share of all frames."""


def grouping_of(names: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Groups by the first words of the angles' names, in order: `right_knee_flexion` is the flexion of `right_knee`."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        words = name.split("_")
        cut = 2 if words[0] in SIDES else 1
        groups.setdefault("_".join(words[:cut]), []).append((name, " ".join(words[cut:]) or name))
    return groups


def summary_of(angles: AngleSequence, name: str) -> Summary:
    """Range of one angle where it is valid."""
    column = angles.names.index(name)
    degrees = np.degrees(angles.of(name))
    good = np.isfinite(degrees) & (angles.flags[:, column] == AngleFlag.VALID)
    if not good.any():
        return Summary(np.nan, np.nan, np.nan, 0.0)
    std = np.degrees(angles.std[good, column])
    known = std[np.isfinite(std)]
    return Summary(
        float(degrees[good].min()),
        float(degrees[good].max()),
        float(np.median(known)) if known.size else np.nan,
        float(good.mean()),
    )


def seconds_of(angles: AngleSequence, start: int | None = None) -> np.ndarray:
    """(T,) seconds since the stamp `start`, by default the first."""
    if not len(angles):
        return np.empty(0)
    return (angles.stamps - (angles.stamps[0] if start is None else start)) * S_PER_NS


def shown(angles: AngleSequence, name: str, seconds: np.ndarray, pieces: int) -> np.ndarray:
    """(3, K) seconds, degrees and standard deviation of a curve of at most some `pieces`, NaN where it must not be joined.

    That is in the middle of `gaps_of` the recording, and where the angle jumps.
    """
    column = angles.names.index(name)
    degrees, std = np.degrees(angles.angle[:, column]), np.degrees(angles.std[:, column])
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.diff(degrees)) > JUMP_DEG
    apart[gaps_of(seconds)] = True
    breaks = np.flatnonzero(apart)
    frames = np.union1d(thinned(angles.angle[:, column], pieces), np.concatenate([breaks, breaks + 1]))
    curve = np.stack([seconds, degrees, std])[:, frames.astype(np.intp)]
    middle = (seconds[breaks] + seconds[breaks + 1]) / 2.0
    nothing = np.full(len(breaks), np.nan)
    return np.insert(curve, np.searchsorted(curve[0], middle), np.stack([middle, nothing, nothing]), axis=1)


def gaps_of(seconds: np.ndarray) -> np.ndarray:
    """Frames after which a recording has none for `GAP` seconds, or for three times as long as usually."""
    steps = np.diff(seconds)
    if not len(steps):
        return np.empty(0, np.intp)
    return np.flatnonzero(steps > max(GAP, 3.0 * float(np.median(steps))))


def stretches(marked: np.ndarray, seconds: np.ndarray, merged: float = 0.0) -> list[tuple[float, float]]:
    """Begin and length (s) of each run of frames in the (T,) mask `marked`; a frame reaches halfway to its neighbours.

    Runs that are at most `merged` seconds apart are one.
    """
    if not marked.any():
        return []
    middle = (seconds[1:] + seconds[:-1]) / 2.0
    starts, ends = np.concatenate([seconds[:1], middle]), np.concatenate([middle, seconds[-1:]])
    change = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    runs = [(float(starts[a]), float(ends[b - 1])) for a, b in change.reshape(-1, 2).tolist()]
    joined = [runs[0]]
    for begin, end in runs[1:]:
        if begin - joined[-1][1] <= merged:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return [(begin, end - begin) for begin, end in joined]


def thinned(values: np.ndarray, pieces: int) -> np.ndarray:
    """Frames (K,) that show what all (T,) do: the lowest and highest of each of `pieces` parts, and one that is NaN if any is."""
    if len(values) <= 3 * pieces:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), pieces + 1).astype(np.intp)
    unknown = np.isnan(values)
    lowest, highest = np.where(unknown, np.inf, values), np.where(unknown, -np.inf, values)
    kept = [
        begin + part[begin:end].argmin()
        for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        for part in (lowest, -highest, np.where(unknown, 0.0, 1.0))
    ]
    return np.unique([0, *kept, len(values) - 1])


def flagged(angles: AngleSequence, name: str, reason: AngleFlag) -> np.ndarray:
    """(T,) whether an angle is not to be trusted for this reason; a NaN without a flag counts as a missing joint."""
    column = angles.names.index(name)
    flags = angles.flags[:, column]
    mask = (flags & reason) != 0
    if reason is AngleFlag.JOINT_MISSING:
        mask |= (flags == AngleFlag.VALID) & ~np.isfinite(angles.angle[:, column])
    return mask


def title_of(group: str) -> str:
    """A group's name as a heading: `right_knee` -> `Right knee`."""
    return group.replace("_", " ").capitalize()


def limits_deg(angles: AngleSequence, names: Sequence[str]) -> tuple[float, float]:
    """Lowest and highest degrees of a panel: room for the curves, and for most of the bands where they are trusted."""
    columns = [angles.names.index(name) for name in names]
    degrees, std = np.degrees(angles.angle[:, columns]), np.degrees(angles.std[:, columns])
    if not np.isfinite(degrees).any():
        return -SPAN_DEG / 2.0, SPAN_DEG / 2.0
    known = np.isfinite(degrees + std) & (angles.flags[:, columns] == AngleFlag.VALID)
    low, high = float(np.nanmin(degrees)), float(np.nanmax(degrees))
    if known.any():
        low = min(low, float(np.percentile((degrees - std)[known], 100.0 - BAND_PERCENT)))
        high = max(high, float(np.percentile((degrees + std)[known], BAND_PERCENT)))
    middle, span = (low + high) / 2.0, max((high - low) * (1.0 + 2.0 * HEADROOM), SPAN_DEG)
    return middle - span / 2.0, middle + span / 2.0
