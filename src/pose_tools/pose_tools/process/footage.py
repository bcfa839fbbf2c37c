"""What `pose process` reads: a video, a folder of images, or a bag.

Images are read in segments, each of which any process can read by itself. What a segment yields depends on the input and the
segment alone, never on what was read before, so that the number of processes and interruptions leave no trace in the results.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from pose2d_node.params import Pose2DParams
from pose2d_node.sources import (
    IMAGE_SUFFIXES,
    PTS_MS,
    VIDEO_ORIGIN_NS,
    Capture,
    Folder,
    Recording,
    Video,
    decoded,
    natural_order,
    next_time,
    silent,
)
from pose_core.units import NS_PER_S

SHORTEST, LONGEST = 50, 500
"""Images of a segment. A short input has several segments, so that several processes have work; a long one does not pay for the
start of a segment often."""
SEGMENTS = 4
"""Segments that a recording is cut into, as far as that makes them neither too short nor too long."""
WARM_UP = 10
"""Images before a segment that are looked at and thrown away, because MediaPipe follows people from image to image. On the demo
video the first image of a segment then differs from an unbroken run by 2 to 5 pixels of a person 750 pixels high, in place of
6 to 11, and 10 images later by 1 to 2."""
TRIED = 8
"""Images after a jump that must have increasing times for a video to be one in which jumps are trusted."""


@dataclass(frozen=True)
class Segment:
    """A part of a recording: the images whose time, ns, is from `start` on and before `end`; None: to the end."""

    number: int
    start: int
    end: int | None


class Image(NamedTuple):
    """An image of a recording."""

    stamp: int
    """ns"""
    bgr: np.ndarray | None
    """(H, W, 3) uint8; None where it cannot be read."""
    counts: bool
    """Whether it belongs to the segment; others only warm up."""


class Footage(ABC):
    """Images with stamps, which can be read in segments from several processes: pickled, it is only a path and numbers."""

    path: Path

    @property
    @abstractmethod
    def length(self) -> int:
        """How many images there are, or about."""

    @property
    @abstractmethod
    def period(self) -> int:
        """Nominal time between two images, ns."""

    @property
    def rate(self) -> float:
        """Images per second that the input states; 0 where it does not."""
        return 0.0

    @property
    def start(self) -> int:
        """Where the time line starts, ns."""
        return 0

    @property
    def searchable(self) -> bool:
        """Whether a segment can be read without all that comes before it."""
        return True

    frame_id: str = Pose2DParams.frame_id
    """Optical frame of the images."""

    @abstractmethod
    def images(self, segment: Segment, warm_up: int = 0, rate: float = 0.0) -> Iterator[Image]:
        """The images of `segment`, and about `warm_up` before it. With a `rate`, at most so many per second; see `Sparse`."""

    @abstractmethod
    def describe(self) -> str:
        """What it is, in a few words."""

    def segments(self) -> list[Segment]:
        """Parts that make up the whole and take equally long."""
        size = max(math.ceil(self.length / SEGMENTS), SHORTEST)
        if self.searchable:
            size = min(size, LONGEST)
        count = max(math.ceil(self.length / size), 1)
        # The first one needs no images to warm up; it has as many more of its own, so that all take equally long.
        images = (self.length + (count - 1) * WARM_UP) / count
        bounds = [
            self.start + round(max(i * (images - WARM_UP) + WARM_UP * (i > 0), 0.0) * self.period)
            for i in range(count)
        ]
        return [
            Segment(i + 1, low, high)
            for i, (low, high) in enumerate(zip(bounds, [*bounds[1:], None], strict=True))
        ]

    def identity(self) -> dict[str, Any]:
        """What tells this input from others, as JSON can say it."""
        return {"files": [_file_identity(file) for file in self.files()]}

    def files(self) -> list[Path]:
        return [self.path]


class Sparse:
    """Chooses images so that there are at most `rate` per second; 0: all."""

    EARLY = 0.9
    """Share of the period between two images that must have passed: stamps jitter."""

    def __init__(self, rate: float) -> None:
        self._step = round(self.EARLY * NS_PER_S / rate) if rate else 0
        self._last: int | None = None

    def takes(self, time: int) -> bool:
        """Whether the image of this time (ns) is one of them."""
        if self._last is not None and time - self._last < self._step:
            return False
        self._last = time
        return True


@dataclass(frozen=True)
class VideoFootage(Footage):
    """A video file. `jumps`: whether it can be read from the middle; otherwise it is decoded from its start for each segment."""

    path: Path
    frames: int
    period_ns: int
    first_ms: float
    """Presentation time of the first image, as the container counts."""
    jumps: bool

    @property
    def searchable(self) -> bool:
        return self.jumps

    @classmethod
    def open(cls, path: Path) -> VideoFootage:
        """Raises ValueError where no image can be decoded."""
        video = Video(path, open_video)
        capture = open_video(str(path))
        try:
            stated = capture.get(cv2.CAP_PROP_FRAME_COUNT)
            capture.grab()
            first = capture.get(cv2.CAP_PROP_POS_MSEC)
        finally:
            capture.release()
        frames = round(stated) if math.isfinite(stated) and stated > 0 else _count(video)
        if frames > SHORTEST and not _can_jump(path, frames - TRIED, video.period, first):
            frames = _count(video)  # it may break off before its stated end
        jumps = frames > SHORTEST and _can_jump(path, frames // 2, video.period, first)
        return cls(path, frames, video.period, first, jumps)

    @property
    def length(self) -> int:
        return self.frames

    @property
    def period(self) -> int:
        return self.period_ns

    @property
    def rate(self) -> float:
        return NS_PER_S / self.period_ns

    def describe(self) -> str:
        return Video(self.path, open_video).describe()

    def images(self, segment: Segment, warm_up: int = 0, rate: float = 0.0) -> Iterator[Image]:
        begin = segment.start - warm_up * self.period
        sparse = Sparse(rate)
        shots = (
            self._after_jump(begin)
            if self.jumps and begin > 0
            else Video(self.path, open_video).shots(silent)
        )
        for time, shot in shots:
            if segment.end is not None and time >= segment.end:
                return
            if time >= begin and sparse.takes(time):
                yield Image(VIDEO_ORIGIN_NS + time, shot(), time >= segment.start)

    def _after_jump(self, begin: int) -> Iterator[tuple[int, Any]]:
        capture = open_video(str(self.path))
        try:
            _jump(capture, begin, self.period, self.first_ms)
            last = -1
            while capture.grab():
                last = next_time(last, _time(capture, self.first_ms), self.period)
                yield last, partial(decoded, capture)
        finally:
            capture.release()


@dataclass(frozen=True)
class FolderFootage(Footage):
    """A folder of images at a stated rate."""

    path: Path
    frames: int
    rate_hz: float

    @classmethod
    def open(cls, path: Path, rate_hz: float) -> FolderFootage:
        """Raises ValueError where there is no readable image."""
        return cls(path, _count(Folder(path, rate_hz)), rate_hz)

    @property
    def length(self) -> int:
        return self.frames

    @property
    def period(self) -> int:
        return Folder(self.path, self.rate_hz).period

    @property
    def rate(self) -> float:
        return self.rate_hz

    def describe(self) -> str:
        return Folder(self.path, self.rate_hz).describe()

    def images(self, segment: Segment, warm_up: int = 0, rate: float = 0.0) -> Iterator[Image]:
        folder = Folder(self.path, self.rate_hz)
        begin = segment.start - warm_up * folder.period
        sparse = Sparse(rate)
        for time, shot in folder.shots(silent):
            if segment.end is not None and time >= segment.end:
                return
            if time >= begin and sparse.takes(time):
                yield Image(VIDEO_ORIGIN_NS + time, shot(), time >= segment.start)

    def files(self) -> list[Path]:
        chosen = (file for file in self.path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
        return sorted(chosen, key=natural_order)


def open_video(path: str) -> Capture:
    """A video, decoded by one thread: the processes share the cores among themselves."""
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened():
        capture = cv2.VideoCapture(path)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def _time(capture: Capture, first_ms: float) -> float:
    """Time of the image just grabbed since the first one, ns."""
    return (capture.get(cv2.CAP_PROP_POS_MSEC) - first_ms) * PTS_MS


def _jump(capture: Capture, time: int, period: int, first_ms: float) -> None:
    """Let the next image be one of `time` (ns) or of not much before."""
    back = 2
    while True:
        target = time // period - back
        if target <= 0:
            capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            return
        capture.set(cv2.CAP_PROP_POS_FRAMES, target)
        # One is grabbed to see where it is: from too late a place the jump is tried again, further back.
        if capture.grab() and _time(capture, first_ms) < time:
            return
        back *= 4


def _can_jump(path: Path, frame: int, period: int, first_ms: float) -> bool:
    """Whether images about number `frame` of a video can be read without those before, and come with times that make sense."""
    capture = open_video(str(path))
    try:
        _jump(capture, frame * period, period, first_ms)
        times = [_time(capture, first_ms) for _ in range(TRIED) if capture.grab()]
    finally:
        capture.release()
    return len(times) == TRIED and bool((np.diff(times) > 0).all()) and 0 < times[0] <= frame * period


def _count(recording: Recording) -> int:
    """Images of a recording that does not state their number."""
    return sum(1 for _ in recording.shots(silent))


def _file_identity(file: Path) -> dict[str, Any]:
    status = file.stat()
    return {"name": file.name, "bytes": status.st_size, "changed": status.st_mtime_ns}
