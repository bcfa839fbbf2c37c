"""Bags read from every storage that `rosbags` knows, those that were cut short as well."""

from __future__ import annotations

import struct
import tempfile
import warnings
from collections.abc import Collection, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import yaml
import zstandard
from mcap.exceptions import McapError
from mcap.reader import make_reader
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, ReaderError, storage_mcap
from rosbags.rosbag2.storage_mcap import McapReader
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pose_core.callbacks import Say, silent
from pose_core.reading.damage import DAMAGE, budget, sentence
from pose_tools.bag.cdr import layout
from pose_tools.bag.definitions import type_hash
from pose_tools.bag.files import METADATA, is_cut_short, locate
from pose_tools.bag.generations import generation_of, upgraded
from pose_tools.bag.mcap_file import unpack
from pose_tools.bag.messages import deserialize
from pose_tools.bag.recovery import recover

PIECE = 1 << 20
"""Bytes of a compressed file that are unpacked at a time."""

for _name in ("lz4", "zstd"):
    if _name not in storage_mcap.DECOMPRESSORS:
        raise ImportError(f"this version of rosbags has no {_name} among its decompressions")
    storage_mcap.DECOMPRESSORS[_name] = lambda data, size, name=_name: unpack(data, name, size)  # type: ignore[misc]


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
    if not recorded or not installed or recorded == installed:
        return
    if generation_of(connection.msgtype, recorded, b"") is None:
        raise ValueError(
            f"{connection.topic} holds {connection.msgtype} with hash {recorded}, but here it has "
            f"{installed}; install the version of {connection.msgtype.split('/')[0]} that recorded the bag"
        )


class BoundedReader(Reader):
    """A Reader of rosbags for files that may be made to do harm: a kilobyte may claim to be, or become, gigabytes.

    `rosbags` unpacks whatever comes, in four places: chunks of MCAP files, whole files, messages, and what SQLite computes.
    Here each gets the `budget` of the bytes that are there. What goes beyond raises ValueError.
    """

    def open(self) -> None:
        """Raises ValueError where the bag claims, or its files hold, more than their `budget`, and what rosbags raises."""
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._has_packed_messages = False
        try:
            files = _files(self.path)  # type: ignore[arg-type]  # a Path, as all paths here
            self._size = sum(file.stat().st_size for file in files)
            self._left = budget(self._size)
            if self.path.is_dir() and _compression(self.path) == "file":  # type: ignore[arg-type]
                self._scratch = tempfile.TemporaryDirectory(prefix="bag-")
                unpacked = Path(self._scratch.name) / "bag"
                self._unpack_files(self.path, unpacked)  # type: ignore[arg-type]
                self.storage = Reader(unpacked).storage
            super().open()
            self._bound()
        except zstandard.ZstdError as error:
            self._close()
            raise ValueError(str(error)) from error
        except BaseException:
            self._close()
            raise

    def close(self) -> None:
        """Also forgets what was unpacked."""
        try:
            super().close()
        finally:
            self._forget()

    def messages(
        self, connections: Collection[Connection] = (), start: int | None = None, stop: int | None = None
    ) -> Generator[tuple[Connection, int, bytes], None, None]:
        """As that of rosbags. Raises ValueError also for messages that become too large together."""
        for connection, stamp, data in super().messages(connections, start, stop):
            yield connection, stamp, self._unpacked(data) if self._has_packed_messages else data

    def _bound(self) -> None:
        storages: list[Any] = getattr(self.storage, "storages", [self.storage])
        claimed = sum(c.uncompressed_size for s in storages if isinstance(s, McapReader) for c in s.chunks)
        if claimed > self._left:
            raise ValueError(self._too_much(claimed))
        for storage in storages:
            if isinstance(storage, Sqlite3Reader) and storage.dbconn is not None:
                # a column may be computed, to any size
                storage.dbconn.limit(apsw.SQLITE_LIMIT_LENGTH, min(self._left, 2**31 - 1))
        metadata = self.storage.metadata
        self._has_packed_messages = metadata.compression_mode == "message"
        if self._has_packed_messages:
            self.storage.metadata = metadata._replace(compression_mode=None)  # they are unpacked here

    def _unpack_files(self, folder: Path, target: Path) -> None:
        target.mkdir()
        content = _metadata(folder)
        information = content["rosbag2_bagfile_information"]
        names = [Path(name).name for name in information["relative_file_paths"]]
        for name in names:
            with (
                (folder / name).open("rb") as packed,
                zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as stream,
                (target / Path(name).stem).open("wb") as whole,
            ):
                while piece := stream.read(PIECE):
                    self._take(len(piece))
                    whole.write(piece)
        information["compression_format"] = information["compression_mode"] = ""
        information["relative_file_paths"] = [Path(name).stem for name in names]
        (target / METADATA).write_text(yaml.safe_dump(content), encoding="utf-8")

    def _unpacked(self, data: bytes) -> bytes:
        try:
            with zstandard.ZstdDecompressor().stream_reader(bytes(data), read_across_frames=True) as stream:
                content: bytes = stream.read(self._left + 1)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
        self._take(len(content))
        return content

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError(self._too_much(budget(self._size) - self._left))

    def _too_much(self, held: int) -> str:
        return f"it holds at least {held} bytes when it is unpacked, more than the {budget(self._size)} that {self._size} may"

    def _close(self) -> None:
        if self.is_open:
            super().close()
        self._forget()

    def _forget(self) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None


def _files(path: Path) -> list[Path]:
    return [file for file in path.iterdir() if file.is_file()] if path.is_dir() else [path]


def _compression(folder: Path) -> str:
    """What is compressed, as the bag's metadata say: file, message or nothing; rosbags tells what else is wrong with them."""
    try:
        return str(_metadata(folder)["rosbag2_bagfile_information"]["compression_mode"]).lower()
    except (OSError, ValueError, LookupError, TypeError, YAMLError):
        return ""


def _metadata(folder: Path) -> Any:
    """As rosbags reads them, so that both see the same."""
    return YAML(typ="safe").load((folder / METADATA).read_text(encoding="utf-8"))
