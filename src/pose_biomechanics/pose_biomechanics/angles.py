"""Joint angles of people: turns between segment frames, their standard deviations, and what the data do not determine.

Angles are those of `pose_biomechanics.isb`. Each turn is taken apart about three axes; of the ways to do that, the one nearest
to the frame before is chosen, for all three at once, so that angles pass singularities without a jump. `docs/angles.md` has the
rules.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial

import numpy as np

from pose_biomechanics.isb import ANGLES, DOFS, GROUPS, ISB_SHOULDER_DOFS, NAMES
from pose_biomechanics.params import AngleParams
from pose_biomechanics.segments import (
    AXES,
    CARRIER,
    LOWER,
    SEGMENTS,
    UNKNOWN,
    UPPER,
    WORLD,
    Anatomy,
    Frames,
    SegmentTracker,
    cross,
)
from pose_core.angles import LEAST_STD, PELVIS_SEQUENCES, AngleFlag, AngleSequence, PeopleAngles, PersonAngles
from pose_core.filtering.joint_errors import JointErrors
from pose_core.geometry import covariance as covariances
from pose_core.markers import MarkerSequence, tilt_of, world_from_camera
from pose_core.people import People3D, Person3D
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS, Skeleton
from pose_core.types import Array, Rotations, Vectors

JOINT_MISSING, UNOBSERVABLE, NEAR_GIMBAL_LOCK = (
    np.uint8(flag) for flag in (AngleFlag.JOINT_MISSING, AngleFlag.UNOBSERVABLE, AngleFlag.NEAR_GIMBAL_LOCK)
)
TURN = 2.0 * np.pi
UNKNOWN_STD = np.pi / np.sqrt(3.0)
"""Radians; standard deviation of an angle of which nothing is known, that of the uniform distribution over a turn."""
DEGENERATE = 1e-6
"""Sine of the angle between the outer axes below which only the sum or difference of their turns is defined."""
FARTHEST = 1.5 * np.pi
"""Radians beyond which an angle of a joint is counted from the other side; a pelvis may turn without end."""
RIGHT_ANGLE = 0.5 * np.pi
UNNATURAL = 0.5 * np.pi
"""Radians by which the sum of a wide joint's three angles may exceed that of the other solution before that one is taken."""
OVERSTEP = 3.0
"""What a radian past a middle angle of 90 degrees, or of an elevation below 0, counts in that for others: 30 degrees suffice."""
LIFTED, INDEPENDENT = ERRORS = "lifted", "independent"
CHUNK = 256
"""Frames of a recording that are worked on at once."""


@dataclass(frozen=True)
class AngleOptions:
    """How angles are taken. Raises ValueError for values that mean nothing."""

    pelvis_sequence: str = AngleParams.pelvis_sequence
    """Of the pelvis: YXZ after R. Baker, Gait and Posture 13, 2001, or ZXY as ISB and OpenSim have it."""
    camera_pitch_deg: float = 0.0
    """Degrees by which the camera looks down."""
    camera_roll_deg: float = 0.0
    """Degrees by which the camera's right side is lower than its left."""
    straight_deg: float = AngleParams.straight_deg
    """Degrees of bend below which a limb does not tell how it is turned about its length."""
    lock_deg: float = 10.0
    """Degrees from the singularity of a sequence within which its first and third angle are flagged."""
    errors: str = LIFTED
    """How those of joints go together, for the standard deviations of angles: as those of joints that were `lifted` from one
    camera (`JointErrors.lifted`), or `independent`."""

    def __post_init__(self) -> None:
        if self.pelvis_sequence not in PELVIS_SEQUENCES:
            raise ValueError(
                f"pelvis_sequence must be {' or '.join(PELVIS_SEQUENCES)}, got '{self.pelvis_sequence}'"
            )
        if self.errors not in ERRORS:
            raise ValueError(f"errors must be {' or '.join(ERRORS)}, got '{self.errors}'")
        for name in ("camera_pitch_deg", "camera_roll_deg"):
            if not -180.0 <= getattr(self, name) <= 180.0:
                raise ValueError(f"{name} must be from -180 to 180, got {getattr(self, name)}")
        for name in ("straight_deg", "lock_deg"):
            if not 0.0 <= getattr(self, name) < 90.0:
                raise ValueError(f"{name} must be at least 0 and less than 90, got {getattr(self, name)}")

    @classmethod
    def tilted(cls, pitch_deg: float, roll_deg: float) -> AngleOptions:
        """Those before a camera that is tilted so, such as `pose_core.markers.tilt_of` tells. Raises ValueError."""
        return cls(camera_pitch_deg=pitch_deg, camera_roll_deg=roll_deg)

    @classmethod
    def of(cls, params: AngleParams) -> AngleOptions:
        """Those that parameters state."""
        return cls(
            params.pelvis_sequence, params.camera_pitch_deg, params.camera_roll_deg, params.straight_deg
        )


