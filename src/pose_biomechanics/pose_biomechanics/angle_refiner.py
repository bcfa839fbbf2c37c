"""Joint angles corrected by what bodies do: a network turns each group a little, never farther than its angles are unsure.

Off unless somebody asks for it. An angle moves by at most its own standard deviation, whatever the network says, and one that the
joints do not determine stays undetermined unless it is asked for (`fill`).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_biomechanics import angle_encoding
from pose_biomechanics.angle_card import AngleCard
from pose_biomechanics.isb import GROUPS, NAMES, angles_of_group
from pose_core.angles import PELVIS_SEQUENCES, AngleSequence, PeopleAngles
from pose_core.geometry.rotations import matrix_of_rotation_vector
from pose_core.networks.runtime import OnnxSession, Session, State, empty_state, try_out
from pose_core.networks.step import MAX_STEP
from pose_core.types import Array
from pose_core.units import S_PER_NS

WEIGHTS = Path(__file__).parent / "weights"
NETWORK = "angle_transformer"
"""The network whose weights come with this package, as `<name>.onnx`."""
FILLED_STD = math.radians(30.0)
"""Radians: the deviation that is stated of an angle that only the network tells."""


@dataclass(frozen=True)
class Corrections:
    """What refinement has done."""

    angles: int
    """Valid angles, counted per frame."""
    mean_deg: float
    """Degrees by which they were moved, on average; NaN where there were none, here and below."""
    by_group_deg: Mapping[str, float]
    """The same for each group."""
    at_limit: float
    """Share of them that was moved as far as it may be."""
    harm_deg: float
    """Degrees by which the network moves the angles of true joints on average, measured when it was trained on people held out:
    what refinement does wrong where nothing is wrong."""


class AngleRefiner:
    """Corrects the angles of everybody, message by message, or of one person's whole sequence."""

    def __init__(self, model: str | Path = "", *, fill: bool = False) -> None:
        """`model`: file of a trained network; empty: the one that comes with it. `fill`: give angles that are missing or
        unobservable as the network guesses them, with a deviation of `FILLED_STD`; their flags stay.

        Raises ValueError for a file that is not there or holds another kind of network.
        """
        path = Path(model).expanduser() if model else WEIGHTS / f"{NETWORK}.onnx"
        self._session = _open(path, path.stat().st_mtime_ns if path.is_file() else 0)
        self._fill = fill
        self._memory: _Memory = {}
        self._tally = _Tally()

    @property
    def card(self) -> AngleCard:
        """What the network is."""
        return self._session.card

    @property
    def corrections(self) -> Corrections:
        """What `process` has done so far."""
        return self._tally.summary(self.card)

    def describe(self) -> str:
        """The same in a few words, which costs little enough for each image."""
        done = self._tally
        return f"{done.angles} angles by {done.mean_deg:.2f} degrees on average" if done.angles else "on"

    def reset(self, person: str = "") -> None:
        """Forget the motion of a person, or of everybody; `corrections` are counted on."""
        for id in [id for id in self._memory if person in ("", id)]:
            del self._memory[id]

    def process(self, people: PeopleAngles) -> PeopleAngles:
        """Everybody's angles in one image, corrected.

        Raises ValueError for other angles than `pose_biomechanics.isb` has, and for those that do not state the sequence of the
        pelvis. Who was away for longer than the network can be told (`MAX_STEP`) starts anew, as everybody does when time goes
        back.
        """
        _check(people)
        if not people.people:
            return people
        angle, std, flags = (
            np.stack([getattr(one, name) for one in people.people]) for name in ("angle", "std", "flags")
        )
        ids = [one.id for one in people.people]
        after, stated = self._frame(
            self._memory, self._tally, ids, people.stamp, people.pelvis_sequence, angle, std, flags
        )
        self._memory = {
            id: known
            for id, known in self._memory.items()
            if 0.0 <= (people.stamp - known.stamp) * S_PER_NS <= MAX_STEP
        }
        refined = [
            dataclasses.replace(one, angle=after[row], std=stated[row])
            for row, one in enumerate(people.people)
        ]
        return dataclasses.replace(people, people=tuple(refined))

    def refine(self, sequence: AngleSequence) -> tuple[AngleSequence, Corrections]:
        """One person's angles over time, corrected from an empty past, and what that did; `process` remembers nothing of it.

        Raises ValueError as `process`.
        """
        _check(sequence)
        memory: _Memory = {}
        tally = _Tally()
        angle, std = np.empty(sequence.angle.shape), np.empty(sequence.std.shape)
        for t, stamp in enumerate(sequence.stamps.tolist()):
            now = slice(t, t + 1)
            frame = (sequence.pelvis_sequence, sequence.angle[now], sequence.std[now], sequence.flags[now])
            angle[now], std[now] = self._frame(memory, tally, [sequence.person], stamp, *frame)
        done = tally.summary(self.card)
        return dataclasses.replace(sequence, angle=angle, std=std), done

    def _frame(
        self,
        memory: _Memory,
        tally: _Tally,
        ids: list[str],
        stamp: int,
        pelvis_sequence: str,
        angle: Array,
        std: Array,
        flags: Array,
    ) -> tuple[Array, Array]:
        """Corrected angles and their deviations (N, A) of N people in one image; `memory` and `tally` are brought up to date."""
        steps = np.array([_step(memory.get(id), stamp) for id in ids])
        steps = np.where(steps <= MAX_STEP, steps, math.nan)
        nothing = empty_state(self.card, 1)
        before = [
            nothing if math.isnan(step) else memory[id].state for id, step in zip(ids, steps, strict=True)
        ]
        outputs, state = self._session.run(
            angle_encoding.encode(angle, std, flags, pelvis_sequence),
            angle_encoding.context(steps),
            [np.concatenate(parts) for parts in zip(*before, strict=True)],
        )
        for row, id in enumerate(ids):
            memory[id] = _Known([part[row : row + 1] for part in state], stamp)
        turn = outputs["turn"].astype(float)
        after = corrected(angle, std, turn, pelvis_sequence)
        tally.add(angle, after, std, flags)
        if self._fill:
            told = np.isnan(after)
            after = np.where(told, guessed(angle, turn, pelvis_sequence), after)
            std = np.where(told, FILLED_STD, std)
        return after, std


