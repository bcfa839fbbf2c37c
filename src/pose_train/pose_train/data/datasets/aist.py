"""AIST++: its own annotations, and the converted samples of the MediaPipe limb-orientation system.

A converted sample pairs what MediaPipe sees in a frame with the joints of the data set, coco17, both about the pelvis in
units of the torso (mean distance from shoulder to hip of the two sides):

    corrupted     (17, 3)  MediaPipe's 3D, x right, y up, z towards the camera
    ground_truth  (17, 3)  the data set's joints, axes of its world (y up)
    pose_2d       (17, 2)  MediaPipe's keypoints, fractions of the image's width and height
    projected_2d  (17, 2)  the data set's joints in the image, likewise
    visibility    (17,)    MediaPipe's confidence
    camera_R      (3, 3)   world to camera
    gt_scale      ()       metres per unit of ground_truth; mp_scale likewise of corrupted
    camera_relative (3,)   the camera about the pelvis, metres in the world

They come one frame to a file, `<sequence>_<view>_f<frame>.npz`, or one video to a file, `<sequence>_<view>.npz`, whose
arrays have the frames as an additional first axis, `frame_idx` (T,), and the lens as `camera_matrix`, `camera_distortion`
and `image_size`.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.spatial.transform import Rotation

from pose_core.geometry.calibration import CalibratedCamera
from pose_core.geometry.camera import Camera
from pose_core.skeleton import COCO17
from pose_train.data.datasets.archive import mapping, numbers, read_npz, read_pickle
from pose_train.data.datasets.pinhole import fitted_camera
from pose_train.data.datasets.recording import DATASETS, Dataset, Recording

FPS = 60.0
CM = 1e-2
IMAGE_SIZE = (1920, 1080)
LONGEST = 1 << 17
"""Frames; the longest dance has about three thousand."""
LARGEST_TEXT = 1 << 22
"""Bytes of a camera file or list of sequences."""

HELD_OUT = ("d05", "d10", "d15", "d20", "d25", "d30", "d35")
"""Dancers whose recordings are the test split."""

JOINTS = len(COCO17)
FIELDS = {
    "corrupted": (JOINTS, 3),
    "ground_truth": (JOINTS, 3),
    "pose_2d": (JOINTS, 2),
    "projected_2d": (JOINTS, 2),
    "visibility": (JOINTS,),
    "camera_R": (3, 3),
    "gt_scale": (),
}
MORE_FIELDS: dict[str, tuple[int, ...]] = {"camera_relative": (3,), "mp_scale": ()}
TO_CAMERA_AXES = np.array([1.0, -1.0, -1.0])
"""From the axes of `corrupted`."""

FRAME_FILE = re.compile(r"(?P<name>.+)_f(?P<frame>\d{1,7})")
DANCER = re.compile(r"_(d\d+)_")


def read_joints(path: str | os.PathLike[str]) -> np.ndarray:
    """(T, 17, 3) joints of a file of `keypoints3d`, in metres of its world, the optimised ones."""
    content = mapping(read_pickle(path), str(path))
    if "keypoints3d_optim" not in content:
        raise ValueError(f"{path} has no 'keypoints3d_optim'; it is no file of AIST++'s keypoints3d folder")
    what = f"'keypoints3d_optim' of {path}"
    return numbers(content["keypoints3d_optim"], what, ("frames", JOINTS, 3)) * CM


def read_cameras(path: str | os.PathLike[str]) -> dict[str, CalibratedCamera]:
    """The cameras of a setting by name (`c01`, ...), from its JSON file."""
    try:
        content = json.loads(_read_text(Path(path)))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); get it anew from AIST++") from error
    if not isinstance(content, list) or not content:
        raise ValueError(f"{path} must be a list of cameras; it is no file of AIST++'s cameras folder")
    try:
        cameras = [_camera(mapping(camera, "a camera")) for camera in content]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: {error}; it is no file of AIST++'s cameras folder") from error
    return {camera.name: camera for camera in cameras}


def read_settings(path: str | os.PathLike[str]) -> dict[str, str]:
    """Which camera setting each sequence was filmed with, from mapping.txt."""
    rows = [line.split() for line in _read_text(Path(path)).splitlines() if line.strip()]
    for row in rows:
        if len(row) != 2:
            raise ValueError(f"{path} must have a sequence and a setting in each line, got '{' '.join(row)}'")
    return {row[0]: row[1] for row in rows}


def torso_length(joints: np.ndarray) -> np.ndarray:
    """(...,) mean distance from shoulder to hip of coco17 joints (..., 17, 3): the unit of the converted samples."""
    shoulders = joints[..., COCO17.indices("left_shoulder", "right_shoulder"), :]
    hips = joints[..., COCO17.indices("left_hip", "right_hip"), :]
    return np.linalg.norm(shoulders - hips, axis=-1).mean(-1)


def mirrored(keypoints: np.ndarray) -> np.ndarray:
    """Keypoints (..., 17, 2), fractions of the image, as they are in the mirrored image."""
    return (keypoints * (-1.0, 1.0) + (1.0, 0.0))[..., COCO17.flip, :]


@DATASETS.register("aist")
class Aist(Dataset):
    """Converted samples of a folder and those below it: one recording per video, coco17, in the camera's frame.

    The camera's axes are about the pelvis where the samples do not say where the camera stands. Frames without a sample
    are missing, at the rate at which the samples were taken. Videos that are mirrored (those of view c05 are) get mirrored
    joints, which fit them.
    """

    licence: ClassVar[str] = (
        "AIST++ annotations CC BY 4.0; videos under the AIST Dance Video Database's terms of use"
    )
    source: ClassVar[str] = "https://google.github.io/aistplusplus_dataset"

    def __init__(self, folder: str | os.PathLike[str], *, image_size: tuple[int, int] = IMAGE_SIZE) -> None:
        """`image_size`: width and height of the videos, where the samples do not say it."""
        self._folder, self._image_size = Path(folder), image_size

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        """The files of each recording."""
        files: dict[str, list[Path]] = {}
        for path in sorted(self._folder.rglob("*.npz")):
            match = FRAME_FILE.fullmatch(path.stem)
            files.setdefault(match["name"] if match else path.stem, []).append(path)
        if not files:
            raise FileNotFoundError(
                f"there are no .npz files in {self._folder}; python -m pose_train.data.datasets.aist_convert makes them"
            )
        return files

    def all_names(self) -> list[str]:
        """`gBR_sBM_cAll_d04_mBR0_ch01_c01`, ..."""
        return list(self._files)

    def subject_of(self, name: str) -> str:
        match = DANCER.search(name)
        return match[1] if match else name

    def split_of(self, name: str) -> str:
        return "test" if self.subject_of(name) in HELD_OUT else "train"

    def recording(self, name: str) -> Recording:
        if name not in self._files:
            raise ValueError(f"{self._folder} has no samples of '{name}'; names() lists what there is")
        samples = _Samples.read(self._files[name])
        try:
            return self._of(name, samples)
        except ValueError as error:
            raise ValueError(f"{self._files[name][0]}: {error}; convert the video anew") from error

    def _of(self, name: str, samples: _Samples) -> Recording:
        width, height = samples.image_size or self._image_size
        size = np.array([width, height], float)
        xyz, axes = samples.in_camera()
        in_image = xyz[..., 0] / xyz[..., 2] if axes == "camera" else xyz[..., 0]
        is_mirrored = _fits_mirrored(in_image, samples.fields["projected_2d"][..., 0])
        if is_mirrored:
            xyz = (xyz * (-1.0, 1.0, 1.0))[:, COCO17.flip]
        camera = samples.camera(width, height, is_mirrored)
        if camera is None and axes == "camera":
            camera = fitted_camera(xyz, samples.fields["projected_2d"] * size, width, height)
        grid, step = samples.grid()
        detected = samples.fields["corrupted"] * TO_CAMERA_AXES
        scale = samples.fields.get("mp_scale", samples.fields["gt_scale"])
        return Recording(
            name,
            self.subject_of(name),
            COCO17.name,
            FPS / step,
            _spread(xyz, grid),
            axes=axes,
            up="" if is_mirrored else "y",
            camera=camera,
            R_cam_world=None if is_mirrored or not len(xyz) else samples.fields["camera_R"][0],
            xy_px=_spread(samples.fields["pose_2d"] * size, grid),
            confidence=np.nan_to_num(_spread(samples.fields["visibility"], grid)),
            xyz_detected=_spread(detected * scale[:, None, None], grid),
            licence=self.licence,
            source=self.source,
        )


@dataclass(frozen=True)
class _Samples:
    """The samples of one video, in the order of their frames."""

    frames: np.ndarray  # (T,)
    fields: dict[str, np.ndarray]  # each with a leading T
    lens: tuple[np.ndarray, np.ndarray] | None  # matrix, distortion
    image_size: tuple[int, int] | None

    @classmethod
    def read(cls, paths: list[Path]) -> _Samples:
        match = FRAME_FILE.fullmatch(paths[0].stem)
        if not match:
            if len(paths) > 1:
                raise ValueError(f"{paths[0]} and {paths[1]} are of the same video; remove one of them")
            return cls._of_video(paths[0])
        fields = [_fields(path, read_npz(path, [*FIELDS], [*MORE_FIELDS]), ()) for path in paths]
        names = [name for name in fields[0] if all(name in one for one in fields)]
        frames = np.array([int(FRAME_FILE.fullmatch(path.stem)["frame"]) for path in paths])  # type: ignore[index]
        return cls._sorted(
            frames, {name: np.stack([one[name] for one in fields]) for name in names}, paths[0]
        )

    @classmethod
    def _of_video(cls, path: Path) -> _Samples:
        lens = ("camera_matrix", "camera_distortion", "image_size")
        content = read_npz(path, ["frame_idx", *FIELDS], [*MORE_FIELDS, *lens])
        frames = numbers(content["frame_idx"], f"'frame_idx' of {path}", ("frames",), np.int64)
        samples = cls._sorted(frames, _fields(path, content, (len(frames),)), path)
        if any(name not in content for name in lens):
            return samples
        size = numbers(content["image_size"], f"'image_size' of {path}", (2,), np.int64)
        matrix = numbers(content["camera_matrix"], f"'camera_matrix' of {path}", (3, 3))
        distortion = numbers(
            content["camera_distortion"], f"'camera_distortion' of {path}", ("coefficients",)
        )
        return cls(samples.frames, samples.fields, (matrix, distortion), (int(size[0]), int(size[1])))

    @classmethod
    def _sorted(cls, frames: np.ndarray, fields: dict[str, np.ndarray], path: Path) -> _Samples:
        order = np.argsort(frames, kind="stable")
        frames = frames[order]
        if len(frames) and (frames[0] < 0 or frames[-1] - frames[0] > LONGEST or not np.diff(frames).all()):
            raise ValueError(
                f"{path} and its like number frames twice, or up to {frames[-1]}; convert the video anew"
            )
        return cls(frames, {name: field[order] for name, field in fields.items()}, None, None)

    def in_camera(self) -> tuple[np.ndarray, str]:
        """Joints (T, 17, 3) in metres, and the axes they are in."""
        about_pelvis = self.fields["ground_truth"] * self.fields["gt_scale"][:, None, None]
        if "camera_relative" in self.fields:
            about_pelvis = about_pelvis - self.fields["camera_relative"][:, None, :]
        xyz = np.einsum("tij,tkj->tki", self.fields["camera_R"], about_pelvis)
        return xyz, "camera" if "camera_relative" in self.fields else "root"

    def camera(self, width: int, height: int, is_mirrored: bool) -> Camera | None:
        if self.lens is None:
            return None
        matrix, distortion = self.lens[0].copy(), self.lens[1].copy()
        if is_mirrored:  # x becomes width - x, as `mirrored` has it
            matrix[0, 2] = width - matrix[0, 2]
            distortion[3:4] *= -1.0
        return Camera(width, height, matrix, distortion, source="calibration_file")

    def grid(self) -> tuple[np.ndarray, int]:
        """The row of each sample in a recording with even steps, and how many frames a step has."""
        if len(self.frames) < 2:
            return np.zeros(len(self.frames), np.intp), 1
        step = int(np.gcd.reduce(np.diff(self.frames)))
        return (self.frames - self.frames[0]) // step, step


def _fields(path: Path, content: dict[str, Any], frames: tuple[int, ...]) -> dict[str, np.ndarray]:
    shapes = {name: shape for name, shape in (FIELDS | MORE_FIELDS).items() if name in content}
    fields = {
        name: numbers(content[name], f"'{name}' of {path}", (*frames, *shape))
        for name, shape in shapes.items()
    }
    R = fields["camera_R"]
    if not np.allclose(R @ np.swapaxes(R, -1, -2), np.eye(3), atol=1e-3):
        raise ValueError(f"'camera_R' of {path} is not a rotation; convert the video anew")
    return fields


def _spread(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`values` (T, ...) in their rows, NaN between them."""
    spread = np.full((int(rows[-1]) + 1 if len(rows) else 0, *values.shape[1:]), np.nan)
    spread[rows] = values
    return spread


