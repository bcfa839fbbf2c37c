"""Joints that were not seen, inferred from those that were: by symmetry, else by the proportions of an average person.

For networks that want every joint; what is filled in is a guess, marked as such and less confident. Works alike in 3D and in an
image, in any unit, frame by frame. A missing joint hangs on the joints beside it in the skeleton's tree:

- by symmetry: the bone in between is its mirror image's reflection. The mirror is the body's middle plane, square to the line
  from right to left shoulder and hip; in an image, the trunk's axis from pelvis to neck.
- else by average: forearm, shank and hand continue the bone before them, at the length that an average person of this size has;
  any other bone stands to the trunk as in a person who stands upright with hanging arms.

Joints that were seen are never changed, and what cannot be told stays missing: with one joint alone neither size nor attitude
is known.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pose_core.geometry.standing import standing_joints
from pose_core.skeleton import SIDES, SKELETONS, Skeleton
from pose_core.types import Array, Sets, SetWeights

STRAIGHT = (
    ("{}_shoulder", "{}_elbow", "{}_wrist"),
    ("{}_hip", "{}_knee", "{}_ankle"),
    *(("{}_elbow", "{}_wrist", f"{{}}_{part}") for part in ("hand", "index", "pinky", "thumb")),
)
"""Chains whose last bone continues the one before it."""

TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
"""Joints that a skeleton must have."""

WIDTHS = (("shoulder", "hip"), ("ear", "eye", "clavicle", "knee"))
"""Pairs of left and right joints that tell which way is left; the second ones where none of the first is complete."""

HEAD = ("left_ear", "right_ear", "head", "head_top")
"""Points that tell, from the neck, which way is up where the trunk does not."""


class Method(enum.IntEnum):
    """Where a joint comes from."""

    MISSING = 0
    SEEN = 1
    SYMMETRY = 2
    AVERAGE = 3


TRUST = {Method.SYMMETRY: 0.5, Method.AVERAGE: 0.25}
"""Confidence of an inferred joint, as a share of the least confidence of the joints that made it; a convention."""


@dataclass(frozen=True)
class Filled:
    """Joints after inference; leading axes as they came."""

    positions: Array  # (..., J, D), NaN where still missing
    confidence: Array  # (..., J), 0 where still missing
    method: Array  # (..., J) uint8, Method

    @property
    def inferred(self) -> Array:
        """(..., J) bool: not seen, yet not missing."""
        return self.method > Method.SEEN

    def counts(self) -> dict[str, int]:
        """How many joints come from where, by lower-case name of the method."""
        return {method.name.lower(): int((self.method == method).sum()) for method in Method}


class _Step(NamedTuple):
    """From a node to a neighbour in the tree."""

    start: int
    bone: Array  # (3,) of the standing person, in heights
    weight: float  # a bone errs in proportion to its length
    mirrored: tuple[int, int]  # the same step on the other side
    before: int | None  # the node before `start` on a straight chain


class _Body(NamedTuple):
    """What is known of the nodes, or of the joints, of people."""

    positions: Array  # (B, N, D)
    confidence: Array  # (B, N)
    method: Array  # (B, N) uint8, Method


class _Frame(NamedTuple):
    """How people's trunks stand; NaN where it cannot be told."""

    axes: Array  # (B, D, 3) the standing person's x, y, z, as long as its height
    across: Array  # (B, D) unit normal of the mirror
    height: Array  # (B,) length of the standing height


class _Guesses(NamedTuple):
    """Where a node may be, from one of its neighbours."""

    positions: Array  # (R, D) NaN where that neighbour does not tell
    confidence: Array  # (R,)
    method: Array  # (R,) uint8
    weight: float


