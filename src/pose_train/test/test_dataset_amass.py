"""AMASS through a body model, whose joints are checked against a chain worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose_core.skeleton import COCO17, MPI_INF28
from pose_train.data.datasets import Amass
from pose_train.data.datasets.smpl import BODY22, BodyModel, model_path

# Parents of SMPL-H's 52 joints as its files have them; the first is stored as 2 ** 32 - 1.
HAND = [0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]  # from the wrist, one more per joint
PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19]
PARENTS += [20 if p == 0 else 21 + p for p in HAND] + [21 if p == 0 else 36 + p for p in HAND]

RESTING = {  # metres, y up, facing z, left is +x
    "pelvis": (0.0, 0.1, 0.02),
    "left_hip": (0.1, 0.0, 0.0),
    "left_knee": (0.1, -0.4, 0.0),
    "left_ankle": (0.1, -0.8, 0.0),
    "left_foot": (0.1, -0.85, 0.12),
    "left_shoulder": (0.2, 0.5, 0.0),
    "left_elbow": (0.5, 0.5, 0.0),
    "left_wrist": (0.75, 0.5, 0.0),
}
VERTICES = 104
"""Two for each joint, one each side of it."""


def resting_joints(joints: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    resting = rng.normal(0.0, 0.5, (joints, 3))
    resting[BODY22.indices(*RESTING)] = list(RESTING.values())
    return resting


def write_model(path: Path, joints: int = 52, **changes: Any) -> Path:
    """A model file with the names, shapes and types of SMPL-H's, two vertices to a joint."""
    resting = resting_joints(joints)
    vertices = np.repeat(resting, 2, 0)
    vertices[0::2, 2] += 0.05
    vertices[1::2, 2] -= 0.05
    shapedirs = np.zeros((2 * joints, 3, 16))
    knee = BODY22.index("left_knee")
    shapedirs[2 * knee : 2 * knee + 2, 1, 1] = -0.01  # the second shape lengthens the left thigh
    regressor = np.zeros((joints, 2 * joints))
    regressor[np.arange(joints), 2 * np.arange(joints)] = 0.5
    regressor[np.arange(joints), 2 * np.arange(joints) + 1] = 0.5
    parents = [*PARENTS, 15, 15, 15][:joints]
    content = {
        "v_template": vertices,
        "shapedirs": shapedirs,
        "J_regressor": regressor,
        "kintree_table": np.array([parents, range(joints)], np.int64).astype(np.uint32),
        "weights": np.zeros((2 * joints, joints)),
        "posedirs": np.zeros((2 * joints, 3, 9 * (joints - 1))),
        "f": np.zeros((4, 3), np.uint32),
    } | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    return path


def poses_of(frames: int, **turns: tuple[float, float, float]) -> np.ndarray:
    poses = np.zeros((frames, 52, 3))
    for joint, turn in turns.items():
        poses[:, BODY22.index(joint)] = turn
    return poses.reshape(frames, -1)


def write_motion(folder: Path, name: str = "CMU/01/01_01_poses", **changes: Any) -> Path:
    """A motion file of AMASS's first release."""
    content = {
        "poses": poses_of(3),
        "betas": np.zeros(16),
        "dmpls": np.zeros((3, 8)),
        "trans": np.array([[0.0, 0.0, 1.0], [0.5, 0.0, 1.0], [1.0, 0.0, 1.0]]),
        "gender": np.array("male"),
        "mocap_framerate": np.array(120.0),
    } | changes
    path = folder / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    return path


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_model(tmp_path / "models" / "smplh" / "male" / "model.npz")
    return tmp_path / "models"


def test_a_bent_leg_is_where_a_chain_worked_out_by_hand_has_it(tmp_path: Path) -> None:
    """Hip bent forward by 90 degrees (about -x), knee back by 90: the thigh points to +z, the shank straight down."""
    model = BodyModel.read(write_model(tmp_path / "model.npz"))
    poses = poses_of(1, left_hip=(-np.pi / 2, 0.0, 0.0), left_knee=(np.pi / 2, 0.0, 0.0))
    joints = model.posed(np.zeros(16), poses, np.array([[10.0, 0.0, 0.0]]))[0]
    expected = {
        "pelvis": (10.0, 0.1, 0.02),
        "left_hip": (10.1, 0.0, 0.0),
        "left_knee": (10.1, 0.0, 0.4),
        "left_ankle": (10.1, -0.4, 0.4),
        "left_foot": (10.1, -0.45, 0.52),
        "left_shoulder": (10.2, 0.5, 0.0),
    }
    for name, place in expected.items():
        np.testing.assert_allclose(joints[BODY22.index(name)], place, atol=1e-12, err_msg=name)


