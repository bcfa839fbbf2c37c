"""Trained networks of all families as torch checkpoints: family, card and weights in one file that cannot run code.

The file is what `torch.save` makes of plain types and tensors. It is read with `weights_only=True`, whose unpickler knows
nothing else, and weights must fit the network exactly.
"""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Generic

import torch

from pose_core.files import write_whole
from pose_core.networks.model_card import C, Card
from pose_core.networks.onnx_file import card_of, content_of
from pose_train.trunk.family import AnyFamily, D, Family, families, family_of, find
from pose_train.trunk.network import N, StreamingNetwork
from pose_train.trunk.recipe import R

KEYS = {"card": str, "weights": dict, "progress": dict}
"""What every file holds: JSON, tensors by name, and whatever training keeps to go on (plain types and tensors)."""
FAMILY = "family"
"""The name of its family, which files of before do not say."""


@dataclass(frozen=True)
class Checkpoint(Generic[C]):
    """Content of a file."""

    card: C
    weights: Mapping[str, Any]
    """Tensors by name."""
    progress: Mapping[str, Any] = field(default_factory=dict)
    """What training needs to go on, such as the optimiser's state; empty in a finished checkpoint."""


def save(path: str | os.PathLike[str], checkpoint: Checkpoint[Any]) -> None:
    """Write the file, whole or not at all. Raises OSError where that fails, and ValueError for a card of no family."""
    weights = {name: tensor.detach().cpu() for name, tensor in checkpoint.weights.items()}
    values = (checkpoint.card.to_json(), weights, dict(checkpoint.progress))
    buffer = io.BytesIO()
    content = {FAMILY: family_of(checkpoint.card).name, **dict(zip(KEYS, values, strict=True))}
    torch.save(content, buffer)
    write_whole(path, buffer.getvalue())


def read_of(family: Family[C, N, R, D], path: str | os.PathLike[str]) -> Checkpoint[C]:
    """Content of a file of one family, with its card, tensors on the CPU. Nothing in it is executed.

    Raises ValueError for a file that is missing, cut short, holds code, is no such checkpoint, or of another family.
    """
    found, stored = _read(path)
    if found is not family:
        raise ValueError(
            f"model file '{path}' is a network of family {found.name}, not of {family.name}; name another file"
        )
    return stored


def load(path: str | os.PathLike[str]) -> tuple[AnyFamily, Card, StreamingNetwork]:
    """Family, card and network of the file at `path`, on the CPU, for running.

    Raises ValueError as `read_of`, for a family that is not here, and for a network that is unknown or differs from the one that
    was trained.
    """
    family, stored = _read(path)
    return family, stored.card, _restored(family, path, stored)


def load_of(family: Family[C, N, R, D], path: str | os.PathLike[str]) -> tuple[C, N]:
    """Card and network of a file of one family. Raises ValueError as `load`, and for a file of another family."""
    stored = read_of(family, path)
    return stored.card, _restored(family, path, stored)


def _restored(family: Family[C, N, R, D], path: str | os.PathLike[str], stored: Checkpoint[C]) -> N:
    try:
        return family.restore(stored.card, stored.weights)
    except ValueError as error:
        raise ValueError(f"model file '{path}': {error}") from error


def _read(path: str | os.PathLike[str]) -> tuple[AnyFamily, Checkpoint[Any]]:
    values = plain(path)
    if not (
        isinstance(values, dict)
        and set(values) - {FAMILY} == set(KEYS)
        and all(isinstance(values[name], own) for name, own in KEYS.items())
        and isinstance(values.get(FAMILY, ""), str)
    ):
        raise ValueError(
            f"model file '{path}' is no checkpoint of pose train: it must hold {', '.join(KEYS)}"
        )
    try:
        family = find(values[FAMILY]) if FAMILY in values else _by_fields(values["card"])
    except ValueError as error:
        raise ValueError(f"model file '{path}': {error}") from error
    card = card_of(values["card"], path, family.card)
    return family, Checkpoint(card, values["weights"], values["progress"])


def _by_fields(card: str) -> AnyFamily:
    """The family of a card of a file that does not say it: the one whose cards have the most like fields."""
    try:
        told = set(json.loads(card))
    except (ValueError, RecursionError, TypeError) as error:
        raise ValueError(f"the model card is not JSON: {error}") from error
    return min(families(), key=lambda family: len(told ^ {one.name for one in fields(family.card)}))


def plain(path: str | os.PathLike[str]) -> Any:
    """What `torch.save` made of plain types and tensors, these on the CPU. Nothing in the file is executed.

    Raises ValueError for a file that is missing, cut short, or holds code.
    """
    content = content_of(path)
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
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
