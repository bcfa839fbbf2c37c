"""Bags read from every storage that `rosbags` knows, those that were cut short as well."""

from __future__ import annotations

import struct
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw
from mcap.exceptions import McapError
from mcap.reader import make_reader
from rosbags.interfaces import Connection
from rosbags.rosbag2 import ReaderError

from pose_core.callbacks import Say, silent
from pose_core.reading.damage import DAMAGE, sentence
from pose_tools.bag.cdr import layout
from pose_tools.bag.definitions import type_hash
from pose_tools.bag.files import is_cut_short, locate
from pose_tools.bag.generations import generation_of, upgraded
from pose_tools.bag.messages import deserialize
from pose_tools.bag.recovery import recover
from pose_tools.bag.unpacking import BoundedReader


class BagMessage(NamedTuple):
    """One message of a bag."""

    topic: str
    stamp: int
    """ns since 1970: the stamp of the message's header, which is when it was captured; when it was logged where it has none."""
    type: str
    cdr: bytes

    def decode(self) -> Any:
        """The message. Raises ValueError for a type that is not known here, or bytes that are none of it."""
        return deserialize(self.cdr, self.type)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=3)


def read(bag: Path | str, topics: Iterable[str] | None = None, *, warn: Say = _warn) -> Iterator[BagMessage]:
    """The messages of a bag in order of log time.

    `bag`: folder, or a bare .mcap or .db3 file. `topics`: full names; all by default. A bag that was cut
    short is read up to its last whole chunk, and `warn` is told. Raises, before the first message:
    FileNotFoundError where there is no bag; ValueError for a topic that the bag lacks, a type that is defined
    differently here, or a file that cannot be read. Damage in the middle of a file raises ValueError when it
    is reached.
    """
    return _messages(_opened(bag, topics, warn))


def topics_with_messages(bag: Path | str) -> dict[str, str]:
    """Full names of the topics that have a message, and their types, as the bag's index states them. Raises as `read`."""
    opened = _opened(bag, None, silent)
    opened.reader.close()
    if opened.scratch is not None:
        opened.scratch.cleanup()
    return {connection.topic: connection.msgtype for connection in opened.connections if connection.msgcount}


def whole(bag: Path | str, folder: Path, warn: Say = _warn) -> Path:
    """Where to read a bag: its own path, or a copy of one that was cut short, made in `folder`, which must not exist.

    For whoever reads it more than once. Raises as `read`.
    """
    path = locate(Path(bag))
    return _mended(path, folder, warn) if is_cut_short(path) else path


def _mended(path: Path, folder: Path, warn: Say) -> Path:
    count = recover(path, folder, warn, empty=True)
    warn(f"{path} was cut short; reading the {count} messages up to its last whole chunk")
    return folder


class _Opened(NamedTuple):
    """A reader, what it shall read, type hashes by connection, and the folder with the copy of a bag that was cut short."""

    reader: BoundedReader
    connections: list[Connection]
    digests: dict[int, str]
    scratch: tempfile.TemporaryDirectory[str] | None


def _opened(bag: Path | str, topics: Iterable[str] | None, warn: Say) -> _Opened:
    """Raises as `read`."""
    path = locate(Path(bag))
    scratch = None
    if is_cut_short(path):
        scratch = tempfile.TemporaryDirectory(prefix="bag-")
        path = _mended(path, Path(scratch.name) / "bag", warn)
    reader = BoundedReader(path)
    try:
        reader.open()
    except (ReaderError, apsw.Error, *DAMAGE) as error:
        raise ValueError(sentence(bag, "cannot be read: {}", error)) from error
    try:
        connections = _choose(reader.connections, topics, Path(bag))
        hashes = _type_hashes(path)
        digests = {c.id: hashes.get(c.topic, c.digest) for c in connections}
        for connection in connections:
            _check_type(connection, digests[connection.id])
    except ValueError:
        reader.close()
        raise
    except (McapError, *DAMAGE) as error:
        reader.close()
        raise ValueError(sentence(bag, "cannot be read: {}", error)) from error
    return _Opened(reader, connections, digests, scratch)


def _messages(opened: _Opened) -> Iterator[BagMessage]:
    reader, connections, digests, scratch = opened
    generations: dict[int, int | None] = {}
    try:
        messages = iter(reader.messages(connections) if connections else ())
        while True:
            try:
                connection, stamp, data = next(messages)
            except StopIteration:
                return
            except (ReaderError, apsw.Error, *DAMAGE) as error:
                remedy = "`pose bag-recover` copies what comes before"
                raise ValueError(sentence(str(reader.path), f"is damaged: {{}}; {remedy}", error)) from error
            cdr, kind = bytes(data), connection.msgtype
            if connection.id not in generations:
                generations[connection.id] = generation_of(kind, digests[connection.id], cdr)
            if (number := generations[connection.id]) is not None:
                try:
                    cdr = upgraded(cdr, kind, number)
                except ValueError as error:
                    raise ValueError(sentence(str(reader.path), "is damaged: {}", error)) from error
            yield BagMessage(connection.topic, _captured(kind, cdr) or stamp, kind, cdr)
    finally:
        reader.close()
        if scratch is not None:
            scratch.cleanup()


def _captured(kind: str, cdr: bytes) -> int | None:
    """ns of the header; None for a type without one, one that is not known here, and bytes that are none of it."""
    try:
        return layout(kind).stamp(cdr)
    except (ValueError, struct.error):
        return None


def _choose(connections: list[Connection], topics: Iterable[str] | None, bag: Path) -> list[Connection]:
    if topics is None:
        return list(connections)
    wanted, present = list(topics), {connection.topic for connection in connections}
    missing = [topic for topic in wanted if topic not in present]
    if missing:
        raise ValueError(
            f"{bag} has no topic {', '.join(missing)}; it has {', '.join(sorted(present)) or 'none'}"
        )
    return [connection for connection in connections if connection.topic in wanted]


def _type_hashes(path: Path) -> dict[str, str]:
    """Type hash of each topic of a bare MCAP file, where `rosbags` does not look for them."""
    if path.suffix != ".mcap":
        return {}
    with path.open("rb") as file:
        summary = make_reader(file).get_summary()
    channels = summary.channels.values() if summary is not None else ()
    return {channel.topic: channel.metadata.get("topic_type_hash", "") for channel in channels}


def _check_type(connection: Connection, recorded: str) -> None:
    """Raise ValueError where this machine means something else by the type than the bag does."""
    installed = type_hash(connection.msgtype)
    earlier = generation_of(connection.msgtype, recorded, b"") is not None
    if recorded and installed and recorded != installed and not earlier:
        raise ValueError(
            f"{connection.topic} holds {connection.msgtype} with hash {recorded}, but here it has "
            f"{installed}; install the version of {connection.msgtype.split('/')[0]} that recorded the bag"
        )
