"""The 22 markers: names, places by hand, and what is made up where something was not seen."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_biomechanics.marker_set import FOOT_STD, GUESS_STD, MARKERS, markers_of
from pose_core.filtering.joint_errors import DRIFT
from pose_core.geometry.standing import standing_joints
from pose_core.people import JointState
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33 as SKELETON
from pose_core.skeleton import SKELETONS
from pose_core.units import NS_PER_S

HEIGHT = 2.0
STD = 0.05


def sequence(xyz: np.ndarray, rate_hz: float = 50.0, skeleton: str = "mediapipe33") -> PoseSequence:
    """Joints (T, J, 3) in the camera's frame; NaN is missing."""
    missing = np.isnan(xyz).any(-1)
    return PoseSequence(
        skeleton=skeleton,
        stamps=np.arange(len(xyz)) * round(NS_PER_S / rate_hz),
        xyz=xyz,
        confidence=np.where(missing, 0.0, 0.8),
        std=np.where(missing, np.nan, STD),
        root_std=np.full((len(xyz), 3), 0.02),
        state=np.where(missing, JointState.MISSING, JointState.LIFTED).astype(np.uint8),
        person_confidence=np.where(missing.all(1), np.nan, 0.9),
        person="p1",
        metadata={"height": HEIGHT},
    )


def standing(frames: int = 1) -> np.ndarray:
    """(T, 33, 3) somebody 2 m tall who stands 3 m before the camera and faces it; camera at the height of the soles."""
    left, up, forward = HEIGHT * standing_joints(SKELETON.name).T
    return np.repeat(np.stack([left, -up, 3.0 - forward], -1)[None], frames, 0)


def hidden(xyz: np.ndarray, *joints: str, frames: slice = slice(None)) -> np.ndarray:
    xyz = xyz.copy()
    xyz[frames, SKELETON.indices(*joints)] = np.nan
    return xyz


def column(name: str) -> int:
    return MARKERS.index(name)


