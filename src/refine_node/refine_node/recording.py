"""One person's recording, refined as a whole: as the stage would have done it live, or with all of the future known.

Offline the root and the joints about it are smoothed apart, as live, by the exact smoother of the live filter's model, or the
joints by a network; then every bone gets the length that it has over the whole recording.
"""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from pose_core.callbacks import Progress, no_progress
from pose_core.filtering.filters import AccelerationDensity
from pose_core.filtering.smoothing import rts_smooth
from pose_core.geometry.kinematics import BoneTree, typical_lengths
from pose_core.people import JointState, People3D
from pose_core.sequence import ARRAYS, COVARIANCE, PoseSequence
from pose_core.skeleton import SKELETONS
from pose_core.units import NS_PER_S
from refine_node.coasting import JOINT_SPEED, ROOT_SPEED
from refine_node.network_refiner import NetworkRefiner
from refine_node.params import RefineParams
from refine_node.pipeline import PeopleRefiner, usable_std
from refine_node.refiners import REFINERS
from refine_node.refiners.kalman import Kalman
from refine_node.relative import ASTRAY

ID = "p1"
"""Of a person without a name."""

# What a filter lets through to keep up a smoother need not, because it has no lag: on the default lifter's output 0.8 instead of
# the filter's 0.4 takes away a seventh of the acceleration that is left, at the same errors. Less process noise than the filter's
# would make positions worse.
WHITE_SHARE = 0.8
"""Least share of a joint's deviation that is taken for independent from frame to frame while smoothing, though not for more
certainty afterwards."""

AROUND = 2
"""Frames before and after one that tell, by their median, where its joints usually are about the root."""


def refine_live(
    sequence: PoseSequence, params: RefineParams, progress: Progress = no_progress
) -> PoseSequence:
    """What the stage publishes of a person frame by frame, each at the frame that it describes.

    Frames of which nothing is published are missing; the last ones look ahead less than the others. `progress` gets frames done,
    and all. Raises ValueError as `PeopleRefiner`, and where the stage believes none of the frames because of the person's size.
    """
    stage = PeopleRefiner(params)
    frames = _known(sequence).to_people()
    refined = _blank(sequence)
    wrong = ""

    def put(people: People3D) -> None:
        row = int(np.searchsorted(sequence.stamps, people.stamp))
        for person in people.people:
            refined.xyz[row], refined.std[row], refined.state[row] = person.xyz, person.std, person.state
            refined.confidence[row], refined.root_std[row] = person.joint_confidence, person.root_std
            refined.person_confidence[row] = person.confidence
            if refined.covariance is not None and person.covariance is not None:
                refined.covariance[row] = person.covariance

    for done, people in enumerate(frames, 1):
        published = stage.process(people)
        wrong = next(iter(stage.wrong_units.values()), wrong)
        if published is not None:
            put(published)
        progress(done, len(frames))
    for published in stage.flush():
        put(published)
    if wrong and refined.missing.all():
        raise ValueError(wrong)
    return refined


def smooth(sequence: PoseSequence, params: RefineParams, progress: Progress = no_progress) -> PoseSequence:
    """The recording with all of it known; its rigid bones, if they are to be held, each have one length throughout.

    Refiner `kalman` is the exact smoother. One that runs a network waits for as many frames as the network can use, and is shown
    the last one again after the end. Gaps of at most `max_gap` seconds are bridged. Raises ValueError for a refiner that has no
    offline form.
    """
    kind = REFINERS.get(params.refiner)
    sequence = _known(sequence)
    if issubclass(kind, NetworkRefiner):
        late = kind.session(params).card.look_aheads[-1]
        live = replace(params, look_ahead=late, bone_lengths=False)
        # A network that sees both sides of a frame has no answer without the frames after it.
        refined = refine_live(_extended(sequence, late), live, progress)[: len(sequence)]
    elif issubclass(kind, Kalman):
        # What the stage does before it filters: sides put right, people who cannot be where they are left out.
        plain = replace(params, refiner="raw", model="", look_ahead=0, bone_lengths=False)
        refined = _pieces(refine_live(sequence, plain, progress), params)
    else:
        able = [name for name, kind in REFINERS.usable() if issubclass(kind, (Kalman, NetworkRefiner))]
        raise ValueError(f"refiner '{params.refiner}' has no offline form; choose one of {', '.join(able)}")
    if not params.bone_lengths or refined.missing.all():
        return refined
    return replace(refined, xyz=_with_lengths(refined))


