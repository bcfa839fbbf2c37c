"""For tests: a small motion capture pack, of people who swing their limbs, and networks run frame by frame."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pose_train.data import mocap
from pose_train.trunk.network import Outputs, StreamingNetwork

REST = {
    "lhipjoint": (0.09, -0.10, 0.0),
    "lfemur": (0.0, -0.43, 0.0),
    "ltibia": (0.0, -0.42, 0.0),
    "lfoot": (0.0, -0.05, 0.13),
    "ltoes": (0.0, 0.0, 0.06),
    "lowerback": (0.0, 0.11, 0.0),
    "upperback": (0.0, 0.12, 0.0),
    "thorax": (0.0, 0.12, 0.0),
    "lowerneck": (0.0, 0.08, 0.0),
    "upperneck": (0.0, 0.08, 0.0),
    "head": (0.0, 0.07, 0.0),
    "lclavicle": (0.18, 0.06, 0.0),
    "lhumerus": (0.29, 0.0, 0.0),
    "lradius": (0.17, 0.0, 0.0),
    "lwrist": (0.09, 0.0, 0.0),
    "lhand": (0.04, 0.0, 0.0),
    "lfingers": (0.03, 0.0, 0.0),
    "lthumb": (0.03, 0.0, 0.04),
}
"""Bones in the reference pose: standing, facing +z, arms level; metres."""


def rest() -> np.ndarray:
    """(31, 3) joints in the reference pose, feet near the floor."""
    xyz = np.zeros((len(mocap.JOINTS), 3), np.float32)
    xyz[0] = (0.0, 1.0, 0.0)
    for row, name in enumerate(mocap.JOINTS[1:], 1):
        x, y, z = REST[name] if name in REST else REST["l" + name[1:]]
        xyz[row] = xyz[mocap.PARENTS[row]] + (x if name in REST else -x, y, z)
    return xyz


def motion(name: str, subject: str, frames: int, seed: int) -> mocap.Motion:
    """The reference pose walking about and turning, with wobbling joints."""
    random = np.random.default_rng(seed)
    time = np.arange(frames)[:, None, None] / 60.0
    wobble = 0.05 * np.sin(
        2 * np.pi * random.uniform(0.3, 1.5, (31, 3)) * time + random.uniform(0, 6, (31, 3))
    )
    angle = 0.5 * np.sin(0.7 * time[:, 0, 0] + seed)
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros(frames), np.ones(frames)
    turn = np.stack([c, zero, s, zero, one, zero, -s, zero, c], -1).reshape(frames, 3, 3)
    xyz = np.einsum("tij,tkj->tki", turn, rest() + wobble)
    quaternions = np.stack([np.cos(angle / 2), zero, np.sin(angle / 2), zero], -1)
    return mocap.Motion(
        name, subject, xyz.astype(np.float32), np.repeat(quaternions[:, None], 7, 1).astype(np.float32)
    )


def stream(network: StreamingNetwork, joints: Tensor, context: Tensor) -> Outputs:
    """The same as `forward` of joints (B, T, J, F) and context (B, T, C), one frame after the other."""
    state = network.initial(len(joints))
    frames = []
    for t in range(joints.shape[1]):
        outputs, state = network.step(joints[:, t], context[:, t], state)
        frames.append(outputs)
    return {name: torch.stack([frame[name] for frame in frames], 1) for name in frames[0]}
