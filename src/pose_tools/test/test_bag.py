"""Bags: what goes in comes out, at whatever moment the writer died."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
import yaml
import zstandard
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.data_stream import ReadDataStream
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, Message
from mcap.stream_reader import StreamReader, breakup_chunk
from mcap_ros2.decoder import DecoderFactory
from pose_msgs.msg import People2D, People3D, Person2D, Person3D, Skeleton
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.experimental import EventsExecutor
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from std_msgs.msg import Header, String
from visualization_msgs.msg import Marker, MarkerArray

from pose_core.units import NS_PER_S
from pose_ros import qos
from pose_ros.messages import names
from pose_ros.messages.delivery import LATCHED
from pose_ros.testing import executing, spin_until
from pose_tools.bag import reader
from pose_tools.bag.cdr import layout
from pose_tools.bag.definitions import definition, type_hash
from pose_tools.bag.mcap_file import McapFile, is_whole, unpacked
from pose_tools.bag.reader import read
from pose_tools.bag.recovery import recover
from pose_tools.bag.topics import Topic, result_topics
from pose_tools.bag.writer import BagWriter, RecordingStopped
from pose_tools.graph.recorder import Recorder, message_class

SKELETON, PEOPLE, REFINED, MARKERS = "/pose2d/skeleton", "/pose2d/people", "/refine/people", "/viz/markers"
TOPICS = (
    Topic(PEOPLE, names.PEOPLE2D),
    Topic(REFINED, names.PEOPLE3D),
    Topic(MARKERS, names.MARKERS),
    Topic(SKELETON, names.SKELETON, LATCHED),
)
BODY = Skeleton(name="two", joints=["left_hip", "right_hip"], root="left_hip")


def header(stamp: int) -> Header:
    return Header(stamp=Time(sec=stamp // NS_PER_S, nanosec=stamp % NS_PER_S), frame_id="camera")


def people2d(stamp: int, people: int = 1) -> People2D:
    person = Person2D(
        id="p1", confidence=0.5, xy_px=[1.5, float(stamp % 977)] * 33, joint_confidence=[0.25] * 33
    )
    return People2D(
        header=header(stamp), skeleton="mediapipe33", width=640, height=480, people=[person] * people
    )


def people3d(stamp: int) -> People3D:
    person = Person3D(id="p1", xyz=[0.5, float(stamp % 977), 2.0] * 33, state=[2] * 33, height=1.75)
    return People3D(header=header(stamp), skeleton="mediapipe33", people=[person])


def markers(stamp: int) -> MarkerArray:
    return MarkerArray(markers=[Marker(header=header(stamp), ns="joints", points=[Point(x=1.0)] * 33)])


def frames(count: int, step: int = NS_PER_S // 60) -> list[tuple[str, bytes]]:
    """Messages of `count` images in the order of a running graph."""
    made = []
    for i in range(count):
        stamp = NS_PER_S + i * step
        made += [(PEOPLE, people2d(stamp)), (REFINED, people3d(stamp)), (MARKERS, markers(stamp))]
    return [(topic, serialize_message(message)) for topic, message in made]


def fill(writer: BagWriter, messages: list[tuple[str, bytes]]) -> None:
    for topic, cdr in messages:
        writer.write(topic, cdr)


def write(folder: Path, messages: list[tuple[str, bytes]], skeleton_after: int = 0) -> Path:
    with BagWriter(folder, TOPICS) as writer:
        for i, (topic, cdr) in enumerate(messages):
            if i == skeleton_after:
                writer.write(SKELETON, serialize_message(BODY))
            writer.write(topic, cdr)
    return folder


def cleaned(topic: str, cdr: bytes) -> bytes:
    """What the bag holds of a message."""
    kind = next(t.type for t in TOPICS if t.name == topic)
    return layout(kind).clean(cdr)


def silent(sentence: str) -> None:
    """Take a warning that a test is not about."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of 3 s: several chunks."""
    return write(tmp_path_factory.mktemp("bags") / "take", frames(180))


# --- what goes in comes out ---


