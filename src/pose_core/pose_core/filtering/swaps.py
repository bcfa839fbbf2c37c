"""Left and right put right, online: a detector that takes one leg for the other, or a person's front for the back.

A swap leaves the middle of a pair of joints (left and right wrist) where it is and turns the difference, left minus right, into
its negative. So all that must be followed is one vector per pair. It changes smoothly whatever the person does: in the fastest
turn it passes through zero, and only a swap makes it jump to where its negative was. A pair is exchanged where the negative of
what was measured continues the past and what was measured does not.

What is exchanged is the hidden state of a Markov chain, whose forward probabilities (Rabiner 1989, "A tutorial on hidden Markov
models", equations 18 to 20) weigh the evidence of all pairs against how rarely detectors swap. Ambiguous frames, such as legs
that pass each other in a side view, change nothing. Continuity alone cannot tell which of two labellings is right; votes do: it
is the one that the detector gave for longer, weighed by confidence, within a memory of some seconds. In 3D nose and feet tell
what is front, and bones that would have to change their length tell which part of a limb was exchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from pose_core.people import Person3D
from pose_core.skeleton import Skeleton, mirror, side
from pose_core.types import Array
from pose_core.units import S_PER_NS

MAX_GAP = 0.5
"""Seconds after which what was seen tells nothing about what is seen now."""
MEMORY = 3.0
"""Seconds over which votes are remembered: a detector that stays with the other labelling is believed after 2 s at most."""
WARM_UP = 0.25
"""Seconds of undisputed labels that a limb needs before a swap is claimed: a track may as well begin in one."""
DOUBT = 0.06
"""Seconds in which votes are forgotten while nothing tells left from right."""

ONSET, END, CHANGE = 0.06, 2.0, 2.0
"""Events per second: swaps begin, end, and become others. As in the simulated detector of `pose_train`."""
BODY, LIMB, PART = 0.5, 0.15, 0.1
"""How common swaps are of the whole body, of arms or legs with or without shoulders or hips, and of hands or feet alone."""
RELEASE = 0.3
"""Least probability that a swap ends in a frame that does not confirm it."""
MARGIN = 2.0
"""Logarithm of the odds above which a swap is claimed; the claim lasts while it is the most probable."""
MOST_ODDS = 14.0
"""Bound on the logarithm of odds, so that whatever is certain can change within a few frames."""
CLEAR = 2.0
"""Logarithm of the odds from which on a frame says something about a limb."""

SIZES = (1e-3, 1e6)
"""Metres or pixels between which a person's size and all positions must lie; anything else is nobody, and begins anew."""
NOISE = 0.04
"""Standard deviation of a difference between sure joints, as a share of the person's size: root mean square distance of the
joints from their middle."""
STD_SHARE = 0.3
"""Of a stated standard deviation, what changes from frame to frame."""
LEAST_CONFIDENCE = 0.1
"""Joints less sure than this are not noisier still."""
TURN, SWING = 1.2, 2.5
"""Radians per second by which differences of shoulders, hips and face, and those of limbs, leave the way they went."""
FASTEST = 15.0
"""Radians per second that nothing turns faster (half a turn of the body in 0.4 s takes 8 in the mean and 15 at most): no swap
begins with a smaller step, however well the negative of a difference would fit."""
COAST = 0.1
"""Seconds for which a velocity lasts."""
FOLLOW = 0.7
"""Share of the newest step in a velocity."""
TRAIL = 0.1
"""Seconds by which the trailing difference follows: where a pair has just been it may be again."""
FADE = 1.5
"""Seconds in which size and the largest separation of a pair are forgotten."""
ADAPTATION, SCALES, MOST_SCALE = 0.7, (0.7, 4.0), 25.0
"""Seconds over which the scale of what is unexpected is learnt, and its bounds."""
FREEDOM = 3.0
"""Degrees of freedom of residuals (Student's t), so that one that fits neither labelling says little."""
UNLIKELY, LIKELY, HOLD = 12.0, 4.0, 0.07
"""A detector that smooths shows mixtures of both labellings while it changes its mind. A frame leaves no trace, for so many
seconds at most, where a limb's mean squared residual in standard deviations is above the first number, and below the second if
the limb may be anywhere between the two labellings."""
MOST_MISFIT = 100.0
"""Bound on squared residuals in these means and in the scale that is learnt."""

