"""How good the recording of one person is, told without a truth: gaps, jitter, bones that change, ids that were lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pose_core.measures import metrics
from pose_core.measures.even_grid import even_grid
from pose_core.people import JointState
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS, Skeleton
from pose_core.types import Array
from pose_core.units import S_PER_NS

GAP_FRAMES = 1.5
"""Frame periods without the person that count as a gap."""
HANDOVER_S, HANDOVER_M = 2.0, 1.0
"""An id that appears so soon after another one vanished, and so near to it, is the same person."""


class Change(NamedTuple):
    """A figure of the people as lifted, and as refined; NaN where it cannot be told."""

    before: float
    after: float


class Gap(NamedTuple):
    """A time without the person, in seconds since the recording's start."""

    begin: float
    length: float


class JointQuality(NamedTuple):
    """One joint: shares of the frames in which the person is there."""

    joint: str
    missing: Change
    interpolated: float
    predicted: float


@dataclass(frozen=True)
class Quality:
    """How good one person's recording is. Shares are of 1; NaN where a figure cannot be told."""

    frames: int
    begin: float
    """Seconds since the recording's start, of the first frame."""
    seconds: float
    """From the first frame to the last."""
    seen: Change
    """Share of the frames in which any joint is known."""
    missing: Change
    """Share of the joints that are missing where the person is there."""
    interpolated: float
    """Share of the refined joints with this state; likewise the next two."""
    predicted: float
    swapped: float
    swaps: int
    """Times that left and right were exchanged back."""
    jitter: Change
    """m/s^3, of the joints about the root (`metrics.jitter`)."""
    root_jitter: Change
    """m/s^3, of the root."""
    bone_std: Change
    """Metres (`metrics.bone_length_std`)."""
    moved: float
    """Metres by which refining moved the joints, on average."""
    gaps: tuple[Gap, ...] = ()
    """Before refining."""
    joints: tuple[JointQuality, ...] = ()


@dataclass(frozen=True)
class IdChange:
    """Somebody who got another id."""

    seconds: float
    """Since the recording's start, when the new id appears."""
    before: str
    after: str
    metres: float
    """Between the last place of one and the first of the other."""


def quality_of(raw: PoseSequence, refined: PoseSequence, *, start: int | None = None) -> Quality:
    """How good a recording is before and after refining.

    Both are compared over the joints and frames that both have, so that filling gaps neither helps nor harms. Jitter is
    taken over whole runs of frames (`rate_of`). `start`: stamp of second 0, by default the first.
    Raises ValueError for another skeleton, and for pixels.
    """
    if raw.skeleton != refined.skeleton:
        raise ValueError(
            f"both recordings must have one skeleton, got '{raw.skeleton}' and '{refined.skeleton}'"
        )
    if raw.xyz.shape[2] != 3 or refined.xyz.shape[2] != 3:
        raise ValueError("quality is measured in 3D, this recording is in pixels")
    skeleton = SKELETONS.get(raw.skeleton)
    _, ours, theirs = np.intersect1d(raw.stamps, refined.stamps, return_indices=True)
    before, after = raw.xyz[ours], refined.xyz[theirs]
    common = np.isfinite(before).all(-1) & np.isfinite(after).all(-1)
    pair = [np.where(common[..., None], xyz, np.nan) for xyz in (before, after)]
    stamps = raw.stamps[ours]
    there = ~refined.missing
    swapped = (refined.state == JointState.SWAPPED) & there
    first = int(raw.stamps[0]) if len(raw) else 0
    origin = first if start is None else start
    return Quality(
        frames=len(raw),
        begin=(first - origin) * S_PER_NS,
        seconds=raw.duration,
        seen=Change(*(_share(~one.missing.all(1)) for one in (raw, refined))),
        missing=Change(*(_share(one.missing[~one.missing.all(1)]) for one in (raw, refined))),
        interpolated=_share((refined.state == JointState.INTERPOLATED)[there]),
        predicted=_share((refined.state == JointState.PREDICTED)[there]),
        swapped=_share(swapped[there]),
        swaps=_runs(swapped.any(1)),
        jitter=Change(*(_jitter(metrics.root_aligned(xyz, skeleton), stamps) for xyz in pair)),
        root_jitter=Change(*(_jitter(skeleton.root_of(xyz)[:, None], stamps) for xyz in pair)),
        bone_std=Change(*(_bone_std(xyz, skeleton) for xyz in pair)),
        moved=metrics.mpjpe(pair[1], pair[0], None),
        gaps=_gaps(raw, origin),
        joints=_joints(raw, refined, skeleton),
    )


def id_changes(people: Sequence[PoseSequence], *, start: int | None = None) -> list[IdChange]:
    """Who probably got another id: one vanishes, and another appears within 2 s and 1 m of the place.

    `people`: everybody of one recording. `start`: stamp of second 0, by default the first of all.
    """
    ends: list[tuple[int, Array, str]] = []
    begins: list[tuple[int, Array, str]] = []
    for one in people:
        root = SKELETONS.get(one.skeleton).root_of(one.xyz)
        known = np.flatnonzero(np.isfinite(root).all(-1))
        if known.size:
            begins.append((int(one.stamps[known[0]]), root[known[0]], one.person))
            ends.append((int(one.stamps[known[-1]]), root[known[-1]], one.person))
    origin = min((int(one.stamps[0]) for one in people if len(one)), default=0) if start is None else start
    found = []
    for stamp, place, person in begins:
        near = [
            (float(np.linalg.norm(place - last)), other)
            for end, last, other in ends
            if 0 < stamp - end <= HANDOVER_S / S_PER_NS and other != person
        ]
        if near and min(near)[0] <= HANDOVER_M:
            metres, other = min(near)
            found.append(IdChange((stamp - origin) * S_PER_NS, other, person, metres))
    return sorted(found, key=lambda change: change.seconds)


def _share(mask: Array) -> float:
    return float(mask.mean()) if mask.size else math.nan


def _runs(mask: Array) -> int:
    return int((np.diff(np.concatenate([[False], mask]).astype(np.int8)) == 1).sum())


def _jitter(xyz: Array, stamps: Array) -> float:
    (even,), step = even_grid(stamps, xyz)
    return metrics.jitter(even, step)


def _bone_std(xyz: Array, skeleton: Skeleton) -> float:
    return metrics.bone_length_std(xyz, skeleton) if len(xyz) > 1 else math.nan


def _gaps(raw: PoseSequence, start: int) -> tuple[Gap, ...]:
    if len(raw) < 2:
        return ()
    longest = GAP_FRAMES * float(np.median(np.diff(raw.stamps))) * S_PER_NS
    return tuple(Gap((a - start) * S_PER_NS, (b - a) * S_PER_NS) for a, b in raw.gaps(longest))


def _joints(raw: PoseSequence, refined: PoseSequence, skeleton: Skeleton) -> tuple[JointQuality, ...]:
    lifted, kept = (~one.missing.all(1) for one in (raw, refined))
    if not lifted.any() or not kept.any():
        return ()
    before, after = raw.missing[lifted].mean(0), refined.missing[kept].mean(0)
    states = refined.state[kept]
    filled = [(states == state).mean(0) for state in (JointState.INTERPOLATED, JointState.PREDICTED)]
    rows = zip(skeleton.joints, before.tolist(), after.tolist(), *(f.tolist() for f in filled), strict=True)
    return tuple(JointQuality(joint, Change(a, b), c, d) for joint, a, b, c, d in rows)