def _with_lengths(sequence: PoseSequence) -> np.ndarray:
    """Positions (T, J, 3) moved by the least that gives every rigid bone one length.

    Joints weigh in all frames as they usually do: weights that change with each frame's deviations make the joints tremble.
    """
    tree = BoneTree(SKELETONS.get(sequence.skeleton))
    lengths = np.where(tree.rigid, _lengths(tree, sequence), np.nan)
    exactly = np.zeros(len(tree.child))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what is never seen has no median
        usual = np.nanmedian(sequence.std, 0)
    near = (tree.least_move(frame, lengths, usual, exactly) for frame in sequence.xyz)
    return np.stack([tree.with_lengths(frame, lengths) for frame in near])


def _lengths(tree: BoneTree, sequence: PoseSequence) -> np.ndarray:
    """(B,) metres over a whole recording, which is long enough to tell left from right; a side not seen has that of the other."""
    observed = np.stack([tree.measure(frame)[0] for frame in sequence.xyz], 1)
    sure = np.where(sequence.missing, np.nan, sequence.confidence / sequence.std**2)
    at_ends = tree.at_nodes(sure.T)
    weights = np.nan_to_num(np.minimum(at_ends[tree.parent], at_ends[tree.child]))
    # Two bones of one length need one weight in every frame.
    weights = np.where(tree.tied[:, None], np.minimum(weights, weights[tree.mirror]), weights)
    lengths, _, _ = typical_lengths(observed, weights)
    return np.where(np.isnan(lengths), lengths[tree.mirror], lengths)


def _pieces(sequence: PoseSequence, params: RefineParams) -> PoseSequence:
    """Smoothed between each two gaps longer than `max_gap`, which separate recordings."""
    refined = _blank(sequence)
    seen = sequence.stamps[~sequence.missing.all(1)]
    edges = [start for _, start in sequence.gaps(params.max_gap)]
    bounds = [int(seen[0]), *edges, int(seen[-1]) + 1] if len(seen) else []
    for start, end in itertools.pairwise(bounds):
        piece = _smoothed(sequence.between(start, end), params)
        first = int(np.searchsorted(sequence.stamps, start))
        for name in ARRAYS:
            getattr(refined, name)[first : first + len(piece)] = getattr(piece, name)
        if refined.covariance is not None and piece.covariance is not None:
            refined.covariance[first : first + len(piece)] = piece.covariance
    return refined


def _smoothed(sequence: PoseSequence, params: RefineParams) -> PoseSequence:
    """A piece without long gaps, bones left as they are."""
    gate = params.joint_gate or math.inf
    share = max(params.white_share, WHITE_SHARE)
    root = _root(sequence)
    centre, centre_std = rts_smooth(
        sequence.stamps,
        root[..., None],
        params.root_white_share * sequence.root_std,
        params.root_process_noise,
        initial_speed_std=ROOT_SPEED,
        gate=gate,
        gate_patience=1,
    )
    centre = centre[..., 0]
    relative = sequence.xyz - np.where(np.isfinite(root), root, centre)[:, None]
    xyz, std = rts_smooth(
        sequence.stamps,
        relative,
        share * sequence.std,
        AccelerationDensity(params.process_noise, params.process_noise_rate),
        initial_speed_std=JOINT_SPEED,
        gate=gate,
        gate_patience=params.gate_frames,
    )
    lasting = math.sqrt(1.0 - params.white_share**2) * _held(sequence.std)
    std = np.hypot(params.white_share / share * std, lasting)
    there = _bridged(sequence, params.max_gap) & np.isfinite(xyz).all(-1)
    state = np.where(sequence.missing, JointState.INTERPOLATED, sequence.state)
    confidence = np.where(sequence.missing, _held(sequence.confidence, sequence.missing), sequence.confidence)
    return replace(
        sequence,
        xyz=np.where(there[..., None], xyz + centre[:, None], np.nan),
        std=np.where(there, std, np.nan),
        root_std=np.hypot(centre_std, math.sqrt(1.0 - params.root_white_share**2) * _held(sequence.root_std)),
        confidence=np.where(there, confidence, 0.0),
        state=np.where(there, state, JointState.MISSING).astype(np.uint8),
        person_confidence=_held(sequence.person_confidence[:, None])[:, 0],
        covariance=None if sequence.covariance is None else _held(sequence.covariance),
    )


