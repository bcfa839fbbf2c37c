"""What noise of joints does to angles of people who hold a pose."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lift3d_node.stature import Stature
from pose_biomechanics import isb
from pose_biomechanics.angles import (
    INDEPENDENT,
    AngleOptions,
    angles_of,
)
from pose_core.geometry.rotations import matrix_of_quaternion
from pose_core.people import JointState
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33
from pose_train.data import mocap
from pose_train.data.landmarks import REFERENCE_HEIGHT, Landmarks
from pose_train.studies import (
    oracle as angle_oracle,
)
from pose_train.studies.oracle import kinds, pooled

NOISES_MM = (10, 20, 40)
"""Standard deviations along each axis."""
MIDDLE_MM = 20
"""The one that activities are compared at."""
LEAST_KNOWN = 0.2
"""Share of draws below which an angle is not judged."""
NINE_TENTHS = 1.6449
"""Standard deviations either side of a normal distribution's mean that hold 90 % of it."""
UPRIGHT_DEG, SEATED_THIGH_DEG = 20.0, 35.0
STRAIGHT_KNEE_DEG, SEATED_KNEE_DEG = 20.0, (60.0, 130.0)
STILL, WALKING = 0.15, (0.8, 2.0)
"""Metres per second of the pelvis over the floor."""
SPEED_OVER = 0.5
"""Seconds."""
REFERENCE_STD = 0.01
"""Metres; said of joints from four views, and of OpenSim's markers."""
REPEATED = AngleOptions(errors=INDEPENDENT)
"""Of noise that is drawn anew for each joint and frame."""


@dataclass(frozen=True)
class Noisy:
    """What noise of one size does to one angle, degrees; NaN where it is hardly ever known."""

    error: float
    """Root mean square."""
    stated: float
    """The same of the standard deviations that come with the angles."""
    covered: float
    """Share of errors within what these say holds 90 %."""
    known: float
    """Share of draws with a value among those whose true angle has one."""


def activities(pack: mocap.Pack, count: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """(count, 33, 3) poses of people who stand, walk and sit, before a level camera; fewer where there are no more.

    Chosen from all frames by the speed of the pelvis, and by how trunk, thighs and knees are held.
    """
    place = Landmarks(MEDIAPIPE33.name)
    stature = Stature(MEDIAPIPE33)
    frames: dict[str, list[np.ndarray]] = {"standing": [], "walking": [], "sitting": []}
    for motion in pack.motions:
        rotations = matrix_of_quaternion(np.roll(motion.quaternions, -1, -1)).astype(np.float32)
        xyz = motion.xyz.astype(np.float32)
        ones = np.ones(len(xyz), np.float32)
        height = float(
            np.median([stature.of(one) for one in place.of(xyz[::30], rotations[::30], ones[::30])])
        )
        points = place.of(xyz, rotations, ones * np.float32(height / REFERENCE_HEIGHT)).astype(float)
        for name, rows in _doing(points, pack.fps).items():
            frames[name].extend(points[rows])
    # World (y up) to a camera that looks along world -z.
    level = np.diag([1.0, -1.0, -1.0])
    found = {}
    for name, poses in frames.items():
        chosen = random.choice(len(poses), min(count, len(poses)), replace=False)
        one = np.array([poses[i] for i in np.sort(chosen)]).reshape(-1, len(MEDIAPIPE33), 3)
        root = MEDIAPIPE33.root_of(one)[:, None]
        found[name] = (one - root) @ level + np.array([0.0, 0.0, 4.0])
    return found


def _doing(points: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """(T,) bool by activity, of one person (T, 33, 3), y up."""

    def of(name: str) -> np.ndarray:
        return np.asarray(MEDIAPIPE33.with_virtual(points)[:, MEDIAPIPE33.index(name)])

    def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
        return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))

    root = of("pelvis")
    ahead = max(int(SPEED_OVER * fps / 2.0), 1)
    rows = np.arange(len(root))
    first, last = np.maximum(rows - ahead, 0), np.minimum(rows + ahead, len(root) - 1)
    moved = np.linalg.norm((root[last] - root[first])[:, [0, 2]], axis=-1)
    speed = moved / np.maximum(last - first, 1) * fps
    up = np.array([0.0, 1.0, 0.0])
    lean = apart(of("neck") - root, up)
    thighs, knees = [], []
    for side in ("left", "right"):
        thigh, shank = of(f"{side}_knee") - of(f"{side}_hip"), of(f"{side}_ankle") - of(f"{side}_knee")
        thighs.append(apart(thigh, -up))
        knees.append(apart(thigh, shank))
    thigh, knee = np.stack(thighs), np.stack(knees)
    upright = lean < UPRIGHT_DEG
    sits = (np.abs(thigh - 90.0) < SEATED_THIGH_DEG).all(0)
    sits &= ((knee > SEATED_KNEE_DEG[0]) & (knee < SEATED_KNEE_DEG[1])).all(0)
    return {
        "standing": upright & (speed < STILL) & (knee < STRAIGHT_KNEE_DEG).all(0),
        "walking": upright & (speed > WALKING[0]) & (speed < WALKING[1]) & (thigh < 60.0).all(0),
        "sitting": sits & (speed < STILL) & (lean < 2.0 * UPRIGHT_DEG),
    }


