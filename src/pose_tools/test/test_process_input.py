"""Recordings read in parts: every image once, with the stamp that it has when the whole is read from its start."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose2d_node.params import Pose2DParams
from pose2d_node.sources import VIDEO_ORIGIN_NS, open_source
from pose2d_node.testing import image_of, index_of
from pose_core import assets
from pose_tools.graph.demo import VIDEO
from pose_tools.process import footage as process_input
from pose_tools.process.footage import (
    LONGEST,
    SEGMENTS,
    SHORTEST,
    WARM_UP,
    FolderFootage,
    Footage,
    Segment,
    Sparse,
    VideoFootage,
)

MS = 1_000_000


def write_video(path: Path, frames: int, fps: float = 30.0) -> Path:
    """Grey images that tell their numbers modulo 30."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (64, 48))
    for index in range(frames):
        writer.write(image_of(index))
    writer.release()
    return path


def numbers(footage: Footage, segment: Segment, warm_up: int = 0) -> list[tuple[int, int, bool]]:
    return [
        (stamp, index_of(bgr), counts)
        for stamp, bgr, counts in footage.images(segment, warm_up)
        if bgr is not None
    ]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [(1, 1), (49, 1), (50, 1), (51, 2), (100, 2), (200, 4), (1999, 4), (2000, 4), (2001, 5), (108_000, 216)],
)
def test_segments_are_as_many_as_the_length_says(frames: int, expected: int) -> None:
    planned = Planned(frames).segments()
    assert len(planned) == expected
    assert [segment.number for segment in planned] == list(range(1, expected + 1))
    assert planned[0].start == 0
    assert planned[-1].end is None
    assert [a.end for a in planned[:-1]] == [b.start for b in planned[1:]]
    if SHORTEST * SEGMENTS <= frames:
        longest = max((b.start - a.start) / Planned.period for a, b in itertools.pairwise(planned))
        assert longest <= LONGEST + WARM_UP


class Planned(Footage):
    """Footage of which only the plan is asked."""

    period = 33 * MS  # type: ignore[assignment]

    def __init__(self, frames: int) -> None:
        self.path, self._frames = Path("planned"), frames

    @property
    def length(self) -> int:
        return self._frames

    def images(self, segment: Segment, warm_up: int = 0, rate: float = 0.0):
        raise AssertionError("nobody reads a plan")

    def describe(self) -> str:
        return "planned"


def test_the_parts_of_a_video_are_the_whole(tmp_path: Path) -> None:
    footage = VideoFootage.open(write_video(tmp_path / "film.mp4", 130))
    assert footage.jumps
    segments = footage.segments()
    assert len(segments) == 3
    live = [
        (frame.stamp, index_of(frame.bgr))
        for frame in open_source(Pose2DParams(source=str(tmp_path / "film.mp4")))
    ]
    parts = [numbers(footage, segment) for segment in segments]
    assert [one[:2] for part in parts for one in part] == live
    assert len(live) == 130


def test_what_warms_up_stands_before_the_segment_and_does_not_count(tmp_path: Path) -> None:
    footage = VideoFootage.open(write_video(tmp_path / "film.mp4", 130))
    first, second, _ = footage.segments()
    assert all(counts for _, _, counts in numbers(footage, first, WARM_UP))
    warmed = numbers(footage, second, WARM_UP)
    assert [counts for _, _, counts in warmed].index(True) == WARM_UP
    assert [one for one in warmed if one[2]] == numbers(footage, second)
    assert warmed[WARM_UP - 1][0] < VIDEO_ORIGIN_NS + second.start <= warmed[WARM_UP][0]


def test_a_video_without_jumps_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "film.mp4", 120)
    quick = VideoFootage.open(path)
    monkeypatch.setattr(process_input, "_can_jump", lambda *_: False)
    slow = VideoFootage.open(path)
    assert (quick.jumps, slow.jumps) == (True, False)
    for segment in quick.segments():
        assert numbers(slow, segment, WARM_UP) == numbers(quick, segment, WARM_UP)


@pytest.mark.skipif(not assets.is_intact(VIDEO), reason="NOT RUN ON REAL VIDEO: fetch it")
def test_a_real_video_has_the_same_pixels_after_a_jump() -> None:
    footage = VideoFootage.open(assets.path(VIDEO))
    assert footage.jumps
    assert (footage.length, len(footage.segments())) == (100, 2)
    _, second = footage.segments()
    jumped = next(footage.images(second))
    whole = next(
        frame
        for frame in open_source(Pose2DParams(source=str(assets.path(VIDEO))))
        if frame.stamp == jumped.stamp
    )
    assert jumped.bgr is not None
    np.testing.assert_array_equal(jumped.bgr, whole.bgr)


