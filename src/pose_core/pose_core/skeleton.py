"""Skeletons: which joint stands in which row of an array, and how bones connect them.

Each skeleton is defined once, by names; indices, parents and the left/right flip are derived from the names.
A skeleton without a joint at the pelvis or neck states them as virtual points, the means of two joints.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pose_core.registry import Registry
from pose_core.types import Array

SIDES = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class Skeleton:
    """Joints in array order and a tree of bones over joints and virtual points.

    A node is a joint or a virtual point; nodes are numbered joints first. Raises ValueError unless names are unique,
    every side has its mirror, and the bones form one tree that starts at `root` and reaches every node.
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[str, str], ...]
    """(parent, child) node names, parents before their children."""
    root: str
    source: str
    """URL of the definition."""
    virtual: tuple[tuple[str, str, str], ...] = ()
    """(name, joint, joint): a point that is the mean of two joints."""

    def __post_init__(self) -> None:
        if len(set(self.nodes)) != len(self.nodes):
            raise ValueError(f"skeleton '{self.name}' names a joint twice")
        for joint in self.nodes:
            if mirror(joint) not in self.nodes:
                raise ValueError(f"skeleton '{self.name}' has '{joint}' but not '{mirror(joint)}'")
        reached = {self.root}
        for parent, child in self.bones:
            if parent not in reached or child in reached:
                raise ValueError(
                    f"skeleton '{self.name}': bone {parent}-{child} does not extend a tree from {self.root}"
                )
            reached.add(child)
        if reached != set(self.nodes):
            raise ValueError(f"skeleton '{self.name}': no bone reaches {sorted(set(self.nodes) - reached)}")

    def __len__(self) -> int:
        return len(self.joints)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Names of the joints and then of the virtual points."""
        return self.joints + tuple(name for name, _, _ in self.virtual)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.nodes)}

    def index(self, name: str) -> int:
        """Row of the joint (or node) called `name`. Raises ValueError where there is none."""
        if name not in self._index:
            raise ValueError(f"skeleton '{self.name}' has no joint '{name}'")
        return self._index[name]

    def indices(self, *names: str) -> list[int]:
        """Rows of several joints or nodes."""
        return [self.index(name) for name in names]

    @cached_property
    def edges(self) -> Array:
        """(B, 2) node numbers of the bones: parent, child; parents before children."""
        return np.array([self.indices(*bone) for bone in self.bones], np.intp)

    @cached_property
    def parents(self) -> Array:
        """(N,) node number of each node's parent, -1 for the root."""
        parents = np.full(len(self.nodes), -1, np.intp)
        parents[self.edges[:, 1]] = self.edges[:, 0]
        return parents

    @cached_property
    def flip(self) -> Array:
        """(J,) permutation that swaps left and right: `xyz[flip]` relabels a mirrored person."""
        return np.array(self.indices(*(mirror(joint) for joint in self.joints)), np.intp)

    @cached_property
    def flip_nodes(self) -> Array:
        """(N,) the same over joints and virtual points."""
        return np.array(self.indices(*(mirror(node) for node in self.nodes)), np.intp)

    @cached_property
    def bone_names(self) -> tuple[str, ...]:
        """`parent-child` of each bone."""
        return tuple(f"{parent}-{child}" for parent, child in self.bones)

    @cached_property
    def bone_sides(self) -> tuple[str, ...]:
        """`left`, `right` or `centre` of each bone, by its child."""
        return tuple(side(child) for _, child in self.bones)

    @cached_property
    def _node_matrix(self) -> Array:
        matrix = np.zeros((len(self.nodes), len(self.joints)))
        matrix[: len(self.joints)] = np.eye(len(self.joints))
        for name, a, b in self.virtual:
            matrix[self.index(name), self.indices(a, b)] = 0.5
        return matrix

    def with_virtual(self, positions: Array) -> Array:
        """Positions of all nodes (..., N, D) from those of the joints (..., J, D); NaN where a source is NaN."""
        if not self.virtual:
            return positions
        pairs = np.array([self.indices(a, b) for _, a, b in self.virtual])
        return np.concatenate([positions, positions[..., pairs, :].mean(-2)], axis=-2)

    def root_of(self, positions: Array) -> Array:
        """Position of the root (..., D) from joints (..., J, D)."""
        return self.with_virtual(positions)[..., self.index(self.root), :]

    def bone_lengths(self, positions: Array) -> Array:
        """Lengths (..., B) in the unit of `positions` (..., J, D)."""
        nodes = self.with_virtual(positions)
        result: Array = np.linalg.norm(
            nodes[..., self.edges[:, 1], :] - nodes[..., self.edges[:, 0], :], axis=-1
        )
        return result


