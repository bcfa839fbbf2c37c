"""rosbag2 bags, written so that a process may die at any moment.

A bag is a folder with metadata.yaml and <folder>_0.mcap (profile ros2, CDR, definitions embedded), as `ros2
bag record` leaves it. A chunk ends after 1 s of stamps or 256 KiB. With every chunk, and once a second while
a `Recorder` runs, the file gets a new summary (see `mcap_file`) and metadata.yaml is replaced: `ros2 bag
play`, Foxglove and `rosbags` open what a killed process left, up to the last such moment. The exception is a
death inside the one write call that does it (a fraction of a millisecond); `recovery.recover` mends that, and
`reader.read` does so by itself.

A `Recording` is a bag that gets its name when it is complete. Until then it is a folder beside, `.NAME.part`, which whoever
finds it after a crash reads, or copies by `pose bag-recover`, like any other.

fsync: the disk is waited for when the bag is closed, not at each chunk. A dead process loses nothing that
way; a power cut may lose what the kernel had not written yet (some 30 s) and leave a torn end for `recover`.
`sync=True` waits at each chunk.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from textwrap import indent
from types import TracebackType
from typing import Any

import yaml
from mcap.records import Channel, Message, Schema

from pose_core.system.locks import Busy, locked, wait_for_disk
from pose_core.units import NS_PER_S
from pose_ros.messages.delivery import Delivery
from pose_tools.bag.cdr import Layout, layout
from pose_tools.bag.definitions import definition, type_hash
from pose_tools.bag.files import METADATA, holds_captures, how_to_recover
from pose_tools.bag.mcap_file import Counts, Entry, McapFile
from pose_tools.bag.topics import Topic, is_full_name
from pose_tools.result_folder import LOCK, expect_free, part_of

CHUNK_BYTES = 256 * 1024
CHUNK_NS = NS_PER_S
METADATA_VERSION = 9


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes every value where it belongs: rosbag2's files have no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _yaml(content: Any) -> str:
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False)
    return text


class RecordingStopped(OSError):
    """The disk takes no more; the sentence says what the bag holds until then."""


@dataclass(frozen=True)
class _Channel:
    """What a bag states about one topic, whether this machine knows its type or not."""

    topic: str
    type: str
    type_hash: str
    definition: str
    encoding: str
    """Of the definition: ros2msg, ros2idl."""
    qos: tuple[dict[str, Any], ...]
    layout: Layout | None = None
    number: int = 0

    @property
    def is_latched(self) -> bool:
        return any(profile["durability"] == "transient_local" for profile in self.qos)

    @cached_property
    def metadata(self) -> str:
        """The topic's part of metadata.yaml but for its message count, which follows: made once, not at each chunk."""
        fields = {
            "name": self.topic,
            "type": self.type,
            "serialization_format": "cdr",
            "offered_qos_profiles": list(self.qos),
            "type_description_hash": self.type_hash,
        }
        return indent(_yaml([{"topic_metadata": fields}]), "  ")


