"""What networks know of joints: which are there, and where the root lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from pose_core.skeleton import Skeleton
from refine_node.encoding import FEATURES

CONFIDENCE = FEATURES.index("confidence")
LOG_STD = FEATURES.index("log_std")


def known(joints: Tensor) -> Tensor:
    """(..., J) true where joints (..., J, 5) of `refine_node.encoding` are not missing."""
    return joints[..., CONFIDENCE] > 0.0


def constant(array: ArrayLike) -> nn.Buffer:
    """What follows from the configuration: it moves with the network, but is no part of a checkpoint."""
    return nn.Buffer(torch.from_numpy(np.array(array, np.float32)), persistent=False)


def root_weights(skeleton: Skeleton) -> nn.Buffer:
    """(J, 1) how much each joint counts for the root, which is the sum of weights times joints."""
    return constant(skeleton.root_of(np.eye(len(skeleton)))[:, None])


def places(at: Sequence[int]) -> nn.Buffer:
    """(N,) to select by."""
    return nn.Buffer(torch.tensor(at, dtype=torch.int64), persistent=False)
