"""What a keypoint detector makes of a person: errors that hang together in time, and confidences that mean something.

Errors of detectors are mostly slow: a constant bias and a first-order autoregressive process, little white noise; hidden joints
err more, now and then a limb jumps elsewhere for some frames, or left and right swap. All errors are shares of the diagonal of
the person's box. `pose_train.studies.statistics2d` compares the sizes below with MediaPipe on real video.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_core.skeleton import SIDES, SKELETONS

Generator = np.random.Generator

SKELETON = SKELETONS.get("mediapipe33")

BIAS = 0.0055
"""Standard deviation along one axis of a joint's constant error."""
DRIFT = 0.0055
"""The same of the autoregressive error."""
WHITE = 0.0018
DRIFT_TIMES = (0.04, 0.8)
"""Seconds in which the autoregressive error forgets (its correlation falls to 1/e), log uniform per clip. Those of a correlation
of 0.90 to 0.99 from image to image at 30 per second, 0.3 to 3.3 s, are too long for MediaPipe: on the demo's easy cameras what is
not constant of its error is correlated by 0.77 to 0.91 after 1/30 s, and with these times by 0.84 to 0.87 (docs/models.md)."""
LEVELS = 0.35
"""Standard deviation of the logarithm of a clip's overall level."""
SHARPNESS = {
    "nose": 0.7,
    "eye": 0.6,
    "ear": 0.7,
    "mouth": 0.7,
    "shoulder": 0.9,
    "elbow": 1.0,
    "wrist": 1.0,
    "pinky": 1.2,
    "index": 1.2,
    "thumb": 1.2,
    "hip": 1.1,
    "knee": 1.1,
    "ankle": 1.2,
    "heel": 1.4,
    "foot": 1.2,
}
"""Errors of the joints against the mean, by a part of their names."""
HIDDEN, OUTSIDE = 2.5, 5.0
"""Factors on the errors of joints that something hides, and of those outside the image, whose place is guessed."""

BURST_START, HIDDEN_BURST_START = 0.15, 1.2
"""Bursts per second and limb, where it is seen and where it is hidden."""
BURST_LENGTH = (0.1, 0.5)  # seconds
BURST_SIZE = 0.05
"""Standard deviation along one axis."""
SWAP_START = 0.06
"""Swaps of left and right per second."""
SWAP_LENGTH = (0.1, 0.8)
DROPPING, DROP_START, DROP_LENGTH = 0.3, 0.5, (0.05, 0.4)
"""Share of clips in which limbs drop out, and how often and for how long, like bursts."""
MASKING = 0.2
"""Share of clips in which up to `MAX_MASKED` of the joints are missing throughout."""
MAX_MASKED = 0.4
SMOOTHING = 0.5
"""Share of clips that a detector's own exponential filter smooths; its weights of the newest frame are 0.5 to 0.95."""

CENTRAL_LOGIT, LIMB_LOGIT, LOGIT_STD = 6.0, 3.0, 0.7
HIDDEN_LOGIT, OUTSIDE_LOGIT, BURST_LOGIT = -3.0, -5.0, -2.0
"""Confidence is the logistic function of a sum of these: trunk and face, limbs; hidden, outside, and during 6 in 10 bursts."""

TORSO_RADIUS, THIGH_RADIUS, SHANK_RADIUS = 0.075, 0.045, 0.032
"""Of the capsules that hide joints, as shares of height."""


@dataclass(frozen=True)
class Noise:
    """How bad the detector is."""

    amount: float = 1.0
    """Factor on the sizes of errors: of bias, drift, white noise and jumps. What is exchanged, hidden or dropped, and how
    keypoints are smoothed, stays. Only 0 gives true positions, with confidence 1 inside the image and 0.1 outside."""
    masked: float = 0.0
    """Share of joints that are missing throughout a clip, besides what drops out by itself."""


FULL, CLEAN, MASKED = Noise(), Noise(amount=0.0), Noise(masked=0.3)
"""The three conditions that lifters are judged under."""


def _part(joint: str, table: dict[str, float]) -> float:
    return next(table[word] for word in joint.split("_") if word in table)


_SHARPNESS = np.array([_part(joint, SHARPNESS) for joint in SKELETON.joints], np.float32)
_LIMB_PARTS = (
    *("left_elbow", "right_elbow"),
    *(f"{side}_wrist {side}_pinky {side}_index {side}_thumb" for side in SIDES),
    *("left_knee", "right_knee"),
    *(f"{side}_ankle {side}_heel {side}_foot_index" for side in SIDES),
)
GROUPS = [SKELETON.indices(*part.split()) for part in _LIMB_PARTS]
"""Rows of the joints that jump and vanish together: elbows, hands, knees, feet."""
_MEMBER = np.zeros((len(GROUPS), len(SKELETON)), bool)
for _row, _joints in enumerate(GROUPS):
    _MEMBER[_row, _joints] = True
