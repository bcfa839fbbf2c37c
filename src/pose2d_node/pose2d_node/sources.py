"""Where images come from: a camera, a video file or a folder of images.

A source is iterated, and a thread of its own grabs ahead of the one that works:

- camera, and recording in real time: only the newest image waits; older ones are dropped, so the work never
  lags behind.
- recording as fast as possible: every image, a few of them decoded ahead.

Stamps increase strictly. A camera's image is stamped with the system time of its arrival; a recording's
with its own time line, which starts at VIDEO_ORIGIN_NS, or in real time with the system time at which it is
due.
"""

from __future__ import annotations

import math
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from pose2d_node.params import Pose2DParams, is_camera
from pose_core.reading import picture
from pose_core.system.exits import Unavailable
from pose_core.system.inbox import Inbox
from pose_core.units import NS_PER_S

VIDEO_ORIGIN_NS = NS_PER_S
"""Stamp of a recording's first image: a ROS stamp of zero would mean that there is none."""

AHEAD = 2
"""Images decoded ahead: one is ready while the next one decodes; more would only cost memory."""

LARGEST_IMAGE = 1 << 30
"""Bytes of a file of a folder; `picture.MAX_PIXELS` of 16 bit colour and opacity, uncompressed, have half of them."""

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

DEFAULT_FPS = 30.0
"""Of a video that states no usable frame rate."""
MAX_FPS = 1000.0
"""A stated frame rate above this is a container's time base, not a rate."""

MAX_LATE_IN_A_ROW = 10
"""Late images dropped one after another before one is shown all the same: slow is better than nothing."""

MOST_BEHIND = NS_PER_S // 2
"""ns that a recording in real time falls behind its clock before it leaps to the image that is due."""

CALM = 10 * NS_PER_S
"""ns without a leap after which a recording counts as fast enough again."""

FIRST_RETRY, LAST_RETRY = 0.5, 5.0
"""Seconds until a lost camera is tried again, doubled up to the latter."""

THREAD_PATIENCE = 2.0
"""Seconds that a driver may stay inside one grab before its thread is left to end by itself."""

CAMERA_MODE = {
    "width": cv2.CAP_PROP_FRAME_WIDTH,
    "height": cv2.CAP_PROP_FRAME_HEIGHT,
    "fps": cv2.CAP_PROP_FPS,
}

PTS_MS = 1_000_000
"""Nanoseconds in the unit of CAP_PROP_POS_MSEC."""


@dataclass(frozen=True)
class Frame:
    """One image. Times in ns: `stamp` of the image, `grabbed_*` of the system clock.

    A camera's image is grabbed from its arrival until it is decoded, a real-time recording's from when it
    is due. A recording read as fast as possible has no such instant: there it is the time that the pipeline
    waited for the image.
    """

    stamp: int
    bgr: np.ndarray  # (H, W, 3) uint8, never written to again
    grabbed_start: int
    grabbed_end: int


@dataclass(frozen=True)
class Clock:
    """System time and time that never jumps, both in ns."""

    system: Callable[[], int] = time.time_ns
    steady: Callable[[], int] = time.monotonic_ns


Report = Callable[[str, str], None]
"""`report(name, sentence)` states a fault from any thread; an empty sentence takes it back."""


def silent(name: str, sentence: str) -> None:
    """A report that nobody reads."""


class Capture(Protocol):
    """The part of cv2.VideoCapture that is used."""

    def isOpened(self) -> bool: ...  # noqa: N802

    def grab(self) -> bool: ...

    def retrieve(self) -> tuple[bool, np.ndarray]: ...

    def get(self, prop: int, /) -> float: ...

    def set(self, prop: int, value: float, /) -> bool: ...

    def release(self) -> None: ...


OpenCapture = Callable[..., Capture]


