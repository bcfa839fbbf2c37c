"""The bones of a skeleton as a tree: their lengths, their directions, and poses as rotations of bones.

`BoneTree` measures bones and changes their lengths, bone by bone or by the least move of all joints. `BodyTree` adds rotations:
p_child = p_parent + length * (G @ rest) with a rotation G of each bone in the axes of the pose, not of its parent, so that every
joint is one sum over its path from the root.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from pose_core.geometry.rotations import least_rotation, nearest_rotation
from pose_core.geometry.standing import standing_joints
from pose_core.skeleton import MEDIAPIPE33, SIDES, Skeleton, side
from pose_core.types import Array

MIN_LENGTH = 1e-6
"""Metres; a shorter bone has no direction."""
ROUNDS = 2
"""Of Gauss and Newton, from which lengths come out right to a millimetre or two; more move joints by less than that."""
BELIEVED = 3.0
"""Standard deviations by which a bone may be too long or too short and its ends still be where they are said to be."""
SHARED = 0.3
"""Correlation of the errors of heel and toes with those of the ankle. Without it a shank that is made longer or shorter turns the
foot, and angles of the ankle err more than with bones left alone; with 0.5 and more joints err more and tremble."""

LIKE: dict[str, dict[str, float]] = {
    "{}_small_toe": {"{}_foot_index": 1.0},
    # A left hand that hangs beside the body, thumb forward: its knuckles are those of `mediapipe33`.
    "wrist": {"left_wrist": 1.0},
    "thumb_cmc": {"left_thumb": 1.0},
    "index_mcp": {"left_index": 1.0},
    "middle_mcp": {"left_index": 2 / 3, "left_pinky": 1 / 3},
    "ring_mcp": {"left_index": 1 / 3, "left_pinky": 2 / 3},
    "pinky_mcp": {"left_pinky": 1.0},
}
"""Joints that no conversion makes, as sums of joints of `mediapipe33`: near enough to tell in which direction bones point."""


class BoneTree:
    """Geometry of the bones of a skeleton; (J,) joints, (B,) bones in the order of `skeleton.bones`.

    Raises ValueError for a skeleton with a virtual point that does not carry the two joints it is the mean of: their
    bones could not keep a length without moving the point off the mean.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self.parent, self.child = skeleton.edges.T
        """(B,) nodes that a bone goes from and to."""
        self._sources = np.array(
            [[joint, joint] for joint in range(len(skeleton))]
            + [skeleton.indices(a, b) for _, a, b in skeleton.virtual]
        )
        bone_of = {int(child): bone for bone, child in enumerate(self.child)}
        flip = skeleton.flip_nodes
        self.mirror = np.array([bone_of[int(flip[child])] for child in self.child], np.intp)
        """(B,) the same bone on the other side; itself in the middle."""
        self.tied = np.zeros(len(self.child), bool)
        """(B,) bones from a virtual point to the joints it is the mean of: always as long as their mirror."""
        for point, *joints in skeleton.virtual:
            for joint in joints:
                if skeleton.parents[skeleton.index(joint)] != skeleton.index(point):
                    raise ValueError(
                        f"skeleton '{skeleton.name}' must have a bone {point}-{joint} to keep {point} its mean"
                    )
                self.tied[bone_of[skeleton.index(joint)]] = True
        points = [skeleton.index(point) for point, *_ in skeleton.virtual]
        self.rigid = ~(np.isin(self.parent, points) & np.isin(self.child, points))
        """(B,) bones that keep their length: not one between two virtual points, such as that of the trunk, which bends."""
        self.below = np.zeros((len(skeleton.nodes), len(self.child)), bool)
        """(J, B) whether the joint hangs below the bone."""
        for bone, (parent, child) in enumerate(skeleton.edges):
            self.below[child] = self.below[parent]
            self.below[child, bone] = True
        self.below = self.below[: len(skeleton)]
        self._paths = self.below.astype(float)
        share = self.at_nodes(np.eye(len(skeleton)))
        self._vectors = share[self.child] - share[self.parent]
        """(B, J) what each joint has to do with each bone's vector."""
        self._mixing = np.eye(len(skeleton))
        """(J, J) how joints' errors are made of independent ones."""
        for ankle in (skeleton.index(joint) for joint in skeleton.joints if joint.endswith("ankle")):
            foot = self.child[self.parent == ankle]
            self._mixing[foot, foot], self._mixing[foot, ankle] = np.sqrt(1.0 - SHARED * SHARED), SHARED
        self._once = ~(self.tied & (self.mirror < np.arange(len(self.child))))
        """(B,) all bones, of tied ones the first: the other has the same vector, turned over."""

    def at_nodes(self, values: Array) -> Array:
        """Values (N, ...) at joints and virtual points from those (J, ...) at the joints; NaN where a source is NaN."""
        a, b = self._sources.T
        result: Array = 0.5 * (values[a] + values[b])
        return result

    def measure(self, xyz: Array) -> tuple[Array, Array]:
        """Lengths (B,) in metres and unit vectors (B, 3) from parent to child; NaN where an end is missing.

        A bone shorter than `MIN_LENGTH` has no direction: its vector is zero.
        """
        nodes = self.at_nodes(xyz)
        bones = nodes[self.child] - nodes[self.parent]
        length = np.sqrt(np.einsum("bi,bi->b", bones, bones))
        return length, bones * ((length >= MIN_LENGTH) / np.maximum(length, MIN_LENGTH))[:, None]

    def lengthen(self, xyz: Array, change: Array, direction: Array) -> Array:
        """Joints (J, 3) after each bone has grown by `change` (B,) metres along `direction` (B, 3), from the root outward.

        The root stays, and so do the directions of all bones: a joint moves by the sum of the changes along its path
        from the root. A bone with a missing end or an unknown (NaN) change keeps its offset, so what hangs below a
        missing joint follows the nearest known joint above it. Tied bones must have the same change.
        """
        step = change[:, None] * direction
        result: Array = xyz + self._paths @ np.where(np.isfinite(step), step, 0.0)
        return result

    def with_lengths(self, xyz: Array, lengths: Array) -> Array:
        """Joints (J, 3) with the bone `lengths` (B,) in metres; NaN lengths leave their bone as it is. See `lengthen`."""
        length, direction = self.measure(xyz)
        return self.lengthen(xyz, lengths - length, direction)

    def least_move(self, xyz: Array, lengths: Array, std: Array, slack: Array) -> Array:
        """Joints (J, 3) moved by the least that gives the bones their `lengths` (B,) to a few millimetres; all in metres.

        The most probable pose where each joint errs independently and alike along all axes by its `std` (J,) > 0, but for heel
        and toes (`SHARED`), and each length by its `slack` (B,) >= 0: the minimum of the sum of |move|^2 / std^2 and of (length
        - lengths)^2 / slack^2, without slack under the constraint, by `ROUNDS` steps of Gauss and Newton. So a bone that is too
        short pushes both its ends apart, the unsurer one further, where `with_lengths` would carry along all that hangs below.
        Weighed by errors that lie along the view and are handed down, as those of lifters do
        (`pose_core.filtering.joint_errors`), the result errs more and trembles: a bone across the view has to turn far to
        change its length.

        Missing joints stay missing. A bone with a missing end, a NaN length or no direction asks for nothing, nor does one that
        is off by more than `BELIEVED` of its deviations: a wrist that is somewhere else would drag the arm along.
        """
        length, direction = self.measure(xyz)
        errors = np.where(np.isfinite(std), std, 0.0)[:, None] * self._mixing
        of_bones = self._vectors @ errors
        doubt = np.einsum("be,be->b", of_bones, of_bones) + np.square(slack)
        off = np.square((lengths - length) / BELIEVED)
        rows = np.flatnonzero(self._once & (length >= MIN_LENGTH) & (off <= doubt))
        if not rows.size:
            return xyz
        of_bones, wanted, given = of_bones[rows], lengths[rows], length[rows, None] * direction[rows]
        coupling = of_bones @ of_bones.T
        loose = np.diag(np.square(slack[rows]))
        pushes, now = np.zeros_like(given), given
        for _ in range(ROUNDS):
            size = np.maximum(np.sqrt(np.einsum("bi,bi->b", now, now)), MIN_LENGTH)
            along = now / size[:, None]
            # what the lengths lack, from where they are now but counted from the joints as given
            lack = wanted - size - np.einsum("bi,bi->b", along, given - now)
            pushes = np.linalg.solve(coupling * (along @ along.T) + loose, lack)[:, None] * along
            now = given + coupling @ pushes
        moved: Array = xyz + errors @ (of_bones.T @ pushes)
        return moved