class Euler:
    """Takes G turns apart, each about the axes of its own sequence: R = R1(a) R2(b) R3(c)."""

    def __init__(self, sequences: Sequence[str], mirrored: Sequence[bool] | None = None) -> None:
        """`sequences`: three different axes each (Cardan), or the first again as the third (proper Euler angles).

        `mirrored`: turns of the left of the body, of which the mirror image (z to -z) is taken. Raises ValueError.
        """
        for sequence in sequences:
            if len(sequence) != 3 or sequence[1] in sequence[::2] or not set(sequence) <= set(AXES):
                raise ValueError(f"a sequence is three axes of which no two in a row agree, got '{sequence}'")
        i, j, last = (np.array([AXES.index(sequence[n]) for sequence in sequences]) for n in range(3))
        k = 3 - i - j
        self.proper = (last == i)[:, None]
        """(G, 1) bool"""
        self.first, self.middle, self.last = i, j, last
        self.parity = np.where((j - i) % 3 == 1, 1.0, -1.0)[:, None]
        one, e, proper = np.ones(len(i)), self.parity[:, 0], self.proper[:, 0]
        cardan = ((j, k, -e), (k, k, one), (i, k, e), (i, j, -e), (i, i, one), (j, i, e), (j, j, one))
        others = ((j, i, one), (k, i, -e), (i, i, one), (i, j, one), (i, k, e), (k, j, e), (j, j, one))
        row, column = (
            np.where(proper, [entry[n] for entry in others], [entry[n] for entry in cardan]) for n in (0, 1)
        )
        sign = np.where(proper, [entry[2] for entry in others], [entry[2] for entry in cardan])
        flipped = np.zeros(len(i), bool) if mirrored is None else np.asarray(mirrored, bool)
        sign = np.where(flipped & ((row == 2) != (column == 2)), -sign, sign)
        self._entries = (row * 3 + column) * len(i) + np.arange(len(i))
        self._sign = sign[..., None]
        self._other = np.stack(
            [np.full(len(i), np.pi), np.where(proper, 0.0, np.pi), np.full(len(i), np.pi)]
        )[..., None]
        self._flip = np.array([1.0, -1.0, 1.0])[:, None, None]

    def both(self, turns: Array, previous: Array) -> tuple[Array, Array]:
        """Both solutions (2, 3, G, T) of turns (3, 3, G, T), from -pi to pi, and the sine between the outer axes (G, T).

        Where that is 0, the first angle is undetermined; that of `previous` (3, G) is kept, and both solutions are one.
        """
        entries = turns.reshape(-1, turns.shape[-1]).take(self._entries, 0) * self._sign
        sine = np.hypot(entries[0], entries[1])
        outer = np.arctan2(entries[0:4:3], entries[1:5:3])
        proper = self.proper
        middle = np.arctan2(np.where(proper, sine, entries[2]), np.where(proper, entries[2], sine))
        solutions = np.empty((2, 3, *sine.shape))
        one = solutions[0]
        one[0], one[1], one[2] = outer[0], middle, outer[1]
        solutions[1] = self._other + self._flip * one
        degenerate = sine < DEGENERATE
        if degenerate.any():
            kept = np.broadcast_to(previous[0][:, None], sine.shape)
            total = np.arctan2(entries[5], entries[6])
            # Of proper angles the outer axes agree at a middle angle of 0 and are opposite at pi.
            with_first = np.where(proper, np.sign(entries[2]), self.parity * np.sign(entries[2]))
            third = np.where(proper, with_first * total, total) - with_first * kept
            solutions[:, 0] = np.where(degenerate, kept, solutions[:, 0])
            solutions[:, 1] = np.where(degenerate, middle, solutions[:, 1])
            solutions[:, 2] = np.where(degenerate, third, solutions[:, 2])
        return principal(solutions), sine