class Source(ABC):
    """Images one after another: `for frame in source`. Iterating again starts anew and ends the iteration
    before.

    `skipped` counts the images that were dropped because newer ones were there.
    """

    def __init__(self, report: Report, clock: Clock) -> None:
        self.skipped = 0
        self._report, self._clock = report, clock
        self._handover: Inbox[Frame] | None = None
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[Frame]:
        self._end()
        handover = self._handover = self._new_handover()
        thread = self._thread = threading.Thread(target=self._run, args=(handover,), name="grab", daemon=True)
        thread.start()
        return self._frames(handover, thread)

    def _frames(self, handover: Inbox[Frame], thread: threading.Thread) -> Iterator[Frame]:
        skipped = self.skipped
        try:
            while (frame := self._take(handover)) is not None:
                self.skipped = skipped + handover.skipped
                yield frame
        finally:
            handover.close()
            thread.join(THREAD_PATIENCE)

    def close(self) -> None:
        """End the iteration, from any thread. The source may be iterated again."""
        self._end()

    @abstractmethod
    def describe(self) -> str:
        """What it is, in a few words."""

    @abstractmethod
    def _new_handover(self) -> Inbox[Frame]: ...

    @abstractmethod
    def _grab(self, handover: Inbox[Frame]) -> None:
        """Put frames until there are no more, or nobody wants them. Runs in a thread of its own."""

    def _take(self, handover: Inbox[Frame]) -> Frame | None:
        return handover.take()

    def _end(self) -> None:
        if self._handover is not None and self._thread is not None:
            self._handover.close()
            # A thread that reads a video while the process ends would abort it.
            self._thread.join(THREAD_PATIENCE)

    def _run(self, handover: Inbox[Frame]) -> None:
        try:
            self._grab(handover)
        except BaseException as error:  # noqa: BLE001 - a thread's boundary: `take` raises it again
            handover.finish(error)
        else:
            handover.finish()


class CameraSource(Source):
    """A camera or a network stream: the newest image only. A camera that vanishes is awaited."""

    def __init__(
        self,
        address: int | str,
        width: int = 0,
        height: int = 0,
        fps: float = 0.0,
        report: Report = silent,
        clock: Clock | None = None,
        open_capture: OpenCapture = cv2.VideoCapture,
    ) -> None:
        """`address`: index, device or URL. `width`, `height`, `fps`: asked of the camera unless 0, fault
        where refused.

        Raises Unavailable where it gives no image now.
        """
        super().__init__(report, clock or Clock())
        self._address, self._open_capture = address, open_capture
        self._asked = {"width": width, "height": height, "fps": fps}
        self._last = 0
        self._first = self._open()
        if self._first is None:
            found = ", ".join(sorted(str(device) for device in Path("/dev").glob("video*")))
            raise Unavailable(
                f"camera {address} gives no image; check that it is plugged in and that no other program "
                f"uses it (video devices here: {found or 'none'})"
            )
        self._mode = {name: self._first.get(prop) for name, prop in CAMERA_MODE.items()}

    def describe(self) -> str:
        return "camera {}, {width:g} x {height:g} at {fps:g} Hz".format(self._address, **self._mode)

    def close(self) -> None:
        super().close()
        if self._first is not None:
            self._first.release()
            self._first = None

    def _new_handover(self) -> Inbox[Frame]:
        return Inbox(1, newest=True)

    def _grab(self, handover: Inbox[Frame]) -> None:
        capture, self._first = self._first or self._open(), None
        retry = FIRST_RETRY
        try:
            while not handover.closed:
                frame = None if capture is None else self._read(capture)
                if frame is not None:
                    if retry > FIRST_RETRY:
                        self._report("camera", "")
                    retry = FIRST_RETRY
                    handover.put(frame)
                    continue
                if capture is not None:
                    capture.release()
                self._report(
                    "camera", f"camera {self._address} gives no image; check its cable (it is tried again)"
                )
                if handover.pause(retry):
                    retry = min(2.0 * retry, LAST_RETRY)
                    capture = self._open()
        finally:
            if capture is not None:
                capture.release()

    def _read(self, capture: Capture) -> Frame | None:
        if not capture.grab():
            return None
        arrived = self._clock.system()
        good, bgr = capture.retrieve()
        if not good:
            return None
        self._last = max(arrived, self._last + 1)
        return Frame(self._last, bgr, arrived, self._clock.system())

    def _open(self) -> Capture | None:
        """The camera, asked for its mode, or None where it gives no image."""
        capture = self._open_capture(self._address)
        asked = {name: value for name, value in self._asked.items() if value}
        for name, value in asked.items():
            capture.set(CAMERA_MODE[name], value)
        if not capture.isOpened() or not capture.grab():
            capture.release()
            return None
        given = {name: capture.get(CAMERA_MODE[name]) for name in asked}
        refused = [name for name, value in asked.items() if abs(given[name] - value) > 0.01 * value]
        words = ", ".join(f"{name} {given[name]:g} instead of {asked[name]:g}" for name in refused)
        works = f"camera {self._address} works at {words}; ask for a mode that it has"
        self._report("camera_mode", works if refused else "")
        return capture


