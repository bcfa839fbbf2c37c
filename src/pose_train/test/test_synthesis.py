"""Clips: deterministic, of plausible people before plausible cameras, and true to the motion they come from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pose_core.markers import tilt_of
from pose_core.skeleton import SKELETONS
from pose_train.data import detector, mocap, synthesis
from pose_train.data.synthesis import Bodies, Clips, Synthesizer
from pose_train.testing import motion, rest

MP = SKELETONS.get("mediapipe33")


def make(
    synthesizer: Synthesizer, seed: int = 0, count: int = 60, frames: int = 9, noise=detector.FULL
) -> Clips:
    return synthesizer.clips(count, frames, np.random.default_rng(seed), noise)


def test_the_same_seed_gives_the_same_bytes_and_another_others(synthesizer: Synthesizer):
    one, again, other = make(synthesizer, 3), make(synthesizer, 3), make(synthesizer, 4)
    for name in ("xy", "confidence", "clean_xy", "step", "height"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert not np.array_equal(one.height, other.height)


def test_shapes(synthesizer: Synthesizer):
    clips = make(synthesizer, count=5, frames=4)
    assert clips.xy.shape == clips.clean_xy.shape == (5, 4, 33, 2)
    assert clips.confidence.shape == clips.inside.shape == (5, 4, 33)
    assert {name: xyz.shape for name, xyz in clips.joints.items()} == {
        "mediapipe33": (5, 4, 33, 3),
        "h36m17": (5, 4, 17, 3),
        "mpi_inf28": (5, 4, 28, 3),
    }


def test_true_keypoints_are_projections_and_everybody_is_before_the_camera(synthesizer: Synthesizer):
    clips = make(synthesizer)
    xyz = clips.joints["mediapipe33"]
    np.testing.assert_allclose(clips.clean_xy, xyz[..., :2] / xyz[..., 2:], rtol=1e-5, atol=1e-6)
    assert xyz[..., 2].min() >= synthesis.NEAREST - 1e-4


def test_bones_keep_their_length_within_a_clip_but_for_the_captured_wobble(pack: mocap.Pack):
    rigid = mocap.Motion(
        "r", "r", np.repeat(pack.motions[0].xyz[:1], 90, 0), pack.motions[0].quaternions[:90]
    )
    clips = make(Synthesizer([mocap.Pack(60.0, (rigid,))]))
    lengths = SKELETONS.get("h36m17").bone_lengths(clips.joints["h36m17"].astype(float))
    assert lengths[:, :, :].std(1)[:, 4:12].max() < 1e-5


def test_left_and_right_bones_are_alike_and_people_differ(pack: mocap.Pack):
    still = mocap.Motion("s", "s", np.repeat(rest()[None], 30, 0), pack.motions[0].quaternions[:30])
    clips = make(Synthesizer([mocap.Pack(60.0, (still,))]), count=500, frames=1)
    xyz = clips.joints["h36m17"][:, 0].astype(float)
    skeleton = SKELETONS.get("h36m17")
    lengths = dict(zip(skeleton.bone_names, skeleton.bone_lengths(xyz).T, strict=True))
    for bone in ("hip-{}_knee", "elbow-{}_wrist"):
        left, right = (lengths[f"{side}_{bone.format(side)}"] for side in ("left", "right"))
        np.testing.assert_allclose(left, right, rtol=1e-4)
    thighs = lengths["left_hip-left_knee"] / clips.height
    assert 0.02 < thighs.std() / thighs.mean() < 0.06


def test_heights_are_those_of_the_chain_of_trunk_and_legs():
    # Of the test skeleton: hips to shoulders 0.10 + 0.35 + 0.06, thigh 0.43, shank 0.42 m.
    still = mocap.Motion(
        "s", "s", np.repeat(rest()[None], 30, 0), np.tile([1.0, 0, 0, 0], (30, 7, 1)).astype(np.float32)
    )
    chain = synthesis._chain(still.xyz)
    np.testing.assert_allclose(chain, [0.51, 0.43, 0.42], atol=1e-5)
    assert synthesis._height(chain[None], np.ones((1, 31)))[0] == pytest.approx(1.36 / 0.779, rel=1e-6)
    clips = make(Synthesizer([mocap.Pack(60.0, (still,))]))
    assert clips.height.min() >= synthesis.HEIGHTS[0]
    assert clips.height.max() <= synthesis.HEIGHTS[1]


def test_a_share_of_people_is_upside_down_or_lying(pack: mocap.Pack):
    def upright(turned: float) -> float:
        bodies = synthesis.Bodies(turned=turned)
        xyz = make(Synthesizer([pack], bodies=bodies)).joints["h36m17"][:, 0]
        return float(np.mean(xyz[:, 8, 1] < xyz[:, 0, 1]))  # y points down: the neck above the pelvis

    assert upright(0.0) == 1.0
    assert 0.3 < upright(1.0) < 0.7


def test_people_as_captured_keep_their_proportions(pack: mocap.Pack):
    still = mocap.Motion("s", "s", np.repeat(rest()[None], 30, 0), pack.motions[0].quaternions[:30])
    clips = make(Synthesizer([mocap.Pack(60.0, (still,))], bodies=synthesis.AS_CAPTURED))
    skeleton = SKELETONS.get("h36m17")
    lengths = dict(
        zip(skeleton.bone_names, skeleton.bone_lengths(clips.joints["h36m17"].astype(float)).T, strict=True)
    )
    # Thigh 0.43 m of a chain of 1.36 m, which is 0.779 of the height.
    np.testing.assert_allclose(
        lengths["left_hip-left_knee"] / clips.height, np.full((9, 60), 0.43 * 0.779 / 1.36), rtol=1e-4
    )


def test_mirroring_and_turning_leave_left_on_the_left(synthesizer: Synthesizer):
    xyz = make(synthesizer).joints["mediapipe33"].astype(float)
    left = xyz[:, :, MP.index("left_hip")] - xyz[:, :, MP.index("right_hip")]
    up = MP.with_virtual(xyz)[:, :, MP.index("neck")] - MP.root_of(xyz)
    toes = xyz[:, :, MP.index("left_foot_index")] - xyz[:, :, MP.index("left_heel")]
    assert ((np.cross(left, up) * toes).sum(-1) > 0.0).mean() > 0.99


def test_a_motion_shorter_than_the_clip_is_played_back_and_forth_without_a_jump():
    short = motion("b", "b", 12, 1)
    clips = make(Synthesizer([mocap.Pack(60.0, (short,))]), count=20, frames=80)
    speed = np.linalg.norm(np.diff(clips.joints["h36m17"][:, :, 0], axis=1), axis=-1) / clips.step[:, 1:]
    assert speed.max() < 15.0  # a jump of the pelvis within one image would be 30 and more


def test_steps_are_those_of_the_frame_rates_with_lost_images(synthesizer: Synthesizer):
    step = make(synthesizer, frames=50).step
    nominal = np.median(step, 1)
    assert nominal.min() >= 1.0 / 60.0 - 1e-9
    assert nominal.max() <= 1.0 / 15.0 + 1e-9
    lost = step / nominal[:, None]
    np.testing.assert_allclose(lost, np.round(lost), atol=1e-6)
    assert 0.01 < (lost > 1.5).mean() < 0.06
    assert lost.max() <= 4.0 + 1e-6


def test_some_people_are_cut_by_the_border(synthesizer: Synthesizer):
    inside = make(synthesizer).inside
    assert 0.6 < inside.mean() < 0.98
    assert inside.all(2).any()


def test_up_is_where_the_heads_of_those_who_stand_are(pack: mocap.Pack):
    """Nobody turned as a whole: from the ankles to the nose it is up, whatever the camera's tilt."""
    for tilted in (0.0, 1.0):
        clips = make(Synthesizer([pack], (), synthesis.AS_CAPTURED, tilted))
        np.testing.assert_allclose(np.linalg.norm(clips.up, axis=-1), 1.0, atol=1e-5)
        xyz = clips.joints["mediapipe33"]
        body = xyz[:, :, MP.joints.index("nose")] - xyz[:, :, MP.indices("left_ankle", "right_ankle")].mean(2)
        body /= np.linalg.norm(body, axis=-1, keepdims=True)
        assert np.einsum("nti,nti->nt", body, clips.up).min() > 0.9


