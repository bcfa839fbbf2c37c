"""What refining networks learn from and are judged by: a `pose_train.trunk.training.Task`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_core.measures import metrics
from pose_core.skeleton import SKELETONS, Skeleton
from pose_train.data.samples import Batch
from pose_train.refiner import data as refiner_data
from pose_train.refiner.data import Clip, Sequences, kept_frames
from pose_train.refiner.loss import RefinerLoss, delayed
from pose_train.refiner.network import RefiningNetwork
from pose_train.refiner.noise import NoiseMaker
from pose_train.refiner.recipes import RefinerRecipe
from pose_train.trunk.training import Make, Measure, whole

Generator = np.random.Generator

SPARE = 12
"""Frames at most that a clip loses."""


@dataclass(frozen=True)
class RefinerSource:
    """Where the batches of a refining network come from."""

    file: Path
    """That `refiner_data.prepare` made; its name tells what is in it."""
    recipe: RefinerRecipe
    seed: int

    def maker(self) -> Make:
        """Reads the file."""
        drawer = Drawer(refiner_data.read(self.file), self.recipe)

        def make(frames: int, random: Generator) -> Batch:
            return refiner_data.batch_of(drawer.clips(frames, random))

        return make

    def measure(self, network: RefiningNetwork) -> Measure:
        """`pose_train.refiner.loss`"""
        return RefinerLoss(network, self.recipe.weights)

    def validation(self) -> Batch:
        """Clips of people who take part in nothing else, as lifted."""
        return refiner_data.batch_of(refiner_data.read(self.file).validation())

    def judge(self, network: RefiningNetwork, batch: Batch) -> dict[str, float]:
        """See `judge`."""
        return judge(network, batch)

    def identity(self) -> dict[str, Any]:
        """Data, recipe and seed."""
        return {"data": self.file.name, "recipe": dataclasses.asdict(self.recipe), "seed": self.seed}


class Drawer:
    """Draws clips for training. Raises ValueError where stored clips are shorter than those that a recipe asks for."""

    def __init__(self, sequences: Sequences, recipe: RefinerRecipe) -> None:
        self._sequences, self._recipe = sequences, recipe
        self._skeleton = SKELETONS.get(sequences.skeleton)
        self._noise = NoiseMaker(self._skeleton, recipe.noise)
        self._learnable = len(sequences.step) - sequences.held_out
        stored = min(sequences.step.shape[1], sequences.motion_step.shape[1])
        if stored < max(recipe.clip_lengths):
            raise ValueError(
                f"clip_lengths must be at most {stored}, the frames of the stored clips, got {recipe.clip_lengths}"
            )

    def clips(self, frames: int, random: Generator) -> Clip:
        """As many clips of `frames` frames as the recipe says, some lifted, the others with made noise."""
        recipe = self._recipe
        count = max(recipe.frames_per_step // frames, 1)
        lifted = int(random.binomial(count, recipe.lifted))
        parts = [
            part
            for part in (self._lifted(lifted, frames, random), self._noised(count - lifted, frames, random))
            if part
        ]
        clip = Clip(
            **{
                f.name: np.concatenate([getattr(part, f.name) for part in parts])
                for f in dataclasses.fields(Clip)
            }
        )
        clip = refiner_data.mirrored(clip, random.random(count) < 0.5, self._skeleton)
        return refiner_data.resized(clip, np.exp(recipe.resize * random.standard_normal(count)))

    def _lifted(self, count: int, frames: int, random: Generator) -> Clip | None:
        if not count:
            return None
        which = random.integers(0, self._learnable, count)
        step = self._sequences.step[which]
        rows = self._rows(step.shape, frames, random)
        clip = self._sequences.lifted(which, rows)
        return dataclasses.replace(clip, step=refiner_data.steps_between(step, rows))

    def _noised(self, count: int, frames: int, random: Generator) -> Clip | None:
        if not count:
            return None
        which = random.integers(0, len(self._sequences.motion_step), count)
        step = self._sequences.motion_step[which]
        rows = self._rows(step.shape, frames, random)
        truth = self._sequences.motions(which, rows)
        return self._noise.clip(truth, refiner_data.steps_between(step, rows), random)

    def _rows(self, shape: tuple[int, ...], frames: int, random: Generator) -> np.ndarray:
        """(n, frames) which frames of stored clips (n, T)."""
        count, stored = shape
        spare = min(SPARE, stored - frames)
        start = random.integers(0, stored - frames - spare + 1, (count, 1))
        lossy = random.random(count) < self._recipe.losing
        whole = np.arange(frames)
        return start + np.stack([kept_frames(frames, spare, random) if one else whole for one in lossy])


def judge(network: RefiningNetwork, batch: Batch) -> dict[str, float]:
    """Errors of `network` on clips, in millimetres of a person of default height: those of its first look-ahead, those of its
    others with the frames after the name, and those of what it was given."""
    xyz = whole(network, batch)["xyz"].astype(float)
    truth, there = delayed(batch.target["xyz"].double(), batch.known, network.look_aheads)
    metres = float(batch.height[0])
    skeleton = network.skeleton
    found: dict[str, float] = {}
    for k, ahead in enumerate(network.look_aheads):
        name = f"_{ahead}" if k else ""
        start = int(there[:, :, k].any(0).double().argmax())
        figures = _figures(metres * xyz[:, start:, k], metres * truth[:, start:, k].numpy(), skeleton)
        found |= {f"{figure}{name}": value for figure, value in figures.items()}
    seen = batch.joints[..., 4:].numpy() > 0.0
    given = np.where(seen, batch.joints[..., :3].double().numpy(), np.nan)
    raw = _figures(metres * given, metres * batch.target["xyz"].double().numpy(), skeleton)
    return found | {f"input_{figure}": value for figure, value in raw.items()}


def _figures(xyz: np.ndarray, truth: np.ndarray, skeleton: Skeleton) -> Mapping[str, float]:
    """Of clips (n, T, J, 3) in metres."""
    pairs = list(zip(xyz, truth, strict=True))
    return {
        "mpjpe_mm": 1e3 * metrics.mpjpe(xyz, truth, skeleton),
        "acceleration_mm": 1e3
        * float(np.nanmean([metrics.acceleration_error(*pair, 1.0, skeleton) for pair in pairs])),
        "bones_mm": 1e3 * float(np.nanmean([metrics.bone_length_std(one, skeleton) for one, _ in pairs])),
    }
