"""AIST++: its own files, the published samples, and the converter that makes them of videos."""

from __future__ import annotations

import importlib
import json
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pose2d_node.detection import Detection
from pose2d_node.testing import FakeDetector, figure, image_of, index_of
from pose_core.geometry.calibration import CalibratedCamera
from pose_core.geometry.camera import Camera
from pose_core.skeleton import COCO17, MEDIAPIPE33
from pose_train.data.datasets import Aist
from pose_train.data.datasets.aist import read_cameras, read_joints, read_settings
from pose_train.data.datasets.aist_convert import Job, Options, convert, convert_video, main, plan

SEQUENCE = "gBR_sBM_cAll_d04_mBR0_ch01"
WIDTH, HEIGHT = 64, 48
T = 12
ROTATION = [3.0, 0.1, -0.2]  # upside down to y up, as AIST++'s cameras are
CAMERA = {
    "name": "c01",
    "size": [WIDTH, HEIGHT],
    "matrix": [[60.0, 0.0, 31.0], [0.0, 61.0, 24.0], [0.0, 0.0, 1.0]],
    "distortions": [-0.05, 0.01, 0.001, -0.002, 0.0],
    "rotation": ROTATION,
    "translation": [10.0, 150.0, 420.0],  # centimetres
}
R = Rotation.from_rotvec(ROTATION).as_matrix()
SWAP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]  # left and right of COCO's 17


def world_cm() -> np.ndarray:
    """(T, 17, 3) a dancer in AIST++'s world: centimetres, y up."""
    rng = np.random.default_rng(0)
    pose = np.zeros((17, 3))
    pose[:, 1] = [170, 173, 173, 172, 172, 145, 145, 115, 115, 90, 90, 95, 95, 50, 50, 8, 8]
    pose[1::2, 0], pose[2::2, 0] = 15.0, -15.0  # left is +x: the camera looks along -z
    walk = np.cumsum(rng.normal(0.0, 2.0, (T, 1, 3)), 0)
    return pose + walk + rng.normal(0.0, 1.0, (T, 17, 3))


def camera() -> CalibratedCamera:
    lens = Camera(WIDTH, HEIGHT, np.array(CAMERA["matrix"]), np.array(CAMERA["distortions"]))
    return CalibratedCamera("c01", lens, R, np.array(CAMERA["translation"]) / 100.0)


def write_sample(folder: Path, frame: int, view: str = "c01", **changes: Any) -> np.ndarray:
    """One published sample of frame `frame`, c05 mirrored; returns the joints in the camera's frame, metres."""
    joints = world_cm()[frame] / 100.0
    pelvis = joints[11:13].mean(0)
    scale = 0.5 * (np.linalg.norm(joints[5] - joints[11]) + np.linalg.norm(joints[6] - joints[12]))
    truth = (joints - pelvis) / scale
    in_camera = joints @ R.T + np.array(CAMERA["translation"]) / 100.0
    image = in_camera @ np.array(CAMERA["matrix"]).T  # the published system leaves distortion out
    projected = image[:, :2] / image[:, 2:] / (WIDTH, HEIGHT)
    if view == "c05":
        projected = (projected * (-1.0, 1.0) + np.array([1.0, 0.0]))[SWAP]
    sample = {
        "corrupted": truth + 0.01,
        "ground_truth": truth,
        "visibility": np.full(17, 0.75),
        "pose_2d": projected + 0.01,
        "projected_2d": projected,
        "camera_R": R,
        "gt_scale": scale,
        "mp_scale": 0.5,
        "azimuth": 10.0,
        "elevation": 5.0,
        "camera_relative": -R.T @ np.array(CAMERA["translation"]) / 100.0 - pelvis,
    }
    sample = {key: np.asarray(value, np.float32) for key, value in sample.items()}
    sample |= {"sequence": np.array(f"{SEQUENCE}_{view}"), "frame_idx": np.array(frame)}
    sample |= changes
    kept = {key: value for key, value in sample.items() if value is not None}
    np.savez_compressed(folder / f"{SEQUENCE}_{view}_f{frame:06d}.npz", **kept)
    return in_camera


