"""An MCAP file that any reader can open while it is still being written, and the reading of one that was cut
short.

A usual MCAP writer puts the summary that readers look for behind the data once, at the end; a process that
dies before leaves a file that most readers refuse. Here every `store` writes chunk and summary in one call,
and the next one overwrites that summary with its own chunk and a new summary. Only a death inside that one
call leaves a torn end, which `is_whole` recognises and `scan` stops at.

Records are serialized by the `mcap` package; its own writer decides alone when a chunk ends and writes one
summary only. Format: https://mcap.dev/spec
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import McapError, UnsupportedCompressionError
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Message,
    MessageIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.stream_reader import breakup_chunk, get_chunk_data_stream

from pose_core.reading.damage import DAMAGE, budget

MAGIC = b"\x89MCAP0\r\n"
RECORD_HEAD = struct.Struct("<BQ")
FOOTER_CONTENT = struct.Struct("<QQI")
END_BYTES = RECORD_HEAD.size + FOOTER_CONTENT.size + len(MAGIC)

Entry = tuple[int, int, bytes]
"""(channel id, log time in ns, serialized message)"""


@dataclass(frozen=True)
class Counts:
    """What a file holds."""

    by_channel: dict[int, int] = field(default_factory=dict)
    start: int = 0
    """ns, earliest log time; 0 where there is no message."""
    end: int = 0
    chunks: int = 0

    @property
    def messages(self) -> int:
        return sum(self.by_channel.values())

    def plus(self, entries: Sequence[Entry]) -> Counts:
        """These counts and one chunk of `entries`."""
        if not entries:
            return self
        by_channel = dict(self.by_channel)
        for channel, _, _ in entries:
            by_channel[channel] = by_channel.get(channel, 0) + 1
        stamps = [stamp for _, stamp, _ in entries] + ([self.start, self.end] if self.by_channel else [])
        return Counts(by_channel, min(stamps), max(stamps), self.chunks + 1)


class McapFile:
    """Appends chunks to a new file.

    The bytes depend on schemas, channels and committed chunks only, not on provisional ones.
    """

    def __init__(self, path: Path, *, sync: bool = False) -> None:
        """`sync`: wait after each `store` until the disk has it.

        Raises FileExistsError: nothing is ever overwritten.
        """
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
        self._sync = sync
        self._end = 0
        """Where the next chunk goes: behind all that is final."""
        self._behind = b""
        """What the file holds from there on."""
        self._new = MAGIC + _bytes(Header("ros2", "pose_tools"))
        """Final records that no `store` has written yet."""
        self._schemas: list[bytes] = []
        self._channels: list[bytes] = []
        self._indexes = bytearray()
        self.counts = Counts()
        """Of the committed chunks."""

    @property
    def summary_bytes(self) -> int:
        """Size of the summary, which grows with the number of chunks."""
        return len(self._indexes) + sum(map(len, self._schemas)) + sum(map(len, self._channels))

    def add_schema(self, name: str, encoding: str, text: bytes) -> int:
        """Number of a new schema."""
        number = len(self._schemas) + 1
        self._schemas.append(_bytes(Schema(id=number, name=name, encoding=encoding, data=text)))
        self._new += self._schemas[-1]
        return number

    def add_channel(self, topic: str, schema: int, encoding: str, metadata: dict[str, str]) -> int:
        """Number of a new channel; `schema`: number of its message type."""
        number = len(self._channels) + 1
        record = Channel(
            id=number, schema_id=schema, topic=topic, message_encoding=encoding, metadata=metadata
        )
        self._channels.append(_bytes(record))
        self._new += self._channels[-1]
        return number

    def store(self, entries: Sequence[Entry], *, commit: bool) -> None:
        """Make `entries` the last chunk of the file.

        With `commit` the chunk is final; otherwise the next call overwrites it, so hand over its messages
        again. Raises OSError where the disk takes no more; the file then still ends as before.
        """
        chunk, index = _chunk(entries, self._end + len(self._new))
        counts = self.counts.plus(entries)
        head = self._new + chunk
        summary = self._summary(self._end + len(head), counts, bytes(self._indexes) + index)
        self._overwrite_end(head + summary)
        if commit:
            self._end += len(head)
            self._behind = summary
            self._new = b""
            self._indexes += index
            self.counts = counts

    def close(self) -> None:
        """Wait until the disk has everything, then close the file."""
        try:
            os.fsync(self._file)
        finally:
            os.close(self._file)

    def _overwrite_end(self, data: bytes) -> None:
        try:
            _write(self._file, data, self._end)
            if len(data) < len(self._behind):
                os.ftruncate(self._file, self._end + len(data))
            if self._sync:
                _SYNC(self._file)
        except OSError:
            with suppress(OSError):  # these bytes had their place on the disk already
                _write(self._file, self._behind, self._end)
                os.ftruncate(self._file, self._end + len(self._behind))
            raise
        self._behind = data

    def _summary(self, at: int, counts: Counts, indexes: bytes) -> bytes:
        """Everything behind the last chunk; `at`: its place in the file."""
        data_end = _bytes(DataEnd(0))
        start = at + len(data_end)
        statistics = Statistics(
            attachment_count=0,
            channel_count=len(self._channels),
            channel_message_counts=counts.by_channel,
            chunk_count=counts.chunks,
            message_count=counts.messages,
            message_end_time=counts.end,
            message_start_time=counts.start,
            metadata_count=0,
            schema_count=len(self._schemas),
        )
        groups = {
            Opcode.SCHEMA: b"".join(self._schemas),
            Opcode.CHANNEL: b"".join(self._channels),
            Opcode.STATISTICS: _bytes(statistics),
            Opcode.CHUNK_INDEX: indexes,
        }
        summary, offsets = b"", b""
        for opcode, records in groups.items():
            if records:
                offsets += _bytes(SummaryOffset(opcode, start + len(summary), len(records)))
                summary += records
        offset_start = start + len(summary)
        summary += offsets
        footer = RECORD_HEAD.pack(Opcode.FOOTER, FOOTER_CONTENT.size) + struct.pack(
            "<QQ", start, offset_start
        )
        crc = zlib.crc32(footer, zlib.crc32(summary))
        return data_end + summary + _bytes(Footer(start, offset_start, crc)) + MAGIC


_SYNC = getattr(os, "fdatasync", os.fsync)
"""Linux alone can leave the times of a file out."""


def _write(file: int, data: bytes, at: int) -> None:
    """Write all of `data`, in one call wherever the system can."""
    rest = memoryview(data)
    while rest:
        if hasattr(os, "pwrite"):
            written = os.pwrite(file, rest, at)
        else:  # Windows
            os.lseek(file, at, os.SEEK_SET)
            written = os.write(file, rest)
        rest, at = rest[written:], at + written


def _bytes(record: McapRecord) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    return bytes(builder.end())


def _chunk(entries: Sequence[Entry], at: int) -> tuple[bytes, bytes]:
    """The records of one chunk that stands at `at`, and its index for the summary; nothing for no entries."""
    if not entries:
        return b"", b""
    messages = RecordBuilder()
    places: dict[int, list[tuple[int, int]]] = {}
    for channel, stamp, data in entries:
        places.setdefault(channel, []).append((stamp, messages.count))
        Message(channel_id=channel, log_time=stamp, data=data, publish_time=stamp, sequence=0).write(messages)
    content = bytes(messages.end())
    stamps = [stamp for _, stamp, _ in entries]
    chunk = Chunk(
        compression="",
        data=content,
        message_end_time=max(stamps),
        message_start_time=min(stamps),
        uncompressed_crc=zlib.crc32(content),
        uncompressed_size=len(content),
    )
    records = RecordBuilder()
    chunk.write(records)
    length = records.count
    offsets = {}
    for channel, found in places.items():
        offsets[channel] = at + records.count
        MessageIndex(channel, found).write(records)
    index = ChunkIndex(
        chunk_length=length,
        chunk_start_offset=at,
        compression="",
        compressed_size=len(content),
        message_end_time=chunk.message_end_time,
        message_index_length=records.count - length,
        message_index_offsets=offsets,
        message_start_time=chunk.message_start_time,
        uncompressed_size=len(content),
    )
    return bytes(records.end()), _bytes(index)


def is_whole(path: Path) -> bool:
    """Whether the file ends in a summary that fits it, and its last chunk is intact."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size < len(MAGIC) + END_BYTES or file.read(len(MAGIC)) != MAGIC:
            return False
        file.seek(size - END_BYTES)
        end = file.read(END_BYTES)
        head = end[: RECORD_HEAD.size]
        if head != RECORD_HEAD.pack(Opcode.FOOTER, FOOTER_CONTENT.size) or not end.endswith(MAGIC):
            return False
        start, _, crc = FOOTER_CONTENT.unpack_from(end, RECORD_HEAD.size)
        if not start:  # written without a summary
            return True
        if start > size - END_BYTES:
            return False
        file.seek(start)
        summary = file.read(size - END_BYTES - start)
        if crc and crc != zlib.crc32(end[: RECORD_HEAD.size + 16], zlib.crc32(summary)):
            return False
        return _last_chunk_is_whole(file, summary)


