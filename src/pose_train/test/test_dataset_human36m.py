"""Human3.6M as VideoPose3D writes it: pickled dictionaries of 32 joints in metres and of four views in pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pose_core.skeleton import H36M17
from pose_train.data.datasets import Human36M
from pose_train.data.datasets.human36m_cameras import LARGEST_DIFFERENCE_PX, LENSES, PLACES, cameras_of

# Where the 17 joints stand among the 32: VideoPose3D removes 4 5 9 10 11 16 20-24 28-31.
KEPT = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
ACTIONS = {"S1": ["Directions 1", "Walking"], "S9": ["Directions 1"], "S11": ["Sitting"]}
T = 5


def body(subject: str, action: str) -> np.ndarray:
    """(T, 32, 3) float32, metres, z up; joints that are not used are far away."""
    rng = np.random.default_rng(sum(map(ord, subject + action)))
    joints = np.full((T, 32, 3), 99.0)
    joints[:, KEPT] = rng.normal((0.0, 0.0, 1.0), 0.3, (T, 17, 3))
    return joints.astype(np.float32)


def published_keypoints(world: np.ndarray, subject: str, view: int) -> np.ndarray:
    """(T, J, 2) by the projection with which data_2d_h36m_gt was made, in double precision.

    The quaternion turns camera into world axes, the translation is the camera's position in millimetres.
    """
    lens, place = LENSES[view], PLACES[subject][view]
    w, axis = place.orientation[0], -np.array(place.orientation[1:])  # inverse
    moved = world - np.array(place.position_mm) / 1000.0
    cross = np.cross(axis, moved)
    camera = moved + 2.0 * (w * cross + np.cross(axis, cross))
    plane = camera[..., :2] / camera[..., 2:]
    r2 = (plane**2).sum(-1, keepdims=True)
    k, p = lens.radial, np.array(lens.tangential)
    bent = plane * (1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3 + (p * plane).sum(-1, keepdims=True)) + p * r2
    return (bent * lens.focal_px + lens.centre_px).astype(np.float32)


METADATA = {
    "layout_name": "h36m",
    "num_joints": 17,
    "keypoints_symmetry": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]],
}


def write(folder: Path, extra_frames: int = 0, metadata: dict[str, Any] | None = None) -> None:
    joints = {s: {a: body(s, a) for a in actions} for s, actions in ACTIONS.items()}
    views = {
        s: {
            a: [
                np.concatenate(
                    [published_keypoints(xyz[:, KEPT], s, view), np.zeros((extra_frames, 17, 2), np.float32)]
                )
                for view in range(4)
            ]
            for a, xyz in actions.items()
        }
        for s, actions in joints.items()
    }
    np.savez_compressed(folder / "data_3d_h36m.npz", positions_3d=joints)
    # the ground truth's metadata has no layout name
    gt = {key: value for key, value in METADATA.items() if key != "layout_name"}
    np.savez_compressed(folder / "data_2d_h36m_gt.npz", positions_2d=views, metadata=metadata or gt)
    np.savez_compressed(
        folder / "data_2d_h36m_cpn_ft_h36m_dbb.npz", positions_2d=views, metadata=metadata or METADATA
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path)
    return tmp_path


def test_names_subjects_and_splits(folder: Path) -> None:
    data = Human36M(folder)
    assert data.names("train")[:5] == [
        *(f"S1/Directions 1/{name}" for name in ("54138969", "55011271", "58860488", "60457274")),
        "S1/Walking/54138969",
    ]
    assert len(data.names()) == 16
    assert data.subjects("train") == ["S1"]
    assert data.subjects("test") == ["S9", "S11"]
    assert Human36M(folder, keypoints="").names("test") == ["S9/Directions 1", "S11/Sitting"]


def test_17_of_the_32_joints_are_kept_by_name(folder: Path) -> None:
    recording = Human36M(folder, keypoints="").recording("S1/Walking")
    given = body("S1", "Walking")
    assert recording.skeleton == "h36m17"
    assert recording.fps == 50.0
    np.testing.assert_array_equal(recording.xyz, given[:, KEPT])
    named = {"pelvis": 0, "right_ankle": 3, "left_hip": 6, "spine": 12, "neck": 13, "head_top": 15}
    named |= {"left_shoulder": 17, "left_wrist": 19, "right_shoulder": 25, "right_wrist": 27}
    for joint, row in named.items():
        np.testing.assert_array_equal(recording.xyz[:, H36M17.index(joint)], given[:, row])


@pytest.mark.parametrize("keypoints", ["gt", "cpn_ft_h36m_dbb"])
def test_each_view_sees_the_joints_where_its_keypoints_are(folder: Path, keypoints: str) -> None:
    for recording in Human36M(folder, keypoints).recordings():
        assert recording.camera is not None
        assert recording.xy_px is not None
        seen = recording.camera.project(recording.in_camera())
        near = np.linalg.norm(recording.xy_px - 500.0, axis=-1) < 350.0
        assert near.mean() > 0.9
        assert np.linalg.norm(seen - recording.xy_px, axis=-1)[near].max() < LARGEST_DIFFERENCE_PX
        assert (recording.confidence == 1.0).all()


def test_cameras_stand_as_published() -> None:
    for subject in PLACES:
        for camera, lens in zip(cameras_of(subject), LENSES, strict=True):
            z_up, person = camera.R_cam_world @ (0.0, 0.0, 1.0), camera.to_camera(np.array([0.0, 0.0, 1.0]))
            assert z_up[1] < -0.95  # upright images: up in the world is -y
            assert 4.0 < person[2] < 6.0  # the middle of the room is before every camera
            assert np.abs(camera.camera.project(person) - 500.0).max() < 250.0
            assert (camera.camera.width, camera.camera.height) == (lens.width, lens.height)
    # S1, camera 1, to the millimetre
    np.testing.assert_allclose(cameras_of("S1")[0].position, [1.841107, 4.9552847, 1.5634454], atol=1e-6)


def test_videos_that_go_on_after_the_joints_are_cut(tmp_path: Path) -> None:
    write(tmp_path, extra_frames=3)
    recording = Human36M(tmp_path).recording("S1/Walking/54138969")
    assert recording.xy_px is not None
    assert recording.xy_px.shape == (T, 17, 2)


def rewrite(folder: Path, name: str, **changes: Any) -> None:
    with np.load(folder / name, allow_pickle=True) as file:
        content = {key: file[key].item() for key in file.files}
    np.savez(folder / name, **(content | changes))


def keypoints_of(folder: Path) -> dict[str, Any]:
    with np.load(folder / "data_2d_h36m_gt.npz", allow_pickle=True) as file:
        return file["positions_2d"].item()


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data_3d_h36m\.npz; check the path"):
        Human36M(tmp_path).names()
    write(tmp_path)
    (tmp_path / "data_2d_h36m_gt.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"data_2d_h36m_gt\.npz"):
        next(Human36M(tmp_path).recordings())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions_3d": [1, 2]}, r"'positions_3d' of .*data_3d_h36m\.npz must be a dictionary"),
        ({"positions_3d": {"S2": {}}}, r"data_3d_h36m\.npz has a subject 'S2'"),
        (
            {"positions_3d": {"S1": {"Walking": np.zeros((4, 17, 3))}}},
            r"must have shape \(frames, 32, 3\), got \(4, 17, 3\)",
        ),
        ({"positions_3d": {"S1": {"Walking": "walk"}}}, "must be an array of numbers, got str"),
    ],
)
def test_other_joints_are_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    rewrite(folder, "data_3d_h36m.npz", **changes)
    with pytest.raises(ValueError, match=message):
        list(Human36M(folder).recordings())


@pytest.mark.parametrize(
    "metadata",
    [
        {**METADATA, "layout_name": "coco"},
        {**METADATA, "num_joints": 16},
        {**METADATA, "keypoints_symmetry": METADATA["keypoints_symmetry"][::-1]},  # sides swapped
        {"num_joints": 17, "keypoints_symmetry": 3},
        {"num_joints": 17, "keypoints_symmetry": [1, 2]},
    ],
)
def test_keypoints_of_another_layout_are_refused(tmp_path: Path, metadata: dict[str, Any]) -> None:
    write(tmp_path, metadata=metadata)
    with pytest.raises(ValueError, match=r"data_2d_h36m_gt\.npz holds keypoints of another layout"):
        next(Human36M(tmp_path).recordings())


def test_too_few_views_or_frames_are_refused(folder: Path) -> None:
    views = keypoints_of(folder)
    short = {**views, "S1": {**views["S1"], "Walking": [view[:-1] for view in views["S1"]["Walking"]]}}
    rewrite(folder, "data_2d_h36m_gt.npz", positions_2d=short)
    with pytest.raises(ValueError, match="has 4 frames where data_3d_h36m.npz has 5"):
        Human36M(folder).recording("S1/Walking/54138969")
    three = {**views, "S1": {**views["S1"], "Walking": views["S1"]["Walking"][:3]}}
    rewrite(folder, "data_2d_h36m_gt.npz", positions_2d=three)
    with pytest.raises(ValueError, match="no keypoints of four cameras for S1 'Walking'"):
        Human36M(folder).recording("S1/Walking/54138969")


def test_nan_joints_are_missing(folder: Path) -> None:
    joints = body("S1", "Walking")
    joints[2, 27, 1] = np.nan
    rewrite(folder, "data_3d_h36m.npz", positions_3d={"S1": {"Walking": joints}})
    recording = Human36M(folder, keypoints="").recording("S1/Walking")
    assert np.isnan(recording.xyz[2, H36M17.index("right_wrist")]).all()
    assert np.isnan(recording.xyz).sum() == 3


def test_an_unknown_recording_is_refused(folder: Path) -> None:
    for name in ("S1/Walking", "S1/Flying/54138969", "S7/Walking/54138969"):
        with pytest.raises(ValueError, match=r"has no recording"):
            Human36M(folder).recording(name)
    with pytest.raises(ValueError, match=r"has no recording 'S1/Walking/1'"):
        Human36M(folder).recording("S1/Walking/1")
