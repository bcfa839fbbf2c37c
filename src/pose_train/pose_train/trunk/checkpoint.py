"""Trained networks as torch checkpoints: card and weights in one file that cannot run code.

The file is what `torch.save` makes of plain types and tensors. It is read with `weights_only=True`, whose unpickler knows
nothing else, and weights must fit the network exactly. torch is imported when one of the functions is called.
"""

from __future__ import annotations

import importlib
import io
import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pose_core.config import build
from pose_core.files import write_whole
from pose_core.networks.model_card import C, Shape
from pose_core.networks.onnx_file import card_of, content_of

KEYS = {"card": str, "weights": dict, "progress": dict}
"""What a file holds: JSON, tensors by name, and whatever training keeps to go on (plain types and tensors)."""


N = TypeVar("N")
"""A network of one kind."""


@dataclass(frozen=True)
class Checkpoint(Generic[C]):
    """Content of a file."""

    card: C
    weights: Mapping[str, Any]
    """Tensors by name."""
    progress: Mapping[str, Any] = field(default_factory=dict)
    """What training needs to go on, such as the optimiser's state; empty in a finished checkpoint."""


def save(path: str | os.PathLike[str], checkpoint: Checkpoint[Any]) -> None:
    """Write the file, whole or not at all. Raises OSError where that fails."""
    torch = importlib.import_module("torch")
    weights = {name: tensor.detach().cpu() for name, tensor in checkpoint.weights.items()}
    values = (checkpoint.card.to_json(), weights, dict(checkpoint.progress))
    buffer = io.BytesIO()
    torch.save(dict(zip(KEYS, values, strict=True)), buffer)
    write_whole(path, buffer.getvalue())


def read(path: str | os.PathLike[str], kind: type[C]) -> Checkpoint[C]:
    """Content of the file at `path`, with a card of the given kind, tensors on the CPU. Nothing in it is executed.

    Raises ValueError for a file that is missing, cut short, holds code, or is no such checkpoint.
    """
    values = plain(path)
    if not (
        isinstance(values, dict)
        and set(values) == set(KEYS)
        and all(isinstance(values[name], own) for name, own in KEYS.items())
    ):
        raise ValueError(
            f"model file '{path}' is no checkpoint of pose train: it must hold {', '.join(KEYS)}"
        )
    return Checkpoint(card_of(values["card"], path, kind), values["weights"], values["progress"])


def plain(path: str | os.PathLike[str]) -> Any:
    """What `torch.save` made of plain types and tensors, these on the CPU. Nothing in the file is executed.

    Raises ValueError for a file that is missing, cut short, or holds code.
    """
    torch = importlib.import_module("torch")
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


def load(path: str | os.PathLike[str], kind: type[C], restored: Callable[[Checkpoint[C]], N]) -> tuple[C, N]:
    """Card and network of the file at `path`, on the CPU, for running; `restored` is the stage's own use of `restore`.

    Raises ValueError as `read`, and for a network that is unknown or differs from the one that was trained.
    """
    stored = read(path, kind)
    try:
        return stored.card, restored(stored)
    except ValueError as error:
        raise ValueError(f"model file '{path}': {error}") from error


def restore(
    stored: Checkpoint[C], find: Callable[[str], Callable[..., N]], check_fit: Callable[[C, N], None]
) -> N:
    """The network of a checkpoint, from the class that `find` knows by its name.

    Raises ValueError where this version's network of that name differs (`check_fit`, or weights that do not fit exactly).
    """
    kind: Any = find(stored.card.network)
    network = kind(build(kind.Config, dict(stored.card.config)))
    check_fit(stored.card, network)
    try:
        network.load_state_dict(stored.weights, strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(
            f"weights do not fit network '{stored.card.network}' as it is now: {error}"
        ) from error
    restored: N = network.eval()
    return restored


def parameters(network: Any) -> int:
    """How many numbers training adjusts."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def ports(network: Any, name: str, inputs: Mapping[str, Shape]) -> tuple[tuple[str, ...], tuple[Shape, ...]]:
    """Names of the outputs and shapes of the state of one person, from a frame in which nothing is seen.

    `inputs`: shapes of what `network.step` takes beside the state. Raises ValueError for a network that cannot run frame by
    frame: state that is not zeros at first, or changes its shape.
    """
    torch = importlib.import_module("torch")
    some = next(network.parameters(), torch.zeros(()))
    training = network.training
    network.eval()
    with torch.no_grad():
        before = network.initial(1)
        outputs, after = network.step(*(some.new_zeros(1, *shape) for shape in inputs.values()), before)
    network.train(training)
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        if old.shape != new.shape or old.dtype != torch.float32 or bool(old.any()):
            raise ValueError(
                f"state {i} of network '{name}' must be float32, start as zeros and keep its shape, got "
                f"{old.dtype} {tuple(old.shape)}, then {tuple(new.shape)}"
            )
    return tuple(outputs), tuple(tuple(tensor.shape[1:]) for tensor in before)
