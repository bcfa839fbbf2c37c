"""The 22 keypoint markers that Pose2Sim, OpenSim and marker augmentation work on, from one person's joints.

Joints become markers of the same place by name (`pose_core.conversion`), in a level frame with Y up. Small toes, which few
skeletons have, are placed beside the big ones. What was not seen stays missing unless it is asked for: `estimate_missing` mirrors
it from the other side of the body, `force_complete` fills all of it in. What is made up is counted in the metadata, and its
standard deviation says how much it is worth.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_core.conversion import Conversion, conversion
from pose_core.filtering.joint_errors import DRIFT
from pose_core.filtering.missing_joints import MissingJoints
from pose_core.markers import MarkerSequence, marker_name, world_from_camera
from pose_core.sequence import PoseSequence
from pose_core.skeleton import POSE2SIM22, SIDES, side
from pose_core.types import Array
from pose_core.units import S_PER_NS

MARKERS = tuple(marker_name(joint) for joint in POSE2SIM22.joints)
"""In the order in which Pose2Sim writes them."""

HIP, NECK = POSE2SIM22.indices("pelvis", "neck")
MIDDLES = {
    HIP: POSE2SIM22.indices("left_hip", "right_hip"),
    NECK: POSE2SIM22.indices("left_shoulder", "right_shoulder"),
}
"""Markers that are the mean of two others."""
SMALL_TOES = {
    POSE2SIM22.index(f"{name}_small_toe"): POSE2SIM22.indices(
        *(f"{name}_{part}" for part in ("big_toe", "heel", "ankle"))
    )
    for name in SIDES
}
"""Markers that are placed by big toe, heel and ankle."""

SMALL_TOE = (-0.042, 0.141, 0.022)
"""Small toe from big toe, in distances from heel to big toe: forward, outward, upward.

Where OpenSim's Rajagopal foot has the markers of Pose2Sim 0.10.49: heel, ankle and big toe of its BlazePose set (the big toe is
MediaPipe's foot index there), and the small toe of its HALPE_26 set. Forward is from heel to big toe, outward is square to the
plane of heel, big toe and ankle."""
SMALL_TOE_STD = 0.01
"""Metres, of that place on the foot of another person."""

RULE_STD = 0.02
"""Metres along one axis by which a rule of `pose_core.conversion` errs: 34 mm RMS of the crown over three axes."""

GUESS_STD = {
    "pelvis": 0.02,
    "hip": 0.04,
    "neck": 0.03,
    "shoulder": 0.05,
    "nose": 0.06,
    "head": 0.06,
    "knee": 0.15,
    "elbow": 0.12,
    "wrist": 0.25,
}
"""Metres along one axis by which a side mirrored from the other errs, by the joint's last word: RMS over a person who walks,
whose sides are never alike, with a whole limb hidden; see docs/markers.md. The head's are a convention."""
FOOT_STD = 0.3
"""The same of everything on the foot."""
AVERAGE_FACTOR = 1.5
"""An average person's attitude says less than the other side of the person, by this factor."""
FARTHEST = 0.4
"""Metres: no limb is farther from where it is expected."""
BLOCK = 4096
"""Frames that are worked on at a time where that takes much memory."""


class Way(enum.IntEnum):
    """Where a marker that was not seen comes from; the better way has the lower number."""

    SEEN = 0
    INTERPOLATED = 1
    """Between frames in which it was seen, about the Hip; held before the first and after the last."""
    MIRRORED = 2
    """From the other side of the body."""
    AVERAGE = 3
    """From the proportions of an average person who stands."""


@dataclass
class _Track:
    """Markers over time, in the order of `MARKERS`; what is missing is NaN in `xyz` and in `std`."""

    xyz: Array  # (T, 22, 3) metres
    std: Array  # (T, 22)
    way: Array  # (T, 22) uint8, Way; SEEN where it is missing

    @property
    def missing(self) -> Array:
        result: Array = ~np.isfinite(self.xyz).all(-1)
        return result

    def put(self, where: Array, xyz: Array, std: Array, way: Array | int) -> None:
        """Fill in what is missing `where` (T, 22)."""
        where = where & self.missing & np.isfinite(xyz).all(-1)
        self.xyz = np.where(where[..., None], xyz, self.xyz)
        self.std = np.where(where, std, self.std)
        self.way = np.where(where, way, self.way).astype(np.uint8)


