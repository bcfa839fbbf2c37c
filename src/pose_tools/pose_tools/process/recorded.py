"""Bags as input of `pose process`: the people in 2D that they hold, else their images."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from rosbags.rosbag2 import ReaderError

from pose_core.callbacks import Say, silent
from pose_core.geometry.camera import Camera
from pose_core.people import People3D
from pose_ros import topics
from pose_ros.messages import names
from pose_ros.messages.images import compressed_from_msg, image_from_msg
from pose_ros.messages.reading import (
    MalformedMessage,
    camera_from_msg,
    people2d_from_msg,
    people3d_from_msg,
    stamp_to_ns,
)
from pose_tools.bag.files import BAG_FILES
from pose_tools.bag.messages import deserialize
from pose_tools.bag.namespaces import camera_topic_of, namespace_of
from pose_tools.bag.reader import BagMessage, BoundedReader, read, whole
from pose_tools.process.footage import Footage, Image, Segment, Sparse
from pose_tools.process.people import Seen, Sighting

WAITING = 10
"""People who wait for the detector's own 3D of the same image, which may have been recorded behind them."""

DECODERS: dict[str, tuple[str, Callable[[Any], np.ndarray]]] = {
    topics.IMAGE_COMPRESSED: (names.COMPRESSED_IMAGE, compressed_from_msg),
    topics.IMAGE: (names.IMAGE, image_from_msg),
}
"""Message type and decoder of the topics with images, the one to prefer first."""


@dataclass(frozen=True)
class Recorded:
    """A whole bag, and what it holds of the topics that matter here."""

    path: Path
    original: Path
    """As the user named it; `path` is a copy of what could be read where that was cut short."""
    counts: dict[str, int]
    """Messages by topic, names below the namespace."""
    start: int
    end: int
    """ns, log times."""
    namespace: str = ""
    """Of the robot: empty, or with a slash in front."""
    camera_topic: str = ""
    """Full name of the topic of the camera's calibration; empty where there is none."""

    def full(self, topic: str) -> str:
        """The full name of one of our topics."""
        return f"{self.namespace}/{topic}"

    @property
    def has_people(self) -> bool:
        """Whether it holds people in 2D."""
        return bool(self.counts.get(topics.PEOPLE2D))

    @property
    def image_topic(self) -> str | None:
        """The topic of its images."""
        return next((topic for topic in DECODERS if self.counts.get(topic)), None)