def test_messages_come_back_equal_and_in_order(recorded: Path) -> None:
    expected = frames(180)
    got = list(read(recorded))
    assert got[0].topic == SKELETON
    assert deserialize_message(got[0].cdr, Skeleton) == BODY
    assert got[0].decode().joints == BODY.joints
    assert got[0].stamp == NS_PER_S
    assert [message.topic for message in got[1:]] == [topic for topic, _ in expected]
    for message, (_, cdr) in zip(got[1:], expected, strict=True):
        kind = message_class(message.type)
        assert deserialize_message(message.cdr, kind) == deserialize_message(cdr, kind)
    stamps = [message.stamp for message in got]
    assert stamps == sorted(stamps)
    assert stamps[-1] == NS_PER_S + 179 * (NS_PER_S // 60)


def test_rosbags_reads_it_without_our_packages(recorded: Path) -> None:
    with Reader(recorded) as reader:
        assert reader.message_count == 541
        assert reader.start_time == NS_PER_S
        assert reader.duration == 179 * (NS_PER_S // 60) + 1
        store = get_typestore(Stores.EMPTY)
        for connection in reader.connections:
            store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        latched = {
            c.topic
            for c in reader.connections
            if c.ext.offered_qos_profiles[0].durability == QosDurability.TRANSIENT_LOCAL
        }
        assert latched == {SKELETON}
        for connection, stamp, data in reader.messages():
            message = store.deserialize_cdr(data, connection.msgtype)
            if connection.topic == REFINED:
                assert message.header.stamp.sec * NS_PER_S + message.header.stamp.nanosec == stamp
                assert message.people[0].xyz[1] == stamp % 977
                assert message.people[0].height == 1.75


def test_mcap_reads_it_by_its_embedded_definitions(recorded: Path) -> None:
    with (recorded / "take_0.mcap").open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
        decoded = [(channel.topic, content) for _, channel, _, content in reader.iter_decoded_messages()]
    assert summary is not None
    assert summary.statistics is not None
    assert summary.statistics.message_count == len(decoded) == 541
    assert len(summary.chunk_indexes) == summary.statistics.chunk_count >= 3
    assert decoded[0][0] == SKELETON
    assert decoded[0][1].joints == ["left_hip", "right_hip"]
    assert {s.name for s in summary.schemas.values()} == {topic.type for topic in TOPICS}


def test_metadata_has_what_rosbag2_asks_for(recorded: Path) -> None:
    information = yaml.safe_load((recorded / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["version"] == 9
    assert information["storage_identifier"] == "mcap"
    assert information["relative_file_paths"] == ["take_0.mcap"] == [f["path"] for f in information["files"]]
    topics = {t["topic_metadata"]["name"]: t for t in information["topics_with_message_count"]}
    assert {name: topic["message_count"] for name, topic in topics.items()} == {
        **dict.fromkeys((PEOPLE, REFINED, MARKERS), 180),
        SKELETON: 1,
    }
    about = topics[SKELETON]["topic_metadata"]
    assert about["type"] == "pose_msgs/msg/Skeleton"
    assert about["serialization_format"] == "cdr"
    assert about["type_description_hash"] == type_hash("pose_msgs/msg/Skeleton")
    assert about["type_description_hash"].startswith("RIHS01_")
    (offered,) = about["offered_qos_profiles"]
    assert offered["durability"] == "transient_local"
    assert offered["history"] == "keep_last"
    assert offered["depth"] == 1
    assert topics[PEOPLE]["topic_metadata"]["offered_qos_profiles"][0]["durability"] == "volatile"


def test_a_topic_can_be_chosen_and_a_bare_file_read(recorded: Path) -> None:
    got = list(read(recorded / "take_0.mcap", [REFINED]))
    assert len(got) == 180
    assert {message.topic for message in got} == {REFINED}
    assert list(read(recorded, [])) == []


@pytest.mark.parametrize("late", [3, 100])
def test_a_late_skeleton_still_stands_first_in_the_first_second(tmp_path: Path, late: int) -> None:
    got = list(read(write(tmp_path / "late", frames(120), skeleton_after=late)))
    assert got[0].topic == SKELETON
    assert got[0].stamp == NS_PER_S
    assert len(got) == 361


def test_a_skeleton_after_the_first_chunk_has_the_first_stamp(tmp_path: Path) -> None:
    got = list(read(write(tmp_path / "late", frames(180), skeleton_after=450)))
    (skeleton,) = (message for message in got if message.topic == SKELETON)
    assert skeleton.stamp == NS_PER_S


def test_skeletons_stand_in_the_order_of_topics_whichever_came_first(tmp_path: Path) -> None:
    other = "/lift3d/skeleton"
    topics = (*TOPICS, Topic(other, names.SKELETON, LATCHED))
    for order in ([SKELETON, other], [other, SKELETON]):
        with BagWriter(tmp_path / order[0][1:7] / "bag", topics) as writer:
            fill(writer, [(name, serialize_message(BODY)) for name in order])
            fill(writer, frames(3))
    files = [path.read_bytes() for path in sorted(tmp_path.glob("*/bag/bag_0.mcap"))]
    assert files[0] == files[1]
    assert [m.topic for m in read(tmp_path / "pose2d" / "bag")][:2] == [SKELETON, other]


def test_a_repeated_skeleton_is_written_once_a_new_one_too(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", TOPICS) as writer:
        for name in ("one", "one", "two", "two"):
            writer.write(SKELETON, serialize_message(Skeleton(name=name)))
            writer.write(PEOPLE, serialize_message(people2d(NS_PER_S)))
    got = [message.decode().name for message in read(tmp_path / "bag", [SKELETON])]
    assert got == ["one", "two"]


def test_markers_have_their_own_stamp_and_an_empty_array_the_latest(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", TOPICS) as writer:
        writer.write(MARKERS, serialize_message(MarkerArray()))
        writer.write(PEOPLE, serialize_message(people2d(5 * NS_PER_S)))
        writer.write(MARKERS, serialize_message(MarkerArray()))
        writer.write(MARKERS, serialize_message(markers(6 * NS_PER_S)))
        writer.write(MARKERS, serialize_message(MarkerArray()))
    assert [m.stamp // NS_PER_S for m in read(tmp_path / "bag", [MARKERS])] == [5, 5, 6, 6]


# --- the same bytes ---


def test_the_same_messages_give_the_same_bytes(tmp_path: Path) -> None:
    """Serialized twice with other allocations in between, so that the padding differs; flushed at other moments."""
    first = write(tmp_path / "a" / "take", frames(150))
    garbage = [serialize_message(String(data=os.urandom(n).hex())) for n in range(100, 2000, 13)]
    del garbage
    with BagWriter(tmp_path / "b" / "take", TOPICS) as writer:
        writer.write(SKELETON, serialize_message(BODY))
        for i, (topic, cdr) in enumerate(frames(150)):
            writer.write(topic, bytes(cdr) + b"\xa5" * (i % 4))
            if i % 7 == 0:
                writer.flush()
    for name in ("metadata.yaml", "take_0.mcap"):
        assert (first / name).read_bytes() == (tmp_path / "b" / "take" / name).read_bytes()


# --- dying ---

WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from test_bag import *
messages = frames(150)
writer = BagWriter(sys.argv[1], TOPICS)
writer.write(SKELETON, serialize_message(BODY))
print("ready", flush=True)
for i in range(10**6):
    topic, cdr = messages[i % len(messages)]
    writer.write(topic, cdr)
    if i % 10 == 0:
        writer.flush()
"""


@pytest.mark.parametrize("wait_bytes", [1, 500_000])
def test_a_killed_writer_leaves_a_readable_bag(tmp_path: Path, wait_bytes: int) -> None:
    """Killed while it writes as fast as it can: far more often inside the one vulnerable call than any recording is."""
    folder, messages = tmp_path / "killed", frames(150)
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(Path(__file__).parent)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout as out:
        assert out.readline() == b"ready\n"
        file = folder / "killed_0.mcap"
        while file.stat().st_size < wait_bytes:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    got = list(read(folder, warn=silent))
    if is_whole(file):
        with Reader(folder) as reader:
            assert [(c.topic, stamp, data) for c, stamp, data in reader.messages()] == [
                m[:2] + m[3:] for m in got
            ]
    ours = [(message.topic, message.cdr) for message in got if message.topic != SKELETON]
    written = [messages[i % len(messages)] for i in range(len(ours))]
    order = sorted(
        range(len(ours)), key=lambda i: i % len(messages) // 3
    )  # equal stamps stay in the order of writing
    assert ours == [(written[i][0], cleaned(*written[i])) for i in order]
    assert len(ours) * 3500 > wait_bytes - 400_000, "what was flushed before is there"


def test_an_unclosed_bag_is_readable_after_each_flush(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "open", TOPICS)
    with Reader(tmp_path / "open") as reader:
        assert list(reader.messages()) == []
    writer.write(SKELETON, serialize_message(BODY))
    for count, (topic, cdr) in enumerate(frames(100), start=2):
        writer.write(topic, cdr)
        if count % 23 == 0:
            writer.flush()
            with Reader(tmp_path / "open") as reader:
                assert reader.message_count == len(list(reader.messages())) == count
    writer.close()


class WholeFile:
    """A bag file, its messages, and the end of each chunk with the number of messages up to there."""

    def __init__(self, file: Path) -> None:
        self.data = file.read_bytes()
        self.messages = list(read(file))
        self.chunks: list[tuple[int, int]] = []
        with file.open("rb") as stream:
            summary = make_reader(stream).get_summary()
            assert summary is not None
            count = 0
            for index in summary.chunk_indexes:
                stream.seek(index.chunk_start_offset + 9)
                count += sum(
                    isinstance(r, Message) for r in breakup_chunk(Chunk.read(ReadDataStream(stream)))
                )
                self.chunks.append((index.chunk_start_offset + index.chunk_length, count))
            stream.seek(0)
            records = StreamReader(stream).records
            next(record for record in records if isinstance(record, Channel))
            self.first_topic_end = stream.tell()

    def __repr__(self) -> str:
        return "WholeFile()"


@pytest.fixture(scope="module")
def whole(recorded: Path) -> WholeFile:
    return WholeFile(recorded / "take_0.mcap")


@settings(max_examples=40, deadline=None)
@given(fraction=st.floats(0, 1), garbage=st.binary(max_size=80))
def test_a_bag_cut_anywhere_is_read_up_to_its_last_whole_chunk(
    whole: WholeFile, tmp_path_factory: pytest.TempPathFactory, fraction: float, garbage: bytes
) -> None:
    cut = int(fraction * (len(whole.data) - 1))
    file = tmp_path_factory.mktemp("cut") / "take_0.mcap"
    file.write_bytes(whole.data[:cut] + garbage)
    warnings: list[str] = []
    if cut < whole.first_topic_end:
        with pytest.raises(
            ValueError, match="was cut short before its first topic; nothing can be recovered"
        ):
            read(file)
        return
    got = list(read(file, warn=warnings.append))
    assert got == whole.messages[: max((count for end, count in whole.chunks if end <= cut), default=0)]
    assert len(warnings) == 1
    assert "was cut short" in warnings[0]
    assert str(len(got)) in warnings[0]


def test_a_recovered_bag_is_what_closing_there_would_have_left(tmp_path: Path) -> None:
    messages = frames(200)
    full = write(tmp_path / "full" / "take", messages)
    data = (full / "take_0.mcap").read_bytes()
    (full / "take_0.mcap").write_bytes(data[: len(data) // 2])
    (full / "metadata.yaml").unlink()
    count = recover(full, tmp_path / "recovered" / "take")
    assert 0 < count < 601
    write(tmp_path / "short" / "take", messages[: count - 1])
    for name in ("take_0.mcap", "metadata.yaml"):
        assert (tmp_path / "recovered/take" / name).read_bytes() == (
            tmp_path / "short/take" / name
        ).read_bytes()
    assert len(data[: len(data) // 2]) == (full / "take_0.mcap").stat().st_size, (
        "the damaged bag stays as it is"
    )


@settings(max_examples=30, deadline=None)
@given(written=st.integers(0, 1_000_000))
def test_a_death_inside_the_write_call_is_mended(
    tmp_path_factory: pytest.TempPathFactory, written: int
) -> None:
    """The system wrote only the first bytes of a store over the former end of the file."""
    folder = tmp_path_factory.mktemp("torn") / "take"
    messages = frames(40)
    writer = BagWriter(folder, TOPICS)
    fill(writer, messages[:60])
    writer.flush()
    before = (folder / "take_0.mcap").read_bytes()
    fill(writer, messages[60:])
    writer.flush()
    after = (folder / "take_0.mcap").read_bytes()
    written %= len(after)
    (folder / "take_0.mcap").write_bytes(after[:written] + before[written:])
    writer.close = lambda: None  # type: ignore[method-assign]
    got = [message.cdr for message in read(folder, warn=silent)] if written > 4000 else []
    expected = [cleaned(topic, cdr) for topic, cdr in messages]
    assert got in ([], expected[:60], expected)


def test_damage_in_the_middle_is_one_sentence(recorded: Path, tmp_path: Path) -> None:
    data = bytearray((recorded / "take_0.mcap").read_bytes())
    data[len(data) // 2] ^= 0xFF  # not in the last chunk: that would be a torn end
    (tmp_path / "take_0.mcap").write_bytes(data)
    with pytest.raises(ValueError, match=r"take_0.mcap is damaged: .*checksum.*pose bag-recover"):
        list(read(tmp_path / "take_0.mcap"))
    assert 0 < recover(tmp_path / "take_0.mcap", tmp_path / "saved") < 541


def test_a_bag_of_another_recorder_is_recovered_too(tmp_path: Path) -> None:
    store = get_typestore(Stores.LATEST)
    with Writer(tmp_path / "other", version=9, storage_plugin=bag_storage()) as writer:
        connection = writer.add_connection("/chat", "std_msgs/msg/String", typestore=store)
        for stamp in range(5):
            message = store.types["std_msgs/msg/String"](data=f"word {stamp}")
            writer.write(connection, stamp, store.serialize_cdr(message, "std_msgs/msg/String"))
    file = next((tmp_path / "other").glob("*.mcap"))
    os.truncate(file, file.stat().st_size - 10)
    warnings: list[str] = []
    got = list(read(tmp_path / "other", warn=warnings.append))
    assert [(m.stamp, m.decode().data) for m in got] == [(stamp, f"word {stamp}") for stamp in range(5)]
    assert len(warnings) == 1


def bag_storage() -> object:
    from rosbags.rosbag2 import StoragePlugin

    return StoragePlugin.MCAP


# --- a full disk ---


def test_a_full_disk_is_one_sentence_and_leaves_a_readable_bag(tmp_path: Path) -> None:
    """The kernel's limit on file sizes stands in for a full disk: a write that is cut in the middle."""
    code = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_bag import *
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
writer = BagWriter(sys.argv[1], TOPICS)
try:
    for topic, cdr in frames(600):
        writer.write(topic, cdr)
except RecordingStopped as error:
    print(error)
    try:
        writer.write(PEOPLE, frames(1)[0][1])
    except RecordingStopped as again:
        assert str(again) == str(error)
    writer.close()
"""
    command = [sys.executable, "-c", code, str(tmp_path / "full")]
    sentence = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    with Reader(tmp_path / "full") as reader:
        got = len(list(reader.messages()))
    assert 100 < got < 1800
    assert sentence.startswith("recording stopped: the largest allowed size of a file is reached; ")
    assert f"is readable and holds {got} messages up to " in sentence
    assert "\n" not in sentence


def test_no_space_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = BagWriter(tmp_path / "bag", TOPICS)
    fill(writer, frames(30))
    writer.flush()
    held = (tmp_path / "bag" / "bag_0.mcap").read_bytes()
    really = os.pwrite

    def half(file: int, data: bytes, at: int) -> int:
        if at + len(data) > len(held):
            if len(data) < 2000:
                raise OSError(28, "No space left on device")
            return really(file, data[: len(data) // 2], at)
        return really(file, data, at)

    monkeypatch.setattr(os, "pwrite", half)
    sentence = "the disk is full; .* holds 90 messages up to 1.483 s; free space"
    with pytest.raises(RecordingStopped, match=sentence):
        fill(writer, frames(600)[90:])
    writer.close()
    assert (tmp_path / "bag" / "bag_0.mcap").read_bytes() == held
    assert len(list(read(tmp_path / "bag"))) == 90


def test_no_space_for_the_metadata_leaves_file_and_metadata_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = BagWriter(tmp_path / "bag", TOPICS)
    fill(writer, frames(30))
    writer.flush()
    before = {path.name: path.read_bytes() for path in (tmp_path / "bag").iterdir()}

    def no_room(path: Path, text: str, **options: object) -> int:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", no_room)
    with pytest.raises(RecordingStopped, match="holds 90 messages"):
        fill(writer, frames(200)[90:])
    writer.close()
    assert {path.name: path.read_bytes() for path in (tmp_path / "bag").iterdir()} == before


def test_a_bag_whose_metadata_is_empty_or_gone_is_read(recorded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "take"
    shutil.copytree(recorded, folder)
    (folder / "metadata.yaml").write_bytes(b"")
    assert len(list(read(folder, warn=silent))) == 541
    (folder / "metadata.yaml").unlink()
    assert len(list(read(folder, warn=silent))) == 541


# --- what is refused ---


def test_an_existing_bag_is_never_overwritten(recorded: Path, tmp_path: Path) -> None:
    before = (recorded / "take_0.mcap").read_bytes()
    with pytest.raises(FileExistsError, match="take exists and is not an empty folder; choose another"):
        BagWriter(recorded)
    with pytest.raises(FileExistsError):
        recover(recorded, recorded)
    assert (recorded / "take_0.mcap").read_bytes() == before
    with pytest.raises(FileExistsError, match="is not an empty folder"):
        BagWriter(recorded / "metadata.yaml")
    (tmp_path / "empty").mkdir()
    BagWriter(tmp_path / "empty").close()


@pytest.mark.parametrize(
    "name", ["people", "/../../etc/passwd", "/a b", "/people/", "/1st", "", "/a\n- b: c"]
)
def test_a_name_that_is_no_full_topic_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="must be a full ROS name such as"):
        BagWriter(tmp_path / "bag", [Topic(name, names.PEOPLE2D)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag"]


def test_wrong_calls_are_one_sentence(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", TOPICS) as writer:
        with pytest.raises(
            ValueError, match="/nobody was not stated as a topic of the bag; it has /pose2d/people"
        ):
            writer.write("/nobody", b"")
        with pytest.raises(
            ValueError, match="/pose2d/people is already recorded as pose_msgs/msg/People2D, not as"
        ):
            writer.add(Topic(PEOPLE, names.PEOPLE3D))
        with pytest.raises(ValueError, match="7 bytes are not a People2D"):
            writer.write(PEOPLE, b"\0\1\0\0abc", stamp=1)
        with pytest.raises(ValueError, match="a stamp must be from 0"):
            writer.write(PEOPLE, serialize_message(people2d(1)), stamp=-1)
    assert writer.messages == 0
    with pytest.raises(ValueError, match="bag is closed"):
        writer.write(PEOPLE, serialize_message(people2d(1)))


def test_what_is_no_bag_is_said(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no bag")
    with pytest.raises(FileNotFoundError, match="there is no bag at"):
        read(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds no bag"):
        read(tmp_path)
    with pytest.raises(ValueError, match=r"notes.txt is no bag; name a bag's folder"):
        read(tmp_path / "notes.txt")
    with pytest.raises(
        ValueError, match=r"has no topic /lift3d/people; it has /pose2d/people, /pose2d/skeleton"
    ):
        read(recorded, ["/lift3d/people"])


def test_another_definition_of_the_same_type_names_both(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        reader, "type_hash", lambda name: "RIHS01_other" if name.endswith("People3D") else type_hash(name)
    )
    recorded_hash = type_hash("pose_msgs/msg/People3D")
    for path in (recorded, recorded / "take_0.mcap"):
        with pytest.raises(
            ValueError, match=f"/refine/people holds .* hash {recorded_hash}, but here it has RIHS01_other"
        ):
            read(path)
        assert len(list(read(path, [PEOPLE]))) == 180


def test_a_path_outside_the_folder_is_not_followed(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    text = (recorded / "metadata.yaml").read_text().replace("take_0.mcap", str(recorded / "take_0.mcap"))
    (tmp_path / "bag" / "metadata.yaml").write_text(text)
    with pytest.raises(ValueError, match="cannot be read: Some database files are missing"):
        read(tmp_path / "bag")


def test_sqlite3_bags_are_read(tmp_path: Path) -> None:
    from rosbags.rosbag2 import StoragePlugin

    store = get_typestore(Stores.LATEST)
    with Writer(tmp_path / "old", version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection("/chat", "std_msgs/msg/String", typestore=store)
        message = store.types["std_msgs/msg/String"](data="hello")
        writer.write(connection, 7, store.serialize_cdr(message, "std_msgs/msg/String"))
    (got,) = read(tmp_path / "old")
    assert (got.topic, got.stamp, got.type, got.decode().data) == ("/chat", 7, "std_msgs/msg/String", "hello")
    with pytest.raises(ValueError, match="is no MCAP bag"):
        recover(tmp_path / "old", tmp_path / "new")


def test_definition_holds_every_type_once() -> None:
    text = definition("visualization_msgs/msg/MarkerArray")
    parts = text.split("=" * 80 + "\n")
    names = [part.splitlines()[0] for part in parts[1:]]
    assert names[0] == "MSG: visualization_msgs/Marker"
    assert len(names) == len(set(names))
    assert {
        "MSG: std_msgs/Header",
        "MSG: builtin_interfaces/Duration",
        "MSG: geometry_msgs/Quaternion",
    } <= set(names)
    with pytest.raises(ValueError, match="message type nowhere_msgs/msg/Thing is not known here"):
        definition("nowhere_msgs/msg/Thing")


# --- recording a graph ---


def test_recorder_loses_nothing_and_writes_the_latched_skeleton_first(ros_context, tmp_path: Path) -> None:
    import rclpy

    source = rclpy.create_node("source", namespace="/lab")
    latched = source.create_publisher(Skeleton, "pose2d/skeleton", qos.LATCHED)
    people = source.create_publisher(People2D, "pose2d/people", qos.RESULTS)
    latched.publish(BODY)
    writer = BagWriter(tmp_path / "bag")
    recorder = Recorder(writer, TOPICS_RELATIVE, namespace="/lab")
    with executing(source, recorder) as executor:
        assert spin_until(
            executor, lambda: people.get_subscription_count() and latched.get_subscription_count()
        )
        for i in range(300):  # far more than the publisher's queue of 10, without spinning in between
            people.publish(people2d(NS_PER_S + i))
        assert spin_until(executor, lambda: recorder.has(NS_PER_S + 299) and writer.messages == 301)
    writer.close()
    got = list(read(tmp_path / "bag"))
    assert got[0].topic == "/lab/pose2d/skeleton"
    assert deserialize_message(got[0].cdr, Skeleton) == BODY
    assert [message.stamp for message in got[1:]] == [NS_PER_S + i for i in range(300)]
    assert (recorder.dropped, recorder.failure) == (0, "")


TOPICS_RELATIVE = (Topic("pose2d/people", names.PEOPLE2D), Topic("pose2d/skeleton", names.SKELETON, LATCHED))


@pytest.mark.parametrize("kind", [SingleThreadedExecutor, EventsExecutor])
def test_what_came_is_readable_soon_without_closing(
    ros_context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Callable[[], Executor]
) -> None:
    monkeypatch.setattr(Recorder, "FLUSH_S", 0.05)
    with BagWriter(tmp_path / "bag") as writer:
        recorder = Recorder(writer, TOPICS_RELATIVE)
        recorder._on_message(0, serialize_message(people2d(NS_PER_S)))
        executor = kind()
        executor.add_node(recorder)
        assert spin_until(executor, lambda: len(list(read(tmp_path / "bag"))) == 1)
        executor.shutdown()
        recorder.destroy_node()


def test_ordered_recording_does_not_depend_on_the_order_of_callbacks(ros_context, tmp_path: Path) -> None:
    bags = []
    topics = [Topic(t.name.lstrip("/"), t.type, t.qos) for t in TOPICS]
    for number, reverse in enumerate((False, True)):
        with BagWriter(tmp_path / str(number) / "bag") as writer:
            recorder = Recorder(writer, topics, ordered=True)
            for frame in range(3):
                stamp = NS_PER_S * (frame + 1)
                made = [(0, people2d(stamp)), (1, people3d(stamp)), (2, markers(stamp))]
                for index, message in reversed(made) if reverse else made:
                    recorder._on_message(index, serialize_message(message))
                assert recorder.has(stamp)
                assert not recorder.has(stamp + 1)
                recorder.flush()
            recorder.destroy_node()
        bags.append((tmp_path / str(number) / "bag" / "bag_0.mcap").read_bytes())
        assert [m.topic for m in read(tmp_path / str(number) / "bag")] == [PEOPLE, REFINED, MARKERS] * 3
    assert bags[0] == bags[1]


def test_a_full_disk_ends_the_recording_not_the_node(
    ros_context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        recorder = Recorder(writer, TOPICS_RELATIVE)

        def full(*arguments: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "pwrite", full)
        for i in range(3):
            recorder._on_message(0, serialize_message(people2d((i + 1) * NS_PER_S)))
        monkeypatch.undo()
        recorder._on_message(0, b"nonsense")
        assert "the disk is full" in recorder.failure
        assert recorder.dropped == 1
        recorder.destroy_node()


def test_result_topics_by_stage() -> None:
    lifted = {topic.name for topic in result_topics(["lift3d"])}
    assert lifted == {
        "lift3d/people",
        "lift3d/skeleton",
        "lift3d/joint_centres",
        "lift3d/joint_centres/skeleton",
        "lift3d/run",
        "lift3d/subjects",
    }
    assert {topic.name for topic in result_topics(["pose2d"], images=True)} == {
        *("pose2d/people", "pose2d/world", "pose2d/skeleton", "camera_info", "image_raw/compressed"),
        *("pose2d/run", "pose2d/identity"),
    }
    everything = result_topics()
    assert [topic.qos for topic in everything[:3]] == [LATCHED] * 3
    assert "/diagnostics" not in {t.name for t in everything}


def test_messages_of_a_topic_that_is_not_stated_are_left_out_and_told(tmp_path: Path) -> None:
    """Recovering ended in a KeyError."""
    file = McapFile(tmp_path / "take_0.mcap")
    schema = file.add_schema("std_msgs/msg/String", "ros2msg", b"string data")
    channel = file.add_channel("/chat", schema, "cdr", {})
    file.store([(channel, 5, b"\0\1\0\0abcd"), (77, 6, b"\0\1\0\0"), (77, 7, b"\0\1\0\0")], commit=True)
    file.close()
    said: list[str] = []
    assert recover(tmp_path / "take_0.mcap", tmp_path / "saved", said.append) == 1
    assert said == [
        f"{tmp_path / 'take_0.mcap'} is damaged: of 2 messages nothing says on which topic they were; they are left out"
    ]
    assert [message.stamp for message in read(tmp_path / "saved")] == [5]


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize("claimed", [100, 40 << 20, 1 << 40])
def test_a_chunk_that_unpacks_to_something_else_than_it_states_ends_the_bag(
    tmp_path: Path, compression: str, claimed: int
) -> None:
    """40 MB of zeros in a few kilobytes, or a terabyte by what is claimed."""
    zeros = bytes(20 << 20)
    packed = lz4.frame.compress(zeros) if compression == "lz4" else zstandard.ZstdCompressor().compress(zeros)
    chunk = Chunk(compression, packed, 0, 0, 0, claimed)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"bytes|claims"):
            unpacked(chunk)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(zeros)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_chunk_is_unpacked_to_what_was_packed(compression: str) -> None:
    content = bytes(range(256)) * 100
    packed = (
        lz4.frame.compress(content) if compression == "lz4" else zstandard.ZstdCompressor().compress(content)
    )
    assert unpacked(Chunk(compression, packed, 1, 2, 3, len(content))) == Chunk(
        "", content, 1, 2, 3, len(content)
    )
