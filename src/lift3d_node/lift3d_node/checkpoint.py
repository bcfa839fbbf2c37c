"""Trained networks as torch checkpoints: card and weights in one file that cannot run code.

The file is what `torch.save` makes of plain types and tensors. It is read with `weights_only=True`, whose unpickler knows
nothing else, and weights must fit the network exactly. Importing this needs torch.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from lift3d_node import encoding
from lift3d_node.model_card import ModelCard
from lift3d_node.network import NETWORKS, LiftingNetwork, find
from lift3d_node.onnx_file import card_of, content_of
from pose_core.config import build
from pose_core.files import write_whole
from pose_core.skeleton import SKELETONS

KEYS = ("card", "weights", "progress")
"""What a file holds: JSON, tensors by name, and whatever training keeps to go on (plain types and tensors)."""


@dataclass(frozen=True)
class Checkpoint:
    """Content of a file."""

    card: ModelCard
    weights: Mapping[str, Tensor]
    progress: Mapping[str, Any] = field(default_factory=dict)
    """What training needs to go on, such as the optimiser's state; empty in a finished checkpoint."""


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
    names = [name for name in NETWORKS if NETWORKS.get(name) is type(network)]
    if not names:
        raise ValueError(
            f"{type(network).__name__} is not registered; put @NETWORKS.register('name') above it"
        )
    outputs, state = _shapes(network, names[0])
    return ModelCard(
        network=names[0],
        config=asdict(network.config),
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


def _shapes(network: LiftingNetwork, name: str) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Names of the outputs and shapes of the state of one person, from a frame in which nothing is seen."""
    some = next(network.parameters(), torch.zeros(()))
    joints = some.new_zeros(1, len(SKELETONS.get(network.skeleton_in)), 3)
    context = some.new_zeros(1, len(encoding.CONTEXT))
    training = network.training
    network.eval()
    with torch.no_grad():
        before = network.initial(1)
        outputs, after = network.step(joints, context, before)
    network.train(training)
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        if old.shape != new.shape or old.dtype != torch.float32 or bool(old.any()):
            raise ValueError(
                f"state {i} of network '{name}' must be float32, start as zeros and keep its shape, got "
                f"{old.dtype} {tuple(old.shape)}, then {tuple(new.shape)}"
            )
    return tuple(outputs), tuple(tuple(tensor.shape[1:]) for tensor in before)


def save(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write the file, whole or not at all. Raises OSError where that fails."""
    weights = {name: tensor.detach().cpu() for name, tensor in checkpoint.weights.items()}
    values = (checkpoint.card.to_json(), weights, dict(checkpoint.progress))
    buffer = io.BytesIO()
    torch.save(dict(zip(KEYS, values, strict=True)), buffer)
    write_whole(path, buffer.getvalue())


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Content of the file at `path`, tensors on the CPU. Nothing in it is executed.

    Raises ValueError for a file that is missing, cut short, holds code, or is no checkpoint of ours.
    """
    content = content_of(path)
    try:
        values = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"model file '{path}' holds more than numbers and names, which could run code, or is no checkpoint; "
            "it was not opened: use a checkpoint of pose train"
        ) from error
    # What torch's reader raises for files that are cut short or no archives at all.
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
    ) as error:
        raise ValueError(f"model file '{path}' is no whole checkpoint; copy or train it again") from error
    if not isinstance(values, dict) or set(values) != set(KEYS) or not isinstance(values["card"], str):
        raise ValueError(
            f"model file '{path}' is no checkpoint of pose train: it must hold {', '.join(KEYS)}"
        )
    return Checkpoint(card_of(values["card"], path), values["weights"], values["progress"])


def load(path: str | os.PathLike[str]) -> tuple[ModelCard, LiftingNetwork]:
    """Card and network of the file at `path`, on the CPU, for running.

    Raises ValueError as `read`, and for a network that is unknown or differs from the one that was trained.
    """
    checkpoint = read(path)
    try:
        return checkpoint.card, restore(checkpoint)
    except ValueError as error:
        raise ValueError(f"model file '{path}': {error}") from error


def restore(checkpoint: Checkpoint) -> LiftingNetwork:
    """The network of a checkpoint. Raises ValueError where this version's network of that name differs, naming both."""
    card = checkpoint.card
    kind = find(card.network)
    network = kind(build(kind.Config, dict(card.config)))
    check_fit(card, network)
    try:
        network.load_state_dict(checkpoint.weights, strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(f"weights do not fit network '{card.network}' as it is now: {error}") from error
    return network.eval()


def check_fit(card: ModelCard, network: LiftingNetwork) -> None:
    """Raise ValueError where `card` is not that of `network`, naming both sides; what training measured may be anything."""
    own = describe(network, std=card.std)
    for name in ("network", "skeleton_in", "skeleton_out", "config", "outputs", "state", "look_ahead"):
        told, known = getattr(card, name), getattr(own, name)
        if told != known:
            raise ValueError(
                f"it was trained with {name} {told!r}, but network '{own.network}' has {known!r}; train it again"
            )
