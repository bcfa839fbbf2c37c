"""The whole graph in one process on real video: topics, stamps, bags, determinism, bad input."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pose_msgs.msg import Person3D
from rosbags.highlevel import AnyReader

from pose2d_node.sources import VIDEO_ORIGIN_NS
from pose_core import assets
from pose_core.geometry.calibration import read_qualisys
from pose_core.markers import world_from_camera
from pose_core.system.exits import FAILED, WRONG_CONFIGURATION
from pose_ros import topics
from pose_ros.messages.names import PEOPLE3D
from pose_tools.bag.namespaces import input_of
from pose_tools.bag.reader import read
from pose_tools.graph.demo import CALIBRATION, VIDEO, demo, demo_tilt
from pose_tools.graph.graph import Graph, Setup
from pose_tools.graph.live import Run, _drain, run
from pose_tools.graph.replay import read_frames, replay

FRAMES = 24
FPS = 60
PEOPLE_TOPICS = (topics.PEOPLE2D, topics.WORLD, topics.LIFTED, topics.REFINED)
DESCRIBED = {
    topics.SKELETON2D: topics.PEOPLE2D,
    topics.LIFTED_SKELETON: topics.LIFTED,
    topics.REFINED_SKELETON: topics.REFINED,
}

pytestmark = pytest.mark.skipif(
    not all(assets.is_intact(name) for name in (VIDEO, "pose_landmarker_full.task")),
    reason="NOT RUN ON REAL VIDEO: fetch it with `python -m pose_core.assets`",
)


def video_setup(**pose2d: bool | int | float | str) -> Setup:
    chosen = {"source": str(assets.path(VIDEO)), **pose2d}
    return Setup(overrides={"pose2d": chosen, "lift3d": {"height": 1.7}}, private=True)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A bag of the first frames of the demo video with images, and the report."""
    bag = tmp_path_factory.mktemp("live") / "bag"
    return bag, run(Run(video_setup(), record=bag, record_images=True, max_frames=FRAMES))


@pytest.fixture(scope="module")
def messages(recorded: tuple[Path, dict]) -> dict[str, list[tuple[int, object]]]:
    """(log time, message) by topic, as the rosbags library reads them."""
    found: dict[str, list[tuple[int, object]]] = {}
    with AnyReader([recorded[0]]) as reader:
        for connection, stamp, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            found.setdefault(connection.topic.lstrip("/"), []).append((stamp, message))
    return found


def test_every_frame_holds_a_person_at_every_stage(recorded: tuple[Path, dict]) -> None:
    report = recorded[1]
    assert report["frames"] >= FRAMES
    assert set(report["frames_with_person"].values()) == {report["frames"]}
    assert list(report["people"]) == ["p1"]
    assert report["stalls"] == 0


def test_the_bag_holds_every_result_topic_with_the_capture_times(messages: dict) -> None:
    for topic in (*PEOPLE_TOPICS, topics.CAMERA_INFO):
        stamps = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for _, m in messages[topic]]
        assert stamps == [stamp for stamp, _ in messages[topic]]
        expected = VIDEO_ORIGIN_NS + np.arange(len(stamps)) * 10**9 / FPS
        np.testing.assert_allclose(stamps, expected, atol=1e6, err_msg=topic)
        assert (np.diff(stamps) > 0).all()
        assert len(stamps) >= FRAMES
    assert len(messages[topics.IMAGE_COMPRESSED]) >= FRAMES - 1
    assert topics.MARKERS in messages


def test_skeletons_stand_before_people_and_name_the_joints(
    recorded: tuple[Path, dict], messages: dict
) -> None:
    """Each before what it describes; `refine` says its own when its first people are due, which may be after the first chunk."""
    order = [(message.topic.lstrip("/"), message.stamp) for message in read(recorded[0])]
    names = [name for name, _ in order]
    for skeleton, people in DESCRIBED.items():
        assert names.index(skeleton) < names.index(people)
        assert order[names.index(skeleton)][1] == order[0][1]
    [(_, skeleton)] = messages[topics.REFINED_SKELETON]
    assert (skeleton.name, len(skeleton.joints), skeleton.joints[15]) == ("mediapipe33", 33, "left_wrist")