def test_names_and_order_are_those_of_pose2sim():
    assert MARKERS == (
        *("Hip", "RHip", "RKnee", "RAnkle", "RBigToe", "RSmallToe", "RHeel"),
        *("LHip", "LKnee", "LAnkle", "LBigToe", "LSmallToe", "LHeel"),
        *("Neck", "Head", "Nose", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist"),
    )


def test_places_by_hand():
    markers = markers_of(sequence(standing()))
    # the camera's (x, y, z) is (z, -y, x) in files: forward, up, right of the camera
    for name, place in {
        "RKnee": (3.0, 0.570, -0.102),
        "LWrist": (3.0, 0.972, 0.212),
        "RBigToe": (2.754, 0.010, -0.102),
        "Hip": (3.0, 1.060, 0.0),
        "Neck": (3.0, 1.636, 0.0),
        # heights: -0.7 x 0.818 + 0.22 x 0.914 + 1.48 x 0.926, and 0.22 x 0.064 forward
        "Head": (2.97184, 1.99792, 0.0),
    }.items():
        np.testing.assert_allclose(markers.of(name)[0], place, atol=1e-12, err_msg=name)
    assert not markers.missing.any()
    assert markers.person == "p1"
    assert markers.metadata["height"] == HEIGHT
    assert markers.metadata["sources"]["Head"] == "-0.7 neck + 0.22 nose + 0.74 left_ear + 0.74 right_ear"
    assert json.loads(json.dumps(markers.metadata)) == markers.metadata


def test_deviations_by_hand():
    markers = markers_of(sequence(standing()))
    std = dict(zip(MARKERS, markers.std[0].tolist(), strict=True))
    assert std["RKnee"] == pytest.approx(0.05)
    assert std["Hip"] == pytest.approx(0.05 / np.sqrt(2))
    # weights of both shoulders (half of 0.7 each), nose and ears; and 20 mm of the rule
    weights = np.array([0.35, 0.35, 0.22, 0.74, 0.74])
    assert std["Head"] == pytest.approx(np.sqrt(0.05**2 * (weights**2).sum() + 0.02**2))


@pytest.mark.parametrize(("side", "outward"), [("right", 1.0), ("left", -1.0)])
def test_a_small_toe_is_beside_the_big_one(side: str, outward: float):
    xyz = standing()
    foot = {"heel": (0.0, 0.0, 0.0), "foot_index": (0.2, 0.0, 0.0), "ankle": (0.05, 0.08, 0.0)}  # of files
    for part, (forward, up, right) in foot.items():
        xyz[0, SKELETON.index(f"{side}_{part}")] = right, -up, forward
    markers = markers_of(replace(sequence(xyz), std=np.full(xyz.shape[:2], 0.01)))
    name = f"{side[0].upper()}SmallToe"
    np.testing.assert_allclose(markers.of(name)[0], (0.1916, 0.0044, outward * 0.0282), atol=1e-12)
    # toe 10 mm and 20 mm of its rule; plane turned by 14.1 mm over 80 mm at 29.75 mm; 10 mm of the place itself
    assert markers.std[0, column(name)] == pytest.approx(0.025054, abs=1e-6)
    assert markers.metadata["sources"][name] == "beside {0}BigToe, by {0}Heel and {0}Ankle".format(name[0])


def test_a_flat_foot_has_no_small_toe():
    xyz = standing()
    heel, toe, ankle = SKELETON.indices("right_heel", "right_foot_index", "right_ankle")
    xyz[0, ankle] = 0.5 * (xyz[0, heel] + xyz[0, toe])
    missing = markers_of(sequence(xyz)).missing[0]
    assert [MARKERS[i] for i in np.flatnonzero(missing)] == ["RSmallToe"]


def test_a_tilted_camera_is_levelled():
    level = markers_of(sequence(standing()))
    pitch, roll = np.radians(20.0), np.radians(7.0)
    # what a camera sees that looks down by 20 degrees, with its right side lower by 7
    down = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    clockwise = np.array([[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    seen = sequence(standing() @ (clockwise @ down).T)
    tilted = markers_of(seen, camera_pitch_deg=20.0, camera_roll_deg=7.0)
    np.testing.assert_allclose(tilted.xyz, level.xyz, atol=1e-12)
    assert tilted.metadata["camera_pitch_deg"] == 20.0
    assert np.abs(markers_of(seen).xyz - level.xyz).max() > 0.1


def test_what_is_missing_stays_missing_unless_asked_for():
    markers = markers_of(sequence(hidden(standing(), "left_knee", "left_heel", "right_hip")))
    missing = {MARKERS[i] for i in np.flatnonzero(markers.missing[0])}
    assert missing == {"LKnee", "LHeel", "LSmallToe", "RHip", "Hip"}
    assert np.isnan(markers.std[0]).sum() == len(missing)
    assert markers.metadata["frames_made_up"] == {"interpolated": {}, "mirrored": {}, "average": {}}


ARM = ("elbow", "wrist")
LEG = ("knee", "ankle", "heel", "foot_index")


@pytest.mark.parametrize(("side", "limb"), [("left", ARM), ("right", ARM), ("left", LEG), ("right", LEG)])
def test_a_limb_of_a_symmetric_figure_is_mirrored_exactly(side: str, limb: tuple[str, ...]):
    truth = markers_of(sequence(standing()))
    given_ = sequence(hidden(standing(), *(f"{side}_{part}" for part in limb)))
    markers = markers_of(given_, estimate_missing=True)
    np.testing.assert_allclose(markers.xyz, truth.xyz, atol=1e-9)
    made_up = markers.metadata["frames_made_up"]["mirrored"]
    names = {"elbow": ["Elbow"], "foot_index": ["BigToe", "SmallToe"]}
    expected = {side[0].upper() + name for part in limb for name in names.get(part, [part.capitalize()])}
    assert made_up == dict.fromkeys(made_up, 1)
    assert set(made_up) == expected


def test_a_raised_arm_is_mirrored_with_its_deviation():
    xyz = standing()
    xyz[0, SKELETON.index("right_elbow")] = -0.40, -1.80, 3.1
    xyz[0, SKELETON.index("right_wrist")] = -0.45, -2.05, 3.2
    markers = markers_of(sequence(hidden(xyz, "left_elbow", "left_wrist")), estimate_missing=True)
    np.testing.assert_allclose(markers.of("LElbow")[0], (3.1, 1.80, 0.40), atol=1e-9)
    np.testing.assert_allclose(markers.of("LWrist")[0], (3.2, 2.05, 0.45), atol=1e-9)
    assert markers.std[0, column("LWrist")] == pytest.approx(np.hypot(STD, GUESS_STD["wrist"]))
    np.testing.assert_allclose(markers.of("RWrist")[0], (3.2, 2.05, -0.45), atol=1e-12)
    assert markers.std[0, column("RWrist")] == pytest.approx(STD)


def test_nothing_is_mirrored_where_neither_side_is_seen():
    given_ = sequence(hidden(standing(), "left_wrist", "right_wrist"))
    missing = markers_of(given_, estimate_missing=True).missing[0]
    assert [MARKERS[i] for i in np.flatnonzero(missing)] == ["RWrist", "LWrist"]


def test_a_hidden_hip_brings_the_middle_back():
    markers = markers_of(sequence(hidden(standing(), "left_hip")), estimate_missing=True)
    assert not markers.missing.any()
    np.testing.assert_allclose(markers.of("Hip"), 0.5 * (markers.of("LHip") + markers.of("RHip")), atol=1e-12)
    # an average person's hips are half as wide as this, and this is one
    np.testing.assert_allclose(markers.of("LHip")[0], (3.0, 1.060, 0.102), atol=1e-9)


def walking(frames: int) -> np.ndarray:
    """(T, 33, 3) the figure slides to the camera's right by 1 m/s at 50 frames a second, its left wrist rising by 0.5 m/s."""
    time = np.arange(frames) / 50.0
    xyz = standing(frames)
    xyz[..., 0] += time[:, None]
    xyz[:, SKELETON.index("left_wrist"), 1] -= 0.5 * time
    return xyz


def test_a_short_gap_is_interpolated_about_the_hip():
    truth = markers_of(sequence(walking(20)))
    markers = markers_of(
        sequence(hidden(walking(20), "left_wrist", frames=slice(6, 11))), force_complete=True
    )
    np.testing.assert_allclose(markers.xyz, truth.xyz, atol=1e-9)
    assert markers.metadata["frames_made_up"] == {
        "interpolated": {"LWrist": 5},
        "mirrored": {},
        "average": {},
    }
    away = DRIFT * np.array([0.0, 0.02, 0.04, 0.06, 0.04, 0.02, 0.0])
    np.testing.assert_allclose(markers.std[5:12, column("LWrist")], np.hypot(STD, away))


def test_ends_are_held_about_the_hip():
    markers = markers_of(
        sequence(hidden(walking(12), "left_wrist", frames=slice(8, None))), force_complete=True
    )
    held = markers.of("LWrist") - markers.of("Hip")
    np.testing.assert_allclose(held[8:], np.repeat(held[7:8], 4, 0), atol=1e-12)
    assert markers.std[11, column("LWrist")] == pytest.approx(np.hypot(STD, DRIFT * 0.08))


def test_a_long_gap_is_mirrored_in_its_middle():
    """Drifting at 0.6 m/s costs more than what a mirrored wrist does (0.25 m) after 0.42 s."""
    given_ = sequence(hidden(walking(120), "left_wrist", frames=slice(10, 110)))
    made_up = markers_of(given_, force_complete=True).metadata["frames_made_up"]
    nearest = np.minimum(np.arange(1, 101), np.arange(100, 0, -1)) / 50.0
    late = int((np.hypot(STD, np.minimum(0.4, DRIFT * nearest)) > np.hypot(STD, 0.25)).sum())
    assert 0 < late < 100
    assert made_up == {"interpolated": {"LWrist": 100 - late}, "mirrored": {"LWrist": late}, "average": {}}


def test_feet_that_are_never_seen_are_those_of_an_average_person():
    feet = [f"{side}_{part}" for side in ("left", "right") for part in LEG]
    markers = markers_of(sequence(hidden(standing(3), *feet)), force_complete=True)
    assert not markers.missing.any()
    assert set(markers.metadata["frames_made_up"]["average"]) == {
        side + part for side in "LR" for part in ("Knee", "Ankle", "Heel", "BigToe", "SmallToe")
    }
    assert (np.diff([markers.of(name)[0, 1] for name in ("LHip", "LKnee", "LAnkle", "LHeel")]) < 0).all()
    assert markers.std[0, column("LAnkle")] == pytest.approx(1.5 * FOOT_STD)


def test_frames_without_the_person_are_filled_in_too():
    given_ = walking(10)
    given_[3:6] = np.nan
    markers = markers_of(sequence(given_), force_complete=True)
    truth = markers_of(sequence(walking(10)))
    np.testing.assert_allclose(markers.xyz, truth.xyz, atol=1e-9)
    assert markers.metadata["frames_made_up"]["interpolated"] == dict.fromkeys(MARKERS, 3)


def test_nobody_stays_nobody():
    markers = markers_of(sequence(np.full((4, 33, 3), np.nan)), force_complete=True, estimate_missing=True)
    assert markers.missing.all()
    assert len(markers_of(sequence(np.zeros((0, 33, 3))), force_complete=True)) == 0


def test_deviations_that_are_not_known_do_not_keep_markers_from_being_made_up():
    given_ = replace(sequence(hidden(standing(3), "left_wrist")), std=np.full((3, 33), np.nan))
    markers = markers_of(given_, force_complete=True)
    assert np.isnan(markers.std[:, column("RWrist")]).all()
    np.testing.assert_allclose(markers.std[:, column("LWrist")], GUESS_STD["wrist"])


@pytest.mark.parametrize("skeleton", ["coco17", "h36m17", "mpi_inf28", "pose2sim22"])
def test_other_skeletons_give_what_they_know(skeleton: str):
    joints = SKELETONS.get(skeleton)
    xyz = np.random.default_rng(1).normal(size=(2, len(joints), 3))
    markers = markers_of(sequence(xyz, skeleton=skeleton))
    for joint in ("left_knee", "right_shoulder", "left_wrist"):
        place = xyz[:, joints.index(joint)][:, [2, 1, 0]] * (1, -1, 1)
        word = joint.split("_")[1].capitalize()
        np.testing.assert_allclose(markers.of(joint[0].upper() + word), place, atol=1e-12)
    lacks = {name for name in MARKERS if not markers.metadata["sources"][name]}
    assert {MARKERS[i] for i in np.flatnonzero(markers.missing[0])} >= lacks
    assert ("LHeel" in lacks) == (skeleton != "pose2sim22")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shift=st.tuples(*[st.floats(-5, 5)] * 3))
def test_moving_and_mirroring_a_person_moves_and_mirrors_the_markers(seed: int, shift: tuple[float, ...]):
    xyz = standing(2) + np.random.default_rng(seed).normal(0.0, 0.05, (2, 33, 3))
    plain = markers_of(sequence(xyz))
    np.testing.assert_allclose(
        markers_of(sequence(xyz + shift)).xyz, plain.xyz + np.array(shift)[[2, 1, 0]] * (1, -1, 1), atol=1e-9
    )
    mirrored = markers_of(sequence(xyz[:, SKELETON.flip] * (-1, 1, 1)))
    other = [column({"L": "R", "R": "L"}.get(name[0], name[0]) + name[1:]) for name in MARKERS]
    np.testing.assert_allclose(mirrored.xyz, plain.xyz[:, other] * (1, 1, -1), atol=1e-9)
    np.testing.assert_allclose(mirrored.std, plain.std[:, other], atol=1e-9)


def test_wrong_input_is_told():
    flat = PoseSequence(
        skeleton="coco17",
        stamps=np.zeros(0, np.int64),
        xyz=np.zeros((0, 17, 2)),
        confidence=np.zeros((0, 17)),
        std=np.zeros((0, 17)),
        root_std=np.zeros((0, 2)),
        state=np.zeros((0, 17), np.uint8),
        person_confidence=np.zeros(0),
    )
    with pytest.raises(ValueError, match="in pixels: lift it first"):
        markers_of(flat)
    with pytest.raises(ValueError, match="camera_pitch_deg must lie between -180 and 180, got nan"):
        markers_of(sequence(standing()), camera_pitch_deg=float("nan"))