FRONT = 0.3
"""3D: mean cosine between where nose and feet point and the front by the sides, above which the sides of a body are right."""
FRONT_VOTES = 3.0
"""3D: weight of where nose and feet point among the votes."""
BONE_STD = 0.1
"""3D: standard deviation of a bone's length in one frame, as a share of it, besides the noise of its ends."""
BONE_TIME = 2.0
"""Seconds over which the lengths of bones are learnt."""


@dataclass(frozen=True)
class _Group:
    """Pairs that hang on one joint of the middle: the arms, the legs, or the face."""

    pairs: Array  # (n,) rows among the pairs
    depth: Array  # (n,) 0 next to the middle

    @property
    def limb(self) -> bool:
        """Whether it is a chain of three pairs or more, which the detector may exchange by itself; a face goes with the body."""
        return all((self.depth == depth).sum() == 1 for depth in range(3))

    def cuts(self) -> list[int]:
        """Depths from which downwards a limb may be exchanged; 0 is all of it."""
        return [depth for depth in range(int(self.depth.max()) + 1) if (self.depth == depth).sum() == 1]


class SwapRepair:
    """Exchanges the labels of one person's joints where the detector has swapped them: pixels or metres, any frame rate.

    Positions stay what they are and only change their names. Where it is not clear that labels are swapped they are left alone.
    """

    def __init__(self, skeleton: Skeleton, memory: float = MEMORY) -> None:
        """`memory`: seconds over which the detector's labels are remembered. Raises ValueError unless it exceeds `WARM_UP`."""
        if not memory > WARM_UP:
            raise ValueError(f"memory must exceed {WARM_UP} s, got {memory}")
        self.skeleton = skeleton
        self.memory = memory
        left = [row for row, joint in enumerate(skeleton.joints) if side(joint) == "left"]
        self._left = np.array(left, np.intp)
        self._right = skeleton.flip[self._left]
        groups = _groups(skeleton, left)
        limbs = [group for group in groups if group.limb]
        self._limbs = len(limbs)
        self._groups = [*limbs, *(group for group in groups if not group.limb)]
        self._member = np.zeros((len(groups), len(left)))
        self._share, self._turn = np.zeros(len(left)), np.full(len(left), TURN)
        for row, group in enumerate(self._groups):
            self._member[row, group.pairs] = 1.0
            if group.limb:
                # Hands and feet have several joints, which err together.
                segment = np.minimum(group.depth, 2)
                self._share[group.pairs] = 1.0 / (segment == segment[:, None]).sum(1)
                self._turn[group.pairs[group.depth > 0]] = SWING
        self._patterns, self._prior = _patterns(limbs, len(left))
        touched = self._patterns.astype(float) @ self._member[: self._limbs].T
        self._touched = touched > 0.0
        """(K, L) limbs of which a pattern exchanges something."""
        self._whole = (touched == self._member[: self._limbs].sum(1)).all(1)
        """(K,) patterns that exchange all limbs."""
        self._bones = _Bones(skeleton, left, self._patterns)
        self._front = _Front(skeleton)
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self._stamp: int | None = None
        self._pattern = 0

    def repair(
        self, stamp: int, positions: Array, confidence: Array, std: Array | None = None
    ) -> tuple[Array, Array]:
        """Positions (J, D) with labels put right, and which (J,) joints were exchanged with their mirror.

        `stamp`: ns; one that is not later than the last, or much later, begins anew. `confidence`: (J,). `std`: (J,) standard
        deviations in the unit of `positions`, where known. Missing joints are NaN or have confidence 0; they are exchanged with
        their limb. Whatever else belongs to joints is put right by `exchanged`, from the same mask.
        """
        known = np.isfinite(positions).all(1) & (confidence > 0.0)
        given = known[self._left] & known[self._right]
        if not given.any() or not self._limbs:
            return positions, np.zeros(len(positions), bool)
        size = _size(positions[known]) if np.abs(positions[known]).max() < SIZES[1] else math.inf
        if not SIZES[0] < size < SIZES[1]:
            self.reset()
            return positions, np.zeros(len(positions), bool)
        difference = np.where(given[:, None], positions[self._left] - positions[self._right], 0.0)
        gap = math.inf if self._stamp is None else (stamp - self._stamp) * S_PER_NS
        if not 0.0 < gap <= MAX_GAP:
            self._begin(stamp, positions[known], difference, given)
            return positions, np.zeros(len(positions), bool)
        share = -math.expm1(-gap / FADE)
        self._size += share * (size - self._size)
        sure = np.where(given, np.minimum(confidence[self._left], confidence[self._right]), 0.0)
        noise = (NOISE * self._size) ** 2 / np.maximum(sure, LEAST_CONFIDENCE)
        if std is not None:
            square = STD_SHARE**2 * (std[self._left] ** 2 + std[self._right] ** 2)
            noise += np.where(np.isfinite(square), square, 0.0)
        age = (stamp - self._seen) * S_PER_NS
        old = given & (age <= MAX_GAP)
        step = self._velocity * (-COAST * np.expm1(-age / COAST))[:, None]
        variance = self._scale**2 * (noise + (self._reach * self._turn * age) ** 2)
        weight = np.where(old, sure * self._share, 0.0)
        evidence = 0.5 * (FREEDOM + difference.shape[1]) * weight * self._evidence(difference, step, variance)
        slow = _lengths(difference - self._difference) <= FASTEST * age * self._reach
        begins = ~self._patterns[self._pattern]
        evidence = np.where(slow & begins, np.minimum(evidence, 0.0), evidence)
        odds, front = self._patterns @ evidence, 0.0
        if positions.shape[1] == 3:
            odds += self._bones.odds(positions, confidence, noise)
            if self._whole[odds.argmax()]:
                front = self._front.of(positions)
        if front > FRONT:
            # The stage before has turned the person around, depth and all. Other names do not mend that.
            self._begin(stamp, positions[known], difference, given)
            return positions, np.zeros(len(positions), bool)
        before, pattern = self._pattern, self._most_probable(odds, gap)
        self._vote(evidence, weight, front if self._whole[pattern] else 0.0, gap)
        if pattern and self._votes[self._touched[pattern]].mean() < (0.0 if before else WARM_UP):
            self._believe(pattern)
            step = np.where(self._patterns[pattern][:, None], -step, step)
            pattern = 0
        self._pattern = pattern
        rows = self._patterns[pattern]
        self._follow(stamp, np.where(rows[:, None], -difference, difference), given, old, age, step, variance)
        swapped = np.zeros(len(positions), bool)
        swapped[self._left[rows]] = swapped[self._right[rows]] = True
        if pattern:
            positions = exchanged(positions, self.skeleton, swapped)
        if positions.shape[1] == 3:
            self._bones.learn(positions, gap)
        self._stamp = stamp
        return positions, swapped

    def _begin(self, stamp: int, seen: Array, difference: Array, given: Array) -> None:
        """Start from a frame whose labels are taken as they are."""
        self._stamp = stamp
        self._size = _size(seen)
        self._difference, self._trail = difference, difference
        self._velocity = np.zeros_like(difference)
        self._reach = _lengths(difference)
        self._scale = np.ones(len(given))
        self._seen = np.where(given, stamp, stamp - round(2 * MAX_GAP / S_PER_NS))
        self._votes = np.zeros(self._limbs)
        self._bones.reset()
        self._calm()

    def _calm(self) -> None:
        """Nothing is swapped as far as is known."""
        self._pattern = 0
        self._odds = np.concatenate([[0.0], np.full(len(self._prior) - 1, -MOST_ODDS)])

    def _evidence(self, difference: Array, step: Array, variance: Array) -> Array:
        """(P,) how much better the negative of `difference` continues the past than `difference` does; above 0 where it does.

        The past goes on anywhere between standing still and keeping its velocity. Labels as they are may also return to where
        they have just been.
        """
        same = np.minimum(
            _off(difference, self._difference, step),
            _off(difference, self._difference, self._trail - self._difference),
        )
        other = _off(-difference, self._difference, step)
        evidence: Array = np.log((FREEDOM * variance + same) / (FREEDOM * variance + other))
        return evidence

    def _most_probable(self, evidence: Array, gap: float) -> int:
        """The pattern after one step of the chain with the log likelihoods `evidence` (K,) against pattern 0."""
        if not self._pattern and evidence[1:].max() < -CLEAR:
            self._calm()
            return 0
        begin, end, change = (-math.expm1(-rate * gap) for rate in (ONSET, END, CHANGE))
        if self._pattern and evidence[self._pattern] < CLEAR:
            end = max(end, RELEASE)
        before = np.exp(self._odds)
        before /= before.sum()
        swapped = 1.0 - before[0]
        after = (1.0 - end) * (1.0 - change) * before
        after += (before[0] * begin + swapped * (1.0 - end) * change) * self._prior
        after[0] = before[0] * (1.0 - begin) + swapped * end
        odds = np.log(after) + evidence
        self._odds = np.maximum(odds - odds.max(), -MOST_ODDS)
        best = int(odds.argmax())
        return best if self._pattern or odds[best] - odds[0] >= MARGIN else 0

    def _vote(self, evidence: Array, weight: Array, front: float, gap: float) -> None:
        """Count for how long the detector has labelled each limb as it is followed here, in seconds."""
        limbs = self._member[: self._limbs]
        told = limbs @ evidence
        sure = limbs @ weight / np.maximum(limbs @ self._share, 1e-9)
        counted = self._votes * math.exp(-gap / self.memory) - gap * sure * np.sign(told)
        self._votes = np.where(np.abs(told) > CLEAR, counted, self._votes * math.exp(-gap / DOUBT))
        self._votes -= FRONT_VOTES * gap * front

    def _believe(self, pattern: int) -> None:
        """Take the detector's labels for right after all, and what was followed so far for wrong."""
        sign = np.where(self._patterns[pattern], -1.0, 1.0)[:, None]
        self._difference, self._trail = sign * self._difference, sign * self._trail
        self._velocity = sign * self._velocity
        self._votes = np.where(self._touched[pattern], -self._votes, self._votes)
        self._calm()

    def _follow(
        self,
        stamp: int,
        difference: Array,
        given: Array,
        old: Array,
        age: Array,
        step: Array,
        variance: Array,
    ) -> None:
        """Move on to this frame's differences (P, D), labels put right."""
        fit = np.minimum(_off(difference, self._difference, step) / variance, MOST_MISFIT)
        on = old
        if (fit > UNLIKELY).any():
            weight = np.where(old, self._share, 0.0)
            on = old & ~(self._mixed(difference, step, fit, variance, weight, age) & (age < HOLD))
        fresh = given & ~old
        speed = (difference - self._difference) / np.maximum(age, S_PER_NS)[:, None]
        velocity = self._velocity + FOLLOW * (speed - self._velocity)
        trail = self._trail - np.expm1(-age / TRAIL)[:, None] * (difference - self._trail)
        if fresh.any():
            velocity[fresh], trail[fresh] = 0.0, difference[fresh]
        square = self._scale**2
        square = square - np.expm1(-age / ADAPTATION) * (np.minimum(fit * square, MOST_SCALE) - square)
        scale = np.minimum(np.maximum(np.sqrt(square), SCALES[0]), SCALES[1])
        reach = np.maximum(_lengths(difference), self._reach * np.exp(-age / FADE))
        taken = on | fresh
        self._scale = np.where(on, scale, self._scale)
        self._velocity = np.where(taken[:, None], velocity, self._velocity)
        self._trail = np.where(taken[:, None], trail, self._trail)
        self._difference = np.where(taken[:, None], difference, self._difference)
        self._reach = np.where(taken, reach, self._reach)
        self._seen = np.where(taken, stamp, self._seen)

    def _mixed(
        self,
        difference: Array,
        step: Array,
        fit: Array,
        variance: Array,
        weight: Array,
        age: Array,
    ) -> Array:
        """(P,) pairs of limbs that lie between their two labellings, and got there faster than anything moves."""
        limbs = self._member[: self._limbs]
        ahead = self._difference + step
        between = np.minimum(_off(difference, ahead, -2.0 * ahead) / variance, MOST_MISFIT)
        turned = _lengths(difference - self._difference) / np.maximum(self._reach, 1e-12)
        total = limbs @ weight
        mixed = limbs @ (weight * fit) > UNLIKELY * total
        mixed &= limbs @ (weight * between) < LIKELY * total
        mixed &= limbs @ (weight * (np.minimum(turned, 2.0) - FASTEST * age)) > 0.0
        of_pairs: Array = mixed @ limbs > 0.0
        return of_pairs


