"""Segment frames of a body, X forward, Y up, Z right: from ISB's markers where there are any, from joints otherwise.

`DEFINITIONS` says which line gives the first axis of a segment and which the second; `docs/angles.md` says what that
means. A limb of which only joints are known has no lateral axis of its own: the plane in which it is bent gives it. A
straight limb has none, and carries the last one along.

Arrays here have the coordinates first and the frames of a sequence last: (3, ..., T).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pose_core.markers import marker_name
from pose_core.skeleton import POSE2SIM22, Skeleton
from pose_core.types import Array

AXES = "XYZ"

MARKER_JOINTS: Mapping[str, str] = {marker_name(joint): joint for joint in POSE2SIM22.joints}
"""The joints of pose2sim22 by the names of their markers: RKnee is right_knee."""


@dataclass(frozen=True)
class Definition:
    """How a segment's frame is made, for the right side; lines go from one point to another, `a + b` is the mean of both.

    The first axis lies along its line. The second lies in the plane of both lines, square to the first.
    """

    first: str
    """Axis, X, Y or Z."""
    along: str
    second: str = ""
    """Another axis; none where only the first is known."""
    towards: str = ""
    """Its line, or empty: Z is square to the plane in which the limb is bent."""

    @property
    def bent(self) -> bool:
        """Whether the second axis comes from the bend of the limb."""
        return bool(self.second) and not self.towards


HIPS = "left_hip + right_hip"

DEFINITIONS: Mapping[str, tuple[Definition, ...]] = {
    "pelvis": (
        Definition(
            "Z",
            "L.ASIS_study -> r.ASIS_study",
            "X",
            "r.PSIS_study + L.PSIS_study -> r.ASIS_study + L.ASIS_study",
        ),
        Definition("Z", "left_hip -> right_hip", "Y", f"{HIPS} -> spine"),
        Definition("Z", "left_hip -> right_hip", "Y", f"{HIPS} -> left_shoulder + right_shoulder"),
    ),
    "thorax": (
        Definition(
            "Y",
            "RHJC_study + LHJC_study -> r_shoulder_study + L_shoulder_study",
            "Z",
            "L_shoulder_study -> r_shoulder_study",
        ),
        Definition("Y", "spine -> spine4", "Z", "left_shoulder -> right_shoulder"),
        Definition("Y", "spine -> neck", "Z", "left_shoulder -> right_shoulder"),
        Definition("Y", f"{HIPS} -> left_shoulder + right_shoulder", "Z", "left_shoulder -> right_shoulder"),
    ),
    "right_femur": (
        Definition("Y", "r_knee_study + r_mknee_study -> RHJC_study", "Z", "r_mknee_study -> r_knee_study"),
        Definition("Y", "right_knee -> right_hip", "Z"),
    ),
    # For the knee, after Grood and Suntay: the long axis is the tibia's own.
    "right_tibia": (
        Definition(
            "Y",
            "r_ankle_study + r_mankle_study -> r_knee_study + r_mknee_study",
            "Z",
            "r_mankle_study -> r_ankle_study",
        ),
        Definition("Y", "right_ankle -> right_knee", "Z"),
    ),
    # For the ankle, after Wu et al. 2002: the lateral axis runs through both malleoli.
    "right_tibia_fibula": (
        Definition(
            "Z",
            "r_mankle_study -> r_ankle_study",
            "Y",
            "r_ankle_study + r_mankle_study -> r_knee_study + r_mknee_study",
        ),
        Definition("Y", "right_ankle -> right_knee", "Z"),
    ),
    "right_foot": (
        Definition("X", "r_calc_study -> r_toe_study", "Z", "r_toe_study -> r_5meta_study"),
        Definition(
            "X",
            "right_heel -> right_big_toe + right_small_toe",
            "Z",
            "right_big_toe -> right_small_toe",
        ),
        Definition("X", "right_heel -> right_foot_index", "Y", "right_heel -> right_ankle"),
    ),
    "right_humerus": (
        Definition(
            "Y", "r_lelbow_study + r_melbow_study -> right_shoulder", "Z", "r_melbow_study -> r_lelbow_study"
        ),
        Definition("Y", "right_elbow -> right_shoulder", "Z"),
    ),
    "right_forearm": (
        Definition(
            "Y", "r_mwrist_study -> r_lelbow_study + r_melbow_study", "Z", "r_mwrist_study -> r_lwrist_study"
        ),
        Definition("Y", "right_wrist -> right_elbow", "Z", "right_pinky -> right_index"),
        Definition("Y", "right_wrist -> right_elbow"),
    ),
}
"""Of each segment, the first definition whose points are all known counts. Those of the left follow."""

LIMBS: Mapping[str, tuple[str, str, float, str]] = {
    "{}_leg": ("{}_femur", "{}_tibia", -1.0, "pelvis"),
    "{}_arm": ("{}_humerus", "{}_forearm", 1.0, "thorax"),
}
"""Upper segment, lower segment, on which side of the lateral axis the limb bends, and the segment that carries it."""


def _on_the_left(definition: Definition) -> Definition:
    """The definition for the other side of the body, whose Z still points to the right."""

    def line(axis: str, text: str) -> str:
        for right, left in (("right_", "left_"), ("RHJC", "LHJC"), ("r.", "L."), ("r_", "L_")):
            text = " ".join(
                left + word[len(right) :] if word.startswith(right) else word for word in text.split(" ")
            )
        start, arrow, end = text.partition(" -> ")
        return f"{end}{arrow}{start}" if axis == "Z" else text

    return Definition(
        definition.first,
        line(definition.first, definition.along),
        definition.second,
        line(definition.second, definition.towards),
    )


def _all_sides() -> dict[str, tuple[Definition, ...]]:
    every: dict[str, tuple[Definition, ...]] = {}
    for segment, definitions in DEFINITIONS.items():
        every[segment] = definitions
        if segment.startswith("right_"):
            every[segment.replace("right_", "left_")] = tuple(_on_the_left(one) for one in definitions)
    return every


ALL_DEFINITIONS: Mapping[str, tuple[Definition, ...]] = _all_sides()
SEGMENTS: tuple[str, ...] = tuple(ALL_DEFINITIONS)
"""Pelvis and thorax first: the limbs hang on them."""
WORLD = len(SEGMENTS)
"""Row of the laboratory, behind those of the segments."""
CARRYING, CARRIED = slice(0, 2), slice(2, WORLD)
"""Rows of pelvis and thorax, and of the limbs."""
UNKNOWN = Definition("Y", "")
OPPOSITE = 1e-12
"""1 plus the cosine of the angle between two directions, below which they are opposite."""

_LIMB_ROWS: tuple[tuple[int, int, float, int], ...] = tuple(
    (
        SEGMENTS.index(upper.format(one)),
        SEGMENTS.index(lower.format(one)),
        bend,
        SEGMENTS.index(carrier),
    )
    for upper, lower, bend, carrier in LIMBS.values()
    for one in ("right", "left")
)
UPPER = np.array([upper for upper, _, _, _ in _LIMB_ROWS])
LOWER = np.array([lower for _, lower, _, _ in _LIMB_ROWS])
BEND = np.array([bend for _, _, bend, _ in _LIMB_ROWS])[:, None]
CARRIER = np.array([carrier for _, _, _, carrier in _LIMB_ROWS])
_EARLY = np.concatenate([np.arange(2), UPPER])
_EARLY_TOO = np.concatenate([WORLD + np.arange(2), LOWER])
"""Rows of `Anatomy.lines` between which normals are known before any limb's bend: of pelvis and thorax, and of the limbs."""
LEGS = slice(0, 2)
SHANKS = [SEGMENTS.index(f"{one}_tibia_fibula") for one in ("right", "left")]
FEET = [SEGMENTS.index(f"{one}_foot") for one in ("right", "left")]


