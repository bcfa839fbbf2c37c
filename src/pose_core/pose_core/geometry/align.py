"""Least-squares alignment of point sets with known correspondence (Procrustes)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_core.types import Rotations, Scalars, Sets, SetWeights, Vectors


@dataclass(frozen=True)
class Similarity:
    """y = scale R x + t, one for each element of a batch (which may be empty: plain R, t and scale)."""

    R: Rotations
    t: Vectors
    scale: Scalars

    def apply(self, points: Sets) -> Sets:
        """The points (..., J, D) moved; `inverse().apply` moves them back."""
        result: Sets = (
            self.scale[..., None, None] * (points @ np.swapaxes(self.R, -1, -2)) + self.t[..., None, :]
        )
        return result

    def inverse(self) -> Similarity:
        """The similarity that undoes this one."""
        back = np.swapaxes(self.R, -1, -2)
        scale = np.asarray(1.0 / self.scale)
        return Similarity(back, -scale[..., None] * (back @ self.t[..., None])[..., 0], scale)


def procrustes(source: Sets, target: Sets, weights: SetWeights | None = None, *, scaled: bool) -> Similarity:
    """The rotation (never a reflection), translation and, if `scaled`, scale that move `source` nearest to
    `target`.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", IEEE TPAMI 13
    (1991). Points are (..., J, D) with D of 2 or 3, in any one unit; `weights` (..., J) are not negative. A
    joint that has NaN on either side takes no part. What the points leave open is answered so: on one line,
    by one of the equally good rotations; in one place, by rotation identity and scale 1; without any common
    joint, by NaN. Raises ValueError for shapes that do not match and for negative weights.
    """
    source, target = np.asarray(source, float), np.asarray(target, float)
    if source.shape != target.shape or source.ndim < 2 or source.shape[-1] not in (2, 3):
        raise ValueError(
            f"expected two sets of shape (..., J, 2 or 3), got {source.shape} and {target.shape}"
        )
    common = np.isfinite(source).all(-1) & np.isfinite(target).all(-1)
    share = np.where(common, 1.0 if weights is None else weights, 0.0)
    if (share < 0.0).any():
        raise ValueError(f"weights must not be negative, got {share.min()}")
    total = share.sum(-1, keepdims=True)
    known = total[..., 0] > 0.0
    share = share / np.where(total > 0.0, total, 1.0)
    x, y = (np.where(common[..., None], points, 0.0) for points in (source, target))
    x_mean, y_mean = (np.einsum("...j,...jd->...d", share, points) for points in (x, y))
    x, y = x - x_mean[..., None, :], y - y_mean[..., None, :]
    u, size, v = np.linalg.svd(np.einsum("...j,...jd,...je->...de", share, y, x))
    signs = np.ones(size.shape)
    signs[..., -1] = np.where(np.linalg.det(u) * np.linalg.det(v) < 0.0, -1.0, 1.0)
    R = (u * signs[..., None, :]) @ v
    scale = np.ones(known.shape)
    if scaled:
        spread = np.einsum("...j,...jd,...jd->...", share, x, x)
        spreads = spread > 0.0
        scale = np.where(spreads, (size * signs).sum(-1) / np.where(spreads, spread, 1.0), 1.0)
    t = y_mean - scale[..., None] * (R @ x_mean[..., None])[..., 0]
    return Similarity(
        np.where(known[..., None, None], R, np.nan),
        np.where(known[..., None], t, np.nan),
        np.where(known, scale, np.nan),
    )
