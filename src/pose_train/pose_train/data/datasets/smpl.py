"""Joints of the SMPL family of body models from shape and pose, by a model file that the user has.

Loper et al., "SMPL: A Skinned Multi-Person Linear Model", SIGGRAPH Asia 2015: the joints of the resting body are
J = R (T + S beta), with T the template's vertices, S the shape directions and R the joint regressor; the pose turns each
joint about its parent. The mesh itself is not needed, so pose directions and skinning weights are not read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pose_core.skeleton import Skeleton
from pose_train.data.datasets.archive import numbers, read_npz

KINDS = {24: "SMPL", 52: "SMPL-H", 55: "SMPL-X"}
"""Models by their number of joints; their first 22 are the same, the body."""
POSE_KINDS = {3 * joints: kind for joints, kind in KINDS.items()}
"""Models by the width of their pose vector."""

BODY22 = Skeleton(
    name="smpl_body22",
    joints=(
        *("pelvis", "left_hip", "right_hip", "smpl_spine1", "left_knee", "right_knee", "smpl_spine2"),
        *("left_ankle", "right_ankle", "smpl_spine3", "left_foot", "right_foot", "neck"),
        *("left_collar", "right_collar", "smpl_head", "left_shoulder", "right_shoulder"),
        *("left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    ),
    root="pelvis",
    bones=(
        *(("pelvis", "left_hip"), ("pelvis", "right_hip"), ("pelvis", "smpl_spine1")),
        *(("left_hip", "left_knee"), ("right_hip", "right_knee"), ("smpl_spine1", "smpl_spine2")),
        *(("left_knee", "left_ankle"), ("right_knee", "right_ankle"), ("smpl_spine2", "smpl_spine3")),
        *(("left_ankle", "left_foot"), ("right_ankle", "right_foot"), ("smpl_spine3", "neck")),
        *(("smpl_spine3", "left_collar"), ("smpl_spine3", "right_collar"), ("neck", "smpl_head")),
        *(("left_collar", "left_shoulder"), ("right_collar", "right_shoulder")),
        *(("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow")),
        *(("left_elbow", "left_wrist"), ("right_elbow", "right_wrist")),
    ),
    source="https://smpl.is.tue.mpg.de",
)
"""The body's joints in the models' order. What has a name of its own here is at another place than its namesakes elsewhere:
`smpl_head` is at the top of the neck."""
BODY = len(BODY22)

GENDERS = ("male", "female", "neutral")


@dataclass(frozen=True, eq=False)
class BodyModel:
    """The resting body's 22 joints and how they change with shape, in metres."""

    kind: str
    joints: np.ndarray  # (22, 3)
    directions: np.ndarray  # (22, 3, B)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> BodyModel:
        """From the .npz of a model. Raises FileNotFoundError, or ValueError naming the file and what is wrong with it."""
        names = ["v_template", "shapedirs", "J_regressor", "kintree_table"]
        content = read_npz(path, names)
        template = numbers(content["v_template"], f"'v_template' of {path}", ("vertices", 3))
        shapes = numbers(content["shapedirs"], f"'shapedirs' of {path}", (len(template), 3, "shapes"))
        regressor = numbers(content["J_regressor"], f"'J_regressor' of {path}", ("joints", len(template)))
        tree = numbers(content["kintree_table"], f"'kintree_table' of {path}", (2, len(regressor)), np.int64)
        if len(regressor) not in KINDS:
            kinds = ", ".join(f"{kind} ({count})" for count, kind in KINDS.items())
            raise ValueError(f"{path} has {len(regressor)} joints and is none of {kinds}")
        if not np.array_equal(tree[0, 1:BODY], BODY22.parents[1:]):
            raise ValueError(
                f"{path} connects the body's joints in another way than {KINDS[len(regressor)]} does"
            )
        body = regressor[:BODY]
        arrays = (body @ template, np.einsum("jv,vdb->jdb", body, shapes))
        if not all(np.isfinite(array).all() for array in arrays):
            raise ValueError(f"{path} holds numbers that are not finite; get it anew from its publisher")
        return cls(KINDS[len(regressor)], *arrays)

    def resting(self, betas: np.ndarray) -> np.ndarray:
        """(22, 3) joints of a body of shape `betas` (B,) in the resting pose. Further shapes of the model are taken as 0.

        Raises ValueError for more betas than the model has shapes.
        """
        if len(betas) > self.directions.shape[2]:
            raise ValueError(f"the model has {self.directions.shape[2]} shapes, got {len(betas)} betas")
        return self.joints + self.directions[..., : len(betas)] @ betas

    def posed(self, betas: np.ndarray, poses: np.ndarray, trans: np.ndarray) -> np.ndarray:
        """(T, 22, 3) joints in metres: shape (B,), poses (T, 3 joints) as rotation vectors in radians, place (T, 3)."""
        resting = self.resting(np.asarray(betas, float))
        turns = Rotation.from_rotvec(np.asarray(poses, float)[:, : 3 * BODY].reshape(-1, 3)).as_matrix()
        local = turns.reshape(-1, BODY, 3, 3)
        world = np.empty_like(local)
        joints = np.empty((len(local), BODY, 3))
        world[:, 0], joints[:, 0] = local[:, 0], resting[0]
        for joint, parent in enumerate(BODY22.parents[1:].tolist(), start=1):
            world[:, joint] = world[:, parent] @ local[:, joint]
            joints[:, joint] = joints[:, parent] + world[:, parent] @ (resting[joint] - resting[parent])
        return joints + np.asarray(trans, float)[:, None]


def model_path(folder: str | os.PathLike[str], kind: str, gender: str) -> Path:
    """The file of a model below `folder`, as its publishers name it. Raises FileNotFoundError, saying where to put it."""
    folder = Path(folder)
    short = kind.replace("-", "").lower()
    places = [
        folder / short / gender / "model.npz",
        folder / gender / "model.npz",
        folder / short / f"{short.upper()}_{gender.upper()}.npz",
        folder / f"{short.upper()}_{gender.upper()}.npz",
    ]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(
        f"there is no {kind} model for '{gender}' in {folder}: register at its makers' page "
        f"({PAGES[kind]}; non-commercial licence), and put the .npz to {places[0]} or {places[3]}"
    )


PAGES = {
    "SMPL": "https://smpl.is.tue.mpg.de",
    "SMPL-H": "https://mano.is.tue.mpg.de, 'Extended SMPL+H model'",
    "SMPL-X": "https://smpl-x.is.tue.mpg.de",
}
