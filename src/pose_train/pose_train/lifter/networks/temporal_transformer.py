"""Attention between the joints of a frame, then between frames.

After C. Zheng et al.: 3D human pose estimation with spatial and temporal transformers (PoseFormer), ICCV 2021, section 3.2:
joints as tokens within a frame, their concatenation as the token of the frame, a transformer over frames. Two forms:

- causal (the default): a frame attends to itself and the `window` - 1 before it. The keys and values of these are kept, for each
  layer, as they were computed, so that a new frame costs one query over a window instead of a window of queries. With L layers
  what is seen reaches L (window - 1) frames back.
- centred: all frames of a window attend to each other and the middle one is answered, as published; for recordings,
  because half a window of future is needed. In training a clip is gone through once, and all its frames are answered, each from
  those less than a window away: a window for each would cost eighty times as much.

The paper's learned positions are places in a window. A cache of keys allows only what does not change as the window moves on:
the positions here are distances, a learned bias for each head and distance (P. Shaw et al., NAACL 2018; C. Raffel et al.,
JMLR 21, 2020, section 2.1), shared by the layers, that starts as the fixed slopes of O. Press et al. (ALiBi), ICLR 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lift3d_node.learned.encoding import CONTEXT
from pose_core.config import param
from pose_core.skeleton import SKELETONS
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks import NETWORKS
from pose_train.lifter.networks._layers import JointOutputs, MaskedKeypoints, after_nothing, windows
from pose_train.trunk.network import Outputs, State


@dataclass(frozen=True)
class TransformerConfig:
    window: int = param(81, "frames that a frame attends to, odd", low=3, high=1001)
    centred: bool = param(False, "see window // 2 future frames as well")
    joint_width: int = param(32, "features of a joint", low=4, high=512)
    joint_layers: int = param(2, "layers of attention between joints", low=0, high=16)
    joint_heads: int = param(4, "heads of these; divide joint_width", low=1, high=64)
    width: int = param(192, "features of a frame", low=8, high=2048)
    layers: int = param(3, "layers of attention between frames", low=1, high=16)
    heads: int = param(8, "heads of these; divide width", low=1, high=64)
    dropout: float = param(0.1, "share of features dropped in training", low=0.0, high=0.9)

    @classmethod
    def small(cls) -> TransformerConfig:
        return cls(
            window=5, joint_width=8, joint_layers=1, joint_heads=2, width=24, layers=2, heads=2, dropout=0.0
        )


class Layer(nn.Module):
    """A layer of a transformer encoder, normalised before each part: (N, S, D) to (N, S, D)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.merge = nn.Linear(width, width)
        self.each = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """`bias`: what is added to the scores, (H, S, S)."""
        normed = self.before_attention(x)
        return self._add(x, self._attend(normed, self.key_value(normed), bias))

    def step(self, x: Tensor, cache: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """The newest frame, x (B, D), after the keys and values of the frames before it, `cache` (B, W - 1, 2 D).

        `bias` (B, H, 1, W), oldest first. Gives x and the next cache.
        """
        normed = self.before_attention(x)[:, None]
        seen = torch.cat([cache, self.key_value(normed)], 1)
        return self._add(x[:, None], self._attend(normed, seen, bias))[:, 0], seen[:, 1:]

    def _attend(self, normed: Tensor, key_value: Tensor, bias: Tensor | None) -> Tensor:
        # Each (N, H, S, D / H).
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(normed), *key_value.chunk(2, -1))
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.merge(mixed.transpose(1, 2).flatten(2))

    def _add(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.dropout(attended)
        return x + self.dropout(self.each(x))


class Frames(nn.Module):
    """Tokens of frames (N, D) from the joints of each, by attention between these."""

    def __init__(self, config: TransformerConfig, skeleton: str) -> None:
        super().__init__()
        joints = len(SKELETONS.get(skeleton))
        self.keypoints = MaskedKeypoints(skeleton)
        self.embed = nn.Linear(3, config.joint_width)
        self.identity = nn.Parameter(0.1 * torch.randn(joints, config.joint_width))  # which joint a token is
        self.layers = nn.ModuleList(
            Layer(config.joint_width, config.joint_heads, config.dropout) for _ in range(config.joint_layers)
        )
        self.join = nn.Linear(joints * config.joint_width + len(CONTEXT), config.width)

    def forward(self, joints: Tensor, context: Tensor) -> Tensor:
        """Joints (N, J, 3), context (N, C)."""
        x = self.embed(self.keypoints(joints)) + self.identity
        for layer in self.layers:
            x = layer(x)
        return self.join(torch.cat([x.flatten(1), context], 1))


@NETWORKS.register("temporal_transformer")
class TemporalTransformer(LiftingNetwork):
    """State of the causal form: which of the last window - 1 frames there were, (B, window - 1), 1 or 0, and per layer their keys
    and values (B, window - 1, 2 D); of the centred one: tokens of frames (B, window - 1, D), zero where no frame was yet."""

    Config = TransformerConfig
    skeleton_in = "h36m17"
    skeleton_out = "h36m17"

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        if config.window % 2 == 0:
            raise ValueError(f"window must be odd, got {config.window}")
        if config.width % config.heads:
            raise ValueError(f"heads must divide width, got {config.heads} heads for width {config.width}")
        if config.joint_width % config.joint_heads:
            raise ValueError(
                f"joint_heads must divide joint_width, got {config.joint_heads} heads for width {config.joint_width}"
            )
        self.frames = Frames(config, self.skeleton_in)
        self.layers = nn.ModuleList(
            Layer(config.width, config.heads, config.dropout) for _ in range(config.layers)
        )
        offsets = torch.arange(1 - config.window, config.window if config.centred else 1)
        slopes = torch.exp2(-8.0 * torch.arange(1, config.heads + 1) / config.heads)
        # (H, offsets of a key from the query, oldest first)
        self.bias = nn.Parameter(-slopes[:, None] * offsets.abs())
        self.outputs = JointOutputs(self.skeleton_out)
        self.last = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, self.outputs.numbers))

    @property
    def look_ahead(self) -> int:
        return self.config.window // 2 if self.config.centred else 0

    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        batch, frames = joints.shape[:2]
        tokens = self.frames(joints.flatten(0, 1), context.flatten(0, 1)).unflatten(0, (batch, frames))
        if self.config.centred and self.training:
            shown = after_nothing(tokens, self.look_ahead)
            answers = self._through(shown, self._bias(shown.shape[1]))[:, :frames]
        elif self.config.centred:
            answers = self._middle(windows(tokens, self.config.window)).unflatten(0, (batch, frames))
        else:
            answers = self._through(tokens, self._bias(frames))
        return self.outputs(self.last(answers))

    def initial(self, batch: int) -> State:
        like, past, width = self.bias, self.config.window - 1, self.config.width
        if self.config.centred:
            return [like.new_zeros(batch, past, width)]
        caches = [like.new_zeros(batch, past, 2 * width) for _ in self.layers]
        return [like.new_zeros(batch, past), *caches]

    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        x = self.frames(joints, context)
        if self.config.centred:
            seen = torch.cat([state[0], x[:, None]], 1)
            return self.outputs(self.last(self._middle(seen))), [seen[:, 1:]]
        there = torch.cat([state[0], torch.ones_like(state[0][:, :1])], 1)
        bias = torch.where(there[:, None, None] > 0.0, self.bias[:, None], float("-inf"))  # (B, H, 1, W)
        caches = []
        for layer, cache in zip(self.layers, state[1:], strict=True):
            x, cache = layer.step(x, cache, bias)
            caches.append(cache)
        return self.outputs(self.last(x)), [there[:, 1:], *caches]

    def _bias(self, frames: int) -> Tensor:
        """(H, T, T) the bias of each query (row) towards each key: -inf for frames to come and those out of the window.

        For T = window of the centred form, every frame sees every other.
        """
        frame = torch.arange(frames, device=self.bias.device)
        slot = frame - frame[:, None] + self.config.window - 1
        inside = (slot >= 0) & (slot < self.bias.shape[1])
        return self.bias[:, slot.clamp(0, self.bias.shape[1] - 1)].masked_fill(~inside, float("-inf"))

    def _through(self, x: Tensor, bias: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, bias)
        return x

    def _middle(self, window: Tensor) -> Tensor:
        """(N, D) of the middle frames of (N, window, D)."""
        return self._through(window, self._bias(self.config.window))[:, self.config.window // 2]
