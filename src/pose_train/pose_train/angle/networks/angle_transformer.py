"""Attention between the groups of a person: what one joint does limits what the others can do.

Each of the 12 groups is a token, made of its rotation, how sure and how observable its angles are, and by what turn it came from
each of the frames of a short window to where it is now. Layers of attention (A. Vaswani et al., NeurIPS 2017, normalised before
each part) let every group look at all others, with a learned bias for each pair. What a group has come to gives a small turn of
its rotation, and shares of the turns back to the frames before: products of rotations, which layers learn badly. Motion stands in
the window alone, so that a frame costs the same whatever came before, and the state is the window itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_biomechanics.angle_encoding import CONTEXT, FEATURES
from pose_biomechanics.isb import GROUPS
from pose_core.config import param
from pose_train.angle.network import AngleNetwork
from pose_train.angle.networks import NETWORKS
from pose_train.trunk.attention import Attention
from pose_train.trunk.network import Outputs, State

CORRECTION = 0.1
"""Scale of what is learnt, in radians: near the errors that are to be corrected."""
SIX = 6
"""The first features of a group, X and Y of its rotation."""


@dataclass(frozen=True)
class AngleTransformerConfig:
    window: int = param(8, "frames that an answer depends on, with its own", low=2, high=64)
    width: int = param(128, "features of a group", low=8, high=512)
    layers: int = param(4, "layers of attention between groups", low=1, high=16)
    heads: int = param(4, "heads of these; divide width", low=1, high=32)
    dropout: float = param(0.0, "share of features dropped in training", low=0.0, high=0.9)

    @classmethod
    def small(cls) -> AngleTransformerConfig:
        return cls(window=3, width=16, layers=2, heads=2)


@NETWORKS.register("angle_transformer")
class AngleTransformer(AngleNetwork):
    """State: what was seen in the frames of the window before the newest, (B, window - 1, G, F + C)."""

    Config = AngleTransformerConfig

    def __init__(self, config: AngleTransformerConfig) -> None:
        super().__init__(config)
        if config.width % config.heads:
            raise ValueError(f"heads must divide width, got {config.heads} heads for width {config.width}")
        groups, width = len(GROUPS), config.width
        self.past, self.numbers = config.window - 1, len(FEATURES) + len(CONTEXT)
        self.see = nn.Linear(self.numbers + self.past * (self.numbers - SIX + 3), 2 * width)
        self.which = nn.Parameter(0.1 * torch.randn(groups, 2 * width))
        self.embed = nn.Linear(2 * width, width)
        self.layers = nn.ModuleList(
            Attention(width, config.heads, config.dropout) for _ in range(config.layers)
        )
        # (layer, head, group that looks, group looked at)
        self.bias = nn.Parameter(torch.zeros(config.layers, config.heads, groups, groups))
        last = nn.Linear(width, 3 + 3 * self.past)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), last)

    def forward(self, groups: Tensor, context: Tensor) -> Outputs:
        batch, frames = groups.shape[:2]
        seen = functional.pad(_together(groups, context), (0, 0, 0, 0, self.past, 0))
        # (B, T, G, F + C, window) to (B T, window, G, F + C), oldest first
        window = seen.unfold(1, self.past + 1, 1).permute(0, 1, 4, 2, 3).flatten(0, 1)
        return {"turn": self._turn(window).unflatten(0, (batch, frames))}

    def initial(self, batch: int) -> State:
        return [self.bias.new_zeros(batch, self.past, len(GROUPS), self.numbers)]

    def step(self, groups: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        window = torch.cat([state[0], _together(groups, context)[:, None]], 1)
        return {"turn": self._turn(window)}, [window[:, 1:]]

    def _turn(self, window: Tensor) -> Tensor:
        """(N, G, 3) from what was seen in each frame, (N, window, G, F + C)."""
        newest, before = window[:, self.past], window[:, : self.past]
        back = _turns(newest[:, None, :, :SIX], before[..., :SIX])
        seen = torch.cat([back / CORRECTION, before[..., SIX:]], -1)
        seen = torch.cat([newest, seen.transpose(1, 2).flatten(2)], -1)
        x = self.embed(functional.gelu(self.see(seen) + self.which))
        for layer, bias in zip(self.layers, self.bias, strict=True):
            normed = layer.norm(x)
            x = layer(x, normed, layer.keys(normed, len(GROUPS)), bias, len(GROUPS))
        alone, shares = self.last(x).split([3, 3 * self.past], -1)
        shares = shares.unflatten(-1, (self.past, 3)).transpose(1, 2)
        turn: Tensor = CORRECTION * alone + (shares * back).sum(1)
        return turn


def _turns(here: Tensor, there: Tensor) -> Tensor:
    """(..., 3) turns about X, Y and Z that lead from one rotation to another, as sines; both as six numbers (..., 6), zero if
    unknown, which gives zero."""
    x, y = here[..., :3], here[..., 3:]
    other_x, other_y = there[..., :3], there[..., 3:]
    z, other_z = torch.linalg.cross(x, y), torch.linalg.cross(other_x, other_y)

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(-1)

    pairs = [(z, other_y, y, other_z), (x, other_z, z, other_x), (y, other_x, x, other_y)]
    return 0.5 * torch.stack([dot(a, b) - dot(c, d) for a, b, c, d in pairs], -1)


def _together(groups: Tensor, context: Tensor) -> Tensor:
    """(..., G, F + C): every group is told the context."""
    return torch.cat([groups, context[..., None, :].expand(*groups.shape[:-1], len(CONTEXT))], -1)