def test_published_samples_become_a_recording_with_gaps(tmp_path: Path) -> None:
    joints = {frame: write_sample(tmp_path, frame) for frame in (0, 2, 6, 8)}
    data = Aist(tmp_path, image_size=(WIDTH, HEIGHT))
    assert data.names() == data.names("train") == [f"{SEQUENCE}_c01"]
    assert data.subjects() == ["d04"]
    recording = data.recording(f"{SEQUENCE}_c01")
    assert (recording.axes, recording.up, recording.fps, len(recording)) == ("camera", "y", 30.0, 5)
    for row, frame in enumerate((0, 2, None, 6, 8)):
        if frame is None:
            assert np.isnan(recording.xyz[row]).all()
        else:
            np.testing.assert_allclose(recording.xyz[row], joints[frame], atol=1e-5)
    assert recording.confidence is not None
    assert recording.confidence[:, 0].tolist() == [0.75, 0.75, 0.0, 0.75, 0.75]
    np.testing.assert_allclose(recording.R_cam_world, R, atol=1e-6)


def test_the_projection_of_a_sample_is_reproduced(tmp_path: Path) -> None:
    for frame in range(4):
        write_sample(tmp_path, frame)
    recording = next(Aist(tmp_path, image_size=(WIDTH, HEIGHT)).recordings())
    assert recording.camera is not None
    assert recording.xy_px is not None
    np.testing.assert_allclose(recording.camera.matrix, CAMERA["matrix"], rtol=1e-3)
    projected = recording.xy_px - 0.01 * np.array([WIDTH, HEIGHT])
    np.testing.assert_allclose(recording.camera.project(recording.in_camera()), projected, atol=1e-2)


def test_samples_with_nothing_but_the_seven_fields_are_about_the_pelvis(tmp_path: Path) -> None:
    more = dict.fromkeys(("mp_scale", "azimuth", "elevation", "camera_relative", "sequence", "frame_idx"))
    joints = write_sample(tmp_path, 0, **more)
    recording = next(Aist(tmp_path).recordings())
    assert recording.axes == "root"
    assert recording.camera is None
    np.testing.assert_allclose(recording.xyz[0], joints - joints[11:13].mean(0), atol=1e-5)
    # MediaPipe's own 3D, in camera axes (y and z turned back), in the data set's scale where its own is not known
    assert recording.xyz_detected is not None
    with np.load(tmp_path / f"{SEQUENCE}_c01_f000000.npz") as file:
        expected = file["corrupted"] * (1.0, -1.0, -1.0) * file["gt_scale"]
    np.testing.assert_allclose(recording.xyz_detected[0], expected, atol=1e-6)


def test_mirrored_views_get_mirrored_joints(tmp_path: Path) -> None:
    joints = write_sample(tmp_path, 0, "c05")
    recording = next(Aist(tmp_path, image_size=(WIDTH, HEIGHT)).recordings())
    np.testing.assert_allclose(recording.xyz[0], (joints * (-1.0, 1.0, 1.0))[SWAP], atol=1e-5)
    assert recording.camera is not None
    assert recording.xy_px is not None
    projected = recording.xy_px - 0.01 * np.array([WIDTH, HEIGHT])
    np.testing.assert_allclose(recording.camera.project(recording.in_camera()), projected, atol=1e-2)
    assert recording.R_cam_world is None


