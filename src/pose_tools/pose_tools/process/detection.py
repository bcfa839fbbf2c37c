"""Detection for `pose process`: segments of the input looked at by several processes, each result kept in a file.

Those files are what an interrupted run leaves for the next one.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from pose2d_node.detection import BadImage, Detection, Detector
from pose2d_node.detector import open_detector
from pose2d_node.params import Pose2DParams
from pose_core.files import write_whole
from pose_core.reading.arrays import open_npz
from pose_core.reading.damage import DAMAGE
from pose_core.skeleton import MEDIAPIPE33
from pose_tools.process.footage import WARM_UP, Footage, Segment
from pose_tools.process.workers import Workers, tick

PART = 25
"""Images of a file, so that ids and lifting need not wait for the end of a segment."""


@dataclass(frozen=True, eq=False)
class Sights:
    """What was seen in N images, a part of a segment: D detections of people, in the order of images."""

    stamps: np.ndarray  # (N,) int64, ns
    size: np.ndarray  # (N, 2) int64, width and height in pixels
    image: np.ndarray  # (D,) int64, number of the image of each detection
    xy_px: np.ndarray  # (D, 33, 2)
    confidence: np.ndarray  # (D, 33)
    world: np.ndarray  # (D, 33, 3) metres
    box_px: np.ndarray  # (D, 4)
    score: np.ndarray  # (D,)
    bad: np.ndarray
    """() int64, images that could not be used."""
    last: np.ndarray
    """() bool, whether the segment ends here."""

    @classmethod
    def of(cls, seen: list[tuple[int, tuple[int, int], list[Detection]]], bad: int, *, last: bool) -> Sights:
        """From stamp, width and height, and detections of each image."""
        joints = len(MEDIAPIPE33)
        found = [detection for _, _, detections in seen for detection in detections]

        def stacked(name: str, *shape: int) -> np.ndarray:
            return np.array([getattr(one, name) for one in found], float).reshape(len(found), *shape)

        return cls(
            stamps=np.array([stamp for stamp, _, _ in seen], np.int64),
            size=np.array([size for _, size, _ in seen], np.int64).reshape(-1, 2),
            image=np.repeat(np.arange(len(seen)), [len(detections) for _, _, detections in seen]).astype(
                np.int64
            ),
            xy_px=stacked("xy_px", joints, 2),
            confidence=stacked("confidence", joints),
            world=stacked("world", joints, 3),
            box_px=stacked("box_px", 4),
            score=stacked("score"),
            bad=np.array(bad, np.int64),
            last=np.array(last),
        )

    def save(self, path: Path) -> None:
        """Write an .npz, whole or not at all; the same bytes for the same sights."""
        content = io.BytesIO()
        np.savez(content, **vars(self))
        write_whole(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> Sights | None:
        """What `save` wrote; None where there is no such file, or a damaged one."""
        try:
            with open_npz(path) as file:
                return cls(**{name: file[name] for name in cls.__dataclass_fields__})
        except (FileNotFoundError, *DAMAGE):
            return None


@dataclass(frozen=True)
class Work:
    """What each process needs to look at a segment."""

    footage: Footage
    params: Pose2DParams
    folder: Path
    """Where results are kept."""

    def file(self, segment: Segment, part: int) -> Path:
        """Where a part of a segment is kept; parts count from 1."""
        return self.folder / f"segment_{segment.number:05d}_{part:04d}.npz"

    def parts(self, segment: Segment) -> Iterator[Sights | None]:
        """What was seen in a segment, part by part; None, and no more, where a part is not there."""
        for number in count(1):
            part = Sights.load(self.file(segment, number))
            yield part
            if part is None or part.last:
                return

    def images(self, segment: Segment) -> int | None:
        """Images of a segment that was looked at to its end; None for another one."""
        found = [None if part is None else len(part.stamps) for part in self.parts(segment)]
        return None if None in found else sum(number for number in found if number is not None)


def look(work: Work, segment: Segment, detector: Detector, tick: Callable[[], None]) -> Iterator[Sights]:
    """Detect people in a segment with a `detector` that has seen nothing yet, part by part.

    `tick` is called for each image, and may raise.
    """
    seen: list[tuple[int, tuple[int, int], list[Detection]]] = []
    bad, newest = 0, -1
    for stamp, bgr, counts in work.footage.images(segment, WARM_UP):
        tick()
        if len(seen) == PART:
            yield Sights.of(seen, bad, last=False)
            seen, bad = [], 0
        if bgr is None or stamp <= newest:
            bad += counts
            continue
        newest = stamp
        try:
            detections = detector.detect(stamp, bgr)
        except BadImage:
            bad += counts
            continue
        if counts:
            seen.append((stamp, (bgr.shape[1], bgr.shape[0]), detections))
    yield Sights.of(seen, bad, last=True)


@dataclass(frozen=True)
class Kept:
    """What was seen in each segment, in order, once all have been looked at."""

    work: Work
    segments: list[Segment]

    def __call__(self) -> Iterator[Sights]:
        for segment in self.segments:
            for part in self.work.parts(segment):
                if part is None:
                    raise _unreadable(self.work)
                yield part


def looked(work: Work, segments: list[Segment], workers: Workers) -> Iterator[Sights]:
    """What is seen in each segment, in order and as soon as it is known; segments that were looked at before are not again.

    Raises ValueError for a model that cannot be used, OSError where the disk is full or a worker died.
    """
    missing = [segment for segment in segments if work.images(segment) is None]
    looking = {segment.number: workers.submit(_look_and_keep, work, segment) for segment in missing}
    for segment in segments:
        for number in count(1):
            while True:
                ended = segment.number not in looking or workers.has_ended(looking[segment.number])
                part = Sights.load(work.file(segment, number))
                if part is not None:
                    break
                if ended:
                    raise _unreadable(work)
                workers.pause(looking[segment.number])
            yield part
            if part.last:
                break


def _unreadable(work: Work) -> OSError:
    return OSError(f"what was written to {work.folder} cannot be read; is the disk in order?")


def make_ready(workers: Workers, params: Pose2DParams) -> None:
    """Let workers start and load a detector each, while their first segment is still on its way."""
    for _ in range(workers.processes):
        workers.submit(_make_ready, params)


_ready: list[Detector] = []
"""In a worker: a detector that has seen nothing yet."""


def _make_ready(params: Pose2DParams) -> None:
    if not _ready:
        _ready.append(open_detector(params))


def _look_and_keep(work: Work, segment: Segment) -> None:
    detector = _ready.pop() if _ready else open_detector(work.params)
    try:
        for number, part in enumerate(look(work, segment, detector, tick), 1):
            part.save(work.file(segment, number))
    finally:
        detector.close()
