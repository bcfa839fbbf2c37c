"""Bone lengths of one person: learnt online by a running median, and enforced by the least move of all joints.

A body's bones keep their length while a lifter's do not. `pose_core.geometry.kinematics.BoneTree` holds the geometry of a
skeleton, `BoneLengths` what has been learnt of one person.
"""

from __future__ import annotations

import numpy as np

from pose_core.geometry.kinematics import MIN_LENGTH, BoneTree, typical_lengths
from pose_core.people import JointState, Person3D
from pose_core.units import NS_PER_S
from refine_node.params import RefineParams

INTERVAL = 45_000_000
"""Nanoseconds between two observations of the lengths: nearer ones repeat the same error and only cost time."""
WINDOW = 120
"""Observations over which the median runs."""
NOISE_FLOOR = 1e-3
"""Metres; no joint is weighed as if it were known better."""
FOLLOW = 20
"""Observations after which a contradiction to a settled length is believed."""
CONTRADICTION = 1.5
"""Factor by which a bone cannot differ from its settled length, nor from its mirror."""
UNKNOWN = 0.1
"""Relative standard deviation of a length that has been observed once; it falls with the root of how often it has been."""
FEW = 10
"""Observations below which a side's median is too uncertain to say that it differs from the other side's."""


class BoneLengths:
    """What has been learnt of one person's bones.

    Each bone's length is the one behind its last `WINDOW` observations (see `pose_core.geometry.kinematics.typical_lengths`),
    with weights confidence / variance.

    Left and right share one length, the weighted mean of both, unless both are known and differ by more than
    `symmetry`; bones to the two joints of a virtual point always do.

    A bone is settled, and its length frozen, once its last `settle_observations` lengths lie within `settle_change` of
    each other and the spread of its observations is at most `settle_spread`, both relative to the length.
    """

    def __init__(self, tree: BoneTree, params: RefineParams) -> None:
        self.tree = tree
        self.params = params
        self.revision = 0
        """Grows when another length is settled, or a settled one changes."""
        self.reset()

    def reset(self) -> None:
        """Forget all lengths."""
        self.revision += 1
        bones = len(self.tree.child)
        self.lengths = np.full(bones, np.nan)
        """(B,) metres; NaN where a bone has never been seen."""
        self._spread = np.zeros(bones)
        """(B,) metres; that of a bone's observations while it learns."""
        self.count = np.zeros(bones, int)
        """(B,) observations so far."""
        self._observed = np.full((bones, WINDOW), np.nan)
        self._weights = np.zeros((bones, WINDOW))
        self._history = np.full((bones, self.params.settle_observations), np.nan)
        self._settled_at = np.full(bones, np.inf)  # ns
        self._log_ratio = np.zeros(bones)
        self._last: int | None = None

    @property
    def settled(self) -> np.ndarray:
        """(B,) bones whose length is frozen."""
        return np.isfinite(self._settled_at)

    def stated(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Lengths (B,) in metres, NaN where a bone is not settled, and (B,) which are; None where none is."""
        settled = self.settled
        return (np.where(settled, self.lengths, np.nan), settled) if settled.any() else None

    def adopt(self, length: np.ndarray, settled: np.ndarray, stamp: int) -> None:
        """Take over what was `stated` of this person: those bones have been settled long before `stamp` (ns).

        `length` (B,) metres, `settled` (B,). What has settled here stays; of a pair that shares a length both must be stated.
        """
        known = settled & np.isfinite(length) & ~self.settled
        known &= ~self.tree.tied | (known | self.settled)[self.tree.mirror]
        self.lengths = np.where(known, length, self.lengths)
        self._settled_at[known] = stamp - self.params.blend_time * NS_PER_S
        self._spread[known] = 0.0
        self.revision += bool(known.any())

    def rescale(self, factor: float) -> None:
        """Follow a change of the metric scale: everything learnt is `factor` times as long."""
        self.revision += 1
        self.lengths *= factor
        self._spread *= factor
        self._observed *= factor
        self._weights /= factor**2
        self._history *= factor

    def observe(self, person: Person3D, stamp: int) -> None:
        """Learn from a person at `stamp` (ns); joints that this frame has not shown (by their state) teach nothing."""
        if self._last is not None and stamp - self._last < INTERVAL:
            return
        self._last = stamp
        length, weight = self._observation(person)
        self._follow_settled(length)
        learning = ~self.settled & np.isfinite(length)
        if not learning.any():
            return
        bones = np.flatnonzero(learning)
        place = self.count[bones] % WINDOW
        self._observed[bones, place] = length[bones]
        self._weights[bones, place] = weight[bones]
        self.count[bones] += 1
        self._learn()
        self._history[bones, self.count[bones] % self._history.shape[1]] = self.lengths[bones]
        self._settle(stamp)

    def _observation(self, person: Person3D) -> tuple[np.ndarray, np.ndarray]:
        """Lengths (B,) and weights (B,); NaN where this frame does not show the bone."""
        tree = self.tree
        shown = (person.state == JointState.MEASURED) | (person.state == JointState.LIFTED)
        length, _ = tree.measure(np.where(shown[:, None], person.xyz, np.nan))
        confidence = tree.at_nodes(person.joint_confidence)
        variance = tree.at_nodes(np.square(person.std) + NOISE_FLOOR**2)
        weight = confidence[tree.parent] * confidence[tree.child]
        weight /= variance[tree.parent] + variance[tree.child]
        weight = np.where(tree.tied, np.minimum(weight, weight[tree.mirror]), weight)
        return np.where(np.isfinite(weight), length, np.nan), weight

    def _learn(self) -> None:
        """Set the lengths and spreads of all bones that are not settled from their windows."""
        tree = self.tree
        filled = min(int(self.count.max()), WINDOW)
        length, spread, total = typical_lengths(self._observed[:, :filled], self._weights[:, :filled])
        with np.errstate(invalid="ignore"):
            other, other_total = length[tree.mirror], total[tree.mirror]
            known = (self.count >= FEW) & (self.count[tree.mirror] >= FEW)
            tolerance = self.params.symmetry * (length + other) / 2
            differ = known & ~tree.tied & (np.abs(length - other) > tolerance)
            pooled = np.nan_to_num(length) * total + np.nan_to_num(other) * other_total
            pooled /= total + other_total
        self.lengths = np.where(self.settled, self.lengths, np.where(differ, length, pooled))
        self._spread = np.where(self.settled, self._spread, np.nan_to_num(spread))

    def _settle(self, stamp: int) -> None:
        # a ring that is not full yet still holds NaN, and comparisons with NaN are false
        change = self._history.max(1) - self._history.min(1)
        params = self.params
        still = change <= params.settle_change * self.lengths
        still &= self._spread <= params.settle_spread * self.lengths
        still &= ~self.tree.tied | still[self.tree.mirror]
        still &= ~self.settled
        self._settled_at[still] = stamp
        self.revision += bool(still.any())

    def _follow_settled(self, length: np.ndarray) -> None:
        """Average the ratio of observed to settled lengths over about `FOLLOW` observations."""
        bones = self.settled & np.isfinite(length) & (length > MIN_LENGTH)
        ratio = np.log(length[bones] / self.lengths[bones])
        self._log_ratio[bones] += (ratio - self._log_ratio[bones]) / FOLLOW

    def contradictions(self) -> list[str]:
        """What no body does: bones (by name) that left their settled length, or are far from their mirror's.

        Joints are swapped then, the unit has changed, or another person has taken over the id.
        """
        names, mirror = self.tree.skeleton.bone_names, self.tree.mirror
        factor = np.exp(np.abs(self._log_ratio))
        both = self.settled & self.settled[mirror]
        ratio = np.divide(self.lengths, self.lengths[mirror], out=np.ones(len(mirror)), where=both)
        off, uneven = np.flatnonzero(factor > CONTRADICTION), np.flatnonzero(ratio > CONTRADICTION)
        return [
            *(f"{names[i]} is off by a factor of {factor[i]:.1f}" for i in off),
            *(f"{names[i]} is {ratio[i]:.1f} times {names[mirror[i]]}" for i in uneven),
        ]

    def enforce(self, xyz: np.ndarray, std: np.ndarray, stamp: int) -> np.ndarray:
        """Joints (J, 3) with the lengths of this person's rigid bones; `std` (J,) in metres.

        Joints move by the least that does it (see `BoneTree.least_move`), and by no more than their own deviations. Settled bones
        get their length exactly; where that takes more, they keep their direction and carry along what hangs below. Others
        are as unsure as their observations differ, and as `UNKNOWN` says while these are few.
        """
        tree = self.tree
        exact = np.clip((stamp - self._settled_at) / (self.params.blend_time * NS_PER_S), 0.0, 1.0)
        lengths = np.where(tree.rigid, self.lengths, np.nan)
        few = UNKNOWN * lengths / np.sqrt(np.maximum(self.count, 1))
        slack = (1.0 - exact) * np.hypot(self._spread, few)
        try:
            move = tree.least_move(xyz, lengths, std, slack) - xyz
        except (
            np.linalg.LinAlgError
        ):  # deviations so far apart, or so small, that no number tells who is to move
            move = np.zeros_like(xyz)
        size = np.sqrt(np.einsum("ji,ji->j", move, move))
        xyz = xyz + move * np.minimum(std / np.maximum(size, NOISE_FLOOR), 1.0)[:, None]
        length, direction = tree.measure(xyz)
        return tree.lengthen(xyz, exact * (lengths - length), direction)