def test_a_stated_height_is_the_scale_and_the_person_stands_where_the_image_has_him(messages: dict) -> None:
    person = messages[topics.REFINED][-1][1].people[0]
    assert person.scale_source == Person3D.SCALE_SUBJECT
    assert person.height == pytest.approx(1.7)
    xyz = person.xyz.reshape(-1, 3)
    nose, ankles = xyz[0], xyz[[27, 28]].mean(0)
    assert 0.8 < ankles[1] - nose[1] < 1.7  # bent forward; y points down
    assert 2.0 < xyz[:, 2].mean() < 6.0


def test_messages_say_when_each_stage_worked(messages: dict) -> None:
    times = messages[topics.REFINED][-1][1].times
    assert times.stage == ["source", "detect", "pose2d", "lift3d", "refine"]
    assert (np.asarray(times.end) >= np.asarray(times.start)).all()
    assert times.start[1] >= times.end[0]


def test_remappings_hold_for_what_counts_and_records_as_well(tmp_path: Path) -> None:
    """As a launch file gives them to stages in one process: the monitor heard nothing, and the recorder other topics."""
    setup = video_setup()
    setup.ros_args = ("-r", "__ns:=/left", "-r", "camera_info:=/eye/camera_info")
    report = run(Run(setup, record=tmp_path / "bag", max_frames=3))
    assert "failure" not in report
    assert report["frames"] >= 3
    found = {message.topic for message in read(tmp_path / "bag")}
    assert {"/left/pose2d/people", "/left/refine/people", "/eye/camera_info"} <= found
    assert all(topic.startswith(("/left/", "/eye/")) for topic in found)


def digest(bag: Path) -> str:
    return hashlib.sha256((bag / f"{bag.name}_0.mcap").read_bytes()).hexdigest()


def no_times() -> Setup:
    return Setup(overrides={"lift3d": {"stage_times": False}, "refine": {"stage_times": False}})


@pytest.mark.parametrize("images", [False, True])
def test_two_replays_of_a_bag_are_equal_to_the_byte(
    recorded: tuple[Path, dict], tmp_path: Path, images: bool
) -> None:
    setup = no_times()
    setup.overrides["pose2d"] = {"stage_times": False}
    bags = [tmp_path / number / "bag" for number in ("1", "2")]
    reports = [
        replay(recorded[0], bag, setup, images=images, progress=lambda done, total: None) for bag in bags
    ]
    assert [report["frames"] for report in reports] == [
        len(read_frames(recorded[0], input_of(recorded[0], images=False).names))
    ] * 2
    assert digest(bags[0]) == digest(bags[1])


def test_a_replay_gives_the_positions_of_the_live_run(
    recorded: tuple[Path, dict], messages: dict, tmp_path: Path
) -> None:
    setup = no_times()
    setup.overrides["lift3d"]["height"] = 1.7
    replay(recorded[0], tmp_path / "bag", setup, images=False, progress=lambda done, total: None)
    again = [m.decode() for m in read(tmp_path / "bag", [f"/{topics.REFINED}"])]
    assert {message.__msgtype__ for message in again} == {PEOPLE3D}
    for (_, live), replayed in zip(messages[topics.REFINED], again, strict=False):
        np.testing.assert_array_equal(live.people[0].xyz, np.asarray(replayed.people[0].xyz))


@pytest.mark.parametrize(("live", "lossless"), [(True, {}), (False, {"lossless": True})])
def test_only_what_comes_from_a_camera_may_be_skipped(live: bool, lossless: dict[str, bool]) -> None:
    setup = Setup(live=live, overrides={"lift3d": {"height": 1.7}})
    graph = SimpleNamespace(setup=setup)
    assert Graph._values(graph, "refine") == lossless  # type: ignore[arg-type]
    assert Graph._values(graph, "lift3d") == {**lossless, "height": 1.7}  # type: ignore[arg-type]
    setup.overrides["lift3d"]["lossless"] = False
    assert Graph._values(graph, "lift3d")["lossless"] is False  # type: ignore[arg-type]


