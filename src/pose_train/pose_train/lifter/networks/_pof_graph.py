"""What networks that give the directions of limbs have in common: their two ends, the graph of limbs, blocks of convolutions.

The limbs are those of `lift3d_node.learned.limbs`; all edges of their graph follow from that table.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lift3d_node.learned.encoding import CONTEXT
from lift3d_node.learned.limbs import FLIP, LENGTH_SHARES, LIMBS
from pose_core.skeleton import SKELETONS
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks._layers import MaskedKeypoints
from pose_train.trunk.network import Outputs, State

FULL_LENGTH = 0.3 / LENGTH_SHARES[:, None]
"""(14, 1) what turns a limb across the line of sight, in sizes of the view, to about length 1: joints lie 0.3 heights from the
person's centre (root mean square)."""

NUMBERS = 3 + 1
"""Of a limb's answer: its direction and the logit that it points towards the camera."""


def relations() -> dict[str, np.ndarray]:
    """Kinds of edges between the limbs, (14, 14) symmetric and without overlap.

    "kinematic": one limb ends where the other begins, as along arm and leg. The widths of shoulders and hips begin on the left
    only because they must somewhere, so what holds on one side holds on the other. "sharing": they begin, or end, at the same
    joint. "symmetry": the same limb, left and right.
    """
    parent, child = (np.array(ends) for ends in zip(*LIMBS, strict=True))
    follows = child[:, None] == parent
    kinematic = follows | follows.T
    kinematic |= kinematic[np.ix_(FLIP, FLIP)]
    common = (parent[:, None] == parent) | (child[:, None] == child)
    sharing = common & ~kinematic & ~np.eye(len(LIMBS), dtype=bool)
    symmetry = (FLIP[:, None] == np.arange(len(LIMBS))) & (FLIP != np.arange(len(LIMBS)))
    return {"kinematic": kinematic, "sharing": sharing, "symmetry": symmetry}


def adjacency() -> np.ndarray:
    """(14, 14) bool: neighbours of any kind, without the limb itself."""
    return np.any(list(relations().values()), axis=0)


class LimbInputs(nn.Module):
    """What is known of each limb: its two keypoints with their confidences, the vector between them and its length."""

    numbers = 3 + 3 + 2 + 1

    def __init__(self, skeleton: str) -> None:
        super().__init__()
        parents, children = zip(*LIMBS, strict=True)
        self.starts = SKELETONS.get(skeleton).indices(*parents)
        self.ends = SKELETONS.get(skeleton).indices(*children)

    def forward(self, keypoints: Tensor) -> Tensor:
        """(..., 14, 9) from keypoints (..., J, 3), of which none is missing any more; the vector is in [..., 6:8]."""
        start, end = keypoints[..., self.starts, :], keypoints[..., self.ends, :]
        flat = end[..., :2] - start[..., :2]
        return torch.cat([start, end, flat, flat.norm(dim=-1, keepdim=True)], -1)


class LimbOutputs(nn.Module):
    """Names what a last layer gives. The limb's vector in the image is added to its direction: what remains to be found is z, and
    by how much perspective and wrong keypoints turn it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.from_numpy(FULL_LENGTH).float())

    def forward(self, raw: Tensor, limbs: Tensor) -> Outputs:
        """From `raw` (..., 14, 4) and `limbs` (..., 14, 9) of `LimbInputs`."""
        directions = raw[..., :3] + functional.pad(self.scale * limbs[..., 6:8], (0, 1))
        return {"limbs": functional.normalize(directions, dim=-1, eps=1e-6), "toward": raw[..., 3]}


class Block(nn.Module):
    """Two convolutions that a shortcut bridges (Zhao et al. 2019, section 3.3, with features normalised limb by limb in place
    of over the batch)."""

    def __init__(self, first: nn.Module, second: nn.Module, width: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for convolution in (first, second):
            layers += [convolution, nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class LimbGraphNetwork(LiftingNetwork):
    """A network whose nodes are limbs; subclasses say how features travel between them.

    Each limb starts from its own keypoints and a summary of all, because the face, which shows where a person looks, has no limb.
    """

    skeleton_in = "coco17"
    skeleton_out = "coco17"

    context: tuple[str, ...] = ("log_size",)
    """What it takes of the encoding's context; all but the angular size tells of the frame before."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.given = [CONTEXT.index(name) for name in self.context]
        self.keypoints = MaskedKeypoints(self.skeleton_in)
        self.inputs = LimbInputs(self.skeleton_in)
        self.own = nn.Linear(self.inputs.numbers, config.width)
        self.all = nn.Linear(self.keypoints.numbers + len(self.given), config.width)
        self.identity = nn.Parameter(0.1 * torch.randn(len(LIMBS), config.width))  # which limb a node is
        self.blocks = nn.Sequential(
            *(
                Block(self.convolution(), self.convolution(), config.width, config.dropout)
                for _ in range(config.blocks)
            )
        )
        self.last = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, NUMBERS))
        self.outputs = LimbOutputs()

    @abstractmethod
    def convolution(self) -> nn.Module:
        """A layer from features (..., 14, width) to features of the same shape."""

    def describe(self, joints: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Features (..., 14, width) before the blocks, and `LimbInputs` (..., 14, 9), of any number of frames."""
        keypoints = self.keypoints(joints)
        limbs = self.inputs(keypoints)
        everything = torch.cat([keypoints.flatten(-2), context[..., self.given]], -1)
        return self.own(limbs) + self.all(everything).unsqueeze(-2) + self.identity, limbs

    def answer(self, features: Tensor, limbs: Tensor) -> Outputs:
        """From what `describe` gave."""
        return self.outputs(self.last(self.blocks(features)), limbs)

    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        return self.answer(*self.describe(joints, context))

    def initial(self, batch: int) -> State:
        return []

    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        return self.answer(*self.describe(joints, context)), []