def principal(angle: Array) -> Array:
    """Angles from -pi to pi."""
    return np.asarray(angle - TURN * np.rint(angle / TURN))


def euler_angles(turns: Rotations, sequence: str) -> Array:
    """(..., 2, 3) both solutions, radians from -pi to pi, of R = R1(a) R2(b) R3(c), of matrices (..., 3, 3).

    The first has its middle angle from -pi/2 to pi/2 for three different axes (Cardan), from 0 to pi where the first comes again.
    Where the outer axes agree, a is 0. `matrix_of_euler` is the inverse. Raises ValueError for other sequences.
    """
    flat = np.moveaxis(np.reshape(turns, (-1, 3, 3)), 0, -1)[:, :, None]
    both, _ = Euler([sequence]).both(flat, np.zeros((3, 1)))
    return np.moveaxis(both[:, :, 0], -1, 0).reshape(*turns.shape[:-2], 2, 3)


def matrix_of_euler(angles: Vectors, sequence: str) -> Rotations:
    """(..., 3, 3) R1(a) R2(b) R3(c) of angles (..., 3) in radians about the axes X, Y, Z that `sequence` names."""
    total = np.eye(3)
    for position, axis in enumerate(sequence):
        angle = np.asarray(angles)[..., position]
        after, before = (AXES.index(axis) + 1) % 3, (AXES.index(axis) + 2) % 3
        turn = np.zeros((*angle.shape, 3, 3))
        turn[..., AXES.index(axis), AXES.index(axis)] = 1.0
        turn[..., after, after] = turn[..., before, before] = np.cos(angle)
        turn[..., before, after] = np.sin(angle)
        turn[..., after, before] = -turn[..., before, after]
        total = total @ turn
    return np.asarray(total)


class Branches:
    """Chooses among equal triples of angles, frame after frame."""

    def __init__(self, euler: Euler, free: Sequence[bool], wide: Sequence[bool]) -> None:
        """`free`: (G,) turns that may go on without end. `wide`: (G,) joints whose middle angle may pass a right angle."""
        groups = len(free)
        self._limit = np.where(free, np.inf, FARTHEST)
        proper = euler.proper[:, 0]
        self._cardan = ~euler.proper
        self._sum = np.where(np.asarray(wide) & ~proper, 1.0, 0.0)[:, None]
        self._overstep = np.where(self._sum > 0.0, 0.0, OVERSTEP)
        self.previous = np.zeros((3, groups))
        """(3, G) angles of the latest frame that had them."""
        self._fresh = np.ones(groups, bool)

    def follow(self, both: Array, valid: Array) -> tuple[Array, Array]:
        """(3, G, T) of both solutions (2, 3, G, T), from -pi to pi, the one nearest to the frame before, `valid` (3, G, T) alone.

        And where (G, T) an angle of it is more than a right angle from that: the other solution was taken up.

        The first time, and where the nearest has gone too far, it is the natural one: with a middle angle of at most 90
        degrees; of a wide joint with the smaller sum; of a proper sequence with a negative middle angle (an elevation above 0).
        """
        middle = np.where(self._cardan, np.abs(both[:, 1]) - RIGHT_ANGLE, both[:, 1])
        # Also of a middle angle that is not told: that of a hinge is 0 in one solution and a half turn in the other.
        size = self._overstep * np.fmax(middle, 0.0) + self._sum * np.add.reduce(
            np.where(valid, np.abs(both), 0.0), 1
        )
        chosen, switched = np.empty(both.shape[1:]), np.empty(both.shape[2:], bool)
        for t in range(both.shape[-1]):
            plain, known = both[..., t], valid[..., t]
            near = plain + TURN * np.rint((self.previous - plain) / TURN)
            near = np.where(np.abs(near) > self._limit, plain, near)
            apart = np.where(known, near - self.previous, 0.0)
            cost = np.where(self._fresh, size[..., t], np.add.reduce(apart * apart, 1))
            excess = size[1, ..., t] - size[0, ..., t]
            second = np.where(cost[1] < cost[0], excess <= UNNATURAL, excess < -UNNATURAL)
            chosen[..., t] = now = np.where(second, near[1], near[0])
            moved = known & (np.abs(now - self.previous) > RIGHT_ANGLE)
            switched[..., t] = np.logical_or.reduce(moved, 0) & ~self._fresh
            self.previous = np.where(known, now, self.previous)
            self._fresh &= ~known.any(0)
        return chosen, switched