class MissingJoints:
    """Fills in the joints of one skeleton, given by its name. Raises ValueError for one without shoulders and hips."""

    def __init__(self, skeleton: str) -> None:
        self.skeleton = SKELETONS.get(skeleton)
        for name in TRUNK:
            if name not in self.skeleton.joints:
                raise ValueError(
                    f"missing joints are inferred from shoulders and hips; skeleton '{skeleton}' lacks '{name}'"
                )
        self._standing = self.skeleton.with_virtual(standing_joints(skeleton))
        self._trunk = _Trunk(self.skeleton, self._standing)
        virtual = [self.skeleton.indices(a, b) for _, a, b in self.skeleton.virtual]
        self._virtual = np.array(virtual, np.intp).reshape(-1, 2)
        self._steps = {
            node: [self._step(start, node) for start in self._beside(node)]
            for node in (self.skeleton.index(self.skeleton.root), *self.skeleton.edges[:, 1].tolist())
        }
        """From the root outwards: how to get to each node."""

    def _beside(self, node: int) -> list[int]:
        parents = self.skeleton.parents
        return [*parents[[node]][parents[[node]] >= 0].tolist(), *np.flatnonzero(parents == node).tolist()]

    def _step(self, start: int, node: int) -> _Step:
        bone = self._standing[node] - self._standing[start]
        length = float(np.linalg.norm(bone))
        flip = self.skeleton.flip_nodes
        before = int(self.skeleton.parents[start])
        names = tuple(self.skeleton.nodes[i] for i in (before, start, node))
        straight = before >= 0 and any(
            names == tuple(part.format(side) for part in chain) for chain in STRAIGHT for side in SIDES
        )
        return _Step(
            start,
            bone,
            1.0 / length**2 if length > 0.0 else 1.0,
            (int(flip[start]), int(flip[node])),
            before if straight else None,
        )

    def fill(self, positions: Sets, confidence: SetWeights, seen: Array | None = None) -> Filled:
        """Infer what is missing of `positions` (..., J, D): D is 3 in right-handed axes of any unit, or 2 in an image.

        Missing is what is NaN, has a `confidence` of 0 or is not `seen` (..., J), such as by
        `visibility.joint_mask`. Raises ValueError for arrays of other shapes.
        """
        joints, dims = positions.shape[-2:]
        if joints != len(self.skeleton) or dims not in (2, 3):
            raise ValueError(
                f"positions of '{self.skeleton.name}' must be (..., {len(self.skeleton)}, 2 or 3), got {positions.shape}"
            )
        known = np.isfinite(positions).all(-1) & (confidence > 0.0)
        if seen is not None:
            known &= seen
        body = _Body(
            np.where(known[..., None], positions, np.nan).reshape(-1, joints, dims),
            np.where(known, confidence, 0.0).reshape(-1, joints),
            np.where(known, np.uint8(Method.SEEN), np.uint8(Method.MISSING)).reshape(-1, joints),
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            # What one round finds, such as how the trunk stands, may let the next find more.
            while (body.method == Method.MISSING).any() and self._round(body):
                pass
        return Filled(
            body.positions.reshape(positions.shape).astype(positions.dtype, copy=False),
            body.confidence.reshape(confidence.shape).astype(confidence.dtype, copy=False),
            body.method.reshape(confidence.shape),
        )

    def _round(self, body: _Body) -> bool:
        """Hang missing nodes on their known neighbours, from the root outwards; False where that finds no joint.

        Mirror images are those from before the round, so that neither side is filled in from a guess about the other.
        """
        nodes = self._with_virtual(body)
        before = _Body(*(array.copy() for array in nodes))
        frame = self._trunk.frame(nodes.positions)
        for node, steps in self._steps.items():
            for infer in (_by_symmetry, _by_average):
                rows = np.flatnonzero(nodes.method[:, node] == Method.MISSING)
                if not rows.size:
                    break
                here, then = (_Body(*(array[rows] for array in body)) for body in (nodes, before))
                axes = _Frame(*(array[rows] for array in frame))
                guess = _mean([infer(here, then, step, axes) for step in steps])
                told = np.isfinite(guess.positions).all(-1)
                nodes.positions[rows[told], node] = guess.positions[told]
                nodes.confidence[rows[told], node] = guess.confidence[told]
                nodes.method[rows[told], node] = guess.method[told]
        fresh = (body.method == Method.MISSING) & (nodes.method[:, : len(self.skeleton)] != Method.MISSING)
        for array, filled in zip(body, nodes, strict=True):
            array[fresh] = filled[:, : len(self.skeleton)][fresh]
        return bool(fresh.any())

    def _with_virtual(self, body: _Body) -> _Body:
        """The nodes: a virtual point is as sure as the less sure of its two joints, and inferred where one is."""
        pairs = self._virtual
        methods = body.method[:, pairs]
        either = np.where((methods == Method.MISSING).any(-1), np.uint8(Method.MISSING), methods.max(-1))
        return _Body(
            np.array(self.skeleton.with_virtual(body.positions)),
            np.concatenate([body.confidence, body.confidence[:, pairs].min(-1)], 1),
            np.concatenate([body.method, either], 1),
        )


class _Trunk:
    """Tells how people of one skeleton stand."""

    def __init__(self, skeleton: Skeleton, standing: Array) -> None:
        """`standing`: nodes (N, 3) of the standing person."""
        index, joints = skeleton.index, skeleton.joints
        self._standing = standing
        self._widths = [
            [(index(f"left_{part}"), index(f"right_{part}")) for part in parts if f"left_{part}" in joints]
            for parts in WIDTHS
        ]
        self._sides = [(index(f"{side}_shoulder"), index(f"{side}_hip")) for side in SIDES]
        self._diagonals = [
            (index(f"{side}_shoulder"), index(f"{other}_hip")) for side, other in SIDES.items()
        ]
        self._head = [(index(name), index("neck")) for name in HEAD if name in joints]
        self._thighs = [(index(f"{side}_hip"), index(f"{side}_knee")) for side in SIDES]
        spans = np.concatenate([skeleton.edges, self._sides, self._diagonals])
        bones = standing[spans[:, 1]] - standing[spans[:, 0]]
        told = np.isfinite(bones).all(-1)
        self._spans, self._bones = spans[told], bones[told]

    def frame(self, nodes: Array) -> _Frame:
        """Of people, from their nodes (B, N, D)."""
        left = _first(*(self._axis(nodes, pairs, 0) for pairs in self._widths))
        sideways = np.nan_to_num(left)
        up = _first(
            self._axis(nodes, self._sides, 1, sideways),
            self._axis(nodes, self._diagonals, 1, left),  # useless where left is not known
            self._axis(nodes, self._head, 1, sideways),
            self._axis(nodes, self._thighs, 1, sideways),
        )
        height = self._height(nodes)
        if nodes.shape[-1] == 2:
            # Which way a person faces is not known in an image: bones are as long in it as from the front.
            square = np.stack([-up[:, 1], up[:, 0]], -1)
            return _Frame(
                np.stack([left, up, np.zeros_like(up)], -1), _first(_unit(square), _unit(left)), height
            )
        across = _unit(left)
        up = _unit(up - np.nan_to_num(np.einsum("bi,bi->b", up, across)[:, None] * across))
        axes = np.stack([across, up, np.cross(across, up)], -1)
        return _Frame(height[:, None, None] * axes, across, height)

    def _axis(
        self,
        nodes: Array,
        pairs: list[tuple[int, int]],
        axis: int,
        sideways: Array | float = 0.0,
    ) -> Array:
        """(B, D) the standing person's axis from pairs of nodes that are known, less what they span along x."""
        total = np.zeros((len(nodes), nodes.shape[-1]))
        length = np.zeros((len(nodes), 1))
        for end, start in pairs:
            span = self._standing[end] - self._standing[start]
            vector = nodes[:, end] - nodes[:, start] - span[0] * sideways
            known = np.isfinite(vector).all(-1, keepdims=True)
            total += np.where(known, vector, 0.0)
            length += known * span[axis]
        return np.where((length > 0.0) & (total != 0.0).any(-1, keepdims=True), total / length, np.nan)

    def _height(self, nodes: Array) -> Array:
        """(B,) standing height that the known bones have together."""
        vectors = nodes[:, self._spans[:, 1]] - nodes[:, self._spans[:, 0]]
        lengths = np.linalg.norm(vectors, axis=-1)
        standing = np.linalg.norm(self._bones[:, : nodes.shape[-1]], axis=-1)
        height = np.nansum(lengths, 1) / np.where(np.isnan(lengths), 0.0, standing).sum(1)
        return np.where(height > 0.0, height, np.nan)


def _first(*vectors: Array) -> Array:
    """The first of several (B, D) that is not NaN."""
    found = vectors[0]
    for other in vectors[1:]:
        found = np.where(np.isnan(found), other, found)
    return found


def _unit(vectors: Array) -> Array:
    """Of length 1; NaN where there is no direction."""
    result: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return result


def _by_symmetry(here: _Body, then: _Body, step: _Step, frame: _Frame) -> _Guesses:
    """The reflection of the same bone on the other side; the middle has none."""
    a, b = step.mirrored
    bone = then.positions[:, b] - then.positions[:, a]
    bone = bone - 2.0 * np.einsum("bi,bi->b", bone, frame.across)[:, None] * frame.across
    least = np.minimum.reduce([here.confidence[:, step.start], then.confidence[:, a], then.confidence[:, b]])
    worst = np.maximum.reduce([here.method[:, step.start], then.method[:, a], then.method[:, b]])
    return _Guesses(
        here.positions[:, step.start] + bone,
        TRUST[Method.SYMMETRY] * least,
        np.maximum(worst, np.uint8(Method.SYMMETRY)),
        step.weight,
    )


def _by_average(here: _Body, _then: _Body, step: _Step, frame: _Frame) -> _Guesses:
    """The average person's bone, straight on where the joint before is known, else as it stands."""
    needed = np.flatnonzero(step.bone)  # where the bone has no part along an axis, that may be unknown
    bone = frame.axes[:, :, needed] @ step.bone[needed]
    if step.before is not None:
        onwards = _unit(here.positions[:, step.start] - here.positions[:, step.before])
        straight = onwards * (frame.height * np.linalg.norm(step.bone))[:, None]
        bone = _first(straight, bone)
    return _Guesses(
        here.positions[:, step.start] + bone,
        TRUST[Method.AVERAGE] * here.confidence[:, step.start],
        np.full(len(bone), Method.AVERAGE, np.uint8),
        step.weight,
    )


def _mean(guesses: list[_Guesses]) -> _Guesses:
    """The weighted mean of what neighbours tell, as sure as the least sure of them; NaN where none tells."""
    positions = np.stack([guess.positions for guess in guesses])
    told = np.isfinite(positions).all(-1)
    weights = told * np.array([guess.weight for guess in guesses])[:, None]
    total = np.einsum("gr,grd->rd", weights, np.where(told[..., None], positions, 0.0))
    least = np.where(told, np.stack([guess.confidence for guess in guesses]), np.inf).min(0)
    worst = np.where(told, np.stack([guess.method for guess in guesses]), np.uint8(0)).max(0)
    return _Guesses(total / weights.sum(0)[:, None], least, worst, 1.0)
