"""How far off angles of lifted people are, and how far they are said to be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pose_biomechanics.angles import (
    ERRORS,
    AngleOptions,
    angles_of,
)
from pose_core.angles import AngleFlag
from pose_core.filtering.joint_errors import JointErrors
from pose_core.measures import metrics
from pose_core.skeleton import SKELETONS, without_side
from pose_train.studies.angles.noise import Draws, Noisy, noisy, sequence_of
from pose_train.studies.oracle import wrapped
from pose_train.studies.refiners.scenes import Take
from refine_node import recording
from refine_node.params import RefineParams


def stated_of(takes: Sequence[Take]) -> dict[str, dict[str, Noisy]]:
    """By how joints may err (`ERRORS`) and by kind of angle: errors of people who were lifted and refined, beside what is stated
    if joints err so."""
    draws: dict[str, list[Draws]] = {errors: [] for errors in ERRORS}
    for take in takes:
        refined = recording.refine_live(take.given, RefineParams())
        truth = angles_of(sequence_of(take.truth, take.given.stamps, take.given.skeleton))
        for errors, some in draws.items():
            found = angles_of(refined, AngleOptions(errors=errors))
            error = np.abs(wrapped(np.degrees(found.angle - truth.angle)))
            flagged = (found.flags | truth.flags) != AngleFlag.VALID
            some.append(
                Draws(
                    np.where(flagged, np.nan, error),
                    np.where(flagged, np.nan, np.degrees(found.std)),
                    truth.flags == AngleFlag.VALID,
                )
            )
    return {errors: noisy(some) for errors, some in draws.items()}


def errors_together(takes: Sequence[Take]) -> tuple[float, dict[str, tuple[float, float]]]:
    """Share of the variance of joints that lies along the view; and the correlation of each joint's error there with that of the
    joint before it, beside what is taken for it, both sides pooled, by the name without the side.

    Of people as they were lifted, about the root, over the stated deviations.
    """
    skeleton = SKELETONS.get(takes[0].given.skeleton)
    off = np.concatenate(
        [
            (metrics.root_aligned(take.given.xyz, skeleton) - metrics.root_aligned(take.truth, skeleton))
            / take.given.std[..., None]
            for take in takes
        ]
    )
    off = off[np.isfinite(off).all((1, 2))]
    variance = np.square(off).mean((0, 1))
    depth = skeleton.with_virtual(off)[..., 2]
    mixing = skeleton.with_virtual(JointErrors.lifted(skeleton).mixing)
    pairs: dict[str, list[tuple[float, float]]] = {}
    for parent, child in skeleton.bones:
        if parent != skeleton.root:
            rows = skeleton.indices(parent, child)
            taken = mixing[rows] @ mixing[rows].T
            both = np.corrcoef(depth[:, rows].T)[0, 1], taken[0, 1] / math.sqrt(taken[0, 0] * taken[1, 1])
            pairs.setdefault(without_side(child), []).append((float(both[0]), float(both[1])))
    return float(variance[2] / variance.sum()), {
        name: (math.fsum(one for one, _ in some) / len(some), some[0][1]) for name, some in pairs.items()
    }