@dataclass(frozen=True)
class _Turn:
    """A joint: which segment turns against which, and about which axes."""

    group: str
    proximal: int
    distal: int
    sequence: str


def _turns(pelvis_sequence: str) -> tuple[_Turn, ...]:
    """The G turns: one of each group, and then the shoulders again."""
    segment = {name: row for row, name in enumerate(SEGMENTS)}

    def of(group: str, sequence: str) -> _Turn:
        side, _, joint = group.rpartition("_")
        if joint == "pelvis":
            return _Turn(group, WORLD, segment["pelvis"], pelvis_sequence)
        proximal, distal = {
            "trunk": ("pelvis", "thorax"),
            "hip": ("pelvis", f"{side}_femur"),
            "knee": (f"{side}_femur", f"{side}_tibia"),
            "ankle": (f"{side}_tibia_fibula", f"{side}_foot"),
            "shoulder": ("thorax", f"{side}_humerus"),
            "elbow": (f"{side}_humerus", f"{side}_forearm"),
        }[joint]
        return _Turn(group, segment[proximal], segment[distal], sequence)

    shoulders = [group for group in GROUPS if group.endswith("shoulder")]
    return (*(of(group, "ZXY") for group in GROUPS), *(of(group, "YXY") for group in shoulders))


class _Solver:
    """One person's angles from N points, whatever they are."""

    def __init__(
        self, anatomy: Anatomy, laboratory: Array, options: AngleOptions, errors: JointErrors
    ) -> None:
        turns = _turns(options.pelvis_sequence)
        self._anatomy = anatomy
        self._new_tracker = partial(SegmentTracker, anatomy, laboratory, options.straight_deg)
        self._euler = Euler([t.sequence for t in turns], [t.group.startswith("left_") for t in turns])
        free, wide = ([t.group.endswith(part) for t in turns] for part in ("pelvis", "shoulder"))
        self._new_branches = partial(Branches, self._euler, free, wide)
        self._lock = np.sin(np.radians(options.lock_deg))
        self._proximal = np.array([turn.proximal for turn in turns])
        self._distal = np.array([turn.distal for turn in turns])
        self._order(turns)
        self._derivatives(errors)
        self._what_is_needed(turns)
        self.reset()

    def another(self) -> _Solver:
        """One for somebody else with the same points, without the work of making it."""
        other = copy(self)
        other.reset()
        return other

    def reset(self) -> None:
        """Forget the frames before."""
        self._tracker = self._new_tracker()
        self._branches = self._new_branches()

    def level(self, laboratory: Array) -> None:
        """Take other axes (3, 3) for the laboratory's, until the next reset."""
        self._tracker.level(laboratory)

    def _order(self, turns: tuple[_Turn, ...]) -> None:
        """Where each angle stands among the three of its turn."""
        groups = len(turns)
        rows = []
        for angle in ANGLES:
            of_group = [row for row, turn in enumerate(turns) if turn.group == angle.group]
            if angle.dof in DOFS:
                row = of_group[0]
                position = turns[row].sequence.index("ZXY"[DOFS.index(angle.dof)])
            else:
                row, position = of_group[1], ISB_SHOULDER_DOFS.index(angle.dof)
            rows.append(position * groups + row)
        self._rows = np.array(rows)
        self._sign = np.array([angle.sign for angle in ANGLES])[:, None]

    def _derivatives(self, errors: JointErrors) -> None:
        """What of the derivatives does not change; distal segments stand first, proximal ones after them."""
        a = self._anatomy
        self._ends = ends = np.concatenate([self._distal, self._proximal])
        count = len(ends)
        depends = a.depends[:, ends]
        weights = a.lines[depends]
        groups = len(self._distal)
        self._used = np.flatnonzero((weights != 0.0).any((0, 1)))
        links = weights[..., self._used].reshape(3, 2, groups, -1)
        self._links = links.transpose(2, 1, 0, 3).reshape(groups, 6, -1)
        self._mixing, self._along_axes = errors.of(self._used), np.square(errors.axes)
        self._end_parity = a.parity[ends]
        # Of each end and angle, the components of a vector along the first, second and third axis.
        self._ranked_components = (a.order[:, ends][:, None] * 3 + np.arange(3)[:, None]) * count + np.arange(
            count
        )
        limb = a.limb
        self._in_limb = np.flatnonzero(limb[ends] >= 0)
        self._limb = limb[ends[self._in_limb]]
        self._uv = depends[[2, 1]][:, self._in_limb]
        self._uv_sign = np.array([1.0, -1.0])[:, None, None]
        self._proximal_limb = limb[self._proximal]
        first, last = self._euler.first, self._euler.last
        rows = np.concatenate([np.tile(np.arange(3)[:, None], groups), first[None]])
        self._last_axis = (rows * 3 + last) * groups + np.arange(groups)
        self._first_axis = np.eye(3)[:, first][..., None]

    def _what_is_needed(self, turns: tuple[_Turn, ...]) -> None:
        """Which angles can be told at all, which points each needs, and which a straight limb does not tell."""
        a, groups = self._anatomy, len(turns)
        points, limb = a.lines.shape[1], a.limb
        first_line = a.lines[: WORLD + 1] != 0.0
        first_line[WORLD] = False
        whole = (a.lines[a.depends] != 0.0).any(0)
        self._told = np.ones((3, groups), bool)
        self._needs = np.zeros((3, groups, points), bool)
        self._straight_limb = np.full((3, groups), -1)
        for g, turn in enumerate(turns):
            proximal = a.definitions[turn.proximal] if turn.proximal != WORLD else None
            distal = a.definitions[turn.distal]
            if distal is UNKNOWN or proximal is UNKNOWN:
                self._told[:, g] = False
                continue
            one_axis = distal.first == turn.sequence[2]
            self._needs[:2, g] = first_line[turn.distal] if one_axis else whole[turn.distal]
            self._needs[2, g] = whole[turn.distal]
            self._needs[:, g] |= whole[turn.proximal]
            bent = limb[turn.distal] if distal.bent else -1
            carrying = limb[turn.proximal]
            hinge = any((turn.proximal, turn.distal) == pair for pair in zip(UPPER, LOWER, strict=True))
            if hinge:
                self._told[1, g] &= carrying < 0
                self._told[2, g] &= bool(distal.towards)
            if turn.group == "trunk" and proximal is not None and proximal.towards == distal.along:
                self._told[turn.sequence.index("Z"), g] = False
            self._straight_limb[2, g] = max(bent, carrying)
            if carrying >= 0 and hinge:
                self._straight_limb[1, g] = carrying
        self._straight_rows = self._straight_limb >= 0
        carriers = whole[CARRIER]
        self._limb_needs = whole[UPPER] | whole[LOWER] | carriers
        self._limb_known = np.array(
            [
                UNKNOWN not in (a.definitions[c], a.definitions[u], a.definitions[w])
                for c, u, w in _limb_segments()
            ]
        )[:, None]
        # The flexion of a straight hinge is seen in the axes of what carries the limb.
        self._needs_if_straight = np.zeros((3, groups, points), bool)
        for g, turn in enumerate(turns):
            if limb[turn.proximal] >= 0 and turn.distal in LOWER:
                self._needs_if_straight[:, g] = carriers[limb[turn.proximal]]

    def solve(self, xyz: Array, std: Array, covariance: Array | None = None) -> tuple[Array, Array, Array]:
        """Angles, their standard deviations and flags (T, A) of points (T, N, 3) with standard deviations (T, N).

        `covariance` (T, N, 6) says along which axes the points are unsure, in place of what `JointErrors` supposes.
        """
        missing = ~np.isfinite(np.add.reduce(xyz, 2))
        some = bool(missing.any())
        if some:
            xyz = np.where(missing[..., None], 0.0, xyz)
        unsure = ~np.isfinite(std)
        if unsure.any():
            std = np.where(unsure, 0.0, std)
            unsure &= ~missing
        usable = self._limb_known.repeat(len(xyz), 1)
        if some:
            usable = usable & ~_any(self._limb_needs, missing)
        with np.errstate(invalid="ignore", divide="ignore"):
            frames = self._tracker.frames(np.ascontiguousarray(xyz.transpose(2, 1, 0)), usable)
            turns = np.add.reduce(
                frames.axes.take(self._proximal, 2)[:, None] * frames.axes.take(self._distal, 2)[None], 2
            )
            both, sine = self._euler.both(turns, self._branches.previous)
            deviation = self._deviation(frames, turns, sine, std, covariance)
        straight = frames.straight[self._straight_limb] & self._straight_rows[..., None]
        untold, undefined = straight | ~self._told[..., None], ~np.isfinite(both[0])
        missed = np.zeros((), np.uint8)
        if some:
            lost = _any(self._needs, missing)
            lost |= _any(self._needs_if_straight, missing) & frames.straight[self._proximal_limb]
            lost &= self._told[..., None]
            undefined &= ~lost
            missed = lost.view(np.uint8) * JOINT_MISSING
        flags = missed | (untold | undefined).view(np.uint8) * UNOBSERVABLE
        valid = flags == 0
        triples, switched = self._triples(turns, both, sine, valid)
        if unsure.any():
            deviation = np.where(_any(self._needs, unsure), np.nan, deviation)
        # The middle angle is as sure near a singularity as anywhere.
        locked = valid[::2] & ((sine < self._lock) | switched)
        flags[::2] |= locked.view(np.uint8) * NEAR_GIMBAL_LOCK
        # Elsewhere nothing is known of an angle whose deviation says that it could be any.
        any_angle = (deviation >= UNKNOWN_STD) & (sine >= DEGENERATE) & (flags == 0)
        if any_angle.any():
            flags |= any_angle.view(np.uint8) * UNOBSERVABLE
            valid = valid & ~any_angle
        return (
            (self._named(np.where(valid, triples, np.nan)) * self._sign).T,
            self._named(np.where(valid, deviation, np.nan)).T,
            self._named(flags).T,
        )

    def _triples(self, turns: Array, both: Array, sine: Array, valid: Array) -> tuple[Array, Array]:
        """(3, G, T) of both solutions, those that follow from the frames before; and where (G, T) they were exchanged."""
        if valid.shape[-1] == 1 or (sine >= DEGENERATE).all():
            return self._branches.follow(both, valid)
        # What a singular frame keeps is known only when the one before it is done.
        found, switched = np.empty(valid.shape), np.empty(valid.shape[1:], bool)
        for t in range(valid.shape[-1]):
            one = slice(t, t + 1)
            both, _ = self._euler.both(turns[..., one], self._branches.previous)
            found[..., one], switched[..., one] = self._branches.follow(both, valid[..., one])
        return found, switched

    def _named(self, values: Array) -> Array:
        """(A, T) by angle, of values (3, G, T) by turn."""
        return values.reshape(-1, values.shape[-1]).take(self._rows, 0)

    def _deviation(
        self, frames: Frames, turns: Array, sine: Array, std: Array, covariance: Array | None
    ) -> Array:
        """(3, G, T) standard deviations of the angles, from those of the points (T, N), which err as `JointErrors` says.

        Along which axes, their covariances (T, N, 6) say where they are known.

        To first order. With u1, u2, u3 the axes that the three angles turn about, a small turn w of the distal segment changes
        them by (u2 x u3) w / s, u2 w and (u1 x u2) w / s, where s is the sine between u1 and u3. How a line's end turns a frame
        follows from the frame's axes being square.
        """
        groups, times = len(self._distal), sine.shape[-1]
        # The third axis in those of the proximal segment, and its cosine to the first.
        last = turns.reshape(-1, times).take(self._last_axis, 0)
        last, cosine = last[:3], last[3]
        first, steep = self._first_axis, 1.0 / np.maximum(sine, DEGENERATE)
        # (3 coordinates, 3 angles, G, T): what a turn in the axes of the proximal segment does to the angles.
        effect = np.empty((3, 3, groups, times))
        np.subtract(first, cosine * last, out=effect[:, 0])
        np.multiply(cross(last, first), steep, out=effect[:, 1])
        np.subtract(last, cosine * first, out=effect[:, 2])
        effect[:, ::2] *= steep * steep
        h = np.empty((3, 3, 2, groups, times))
        np.add.reduce(effect[:, None] * turns[:, :, None], 0, out=h[:, :, 0])
        np.negative(effect, out=h[:, :, 1])
        h = h.reshape(-1, times).take(self._ranked_components, 0) * self._end_parity
        _, second, third = frames.ranked.take(self._ends, 2)[:, :, None]
        length, along, across = frames.measures.take(self._ends, 1)
        about_second, about_third = h[1:] / length
        by_second_line = h[0] / across
        gradient = np.zeros((3, 3, 3, 2 * groups, times))
        q = np.multiply(third, by_second_line, out=gradient[1])
        np.subtract(
            second * about_third, third * (about_second + by_second_line * (along / length)), out=gradient[0]
        )
        if len(self._in_limb):
            uv = frames.lines.take(self._uv, 1) * (self._uv_sign * frames.bend.take(self._limb, 0))
            by = cross(uv[:, :, None], q.take(self._in_limb, 2)[:, None])
            gradient[1:, :, :, self._in_limb] = by.transpose(1, 0, 2, 3, 4)
        # (T, G, 9, 6): of each angle and coordinate, by the three lines of the distal and of the proximal segment.
        gradient = gradient.reshape(3, 3, 3, 2, groups, times).transpose(5, 4, 2, 1, 3, 0)
        by_point = gradient.reshape(times, groups, 9, 6) @ self._links
        if covariance is None:
            by_point *= std[:, None, None, self._used]
            along_axes = self._along_axes
        else:
            by_point = _along_errors(by_point, covariances.roots(covariance[:, self._used]))
            along_axes = np.ones(3)
        by_error = by_point.reshape(times * groups * 9, len(self._mixing)) @ self._mixing
        variance = np.einsum("ij,ij->i", by_error, by_error).reshape(times, groups, 3, 3) @ along_axes
        deviation = np.sqrt(variance).transpose(2, 1, 0)
        deviation = np.where(deviation < LEAST_STD, 0.0, deviation)
        degenerate = sine < DEGENERATE
        if degenerate.any():
            deviation = np.where(degenerate, UNKNOWN_STD, deviation)
        result: Array = np.fmin(deviation, UNKNOWN_STD)
        return result


