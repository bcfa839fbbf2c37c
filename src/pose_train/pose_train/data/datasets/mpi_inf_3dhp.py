"""MPI-INF-3DHP in two published layouts: 28 joints of camera 0, and 17 joints of all cameras.

Both give joints in millimetres in the camera's frame and keypoints in pixels. Neither says what lens the camera has: it is fitted
to the joints and their keypoints.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pose_core.skeleton import MPI_INF28
from pose_train.data.datasets.archive import mapping, numbers, read_npy, read_npz
from pose_train.data.datasets.pinhole import fitted_camera
from pose_train.data.datasets.recording import DATASETS, Dataset, Recording

LICENCE = "MPI-INF-3DHP licence: non-commercial research only, no redistribution"
SOURCE = "https://vcai.mpi-inf.mpg.de/3dhp-dataset/"
MM = 1e-3

SEQUENCES: dict[str, tuple[int, float]] = {
    "S1 Seq1": (6416, 25.0),
    "S1 Seq2": (12430, 50.0),
    "S2 Seq1": (6502, 25.0),
    "S2 Seq2": (6081, 25.0),
    "S3 Seq1": (12488, 50.0),
    "S3 Seq2": (12283, 50.0),
    "S4 Seq1": (6171, 25.0),
    "S4 Seq2": (6675, 25.0),
    "S5 Seq1": (12820, 50.0),
    "S5 Seq2": (12312, 50.0),
    "S6 Seq1": (6188, 25.0),
    "S6 Seq2": (6145, 25.0),
    "S7 Seq1": (6239, 25.0),
    "S7 Seq2": (6320, 25.0),
    "S8 Seq1": (6468, 25.0),
    "S8 Seq2": (6054, 25.0),
}
"""Frames and frames per second of the training sequences, from `mpii_get_sequence_info.m` in the data set's own tools."""
IMAGE_SIZE = (2048, 2048)
WIDE_TESTS = ("TS5", "TS6")
"""Test sequences filmed outdoors in WIDE_SIZE."""
WIDE_SIZE = (1920, 1080)
HELD_OUT = ("S8",)
"""Of the 28-joint layout, which has no test sequences."""

JOINTS_17 = (
    *("head_top", "neck", "right_shoulder", "right_elbow", "right_wrist"),
    *("left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle"),
    *("left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head"),
)
"""Of the 17-joint layout, in its order, called as in mpi_inf28."""


