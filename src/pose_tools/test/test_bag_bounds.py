"""Compressed bags: read as they were written, and refused where they become more than their bytes allow."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from pose_core.callbacks import silent
from pose_core.reading import damage
from pose_ros.messages import names
from pose_tools.bag import reader
from pose_tools.bag.reader import BagMessage, read, topics_with_messages, whole
from pose_tools.bag.recovery import recover
from pose_tools.bag.topics import Topic
from pose_tools.bag.writer import BagWriter
from pose_tools.cli import main as cli

COMPRESSED = [
    (StoragePlugin.MCAP, CompressionMode.STORAGE),
    (StoragePlugin.MCAP, CompressionMode.FILE),
    (StoragePlugin.MCAP, CompressionMode.MESSAGE),
    (StoragePlugin.SQLITE3, CompressionMode.FILE),
    (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
]
MESSAGES, SIZE = 8, 1 << 20


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where bags are unpacked; each test leaves it empty."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def write(folder: Path, storage: StoragePlugin, mode: CompressionMode) -> Path:
    """Eight texts of a megabyte each, which compress well."""
    store = get_typestore(Stores.LATEST)
    writer = Writer(folder, version=8, storage_plugin=storage)
    if mode is not CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/chat", "std_msgs/msg/String", typestore=store)
        for number in range(MESSAGES):
            text = store.types["std_msgs/msg/String"](data=str(number) * SIZE)
            writer.write(connection, number, store.serialize_cdr(text, "std_msgs/msg/String"))
    return folder


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets so small that eight megabytes are too much for a few kilobytes."""
    monkeypatch.setattr(damage, "LEAST_BUDGET", 3 << 20)
    monkeypatch.setattr(damage, "GROWTH", 10)


@pytest.mark.parametrize(("storage", "mode"), COMPRESSED)
def test_a_compressed_bag_is_read_as_it_was_written(
    tmp_path: Path, scratch: Path, storage: StoragePlugin, mode: CompressionMode
) -> None:
    bag = write(tmp_path / "bag", storage, mode)
    texts = [message.decode().data for message in read(bag)]
    assert texts == [str(number) * SIZE for number in range(MESSAGES)]
    assert topics_with_messages(bag) == {"/chat": "std_msgs/msg/String"}
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(("storage", "mode"), COMPRESSED)
def test_a_bag_that_becomes_more_than_its_bytes_allow_is_refused(
    tmp_path: Path, scratch: Path, strict: None, storage: StoragePlugin, mode: CompressionMode
) -> None:
    bag = write(tmp_path / "bag", storage, mode)
    said = r"bag.* it holds at least \d+ bytes when it is unpacked, more than the \d+ that \d+ may"
    got: list[BagMessage] = []
    with pytest.raises(ValueError, match=said):
        got.extend(read(bag))
    assert len(got) < 4
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(("storage", "mode"), COMPRESSED)
def test_damage_in_what_is_compressed_is_one_sentence(
    tmp_path: Path, scratch: Path, storage: StoragePlugin, mode: CompressionMode
) -> None:
    bag = write(tmp_path / "bag", storage, mode)
    (file,) = (path for path in bag.iterdir() if path.suffix != ".yaml")
    content = bytearray(file.read_bytes())
    at = content.index(b"\x28\xb5\x2f\xfd")  # the first frame of zstd
    content[at + 4 : at + 12] = b"\xff" * 8
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"bag.* (is damaged|cannot be read): ") as refusal:
        list(read(bag, warn=silent))
    assert len(str(refusal.value)) <= damage.LONGEST_SENTENCE
    assert list(scratch.iterdir()) == []


def test_a_column_that_is_computed_is_no_larger_than_the_file_allows(tmp_path: Path, strict: None) -> None:
    bag = write(tmp_path / "bag", StoragePlugin.SQLITE3, CompressionMode.NONE)
    (file,) = bag.glob("*.db3")
    with sqlite3.connect(file) as base:
        base.execute("DROP TABLE messages")
        base.execute(
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL, "
            "data BLOB AS (zeroblob(900000000)))"
        )
        base.execute("INSERT INTO messages(topic_id, timestamp) VALUES (1, 1)")
    base.close()
    with pytest.raises(ValueError, match=r"is damaged: .*too big"):
        list(read(bag))


def test_a_bag_that_was_cut_short_is_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bag = write(tmp_path / "bag", StoragePlugin.MCAP, CompressionMode.NONE)
    assert whole(bag, tmp_path / "copy") == bag
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:-100])
    said: list[str] = []
    copy = whole(bag, tmp_path / "copy", said.append)
    assert copy == tmp_path / "copy"
    assert said == [f"{bag} was cut short; reading the 8 messages up to its last whole chunk"]
    monkeypatch.setattr(reader, "recover", None)  # nobody copies it again
    assert len(list(read(copy))) == MESSAGES


def test_nothing_is_recovered_where_no_message_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with BagWriter(tmp_path / "bag", [Topic("/a", names.PEOPLE2D)]):
        pass
    with pytest.raises(
        ValueError, match="bag was cut short before its first message; nothing can be recovered"
    ):
        recover(tmp_path / "bag", tmp_path / "copy")
    monkeypatch.setattr("sys.argv", ["pose", "bag-recover", str(tmp_path / "bag"), str(tmp_path / "copy")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "copy").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "scratch"]
