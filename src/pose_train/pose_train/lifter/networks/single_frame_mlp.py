"""A residual multilayer perceptron on the keypoints of one frame.

After J. Martinez, R. Hossain, J. Romero, J. J. Little: A simple yet effective baseline for 3d human pose estimation, ICCV 2017,
section 3.1: a linear layer, blocks of two linear layers that a shortcut bridges, a linear layer. The paper normalises over the
batch; this layer normalises over the features of each frame, so that people of one batch do not depend on each other and
training, streaming and export compute the same. What knows no other frame is the least that a network with a memory must beat.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lift3d_node.learned.encoding import CONTEXT
from pose_core.config import param
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks import NETWORKS
from pose_train.lifter.networks._layers import JointOutputs, MaskedKeypoints
from pose_train.trunk.network import Outputs, State


@dataclass(frozen=True)
class SingleFrameConfig:
    width: int = param(1024, "features of the hidden layers; published 1024", low=8, high=8192)
    blocks: int = param(2, "residual blocks of two layers; published 2", low=1, high=16)
    dropout: float = param(0.1, "share of features dropped in training; published 0.5", low=0.0, high=0.9)

    @classmethod
    def small(cls) -> SingleFrameConfig:
        return cls(width=48, blocks=1, dropout=0.0)


class Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        layer = (nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout))
        again = (nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout))
        self.layers = nn.Sequential(*layer, *again)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


@NETWORKS.register("single_frame_mlp")
class SingleFrameMLP(LiftingNetwork):
    """Of the context it takes the angular size alone: the rest tells of the frame before."""

    Config = SingleFrameConfig
    skeleton_in = "mediapipe33"
    skeleton_out = "mediapipe33"

    def __init__(self, config: SingleFrameConfig) -> None:
        super().__init__(config)
        self.log_size = CONTEXT.index("log_size")
        self.keypoints = MaskedKeypoints(self.skeleton_in)
        self.first = nn.Sequential(
            nn.Linear(self.keypoints.numbers + 1, config.width),
            nn.LayerNorm(config.width),
            nn.ReLU(),
            nn.Dropout(config.dropout),
        )
        self.blocks = nn.Sequential(*(Block(config.width, config.dropout) for _ in range(config.blocks)))
        self.outputs = JointOutputs(self.skeleton_out)
        self.last = nn.Linear(config.width, self.outputs.numbers)

    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        size = context[..., self.log_size : self.log_size + 1]
        x = torch.cat([self.keypoints(joints).flatten(-2), size], -1)  # (..., 3 J + 1)
        return self.outputs(self.last(self.blocks(self.first(x))))

    def initial(self, batch: int) -> State:
        return []

    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        return self(joints, context), []
