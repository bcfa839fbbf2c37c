"""Trained angle-refining networks as torch checkpoints: see `pose_train.trunk.checkpoint`. Importing this needs torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict

from pose_biomechanics.angle_card import AngleCard
from pose_train.angle.network import ANGLE_NETWORKS, AngleNetwork, find
from pose_train.trunk import checkpoint
from pose_train.trunk.checkpoint import Checkpoint, save

__all__ = ["Checkpoint", "check_fit", "describe", "load", "read", "restore", "save"]


def describe(
    network: AngleNetwork, skeleton: str, training: str = "", metrics: Mapping[str, float] | None = None
) -> AngleCard:
    """The card of a registered network; what the network cannot know of itself are the fields of `AngleCard`.

    Raises ValueError for a network that cannot run frame by frame: state that is not zeros at first, or changes its shape.
    """
    name = ANGLE_NETWORKS.name_of(type(network))
    outputs, state = checkpoint.ports(network, name, AngleCard.inputs_of())
    return AngleCard(
        network=name,
        config=asdict(network.config),
        skeleton=skeleton,
        outputs=outputs,
        state=state,
        training=training,
        metrics=metrics or {},
    )


def read(path: str | os.PathLike[str]) -> Checkpoint[AngleCard]:
    """Content of the file at `path`, tensors on the CPU. Raises ValueError as `pose_train.trunk.checkpoint.read`."""
    return checkpoint.read(path, AngleCard)


def load(path: str | os.PathLike[str]) -> tuple[AngleCard, AngleNetwork]:
    """Card and network of the file at `path`, on the CPU, for running. Raises ValueError as `trunk.checkpoint.load`."""
    return checkpoint.load(path, AngleCard, restore)


def restore(stored: Checkpoint[AngleCard]) -> AngleNetwork:
    """The network of a checkpoint. Raises ValueError where this version's network of that name differs, naming both."""
    return checkpoint.restore(stored, find, check_fit)


def check_fit(card: AngleCard, network: AngleNetwork) -> None:
    """Raise ValueError where `card` is not that of `network`, naming both sides; what training measured may be anything."""
    card.expect_same(describe(network, card.skeleton), "network", "config", "outputs", "state")