def test_dancers_kept_from_training(tmp_path: Path) -> None:
    write_sample(tmp_path, 0)
    (tmp_path / f"{SEQUENCE}_c01_f000000.npz").rename(tmp_path / "gBR_sBM_cAll_d05_mBR0_ch01_c01_f000000.npz")
    assert Aist(tmp_path).subjects("test") == ["d05"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gt_scale": None}, "has no 'gt_scale'"),
        ({"pose_2d": np.zeros((33, 2))}, r"'pose_2d' of .* must have shape \(17, 2\), got \(33, 2\)"),
        ({"camera_R": np.zeros((3, 3))}, "'camera_R' of .* is not a rotation"),
        ({"camera_R": -R}, r"f000000\.npz: R_cam_world must be a rotation, .*; convert the video anew"),
        ({"visibility": np.array(["a"] * 17)}, "'visibility' of .* must be an array of numbers"),
        ({"corrupted": np.array([{}], object)}, "'corrupted' of .* must be an array of numbers, got list"),
    ],
)
def test_other_samples_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write_sample(tmp_path, 0, **changes)
    with pytest.raises(ValueError, match=message):
        next(Aist(tmp_path).recordings())


def test_absurd_frame_numbers_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \.npz files in .*; python -m pose_train"):
        Aist(tmp_path).names()
    write_sample(tmp_path, 0)
    write_sample(tmp_path, 1)
    (tmp_path / f"{SEQUENCE}_c01_f000001.npz").rename(tmp_path / f"{SEQUENCE}_c01_f9999999.npz")
    with pytest.raises(ValueError, match="number frames twice, or up to 9999999"):
        next(Aist(tmp_path).recordings())


# ---- the data set's own files and the converter


def write_annotations(folder: Path, sequences: tuple[str, ...] = (SEQUENCE,)) -> Path:
    """keypoints3d and cameras as AIST++ has them."""
    (folder / "keypoints3d").mkdir(parents=True)
    (folder / "cameras").mkdir()
    for sequence in sequences:
        content = {"keypoints3d": world_cm() + 1.0, "keypoints3d_optim": world_cm()}
        (folder / "keypoints3d" / f"{sequence}.pkl").write_bytes(pickle.dumps(content, 4))
    (folder / "cameras" / "mapping.txt").write_text("".join(f"{name} setting1\n" for name in sequences))
    other = CAMERA | {"name": "c02", "rotation": [0.0, 3.0, 0.0]}
    (folder / "cameras" / "setting1.json").write_text(json.dumps([CAMERA, other]))
    return folder


