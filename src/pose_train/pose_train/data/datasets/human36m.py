"""Human3.6M in the files of VideoPose3D: data_3d_h36m.npz and data_2d_h36m_*.npz."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pose_core.skeleton import H36M17, side
from pose_train.data.datasets.archive import mapping, numbers, read_npz, text
from pose_train.data.datasets.human36m_cameras import LENSES, PLACES, cameras_of
from pose_train.data.datasets.recording import DATASETS, Dataset, Recording

POSITIONS = "data_3d_h36m.npz"
KEYPOINTS = ("gt", "cpn_ft_h36m_dbb")
FPS = 50.0
TRAIN, TEST = ("S1", "S5", "S6", "S7", "S8"), ("S9", "S11")

JOINTS_32 = (
    *("pelvis", "right_hip", "right_knee", "right_ankle", "right_toe_base", "right_toe_end"),
    *("left_hip", "left_knee", "left_ankle", "left_toe_base", "left_toe_end"),
    *("spine_base", "spine", "neck", "nose", "head_top"),
    *("left_neck", "left_shoulder", "left_elbow", "left_wrist"),
    *("left_wrist_again", "left_thumb_end", "left_hand_end", "left_hand_end_again"),
    *("right_neck", "right_shoulder", "right_elbow", "right_wrist"),
    *("right_wrist_again", "right_thumb_end", "right_hand_end", "right_hand_end_again"),
)
"""The joints of the data set in its order, called as in h36m17 where they are the same; 17 of them are used."""


@DATASETS.register("human36m")
class Human36M(Dataset):
    """One recording per action and camera, skeleton h36m17, in the world (metres, z up) with the camera's place.

    With no keypoints asked for: one recording per action, without camera.
    """

    licence: ClassVar[str] = "Human3.6M licence: academic use only, no redistribution"
    source: ClassVar[str] = "http://vision.imar.ro/human3.6m"

    def __init__(self, folder: str | os.PathLike[str], keypoints: str = "gt") -> None:
        """`folder` holds data_3d_h36m.npz, and data_2d_h36m_<keypoints>.npz unless `keypoints` is empty."""
        self._folder, self._keypoints_name = Path(folder), keypoints

    @cached_property
    def _positions(self) -> dict[str, dict[str, Any]]:
        """subject -> action -> (T, 32, 3) metres"""
        path = self._folder / POSITIONS
        people = mapping(read_npz(path, ["positions_3d"])["positions_3d"], f"'positions_3d' of {path}")
        for subject in people:
            if subject not in PLACES:
                raise ValueError(
                    f"{path} has a subject '{subject}', but the public ones are {', '.join(PLACES)}"
                )
        return {
            subject: mapping(actions, f"{subject} of {path}")
            for subject, actions in sorted(people.items(), key=lambda item: list(PLACES).index(item[0]))
        }

    @property
    def _keypoints_path(self) -> Path:
        return self._folder / f"data_2d_h36m_{self._keypoints_name}.npz"

    @cached_property
    def _keypoints(self) -> dict[str, Any]:
        """subject -> action -> 4 x (T, 17, 2) pixels"""
        path = self._keypoints_path
        content = read_npz(path, ["positions_2d", "metadata"])
        _check_layout(mapping(content["metadata"], f"'metadata' of {path}"), path)
        return mapping(content["positions_2d"], f"'positions_2d' of {path}")

    def all_names(self) -> list[str]:
        """`S1/Directions 1/54138969`, or `S1/Directions 1` where no keypoints are asked for."""
        actions = [
            f"{subject}/{action}" for subject in self._positions for action in self._positions[subject]
        ]
        if not self._keypoints_name:
            return actions
        return [f"{action}/{lens.name}" for action in actions for lens in LENSES]

    def subject_of(self, name: str) -> str:
        return name.split("/")[0]

    def split_of(self, name: str) -> str:
        return "test" if self.subject_of(name) in TEST else "train"

    def recording(self, name: str) -> Recording:
        if name not in self.all_names():
            raise ValueError(f"{self._folder / POSITIONS} has no recording '{name}'; names() lists them")
        subject, action, *view = name.split("/")
        what = f"{subject} '{action}' of {self._folder / POSITIONS}"
        joints = numbers(self._positions[subject][action], what, ("frames", len(JOINTS_32), 3), np.float32)
        plain = Recording(
            name,
            subject,
            H36M17.name,
            FPS,
            joints[:, [JOINTS_32.index(joint) for joint in H36M17.joints]],
            up="z",
            licence=self.licence,
            source=self.source,
        )
        return self._seen(plain, action, view[0]) if view else plain

    def _seen(self, plain: Recording, action: str, view: str) -> Recording:
        """The recording with one camera and its keypoints."""
        number = [lens.name for lens in LENSES].index(view)
        camera = cameras_of(plain.subject)[number]
        return replace(
            plain,
            camera=camera.camera,
            R_cam_world=camera.R_cam_world,
            t_cam_world=camera.t,
            xy_px=self._keypoints_of(plain.subject, action, number, len(plain)),
        )

    def _keypoints_of(self, subject: str, action: str, number: int, frames: int) -> np.ndarray:
        """(T, 17, 2) pixels. Videos may go on after the joints end: what is too long is cut off."""
        path = self._keypoints_path
        views = mapping(self._keypoints.get(subject, {}), f"{subject} of {path}").get(action)
        if not isinstance(views, list) or len(views) != len(LENSES):
            raise ValueError(f"{path} has no keypoints of four cameras for {subject} '{action}'; get it anew")
        what = f"{subject} '{action}', camera {number}, of {path}"
        keypoints = numbers(views[number], what, ("frames", len(H36M17), 2), np.float32)
        if len(keypoints) < frames:
            raise ValueError(
                f"{what} has {len(keypoints)} frames where {POSITIONS} has {frames}; get both anew"
            )
        return keypoints[:frames]


def _check_layout(metadata: dict[str, Any], path: Path) -> None:
    """Raise ValueError for keypoints in another order than that of h36m17, such as those of COCO."""
    layout = text(metadata.get("layout_name", "h36m"), f"'layout_name' of {path}")
    sides = [
        [i for i, joint in enumerate(H36M17.joints) if side(joint) == which] for which in ("left", "right")
    ]
    symmetry = metadata.get("keypoints_symmetry")
    if not isinstance(symmetry, list):
        symmetry = []
    given = [list(joints) for joints in symmetry if isinstance(joints, list | np.ndarray)]
    if layout != "h36m" or metadata.get("num_joints") != len(H36M17) or given != sides:
        raise ValueError(
            f"{path} holds keypoints of another layout ('{layout}', {metadata.get('num_joints')} joints, sides {given}); "
            f"use one of {', '.join(KEYPOINTS)}"
        )