def test_an_arm_turns_below_a_turned_root(tmp_path: Path) -> None:
    """The root turned by 90 degrees about x (y becomes z, z becomes -y), as AMASS stands people up in its world, about the
    pelvis and not the origin; the left elbow by 90 about y: the forearm, along +x, then points to -z, and to +y in the world."""
    model = BodyModel.read(write_model(tmp_path / "model.npz"))
    poses = poses_of(1, pelvis=(np.pi / 2, 0.0, 0.0), left_elbow=(0.0, np.pi / 2, 0.0))
    joints = model.posed(np.zeros(10), poses, np.zeros((1, 3)))[0]
    pelvis = np.array([0.0, 0.1, 0.02])
    elbow = pelvis + np.array([0.5, 0.02, 0.4])  # (0.5, 0.5, 0) - pelvis = (0.5, 0.4, -0.02), turned
    np.testing.assert_allclose(joints[BODY22.index("pelvis")], pelvis, atol=1e-12)
    np.testing.assert_allclose(joints[BODY22.index("left_elbow")], elbow, atol=1e-12)
    np.testing.assert_allclose(
        joints[BODY22.index("left_wrist")], elbow + np.array([0.0, 0.25, 0.0]), atol=1e-12
    )


def test_shapes_move_the_resting_joints(tmp_path: Path) -> None:
    model = BodyModel.read(write_model(tmp_path / "model.npz"))
    thigh = BODY22.indices("left_hip", "left_knee")
    for betas, length in (([], 0.4), ([5.0], 0.4), ([0.0, 3.0], 0.43)):
        resting = model.resting(np.array(betas))
        assert np.linalg.norm(np.diff(resting[thigh], axis=0)) == pytest.approx(length)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_poses_keep_bone_lengths_and_turn_with_the_root(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = BodyModel("SMPL-H", resting_joints(22), rng.normal(0.0, 0.01, (22, 3, 16)))
    betas, poses, trans = rng.normal(size=16), rng.normal(size=(3, 156)), rng.normal(size=(3, 3))
    joints = model.posed(betas, poses, trans)
    lengths = BODY22.bone_lengths(model.resting(betas))
    np.testing.assert_allclose(BODY22.bone_lengths(joints), np.broadcast_to(lengths, (3, 21)), atol=1e-9)
    turn = Rotation.from_rotvec(rng.normal(size=3))
    turned = poses.copy()
    turned[:, :3] = (turn * Rotation.from_rotvec(poses[:, :3])).as_rotvec()
    root = joints[:, :1]
    expected = (joints - root) @ turn.as_matrix().T + root
    np.testing.assert_allclose(model.posed(betas, turned, trans), expected, atol=1e-9)


def test_a_motion_becomes_a_recording(tmp_path: Path, models: Path) -> None:
    write_motion(tmp_path / "amass")
    data = Amass(tmp_path / "amass", models)
    assert data.names() == ["CMU/01/01_01_poses"]
    assert data.subjects("train") == ["CMU/01"]
    recording = next(data.recordings())
    assert (recording.fps, recording.axes, recording.up, recording.skeleton) == (
        120.0,
        "world",
        "z",
        "mpi_inf28",
    )
    resting = resting_joints(52)
    for joint, row in {
        "left_knee": 4,
        "right_wrist": 21,
        "neck": 12,
        "left_clavicle": 13,
        "spine": 6,
    }.items():
        np.testing.assert_allclose(
            recording.xyz[2, MPI_INF28.index(joint)], resting[row] + (1.0, 0.0, 1.0), atol=1e-6, err_msg=joint
        )
    missing = np.isnan(recording.xyz).all((0, 2))
    names = [joint for joint, gone in zip(MPI_INF28.joints, missing, strict=True) if gone]
    ends = [f"{side}_{part}" for side in ("left", "right") for part in ("hand", "toe")]
    assert sorted(names) == sorted(["spine2", "spine3", "spine4", "head", "head_top", *ends])


def test_joints_come_in_the_skeleton_that_is_asked_for(tmp_path: Path, models: Path) -> None:
    write_motion(tmp_path / "amass")
    recording = next(Amass(tmp_path / "amass", models, skeleton="coco17").recordings())
    np.testing.assert_allclose(
        recording.xyz[0, COCO17.index("left_ankle")],
        np.add(RESTING["left_ankle"], (0.0, 0.0, 1.0)),
        atol=1e-6,
    )
    assert np.isnan(recording.xyz[0, COCO17.index("nose")]).all()
    with pytest.raises(ValueError, match="unknown skeleton 'coco'"):
        Amass(tmp_path / "amass", models, skeleton="coco")


def test_both_releases_and_splits_are_known(tmp_path: Path) -> None:
    write_model(tmp_path / "models" / "SMPLX_NEUTRAL.npz", 55)
    new = {
        "poses": np.zeros((3, 165)),
        "mocap_framerate": None,
        "mocap_frame_rate": 59.94,
        "gender": np.array(b"neutral"),
    }
    for archive in ("KIT", "SFU", "HumanEva", "SSM"):
        write_motion(tmp_path / "amass", f"{archive}/s1/walk_stageii", **new)
        np.savez(tmp_path / "amass" / archive / "s1" / "neutral_stagei.npz", betas=np.zeros(16))
        np.savez(tmp_path / "amass" / archive / "s1" / "shape.npz", betas=np.zeros(16))
    data = Amass(tmp_path / "amass", tmp_path / "models")
    assert data.subjects("train") == ["KIT/s1"]
    assert data.subjects("val") == ["HumanEva/s1", "SFU/s1"]
    assert data.subjects("test") == ["SSM/s1"]
    assert [recording.fps for recording in data.recordings()] == [59.94] * 4


def test_joints_computed_beforehand_need_no_model(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).normal(size=(4, 24, 3))
    path = tmp_path / "Own" / "walk.npz"
    path.parent.mkdir()
    np.savez(path, joints=joints, fps=30)
    recording = next(Amass(tmp_path, skeleton="h36m17").recordings())
    np.testing.assert_allclose(recording.xyz[:, 0], joints[:, 0], rtol=1e-6)
    assert recording.fps == 30.0


def test_nan_frames_are_missing(tmp_path: Path, models: Path) -> None:
    poses = poses_of(3)
    poses[1, 7] = np.nan
    write_motion(tmp_path / "amass", poses=poses)
    recording = next(Amass(tmp_path / "amass", models).recordings())
    assert np.isnan(recording.xyz[1]).all()
    assert np.isfinite(recording.xyz[2, MPI_INF28.index("pelvis")]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"poses": None}, r"01_01_poses\.npz has no 'poses' \(nor 'joints'\)"),
        ({"poses": np.zeros((3, 63))}, "must have 72, 156, 165 columns, got 63"),
        ({"trans": np.zeros((4, 3))}, r"'trans' of .* must have shape \(3, 3\), got \(4, 3\)"),
        ({"betas": np.full(16, np.nan)}, "'betas' of .* must be finite"),
        ({"betas": np.zeros(17)}, r"01_01_poses\.npz: the model has 16 shapes, got 17 betas"),
        ({"gender": np.array("both")}, "'gender' of .* must be one of male, female, neutral, got 'both'"),
        ({"mocap_framerate": None}, "has none of mocap_framerate, mocap_frame_rate, fps"),
        ({"mocap_framerate": np.array(-1.0)}, "must be positive, got -1.0"),
        ({"poses": np.zeros((3, 165))}, "there is no SMPL-X model for 'male' in .*smpl-x.is.tue.mpg.de"),
        ({"gender": np.array("female")}, r"no SMPL-H model for 'female' .*smplh/female/model\.npz"),
        ({"poses": np.array([{}], object)}, "'poses' of .* must be an array of numbers"),
        ({"joints": np.zeros((3, 7, 3))}, "'joints' of .* must be 22 or all of SMPL"),
    ],
)
def test_other_motions_are_refused(
    tmp_path: Path, models: Path, changes: dict[str, Any], message: str
) -> None:
    write_motion(tmp_path / "amass", **changes)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        next(Amass(tmp_path / "amass", models).recordings())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"J_regressor": None}, "has no 'J_regressor'"),
        ({"v_template": np.zeros((3, 3))}, r"must have shape \(3, 3, shapes\)"),
        (
            {"J_regressor": np.array({"data": 1}, object)},
            "'J_regressor' of .* must be an array of numbers, got dict",
        ),
        ({"J_regressor": np.full((52, VERTICES), np.nan)}, "numbers that are not finite"),
        ({"kintree_table": np.zeros((2, 52), np.uint32)}, "connects the body's joints in another way"),
        (
            {"J_regressor": np.zeros((30, VERTICES)), "kintree_table": np.zeros((2, 30))},
            "has 30 joints and is none of",
        ),
    ],
)
def test_other_models_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write_model(tmp_path / "model.npz", **changes)
    with pytest.raises(ValueError, match=message):
        BodyModel.read(path)


def test_what_is_missing_is_said_with_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="unpack AMASS's archives there"):
        Amass(tmp_path).names()
    write_motion(tmp_path)
    with pytest.raises(ValueError, match="give its folder as `models`"):
        next(Amass(tmp_path).recordings())
    with pytest.raises(FileNotFoundError, match=r"register at its makers' page \(https://mano.is.tue.mpg.de"):
        model_path(tmp_path, "SMPL-H", "male")
    smpl = write_model(tmp_path / "elsewhere" / "model.npz", 24)
    with pytest.raises(ValueError, match="holds poses of SMPL-H, but .* is a model of SMPL"):
        next(Amass(tmp_path / "CMU", smpl).recordings())
    with pytest.raises(ValueError, match="has no motion 'CMU/02'"):
        Amass(tmp_path).recording("CMU/02")
