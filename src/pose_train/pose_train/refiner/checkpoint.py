"""Trained refining networks as torch checkpoints: see `pose_train.trunk.checkpoint`. Importing this needs torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from pose_train.refiner.network import REFINING_NETWORKS, RefiningNetwork, find
from pose_train.trunk import checkpoint
from pose_train.trunk.checkpoint import Checkpoint, save
from refine_node.model_card import RefinerCard

__all__ = ["Checkpoint", "check_fit", "describe", "load", "read", "restore", "save"]


def describe(
    network: RefiningNetwork,
    training: str = "",
    metrics: Mapping[str, float] | None = None,
    temperature: Sequence[float] = (1.0,),
) -> RefinerCard:
    """The card of a registered network; what the network cannot know of itself are the fields of `RefinerCard`.

    Raises ValueError for a network that cannot run frame by frame: state that is not zeros at first, or changes its shape.
    """
    name = REFINING_NETWORKS.name_of(type(network))
    skeleton = network.skeleton.name
    outputs, state = checkpoint.ports(network, name, RefinerCard.inputs_of(skeleton))
    return RefinerCard(
        network=name,
        config=asdict(network.config),
        skeleton=skeleton,
        look_aheads=tuple(network.look_aheads),
        outputs=outputs,
        state=state,
        training=training,
        metrics=metrics or {},
        temperature=tuple(temperature),
    )


def read(path: str | os.PathLike[str]) -> Checkpoint[RefinerCard]:
    """Content of the file at `path`, tensors on the CPU. Raises ValueError as `pose_train.trunk.checkpoint.read`."""
    return checkpoint.read(path, RefinerCard)


def load(path: str | os.PathLike[str]) -> tuple[RefinerCard, RefiningNetwork]:
    """Card and network of the file at `path`, on the CPU, for running. Raises ValueError as `trunk.checkpoint.load`."""
    return checkpoint.load(path, RefinerCard, restore)


def restore(stored: Checkpoint[RefinerCard]) -> RefiningNetwork:
    """The network of a checkpoint. Raises ValueError where this version's network of that name differs, naming both."""
    return checkpoint.restore(stored, find, check_fit)


def check_fit(card: RefinerCard, network: RefiningNetwork) -> None:
    """Raise ValueError where `card` is not that of `network`, naming both sides; what training measured may be anything."""
    names = ("network", "skeleton", "config", "outputs", "state", "look_aheads")
    card.expect_same(describe(network), *names)
