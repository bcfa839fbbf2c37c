"""The evaluation of joint angles, on bodies and recordings of which the figures are known."""

from __future__ import annotations

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from pose_biomechanics import isb
from pose_core.filtering.joint_errors import DEPTH_SHARE, HANDED_DOWN, JointErrors
from pose_core.formats.mot import write_mot
from pose_core.formats.trc import write_trc
from pose_core.geometry.calibration import CalibratedCamera
from pose_core.geometry.camera import Camera
from pose_core.markers import MarkerSequence, world_from_camera
from pose_core.skeleton import MEDIAPIPE33
from pose_train.data import mocap
from pose_train.studies import (
    opensim_walk,
    real_video,
    segment_chain,
)
from pose_train.studies import (
    oracle as angle_oracle,
)
from pose_train.studies.angles.compared import BASELINE, apart, levelled, walked
from pose_train.studies.angles.lifted import errors_together, stated_of
from pose_train.studies.angles.noise import Draws, activities, drawn, noisy, sequence_of
from pose_train.studies.angles.settings import Settings
from pose_train.studies.angles.study import AngleStudy
from pose_train.studies.refiners.scenes import Take, filmed
from pose_train.studies.segment_chain import Placed, place
from pose_train.testing import rest

FRAMES = 40
OPENSIM = Path(__file__).parents[3] / "data" / "opensim"
"""Where the files of OpenSim's own test are, if they are."""
SEGMENT = {
    "pelvis": "pelvis",
    "torso": "thorax",
    **{
        f"{body}_{side[0]}": f"{side}_{segment}"
        for side in ("right", "left")
        for body, segment in (("femur", "femur"), ("tibia", "tibia"), ("calcn", "foot"))
    },
}
"""Bodies of the OpenSim model, and the segments of ours that stand in for them."""
PLACES = {
    "R.Knee.Lat": "right_knee_lateral",
    "R.Knee.Med": "right_knee_medial",
    "R.Ankle.Lat": "right_ankle_lateral",
    "R.Ankle.Med": "right_ankle_medial",
    "R.Heel": "right_heel",
    "R.Toe.Tip": "right_toe_marker",
    "R.Toe.Lat": "right_fifth_metatarsal",
    "R.Toe.Med": "right_big_toe",
    "R.ASIS": "right_asis",
    "R.Acromium": "right_acromion",
    "R.Thigh.Upper": "right_thigh1",
    "R.Thigh.Front": "right_thigh2",
    "R.Thigh.Rear": "right_thigh3",
    "R.Shank.Upper": "right_shank1",
    "R.Shank.Front": "right_shank2",
    "R.Shank.Rear": "right_shank3",
    "Top.Head": "head_top",
}
ONLY_STANDING = ("Knee", "Ankle")


def a_walk() -> dict[str, np.ndarray]:
    swing = np.linspace(0.0, 4.0 * math.pi, FRAMES)
    values: dict[str, np.ndarray] = {
        "pelvis_tilt": 3.0 * np.sin(2.0 * swing),
        "pelvis_list": 4.0 * np.sin(swing),
        "pelvis_rotation": 6.0 * np.cos(swing),
        "lumbar_bending": 5.0 * np.cos(swing),
        "lumbar_rotation": -5.0 * np.sin(swing),
        "pelvis_tx": np.linspace(0.0, 1.5, FRAMES),
        "pelvis_ty": np.full(FRAMES, 0.95),
    }
    for letter, phase in (("r", 0.0), ("l", math.pi)):
        values[f"hip_flexion_{letter}"] = 10.0 + 25.0 * np.sin(swing + phase)
        values[f"hip_adduction_{letter}"] = 4.0 * np.cos(swing + phase)
        values[f"hip_rotation_{letter}"] = 5.0 * np.sin(swing + phase + 1.0)
        values[f"knee_angle_{letter}"] = 40.0 + 15.0 * np.sin(swing + phase)
        values[f"ankle_angle_{letter}"] = 10.0 * np.cos(swing + phase)
    return values


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like that of OpenSim's test, of our own body."""
    folder = tmp_path_factory.mktemp("opensim")
    values = a_walk()
    placed = place(values)
    neutral = place({})
    sites = {}
    for name, point in PLACES.items():
        sites[name] = point
        if name.startswith("R."):
            sites[f"L.{name[2:]}"] = point.replace("right", "left")
    xyz = {name: placed.point(point) for name, point in sites.items()}
    xyz["V.Sacral"] = (placed.point("right_psis") + placed.point("left_psis")) / 2.0
    document = ElementTree.Element("OpenSimDocument", Version="20303")
    markers = ElementTree.SubElement(document, "MarkerSet")
    for name in xyz:
        body, place_on_body = on_body(neutral, name, sites)
        marker = ElementTree.SubElement(markers, "Marker", name=name)
        ElementTree.SubElement(marker, "body").text = f" {body} "
        ElementTree.SubElement(marker, "location").text = " ".join(map(repr, place_on_body.tolist()))
    ElementTree.ElementTree(document).write(folder / opensim_walk.MODEL)
    recorded = [name for name in xyz if not any(word in name for word in ONLY_STANDING)]
    points = np.stack([xyz[name] for name in recorded], 1)
    stamps = angle_oracle.stamps(FRAMES)
    write_trc(
        folder / opensim_walk.MARKERS,
        MarkerSequence(tuple(recorded), stamps, points, np.full(points.shape[:2], np.nan)),
    )
    columns = {name: -some if name in opensim_walk.EXTENDS else some for name, some in values.items()}
    write_mot(folder / opensim_walk.ANGLES, stamps, columns)
    return folder


