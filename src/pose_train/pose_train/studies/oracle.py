"""What `pose_biomechanics.angles` must say of bodies whose angles are known, and how far off it is.

The bodies are those of `pose_train.studies.segment_chain`. Angles are taken from the rotations of their segments by formulas
that stand here, so that nothing of the solver checks itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pose_biomechanics import isb
from pose_biomechanics.angles import AngleOptions, AngleSolver, angles_of_markers
from pose_core.angles import AngleSequence
from pose_core.markers import MarkerSequence
from pose_core.people import JointState, Person3D
from pose_core.skeleton import SKELETONS
from pose_core.units import NS_PER_S
from pose_train.studies.segment_chain import (
    LIFELIKE,
    MARKERS,
    PLAIN,
    RANGES,
    Body,
    Placed,
    Values,
    in_camera,
    place,
)

MARKER_SET = "markers"
"""Stands for all markers where others are skeletons."""
SKELETONS_KNOWN = ("pose2sim22", "mediapipe33", "h36m17", "coco17")

Fixed = Mapping[str, float | tuple[float, float]]
"""Coordinates that have one value, or another range than their own."""

BODIES = 200
"""Of which the oracle asks each angle."""
BENT: Fixed = {
    "lumbar_extension": 0.0,
    **{f"knee_angle_{side}": (30.0, 120.0) for side in "rl"},
    **{f"elbow_flex_{side}": (30.0, 150.0) for side in "rl"},
}
"""Bodies of which joints tell all that they can tell."""

STEP = NS_PER_S // 30
STD = 0.01
"""Metres, stated for every joint and marker."""


@dataclass(frozen=True)
class Turn:
    """A segment against another (or the world, ""): the order of its three turns, and the signs that make angles of them."""

    parent: str
    child: str
    sequence: str
    signs: tuple[float, float, float]
    angles: tuple[str, str, str]

    def on(self, side: str) -> Turn:
        """The same with `{}` filled in."""
        first, second, third = (name.format(side) for name in self.angles)
        return replace(
            self,
            parent=self.parent.format(side),
            child=self.child.format(side),
            angles=(first, second, third),
        )


_LIMBS = (
    Turn(
        "pelvis",
        "{}_femur",
        "ZXY",
        (1.0, -1.0, 1.0),
        ("{}_hip_flexion", "{}_hip_abduction", "{}_hip_internal_rotation"),
    ),
    Turn(
        "{}_femur",
        "{}_tibia",
        "ZXY",
        (-1.0, -1.0, 1.0),
        ("{}_knee_flexion", "{}_knee_abduction", "{}_knee_internal_rotation"),
    ),
    Turn(
        "{}_tibia",
        "{}_foot",
        "ZXY",
        (1.0, -1.0, 1.0),
        ("{}_ankle_dorsiflexion", "{}_ankle_eversion", "{}_ankle_internal_rotation"),
    ),
    Turn(
        "thorax",
        "{}_humerus",
        "ZXY",
        (1.0, -1.0, 1.0),
        ("{}_shoulder_flexion", "{}_shoulder_abduction", "{}_shoulder_internal_rotation"),
    ),
    Turn(
        "thorax",
        "{}_humerus",
        "YXY",
        (1.0, -1.0, 1.0),
        ("{}_shoulder_plane_of_elevation", "{}_shoulder_elevation", "{}_shoulder_axial_rotation"),
    ),
    Turn(
        "{}_humerus",
        "{}_forearm",
        "ZXY",
        (1.0, -1.0, 1.0),
        ("{}_elbow_flexion", "{}_elbow_abduction", "{}_elbow_pronation"),
    ),
)
TURNS = (
    Turn(
        "",
        "pelvis",
        "ZXY",
        (-1.0, 1.0, 1.0),
        ("pelvis_anterior_tilt", "pelvis_right_drop", "pelvis_left_rotation"),
    ),
    Turn(
        "pelvis",
        "thorax",
        "ZXY",
        (-1.0, 1.0, 1.0),
        ("trunk_flexion", "trunk_right_bending", "trunk_left_rotation"),
    ),
    *(turn.on(side) for side in ("right", "left") for turn in _LIMBS),
)
"""All groups of angles, and the shoulders' second sequence: signs are written down here once more, from the papers."""


