"""What lifting networks learn from and are judged by: a `pose_train.trunk.task.Task`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lift3d_node.learned import limbs
from lift3d_node.learned.model_card import CENTRES
from pose_core.files import sha256
from pose_core.measures import metrics
from pose_core.skeleton import SKELETONS
from pose_train.data import detector, mocap
from pose_train.data.mocap import PACKS
from pose_train.data.samples import Preparer
from pose_train.data.synthesis import Synthesizer
from pose_train.lifter.loss import Loss
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.recipes import LifterRecipe
from pose_train.trunk.batch import Batch, answered
from pose_train.trunk.task import Make, Measure
from pose_train.trunk.training import tensors

QUIET = 0.3
"""Share of the steps whose detector errs by less than it usually does, by anything between nothing and that: a network that only
knows bad keypoints does not believe good ones."""

VALIDATION_CLIPS, VALIDATION_FRAMES, VALIDATION_SEED = 48, 64, 7


@dataclass(frozen=True)
class LifterTask:
    """Where the batches of a lifting network come from: a `Task`."""

    data: Path
    split: str
    skeleton_in: str
    skeleton_out: str
    recipe: LifterRecipe
    seed: int
    config: Mapping[str, object] = field(default_factory=dict)
    """That of the network, of which its input depends on what `Encoder` names."""

    def preparer(self) -> Preparer:
        """Makes what the network takes."""
        return Preparer(self.skeleton_in, self.skeleton_out, self.config)

    def synthesizer(self) -> Synthesizer:
        """Reads the pack."""
        return Synthesizer([mocap.read(self.data / PACKS[self.split])], (CENTRES, self.skeleton_out))

    def maker(self) -> Make:
        """Makes clips of what the pack holds."""
        synthesizer, preparer = self.synthesizer(), self.preparer()

        def make(frames: int, random: np.random.Generator) -> Batch:
            count = max(self.recipe.frames_per_step // frames, 1)
            quiet = random.random() < QUIET
            noise = detector.Noise(amount=random.random()) if quiet else detector.FULL
            clips = synthesizer.clips(count, frames, random, noise)
            return preparer.prepare(clips, clips.stated_up(random))

        return make

    def measure(self, network: LiftingNetwork) -> Measure:
        """`pose_train.lifter.loss`"""
        return Loss(network, self.recipe.weights)

    def validation(self) -> Batch:
        """See `validation`."""
        return validation(self)

    def judge(self, network: LiftingNetwork, batch: Batch) -> dict[str, float]:
        """See `judge`."""
        return judge(network, batch)

    def identity(self) -> dict[str, Any]:
        """Data, recipe and seed."""
        packs = {split: sha256(self.data / PACKS[split]) for split in (self.split, "val")}
        return {"data": packs, "recipe": dataclasses.asdict(self.recipe), "seed": self.seed}


def validation(task: LifterTask) -> Batch:
    """The clips that training is judged by: of other people, with full noise."""
    random = np.random.default_rng(VALIDATION_SEED)
    synthesizer = dataclasses.replace(task, split="val").synthesizer()
    clips = synthesizer.clips(VALIDATION_CLIPS, VALIDATION_FRAMES, random, detector.FULL)
    return task.preparer().prepare(clips, clips.stated_up(random))


def judge(network: LiftingNetwork, batch: Batch) -> dict[str, float]:
    """Errors of `network` on clips: millimetres at the person's true height, degrees, shares."""
    late, batch = answered(tensors(network, batch), batch, network.look_ahead)
    outputs = {name: value.numpy() for name, value in late.items()}
    skeleton = SKELETONS.get(network.skeleton_out)
    truth = batch.target["xyz"].double().numpy()
    true_directions = limbs.directions(truth, skeleton)
    if "xyz" not in outputs:
        given = outputs["limbs"].astype(float)
        angles = limbs.angles(given, true_directions)
        return {
            "degrees": float(np.degrees(np.nanmean(angles))),
            "z_sign": limbs.z_sign_accuracy(given, true_directions),
        }
    xyz = outputs["xyz"].astype(float)
    metres = batch.height.double().numpy()[:, None, None, None]
    error = [
        metrics.acceleration_error(p, q, 1.0, skeleton)
        for p, q in zip(xyz * metres, truth * metres, strict=True)
    ]
    given = limbs.directions(xyz, skeleton)
    return {
        "mpjpe_mm": 1e3 * metrics.mpjpe(xyz * metres, truth * metres, skeleton),
        "pa_mpjpe_mm": 1e3 * metrics.pa_mpjpe(xyz * metres, truth * metres),
        "acceleration_mm": 1e3 * float(np.mean(error)),
        "degrees": float(np.degrees(np.nanmean(limbs.angles(given, true_directions)))),
        "z_sign": limbs.z_sign_accuracy(given, true_directions),
    }