def limb_of(segment: str) -> int:
    """Row in the limbs (right leg, left leg, right arm, left arm) of the one that a segment of them is part of."""
    row = SEGMENTS.index(segment.removesuffix("_fibula"))
    return next(limb for limb, (upper, lower, _, _) in enumerate(_LIMB_ROWS) if row in (upper, lower))


class Anatomy:
    """Which lines between N points make the frames of the S segments."""

    def __init__(self, points: Mapping[str, Array], count: int) -> None:
        """`points`: by name, the weights (N,) with which the `count` points that are given make it."""
        self.definitions = tuple(
            next((one for one in ALL_DEFINITIONS[segment] if _points(one) <= points.keys()), UNKNOWN)
            for segment in SEGMENTS
        )
        """Of each segment; `UNKNOWN` where no points make it."""
        rows = (*self.definitions, UNKNOWN)
        first = np.array([AXES.index(one.first) for one in rows])
        second = np.array([AXES.index(one.second or "Z") for one in rows])
        self.order = np.stack([first, second, 3 - first - second])
        """(3, S + 1) numbers of the axes that are first, second, and square to both."""
        self.parity = np.where((second - first) % 3 == 1, 1.0, -1.0)[:, None]
        """(S + 1, 1) 1 where first, second and third follow each other as X, Y and Z do."""
        self.lines = np.zeros((2 * WORLD + 1, count))
        """(2 S + 1, N) weights of the points in each segment's first line, then in each second line; the last row is zero."""
        for row, one in enumerate(self.definitions):
            for line, text in ((row, one.along), (WORLD + row, one.towards)):
                if text:
                    start, end = (np.mean([points[name] for name in names], 0) for names in _ends(text))
                    self.lines[line] = end - start
        bent = [one is not UNKNOWN and not one.towards for one in self.definitions]
        self.in_limb = np.flatnonzero(bent)
        """(L,) segments whose second axis is told by the bend of a limb."""
        self.limb = np.full(WORLD + 1, -1)
        self.limb[self.in_limb] = [limb_of(SEGMENTS[row]) for row in self.in_limb]
        """(S + 1,) that limb, -1 for other segments."""
        feet = np.array([self.definitions[row] is not UNKNOWN for row in FEET])
        self.told_by_foot = (feet & np.isin(SHANKS, self.in_limb))[:, None]
        """(2, 1) bool: legs whose foot says where they point while they are straight."""
        own, u, v = np.arange(WORLD + 1), WORLD + np.arange(WORLD + 1), np.full(WORLD + 1, 2 * WORLD)
        u[self.in_limb], v[self.in_limb] = UPPER[self.limb[self.in_limb]], LOWER[self.limb[self.in_limb]]
        own[WORLD] = u[WORLD] = 2 * WORLD
        self.depends = np.stack([own, u, v])
        """(3, S + 1) rows of `lines` that a frame depends on: that of its first axis, and the one or two of its second."""
        rank, coordinate, segment = np.argsort(self.order, 0), np.arange(3), np.arange(WORLD + 1)
        self.by_axis = (rank[:, None] * 3 + coordinate[:, None]) * (WORLD + 1) + segment
        """(3, 3, S + 1) [axis, coordinate] where in the flattened `Frames.ranked` of one time they stand."""

    @classmethod
    def of_skeleton(cls, skeleton: Skeleton) -> Anatomy:
        """For the joints of a skeleton, in its order."""
        weights = skeleton.with_virtual(np.eye(len(skeleton)))
        return cls(dict(zip(skeleton.nodes, weights, strict=True)), len(skeleton))

    @classmethod
    def of_markers(cls, names: Sequence[str]) -> Anatomy:
        """For markers, by the names that Pose2Sim and its augmentation give them; others are not used."""
        weights = np.eye(len(names))
        points = dict(zip(names, weights, strict=True))
        joints = {MARKER_JOINTS[name]: row for name, row in points.items() if name in MARKER_JOINTS}
        return cls(points | joints, len(names))


