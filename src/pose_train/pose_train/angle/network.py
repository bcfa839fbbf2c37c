"""What an angle-refining network is, and the table of all of them.

Importing this needs torch; a robot runs the exported ONNX file instead (`pose_biomechanics.angle_refiner`). A network is one
file in `pose_train/angle/networks`, found by its name when training or export ask for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from pose_core.config import check
from pose_core.registry import Registry, files_of
from pose_train.angle import networks as angle_networks
from pose_train.trunk.checkpoint import parameters as parameters

Outputs = dict[str, Tensor]
State = list[Tensor]

OUTPUTS = ("turn",)
"""Names that a network gives: `turn` (G, 3), for each group the rotation vector in radians, in the axes of the distal segment, by
which its rotation is to be turned: R exp(turn)."""


class AngleNetwork(nn.Module, ABC):
    """Rotations of the groups of one person, frame by frame, to corrections of them.

    `forward` sees whole sequences from an empty past, `step` one frame and the state that the frames before it left; both give
    the same, and nothing after a frame changes its answer. All state is float32, of fixed sizes, with the batch first and zero
    before the first frame. An untrained network corrects nothing.
    """

    Config: ClassVar[type]
    """A frozen dataclass of `pose_core.config.param` fields; `Config.small()` gives one that tests can afford."""

    def __init__(self, config: Any) -> None:
        """Raises ValueError for a configuration that cannot work."""
        super().__init__()
        check(config)
        self.config = config

    @abstractmethod
    def forward(self, groups: Tensor, context: Tensor) -> Outputs:
        """Outputs (B, T, G, 3) from groups (B, T, G, F) and context (B, T, C) of `pose_biomechanics.angle_encoding`."""

    @abstractmethod
    def initial(self, batch: int) -> State:
        """The state before the first frame, zero, for `batch` people."""

    @abstractmethod
    def step(self, groups: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        """Outputs (B, G, 3) and next state from one frame: groups (B, G, F), context (B, C).

        Tensor operations only, without branches on values: this is what is exported.
        """


ANGLE_NETWORKS: Registry[type[AngleNetwork]] = Registry("network")
"""Network classes by name; filled as `find` loads files."""


def names() -> list[str]:
    """All networks, by the names of their files."""
    return files_of(angle_networks)


def find(name: str) -> type[AngleNetwork]:
    """The network called `name`, loaded when needed. Raises ValueError naming the known ones."""
    return ANGLE_NETWORKS.find(name, angle_networks)
