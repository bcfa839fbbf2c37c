"""What angle-refining networks learn from: angles of noisy people beside those of the true ones, from the code that runs live.

The people are those of `pose_train.data.stored`: half of the clips have a lifter's own errors, half have made ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pose_biomechanics import angle_encoding
from pose_biomechanics.angles import angles_of
from pose_biomechanics.isb import NAMES
from pose_core.angles import AngleSequence
from pose_core.people import JointState
from pose_core.sequence import PoseSequence
from pose_core.units import NS_PER_S
from pose_train.data.clips import Clip
from pose_train.data.noise import FLOOR, MISSTATED
from refine_node.encoding import DEFAULT_HEIGHT

Generator = np.random.Generator

OUTLYING_FRAMES, OUTLYING_DEG = (1, 9), (10.0, 50.0)
"""How long an outlier lasts, and the standard deviation of its error, uniform; frames below the second number."""
OUTLYING_DOFS = np.array([1.0, 0.4, 0.5])
"""How much of it flexion, abduction and rotation have."""


@dataclass(frozen=True)
class MadeAngles:
    """n clips of T frames: angles as they are computed from what is known of a person, and from the truth; radians.

    Those of the pelvis are in the sequence `angle_encoding.PELVIS_SEQUENCE`.
    """

    angle: np.ndarray  # (n, T, A) NaN where not determined
    std: np.ndarray  # (n, T, A)
    flags: np.ndarray  # (n, T, A) uint8
    truth: np.ndarray  # (n, T, A)
    truth_std: np.ndarray  # (n, T, A)
    truth_flags: np.ndarray  # (n, T, A) uint8
    step: np.ndarray  # (n, T) seconds since the frame before


def made(clip: Clip, skeleton: str) -> MadeAngles:
    """Angles of clips (n, T, ...) of a skeleton; true joints are said to be as sure as any that a lifter gives."""
    sure = np.full(clip.std.shape, FLOOR, np.float32)
    given = _angles(clip.xyz, clip.std, clip.step, skeleton)
    truth = _angles(clip.truth, sure, clip.step, skeleton)
    return MadeAngles(*given, *truth, clip.step)


def outlying(made: MadeAngles, often: float, random: Generator) -> MadeAngles:
    """The same with angles that are far off for some frames: `often` the share of groups in which that happens once in a clip.

    Joints err by little and all together; what a body cannot do is rare among their angles, and this is what to be told from it.
    """
    clips, frames = made.step.shape
    groups = len(angle_encoding.ROWS)
    angle, std = made.angle.copy(), made.std.copy()
    hit = random.random((clips, groups)) < often
    start = random.integers(0, frames, (clips, groups))
    lasts = random.integers(*OUTLYING_FRAMES, (clips, groups))
    size = np.radians(random.uniform(*OUTLYING_DEG, (clips, groups)))
    error = size[..., None] * OUTLYING_DOFS * random.standard_normal((clips, groups, 3))
    stated = size[..., None] * OUTLYING_DOFS * np.exp(MISSTATED * random.standard_normal((clips, groups, 3)))
    frame = np.arange(frames)[:, None]
    off = hit[:, None] & (frame >= start[:, None]) & (frame < (start + lasts)[:, None])
    rows = angle_encoding.ROWS
    angle[..., rows] = angle[..., rows] + np.where(off[..., None], error[:, None], 0.0)
    std[..., rows] = np.where(off[..., None], np.hypot(std[..., rows], stated[:, None]), std[..., rows])
    return replace(made, angle=angle, std=std)


def undisturbed(made: MadeAngles, sure: bool) -> MadeAngles:
    """The same people without errors, said to be `sure` or, where they can be, as unsure as those with errors."""
    std = np.where(np.isfinite(made.std) & (not sure), made.std, made.truth_std)
    return MadeAngles(
        made.truth, std, made.truth_flags, made.truth, made.truth_std, made.truth_flags, made.step
    )


def seen(made: MadeAngles) -> tuple[np.ndarray, np.ndarray]:
    """What a network sees of clips from an empty past: groups (n, T, G, F) and context (n, T, C)."""
    step = np.array(made.step, float)
    step[:, 0] = np.nan
    return angle_encoding.encode(made.angle, made.std, made.flags), angle_encoding.context(step)


def rotations(made: MadeAngles) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotations of the groups as given and as they should be (n, T, G, 3, 3), and whether they were seen (n, T, G).

    Where the truth does not determine an angle it should stay as it was given.
    """
    wanted = np.where(np.isfinite(made.truth), made.truth, made.angle)
    seen = np.isfinite(made.angle[..., angle_encoding.ROWS]).any(-1)
    return angle_encoding.rotations(made.angle), angle_encoding.rotations(wanted), seen