def test_a_run_ends_with_the_last_image_although_others_were_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pose_tools.graph.live.DRAIN_S", 1e9)
    graph = SimpleNamespace(pose2d=SimpleNamespace(last_stamp=7), monitor=SimpleNamespace(last_stamp=2))

    def spin_until(condition: Callable[[], bool]) -> None:
        for stamp in (4, 7):
            assert not condition()
            graph.monitor.last_stamp = stamp
        assert condition()

    graph.spin_until = spin_until
    _drain(graph)  # type: ignore[arg-type]


def test_a_bag_without_the_topics_is_refused(recorded: tuple[Path, dict], tmp_path: Path) -> None:
    replay(recorded[0], tmp_path / "bag", no_times(), images=False, progress=lambda done, total: None)
    with pytest.raises(ValueError, match="no message on /pose2d/people"):
        replay(
            tmp_path / "bag", tmp_path / "more", no_times(), images=False, progress=lambda done, total: None
        )


def test_demo_leaves_everything_and_replaces_only_its_own(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    for _ in range(2):
        summary = demo(out, 4, lambda done, total: None)
    assert json.loads((out / "summary.json").read_text()) == summary
    assert {path.name for path in out.iterdir()} >= {"bag", "overlay.mp4", "overlay.png", "skeleton.png"}
    assert not list(tmp_path.glob(".*.part"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("keep")
    with pytest.raises(ValueError, match="holds other files"):
        demo(tmp_path / "mine", 4, lambda done, total: None)


def test_the_demo_knows_how_its_camera_is_tilted() -> None:
    """Turned by that, the calibration's vertical is the vertical of a level camera."""
    pitch, roll = demo_tilt()
    assert (pitch, roll) == pytest.approx((22.5, -13.4), abs=0.1)
    vertical = read_qualisys(assets.path(CALIBRATION))[0].R_cam_world @ [0.0, 0.0, 1.0]
    np.testing.assert_allclose(world_from_camera(pitch, roll) @ vertical, [0.0, 1.0, 0.0], atol=1e-9)


def pose(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
    code = "from pose_tools.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--source", "nowhere.mp4"], "nowhere.mp4"),
        (["--source", "93"], "camera"),
        (["--source", "SELF"], "test_live.py"),
        (["--source", "VIDEO", "--lifter", "mediapipe_wold"], "did you mean 'mediapipe_world'?"),
        (["--source", "VIDEO", "--refiner", "kalmann"], "did you mean 'kalman'?"),
        (["--source", "VIDEO", "--height", "30"], "height must be from 0.0 to 2.6, got 30.0"),
        (["--source", "VIDEO", "--model", "giant"], "giant"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], sentence: str) -> None:
    places = {"SELF": __file__, "VIDEO": str(assets.path(VIDEO))}
    done = pose("live", *(places.get(word, word) for word in arguments))
    said = [line for line in done.stderr.splitlines() if line.startswith("pose: ")]
    assert done.returncode == (FAILED if "93" in arguments else WRONG_CONFIGURATION)
    assert len(said) == 1
    assert sentence in said[0]
    assert "Traceback" not in done.stderr


def test_a_misspelt_parameter_in_yaml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "live.yaml"
    file.write_text("/**/refine:\n  ros__parameters:\n    refinr: kalman\n")
    done = pose("live", "--source", str(assets.path(VIDEO)), "--params", str(file))
    assert done.returncode == WRONG_CONFIGURATION
    assert "did you mean 'refiner'?" in done.stderr


def test_json_is_all_that_stdout_holds() -> None:
    done = pose("live", "--source", str(assets.path(VIDEO)), "--max-frames", "3", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] >= 3
