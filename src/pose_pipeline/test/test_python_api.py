"""The functions of `pose_pipeline`, and the examples of docs/python_api.md."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import pose_pipeline
from lift3d_node.params import Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from lift3d_node.testing import make_scene
from pose_biomechanics.angles import AngleOptions, angles_of
from pose_biomechanics.marker_set import markers_of
from pose_core import assets
from pose_core.formats.mot import write_mot
from pose_core.formats.trc import write_trc
from pose_core.people import People2D, Person2D
from pose_core.sequence import PoseSequence
from pose_tools.process.person import write_angles
from pose_tools.process.stages import hidden
from refine_node import recording
from refine_node.params import RefineParams

VIDEO = "Demo_SinglePerson/videos/cam01.mp4"
FRAMES = 8


@pytest.fixture(scope="module")
def walk() -> tuple[np.ndarray, np.ndarray, object]:
    """Keypoints (T, 33, 2) and confidences (T, 33) of somebody who walks, and the camera."""
    shots = [make_scene((0.02 * i, 0.1, 4.0)) for i in range(FRAMES)]
    keypoints = np.stack([shot.person.xy_px for shot in shots])
    confidence = np.stack([shot.person.joint_confidence for shot in shots])
    return keypoints, confidence, shots[0].camera


@pytest.fixture(scope="module")
def lifted(walk) -> PoseSequence:
    keypoints, confidence, camera = walk
    return pose_pipeline.lift(keypoints, camera, confidence=confidence, rate=30.0, height=1.75)


def alike(a: PoseSequence, b: PoseSequence) -> None:
    for name in ("stamps", "xyz", "std", "confidence", "root_std", "state", "person_confidence"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_lift_is_the_stage_image_by_image(walk, lifted: PoseSequence) -> None:
    keypoints, confidence, camera = walk
    stage = PeopleLifter(Lift3DParams(height=1.75))
    images = []
    for i in range(FRAMES):
        xy_px = keypoints[i]
        box_px = np.concatenate([np.nanmin(xy_px, 0), np.nanmax(xy_px, 0)])
        person = Person2D("p1", float(confidence[i].mean()), box_px, xy_px, confidence[i])
        stamp = 1_000_000_000 + round(i * 1e9 / 30.0)
        people = People2D(
            stamp, "camera_optical_frame", "mediapipe33", camera.width, camera.height, (person,)
        )
        images.append(stage.process(people, None, camera))
    alike(lifted, PoseSequence.from_people(images, "p1"))
    assert lifted.metadata["height"] == pytest.approx(1.75)
    assert np.nanmedian(lifted.xyz[..., 2]) == pytest.approx(4.0, abs=0.4)


def test_lift_takes_missing_frames_and_joints(walk) -> None:
    keypoints, _, camera = walk
    holed = keypoints.copy()
    holed[3] = np.nan
    holed[:, 0] = np.nan
    flat = pose_pipeline.lift(holed, camera, stamps=np.arange(FRAMES) * 40_000_000 + 5, height=1.75)
    assert flat.stamps.tolist() == [5 + 40_000_000 * i for i in range(FRAMES)]
    assert flat.missing[3].all()
    assert not flat.missing[4].all()


def test_lift_tells_the_lifter_of_the_tilt_and_takes_parameters(walk, lifted: PoseSequence) -> None:
    keypoints, confidence, camera = walk
    told = pose_pipeline.lift(
        keypoints, camera, confidence=confidence, rate=30.0, height=1.75, camera_pitch_deg=20.0
    )
    assert np.abs(told.xyz - lifted.xyz).max() > 1e-3
    far = pose_pipeline.lift(keypoints, camera, confidence=confidence, rate=30.0, default_height=1.9)
    assert far.metadata["height"] == pytest.approx(1.9)


def test_lift_with_the_detectors_own_3d(walk) -> None:
    keypoints, _, camera = walk
    world = np.stack([make_scene((0.02 * i, 0.1, 4.0)).shape.xyz for i in range(FRAMES)])
    solid = pose_pipeline.lift(keypoints, camera, rate=30.0, lifter="mediapipe_world", world=world)
    assert not solid.missing.any()
    with pytest.raises(
        ValueError, match="lifter 'mediapipe_world' needs the detector's own 3D; give it as world"
    ):
        pose_pipeline.lift(keypoints, camera, rate=30.0, lifter="mediapipe_world")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate": None}, "state either rate, in images per second, or stamps"),
        ({"stamps": np.arange(FRAMES)}, "state either rate"),
        ({"rate": 0.0}, "rate must be images per second, above 0, got 0"),
        (
            {"rate": None, "stamps": np.arange(3)},
            r"stamps must be 8 whole nanoseconds, got int64 of shape \(3,\)",
        ),
        ({"rate": None, "stamps": np.zeros(FRAMES, int)}, "stamps must increase"),
        (
            {"skeleton": "coco17"},
            r"keypoints must have shape \(frames, 17, 2\) for skeleton 'coco17', got \(8, 33, 2\)",
        ),
        ({"confidence": np.ones(3)}, r"confidence must have shape \(8, 33\) like keypoints, got \(3,\)"),
        ({"confidence": np.full((FRAMES, 33), 2.0)}, "confidence must be from 0 to 1, got 2 to 2"),
        ({"lifter": "straming_tcn"}, "did you mean 'streaming_tcn'?"),
        ({"heights": 1.7}, "unknown parameter 'heights'; did you mean 'height'?"),
        ({"height": 17.0}, "height"),
    ],
)
def test_lift_says_what_is_wrong(walk, change: dict, said: str) -> None:
    keypoints, _, camera = walk
    with pytest.raises(ValueError, match=said):
        pose_pipeline.lift(keypoints, camera, **({"rate": 30.0} | change))


def test_refine_is_the_offline_smoother_or_the_stage(lifted: PoseSequence) -> None:
    alike(pose_pipeline.refine(lifted), recording.smooth(lifted, RefineParams()))
    live = pose_pipeline.refine(lifted, refiner="one_euro", offline=False)
    alike(live, recording.refine_live(lifted, RefineParams(refiner="one_euro")))
    held = pose_pipeline.refine(lifted, bone_lengths=False)
    assert (held.xyz != pose_pipeline.refine(lifted).xyz).any()


def test_refine_of_an_array_that_stands_still_leaves_it_there(lifted: PoseSequence) -> None:
    frames = np.stack([lifted.xyz[0]] * 12)
    still = pose_pipeline.refine(frames, 30.0, bone_lengths=False)
    np.testing.assert_allclose(still.xyz, frames, atol=1e-9)
    assert (still.stamps[1] - still.stamps[0], still.skeleton) == (33_333_333, "mediapipe33")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "state either rate"),
        ({"rate": 30.0, "skeleton": "coco17"}, "skeleton 'coco17' has 17 joints, xyz has 33"),
        ({"rate": 30.0, "refiner": "kalmann"}, "did you mean 'kalman'?"),
        ({"rate": 30.0, "refiner": "one_euro"}, "refiner 'one_euro' has no offline form"),
        ({"rate": 30.0, "std": -np.ones((FRAMES, 33))}, "std must not be negative"),
    ],
)
def test_refine_says_what_is_wrong(lifted: PoseSequence, arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pose_pipeline.refine(lifted.xyz, **arguments)


def test_a_sequence_has_its_own_stamps(walk, lifted: PoseSequence) -> None:
    with pytest.raises(ValueError, match="a sequence has its own stamps"):
        pose_pipeline.refine(lifted, 30.0)
    with pytest.raises(ValueError, match="in 3D already"):
        pose_pipeline.lift(lifted, walk[2])


def test_angles_of_joints_and_of_markers(lifted: PoseSequence) -> None:
    turned = pose_pipeline.angles(lifted, camera_pitch_deg=10.0)
    np.testing.assert_array_equal(turned.angle, angles_of(lifted, AngleOptions(camera_pitch_deg=10.0)).angle)
    by_markers = pose_pipeline.angles(markers_of(lifted))
    both = [one.of("right_elbow_flexion") for one in (pose_pipeline.angles(lifted), by_markers)]
    np.testing.assert_allclose(*both, atol=np.radians(2.0))
    with pytest.raises(ValueError, match="angles has no option 'pelvis'"):
        pose_pipeline.angles(lifted, pelvis="ZXY")
    with pytest.raises(ValueError, match="pelvis_sequence must be ZXY or YXZ, got 'XYZ'"):
        pose_pipeline.angles(lifted, pelvis_sequence="XYZ")


def test_read_gives_what_was_written(lifted: PoseSequence, tmp_path: Path) -> None:
    lifted.save(tmp_path / "joints.npz")
    alike(pose_pipeline.read(tmp_path / "joints.npz"), lifted)
    markers = markers_of(lifted)
    write_trc(tmp_path / "markers.trc", markers)
    read = pose_pipeline.read(str(tmp_path / "markers.trc"))
    assert read.names == markers.names
    np.testing.assert_allclose(read.of("RKnee"), markers.of("RKnee"), atol=1e-5)
    turned = pose_pipeline.angles(lifted)
    write_angles(tmp_path / "angles", turned, int(lifted.stamps[0]))
    whole = pose_pipeline.read(tmp_path / "angles")
    np.testing.assert_allclose(whole.of("left_knee_flexion"), turned.of("left_knee_flexion"), atol=1e-5)
    group = pose_pipeline.read(tmp_path / "angles" / "left_knee.csv")
    np.testing.assert_array_equal(group.of("left_knee_flexion"), whole.of("left_knee_flexion"))
    knee = np.degrees(turned.of("left_knee_flexion"))
    write_mot(tmp_path / "knee.mot", lifted.stamps, {"knee_angle_l": knee})
    motion = pose_pipeline.read(tmp_path / "knee.mot")
    np.testing.assert_allclose(motion.columns["knee_angle_l"], knee, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("a.trc", None, FileNotFoundError, "there is no .*a.trc"),
        (
            "a.txt",
            "",
            ValueError,
            "it must be a folder or end in .trc, .c3d, .mot, .sto, .csv, .npz, .mcap, .db3",
        ),
        (
            "a.csv",
            "time_s,a\n0,1\n",
            ValueError,
            "holds neither joint angles, nor markers, nor the landmarks",
        ),
        ("a.csv", "time_s,left_knee_flexion_deg\n0,x\n", ValueError, "line 2"),
        ("a.npz", "PK", ValueError, "is not a whole pose sequence"),
        ("a/summary.json", "{", ValueError, "is damaged"),
        ("a/b.txt", "", FileNotFoundError, "holds no bag"),
    ],
)
def test_read_says_what_is_wrong(
    name: str, content: str | None, error: type[Exception], said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    with pytest.raises(error, match=said):
        pose_pipeline.read(tmp_path / Path(name).parts[0])


def test_process_has_the_options_of_the_command(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="process has no option 'heigth'; did you mean 'height'?"):
        pose_pipeline.process("a.mp4", tmp_path / "out", heigth=1.8)
    with pytest.raises(ValueError, match="there is no 'a.mp4'"):
        pose_pipeline.process("a.mp4", tmp_path / "out")


def test_importing_costs_little_and_needs_no_torch() -> None:
    code = """
