from __future__ import annotations

import itertools
import math
import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose2d_node import sources
from pose2d_node.params import Pose2DParams
from pose2d_node.sources import (
    VIDEO_ORIGIN_NS,
    CameraSource,
    Clock,
    Folder,
    Playback,
    Video,
    decoded,
    natural_order,
    next_time,
    open_source,
)
from pose2d_node.testing import HEIGHT, WIDTH, image_of, index_of
from pose_core.system.inbox import Inbox

MS = 1_000_000
PERIOD = 40 * MS  # 25 frames per second


class Reports(list):
    def __call__(self, name: str, sentence: str) -> None:
        self.append((name, sentence))

    def about(self, name: str) -> list[str]:
        return [sentence for about, sentence in self if about == name]


class FakeCapture:
    """Plays `times` (ms) with images that tell their numbers; `grab` may be overridden by a function."""

    def __init__(
        self, times: list[float], fps: float = 25.0, opened: bool = True, stated: float = 0.0
    ) -> None:
        self.times, self.opened, self.index, self.released = times, opened, -1, False
        self.answers = {cv2.CAP_PROP_FPS: fps, cv2.CAP_PROP_FRAME_COUNT: stated}
        self.answers |= {cv2.CAP_PROP_FRAME_WIDTH: WIDTH, cv2.CAP_PROP_FRAME_HEIGHT: HEIGHT}

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def grab(self) -> bool:
        self.index += 1
        return self.opened and self.index < len(self.times)

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, image_of(self.index)

    def get(self, prop: int) -> float:
        return self.times[self.index] if prop == cv2.CAP_PROP_POS_MSEC else self.answers[prop]

    def set(self, prop: int, value: float) -> bool:
        return False

    def release(self) -> None:
        self.released = True


def played(source: sources.Source, count: int | None = None) -> list[tuple[int, int]]:
    """Stamps and numbers of the images."""
    frames = itertools.islice(source, count)
    return [(frame.stamp, index_of(frame.bgr)) for frame in frames]


@pytest.mark.parametrize(("name", "code"), [("film.avi", "MJPG"), ("film.mp4", "mp4v")])
def test_a_video_gives_every_image_on_its_own_time_line(make_video, name, code):
    source = Playback(Video(make_video(name, code=code)))
    expected = [(VIDEO_ORIGIN_NS + i * PERIOD, i) for i in range(10)]
    assert played(source) == expected
    assert played(source) == expected  # it starts anew
    assert source.describe() == f"{name}, 64 x 48 at 25 Hz"


def test_a_loop_goes_on_in_time(make_video):
    source = Playback(Video(make_video()), loop=True)
    assert played(source, 25) == [(VIDEO_ORIGIN_NS + i * PERIOD, i % 10) for i in range(25)]


def test_an_iteration_that_is_left_early_can_be_started_anew(make_video):
    source = Playback(Video(make_video()))
    assert played(source, 3)[-1] == (VIDEO_ORIGIN_NS + 2 * PERIOD, 2)
    assert len(played(source)) == 10


def test_variable_frame_rate_keeps_its_times():
    times = [500.0, 540.0, 600.0, 610.0]
    video = Video(Path("film.mp4"), lambda path: FakeCapture(times))
    assert played(Playback(video)) == [(VIDEO_ORIGIN_NS + t * MS, i) for i, t in enumerate([0, 40, 100, 110])]


def test_useless_times_become_index_over_frame_rate():
    times = [0.0, 0.0, math.nan, -5.0, 200.0, 190.0]
    video = Video(Path("film.mp4"), lambda path: FakeCapture(times))
    stamps = [stamp - VIDEO_ORIGIN_NS for stamp, _ in played(Playback(video))]
    assert stamps == [0, 40 * MS, 80 * MS, 120 * MS, 200 * MS, 240 * MS]


