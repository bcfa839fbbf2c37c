"""What every data set becomes: one person before one camera (or none) over time, as plain arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from pose_core.geometry.camera import Camera
from pose_core.registry import Registry, suggest
from pose_core.skeleton import SKELETONS

AXES = ("camera", "root", "world")
"""camera: the optical frame (x right, y down, z forward); root: its axes about the skeleton's root, where the data do not
say how far the person is; world: the data set's own frame."""

TO_Y_UP = {
    "y": np.eye(3),
    "z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "-y": np.diag([1.0, -1.0, -1.0]),
}
"""Rotation into a world whose y axis points up, by the axis that does so now."""


@dataclass(frozen=True, eq=False)
class Recording:
    """T frames of J joints. Missing joints are NaN in all coordinates; missing keypoints have confidence 0 as well.

    Raises ValueError for an unknown skeleton and for shapes, rotations or rates that cannot be.
    """

    name: str
    subject: str
    skeleton: str
    fps: float
    xyz: np.ndarray
    """(T, J, 3) float32, metres"""
    axes: str = "world"
    """One of AXES: what `xyz` refers to."""
    up: str = ""
    """Axis of the world that points up: y, z or -y; empty where the data set does not say."""
    camera: Camera | None = None
    R_cam_world: np.ndarray | None = None
    """(3, 3) x_cam = R_cam_world @ x_world + t_cam_world"""
    t_cam_world: np.ndarray | None = None
    """(3,) metres"""
    xy_px: np.ndarray | None = None
    """(T, J, 2) float32 keypoints as a detector (or the data set) gives them, raw pixels"""
    confidence: np.ndarray | None = None
    """(T, J) float32 in [0, 1]; where the data set has none: 1 for each keypoint that is there"""
    xyz_detected: np.ndarray | None = None
    """(T, J, 3) float32 what the detector itself says in 3D, metres, camera axes about the root"""
    licence: str = ""
    source: str = ""
    """Where the data set comes from."""

    def __post_init__(self) -> None:
        if self.axes not in AXES:
            raise ValueError(f"axes must be one of {', '.join(AXES)}, got '{self.axes}'")
        if self.up and self.up not in TO_Y_UP:
            raise ValueError(f"up must be one of {', '.join(TO_Y_UP)}, got '{self.up}'")
        if not 0.0 < self.fps < np.inf:
            raise ValueError(f"fps must be positive, got {self.fps}")
        joints = len(SKELETONS.get(self.skeleton))
        frames = len(self.xyz)
        self._set("xyz", (frames, joints, 3))
        self._set("xyz_detected", (frames, joints, 3))
        self._set("xy_px", (frames, joints, 2))
        self._set_confidence(frames, joints)
        self._set_pose()

    def _set(self, name: str, shape: tuple[int, ...]) -> None:
        """Make the array float32 of `shape`, and NaN as a whole where a coordinate is not finite."""
        given = getattr(self, name)
        if given is None:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            array = np.asarray(given).astype(np.float32)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        array[~np.isfinite(array).all(-1)] = np.nan
        object.__setattr__(self, name, array)

    def _set_confidence(self, frames: int, joints: int) -> None:
        if self.xy_px is None:
            if self.confidence is not None:
                raise ValueError("confidence needs the keypoints xy_px that it is about")
            return
        given = np.ones((frames, joints)) if self.confidence is None else np.asarray(self.confidence, float)
        if given.shape != (frames, joints):
            raise ValueError(f"confidence must have shape {(frames, joints)}, got {given.shape}")
        present = np.isfinite(self.xy_px).all(-1) & np.isfinite(given)
        confidence = np.where(present, np.clip(given, 0.0, 1.0), 0.0).astype(np.float32)
        object.__setattr__(self, "confidence", confidence)

    def _set_pose(self) -> None:
        if self.R_cam_world is not None:
            R = np.array(self.R_cam_world, float)
            if R.shape != (3, 3) or not np.allclose(R @ R.T, np.eye(3), atol=1e-4) or np.linalg.det(R) < 0.0:
                raise ValueError(f"R_cam_world must be a rotation, got {R.tolist()}")
            object.__setattr__(self, "R_cam_world", R)
        if self.t_cam_world is not None:
            t = np.array(self.t_cam_world, float)
            if t.shape != (3,) or not np.isfinite(t).all():
                raise ValueError(f"t_cam_world must be 3 finite numbers, got {t.tolist()}")
            object.__setattr__(self, "t_cam_world", t)

    def __len__(self) -> int:
        return len(self.xyz)

    def in_camera(self) -> np.ndarray:
        """(T, J, 3) float32, metres in the optical frame.

        Raises ValueError where the recording does not say where the camera stands.
        """
        if self.axes == "camera":
            return self.xyz
        if self.axes == "root" or self.R_cam_world is None or self.t_cam_world is None:
            raise ValueError(f"recording '{self.name}' does not say where its camera stands")
        return (self.xyz @ self.R_cam_world.T + self.t_cam_world).astype(np.float32)

    def y_up(self) -> Recording:
        """The same in a world whose y axis points up. Raises ValueError where it is unknown which one does."""
        if not self.up:
            raise ValueError(f"recording '{self.name}' does not say which axis of its world points up")
        turn = TO_Y_UP[self.up]
        R = None if self.R_cam_world is None else self.R_cam_world @ turn.T
        xyz = self.xyz @ turn.T if self.axes == "world" else self.xyz
        return replace(self, xyz=xyz, R_cam_world=R, up="y")


class Dataset(ABC):
    """Recordings by name, read one at a time. Every method raises ValueError, or FileNotFoundError, with one sentence
    that names the file and what to do about it."""

    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    licence: ClassVar[str]
    source: ClassVar[str]
    """The project's page."""

    @abstractmethod
    def all_names(self) -> list[str]:
        """Every recording's name, in a fixed order."""

    @abstractmethod
    def subject_of(self, name: str) -> str:
        """The person in the recording called `name`."""

    @abstractmethod
    def split_of(self, name: str) -> str:
        """Which of `splits` the recording called `name` belongs to."""

    @abstractmethod
    def recording(self, name: str) -> Recording:
        """The recording called `name`."""

    def names(self, split: str = "all") -> list[str]:
        """The recordings of a split, or of all of them."""
        if split != "all" and split not in self.splits:
            raise ValueError(f"unknown split '{split}'; {suggest(split, [*self.splits, 'all'])}")
        return [name for name in self.all_names() if split in ("all", self.split_of(name))]

    def subjects(self, split: str = "all") -> list[str]:
        """The people of a split, each once."""
        return list(dict.fromkeys(self.subject_of(name) for name in self.names(split)))

    def recordings(self, split: str = "all") -> Iterator[Recording]:
        """The recordings of a split one after another, each read when it is asked for."""
        return map(self.recording, self.names(split))


DATASETS: Registry[type[Dataset]] = Registry("data set")
