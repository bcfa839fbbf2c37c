"""Layers that several networks share: the ends where keypoints enter and joints leave, and windows over time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_core.skeleton import SKELETONS
from pose_train.lifter.network import bounded_log_std
from pose_train.trunk.network import Outputs


class MaskedKeypoints(nn.Module):
    """Keypoints with a learned stand-in for the position of each missing one; confidence 0 still marks it."""

    def __init__(self, skeleton: str) -> None:
        super().__init__()
        joints = len(SKELETONS.get(skeleton))
        self.numbers = 3 * joints
        self.stand_in = nn.Parameter(torch.zeros(joints, 2))

    def forward(self, joints: Tensor) -> Tensor:
        """(..., J, 3) from joints (..., J, 3): x, y, confidence."""
        confidence = joints[..., 2:]
        return torch.cat([torch.where(confidence > 0.0, joints[..., :2], self.stand_in), confidence], -1)


class JointOutputs(nn.Module):
    """Names what a last layer gives: `xyz` moved until the root of the skeleton is the origin, and `log_std`."""

    PER_JOINT = 5
    """x, y, z, and how sure across and along z."""

    def __init__(self, skeleton: str) -> None:
        super().__init__()
        definition = SKELETONS.get(skeleton)
        self.joints = len(definition)
        self.numbers = self.PER_JOINT * self.joints
        weights = definition.root_of(np.eye(len(definition), dtype=np.float32))
        # Follows from the skeleton: no part of a checkpoint.
        self.root = nn.Buffer(torch.from_numpy(weights)[:, None], persistent=False)

    def forward(self, raw: Tensor) -> Outputs:
        """`raw`: (..., 5 J)."""
        raw = raw.unflatten(-1, (self.joints, -1))
        xyz = raw[..., :3]
        xyz = xyz - (self.root * xyz).sum(-2, keepdim=True)
        return {"xyz": xyz, "log_std": bounded_log_std(raw[..., 3:])}


def after_nothing(x: Tensor, frames: int) -> Tensor:
    """(B, frames + T, D): x (B, T, D) after so many frames of zeros, as `windows` that begin before the first one see it."""
    return functional.pad(x, (0, 0, frames, 0))


def windows(x: Tensor, frames: int) -> Tensor:
    """(B T, frames, D) the `frames` up to each of the T of x (B, T, D); zero before the first."""
    return after_nothing(x, frames - 1).unfold(1, frames, 1).transpose(2, 3).flatten(0, 1)
