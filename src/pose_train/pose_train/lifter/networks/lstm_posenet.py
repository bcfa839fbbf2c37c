"""Stacked long short-term memory over the frames.

M. R. I. Hossain, J. J. Little: Exploiting temporal information for 3D human pose estimation, ECCV 2018, section 3, lift sequences
with LSTM layers, normalisation and shortcuts. Here each frame's keypoints become a token and the layers add to it. Two forms:

- causal (the default): one direction; what it knows of the past is two tensors, whose size does not depend on how long that
  was.
- centred: two directions (M. Schuster, K. K. Paliwal, IEEE Trans. Signal Processing 45, 1997) over a window of frames, of which
  the middle one is answered; for recordings, because half a window of future is needed. In training a clip is gone through once,
  as one window, and all its frames are answered: a window for each would cost eighty times as much.
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
from pose_train.lifter.networks._layers import JointOutputs, MaskedKeypoints, after_nothing, windows
from pose_train.trunk.network import Outputs, State


@dataclass(frozen=True)
class LSTMConfig:
    window: int = param(
        81,
        "frames, odd, that the centred form sees at once; the causal form, whose memory has no end, does not use it",
        low=3,
        high=1001,
    )
    centred: bool = param(False, "see window // 2 future frames as well")
    width: int = param(256, "features of a frame, even", low=8, high=4096)
    layers: int = param(2, "LSTM layers", low=1, high=8)
    dropout: float = param(0.1, "share of features dropped in training between layers", low=0.0, high=0.9)

    @classmethod
    def small(cls) -> LSTMConfig:
        return cls(window=7, width=24, layers=2, dropout=0.0)


class Recurrence(nn.Module):
    """A normalised LSTM layer that adds to its input, (N, T, D) to (N, T, D); each of two directions gives half of D."""

    def __init__(self, width: int, both: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.lstm = nn.LSTM(width, width // 2 if both else width, batch_first=True, bidirectional=both)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.lstm(self.norm(x))[0]

    def step(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One frame of one direction: x, hidden and cell (B, D) to the same three.

        Equations of S. Hochreiter, J. Schmidhuber, Neural Computation 9, 1997, with a forget gate, in the order that
        `torch.nn.LSTM` keeps its weights; as products of matrices they export to any runtime.
        """
        of_input, of_hidden, bias, more_bias = self.lstm.all_weights[0]
        gates = functional.linear(self.norm(x), of_input, bias)
        gates = gates + functional.linear(hidden, of_hidden, more_bias)
        enter, keep, new, show = gates.chunk(4, -1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(enter) * torch.tanh(new)
        hidden = torch.sigmoid(show) * torch.tanh(cell)
        return x + hidden, hidden, cell


@NETWORKS.register("lstm_posenet")
class LSTMPoseNet(LiftingNetwork):
    """State of the causal form: hidden and cell (B, layers, D); of the centred one: tokens (B, window - 1, D), zero where no
    frame was yet."""

    Config = LSTMConfig
    skeleton_in = "h36m17"
    skeleton_out = "h36m17"

    def __init__(self, config: LSTMConfig) -> None:
        super().__init__(config)
        if config.window % 2 == 0:
            raise ValueError(f"window must be odd, got {config.window}")
        if config.width % 2:
            raise ValueError(f"width must be even, got {config.width}")
        self.keypoints = MaskedKeypoints(self.skeleton_in)
        self.embed = nn.Sequential(nn.Linear(self.keypoints.numbers + len(CONTEXT), config.width), nn.ReLU())
        self.layers = nn.ModuleList(Recurrence(config.width, config.centred) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)
        self.outputs = JointOutputs(self.skeleton_out)
        self.last = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, self.outputs.numbers))

    @property
    def look_ahead(self) -> int:
        return self.config.window // 2 if self.config.centred else 0

    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        tokens = self._tokens(joints, context)
        if not self.config.centred:
            answers = self._through(tokens)
        elif self.training:
            answers = self._through(after_nothing(tokens, self.look_ahead))[:, : tokens.shape[1]]
        else:
            answers = self._middle(windows(tokens, self.config.window)).unflatten(0, tokens.shape[:2])
        return self.outputs(self.last(answers))

    def initial(self, batch: int) -> State:
        like = self.embed[0].weight
        if self.config.centred:
            return [like.new_zeros(batch, self.config.window - 1, self.config.width)]
        return [like.new_zeros(batch, self.config.layers, self.config.width) for _ in range(2)]

    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        x = self._tokens(joints, context)
        if self.config.centred:
            seen = torch.cat([state[0], x[:, None]], 1)
            return self.outputs(self.last(self._middle(seen))), [seen[:, 1:]]
        hidden, cell = [], []
        for layer, h, c in zip(self.layers, state[0].unbind(1), state[1].unbind(1), strict=True):
            x, h, c = layer.step(self.dropout(x), h, c)
            hidden.append(h)
            cell.append(c)
        return self.outputs(self.last(x)), [torch.stack(hidden, 1), torch.stack(cell, 1)]

    def _tokens(self, joints: Tensor, context: Tensor) -> Tensor:
        """(..., D) from joints (..., J, 3), context (..., C)."""
        return self.embed(torch.cat([self.keypoints(joints).flatten(-2), context], -1))

    def _through(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(self.dropout(x))
        return x

    def _middle(self, window: Tensor) -> Tensor:
        """(N, D) of the middle frames of (N, window, D)."""
        return self._through(window)[:, self.config.window // 2]
