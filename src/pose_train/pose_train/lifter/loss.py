"""What lifting networks are trained for. All lengths are in standing heights, all terms are means over known frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lift3d_node.learned import limbs
from pose_core.config import check, param
from pose_core.skeleton import SKELETONS
from pose_train.lifter.network import LiftingNetwork
from pose_train.trunk.batch import Batch, answered
from pose_train.trunk.deviations import LAPLACE
from pose_train.trunk.network import Outputs


@dataclass(frozen=True)
class Weights:
    """How much each term counts; terms whose output a network does not give are left out."""

    position: float = param(1.0, "distance of joints from the truth", low=0.0)
    centres: float = param(0.5, "the same of joint centres", low=0.0)
    velocity: float = param(0.3, "the same of differences between two frames", low=0.0)
    acceleration: float = param(2.0, "the same of second differences", low=0.0)
    direction: float = param(0.1, "1 - cosine of limbs' directions, given and between joints", low=0.0)
    toward: float = param(0.01, "cross entropy of whether a limb points towards the camera", low=0.0)
    length: float = param(0.1, "lengths of limbs, given and between joints", low=0.0)
    bones: float = param(0.0, "squared lengths of the skeleton's bones", low=0.0)
    likelihood: float = param(0.01, "Laplace likelihood of the errors under the standard deviations", low=0.0)

    def __post_init__(self) -> None:
        check(self)


class Loss:
    """Terms for networks that give joints of one skeleton."""

    def __init__(self, network: LiftingNetwork, weights: Weights) -> None:
        self._weights = weights
        self._look_ahead = network.look_ahead
        self._skeleton = SKELETONS.get(network.skeleton_out)
        # Bones that connect two joints; those of virtual points follow from them.
        between = (self._skeleton.edges < len(self._skeleton)).all(1)
        self._parents, self._children = self._skeleton.edges[between].T.tolist()

    def __call__(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Mapping[str, float]]:
        """The weighted sum, and each term."""
        outputs, batch = answered(outputs, batch, self._look_ahead)
        terms: dict[str, Tensor] = {}
        weights = self._weights
        known = batch.known
        truth = batch.target["xyz"]
        true_limbs = limbs.vectors(truth, self._skeleton)
        length = true_limbs.norm(dim=-1)
        directions = functional.normalize(true_limbs, dim=-1, eps=1e-6)
        if "xyz" in outputs:
            error = outputs["xyz"] - truth
            terms["position"] = weights.position * _mean(error.norm(dim=-1), known)
            moving, bent = (torch.diff(error, n=n, dim=1) for n in (1, 2))
            both = known[:, 1:] & known[:, :-1]
            if truth.shape[1] > 2:
                terms["velocity"] = weights.velocity * _mean(moving.norm(dim=-1), both)
                three = both[:, 1:] & both[:, :-1]
                terms["acceleration"] = weights.acceleration * _mean(bent.norm(dim=-1), three)
            found = limbs.vectors(outputs["xyz"], self._skeleton)
            terms["limbs"] = weights.direction * _mean(_turned(found, directions), known)
            terms["lengths"] = weights.length * _mean((found.norm(dim=-1) - length).abs(), known)
            if weights.bones:
                gap = self._bone_lengths(outputs["xyz"]) - self._bone_lengths(truth)
                terms["bones"] = weights.bones * _mean(gap.square(), known)
            if "log_std" in outputs:
                terms["likelihood"] = weights.likelihood * _mean(_surprise(error, outputs["log_std"]), known)
        if "centres" in outputs:
            error = outputs["centres"] - batch.target["centres"]
            terms["centres"] = weights.centres * _mean(error.norm(dim=-1), known)
            terms["centres_likelihood"] = weights.likelihood * _mean(
                _surprise(error, outputs["centres_log_std"]), known
            )
        if "limbs" in outputs:
            terms["directions"] = weights.direction * _mean(_turned(outputs["limbs"], directions), known)
        if "toward" in outputs:
            sign = (directions[..., 2] < 0.0).to(truth.dtype)
            surprise = functional.binary_cross_entropy_with_logits(outputs["toward"], sign, reduction="none")
            terms["toward"] = weights.toward * _mean(surprise, known)
        if "ratios" in outputs:
            given = outputs["ratios"]
            terms["ratios"] = weights.length * _mean((given - length[..., : given.shape[-1]]).abs(), known)
        total = torch.stack(list(terms.values())).sum()
        return total, {name: float(term.detach()) for name, term in terms.items()}

    def _bone_lengths(self, xyz: Tensor) -> Tensor:
        """(n, T, B)"""
        return (xyz[..., self._children, :] - xyz[..., self._parents, :]).norm(dim=-1)


def _turned(limbs: Tensor, directions: Tensor) -> Tensor:
    return 1.0 - functional.cosine_similarity(limbs, directions, dim=-1, eps=1e-6)


def _surprise(error: Tensor, log_std: Tensor) -> Tensor:
    """Negative logarithm of the Laplace likelihood of errors (..., J, 3) under deviations across and along z (..., J, 2).

    The errors are taken as given: the likelihood shapes the deviations alone, so that it cannot trade joints that are hard
    for joints that are easy (Seitzer et al., "On the pitfalls of heteroscedastic uncertainty estimation", ICLR 2022).
    """
    scaled = LAPLACE * error.detach().abs()
    across, along = log_std[..., :1], log_std[..., 1:]
    log = torch.cat([across, across, along], -1)
    return (log + scaled * torch.exp(-log)).sum(-1)


def _mean(values: Tensor, known: Tensor) -> Tensor:
    """Over the last axis and known frames; `known` (n, T), values (n, T, ...)."""
    weights = known.to(values.dtype)
    return (values.mean(-1) * weights).sum() / weights.sum().clamp(min=1.0)