def _ends(line: str) -> list[list[str]]:
    return [end.split(" + ") for end in line.split(" -> ")]


def _points(definition: Definition) -> set[str]:
    lines = filter(None, (definition.along, definition.towards))
    return {name for line in lines for end in _ends(line) for name in end}


_AHEAD, _BEHIND = np.array([1, 2, 0, 2, 0, 1]), np.array([2, 0, 1, 1, 2, 0])


def cross(a: Array, b: Array) -> Array:
    """Cross product along the first axis; several times faster than NumPy's for few vectors."""
    products = a.take(_AHEAD, 0) * b.take(_BEHIND, 0)
    product: Array = products[:3] - products[3:]
    return product


def dot(a: Array, b: Array) -> Array:
    """Scalar product along the first axis."""
    product: Array = np.add.reduce(a * b, 0)
    return product


@dataclass(frozen=True)
class Frames:
    """Frames of the S segments and of the laboratory (the last row), and what their derivatives need."""

    axes: Array
    """(3, 3, S + 1, T) [axis, coordinate]: unit vectors X, Y and Z in the frame of the points."""
    ranked: Array
    """(3, 3, S + 1, T) the same, first axis first, as `Anatomy.order` says."""
    measures: Array
    """(3, S + 1, T) length of the first line, and the parts of the second along the first axis and square to it."""
    lines: Array
    """(3, 2 S + 1, T) the lines themselves."""
    bend: Array
    """(4, T) sign with which the lines of a limb make its lateral axis; 0 while the limb is straight."""
    straight: Array
    """(4, T) bool"""