def on_body(neutral: Placed, name: str, sites: dict[str, str]) -> tuple[str, np.ndarray]:
    if name == "V.Sacral":
        return "pelvis", (neutral.point("right_psis") + neutral.point("left_psis")) / 2.0
    segment, _ = segment_chain.carried(neutral.body, sites[name])
    body = next(body for body, one in SEGMENT.items() if one == segment)
    return body, neutral.point(sites[name]) - neutral.origin[segment]


def test_opensims_walk_is_read_back_as_markers_and_angles(walk: Path) -> None:
    read = opensim_walk.read(walk)
    placed = place(a_walk())
    for marker in ("RHip", "LKnee", "r_mknee_study", "L_ankle_study", "RHJC_study", "r_calc_study", "Hip"):
        true = placed.point(segment_chain.MARKERS[marker])
        # TRC keeps micrometres; a body follows from markers that are decimetres apart.
        np.testing.assert_allclose(read.markers.of(marker), true, atol=2e-5, err_msg=marker)
    sacrum = (read.markers.of("r.PSIS_study") + read.markers.of("L.PSIS_study")) / 2.0
    np.testing.assert_allclose(
        sacrum, (placed.point("right_psis") + placed.point("left_psis")) / 2.0, atol=2e-5
    )
    np.testing.assert_allclose(read.degrees["knee_angle_r"], a_walk()["knee_angle_r"], atol=1e-5)


def test_opensims_angles_of_our_own_body_are_ours(walk: Path) -> None:
    ours, theirs = walked(opensim_walk.read(walk))
    for way, names in (
        ("markers", ("pelvis", "trunk", "hip", "knee", "ankle")),
        ("joints", ("pelvis", "hip", "knee")),
    ):
        found = apart(ours[way], theirs)
        for kind, one in found.items():
            if kind.partition("_")[0] in names and kind not in ("trunk_flexion", "ankle_eversion"):
                assert one.mean < 0.05, (way, kind)
                assert one.known == 1.0
    assert set(theirs) >= {"pelvis_anterior_tilt", "right_hip_abduction", "left_knee_flexion"}


@pytest.mark.skipif(
    not (OPENSIM / opensim_walk.MODEL).is_file(),
    reason=f"OpenSim's walk is not in {OPENSIM}; put the data there to compare with its inverse kinematics",
)
def test_opensims_inverse_kinematics_says_the_same_of_a_walk() -> None:
    ours, theirs = walked(opensim_walk.read(OPENSIM))
    found = apart(ours["markers"], theirs)
    for kind, most in (
        ("pelvis_anterior_tilt", 0.3),
        ("hip_flexion", 0.5),
        ("hip_abduction", 0.8),
        ("hip_internal_rotation", 1.0),
        ("knee_flexion", 2.0),
        ("ankle_dorsiflexion", 2.0),
        ("trunk_left_rotation", 1.0),
    ):
        assert found[kind].without_offset < most, kind
        assert found[kind].known == 1.0
    assert found["knee_flexion"].mean < 3.0
    assert found["knee_flexion"].span > 60.0


