"""How each angle-refining network is trained: one table."""

from __future__ import annotations

from dataclasses import dataclass, field

from pose_core.config import param
from pose_train.data.drawing import ClipRecipe
from pose_train.data.noise import Noise


@dataclass(frozen=True)
class AngleRecipe(ClipRecipe):
    """A schedule on the clips of refiners, whose errors are now those of angles."""

    steps: int = param(1500, "updates of the weights", low=1)
    frames_per_step: int = param(256, "frames in each, in clips of one length", low=1)
    validate_every: int = param(250, "steps between two validations", low=1)
    average: float = param(
        0.995, "memory of the running mean of the weights, which is what is kept", low=0.0, high=1.0
    )
    clip_lengths: tuple[int, ...] = (16, 32)
    """What is learnt is which poses are plausible; a network's window is short."""
    length_shares: tuple[float, ...] = (0.6, 0.4)
    final_shares: tuple[float, ...] = (0.4, 0.6)
    noise: Noise = field(default_factory=lambda: Noise(clean=0.3))
    fill: float = param(
        0.2, "what groups count that were not seen, against those that were", low=0.0, high=1.0
    )
    outlying: float = param(
        0.15, "share of groups in a clip that are far off for some frames", low=0.0, high=1.0
    )
    tolerance_deg: float = param(
        0.5, "errors below it count with their square, above it as they are", low=1e-3
    )


DEFAULT = AngleRecipe()

RECIPES: dict[str, AngleRecipe] = {"angle_transformer": DEFAULT}
"""By the name of the network; `DEFAULT` for networks that are not named. Each stops after some fifteen minutes on one core."""
