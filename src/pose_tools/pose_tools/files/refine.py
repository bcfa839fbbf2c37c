"""`pose refine`: one person's recording in a file, smoothed as the stage does it live, or offline.

Input is a pose sequence of this project, or any .npz with an array `xyz` (or a single array) of shape (frames, joints, 3) in
metres, NaN where a joint is missing, and, as they are known, `stamps` (frames,) in nanoseconds, `std` (frames, joints) in metres,
`confidence` (frames, joints) and `skeleton`, a name. The output is a pose sequence, whose arrays have those names too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lift3d_node.stature import Stature
from pose_core.callbacks import Progress
from pose_core.measures import metrics
from pose_core.people import JointState, ScaleSource
from pose_core.reading.arrays import open_npz, read_npy
from pose_core.reading.damage import damage_told, sentence
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS
from pose_core.system.threads import one_blas_thread
from pose_core.units import NS_PER_S
from refine_node import recording
from refine_node.params import RefineParams

RATES_HZ = (1.0, 1000.0)
STD = 0.05
"""Metres; what lifted joints err by, where a file does not say."""
LARGEST = 100.0
"""Metres about the mean of all joints beyond which numbers are no metres."""
NPY = b"\x93NUMPY"
"""What an .npy file begins with."""
NO_ARRAYS = "is no .npz or .npy file of plain arrays: {}"
ARRAYS = ("xyz", "stamps", "std", "confidence", "skeleton")


@dataclass(frozen=True)
class RefineJob:
    """What to refine, how, and where to put it. Raises ValueError for what cannot work, before anything is read."""

    source: Path
    out: Path
    params: RefineParams
    offline: bool = False
    skeleton: str = ""
    """Of a file that does not say."""
    rate_hz: float = 0.0
    """Frames per second of a file without stamps; 0: not stated."""
    force: bool = False
    """Whether an existing output is replaced."""

    def __post_init__(self) -> None:
        if not self.source.is_file():
            raise ValueError(f"there is no file {self.source}; name an .npz file")
        if self.out.suffix != ".npz":
            raise ValueError(f"the file to write must end in .npz, got '{self.out}'")
        if not self.out.parent.is_dir():
            raise ValueError(f"there is no folder {self.out.parent}; make it first")
        if self.out.exists() and not self.force:
            raise ValueError(f"{self.out} exists already; name another file, or replace it with --force")
        low, high = RATES_HZ
        if self.rate_hz and not low <= self.rate_hz <= high:
            raise ValueError(
                f"--rate must be from {low:g} to {high:g} images per second, got {self.rate_hz:g}"
            )
        if self.skeleton:
            SKELETONS.get(self.skeleton)
        if self.offline and self.params.look_ahead:
            raise ValueError("--offline knows the whole recording; leave --look-ahead out")


def refine_file(job: RefineJob, progress: Progress) -> dict[str, Any]:
    """Write the refined recording, whole or not at all; what changed. Raises ValueError for a file that cannot be used."""
    sequence = read(job.source, job.skeleton, job.rate_hz)
    one_blas_thread()
    if job.offline:
        refined = recording.smooth(sequence, job.params, progress=progress)
    else:
        refined = recording.refine_live(sequence, job.params, progress)
    if refined.missing.all():
        raise ValueError(f"nothing of {job.source} was believed; look at its joints and stamps")
    refined.save(job.out)
    return {
        "file": str(job.out),
        "refiner": job.params.refiner,
        "look-ahead": "offline" if job.offline else job.params.look_ahead,
        "frames": len(refined),
        "frames with a person": int((~refined.missing).any(1).sum()),
        "moved mm": 1e3 * metrics.mpjpe(refined.xyz, sequence.xyz, None),
        **_figures("before", sequence),
        **_figures("after", refined),
    }


def read(path: Path, skeleton: str = "", rate_hz: float = 0.0) -> PoseSequence:
    """The recording in a file; `skeleton` and `rate_hz` where it does not state its own.

    Raises ValueError for anything that is no such recording, saying what is wrong and what to do.
    """
    try:
        with damage_told(path, NO_ARRAYS):
            names, arrays = _arrays(path)
    except OSError as error:
        raise ValueError(sentence(path, NO_ARRAYS, error)) from error
    with damage_told(path, "holds no recording: {}"):
        return _recording(path, names, arrays, skeleton, rate_hz)


def _arrays(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Names of all arrays of an .npz archive, and those of them that matter; that of an .npy file is `xyz`."""
    with path.open("rb") as file:
        plain = file.read(len(NPY)) == NPY
    if plain:
        return ["xyz"], {"xyz": read_npy(path)}
    with open_npz(path) as archive:
        names = list(archive)
        return names, {name: archive[name] for name in names if name in ARRAYS or len(names) == 1}


