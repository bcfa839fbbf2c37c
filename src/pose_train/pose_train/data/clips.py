"""Clips of people as whatever refines them sees them: what is known of one person, and the truth.

Positions are about the root, in standing heights, axes of the camera (`refine_node.encoding`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from pose_core.skeleton import Skeleton

Generator = np.random.Generator


@dataclass(frozen=True)
class Clip:
    """One person for T frames: what is known of them, and the truth; about the root, in heights; NaN where missing."""

    xyz: np.ndarray  # (..., T, J, 3)
    std: np.ndarray  # (..., T, J) along one axis
    confidence: np.ndarray  # (..., T, J)
    truth: np.ndarray  # (..., T, J, 3)
    step: np.ndarray  # (..., T) seconds


def mirrored(clip: Clip, which: np.ndarray, skeleton: Skeleton) -> Clip:
    """Those clips of (n, T, ...) that the mask `which` (n,) marks as a camera in a mirror sees them."""
    flip = skeleton.flip
    sign = np.array([-1.0, 1.0, 1.0], np.float32)

    def positions(xyz: np.ndarray) -> np.ndarray:
        return np.where(which[:, None, None, None], xyz[:, :, flip] * sign, xyz)

    def numbers(values: np.ndarray) -> np.ndarray:
        return np.where(which[:, None, None], values[:, :, flip], values)

    return Clip(
        positions(clip.xyz), numbers(clip.std), numbers(clip.confidence), positions(clip.truth), clip.step
    )


def resized(clip: Clip, factor: np.ndarray) -> Clip:
    """Clips of people whose height is believed to be 1 / `factor` (n,) times what it is."""
    size = factor[:, None, None].astype(np.float32)
    return dataclasses.replace(
        clip,
        xyz=clip.xyz * size[..., None],
        std=clip.std * size,
        truth=clip.truth * size[..., None],
    )


def kept_frames(frames: int, spare: int, random: Generator) -> np.ndarray:
    """(frames,) rising numbers below `frames` + `spare`: up to `spare` frames are lost, one by one or all in a row."""
    lost = int(random.integers(0, spare + 1))
    if lost and random.random() < 0.5:
        start = int(random.integers(1, frames + 1))
        return np.concatenate([np.arange(start), np.arange(start + lost, frames + lost)])
    return np.sort(random.choice(frames + lost, frames, replace=False))


def steps_between(step: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """(n, F) seconds since the frame before of those `frames` (n, F) that are kept of clips with `step` (n, T)."""
    time = np.cumsum(step.astype(float), 1)
    kept = np.take_along_axis(time, frames, 1)
    first = np.take_along_axis(step.astype(float), frames[:, :1], 1)
    return np.concatenate([first, np.diff(kept, axis=1)], 1).astype(np.float32)
