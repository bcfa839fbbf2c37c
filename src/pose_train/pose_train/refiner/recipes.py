"""How each refining network is trained: one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pose_core.config import param
from pose_train.data.drawing import ClipRecipe
from pose_train.refiner.loss import RefinerWeights


@dataclass(frozen=True)
class RefinerRecipe(ClipRecipe):
    """A schedule with what refiners are trained for."""

    steps: int = param(3000, "updates of the weights", low=1)
    frames_per_step: int = param(768, "frames in each, in clips of one length", low=1)
    validate_every: int = param(500, "steps between two validations", low=1)
    clip_lengths: tuple[int, ...] = (24, 64, 112)
    """What is refined is motion: no clip is shorter than most windows."""
    length_shares: tuple[float, ...] = (0.5, 0.5, 0.0)
    final_shares: tuple[float, ...] = (0.1, 0.5, 0.4)
    weights: RefinerWeights = field(default_factory=RefinerWeights)


DEFAULT = RefinerRecipe()


def _variant(
    of: RefinerRecipe, network: str, config: Mapping[str, bool | int | float | str]
) -> RefinerRecipe:
    return replace(of, network=network, config=config)


# All stop after some twenty minutes on one core: 0.4 s a step of the default, five times that per frame for smoothnet, which goes
# through every coordinate of every joint, and so sees as much variety in fewer frames.
RECIPES: dict[str, RefinerRecipe] = {
    "hpstm": DEFAULT,
    "hpstm_8": _variant(DEFAULT, "hpstm", {"window": 9}),
    "hpstm_16": _variant(DEFAULT, "hpstm", {"window": 17}),
    "hpstm_offline": _variant(DEFAULT, "hpstm", {"centred": True}),
    # What each part is worth: without the body, and without the transformer.
    "hpstm_transformer": _variant(DEFAULT, "hpstm", {"decoder": "positions"}),
    "hpstm_fk": _variant(DEFAULT, "hpstm", {"layers": 0}),
    "smoothnet": replace(
        DEFAULT,
        steps=1500,
        frames_per_step=128,
        validate_every=250,
        clip_lengths=(64,),
        length_shares=(1.0,),
        final_shares=(1.0,),
    ),
}
"""By the name of the refiner; `DEFAULT` for networks that are not named."""