def _recording(
    path: Path, names: list[str], arrays: dict[str, np.ndarray], skeleton: str, rate_hz: float
) -> PoseSequence:
    if "header" in names:
        sequence = PoseSequence.load(path)
        if skeleton not in ("", sequence.skeleton):
            raise ValueError(f"{path} has its own skeleton '{sequence.skeleton}'; leave --skeleton out")
        if rate_hz:
            raise ValueError(f"{path} has its own stamps; leave --rate out")
    else:
        if "xyz" not in arrays and len(arrays) == 1 and len(names) == 1:
            arrays = {"xyz": next(iter(arrays.values()))}
        if "xyz" not in arrays:
            raise ValueError(
                f"{path} must hold an array 'xyz' of shape (frames, joints, 3), got {', '.join(names) or 'none'}"
            )
        return of_arrays(path, arrays, skeleton, rate_hz)
    return _checked(path, sequence)


def of_arrays(path: Path | str, arrays: dict[str, np.ndarray], skeleton: str, rate_hz: float) -> PoseSequence:
    """The recording in `arrays`, as the module says of files; `path`: what messages call it. Raises ValueError as `read`."""
    return _checked(path, _of_arrays(path, arrays, skeleton, rate_hz))


def _of_arrays(
    path: Path | str, arrays: dict[str, np.ndarray], skeleton: str, rate_hz: float
) -> PoseSequence:
    xyz = _numbers(path, "xyz", arrays["xyz"])
    if xyz.ndim != 3 or xyz.shape[2] != 3 or not xyz.size:
        raise ValueError(
            f"{path}: xyz must have shape (frames, joints, 3) and hold something, got {xyz.shape}"
        )
    frames, joints, _ = xyz.shape
    skeleton = _skeleton(path, arrays, skeleton, joints)
    there = np.isfinite(xyz).all(-1)
    given = {name: arrays[name] for name in ("std", "confidence") if name in arrays}
    for name in given:
        array = given[name] = _numbers(path, name, given[name])
        if array.shape != (frames, joints):
            raise ValueError(f"{path}: {name} must have shape {(frames, joints)} like xyz, got {array.shape}")
    std = given.get("std", np.full((frames, joints), STD))
    confidence = given.get("confidence", np.ones((frames, joints)))
    if (std < 0.0).any():
        raise ValueError(f"{path}: std must not be negative, got {np.nanmin(std):g}")
    if (confidence < 0.0).any() or (confidence > 1.0).any():
        raise ValueError(
            f"{path}: confidence must be from 0 to 1, got {np.nanmin(confidence):g} to {np.nanmax(confidence):g}"
        )
    there &= np.nan_to_num(confidence) > 0.0
    somebody = there.any(1)
    stamps = _stamps(path, arrays, rate_hz, frames)
    if (np.diff(stamps) <= 0).any():
        raise ValueError(f"{path}: stamps must increase from frame to frame")
    return PoseSequence(
        skeleton=skeleton,
        stamps=stamps,
        xyz=np.where(there[..., None], xyz, np.nan),
        confidence=np.where(there, np.nan_to_num(confidence), 0.0),
        std=np.where(there, std, np.nan),
        root_std=np.where(somebody[:, None], np.full(3, STD), np.nan),
        state=np.where(there, JointState.MEASURED, JointState.MISSING).astype(np.uint8),
        person_confidence=np.where(somebody, 1.0, np.nan),
    )


