"""The default lifter: perceptrons that mix all joints of a frame, and causal dilated convolutions that mix frames.

Within a frame, residual perceptrons over all joints at once, as in Martinez et al., "A simple yet effective baseline for 3d human
pose estimation", ICCV 2017, section 3.2. Over frames, causal dilated convolutions as in Pavllo et al., "3D human pose estimation
in video with temporal convolutions and semi-supervised training", CVPR 2019, section 3 and appendix A.5, in bottlenecks. Their
past is a ring buffer, so that a frame costs the same at any length of memory. Standard deviations are those of a Laplace
distribution, fitted by its likelihood.

All layers keep the symmetry of a body in a mirror (`pose_train.lifter.networks._mirrored`): in 3.5 minutes on one core that
took the error of single frames to 60 mm where perceptrons without it came to 70, because a frame costs half and counts twice.
Networks with a token per joint, by attention or learned graphs, come as far per frame as perceptrons, and cost four times as
much.

Where it is known, which direction points up is an input (`lift3d_node.learned.encoding.TAKES_UP`): one image does not tell
somebody who leans from a camera that is tilted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lift3d_node.learned import limbs
from lift3d_node.learned.encoding import context_names
from lift3d_node.learned.model_card import CENTRES
from pose_core.config import param
from pose_core.skeleton import SKELETONS
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks import NETWORKS, _mirrored
from pose_train.lifter.networks._layers import JointOutputs
from pose_train.lifter.networks._mirrored import Mirror
from pose_train.trunk.network import Outputs, State

IN = SKELETONS.get("mediapipe33")
INNER = SKELETONS.get(CENTRES)
RIGID = 10
"""The first limbs of the table, arms, legs and widths, whose lengths do not change as the trunk bends."""

PARTS = {
    "landmarks": Mirror.of_joints(IN.name, -1.0, 1.0, 1.0, 1.0, 1.0),
    "centres": Mirror.of_joints(INNER.name, -1.0, 1.0, 1.0, 1.0, 1.0),
    "limbs": Mirror.of_rows(limbs.FLIP, limbs.FLIP_SIGN[:, None] * np.array([-1.0, 1.0, 1.0])),
    "toward": Mirror.of_rows(limbs.FLIP, limbs.FLIP_SIGN[:, None]),
    "ratios": Mirror.of_rows(limbs.FLIP[:RIGID], np.ones(1)),
}
"""What the last layer gives."""
SIZES = [len(mirror.order) for mirror in PARTS.values()]


@dataclass(frozen=True)
class StreamingTcnConfig:
    """Sizes. The memory is kernel - 1 times the sum of the dilations 1, 2, 4, ... in frames: 126 as it stands."""

    channels: int = param(320, "features of a frame and side", low=4)
    before: int = param(3, "residual perceptrons before the convolutions", low=0)
    after: int = param(1, "residual perceptrons after them", low=0)
    bottleneck: int = param(80, "features of a side that the convolutions see", low=2)
    blocks: int = param(6, "convolutions; their dilations are 1, 2, 4, ...", low=1, high=10)
    kernel: int = param(3, "frames that a convolution sees", low=2, high=9)
    takes_up: bool = param(True, "whether the network is told which direction points up, where that is known")

    @classmethod
    def small(cls) -> StreamingTcnConfig:
        """For tests."""
        return cls(channels=16, before=1, after=1, bottleneck=8, blocks=2)


def seen(config: StreamingTcnConfig) -> Mirror:
    """Of what a frame shows: of each joint x, y, confidence and whether it is missing; and the context."""
    turns = [name.endswith("_x") for name in context_names(asdict(config))]
    return Mirror.of_joints(IN.name, -1.0, 1.0, 1.0, 1.0) + Mirror.alone(*(1.0 - 2.0 * x for x in turns))


class Perceptron(nn.Module):
    """A residual perceptron with one hidden layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.normal = _mirrored.Normal(channels)
        self.hidden = _mirrored.Linear(channels, channels)
        self.out = _mirrored.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(_mirrored.activate(self.hidden(self.normal(x)), self.channels))


