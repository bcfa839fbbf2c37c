"""What refining networks learn from and are judged by: a `pose_train.trunk.task.Task`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_core.measures import metrics
from pose_core.skeleton import Skeleton
from pose_train.data import stored
from pose_train.data.drawing import Drawer
from pose_train.refiner.data import batch_of
from pose_train.refiner.loss import RefinerLoss, delayed
from pose_train.refiner.network import RefiningNetwork
from pose_train.refiner.recipes import RefinerRecipe
from pose_train.trunk.batch import Batch
from pose_train.trunk.task import Make, Measure
from pose_train.trunk.training import whole


@dataclass(frozen=True)
class RefinerTask:
    """Where the batches of a refining network come from."""

    file: Path
    """That `pose_train.data.stored.prepare` made; its name tells what is in it."""
    recipe: RefinerRecipe
    seed: int

    def maker(self) -> Make:
        """Reads the file."""
        drawer = Drawer(stored.read(self.file), self.recipe)

        def make(frames: int, random: np.random.Generator) -> Batch:
            return batch_of(drawer.clips(frames, random))

        return make

    def measure(self, network: RefiningNetwork) -> Measure:
        """`pose_train.refiner.loss`"""
        return RefinerLoss(network, self.recipe.weights)

    def validation(self) -> Batch:
        """Clips of people who take part in nothing else, as lifted."""
        return batch_of(stored.read(self.file).validation())

    def judge(self, network: RefiningNetwork, batch: Batch) -> dict[str, float]:
        """See `judge`."""
        return judge(network, batch)

    def identity(self) -> dict[str, Any]:
        """Data, recipe and seed."""
        return {"data": self.file.name, "recipe": dataclasses.asdict(self.recipe), "seed": self.seed}


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