def test_tilted_cameras_are_tilted_more(pack: mocap.Pack):
    """Pitch and roll of 2,000 cameras that stand still: deviations as the table of tilts has them, less what its limits cut."""
    for tilted, pitch_std, roll_std in ((0.0, 15.0, 5.0), (1.0, 25.0, 20.0)):
        clips = make(Synthesizer([pack], tilted=tilted), count=2000, frames=1)
        pitch, roll = np.array([tilt_of(up) for up in clips.up[:, 0].astype(float)]).T
        assert pitch.mean() == pytest.approx(synthesis.PITCH, abs=2.0)
        assert pitch.std() == pytest.approx(pitch_std, rel=0.08)
        # 4 in 10 cameras sway, about their own axis by 2 degrees.
        assert roll.std() == pytest.approx(roll_std, rel=0.15)
    half = make(Synthesizer([pack], tilted=0.5), count=2000, frames=1)
    roll = np.array([tilt_of(up)[1] for up in half.up[:, 0].astype(float)])
    assert 0.5 * 0.4 < np.mean(np.abs(roll) > 16.0) / 1.0 < 0.5 * 0.5


def test_half_of_the_clips_state_what_points_up_and_err_by_two_degrees(synthesizer: Synthesizer):
    clips = make(synthesizer, count=2000, frames=2)
    stated = clips.stated_up(np.random.default_rng(1))
    known = np.isfinite(stated).all(-1)
    assert (known.all(1) == known.any(1)).all()
    assert known[:, 0].mean() == pytest.approx(synthesis.UP_KNOWN, abs=0.04)
    # An error about up itself does not move it: two of three axes count.
    off = np.degrees(np.arccos(np.clip((stated * clips.up)[known].sum(-1), -1.0, 1.0)))
    assert np.sqrt(np.mean(off**2)) == pytest.approx(np.sqrt(2.0) * synthesis.UP_STD_DEG, rel=0.06)