@pytest.mark.parametrize("fps", [0.0, math.nan, 90000.0])
def test_an_unusable_frame_rate_is_reported_and_replaced(fps):
    reports = Reports()
    source = Playback(Video(Path("film.mp4"), lambda path: FakeCapture([0.0] * 3, fps)), report=reports)
    assert [stamp for stamp, _ in played(source)] == [VIDEO_ORIGIN_NS + i * round(1e9 / 30) for i in range(3)]
    assert "30 Hz is assumed" in reports.about("frame_rate")[0]


@given(st.lists(st.floats(width=64), max_size=30), st.integers(1, 10**9))
@settings(max_examples=50, deadline=None)
def test_times_increase_whatever_a_container_states(stated, period):
    last = -1
    for value in stated:
        now = next_time(last, value, period)
        assert now > last
        assert (
            now == round(value) if math.isfinite(value) and round(value) > last else now in (0, last + period)
        )
        last = now


def test_rotated_videos_stand_upright(make_video, tmp_path):
    path = tmp_path / "phone.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (WIDTH, HEIGHT))
    marked = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    marked[:16, :16] = 255  # top left as the sensor lies
    for _ in range(3):
        writer.write(marked)
    writer.release()
    # The track header's matrix (ISO 14496-12, 8.3.2) of a clockwise quarter turn, 16.16 and 2.30 fixed point.
    content = bytearray(path.read_bytes())
    matrix = content.find(b"tkhd") + 4 + 4 + 20 + 16
    assert struct.unpack(">9i", content[matrix : matrix + 36]) == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    frame = next(iter(Playback(Video(path))))
    assert frame.bgr.shape == (WIDTH, HEIGHT, 3)
    assert frame.bgr[4:12, -12:-4].min() > 200  # now top right
    assert frame.bgr[:, :24].max() < 60


def test_a_video_cut_short_plays_to_its_end_and_is_reported(make_video):
    path = make_video(frames=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reports = Reports()
    images = played(Playback(Video(path), report=reports))
    assert 5 < len(images) < 30
    assert images == [(VIDEO_ORIGIN_NS + i * PERIOD, i) for i in range(len(images))]
    assert f"broke off after {len(images)} of the 40 images" in reports.about("recording")[0]


def test_a_whole_video_is_not_reported(make_video):
    reports = Reports()
    assert len(played(Playback(Video(make_video()), report=reports))) == 10
    assert reports == []


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_refused(tmp_path, content):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"film\.mp4 is not a video that can be read; check"):
        Video(path)


def test_a_cut_mp4_which_has_no_index_is_refused(make_video):
    path = make_video("film.mp4", code="mp4v")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="not a video that can be read"):
        Video(path)


def test_a_video_without_images_is_refused():
    capture = FakeCapture([])
    with pytest.raises(ValueError, match="holds no image that can be decoded"):
        Video(Path("film.mp4"), lambda path: capture)
    assert capture.released


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    for index in range(12):
        cv2.imwrite(str(path / f"img{index}.png"), image_of(index))
    (path / "notes.txt").write_text("no image")
    return path


def test_a_folder_is_ordered_by_number(folder):
    assert played(Playback(Folder(folder, 10.0))) == [(VIDEO_ORIGIN_NS + i * 100 * MS, i) for i in range(12)]


def test_unreadable_images_are_skipped_and_their_time_passes(folder):
    (folder / "img3.png").write_bytes(b"broken")
    (folder / "img7.png").write_bytes(b"")
    reports = Reports()
    images = played(Playback(Folder(folder, 10.0), report=reports))
    assert images == [(VIDEO_ORIGIN_NS + i * 100 * MS, i) for i in range(12) if i not in (3, 7)]
    assert reports.about("images")[-1] == f"2 images of {folder} cannot be read, the last one is img7.png"


def test_folders_without_images_are_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no images; it needs files that end in \.bmp"):
        Folder(tmp_path / "empty", 10.0)
    for file in folder.iterdir():
        file.write_bytes(b"broken")
    with pytest.raises(ValueError, match="holds 12 images, none of which can be read"):
        Folder(folder, 10.0)


