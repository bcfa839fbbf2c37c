"""Errors of a lifter that nobody has: noise on true motion, so that a refiner does not learn one lifter by heart.

Errors of lifted people are mostly slow and grow from the trunk outward, because limbs point the wrong way: an autoregressive
error turns each bone, and a joint errs by the sum along its path from the root. To that come white noise, bursts of single limbs,
joints that drop out, and left and right exchanged. Lengths are in standing heights; depth errs more than the other two axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pose_core.config import check, param
from pose_core.geometry.kinematics import BoneTree
from pose_core.skeleton import SIDES, Skeleton
from pose_train.data.clips import Clip

Generator = np.random.Generator

DRIFT_TIMES = (0.15, 3.0)
"""Seconds in which the slow error forgets (correlation 1/e), log uniform per clip."""
DEPTH = 2.0
"""Factor on errors along z, the line of sight."""
BURST_LENGTH, DROP_LENGTH, SWAP_LENGTH = (0.1, 0.5), (0.03, 0.35), (0.1, 0.7)
"""Seconds, uniform."""
NAMED_LIMBS = {
    "elbow": ("elbow", "wrist", "pinky", "index", "thumb", "hand"),
    "wrist": ("wrist", "pinky", "index", "thumb", "hand"),
    "knee": ("knee", "ankle", "heel", "foot", "toe", "big", "small"),
    "ankle": ("ankle", "heel", "foot", "toe", "big", "small"),
}
"""What jumps, and vanishes, together with a joint: words in the names of joints."""
MISSTATED = 0.3
"""Standard deviation of the logarithm of the stated deviation over the real one, per clip; half of it per joint."""
FLOOR = 0.003
"""Heights: no lifter states less."""
NOTICED = 0.5
"""Share of bursts that the confidence tells of."""
LOW = 0.3
"""Confidence in a burst that is noticed."""


@dataclass(frozen=True)
class Noise:
    """How much of each; amounts are drawn per clip, uniformly from 0 up to what stands here unless something else is said."""

    turn: float = param(0.14, "radians: deviation of the slow error of each bone's direction", low=0.0)
    white: float = param(0.006, "heights: deviation of what is independent from frame to frame", low=0.0)
    bursts: float = param(0.2, "bursts per second and limb", low=0.0)
    burst_size: float = param(0.06, "heights: deviation of a burst along one axis", low=0.0)
    drops: float = param(0.3, "dropouts per second and limb", low=0.0)
    swaps: float = param(0.1, "exchanges of left and right per second, of arms, legs or both", low=0.0)
    clean: float = param(0.25, "share of clips without any error, stated as sure", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        check(self)


class NoiseMaker:
    """Makes errors for one skeleton."""

    def __init__(self, skeleton: Skeleton, noise: Noise) -> None:
        self._skeleton, self._noise = skeleton, noise
        tree = BoneTree(skeleton)
        self._below = tree.below.astype(np.float32)
        self._limbs = _limbs(skeleton)
        words = [set(joint.split("_")) for joint in skeleton.joints]
        sided = np.array([bool(one & set(SIDES)) for one in words])
        legs = np.array([bool(one & {"hip", "knee", "ankle", "heel", "foot", "toe"}) for one in words])
        self._swapping = np.stack([sided & ~legs, sided & legs, sided])

    def clip(self, truth: np.ndarray, step: np.ndarray, random: Generator) -> Clip:
        """Noise on true motion (n, T, J, 3) about the root, in heights; `step` (n, T) seconds since the frame before."""
        noise, skeleton = self._noise, self._skeleton
        count, frames, joints = truth.shape[:3]
        some = (random.random(count) >= noise.clean).astype(np.float32)
        axes = np.array([1.0, 1.0, DEPTH], np.float32)

        def amount(most: float) -> np.ndarray:
            drawn: np.ndarray = (most * some * random.random(count)).astype(np.float32)
            return drawn

        turn, white = amount(noise.turn), amount(noise.white)
        lengths = skeleton.bone_lengths(truth[:, 0]).astype(np.float32)
        drift = _drift(step, lengths.shape[1] * 3, random).reshape(count, frames, -1, 3)
        slow = np.einsum("jb,ntbi->ntji", self._below, drift * (turn[:, None] * lengths)[:, None, :, None])
        slow = slow - skeleton.root_of(slow)[:, :, None]
        error = axes * (slow + white[:, None, None, None] * _normal((count, frames, joints, 3), random))
        reach = np.sqrt(self._below @ (lengths**2).T).T
        axis_share = math.sqrt(float((axes**2).mean()))
        std = axis_share * np.hypot(turn[:, None] * reach, white[:, None])

        burst = self._events(step, amount(noise.bursts), BURST_LENGTH, random)
        jump = _normal((count, len(self._limbs), 3), random) * axes * noise.burst_size
        error = error + np.einsum("ntl,lj,nli->ntji", burst, self._limbs, jump)
        hit = (burst @ self._limbs) > 0.0
        xyz = truth + error

        swap = self._events(step, amount(noise.swaps), SWAP_LENGTH, random, 3)
        exchanged = (swap @ self._swapping.astype(np.float32)) > 0.0
        xyz = np.where(exchanged[..., None], xyz[:, :, skeleton.flip], xyz)

        confidence = np.clip(0.85 + 0.1 * _normal((count, 1, joints), random), 0.3, 1.0)
        confidence = np.broadcast_to(confidence, (count, frames, joints)).copy()
        told = hit & (random.random((count, 1, 1)) < NOTICED)
        confidence[told] = LOW
        stated = np.hypot(std, FLOOR) * np.exp(
            MISSTATED * (_normal((count, 1), random) + 0.5 * _normal((count, joints), random))
        )
        stated = np.broadcast_to(stated[:, None], (count, frames, joints))
        stated = np.where(told, np.hypot(stated, noise.burst_size), stated)

        drop = self._events(step, amount(noise.drops), DROP_LENGTH, random)
        gone = (drop @ self._limbs) > 0.0
        return Clip(
            xyz=np.where(gone[..., None], np.nan, xyz).astype(np.float32),
            std=np.where(gone, np.nan, stated).astype(np.float32),
            confidence=np.where(gone, 0.0, confidence).astype(np.float32),
            truth=truth,
            step=step,
        )

    def _events(
        self,
        step: np.ndarray,
        per_second: np.ndarray,
        length: tuple[float, float],
        random: Generator,
        kinds: int = 0,
    ) -> np.ndarray:
        """(n, T, kinds) 1 while something happens, else 0; by default one kind per limb."""
        kinds = kinds or len(self._limbs)
        count, frames = step.shape
        starts = random.random((count, frames, kinds)) < (per_second[:, None] * step)[..., None]
        lasts = random.uniform(*length, (count, frames, kinds))
        time = np.cumsum(step, 1)[..., None]
        ends = np.maximum.accumulate(np.where(starts, time + lasts, -np.inf), 1)
        return (time < ends).astype(np.float32)


def _limbs(skeleton: Skeleton) -> np.ndarray:
    """(L, J) 1 for the joints that jump and vanish together, else 0."""
    rows = []
    for side in SIDES:
        for words in NAMED_LIMBS.values():
            row = [
                side in joint.split("_") and bool(set(joint.split("_")) & set(words))
                for joint in skeleton.joints
            ]
            if any(row):
                rows.append(row)
    return np.array(rows, np.float32)


def _drift(step: np.ndarray, channels: int, random: Generator) -> np.ndarray:
    """(n, T, channels) of unit deviation: first-order autoregressive, each clip with its own memory."""
    count, frames = step.shape
    low, high = np.log(DRIFT_TIMES)
    time = np.exp(random.uniform(low, high, (count, 1)))
    keep = np.exp(-step / time).astype(np.float32)
    drift = _normal((count, frames, channels), random)
    fresh = np.sqrt(1.0 - keep**2)
    for t in range(1, frames):
        drift[:, t] = keep[:, t, None] * drift[:, t - 1] + fresh[:, t, None] * drift[:, t]
    return drift


def _normal(shape: tuple[int, ...], random: Generator) -> np.ndarray:
    return random.standard_normal(shape, np.float32)
