"""Trained lifting networks as torch checkpoints: see `pose_train.trunk.checkpoint`. Importing this needs torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from lift3d_node.learned.model_card import ModelCard
from pose_train.lifter.network import NETWORKS, LiftingNetwork, find
from pose_train.trunk import checkpoint
from pose_train.trunk.checkpoint import Checkpoint, save

__all__ = ["Checkpoint", "check_fit", "describe", "load", "read", "restore", "save"]


def describe(
    network: LiftingNetwork,
    training: str = "",
    metrics: Mapping[str, float] | None = None,
    temperature: Sequence[float] = (1.0,),
    std: Sequence[float] = (),
) -> ModelCard:
    """The card of a registered network; what the network cannot know of itself are the fields of `ModelCard`.

    Raises ValueError for a network that cannot run frame by frame: state that is not zeros at first, or changes its shape.
    """
    name = NETWORKS.name_of(type(network))
    config = asdict(network.config)
    inputs = ModelCard.inputs_of(network.skeleton_in, config)
    outputs, state = checkpoint.ports(network, name, inputs)
    return ModelCard(
        network=name,
        config=config,
        skeleton_in=network.skeleton_in,
        skeleton_out=network.skeleton_out,
        outputs=outputs,
        state=state,
        look_ahead=network.look_ahead,
        training=training,
        metrics=metrics or {},
        temperature=tuple(temperature),
        std=tuple(std),
    )


def read(path: str | os.PathLike[str]) -> Checkpoint[ModelCard]:
    """Content of the file at `path`, tensors on the CPU. Raises ValueError as `pose_train.trunk.checkpoint.read`."""
    return checkpoint.read(path, ModelCard)


def load(path: str | os.PathLike[str]) -> tuple[ModelCard, LiftingNetwork]:
    """Card and network of the file at `path`, on the CPU, for running. Raises ValueError as `trunk.checkpoint.load`."""
    return checkpoint.load(path, ModelCard, restore)


def restore(stored: Checkpoint[ModelCard]) -> LiftingNetwork:
    """The network of a checkpoint. Raises ValueError where this version's network of that name differs, naming both."""
    return checkpoint.restore(stored, find, check_fit)


def check_fit(card: ModelCard, network: LiftingNetwork) -> None:
    """Raise ValueError where `card` is not that of `network`, naming both sides; what training measured may be anything."""
    names = ("network", "skeleton_in", "skeleton_out", "config", "outputs", "state", "look_ahead")
    card.expect_same(describe(network, std=card.std), *names)