def corrected(
    angle: Array,
    std: Array,
    turn: Array,
    pelvis_sequence: str = angle_encoding.PELVIS_SEQUENCE,
) -> Array:
    """(..., A) radians: angles whose groups are turned by rotation vectors `turn` (..., G, 3), none by more than its `std`.

    What has no deviation, or a turn that is no number, stays as it is; NaN stays NaN.
    """
    before, turned = _turned(angle, turn, pelvis_sequence)
    move = turned - before
    limit = np.where(np.isfinite(std) & np.isfinite(move), np.abs(std), 0.0)
    result: Array = angle + np.clip(np.where(np.isfinite(move), move, 0.0), -limit, limit)
    return result


def guessed(angle: Array, turn: Array, pelvis_sequence: str = angle_encoding.PELVIS_SEQUENCE) -> Array:
    """(..., A) radians: what the turned groups have, without limits, for angles that are NaN as well."""
    return _turned(angle, turn, pelvis_sequence)[1]


def _turned(angle: Array, turn: Array, pelvis_sequence: str) -> tuple[Array, Array]:
    """Angles (..., A) of the groups as they are and as they are turned.

    The former are the given ones, but for those that are NaN, and second triples of shoulders that differ from the first.
    """
    rotation = angle_encoding.rotations(angle, pelvis_sequence)
    both = np.stack([rotation, rotation @ matrix_of_rotation_vector(turn)])
    before, after = angle_encoding.angles_near(both, angle, pelvis_sequence)
    return before, after


@dataclass(frozen=True)
class _Known:
    """What the network remembers of a person, and the stamp of the latest frame that it saw."""

    state: State
    stamp: int


_Memory = dict[str, _Known]
"""By person."""


class _Tally:
    """Adds up what corrections come to."""

    def __init__(self) -> None:
        self._valid, self._limited = np.zeros((2, len(NAMES)), np.int64)
        self._moved = np.zeros(len(NAMES))

    def add(self, before: Array, after: Array, std: Array, flags: Array) -> None:
        """Angles (N, A) of N people."""
        valid = (flags == 0) & np.isfinite(before)
        moved = np.where(valid, np.abs(after - before), 0.0)
        self._valid += valid.sum(0)
        self._moved += moved.sum(0)
        # Rounding may leave a move just short of its limit.
        self._limited += (valid & (moved >= (1.0 - 1e-9) * std)).sum(0)

    @property
    def angles(self) -> int:
        """As in `Corrections`."""
        return int(self._valid.sum())

    @property
    def mean_deg(self) -> float:
        """Likewise."""
        return _mean_deg(self._moved, self._valid)

    def summary(self, card: AngleCard) -> Corrections:
        rows = {group: angles_of_group(group) for group in GROUPS}
        count = self.angles
        return Corrections(
            angles=count,
            mean_deg=self.mean_deg,
            by_group_deg={
                group: _mean_deg(self._moved[row], self._valid[row]) for group, row in rows.items()
            },
            at_limit=float(self._limited.sum()) / count if count else math.nan,
            harm_deg=card.metrics.get("harm_degrees", math.nan),
        )


def _mean_deg(moved: Array, valid: Array) -> float:
    count = int(valid.sum())
    return math.degrees(float(moved.sum()) / count) if count else math.nan


def _step(known: _Known | None, stamp: int) -> float:
    """Seconds since a person's latest frame; infinite without one, and where time has gone back."""
    if known is None or stamp <= known.stamp:
        return math.inf
    return (stamp - known.stamp) * S_PER_NS


def _check(angles: PeopleAngles | AngleSequence) -> None:
    if angles.names != NAMES:
        unknown = sorted(set(angles.names) ^ set(NAMES)) or ["their order"]
        raise ValueError(
            f"angles must be those of pose_biomechanics.isb in their order, they differ in {', '.join(unknown)}"
        )
    if not angles.pelvis_sequence:
        raise ValueError(
            f"angles must state in which sequence those of the pelvis are; set pelvis_sequence to {' or '.join(PELVIS_SEQUENCES)}"
        )


@functools.lru_cache(maxsize=4)
def _open(path: Path, changed: int) -> Session[AngleCard]:
    """The network in a file, as of when it was last `changed` (ns). It is so small that a GPU only adds delay."""
    session = OnnxSession(path, AngleCard, "cpu")
    try_out(session, path)
    return session