class Tape:
    """A capture whose images come at uneven times, with a clumsy jump: `late` images after the place asked for."""

    times_ms: tuple[float, ...] = ()
    late = 0

    def __init__(self, path: str) -> None:
        self._next = 0

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def grab(self) -> bool:
        self._next += 1
        return self._next <= len(self.times_ms)

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.full((4, 4, 3), self._next - 1, np.uint8)

    def get(self, prop: int) -> float:
        known = {cv2.CAP_PROP_FPS: 25.0, cv2.CAP_PROP_FRAME_COUNT: float(len(self.times_ms))}
        return (
            self.times_ms[min(self._next, len(self.times_ms)) - 1]
            if prop == cv2.CAP_PROP_POS_MSEC
            else known.get(prop, 4.0)
        )

    def set(self, prop: int, value: float) -> bool:
        if prop == cv2.CAP_PROP_POS_FRAMES:
            self._next = min(int(value) + self.late, len(self.times_ms) - 1) if value else 0
        return True

    def release(self) -> None:
        """Nothing is held."""


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.sampled_from([5.0, 20.0, 40.0, 60.0, 200.0]), min_size=60, max_size=150),
    late=st.integers(0, 30),
)
def test_uneven_times_and_clumsy_jumps_lose_nothing(steps: list[float], late: int) -> None:
    times = tuple(np.cumsum([80.0, *steps]).tolist())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process_input, "open_video", type("Cut", (Tape,), {"times_ms": times, "late": late}))
        footage = VideoFootage(Path("tape.mp4"), len(times), 40 * MS, times[0], jumps=True)
        found = [
            (image.stamp, int(image.bgr[0, 0, 0]))
            for segment in footage.segments()
            for image in footage.images(segment)
            if image.bgr is not None
        ]
    expected = [(VIDEO_ORIGIN_NS + round((time - times[0]) * MS), i) for i, time in enumerate(times)]
    assert found == expected


def test_times_that_stand_still_forbid_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = type("Stuck", (Tape,), {"times_ms": (0.0,) * 200})
    monkeypatch.setattr(process_input, "open_video", stuck)
    assert not process_input._can_jump(Path("x"), 100, 40 * MS, 0.0)
    even = type("Even", (Tape,), {"times_ms": tuple(40.0 * i for i in range(200))})
    monkeypatch.setattr(process_input, "open_video", even)
    assert process_input._can_jump(Path("x"), 100, 40 * MS, 0.0)
    assert not process_input._can_jump(Path("x"), 197, 40 * MS, 0.0)


def test_a_video_that_must_be_read_from_its_start_has_few_parts() -> None:
    frames = 100_000
    assert len(VideoFootage(Path("x"), frames, 40 * MS, 0.0, jumps=True).segments()) == frames // LONGEST
    assert len(VideoFootage(Path("x"), frames, 40 * MS, 0.0, jumps=False).segments()) == SEGMENTS


def test_a_video_that_breaks_off_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "film.mp4", 120)

    class Boasting:
        """States more images than there are."""

        def __init__(self, path: str) -> None:
            self._capture = cv2.VideoCapture(path)

        def __getattr__(self, name: str) -> object:
            return getattr(self._capture, name)

        def get(self, prop: int) -> float:
            return 5000.0 if prop == cv2.CAP_PROP_FRAME_COUNT else self._capture.get(prop)

    monkeypatch.setattr(process_input, "open_video", Boasting)
    footage = VideoFootage.open(path)
    assert (footage.length, footage.jumps, len(footage.segments())) == (120, True, 3)


def test_the_parts_of_a_folder_are_the_whole_in_the_order_of_numbers(tmp_path: Path) -> None:
    for index in range(60):
        cv2.imwrite(str(tmp_path / f"bild {index}.png"), image_of(index))
    (tmp_path / "bild 7.png").write_bytes(b"no image")
    footage = FolderFootage.open(tmp_path, 25.0)
    segments = footage.segments()
    assert len(segments) == 2
    images = [image for segment in segments for image in footage.images(segment)]
    assert [stamp for stamp, _, _ in images] == [VIDEO_ORIGIN_NS + i * 40 * MS for i in range(60)]
    assert [None if bgr is None else index_of(bgr) for _, bgr, _ in images] == [
        None if i == 7 else i % 30 for i in range(60)
    ]


def test_footage_goes_to_other_processes_and_tells_changes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", 12)
    footage = VideoFootage.open(path)
    assert pickle.loads(pickle.dumps(footage)) == footage
    before = footage.identity()
    assert before == VideoFootage.open(path).identity()
    write_video(path, 13)
    assert VideoFootage.open(path).identity() != before


def test_a_video_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(write_video(tmp_path / "film.mp4", 0).read_bytes())
    with pytest.raises(ValueError, match="empty.mp4"):
        VideoFootage.open(tmp_path / "empty.mp4")


@pytest.mark.parametrize(("rate", "kept"), [(0.0, 61), (60.0, 61), (30.0, 31), (10.0, 11)])
def test_sparse_keeps_so_many_per_second(rate: float, kept: int) -> None:
    sparse = Sparse(rate)
    times = [round(i * 1e9 / 60) for i in range(61)]
    assert sum(sparse.takes(time) for time in times) == kept