@dataclass(frozen=True)
class Draws:
    """N draws of noise of one size: errors (N, A) and stated deviations (N, A) in degrees, NaN where an angle is not known."""

    error: np.ndarray
    stated: np.ndarray
    true: np.ndarray
    """(N, A) bool, whether the true pose has the angle."""


def drawn(poses: np.ndarray, noise: float, draws: int, random: np.random.Generator) -> Draws:
    """Angles of people who hold a pose (P, 33, 3), each for `draws` frames, whose joints have noise of `noise` metres along each
    axis, against the angles of the poses."""
    true, found, stated = [], [], []
    for pose in poses:
        shaken = pose + noise * random.standard_normal((draws, *pose.shape))
        held, seen = (
            angles_of(sequence_of(xyz, angle_oracle.stamps(len(xyz)), MEDIAPIPE33.name, noise), REPEATED)
            for xyz in (pose[None], shaken)
        )
        true.append(np.repeat(held.angle, draws, 0))
        found.append(seen.angle)
        stated.append(seen.std)
    values, truths, deviations = (
        np.degrees(some).reshape(-1, len(isb.NAMES))
        for some in (np.array(found), np.array(true), np.array(stated))
    )
    by_name = [dict(zip(isb.NAMES, one.T, strict=True)) for one in (values, truths)]
    errors = angle_oracle.errors(*by_name)
    error = np.stack([errors[name] for name in isb.NAMES], 1)
    return Draws(error, np.where(np.isfinite(error), deviations, np.nan), np.isfinite(truths))


def noisy(draws: Iterable[Draws]) -> dict[str, Noisy]:
    """By kind of angle, both sides and all draws together."""
    parts = list(draws)
    error, stated, true = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("error", "stated", "true")
    )
    found = {}
    for kind in kinds():
        columns = [row for row, name in enumerate(isb.NAMES) if pooled(name) == kind]
        e, s, t = error[:, columns], stated[:, columns], true[:, columns]
        there = np.isfinite(e)
        known = float(there.sum() / max(t.sum(), 1))
        if not t.size or t.mean() < LEAST_KNOWN or known < LEAST_KNOWN:
            found[kind] = Noisy(math.nan, math.nan, math.nan, known)
            continue
        found[kind] = Noisy(
            float(np.sqrt((e[there] ** 2).mean())),
            float(np.sqrt((s[there] ** 2).mean())),
            float((e[there] <= NINE_TENTHS * s[there]).mean()),
            known,
        )
    return found


def sequence_of(
    xyz: np.ndarray, stamps: np.ndarray, skeleton: str, std: float = REFERENCE_STD
) -> PoseSequence:
    """Joints (T, J, 3) as a recording of one person, with one standard deviation in metres for all."""
    missing = np.isnan(xyz).any(-1)
    return PoseSequence(
        skeleton=skeleton,
        stamps=stamps,
        xyz=xyz,
        confidence=np.where(missing, 0.0, 1.0),
        std=np.where(missing, np.nan, std),
        root_std=np.full((len(xyz), 3), std),
        state=np.where(missing, JointState.MISSING, JointState.MEASURED).astype(np.uint8),
        person_confidence=np.where(missing.all(1), np.nan, 1.0),
        frame_id="camera",
        person="p1",
    )
