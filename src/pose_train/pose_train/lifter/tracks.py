"""What lifters say beside the truth, person by person; and how sure they are made to be of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from lift3d_node.correspondence import Correspondence
from lift3d_node.learned import encoding, limbs, network_lifter
from lift3d_node.learned.model_card import ModelCard
from pose_core.measures import metrics
from pose_core.skeleton import SKELETONS
from pose_train.trunk.batch import Batch
from pose_train.trunk.deviations import temperatures

Arrays = Mapping[str, np.ndarray]
"""Outputs of a network by name."""


@dataclass(frozen=True)
class Track:
    """One person over T frames as lifted, and as it was; metres about the root, in the axes of the view."""

    predicted: np.ndarray  # (T, J, 3), NaN where missing
    truth: np.ndarray  # (T, J, 3), NaN where unknown
    step: np.ndarray  # (T,) seconds since the frame before
    std: np.ndarray | None = (
        None  # (T, J, 3) standard deviation along each axis; None where a lifter states none
    )
    directions: np.ndarray | None = (
        None  # (T, 14, 3) limb directions of a lifter that gives no joints; None: of the joints
    )


def tracks(card: ModelCard, outputs: Arrays, batch: Batch) -> list[Track]:
    """What a network said beside the truth: a track for each clip, in metres by the person's true height.

    Frames in which nothing is seen do not count. Outputs that are `look_ahead` frames late are put beside their own frames.
    """
    late = card.look_ahead
    ahead = {name: value[:, late:].astype(float) for name, value in outputs.items()}
    truth = truth_of(batch)
    frames = truth.shape[1] - late
    truth = truth[:, :frames]
    metres = batch.height.double().numpy()[:, None, None, None]
    if "xyz" in ahead:
        predicted, directions = ahead["xyz"] * metres, None
    else:
        predicted, directions = limb_joints(card, ahead["limbs"], batch) * metres, ahead["limbs"]
    std = standard_deviations(card, ahead)
    std = None if std is None else np.broadcast_to(std, predicted.shape) * metres
    steps = batch.step.double().numpy()[:, :frames]
    return [
        Track(
            predicted[i],
            truth[i],
            steps[i],
            None if std is None else std[i],
            None if directions is None else directions[i],
        )
        for i in range(len(truth))
    ]


def standard_deviations(card: ModelCard, outputs: Arrays) -> np.ndarray | None:
    """(n, T, J, 3) or what becomes that, along each axis, in heights; None where neither network nor card tells."""
    if "log_std" in outputs:
        std = np.exp(outputs["log_std"][..., [0, 0, 1]].astype(float))
        return std * np.array(card.temperature)[:, None]
    return np.array(card.std)[:, None] * np.ones(3) if card.std else None


def limb_joints(card: ModelCard, directions: np.ndarray, batch: Batch) -> np.ndarray:
    """Joints (n, T, J_out, 3) in heights from limb directions (n, T, 14, 3) and the keypoints that the network saw; NaN for
    joints that no limb reaches."""
    frames = directions.shape[1]
    joints = batch.joints[:, :frames].double().numpy()
    size = np.exp(
        batch.context[:, :frames, encoding.CONTEXT.index("log_size")].double().numpy()
        + encoding.MEAN_LOG_SIZE
    )
    seen = joints[..., 2] > 0.0
    xy = np.where(seen[..., None], joints[..., :2] * size[..., None, None], np.nan)
    match = Correspondence(card.skeleton_in, card.skeleton_out)
    xy, confidence = match.keypoints(xy, joints[..., 2])
    skeleton = SKELETONS.get(card.skeleton_out)
    body = skeleton.indices(*limbs.JOINTS)
    rays = np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], -1)[..., body, :]
    found = np.full((*directions.shape[:2], len(skeleton), 3), np.nan)
    found[..., body, :] = network_lifter.joints_of_limbs(directions, rays, confidence[..., body])
    return found


def calibrated(card: ModelCard, outputs: Arrays, batch: Batch) -> ModelCard:
    """The card with the temperature, or for a network without `log_std` the deviation, of each joint that fits these outputs.

    `outputs` and `batch` must be of people whom neither training nor the test has: those of the validation split.
    """
    skeleton = SKELETONS.get(card.skeleton_out)
    heights = dataclasses.replace(batch, height=torch.ones_like(batch.height))
    pieces = tracks(dataclasses.replace(card, temperature=(1.0,), std=(1.0,)), outputs, heights)
    predicted, truth, std = (
        np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("predicted", "truth", "std")
    )
    predicted, truth = (metrics.root_aligned(xyz, skeleton) for xyz in (predicted, truth))
    factors = temperatures(predicted, truth, std)
    if "log_std" in outputs:
        return dataclasses.replace(card, temperature=tuple(factors.tolist()))
    # A joint that was never given, or is the root, does not tell how it errs.
    errs = (np.abs(np.nan_to_num(predicted - truth)) > 0.0).any((0, 2))
    typical = float(np.median(factors[errs])) if errs.any() else 1.0
    return dataclasses.replace(card, std=tuple(np.where(errs, factors, typical).tolist()))


def truth_of(batch: Batch) -> np.ndarray:
    """(n, T, J, 3) metres; NaN in frames in which nothing is seen."""
    metres = batch.height.double().numpy()[:, None, None, None]
    truth = batch.target["xyz"].double().numpy() * metres
    return np.where(batch.known.numpy()[..., None, None], truth, np.nan)
