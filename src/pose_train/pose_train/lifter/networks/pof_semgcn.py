"""Semantic graph convolutions between the limbs of one frame: which neighbour counts how much is learned.

L. Zhao, X. Peng, Y. Tian, M. Kapadia, D. N. Metaxas: Semantic graph convolutional networks for 3D human pose regression, CVPR
2019, section 3.2, equations 2 and 3: the weights of a limb's neighbours are a softmax over them of learned numbers, by group of
channels. The limb itself has a matrix of its own, so that averaging over neighbours cannot wash it out. Without the paper's
non-local layers: any limb is within five edges of any other, and the eight convolutions reach further.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lift3d_node.learned.limbs import LIMBS
from pose_core.config import param
from pose_train.lifter.networks import NETWORKS
from pose_train.lifter.networks._pof_graph import LimbGraphNetwork, adjacency


@dataclass(frozen=True)
class SemGcnConfig:
    width: int = param(256, "features of a limb", low=8, high=1024)
    blocks: int = param(4, "residual blocks of two convolutions", low=1, high=32)
    groups: int = param(
        4, "groups of channels with edge weights of their own; divide the width", low=1, high=1024
    )
    dropout: float = param(0.0, "share of features dropped in training", low=0.0, high=0.9)

    @classmethod
    def small(cls) -> SemGcnConfig:
        return cls(width=16, blocks=2, groups=2)


class SemanticConvolution(nn.Module):
    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        if width % groups:
            raise ValueError(f"groups must divide width, got {groups} groups for width {width}")
        self.groups = groups
        self.neighbours = nn.Buffer(torch.from_numpy(adjacency()), persistent=False)
        self.edges = nn.Parameter(torch.zeros(groups, len(LIMBS), len(LIMBS)))
        self.itself = nn.Linear(width, width)
        self.others = nn.Linear(width, width, bias=False)

    def weights(self) -> Tensor:
        """(G, 14, 14) how much each limb, by row, takes from each neighbour; rows sum to 1."""
        return torch.softmax(self.edges.masked_fill(~self.neighbours, float("-inf")), -1)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.others(x).unflatten(-1, (self.groups, -1)).transpose(-3, -2)  # (..., G, 14, width / G)
        gathered = (self.weights() @ parts).transpose(-3, -2).flatten(-2)
        return self.itself(x) + gathered


@NETWORKS.register("pof_semgcn")
class PofSemGcn(LimbGraphNetwork):
    Config = SemGcnConfig

    def convolution(self) -> nn.Module:
        return SemanticConvolution(self.config.width, self.config.groups)