@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation of the keypoints, per coordinate, as stored beside the 28-joint file."""

    mean: np.ndarray  # (2,) pixels
    std: np.ndarray  # (2,) pixels

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Standardisation:
        """From an .npy of two rows, mean and deviation; of three columns the last, which is no coordinate, is left out."""
        rows = read_npy(path)
        if not isinstance(rows, np.ndarray) or rows.shape not in ((2,), (2, 1), (2, 2), (2, 3)):
            raise ValueError(
                f"{path} must hold a mean and a deviation for x and y; it is not a pose2d_mean_std.npy"
            )
        mean, std = numbers(rows.reshape(2, -1), str(path), (2, "columns"))
        if not (np.isfinite(mean).all() and (std[:2] > 0.0).all()):
            raise ValueError(f"{path} must hold finite means and positive deviations, got {rows.tolist()}")
        return cls(np.resize(mean[:2], 2), np.resize(std[:2], 2))

    def apply(self, xy_px: np.ndarray) -> np.ndarray:
        """Standardised keypoints of pixels (..., 2); inverse of `invert`."""
        return (xy_px - self.mean) / self.std

    def invert(self, standardised: np.ndarray) -> np.ndarray:
        """Pixels of standardised keypoints (..., 2)."""
        return standardised * self.std + self.mean


@DATASETS.register("mpi_inf_3dhp_28")
class MpiInf28(Dataset):
    """28 joints, camera 0: `pose2d` (N, 28, 2) and `pose3d` (N, 28, 3), all sequences in a row or one file for each.

    One recording per sequence, in the camera's frame. Person 8 is kept for tests.
    """

    licence: ClassVar[str] = LICENCE
    source: ClassVar[str] = SOURCE

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mean_std: str | os.PathLike[str] = "",
        frames: Mapping[str, int] | None = None,
    ) -> None:
        """`path`: mpi_inf_combined.npz, or a folder of S1_Seq1.npz, S1_Seq2.npz, ...

        `mean_std`: pose2d_mean_std.npy, if the keypoints of the file were standardised with it; they are turned back into
        pixels. `frames`: for a combined file of other than all sequences, their names in order and numbers of frames.
        """
        self._path = Path(path)
        self._standardisation = Standardisation.read(mean_std) if mean_std else None
        self._frames = dict(frames or {name: count for name, (count, _) in SEQUENCES.items()})
        for name in self._frames:
            if name not in SEQUENCES:
                raise ValueError(f"unknown sequence '{name}'; known: {', '.join(SEQUENCES)}")

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Of a folder: the file of each sequence."""
        found = {path.stem.replace("_", " "): path for path in self._path.glob("S[1-8]_Seq[12].npz")}
        if not found:
            raise ValueError(
                f"{self._path} has no files such as S1_Seq1.npz in it; give the folder that has them"
            )
        return {name: found[name] for name in SEQUENCES if name in found}

    @cached_property
    def _combined(self) -> tuple[np.ndarray, np.ndarray]:
        joints, keypoints = _pose_28(self._path)
        total = sum(self._frames.values())
        if len(joints) != total:
            raise ValueError(
                f"{self._path} holds {len(joints)} frames, the sequences have {total} "
                f"({', '.join(self._frames)}); say with frames={{name: number}} which ones it holds, in order"
            )
        return joints, keypoints

    def all_names(self) -> list[str]:
        """`S1 Seq1`, ..."""
        return list(self._files if self._path.is_dir() else self._frames)

    def subject_of(self, name: str) -> str:
        return name.split()[0]

    def split_of(self, name: str) -> str:
        return "test" if self.subject_of(name) in HELD_OUT else "train"

    def recording(self, name: str) -> Recording:
        if name not in self.all_names():
            raise ValueError(f"{self._path} has no sequence '{name}'; names() lists them")
        if self._path.is_dir():
            joints, keypoints = _pose_28(self._files[name])
        else:
            names = list(self._frames)
            start = sum(self._frames[before] for before in names[: names.index(name)])
            own = slice(start, start + self._frames[name])
            joints, keypoints = (array[own] for array in self._combined)
        xy = keypoints[..., :2]
        return _recording(
            name,
            SEQUENCES[name][1],
            joints,
            xy if self._standardisation is None else self._standardisation.invert(xy),
            keypoints[..., 2] if keypoints.shape[2] == 3 else None,
            IMAGE_SIZE,
        )


@DATASETS.register("mpi_inf_3dhp_17")
class MpiInf17(Dataset):
    """17 joints, all cameras: data_train_3dhp.npz and data_test_3dhp.npz as P-STMO's tools write them.

    One recording per sequence and camera in the skeleton mpi_inf28, whose other joints are missing. The joints are those of the
    data set's universal skeleton: everybody has the same height. Frames marked as not valid are missing.
    """

    licence: ClassVar[str] = LICENCE
    source: ClassVar[str] = SOURCE
    FILES: ClassVar[dict[str, str]] = {"train": "data_train_3dhp.npz", "test": "data_test_3dhp.npz"}

    def __init__(self, folder: str | os.PathLike[str], *, test_fps: float = 25.0) -> None:
        """`folder` holds one or both files. `test_fps`: the files do not say the rate of the test sequences."""
        self._folder, self._test_fps = Path(folder), test_fps

    @cached_property
    def _content(self) -> dict[str, tuple[Path, dict[str, Any]]]:
        """Where each recording comes from, and its arrays."""
        paths = {split: self._folder / file for split, file in self.FILES.items()}
        if not any(path.is_file() for path in paths.values()):
            raise FileNotFoundError(
                f"there is neither of {' and '.join(self.FILES.values())} in {self._folder}"
            )
        content = {}
        for split, path in paths.items():
            if path.is_file():
                sequences = mapping(read_npz(path, ["data"])["data"], f"'data' of {path}")
                for name, arrays in sequences.items():
                    content.update(_views(path, split, name, arrays))
        return content

    def all_names(self) -> list[str]:
        """`S1 Seq1/0`, ..., `TS1`, ..."""
        return list(self._content)

    def subject_of(self, name: str) -> str:
        return name.split()[0].split("/")[0]

    def split_of(self, name: str) -> str:
        return "test" if name.startswith("TS") else "train"

    def recording(self, name: str) -> Recording:
        if name not in self._content:
            raise ValueError(f"{self._folder} has no recording '{name}'; names() lists them")
        path, arrays = self._content[name]
        what = f"'{name}' of {path}"
        given = numbers(arrays.get("data_3d"), f"data_3d of {what}", ("frames", len(JOINTS_17), 3))
        shape = (len(given), len(JOINTS_17), 2)
        seen = numbers(arrays.get("data_2d"), f"data_2d of {what}", shape)
        index = MPI_INF28.indices(*JOINTS_17)
        joints = np.full((len(given), len(MPI_INF28), 3), np.nan)
        keypoints = np.full((len(given), len(MPI_INF28), 2), np.nan)
        joints[:, index], keypoints[:, index] = given, seen
        if "valid" in arrays:
            invalid = numbers(arrays["valid"], f"valid of {what}", (len(given),)) == 0.0
            joints[invalid], keypoints[invalid] = np.nan, np.nan
        test = self.split_of(name) == "test"
        fps = self._test_fps if test else SEQUENCES[name.split("/")[0]][1]
        return _recording(name, fps, joints, keypoints, None, WIDE_SIZE if name in WIDE_TESTS else IMAGE_SIZE)