def open_bag(path: Path, scratch: Path, say: Say, namespace: str | None = None) -> Recorded:
    """The bag at `path`; of one that was cut short, what can be read, copied to the folder `scratch`.

    `namespace`: of the robot, where the bag has the topics of several.

    Raises FileNotFoundError, or ValueError for a bag that cannot be read or has neither people nor images.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    readable = whole(path, scratch, say)
    with _reading(readable, ()) as messages:
        next(messages, None)
    try:
        with BoundedReader(readable) as reader:
            held = {one.topic: one.msgtype for one in reader.connections if one.msgcount}
            messages_on: dict[str, int] = {}
            for one in reader.connections:
                messages_on[one.topic] = messages_on.get(one.topic, 0) + one.msgcount
            start, end = reader.start_time, reader.end_time
    except (ReaderError, FileNotFoundError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    wanted = (topics.PEOPLE2D, *DECODERS)
    robot = namespace_of(path, held, wanted, namespace)
    counts = {
        full.removeprefix(f"{robot}/"): count
        for full, count in messages_on.items()
        if full.startswith(f"{robot}/")
    }
    return Recorded(readable, path, counts, start, end, robot, camera_topic_of(held, robot))


def camera_of(recorded: Recorded) -> Camera | None:
    """The first calibration in the bag; None where it holds none."""
    if not recorded.camera_topic:
        return None
    with _reading(recorded.path, [recorded.camera_topic]) as messages:
        message = next(messages).decode()
    return camera_from_msg(message)


@contextmanager
def _reading(path: Path, names: Iterable[str], warn: Say = silent) -> Iterator[Iterator[BagMessage]]:
    """The messages on some topics (full names), or on all; the bag is closed again however few of them are read."""
    messages = read(path, list(names) or None, warn=warn)
    with closing(cast("Generator[BagMessage, None, None]", messages)):
        yield messages


class RecordedPeople(Sighting):
    """The people in 2D of a bag, as they were recorded, with their ids."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self.length = recorded.counts[topics.PEOPLE2D]

    def images(self) -> Iterator[Seen]:
        self.dropped = 0
        last = -1
        for seen in self._paired():
            if seen.people.stamp <= last:
                self.dropped += 1
                continue
            last = seen.people.stamp
            yield seen

    def _paired(self) -> Iterator[Seen]:
        """People and world landmarks of one stamp; both come in the order of stamps."""
        has_world = bool(self._recorded.counts.get(topics.WORLD))
        full = self._recorded.full
        names = [full(topic) for topic in (topics.PEOPLE2D, topics.WORLD) if self._recorded.counts.get(topic)]
        people: deque[Seen] = deque()
        worlds: dict[int, People3D] = {}
        for message in read(self._recorded.path, names):
            try:
                if message.topic == full(topics.WORLD):
                    world = people3d_from_msg(message.decode())
                    worlds[world.stamp] = replace(world, times=())
                else:
                    flat = people2d_from_msg(message.decode())
                    people.append(Seen(replace(flat, times=()), None))
            except MalformedMessage:
                self.dropped += 1
            newest = max(worlds, default=-1)
            while people and (not has_world or people[0].people.stamp <= newest or len(people) > WAITING):
                seen = people.popleft()
                yield replace(seen, world=worlds.pop(seen.people.stamp, None))
            while len(worlds) > WAITING:
                worlds.pop(min(worlds))
        for seen in people:
            yield replace(seen, world=worlds.pop(seen.people.stamp, None))


@dataclass(frozen=True)
class BagFootage(Footage):
    """The images of a bag. Its segments are cut by log time, in which bags can be searched; stamps are those of the headers."""

    path: Path
    original: Path
    topic: str
    """Its name below the namespace."""
    namespace: str
    frames: int
    start_ns: int
    end_ns: int
    frame_id: str

    @classmethod
    def of(cls, recorded: Recorded) -> BagFootage:
        """Raises ValueError for a bag without images."""
        topic = recorded.image_topic
        if topic is None:
            raise ValueError(f"{recorded.path} holds no images")
        with _reading(recorded.path, [recorded.full(topic)]) as messages:
            frame_id = next(messages).decode().header.frame_id
        return cls(
            recorded.path,
            recorded.original,
            topic,
            recorded.namespace,
            recorded.counts[topic],
            recorded.start,
            recorded.end,
            frame_id or Footage.frame_id,
        )

    @property
    def length(self) -> int:
        return self.frames

    @property
    def period(self) -> int:
        return max((self.end_ns - self.start_ns) // self.frames, 1)

    @property
    def start(self) -> int:
        return self.start_ns

    def describe(self) -> str:
        return f"{self.original.name}, {self.frames} images on {self.namespace}/{self.topic}"

    def files(self) -> list[Path]:
        return bag_files(self.original)

    def images(self, segment: Segment, warm_up: int = 0, rate: float = 0.0) -> Iterator[Image]:
        kind, decode = DECODERS[self.topic]
        sparse = Sparse(rate)
        begin = max(segment.start - warm_up * self.period, 0)
        with BoundedReader(self.path) as reader:
            chosen = [one for one in reader.connections if one.topic == f"{self.namespace}/{self.topic}"]
            for _, time, cdr in reader.messages(chosen, begin, segment.end):
                message = deserialize(bytes(cdr), kind)
                try:
                    stamp = stamp_to_ns(message.header.stamp)
                    if not sparse.takes(stamp):
                        continue
                    bgr = decode(message)
                except MalformedMessage:
                    stamp, bgr = time, None
                yield Image(stamp, bgr, time >= segment.start)


def bag_files(path: Path) -> list[Path]:
    """The files of a bag that hold its messages."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in BAG_FILES)
