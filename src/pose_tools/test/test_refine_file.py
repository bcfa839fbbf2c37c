"""`pose refine`: small files end to end, and files that nobody should believe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pose_core.measures import metrics
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS
from pose_tools.cli.main import app
from pose_tools.files.refine import read

SKELETON = SKELETONS.get("h36m17")
FRAMES = 40
JOINTS = {
    "pelvis": (0.0, 0.0, 0.0),
    "right_hip": (-0.1, 0.0, 0.0),
    "right_knee": (-0.1, 0.42, 0.0),
    "right_ankle": (-0.1, 0.84, 0.0),
    "left_hip": (0.1, 0.0, 0.0),
    "left_knee": (0.1, 0.42, 0.0),
    "left_ankle": (0.1, 0.84, 0.0),
    "spine": (0.0, -0.25, 0.0),
    "neck": (0.0, -0.5, 0.0),
    "nose": (0.0, -0.6, -0.1),
    "head_top": (0.0, -0.75, 0.0),
    "left_shoulder": (0.18, -0.48, 0.0),
    "left_elbow": (0.2, -0.2, 0.0),
    "left_wrist": (0.2, 0.05, 0.0),
    "right_shoulder": (-0.18, -0.48, 0.0),
    "right_elbow": (-0.2, -0.2, 0.0),
    "right_wrist": (-0.2, 0.05, 0.0),
}


def noisy(frames: int = FRAMES) -> np.ndarray:
    """Somebody who stands 3 m away, trembling by 2 cm."""
    xyz = np.array([JOINTS[name] for name in SKELETON.joints]) + np.array([0.0, 0.0, 3.0])
    return xyz + 0.02 * np.random.default_rng(0).standard_normal((frames, 17, 3))


def refine(source: Path, out: Path, *options: str):
    return CliRunner().invoke(app, ["refine", str(source), str(out), *options])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "in.npz", xyz=noisy())
    return tmp_path / "in.npz"


OPTIONS = ("--rate", "30", "--skeleton", "h36m17")


def jitter(path: Path) -> float:
    return metrics.jitter(read(path, "h36m17", 0.0).xyz, 1 / 30)


@pytest.mark.parametrize(
    "how",
    [
        (),
        ("--look-ahead", "4"),
        ("--offline",),
        ("--refiner", "one_euro"),
        ("--refiner", "savitzky_golay", "--look-ahead", "2"),
    ],
)
def test_a_recording_becomes_smoother(file: Path, tmp_path: Path, how: tuple[str, ...]):
    result = refine(file, tmp_path / "out.npz", *OPTIONS, *how, "--json")
    assert result.exit_code == 0, result.output
    refined = PoseSequence.load(tmp_path / "out.npz")
    assert refined.skeleton == "h36m17"
    assert len(refined) == FRAMES
    assert not refined.missing.any()
    np.testing.assert_allclose(np.diff(refined.stamps), 1e9 / 30, atol=1)
    assert metrics.jitter(refined.xyz, 1 / 30) < 0.8 * metrics.jitter(noisy(), 1 / 30)
    told = json.loads(result.stdout)
    assert told["frames"] == FRAMES
    assert 0.0 < told["moved mm"] < 40.0


def test_its_own_output_is_input(file: Path, tmp_path: Path):
    assert refine(file, tmp_path / "one.npz", *OPTIONS).exit_code == 0
    assert refine(tmp_path / "one.npz", tmp_path / "two.npz", "--offline").exit_code == 0
    assert jitter(tmp_path / "two.npz") < jitter(tmp_path / "one.npz")


def test_what_a_file_says_of_itself_counts(tmp_path: Path):
    xyz = noisy()
    xyz[3:5, 2] = np.nan
    np.savez(
        tmp_path / "in.npz",
        xyz=xyz,
        stamps=5 + 20_000_000 * np.arange(FRAMES),
        std=np.full((FRAMES, 17), 0.07),
        confidence=np.full((FRAMES, 17), 0.4),
        skeleton="h36m17",
    )
    sequence = read(tmp_path / "in.npz")
    assert sequence.stamps[0] == 5
    assert sequence.std[0, 0] == 0.07
    assert sequence.confidence[0, 0] == 0.4
    assert sequence.missing.sum() == 2
    # Trunk 0.5, thighs and shanks 0.42 m: (0.5 + 0.42 + 0.42) / (0.288 + 0.245 + 0.246).
    assert sequence.metadata["height"] == pytest.approx(1.34 / 0.779, rel=0.02)


def test_a_single_array_of_any_name_is_taken(tmp_path: Path):
    np.savez(tmp_path / "in.npz", poses=noisy().astype(np.float32))
    assert len(read(tmp_path / "in.npz", "h36m17", 25.0)) == FRAMES


def test_an_array_without_an_archive_is_taken(tmp_path: Path):
    np.save(tmp_path / "in.npy", noisy())
    np.testing.assert_array_equal(read(tmp_path / "in.npy", "h36m17", 25.0).xyz, noisy())


def test_what_an_archive_holds_instead_is_named(tmp_path: Path):
    np.savez(tmp_path / "in.npz", foo=noisy(), bar=noisy())
    with pytest.raises(
        ValueError, match=r"must hold an array 'xyz' of shape \(frames, joints, 3\), got foo, bar"
    ):
        read(tmp_path / "in.npz", "h36m17", 25.0)


def test_an_existing_output_is_kept_unless_forced(file: Path, tmp_path: Path):
    out = tmp_path / "out.npz"
    out.write_bytes(b"precious")
    result = refine(file, out, *OPTIONS)
    assert "exists already" in str(result.exception)
    assert out.read_bytes() == b"precious"
    assert refine(file, out, *OPTIONS, "--force").exit_code == 0
    assert PoseSequence.load(out).skeleton == "h36m17"


def bad(tmp_path: Path, **arrays: object) -> Path:
    np.savez(tmp_path / "bad.npz", **{"xyz": noisy(), **arrays})
    return tmp_path / "bad.npz"


STAMPS = 33_333_333 * np.arange(FRAMES)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"xyz": noisy()[..., :2]}, r"xyz must have shape \(frames, joints, 3\)"),
        ({"xyz": noisy()[0]}, r"got \(17, 3\)"),
        ({"xyz": noisy()[:0]}, "hold something"),
        ({"xyz": np.full((5, 17, 3), np.nan)}, "no joint with a position"),
        ({"xyz": np.full((5, 17, 3), np.inf)}, "no joint with a position"),
        ({"xyz": np.array([["a"]])}, "real numbers"),
        ({"xyz": noisy() + 0j}, "real numbers"),
        ({"xyz": noisy() * 1e3}, "must be in metres"),
        ({"xyz": noisy()[:, :16]}, "skeleton 'h36m17' has 17 joints, xyz has 16"),
        ({"std": np.zeros(3)}, r"std must have shape \(40, 17\)"),
        ({"std": np.full((FRAMES, 17), -1.0)}, "std must not be negative"),
        ({"confidence": np.full((FRAMES, 17), 2.0)}, "confidence must be from 0 to 1"),
        ({"stamps": STAMPS}, "has its own stamps; leave --rate out"),
        ({"skeleton": "coco17"}, "has its own skeleton 'coco17'"),
    ],
)
def test_a_file_that_is_no_recording_says_why(tmp_path: Path, arrays: dict[str, object], words: str):
    result = refine(bad(tmp_path, **arrays), tmp_path / "out.npz", *OPTIONS)
    assert isinstance(result.exception, ValueError)
    with pytest.raises(ValueError, match=words):
        raise result.exception
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize(
    ("stamps", "words"),
    [
        (STAMPS[::-1].copy(), "stamps must increase"),
        (STAMPS / 1e9, "whole nanoseconds"),
        (STAMPS[:5], "whole nanoseconds"),
        (np.arange(FRAMES), "must be nanoseconds"),
    ],
)
def test_stamps_that_are_none_say_why(tmp_path: Path, stamps: np.ndarray, words: str):
    with pytest.raises(ValueError, match=words):
        read(bad(tmp_path, stamps=stamps), "h36m17")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--skeleton", "h36m17"), "state --rate"),
        (("--rate", "30"), r"state --skeleton \(coco17 or h36m17\)"),
        (("--rate", "0.01", "--skeleton", "h36m17"), "--rate must be from 1 to 1000"),
        (("--rate", "nan", "--skeleton", "h36m17"), "--rate must be from 1 to 1000"),
        (("--rate", "-30", "--skeleton", "h36m17"), "--rate must be from 1 to 1000"),
        (("--rate", "30", "--skeleton", "h36m71"), "did you mean 'h36m17'"),
        ((*OPTIONS, "--refiner", "kalmann"), "did you mean 'kalman'"),
        ((*OPTIONS, "--look-ahead", "99"), "look_ahead must be"),
        ((*OPTIONS, "--look-ahead", "2", "--offline"), "leave --look-ahead out"),
        ((*OPTIONS, "--offline", "--refiner", "raw"), "no offline form"),
    ],
)
def test_options_that_cannot_work_say_why(file: Path, tmp_path: Path, options: tuple[str, ...], words: str):
    result = refine(file, tmp_path / "out.npz", *options)
    with pytest.raises(ValueError, match=words):
        raise result.exception
    assert not (tmp_path / "out.npz").exists()


def test_files_that_are_no_archives_say_so(tmp_path: Path):
    for name, content in (("text.npz", b"not an archive"), ("empty.npz", b"")):
        (tmp_path / name).write_bytes(content)
        result = refine(tmp_path / name, tmp_path / "out.npz", *OPTIONS)
        assert "is no .npz or .npy file of plain arrays" in str(result.exception)
    np.savez(tmp_path / "objects.npz", xyz=np.array([{}], dtype=object))
    result = refine(tmp_path / "objects.npz", tmp_path / "out.npz", *OPTIONS)
    assert "objects.npz holds object where numbers or text should be" in str(result.exception)
    whole = bad(tmp_path).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    result = refine(tmp_path / "cut.npz", tmp_path / "out.npz", *OPTIONS)
    assert "is no .npz or .npy file of plain arrays" in str(result.exception)


def test_places_to_write_are_looked_at_first(file: Path, tmp_path: Path):
    for out, words in (
        (tmp_path / "out.csv", "must end in .npz"),
        (tmp_path / "no" / "out.npz", "no folder"),
    ):
        assert words in str(refine(file, out, *OPTIONS).exception)
    assert "there is no file" in str(refine(tmp_path / "none.npz", tmp_path / "out.npz").exception)


def test_a_single_frame_is_a_recording(tmp_path: Path):
    np.savez(tmp_path / "in.npz", xyz=noisy(1))
    assert refine(tmp_path / "in.npz", tmp_path / "out.npz", *OPTIONS).exit_code == 0
    np.testing.assert_allclose(PoseSequence.load(tmp_path / "out.npz").xyz, noisy(1), atol=0.05)
