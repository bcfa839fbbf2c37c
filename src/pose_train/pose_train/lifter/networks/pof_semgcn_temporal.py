"""`pof_semgcn` that remembers: the directions found in the frame before are part of what a limb starts from.

They are all of its memory. They settle the sign of z where one frame leaves it open: a limb does not jump from pointing at the
camera to pointing away within a thirtieth of a second.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lift3d_node.learned.encoding import CONTEXT
from lift3d_node.learned.limbs import LIMBS
from pose_train.lifter.networks import NETWORKS
from pose_train.lifter.networks.pof_semgcn import PofSemGcn, SemGcnConfig
from pose_train.trunk.network import Outputs, State


@NETWORKS.register("pof_semgcn_temporal")
class PofSemGcnTemporal(PofSemGcn):
    """State: directions (B, 14, 3) of the frame before; all zero before the first."""

    context = CONTEXT

    def __init__(self, config: SemGcnConfig) -> None:
        super().__init__(config)
        self.recall = nn.Linear(3, config.width, bias=False)

    def forward(self, joints: Tensor, context: Tensor, previous: Tensor | None = None) -> Outputs:
        """`previous` (B, T, 14, 3): directions in the frame before each, 0 where there is none, when they are known in
        training (teacher forcing), which takes all frames at once; by default they are those it finds itself, frame by frame."""
        features, limbs = self.describe(joints, context)
        if previous is not None:
            return self.answer(features + self.recall(previous), limbs)
        (before,) = self.initial(len(joints))
        frames = []
        for t in range(joints.shape[1]):
            frames.append(self.answer(features[:, t] + self.recall(before), limbs[:, t]))
            before = frames[-1]["limbs"]
        return {name: torch.stack([frame[name] for frame in frames], 1) for name in frames[0]}

    def initial(self, batch: int) -> State:
        return [self.recall.weight.new_zeros(batch, len(LIMBS), 3)]

    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        (before,) = state
        features, limbs = self.describe(joints, context)
        outputs = self.answer(features + self.recall(before), limbs)
        return outputs, [outputs["limbs"]]
