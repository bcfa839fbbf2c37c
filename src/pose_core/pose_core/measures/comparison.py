"""Two recordings of one person held against each other, in the measures that papers print."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_core.measures import metrics
from pose_core.measures.even_grid import even_grid
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS


@dataclass(frozen=True)
class Comparison:
    """How far a recording is from the truth; `pose_core.measures.metrics` defines each measure. NaN where one cannot be told.

    All but `pa_mpjpe` are taken about the skeleton's root, but for `placed_mpjpe`, for which both stay where they are.
    """

    frames: int
    """That both have."""
    mpjpe: float
    """Metres, and so are the next three."""
    placed_mpjpe: float
    pa_mpjpe: float
    n_mpjpe: float
    mpjve: float
    """m/s"""
    acceleration_error: float
    """m/s^2"""
    pck: float
    """Share of 1, within 150 mm; and the area under its curve."""
    auc: float
    limb_direction_error: float
    """Radians"""
    bone_length_std: float
    """Metres, of the estimate; and by how much its left and right bones differ."""
    bone_asymmetry: float


def compare(estimate: PoseSequence, truth: PoseSequence) -> Comparison:
    """How far `estimate` is from `truth` in the frames that both have; a joint that either lacks does not count.

    Raises ValueError for other skeletons, for pixels, and where no stamp is in both (`PoseSequence.resampled` gives both the same
    rate).
    """
    if estimate.skeleton != truth.skeleton:
        raise ValueError(
            f"both recordings must have one skeleton, got '{estimate.skeleton}' and '{truth.skeleton}'"
        )
    if estimate.xyz.shape[2] != 3 or truth.xyz.shape[2] != 3:
        raise ValueError("recordings are compared in 3D, one of these is in pixels")
    stamps, ours, theirs = np.intersect1d(estimate.stamps, truth.stamps, return_indices=True)
    if not len(stamps):
        raise ValueError("the recordings have no stamp in common; give both the same rate and start first")
    skeleton = SKELETONS.get(truth.skeleton)
    pair = estimate.xyz[ours], truth.xyz[theirs]
    (ours_evenly, truth_evenly), step = even_grid(stamps, *pair)
    return Comparison(
        frames=len(stamps),
        mpjpe=metrics.mpjpe(*pair, skeleton),
        placed_mpjpe=metrics.mpjpe(*pair, None),
        pa_mpjpe=metrics.pa_mpjpe(*pair),
        n_mpjpe=metrics.n_mpjpe(*pair, skeleton),
        mpjve=metrics.mpjve(ours_evenly, truth_evenly, step, skeleton),
        acceleration_error=metrics.acceleration_error(ours_evenly, truth_evenly, step, skeleton),
        pck=metrics.pck(*pair, skeleton),
        auc=metrics.auc(*pair, skeleton),
        limb_direction_error=metrics.limb_direction_error(*pair, skeleton),
        bone_length_std=metrics.bone_length_std(pair[0], skeleton),
        bone_asymmetry=metrics.bone_asymmetry(pair[0], skeleton),
    )