class Shot(Protocol):
    """Decodes one image; None where it cannot be read."""

    def __call__(self) -> np.ndarray | None: ...


def whole() -> int:
    """Every image of a recording is wanted."""
    return 0


class Recording(ABC):
    """Images on disk with a time line: presentation times in ns, the first one 0, strictly increasing."""

    path: Path
    period: int
    """Nominal time between two images, ns."""

    @abstractmethod
    def shots(self, report: Report, wanted: Callable[[], int] = whole) -> Iterator[tuple[int, Shot]]:
        """Presentation times and what decodes the image; each shot is valid until the next one.

        `wanted()`, asked before each image, is the earliest time in the recording that is of any use: images before it may be
        passed over.
        """

    @abstractmethod
    def describe(self) -> str: ...


class Video(Recording):
    """A video file, turned upright as its rotation tag says. Raises ValueError where it cannot be read."""

    def __init__(self, path: Path, open_capture: OpenCapture = cv2.VideoCapture) -> None:
        self.path, self._open_capture = path, open_capture
        capture = self._open()
        try:
            if not capture.isOpened():
                raise ValueError(
                    f"{path} is not a video that can be read; check that it plays and is complete"
                )
            fps = capture.get(cv2.CAP_PROP_FPS)
            self._states_fps = math.isfinite(fps) and 0.0 < fps <= MAX_FPS
            self.period = round(NS_PER_S / (fps if self._states_fps else DEFAULT_FPS))
            self._stated = max(capture.get(cv2.CAP_PROP_FRAME_COUNT), 0.0)
            if not capture.grab() or decoded(capture) is None:
                raise ValueError(
                    f"{path} holds no image that can be decoded; check that it plays and is complete"
                )
            self._size = tuple(capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        finally:
            capture.release()

    def describe(self) -> str:
        return f"{self.path.name}, {self._size[0]:.0f} x {self._size[1]:.0f} at {NS_PER_S / self.period:g} Hz"

    def shots(self, report: Report, wanted: Callable[[], int] = whole) -> Iterator[tuple[int, Shot]]:
        if not self._states_fps:
            report(
                "frame_rate",
                f"{self.path} states no usable frame rate; {DEFAULT_FPS:g} Hz is assumed where times lack",
            )
        capture = self._open()
        first, last, count = math.nan, -1, 0
        can_leap, end = True, self._stated * self.period
        try:
            while True:
                goal = wanted() if count and can_leap and math.isfinite(first) else 0
                leaps = goal > last + self.period
                if leaps and goal >= end:
                    return  # all that is left is too late; where no length is stated, that is not known
                if leaps:
                    capture.set(cv2.CAP_PROP_POS_MSEC, first + goal / PTS_MS)
                if not capture.grab():
                    break
                raw = capture.get(cv2.CAP_PROP_POS_MSEC)
                first = raw if count == 0 else first
                stated = (raw - first) * PTS_MS
                if (leaps or not can_leap) and not stated > last:  # the container does not find its images
                    can_leap = False
                    continue
                last = next_time(last, stated, self.period)
                count += 1
                yield last, partial(decoded, capture)
        finally:
            capture.release()
        self._check_length(last + self.period, count, report)

    def _check_length(self, duration: int, count: int, report: Report) -> None:
        """Report a video that ends early.

        The number of images that a container states, or OpenCV estimates, may only be duration x rate, so
        durations are compared.
        """
        stated = self._stated * self.period
        if duration < 0.98 * stated - 0.1 * NS_PER_S:
            report(
                "recording",
                f"{self.path} broke off after {count} of the {self._stated:.0f} images it states; "
                "it is cut off or damaged",
            )

    def _open(self) -> Capture:
        capture = self._open_capture(str(self.path))
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # not the default of every build
        return capture


class Folder(Recording):
    """The images of a folder, ordered by the numbers in their names, at a stated rate.

    An unreadable file is skipped and reported; its time passes. Raises ValueError where there is no
    readable image.
    """

    def __init__(self, path: Path, rate_hz: float) -> None:
        self.path, self.period = path, round(NS_PER_S / rate_hz)
        self._files = sorted(
            (file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES), key=natural_order
        )
        if not self._files:
            raise ValueError(
                f"{path} holds no images; it needs files that end in {', '.join(IMAGE_SUFFIXES)}"
            )
        if all(read_image(file) is None for file in self._files):
            raise ValueError(
                f"{path} holds {len(self._files)} images, none of which can be read; check the files"
            )

    def describe(self) -> str:
        return f"{self.path.name}, {len(self._files)} images at {NS_PER_S / self.period:g} Hz"

    def shots(self, report: Report, wanted: Callable[[], int] = whole) -> Iterator[tuple[int, Shot]]:
        unreadable: list[str] = []

        def read(file: Path) -> np.ndarray | None:
            bgr = read_image(file)
            if bgr is None:
                unreadable.append(file.name)
                report(
                    "images",
                    f"{len(unreadable)} images of {self.path} cannot be read, the last one is {file.name}",
                )
            return bgr

        for index, file in enumerate(self._files):
            if index * self.period >= wanted():
                yield index * self.period, partial(read, file)


class Playhead:
    """When the images of a recording are due, for a reader that may be slower than the recording.

    More than MOST_BEHIND behind its clock it leaps to the image that is due. Where that does not help, because a video is
    decoded from the key image before the one that is wanted, the clock waits instead: all that follows is due later. So no
    image is much older than MOST_BEHIND when it comes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start: tuple[int, int] | None = None
        self._last = -1
        self._leap: tuple[int, int] | None = None
        self._leaps_pay = True
        self._slow_until: float = -math.inf

    def wanted(self) -> int:
        """The earliest time of the recording (ns) that is of use: 0 unless the reader is far behind."""
        self._leap = None
        if self._start is None:
            return 0
        due = self._clock.steady() - self._start[0]
        behind = due - self._last
        if behind <= MOST_BEHIND:
            return 0
        self._leap = due, behind
        return due if self._leaps_pay else 0

    def arrive(self, at: int) -> int:
        """How late (ns, negative: early) the image of this time comes, not yet decoded.

        The clock starts with the first one, as opening a recording takes time, and may wait (see above).
        """
        steady = self._clock.steady()
        if self._start is None:
            self._start = steady, self._clock.system()
        late = steady - self._start[0] - at
        if self._leap is not None:
            self._slow_until = steady + CALM
            goal, behind = self._leap
            self._leaps_pay = self._leaps_pay and (at < goal or late < behind)
            if late > MOST_BEHIND:
                self._start = self._start[0] + late, self._start[1] + late
                late = 0
        self._last = at
        return late

    def until(self, at: int) -> int:
        """ns until the image of this time, which has arrived, is due."""
        assert self._start is not None
        return self._start[0] + at - self._clock.steady()

    def due(self, at: int) -> int:
        """System time (ns) at which the image of this time, which has arrived, is due."""
        assert self._start is not None
        return self._start[1] + at

    @property
    def leaps(self) -> bool:
        """Whether the reader was told to leap to the next image."""
        return self._leap is not None

    @property
    def slow(self) -> bool:
        """Whether the reader was too slow for the recording of late."""
        return self._clock.steady() < self._slow_until


class Playback(Source):
    """Plays a recording, again and again where `loop`; the time line then goes on.

    In real time an image that is late by more than a period is dropped as long as that helps. A recording that cannot be
    decoded at its own rate is passed over in parts or slowed down (`Playhead`), and reported: its images stay young.
    """

    def __init__(
        self,
        recording: Recording,
        loop: bool = False,
        real_time: bool = False,
        report: Report = silent,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(report, clock or Clock())
        self._recording, self._loop, self._real_time = recording, loop, real_time
        self._told_slow = False

    def describe(self) -> str:
        return self._recording.describe()

    def _new_handover(self) -> Inbox[Frame]:
        return Inbox(1, newest=True) if self._real_time else Inbox(AHEAD, newest=False)

    def _take(self, handover: Inbox[Frame]) -> Frame | None:
        if self._real_time:
            return handover.take()
        start = self._clock.system()
        frame = handover.take()
        return frame and replace(frame, grabbed_start=start, grabbed_end=self._clock.system())

    def _grab(self, handover: Inbox[Frame]) -> None:
        playhead = Playhead(self._clock)
        show = self._when_due(handover, playhead) if self._real_time else self._at_once(handover)
        offset = 0
        while True:
            shown, last = 0, 0
            wanted = partial(_wanted_of_round, playhead, offset) if self._real_time else whole
            for time_in_recording, shot in self._recording.shots(self._report, wanted):
                last = offset + time_in_recording
                if handover.closed:
                    return
                shown += show(last, shot)
            offset = last + self._recording.period
            if not self._loop or not shown:
                return

    def _at_once(self, handover: Inbox[Frame]) -> Callable[[int, Shot], bool]:
        def show(at: int, shot: Shot) -> bool:
            bgr = shot()
            return bgr is not None and handover.put(Frame(VIDEO_ORIGIN_NS + at, bgr, 0, 0))

        return show

    def _when_due(self, handover: Inbox[Frame], playhead: Playhead) -> Callable[[int, Shot], bool]:
        period = self._recording.period
        last, late_before, late_in_a_row = 0, 0, 0

        def show(at: int, shot: Shot) -> bool:
            nonlocal last, late_before, late_in_a_row
            if playhead.leaps:
                handover.skipped += max(round((at - last) / period) - 1, 0)
            last = at
            late = playhead.arrive(at)
            self._report_slow(playhead.slow)
            helps = late_in_a_row == 0 or late < late_before
            if late > period and helps and late_in_a_row < MAX_LATE_IN_A_ROW:
                late_before = late
                late_in_a_row += 1
                handover.skipped += 1
                return True
            late_in_a_row = 0
            bgr = shot()
            if bgr is None:
                return False
            early = playhead.until(at)
            if early > 0 and not handover.pause(early / NS_PER_S):
                return False
            due = playhead.due(at)
            return handover.put(Frame(due, bgr, due, self._clock.system()))

        return show

    def _report_slow(self, slow: bool) -> None:
        if slow == self._told_slow:
            return
        self._told_slow = slow
        sentence = (
            f"{self.describe()}, cannot be read in real time by this machine, so parts of it are passed over; take a smaller "
            "video, or one with more key images"
        )
        self._report("real_time", sentence if slow else "")


def _wanted_of_round(playhead: Playhead, offset: int) -> int:
    return playhead.wanted() - offset


def next_time(last: int, stated: float, period: int) -> int:
    """Presentation time in ns after `last`: the `stated` one where it is usable, else one period later."""
    if math.isfinite(stated) and round(stated) > last:
        return round(stated)
    return last + period if last >= 0 else 0


def natural_order(file: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort key in which img2 comes before img10."""
    words = re.split(r"(\d+)", file.stem.lower())
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in words], file.name