def _along_errors(by_point: Array, roots: Array) -> Array:
    """(T, G, 9, P) by three errors of variance 1 of each point, of what (T, G, 9, P) its three coordinates do to three angles.

    `roots` (T, P, 3, 3) of the points' covariances.
    """
    times, groups, _, points = by_point.shape
    by_axis = by_point.reshape(times, groups, 3, 3, points).transpose(0, 4, 1, 2, 3)
    turned = by_axis.reshape(times, points, groups * 3, 3) @ roots
    return turned.reshape(times, points, groups, 9).transpose(0, 2, 3, 1)


def _of_skeleton(skeleton: Skeleton, options: AngleOptions) -> _Solver:
    laboratory = world_from_camera(options.camera_pitch_deg, options.camera_roll_deg)
    lifted = options.errors == LIFTED
    errors = JointErrors.lifted(skeleton) if lifted else JointErrors.independent(len(skeleton))
    return _Solver(Anatomy.of_skeleton(skeleton), laboratory, options, errors)


def _limb_segments() -> list[tuple[int, int, int]]:
    return [(int(c), int(u), int(w)) for c, u, w in zip(CARRIER, UPPER, LOWER, strict=True)]


def _any(needs: Array, bad: Array) -> Array:
    """(..., T) whether any of the points that are needed (..., N) is bad (T, N)."""
    return np.asarray(needs.astype(np.float32) @ bad.T.astype(np.float32) > 0.0)


