"""AMASS: motion capture of many archives as poses of a body model, or joints computed from it beforehand."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pose_core.skeleton import SKELETONS, remap
from pose_train.data.datasets.archive import numbers, read_npz, text
from pose_train.data.datasets.recording import DATASETS, Dataset, Recording
from pose_train.data.datasets.smpl import BODY, BODY22, GENDERS, KINDS, POSE_KINDS, BodyModel, model_path

VALIDATION = ("HumanEva", "MPI_HDM05", "HDM05", "SFU", "MPI_mosh", "MoSh")
TEST = ("Transitions_mocap", "Transitions", "SSM_synced", "SSM")
"""The archives that AMASS's own split keeps from training, by the names of both releases."""
RATES = ("mocap_framerate", "mocap_frame_rate", "fps")

SYNONYMS: dict[str, tuple[str, ...]] = {
    "spine": ("smpl_spine2",),
    "left_clavicle": ("left_collar",),
    "right_clavicle": ("right_collar",),
}
"""Joints of our skeletons that are near one of the model under another name."""


@DATASETS.register("amass")
class Amass(Dataset):
    """One recording per file, in the world (metres, z up), without camera. Joints that the model lacks are missing.

    A file has `poses` (T, 72, 156 or 165), `betas`, `trans` (T, 3), `gender` and its rate, and needs the user's model file; or it
    has `joints` (T, 22 or more, 3), computed beforehand in the model's order, and its rate.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    licence: ClassVar[str] = (
        "AMASS licence: non-commercial research only, no redistribution; so are the body models"
    )
    source: ClassVar[str] = "https://amass.is.tue.mpg.de"

    def __init__(
        self,
        folder: str | os.PathLike[str],
        models: str | os.PathLike[str] = "",
        *,
        skeleton: str = "mpi_inf28",
    ) -> None:
        """`folder` has a folder per archive with folders per person. `models`: the folder of the body models, or one file that
        serves for everybody. `skeleton`: the one of our skeletons in which joints are given."""
        self._folder, self._models = Path(folder), Path(models) if models else None
        self._skeleton = SKELETONS.get(skeleton)
        matrix = remap(BODY22, self._skeleton, SYNONYMS)
        self._known = ~np.isnan(matrix).any(1)
        self._matrix = matrix[self._known]
        self._read: dict[Path, BodyModel] = {}

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Motions; files of a person's shape alone stand beside them."""
        motions = [
            path
            for path in sorted(self._folder.rglob("*.npz"))
            if path.stem != "shape" and not path.stem.endswith("_stagei")
        ]
        if not motions:
            raise FileNotFoundError(
                f"there are no .npz files in {self._folder}; unpack AMASS's archives there"
            )
        return {path.relative_to(self._folder).with_suffix("").as_posix(): path for path in motions}

    def all_names(self) -> list[str]:
        """`CMU/01/01_01_poses`, ..."""
        return list(self._files)

    def subject_of(self, name: str) -> str:
        return name.rpartition("/")[0] or name

    def split_of(self, name: str) -> str:
        archive = name.split("/")[0]
        return "val" if archive in VALIDATION else "test" if archive in TEST else "train"

    def recording(self, name: str) -> Recording:
        if name not in self._files:
            raise ValueError(f"{self._folder} has no motion '{name}'; names() lists them")
        path = self._files[name]
        content = read_npz(path, [], ["poses", "betas", "trans", "gender", "joints", *RATES])
        body = _joints(content, path) if "joints" in content else self._posed(content, path)
        xyz = np.full((len(body), len(self._skeleton), 3), np.nan)
        xyz[:, self._known] = np.einsum("kj,tjd->tkd", self._matrix, body)
        return Recording(
            name,
            self.subject_of(name),
            self._skeleton.name,
            _rate(content, path),
            xyz,
            up="z",
            licence=self.licence,
            source=self.source,
        )

    def _posed(self, content: dict[str, Any], path: Path) -> np.ndarray:
        """(T, 22, 3) by the body model of the person."""
        for name in ("poses", "betas", "trans", "gender"):
            if name not in content:
                raise ValueError(f"{path} has no '{name}' (nor 'joints'); it is not a motion of AMASS")
        poses = numbers(content["poses"], f"'poses' of {path}", ("frames", "numbers"))
        kind = POSE_KINDS.get(poses.shape[1])
        if kind is None:
            raise ValueError(
                f"'poses' of {path} must have {', '.join(map(str, POSE_KINDS))} columns, got {poses.shape[1]}"
            )
        betas = numbers(content["betas"], f"'betas' of {path}", ("shapes",))
        trans = numbers(content["trans"], f"'trans' of {path}", (len(poses), 3))
        gender = text(content["gender"], f"'gender' of {path}").lower()
        if gender not in GENDERS:
            raise ValueError(f"'gender' of {path} must be one of {', '.join(GENDERS)}, got '{gender}'")
        model = self._model(kind, gender, path)
        good = np.isfinite(poses[:, : 3 * BODY]).all(1) & np.isfinite(trans).all(1)
        if not np.isfinite(betas).all():
            raise ValueError(f"'betas' of {path} must be finite; get the file anew from AMASS")
        joints = np.full((len(poses), BODY, 3), np.nan)
        try:
            joints[good] = model.posed(betas, poses[good], trans[good])
        except ValueError as error:
            raise ValueError(f"{path}: {error}; use the {kind} model that AMASS names") from error
        return joints

    def _model(self, kind: str, gender: str, path: Path) -> BodyModel:
        if self._models is None:
            raise ValueError(
                f"{path} holds poses of {kind}, whose joints need a model file: give its folder as `models` "
                "(docs/datasets.md says where to get it), or files with 'joints' computed beforehand"
            )
        file = self._models if self._models.suffix else model_path(self._models, kind, gender)
        if file not in self._read:
            self._read[file] = BodyModel.read(file)
        if self._read[file].kind != kind:
            raise ValueError(
                f"{path} holds poses of {kind}, but {file} is a model of {self._read[file].kind}"
            )
        return self._read[file]


def _joints(content: dict[str, Any], path: Path) -> np.ndarray:
    """(T, 22, 3) of joints computed beforehand."""
    joints = numbers(content["joints"], f"'joints' of {path}", ("frames", "joints", 3))
    if joints.shape[1] not in (BODY, *KINDS):
        raise ValueError(
            f"'joints' of {path} must be {BODY} or all of {', '.join(KINDS.values())}, got {joints.shape[1]}"
        )
    return joints[:, :BODY]


def _rate(content: dict[str, Any], path: Path) -> float:
    for name in RATES:
        if name in content:
            rate = float(numbers(content[name], f"'{name}' of {path}", ()))
            if not 0.0 < rate < np.inf:
                raise ValueError(f"'{name}' of {path} must be positive, got {rate}")
            return rate
    raise ValueError(f"{path} has none of {', '.join(RATES)}; it is not a motion of AMASS")
