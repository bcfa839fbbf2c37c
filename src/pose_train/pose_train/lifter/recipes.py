"""How each network is trained: one table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pose_core.config import check, param
from pose_train.lifter.loss import Weights


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
    weights: Weights = field(default_factory=Weights)
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


SINGLE_FRAME = Recipe(steps=2500, clip_lengths=(1,), length_shares=(1.0,), final_shares=(1.0,))
"""For networks without memory: as many different poses as possible."""

CENTRED = Recipe(
    steps=3000,
    frames_per_step=1024,
    clip_lengths=(56, 128),
    length_shares=(0.8, 0.2),
    final_shares=(0.2, 0.8),
    config={"centred": True},
)
"""For networks that see as many frames after the one they answer as before it: 40, for which a clip has no answer at its end."""

DIRECTIONS = Weights(direction=1.0, toward=0.1)
"""For networks that give directions and no joints."""

# All but the default stop after some ten minutes on one core. Networks with a token per joint cost ten times as much per frame
# as those with one per frame, and see so many fewer frames.
RECIPES: dict[str, Recipe] = {
    "streaming_tcn": Recipe(steps=18000, rate=2e-3, mixing_from=0.9),
    "single_frame_mlp": SINGLE_FRAME,
    # Published: MPJPE and 0.01 of a bone length loss, the rate halved after 5 validations without gain, end after 10. Squared
    # lengths in heights make that loss a two-thousandth of the other; a likelihood, for the deviations, comes on top.
    "sparse_gcn_transformer": replace(
        SINGLE_FRAME,
        steps=1200,
        frames_per_step=128,
        validate_every=50,
        schedule="plateau",
        plateau_factor=0.5,
        plateau_patience=5,
        patience=10,
        weights=Weights(velocity=0.0, acceleration=0.0, direction=0.0, toward=0.0, length=0.0, bones=0.01),
    ),
    # The longest clips are longer than the window, or what it says of the oldest frames would never be learnt.
    "temporal_transformer": Recipe(steps=4000, clip_lengths=(1, 4, 16, 96)),
    "temporal_transformer_centred": replace(CENTRED, network="temporal_transformer"),
    "lstm_posenet_centred": replace(CENTRED, network="lstm_posenet"),
    "pof_transformer": replace(SINGLE_FRAME, steps=1000, frames_per_step=128, weights=DIRECTIONS),
    "pof_gcn": replace(SINGLE_FRAME, frames_per_step=256, weights=DIRECTIONS),
    "pof_semgcn": replace(SINGLE_FRAME, steps=1500, frames_per_step=256, weights=DIRECTIONS),
    "pof_semgcn_temporal": Recipe(
        steps=1500,
        frames_per_step=256,
        clip_lengths=(1, 4, 16),
        length_shares=(0.7, 0.3, 0.0),
        final_shares=(0.2, 0.5, 0.3),
        weights=DIRECTIONS,
    ),
    # Every clip is padded to the frames that the network sees: single ones cost as much as 27.
    "videopose3d": Recipe(steps=3000, length_shares=(0.0, 0.5, 0.5, 0.0)),
    "videopose3d_243": Recipe(
        steps=2000, length_shares=(0.0, 0.5, 0.5, 0.0), network="videopose3d", config={"frames": 243}
    ),
}
"""By the name of the lifter; `DEFAULT` for networks that are not named."""

DEFAULT = Recipe()


def recipe(name: str) -> Recipe:
    """The recipe of the lifter called `name`."""
    return RECIPES.get(name, DEFAULT)