def write_video(folder: Path, name: str, frames: int = T, mirror: bool = False) -> Path:
    """A video whose images tell their number."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 60.0, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for i in range(frames):
        writer.write(image_of(i, WIDTH, HEIGHT))
    writer.release()
    return path


OFF = np.array([0.3, 0.0])
"""How far the detector is off, pixels."""


class Dancer(FakeDetector):
    """Sees the dancer where the camera does, 0.3 px to the right, and somebody smaller; nobody in frame 4."""

    def __init__(self, mirror: bool = False) -> None:
        super().__init__([])
        self.mirror = mirror

    def detect(self, stamp: int, bgr: np.ndarray) -> list[Detection]:
        super().detect(stamp, bgr)
        frame = index_of(bgr)
        assert stamp == round(frame * 1000 / 60) * 1_000_000
        if frame == 4:
            return []
        seen = camera().to_camera(world_cm()[frame] / 100.0)
        xy_px = camera().camera.project(seen)
        metres = seen - seen[11:13].mean(0)
        if self.mirror:
            xy_px, metres = (
                (xy_px * (-1.0, 1.0) + np.array([WIDTH, 0.0]))[SWAP],
                (metres * (-1.0, 1.0, 1.0))[SWAP],
            )
        rows = MEDIAPIPE33.indices(*COCO17.joints)
        landmarks, world = np.full((33, 2), np.nan), np.full((33, 3), np.nan)
        landmarks[rows], world[rows] = xy_px + OFF, metres
        best = Detection(landmarks, np.full(33, 0.9), world, np.zeros(4), 0.9)
        return [figure(10.0, confidence=0.2), best]


@pytest.fixture
def scene(tmp_path: Path) -> tuple[Path, Path, Path]:
    annotations = write_annotations(tmp_path / "annotations")
    write_video(tmp_path / "videos", SEQUENCE.replace("cAll", "c01"))
    return annotations, tmp_path / "videos", tmp_path / "out"


def test_the_files_of_the_data_set_are_read(tmp_path: Path) -> None:
    folder = write_annotations(tmp_path)
    np.testing.assert_allclose(read_joints(folder / "keypoints3d" / f"{SEQUENCE}.pkl"), world_cm() / 100.0)
    assert read_settings(folder / "cameras" / "mapping.txt") == {SEQUENCE: "setting1"}
    cameras = read_cameras(folder / "cameras" / "setting1.json")
    assert list(cameras) == ["c01", "c02"]
    np.testing.assert_allclose(cameras["c01"].R_cam_world, R)
    np.testing.assert_allclose(cameras["c01"].t, [0.1, 1.5, 4.2])
    assert (cameras["c01"].camera.width, cameras["c01"].camera.matrix[1, 1]) == (WIDTH, 61.0)


@pytest.mark.parametrize("one_per_frame", [False, True])
def test_converted_videos_read_back_as_what_was_filmed(
    scene: tuple[Path, Path, Path], one_per_frame: bool
) -> None:
    jobs = plan(*scene)
    assert [job.name for job in jobs] == [f"{SEQUENCE}_c01"]
    summary = convert(jobs, Dancer, Options(every=2, one_per_frame=one_per_frame))
    assert (summary.converted, summary.done_before, summary.failed) == (1, 0, ())
    files = sorted(path.name for path in scene[2].glob("*.npz"))
    frames = [0, 2, 6, 8, 10]
    if one_per_frame:
        assert files == [f"{SEQUENCE}_c01_f{frame:06d}.npz" for frame in frames]
    else:
        assert files == [f"{SEQUENCE}_c01.npz"]
    recording = next(Aist(scene[2], image_size=(WIDTH, HEIGHT)).recordings())
    assert (recording.fps, len(recording), recording.axes) == (30.0, 6, "camera")
    assert np.isnan(recording.xyz[2]).all()  # frame 4
    assert recording.xy_px is not None
    assert recording.xyz_detected is not None
    assert recording.confidence is not None
    for row, frame in enumerate([0, 2, None, 6, 8, 10]):
        if frame is None:
            continue
        expected = camera().to_camera(world_cm()[frame] / 100.0)
        np.testing.assert_allclose(recording.xyz[row], expected, atol=1e-5)
        np.testing.assert_allclose(recording.xy_px[row], camera().camera.project(expected) + OFF, atol=1e-4)
        np.testing.assert_allclose(recording.xyz_detected[row], expected - expected[11:13].mean(0), atol=1e-5)
        np.testing.assert_allclose(recording.confidence[row], 0.9, atol=1e-6)
    if not one_per_frame:
        np.testing.assert_allclose(
            recording.camera.project(recording.xyz) + OFF,
            recording.xy_px,
            atol=1e-3,  # type: ignore[union-attr]
        )


def test_a_converted_file_holds_the_published_fields(scene: tuple[Path, Path, Path]) -> None:
    convert(plan(*scene), Dancer, Options(every=1, longest=2, one_per_frame=True))
    with np.load(scene[2] / f"{SEQUENCE}_c01_f000001.npz") as file:
        shapes = {name: file[name].shape for name in file.files}
        joints = world_cm()[1] / 100.0
        scale = 0.5 * (np.linalg.norm(joints[5] - joints[11]) + np.linalg.norm(joints[6] - joints[12]))
        assert float(file["gt_scale"]) == pytest.approx(scale, rel=1e-6)
        np.testing.assert_allclose(file["ground_truth"], (joints - joints[11:13].mean(0)) / scale, atol=1e-5)
        # the detector sees it in camera axes: y and z are turned round in the file
        np.testing.assert_allclose(file["corrupted"] * (1, -1, -1), file["ground_truth"] @ R.T, atol=1e-5)
        px = camera().camera.project(camera().to_camera(joints))
        np.testing.assert_allclose(file["projected_2d"] * (WIDTH, HEIGHT), px, atol=1e-4)
        np.testing.assert_allclose(file["pose_2d"] * (WIDTH, HEIGHT), px + OFF, atol=1e-4)
        assert str(file["sequence"]) == f"{SEQUENCE}_c01"
    assert shapes["corrupted"] == shapes["ground_truth"] == (17, 3)
    assert shapes["pose_2d"] == shapes["projected_2d"] == (17, 2)
    assert (shapes["visibility"], shapes["camera_R"], shapes["gt_scale"]) == ((17,), (3, 3), ())


def test_a_mirrored_video_is_noticed(scene: tuple[Path, Path, Path]) -> None:
    convert(plan(*scene), partial(Dancer, mirror=True), Options())
    recording = next(Aist(scene[2]).recordings())
    assert recording.camera is not None
    assert recording.xy_px is not None
    expected = (camera().to_camera(world_cm()[0] / 100.0) * (-1.0, 1.0, 1.0))[SWAP]
    np.testing.assert_allclose(recording.xyz[0], expected, atol=1e-5)
    np.testing.assert_allclose(recording.camera.project(recording.xyz) + OFF, recording.xy_px, atol=1e-3)


def test_what_is_done_is_not_done_again_and_what_was_cut_off_is(scene: tuple[Path, Path, Path]) -> None:
    def never() -> Any:
        raise AssertionError("converted again")

    (job,) = plan(*scene)
    convert([job], Dancer)
    assert convert([job], never).done_before == 1
    for one_per_frame in (False, True):
        options = Options(one_per_frame=one_per_frame)
        output = scene[2] / str(one_per_frame)
        broken = Job(job.name, job.video, job.joints, job.camera, output)
        with pytest.raises(KeyboardInterrupt):
            convert([broken], Interrupted, options)
        assert not list(output.glob("*"))
        assert convert([broken], Dancer, options).converted == 1


class Interrupted(Dancer):
    """Somebody stops the run in the middle of a video."""

    def detect(self, stamp: int, bgr: np.ndarray) -> list[Detection]:
        if index_of(bgr) == 8:
            raise KeyboardInterrupt
        return super().detect(stamp, bgr)


def test_one_broken_video_does_not_stop_the_others(tmp_path: Path) -> None:
    second = SEQUENCE.replace("ch01", "ch02")
    annotations = write_annotations(tmp_path / "annotations", (SEQUENCE, second))
    write_video(tmp_path / "videos", second.replace("cAll", "c01"))
    (tmp_path / "videos" / f"{SEQUENCE.replace('cAll', 'c01')}.mp4").write_bytes(b"no video")
    names: list[str] = []
    summary = convert(plan(annotations, tmp_path / "videos", tmp_path / "out"), Dancer, finished=names.append)
    assert summary.converted == 1
    assert names == [f"{SEQUENCE}_c01", f"{second}_c01"]
    ((name, reason),) = summary.failed
    assert name == f"{SEQUENCE}_c01"
    assert "cannot be read as a video" in reason


STANDING_PERSON = """
from types import SimpleNamespace
import numpy as np

