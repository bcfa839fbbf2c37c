"""rosbag2 bags: written so that a process may die at any moment, read from every storage that `rosbags`
knows.

A bag is a folder with metadata.yaml and <folder>_0.mcap (profile ros2, CDR, definitions embedded), as `ros2
bag record` leaves it. A chunk ends after 1 s of stamps or 256 KiB. With every chunk, and once a second while
a `Recorder` runs, the file gets a new summary (see `mcap_file`) and metadata.yaml is replaced: `ros2 bag
play`, Foxglove and `rosbags` open what a killed process left, up to the last such moment. The exception is a
death inside the one write call that does it (a fraction of a millisecond); `recover` mends that, and `read`
does so by itself.

fsync: the disk is waited for when the bag is closed, not at each chunk. A dead process loses nothing that
way; a power cut may lose what the kernel had not written yet (some 30 s) and leave a torn end for `recover`.
`sync=True` waits at each chunk.
"""

from __future__ import annotations

import errno
import importlib
import os
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from textwrap import indent
from types import TracebackType
from typing import Any, NamedTuple

import apsw
import yaml
from mcap.reader import make_reader
from mcap.records import Channel, Message, Schema
from pose_msgs.msg import JointAngles, People2D, People3D, Skeleton
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.validate_full_topic_name import validate_full_topic_name
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, ReaderError
from sensor_msgs.msg import CameraInfo, CompressedImage
from visualization_msgs.msg import MarkerArray

from pose_core.callbacks import Say
from pose_core.units import NS_PER_S
from pose_ros import topics as names
from pose_ros.qos import IMAGES, LATCHED, RESULTS
from pose_tools.bag.cdr import Layout, layout
from pose_tools.bag.definitions import definition, type_hash, type_name
from pose_tools.bag.mcap_file import Counts, Entry, McapFile, is_whole, scan

CHUNK_BYTES = 256 * 1024
CHUNK_NS = NS_PER_S
METADATA_VERSION = 9
METADATA = "metadata.yaml"
"""rosbag2's name of the file that makes a folder a bag."""
BAG_FILES = (".mcap", ".db3")
"""Endings of files that hold the messages of a bag."""


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
class Topic:
    """What is recorded: an absolute name, a message class, and the QoS that a player shall offer."""

    name: str
    kind: type
    qos: QoSProfile = field(default_factory=lambda: RESULTS)


def result_topics(stages: Iterable[str] | None = None, *, images: bool = False) -> tuple[Topic, ...]:
    """The results of the pipeline by their relative names, in processing order, skeletons first.

    `stages`: only what these stages publish ("pose2d", "lift3d", ...). Never diagnostics: they are stamped
    with the system clock, which would stretch the bag of a video from 1970 to today.
    """
    topics = [
        Topic(names.SKELETON2D, Skeleton, LATCHED),
        Topic(names.LIFTED_SKELETON, Skeleton, LATCHED),
        Topic(names.CENTRES_SKELETON, Skeleton, LATCHED),
        Topic(names.REFINED_SKELETON, Skeleton, LATCHED),
        Topic(names.CAMERA_INFO, CameraInfo),
        Topic(names.PEOPLE2D, People2D),
        Topic(names.WORLD, People3D),
        Topic(names.LIFTED, People3D),
        Topic(names.CENTRES, People3D),
        Topic(names.REFINED, People3D),
        Topic(names.ANGLES, JointAngles),
        Topic(names.MARKERS, MarkerArray),
    ]
    if images:
        topics.append(Topic(names.IMAGE_COMPRESSED, CompressedImage, IMAGES))
    if stages is None:
        return tuple(topics)
    chosen = set(stages)
    return tuple(topic for topic in topics if _stage_of(topic.name) in chosen)


