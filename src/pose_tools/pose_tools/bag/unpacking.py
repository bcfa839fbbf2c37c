"""What bags hold compressed, unpacked within bounds: a kilobyte may claim to be, or become, gigabytes.

`rosbags` unpacks whatever comes, in four places: chunks of MCAP files, whole files, single messages, and what SQLite computes.
Here each gets the `budget` of the bytes that are there. What goes beyond raises ValueError.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Generator
from pathlib import Path
from typing import Any

import apsw
import yaml
import zstandard
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, storage_mcap
from rosbags.rosbag2.storage_mcap import McapReader
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pose_core.reading.damage import budget
from pose_tools.bag.files import METADATA
from pose_tools.bag.mcap_file import unpack

PIECE = 1 << 20
"""Bytes of a compressed file that are unpacked at a time."""

for _name in ("lz4", "zstd"):
    if _name not in storage_mcap.DECOMPRESSORS:
        raise ImportError(f"this version of rosbags has no {_name} among its decompressions")
    storage_mcap.DECOMPRESSORS[_name] = lambda data, size, name=_name: unpack(data, name, size)  # type: ignore[misc]


class BoundedReader(Reader):
    """A Reader of rosbags for files that may be made to do harm."""

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