def exchanged(
    pack: mocap.Pack, bodies: Bodies, count: int = 20, frames: int = 4
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Bones (n, T, 30, 3) and segments of motions, and the same with limbs exchanged and bent."""
    synthesizer, random = Synthesizer([pack], bodies=bodies), np.random.default_rng(4)
    xyz, rotations, _ = synthesizer._motion(np.full((count, frames), 0.05), random)
    other, turned = synthesizer._exchange(xyz, rotations, random)
    np.testing.assert_array_equal(other[:, :, 0], xyz[:, :, 0])
    parents = list(mocap.PARENTS[1:])
    before, after = (points[:, :, 1:] - points[:, :, parents] for points in (xyz, other))
    np.testing.assert_allclose(
        np.linalg.norm(after, axis=-1), np.linalg.norm(before, axis=-1), atol=1e-5
    )  # bones keep their lengths
    np.testing.assert_allclose(np.linalg.det(turned), 1.0, atol=1e-4)
    return before, rotations, after, turned


def carried(bones: np.ndarray, rotations: np.ndarray, part: synthesis._Part) -> np.ndarray:
    """Directions (n, T, B, 3) of a part's bones in the axes of the segment that carries it."""
    inside = np.matmul(bones[:, :, part.bones], rotations[:, :, part.carrier])
    return inside / np.maximum(np.linalg.norm(inside, axis=-1, keepdims=True), 1e-6)


def test_limbs_are_those_of_somebody_else_about_the_trunk(pack: mocap.Pack):
    before, rotations, after, turned = exchanged(pack, Bodies(exchanged=1.0, bent=0.0))
    for part in (synthesis.ARMS, synthesis.LEGS):
        theirs, own = carried(before, rotations, part), carried(after, turned, part)
        gap = np.abs(own[:, None] - theirs[None]).max((2, 3, 4))
        assert gap.min(1).max() < 1e-4
        assert (gap.argmin(1) != np.arange(len(gap))).mean() > 0.5
        # Hands and feet come along.
        ends = [
            np.matmul(r[:, :, part.carrier, None].swapaxes(-1, -2), r[:, :, part.segments])
            for r in (rotations, turned)
        ]
        np.testing.assert_allclose(ends[1], ends[0][gap.argmin(1)], atol=1e-4)
    trunk = [mocap.JOINTS.index(name) - 1 for name in synthesis.TRUNK]
    np.testing.assert_allclose(after[:, :, trunk], before[:, :, trunk], atol=1e-6)


def test_joints_are_bent_by_angles_that_stay(pack: mocap.Pack):
    before, rotations, after, turned = exchanged(pack, Bodies(exchanged=0.0, bent=1.0), count=200)
    angles = []
    for side in range(2):
        arm, degrees = synthesis.BENT[side]
        assert degrees == 15.0
        was, now = carried(before, rotations, arm), carried(after, turned, arm)
        for clip in range(len(was)):
            turn, rest = Rotation.align_vectors(now[clip].reshape(-1, 3), was[clip].reshape(-1, 3))
            assert rest < 1e-3
            angles.append(np.degrees(turn.magnitude()))
    # Three axes: the root of the sum of their squares.
    assert np.sqrt(np.mean(np.square(angles))) == pytest.approx(15.0 * np.sqrt(3.0), rel=0.1)


def test_people_as_captured_keep_their_limbs(pack: mocap.Pack):
    before, rotations, after, turned = exchanged(pack, synthesis.AS_CAPTURED)
    np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(turned, rotations)


def test_packs_of_different_rates_are_refused(pack: mocap.Pack):
    with pytest.raises(ValueError, match="one frame rate"):
        Synthesizer([pack, mocap.Pack(30.0, pack.motions)])
    with pytest.raises(ValueError, match="one frame rate"):
        Synthesizer([])


def test_clips_at_stated_rates_have_these_and_lose_no_image(synthesizer: Synthesizer):
    clips = synthesizer.clips(40, 30, np.random.default_rng(5), rates=(25.0, 50.0))
    assert sorted(set(np.round(1.0 / clips.step, 6).ravel())) == [25.0, 50.0]
    assert (np.ptp(clips.step, 1) == 0.0).all()
