"""What a lifting network is, and the table of all of them.

Importing this needs torch; a robot runs the exported ONNX file instead (`lift3d_node.learned.backends`). A network is one file in
`pose_train/lifter/networks`, found by its name when training, export or the torch backend ask for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pose_core.config import check
from pose_core.registry import Registry, files_of
from pose_train.lifter import networks
from pose_train.trunk.checkpoint import parameters as parameters

Outputs = dict[str, Tensor]
State = list[Tensor]

OUTPUTS = (
    "xyz",
    "log_std",
    "centres",
    "centres_log_std",
    "limbs",
    "toward",
    "ratios",
)
"""Names that a network may give, in the order of an exported file.

Per frame: `xyz` (J, 3) joints of `skeleton_out` about its root, in the axes of the view (`lift3d_node.learned.encoding`) and in
standing heights of the person; `log_std` (J, 2) natural logarithm of their standard deviation across and along z, per axis;
`centres` (17, 3) and `centres_log_std` the same for the centres of rotation of the joints, as skeleton `model_card.CENTRES`;
`limbs` (14, 3) unit directions of `lift3d_node.learned.limbs`; `toward` (14,) logits that a limb points towards the camera (z <
0); `ratios` (R,) lengths of bones in heights.
"""


class LiftingNetwork(nn.Module, ABC):
    """Keypoints of one person, frame by frame, to 3D: without look-ahead, from the first frame on.

    `forward` sees whole sequences from an empty past, `step` one frame and the state that the frames before it left; both
    give the same. All state has fixed sizes with the batch first, so that cost and memory per frame are constant.
    """

    Config: ClassVar[type]
    """A frozen dataclass of `pose_core.config.param` fields; `Config.small()` gives one that tests can afford."""
    skeleton_in: ClassVar[str]
    skeleton_out: ClassVar[str]

    def __init__(self, config: Any) -> None:
        """Raises ValueError for a configuration that cannot work."""
        super().__init__()
        check(config)
        self.config = config

    @property
    def look_ahead(self) -> int:
        """Frames after the current one that an output waits for; forward's frame t is that of input frame t - look_ahead."""
        return 0

    @abstractmethod
    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        """Outputs (B, T, ...) from joints (B, T, J, 3) and context (B, T, C) of `lift3d_node.learned.encoding`."""

    @abstractmethod
    def initial(self, batch: int) -> State:
        """The state before the first frame, for `batch` people; empty for networks that see single frames."""

    @abstractmethod
    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        """Outputs (B, ...) and next state from one frame: joints (B, J, 3), context (B, C).

        Tensor operations only, without branches on values: this is what is exported.
        """


NETWORKS: Registry[type[LiftingNetwork]] = Registry("network")
"""Network classes by name; filled as `find` loads files."""


def names() -> list[str]:
    """All networks, by the names of their files."""
    return files_of(networks)


def find(name: str) -> type[LiftingNetwork]:
    """The network called `name`, loaded when needed. Raises ValueError naming the known ones."""
    return NETWORKS.find(name, networks)


def bounded_log_std(raw: Tensor) -> Tensor:
    """Logarithm of a standard deviation in heights, between 0.1 % and 50 %, from an unbounded output.

    A likelihood without a lower bound rewards one lucky frame without limit.
    """
    low, high = -6.9, -0.7
    return low + (high - low) * torch.sigmoid(raw - 0.6)
