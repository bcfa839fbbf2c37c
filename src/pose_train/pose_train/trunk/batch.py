"""What a network is trained on: input and truth of some clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Input of a network, and the truth in heights about the root, in the axes of the view; float32."""

    joints: Tensor  # (n, T, J, 3)
    context: Tensor  # (n, T, C)
    target: Mapping[str, Tensor]  # "xyz" (n, T, J, 3); "centres" (n, T, 17, 3) where clips have them
    known: Tensor  # (n, T) bool: something is seen
    height: Tensor  # (n,) metres
    step: Tensor  # (n, T) seconds since the frame before


def answered(outputs: dict[str, Tensor], batch: Batch, look_ahead: int) -> tuple[dict[str, Tensor], Batch]:
    """Outputs (n, T, ...) and a batch, both without the `look_ahead` frames that have no counterpart: frame by frame alike.

    Such outputs are that many frames late. Raises ValueError for clips that are no longer.
    """
    if not look_ahead:
        return outputs, batch
    frames = batch.known.shape[1] - look_ahead
    if frames < 1:
        raise ValueError(
            f"clips of {batch.known.shape[1]} frames hold no answer of a network that sees {look_ahead} frames ahead"
        )
    short = {name: value[:, :frames] for name, value in batch.target.items()}
    cut = {name: getattr(batch, name)[:, :frames] for name in ("joints", "context", "known", "step")}
    return {name: value[:, look_ahead:] for name, value in outputs.items()}, replace(
        batch, target=short, **cut
    )


def part_of(batch: Batch, rows: slice) -> Batch:
    """Some clips of a batch."""
    target = {name: value[rows] for name, value in batch.target.items()}
    kept = {f.name: getattr(batch, f.name)[rows] for f in dataclasses.fields(batch) if f.name != "target"}
    return Batch(target=target, **kept)


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on `device`."""
    if device.type == "cpu":
        return batch
    target = {name: value.to(device, non_blocking=True) for name, value in batch.target.items()}
    moved = {
        f.name: getattr(batch, f.name).to(device, non_blocking=True)
        for f in dataclasses.fields(batch)
        if f.name != "target"
    }
    return Batch(target=target, **moved)
