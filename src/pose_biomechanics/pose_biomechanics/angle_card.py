"""What a trained angle-refining network is: see `pose_core.networks.model_card`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pose_biomechanics import angle_encoding
from pose_biomechanics.isb import GROUPS
from pose_core.networks.model_card import Card, Shape, expect


@dataclass(frozen=True, kw_only=True)
class AngleCard(Card):
    """Raises ValueError for a card that this version cannot run, naming what it has and what is known.

    `network` is a name in `pose_train.angle.networks`, `outputs` are names as in `pose_train.angle.network.OUTPUTS`.
    """

    KEY: ClassVar[str] = "refine_node.angle_card"
    ENCODING: ClassVar[int] = angle_encoding.VERSION

    skeleton: str
    """Of the joints that the angles of the training were of. Others give angles too, with errors that it has not seen."""
    encoding: int = angle_encoding.VERSION

    @staticmethod
    def inputs_of() -> dict[str, Shape]:
        """Shapes for one person of what a network sees beside its state. The groups stand where other networks have joints."""
        return {
            "joints": (len(GROUPS), len(angle_encoding.FEATURES)),
            "context": (len(angle_encoding.CONTEXT),),
        }

    @property
    def inputs(self) -> dict[str, Shape]:
        return self.inputs_of()

    @property
    def shapes(self) -> dict[str, Shape]:
        return {"turn": (len(GROUPS), 3)}

    @property
    def skeleton_of_outputs(self) -> str:
        return self.skeleton

    def __post_init__(self) -> None:
        expect("skeleton", isinstance(self.skeleton, str), "a string", self.skeleton)
        super().__post_init__()
        expect("outputs", self.outputs == ("turn",), "'turn' alone", self.outputs)