def read_image(file: Path) -> np.ndarray | None:
    """(H, W, 3) BGR, turned upright as its EXIF tag says, or None."""
    try:
        if file.stat().st_size > LARGEST_IMAGE:
            return None
        return picture.decode(file.read_bytes(), upright=True)
    except (picture.DamagedImage, OSError):
        return None


def open_source(params: Pose2DParams, report: Report = silent) -> Source:
    """The source that `params.source` names.

    Raises ValueError, saying what to check, where it gives no image.
    """
    name = params.source
    if is_camera(name):
        address = int(name) if name.isdecimal() else name
        return CameraSource(address, params.camera_width, params.camera_height, params.camera_fps, report)
    path = Path(name).expanduser()
    if path.is_dir():
        recording: Recording = Folder(path, params.image_rate_hz)
    elif path.is_file():
        recording = Video(path)
    else:
        raise ValueError(
            f"source '{name}' is no camera index, no file and no folder; "
            f"check the path (relative to {Path.cwd()})"
        )
    return Playback(recording, params.loop, params.real_time, report)


def decoded(capture: Capture) -> np.ndarray | None:
    """(H, W, 3) BGR, the image that was grabbed last; None where it is damaged."""
    try:
        good, bgr = capture.retrieve()
    except cv2.error:
        return None
    return bgr if good else None
