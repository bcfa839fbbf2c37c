"""The default lifter: perceptrons that mix all joints of a frame, and causal dilated convolutions that mix frames.

Within a frame, residual perceptrons over all joints at once, as in Martinez et al., "A simple yet effective baseline for 3d human
pose estimation", ICCV 2017, section 3.2. Over frames, causal dilated convolutions as in Pavllo et al., "3D human pose estimation
in video with temporal convolutions and semi-supervised training", CVPR 2019, section 3 and appendix A.5, in bottlenecks. Their
past is a ring buffer, so that a frame costs the same at any length of memory. Standard deviations are those of a Laplace
distribution, fitted by its likelihood.

Graphs of joints with learned adjacencies (Zhao et al., CVPR 2019) in place of the perceptrons took four times as long to come
as far: small matrices per joint keep a processor waiting, and weights shared between joints have to be told apart again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lift3d_node.encoding import CONTEXT
from lift3d_node.limbs import LIMBS
from lift3d_node.model_card import CENTRES
from lift3d_node.network import NETWORKS, LiftingNetwork, Outputs, State
from lift3d_node.networks._layers import JointOutputs
from pose_core.config import param
from pose_core.skeleton import SKELETONS

IN = SKELETONS.get("mediapipe33")
INNER = SKELETONS.get(CENTRES)
RIGID = 10
"""The first limbs of the table, arms, legs and widths, whose lengths do not change as the trunk bends."""


@dataclass(frozen=True)
class StreamingTcnConfig:
    """Sizes. The memory is kernel - 1 times the sum of the dilations 1, 2, 4, ... in frames: 126 as it stands."""

    channels: int = param(512, "features of a frame", low=8)
    before: int = param(2, "residual perceptrons before the convolutions", low=0)
    after: int = param(1, "residual perceptrons after them", low=0)
    bottleneck: int = param(128, "features that the convolutions see", low=4)
    blocks: int = param(6, "convolutions; their dilations are 1, 2, 4, ...", low=1, high=10)
    kernel: int = param(3, "frames that a convolution sees", low=2, high=9)

    @classmethod
    def small(cls) -> StreamingTcnConfig:
        """For tests."""
        return cls(channels=32, before=1, after=1, bottleneck=16, blocks=2)


class Perceptron(nn.Module):
    """A residual perceptron with one hidden layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.normal = nn.LayerNorm(channels)
        self.hidden = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(functional.gelu(self.hidden(self.normal(x))))


class Memory(nn.Module):
    """A causal dilated convolution within a bottleneck, residual."""

    def __init__(self, config: StreamingTcnConfig, dilation: int) -> None:
        super().__init__()
        self.past = (config.kernel - 1) * dilation
        self.dilation = dilation
        self.normal = nn.LayerNorm(config.channels)
        self.narrow = nn.Linear(config.channels, config.bottleneck)
        self.convolution = nn.Conv1d(config.bottleneck, config.bottleneck, config.kernel, dilation=dilation)
        self.wide = nn.Linear(config.bottleneck, config.channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, channels); before the first frame all is zero.

        As one product of matrices per tap, which leaves out the taps before the first frame: most training clips are shorter
        than the memory, and a padded `Conv1d` took half the time of a step over zeros.
        """
        inner = functional.gelu(self.narrow(self.normal(x)))
        *past, now = self.convolution.weight.unbind(2)
        out = functional.linear(inner, now, self.convolution.bias)
        for tap, weight in enumerate(past):
            lag = self.past - tap * self.dilation
            if lag < x.shape[1]:
                out = out + functional.pad(functional.linear(inner[:, :-lag], weight), (0, 0, lag, 0))
        return x + self.wide(functional.gelu(out))

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(B, channels) and the past (B, bottleneck, frames), oldest first."""
        inner = functional.gelu(self.narrow(self.normal(x)))
        seen = torch.cat([past, inner[:, :, None]], 2)
        taps = seen[:, :, :: self.dilation].flatten(1)
        out = functional.linear(taps, self.convolution.weight.flatten(1), self.convolution.bias)
        return x + self.wide(functional.gelu(out)), seen[:, :, 1:]


@NETWORKS.register("streaming_tcn")
class StreamingTcn(LiftingNetwork):
    """Landmarks in; landmarks, joint centres, limb directions and limb lengths out, the joints with standard deviations."""

    Config = StreamingTcnConfig
    skeleton_in = IN.name
    skeleton_out = IN.name

    def __init__(self, config: StreamingTcnConfig) -> None:
        super().__init__(config)
        channels = config.channels
        self.enter = nn.Linear(len(IN) * 4 + len(CONTEXT), channels)
        self.before = nn.ModuleList(Perceptron(channels) for _ in range(config.before))
        self.memory = nn.ModuleList(Memory(config, 2**block) for block in range(config.blocks))
        self.after = nn.ModuleList(Perceptron(channels) for _ in range(config.after))
        self.normal = nn.LayerNorm(channels)
        self.landmarks, self.centres = JointOutputs(IN.name), JointOutputs(INNER.name)
        self.joints = nn.Linear(channels, self.landmarks.numbers + self.centres.numbers)
        self.limbs = nn.Linear(channels, len(LIMBS) * 4)
        self.lengths = nn.Linear(channels, RIGID)
        with torch.no_grad():
            self.joints.weight.mul_(0.1)
        nn.init.constant_(self.lengths.bias, -1.5)  # softplus of it is 0.2 heights

    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        frames = joints.shape[:2]
        x = self._frame(joints.flatten(0, 1), context.flatten(0, 1)).unflatten(0, frames)
        for block in self.memory:
            x = block(x)
        return {name: value.unflatten(0, frames) for name, value in self._answer(x.flatten(0, 1)).items()}

    def initial(self, batch: int) -> State:
        like = self.enter.weight
        return [like.new_zeros(batch, block.convolution.in_channels, block.past) for block in self.memory]

    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        x = self._frame(joints, context)
        following = []
        for block, past in zip(self.memory, state, strict=True):
            x, now = block.step(x, past)
            following.append(now)
        return self._answer(x), following

    def _frame(self, joints: Tensor, context: Tensor) -> Tensor:
        """Features (N, channels) of single frames: joints (N, J, 3) with a mark for those that are missing."""
        missing = (joints[:, :, 2:] <= 0.0).to(joints.dtype)
        x = self.enter(torch.cat([torch.cat([joints, missing], 2).flatten(1), context], 1))
        for block in self.before:
            x = block(x)
        return x

    def _answer(self, x: Tensor) -> Outputs:
        for block in self.after:
            x = block(x)
        x = self.normal(x)
        landmarks, centres = self.joints(x).split([self.landmarks.numbers, self.centres.numbers], 1)
        inner = self.centres(centres)
        limbs = self.limbs(x).unflatten(1, (-1, 4))
        return {
            **self.landmarks(landmarks),
            "centres": inner["xyz"],
            "centres_log_std": inner["log_std"],
            "limbs": functional.normalize(limbs[:, :, :3], dim=2, eps=1e-6),
            "toward": limbs[:, :, 3],
            "ratios": functional.softplus(self.lengths(x)),
        }