class SegmentTracker:
    """Frames of one person's segments, frame after frame."""

    def __init__(self, anatomy: Anatomy, laboratory: Array, straight_deg: float) -> None:
        """`laboratory`: (3, 3) its axes X, Y, Z as rows, in the frame of the points."""
        self.anatomy = anatomy
        self.level(laboratory)
        self._straight = float(np.sin(np.radians(straight_deg)))
        # Until a limb bends, its lateral axis is that of the neutral position.
        self._long = np.repeat([[0.0], [1.0], [0.0]], len(CARRIER), 1)
        self._lateral = np.repeat([[0.0], [0.0], [1.0]], len(CARRIER), 1)
        self._latest: tuple[Array, Array] | None = None

    def level(self, laboratory: Array) -> None:
        """Take other axes (3, 3) for the laboratory's from now on."""
        self._laboratory = laboratory[self.anatomy.order[:, WORLD], :, None]

    def frames(self, points: Array, usable: Array) -> Frames:
        """Frames at T times from points (3, N, T), which must be finite; NaN for segments whose points are not apart.

        `usable`: (4, T) limbs whose points, and those of their carrier, are all real; others leave no memory. NumPy warns of
        divisions by zero where points are not apart, unless it is told not to.
        """
        a = self.anatomy
        times = points.shape[2]
        lines = a.lines @ points
        p, q = lines[:, :WORLD], lines[:, WORLD : 2 * WORLD]
        measures = np.ones((3, WORLD + 1, times))
        measures[0, :WORLD] = length = np.sqrt(dot(p, p))
        ranked = np.empty((3, 3, WORLD + 1, times))
        ranked[:, :, WORLD] = self._laboratory
        ranked[0, :, :WORLD] = p / length
        early = cross(lines.take(_EARLY, 1), lines.take(_EARLY_TOO, 1))
        square = np.empty_like(p)
        square[:, CARRYING] = early[:, CARRYING]
        normal = early[:, CARRIED]
        size = np.sqrt(dot(normal, normal))
        straight = ~(size >= self._straight * length.take(UPPER, 0) * length.take(LOWER, 0))
        bend = BEND / np.where(size > 0.0, size, 1.0)
        if len(a.in_limb):
            # A knee that seems bent the wrong way is that, rather than a hip that is turned round.
            backwards = usable[LEGS] & (dot(normal[:, LEGS], p[:, :1]) > 0.0)
            bend[LEGS] = np.where(backwards, -bend[LEGS], bend[LEGS])
            lateral = normal * bend
            if straight.any() or not usable.all():
                bend[straight] = 0.0
                self._square(ranked, square, CARRYING)
                self._carry(ranked, lateral, straight, usable)
            else:
                self._latest = ranked[..., -1:], lateral[..., -1:]
            q[:, a.in_limb] = lateral.take(a.limb[a.in_limb], 1)
            if (by_foot := a.told_by_foot & straight[LEGS]).any():
                ahead = cross(p.take(FEET, 1), p.take(SHANKS, 1))
                q[:, SHANKS] = np.where(by_foot, ahead, q[:, SHANKS])
        else:
            bend[straight] = 0.0
        square[:, CARRIED] = cross(p[:, CARRIED], q[:, CARRIED])
        measures[2, :WORLD] = self._square(ranked, square, slice(WORLD)) / length
        measures[1, :WORLD] = dot(ranked[0, :, :WORLD], q)
        return Frames(ranked.reshape(-1, times).take(a.by_axis, 0), ranked, measures, lines, bend, straight)

    def _square(self, ranked: Array, square: Array, rows: slice) -> Array:
        """Fill in the third and second axes of some segments, that are square to their first ones and to `square` (3, S, T).

        Returns the lengths (rows, T) of those of `square`.
        """
        square, parity = square[:, rows], self.anatomy.parity[rows]
        size: Array = np.sqrt(dot(square, square))
        third = square * (parity / size)
        ranked[1, :, rows] = parity * cross(third, ranked[0, :, rows])
        ranked[2, :, rows] = third
        return size

    def _carry(self, ranked: Array, lateral: Array, straight: Array, usable: Array) -> None:
        """Give straight limbs, in place, the lateral axis that they had last, turned along with them by the least angle.

        Limbs move in the axes of what carries them.
        """
        if self._latest is not None:
            _, long, last = self._in_carriers(*self._latest)
            self._long, self._lateral, self._latest = long[..., 0], last[..., 0], None
        carrier, here_long, here = self._in_carriers(ranked, lateral)
        usable = usable & np.isfinite(np.add.reduce(here_long, 0))
        for t in range(lateral.shape[2]):
            now_long, now = here_long[..., t], here[..., t]
            middle = self._long + now_long
            turn = dot(self._lateral, now_long) / np.maximum(1.0 + dot(self._long, now_long), OPPOSITE)
            now = here[..., t] = np.where(straight[:, t], self._lateral - turn * middle, now)
            self._long = np.where(usable[:, t], now_long, self._long)
            self._lateral = np.where(usable[:, t], now, self._lateral)
        np.copyto(lateral, np.add.reduce(carrier * here[:, None], 0), where=straight)

    def _in_carriers(self, ranked: Array, lateral: Array) -> tuple[Array, Array, Array]:
        """Axes (3, 3, 4, T) [axis, coordinate] of what carries each limb, and in them its long and lateral axis (3, 4, T)."""
        carrier = ranked.reshape(-1, ranked.shape[-1]).take(self.anatomy.by_axis[..., CARRIER], 0)
        long = np.add.reduce(carrier * ranked[0].take(UPPER, 1), 1)
        return carrier, long, np.add.reduce(carrier * lateral, 1)
