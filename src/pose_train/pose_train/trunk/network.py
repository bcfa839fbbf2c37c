"""What a network of any family is, and the table of those of one family.

Importing this needs torch; a robot runs the exported ONNX file instead. A network is one file in the folder `networks` of its
family, found by its name when training, export or a backend ask for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from pose_core.config import check
from pose_core.networks.model_card import Shape
from pose_core.registry import Registry, files_of

Outputs = dict[str, Tensor]
State = list[Tensor]


class StreamingNetwork(nn.Module, ABC):
    """One person, frame by frame, to something better known.

    `forward` sees whole sequences from an empty past, `step` one frame and the state that the frames before it left; both give
    the same, and nothing after a frame changes its answer. All state is float32, of fixed sizes, with the batch first and zero
    before the first frame, so that cost and memory per frame are constant.
    """

    Config: ClassVar[type]
    """A frozen dataclass of `pose_core.config.param` fields; `Config.small()` gives one that tests can afford."""

    def __init__(self, config: Any) -> None:
        """Raises ValueError for a configuration that cannot work."""
        super().__init__()
        check(config)
        self.config = config

    @abstractmethod
    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        """Outputs (B, T, ...) from joints (B, T, J, F) and context (B, T, C), as the family encodes them."""

    @abstractmethod
    def initial(self, batch: int) -> State:
        """The state before the first frame, zero, for `batch` people; empty for networks that see single frames."""

    @abstractmethod
    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        """Outputs (B, ...) and next state from one frame: joints (B, J, F), context (B, C).

        Tensor operations only, without branches on values: this is what is exported.
        """


N = TypeVar("N", bound=StreamingNetwork)
"""A network of one family."""


class Networks(Registry[type[N]]):
    """Network classes of one family by the names of their files; filled as `from_file` finds them."""

    def __init__(self, package: ModuleType, outputs: tuple[str, ...]) -> None:
        """`outputs`: names that a network may give."""
        super().__init__("network")
        self.package, self.outputs = package, outputs

    def files(self) -> list[str]:
        """All networks, by the names of their files."""
        return files_of(self.package)

    def from_file(self, name: str) -> type[N]:
        """The network called `name`, loaded when needed. Raises ValueError naming the known ones."""
        return self.find(name, self.package)


def parameters(network: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def ports(
    network: StreamingNetwork, name: str, inputs: Mapping[str, Shape]
) -> tuple[tuple[str, ...], tuple[Shape, ...]]:
    """Names of the outputs and shapes of the state of one person, from a frame in which nothing is seen.

    `inputs`: shapes of what `network.step` takes beside the state. Raises ValueError for a network that cannot run frame by
    frame: state that is not zeros at first, or changes its shape.
    """
    some = next(network.parameters(), torch.zeros(()))
    training = network.training
    network.eval()
    with torch.no_grad():
        before = network.initial(1)
        joints, context = (some.new_zeros(1, *inputs[key]) for key in ("joints", "context"))
        outputs, after = network.step(joints, context, before)
    network.train(training)
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        if old.shape != new.shape or old.dtype != torch.float32 or bool(old.any()):
            raise ValueError(
                f"state {i} of network '{name}' must be float32, start as zeros and keep its shape, got "
                f"{old.dtype} {tuple(old.shape)}, then {tuple(new.shape)}"
            )
    return tuple(outputs), tuple(tuple(tensor.shape[1:]) for tensor in before)
