"""The overlay video of `pose process`: a second pass over the images, when everybody is known from first to last."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2

from pose_core.geometry.camera import Camera
from pose_core.people import People3D, Person3D
from pose_core.sequence import PoseSequence
from pose_tools.parameters.own import VideoParams
from pose_tools.process.footage import Footage, Image, Segment
from pose_tools.process.people import Sighting
from pose_tools.process.workers import tick
from pose_viz import overlay
from pose_viz.params import VizParams
from pose_viz.video import OverlayVideo, shrunk

BLOCK = 500
"""Images whose people are made from arrays at a time."""


class Reader:
    """One person of a recording, image by image."""

    def __init__(self, sequence: PoseSequence) -> None:
        self._sequence = sequence
        self._first = 0
        self._block: list[People3D] = []
        self._next = 0

    def at(self, stamp: int) -> Person3D | None:
        """The person at `stamp` (ns), None where they are not there. Stamps must increase from call to call."""
        stamps = self._sequence.stamps
        while self._next < len(stamps) and stamps[self._next] < stamp:
            self._next += 1
        if self._next == len(stamps) or stamps[self._next] != stamp:
            return None
        if not self._first <= self._next < self._first + len(self._block):
            self._first = self._next
            self._block = self._sequence[self._first : self._first + BLOCK].to_people()
        people = self._block[self._next - self._first].people
        return people[0] if people else None


@dataclass(frozen=True)
class Drawing:
    """What an overlay video is made of."""

    footage: Footage
    sighting: Sighting
    refined: tuple[Path, ...]
    """Files of the refined people."""
    camera: Camera | None
    """Of the images; None draws no 3D back into them."""
    params: VizParams
    video: VideoParams
    path: Path


def draw(drawing: Drawing) -> tuple[int, int]:
    """Write the video. Returns how many images it has, and how many were left out because they are broken or of another size.

    Reading, drawing and encoding go on at the same time, each in a thread of its own. Raises OSError where the video cannot be
    written whole.
    """
    params = drawing.params
    readers = [Reader(PoseSequence.load(path)) for path in drawing.refined]
    skeleton = PoseSequence.load(drawing.refined[0]).skeleton if drawing.refined else ""
    people = (seen.people for seen in drawing.sighting.images())
    now = next(people, None)
    shape, left_out = None, 0
    whole = Segment(1, drawing.footage.start, None)
    with (
        _one_thread(),
        OverlayVideo(
            drawing.path, drawing.video.codec, _rate(drawing)
        ) as video,  # ends last: until then a thread may write to it
        ThreadPoolExecutor(1, "read") as reading,
        ThreadPoolExecutor(1, "encode") as encoding,
    ):
        behind: Future[None] | None = None
        for stamp, bgr, _ in ahead(reading, drawing.footage.images(whole, rate=params.overlay_rate)):
            tick()
            while now is not None and now.stamp < stamp:
                now = next(people, None)
            if now is None or now.stamp != stamp or bgr is None:
                left_out += 1
                continue
            here = [person for reader in readers if (person := reader.at(stamp)) is not None]
            solid = People3D(stamp, now.frame_id, skeleton, tuple(here)) if here else None
            drawn = overlay.draw(
                bgr, now, solid, drawing.camera, shrunk(params, bgr.shape, drawing.video.scale)
            )
            shape = shape or drawn.shape
            if drawn.shape != shape:
                left_out += 1
                continue
            if behind is not None:
                behind.result()
            behind = encoding.submit(video.write, drawn, stamp)
        if behind is not None:
            behind.result()
    frames = video.frames
    expect_whole(drawing.path, frames)
    return frames, left_out


def _rate(drawing: Drawing) -> float:
    """Frames per second that the input states, where all of its images are drawn; else 0."""
    stated = drawing.footage.rate
    return stated if drawing.params.overlay_rate in (0.0, stated) else 0.0


@contextmanager
def _one_thread() -> Iterator[None]:
    """Without OpenCV's own threads."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def ahead(reading: ThreadPoolExecutor, images: Iterator[Image]) -> Iterator[Image]:
    """The images, the next of which is read while one is worked on."""
    coming = reading.submit(next, images, None)
    while (image := coming.result()) is not None:
        coming = reading.submit(next, images, None)
        yield image


def expect_whole(path: Path, frames: int) -> None:
    """Raise OSError unless the video can be opened and has so many frames: its writer does not tell of a full disk."""
    capture = cv2.VideoCapture(str(path))
    try:
        found = round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    finally:
        capture.release()
    if frames and found != frames:
        path.unlink(missing_ok=True)
        raise OSError(f"the video {path.name} could not be written whole; is the disk full?")
