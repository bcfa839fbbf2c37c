"""What refiners learn from: people as the lifting stage publishes them, beside how they really moved.

Half of it is real noise: clips of motion capture as the lifting stage publishes them (`pose_train.data.lifted`). Some show
people whom the lifter was not trained on; these are so few that a refiner learns by heart how they move, and so others show those
whom it was trained on, where it errs by a tenth less. The other half is motion of the latter with noise of
`pose_train.data.noise`, new in every batch. The first takes minutes, so it is made once and kept in a file that is named by all
that it depends on.

Positions are about the root, in standing heights, axes of the camera (`refine_node.encoding`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lift3d_node import correspondence, geometry, models, pipeline
from lift3d_node.learned import encoding as keypoint_encoding
from lift3d_node.learned import network_lifter
from lift3d_node.params import Lift3DParams
from lift3d_node.placing import placement, pnp
from pose_core.assets import cache_dir
from pose_core.callbacks import Progress, no_progress
from pose_core.files import sha256, write_whole
from pose_core.reading.arrays import open_npz
from pose_core.reading.damage import DAMAGE, sentence
from pose_core.skeleton import SKELETONS
from pose_train.data import detector, landmarks, mocap, synthesis
from pose_train.data import lifted as lifted_data
from pose_train.data.clips import Clip
from pose_train.data.lifted import joined, lift, lifter_of
from pose_train.data.mocap import PACKS, Pack
from pose_train.data.synthesis import Synthesizer

Generator = np.random.Generator

RATES = (15.0, 20.0, 24.0, 25.0, 30.0, 50.0, 60.0)
"""Images per second of cameras and what is left of them when every second image is lost."""
GROUP = 64
"""Clips that go through the lifter together, as people of one image."""
UNIT = 1e-4
"""Heights: positions are stored as multiples of it. Floats of 16 bits would round by five times as much, and a rounding error
becomes two and a half times as large an error of acceleration."""
MISSING = -32768
HELD_OUT = 4
"""Every so many'th of the subjects is kept for validation."""
CODE = (
    *(correspondence, geometry, keypoint_encoding, network_lifter, pipeline, placement, pnp),
    *(detector, landmarks, lifted_data, mocap, synthesis),
)
"""Modules whose change makes a stored file stale, with this one."""


