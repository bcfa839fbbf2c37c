"""What a refining network is, and the table of all of them.

Importing this needs torch; a robot runs the exported ONNX file instead. A network is one file in `pose_train/refiner/networks`,
found by its name when training or export ask for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from pose_core.config import check
from pose_core.registry import Registry, files_of
from pose_core.skeleton import SKELETONS, Skeleton
from pose_train.refiner import networks
from pose_train.trunk.checkpoint import parameters as parameters

Outputs = dict[str, Tensor]
State = list[Tensor]

OUTPUTS = ("xyz", "log_std")
"""Names that a network may give, in the order of an exported file.

Per frame and look-ahead: `xyz` (J, 3) joints about the root, axes of the camera, in standing heights; `log_std` (J,) natural
logarithm of their standard deviation along one axis, in heights.
"""

LOOK_AHEADS = (0, 2, 4, 8)
"""Frames that an answer may wait for; a network gives those that its configuration reaches."""


class RefiningNetwork(nn.Module, ABC):
    """Noisy joints of one person, frame by frame, to better ones, for several look-aheads at once.

    `forward` sees whole sequences from an empty past, `step` one frame and the state that the frames before it left; both give
    the same. Entry k of the answer to frame t describes frame t - look_aheads[k], and nothing after t changes it; where there is
    no such frame it is finite and without meaning. All state is float32, of fixed sizes, with the batch first and zero before
    the first frame, so that cost and memory per frame are constant.
    """

    Config: ClassVar[type]
    """A frozen dataclass of `pose_core.config.param` fields with `skeleton`; `Config.small()` gives one that tests can afford."""

    def __init__(self, config: Any) -> None:
        """Raises ValueError for a configuration that cannot work."""
        super().__init__()
        check(config)
        self.config = config
        self.skeleton: Skeleton = SKELETONS.get(config.skeleton)

    @property
    @abstractmethod
    def look_aheads(self) -> tuple[int, ...]:
        """Frames between the newest and the one described, ascending."""

    @abstractmethod
    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        """Outputs (B, T, K, ...) from joints (B, T, J, 5) and context (B, T, C) of `refine_node.encoding`."""

    @abstractmethod
    def initial(self, batch: int) -> State:
        """The state before the first frame, zero, for `batch` people."""

    @abstractmethod
    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        """Outputs (B, K, ...) and next state from one frame: joints (B, J, 5), context (B, C).

        Tensor operations only, without branches on values: this is what is exported.
        """


REFINING_NETWORKS: Registry[type[RefiningNetwork]] = Registry("network")
"""Network classes by name; filled as `find` loads files."""


def names() -> list[str]:
    """All networks, by the names of their files."""
    return files_of(networks)


def find(name: str) -> type[RefiningNetwork]:
    """The network called `name`, loaded when needed. Raises ValueError naming the known ones."""
    return REFINING_NETWORKS.find(name, networks)