def turns_of(rotation: np.ndarray, sequence: str) -> np.ndarray:
    """(..., 3) degrees of the three turns in a row that make a rotation (..., 3, 3).

    The middle one is within 90 degrees of 0, and of Y-X-Y from -180 to 0. Written out from the product of the three matrices,
    R = Rz(a) Rx(b) Ry(c) and its like. Raises ValueError for other sequences.
    """
    R = np.moveaxis(rotation, (-2, -1), (0, 1))
    if sequence == "ZXY":
        angles = (
            np.arctan2(-R[0, 1], R[1, 1]),
            np.arcsin(np.clip(R[2, 1], -1.0, 1.0)),
            np.arctan2(-R[2, 0], R[2, 2]),
        )
    elif sequence == "YXZ":
        angles = (
            np.arctan2(R[0, 2], R[2, 2]),
            np.arcsin(np.clip(-R[1, 2], -1.0, 1.0)),
            np.arctan2(R[1, 0], R[1, 1]),
        )
    elif sequence == "YXY":
        angles = (
            np.arctan2(-R[0, 1], -R[2, 1]),
            -np.arccos(np.clip(R[1, 1], -1.0, 1.0)),
            np.arctan2(-R[1, 0], R[1, 2]),
        )
    else:
        raise ValueError(f"sequence must be ZXY, YXZ or YXY, got {sequence}")
    return np.degrees(np.stack(angles, -1))


def expected(placed: Placed, pelvis_sequence: str = AngleOptions.pelvis_sequence) -> dict[str, np.ndarray]:
    """(...) degrees by the names of `pose_biomechanics.isb`, one of the equal ways to say each rotation."""
    found = {}
    for turn in TURNS:
        rotation = placed.relative(turn.parent, turn.child) if turn.parent else placed.rotation[turn.child]
        sequence = turn.sequence if turn.parent else pelvis_sequence
        if turn.child.startswith("left"):
            mirror = np.diag([1.0, 1.0, -1.0])
            rotation = mirror @ rotation @ mirror
        degrees = turns_of(rotation, sequence)
        if sequence == "YXZ":
            degrees = degrees[..., ::-1]
        for name, value in zip(turn.angles, np.moveaxis(degrees * turn.signs, -1, 0), strict=True):
            found[name] = value
    return found


def errors(found: Mapping[str, np.ndarray], true: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """(...) degrees by which angles differ, NaN where one is not found.

    Of the two ways to say a rotation either will do for a shoulder. No other joint has a middle angle of more than 90 degrees.
    """
    differences: dict[str, np.ndarray] = {}
    for turn in TURNS:
        proper = turn.sequence == "YXY"
        truth = np.stack([true[name] for name in turn.angles], -1)
        value = np.stack([found[name] for name in turn.angles], -1)
        best = np.abs(wrapped(value - truth))
        if "shoulder" in turn.angles[0]:
            # (a, b, c) is (a + 180, 180 - b, c + 180), and where the first axis comes again (a + 180, -b, c + 180).
            other = truth * (1.0, -1.0, 1.0) + (180.0, 0.0 if proper else 180.0, 180.0)
            ways = [best, np.abs(wrapped(value - other))]
            worst = [np.nan_to_num(way).max(-1, keepdims=True) for way in ways]
            best = np.where(worst[0] <= worst[1], *ways)
        differences |= dict(zip(turn.angles, np.moveaxis(best, -1, 0), strict=True))
    return differences


def wrapped(degrees: np.ndarray) -> np.ndarray:
    """The same angles from -180 to 180."""
    return np.mod(degrees + 180.0, 360.0) - 180.0


def solved(
    placed: Placed, seen: str, options: AngleOptions | None = None, *, streaming: bool = False
) -> AngleSequence:
    """What the solver says of N bodies, each by itself, or as the frames of one (`streaming`).

    `seen`: a skeleton, or `MARKER_SET`.
    """
    options = options or AngleOptions()
    if seen == MARKER_SET:
        xyz = placed.markers()
        if streaming:
            return angles_of_markers(marker_sequence(xyz), options)
        parts = [angles_of_markers(marker_sequence(one[None]), options) for one in xyz]
        arrays = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("angle", "std", "flags")
        }
        return AngleSequence(isb.NAMES, stamps(len(xyz)), **arrays, pelvis_sequence=options.pelvis_sequence)
    solver = AngleSolver(SKELETONS.get(seen), options)
    rows = []
    for stamp, xyz in zip(stamps(len(placed.origin["pelvis"])), in_camera(placed.joints(seen)), strict=True):
        if not streaming:
            solver.reset()
        rows.append(solver.solve(person(xyz), int(stamp)))
    arrays = {name: np.stack([getattr(row, name) for row in rows]) for name in ("angle", "std", "flags")}
    return AngleSequence(isb.NAMES, stamps(len(rows)), **arrays, pelvis_sequence=options.pelvis_sequence)


def degrees(sequence: AngleSequence) -> dict[str, np.ndarray]:
    """(T,) by name."""
    return {name: np.degrees(sequence.of(name)) for name in sequence.names}