class BonePose(NamedTuple):
    """A pose about its root; see `BodyTree`."""

    rotations: Array  # (..., G, 3, 3)
    lengths: Array  # (..., B) in the unit of the joints, NaN where the bone's child is missing


class BodyTree(BoneTree):
    """Poses of a skeleton as rotations and lengths of its bones; (G,) rotations, one for each of the `groups`.

    Rest directions are those of `pose_core.geometry.standing.STANDING`, a person who stands upright with hanging arms: x
    to the person's left, y up, z forward. They define what a rotation is counted from; with right lengths every pose has
    rotations, whatever they are. Bones that are tied (see `BoneTree.tied`) have opposite rest directions and turn as one, which
    keeps their virtual point the mean of its joints. Bones of which no table tells a direction, such as the fingers', continue
    the one before.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__(skeleton)
        self.groups = np.zeros(len(self.child), np.intp)
        """(B,) which rotation turns a bone."""
        heads: list[int] = []
        for bone, other in enumerate(self.mirror):
            follows = self.tied[bone] and other < bone
            self.groups[bone] = self.groups[other] if follows else len(heads)
            if not follows:
                heads.append(bone)
        self.heads = np.array(heads, np.intp)
        """(G,) the first bone of each group."""
        self.signs = np.where(self.heads[self.groups] == np.arange(len(self.child)), 1.0, -1.0)
        """(B,) -1 for a bone that points against the first of its group."""
        ends = {int(child): int(self.groups[bone]) for bone, child in enumerate(self.child)}
        self.group_parent = np.array([ends.get(int(node), -1) for node in self.parent[self.heads]], np.intp)
        """(G,) the group of the bone before; -1 for bones from the root. Parents come before their children."""
        self.group_mirror = self.groups[self.mirror[self.heads]]
        """(G,) the group on the other side; itself in the middle and for tied bones."""
        self.pairs = np.unique(np.minimum(self.mirror, np.arange(len(self.mirror))), return_inverse=True)[1]
        """(B,) which of the different lengths of a body that is alike on both sides a bone has."""
        self.rest = self._upright()
        """(B, 3) unit rest directions."""
        depth = np.zeros(len(heads), int)
        for group, before in enumerate(self.group_parent):
            depth[group] = depth[before] + 1 if before >= 0 else 0
        self.levels = tuple(np.flatnonzero(depth == level) for level in range(int(depth.max()) + 1))
        """Groups by how many bones there are between them and the root."""
        self._bone_levels = [np.flatnonzero(depth[self.groups] == level) for level in range(len(self.levels))]
        self._bone_to = np.array(
            [np.flatnonzero([*(self.child == joint), True])[0] for joint in range(len(skeleton))]
        )

    @cached_property
    def standing_lengths(self) -> Array:
        """(B,) lengths of an average person's bones in standing heights; NaN where no table tells."""
        result: Array = np.linalg.norm(_standing_bones(self.skeleton), axis=-1)
        return result

    def forward(self, rotations: Array, lengths: Array, root: Array | None = None) -> Array:
        """Joints (..., J, 3) from rotations (..., G, 3, 3), lengths (..., B) and the `root` (..., 3); leading axes broadcast.

        Without `root` it is the origin. Tied bones must be equally long. A bone with a NaN length has a missing child, and
        what hangs below goes on from where the bone starts, as `fit` measures it.
        """
        turned = np.einsum("...bij,bj->...bi", rotations[..., self.groups, :, :], self.rest)
        bones = lengths[..., None] * turned
        seen = np.isfinite(bones).all(-1)
        joints = self._paths @ np.where(seen[..., None], bones, 0.0)
        # the root has no bone that could be missing
        seen = np.concatenate([seen, np.ones((*seen.shape[:-1], 1), bool)], -1)[..., self._bone_to]
        joints = np.where(seen[..., None], joints, np.nan)
        return joints if root is None else joints + root[..., None, :]

    def fit(self, xyz: Array, root: Array | None = None) -> BonePose:
        """The rotations and lengths of a pose: `forward(*fit(xyz, root), root)` gives joints (..., J, 3) back, NaN included.

        What direction a bone has leaves its twist open: a rotation is the least one from that of the bone before. Bones from the
        root start from the rotation that fits all of them best; where only one of them is known, its twist is arbitrary.

        Rotations are always finite: a bone that is not known turns with the one before. The bone to a missing joint has length
        NaN. What hangs below is measured from the nearest known node above: its length is the distance from there, not that of
        the bone (`BoneTree.measure` counts such bones as unknown). `root` (..., 3) is where the root is in poses
        that miss it; where that is not known either, all lengths are NaN.
        """
        nodes = np.array(self.skeleton.with_virtual(xyz), float)
        start = self.skeleton.index(self.skeleton.root)
        known = np.isfinite(nodes).all(-1)
        if root is not None:
            nodes[..., start, :] = np.where(known[..., start, None], nodes[..., start, :], root)
            known[..., start] = np.isfinite(nodes[..., start, :]).all(-1)
        for level in self._bone_levels:
            child, parent = self.child[level], self.parent[level]
            nodes[..., child, :] = np.where(
                known[..., child, None], nodes[..., child, :], nodes[..., parent, :]
            )
        bones = nodes[..., self.child, :] - nodes[..., self.parent, :]
        lengths = np.linalg.norm(bones, axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            directions = self.signs[:, None] * bones / lengths[..., None]
        lengths = np.where(known[..., self.child] & known[..., [start]], lengths, np.nan)
        return BonePose(self._rotations(self._of_groups(directions)), lengths)

    def _of_groups(self, directions: Array) -> Array:
        """(..., G, 3) where the first bones of the groups point, from all bones' (..., B, 3), those of tied ones turned over."""
        first = directions[..., self.heads, :]
        other = np.where(self.tied[self.heads], self.mirror[self.heads], self.heads)
        return np.where(np.isfinite(first), first, directions[..., other, :])

    def _at_root(self, directions: Array) -> Array:
        """(..., 3, 3) the rotation that turns the rest directions at the root best into `directions` (..., G, 3)."""
        groups = self.levels[0]
        towards = np.nan_to_num(directions[..., groups, :])
        return nearest_rotation(np.einsum("...gi,gj->...ij", towards, self.rest[self.heads[groups]]))

    def _rotations(self, directions: Array) -> Array:
        """(..., G, 3, 3) that turn the rest directions into `directions` (..., G, 3), from the root outwards."""
        rotations = np.empty((*directions.shape, 3))
        known = np.isfinite(directions).all(-1)
        before = self._at_root(directions)[..., None, :, :]
        for level in self.levels:
            if level is not self.levels[0]:
                before = rotations[..., self.group_parent[level], :, :]
            expected = np.einsum("...gij,gj->...gi", before, self.rest[self.heads[level]])
            towards = np.where(known[..., level, None], directions[..., level, :], expected)
            rotations[..., level, :, :] = least_rotation(expected, towards) @ before
        return rotations

    def _upright(self) -> Array:
        """(B, 3) directions of the standing person's bones; down for a first bone that no table tells."""
        directions = _unit(_standing_bones(self.skeleton))
        for bone, (parent, direction) in enumerate(zip(self.parent, directions, strict=True)):
            if np.isnan(direction).any():
                before = np.flatnonzero(self.child == parent)
                directions[bone] = directions[before[0]] if before.size else (0.0, -1.0, 0.0)
        return directions


def typical_lengths(observed: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Lengths (B,) behind noisy observations (B, N), their spreads (B,), and the sums (B,) of their weights (B, N); NaN is none.

    Noise of standard deviation s along each axis of the bone's vector makes the observed length
    sqrt((L + n1)^2 + n2^2 + n3^2) = L + n1 + (n2^2 + n3^2) / 2L + ..., whose median is L + s^2 / L. The spread of the
    observations (half of what lies between their 16 % and 84 % quantiles) is s, and L follows from the weighted median m as
    (m + sqrt(m^2 - 4 s^2)) / 2.
    """
    (low, median, high), total = weighted_quantiles(observed, weights, (0.16, 0.5, 0.84))
    spread = (high - low) / 2
    with np.errstate(invalid="ignore"):
        return (median + np.sqrt(np.maximum(median**2 - 4 * spread**2, 0.0))) / 2, spread, total


def weighted_quantiles(values: Array, weights: Array, fractions: tuple[float, ...]) -> tuple[Array, Array]:
    """Quantiles (F, B) of each row of (B, N) `values`, and the sums (B,) of the weights; NaN values do not count.

    The lower weighted quantile: the smallest value that at least the fraction of the weight does not exceed. NaN in
    an empty row.
    """
    order = np.argsort(values, axis=1)  # NaN last
    values = np.take_along_axis(values, order, 1)
    weights = np.where(np.isnan(values), 0.0, np.take_along_axis(weights, order, 1))
    cumulated = np.cumsum(weights, axis=1)
    total = cumulated[:, -1]
    places = np.stack([np.argmax(cumulated >= fraction * total[:, None], axis=1) for fraction in fractions])
    quantiles = values[np.arange(len(values)), places]
    return np.where(total > 0, quantiles, np.nan), total


def _standing_bones(skeleton: Skeleton) -> Array:
    """(B, 3) bones of the average person who stands, in standing heights; NaN where no table tells."""
    person = MEDIAPIPE33.with_virtual(standing_joints(MEDIAPIPE33.name))
    joints = standing_joints(skeleton.name)
    for row, joint in enumerate(skeleton.joints):
        own = side(joint)
        rule = LIKE.get(joint.replace(own, "{}") if own in SIDES else joint)
        if rule:
            joints[row] = sum(
                weight * person[MEDIAPIPE33.index(name.format(own))] for name, weight in rule.items()
            )
    nodes = skeleton.with_virtual(joints)
    result: Array = nodes[skeleton.edges[:, 1]] - nodes[skeleton.edges[:, 0]]
    return result


def _unit(vectors: Array) -> Array:
    result: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return result
