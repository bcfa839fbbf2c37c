"""What angle-refining networks are trained for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pose_train.angle.recipes import AngleRecipe
from pose_train.trunk.batch import Batch


class AngleLoss:
    """The mean angle between the turned rotations and the true ones, in degrees; near 0 its square.

    A difference that a group's joints do not determine is none: there the truth is what was given (`angle_data.rotations`).
    """

    def __init__(self, recipe: AngleRecipe) -> None:
        self._tolerance, self._fill = float(np.radians(recipe.tolerance_deg)), recipe.fill

    def __call__(self, outputs: dict[str, Tensor], batch: Batch) -> tuple[Tensor, Mapping[str, float]]:
        turned = batch.target["given"] @ exponential(outputs["turn"])
        # The Frobenius norm of a difference of rotations by a small angle is that angle times the root of 2.
        square = 0.5 * (turned - batch.target["rotation"]).square().sum((-1, -2))
        error = torch.sqrt(square + self._tolerance**2) - self._tolerance
        observed = batch.target["observed"]
        weight = observed + self._fill * (1.0 - observed)
        loss = torch.rad2deg((weight * error).sum() / weight.sum())
        return loss, {"degrees": float(loss.detach())}


def exponential(vectors: Tensor) -> Tensor:
    """(..., 3, 3) rotations by rotation vectors (..., 3); Rodrigues' formula, smooth at 0."""
    angle = vectors.square().sum(-1).add(1e-12).sqrt()[..., None, None]
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    # torch.sinc(x) is sin(pi x) / (pi x).
    first, second = torch.sinc(angle / torch.pi), 0.5 * torch.sinc(0.5 * angle / torch.pi).square()
    return torch.eye(3, device=vectors.device) + first * cross + second * (cross @ cross)