def exchanged(values: Array, skeleton: Skeleton, swapped: Array) -> Array:
    """Values (J, ...) of joints after those of the mask `swapped` (J,) have changed places with their mirrors."""
    moved: Array = values[np.where(swapped, skeleton.flip, np.arange(len(swapped)))]
    return moved


def exchanged_person(person: Person3D, skeleton: Skeleton, swapped: Array) -> Person3D:
    """The same with all that belongs to the joints of a person."""
    return replace(
        person,
        xyz=exchanged(person.xyz, skeleton, swapped),
        std=exchanged(person.std, skeleton, swapped),
        covariance=None if person.covariance is None else exchanged(person.covariance, skeleton, swapped),
        joint_confidence=exchanged(person.joint_confidence, skeleton, swapped),
        state=exchanged(person.state, skeleton, swapped),
    )


class _Bones:
    """3D: lengths of the bones between the pairs of limbs, and what they say about where a limb was cut and exchanged."""

    def __init__(self, skeleton: Skeleton, left: list[int], patterns: Array) -> None:
        row = {joint: i for i, joint in enumerate(left)}
        bones = [(row[int(p)], row[int(c)]) for p, c in skeleton.edges if int(p) in row and int(c) in row]
        self._upper, self._lower = np.array(bones, np.intp).reshape(-1, 2).T
        joints, flip = np.array(left, np.intp), skeleton.flip
        upper, lower = joints[self._upper], joints[self._lower]
        # Left bones, right bones, and what would be those if the lower ends were exchanged.
        self._from = np.stack([upper, flip[upper], upper, flip[upper]])
        self._to = np.stack([lower, flip[lower], flip[lower], lower])
        self._cut = patterns[:, self._lower] & ~patterns[:, self._upper]
        self.reset()

    def reset(self) -> None:
        """Forget the lengths."""
        self._length = np.full(len(self._upper), np.nan)

    def odds(self, xyz: Array, confidence: Array, noise: Array) -> Array:
        """(K,) log odds for each pattern against no exchange, from positions (J, 3) and the variances (P,) of differences."""
        variance = FREEDOM * (noise[self._upper] + noise[self._lower] + (BONE_STD * self._length) ** 2)
        off = variance + (_lengths(xyz[self._from] - xyz[self._to]) - self._length) ** 2
        sure = np.minimum(confidence[self._from[:2]], confidence[self._to[:2]]).min(0)
        told = 0.5 * (FREEDOM + 1.0) * sure * np.log(off[0] * off[1] / (off[2] * off[3]))
        odds: Array = self._cut @ np.where(np.isfinite(told), told, 0.0)
        return odds

    def learn(self, xyz: Array, gap: float) -> None:
        """Follow the lengths in a frame whose labels were put right."""
        length = _lengths(xyz[self._from[:2]] - xyz[self._to[:2]]).mean(0)
        moved = self._length - math.expm1(-gap / BONE_TIME) * (length - self._length)
        known = np.where(np.isnan(length), self._length, moved)
        self._length = np.where(np.isnan(self._length), length, known)