def person(xyz: np.ndarray, std: float = STD) -> Person3D:
    """Somebody with these joints (J, 3); NaN is missing."""
    missing = np.isnan(xyz).any(-1)
    return Person3D(
        id="p1",
        confidence=1.0,
        xyz=xyz,
        std=np.where(missing, np.nan, std),
        root_std=np.full(3, std),
        joint_confidence=np.where(missing, 0.0, 1.0),
        state=np.where(missing, JointState.MISSING, JointState.MEASURED).astype(np.uint8),
    )


def marker_sequence(xyz: np.ndarray) -> MarkerSequence:
    """Markers (T, M, 3) in the order of `MARKERS`."""
    return MarkerSequence(tuple(MARKERS), stamps(len(xyz)), xyz, np.full(xyz.shape[:2], STD))


def stamps(count: int) -> np.ndarray:
    """(T,) ns, 30 a second."""
    return NS_PER_S + STEP * np.arange(count)


def sampled(count: int, random: np.random.Generator, fixed: Fixed | None = None) -> dict[str, np.ndarray]:
    """(count,) values of every coordinate, even over its range or what `fixed` says."""
    values = {}
    for name, limits in RANGES.items():
        low, high = _limits((fixed or {}).get(name, limits))
        values[name] = random.uniform(low, high, count)
    return values


def _limits(limits: float | Sequence[float]) -> tuple[float, float]:
    return (limits, limits) if isinstance(limits, (int, float)) else (limits[0], limits[1])


def pooled(name: str) -> str:
    """The angle without its side."""
    return name.removeprefix("right_").removeprefix("left_")


def kinds() -> list[str]:
    """All angles without their sides, in order."""
    return list(dict.fromkeys(pooled(name) for name in isb.NAMES))


def recovery(seen: str, body: Body, fixed: Fixed | None = None, seed: int = 0) -> dict[str, float]:
    """Largest error in degrees of each kind of angle over `BODIES` random bodies; NaN where it is never known.

    `seen`: a skeleton, or `MARKER_SET`.
    """
    values = sampled(BODIES, np.random.default_rng(seed), fixed)
    placed = place(values, body)
    found = errors(degrees(solved(placed, seen)), expected(placed))
    worst: dict[str, float] = dict.fromkeys(kinds(), math.nan)
    for name, error in found.items():
        if np.isfinite(error).any():
            worst[pooled(name)] = float(np.nanmax([worst[pooled(name)], np.nanmax(error)]))
    return worst


@dataclass(frozen=True)
class Leak:
    """A way in which real bodies differ from what joints alone can tell."""

    cause: str
    values: Values
    body: Body
    per: float
    """Degrees of the cause; errors are stated for each of them."""


LEAKS = (
    Leak("trunk flexion, about the hips", {"lumbar_extension": -30.0}, PLAIN, 30.0),
    Leak(
        "trunk flexion, 12 cm above the hips",
        {"lumbar_extension": -30.0},
        replace(PLAIN, lumbar=LIFELIKE.lumbar),
        30.0,
    ),
    Leak(
        "trunk bending to the side, 12 cm above the hips",
        {"lumbar_bending": 20.0},
        replace(PLAIN, lumbar=(0.0, *LIFELIKE.lumbar[1:])),
        20.0,
    ),
    Leak(
        "knee rotating inwards under the thigh, bent by 60°",
        {},
        replace(PLAIN, knee_rotation=10.0 / math.sin(math.radians(60.0))),
        10.0,
    ),
    Leak(
        "knee abducted under the thigh, bent by 60°",
        {},
        replace(PLAIN, knee_abduction=5.0 / math.sin(math.radians(60.0))),
        5.0,
    ),
    Leak("forearm abducted (carrying angle), elbow bent by 60°", {}, replace(PLAIN, carrying=10.0), 10.0),
    Leak("foot pointing outwards", {}, replace(PLAIN, toe_out=7.0), 7.0),
)
RAISED: Values = {
    **{f"{name}_{side}": 60.0 for name in ("knee_angle", "elbow_flex") for side in "rl"},
    **{f"arm_add_{side}": -45.0 for side in "rl"},
}
"""How bodies are held while something leaks: no angle is near its singularity."""
LEAST_LEAK = 0.02
"""Degrees per degree below which a leak is not worth a row."""


def leaks(seen: str) -> dict[tuple[str, str], float]:
    """By cause and kind of angle: degrees of error for each degree of the cause, right side."""
    found = {}
    for leak in LEAKS:
        values = {name: np.array([value]) for name, value in {**RAISED, **leak.values}.items()}
        placed = place(values, leak.body)
        true, said = expected(placed), degrees(solved(placed, seen))
        for name in isb.NAMES:
            if not name.startswith("left_"):
                found[leak.cause, pooled(name)] = float(wrapped(said[name] - true[name])[0]) / leak.per
    return found
