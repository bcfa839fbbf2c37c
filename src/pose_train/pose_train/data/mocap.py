"""Motion capture packs: people as joints of a CMU skeleton and the turning of seven segments, sequence by sequence.

A pack is one npz file without pickles. Root-relative positions are stored as 0.1 mm and unit quaternions as 1/8192 in int16; per
sequence as the second difference over time (the first frame as it is, the second as first difference), low and high bytes in
separate planes, which zip packs well. The root's path is float32.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_core.files import write_whole
from pose_core.reading.arrays import open_npz
from pose_core.reading.damage import damage_told, sentence

JOINTS = (
    "root",
    *("lhipjoint", "lfemur", "ltibia", "lfoot", "ltoes"),
    *("rhipjoint", "rfemur", "rtibia", "rfoot", "rtoes"),
    *("lowerback", "upperback", "thorax", "lowerneck", "upperneck", "head"),
    *("lclavicle", "lhumerus", "lradius", "lwrist", "lhand", "lfingers", "lthumb"),
    *("rclavicle", "rhumerus", "rradius", "rwrist", "rhand", "rfingers", "rthumb"),
)
"""The root and the far end of each bone of the CMU skeleton: `lfemur` is the left knee."""
PARENTS = (
    *(-1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14, 15),
    *(13, 17, 18, 19, 20, 21, 20, 13, 24, 25, 26, 27, 28, 27),
)
SEGMENTS = ("pelvis", "thorax", "head", "lhand", "rhand", "lfoot", "rfoot")

PACKS = {split: f"cmu_mocap_{split}.npz" for split in ("train", "val", "test")}
"""Files of the motion capture packs, by split."""

POSITION_UNIT = 1e-4
QUATERNION_UNIT = 1.0 / 8192.0


@dataclass(frozen=True)
class Motion:
    """One take of one person. World axes: y up, metres; quaternions w x y z turn a segment's axes to the world's.

    Reference pose of the segments: standing, facing +z, +x the person's left, arms level, palms down, thumbs forward.
    """

    name: str
    subject: str
    xyz: np.ndarray  # (T, 31, 3) float32
    quaternions: np.ndarray  # (T, 7, 4) float32


@dataclass(frozen=True)
class Pack:
    """The motions of one file, all at `fps`."""

    fps: float
    motions: tuple[Motion, ...]

    @property
    def frames(self) -> int:
        """Frames of all motions together."""
        return sum(len(motion.xyz) for motion in self.motions)


def read(path: Path) -> Pack:
    """The pack in the file `path`. Raises ValueError where it is none, or damaged."""
    try:
        with (
            damage_told(path, "is not a motion capture pack, or is damaged ({}); fetch it again"),
            open_npz(path) as archive,
        ):
            return _unpack(dict(archive))
    except FileNotFoundError:
        raise ValueError(
            f"{path}: no such motion capture pack; say with --data where the packs are"
        ) from None
    except OSError as error:
        raise ValueError(
            sentence(path, "is not a motion capture pack, or is damaged ({}); fetch it again", error)
        ) from error


def write(path: Path, pack: Pack) -> None:
    """Write `pack` as `read` reads it: to 0.1 mm, whole or not at all."""
    rel, root, quaternions = [], [], []
    for motion in pack.motions:
        about = np.round((motion.xyz[:, 1:] - motion.xyz[:, :1]) / POSITION_UNIT)
        if np.abs(about).max() > np.iinfo(np.int16).max:
            raise ValueError(
                f"motion '{motion.name}' has a joint more than 3.2 m from the root; its unit must be metres"
            )
        rel.append(_differences(about.astype(np.int16)))
        quaternions.append(_differences(np.round(motion.quaternions / QUATERNION_UNIT).astype(np.int16)))
        root.append(motion.xyz[:, 0])
    file = io.BytesIO()
    np.savez_compressed(
        file,
        joints=np.array(JOINTS),
        parents=np.array(PARENTS),
        segments=np.array(SEGMENTS),
        fps=np.array(pack.fps),
        starts=np.cumsum([0, *(len(motion.xyz) for motion in pack.motions)]),
        meta=np.array(
            json.dumps([{"id": motion.name, "subject": motion.subject} for motion in pack.motions])
        ),
        rel=_planes(np.concatenate(rel)),
        root=np.concatenate(root).astype(np.float32),
        quat=_planes(np.concatenate(quaternions)),
    )
    write_whole(path, file.getvalue())


def _unpack(arrays: dict[str, np.ndarray]) -> Pack:
    if tuple(map(str, arrays["joints"])) != JOINTS or tuple(map(int, arrays["parents"])) != PARENTS:
        raise ValueError("its joints are not those of the CMU skeleton")
    if tuple(map(str, arrays["segments"])) != SEGMENTS:
        raise ValueError("its segments are others")
    described = json.loads(str(arrays["meta"]))
    starts = arrays["starts"]
    rel, quaternions, root = _int16(arrays["rel"]), _int16(arrays["quat"]), arrays["root"]
    total = len(root)
    if rel.shape != (total, len(JOINTS) - 1, 3) or quaternions.shape != (total, len(SEGMENTS), 4):
        raise ValueError(f"arrays of {total} frames have shapes {rel.shape} and {quaternions.shape}")
    if (
        len(starts) != len(described) + 1
        or starts[0] != 0
        or starts[-1] != total
        or (np.diff(starts) < 1).any()
    ):
        raise ValueError("its index does not cover its frames")
    motions = tuple(
        Motion(
            name=str(meta["id"]),
            subject=str(meta["subject"]),
            xyz=_positions(rel[start:end], root[start:end]),
            quaternions=_unit(_integrated(quaternions[start:end])),
        )
        for meta, start, end in zip(described, starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    )
    return Pack(float(arrays["fps"]), motions)


def _int16(planes: np.ndarray) -> np.ndarray:
    """Undo the byte planes: (2, ...) uint8 to (...) int16."""
    if planes.dtype != np.uint8 or planes.shape[0] != 2:
        raise ValueError(f"byte planes have shape {planes.shape} and type {planes.dtype}")
    return np.ascontiguousarray(np.moveaxis(planes, 0, -1)).view("<i2")[..., 0]


def _integrated(differences: np.ndarray) -> np.ndarray:
    """Undo the second difference over time; int16 wraps around as it did when packing."""
    velocity = differences.copy()
    velocity[1:] = np.cumsum(differences[1:], 0, dtype=np.int16)
    return np.cumsum(velocity, 0, dtype=np.int16)


def _differences(values: np.ndarray) -> np.ndarray:
    """The inverse of `_integrated`."""
    velocity = values.copy()
    velocity[1:] = values[1:] - values[:-1]
    second = velocity.copy()
    second[2:] = velocity[2:] - velocity[1:-1]
    return second


def _planes(values: np.ndarray) -> np.ndarray:
    """The inverse of `_int16`."""
    return np.ascontiguousarray(np.moveaxis(values.astype("<i2")[..., None].view(np.uint8), -1, 0))


def _positions(rel: np.ndarray, root: np.ndarray) -> np.ndarray:
    xyz = np.zeros((len(rel), len(JOINTS), 3), np.float32)
    xyz[:, 1:] = _integrated(rel).astype(np.float32) * np.float32(POSITION_UNIT)
    return xyz + root[:, None]


def _unit(quaternions: np.ndarray) -> np.ndarray:
    scaled = quaternions.astype(np.float32) * np.float32(QUATERNION_UNIT)
    return scaled / np.maximum(np.linalg.norm(scaled, axis=-1, keepdims=True), 1e-6)
