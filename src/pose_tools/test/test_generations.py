"""Bags of earlier message definitions are read as if they were of today.

`bags/messages_1` was written by `pose demo` before covariances, velocities and the like: eight images with one person.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from pose_pipeline import read as read_recording
from pose_ros.messages.names import PEOPLE2D, PEOPLE3D, PERSON3D
from pose_ros.messages.reading import people2d_from_msg, people3d_from_msg
from pose_tools.bag import generations
from pose_tools.bag.definitions import type_hash
from pose_tools.bag.generations import generation, generation_of, upgraded
from pose_tools.bag.reader import read

FIRST = Path(__file__).parent / "bags" / "messages_1"
TAKES = 8
IN_3D = ("/lift3d/people", "/refine/people")


def test_the_bag_is_of_another_definition_than_today() -> None:
    with Reader(FIRST) as bag:
        recorded = {connection.msgtype: connection.digest for connection in bag.connections}
    assert recorded[PEOPLE3D] != type_hash(PEOPLE3D)
    assert generation_of(PEOPLE3D, recorded[PEOPLE3D], b"") == 0
    assert generation_of("pose_msgs/msg/JointAngles", recorded["pose_msgs/msg/JointAngles"], b"") is None


def test_what_it_says_is_what_it_said_and_the_rest_is_not_known() -> None:
    with Reader(FIRST) as bag:
        before = [
            generation(0).deserialize_cdr(bytes(cdr), PEOPLE3D)
            for connection, _, cdr in bag.messages()
            if connection.topic == "/refine/people"
        ]
    after = [message.decode() for message in read(FIRST, ["/refine/people"])]
    assert len(before) == len(after) == TAKES
    for old, new in zip(before, after, strict=True):
        assert repr((new.header, new.skeleton, new.times)) == repr((old.header, old.skeleton, old.times))
        for was, now in zip(old.people, new.people, strict=True):
            assert (now.id, now.height, now.parent, now.posture) == (was.id, was.height, "", 0)
            for field in ("xyz", "std", "root_std", "joint_confidence", "state"):
                np.testing.assert_array_equal(getattr(now, field), getattr(was, field))
            assert not len(now.covariance)
            assert np.isnan([*now.root_velocity, *now.root_velocity_std, *now.foot_contact]).all()


@pytest.mark.parametrize("topic", [*IN_3D, "/pose2d/world", "/pose2d/people"])
def test_every_message_is_a_legal_one_of_today(topic: str) -> None:
    convert = people2d_from_msg if topic == "/pose2d/people" else people3d_from_msg
    people = [convert(message.decode()) for message in read(FIRST, [topic])]
    assert [len(frame.people) for frame in people] == [1] * TAKES
    assert all(frame.people[0].parent == "" for frame in people)


def test_it_is_exported() -> None:
    recording = read_recording(FIRST)
    assert recording.ids == ("p1",)
    assert len(recording.joints("p1")) == TAKES


@pytest.fixture(params=["hashed", "without hashes"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same as ROS 2 Humble left it: sqlite3, and no hash that tells what the types were."""
    folder = tmp_path / "humble"
    with (
        Reader(FIRST) as bag,
        Writer(folder, version=8, storage_plugin=StoragePlugin.SQLITE3) as writer,
    ):
        known = {}
        for connection in bag.connections:
            about = connection.ext
            assert isinstance(about, ConnectionExtRosbag2)
            known[connection.id] = writer.add_connection(
                connection.topic,
                connection.msgtype,
                typestore=generation(0),
                offered_qos_profiles=about.offered_qos_profiles,
            )
        for connection, stamp, cdr in bag.messages():
            writer.write(known[connection.id], stamp, cdr)
    if request.param == "without hashes":
        stated = yaml.safe_load((folder / "metadata.yaml").read_text())
        for topic in stated["rosbag2_bagfile_information"]["topics_with_message_count"]:
            del topic["topic_metadata"]["type_description_hash"]
        (folder / "metadata.yaml").write_text(yaml.safe_dump(stated))
    return folder


def test_a_database_is_read_too(database: Path) -> None:
    def told(bag: Path) -> list[str]:
        return [repr(message.decode()) for message in read(bag) if message.topic in IN_3D]

    assert told(database) == told(FIRST)


def test_bytes_of_neither_definition_are_a_sentence() -> None:
    with pytest.raises(ValueError, match="bytes are not a People3D"):
        upgraded(b"\0\1\0\0abc", PEOPLE3D, 0)
    assert generation_of(PEOPLE3D, "", b"\0\1\0\0abc") is None


def test_a_definition_that_nobody_knows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "GENERATIONS", ())
    generations._hash.cache_clear()
    copy = shutil.copytree(FIRST, tmp_path / "copy")
    try:
        with pytest.raises(ValueError, match="holds pose_msgs/msg/People3D with hash .* install the version"):
            list(read(copy, ["/refine/people"]))
    finally:
        generations._hash.cache_clear()


def test_every_field_that_an_earlier_message_lacks_has_a_value_for_not_known() -> None:
    old = {name for name, _ in generation(0).fielddefs[PERSON3D][1]}
    new = {name for name, _ in generation(len(generations.GENERATIONS)).fielddefs[PERSON3D][1]}
    empty_means_not_known = {"parent", "covariance", "posture", "posture_confidence"}
    assert new - old == generations.NOT_KNOWN[PERSON3D].keys() | empty_means_not_known
    assert {name for name, _ in generation(0).fielddefs[PEOPLE2D][1]} >= {"header", "people"}


@pytest.mark.parametrize("compression", [CompressionType.LZ4, CompressionType.ZSTD])
def test_files_of_a_split_and_compressed_bag_are_one(compression: CompressionType, tmp_path: Path) -> None:
    """As `ros2 bag record --max-bag-size` leaves it: each file states its own topics, metadata.yaml names all files."""
    with (FIRST / "messages_1_0.mcap").open("rb") as file:
        told = list(make_reader(file).iter_messages())
    parts = {"split_0.mcap": told[:20], "split_1.mcap": told[20:]}
    for name, part in parts.items():
        with (tmp_path / name).open("wb") as file:
            writer = McapWriter(file, compression=compression, chunk_size=4096)
            writer.start("ros2")
            known: dict[str, int] = {}
            for schema, channel, message in part:
                if channel.topic not in known:
                    number = writer.register_schema(schema.name, schema.encoding, schema.data)
                    known[channel.topic] = writer.register_channel(
                        channel.topic, channel.message_encoding, number, channel.metadata
                    )
                writer.add_message(known[channel.topic], message.log_time, message.data, message.publish_time)
            writer.finish()
    stated = yaml.safe_load((FIRST / "metadata.yaml").read_text())
    stated["rosbag2_bagfile_information"]["relative_file_paths"] = list(parts)
    stated["rosbag2_bagfile_information"]["files"] = [
        {
            "path": name,
            "starting_time": {"nanoseconds_since_epoch": part[0][2].log_time},
            "duration": {"nanoseconds": part[-1][2].log_time - part[0][2].log_time},
            "message_count": len(part),
        }
        for name, part in parts.items()
    ]
    (tmp_path / "metadata.yaml").write_text(yaml.safe_dump(stated))
    assert [(m.topic, m.stamp, m.cdr) for m in read(tmp_path)] == [
        (m.topic, m.stamp, m.cdr) for m in read(FIRST)
    ]