class AngleSolver:
    """Joint angles of one person, frame after frame."""

    def __init__(self, skeleton: Skeleton, options: AngleOptions = AngleOptions()) -> None:
        self._solver = _of_skeleton(skeleton, options)
        self._stamp: int | None = None

    def another(self) -> AngleSolver:
        """One for another person with the same skeleton and options; made in a fraction of the time."""
        other = copy(self)
        other._solver, other._stamp = self._solver.another(), None
        return other

    def reset(self) -> None:
        """Forget the frames before: the person was lost, or is another one."""
        self._solver.reset()
        self._stamp = None

    def solve(self, person: Person3D, stamp: int, laboratory: Array | None = None) -> PersonAngles:
        """Angles of a person at `stamp` (ns), in the optical frame of a camera; a stamp that goes back resets.

        `laboratory`: (3, 3) `world_from_camera` of the camera as it is tilted now; without it as in the options.
        """
        if self._stamp is not None and stamp < self._stamp:
            self.reset()
        self._stamp = stamp
        if not np.isfinite(person.xyz).all(1).any():
            self._solver.reset()
        if laboratory is not None:
            self._solver.level(laboratory)
        covariance = None if person.covariance is None else person.covariance[None]
        angle, std, flags = self._solver.solve(person.xyz[None], person.std[None], covariance)
        return PersonAngles(person.id, angle[0], std[0], flags[0])


