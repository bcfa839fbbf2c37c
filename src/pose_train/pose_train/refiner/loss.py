"""What refining networks are trained for. All lengths are in standing heights, all terms are means over frames and look-aheads.

The answer to frame t for look-ahead L is of frame t - L. Before the first L frames have passed there is no such frame: those
answers take part in no term.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pose_core.config import check, param
from pose_core.skeleton import Skeleton
from pose_train.refiner.network import RefiningNetwork
from pose_train.trunk.batch import Batch
from pose_train.trunk.deviations import LAPLACE
from pose_train.trunk.network import Outputs


@dataclass(frozen=True)
class RefinerWeights:
    """How much each term counts."""

    position: float = param(1.0, "distance of joints from the truth", low=0.0)
    bones: float = param(0.5, "absolute error of bones' lengths", low=0.0)
    velocity: float = param(1.0, "distance of differences between two frames from the true ones", low=0.0)
    acceleration: float = param(1.0, "the same of second differences", low=0.0)
    likelihood: float = param(0.01, "Laplace likelihood of the errors under the standard deviations", low=0.0)

    def __post_init__(self) -> None:
        check(self)


class RefinerLoss:
    """Terms for networks of one skeleton."""

    def __init__(self, network: RefiningNetwork, weights: RefinerWeights) -> None:
        self._weights = weights
        self._look_aheads = network.look_aheads
        self._nodes = node_matrix(network.skeleton)
        self._parents, self._children = network.skeleton.edges.T.tolist()

    def __call__(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Mapping[str, float]]:
        """The weighted sum, and each term."""
        weights = self._weights
        truth, there = delayed(batch.target["xyz"], batch.known, self._look_aheads)
        xyz = outputs["xyz"]
        error = xyz - truth
        terms = {"position": weights.position * _mean(error.norm(dim=-1), there)}
        gap = self._bone_lengths(xyz) - self._bone_lengths(truth)
        terms["bones"] = weights.bones * _mean(gap.abs(), there)
        if truth.shape[1] > 2:
            two = there[:, 1:] & there[:, :-1]
            terms["velocity"] = weights.velocity * _mean(torch.diff(error, dim=1).norm(dim=-1), two)
            three = two[:, 1:] & two[:, :-1]
            bent = torch.diff(error, n=2, dim=1)
            terms["acceleration"] = weights.acceleration * _mean(bent.norm(dim=-1), three)
        if "log_std" in outputs:
            terms["likelihood"] = weights.likelihood * _mean(_surprise(error, outputs["log_std"]), there)
        total = torch.stack(list(terms.values())).sum()
        return total, {name: float(term.detach()) for name, term in terms.items()}

    def _bone_lengths(self, xyz: Tensor) -> Tensor:
        """(n, T, K, B)"""
        nodes = torch.einsum("mj,...ji->...mi", self._nodes.to(xyz), xyz)
        return (nodes[..., self._children, :] - nodes[..., self._parents, :]).norm(dim=-1)


def node_matrix(skeleton: Skeleton) -> Tensor:
    """(N, J) positions of joints and virtual points from those of the joints."""
    return torch.from_numpy(skeleton.with_virtual(torch.eye(len(skeleton)).numpy()))


def delayed(truth: Tensor, known: Tensor, look_aheads: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """What answers are compared with: (n, T, K, ...) of `truth` (n, T, ...) as many frames ago as each look-ahead says, and
    (n, T, K) bool whether there was such a frame, `known` (n, T)."""
    frames = truth.shape[1]
    rows = torch.arange(frames)[:, None] - torch.tensor(look_aheads)
    first = (rows >= 0).to(known.device)
    rows = rows.clamp(min=0).to(known.device)
    return truth[:, rows], known[:, rows] & first


def _surprise(error: Tensor, log_std: Tensor) -> Tensor:
    """Negative logarithm of the Laplace likelihood of errors (..., J, 3) under deviations (..., J) along each axis; (..., J).

    The errors are taken as given: the likelihood shapes the deviations alone.
    """
    return 3.0 * log_std + LAPLACE * error.detach().abs().sum(-1) * torch.exp(-log_std)


def _mean(values: Tensor, there: Tensor) -> Tensor:
    """Over the last axis and all answers that are of a frame; `there` (n, T, K), values (n, T, K, ...)."""
    weights = there.to(values.dtype)
    return (values.mean(-1) * weights).sum() / weights.sum().clamp(min=1.0)