def markers_of(
    sequence: PoseSequence,
    *,
    estimate_missing: bool = False,
    force_complete: bool = False,
    camera_pitch_deg: float = 0.0,
    camera_roll_deg: float = 0.0,
) -> MarkerSequence:
    """The 22 markers of a person in 3D: metres, X where the camera looks, Y up, Z right, about the camera.

    `estimate_missing`: a limb that is not seen is mirrored from the other side, where that is. `force_complete`: every marker is
    there in every frame, if shoulders and hips are ever seen together: between frames in which it is seen, mirrored, or as an
    average person has it, whichever errs least (`Way`). Deviations are those about the Hip, as those of the sequence; they grow
    with what is made up. Raises ValueError for a sequence in pixels, and for a camera's angles that are none.
    """
    if sequence.xyz.shape[2] != 3:
        raise ValueError("markers are made of joints in metres, this sequence is in pixels: lift it first")
    for name, angle in (("camera_pitch_deg", camera_pitch_deg), ("camera_roll_deg", camera_roll_deg)):
        if not abs(angle) <= 180.0:
            raise ValueError(f"{name} must lie between -180 and 180, got {angle}")
    R_world_camera = world_from_camera(camera_pitch_deg, camera_roll_deg)
    made = conversion(sequence.skeleton, POSE2SIM22.name)
    xyz, std = _converted(sequence, made)
    track = _Track(xyz @ R_world_camera.T, std, np.zeros(std.shape, np.uint8))
    sources = dict(zip(MARKERS, made.provenance, strict=True))
    for small, (big, heel, ankle) in SMALL_TOES.items():
        words = f"beside {MARKERS[big]}, by {MARKERS[heel]} and {MARKERS[ankle]}"
        sources[MARKERS[small]] = sources[MARKERS[small]] or words
    _derive(track)
    if force_complete:
        # Trunk first: limbs hang on it. The last round is for frames that only the one before made known.
        for columns in (TRUNK, ALL, ALL):
            _fill(track, columns, [_interpolated(track, sequence.stamps), *_guessed(track)])
    elif estimate_missing:
        _fill(track, ALL, _guessed(track)[:1])
    return MarkerSequence(
        MARKERS,
        sequence.stamps,
        track.xyz,
        track.std,
        sequence.person,
        dict(sequence.metadata)
        | {
            "skeleton": sequence.skeleton,
            "sources": sources,
            "camera_pitch_deg": float(camera_pitch_deg),
            "camera_roll_deg": float(camera_roll_deg),
            "frames_made_up": {
                way.name.lower(): {
                    MARKERS[i]: int(frames) for i, frames in enumerate((track.way == way).sum(0)) if frames
                }
                for way in list(Way)[1:]
            },
        },
    )


def _converted(sequence: PoseSequence, made: Conversion) -> tuple[Array, Array]:
    """Positions (T, 22, 3) and deviations (T, 22); independent errors of joints add up by their weights' squares."""
    xyz = np.empty((len(sequence), len(MARKERS), 3))
    for start in range(0, len(sequence), BLOCK):
        rows = slice(start, start + BLOCK)
        xyz[rows], _ = made.apply(sequence.xyz[rows], sequence.confidence[rows])
    weights = np.where(made.needs, made.matrix, 0.0) ** 2
    variance = np.nan_to_num(sequence.std, posinf=0.0) ** 2 @ weights.T
    unknown = ~np.isfinite(sequence.std) @ made.needs.T | ~np.isfinite(xyz).all(-1)
    std = np.sqrt(variance + np.where(made.exact, 0.0, RULE_STD) ** 2)
    return xyz, np.where(unknown, np.nan, std)


def _derive(track: _Track) -> None:
    """Small toes and middles that are missing, from the markers that define them."""
    for small, parts in SMALL_TOES.items():
        outward = 1.0 if side(POSE2SIM22.joints[small]) == "right" else -1.0
        big, heel, ankle = (track.xyz[:, i] for i in parts)
        std = _beside_std(big, heel, ankle, track.std[:, parts])
        _put_column(track, small, parts, _beside(big, heel, ankle, outward), std)
    for middle, parts in MIDDLES.items():
        std = np.sqrt((track.std[:, parts] ** 2).sum(1)) / 2.0
        _put_column(track, middle, parts, track.xyz[:, parts].mean(1), std)


def _put_column(track: _Track, column: int, parts: list[int], xyz: Array, std: Array) -> None:
    """Put a marker where it is missing; it is as good as the worst of the markers it is made of."""
    where = np.arange(len(MARKERS)) == column
    way = track.way[:, parts].max(1)
    track.put(np.broadcast_to(where, track.std.shape), xyz[:, None], std[:, None], way[:, None])


