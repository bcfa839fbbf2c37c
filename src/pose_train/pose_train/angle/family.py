"""The family of angle refiners: joint angles to ones that are nearer to the truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pose_biomechanics.angle_card import AngleCard
from pose_core.callbacks import Progress
from pose_core.networks.model_card import Shape
from pose_train.angle.network import AngleNetwork
from pose_train.angle.networks import NETWORKS
from pose_train.angle.recipes import DEFAULT, RECIPES, AngleRecipe
from pose_train.angle.task import AngleTask
from pose_train.data import stored
from pose_train.data.stored import Made
from pose_train.trunk.batch import Batch
from pose_train.trunk.family import Family


class AngleFamily(Family[AngleCard, AngleNetwork, AngleRecipe, Made]):
    """A job names what its clips are made from, and how many are made, as that of a refiner."""

    name, command = "angle", "angles"
    summary = "Train a network that corrects implausible joint angles."
    default = "angle_transformer"
    training = (
        "angles of CMU motion capture (mocap.cs.cmu.edu, NSF EIA-0196217), lifted from synthetic detections, "
        "and with synthetic noise"
    )
    lifter = "whose people have angles"
    told = ("skeleton",)

    card, network, networks = AngleCard, AngleNetwork, NETWORKS
    recipes, plain = RECIPES, DEFAULT

    def data(self, folder: Path, lifter: Path | None) -> Made:
        return Made.of(folder, lifter)

    def prepare(self, data: Made, progress: Progress) -> Path:
        return stored.prepare(data, progress)

    def task(self, network: AngleNetwork, data: Path, plan: AngleRecipe, seed: int) -> AngleTask:
        return AngleTask(data, plan, seed)

    def finished(
        self, network: AngleNetwork, task: AngleTask, batch: Batch, metrics: Mapping[str, float]
    ) -> AngleCard:
        skeleton = stored.read(task.file).skeleton
        return self.describe(network, self.training, metrics, skeleton=skeleton)

    def facts(self, network: AngleNetwork) -> dict[str, Any]:
        return {}

    def inputs(self, network: AngleNetwork) -> dict[str, Shape]:
        return AngleCard.inputs_of()


FAMILY = AngleFamily()