def _stage_of(topic: str) -> str:
    """The stage that publishes a topic: images and camera come from the one that owns the source."""
    stage, slash, _ = topic.partition("/")
    return stage if slash and topic != names.IMAGE_COMPRESSED else "pose2d"


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

    def __init__(self, folder: Path | str, topics: Iterable[Topic] = (), *, sync: bool = False) -> None:
        """`folder` must not exist or be empty: FileExistsError otherwise. `sync`: see the module."""
        self.folder = Path(folder)
        self._name = self.folder.resolve().name or "bag"
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
        if self.folder.exists() and not (self.folder.is_dir() and not any(self.folder.iterdir())):
            raise FileExistsError(
                f"{self.folder} exists and is not an empty folder; choose another one for the bag or remove it"
            )
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
    def messages(self) -> int:
        """Messages handed over so far, without repeated descriptions."""
        return self._file.counts.messages + len(self._opening) + len(self._pending)

    def add(self, topic: Topic) -> None:
        """State a topic; none is written that was not.

        Raises ValueError for a bad name, or another type than before.
        """
        name = type_name(topic.kind)
        channel = _Channel(
            topic=topic.name,
            type=name,
            type_hash=type_hash(name),
            definition=definition(name),
            encoding="ros2msg",
            qos=(_qos_fields(topic.qos),),
            layout=layout(topic.kind),
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
                _wait_for_disk(path)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _register(self, channel: _Channel) -> None:
        try:
            validate_full_topic_name(channel.topic)
        except NameValidationException as error:
            raise ValueError(
                f"a topic must be a full ROS name such as /pose2d/people, got '{channel.topic}'"
            ) from error
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
            unfinished.write_text(self._metadata(counts), encoding="utf-8")
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
            "ros_distro": os.environ.get("ROS_DISTRO", ""),
        }
        text = _yaml({"rosbag2_bagfile_information": information})
        text += "  topics_with_message_count:" + ("\n" if self._channels else " []\n")
        for channel in self._channels.values():
            text += f"{channel.metadata}    message_count: {counts.by_channel.get(channel.number, 0)}\n"
        return text


def _wait_for_disk(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the largest allowed size of a file is reached",
}


def _reason(error: OSError) -> str:
    return _REASONS.get(error.errno or 0) or error.strerror or str(error)


