"""Bags as `ros2 bag record` leaves them: logged late and out of order, begun mid-stream, of other storages, names and robots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from pose2d_node.sources import VIDEO_ORIGIN_NS
from pose_core import assets
from pose_core.callbacks import no_progress
from pose_ros import topics
from pose_tools.bag.definitions import store
from pose_tools.bag.namespaces import input_of, namespace_of
from pose_tools.bag.reader import BagMessage, read
from pose_tools.graph.demo import VIDEO
from pose_tools.graph.graph import Setup
from pose_tools.graph.live import Run, run
from pose_tools.graph.replay import read_input, replay
from pose_tools.process.job import ProcessJob
from pose_tools.process.run import process

FRAMES = 12
STARTED = VIDEO_ORIGIN_NS + 10 * 10**9
"""When the made recordings say that they were logged: long after capture, as of a video that was played again."""

pytestmark = pytest.mark.skipif(
    not all(assets.is_intact(name) for name in (VIDEO, "pose_landmarker_full.task")),
    reason="NOT RUN ON REAL VIDEO: fetch it with `python -m pose_core.assets`",
)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bag = tmp_path_factory.mktemp("live") / "bag"
    run(
        Run(
            Setup(overrides={"pose2d": {"source": str(assets.path(VIDEO))}}, private=True),
            record=bag,
            record_images=True,
            max_frames=FRAMES,
        )
    )
    return bag


def as_recorded(
    bag: Path,
    folder: Path,
    storage: StoragePlugin = StoragePlugin.MCAP,
    *,
    namespace: str = "",
    rename: dict[str, str] | None = None,
    without: tuple[str, ...] = (),
    late: tuple[str, ...] = (),
    compressed: CompressionMode = CompressionMode.NONE,
) -> Path:
    """The messages of `bag` as another recorder logs them: some ms after each other, those of a frame in any order.

    `late`: topics of which the first three messages were missed.
    """
    random = np.random.default_rng(3)
    writer = Writer(folder, version=9, storage_plugin=storage)
    if compressed is not CompressionMode.NONE:
        writer.set_compression(compressed, CompressionFormat.ZSTD)
    kept: list[tuple[float, str, BagMessage]] = []
    missed = dict.fromkeys(late, 3)
    for message in read(bag):
        relative = message.topic.lstrip("/")
        if relative in without:
            continue
        if missed.get(relative, 0):
            missed[relative] -= 1
            continue
        delay = random.uniform(0.0, 12e6)
        kept.append(
            (message.stamp + delay, namespace + "/" + (rename or {}).get(relative, relative), message)
        )
    with writer:
        connections = {
            topic: writer.add_connection(topic, message.type, typestore=store())
            for topic, message in {topic: message for _, topic, message in kept}.items()
        }
        for when, topic, message in sorted(kept, key=lambda one: one[0]):
            writer.write(connections[topic], STARTED + int(when), message.cdr)
    return folder


def positions(bag: Path, namespace: str = "") -> dict[int, np.ndarray]:
    """Joints of the refined person by capture time."""
    return {
        m.stamp: np.asarray(m.decode().people[0].xyz) for m in read(bag, [f"{namespace}/{topics.REFINED}"])
    }


def replayed(bag: Path, out: Path, **more: object) -> dict[int, np.ndarray]:
    setup = Setup(overrides={"lift3d": {"stage_times": False}, "refine": {"stage_times": False}})
    more.setdefault("images", False)
    replay(bag, out, setup, progress=lambda done, total: None, **more)  # type: ignore[arg-type]
    return positions(out, setup.namespace)


@pytest.fixture(scope="module")
def expected(ours: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, np.ndarray]:
    """What a replay of our own bag gives."""
    return replayed(ours, tmp_path_factory.mktemp("expected") / "bag")


def same(found: dict[int, np.ndarray], expected: dict[int, np.ndarray]) -> bool:
    return found.keys() == expected.keys() and all((found[stamp] == expected[stamp]).all() for stamp in found)


@pytest.mark.parametrize(
    ("storage", "compressed"),
    [
        (StoragePlugin.MCAP, CompressionMode.NONE),
        (StoragePlugin.SQLITE3, CompressionMode.NONE),
        (StoragePlugin.SQLITE3, CompressionMode.FILE),
        (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    ],
)
def test_a_recording_of_ros2_gives_what_ours_gives(
    ours: Path, expected: dict, tmp_path: Path, storage: StoragePlugin, compressed: CompressionMode
) -> None:
    bag = as_recorded(ours, tmp_path / "theirs", storage, compressed=compressed)
    stamps = [message.stamp for message in read(bag, [f"/{topics.PEOPLE2D}"])]
    assert len(stamps) >= FRAMES
    assert max(stamps) < STARTED, "the capture time, not when it was logged"
    assert same(replayed(bag, tmp_path / "out"), expected)


def test_a_robot_s_own_namespace_is_found_and_kept(ours: Path, expected: dict, tmp_path: Path) -> None:
    bag = as_recorded(ours, tmp_path / "left", namespace="/left")
    assert same(replayed(bag, tmp_path / "out"), expected)
    assert {message.topic.split("/")[1] for message in read(tmp_path / "out")} == {"left"}


def test_a_calibration_of_another_name_that_came_late_is_used(
    ours: Path, expected: dict, tmp_path: Path
) -> None:
    bag = as_recorded(
        ours,
        tmp_path / "camera",
        rename={topics.CAMERA_INFO: "camera/camera_info"},
        late=(topics.CAMERA_INFO,),
    )
    assert same(replayed(bag, tmp_path / "out"), expected)


def test_a_bag_without_a_calibration_is_replayed_with_a_usual_angle_of_view(
    ours: Path, expected: dict, tmp_path: Path
) -> None:
    bag = as_recorded(ours, tmp_path / "none", without=(topics.CAMERA_INFO,))
    assert replayed(bag, tmp_path / "out").keys() == expected.keys()


def test_a_recording_that_begins_inside_a_frame_leaves_that_out(ours: Path, tmp_path: Path) -> None:
    bag = as_recorded(ours, tmp_path / "late", late=(topics.PEOPLE2D,))
    _, frames = read_input(bag, input_of(bag, images=False))
    held = [message.stamp for message in read(bag, [f"/{topics.PEOPLE2D}"])]
    assert [frame[-1].stamp for frame in frames] == sorted(held)


def test_images_of_a_recording_are_detected_again(ours: Path, tmp_path: Path) -> None:
    bag = as_recorded(ours, tmp_path / "images", namespace="/left")
    found = replayed(bag, tmp_path / "out", images=True)
    assert len(found) >= FRAMES


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_pose_process_writes_what_it_writes_of_ours(
    ours: Path, tmp_path: Path, storage: StoragePlugin
) -> None:
    """Of a robot's own topics, with a calibration of another name."""
    bag = as_recorded(
        ours, tmp_path / ours.name, storage, namespace="/left", rename={topics.CAMERA_INFO: "eye/camera_info"}
    )
    made = {}
    for name, source in (("ours", ours), ("theirs", bag)):
        out = tmp_path / name
        job = ProcessJob.asked(source, out, overlay=False, min_seconds=0.0)
        process(job, no_progress)
        files = [*out.glob("*.trc"), *out.glob("joint_angles/*.csv")]
        made[name] = {file.relative_to(out): file.read_bytes() for file in files}
    assert len(made["ours"]) > 10
    assert made["theirs"] == made["ours"]


def test_several_robots_have_to_be_told_apart(tmp_path: Path) -> None:
    held = ["/left/pose2d/people", "/right/pose2d/people", "/tf"]
    with pytest.raises(ValueError, match="holds topics of '/left' and '/right'; choose with --namespace"):
        namespace_of(tmp_path, held, [topics.PEOPLE2D], None)
    assert namespace_of(tmp_path, held, [topics.PEOPLE2D], "right/") == "/right"
    assert namespace_of(tmp_path, ["/pose2d/people"], [topics.PEOPLE2D], None) == ""
    with pytest.raises(
        ValueError, match="no message on /pose2d/people in the namespace 'middle'; it holds /left/"
    ):
        namespace_of(tmp_path, held, [topics.PEOPLE2D], "middle")
