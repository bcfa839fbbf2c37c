"""What a trained lifting network is: see `pose_core.networks.model_card`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lift3d_node.learned import encoding
from lift3d_node.learned.limbs import LIMBS
from pose_core.networks.model_card import Card, Shape, expect, positive
from pose_core.skeleton import SKELETONS

CENTRES = "h36m17"
"""The skeleton of a network's output `centres`: true centres of rotation."""


@dataclass(frozen=True, kw_only=True)
class ModelCard(Card):
    """Raises ValueError for a card that this version cannot run, naming what it has and what is known.

    `network` is a name in `pose_train.lifter.networks`, `outputs` are names as in `pose_train.lifter.network.OUTPUTS`.
    """

    KEY: ClassVar[str] = "lift3d_node.model_card"
    ENCODING: ClassVar[int] = encoding.VERSION

    skeleton_in: str
    skeleton_out: str
    look_ahead: int = 0
    """Frames after the current one that an output waits for."""
    std: tuple[float, ...] = ()
    """Standard deviation along one axis, in heights, of a network that gives no `log_std`: one for all joints, or one each.

    Measured on people, cameras and noise that it was not trained on."""
    encoding: int = encoding.VERSION

    @staticmethod
    def inputs_of(skeleton: str, config: Mapping[str, object]) -> dict[str, Shape]:
        """Shapes for one person of what a network of this configuration that takes this skeleton sees beside its state."""
        return {
            "joints": (len(SKELETONS.get(skeleton)), 3),
            "context": (len(encoding.context_names(config)),),
        }

    @property
    def inputs(self) -> dict[str, Shape]:
        return self.inputs_of(self.skeleton_in, self.config)

    @property
    def shapes(self) -> dict[str, Shape]:
        joints, centres = len(SKELETONS.get(self.skeleton_out)), len(SKELETONS.get(CENTRES))
        return {
            "xyz": (joints, 3),
            "log_std": (joints, 2),
            "limbs": (len(LIMBS), 3),
            "centres": (centres, 3),
            "centres_log_std": (centres, 2),
        }

    @property
    def skeleton_of_outputs(self) -> str:
        return self.skeleton_out

    def __post_init__(self) -> None:
        for name in ("skeleton_in", "skeleton_out"):
            expect(name, isinstance(getattr(self, name), str), "a string", getattr(self, name))
        super().__post_init__()
        expect("look_ahead", type(self.look_ahead) is int, "a whole number", self.look_ahead)
        expect("look_ahead", self.look_ahead >= 0, "at least 0", self.look_ahead)
        expect("outputs", {"xyz", "limbs"} & set(self.outputs), "'xyz' or 'limbs' among others", self.outputs)
        SKELETONS.get(self.skeleton_in)
        joints = len(SKELETONS.get(self.skeleton_out))
        self._set("std", positive("std", self.std, (0, 1, joints)))
        told = "log_std" in self.outputs or bool(self.std)
        expect("std", told, "stated for a network without output 'log_std'", self.std)
