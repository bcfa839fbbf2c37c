"""What angle-refining networks learn from and are judged by: a `pose_train.trunk.task.Task`.

A network sees angles that `pose_biomechanics.angles` computed from noisy joints, and is to say by how much each group must be
turned to be as it is in the angles that the same code computes from the true joints.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pose_biomechanics import angle_refiner
from pose_train.angle import data as angle_data
from pose_train.angle.data import MadeAngles
from pose_train.angle.loss import AngleLoss
from pose_train.angle.network import AngleNetwork
from pose_train.angle.recipes import AngleRecipe
from pose_train.data import stored
from pose_train.data.drawing import Drawer
from pose_train.trunk.batch import Batch
from pose_train.trunk.task import Make, Measure
from pose_train.trunk.training import whole

Generator = np.random.Generator


@dataclass(frozen=True)
class AngleTask:
    """Where the batches of an angle-refining network come from."""

    file: Path
    """That `pose_train.data.stored.prepare` made; its name tells what is in it."""
    recipe: AngleRecipe
    seed: int

    def maker(self) -> Make:
        """Reads the file."""
        sequences = stored.read(self.file)
        drawer = Drawer(sequences, self.recipe)

        def make(frames: int, random: Generator) -> Batch:
            made = angle_data.made(drawer.clips(frames, random), sequences.skeleton)
            return batch_of(angle_data.outlying(made, self.recipe.outlying, random))

        return make

    def measure(self, network: AngleNetwork) -> Measure:
        """See `AngleLoss`."""
        return AngleLoss(self.recipe)

    def validation(self) -> Batch:
        """Clips of people who take part in nothing else, as lifted."""
        sequences = stored.read(self.file)
        return batch_of(angle_data.made(sequences.validation(), sequences.skeleton))

    def judge(self, network: AngleNetwork, batch: Batch) -> dict[str, float]:
        """See `judge`."""
        return judge(network, batch)

    def identity(self) -> dict[str, Any]:
        """Data, recipe and seed."""
        return {"data": self.file.name, "recipe": dataclasses.asdict(self.recipe), "seed": self.seed}


def batch_of(made: MadeAngles) -> Batch:
    """Angles (n, T, A) as a network sees them, each clip from an empty past, with the truth."""
    groups, context = angle_data.seen(made)
    given, wanted, weight = angle_data.rotations(made)
    target = {
        "given": given,
        "rotation": wanted,
        "observed": weight,
        "angle": made.angle,
        "std": made.std,
        "flags": made.flags,
        "truth": made.truth,
        "truth_std": made.truth_std,
        "truth_flags": made.truth_flags,
    }
    clips, frames = made.step.shape
    return Batch(
        joints=torch.from_numpy(groups),
        context=torch.from_numpy(context),
        target={name: torch.from_numpy(value.astype(np.float32)) for name, value in target.items()},
        known=torch.ones(clips, frames, dtype=torch.bool),
        height=torch.ones(clips),
        step=torch.from_numpy(made.step.astype(np.float32)),
    )


def made_of(batch: Batch) -> MadeAngles:
    """The inverse of `batch_of`."""
    kept = {name: batch.target[name].double().numpy() for name in ("angle", "std", "truth", "truth_std")}
    flags = {name: batch.target[name].numpy().astype(np.uint8) for name in ("flags", "truth_flags")}
    return MadeAngles(**kept, **flags, step=batch.step.numpy())


def judge(network: AngleNetwork, batch: Batch) -> dict[str, float]:
    """Degrees, over all angles that are valid as given and in truth: mean absolute errors after and before (`input_degrees`) the
    correction as it is applied at run time, and its mean amount; and what it adds to true angles that are said to be as unsure as
    the given ones (`harm_degrees`), or to be sure (`sure_harm_degrees`)."""
    made = made_of(batch)
    after = _corrected(network, made)
    valid = (made.flags == 0) & (made.truth_flags == 0)
    found = {
        "degrees": angle_data.mean_degrees(after - made.truth, valid),
        "input_degrees": angle_data.mean_degrees(made.angle - made.truth, valid),
        "correction_degrees": angle_data.mean_degrees(after - made.angle, valid),
    }
    for name, sure in (("harm_degrees", False), ("sure_harm_degrees", True)):
        true = angle_data.undisturbed(made, sure)
        moved = _corrected(network, true) - true.angle
        found[name] = angle_data.mean_degrees(moved, true.flags == 0)
    return found


def _corrected(network: AngleNetwork, made: MadeAngles) -> np.ndarray:
    """(n, T, A) radians, as at run time."""
    return angle_refiner.corrected(made.angle, made.std, whole(network, batch_of(made))["turn"])