import json, sys
import pose_pipeline
first = sorted(sys.modules)
from pose_pipeline import Camera, angles, lift, process, read, refine
print(json.dumps([first, sorted(sys.modules)]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, then = map(set, json.loads(done.stdout))
    assert not first & {"numpy", "importlib.metadata", "pose_core", "rclpy"}
    assert not then & {"torch", "mediapipe", "rclpy", "pose_msgs", "cv2", "matplotlib"}


def test_steps_run_where_there_is_no_ros_and_no_torch(walk, tmp_path: Path) -> None:
    keypoints, _, camera = walk
    np.savez(tmp_path / "walk.npz", keypoints=keypoints, matrix=camera.matrix)
    code = f"""
import sys
for name in ("rclpy", "rcl_interfaces", "pose_msgs", "sensor_msgs", "std_msgs", "builtin_interfaces", "torch"):
    sys.modules[name] = None
import numpy as np
import pose_pipeline
from pose_biomechanics.marker_set import markers_of
from pose_core.formats.trc import write_trc
file = np.load("walk.npz")
camera = pose_pipeline.Camera({camera.width}, {camera.height}, file["matrix"])
lifted = pose_pipeline.lift(file["keypoints"], camera, rate=30.0, height=1.75)
smooth = pose_pipeline.refine(lifted)
write_trc("walk.trc", markers_of(smooth))
turned = pose_pipeline.angles(smooth)
print(len(pose_pipeline.read("walk.trc")), round(float(np.degrees(turned.of("left_elbow_flexion")[0]))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    smooth = pose_pipeline.refine(pose_pipeline.lift(keypoints, camera, rate=30.0, height=1.75))
    elbow = np.degrees(pose_pipeline.angles(smooth).of("left_elbow_flexion")[0])
    assert done.stdout.split() == [str(FRAMES), str(round(float(elbow)))]


def test_every_name_can_be_had() -> None:
    for name in pose_pipeline.__all__:
        assert getattr(pose_pipeline, name) is not None
    assert set(pose_pipeline.__all__) <= set(dir(pose_pipeline))
    with pytest.raises(AttributeError, match="has no attribute 'lifft'"):
        pose_pipeline.lifft  # noqa: B018


@pytest.mark.skipif(
    not all(assets.is_intact(name) for name in (VIDEO, "pose_landmarker_full.task")),
    reason="EXAMPLES NOT RUN: fetch the demo video with `python -m pose_core.assets`",
)
def test_the_examples_of_the_document_run(
    examples: Callable[[str], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    _cut(assets.path(VIDEO), tmp_path / "walk.mp4", 70)
    blocks = examples("python_api.md")
    assert len(blocks) == 6
    names: dict = {}
    for block in blocks:
        exec(compile(block, "python_api.md", "exec"), names)  # noqa: S102 (our own document)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "('p1',)"
    assert said[1].startswith("mediapipe33 (70, 33, 3)")
    assert said[3] == "['walk_final.trc', 'walk_initial.trc']"
    # step by step the same comes out, but for the 32 bits of a bag, where what is hardly seen is left out
    joints, lifted = names["joints"], names["lifted"]
    smooth = pose_pipeline.refine(hidden(lifted, Lift3DParams.min_confidence))
    np.testing.assert_allclose(smooth.xyz, joints.xyz, atol=1e-6)
    result, markers = names["result"], names["result"].markers()
    assert markers.stamps[0] == joints.stamps[0]
    assert "65" in result.summary["people"]["p1"]["augmentation"] or len(markers.names) >= 22
    assert {file.name for file in result.files} >= {"summary.json", "bag_0.mcap", "report.html"}
    assert pose_pipeline.read("results").summary == result.summary
    with pytest.raises(ValueError, match="shows no 'p7'; it shows p1"):
        result.joints("p7")


def _cut(source: Path, out: Path, frames: int) -> None:
    video = cv2.VideoCapture(str(source))
    size = (int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*"mp4v"), video.get(cv2.CAP_PROP_FPS), size)
    for _ in range(frames):
        writer.write(video.read()[1])
    writer.release()
    video.release()