def test_natural_order():
    names = ["b1.png", "a10.png", "A2.png", "a.png", "a1b3.png", "a01.png"]
    ordered = sorted(map(Path, names), key=natural_order)
    assert [file.name for file in ordered] == ["a.png", "a01.png", "a1b3.png", "A2.png", "a10.png", "b1.png"]


def test_real_time_stamps_are_the_start_and_the_time_line(make_video):
    path = make_video(fps=200.0)
    source = Playback(Video(path), real_time=True, clock=Clock(system=lambda: 7_000 * MS))
    for stamp, index in played(source):
        assert stamp == (7_000 + 5 * index) * MS


def test_real_time_drops_what_is_late_but_not_everything(make_video):
    steady = itertools.chain([0], itertools.repeat(400 * MS))  # so long does the first image take
    clock = Clock(system=lambda: 7_000 * MS, steady=lambda: next(steady))
    source = Playback(Video(make_video(frames=24, fps=100.0)), real_time=True, clock=clock)
    images = played(source)
    assert images[-1] == (
        (7_000 + 22 * 10) * MS,
        22,
    )  # 0 shown, 10 dropped, 11 shown, 10 dropped, 22 shown, 23 dropped
    assert {index for _, index in images} <= {0, 11, 22}
    assert 23 <= source.skipped + len(images) <= 24  # the last one may be dropped afterwards


class SlowFilm:
    """A film of `length` images at 25 Hz, a key image every `key` of them, and the clocks of the machine that reads it.

    Images are decoded in `cost` ns each; to find one means to decode all from the key image before it.
    """

    def __init__(self, length: int, cost: int, key: int, *, seeks: bool = True) -> None:
        self.length, self.cost, self.key, self.seeks, self.now = length, cost, key, seeks, 0

    def clock(self) -> Clock:
        return Clock(system=lambda: 7_000 * MS + self.now, steady=lambda: self.now)

    def open(self, _path: str) -> FakeCapture:
        film = self

        class Slow(FakeCapture):
            def grab(self) -> bool:
                film.now += film.cost
                return super().grab()

            def retrieve(self) -> tuple[bool, np.ndarray]:
                return True, np.full((1, 1, 3), 0, np.uint8)

            def set(self, prop: int, value: float) -> bool:
                if prop != cv2.CAP_PROP_POS_MSEC or not film.seeks:
                    return False
                wanted = math.ceil(value / 40.0)
                film.now += film.cost * (wanted % film.key)
                self.index = wanted - 1
                return True

        return Slow([40.0 * i for i in range(self.length)], stated=self.length)


@dataclass
class Watched:
    """What came of a film in real time: ages and stamps (ns) of its images as they are handed over, and what else was said."""

    ages: list[int] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    reports: Reports = field(default_factory=Reports)
    skipped: int = 0


def watched(film: SlowFilm, monkeypatch: pytest.MonkeyPatch, loop: bool = False) -> Watched:
    seen = Watched()
    video = Video(Path("film.mp4"), film.open)
    source = Playback(video, loop=loop, real_time=True, clock=film.clock(), report=seen.reports)

    def put(self: Inbox, frame: sources.Frame) -> bool:
        seen.ages.append(film.now + 7_000 * MS - frame.stamp)
        seen.stamps.append(frame.stamp)
        if len(seen.stamps) == 3_000:
            self.close()
        return True

    def pause(self: Inbox, seconds: float) -> bool:
        film.now += round(seconds * 1e9)
        return True

    monkeypatch.setattr(Inbox, "put", put)
    monkeypatch.setattr(Inbox, "pause", pause)
    handover = source._new_handover()
    source._grab(handover)
    seen.skipped = handover.skipped
    return seen


@pytest.mark.parametrize("key", [1, 10, 25, 250, 100_000])
@pytest.mark.parametrize("slowness", [1.05, 1.5, 2.0, 5.0])
@pytest.mark.parametrize("seeks", [True, False])
def test_a_recording_that_cannot_be_decoded_in_time_does_not_lag(slowness, key, seeks, monkeypatch):
    film = SlowFilm(20_000, round(PERIOD * slowness), key, seeks=seeks)
    seen = watched(film, monkeypatch)
    assert len(seen.ages) > 1_000
    worst = sorted(seen.ages)[-3]  # that leaps do not pay shows when one was tried
    assert worst <= sources.MOST_BEHIND + 3 * film.cost
    assert seen.stamps == sorted(set(seen.stamps))
    assert seen.skipped > 0
    assert "cannot be read in real time" in seen.reports.about("real_time")[0]


