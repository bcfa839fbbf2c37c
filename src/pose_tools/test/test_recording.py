"""Recordings that get their name when they are complete, and what a recorder takes from whom."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from builtin_interfaces.msg import Time
from pose_msgs.msg import People2D, Skeleton
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import Header

from pose_core.units import NS_PER_S
from pose_ros import qos
from pose_ros.messages import names
from pose_ros.messages.delivery import LATCHED
from pose_ros.testing import executing, spin_until
from pose_tools.bag.reader import read
from pose_tools.bag.recovery import recover
from pose_tools.bag.topics import Topic
from pose_tools.bag.writer import BagWriter, Recording, RecordingStopped, expect_recordable
from pose_tools.graph.recorder import Lacking, Recorder
from pose_tools.result_folder import part_of

PEOPLE, SKELETON = "/pose2d/people", "/pose2d/skeleton"
TOPICS = (Topic(PEOPLE, names.PEOPLE2D), Topic(SKELETON, names.SKELETON, LATCHED))


def header(stamp: int) -> Header:
    return Header(stamp=Time(sec=stamp // NS_PER_S, nanosec=stamp % NS_PER_S))


def fill(writer: BagWriter, count: int, first: int = 0) -> None:
    for topic in TOPICS:
        writer.add(topic)
    for i in range(first, first + count):
        writer.write(PEOPLE, serialize_message(People2D(header=header(NS_PER_S * (i + 1)))))


def failing(recording: Recording, count: int) -> None:
    """Record so many messages, then fail."""
    with recording as writer:
        fill(writer, count)
        _ = 1 / 0


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- the name ---


def test_a_bag_has_its_name_when_it_is_complete(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "bag")
    with recording as writer:
        fill(writer, 5)
        assert names_in(tmp_path) == [".bag.part"]
    assert names_in(tmp_path) == ["bag"]
    assert names_in(tmp_path / "bag") == ["bag_0.mcap", "metadata.yaml"]
    assert len(list(read(tmp_path / "bag"))) == 5
    recording.finish()
    assert names_in(tmp_path) == ["bag"]


def test_it_is_to_the_byte_what_a_writer_leaves(tmp_path: Path) -> None:
    with Recording(tmp_path / "one" / "bag") as recorded:
        fill(recorded, 5)
    with BagWriter(tmp_path / "two" / "bag") as written:
        fill(written, 5)
    for name in ("bag_0.mcap", "metadata.yaml"):
        assert (tmp_path / "one" / "bag" / name).read_bytes() == (
            tmp_path / "two" / "bag" / name
        ).read_bytes()


def test_an_empty_folder_may_take_its_name(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    with Recording(tmp_path / "bag") as writer:
        fill(writer, 1)
    assert names_in(tmp_path) == ["bag"]
    assert len(list(read(tmp_path / "bag"))) == 1


@pytest.mark.parametrize("describes", [False, True])
def test_where_nothing_came_there_is_no_bag_that_blocks_the_next_run(tmp_path: Path, describes: bool) -> None:
    """A refused run left a bag, empty or with the skeletons that stages say first."""
    for _ in range(2):
        with Recording(tmp_path / "bag") as writer:
            fill(writer, 0)
            if describes:
                writer.write(SKELETON, serialize_message(Skeleton(name="mediapipe33")))
        assert names_in(tmp_path) == []
    with pytest.raises(ZeroDivisionError):
        failing(Recording(tmp_path / "bag"), 0)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(("keep", "left"), [(True, [".bag.part"]), (False, [])])
def test_an_error_leaves_what_came_or_nothing(tmp_path: Path, keep: bool, left: list[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        failing(Recording(tmp_path / "bag", keep=keep), 5)
    assert names_in(tmp_path) == left
    if keep:
        assert len(list(read(tmp_path / ".bag.part"))) == 5
        assert names_in(tmp_path / ".bag.part") == ["bag_0.mcap", "metadata.yaml"]


def test_a_name_that_is_taken_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "thesis.tex").write_text("keep")
    for attempt in (Recording, expect_recordable):
        with pytest.raises(FileExistsError, match="bag exists and is not an empty folder; choose another"):
            attempt(tmp_path / "bag")
    assert names_in(tmp_path) == ["bag"]


def test_two_do_not_record_the_same_bag(tmp_path: Path) -> None:
    with Recording(tmp_path / "bag") as writer:
        fill(writer, 1)
        with pytest.raises(FileExistsError, match="bag is being recorded by another process"):
            Recording(tmp_path / "bag")
    assert len(list(read(tmp_path / "bag"))) == 1


WRITER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from test_recording import *
with Recording(sys.argv[1]) as writer:
    fill(writer, 20)
    writer.flush()
    print("flushed", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """Name of a bag whose writer was killed after 20 messages."""
    folder = tmp_path / "bag"
    command = [sys.executable, "-c", WRITER, str(folder), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"flushed\n"
        process.send_signal(signal.SIGKILL)
    return folder


def test_what_a_killed_process_left_is_found_named_and_recovered(killed: Path) -> None:
    part = part_of(killed)
    assert names_in(killed.parent) == [part.name]
    remedy = f"pose bag-recover {part} {killed}"
    with pytest.raises(FileNotFoundError, match=remedy):
        read(killed)
    for attempt in (Recording, expect_recordable):
        with pytest.raises(FileExistsError, match=f"was cut short.*{remedy}"):
            attempt(killed)
    before = (part / "bag_0.mcap").read_bytes()
    assert recover(part, killed) == 20
    assert names_in(killed.parent) == [part.name, "bag"]
    assert len(list(read(killed))) == 20
    assert (part / "bag_0.mcap").read_bytes() == before


def test_a_rest_without_messages_is_cleared_away(tmp_path: Path) -> None:
    part = part_of(tmp_path / "bag")
    BagWriter(part, TOPICS, name="bag").close()
    expect_recordable(tmp_path / "bag")
    with Recording(tmp_path / "bag") as writer:
        fill(writer, 3)
    assert names_in(tmp_path) == ["bag"]
    assert len(list(read(tmp_path / "bag"))) == 3


def test_a_recovery_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bag.mcap").write_bytes(b"\x89MCAP0\r\n")
    with pytest.raises(ValueError, match="cut short before its first topic"):
        recover(tmp_path / "bag.mcap", tmp_path / "saved")
    assert names_in(tmp_path) == ["bag.mcap"]


def test_a_full_disk_leaves_what_came_beside_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Recording(tmp_path / "bag") as writer:
        fill(writer, 30)
        writer.flush()
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(
            RecordingStopped, match=r"the disk is full; .*\.bag\.part is readable and holds 30"
        ):
            fill(writer, 30, first=30)
        monkeypatch.undo()
    assert names_in(tmp_path) == [".bag.part"]
    assert len(list(read(tmp_path / ".bag.part"))) == 30
    assert "the disk is full" in writer.failure


def test_a_disk_that_is_full_at_the_very_end_is_no_complete_bag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    recording = Recording(tmp_path / "bag")
    with recording as writer:
        fill(writer, 3)
        writer.flush()
        writer.write(PEOPLE, serialize_message(People2D(header=header(3 * NS_PER_S + 1))))
        monkeypatch.setattr(os, "pwrite", full)
    monkeypatch.undo()
    assert names_in(tmp_path) == [".bag.part"]
    assert "the disk is full" in writer.failure
    assert len(list(read(tmp_path / ".bag.part"))) >= 3


# --- what lacks ---


def test_what_a_topic_lacks_is_counted_by_stamps_in_any_order() -> None:
    lacking = Lacking("people")
    for stamp in range(10):
        if stamp % 2:
            lacking.saw("image", stamp)
        lacking.saw("people", stamp)
        lacking.saw("lift3d", stamp)
    lacking.saw("image", 0)
    lacking.saw("image", 77)  # of no people: not looked at
    assert lacking.counts(["image"]) == (10, {"image": 4})


def test_a_topic_that_never_came_lacks_all_if_it_was_expected() -> None:
    lacking = Lacking("people")
    for stamp in range(3):
        lacking.saw("people", stamp)
    assert lacking.counts() == (3, {})
    assert lacking.counts(["image"]) == (3, {"image": 3})


def test_days_of_counting_take_no_more_memory_than_minutes() -> None:
    lacking = Lacking("people")
    for stamp in range(5 * Lacking.KEPT):
        lacking.saw("people", stamp)
        if stamp % 10:
            lacking.saw("image", stamp)
    assert len(lacking._seen) <= Lacking.KEPT
    assert lacking.counts(["image"]) == (5 * Lacking.KEPT, {"image": Lacking.KEPT // 2})


# --- who is recorded ---

CAMERA = ("/camera/image/compressed", "/camera/camera_info")
SENSOR = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.mark.parametrize("offered", [SENSOR, qos.OWN_IMAGES], ids=["best effort", "reliable"])
def test_images_and_calibration_are_recorded_as_their_driver_offers_them(
    ros_context: None, tmp_path: Path, offered: QoSProfile
) -> None:
    """Under the names that they have, which remappings say."""
    import rclpy

    camera = rclpy.create_node("driver", namespace="/camera")
    image = camera.create_publisher(CompressedImage, "image/compressed", offered)
    info = camera.create_publisher(CameraInfo, "camera_info", offered)
    remapped = {"image_raw/compressed": "/camera/image/compressed", "camera_info": "/camera/camera_info"}
    words = [word for ours, theirs in remapped.items() for word in ("-r", f"{ours}:={theirs}")]
    with Recording(tmp_path / "bag") as writer:
        recorder = Recorder(writer, images=True, cli_args=["--ros-args", *words])
        with executing(camera, recorder) as executor:
            assert spin_until(executor, lambda: _hear(image, info))
            for stamp in range(1, 4):
                info.publish(CameraInfo(header=header(stamp * NS_PER_S)))
                image.publish(CompressedImage(header=header(stamp * NS_PER_S), format="jpeg", data=b"\0" * 9))
                assert spin_until(executor, partial(_have, recorder, CAMERA, stamp))
    assert {message.topic for message in read(tmp_path / "bag")} == set(CAMERA)
    assert len(list(read(tmp_path / "bag"))) == 6


def _hear(*publishers: object) -> bool:
    return all(publisher.get_subscription_count() for publisher in publishers)  # type: ignore[attr-defined]


def _have(recorder: Recorder, topics: tuple[str, ...], stamp: int) -> bool:
    return all(stamp * NS_PER_S in recorder._seen[topic] for topic in topics)


def test_every_image_of_a_burst_that_is_offered_reliably_is_recorded(
    ros_context: None, tmp_path: Path
) -> None:
    """They came best effort from a queue of one: 10 of 100."""
    import rclpy

    source: Node = rclpy.create_node("source")
    image = source.create_publisher(CompressedImage, "image_raw/compressed", qos.OWN_IMAGES)
    people = source.create_publisher(People2D, "pose2d/people", qos.RESULTS)
    with Recording(tmp_path / "bag") as writer:
        recorder = Recorder(writer, images=True)
        with executing(source, recorder) as executor:
            assert spin_until(executor, lambda: _hear(image, people))
            for burst in range(5):
                for stamp in range(10 * burst + 1, 10 * burst + 11):
                    people.publish(People2D(header=header(stamp * NS_PER_S)))
                    image.publish(
                        CompressedImage(header=header(stamp * NS_PER_S), format="jpeg", data=bytes(200_000))
                    )
                last = partial(_have, recorder, (PEOPLE, "/image_raw/compressed"), 10 * burst + 10)
                assert spin_until(executor, last)
            assert recorder.lacking() == (50, {})


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_the_recorder_listens_to_people_last(
    ros_context: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """Whoever sees that may begin: everything else is heard by then."""
    order: list[str] = []
    really = Node.create_subscription

    def note(self: Node, kind: type, topic: str, *more: object, **named: object) -> object:
        order.append(topic)
        return really(self, kind, topic, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Node, "create_subscription", note)
    with Recording(tmp_path / "bag") as writer:
        Recorder(writer, images=True, transport=transport).destroy_node()
    topics = [topic for topic in order if topic != "/parameter_events"]
    assert topics[-1] == PEOPLE
    assert ({"/image_raw", "/image_raw/compressed"} & set(topics)) == {
        "/image_raw" if transport == "raw" else "/image_raw/compressed"
    }