def test_a_model_without_markers_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.osim"
    file.write_text("<OpenSimDocument/>")
    with pytest.raises(ValueError, match="not an OpenSim model of version 2"):
        opensim_walk.sites_of(file)
    file.write_text("<OpenSim")
    with pytest.raises(ValueError, match="which is XML"):
        opensim_walk.sites_of(file)


def test_differences_are_taken_apart_into_offset_and_rest() -> None:
    theirs = {"right_knee_flexion": np.zeros(4), "left_knee_flexion": np.array([0.0, 0.0, 0.0, np.nan])}
    ours = {
        "right_knee_flexion": np.array([10.0, 14.0, 10.0, 14.0]),
        "left_knee_flexion": np.array([-2.0, -2.0, np.nan, 5.0]),
    }
    found = apart(ours, theirs)["knee_flexion"]
    assert found.mean == pytest.approx((12.0 + 2.0) / 2.0)
    assert found.without_offset == pytest.approx((2.0 + 0.0) / 2.0, abs=0.01)
    assert found.offset == pytest.approx((12.0 - 2.0) / 2.0, abs=0.01)
    assert found.known == pytest.approx((1.0 + 2.0 / 3.0) / 2.0)
    # Half a turn apart, on both sides of where angles wrap.
    ours = {"right_knee_flexion": np.array([179.0, -179.0, 179.0, -179.0])}
    found = apart(ours, {"right_knee_flexion": np.zeros(4)})["knee_flexion"]
    assert found.without_offset == pytest.approx(1.0)
    nothing = apart({"right_knee_flexion": np.full(4, np.nan)}, {"right_knee_flexion": np.zeros(4)})
    assert nothing["knee_flexion"].known == 0.0
    assert math.isnan(nothing["knee_flexion"].mean)


def test_noise_is_judged_by_its_size_and_by_what_was_stated() -> None:
    random = np.random.default_rng(0)
    error = np.full((4000, len(isb.NAMES)), np.nan)
    stated, true = error.copy(), np.zeros(error.shape, bool)
    row = isb.NAMES.index("pelvis_anterior_tilt")
    error[:, row], stated[:, row], true[:, row] = np.abs(random.normal(0.0, 2.0, 4000)), 2.0, True
    row = isb.NAMES.index("right_hip_flexion")
    error[:, row], stated[:, row], true[:, row] = np.abs(random.normal(0.0, 2.0, 4000)), 1.0, True
    row = isb.NAMES.index("left_knee_flexion")
    error[:100, row], stated[:100, row], true[:, row] = 1.0, 1.0, True
    found = noisy([Draws(error, stated, true)])
    honest, vain, rare = (found[name] for name in ("pelvis_anterior_tilt", "hip_flexion", "knee_flexion"))
    assert honest.error == pytest.approx(2.0, rel=0.05)
    assert (honest.stated, honest.known) == (2.0, 1.0)
    assert honest.covered == pytest.approx(0.9, abs=0.02)
    # Only 59 % of a normal distribution lie within 0.82 of its standard deviations.
    assert vain.covered == pytest.approx(0.59, abs=0.02)
    assert math.isnan(rare.error)
    assert rare.known == pytest.approx(0.025)
    assert math.isnan(found["elbow_flexion"].error)


def test_stated_deviations_of_a_knee_follow_from_its_bones() -> None:
    """A knee bent by 90 degrees, whose bones of 0.42 and 0.40 m have three joints with 5 mm of noise each."""
    placed = place({name: np.array([90.0]) for name in ("knee_angle_r", "knee_angle_l")})
    poses = segment_chain.in_camera(placed.joints("mediapipe33"))
    found = noisy([drawn(poses, 0.005, 400, np.random.default_rng(1))])["knee_flexion"]
    # In the plane of the leg: both ends move square to their bones, the knee along both.
    thigh, shank = 1.0 / 0.42, 1.0 / 0.40
    true = math.degrees(0.005 * math.sqrt(2.0 * thigh**2 + 2.0 * shank**2))
    assert found.error == pytest.approx(true, rel=0.08)
    assert found.stated == pytest.approx(true, rel=0.08)
    assert found.covered == pytest.approx(0.9, abs=0.05)