class BagWriter:
    """Writes one bag. Equal messages in equal order give equal bytes, whenever they come.

    Calls may come from any thread.
    """

    def __init__(
        self, folder: Path | str, topics: Iterable[Topic] = (), *, sync: bool = False, name: str = ""
    ) -> None:
        """`folder` must not exist or be empty: FileExistsError otherwise. `sync`: see the module. `name`: of its file, else as
        the folder."""
        self.folder = Path(folder)
        self._name = name or self.folder.resolve().name or "bag"
        self._lock = threading.Lock()
        self._channels: dict[str, _Channel] = {}
        self._schemas: dict[str, int] = {}
        self._opening: list[tuple[_Channel, bytes]] = []
        self._pending: list[tuple[int, int | None, bytes]] = []
        self._size = 0
        self._described: dict[str, bytes] = {}
        self._first: int | None = None
        self._last: int | None = None
        self._chunk_start: int | None = None
        self._committed = False
        self._changed = True
        self._closed = False
        self._failure = ""
        self._readable = Counts()
        """Of all that the file holds."""
        expect_free(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = McapFile(self.folder / self._file_name, sync=sync)
        try:
            for topic in topics:
                self.add(topic)
            self.flush()
        except (ValueError, OSError):
            self._file.close()
            raise

    @property
    def _file_name(self) -> str:
        return f"{self._name}_0.mcap"

    @property
    def is_empty(self) -> bool:
        """Whether no message came but descriptions, which say what others would have meant."""
        return self._first is None

    @property
    def failure(self) -> str:
        """Why the recording stopped before its end; empty where it did not."""
        return self._failure

    @property
    def messages(self) -> int:
        """Messages handed over so far, without repeated descriptions."""
        return self._file.counts.messages + len(self._opening) + len(self._pending)

    def add(self, topic: Topic) -> None:
        """State a topic; none is written that was not.

        Raises ValueError for a bad name, or another type than before.
        """
        channel = _Channel(
            topic=topic.name,
            type=topic.type,
            type_hash=type_hash(topic.type),
            definition=definition(topic.type),
            encoding="ros2msg",
            qos=(_qos_fields(topic.qos),),
            layout=layout(topic.type),
        )
        with self._lock:
            self._register(channel)

    def write(self, topic: str, cdr: bytes, stamp: int | None = None) -> None:
        """Add a serialized message (CDR, as `serialize_message` or a raw subscription give it).

        `stamp`: ns since 1970, log and publish time; by default the stamp of the message's header. A message
        without a header on a latched topic describes the rest: it has the first stamp, stands first in the
        bag unless it comes when the first chunk is full, and a repetition is dropped. Other messages without
        a stamp (an empty MarkerArray) get the latest one.

        Raises ValueError for an unknown topic or bytes of another type, RecordingStopped when the disk takes
        no more.
        """
        with self._lock:
            channel = self._channel(topic)
            if channel.layout is not None:
                cdr = channel.layout.clean(cdr)
                stamp = channel.layout.stamp(cdr) if stamp is None else stamp
            if stamp is not None:
                self._put(channel, cdr, stamp)
                self._last = stamp
            elif channel.is_latched:
                self._describe(channel, cdr)
            else:
                self._put(channel, cdr, self._last)

    def restore_topic(self, channel: Channel, schema: Schema) -> None:
        """State a topic as another file states it, whether its type is installed or not.

        Raises ValueError where its messages are not CDR, or what it states cannot be read.
        """
        if channel.message_encoding != "cdr":
            raise ValueError(
                f"{channel.topic} is encoded as '{channel.message_encoding}', a ROS 2 bag as 'cdr'"
            )
        try:
            profiles = yaml.safe_load(channel.metadata.get("offered_qos_profiles", "")) or []
        except yaml.YAMLError as error:
            raise ValueError(f"{channel.topic} states a QoS that cannot be read: {error}") from error
        restored = _Channel(
            topic=channel.topic,
            type=schema.name,
            type_hash=channel.metadata.get("topic_type_hash", ""),
            definition=schema.data.decode(errors="replace"),
            encoding=schema.encoding,
            qos=tuple(profiles),
        )
        with self._lock:
            self._register(restored)

    def restore(self, topic: str, message: Message) -> None:
        """Add a message of another file, unchanged."""
        with self._lock:
            self._put(self._channel(topic), message.data, message.log_time)

    def flush(self) -> None:
        """Make everything handed over so far readable. The chunk goes on: what the bag finally is does not change.

        Raises RecordingStopped when the disk takes no more.
        """
        with self._lock:
            if self._failure:
                raise RecordingStopped(self._failure)
            if self._changed and not self._closed:
                self._store(commit=False)

    def close(self) -> None:
        """Write the rest and wait until the disk has it. Further calls do nothing."""
        with self._lock:
            if self._closed:
                return
            try:
                if not self._failure and (self._pending or self._opening or self._changed):
                    self._store(commit=True)
            finally:
                self._closed = True
                self._file.close()
            for path in (self.folder / METADATA, self.folder):
                wait_for_disk(path)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _register(self, channel: _Channel) -> None:
        if not is_full_name(channel.topic):
            raise ValueError(f"a topic must be a full ROS name such as /pose2d/people, got '{channel.topic}'")
        known = self._channels.get(channel.topic)
        if known is not None:
            if known.type != channel.type:
                raise ValueError(
                    f"{channel.topic} is already recorded as {known.type}, not as {channel.type}"
                )
            return
        if channel.type not in self._schemas:
            self._schemas[channel.type] = self._file.add_schema(
                channel.type, channel.encoding, channel.definition.encode()
            )
        metadata = {"offered_qos_profiles": _yaml(list(channel.qos)), "topic_type_hash": channel.type_hash}
        number = self._file.add_channel(channel.topic, self._schemas[channel.type], "cdr", metadata)
        self._channels[channel.topic] = replace(channel, number=number)
        self._changed = True

    def _channel(self, topic: str) -> _Channel:
        if self._closed:
            raise ValueError(f"the bag {self.folder} is closed")
        if self._failure:
            raise RecordingStopped(self._failure)
        if topic not in self._channels:
            raise ValueError(
                f"{topic} was not stated as a topic of the bag; it has {', '.join(self._channels) or 'none'}"
            )
        return self._channels[topic]

    def _describe(self, channel: _Channel, cdr: bytes) -> None:
        if self._described.get(channel.topic) == cdr:
            return
        is_first = channel.topic not in self._described
        self._described[channel.topic] = cdr
        if is_first and not self._committed:
            self._opening.append((channel, cdr))
            self._size += len(cdr)
            self._changed = True
        else:
            self._put(channel, cdr, self._first if is_first else self._last)

    def _put(self, channel: _Channel, cdr: bytes, stamp: int | None) -> None:
        """`stamp` None: the first that comes."""
        if stamp is not None:
            if not 0 <= stamp < 2**63:
                raise ValueError(f"a stamp must be from 0 to 2**63 - 1 ns, got {stamp} on {channel.topic}")
            self._first = stamp if self._first is None else self._first
            self._chunk_start = stamp if self._chunk_start is None else self._chunk_start
        self._pending.append((channel.number, stamp, cdr))
        self._size += len(cdr)
        self._changed = True
        long_enough = stamp is not None and abs(stamp - (self._chunk_start or 0)) >= CHUNK_NS
        # in a long recording the summary outgrows a chunk: keep what is written again and again in proportion
        if long_enough or self._size >= max(CHUNK_BYTES, self._file.summary_bytes // 2):
            self._store(commit=True)

    def _store(self, *, commit: bool) -> None:
        first = self._first or 0
        # In the order of topics: which description came first is up to the middleware.
        opening = sorted(self._opening, key=lambda opened: opened[0].number)
        entries: list[Entry] = [(channel.number, first, cdr) for channel, cdr in opening]
        entries += [(number, first if stamp is None else stamp, cdr) for number, stamp, cdr in self._pending]
        counts = self._file.counts.plus(entries)
        unfinished = self.folder / f".{METADATA}"
        try:
            # first, so that a full disk leaves both as they were; renaming takes no room
            unfinished.write_text(self._metadata(counts), encoding="utf-8", newline="\n")
            self._file.store(entries, commit=commit)
            os.replace(unfinished, self.folder / METADATA)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            held = f"{self._readable.messages} messages up to {self._readable.end / NS_PER_S:.3f} s"
            self._failure = (
                f"recording stopped: {_reason(error)}; {self.folder} is readable and holds {held}; "
                "free space and record into a new folder"
            )
            raise RecordingStopped(self._failure) from error
        self._changed = False
        self._readable = counts
        if commit:
            self._committed = self._committed or bool(entries)
            self._opening.clear()
            self._pending.clear()
            self._size = 0
            self._chunk_start = None

    def _metadata(self, counts: Counts) -> str:
        """Text of metadata.yaml."""
        extent = {
            "duration": {"nanoseconds": counts.end - counts.start},
            "starting_time": {"nanoseconds_since_epoch": counts.start},
            "message_count": counts.messages,
        }
        information = {
            "version": METADATA_VERSION,
            "storage_identifier": "mcap",
            **extent,
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [self._file_name],
            "files": [{"path": self._file_name, **extent}],
            "custom_data": {},
            "ros_distro": "",  # the same messages give the same bytes, with any ROS and without
        }
        text = _yaml({"rosbag2_bagfile_information": information})
        text += "  topics_with_message_count:" + ("\n" if self._channels else " []\n")
        for channel in self._channels.values():
            text += f"{channel.metadata}    message_count: {counts.by_channel.get(channel.number, 0)}\n"
        return text


class Recording:
    """A bag that appears under its name when it is complete, as a context manager.

    A clean end completes it. A full disk or an error leaves what was written in the folder `part_of` it, as readable as any bag
    of a dead process. Where no message came, or descriptions alone, there is no bag.
    """

    def __init__(
        self, folder: Path | str, *, keep: bool = True, empty: bool = False, part: str = "part"
    ) -> None:
        """`keep`: what an error cut short; `empty`: also a bag of descriptions alone; `part`: ending of that folder.

        Raises FileExistsError where `folder` is taken, is being recorded, or was and was cut short."""
        self.folder = Path(folder)
        self._keep, self._empty = keep, empty
        self._part = part_of(self.folder, part)
        expect_free(self.folder)
        self._part.mkdir(parents=True, exist_ok=True)
        self._held = ExitStack()
        try:
            self._claim()
            self.writer = BagWriter(self._part, name=self.folder.resolve().name)
        except BaseException:
            self._held.close()
            raise

    def _claim(self) -> None:
        try:
            self._held.enter_context(locked(self._part / LOCK, wait=False))
        except Busy:
            raise FileExistsError(
                f"{self.folder} is being recorded by another process; choose another folder for the bag"
            ) from None
        _expect_no_rest(self.folder, self._part)
        for left in self._part.iterdir():
            if left.name != LOCK:
                left.unlink()

    def __enter__(self) -> BagWriter:
        return self.writer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self._leave(self._keep)

    def finish(self) -> None:
        """Give the bag its name. Further calls do nothing."""
        try:
            self.writer.close()
        except RecordingStopped:  # `failure` says it
            pass
        except BaseException:
            self._leave(self._keep)
            raise
        if self.writer.failure or (self.writer.is_empty and not self._empty):
            self._leave(keep=True)
        elif self._part.exists():
            self._release()
            expect_free(self.folder)
            if self.folder.exists():
                self.folder.rmdir()
            self._part.rename(self.folder)
            wait_for_disk(self.folder.resolve().parent)

    def _leave(self, keep: bool) -> None:
        with suppress(RecordingStopped):
            self.writer.close()
        self._release()
        if self._part.exists() and (self.writer.is_empty or not keep):
            shutil.rmtree(self._part)

    def _release(self) -> None:
        self._held.close()
        (self._part / LOCK).unlink(missing_ok=True)


def expect_recordable(folder: Path) -> None:
    """Raise FileExistsError where `folder` is taken, or holds the rest of a recording that was cut short."""
    expect_free(folder)
    _expect_no_rest(folder, part_of(folder))


def _expect_no_rest(folder: Path, part: Path) -> None:
    if part.is_dir() and holds_captures(part):
        raise FileExistsError(
            f"an earlier recording of {folder} was cut short or still goes on: {how_to_recover(folder)}; to record anew, remove "
            f"{part} or choose another folder for the bag"
        )


_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the largest allowed size of a file is reached",
}


def _reason(error: OSError) -> str:
    return _REASONS.get(error.errno or 0) or error.strerror or str(error)


_NO_TIME = {"sec": 0, "nsec": 0}
"""rosbag2's word for a time that nobody chose."""


def _qos_fields(offered: Delivery) -> dict[str, Any]:
    """A delivery as metadata of version 9 states it."""
    return {
        "history": "keep_last",
        "depth": offered.depth,
        "reliability": "reliable" if offered.reliable else "best_effort",
        "durability": "transient_local" if offered.latched else "volatile",
        "deadline": _NO_TIME,
        "lifespan": _NO_TIME,
        "liveliness": "system_default",
        "liveliness_lease_duration": _NO_TIME,
        "avoid_ros_namespace_conventions": False,
    }
