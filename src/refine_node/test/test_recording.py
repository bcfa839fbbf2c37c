"""Recordings refined as live and offline: each frame stands in its place, bones keep their length, gaps stay what they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_core.geometry.kinematics import BoneTree
from pose_core.measures import metrics
from pose_core.people import JointState
from pose_core.sequence import PoseSequence
from pose_core.units import NS_PER_S
from refine_node import recording
from refine_node.params import RefineParams


def walk(figure, frames: int = 60, noise: float = 0.0) -> PoseSequence:
    """The figure 3 m before the camera, its arms swinging a little, at 30 frames per second."""
    random = np.random.default_rng(0)
    time = np.arange(frames) / 30.0
    xyz = np.repeat((figure.xyz + np.array([0.0, 0.0, 3.0]))[None], frames, 0)
    wrists = figure.skeleton.indices("left_wrist", "right_wrist")
    xyz[:, wrists, 2] += 0.1 * np.sin(2.0 * np.pi * time)[:, None]
    xyz = xyz + noise * random.standard_normal(xyz.shape)
    return PoseSequence(
        skeleton=figure.skeleton.name,
        stamps=NS_PER_S + np.rint(time * NS_PER_S).astype(np.int64),
        xyz=xyz,
        confidence=np.full((frames, 33), 0.9),
        std=np.full((frames, 33), max(noise, 0.01)),
        root_std=np.full((frames, 3), 0.02),
        state=np.full((frames, 33), JointState.LIFTED, np.uint8),
        person_confidence=np.ones(frames),
        frame_id="camera",
        metadata={"height": 1.7, "scale_source": "SUBJECT"},
    )


def without(sequence: PoseSequence, frames: slice) -> PoseSequence:
    """The person is not seen in some frames."""
    xyz, confidence, state = sequence.xyz.copy(), sequence.confidence.copy(), sequence.state.copy()
    xyz[frames], confidence[frames], state[frames] = np.nan, 0.0, JointState.MISSING
    return replace(sequence, xyz=xyz, confidence=confidence, state=state)


@pytest.mark.parametrize("look_ahead", [0, 4])
def test_every_frame_comes_out_at_its_own_place(figure, look_ahead: int):
    sequence = walk(figure)
    params = RefineParams(look_ahead=look_ahead, bone_lengths=False)
    seen: list[tuple[int, int]] = []
    refined = recording.refine_live(sequence, params, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (60, 60)
    np.testing.assert_array_equal(refined.stamps, sequence.stamps)
    assert not refined.missing.any()
    np.testing.assert_allclose(refined.xyz, sequence.xyz, atol=0.03)


def test_raw_changes_nothing(figure):
    sequence = walk(figure, noise=0.02)
    refined = recording.refine_live(sequence, RefineParams(refiner="raw", bone_lengths=False))
    np.testing.assert_allclose(refined.xyz, sequence.xyz, atol=1e-12)
    assert (refined.state == JointState.LIFTED).all()


def test_offline_beats_live(figure):
    truth, noisy = walk(figure), walk(figure, noise=0.03)
    params = RefineParams(white_share=1.0, joint_gate=0.0, bone_lengths=False)
    live, offline = recording.refine_live(noisy, params), recording.smooth(noisy, params)

    def error(sequence: PoseSequence) -> float:
        return metrics.mpjpe(sequence.xyz, truth.xyz, figure.skeleton)

    assert error(offline) < 0.8 * error(live) < 0.8 * error(noisy)
    assert metrics.jitter(offline.xyz, 1 / 30) < 0.3 * metrics.jitter(live.xyz, 1 / 30)


@pytest.mark.parametrize("white_share", [0.3, 0.6])
def test_offline_leaves_the_doubt_that_frames_share(figure, white_share: float):
    """However many frames say the same: it smooths as if more of the deviation came anew with each frame than does."""
    noisy = walk(figure, noise=0.01)
    params = RefineParams(white_share=white_share, bone_lengths=False)
    shared = np.sqrt(1.0 - white_share**2) * noisy.std
    left = recording.smooth(noisy, params).std
    assert (left > shared).all()
    assert (left < noisy.std).all()


def test_offline_bones_have_one_length(figure):
    noisy = walk(figure, noise=0.03)
    assert metrics.bone_length_std(noisy.xyz, figure.skeleton) > 0.01
    refined = recording.smooth(noisy, RefineParams())
    lengths = figure.skeleton.bone_lengths(refined.xyz)
    assert lengths.std(0)[BoneTree(figure.skeleton).rigid].max() < 1e-9
    np.testing.assert_allclose(
        np.median(figure.skeleton.bone_lengths(refined.xyz), axis=0)[:5],
        figure.skeleton.bone_lengths(figure.xyz)[:5],
        rtol=0.1,
    )


def test_a_short_gap_is_bridged_and_a_long_one_is_not(figure):
    sequence = walk(figure)
    short = recording.smooth(without(sequence, slice(20, 24)), RefineParams(bone_lengths=False))
    assert not short.missing.any()
    assert (short.state[20:24] == JointState.INTERPOLATED).all()
    assert (short.state[:20] == JointState.LIFTED).all()
    np.testing.assert_allclose(short.xyz[20:24], sequence.xyz[20:24], atol=0.02)
    long = recording.smooth(without(sequence, slice(20, 40)), RefineParams())
    np.testing.assert_array_equal(long.missing.all(1), np.isin(np.arange(60), np.arange(20, 40)))
    assert (long.confidence[20:40] == 0.0).all()


def test_a_missing_joint_is_filled_between_and_not_beyond(figure):
    sequence = walk(figure)
    xyz = sequence.xyz.copy()
    xyz[:10, 15], xyz[30:33, 15], xyz[50:, 15] = np.nan, np.nan, np.nan
    refined = recording.smooth(replace(sequence, xyz=xyz), RefineParams())
    assert refined.missing[:10, 15].all()
    assert refined.missing[50:, 15].all()
    assert not refined.missing[10:50].any()
    assert (refined.std[30:33, 15] > 0.0).all()


def test_nobody_at_all_stays_nobody(figure):
    refined = recording.smooth(without(walk(figure), slice(None)), RefineParams())
    assert refined.missing.all()


def test_a_refiner_without_offline_form_says_which_have_one(figure):
    with pytest.raises(ValueError, match=r"'one_euro' has no offline form; choose one of .*kalman"):
        recording.smooth(walk(figure), RefineParams(refiner="one_euro"))


def test_a_giant_is_an_error_of_unit(figure):
    sequence = walk(figure)
    with pytest.raises(ValueError, match="must be in metres"):
        recording.refine_live(replace(sequence, xyz=1e3 * sequence.xyz), RefineParams())


@pytest.mark.parametrize("by", [0.6, 1.0, 10.0])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_hip_that_is_somewhere_else_does_not_take_the_body_with_it_offline(figure, by: float, frames: int):
    sequence = walk(figure, noise=0.01)
    whole = recording.smooth(sequence, RefineParams(bone_lengths=False))
    xyz = sequence.xyz.copy()
    hip = figure.skeleton.index("left_hip")
    xyz[30 : 30 + frames, hip, 0] += by
    found = recording.smooth(replace(sequence, xyz=xyz), RefineParams(bone_lengths=False))
    off = np.linalg.norm(found.xyz - whole.xyz, axis=-1)
    others = np.arange(len(figure.skeleton)) != hip
    assert off[:, others].max() < 0.05