_IN_LIMB = _MEMBER.any(0)
_LEAD = [group[0] for group in GROUPS]
_ARMS, _LEGS = _MEMBER[:4].any(0), _MEMBER[4:].any(0)
_SIDES = {side: np.array([joint.startswith(side) for joint in SKELETON.joints]) for side in SIDES}


def _both(part: str) -> list[int]:
    return SKELETON.indices(*(f"{side}_{part}" for side in SIDES))


def _one(side: str, part: str) -> list[int]:
    return [SKELETON.index(f"{side}_{part}")]


# Two ends, each the mean of some joints; radius; whose joints it can hide. A leg does not hide itself.
_CAPSULES = (
    (_both("shoulder"), _both("hip"), TORSO_RADIUS, _IN_LIMB),
    *(
        (_one(side, start), _one(side, end), radius, _IN_LIMB & ~(_SIDES[side] & _LEGS))
        for side in SIDES
        for start, end, radius in (("hip", "knee", THIGH_RADIUS), ("knee", "ankle", SHANK_RADIUS))
    ),
)


def detect(
    xyz: np.ndarray,
    clean: np.ndarray,
    inside: np.ndarray,
    step: np.ndarray,
    height: np.ndarray,
    random: Generator,
    noise: Noise,
) -> tuple[np.ndarray, np.ndarray]:
    """Detections (n, T, 33, 2), NaN where missing, and confidences (n, T, 33).

    `xyz` (n, T, 33, 3) in the camera frame, metres; `clean` (n, T, 33, 2) their normalised image coordinates; `inside`
    (n, T, 33) whether in the image; `step` (n, T) seconds; `height` (n,) metres.
    """
    count, frames, joints = clean.shape[:3]
    if noise.amount == 0.0:
        return _masked(clean.copy(), np.where(inside, 1.0, 0.1).astype(np.float32), noise, random)
    box = np.linalg.norm(np.ptp(clean, 2), axis=-1)[..., None, None]
    hidden = _hidden(xyz, clean, height)
    burst = _events(step, BURST_START, BURST_LENGTH, random, hidden[..., _LEAD], HIDDEN_BURST_START)
    factor = np.where(hidden, HIDDEN, 1.0) * np.where(inside, 1.0, OUTSIDE)
    level = noise.amount * np.exp(random.normal(0.0, LEVELS, count))[:, None, None]
    scale = (_SHARPNESS * factor * level).astype(np.float32)[..., None]
    bias = random.standard_normal((count, 1, joints, 2), np.float32)
    drift = _drift(step, (count, frames, joints, 2), random)
    white = random.standard_normal((count, frames, joints, 2), np.float32)
    error = scale * (BIAS * bias + DRIFT * drift + WHITE * white)
    if burst.any():
        error += noise.amount * BURST_SIZE * _jumps(burst, random)
    xy = clean + box.astype(np.float32) * error
    burst_of = burst @ _MEMBER
    told = random.random((count, 1, joints)) < 0.6
    logit = np.where(_IN_LIMB, LIMB_LOGIT, CENTRAL_LOGIT) + LOGIT_STD * _drift(
        step, (count, frames, joints), random
    )
    logit += HIDDEN_LOGIT * (hidden & _IN_LIMB) + OUTSIDE_LOGIT * ~inside + BURST_LOGIT * (burst_of & told)
    confidence = (1.0 / (1.0 + np.exp(-logit))).astype(np.float32)
    xy, confidence = _swapped(xy, confidence, step, random)
    xy = _smoothed(xy, random)
    dropping = (random.random(count) < DROPPING)[:, None, None]
    dropped = (_events(step, DROP_START, DROP_LENGTH, random) & dropping) @ _MEMBER
    some = random.random((count, 1, 1)) < MASKING
    dropped |= some & (random.random((count, 1, joints)) < MAX_MASKED * random.random((count, 1, 1)))
    xy[dropped] = np.nan
    confidence[dropped] = 0.0
    return _masked(xy, confidence, noise, random)


def _masked(
    xy: np.ndarray, confidence: np.ndarray, noise: Noise, random: Generator
) -> tuple[np.ndarray, np.ndarray]:
    if noise.masked > 0.0:
        gone = np.broadcast_to(random.random((len(xy), 1, xy.shape[2])) < noise.masked, confidence.shape)
        xy[gone] = np.nan
        confidence[gone] = 0.0
    return xy, confidence


