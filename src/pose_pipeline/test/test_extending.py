"""What another package brings through the doors: the package of docs/extending.md, and broken ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pose_pipeline
from lift3d_node import models
from lift3d_node.lifter import LIFTERS
from lift3d_node.params import Lift3DParams
from pose2d_node.detector import DETECTORS, identity, open_detector
from pose2d_node.estimator import Pose2DEstimator
from pose2d_node.params import Pose2DParams
from pose_core import doors
from pose_core.callbacks import no_progress
from pose_core.geometry.camera import Camera
from pose_core.people import JointState
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33
from pose_tools.cli.main import app
from pose_tools.doctor.doors import brought
from pose_tools.doctor.finding import OK, WARN
from pose_tools.files.export import ExportJob, export
from pose_tools.files.formats import EXPORTERS
from pose_tools.parameters.own import ProcessParams
from pose_tools.process.run import ProcessJob, _Meter, _Run
from pose_tools.process.run import process as run_process
from refine_node.params import RefineParams
from refine_node.refiners import REFINERS

Install = Callable[[Path, str, str], None]
CAMERA = Camera.from_field_of_view(320, 240, 60.0)
GREY = np.full((240, 320, 3), 128, np.uint8)


def imported() -> list[str]:
    """Modules of the other package that have been imported."""
    return [name for name in sys.modules if name.startswith("their_pose")]


def scarecrow() -> PoseSequence:
    """What their detector sees, three times."""
    detector = open_detector(Pose2DParams(detector="scarecrow"))
    (seen,) = detector.detect(1, GREY)
    keypoints = np.stack([seen.xy_px] * 3)
    return pose_pipeline.lift(keypoints, CAMERA, rate=30.0, lifter="flat", height=1.7)


def test_names_are_known_and_nothing_is_imported(theirs: Path) -> None:
    assert "scarecrow" in DETECTORS.names()
    assert "flat" in models.names()
    assert "halfway" in list(REFINERS)
    assert "json" in EXPORTERS
    models.expect_known("flat")
    with pytest.raises(ValueError, match="unknown lifter 'flatt'; did you mean 'flat'?"):
        models.expect_known("flatt")
    told = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}).stdout
    assert re.search(r"\n  people +of package their-pose\n", told)
    assert imported() == []


def test_only_what_is_asked_for_is_imported(theirs: Path) -> None:
    assert REFINERS.get("halfway").__name__ == "Halfway"
    assert imported() == ["their_pose", "their_pose.refining"]


def test_a_start_with_our_own_looks_at_no_metadata() -> None:
    code = """
from lift3d_node.pipeline import PeopleLifter
from lift3d_node.params import Lift3DParams
from pose2d_node.detector import DETECTORS
from pose2d_node.params import Pose2DParams
from pose_core import doors
from refine_node.params import RefineParams
from refine_node.pipeline import PeopleRefiner
import pose_tools.cli.main
PeopleLifter(Lift3DParams()), PeopleRefiner(RefineParams()), DETECTORS.get(Pose2DParams().detector)
print(doors._points.cache_info().misses)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_their_detector_finds_people_with_ids(theirs: Path) -> None:
    estimator = Pose2DEstimator.from_params(Pose2DParams(detector="scarecrow"))
    first, second = (estimator.process(stamp, GREY, "camera") for stamp in (1, 33_000_001))
    (one,), (two,) = first.people.people, second.people.people
    assert one.id == two.id
    hip = MEDIAPIPE33.index("left_hip")
    # 0.06 of 0.8 x 240 px to our right of the middle, 0.53 of them above the ground at 0.9 x 240 px
    np.testing.assert_allclose(one.xy_px[hip], (160.0 + 11.52, 216.0 - 101.76))
    (solid,) = first.world.people
    assert (solid.state == JointState.MISSING).all()
    assert (solid.joint_confidence == 0.0).all()
    estimator.close()


def test_their_lifter_gives_flat_people_as_tall_as_stated(theirs: Path) -> None:
    lifted = scarecrow()
    hips, ankles = (
        lifted.xyz[0, MEDIAPIPE33.indices(f"left_{one}", f"right_{one}")] for one in ("hip", "ankle")
    )
    assert lifted.metadata["height"] == pytest.approx(1.7)
    # the scarecrow has, but for 0.002 at the shoulders, the proportions that tell heights: hips at 0.53, ankles at 0.04
    assert np.linalg.norm(hips.mean(0) - ankles.mean(0)) == pytest.approx(0.49 * 1.7, rel=2e-3)
    assert np.isnan(lifted.xyz[0, MEDIAPIPE33.index("nose")]).all()