def _qos_fields(qos: QoSProfile) -> dict[str, Any]:
    """A profile as metadata of version 9 states it."""

    def duration(nanoseconds: int) -> dict[str, int]:
        return {"sec": nanoseconds // NS_PER_S, "nsec": nanoseconds % NS_PER_S}

    return {
        "history": qos.history.name.lower(),
        "depth": qos.depth,
        "reliability": qos.reliability.name.lower(),
        "durability": qos.durability.name.lower(),
        "deadline": duration(qos.deadline.nanoseconds),
        "lifespan": duration(qos.lifespan.nanoseconds),
        "liveliness": qos.liveliness.name.lower(),
        "liveliness_lease_duration": duration(qos.liveliness_lease_duration.nanoseconds),
        "avoid_ros_namespace_conventions": qos.avoid_ros_namespace_conventions,
    }


class BagMessage(NamedTuple):
    """One message of a bag."""

    topic: str
    stamp: int
    """Log time, ns since 1970: in bags of this project the stamp of the message's header."""
    type: str
    cdr: bytes

    def decode(self) -> Any:
        """The message object. Raises ValueError where its type is not installed."""
        return deserialize_message(self.cdr, _message_class(self.type))


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
    path = _locate(Path(bag))
    scratch = None
    if _is_cut_short(path):
        scratch = tempfile.TemporaryDirectory(prefix="bag-")
        whole = Path(scratch.name) / "bag"
        count = recover(path, whole)
        warn(f"{path} was cut short; reading the {count} messages up to its last whole chunk")
        path = whole
    reader = Reader(path)
    try:
        reader.open()
    except (ReaderError, apsw.Error) as error:
        raise ValueError(f"{bag} cannot be read: {error}") from error
    try:
        connections = _choose(reader.connections, topics, Path(bag))
        hashes = _type_hashes(path)
        for connection in connections:
            _check_type(connection, hashes.get(connection.topic, connection.digest))
    except ValueError:
        reader.close()
        raise
    return _messages(reader, connections, scratch)


def _messages(
    reader: Reader, connections: list[Connection], scratch: tempfile.TemporaryDirectory[str] | None
) -> Iterator[BagMessage]:
    try:
        for connection, stamp, data in reader.messages(connections) if connections else ():
            yield BagMessage(connection.topic, stamp, connection.msgtype, bytes(data))
    except (ReaderError, apsw.Error) as error:
        remedy = "`pose bag-recover` copies what comes before"
        raise ValueError(f"{reader.path} is damaged: {error}; {remedy}") from error
    finally:
        reader.close()
        if scratch is not None:
            scratch.cleanup()


def _locate(bag: Path) -> Path:
    """The folder or file to read: a folder with one bare storage file stands for that file."""
    if not bag.exists():
        raise FileNotFoundError(f"there is no bag at {bag}")
    if bag.is_file():
        if bag.suffix not in BAG_FILES:
            raise ValueError(f"{bag} is no bag; name a bag's folder, a .mcap or a .db3 file")
        return bag
    if (bag / METADATA).is_file() or any(bag.glob("*.mcap")):
        return bag
    databases = sorted(bag.glob("*.db3"))
    if len(databases) == 1:
        return databases[0]
    raise FileNotFoundError(f"{bag} holds no bag: neither {METADATA} nor a storage file is in it")


def _is_cut_short(path: Path) -> bool:
    if path.is_dir() and not ((path / METADATA).is_file() and (path / METADATA).stat().st_size):
        return True
    return any(not is_whole(file) for file in _mcap_files(path))


def _mcap_files(path: Path) -> list[Path]:
    """The MCAP files of a bag in the order in which they were written: _2 before _10."""
    if path.is_file():
        return [path] if path.suffix == ".mcap" else []
    return sorted(path.glob("*.mcap"), key=lambda file: (len(file.name), file.name))


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
    if recorded and installed and recorded != installed:
        raise ValueError(
            f"{connection.topic} holds {connection.msgtype} with hash {recorded}, but here it has "
            f"{installed}; install the version of {connection.msgtype.split('/')[0]} that recorded the bag"
        )


def _message_class(name: str) -> type:
    package, space, kind = name.split("/")
    try:
        found: type = getattr(importlib.import_module(f"{package}.{space}"), kind)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"message type {name} is not installed; install package {package}") from error
    return found


def recover(bag: Path | str, folder: Path | str) -> int:
    """Copy a bag that was cut short, up to its last whole chunk, into a new bag in `folder`.

    `bag`: folder, with or without metadata.yaml, or a .mcap file; it stays as it is. Returns the number of
    messages. From a bag of `BagWriter` comes exactly what it would have written, had it been closed there.
    Raises FileNotFoundError, FileExistsError, or ValueError where nothing is whole.
    """
    files = _mcap_files(_locate(Path(bag)))
    if not files:
        raise ValueError(
            f"{bag} is no MCAP bag and cannot be recovered here; try sqlite3's .recover on its .db3 file"
        )
    if not any(isinstance(record, Channel) for file in files for record in scan(file)):
        raise ValueError(f"{bag} was cut short before its first topic; nothing can be recovered")
    with BagWriter(folder) as writer:
        for file in files:
            _copy(file, writer)
    return writer.messages


def _copy(file: Path, writer: BagWriter) -> None:
    schemas: dict[int, Schema] = {}
    topics: dict[int, str] = {}
    for record in scan(file):
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            schema = schemas.get(record.schema_id) or Schema(id=0, data=b"", encoding="", name="")
            writer.restore_topic(record, schema)
            topics[record.id] = record.topic
        elif isinstance(record, Message):
            writer.restore(topics[record.channel_id], record)


PER_IMAGE = (People2D, People3D, JointAngles)
"""Types of the messages that stages publish once for each image."""