def _beside(toe: Array, heel: Array, ankle: Array, outward: float) -> Array:
    """(T, 3) small toes; NaN where heel, toe and ankle lie on a line. `outward`: 1 on the right foot, -1 on the left."""
    along = toe - heel
    across = np.cross(along, ankle - heel)  # to the right on both feet
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    width = np.linalg.norm(across, axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        along, across = along / length, across / width
    forward, out, up = SMALL_TOE
    offset = forward * along + outward * out * across + up * np.cross(across, along)
    return np.where(width > 0.0, toe + length * offset, np.nan)


def _beside_std(big: Array, heel: Array, ankle: Array, std: Array) -> Array:
    """(T,) deviations of small toes; `std` (T, 3) of big toe, heel and ankle.

    Outward is as uncertain as the attitude of the foot's plane: by the errors of ankle and heel over the ankle's distance from
    the line of heel and toe.
    """
    along = big - heel
    with np.errstate(divide="ignore", invalid="ignore"):
        length = np.linalg.norm(along, axis=-1)
        lever = np.linalg.norm(np.cross(along, ankle - heel), axis=-1) / length
        turn = np.minimum(1.0, np.hypot(std[:, 1], std[:, 2]) / lever)
    reach = math.hypot(*SMALL_TOE) * length
    result: Array = np.sqrt(std[:, 0] ** 2 + (reach * turn) ** 2 + SMALL_TOE_STD**2)
    return result


def _fill(track: _Track, columns: Array, candidates: Sequence[_Track]) -> None:
    """Fill in what is missing of `columns` (22,) bool, each marker from the candidate that errs least."""
    best = np.argmin([np.where(one.missing, np.inf, one.std) for one in candidates], axis=0)
    for number, one in enumerate(candidates):
        track.put((best == number) & columns, one.xyz, one.std, one.way)
    _derive(track)


def _guessed(track: _Track) -> tuple[_Track, _Track]:
    """What `MissingJoints` infers of each frame alone: where the other side is there, mirrored, and elsewhere."""
    inferred = np.full_like(track.xyz, np.nan)
    lacking = np.flatnonzero(track.missing.any(1))
    for start in range(0, len(lacking), BLOCK):
        rows = lacking[start : start + BLOCK]
        inferred[rows] = MISSING.fill(track.xyz[rows], np.ones(track.std[rows].shape)).positions
    flip = POSE2SIM22.flip
    mirrored = ~track.missing[:, flip] & (flip != np.arange(len(MARKERS)))
    std = np.broadcast_to(AVERAGE_FACTOR * GUESS, track.std.shape)
    return (
        _guess(inferred, np.hypot(np.nan_to_num(track.std[:, flip]), GUESS), mirrored, Way.MIRRORED),
        _guess(inferred, std, ~mirrored, Way.AVERAGE),
    )


def _guess(xyz: Array, std: Array, where: Array, way: Way) -> _Track:
    return _Track(
        np.where(where[..., None], xyz, np.nan),
        np.where(where, std, np.nan),
        np.full(where.shape, way, np.uint8),
    )


def _interpolated(track: _Track, stamps: Array) -> _Track:
    """Every marker in every frame, linearly between those in which it is there; about the Hip, which moves on its own.

    A deviation grows by `DRIFT` with the time from the nearest such frame. Missing throughout where the Hip, or the marker, is.
    """
    seconds = (stamps - stamps[0]) * S_PER_NS if len(stamps) else np.zeros(0)
    there = ~track.missing
    xyz, std = np.full_like(track.xyz, np.nan), np.full_like(track.std, np.nan)
    if there[:, HIP].any():
        hip = _between(seconds, there[:, HIP], track.xyz[:, HIP])
        for i in np.flatnonzero(there.any(0)):
            xyz[:, i] = hip + _between(seconds, there[:, i], track.xyz[:, i] - hip) if i != HIP else hip
            known = _between(seconds, there[:, i], np.nan_to_num(track.std[:, [i]]))[:, 0]
            away = np.minimum(FARTHEST, DRIFT * _apart(seconds, there[:, i]))
            std[:, i] = np.hypot(known, away)
    return _Track(xyz, std, np.full(std.shape, Way.INTERPOLATED, np.uint8))


def _between(seconds: Array, there: Array, values: Array) -> Array:
    """(T, D) linear between the rows that are `there`, constant beyond the first and the last."""
    columns = [np.interp(seconds, seconds[there], column[there]) for column in values.T]
    return np.stack(columns, -1)


def _apart(seconds: Array, there: Array) -> Array:
    """(T,) seconds to the nearest row that is `there`."""
    times = seconds[there]
    after = np.searchsorted(times, seconds).clip(max=len(times) - 1)
    before = (np.searchsorted(times, seconds, side="right") - 1).clip(min=0)
    result: Array = np.minimum(np.abs(times[after] - seconds), np.abs(seconds - times[before]))
    return result


MISSING = MissingJoints(POSE2SIM22.name)
ALL = np.ones(len(MARKERS), bool)
TRUNK = np.isin(np.arange(len(MARKERS)), [*MIDDLES, *itertools.chain(*MIDDLES.values())])
GUESS = np.array([GUESS_STD.get(joint.split("_")[-1], FOOT_STD) for joint in POSE2SIM22.joints])
"""(22,) metres; see `GUESS_STD`."""
