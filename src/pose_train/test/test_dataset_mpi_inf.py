"""MPI-INF-3DHP in its two published layouts: millimetres in the camera's frame, pixels of 2048 x 2048 images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pose_core.geometry.camera import Camera
from pose_core.skeleton import MPI_INF28
from pose_train.data.datasets import MpiInf17, MpiInf28
from pose_train.data.datasets.mpi_inf_3dhp import SEQUENCES, Standardisation

CAMERA = Camera(2048, 2048, np.array([[1497.693, 0.0, 1024.704], [0.0, 1497.103, 1051.394], [0.0, 0.0, 1.0]]))
FRAMES = {"S1 Seq1": 4, "S1 Seq2": 3, "S8 Seq1": 2}
# Rows of the 28 joints in the 17-joint layout, from the data set's own `mpii_get_joint_set.m` ('relevant', less one).
RELEVANT = [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]


def joints_mm(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal((200.0, -100.0, 3800.0), 350.0, (frames, 28, 3))


def pixels(joints: np.ndarray) -> np.ndarray:
    return CAMERA.project(joints / 1000.0)


@pytest.fixture
def combined(tmp_path: Path) -> Path:
    joints = joints_mm(sum(FRAMES.values()))
    np.savez_compressed(tmp_path / "mpi_inf_combined.npz", pose2d=pixels(joints), pose3d=joints)
    return tmp_path / "mpi_inf_combined.npz"


def test_the_rows_in_a_file_become_its_sequences(combined: Path) -> None:
    data = MpiInf28(combined, frames=FRAMES)
    assert data.names() == list(FRAMES)
    assert data.names("test") == ["S8 Seq1"]
    assert data.subjects() == ["S1", "S8"]
    joints = joints_mm(9)
    second = data.recording("S1 Seq2")
    np.testing.assert_allclose(second.xyz, joints[4:7] / 1000.0, rtol=1e-6)
    assert (second.fps, second.axes, second.skeleton) == (50.0, "camera", "mpi_inf28")
    assert data.recording("S8 Seq1").fps == 25.0
    # row 9 of the published order is the left shoulder, row 25 the right ankle
    np.testing.assert_allclose(
        second.xyz[0, MPI_INF28.index("left_shoulder")], joints[4, 9] / 1000.0, rtol=1e-6
    )
    np.testing.assert_allclose(
        second.xyz[0, MPI_INF28.index("right_ankle")], joints[4, 25] / 1000.0, rtol=1e-6
    )


def test_the_lens_is_found_and_reproduces_the_keypoints(combined: Path) -> None:
    for recording in MpiInf28(combined, frames=FRAMES).recordings():
        assert recording.camera is not None
        assert recording.xy_px is not None
        np.testing.assert_allclose(recording.camera.matrix, CAMERA.matrix, rtol=1e-5)
        np.testing.assert_allclose(
            recording.camera.project(recording.in_camera()), recording.xy_px, atol=0.01
        )


def test_standardised_keypoints_become_pixels_again(tmp_path: Path) -> None:
    joints = joints_mm(4)
    xy = pixels(joints)
    # as the published tools store it: of (x, y, 0), with a last column of zeros
    mean, std = np.append(xy.mean((0, 1)), 0.0), np.append(xy.std((0, 1)), 0.0)
    np.save(tmp_path / "pose2d_mean_std.npy", np.array([mean, std], np.float32))
    standard = Standardisation.read(tmp_path / "pose2d_mean_std.npy")
    np.testing.assert_allclose(standard.apply(xy).mean((0, 1)), 0.0, atol=1e-5)
    np.testing.assert_allclose(standard.apply(xy).std((0, 1)), 1.0, atol=1e-5)
    np.testing.assert_allclose(standard.invert(standard.apply(xy)), xy, atol=1e-6)
    np.savez(tmp_path / "a.npz", pose_2d=standard.apply(xy), pose_3d=joints)
    data = MpiInf28(tmp_path / "a.npz", mean_std=tmp_path / "pose2d_mean_std.npy", frames={"S2 Seq1": 4})
    recording = next(data.recordings())
    np.testing.assert_allclose(recording.xy_px, xy, atol=1e-3)


@pytest.mark.parametrize(
    "rows", [np.zeros(3), np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[np.nan] * 2, [1.0] * 2])]
)
def test_a_mean_and_deviation_that_cannot_be_are_refused(tmp_path: Path, rows: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", rows)
    with pytest.raises(ValueError, match=r"a\.npy must hold"):
        Standardisation.read(tmp_path / "a.npy")


def test_one_mean_for_both_coordinates_serves_both(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([900.0, 300.0]))
    np.testing.assert_allclose(
        Standardisation.read(tmp_path / "a.npy").invert(np.array([1.0, -1.0])), [1200.0, 600.0]
    )


def test_a_folder_of_sequences_is_read_file_by_file(tmp_path: Path) -> None:
    for i, name in enumerate(("S3_Seq2", "S1_Seq1")):
        joints = joints_mm(3, i)
        np.savez_compressed(tmp_path / f"{name}.npz", pose2d=pixels(joints), pose3d=joints)
    data = MpiInf28(tmp_path)
    assert data.names() == ["S1 Seq1", "S3 Seq2"]
    np.testing.assert_allclose(data.recording("S3 Seq2").xyz, joints_mm(3, 0) / 1000.0, rtol=1e-6)
    assert data.recording("S3 Seq2").fps == 50.0


def test_joints_about_the_root_have_no_place(tmp_path: Path) -> None:
    joints = joints_mm(4)
    centred = joints - joints[:, [4]]  # row 4 is the pelvis
    np.savez(tmp_path / "a.npz", pose2d=pixels(joints), pose3d=centred)
    recording = next(MpiInf28(tmp_path / "a.npz", frames={"S1 Seq1": 4}).recordings())
    assert recording.axes == "root"
    assert recording.camera is None


def test_a_third_column_is_confidence(tmp_path: Path) -> None:
    joints = joints_mm(2)
    confidence = np.full((2, 28, 1), 0.25)
    np.savez(tmp_path / "a.npz", pose2d=np.concatenate([pixels(joints), confidence], -1), pose3d=joints)
    recording = next(MpiInf28(tmp_path / "a.npz", frames={"S1 Seq1": 2}).recordings())
    assert (recording.confidence == 0.25).all()


def test_other_files_are_refused_with_what_to_do(combined: Path, tmp_path: Path) -> None:
    assert sum(frames for frames, _ in SEQUENCES.values()) == 131_592
    with pytest.raises(ValueError, match=r"holds 9 frames, the sequences have 131592 .* say with frames="):
        next(MpiInf28(combined).recordings())
    with pytest.raises(ValueError, match="unknown sequence 'S9 Seq1'"):
        MpiInf28(combined, frames={"S9 Seq1": 9})
    np.savez(tmp_path / "b.npz", pose3d=joints_mm(2))
    with pytest.raises(ValueError, match=r"b\.npz has no 'pose2d' and 'pose3d'"):
        next(MpiInf28(tmp_path / "b.npz").recordings())
    np.savez(tmp_path / "c.npz", pose3d=joints_mm(2)[:, :17], pose2d=np.zeros((2, 17, 2)))
    with pytest.raises(ValueError, match=r"'pose3d' of .*c\.npz must have shape \(frames, 28, 3\)"):
        next(MpiInf28(tmp_path / "c.npz").recordings())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"has no files such as S1_Seq1\.npz"):
        MpiInf28(tmp_path / "empty").names()
    with pytest.raises(ValueError, match="has no sequence 'S8 Seq2'"):
        MpiInf28(combined, frames=FRAMES).recording("S8 Seq2")


def write_17(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Both files as P-STMO's tools write them; returns the 28 joints of camera 4 and of the test sequence."""
    train, test = joints_mm(6, 4), joints_mm(5, 9)
    views = {
        str(view): {
            "data_3d": joints_mm(6, view)[:, RELEVANT].astype(np.float32),
            "data_2d": pixels(joints_mm(6, view))[:, RELEVANT].astype(np.float32),
        }
        for view in (0, 4)
    }
    np.savez_compressed(folder / "data_train_3dhp.npz", data={"S1 Seq2": [views]})
    wide = {
        "data_2d": pixels(test)[:, RELEVANT],
        "data_3d": test[:, RELEVANT],
        "valid": np.array([1.0, 0.0, 1.0, 1.0, 1.0]),
    }
    np.savez_compressed(folder / "data_test_3dhp.npz", data={"TS5": wide})
    return train, test


