"""Made noise: as much as asked for, where it belongs, and the same from the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from pose_core.skeleton import SKELETONS
from pose_train.data import noise as refiner_noise
from pose_train.data.clips import Clip
from pose_train.data.noise import FLOOR, Noise, NoiseMaker

SKELETON = SKELETONS.get("mediapipe33")
NONE = Noise(turn=0.0, white=0.0, bursts=0.0, drops=0.0, swaps=0.0, clean=0.0)


def person(clips: int = 20, frames: int = 60) -> np.ndarray:
    """Somebody who stands still, about the root."""
    xyz = np.random.default_rng(3).normal(0.0, 0.2, (33, 3)).astype(np.float32)
    xyz -= SKELETON.root_of(xyz)
    return np.broadcast_to(xyz, (clips, frames, 33, 3)).copy()


def made(noise: Noise, clips: int = 20, frames: int = 60, seed: int = 0) -> Clip:
    step = np.full((clips, frames), 1 / 30)
    return NoiseMaker(SKELETON, noise).clip(person(clips, frames), step, np.random.default_rng(seed))


@pytest.mark.parametrize("noise", [NONE, Noise(clean=1.0)])
def test_without_noise_the_truth_comes_back_as_sure(noise: Noise):
    clip = made(noise)
    np.testing.assert_allclose(clip.xyz, clip.truth, atol=1e-6)
    assert np.median(clip.std) == pytest.approx(FLOOR, rel=0.3)
    assert (clip.confidence > 0.0).all()


def test_white_noise_has_its_deviation():
    clip = made(NONE.__class__(**{**vars(NONE), "white": 0.02}), clips=400, frames=20)
    errors = clip.xyz - clip.truth
    # Drawn uniformly up to 0.02 per clip: the mean square is a third of its square; twice as much along the depth.
    assert np.sqrt((errors[..., :2] ** 2).mean()) == pytest.approx(0.02 / 3**0.5, rel=0.1)
    assert np.sqrt((errors[..., 2] ** 2).mean()) == pytest.approx(0.04 / 3**0.5, rel=0.1)


def test_turned_bones_err_slowly_and_more_at_their_ends():
    clip = made(Noise(turn=0.2, white=0.0, bursts=0.0, drops=0.0, swaps=0.0, clean=0.0), clips=200)
    errors = clip.xyz - clip.truth
    np.testing.assert_allclose(SKELETON.root_of(errors), 0.0, atol=1e-5)
    size = np.sqrt((errors**2).mean((0, 1, 3)))
    knee, ankle = size[SKELETON.index("left_knee")], size[SKELETON.index("left_ankle")]
    assert ankle > knee > 0.0
    steps = np.sqrt((np.diff(errors, axis=1) ** 2).mean())
    assert steps < 0.5 * np.sqrt((errors**2).mean())
    # What is stated is honest up to what is meant to be wrong about it.
    stated = np.median(clip.std / np.sqrt((errors**2).mean((1, 3)))[:, None])
    assert stated == pytest.approx(1.0, rel=0.3)


def test_dropouts_take_whole_limbs():
    clip = made(Noise(turn=0.0, white=0.0, bursts=0.0, drops=5.0, swaps=0.0, clean=0.0))
    gone = np.isnan(clip.xyz).all(-1)
    assert 0.01 < gone.mean() < 0.5
    np.testing.assert_array_equal(gone, clip.confidence == 0.0)
    np.testing.assert_array_equal(gone, np.isnan(clip.std))
    hand = SKELETON.indices("left_wrist", "left_index", "left_pinky", "left_thumb")
    assert gone[..., hand].any()
    assert (gone[..., hand].all(-1) == gone[..., hand].any(-1)).all()
    assert not gone[..., SKELETON.index("nose")].any()


def test_swaps_exchange_left_and_right_and_nothing_else():
    clip = made(Noise(turn=0.0, white=0.0, bursts=0.0, drops=0.0, swaps=3.0, clean=0.0))
    moved = np.abs(clip.xyz - clip.truth).max(-1) > 1e-6
    assert moved.any()
    assert not moved[..., SKELETON.index("nose")].any()
    np.testing.assert_array_equal(
        np.where(moved[..., None], clip.xyz, 0.0),
        np.where(moved[..., None], clip.truth[:, :, SKELETON.flip], 0.0),
    )


def test_bursts_move_limbs_for_a_while():
    clip = made(Noise(turn=0.0, white=0.0, bursts=2.0, drops=0.0, swaps=0.0, clean=0.0))
    hit = np.abs(clip.xyz - clip.truth).max(-1) > 1e-6
    knee = SKELETON.index("left_knee")
    assert hit[..., knee].any()
    assert (hit[..., SKELETON.index("left_heel")] | ~hit[..., knee]).all()
    told = clip.confidence == np.float32(refiner_noise.LOW)
    assert told.any()
    assert not (told & ~hit).any()


def test_the_same_seed_makes_the_same_noise():
    one, other = made(Noise()), made(Noise())
    np.testing.assert_array_equal(one.xyz, other.xyz)
    assert not np.array_equal(one.xyz, made(Noise(), seed=1).xyz, equal_nan=True)


def test_every_skeleton_of_a_body_works():
    for name in ("h36m17", "coco17", "mpi_inf28"):
        skeleton = SKELETONS.get(name)
        truth = np.zeros((3, 8, len(skeleton), 3), np.float32)
        truth += np.random.default_rng(0).normal(0.0, 0.2, (len(skeleton), 3)).astype(np.float32)
        clip = NoiseMaker(skeleton, Noise()).clip(truth, np.full((3, 8), 1 / 30), np.random.default_rng(0))
        assert clip.xyz.shape == truth.shape


def test_noise_out_of_range_is_refused():
    with pytest.raises(ValueError, match="clean must be from"):
        Noise(clean=1.5)
