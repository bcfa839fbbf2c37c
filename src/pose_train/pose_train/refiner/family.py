"""The family of refiners: lifted people to smoother ones that are nearer to the truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pose_core.callbacks import Progress
from pose_core.config import build
from pose_core.networks.model_card import Shape
from pose_train.data import stored
from pose_train.data.stored import Made
from pose_train.refiner.loss import delayed
from pose_train.refiner.network import RefiningNetwork
from pose_train.refiner.networks import NETWORKS
from pose_train.refiner.recipes import DEFAULT, RECIPES, RefinerRecipe
from pose_train.refiner.task import RefinerTask
from pose_train.trunk.batch import Batch
from pose_train.trunk.deviations import temperatures
from pose_train.trunk.family import Family
from pose_train.trunk.training import whole
from refine_node.model_card import RefinerCard


class RefinerFamily(Family[RefinerCard, RefiningNetwork, RefinerRecipe, Made]):
    """A job names what its clips are made from, and how many are made."""

    name = command = "refiner"
    summary = "Train a refining network on a lifter's own errors and on made ones."
    default = "hpstm"
    training = (
        "CMU motion capture (mocap.cs.cmu.edu, NSF EIA-0196217), lifted from synthetic detections, "
        "and with synthetic noise"
    )
    lifter = "to refine"

    card, network, networks = RefinerCard, RefiningNetwork, NETWORKS
    recipes, plain = RECIPES, DEFAULT

    def data(self, folder: Path, lifter: Path | None) -> Made:
        return Made.of(folder, lifter)

    def prepare(self, data: Made, progress: Progress) -> Path:
        return stored.prepare(data, progress)

    def build(self, kind: type[RefiningNetwork], data: Path, plan: RefinerRecipe) -> RefiningNetwork:
        config: Any = kind.Config
        return kind(build(config, {"skeleton": stored.read(data).skeleton, **plan.config}))

    def task(self, network: RefiningNetwork, data: Path, plan: RefinerRecipe, seed: int) -> RefinerTask:
        return RefinerTask(data, plan, seed)

    def finished(
        self, network: RefiningNetwork, task: RefinerTask, batch: Batch, metrics: Mapping[str, float]
    ) -> RefinerCard:
        factors = honest(network, batch)
        return self.describe(network, self.training, metrics, temperature=factors)

    def facts(self, network: RefiningNetwork) -> dict[str, Any]:
        return {"skeleton": network.skeleton.name, "look_aheads": tuple(network.look_aheads)}

    def inputs(self, network: RefiningNetwork) -> dict[str, Shape]:
        return RefinerCard.inputs_of(network.skeleton.name)


def honest(trained: RefiningNetwork, batch: Batch) -> tuple[float, ...]:
    """One factor per joint on the standard deviations, which makes them honest on `batch`; (1,) for a network without any."""
    outputs = whole(trained, batch)
    if "log_std" not in outputs:
        return (1.0,)
    truth, there = (given.numpy() for given in delayed(batch.target["xyz"], batch.known, trained.look_aheads))
    xyz, log_std = (outputs[name][there].astype(float) for name in ("xyz", "log_std"))
    std = np.repeat(np.exp(log_std)[..., None], 3, -1)
    return tuple(temperatures(xyz, truth[there].astype(float), std).tolist())


FAMILY = RefinerFamily()