def sequences(made: MadeAngles) -> list[AngleSequence]:
    """Each clip as the angles of one person."""
    return [
        AngleSequence(NAMES, stamps, angle, std, flags, pelvis_sequence=angle_encoding.PELVIS_SEQUENCE)
        for stamps, angle, std, flags in zip(
            _stamps(made.step), made.angle, made.std, made.flags, strict=True
        )
    ]


def wrapped(difference: np.ndarray) -> np.ndarray:
    """Differences of angles in radians, at most half a turn."""
    return np.asarray(np.arctan2(np.sin(difference), np.cos(difference)))


def mean_degrees(difference: np.ndarray, counted: np.ndarray) -> float:
    """Mean absolute difference of angles (...) in degrees, whole turns apart, over those `counted` (...); NaN without any."""
    values = np.abs(wrapped(difference[counted]))
    return float(np.degrees(values.mean())) if values.size else float("nan")


def _angles(
    xyz: np.ndarray, std: np.ndarray, step: np.ndarray, skeleton: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles, deviations and flags (n, T, A) of joints (n, T, J, 3) in heights."""
    clips, frames = step.shape
    # One recording of all clips, because starting one takes longer than a clip. A frame without a person makes it forget.
    joints = _in_a_row(DEFAULT_HEIGHT * xyz.astype(float))
    stamps = NS_PER_S + np.arange(len(joints)) * NS_PER_S
    recording = sequence(joints, _in_a_row(DEFAULT_HEIGHT * std.astype(float)), stamps, skeleton)
    found = angles_of(recording)
    angle, stated, flags = (
        values.reshape(clips, frames + 1, -1)[:, :frames] for values in (found.angle, found.std, found.flags)
    )
    return angle, stated, flags


def _in_a_row(values: np.ndarray) -> np.ndarray:
    """(n (T + 1), ...) clips (n, T, ...) with a frame of NaN after each."""
    between = np.full((len(values), 1, *values.shape[2:]), np.nan)
    return np.concatenate([values, between], 1).reshape(-1, *values.shape[2:])


def _stamps(step: np.ndarray) -> np.ndarray:
    """(n, T) ns of clips with `step` (n, T)."""
    return NS_PER_S + np.rint(np.cumsum(step.astype(float), 1) * NS_PER_S).astype(np.int64)


def sequence(xyz: np.ndarray, std: np.ndarray, stamps: np.ndarray, skeleton: str) -> PoseSequence:
    """One person's joints (T, J, 3) about the root and their deviations (T, J), in metres; NaN where missing."""
    missing = ~np.isfinite(xyz).all(-1)
    return PoseSequence(
        skeleton=skeleton,
        stamps=stamps,
        xyz=xyz,
        confidence=np.where(missing, 0.0, 1.0),
        std=std,
        root_std=np.zeros((len(xyz), 3)),
        state=np.where(missing, JointState.MISSING, JointState.LIFTED).astype(np.uint8),
        person_confidence=np.where(missing.all(1), np.nan, 1.0),
        frame_id="camera",
    )
