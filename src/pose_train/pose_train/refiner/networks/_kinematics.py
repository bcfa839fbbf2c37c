"""Rotations and forward kinematics in torch: the twin of `pose_core.geometry.rotations` and
`pose_core.geometry.kinematics.BodyTree`.

Meant for the end of a network, `ForwardKinematics(tree)(matrix_of_6d(six), lengths, root)`. Any leading axes, float32 or float64,
no control flow on data, and gradients that are finite everywhere. Nothing here is NaN-aware: fill in first.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from pose_core.geometry.kinematics import BodyTree

TINY = 1e-20
"""Added to squared lengths: too little to change one that matters in float64, enough to divide by in float32."""


def matrix_of_6d(six: Tensor) -> Tensor:
    """(..., 3, 3) rotations from six numbers (..., 6), the first two columns before they are made unit and square.

    Y. Zhou et al., "On the continuity of rotation representations in neural networks", CVPR 2019, section 4.1. (1, 0, 0, 0, 1, 0)
    is the identity: add it to what a network gives, and training starts there. Vectors that are zero or parallel give a
    matrix that is no rotation, but finite.
    """
    x = _unit(six[..., :3])
    y = six[..., 3:]
    y = _unit(y - (x * y).sum(-1, keepdim=True) * x)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


class ForwardKinematics(nn.Module):
    """`BodyTree.forward` as a module without parameters; what it knows of the tree is no part of a checkpoint.

    What a decoder needs of the tree: `len(tree.heads)` rotations G, `len(tree.child)` bones B, `tree.pairs` (B,) which of
    `tree.pairs.max() + 1` different lengths a bone has in a body that is alike on both sides (`different[..., fk.pairs]`
    gives all B, tied ones equal), `tree.standing_lengths` (B,) in standing heights to start from.
    """

    def __init__(self, tree: BodyTree, dtype: torch.dtype | None = None) -> None:
        """`dtype` of what it knows, torch's default unless told; `.double()` later would keep what rounding has cost."""
        super().__init__()
        at_groups = np.zeros((len(tree.heads), len(tree.skeleton)))
        np.add.at(at_groups, tree.groups, (tree.below * tree.signs).T)
        self.rest = _constant(tree.rest[tree.heads], dtype)
        # One product for all coordinates of all bones: three times the sums, but neither loop nor transposition.
        self.spread = _constant(np.kron(at_groups, np.eye(3)), dtype)
        self.heads = _constant(tree.heads)
        self.pairs = _constant(tree.pairs)
        """(B,) see above."""

    def forward(self, rotations: Tensor, lengths: Tensor, root: Tensor | None = None) -> Tensor:
        """Joints (..., J, 3) from rotations (..., G, 3, 3) in the axes of the pose, lengths (..., B), and the root (..., 3).

        Leading axes broadcast; without `root` it is the origin. Of tied bones the length of the first counts for both, so that
        virtual points are always the means they are.
        """
        turned = (rotations * self.rest[:, None, :]).sum(-1)
        bones = lengths.index_select(-1, self.heads)[..., None] * turned
        joints = (bones.flatten(-2) @ self.spread).unflatten(-1, (-1, 3))
        return joints if root is None else joints + root[..., None, :]


def _constant(array: np.ndarray, dtype: torch.dtype | None = None) -> nn.Buffer:
    """A tensor that moves with its module and is not saved with it: it follows from the skeleton."""
    tensor = torch.from_numpy(array)
    if tensor.is_floating_point():
        tensor = tensor.to(dtype or torch.get_default_dtype())
    return nn.Buffer(tensor, persistent=False)


def _unit(vectors: Tensor) -> Tensor:
    return vectors * ((vectors * vectors).sum(-1, keepdim=True) + TINY).rsqrt()
