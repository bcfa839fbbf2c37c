"""Videos written whole or not at all, at the rate that the stamps of their images tell."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from pose_core.units import NS_PER_S
from pose_viz.codecs import CODECS, SUFFIXES
from pose_viz.params import VizParams

TRACK_UID = b"\x73\xc5\x88"
"""Before the eight random bytes by which a WebM file names its track."""
HEADER = 4096
"""Bytes of a WebM file in which that name stands."""
RATE_IMAGES = 8
"""Images that are held back until the median of their distances gives the frame rate."""
DEFAULT_RATE = 30.0
"""Frames per second of a video with a single image."""
RATES = (1.0, 1000.0)
"""Frames per second that a file can state and a player play."""
LONGEST_GAP = 1.0
"""Seconds that a gap in the stamps shows the last image at most, so that a pause does not fill the disk."""
SILENT = 0
"""OpenCV's LOG_LEVEL_SILENT, which its Python module does not name."""


class OverlayVideo:
    """Writes BGR images and their stamps to a video. The same images give the same bytes.

        with OverlayVideo(path) as video:
            video.write(bgr, stamp)

    The file appears under its name when the video is closed. Leaving the block by an exception, and `abort`,
    leave nothing behind, as does a video without images. Where images are missing or late, the last one is
    repeated, so that the video keeps time.
    """

    def __init__(self, path: Path | str, codec: str = "", rate: float = 0.0) -> None:
        """Folders on the way to `path` are made. `codec`: one of `CODECS`; empty: the first whose files end as `path` does.

        `rate`: frames per second; 0: as the stamps tell. Raises ValueError for a codec that is not known, and unless `path` ends
        as its files do.
        """
        self.path = Path(path)
        if self.path.suffix not in SUFFIXES:
            raise ValueError(f"a video's name must end in {' or '.join(SUFFIXES)}, got '{self.path}'")
        codec = codec or next(name for name, one in CODECS.items() if one.suffix == self.path.suffix)
        if codec not in CODECS:
            raise ValueError(f"unknown codec '{codec}'; choose one of {', '.join(CODECS)}")
        self._codec = CODECS[codec]
        if self.path.suffix != self._codec.suffix:
            raise ValueError(
                f"the name of a video of codec {codec} must end in {self._codec.suffix}, got '{self.path}'"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._partial = self.path.with_name(f".{self.path.stem}.partial{self._codec.suffix}")
        self._stated = rate
        self._waiting: list[tuple[int, np.ndarray]] = []
        self._writer: cv2.VideoWriter | None = None
        self._size: tuple[int, int] = (0, 0)
        self._last: tuple[int, np.ndarray] | None = None
        self._due = 0.0
        self._open = True
        self.rate = 0.0
        """Frames per second; 0 until it is known."""
        self.frames = 0
        """Frames in the file so far."""

    def __enter__(self) -> OverlayVideo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close() if kind is None else self.abort()

    def write(self, bgr: np.ndarray, stamp: int) -> None:
        """Add an image (H, W, 3) uint8 of `stamp` (ns). All images have the size of the first.

        Raises ValueError for another size, for a stamp that does not increase, and after the end.
        """
        if not self._open:
            raise ValueError(f"the video {self.path} is finished; start another one")
        newest = self._waiting[-1] if self._waiting else self._last
        if newest is not None:
            if bgr.shape != newest[1].shape:
                raise ValueError(
                    f"images of a video must have one size, got {bgr.shape} after {newest[1].shape}"
                )
            if stamp <= newest[0]:
                raise ValueError(f"stamps of a video must increase, got {stamp} after {newest[0]}")
        if self._writer is not None:
            self._put(self._writer, bgr, stamp)
            return
        self._waiting.append((stamp, bgr.copy()))
        if len(self._waiting) == RATE_IMAGES:
            self._start()

    def close(self) -> Path | None:
        """Finish the file and give its name; None without images. Raises OSError if nothing was written."""
        self._open = False
        if self._waiting:
            self._start()
        if self._writer is None:
            return None
        self._writer.release()
        self._writer = None
        if not self._partial.is_file() or self._partial.stat().st_size == 0:
            raise OSError(f"the video {self.path} could not be written; is the disk full?")
        if self._codec.suffix == ".webm":
            _name_track(self._partial)
        return self._partial.replace(self.path)

    def abort(self) -> None:
        """Stop and leave nothing behind. A finished video stays."""
        self._open = False
        self._waiting = []
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        self._partial.unlink(missing_ok=True)

    def _start(self) -> None:
        periods = np.diff([stamp for stamp, _ in self._waiting]) / NS_PER_S
        told = 1.0 / float(np.median(periods)) if len(periods) else DEFAULT_RATE
        self.rate = float(np.clip(self._stated or told, *RATES))
        height, width = self._waiting[0][1].shape[:2]
        # These codecs halve the resolution of colour, so that they want even sizes.
        self._size = (max(width // 2 * 2, 2), max(height // 2 * 2, 2))
        self._writer = _writer(self._partial, self._codec.fourcc, self.rate, self._size)
        waiting, self._waiting = self._waiting, []
        for stamp, bgr in waiting:
            self._put(self._writer, bgr, stamp)

    def _put(self, writer: cv2.VideoWriter, bgr: np.ndarray, stamp: int) -> None:
        if self._last is not None:
            last_stamp, last = self._last
            self._due += min((stamp - last_stamp) / NS_PER_S, LONGEST_GAP) * self.rate
            while self.frames < round(self._due):
                self._encode(writer, last)
        self._encode(writer, bgr)
        self._last = (stamp, bgr.copy())

    def _encode(self, writer: cv2.VideoWriter, bgr: np.ndarray) -> None:
        width, height = self._size
        writer.write(np.ascontiguousarray(bgr[:height, :width]))
        self.frames += 1


def _writer(path: Path, fourcc: str, rate: float, size: tuple[int, int]) -> cv2.VideoWriter:
    with _quiet():
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*fourcc), rate, size)
    if not writer.isOpened():
        raise OSError(
            f"cannot write the video {path}; is the folder writable, and does this OpenCV have FFmpeg with {fourcc}?"
        )
    return writer


def shrunk(params: VizParams, shape: tuple[int, ...], scale: float) -> VizParams:
    """`params` that draw an image of `shape` (H, W, ...) at `scale` of its size, and no larger than they did."""
    if scale == 1.0:
        return params
    size = max(round(max(shape[:2]) * scale), 1)
    return replace(params, overlay_max_size=min(size, params.overlay_max_size or size))


def _name_track(path: Path) -> None:
    """Give the track of a WebM file the name 1 in place of a random one, so that the same images give the same bytes."""
    with path.open("r+b") as file:
        header = file.read(HEADER)
        at = header.find(TRACK_UID)
        if at < 0:
            return
        start = at + len(TRACK_UID)
        named = header.replace(header[start : start + 8], (1).to_bytes(8, "big"))
        file.seek(0)
        file.write(named)


_opening = threading.Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without OpenCV's own messages: that WebM has no table of four-letter codes is expected, and said past its log."""
    logging: Any = getattr(cv2.utils, "logging", cv2)  # where newer releases have moved it
    with _opening:
        level = logging.getLogLevel()
        logging.setLogLevel(SILENT)
        stderr, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, 2)
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.close(nothing)
            logging.setLogLevel(level)
