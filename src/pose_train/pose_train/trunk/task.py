"""What a network is to learn: where its batches come from, its loss, and what it is judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
from torch import Tensor

from pose_train.trunk.batch import Batch
from pose_train.trunk.recipe import Recipe

Make = Callable[[int, np.random.Generator], Batch]
"""Makes a batch of clips of so many frames."""
Measure = Callable[[dict[str, Tensor], Batch], tuple[Tensor, Mapping[str, float]]]
"""What is to become small, from a network's outputs and the batch they are of; and each of its terms."""


class Task(Protocol):
    """What a network is to learn. Plain data, because another process makes the batches."""

    @property
    def recipe(self) -> Recipe:
        """How it is learnt."""

    @property
    def seed(self) -> int:
        """With a batch's number, all that chance decides of it."""

    def maker(self) -> Make:
        """Opens the data; to be called in the process that makes the batches."""

    def measure(self, network: Any) -> Measure:
        """The loss of `network`."""

    def validation(self) -> Batch:
        """What training is judged by: of other people."""

    def judge(self, network: Any, batch: Batch) -> dict[str, float]:
        """Errors of `network` on `batch`; the first says which weights are better: those of the smallest."""

    def identity(self) -> dict[str, Any]:
        """What a run that goes on must have in common with the one before, besides the network; plain values."""


T = TypeVar("T", bound=Task)
"""A task of one family."""

Told = Callable[[int, Mapping[str, float]], None]
"""Gets a step and what was measured at it; the `loss` is that of training, all else is of a validation."""
