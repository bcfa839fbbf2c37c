"""The family of lifters: keypoints of the detector to 3D."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lift3d_node.learned.model_card import ModelCard
from pose_core.callbacks import Progress
from pose_core.networks.model_card import Shape
from pose_train.data.mocap import PACKS
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks import NETWORKS
from pose_train.lifter.recipes import DEFAULT, RECIPES, LifterRecipe
from pose_train.lifter.task import LifterTask
from pose_train.lifter.tracks import calibrated
from pose_train.trunk.batch import Batch
from pose_train.trunk.family import Family
from pose_train.trunk.training import whole


class LifterFamily(Family[ModelCard, LiftingNetwork, LifterRecipe, Path]):
    """A job names the folder of the motion capture packs."""

    name = command = "lifter"
    summary = "Train a lifting network on synthesised views of motion capture."
    default = "streaming_tcn"
    training = "CMU motion capture (mocap.cs.cmu.edu, NSF EIA-0196217), synthetic cameras and detections"
    told = ("std",)

    card, network, networks = ModelCard, LiftingNetwork, NETWORKS
    recipes, plain = RECIPES, DEFAULT

    def data(self, folder: Path, lifter: Path | None) -> Path:
        return folder

    def prepare(self, data: Path, progress: Progress) -> Path:
        for split in ("train", "val"):
            if not (data / PACKS[split]).is_file():
                raise ValueError(
                    f"{data} has no {PACKS[split]}; say with --data where the motion capture packs are"
                )
        return data

    def task(self, network: LiftingNetwork, data: Path, plan: LifterRecipe, seed: int) -> LifterTask:
        config = dataclasses.asdict(network.config)
        return LifterTask(data, "train", network.skeleton_in, network.skeleton_out, plan, seed, config)

    def finished(
        self, network: LiftingNetwork, task: LifterTask, batch: Batch, metrics: Mapping[str, float]
    ) -> ModelCard:
        outputs = whole(network, batch)
        # What calibration replaces, for networks that do not tell how sure they are.
        std = () if "log_std" in outputs else (1.0,)
        return calibrated(self.describe(network, self.training, metrics, std=std), outputs, batch)

    def facts(self, network: LiftingNetwork) -> dict[str, Any]:
        return {name: getattr(network, name) for name in ("skeleton_in", "skeleton_out", "look_ahead")}

    def inputs(self, network: LiftingNetwork) -> dict[str, Shape]:
        return ModelCard.inputs_of(network.skeleton_in, dataclasses.asdict(network.config))


FAMILY = LifterFamily()