class _Front:
    """3D: whether nose and feet point to where the sides say that the front is."""

    def __init__(self, skeleton: Skeleton) -> None:
        self._skeleton = skeleton
        names = skeleton.nodes
        self._sides = [
            skeleton.indices(name, mirror(name)) for name in ("left_shoulder", "left_hip") if name in names
        ]
        self._axis = skeleton.indices("pelvis", "neck") if {"pelvis", "neck"} <= set(names) else []
        pointers: list[tuple[tuple[str, ...], tuple[str, ...]]] = [(("nose",), ("left_ear", "right_ear"))]
        pointers += [
            ((toe, mirror(toe)), (heel, mirror(heel)))
            for toe, heel in (
                ("left_foot_index", "left_heel"),
                ("left_big_toe", "left_heel"),
                ("left_toe", "left_ankle"),
            )
        ]
        self._pointers = [
            (skeleton.indices(*tips), skeleton.indices(*bases))
            for tips, bases in pointers
            if {*tips, *bases} <= set(names)
        ]

    def of(self, xyz: Array) -> float:
        """Mean cosine between the front by the sides and nose and feet, -1 to 1: 1 where the sides are right; 0 unknown."""
        if not (self._axis and self._sides and self._pointers):
            return 0.0
        nodes = self._skeleton.with_virtual(xyz)
        across = np.mean([nodes[left] - nodes[right] for left, right in self._sides], axis=0)
        forward = np.cross(across, nodes[self._axis[1]] - nodes[self._axis[0]])
        cosines = []
        for tips, bases in self._pointers:
            pointer = nodes[tips].mean(0) - nodes[bases].mean(0)
            cosines.append(
                pointer @ forward / max(math.sqrt((pointer @ pointer) * (forward @ forward)), 1e-12)
            )
        known = [cosine for cosine in cosines if math.isfinite(cosine)]
        return sum(known) / len(known) if known else 0.0


