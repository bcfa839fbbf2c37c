"""Data of refiners: what the lifting stage publishes, kept in a file that is whole, and turned as mirrors and clocks turn it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pose_core.skeleton import SKELETONS
from pose_train.data import clips as clip_data
from pose_train.data import lifted as lifted_data
from pose_train.data import mocap
from pose_train.data import stored as stored_data
from pose_train.data.clips import Clip
from pose_train.data.stored import MISSING, UNIT, Made
from pose_train.data.synthesis import Synthesizer
from pose_train.refiner.data import batch_of
from refine_node import encoding

SKELETON = SKELETONS.get("mediapipe33")


@pytest.fixture(scope="module")
def made(data: Path) -> Made:
    return Made(data, clips=3, trained=1, held_out=1, truths=2, frames=10)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSE_CACHE_DIR", str(folder / "new"))
        yield folder / "new"


@pytest.fixture(scope="module")
def file(made: Made, cache: Path) -> Path:
    return stored_data.prepare(made)


def clip(clips: int = 2, frames: int = 5) -> Clip:
    random = np.random.default_rng(0)
    xyz = random.normal(size=(clips, frames, 33, 3)).astype(np.float32)
    return Clip(
        xyz=xyz,
        std=random.uniform(0.01, 0.1, (clips, frames, 33)).astype(np.float32),
        confidence=random.uniform(size=(clips, frames, 33)).astype(np.float32),
        truth=xyz + np.float32(0.01),
        step=np.full((clips, frames), 0.04, np.float32),
    )


def test_a_file_is_made_once(made: Made, file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    assert file.parent == cache
    monkeypatch.setattr(stored_data, "make", None)
    assert stored_data.prepare(made) == file
    assert [one.name for one in cache.iterdir()] == [file.name]


def test_an_interrupted_run_leaves_nothing(
    made: Made, file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stored_data, "make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stored_data.prepare(dataclasses.replace(made, seed=99))
    assert [one.name for one in cache.iterdir()] == [file.name]


def test_the_name_tells_what_is_in_the_file(made: Made):
    assert dataclasses.replace(made, frames=11).digest() != made.digest()
    assert dataclasses.replace(made, seed=6).digest() != made.digest()
    assert dataclasses.replace(made).digest() == made.digest()


def test_what_is_stored(made: Made, file: Path):
    stored = stored_data.read(file)
    assert stored.skeleton == "mediapipe33"
    assert stored.xyz.shape == stored.truth.shape == (3, 10, 33, 3)
    assert stored.motion.shape == (2, 10, 33, 3)
    held = stored.validation()
    assert held.xyz.shape == (1, 10, 33, 3)
    # About the root, in heights: nobody reaches farther than their height, and a lifter is right to a quarter of it.
    np.testing.assert_allclose(SKELETON.root_of(held.truth), 0.0, atol=2 * UNIT)
    np.testing.assert_allclose(SKELETON.root_of(held.xyz), 0.0, atol=2 * UNIT)
    error = np.linalg.norm(held.xyz - held.truth, axis=-1)
    assert 0.001 < np.nanmean(error) < 0.25
    assert (held.confidence > 0.5).mean() > 0.5
    assert np.allclose(1.0 / held.step[:, 1:], 1.0 / held.step[:, 1:2])


def test_progress_counts_all_frames(made: Made, file: Path):
    seen: list[tuple[int, int]] = []
    stored_data.make(made, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (30, 30)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_clips_lifted_together_are_lifted_as_each_alone(pack: mocap.Pack):
    clips = Synthesizer([pack], ("mediapipe33",)).clips(2, 6, np.random.default_rng(0), rates=(30.0,))
    together = lifted_data.lift(Made.lifter, clips)
    arrays = {
        field.name: getattr(clips, field.name)[1:]
        for field in dataclasses.fields(clips)
        if field.name != "joints"
    }
    joints = {name: xyz[1:] for name, xyz in clips.joints.items()}
    alone = lifted_data.lift(Made.lifter, dataclasses.replace(clips, joints=joints, **arrays))
    np.testing.assert_allclose(together.xyz[1:], alone.xyz, atol=1e-3)
    np.testing.assert_allclose(together.std[1:], alone.std, atol=1e-3)
    # The stage knows how tall they are, and where they stand.
    root = np.linalg.norm(SKELETON.root_of(alone.xyz) - SKELETON.root_of(alone.truth), axis=-1)
    assert np.nanmean(root) < 0.3 * np.linalg.norm(SKELETON.root_of(alone.truth), axis=-1).mean()


def test_clips_of_different_steps_are_not_lifted_together(synthesizer: Synthesizer):
    clips = synthesizer.clips(2, 4, np.random.default_rng(0))
    with pytest.raises(ValueError, match="make them at one rate"):
        lifted_data.lift(Made.lifter, clips)


def test_positions_are_stored_to_a_fraction_of_a_millimetre():
    xyz = np.array([0.12345, -1.5, np.nan, 100.0])
    stored = stored_data._stored(xyz)
    assert stored.tolist() == [1234, -15000, MISSING, 32767]
    np.testing.assert_allclose(stored_data._metric(stored)[:2], xyz[:2], atol=0.51 * UNIT)
    assert np.isnan(stored_data._metric(stored)[2])


def test_a_mirror_swaps_sides_and_is_its_own_inverse():
    one = clip()
    which = np.array([True, False])
    mirrored = clip_data.mirrored(one, which, SKELETON)
    left, right = SKELETON.indices("left_wrist", "right_wrist")
    np.testing.assert_array_equal(mirrored.xyz[0, :, left], one.xyz[0, :, right] * [-1, 1, 1])
    np.testing.assert_array_equal(mirrored.std[0, :, left], one.std[0, :, right])
    np.testing.assert_array_equal(mirrored.xyz[1], one.xyz[1])
    back = clip_data.mirrored(mirrored, which, SKELETON)
    for field in dataclasses.fields(Clip):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(one, field.name))


def test_a_wrong_height_scales_all_lengths():
    one = clip()
    resized = clip_data.resized(one, np.array([1.1, 1.0]))
    np.testing.assert_allclose(resized.xyz[0], 1.1 * one.xyz[0], rtol=1e-6)
    np.testing.assert_allclose(resized.truth[0], 1.1 * one.truth[0], rtol=1e-6)
    np.testing.assert_allclose(resized.std[0], 1.1 * one.std[0], rtol=1e-6)
    np.testing.assert_array_equal(resized.xyz[1], one.xyz[1])


def test_lost_frames_leave_longer_steps():
    step = np.array([[0.5, 0.1, 0.2, 0.3, 0.4]])
    found = clip_data.steps_between(step, np.array([[0, 2, 4]]))
    np.testing.assert_allclose(found, [[0.5, 0.3, 0.7]], rtol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_kept_frames_rise_and_are_never_too_many(seed: int):
    rows = clip_data.kept_frames(8, 3, np.random.default_rng(seed))
    assert rows.shape == (8,)
    assert (np.diff(rows) >= 1).all()
    assert rows[0] >= 0
    assert rows[-1] < 11


def test_a_batch_begins_with_an_empty_past():
    one = clip()
    one.xyz[0, 1, 4] = np.nan
    batch = batch_of(one)
    assert batch.joints.shape == (2, 5, 33, len(encoding.FEATURES))
    assert batch.joints[0, 1, 4].tolist() == [0.0] * 5
    assert batch.context[:, 0].abs().max() == 0.0
    np.testing.assert_allclose(batch.context[:, 1:], np.log(0.04 * 30), rtol=1e-5)
    assert batch.known.all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clips": 1}, "clips must be at least 2"),
        ({"held_out": 3}, "held_out must be less than clips"),
        ({"data": Path("/nowhere")}, "say with --data"),
        ({"lifter": Path("/nowhere/a.onnx")}, "say with --lifter"),
    ],
)
def test_what_cannot_be_made_says_why(made: Made, change: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(made, **change)


def test_a_damaged_file_is_refused(tmp_path: Path, file: Path):
    part = tmp_path / "part.npz"
    part.write_bytes(file.read_bytes()[:500])
    with pytest.raises(ValueError, match="remove it, it is made again"):
        stored_data.read(part)
