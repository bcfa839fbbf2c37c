"""How a network is trained: a schedule, and what the family adds to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from pose_core.config import check, param


@dataclass(frozen=True)
class Recipe:
    """A schedule in steps of equally many frames. Raises ValueError for values out of range."""

    steps: int = param(6000, "updates of the weights", low=1)
    frames_per_step: int = param(512, "frames in each, in clips of one length", low=1)
    rate: float = param(1e-3, "learning rate of AdamW after warming up", low=0.0)
    decay: float = param(0.01, "weight decay", low=0.0)
    warm_up: int = param(100, "steps in which the rate rises from 0", low=0)
    schedule: str = param("cosine", "how the rate falls after that", choices=("cosine", "plateau"))
    plateau_factor: float = param(0.5, "schedule plateau: what the rate is multiplied by", low=0.0, high=1.0)
    plateau_patience: int = param(5, "schedule plateau: validations without gain before that", low=0)
    patience: int = param(0, "validations without gain before training stops; 0: never", low=0)
    average: float = param(
        0.998, "memory of the running mean of the weights, which is what is kept", low=0.0, high=1.0
    )
    clip: float = param(1.0, "norm that gradients are clipped to", low=0.0)
    validate_every: int = param(1000, "steps between two validations", low=1)
    clip_lengths: tuple[int, ...] = (1, 4, 16, 64)
    """Frames of a clip; each step draws one of them. Many short clips teach poses, few long ones motion: steps of 512
    single frames came as far in 80 s as steps of clips of 4 to 64 frames in 300 s."""
    length_shares: tuple[float, ...] = (0.8, 0.2, 0.0, 0.0)
    """How often each is drawn, at first."""
    final_shares: tuple[float, ...] = (0.0, 0.2, 0.4, 0.4)
    """The same at the end."""
    mixing_from: float = param(
        0.0, "share of the steps from which on the one become the other, evenly", low=0.0, high=1.0
    )
    network: str = ""
    """Name of the network; empty: that of the recipe."""
    config: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    """Fields of the network's `Config` that differ from its defaults."""

    def __post_init__(self) -> None:
        check(self)
        for name in ("length_shares", "final_shares"):
            shares = getattr(self, name)
            if len(self.clip_lengths) != len(shares):
                raise ValueError(
                    f"{len(self.clip_lengths)} clip_lengths need as many {name}, got {len(shares)}"
                )
            if not math.isclose(sum(shares), 1.0):
                raise ValueError(f"{name} must sum to 1, got {shares}")

    def shares(self, step: int) -> np.ndarray:
        """How often each clip length is drawn at a step."""
        before = self.mixing_from * self.steps
        done = max(step - before, 0.0) / max(self.steps - before, 1.0)
        return (1.0 - done) * np.array(self.length_shares) + done * np.array(self.final_shares)


R = TypeVar("R", bound=Recipe)
"""A recipe of one family."""
