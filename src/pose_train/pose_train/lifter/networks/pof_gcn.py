"""Graph convolutions with fixed weights between the limbs of one frame.

T. N. Kipf, M. Welling: Semi-supervised classification with graph convolutional networks, ICLR 2017, equation 2: each limb
takes the sum over its neighbours and itself, divided by the roots of both degrees, through one matrix. What the learned edges of
`pof_semgcn` bring is measured against this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lift3d_node.learned.limbs import LIMBS
from pose_core.config import param
from pose_train.lifter.networks import NETWORKS
from pose_train.lifter.networks._pof_graph import LimbGraphNetwork, adjacency


@dataclass(frozen=True)
class GcnConfig:
    width: int = param(256, "features of a limb", low=8, high=1024)
    blocks: int = param(4, "residual blocks of two convolutions", low=1, high=32)
    dropout: float = param(0.0, "share of features dropped in training", low=0.0, high=0.9)

    @classmethod
    def small(cls) -> GcnConfig:
        return cls(width=16, blocks=2)


def normalised(graph: np.ndarray) -> np.ndarray:
    """D^-1/2 (A + I) D^-1/2, float32, with D the degrees of A + I."""
    graph = graph + np.eye(len(graph))
    degree = graph.sum(-1)
    return (graph / np.sqrt(np.outer(degree, degree))).astype(np.float32)


class GraphConvolution(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.graph = nn.Buffer(torch.from_numpy(normalised(adjacency())), persistent=False)
        self.mix = nn.Linear(width, width, bias=False)
        self.bias = nn.Parameter(torch.zeros(len(LIMBS), width))

    def forward(self, x: Tensor) -> Tensor:
        return self.graph @ self.mix(x) + self.bias


@NETWORKS.register("pof_gcn")
class PofGcn(LimbGraphNetwork):
    Config = GcnConfig

    def convolution(self) -> nn.Module:
        return GraphConvolution(self.config.width)
