"""What a trained refining network is: see `pose_core.networks.model_card`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pose_core.networks.model_card import Card, Shape, all_of, expect
from pose_core.skeleton import SKELETONS
from refine_node import encoding


@dataclass(frozen=True, kw_only=True)
class RefinerCard(Card):
    """Raises ValueError for a card that this version cannot run, naming what it has and what is known.

    `network` is a name in `pose_train.refiner.networks`, `outputs` are names as in `pose_train.refiner.network.OUTPUTS`.
    """

    KEY: ClassVar[str] = "refine_node.model_card"
    ENCODING: ClassVar[int] = encoding.VERSION

    skeleton: str
    look_aheads: tuple[int, ...]
    """Frames between the newest and the one described, ascending: one answer for each."""
    encoding: int = encoding.VERSION

    @staticmethod
    def inputs_of(skeleton: str) -> dict[str, Shape]:
        """Shapes for one person of what a network of this skeleton sees beside its state."""
        joints = len(SKELETONS.get(skeleton))
        return {"joints": (joints, len(encoding.FEATURES)), "context": (len(encoding.CONTEXT),)}

    @property
    def inputs(self) -> dict[str, Shape]:
        return self.inputs_of(self.skeleton)

    @property
    def shapes(self) -> dict[str, Shape]:
        answers = (len(self.look_aheads), len(SKELETONS.get(self.skeleton)))
        return {"xyz": (*answers, 3), "log_std": answers}

    @property
    def skeleton_of_outputs(self) -> str:
        return self.skeleton

    def __post_init__(self) -> None:
        expect("skeleton", isinstance(self.skeleton, str), "a string", self.skeleton)
        super().__post_init__()
        look_aheads = all_of("look_aheads", self.look_aheads, int)
        ascending = list(look_aheads) == sorted({frames for frames in look_aheads if frames >= 0})
        expect("look_aheads", look_aheads and ascending, "ascending frames from 0 on", look_aheads)
        self._set("look_aheads", look_aheads)
        expect("outputs", "xyz" in self.outputs, "'xyz' among others", self.outputs)