class Memory(nn.Module):
    """A causal dilated convolution within a bottleneck, residual."""

    def __init__(self, config: StreamingTcnConfig, dilation: int) -> None:
        super().__init__()
        self.past = (config.kernel - 1) * dilation
        self.kernel, self.dilation, self.bottleneck = config.kernel, dilation, config.bottleneck
        self.normal = _mirrored.Normal(config.channels)
        self.narrow = _mirrored.Linear(config.channels, config.bottleneck)
        self.taps = _mirrored.Linear(config.kernel * config.bottleneck, config.bottleneck)  # the oldest first
        self.wide = _mirrored.Linear(config.bottleneck, config.channels)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """(2, B frames, channels); before the first frame all is zero.

        As one product of matrices per tap, which leaves out the taps before the first frame: most training clips are shorter
        than the memory, and a padded `Conv1d` took half the time of a step over zeros.
        """
        inner = _mirrored.activate(self.narrow(self.normal(x)), self.bottleneck)
        *past, now = self.taps.weight.unflatten(1, (self.kernel, -1)).unbind(1)
        out = (torch.bmm(inner, now) + _mirrored.with_zeros(self.taps.bias)).unflatten(1, (-1, frames))
        for tap, weight in enumerate(past):
            lag = self.past - tap * self.dilation
            if lag < frames:
                earlier = inner.unflatten(1, (-1, frames))[:, :, :-lag]
                told = torch.bmm(earlier.flatten(1, 2), weight).unflatten(1, (-1, frames - lag))
                out = out + functional.pad(told, (0, 0, lag, 0))
        return x + self.wide(_mirrored.activate(out.flatten(1, 2), self.bottleneck))

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(2, B, channels) and the past (B, frames, 2, bottleneck), oldest first."""
        inner = _mirrored.activate(self.narrow(self.normal(x)), self.bottleneck)
        seen = torch.cat([past, inner.transpose(0, 1)[:, None]], 1)
        taps = seen[:, :: self.dilation].permute(2, 0, 1, 3).reshape(2, -1, self.kernel * self.bottleneck)
        return x + self.wide(_mirrored.activate(self.taps(taps), self.bottleneck)), seen[:, 1:]


@NETWORKS.register("streaming_tcn")
class StreamingTcn(LiftingNetwork):
    """Landmarks in; landmarks, joint centres, limb directions and limb lengths out, the joints with standard deviations."""

    Config = StreamingTcnConfig
    skeleton_in = IN.name
    skeleton_out = IN.name

    def __init__(self, config: StreamingTcnConfig) -> None:
        super().__init__(config)
        channels = config.channels
        self.enter = _mirrored.Enter(seen(config), channels)
        self.before = nn.ModuleList(Perceptron(channels) for _ in range(config.before))
        self.memory = nn.ModuleList(Memory(config, 2**block) for block in range(config.blocks))
        self.after = nn.ModuleList(Perceptron(channels) for _ in range(config.after))
        self.normal = _mirrored.Normal(channels)
        self.leave = _mirrored.Leave(sum(PARTS.values(), Mirror.alone()), channels)
        self.landmarks, self.centres = JointOutputs(IN.name), JointOutputs(INNER.name)
        with torch.no_grad():
            self.leave.even.weight.mul_(0.1)
            self.leave.odd.weight.mul_(0.1)
            start = torch.cat([torch.zeros(sum(SIZES) - RIGID), torch.full((RIGID,), -1.5)])
            self.leave.even.bias.copy_(self.leave.even_part @ start)  # softplus of -1.5 is 0.2 heights

    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        frames = joints.shape[:2]
        x = self._frame(joints.flatten(0, 1), context.flatten(0, 1))
        for block in self.memory:
            x = block(x, frames[1])
        return {name: value.unflatten(0, frames) for name, value in self._answer(x).items()}

    def initial(self, batch: int) -> State:
        like = self.normal.gain
        return [like.new_zeros(batch, block.past, 2, block.bottleneck) for block in self.memory]

    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        x = self._frame(joints, context)
        following = []
        for block, past in zip(self.memory, state, strict=True):
            x, now = block.step(x, past)
            following.append(now)
        return self._answer(x), following

    def _frame(self, joints: Tensor, context: Tensor) -> Tensor:
        """Features (2, N, channels) of single frames: joints (N, J, 3) with a mark for those that are missing."""
        missing = (joints[:, :, 2:] <= 0.0).to(joints.dtype)
        x = self.enter(torch.cat([torch.cat([joints, missing], 2).flatten(1), context], 1))
        for block in self.before:
            x = block(x)
        return x

    def _answer(self, x: Tensor) -> Outputs:
        for block in self.after:
            x = block(x)
        landmarks, centres, directions, toward, ratios = self.leave(self.normal(x)).split(SIZES, 1)
        inner = self.centres(centres)
        return {
            **self.landmarks(landmarks),
            "centres": inner["xyz"],
            "centres_log_std": inner["log_std"],
            "limbs": functional.normalize(directions.unflatten(1, (-1, 3)), dim=2, eps=1e-6),
            "toward": toward,
            "ratios": functional.softplus(ratios),
        }