def test_people_are_found_who_stand_walk_and_sit() -> None:
    quaternions = np.tile(np.array([1.0, 0.0, 0.0, 0.0], np.float32), (120, 7, 1))
    still = np.repeat(rest()[None], 120, 0)
    stroll = still + np.linspace(0.0, 2.4, 120)[:, None, None] * np.array([0.0, 0.0, 1.0], np.float32)
    seated = still.copy()
    for side in ("l", "r"):
        knee, ankle = (mocap.JOINTS.index(f"{side}{name}") for name in ("femur", "tibia"))
        hip = mocap.JOINTS.index(f"{side}hipjoint")
        below = [mocap.JOINTS.index(f"{side}{name}") for name in ("tibia", "foot", "toes")]
        moved = still[:, hip] + np.array([0.0, 0.0, 0.43], np.float32) - still[:, knee]
        seated[:, [knee, *below]] += moved[:, None]
        assert np.allclose(seated[:, knee, 1], seated[:, hip, 1])
        assert (seated[:, ankle, 1] < seated[:, knee, 1]).all()
    motions = tuple(
        mocap.Motion(name, "01", xyz.astype(np.float32), quaternions)
        for name, xyz in (("still", still), ("stroll", stroll), ("seated", seated))
    )
    found = activities(mocap.Pack(60.0, motions), 5, np.random.default_rng(0))
    assert {name: len(poses) for name, poses in found.items()} == {"standing": 5, "walking": 5, "sitting": 5}
    hip, knee, head = MEDIAPIPE33.indices("left_hip", "left_knee", "nose")
    for name, poses in found.items():
        # In a camera's frame y points down, and people stand before it.
        assert (poses[:, head, 1] < poses[:, hip, 1]).all()
        assert (poses[..., 2] > 2.0).all()
        drop = poses[:, knee, 1] - poses[:, hip, 1]
        assert (drop < 0.1).all() if name == "sitting" else (drop > 0.3).all()


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (20.0, 0.0), (-10.0, 5.0), (35.0, -8.0)])
def test_a_calibrated_camera_says_how_it_is_tilted(pitch: float, roll: float) -> None:
    R_file_cam = world_from_camera(pitch, roll)
    # A calibration's world has z up; this one looks along x.
    R_world_file = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    camera = CalibratedCamera(
        "one", Camera.from_field_of_view(640, 480, 60.0), (R_world_file @ R_file_cam).T, np.zeros(3)
    )
    options = levelled(camera)
    assert options.camera_pitch_deg == pytest.approx(pitch)
    assert options.camera_roll_deg == pytest.approx(roll)


def test_all_tables_are_made_and_written(data: Path, walk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for file in data.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "opensim").symlink_to(walk)
    document = tmp_path / "angles.md"
    document.write_text(
        "".join(
            f"<!-- begin {name} -->\n<!-- end {name} -->\n"
            for name in ("oracle", "noise", "lifted", "opensim", "real")
        )
    )
    settings = Settings(folder, poses=2, draws=2, clips=2, frames=20, real=False)
    told: list[str] = []
    done: list[tuple[int, int]] = []
    study = AngleStudy(settings)
    found = study.carry_out(
        tmp_path / "out", document, told.append, lambda one, all_: done.append((one, all_))
    )
    text = document.read_text()
    assert "| hip flexion |" in text
    assert "Degrees of error for each degree" in text
    assert "| `hip_flexion` |" in text
    assert text.endswith("<!-- begin real -->\n<!-- end real -->\n")
    assert "| elbow | " in text
    assert done[-1] == (5, 5)
    assert told[-1] == f"wrote {document}"
    kept = json.loads((tmp_path / "out" / "angles.json").read_text())
    assert kept["oracle"]["exact"]["markers"]["hip_flexion"] < 0.01
    assert set(kept) == set(found) == {"oracle", "noise", "lifted", "opensim", "cost_ms"}
    assert 0.0 < kept["lifted"]["depth_share"] < 1.0
    assert all(0.0 < one["least"] <= one["live"] for one in kept["cost_ms"].values())
    told.clear()
    assert study.carry_out(tmp_path / "out", document, told.append) == found
    assert told[:5] == [f"{name}: measured before" for name in found]
    assert document.read_text() == text


