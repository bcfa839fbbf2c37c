"""How each network is trained: one table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pose_train.lifter.loss import Weights
from pose_train.trunk.recipe import Recipe


@dataclass(frozen=True)
class LifterRecipe(Recipe):
    """A schedule with what lifters are trained for."""

    weights: Weights = field(default_factory=Weights)


SINGLE_FRAME = LifterRecipe(steps=2500, clip_lengths=(1,), length_shares=(1.0,), final_shares=(1.0,))
"""For networks without memory: as many different poses as possible."""

CENTRED = LifterRecipe(
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
RECIPES: dict[str, LifterRecipe] = {
    "streaming_tcn": LifterRecipe(steps=18000, rate=2e-3, mixing_from=0.9),
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
    "temporal_transformer": LifterRecipe(steps=4000, clip_lengths=(1, 4, 16, 96)),
    "temporal_transformer_centred": replace(CENTRED, network="temporal_transformer"),
    "lstm_posenet_centred": replace(CENTRED, network="lstm_posenet"),
    "pof_transformer": replace(SINGLE_FRAME, steps=1000, frames_per_step=128, weights=DIRECTIONS),
    "pof_gcn": replace(SINGLE_FRAME, frames_per_step=256, weights=DIRECTIONS),
    "pof_semgcn": replace(SINGLE_FRAME, steps=1500, frames_per_step=256, weights=DIRECTIONS),
    "pof_semgcn_temporal": LifterRecipe(
        steps=1500,
        frames_per_step=256,
        clip_lengths=(1, 4, 16),
        length_shares=(0.7, 0.3, 0.0),
        final_shares=(0.2, 0.5, 0.3),
        weights=DIRECTIONS,
    ),
    # Every clip is padded to the frames that the network sees: single ones cost as much as 27.
    "videopose3d": LifterRecipe(steps=3000, length_shares=(0.0, 0.5, 0.5, 0.0)),
    "videopose3d_243": LifterRecipe(
        steps=2000, length_shares=(0.0, 0.5, 0.5, 0.0), network="videopose3d", config={"frames": 243}
    ),
}
"""By the name of the lifter; `DEFAULT` for networks that are not named."""

DEFAULT = LifterRecipe()