def side(name: str) -> str:
    """`left`, `right` or `centre`, read from a joint's name."""
    for word in name.split("_"):
        if word in SIDES:
            return word
    return "centre"


def without_side(name: str) -> str:
    """A joint's name without it: left_elbow is an elbow."""
    return "_".join(word for word in name.split("_") if word not in SIDES)


def mirror(name: str) -> str:
    """The joint's name with its side swapped: `mouth_left` -> `mouth_right`."""
    return "_".join(SIDES.get(word, word) for word in name.split("_"))


def remap(source: Skeleton, target: Skeleton, synonyms: dict[str, tuple[str, ...]] | None = None) -> Array:
    """Linear map M (J_target, J_source) with `target_xyz = M @ source_xyz`, built from names.

    A target joint is the source joint or virtual point of the same name, else the mean of the source joints that
    `synonyms` lists for it, else a row of NaN: the source cannot tell it.
    """
    matrix = np.full((len(target), len(source)), np.nan)
    for row, joint in enumerate(target.joints):
        names = (joint,) if joint in source.nodes else (synonyms or {}).get(joint, ())
        if names:
            matrix[row] = source._node_matrix[source.indices(*names)].mean(0)
    return matrix


SKELETONS: Registry[Skeleton] = Registry("skeleton")


def _define(skeleton: Skeleton) -> Skeleton:
    return SKELETONS.register(skeleton.name)(skeleton)