@dataclass(frozen=True)
class Made:
    """Where the data come from and how much is made."""

    data: Path
    """Folder of the motion capture packs."""
    lifter: Path = models.WEIGHTS / f"{Lift3DParams.lifter}.onnx"
    """File of the lifter whose errors are to be mended."""
    clips: int = 1024
    """Of lifted people, `held_out` among them."""
    trained: int = 640
    """How many of them show people whom the lifter was trained on."""
    held_out: int = 48
    """Clips that training is judged by."""
    truths: int = 1024
    """Clips of true motion, to which noise is added."""
    frames: int = 128
    seed: int = 5

    def __post_init__(self) -> None:
        for name, least in (("clips", 2), ("trained", 0), ("held_out", 1), ("truths", 1), ("frames", 4)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.trained + self.held_out >= self.clips:
            raise ValueError(
                f"trained and held_out must be less than clips ({self.clips}) together, got {self.trained} and {self.held_out}"
            )
        for file in (self.lifter, *(self.data / PACKS[split] for split in ("train", "val"))):
            if not file.is_file():
                what = "--lifter a lifter's file" if file == self.lifter else "--data where the packs are"
                raise ValueError(f"there is no file {file}; say with {what}")

    @classmethod
    def of(cls, data: Path, lifter: Path | None) -> Made:
        """With the lifter that ships unless another one is named. Raises ValueError for files that are not there."""
        return cls(data, lifter) if lifter else cls(data)

    def digest(self) -> str:
        """Changes with anything that changes the data."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del values["data"], values["lifter"]
        files = [self.lifter, *(self.data / PACKS[split] for split in ("train", "val"))]
        files += [Path(__file__), *(Path(inspect.getfile(module)) for module in CODE)]
        values["files"] = [sha256(file) for file in files]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def cached_file(self) -> Path:
        """Where `prepare` keeps the data."""
        return cache_dir() / f"refiner_data-{self.digest()[:16]}.npz"


@dataclass(frozen=True)
class Sequences:
    """All clips, as they are stored: positions in `UNIT`, `MISSING` where there is none."""

    skeleton: str
    xyz: np.ndarray  # (n, T, J, 3) int16
    std: np.ndarray  # (n, T, J) float16
    confidence: np.ndarray  # (n, T, J) float16
    truth: np.ndarray  # (n, T, J, 3) int16
    step: np.ndarray  # (n, T) float32
    held_out: int
    """The last so many clips are for validation."""
    motion: np.ndarray  # (m, T, J, 3) int16: true motion without anything lifted
    motion_step: np.ndarray  # (m, T) float32

    def lifted(self, clips: np.ndarray, frames: np.ndarray) -> Clip:
        """Frames (k, F) of clips (k,)."""
        rows = clips[:, None], frames
        return Clip(
            _metric(self.xyz[rows]),
            self.std[rows].astype(np.float32),
            self.confidence[rows].astype(np.float32),
            _metric(self.truth[rows]),
            self.step[rows],
        )

    def motions(self, clips: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """(k, F, J, 3) true motion in frames (k, F) of its clips (k,)."""
        return _metric(self.motion[clips[:, None], frames])

    def validation(self) -> Clip:
        """The clips that are held out, whole."""
        count, frames = self.step.shape
        return self.lifted(
            np.arange(count - self.held_out, count), np.tile(np.arange(frames), (self.held_out, 1))
        )


def prepare(made: Made, progress: Progress = no_progress) -> Path:
    """The file with the data, made where it is not there yet. `progress` gets frames done, and all."""
    file = made.cached_file()
    if file.is_file():
        return file
    content = io.BytesIO()
    sequences = make(made, progress)
    np.savez_compressed(
        content, **{f.name: getattr(sequences, f.name) for f in dataclasses.fields(sequences)}
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, content.getvalue())
    return file


def read(file: Path) -> Sequences:
    """What `prepare` wrote. Raises ValueError for anything else."""
    try:
        with open_npz(file) as stored:
            values: dict[str, Any] = {f.name: stored[f.name] for f in dataclasses.fields(Sequences)}
    except (*DAMAGE, OSError) as error:
        raise ValueError(
            sentence(file, "holds no data of refiners ({}); remove it, it is made again", error)
        ) from error
    return Sequences(**{**values, "skeleton": str(values["skeleton"]), "held_out": int(values["held_out"])})


def make(made: Made, progress: Progress = no_progress) -> Sequences:
    """Lift clips of all people, and take true motion of the training people."""
    random = np.random.default_rng(made.seed)
    skeleton = lifter_of(made.lifter).lifter.skeleton_out
    learning, held_out = _by_subject(mocap.read(made.data / PACKS["val"]))
    known = mocap.read(made.data / PACKS["train"])
    parts = []
    total, done = made.clips * made.frames, 0
    for pack, count in (
        (known, made.trained),
        (learning, made.clips - made.trained - made.held_out),
        (held_out, made.held_out),
    ):
        if not count:
            continue
        synthesizer = Synthesizer([pack], (skeleton,))
        while count:
            clips = synthesizer.clips(
                min(count, GROUP), made.frames, random, rates=(float(random.choice(RATES)),)
            )
            before = done
            parts.append(
                lift(made.lifter, clips, lambda now, before=before: progress(before + now, total))  # type: ignore[misc]
            )
            count -= len(clips.height)
            done += clips.step.size
    motion, steps = _true_motion(known, made, skeleton, random)
    lifted = joined(parts)
    about = SKELETONS.get(skeleton)
    metres = lifted.height[:, None, None, None]
    return Sequences(
        skeleton=skeleton,
        xyz=_stored((lifted.xyz - about.root_of(lifted.xyz)[:, :, None]) / metres),
        std=(lifted.std / metres[..., 0]).astype(np.float16),
        confidence=lifted.confidence.astype(np.float16),
        truth=_stored((lifted.truth - about.root_of(lifted.truth)[:, :, None]) / metres),
        step=lifted.step.astype(np.float32),
        held_out=made.held_out,
        motion=motion,
        motion_step=steps,
    )


def _true_motion(people: Pack, made: Made, skeleton: str, random: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Joints (m, T, J, 3) about the root, stored, and steps (m, T) of `people`."""
    synthesizer = Synthesizer([people], (skeleton,))
    about = SKELETONS.get(skeleton)
    motion, steps, left = [], [], made.truths
    while left:
        clips = synthesizer.clips(min(left, GROUP), made.frames, random, detector.CLEAN, rates=RATES)
        truth = clips.truth(skeleton)
        motion.append(_stored((truth - about.root_of(truth)[:, :, None]) / clips.height[:, None, None, None]))
        steps.append(clips.step.astype(np.float32))
        left -= len(clips.height)
    return np.concatenate(motion), np.concatenate(steps)


def _by_subject(pack: Pack) -> tuple[Pack, Pack]:
    """The motions of some people, and those of all others who are kept for validation.

    Raises ValueError for a pack with one person.
    """
    subjects = sorted({motion.subject for motion in pack.motions})
    if len(subjects) < 2:
        raise ValueError(f"the validation pack must have motions of at least 2 people, got {len(subjects)}")
    apart = set(subjects[::HELD_OUT])
    return tuple(  # type: ignore[return-value]
        dataclasses.replace(pack, motions=tuple(m for m in pack.motions if (m.subject in apart) is held))
        for held in (False, True)
    )


def _stored(xyz: np.ndarray) -> np.ndarray:
    """Positions in heights as int16 multiples of `UNIT`."""
    known = np.isfinite(xyz)
    scaled = np.rint(np.where(known, xyz, 0.0) / UNIT)
    return np.where(known, np.clip(scaled, MISSING + 1, -MISSING - 1), MISSING).astype(np.int16)


def _metric(stored: np.ndarray) -> np.ndarray:
    """The inverse of `_stored`, float32."""
    return np.where(stored == MISSING, np.float32(np.nan), stored * np.float32(UNIT))
