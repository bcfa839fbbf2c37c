"""BVH: a skeleton and its motion, as animation programs such as Blender read them.

Lengths are metres, Y is up, angles are degrees; each joint turns by Rz Rx Ry, the root also moves. A BVH joint turns all that
hangs on it as one, so where several bones leave a joint each of them starts with a joint of its own at the same place, called
`neck_to_nose`; with bones of constant length every joint is then where it was measured. Bones keep their median length, and a
joint that was never seen sits on the one before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pose_core.files import write_pieces
from pose_core.formats.rate import expect_even
from pose_core.geometry.kinematics import MIN_LENGTH, BodyTree
from pose_core.geometry.rotations import mean_rotation
from pose_core.markers import WORLD_FROM_CAMERA
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS
from pose_core.types import Array

ROWS = 1000
"""Frames that are put together at a time."""
STILL, ROOT = -1, -2
"""Joints that do not turn against the one before, and the root; others have the number of their group in the tree."""
TURNS = "Zrotation Xrotation Yrotation"


def write_bvh(
    path: str | os.PathLike[str],
    sequence: PoseSequence,
    *,
    turn: Array = WORLD_FROM_CAMERA,
    rate_hz: float | None = None,
) -> None:
    """Write one person at an even rate (by default `rate_of` the stamps; see `rate.evenly_posed`).

    `turn` (3, 3): from the axes of the sequence to those of the file. What is missing keeps the turn against the bone before
    that it had last, and the root its place; before they are first seen, bones turn with those before and the root is where it
    then is. Raises ValueError for a sequence in 2D, uneven stamps, and one without a frame in which the root is seen.
    """
    if sequence.xyz.shape[2] != 3:
        raise ValueError("a BVH file needs joints in 3D, this sequence is in pixels")
    rate = expect_even(sequence.stamps, rate_hz)
    tree = BodyTree(SKELETONS.get(sequence.skeleton))
    xyz = sequence.xyz @ np.asarray(turn, float).T
    seen = np.isfinite(tree.skeleton.root_of(xyz)).all(-1)
    if not seen.any():
        raise ValueError(
            f"a BVH file needs the {tree.skeleton.root}, which no frame of '{sequence.person}' shows"
        )
    hierarchy = _Hierarchy.of(tree, _lengths(tree, xyz))
    write_pieces(path, _pieces(hierarchy, tree, xyz, seen, rate))


def _pieces(hierarchy: _Hierarchy, tree: BodyTree, xyz: Array, seen: Array, rate: float) -> Iterator[bytes]:
    header = ["HIERARCHY", *hierarchy.lines, "MOTION", f"Frames: {len(xyz)}", f"Frame Time: {1.0 / rate:.9f}"]
    yield ("\n".join(header) + "\n").encode()
    place = tree.skeleton.root_of(xyz)[_held(seen, int(np.argmax(seen)))]
    motion = _Motion(tree, xyz[seen][0])
    angles: Array | None = None
    for start in range(0, len(xyz), ROWS):
        part = slice(start, start + ROWS)
        angles = _zxy(motion.turns(xyz[part], hierarchy.turns), None if angles is None else angles[-1])
        numbers = np.concatenate([place[part], np.degrees(angles).reshape(len(angles), -1)], 1)
        # adding zero makes -0.000000 plain zero
        numbers = np.round(numbers, 6) + 0.0
        row = " ".join(["%.6f"] * numbers.shape[1]) + "\n"
        yield "".join(row % tuple(line) for line in numbers.tolist()).encode()


@dataclass
class _Hierarchy:
    """The joints of a file, in the order of their channels."""

    lines: list[str] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    """What turns each joint: a group of the tree, `STILL` or `ROOT`."""

    @classmethod
    def of(cls, tree: BodyTree, lengths: Array) -> _Hierarchy:
        """`lengths` (B,) in metres."""
        made = cls()
        made._add(tree, lengths[:, None] * tree.rest, tree.skeleton.index(tree.skeleton.root), np.zeros(3), 0)
        return made

    def _add(self, tree: BodyTree, bones: Array, node: int, offset: Array, depth: int) -> None:
        """The joint of `node` and all that hangs on it."""
        name, below = tree.skeleton.nodes[node], np.flatnonzero(tree.parent == node).tolist()
        alone = depth > 0 and len(below) == 1
        turn = int(tree.groups[below[0]]) if alone else STILL if depth else ROOT
        self._open(name, offset, depth, turn)
        for bone in below:
            child = int(tree.child[bone])
            if alone:
                self._add(tree, bones, child, bones[bone], depth + 1)
            else:
                own = f"{name}_to_{tree.skeleton.nodes[child]}"
                self._open(own, np.zeros(3), depth + 1, int(tree.groups[bone]))
                self._add(tree, bones, child, bones[bone], depth + 2)
                self._close(depth + 1)
        if not below:
            self.lines += _indented(depth + 1, "End Site", "{", "\tOFFSET 0.000000 0.000000 0.000000", "}")
        self._close(depth)

    def _open(self, name: str, offset: Array, depth: int, turn: int) -> None:
        place = " ".join(f"{value:.6f}" for value in np.round(offset, 6) + 0.0)
        channels = f"3 {TURNS}" if depth else f"6 Xposition Yposition Zposition {TURNS}"
        kind = "JOINT" if depth else "ROOT"
        self.lines += _indented(depth, f"{kind} {name}", "{", f"\tOFFSET {place}", f"\tCHANNELS {channels}")
        self.turns.append(turn)

    def _close(self, depth: int) -> None:
        self.lines += _indented(depth, "}")


def _indented(depth: int, *lines: str) -> list[str]:
    return ["\t" * depth + line for line in lines]


def _lengths(tree: BodyTree, xyz: Array) -> Array:
    """(B,) median lengths in metres; 0 for bones that were never seen."""
    observed = tree.skeleton.bone_lengths(xyz)
    ever = np.isfinite(observed).any(0)
    lengths = np.zeros(len(ever))
    lengths[ever] = np.nanmedian(observed[:, ever], axis=0)
    return lengths


class _Motion:
    """Rotations of joints against those before, part after part of a recording; what is missing is held."""

    def __init__(self, tree: BodyTree, first: Array) -> None:
        """`first` (J, 3): a pose that shows how the root stands, for frames before any does."""
        self._tree = tree
        groups = tree.levels[0]
        self._root = mean_rotation(
            tree.fit(first).rotations[groups], self._known(first[None])[0, groups] + 0.0
        )
        self._root = np.where(np.isfinite(self._root), self._root, np.eye(3))
        self._local = np.broadcast_to(np.eye(3), (len(tree.heads), 3, 3)).copy()
        """(G, 3, 3) the last known; to begin with, bones turn with those before."""

    def turns(self, xyz: Array, wanted: list[int]) -> Array:
        """(T, N, 3, 3) rotation of each of the N joints `wanted` against the one before, from poses (T, J, 3)."""
        tree, known = self._tree, self._known(xyz)
        rotations = tree.fit(xyz).rotations
        first = tree.levels[0]
        root = mean_rotation(rotations[:, first], known[:, first].astype(float))
        root = _followed(self._root, root, np.isfinite(root).all((1, 2)))
        local = np.empty_like(rotations)
        for group, before in enumerate(tree.group_parent):
            frame = rotations[:, before] if before >= 0 else root
            turned = np.swapaxes(frame, -1, -2) @ rotations[:, group]
            local[:, group] = _followed(self._local[group], turned, known[:, group])
            rotations[:, group] = frame @ local[:, group]
        self._root, self._local = root[-1], local[-1].copy()
        choices = {STILL: np.broadcast_to(np.eye(3), root.shape), ROOT: root}
        return np.stack([choices[turn] if turn < 0 else local[:, turn] for turn in wanted], 1)

    def _known(self, xyz: Array) -> Array:
        """(T, G) whether both ends of a bone are seen, and apart."""
        nodes, heads = self._tree.skeleton.with_virtual(xyz), self._tree.heads
        bones = nodes[:, self._tree.child[heads]] - nodes[:, self._tree.parent[heads]]
        known: Array = np.linalg.norm(np.nan_to_num(bones), axis=-1) >= MIN_LENGTH
        return known


def _held(known: Array, start: int) -> Array:
    """(T,) for each frame the last one that is `known` (T,), and `start` before there is one."""
    last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
    return np.where(last < 0, start, last)


def _followed(start: Array, values: Array, known: Array) -> Array:
    """(T, ...) the last `known` (T,) of `values` (T, ...), and `start` (...) before there is one."""
    result: Array = np.concatenate([start[None], values])[_held(known, -1) + 1]
    return result


def _zxy(rotations: Array, before: Array | None) -> Array:
    """(T, N, 3) a, b, c in radians of rotations Rz(a) Rx(b) Ry(c) (T, N, 3, 3), without jumps where these have none.

    Of the two solutions (a, b, c) and (a + pi, pi - b, c + pi), and of their full turns, those nearest to the frame before;
    for the first frame nearest to `before` (N, 3), where there is one.
    """
    r = rotations
    a = np.arctan2(-r[..., 0, 1], r[..., 1, 1])
    b = np.arctan2(r[..., 2, 1], np.hypot(r[..., 0, 1], r[..., 1, 1]))
    # what is left after undoing a, which holds in gimbal lock as well, whatever a is there
    cosine, sine = np.cos(a), np.sin(a)
    c = np.arctan2(cosine * r[..., 0, 2] + sine * r[..., 1, 2], cosine * r[..., 0, 0] + sine * r[..., 1, 0])
    both = np.stack([np.stack([a, b, c], -1), np.stack([a + np.pi, np.pi - b, c + np.pi], -1)])
    chosen: Array = np.empty_like(both[0])
    before = both[0, 0] if before is None else before
    for frame in range(len(chosen)):
        steps = both[:, frame] - before
        steps -= 2.0 * np.pi * np.rint(steps / (2.0 * np.pi))
        nearer = np.abs(steps[1]).sum(-1) < np.abs(steps[0]).sum(-1)
        chosen[frame] = before = before + np.where(nearer[:, None], steps[1], steps[0])
    return chosen