def errant(errors: JointErrors, std: float = 0.01, clips: int = 4, frames: int = 500) -> list[Take]:
    """Takes of somebody who stands with bent limbs, whose joints err in each frame anew as `errors` says."""
    random = np.random.default_rng(11)
    bent = {f"{hinge}_{side}": np.array([60.0]) for hinge in ("knee_angle", "elbow_flex") for side in "rl"}
    placed = place(bent)
    truth = np.repeat(segment_chain.in_camera(placed.joints(MEDIAPIPE33.name)), frames, 0)
    takes = []
    for _ in range(clips):
        drawn = random.normal(0.0, std, (frames, errors.mixing.shape[1], 3))
        noise = errors.axes * np.einsum("jk,tkc->tjc", errors.mixing, drawn)
        given = sequence_of(truth + noise, angle_oracle.stamps(frames), MEDIAPIPE33.name, std)
        takes.append(Take(given, truth))
    return takes


def test_errors_that_go_together_are_measured_as_they_were_drawn() -> None:
    share, together = errors_together(errant(JointErrors.lifted(MEDIAPIPE33)))
    assert share == pytest.approx(DEPTH_SHARE, abs=0.02)
    for name, (value, taken) in together.items():
        assert value == pytest.approx(taken, abs=0.06), name
    assert together["wrist"][1] == pytest.approx(HANDED_DOWN["wrist"])
    # The neck is the middle between the shoulders, which go together by the square.
    assert together["shoulder"][1] == pytest.approx(np.sqrt((1.0 + HANDED_DOWN["shoulder"] ** 2) / 2.0))


def test_independent_errors_are_measured_as_that() -> None:
    share, together = errors_together(errant(JointErrors.independent(33)))
    assert share == pytest.approx(1.0 / 3.0, abs=0.02)
    # The root, between two hips, has half their variance, and all joints are about it.
    assert together["wrist"][0] == pytest.approx(0.5 / 1.5, abs=0.06)


def test_what_is_stated_of_lifted_people_holds_for_errors_that_go_together() -> None:
    takes = errant(JointErrors.lifted(MEDIAPIPE33), clips=1, frames=300)
    told = stated_of(takes)
    trunk = {errors: found["pelvis_anterior_tilt"] for errors, found in told.items()}
    assert trunk["independent"].stated < 0.8 * trunk["lifted"].stated
    assert trunk["lifted"].error == trunk["independent"].error < trunk["lifted"].stated


def test_settings_that_cannot_be_measured_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="say with --data where the data is"):
        Settings(tmp_path)
    with pytest.raises(ValueError, match=r"there is no file .*opensim"):
        Settings(data)
    with pytest.raises(ValueError, match="poses must be at least 1, got 0"):
        Settings(data, poses=0)


@pytest.mark.skipif(
    not real_video.cached_file(1).is_file(),
    reason="the real video was not looked at yet; pose evaluate lifters does",
)
def test_one_camera_is_compared_with_four() -> None:
    video = real_video.load(1)
    take = filmed(video, 1, BASELINE)
    given, truth = take.given, sequence_of(take.truth, take.given.stamps, MEDIAPIPE33.name)
    assert len(given) == len(truth)
    depth = np.nanmedian(given.xyz[..., 2]) / np.nanmedian(truth.xyz[..., 2])
    assert depth == pytest.approx(1.0, abs=0.2)
    options = levelled(video.reference.cameras[0])
    # The person stands upright in the levelled frame, though the camera is tilted by 22 and rolled by 13 degrees.
    nodes = MEDIAPIPE33.with_virtual(truth.xyz)
    trunk = nodes[:, MEDIAPIPE33.index("neck")] - nodes[:, MEDIAPIPE33.index("pelvis")]
    up = world_from_camera(options.camera_pitch_deg, options.camera_roll_deg) @ np.nanmean(trunk, 0)
    assert up[1] / np.linalg.norm(up) > 0.9
    assert abs(options.camera_roll_deg) > 10.0