def _numbers(path: Path | str, name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{path}: {name} must hold real numbers, got {array.dtype}")
    return array.astype(float)


def _skeleton(path: Path | str, arrays: dict[str, np.ndarray], stated: str, joints: int) -> str:
    own = str(arrays["skeleton"]) if "skeleton" in arrays else ""
    if own and stated and own != stated:
        raise ValueError(f"{path} has its own skeleton '{own}'; leave --skeleton out")
    fitting = [name for name in SKELETONS if len(SKELETONS.get(name)) == joints]
    if not own and not stated:
        choice = " or ".join(fitting) or f"none known has {joints} joints"
        raise ValueError(f"{path} does not say which joints its {joints} are: state --skeleton ({choice})")
    name = own or stated
    wanted = len(SKELETONS.get(name))
    if wanted != joints:
        raise ValueError(f"{path}: skeleton '{name}' has {wanted} joints, xyz has {joints}")
    return name


def _stamps(path: Path | str, arrays: dict[str, np.ndarray], rate_hz: float, frames: int) -> np.ndarray:
    if "stamps" not in arrays:
        if not rate_hz:
            raise ValueError(f"{path} has no stamps: state --rate, in images per second")
        return NS_PER_S + np.rint(np.arange(frames) * (NS_PER_S / rate_hz)).astype(np.int64)
    if rate_hz:
        raise ValueError(f"{path} has its own stamps; leave --rate out")
    stamps = arrays["stamps"]
    if stamps.dtype.kind not in "iu" or stamps.shape != (frames,):
        raise ValueError(
            f"{path}: stamps must be {frames} whole nanoseconds, got {stamps.dtype} of shape {stamps.shape}"
        )
    return stamps.astype(np.int64)


def _checked(path: Path | str, sequence: PoseSequence) -> PoseSequence:
    """The sequence with metric scale and, where that can be told, the person's height. Raises ValueError for no person."""
    if sequence.xyz.shape[2] != 3:
        raise ValueError(f"{path} is in pixels; refining needs joints in 3D")
    known = sequence.xyz[~sequence.missing]
    if not len(known):
        raise ValueError(f"{path} has no joint with a position")
    rate = _rate_hz(sequence.stamps)
    low, high = RATES_HZ
    if len(sequence) > 1 and not low <= rate <= high:
        raise ValueError(
            f"{path}: stamps are {NS_PER_S / rate:.3g} ns apart, {rate:.3g} images per second; they must be nanoseconds, "
            f"{low:g} to {high:g} images per second"
        )
    size = float(np.abs(known - np.median(known, axis=0)).max())
    if size > LARGEST:
        raise ValueError(f"{path}: joints are {size:.3g} m apart; positions must be in metres")
    metadata = dict(sequence.metadata)
    if metadata.get("scale_source", "NONE") == "NONE":
        metadata["scale_source"] = ScaleSource.CALIBRATION.name
    height = metadata.get("height", math.nan)
    if not math.isfinite(height):
        height = _height(sequence)
        if math.isfinite(height):
            metadata["height"] = height
    return replace(sequence, metadata=metadata)


def _height(sequence: PoseSequence) -> float:
    """Standing height that the skeleton's proportions imply; NaN for one without trunk and legs."""
    try:
        stature = Stature(SKELETONS.get(sequence.skeleton))
    except ValueError:
        return math.nan
    heights = [stature.of(frame) for frame in sequence.xyz]
    return float(np.nanmedian(heights)) if np.isfinite(heights).any() else math.nan


def _rate_hz(stamps: np.ndarray) -> float:
    return float(NS_PER_S / np.median(np.diff(stamps))) if len(stamps) > 1 else math.nan


def _figures(when: str, sequence: PoseSequence) -> dict[str, float]:
    if len(sequence) < 4:
        return {}
    skeleton = SKELETONS.get(sequence.skeleton)
    dt = 1.0 / _rate_hz(sequence.stamps)
    return {
        f"jitter {when} m/s³": metrics.jitter(metrics.root_aligned(sequence.xyz, skeleton), dt),
        f"bone std {when} mm": 1e3 * metrics.bone_length_std(sequence.xyz, skeleton),
    }
