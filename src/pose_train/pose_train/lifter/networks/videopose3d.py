"""Dilated temporal convolutions over whole frames, causal.

D. Pavllo, C. Feichtenhofer, D. Grangier, M. Auli: 3D human pose estimation in video with temporal convolutions and
semi-supervised training, CVPR 2019, section 3, in its causal form: a convolution over three frames, then residual blocks of one
over three frames, three times as far apart in each, and one over a single frame. Published are 27 frames (filter widths 3, 3, 3)
and 243 (3, 3, 3, 3, 3), with 1024 channels.

Two things differ from the paper. Features are normalised per frame instead of over the batch, so that people of one batch do not
depend on each other and training, streaming and export compute the same. And before the first frame every convolution sees
zeros, where the paper repeats that frame, which a stream cannot do without filling all buffers at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lift3d_node.learned.encoding import CONTEXT
from pose_core.config import param
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks import NETWORKS
from pose_train.lifter.networks._layers import JointOutputs, MaskedKeypoints
from pose_train.trunk.network import Outputs, State

TAPS = 3
"""Frames that a convolution sees."""


@dataclass(frozen=True)
class TemporalConvolutionConfig:
    """The default sees 27 frames, `frames=243` the longer past that is published."""

    frames: int = param(
        27, "frames that an answer depends on, a power of 3; published 27 and 243", low=3, high=729
    )
    channels: int = param(512, "features of a frame; published 1024", low=8, high=4096)
    dropout: float = param(0.1, "share of features dropped in training; published 0.25", low=0.0, high=0.9)

    @classmethod
    def small(cls) -> TemporalConvolutionConfig:
        return cls(frames=9, channels=32, dropout=0.0)


class CausalConvolution(nn.Module):
    """A convolution over frames t - 2 d, t - d and t, normalised and rectified: (B, T, C) to (B, T, C').

    Its past is a buffer of 2 d frames.
    """

    def __init__(self, channels_in: int, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.dilation = dilation
        self.past = (TAPS - 1) * dilation
        self.convolution = nn.Conv1d(channels_in, channels, TAPS, dilation=dilation)
        self.after = nn.Sequential(nn.LayerNorm(channels), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x.transpose(1, 2), (self.past, 0))
        return self.after(self.convolution(padded).transpose(1, 2))

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """One frame x (B, C) after `past` (B, 2 d, C), oldest first: (B, C') and the next past."""
        seen = torch.cat([past, x[:, None]], 1)
        taps = seen[:, :: self.dilation].transpose(1, 2).flatten(1)  # (B, C taps), as the weights lie
        out = functional.linear(taps, self.convolution.weight.flatten(1), self.convolution.bias)
        return self.after(out), seen[:, 1:]


@NETWORKS.register("videopose3d")
class VideoPose3D(LiftingNetwork):
    """State: the inputs of each convolution over frames, (B, 2 d, C)."""

    Config = TemporalConvolutionConfig
    skeleton_in = "h36m17"
    skeleton_out = "h36m17"

    def __init__(self, config: TemporalConvolutionConfig) -> None:
        super().__init__(config)
        dilations = [1]
        while dilations[-1] * TAPS < config.frames:
            dilations.append(dilations[-1] * TAPS)
        if dilations[-1] * TAPS != config.frames:
            raise ValueError(f"frames must be a power of 3, such as 27 or 243, got {config.frames}")
        self.keypoints = MaskedKeypoints(self.skeleton_in)
        numbers, channels = self.keypoints.numbers + len(CONTEXT), config.channels
        self.convolutions = nn.ModuleList(
            CausalConvolution(channels if dilation > 1 else numbers, channels, dilation, config.dropout)
            for dilation in dilations
        )
        self.single = nn.ModuleList(
            nn.Sequential(
                nn.Linear(channels, channels), nn.LayerNorm(channels), nn.ReLU(), nn.Dropout(config.dropout)
            )
            for _ in dilations[1:]
        )
        self.outputs = JointOutputs(self.skeleton_out)
        self.last = nn.Linear(channels, self.outputs.numbers)

    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        x = self.convolutions[0](self._numbers(joints, context))
        for convolution, single in zip(self.convolutions[1:], self.single, strict=True):
            x = x + single(convolution(x))
        return self.outputs(self.last(x))

    def initial(self, batch: int) -> State:
        return [
            layer.convolution.weight.new_zeros(batch, layer.past, layer.convolution.in_channels)
            for layer in self.convolutions
        ]

    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        x, past = self.convolutions[0].step(self._numbers(joints, context), state[0])
        following = [past]
        for convolution, single, before in zip(self.convolutions[1:], self.single, state[1:], strict=True):
            inner, past = convolution.step(x, before)
            x = x + single(inner)
            following.append(past)
        return self.outputs(self.last(x)), following

    def _numbers(self, joints: Tensor, context: Tensor) -> Tensor:
        """(..., 3 J + C) what a frame tells."""
        return torch.cat([self.keypoints(joints).flatten(-2), context], -1)