class Detector:
    def detect(self, stamp, bgr):
        points = np.random.default_rng(stamp).normal(0.0, 0.3, (33, 3))
        return [SimpleNamespace(xy_px=points[:, :2] * 50.0, confidence=np.ones(33), world=points, score=1.0)]

    def close(self):
        pass
"""


def test_several_processes_make_the_same_files_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = SEQUENCE.replace("ch01", "ch02")
    annotations = write_annotations(tmp_path / "annotations", (SEQUENCE, second))
    for sequence in (SEQUENCE, second):
        write_video(tmp_path / "videos", sequence.replace("cAll", "c01"))
    # The other processes import the detector anew, from a module of its own and without MediaPipe.
    (tmp_path / "standing_person.py").write_text(STANDING_PERSON)
    monkeypatch.syspath_prepend(str(tmp_path))
    detector = importlib.import_module("standing_person").Detector
    contents = []
    for processes in (1, 2):
        out = tmp_path / f"out{processes}"
        summary = convert(plan(annotations, tmp_path / "videos", out), detector, processes=processes)
        assert (summary.converted, summary.failed) == (2, ())
        arrays = {}
        for path in sorted(out.glob("*")):
            with np.load(path) as file:
                arrays[path.name] = {name: file[name].tobytes() for name in file.files}
        contents.append(arrays)
    assert len(contents[0]) == 2
    assert contents[0] == contents[1]


def test_a_video_of_another_shape_is_refused_and_one_of_another_size_is_not(tmp_path: Path) -> None:
    annotations = write_annotations(tmp_path / "annotations")
    write_video(tmp_path / "videos", SEQUENCE.replace("cAll", "c01"))
    settings = annotations / "cameras" / "setting1.json"
    double = CAMERA | {"size": [2 * WIDTH, 2 * HEIGHT]}
    settings.write_text(json.dumps([double]))
    assert convert(plan(annotations, tmp_path / "videos", tmp_path / "out"), Dancer).failed == ()
    settings.write_text(json.dumps([CAMERA | {"size": [HEIGHT, WIDTH]}]))
    summary = convert(plan(annotations, tmp_path / "videos", tmp_path / "other"), Dancer)
    assert "is 64 x 48, its camera 48 x 64" in summary.failed[0][1]


def test_a_video_without_anybody_is_done_and_empty(scene: tuple[Path, Path, Path]) -> None:
    assert convert(plan(*scene), partial(FakeDetector, [])).converted == 1
    assert convert(plan(*scene), Dancer).done_before == 1
    recording = next(Aist(scene[2]).recordings())
    assert (len(recording), recording.fps) == (0, 60.0)


def test_the_detector_is_closed_whatever_happens(scene: tuple[Path, Path, Path]) -> None:
    (job,) = plan(*scene)
    detector = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        convert_video(job, lambda: detector, Options())
    assert detector.closed


def test_what_is_missing_is_named(scene: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    annotations, videos, output = scene
    with pytest.raises(ValueError, match=r"needs gBR_sBM_c02_d04_mBR0_ch01\.mp4"):
        plan(annotations, videos, output, ("c02",))
    (annotations / "cameras" / "setting1.json").unlink()
    assert main([str(annotations), str(videos), str(output)]) == 1
    assert "there is no file" in capsys.readouterr().err
    with pytest.raises(ValueError, match="every must be at least 1"):
        Options(every=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"{}", "must be a list of cameras"),
        (b"[1]", "must be a dictionary of names, got int"),
        (json.dumps([{"name": "c01"}]).encode(), "a camera has no 'size'"),
        (json.dumps([CAMERA | {"rotation": [0, 0]}]).encode(), "'rotation' of a camera must be 3 numbers"),
        (json.dumps([CAMERA | {"size": [10**400, 1]}]).encode(), "it is no file of AIST"),
        (json.dumps([CAMERA | {"matrix": "wide"}]).encode(), r"setting1\.json: could not convert"),
        (json.dumps([CAMERA | {"translation": [0, 0, float("nan")]}]).encode(), "'translation' of a camera"),
        (b"\xff\xfe", "is not a text file in UTF-8"),
    ],
)
def test_other_camera_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "setting1.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_cameras(tmp_path / "setting1.json")


def test_other_joint_and_mapping_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"keypoints3d": world_cm()}))
    with pytest.raises(ValueError, match=r"a\.pkl has no 'keypoints3d_optim'"):
        read_joints(path)
    path.write_bytes(pickle.dumps({"keypoints3d_optim": world_cm()[:, :16]}))
    with pytest.raises(ValueError, match=r"must have shape \(frames, 17, 3\)"):
        read_joints(path)
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match=r"holds code \('os.system'\)"):
        read_joints(path)
    (tmp_path / "mapping.txt").write_text("one two three\n")
    with pytest.raises(ValueError, match="a sequence and a setting in each line, got 'one two three'"):
        read_settings(tmp_path / "mapping.txt")
