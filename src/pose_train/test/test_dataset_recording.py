"""Recordings: missing stays missing, cameras and worlds convert as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pose_core.geometry.camera import Camera
from pose_core.skeleton import COCO17
from pose_train.data.datasets.pinhole import fitted_camera
from pose_train.data.datasets.recording import Dataset, Recording

T, J = 4, len(COCO17)


def joints(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.4, (T, J, 3))


def test_half_missing_joints_are_missing_and_keypoints_without_confidence_have_one() -> None:
    xyz = joints()
    xyz[1, 3, 2] = np.inf
    xy_px = np.full((T, J, 2), 7.0)
    xy_px[2, 5, 0] = np.nan
    recording = Recording("a", "s", "coco17", 50.0, xyz, xy_px=xy_px)
    assert recording.xyz.dtype == np.float32
    assert np.isnan(recording.xyz[1, 3]).all()
    assert np.isnan(recording.xyz).sum() == 3
    assert recording.confidence is not None
    assert recording.xy_px is not None
    assert np.isnan(recording.xy_px[2, 5]).all()
    assert recording.confidence[2, 5] == 0.0
    assert recording.confidence.sum() == T * J - 1


def test_the_given_array_is_not_written_to() -> None:
    xyz = joints().astype(np.float32)
    xyz[0, 0, 0] = np.inf
    Recording("a", "s", "coco17", 50.0, xyz)
    assert xyz[0, 0, 0] == np.inf


def test_world_and_camera_agree_before_and_after_turning_the_world() -> None:
    R = Rotation.from_euler("xyz", [0.4, -0.2, 1.0]).as_matrix()
    t = np.array([0.1, 0.2, 5.0])
    recording = Recording("a", "s", "coco17", 50.0, joints(), up="z", R_cam_world=R, t_cam_world=t)
    np.testing.assert_allclose(recording.in_camera()[2, 4], R @ recording.xyz[2, 4] + t, atol=1e-6)
    turned = recording.y_up()
    assert turned.up == "y"
    np.testing.assert_allclose(turned.in_camera(), recording.in_camera(), atol=1e-6)
    np.testing.assert_allclose(turned.xyz[..., 1], recording.xyz[..., 2], atol=1e-7)  # what was up is up
    assert np.linalg.det(turned.R_cam_world) == pytest.approx(1.0)


def test_a_recording_that_does_not_say_where_it_is_says_so() -> None:
    with pytest.raises(ValueError, match="'a' does not say where its camera stands"):
        Recording("a", "s", "coco17", 50.0, joints()).in_camera()
    with pytest.raises(ValueError, match="'a' does not say which axis"):
        Recording("a", "s", "coco17", 50.0, joints()).y_up()
    seen = Recording("a", "s", "coco17", 50.0, joints(), axes="camera")
    assert seen.in_camera() is seen.xyz


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axes": "mars"}, "axes must be one of camera, root, world, got 'mars'"),
        ({"up": "x"}, "up must be one of"),
        ({"fps": 0.0}, "fps must be positive, got 0.0"),
        ({"skeleton": "coco18"}, "unknown skeleton 'coco18'; did you mean 'coco17'"),
        ({"xyz": np.zeros((T, J, 2))}, r"xyz must have shape \(4, 17, 3\), got \(4, 17, 2\)"),
        ({"xy_px": np.zeros((T + 1, J, 2))}, r"xy_px must have shape \(4, 17, 2\)"),
        ({"confidence": np.zeros((T, J))}, "confidence needs the keypoints"),
        ({"R_cam_world": -np.eye(3)}, "R_cam_world must be a rotation"),
        ({"t_cam_world": np.array([0.0, np.nan, 1.0])}, "t_cam_world must be 3 finite numbers"),
    ],
)
def test_what_cannot_be_is_refused(change: dict, message: str) -> None:
    fields = {"name": "a", "subject": "s", "skeleton": "coco17", "fps": 50.0, "xyz": joints()} | change
    with pytest.raises(ValueError, match=message):
        Recording(**fields)


class Two(Dataset):
    """Two recordings, which count how often they are read."""

    licence, source = "free", ""

    def __init__(self) -> None:
        self.reads = 0

    def all_names(self) -> list[str]:
        return ["S1/a", "S2/b"]

    def subject_of(self, name: str) -> str:
        return name[:2]

    def split_of(self, name: str) -> str:
        return "test" if name[:2] == "S2" else "train"

    def recording(self, name: str) -> Recording:
        self.reads += 1
        return Recording(name, self.subject_of(name), "coco17", 50.0, joints())


def test_a_data_set_reads_what_is_asked_for_and_no_more() -> None:
    two = Two()
    assert two.names("train") == ["S1/a"]
    assert two.subjects() == ["S1", "S2"]
    recordings = two.recordings()
    assert two.reads == 0
    assert next(recordings).name == "S1/a"
    assert two.reads == 1
    with pytest.raises(ValueError, match="unknown split 'tests'; did you mean 'test'"):
        two.names("tests")


def test_the_lens_behind_joints_and_their_images_is_found() -> None:
    camera = Camera(2048, 2048, np.array([[1497.7, 0.0, 1024.7], [0.0, 1497.1, 1051.4], [0.0, 0.0, 1.0]]))
    xyz = joints() + np.array([0.3, 0.1, 3.5])
    xyz[0, 0] = np.nan
    found = fitted_camera(xyz, camera.project(xyz), 2048, 2048)
    assert found is not None
    np.testing.assert_allclose(found.matrix, camera.matrix, atol=1e-6)
    assert found.source == "fitted"


def test_no_lens_is_made_up() -> None:
    xyz = joints() + np.array([0.0, 0.0, 3.5])
    noise = np.random.default_rng(1).uniform(0.0, 2048.0, (T, J, 2))
    assert fitted_camera(xyz, noise, 2048, 2048) is None
    assert fitted_camera(xyz[:1, :5], noise[:1, :5], 2048, 2048) is None
    assert fitted_camera(np.full((T, J, 3), 2.0), noise, 2048, 2048) is None
    assert fitted_camera(xyz * (1.0, 1.0, -1.0), noise, 2048, 2048) is None