class Recorder(Node):
    """Writes the results of a running pipeline into a bag.

    Queues are deep, so that a slow moment loses nothing that its publisher still has. What cannot be written
    is counted in `dropped`; a full disk ends the recording (`failure` says why), not the pipeline.
    """

    QUEUE = 1000
    IMAGE_QUEUE = 60
    FLUSH_S = 1.0
    REMEMBERED = 64
    """Stamps of each topic that `has` looks through."""

    def __init__(
        self,
        writer: BagWriter,
        topics: Iterable[Topic] | None = None,
        *,
        stages: Iterable[str] | None = None,
        images: bool = False,
        ordered: bool = False,
        **node_options: Any,
    ) -> None:
        """`topics`: what to record, names relative to the node; by default `result_topics` of `stages` and
        `images`.

        `ordered`: keep messages until `flush` and write them by stamp and then in the order of `topics`, so
        that the bag does not depend on which callback ran first.
        """
        super().__init__("pose_recorder", **node_options)
        self.failure = ""
        self.dropped = 0
        self._writer = writer
        self._ordered = ordered
        self._waiting: list[tuple[int, int, bytes]] = []
        self._topics: list[Topic] = []
        self._seen: dict[str, deque[int]] = {}
        for topic in result_topics(stages, images=images) if topics is None else topics:
            resolved = replace(topic, name=self.resolve_topic_name(topic.name))
            writer.add(resolved)
            callback = partial(self._on_message, len(self._topics))
            self._topics.append(resolved)
            self._seen[resolved.name] = deque(maxlen=self.REMEMBERED)
            self.create_subscription(topic.kind, topic.name, callback, self._queue(topic), raw=True)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.FLUSH_S, self._on_timer, clock=steady)

    def has(self, stamp: int, also: Iterable[str] = ()) -> bool:
        """Whether all topics that say something of each image and are published, and those of `also` that are recorded, have
        brought a message of this stamp (ns)."""
        extra = {self.resolve_topic_name(name) for name in also}
        return all(
            stamp in self._seen[topic.name]
            for topic in self._topics
            if topic.name in extra or (topic.kind in PER_IMAGE and self._is_published(topic.name))
        )

    def _is_published(self, topic: str) -> bool:
        return bool(self._seen[topic]) or self.count_publishers(topic) > 0

    def flush(self) -> None:
        """Write what `ordered` has kept."""
        waiting, self._waiting = sorted(self._waiting, key=lambda kept: kept[:2]), []
        for stamp, index, cdr in waiting:
            self._write(self._writer.write, self._topics[index].name, cdr, stamp or None)

    def destroy_node(self) -> None:
        """Write what is left, then take the node down."""
        self.flush()
        super().destroy_node()

    def _queue(self, topic: Topic) -> QoSProfile:
        """Camera drivers may offer best effort only, which a reliable subscription would not match."""
        is_image = topic.kind is CompressedImage
        is_camera = is_image or topic.kind is CameraInfo
        reliability = ReliabilityPolicy.BEST_EFFORT if is_camera else ReliabilityPolicy.RELIABLE
        depth = self.IMAGE_QUEUE if is_image else self.QUEUE
        return QoSProfile(depth=depth, reliability=reliability, durability=topic.qos.durability)

    def _on_timer(self) -> None:
        self._write(self._writer.flush)

    def _on_message(self, index: int, cdr: bytes) -> None:
        topic = self._topics[index]
        try:
            stamp = layout(topic.kind).stamp(cdr) or 0
        except ValueError as error:
            self._drop(error)
            return
        self._seen[topic.name].append(stamp)
        if self._ordered:
            self._waiting.append((stamp, index, cdr))
        else:
            self._write(self._writer.write, topic.name, cdr, stamp or None)

    def _write(self, action: Callable[..., None], *arguments: Any) -> None:
        if self.failure:
            return
        try:
            action(*arguments)
        except ValueError as error:
            self._drop(error)
        except RecordingStopped as error:
            self.failure = str(error)
            self.get_logger().error(self.failure)

    def _drop(self, error: ValueError) -> None:
        self.dropped += 1
        self.get_logger().warning(f"not recorded: {error}", throttle_duration_sec=1.0)