def test_their_refiner_goes_halfway(theirs: Path) -> None:
    lifted = scarecrow()
    moved = lifted.xyz.copy()
    moved[1:] += (0.02, 0.0, 0.0)
    frames = PoseSequence(**{**vars(lifted), "xyz": moved})
    plain = {"bone_lengths": False, "repair_swaps": False}
    refined = pose_pipeline.refine(frames, refiner="halfway", offline=False, **plain)
    there = ~lifted.missing[0]
    np.testing.assert_allclose(
        (refined.xyz - lifted.xyz)[:, there, 0].T, [[0.0, 0.01, 0.015]] * there.sum(), atol=1e-9
    )
    with pytest.raises(
        ValueError, match="refiner 'halfway' has no offline form; choose one of .*hpstm, kalman.*, smoothnet"
    ):
        pose_pipeline.refine(frames, refiner="halfway")
    with pytest.raises(ValueError, match="refiner 'halfway' cannot use look_ahead 2"):
        pose_pipeline.refine(frames, refiner="halfway", offline=False, look_ahead=2)


def test_process_uses_their_detector_lifter_and_refiner_in_workers_too(
    theirs: Path, film: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = {"overlay": False, "processes": 2, "min_seconds": 0.2, "height": 1.7}
    result = pose_pipeline.process(
        film, out, detector="scarecrow", lifter="flat", refiner="halfway", **options
    )
    assert (result.ids, result.summary["lifter"], result.summary["refined"]) == (("p1",), "flat", "as live")
    assert len(result.joints()) == 15
    assert "scarecrow, at most 1 people" in (out / "report.html").read_text(encoding="utf-8")
    seen = ProcessParams(min_seconds=0.2)
    export(ExportJob(out / "bag", tmp_path / "files", ("json",), process=seen), no_progress)
    content = json.loads((tmp_path / "files" / "bag.json").read_text(encoding="utf-8"))
    joints = result.joints()
    assert content["joints"] == list(MEDIAPIPE33.joints)
    assert content["metres"][3][0] == [None] * 3
    hip = MEDIAPIPE33.index("left_hip")
    np.testing.assert_allclose(content["metres"][3][hip], joints.xyz[3, hip])
    np.testing.assert_allclose(np.diff(content["seconds"]), 1.0 / 30.0, atol=1e-3)
    with pytest.raises(ValueError, match=r"bag\.json exists already"):
        export(ExportJob(out / "bag", tmp_path / "files", ("json",), process=seen), no_progress)
    said = CliRunner().invoke(app, ["people", str(out)])
    assert (said.exit_code, said.stdout) == (0, "p1 15\n")


def test_a_result_is_made_and_read_where_there_is_no_ros_and_no_torch(
    theirs: Path, film: Path, tmp_path: Path
) -> None:
    code = """
import sys
for name in ("rclpy", "rcl_interfaces", "pose_msgs", "sensor_msgs", "std_msgs", "builtin_interfaces", "torch"):
    sys.modules[name] = None
import pose_pipeline
options = {"overlay": False, "processes": 1, "min_seconds": 0.2, "height": 1.7, "detector": "scarecrow", "lifter": "flat"}
made = pose_pipeline.process("film.mp4", "out", **options)
read = pose_pipeline.read("out")
assert (read.joints().xyz[~read.joints().missing] == made.joints().xyz[~made.joints().missing]).all()
print(len(read.landmarks()), len(read.angles()), len(read.markers()), read.markers().stamps[0] - read.angles().stamps[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["15", "15", "15", "0"]


def test_detections_of_another_detector_are_not_gone_on_from(
    theirs: Path, film: Path, tmp_path: Path
) -> None:
    def kept(**options: str) -> bool:
        """Whether what was kept is still there when a job begins."""
        job = ProcessJob.asked(film, tmp_path / "out", **options)
        one = _Run(job, tmp_path, _Meter(no_progress, lambda: False), print)
        source = one._open()
        assert source.footage is not None
        one._detection(source.footage)
        there = (tmp_path / "detections" / "mark").is_file()
        (tmp_path / "detections" / "mark").touch()
        return there

    assert not kept(detector="scarecrow")
    assert kept(detector="scarecrow", lifter="flat")
    (info,) = theirs.glob("*.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-pose\nVersion: 1.1\n")
    doors.forget()
    assert identity(Pose2DParams(detector="scarecrow"))["package"] == "their-pose 1.1"
    assert not kept(detector="scarecrow")


BROKEN = """
[pose_pipeline.lifters]
missing = other_pose.gone:Lifter
function = other_pose:nothing
halffinished = other_pose.half:Half
streaming_tcn = other_pose:nothing
[pose_pipeline.detectors]
number = other_pose:NUMBER
idle = other_pose:nothing
[pose_pipeline.refiners]
raising = other_pose.raising:Refiner
[pose_pipeline.exporters]
text = other_pose:NUMBER
[pose_pipeline.commands]
broken = other_pose.raising:app
live = other_pose:nothing
"""


@pytest.fixture
def broken(tmp_path: Path, install: Install) -> None:
    """A package in which nothing is as it should be."""
    folder = tmp_path / "broken" / "other_pose"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("NUMBER = 1\n\n\ndef nothing(params=None):\n    return object()\n")
    (folder / "raising.py").write_text("raise RuntimeError('no licence')\n")
    (folder / "half.py").write_text(
        "from lift3d_node.lifter import Lifter\n\n\nclass Half(Lifter):\n    skeleton_in = 'mediapipe33'\n"
    )
    install(folder.parent, "other-pose", BROKEN)


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (
            lambda: models.make(Lift3DParams(lifter="missing")),
            r"'missing' of package other-pose cannot be used \(ModuleNotFoundError: No module named 'other_pose.gone'\); mend or "
            "uninstall that package",
        ),
        (
            lambda: LIFTERS.get("function"),
            "'function' of package other-pose must be a subclass of lift3d_node.lifter.Lifter that has its lift, but "
            "other_pose:nothing is of type function",
        ),
        (lambda: LIFTERS.get("halffinished"), "but other_pose.half:Half is a class that lacks lift"),
        (
            lambda: open_detector(Pose2DParams(detector="number")),
            "must be something to call with Pose2DParams",
        ),
        (
            lambda: open_detector(Pose2DParams(detector="idle")),
            "detector 'idle' of package other-pose lacks detect, close, device",
        ),
        (
            lambda: REFINERS.get("raising").check(RefineParams(refiner="raising")),
            r"'raising' of package other-pose cannot be used \(RuntimeError: no licence\)",
        ),
        (lambda: EXPORTERS.get("text"), "must be an instance of pose_tools.files.formats.Exporter"),
    ],
)
def test_what_cannot_be_used_is_named(use: Callable[[], object], said: str, broken: None) -> None:
    with pytest.raises(ValueError, match=said):
        use()


def test_a_command_that_cannot_be_used_says_so_and_leaves_the_others_alone(broken: None) -> None:
    called = CliRunner().invoke(app, ["broken"])
    assert isinstance(called.exception, ValueError)
    assert "'broken' of package other-pose cannot be used (RuntimeError: no licence)" in str(called.exception)
    assert CliRunner().invoke(app, ["live", "--help"]).stdout.count("--lifter") == 1
    told = CliRunner().invoke(app, ["--help"]).stdout
    assert told.count("\n  live ") == 1


def test_our_own_names_win(broken: None) -> None:
    assert models.make(Lift3DParams()).name == "streaming_tcn"
    assert [name for name, _ in REFINERS.usable()] == REFINERS.own()
    with pytest.raises(ValueError, match="or refiner to one of .*hpstm, kalman.*, savitzky_golay, smoothnet"):
        REFINERS.get("raw").check(RefineParams(refiner="raw", look_ahead=1))


def test_the_doctor_names_what_is_brought_and_what_is_broken(
    theirs: Path, broken: None, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "third").mkdir()
    install(tmp_path / "third", "third-pose", "[pose_pipeline.lifters]\nflat = third_pose:Flat\n")
    monkeypatch.setattr(doors, "GROUPS", (doors.LIFTERS, doors.COMMANDS))
    found = {(check.name, check.level): check for check in brought(["live"])}
    assert set(found) == {
        ("lifter flat", WARN),
        ("lifter function", WARN),
        ("lifter halffinished", WARN),
        ("lifter missing", WARN),
        ("lifter streaming_tcn", WARN),
        ("command broken", WARN),
        ("command live", WARN),
        ("command people", OK),
    }
    assert found["command people", OK].detail == "of package their-pose 1.0"
    assert found["command live", WARN].detail == "of package other-pose 1.0 is not used: ours has that name"
    assert "No module named 'other_pose.gone'" in found["lifter missing", WARN].detail
    assert (
        found["lifter missing", WARN].remedy
        == "pip install --upgrade other-pose, or: pip uninstall other-pose"
    )
    hidden = found["lifter flat", WARN]
    assert hidden.detail == (
        "of package their-pose 1.0 is not used: package third-pose brings that name, and is found first"
    )


def test_a_detector_that_finds_something_else_is_named(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = open_detector(Pose2DParams(detector="scarecrow"))
    kind = DETECTORS.get("scarecrow")
    (good,) = detector.detect(1, GREY)
    for name, value, said in (
        ("xy_px", good.xy_px[:17], r"xy_px must have shape \(33, 2\), got \(17, 2\); ask its authors"),
        (
            "confidence",
            np.ones(33),
            "a joint must have a place and a confidence above 0, or NaN and confidence 0",
        ),
    ):
        bad = type(good)(**{**vars(good), name: value})
        monkeypatch.setattr(kind, "detect", lambda *_, bad=bad: [bad])
        with pytest.raises(ValueError, match=f"detector 'scarecrow' of package their-pose: {said}"):
            detector.detect(2, GREY)


def test_process_refuses_a_detector_that_nobody_brings(film: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown detector 'mediapip'; did you mean 'mediapipe'?"):
        run_process(ProcessJob.asked(film, tmp_path / "out", detector="mediapip"), no_progress)