def _last_chunk_is_whole(file: io.BufferedReader, summary: bytes) -> bool:
    try:
        indexes = [
            ChunkIndex.read(ReadDataStream(io.BytesIO(content)))
            for opcode, content in _records(io.BytesIO(summary), len(summary))
            if opcode == Opcode.CHUNK_INDEX
        ]
        if not indexes:
            return True
        last = max(indexes, key=lambda index: index.chunk_start_offset)
        file.seek(last.chunk_start_offset)
        record = file.read(last.chunk_length)
        if record[: RECORD_HEAD.size] != RECORD_HEAD.pack(Opcode.CHUNK, last.chunk_length - RECORD_HEAD.size):
            return False
        chunk = Chunk.read(ReadDataStream(io.BytesIO(record[RECORD_HEAD.size :])))
        get_chunk_data_stream(unpacked(chunk), validate_crc=True)
    except UnsupportedCompressionError:
        return True  # cannot be checked here
    except (McapError, *DAMAGE):
        return False
    return True


def scan(path: Path) -> Iterator[Schema | Channel | Message]:
    """Schemas, channels and messages in the order of the file, up to the last chunk that is whole.

    Raises ValueError for a compression that this machine cannot undo.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return
        for opcode, content in _records(file, path.stat().st_size):
            if opcode in (Opcode.DATA_END, Opcode.FOOTER):
                return
            try:
                found = _parse(opcode, content)
            except UnsupportedCompressionError as error:
                raise ValueError(
                    f"{path} is compressed in a way that this machine cannot undo: {error}"
                ) from error
            except (McapError, *DAMAGE):
                return
            yield from found


def _records(file: io.BufferedIOBase, size: int) -> Iterator[tuple[int, bytes]]:
    """Opcode and content of the complete records from here on."""
    while len(head := file.read(RECORD_HEAD.size)) == RECORD_HEAD.size:
        opcode, length = RECORD_HEAD.unpack(head)
        if length > size - file.tell():
            return
        yield opcode, file.read(length)


def unpacked(chunk: Chunk) -> Chunk:
    """The chunk without compression. No more is unpacked than it states, and no more than the `budget` of its bytes.

    Raises ValueError where that is not all, and what the libraries of the compressions raise; others stay as they are.
    """
    if chunk.compression not in ("lz4", "zstd"):
        return chunk
    content = unpack(chunk.data, chunk.compression, chunk.uncompressed_size)
    return replace(chunk, compression="", data=content)


def unpack(data: bytes, compression: str, size: int) -> bytes:
    """What a chunk holds, compressed as lz4 or zstd, of the `size` that it states. Raises as `unpacked`."""
    if size > budget(len(data)):
        raise ValueError(f"a chunk of {len(data)} bytes claims to hold {size}")
    try:
        if compression == "lz4":
            import lz4.frame  # type: ignore[import-untyped]

            content: bytes = lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=size + 1)
        else:
            import zstandard

            try:
                with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
                    content = stream.read(size + 1)
            except zstandard.ZstdError as error:
                raise ValueError(str(error)) from error
    except ImportError as error:
        raise UnsupportedCompressionError(compression) from error
    if len(content) != size:
        raise ValueError(f"a chunk holds other than the {size} bytes that it states")
    return content


def _parse(opcode: int, content: bytes) -> list[Schema | Channel | Message]:
    stream = ReadDataStream(io.BytesIO(content))
    if opcode == Opcode.CHUNK:
        return breakup_chunk(unpacked(Chunk.read(stream)), validate_crc=True)  # type: ignore[return-value]
    if opcode == Opcode.MESSAGE:
        return [Message.read(stream, len(content))]
    if opcode == Opcode.SCHEMA:
        return [Schema.read(stream)]
    if opcode == Opcode.CHANNEL:
        return [Channel.read(stream)]
    return []