def test_17_joints_take_their_places_among_the_28(tmp_path: Path) -> None:
    train, test = write_17(tmp_path)
    data = MpiInf17(tmp_path)
    assert data.names() == ["S1 Seq2/0", "S1 Seq2/4", "TS5"]
    assert (data.names("test"), data.subjects()) == (["TS5"], ["S1", "TS5"])
    recording = data.recording("S1 Seq2/4")
    assert (recording.fps, recording.skeleton, recording.axes) == (50.0, "mpi_inf28", "camera")
    known = np.isin(np.arange(28), RELEVANT)
    np.testing.assert_allclose(recording.xyz[:, known], train[:, known] / 1000.0, rtol=1e-5)
    assert np.isnan(recording.xyz[:, ~known]).all()
    assert recording.camera is not None
    assert recording.confidence is not None
    np.testing.assert_allclose(recording.camera.matrix, CAMERA.matrix, rtol=1e-4)
    assert (recording.confidence[:, known] == 1.0).all()
    assert (recording.confidence[:, ~known] == 0.0).all()
    sequence = data.recording("TS5")
    assert np.isnan(sequence.xyz[1]).all()
    np.testing.assert_allclose(sequence.xyz[2, 4], test[2, 4] / 1000.0, rtol=1e-5)
    assert sequence.camera is not None
    assert (sequence.camera.width, sequence.camera.height) == (1920, 1080)
    assert MpiInf17(tmp_path, test_fps=50.0).recording("TS5").fps == 50.0


