"""Videos written whole or not at all, at the rate that the stamps of their images tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from pose_core.units import NS_PER_S

SUFFIXES = (".mp4",)
"""Of the files that can be written."""
CODECS = ("avc1", "mp4v")
"""H.264, which everything plays, where OpenCV can encode it; else MPEG-4 part 2, which browsers do not."""
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
    """Writes BGR images and their stamps to an MP4.

        with OverlayVideo(path) as video:
            video.write(bgr, stamp)

    The file appears under its name when the video is closed. Leaving the block by an exception, and `abort`,
    leave nothing behind, as does a video without images. Where images are missing or late, the last one is
    repeated, so that the video keeps time.
    """

    def __init__(self, path: Path | str) -> None:
        """Folders on the way to `path` are made. Raises ValueError unless it ends in .mp4."""
        self.path = Path(path)
        if self.path.suffix not in SUFFIXES:
            raise ValueError(f"a video's name must end in {', '.join(SUFFIXES)}, got '{self.path}'")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._partial = self.path.with_name(f".{self.path.stem}.partial.mp4")
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
        self.rate = float(np.clip(1.0 / np.median(periods), *RATES)) if len(periods) else DEFAULT_RATE
        height, width = self._waiting[0][1].shape[:2]
        # H.264 halves the resolution of colour, so it wants even sizes.
        self._size = (max(width // 2 * 2, 2), max(height // 2 * 2, 2))
        self._writer = _writer(self._partial, self.rate, self._size)
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


def _writer(path: Path, rate: float, size: tuple[int, int]) -> cv2.VideoWriter:
    with _quiet():
        for codec in CODECS:
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), rate, size)
            if writer.isOpened():
                return writer
    raise OSError(f"cannot write the video {path}; is the folder writable, and does this OpenCV have FFmpeg?")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without OpenCV's own messages: that a codec is missing is expected."""
    logging: Any = getattr(cv2.utils, "logging", cv2)  # where newer releases have moved it
    level = logging.getLogLevel()
    logging.setLogLevel(SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