def _fits_mirrored(across: np.ndarray, seen: np.ndarray) -> bool:
    """Whether joints at `across` (T, 17) to the right lie at `seen` (T, 17) in the image as in a mirror.

    There left and right are relabelled as well. Symmetric poses cannot tell: the sum over all frames decides.
    """
    across = across - across.mean(1, keepdims=True)
    seen = seen - seen.mean(1, keepdims=True)
    return bool(np.nansum(-across[:, COCO17.flip] * seen) > np.nansum(across * seen))


def _camera(content: dict[str, Any]) -> CalibratedCamera:
    width, height = (int(size) for size in _floats(content, "size", 2))
    matrix = _floats(content, "matrix", 9).reshape(3, 3)
    distortion = _floats(content, "distortions", None)
    R_cam_world = Rotation.from_rotvec(_floats(content, "rotation", 3)).as_matrix()
    camera = Camera(width, height, matrix, distortion, source="calibration_file")
    return CalibratedCamera(
        str(content["name"]), camera, R_cam_world, _floats(content, "translation", 3) * CM
    )


def _floats(content: dict[str, Any], name: str, count: int | None) -> np.ndarray:
    if name not in content:
        raise ValueError(f"a camera has no '{name}'")
    values = np.array(content[name], float).reshape(-1)
    if (count is not None and len(values) != count) or not np.isfinite(values).all():
        raise ValueError(f"'{name}' of a camera must be {count or 'finite'} numbers, got {content[name]}")
    return values


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file {path}; AIST++'s annotations have it in their cameras folder"
        )
    if path.stat().st_size > LARGEST_TEXT:
        raise ValueError(f"{path} is too large for a file of AIST++'s cameras folder")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8; get it anew from AIST++") from error