def test_scaled_joints_that_no_lens_explains_come_without_one(tmp_path: Path) -> None:
    joints = joints_mm(6)
    about = joints[:, [4]]
    grown = about + 1.2 * (joints - about)  # another height, as the universal skeleton has
    view = {"data_3d": grown[:, RELEVANT], "data_2d": pixels(joints)[:, RELEVANT]}
    np.savez(tmp_path / "data_train_3dhp.npz", data={"S1 Seq1": [{"0": view}]})
    assert MpiInf17(tmp_path).recording("S1 Seq1/0").camera is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"S1 Seq3": [{}]}, r"data_train_3dhp\.npz has a sequence 'S1 Seq3'"),
        ({"S1 Seq1": {}}, "'S1 Seq1' of .* must be a list of one dictionary"),
        (
            {"S1 Seq1": [{"0": {"data_3d": np.zeros((2, 17, 3))}}]},
            "data_2d of 'S1 Seq1/0' of .* must be an array",
        ),
        ({"S1 Seq1": [{"0": {"data_3d": np.zeros((2, 16, 3))}}]}, r"must have shape \(frames, 17, 3\)"),
        ([1], "must be a dictionary of names, got list"),
    ],
)
def test_other_17_joint_files_are_refused(tmp_path: Path, data: Any, message: str) -> None:
    np.savez(
        tmp_path / "data_train_3dhp.npz", data=np.array(data, object) if isinstance(data, list) else data
    )
    with pytest.raises(ValueError, match=message):
        list(MpiInf17(tmp_path).recordings())


def test_missing_17_joint_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"neither of data_train_3dhp\.npz and data_test_3dhp\.npz"):
        MpiInf17(tmp_path).names()