def _both(*bones: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Each bone on the left and then on the right: `{}` in a name takes the side."""
    return tuple((p.format(s), c.format(s)) for s in SIDES for p, c in bones)


_PELVIS_AND_NECK = (("pelvis", "left_hip", "right_hip"), ("neck", "left_shoulder", "right_shoulder"))
_LIMBS = _both(
    ("neck", "{}_shoulder"),
    ("{}_shoulder", "{}_elbow"),
    ("{}_elbow", "{}_wrist"),
    ("pelvis", "{}_hip"),
    ("{}_hip", "{}_knee"),
    ("{}_knee", "{}_ankle"),
)

MEDIAPIPE33 = _define(
    Skeleton(
        name="mediapipe33",
        joints=(
            "nose",
            *(
                "left_eye_inner",
                "left_eye",
                "left_eye_outer",
                "right_eye_inner",
                "right_eye",
                "right_eye_outer",
            ),
            *("left_ear", "right_ear", "mouth_left", "mouth_right"),
            *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
            *("left_pinky", "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb"),
            *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
            *("left_heel", "right_heel", "left_foot_index", "right_foot_index"),
        ),
        virtual=_PELVIS_AND_NECK,
        root="pelvis",
        bones=(
            ("pelvis", "neck"),
            *_LIMBS,
            *_both(("{}_wrist", "{}_pinky"), ("{}_wrist", "{}_index"), ("{}_wrist", "{}_thumb")),
            *_both(("{}_ankle", "{}_heel"), ("{}_ankle", "{}_foot_index")),
            ("neck", "nose"),
            *_both(("nose", "{}_eye_inner"), ("{}_eye_inner", "{}_eye"), ("{}_eye", "{}_eye_outer")),
            *_both(("{}_eye_outer", "{}_ear"), ("nose", "mouth_{}")),
        ),
        source="https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker",
    )
)

COCO17 = _define(
    Skeleton(
        name="coco17",
        joints=(
            *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
            *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
            *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
        ),
        virtual=_PELVIS_AND_NECK,
        root="pelvis",
        bones=(
            ("pelvis", "neck"),
            *_LIMBS,
            ("neck", "nose"),
            *_both(("nose", "{}_eye"), ("{}_eye", "{}_ear")),
        ),
        source="https://cocodataset.org/#keypoints-2020",
    )
)

H36M17 = _define(
    Skeleton(
        name="h36m17",
        joints=(
            *("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
            *("spine", "neck", "nose", "head_top"),
            *("left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist"),
        ),
        root="pelvis",
        bones=(("pelvis", "spine"), ("spine", "neck"), *_LIMBS, ("neck", "nose"), ("nose", "head_top")),
        source="http://vision.imar.ro/human3.6m",
    )
)

MPI_INF28 = _define(
    Skeleton(
        name="mpi_inf28",
        joints=(
            *("spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top"),
            *("left_clavicle", "left_shoulder", "left_elbow", "left_wrist", "left_hand"),
            *("right_clavicle", "right_shoulder", "right_elbow", "right_wrist", "right_hand"),
            *("left_hip", "left_knee", "left_ankle", "left_foot", "left_toe"),
            *("right_hip", "right_knee", "right_ankle", "right_foot", "right_toe"),
        ),
        root="pelvis",
        bones=(
            *(("pelvis", "spine"), ("spine", "spine2"), ("spine2", "spine3"), ("spine3", "spine4")),
            *(("spine4", "neck"), ("neck", "head"), ("head", "head_top")),
            *_both(("spine4", "{}_clavicle"), ("{}_clavicle", "{}_shoulder"), ("{}_shoulder", "{}_elbow")),
            *_both(("{}_elbow", "{}_wrist"), ("{}_wrist", "{}_hand")),
            *_both(("pelvis", "{}_hip"), ("{}_hip", "{}_knee"), ("{}_knee", "{}_ankle")),
            *_both(("{}_ankle", "{}_foot"), ("{}_foot", "{}_toe")),
        ),
        source="https://vcai.mpi-inf.mpg.de/3dhp-dataset/",
    )
)

_FINGERS = tuple(
    (f"{finger}_{a}", f"{finger}_{b}")
    for finger, knuckles in (
        ("thumb", ("cmc", "mcp", "ip", "tip")),
        *((finger, ("mcp", "pip", "dip", "tip")) for finger in ("index", "middle", "ring", "pinky")),
    )
    for a, b in itertools.pairwise(knuckles)
)

HAND21 = _define(
    Skeleton(
        name="hand21",
        joints=("wrist", *dict.fromkeys(joint for bone in _FINGERS for joint in bone)),
        root="wrist",
        bones=(
            ("wrist", "thumb_cmc"),
            *(("wrist", f"{finger}_mcp") for finger in ("index", "middle", "ring", "pinky")),
            *_FINGERS,
        ),
        source="https://ai.google.dev/edge/mediapipe/solutions/vision/hand_landmarker",
    )
)

POSE2SIM22 = _define(
    Skeleton(
        name="pose2sim22",
        joints=(
            *(
                "pelvis",
                "right_hip",
                "right_knee",
                "right_ankle",
                "right_big_toe",
                "right_small_toe",
                "right_heel",
            ),
            *("left_hip", "left_knee", "left_ankle", "left_big_toe", "left_small_toe", "left_heel"),
            *("neck", "head", "nose"),
            *("right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
        ),
        root="pelvis",
        bones=(
            ("pelvis", "neck"),
            *_LIMBS,
            *_both(("{}_ankle", "{}_big_toe"), ("{}_ankle", "{}_small_toe"), ("{}_ankle", "{}_heel")),
            *(("neck", "nose"), ("nose", "head")),
        ),
        source="https://github.com/perfanalytics/pose2sim/blob/main/Pose2Sim/skeletons.py",
    )
)