def _drift(step: np.ndarray, shape: tuple[int, ...], random: Generator) -> np.ndarray:
    """Autoregressive noise (n, T, ...) of unit variance whose memory is the same for a whole clip."""
    shortest, longest = np.log(DRIFT_TIMES).tolist()
    memory = np.exp(random.uniform(shortest, longest, len(step)))
    keep = np.exp(-step / memory[:, None]).astype(np.float32).reshape(*step.shape, *(1,) * (len(shape) - 2))
    noise = random.standard_normal(shape, np.float32)
    fresh = np.sqrt(1.0 - keep * keep)
    for frame in range(1, shape[1]):
        noise[:, frame] = keep[:, frame] * noise[:, frame - 1] + fresh[:, frame] * noise[:, frame]
    return noise


def _events(
    step: np.ndarray,
    rate: float,
    length: tuple[float, float],
    random: Generator,
    where: np.ndarray | None = None,
    rate_there: float = 0.0,
    kinds: int = len(GROUPS),
) -> np.ndarray:
    """(n, T, kinds) whether an event is under way: `rate` starts per second (`rate_there` in the (n, T, kinds) mask `where`),
    each lasting a uniform number of seconds of the range `length`."""
    count, frames = step.shape
    rates = np.full((count, frames, kinds), rate) if where is None else np.where(where, rate_there, rate)
    starts = random.random((count, frames, kinds)) < rates * step[..., None]
    lengths = random.uniform(*length, (count, frames, kinds))
    end = np.where(starts, np.cumsum(step, 1)[..., None] + lengths, -1.0)
    return np.maximum.accumulate(end, 1) >= np.cumsum(step, 1)[..., None]


def _jumps(burst: np.ndarray, random: Generator) -> np.ndarray:
    """(n, T, 33, 2) standard normal displacement of the joints in a burst, the same while it lasts, 0 elsewhere."""
    count, frames, groups = burst.shape
    shown = random.standard_normal((count, frames, groups, 2), np.float32)
    begins = burst & ~np.concatenate([np.zeros_like(burst[:, :1]), burst[:, :-1]], 1)
    start = np.maximum.accumulate(np.where(begins, np.arange(frames)[None, :, None], 0), 1)
    held = np.take_along_axis(shown, start[..., None], 1) * burst[..., None]
    return np.einsum("ntgd,gj->ntjd", held, _MEMBER.astype(np.float32))


def _swapped(
    xy: np.ndarray, confidence: np.ndarray, step: np.ndarray, random: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Arms, legs or the whole body change sides for a while."""
    event = _events(step, SWAP_START, SWAP_LENGTH, random, kinds=1)[..., 0]
    which = random.choice(3, len(xy), p=(0.2, 0.4, 0.4))
    kinds = np.stack([_ARMS, _LEGS, np.ones(len(SKELETON), bool)])[which]
    swap = event[..., None] & kinds[:, None]
    return (
        np.where(swap[..., None], xy[:, :, SKELETON.flip], xy),
        np.where(swap, confidence[:, :, SKELETON.flip], confidence),
    )


def _smoothed(xy: np.ndarray, random: Generator) -> np.ndarray:
    """What an exponential filter in the detector makes of the positions, in the clips that have one."""
    smooth = random.random(len(xy)) < SMOOTHING
    newest = np.where(smooth, random.uniform(0.5, 0.95, len(xy)), 1.0).astype(np.float32)[:, None, None]
    for frame in range(1, xy.shape[1]):
        xy[:, frame] = newest * xy[:, frame] + (1.0 - newest) * xy[:, frame - 1]
    return xy


def _hidden(xyz: np.ndarray, clean: np.ndarray, height: np.ndarray) -> np.ndarray:
    """(n, T, 33) whether a capsule of trunk, thigh or shank stands before a joint of a limb.

    In the image: nearer to the capsule's axis than its radius, and deeper than the axis there.
    """
    hidden = np.zeros(clean.shape[:3], bool)
    rows = np.flatnonzero(_IN_LIMB)
    points, depth = clean[:, :, rows], xyz[:, :, rows, 2]
    tall = height[:, None].astype(np.float32)
    for start, end, radius, candidates in _CAPSULES:
        a, b = clean[:, :, start].mean(2)[:, :, None], clean[:, :, end].mean(2)[:, :, None]
        za, zb = (xyz[:, :, joints, 2].mean(2)[:, :, None] for joints in (start, end))
        axis = b - a
        along = np.einsum("ntji,ntji->ntj", points - a, axis) / np.maximum((axis * axis).sum(-1), 1e-9)
        along = np.clip(along, 0.0, 1.0)
        off = points - a - along[..., None] * axis
        z = za + along * (zb - za)
        near = (off * off).sum(-1) < (radius * tall[..., None] / z) ** 2
        hidden[:, :, rows] |= near & (depth > z + 0.5 * radius * tall[..., None]) & candidates[rows]
    return hidden