def test_where_key_images_are_near_a_slow_recording_keeps_its_own_pace(monkeypatch):
    film = SlowFilm(20_000, 2 * PERIOD, 5)
    seen = watched(film, monkeypatch)
    assert seen.stamps[-1] - seen.stamps[0] == pytest.approx(film.now, abs=1e9)
    assert (seen.stamps[-1] - seen.stamps[0]) % PERIOD == 0  # the clock never waited
    assert len(seen.stamps) + seen.skipped == pytest.approx(film.now / PERIOD, abs=30)


def test_where_key_images_are_far_apart_leaps_are_given_up_and_what_is_decoded_is_seen(monkeypatch):
    film = SlowFilm(20_000, 2 * PERIOD, 100_000)
    seen = watched(film, monkeypatch)
    decoded = film.now / film.cost
    assert len(seen.stamps) > 0.4 * decoded  # a late image is dropped once, then shown


def test_a_container_that_leaps_back_is_read_on_without_leaps():
    captures: list[FakeCapture] = []

    class Lost(FakeCapture):
        leaps = 0

        def set(self, prop: int, value: float) -> bool:
            if prop == cv2.CAP_PROP_POS_MSEC:
                self.leaps, self.index = self.leaps + 1, 2
            return True

    def open_capture(_path: str) -> FakeCapture:
        captures.append(Lost([40.0 * i for i in range(50)], stated=50))
        return captures[-1]

    goals = itertools.chain([0] * 5, itertools.repeat(30 * PERIOD))
    shots = Video(Path("film.mp4"), open_capture).shots(sources.silent, lambda: next(goals))
    assert [(at // PERIOD, index_of(shot())) for at, shot in shots] == [(i, i % 30) for i in range(50)]
    assert captures[-1].leaps == 1


def test_a_recording_that_is_fast_enough_is_neither_passed_over_nor_reported(monkeypatch):
    film = SlowFilm(500, PERIOD // 2, 250)
    seen = watched(film, monkeypatch)
    first = 7_000 * MS + 2 * film.cost  # one image to see that there are some, one to be the first
    assert seen.stamps == [first + i * PERIOD for i in range(500)]
    assert (seen.skipped, max(seen.ages), seen.reports) == (0, 0, [])


def test_after_a_slow_moment_it_catches_up_and_the_report_ends(monkeypatch):
    film = SlowFilm(2_000, PERIOD // 2, 10)
    opened = film.open

    def interrupted(path: str) -> FakeCapture:
        capture, grab = opened(path), FakeCapture.grab

        def with_pause() -> bool:
            film.now += film.cost + (5_000 * MS if capture.index == 100 else 0)
            return grab(capture)

        capture.grab = with_pause  # type: ignore[method-assign]
        return capture

    film.open = interrupted  # type: ignore[method-assign]
    seen = watched(film, monkeypatch)
    assert seen.ages[-1] == 0
    assert [bool(sentence) for sentence in seen.reports.about("real_time")] == [True, False]


def test_a_slow_loop_stays_young_too(monkeypatch):
    film = SlowFilm(100, 2 * PERIOD, 10)
    seen = watched(film, monkeypatch, loop=True)
    assert len(seen.stamps) == 3_000
    assert sorted(seen.ages)[-3] <= sources.MOST_BEHIND + 3 * film.cost
    assert seen.stamps == sorted(set(seen.stamps))


@pytest.mark.parametrize(("name", "code"), [("film.avi", "MJPG"), ("film.mp4", "mp4v")])
def test_a_leap_in_a_real_video_lands_on_the_image_of_its_time(make_video, name, code):
    video = Video(make_video(name, frames=60, code=code))
    goals = iter([0, 0, 0, 20 * PERIOD, 0, 0, 50 * PERIOD, 0])
    seen = [
        (at // PERIOD, index_of(shot())) for at, shot in video.shots(sources.silent, lambda: next(goals, 0))
    ]
    assert [at for at, _ in seen] == [0, 1, 2, 3, 20, 21, 22, *range(50, 60)]
    assert all(at % 30 == index for at, index in seen)


def test_what_is_due_after_the_end_ends_a_recording(make_video):
    reports = Reports()
    video = Video(make_video(frames=30))
    assert len(list(video.shots(reports, lambda: 40 * PERIOD))) == 1
    assert reports == []


def test_a_folder_leaps_over_files(folder):
    shots = Folder(folder, 25.0).shots(sources.silent, lambda: 5 * PERIOD)
    assert [index_of(shot()) for _, shot in shots] == list(range(5, 12))


def test_a_recording_read_at_once_is_grabbed_while_the_pipeline_waits(make_video):
    ticks = itertools.count(100)
    source = Playback(Video(make_video(frames=3)), clock=Clock(system=lambda: next(ticks)))
    assert [(f.grabbed_start, f.grabbed_end) for f in source] == [(100, 101), (102, 103), (104, 105)]


def test_a_camera_gives_the_newest_image_only():
    waiting, go_on = threading.Event(), threading.Event()

    class Slow(FakeCapture):
        def grab(self) -> bool:
            if self.index == 99:
                waiting.set()
                go_on.wait(20.0)
            return super().grab()

    ticks = itertools.count(1000)
    camera = CameraSource(
        0, clock=Clock(system=lambda: next(ticks)), open_capture=lambda _: Slow([0.0] * 100)
    )
    frames = iter(camera)
    assert waiting.wait(20.0)
    frame = next(frames)
    assert index_of(frame.bgr) == index_of(image_of(99))
    assert camera.skipped == 98  # number 0 is spent on finding out that the camera works
    assert (frame.stamp, frame.grabbed_start, frame.grabbed_end) == (1196, 1196, 1197)
    go_on.set()
    camera.close()
    assert next(frames, None) is None


def test_a_camera_that_vanishes_is_awaited(monkeypatch):
    monkeypatch.setattr(sources, "FIRST_RETRY", 0.001)
    opened = iter([FakeCapture([0.0] * 3), FakeCapture([], opened=False), FakeCapture([0.0] * 50)])
    times = itertools.count(9_000, -1)  # a system clock that is set back
    reports = Reports()
    camera = CameraSource(
        3, report=reports, clock=Clock(system=lambda: next(times)), open_capture=lambda _: next(opened)
    )
    stamps = []
    for frame in camera:
        stamps.append(frame.stamp)
        if ("camera", "") in reports:
            break
    assert stamps == sorted(set(stamps))
    assert reports.about("camera")[:3] == [
        "camera 3 gives no image; check its cable (it is tried again)",
        "camera 3 gives no image; check its cable (it is tried again)",
        "",
    ]


def test_a_camera_is_opened_again_by_the_next_iteration():
    captures: list[FakeCapture] = []

    def open_capture(address: int) -> FakeCapture:
        captures.append(FakeCapture([0.0] * 1000))
        return captures[-1]

    camera = CameraSource(0, open_capture=open_capture)
    next(iter(camera))
    next(iter(camera))
    camera.close()
    assert len(captures) == 2


def test_a_camera_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="camera 9 gives no image; check that it is plugged in"):
        CameraSource(9, open_capture=lambda _: FakeCapture([], opened=False))
    unused = FakeCapture([])
    with pytest.raises(ValueError, match="gives no image"):
        CameraSource(9, open_capture=lambda _: unused)
    assert unused.released


def test_a_mode_that_the_camera_refuses_is_reported():
    reports = Reports()
    CameraSource(0, 1280, HEIGHT, 50.0, report=reports, open_capture=lambda _: FakeCapture([0.0]))
    works = "camera 0 works at width 64 instead of 1280, fps 25 instead of 50; ask for a mode that it has"
    assert reports.about("camera_mode") == [works]


def test_closing_ends_an_iteration_that_waits(monkeypatch):
    monkeypatch.setattr(sources, "THREAD_PATIENCE", 0.01)
    stuck, go_on = threading.Event(), threading.Event()

    class Stuck(FakeCapture):
        def grab(self) -> bool:
            if self.index == 0:
                stuck.set()
                go_on.wait(20.0)
                return False
            return super().grab()

    camera = CameraSource(0, open_capture=lambda _: Stuck([0.0] * 2))
    images: list = []
    reader = threading.Thread(target=lambda: images.extend(camera))
    reader.start()
    assert stuck.wait(20.0)
    camera.close()
    reader.join(20.0)
    go_on.set()
    assert not reader.is_alive()
    assert images == []


def test_a_bug_in_the_grabbing_thread_reaches_the_reader():
    class Broken(FakeCapture):
        def retrieve(self) -> tuple[bool, np.ndarray]:
            if self.index > 2:
                raise KeyError("bug")
            return super().retrieve()

    source = Playback(Video(Path("film.mp4"), lambda path: Broken([0.0] * 9)))
    frames = iter(source)
    assert [index_of(next(frames).bgr) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="bug"):
        next(frames)


def test_the_source_is_chosen_by_its_name(make_video, folder, monkeypatch):
    assert open_source(Pose2DParams(source=str(make_video()))).describe().startswith("film.avi")
    images = open_source(Pose2DParams(source=str(folder), image_rate_hz=5.0))
    assert images.describe() == "images, 12 images at 5 Hz"
    asked: list = []

    def open_camera(address: int | str, *mode: object) -> Callable[[], None]:
        asked.append((address, *mode[:3]))
        return lambda: None

    monkeypatch.setattr(sources, "CameraSource", open_camera)
    for name in ("2", "/dev/video0", "rtsp://host/stream"):
        open_source(Pose2DParams(source=name, camera_width=640, camera_height=480, camera_fps=30.0))
    assert asked == [(a, 640, 480, 30.0) for a in (2, "/dev/video0", "rtsp://host/stream")]
    with pytest.raises(
        ValueError, match=r"source 'nowhere\.mp4' is no camera index, no file and no folder; check"
    ):
        open_source(Pose2DParams(source="nowhere.mp4"))


@pytest.mark.parametrize(
    ("source", "camera"),
    [
        ("0", True),
        ("/dev/video2", True),
        ("rtsp://a/b", True),
        ("film.mp4", False),
        ("images", False),
        ("", False),
    ],
)
def test_cameras_are_told_from_recordings(source, camera):
    assert sources.is_camera(source) is camera


def test_closing_ends_the_thread_of_an_iterator_that_was_never_used(make_video):
    source = Playback(Video(make_video()))
    before = threading.active_count()
    unused = iter(source)
    assert threading.active_count() == before + 1
    source.close()
    assert threading.active_count() == before
    assert next(unused, None) is None


def test_a_hostile_image_in_a_folder_is_left_out(folder):
    """OpenCV raised cv2.error for a size that it does not like, which ended the run."""
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    for name, content in ((b"IHDR", head), (b"IDAT", b""), (b"IEND", b"")):
        png += (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )
    (folder / "img3.png").write_bytes(png)
    bmp = struct.pack(
        "<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, 0x110000, 0x5000000, 1, 24, 0, 0, 0, 0, 0, 0
    )
    (folder / "img7.bmp").write_bytes(bmp)
    (folder / "img7.png").unlink()
    reports = Reports()
    images = played(Playback(Folder(folder, 10.0), report=reports))
    assert [number for _, number in images] == [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    assert reports.about("images")[-1] == f"2 images of {folder} cannot be read, the last one is img7.bmp"


def test_a_decoder_that_raises_gives_no_image():
    class Broken:
        def retrieve(self):
            raise cv2.error("damaged")

    assert decoded(Broken()) is None