def _root(sequence: PoseSequence) -> np.ndarray:
    """(T, 3) the root; where the hips of a frame or two put it `ASTRAY`, where the rest of the body does."""
    root: np.ndarray = SKELETONS.get(sequence.skeleton).root_of(sequence.xyz)
    about = sequence.xyz - root[:, None]
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(root, ((AROUND, AROUND), (0, 0)), mode="edge"), 2 * AROUND + 1, axis=0
    )
    found = root.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what is never seen has no median
        moved = np.abs(root - np.nanmedian(around, -1)) > 0.5 * ASTRAY
        for t in np.flatnonzero(moved.any(1)).tolist():
            usual = np.nanmedian(about[max(t - AROUND, 0) : t + AROUND + 1], 0)
            off = np.nanmedian(about[t] - usual, 0)
            if (np.abs(off) > ASTRAY).any():
                found[t] = root[t] + off
    return found


def _bridged(sequence: PoseSequence, longest: float) -> np.ndarray:
    """(T, J) where a joint is seen, or will be within `longest` seconds of when it was."""
    there = ~sequence.missing
    for joint in range(there.shape[1]):
        seen = np.flatnonzero(there[:, joint])
        for before, after in itertools.pairwise(seen.tolist()):
            if (sequence.stamps[after] - sequence.stamps[before]) / NS_PER_S <= longest:
                there[before:after, joint] = True
    return there


def _held(values: np.ndarray, missing: np.ndarray | None = None) -> np.ndarray:
    """(T, ...) with each missing (or NaN) value replaced by the last one before it, or the first one after."""
    gone = np.isnan(values) if missing is None else missing
    frames = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    last = np.maximum.accumulate(np.where(gone, -1, frames), 0)
    first = np.argmin(gone, 0)
    return np.take_along_axis(values, np.where(last < 0, first, last), 0)


def _known(sequence: PoseSequence) -> PoseSequence:
    """The sequence as the stage takes it: with a person's name, and a usable deviation of every joint."""
    there = ~sequence.missing
    usable = np.where(there, usable_std(sequence.std), np.nan)
    return replace(
        sequence,
        person=sequence.person or ID,
        std=usable,
        root_std=np.where(there.any(1)[:, None], usable_std(sequence.root_std), np.nan),
        person_confidence=np.where(there.any(1), np.nan_to_num(sequence.person_confidence, nan=1.0), np.nan),
    )


def _extended(sequence: PoseSequence, frames: int) -> PoseSequence:
    """The sequence and `frames` more like its last one, as far apart as frames usually are."""
    step = int(np.median(np.diff(sequence.stamps))) if len(sequence) > 1 else NS_PER_S // 30
    later = {name: np.repeat(getattr(sequence, name)[-1:], frames, 0) for name in ARRAYS}
    later["stamps"] = sequence.stamps[-1] + step * np.arange(1, frames + 1)
    longer: dict[str, Any] = {name: np.concatenate([getattr(sequence, name), later[name]]) for name in ARRAYS}
    if (shape := sequence.covariance) is not None:
        longer[COVARIANCE] = np.concatenate([shape, np.repeat(shape[-1:], frames, 0)])
    return replace(sequence, **longer)


def _blank(sequence: PoseSequence) -> PoseSequence:
    """The same frames, in which everything is missing."""
    frames, joints = sequence.confidence.shape
    return replace(
        sequence,
        xyz=np.full((frames, joints, 3), np.nan),
        std=np.full((frames, joints), np.nan),
        root_std=np.full((frames, 3), np.nan),
        confidence=np.zeros((frames, joints)),
        state=np.full((frames, joints), JointState.MISSING, np.uint8),
        person_confidence=np.full(frames, np.nan),
        covariance=None if sequence.covariance is None else np.full((frames, joints, 6), np.nan),
    )
