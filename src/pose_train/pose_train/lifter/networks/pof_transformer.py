"""Attention between the joints and the limbs of one frame.

A. Vaswani et al.: Attention is all you need, NeurIPS 2017, section 3, encoder only, normalised first (R. Xiong et al., ICML
2020). A token for each keypoint and one for each limb; what the limbs' tokens have become gives their directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lift3d_node.learned.encoding import CONTEXT
from lift3d_node.learned.limbs import LIMBS
from pose_core.config import param
from pose_core.skeleton import SKELETONS
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks import NETWORKS
from pose_train.lifter.networks._layers import MaskedKeypoints
from pose_train.lifter.networks._pof_graph import NUMBERS, LimbInputs, LimbOutputs
from pose_train.lifter.networks.sparse_gcn_transformer import JointAttention
from pose_train.trunk.network import Outputs, State


@dataclass(frozen=True)
class PofTransformerConfig:
    width: int = param(128, "features of a token", low=8, high=1024)
    layers: int = param(6, "layers of attention", low=1, high=32)
    heads: int = param(8, "attention heads; divide the width", low=1, high=64)
    widening: int = param(4, "features inside the layer per token over the width", low=1, high=8)
    dropout: float = param(0.0, "share of features dropped in training", low=0.0, high=0.9)

    @classmethod
    def small(cls) -> PofTransformerConfig:
        return cls(width=16, layers=2, heads=2, widening=2)


class Layer(nn.Module):
    def __init__(self, config: PofTransformerConfig) -> None:
        super().__init__()
        width, inner = config.width, config.widening * config.width
        self.attention = nn.Sequential(nn.LayerNorm(width), JointAttention(width, config.heads))
        self.each = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(x))
        return x + self.dropout(self.each(x))


@NETWORKS.register("pof_transformer")
class PofTransformer(LiftingNetwork):
    """Single frames; of the context it takes the angular size alone: the rest tells of the frame before."""

    Config = PofTransformerConfig
    skeleton_in = "coco17"
    skeleton_out = "coco17"

    def __init__(self, config: PofTransformerConfig) -> None:
        super().__init__(config)
        if config.width % config.heads:
            raise ValueError(f"heads must divide width, got {config.heads} heads for width {config.width}")
        tokens = len(SKELETONS.get(self.skeleton_in)) + len(LIMBS)
        self.log_size = CONTEXT.index("log_size")
        self.keypoints = MaskedKeypoints(self.skeleton_in)
        self.inputs = LimbInputs(self.skeleton_in)
        self.of_joint = nn.Linear(3, config.width)
        self.of_limb = nn.Linear(self.inputs.numbers, config.width)
        self.of_size = nn.Linear(1, config.width, bias=False)
        self.identity = nn.Parameter(
            0.1 * torch.randn(tokens, config.width)
        )  # which joint or limb a token is
        self.layers = nn.Sequential(*(Layer(config) for _ in range(config.layers)))
        self.last = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, NUMBERS))
        self.outputs = LimbOutputs()

    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        batch, frames = joints.shape[:2]
        single = self.lift(joints.flatten(0, 1), context.flatten(0, 1))
        return {name: value.unflatten(0, (batch, frames)) for name, value in single.items()}

    def lift(self, joints: Tensor, context: Tensor) -> Outputs:
        """One frame each: joints (N, 17, 3), context (N, C)."""
        keypoints = self.keypoints(joints)
        limbs = self.inputs(keypoints)
        size = self.of_size(context[:, None, self.log_size : self.log_size + 1])
        tokens = torch.cat([self.of_joint(keypoints), self.of_limb(limbs)], -2) + size + self.identity
        tokens = self.layers(tokens)[:, -len(LIMBS) :]  # (N, 14, width)
        return self.outputs(self.last(tokens), limbs)

    def initial(self, batch: int) -> State:
        return []

    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        return self.lift(joints, context), []
