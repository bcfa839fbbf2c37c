"""How each refining network is trained: one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pose_core.config import param
from pose_train.lifter.recipes import Recipe
from pose_train.refiner.loss import RefinerWeights
from pose_train.refiner.noise import Noise


@dataclass(frozen=True)
class RefinerRecipe(Recipe):
    """A schedule as that of lifters, with what refiners are trained for and on."""

    steps: int = param(3000, "updates of the weights", low=1)
    frames_per_step: int = param(768, "frames in each, in clips of one length", low=1)
    validate_every: int = param(500, "steps between two validations", low=1)
    clip_lengths: tuple[int, ...] = (24, 64, 112)
    """What is refined is motion: no clip is shorter than most windows."""
    length_shares: tuple[float, ...] = (0.5, 0.5, 0.0)
    final_shares: tuple[float, ...] = (0.1, 0.5, 0.4)
    weights: RefinerWeights = field(default_factory=RefinerWeights)  # type: ignore[assignment]
    """In place of those of lifters."""
    noise: Noise = field(default_factory=Noise)
    lifted: float = param(
        0.5, "share of clips with a lifter's own errors; the others have made ones", low=0.0, high=1.0
    )
    losing: float = param(0.3, "share of clips from which frames are lost", low=0.0, high=1.0)
    resize: float = param(
        0.05, "standard deviation of the logarithm of the believed height over the true one", low=0.0
    )


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


def recipe(name: str) -> RefinerRecipe:
    """The recipe of the refiner called `name`."""
    return RECIPES.get(name, DEFAULT)
