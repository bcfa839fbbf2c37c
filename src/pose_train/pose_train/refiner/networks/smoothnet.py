"""One small network over time that all coordinates of all joints share.

After A. Zeng et al.: SmoothNet, a plug-and-play network for refining human poses in videos, ECCV 2022: fully connected layers
along a window, in residual blocks, alike for every joint and axis; in its motion-aware form a branch each for positions,
velocities and accelerations, joined by a linear layer. Written from the paper, with these differences:

- The published network slides over a recording, gives whole windows and averages what they say of a frame, which takes frames to
  come. Here the window ends at the newest frame and only the frames of the look-aheads are answered.
- Positions enter about the newest one and the answer is added to the one described: the network cannot tell where a joint is,
  only how it moves.
- A joint that is not seen stays where it was. Before it is first seen, it was there already; one that has never been seen is at
  the root. Confidence and deviations are not looked at. The step of time stands beside the window: what is noise depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_core.config import param
from pose_core.networks.step import CONTEXT
from pose_train.refiner.network import LOOK_AHEADS, RefiningNetwork
from pose_train.refiner.networks import NETWORKS
from pose_train.refiner.networks._joints import known, places, root_weights
from pose_train.trunk.network import Outputs, State

SCALE = 0.1
"""Heights; how far joints move within a window."""
SLOPE = 0.1
"""Of a leaky rectifier below 0."""


@dataclass(frozen=True)
class SmoothNetConfig:
    skeleton: str = param("mediapipe33", "skeleton of the joints")
    window: int = param(32, "frames that are seen, with the newest", low=4, high=243)
    look_ahead: int = param(
        8, "largest look-ahead that is answered, below window", low=0, high=LOOK_AHEADS[-1]
    )
    motion: bool = param(True, "branches for velocities and accelerations as well")
    width: int = param(96, "features of a window", low=4, high=1024)
    hidden: int = param(48, "features within a block", low=4, high=1024)
    blocks: int = param(3, "residual blocks of a branch", low=0, high=16)
    dropout: float = param(0.1, "share of features dropped in training", low=0.0, high=0.9)

    @classmethod
    def small(cls) -> SmoothNetConfig:
        return cls(window=12, width=12, hidden=8, blocks=1, dropout=0.0)


class Block(nn.Module):
    """(..., D) to (..., D)"""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.inward, self.outward = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.dropout(functional.leaky_relu(self.inward(x), SLOPE))
        return x + self.dropout(functional.leaky_relu(self.outward(inner), SLOPE))


class Branch(nn.Sequential):
    """(..., frames) and context (..., C) to (..., answers)"""

    def __init__(self, frames: int, answers: int, config: SmoothNetConfig) -> None:
        super().__init__(
            nn.Linear(frames + len(CONTEXT), config.width),
            nn.LeakyReLU(SLOPE),
            *(Block(config.width, config.hidden, config.dropout) for _ in range(config.blocks)),
            nn.Linear(config.width, answers),
        )


@NETWORKS.register("smoothnet")
class SmoothNet(RefiningNetwork):
    """State: where the joints were in the last window - 1 frames (B, window - 1, J, 3), and whether they had been seen by then
    (B, window - 1, J), 1 or 0."""

    Config = SmoothNetConfig

    def __init__(self, config: SmoothNetConfig) -> None:
        super().__init__(config)
        answers = len(self.look_aheads)
        if self.look_aheads[-1] >= config.window:
            raise ValueError(f"look_ahead must be below window, got {config.look_ahead} of {config.window}")
        orders = range(3 if config.motion else 1)
        self.branches = nn.ModuleList(Branch(config.window - order, answers, config) for order in orders)
        self.join = nn.Linear(len(self.branches) * answers, answers)
        # An untrained network changes nothing.
        nn.init.zeros_(self.join.weight)
        nn.init.zeros_(self.join.bias)
        self.root = root_weights(self.skeleton)
        self.described_at = places([config.window - 1 - ahead for ahead in self.look_aheads])

    @property
    def look_aheads(self) -> tuple[int, ...]:
        return tuple(ahead for ahead in LOOK_AHEADS if ahead <= self.config.look_ahead)

    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        there = known(joints)
        frame = torch.arange(joints.shape[1], device=joints.device)[None, :, None]
        last = torch.where(there, frame, -1).cummax(1).values
        place = joints[..., :3].gather(1, last.clamp(min=0)[..., None].expand(*last.shape, 3))
        seen = (last >= 0).to(joints.dtype)
        before = self.config.window - 1
        placed = functional.pad(place * seen[..., None], (0, 0, 0, 0, before, 0)).unfold(1, before + 1, 1)
        seens = functional.pad(seen, (0, 0, before, 0)).unfold(1, before + 1, 1)
        return self._answers(placed, seens, context)

    def initial(self, batch: int) -> State:
        shape = (batch, self.config.window - 1, len(self.skeleton))
        return [self.root.new_zeros(*shape, 3), self.root.new_zeros(shape)]

    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        there = known(joints)
        place = torch.where(there[..., None], joints[..., :3], state[0][:, -1])
        seen = torch.where(there, 1.0, state[1][:, -1])
        placed, seens = torch.cat([state[0], place[:, None]], 1), torch.cat([state[1], seen[:, None]], 1)
        outputs = self._answers(placed.permute(0, 2, 3, 1), seens.transpose(1, 2), context)
        return outputs, [placed[:, 1:], seens[:, 1:]]

    def _answers(self, placed: Tensor, seen: Tensor, context: Tensor) -> Outputs:
        """From windows (..., J, 3, W) of where joints were, whether (..., J, W) they had been seen by then, and (..., C)."""
        came = seen - functional.pad(seen, (1, 0))[..., :-1]
        first = (placed * came[..., None, :]).sum(-1, keepdim=True)
        placed = torch.where(seen[..., None, :] > 0.0, placed, first)
        x = (placed - placed[..., -1:]) / SCALE
        beside = context[..., None, None, :].expand(*x.shape[:-1], -1)
        parts = []
        for branch in self.branches:
            parts.append(branch(torch.cat([x, beside], -1)))
            x = x[..., 1:] - x[..., :-1]
        described = placed.index_select(-1, self.described_at)
        xyz = described + SCALE * self.join(torch.cat(parts, -1))
        xyz = xyz.transpose(-1, -3).transpose(-1, -2)  # (..., K, J, 3)
        # The mean of joints says where the root is only where all of them have been seen.
        off = (self.root * xyz).sum(-2, keepdim=True)
        unseen = ((1.0 - seen[..., -1:]) * self.root).sum((-2, -1))[..., None, None, None]
        return {"xyz": xyz - torch.where(unseen > 0.0, 0.0, off)}
