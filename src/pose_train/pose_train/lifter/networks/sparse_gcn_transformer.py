"""Graph convolution over the bones and attention between all joints of one frame.

A token per joint. Each layer first mixes along the skeleton, with the neighbours split by where they lie, as the partition of
S. Yan, Y. Xiong, D. Lin: Spatial temporal graph convolutional networks, AAAI 2018: the joint itself, the one towards the root,
those away from it, and here its mirror image. Each kind is averaged (adjacency over degree; T. N. Kipf, M. Welling, ICLR 2017)
and has weights of its own. Attention between all joints follows (A. Vaswani et al., NeurIPS 2017), for what bones do not connect,
then a layer per token. K. Lin, L. Wang, Z. Liu: Mesh Graphormer, ICCV 2021, put both into one layer too, attention first.
Everything adds to what came before, normalised first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lift3d_node.learned.encoding import CONTEXT
from pose_core.config import param
from pose_core.skeleton import SKELETONS, Skeleton
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks import NETWORKS
from pose_train.lifter.networks._layers import JointOutputs, MaskedKeypoints
from pose_train.trunk.network import Outputs, State


@dataclass(frozen=True)
class GCNConfig:
    width: int = param(128, "features of a joint", low=8, high=1024)
    layers: int = param(6, "layers of graph convolution and attention", low=1, high=32)
    heads: int = param(4, "attention heads; divide the width", low=1, high=64)
    mirrors: bool = param(True, "whether a left joint and its right counterpart are neighbours")
    infer_missing: bool = param(True, "whether joints that were not seen are inferred before lifting")
    dropout: float = param(0.0, "share of features dropped in training", low=0.0, high=0.9)

    @classmethod
    def small(cls) -> GCNConfig:
        return cls(width=16, layers=2, heads=2)


def neighbours(skeleton: Skeleton, mirrors: bool) -> np.ndarray:
    """(K, J, J) float32 averages over each kind of neighbour: the joint itself, the one towards the root, those away from it,
    its mirror image where `mirrors`.

    A row sums to 1, or to 0 where a joint has no such neighbour. Raises ValueError for a skeleton with virtual points.
    """
    if skeleton.virtual:
        raise ValueError(
            f"a graph of joints needs bones between joints alone, '{skeleton.name}' has virtual points"
        )
    itself = np.eye(len(skeleton), dtype=np.float32)
    parent, child = skeleton.edges.T
    towards = np.zeros_like(itself)
    towards[child, parent] = 1.0
    kinds = [itself, towards, towards.T]
    if mirrors:
        kinds.append(itself[skeleton.flip] * (1.0 - itself))  # not joints on the middle line
    graph = np.stack(kinds)
    return graph / np.maximum(graph.sum(-1, keepdims=True), 1.0)


class GraphConvolution(nn.Module):
    """Joints' features (..., J, D) to (..., J, D): what each kind of neighbour has on average, weighted by kind."""

    def __init__(self, width: int, graph: np.ndarray) -> None:
        super().__init__()
        self.graph = nn.Buffer(torch.from_numpy(graph), persistent=False)
        # How much a joint listens to each kind.
        self.gain = nn.Parameter(torch.ones(len(graph), graph.shape[1], 1))
        self.mix = nn.Linear(len(graph) * width, width)

    def forward(self, x: Tensor) -> Tensor:
        gathered = (self.graph * self.gain) @ x.unsqueeze(-3)  # (..., K, J, D)
        return self.mix(gathered.transpose(-3, -2).flatten(-2))


class JointAttention(nn.Module):
    """Multi-head attention between the joints of a frame: (N, J, D) to (N, J, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        split = self.query_key_value(x).unflatten(-1, (3, self.heads, -1))  # (N, J, 3, H, D / H)
        split = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(split[0], split[1], split[2])
        return self.merge(mixed.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, config: GCNConfig, graph: np.ndarray) -> None:
        super().__init__()
        width = config.width
        self.convolution = nn.Sequential(nn.LayerNorm(width), GraphConvolution(width, graph), nn.GELU())
        self.attention = nn.Sequential(nn.LayerNorm(width), JointAttention(width, config.heads))
        self.each = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.convolution(x))
        x = x + self.dropout(self.attention(x))
        return x + self.dropout(self.each(x))


@NETWORKS.register("sparse_gcn_transformer")
class SparseGCNTransformer(LiftingNetwork):
    """Single frames; of the context it takes the angular size alone: the rest tells of the frame before.

    `torch.jit.script` takes it as it is.
    """

    Config = GCNConfig
    skeleton_in = "mpi_inf28"
    skeleton_out = "mpi_inf28"
    __jit_unused_properties__ = ("look_ahead",)

    def __init__(self, config: GCNConfig) -> None:
        super().__init__(config)
        if config.width % config.heads:
            raise ValueError(f"heads must divide width, got {config.heads} heads for width {config.width}")
        skeleton = SKELETONS.get(self.skeleton_in)
        graph = neighbours(skeleton, config.mirrors)
        self.log_size = CONTEXT.index("log_size")
        self.keypoints = MaskedKeypoints(self.skeleton_in)
        self.embed = nn.Linear(3 + 1, config.width)
        self.identity = nn.Parameter(0.1 * torch.randn(len(skeleton), config.width))  # which joint a token is
        self.layers = nn.Sequential(*(Layer(config, graph) for _ in range(config.layers)))
        self.last = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, JointOutputs.PER_JOINT))
        self.outputs = JointOutputs(self.skeleton_out)

    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        batch, frames = joints.shape[:2]
        single = self.lift(joints.flatten(0, 1), context.flatten(0, 1))
        return {name: value.unflatten(0, (batch, frames)) for name, value in single.items()}

    def lift(self, joints: Tensor, context: Tensor) -> Outputs:
        """One frame each: joints (N, J, 3), context (N, C)."""
        size = context[:, None, self.log_size : self.log_size + 1].expand(-1, joints.shape[1], -1)
        tokens = self.embed(torch.cat([self.keypoints(joints), size], -1)) + self.identity  # (N, J, D)
        return self.outputs(self.last(self.layers(tokens)).flatten(-2))

    def initial(self, batch: int) -> State:
        return []

    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        return self.lift(joints, context), []