class PeopleAngleSolver:
    """Joint angles of everybody in a scene, message by message. Whoever is not in a message is forgotten."""

    def __init__(self, params: AngleParams) -> None:
        self._options = AngleOptions.of(params)
        self._source: tuple[str, str] | None = None
        self._tilt: tuple[float, float] | None = None
        self._solvers: dict[str, AngleSolver] = {}

    def retune(self, params: AngleParams) -> None:
        """Use other parameters from now on; starts anew where they change angles."""
        options = AngleOptions.of(params)
        if options != self._options:
            self._options, self._source = options, None

    def reset(self, person: str = "") -> None:
        """Forget a person, or everybody."""
        self._solvers = {id: solver for id, solver in self._solvers.items() if person not in ("", id)}

    def process(self, people: People3D) -> PeopleAngles:
        """Angles of everybody, in their order, with the stamp and times of `people`.

        Where these say which way is up, that counts, not the tilt in the parameters.
        """
        source = (people.frame_id, people.skeleton)
        if source != self._source:
            self._source, self._solvers = source, {}
            self._unused = AngleSolver(SKELETONS.get(people.skeleton), self._options)
        self._solvers = {
            person.id: self._solvers.get(person.id) or self._unused.another() for person in people.people
        }
        options = self._options
        tilt = (
            (options.camera_pitch_deg, options.camera_roll_deg) if people.up is None else tilt_of(people.up)
        )
        if tilt != self._tilt:
            self._tilt, self._laboratory = tilt, world_from_camera(*tilt)
        solved = tuple(
            self._solvers[person.id].solve(person, people.stamp, self._laboratory) for person in people.people
        )
        return PeopleAngles(
            people.stamp, people.frame_id, NAMES, solved, people.times, self._options.pelvis_sequence
        )