def _off(points: Array, start: Array, step: Array) -> Array:
    """(P,) squared distances of points (P, D) from the segments from `start` to `start` + `step`."""
    off = points - start
    along = np.einsum("pi,pi->p", off, step) / np.maximum(np.einsum("pi,pi->p", step, step), 1e-30)
    off = off - np.minimum(np.maximum(along, 0.0), 1.0)[:, None] * step
    distance: Array = np.einsum("pi,pi->p", off, off)
    return distance


def _lengths(vectors: Array) -> Array:
    result: Array = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return result


def _size(seen: Array) -> float:
    """Root mean square distance of points (n, D) from their mean; whose they are does not matter."""
    off = seen - seen.sum(0) / len(seen)
    return math.sqrt(float(np.einsum("ni,ni->", off, off)) / len(seen))


def _groups(skeleton: Skeleton, left: list[int]) -> list[_Group]:
    found: dict[int, list[tuple[int, int]]] = {}
    for pair, joint in enumerate(left):
        depth, above = 0, int(skeleton.parents[joint])
        while side(skeleton.nodes[above]) != "centre":
            depth, above = depth + 1, int(skeleton.parents[above])
        found.setdefault(above, []).append((pair, depth))
    return [_Group(*np.array(members, np.intp).T) for members in found.values()]


def _patterns(limbs: list[_Group], pairs: int) -> tuple[Array, Array]:
    """(K, P) which pairs are exchanged: none, all, or some of one kind of limb; and (K,) how common that is among swaps."""
    rows, weights = [np.zeros(pairs, bool), np.ones(pairs, bool)], [0.0, BODY]
    for limb in limbs:
        for cut in limb.cuts():
            row = np.zeros(pairs, bool)
            row[limb.pairs] = limb.depth >= cut
            rows.append(row)
            weights.append(LIMB if cut < 2 else PART)
    prior = np.array(weights)
    return np.array(rows), prior / prior.sum()