def _views(path: Path, split: str, name: str, arrays: Any) -> dict[str, tuple[Path, dict[str, Any]]]:
    """The recordings of one entry: that of a test, or those of the cameras of a training sequence."""
    what = f"'{name}' of {path}"
    if split == "test":
        if not re.fullmatch(r"TS[1-6]", name):
            raise ValueError(f"{path} has a sequence '{name}', but those of the test set are TS1 to TS6")
        return {name: (path, mapping(arrays, what))}
    if name not in SEQUENCES:
        raise ValueError(f"{path} has a sequence '{name}', but the known ones are {', '.join(SEQUENCES)}")
    if not isinstance(arrays, list) or len(arrays) != 1:
        raise ValueError(f"{what} must be a list of one dictionary of cameras; get the file anew")
    cameras = mapping(arrays[0], what)
    return {f"{name}/{view}": (path, mapping(cameras[view], f"camera {view} of {what}")) for view in cameras}


def _pose_28(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(N, 28, 3) and (N, 28, 2 or 3) of a file whose names are written with or without a stroke."""
    content = read_npz(path, [], ("pose2d", "pose_2d", "pose3d", "pose_3d"))
    joints, keypoints = (
        next((content[name] for name in (f"pose{n}d", f"pose_{n}d") if name in content), None) for n in (3, 2)
    )
    if joints is None or keypoints is None:
        raise ValueError(f"{path} has no 'pose2d' and 'pose3d'; it is not an archive of 28-joint poses")
    xyz = numbers(joints, f"'pose3d' of {path}", ("frames", len(MPI_INF28), 3))
    columns = 3 if isinstance(keypoints, np.ndarray) and keypoints.shape[-1:] == (3,) else 2
    return xyz, numbers(keypoints, f"'pose2d' of {path}", (len(xyz), len(MPI_INF28), columns))


def _recording(
    name: str,
    fps: float,
    joints_mm: np.ndarray,
    xy_px: np.ndarray,
    confidence: np.ndarray | None,
    size: tuple[int, int],
) -> Recording:
    """Joints about the root, which some writers of these files make of them, have no place before a camera."""
    root = MPI_INF28.root_of(joints_mm)
    known = np.isfinite(root).all(-1)
    centred = bool(known.any()) and not root[known].any()
    return Recording(
        name,
        name.split()[0].split("/")[0],
        MPI_INF28.name,
        fps,
        joints_mm * MM,
        axes="root" if centred else "camera",
        camera=None if centred else fitted_camera(joints_mm * MM, xy_px, *size),
        xy_px=xy_px,
        confidence=confidence,
        licence=LICENCE,
        source=SOURCE,
    )