def angles_of(sequence: PoseSequence, options: AngleOptions = AngleOptions()) -> AngleSequence:
    """Joint angles of a person in the optical frame of a camera, as `AngleSolver` gives them frame by frame.

    Raises ValueError for a sequence in pixels.
    """
    if sequence.xyz.shape[2] != 3:
        raise ValueError("angles need positions in metres, got a sequence in pixels")
    solver = _of_skeleton(SKELETONS.get(sequence.skeleton), options)
    return _recorded(solver, sequence.xyz, sequence.std, sequence, options, sequence.covariance)


def angles_of_markers(
    markers: MarkerSequence, options: AngleOptions = AngleOptions(), errors: JointErrors | None = None
) -> AngleSequence:
    """Joint angles from markers, whose axes are Y up, X forward already: the camera's tilt in `options` is not used.

    `errors`: how those of the markers go together, in their order; without it, and whatever `options` say, they are independent.
    """
    errors = errors or JointErrors.independent(len(markers.names))
    solver = _Solver(Anatomy.of_markers(markers.names), np.eye(3), options, errors)
    return _recorded(solver, markers.xyz, markers.std, markers, options)


def _recorded(
    solver: _Solver,
    xyz: Array,
    std: Array,
    source: PoseSequence | MarkerSequence,
    options: AngleOptions,
    covariance: Array | None = None,
) -> AngleSequence:
    frames = len(xyz)
    angle, deviation = np.full((frames, len(NAMES)), np.nan), np.full((frames, len(NAMES)), np.nan)
    flags = np.zeros((frames, len(NAMES)), np.uint8)
    empty = ~np.isfinite(xyz).all(2).any(1)
    changes = np.flatnonzero(empty[1:] != empty[:-1]) + 1
    cuts = sorted({*range(0, frames, CHUNK), *changes.tolist(), frames})
    for start, end in itertools.pairwise(cuts):
        if empty[start]:
            solver.reset()
        block = slice(start, end)
        shape = None if covariance is None else covariance[block]
        angle[block], deviation[block], flags[block] = solver.solve(xyz[block], std[block], shape)
    return AngleSequence(
        names=NAMES,
        stamps=source.stamps,
        angle=angle,
        std=deviation,
        flags=flags,
        person=source.person,
        metadata=dict(source.metadata),
        pelvis_sequence=options.pelvis_sequence,
    )
