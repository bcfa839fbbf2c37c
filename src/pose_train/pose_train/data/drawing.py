"""Draws clips for training from those that are stored: some lifted, the others with made noise."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from pose_core.config import param
from pose_core.skeleton import SKELETONS
from pose_train.data.clips import Clip, kept_frames, mirrored, resized, steps_between
from pose_train.data.noise import Noise, NoiseMaker
from pose_train.data.stored import Sequences
from pose_train.trunk.recipe import Recipe

Generator = np.random.Generator

SPARE = 12
"""Frames at most that a clip loses."""


@dataclass(frozen=True)
class ClipRecipe(Recipe):
    """A schedule with what its clips are."""

    noise: Noise = field(default_factory=Noise)
    lifted: float = param(
        0.5, "share of clips with a lifter's own errors; the others have made ones", low=0.0, high=1.0
    )
    losing: float = param(0.3, "share of clips from which frames are lost", low=0.0, high=1.0)
    resize: float = param(
        0.05, "standard deviation of the logarithm of the believed height over the true one", low=0.0
    )


class Drawer:
    """Draws clips for training. Raises ValueError where stored clips are shorter than those that a recipe asks for."""

    def __init__(self, sequences: Sequences, recipe: ClipRecipe) -> None:
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
        clip = mirrored(clip, random.random(count) < 0.5, self._skeleton)
        return resized(clip, np.exp(recipe.resize * random.standard_normal(count)))

    def _lifted(self, count: int, frames: int, random: Generator) -> Clip | None:
        if not count:
            return None
        which = random.integers(0, self._learnable, count)
        step = self._sequences.step[which]
        rows = self._rows(step.shape, frames, random)
        clip = self._sequences.lifted(which, rows)
        return dataclasses.replace(clip, step=steps_between(step, rows))

    def _noised(self, count: int, frames: int, random: Generator) -> Clip | None:
        if not count:
            return None
        which = random.integers(0, len(self._sequences.motion_step), count)
        step = self._sequences.motion_step[which]
        rows = self._rows(step.shape, frames, random)
        truth = self._sequences.motions(which, rows)
        return self._noise.clip(truth, steps_between(step, rows), random)

    def _rows(self, shape: tuple[int, ...], frames: int, random: Generator) -> np.ndarray:
        """(n, frames) which frames of stored clips (n, T)."""
        count, stored = shape
        spare = min(SPARE, stored - frames)
        start = random.integers(0, stored - frames - spare + 1, (count, 1))
        lossy = random.random(count) < self._recipe.losing
        whole = np.arange(frames)
        return start + np.stack([kept_frames(frames, spare, random) if one else whole for one in lossy])
