"""Videos are whole or not there, and keep time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pose_viz import video
from pose_viz.video import OverlayVideo

START = 1_000_000_000


def grey(level, height=64, width=48):
    return np.full((height, width, 3), level, np.uint8)


def stamp(number, rate=50.0):
    return START + round(number * 1e9 / rate)


def read(path):
    capture = cv2.VideoCapture(str(path))
    images = []
    while (result := capture.read())[0]:
        images.append(result[1])
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return images, rate


@pytest.mark.parametrize("count", [1, 3, video.RATE_IMAGES, 30])
def test_every_image_is_read_back(tmp_path, count):
    path = tmp_path / "new" / "a.mp4"
    with OverlayVideo(path) as written:
        for number in range(count):
            written.write(grey(40 + 5 * number), stamp(number))
    images, rate = read(path)
    assert len(images) == written.frames == count
    assert rate == pytest.approx(50.0 if count > 1 else video.DEFAULT_RATE, rel=1e-3)
    for number, image in enumerate(images):
        assert image.shape == (64, 48, 3)
        assert abs(float(image.mean()) - (40 + 5 * number)) < 4.0
    assert [p.name for p in path.parent.iterdir()] == ["a.mp4"]


def test_a_dropped_image_is_bridged_by_the_one_before(tmp_path):
    with OverlayVideo(tmp_path / "a.mp4") as written:
        for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12):
            written.write(grey(15 * (number + 1)), stamp(number))
    images, _ = read(tmp_path / "a.mp4")
    assert len(images) == 13
    assert [round(float(image.mean()) / 15) for image in images[7:13]] == [8, 9, 9, 9, 12, 13]


def test_a_pause_is_shortened(tmp_path):
    with OverlayVideo(tmp_path / "a.mp4") as written:
        for number in range(10):
            written.write(grey(100), stamp(number))
        written.write(grey(100), stamp(9) + 3600 * 10**9)
    assert written.frames == 10 + 50


def test_jittering_stamps_lose_no_image(tmp_path):
    rng = np.random.default_rng(0)
    with OverlayVideo(tmp_path / "a.mp4") as written:
        for number in range(100):
            written.write(grey(100), stamp(number) + int(rng.integers(-4_000_000, 4_000_000)))
    assert 100 <= written.frames <= 110


def test_an_exception_leaves_nothing(tmp_path):
    def stop_half_way():
        with OverlayVideo(tmp_path / "a.mp4") as written:
            for number in range(20):
                written.write(grey(100), stamp(number))
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        stop_half_way()
    assert list(tmp_path.iterdir()) == []


def test_abort_leaves_nothing_and_an_older_video_stays(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"older")
    written = OverlayVideo(tmp_path / "a.mp4")
    for number in range(20):
        written.write(grey(100), stamp(number))
    written.abort()
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"older"


def test_no_image_makes_no_file(tmp_path):
    written = OverlayVideo(tmp_path / "a.mp4")
    assert written.close() is None
    assert list(tmp_path.iterdir()) == []


def test_odd_sizes_lose_a_row_or_column(tmp_path):
    with OverlayVideo(tmp_path / "a.mp4") as written:
        for number in range(3):
            written.write(grey(100, 65, 49), stamp(number))
    images, _ = read(tmp_path / "a.mp4")
    assert [image.shape for image in images] == [(64, 48, 3)] * 3


def test_the_callers_image_may_be_reused(tmp_path):
    image = grey(0)
    with OverlayVideo(tmp_path / "a.mp4") as written:
        for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11):
            image[:] = 20 * number
            written.write(image, stamp(number))
    images, _ = read(tmp_path / "a.mp4")
    assert [round(float(image.mean()) / 20) for image in images] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 11]


@pytest.mark.parametrize("before", [1, 20])
def test_refuses_what_no_video_can_hold(tmp_path, before):
    with OverlayVideo(tmp_path / "a.mp4") as written:
        for number in range(before):
            written.write(grey(100), stamp(number))
        with pytest.raises(ValueError, match="stamps of a video must increase"):
            written.write(grey(100), stamp(before - 1))
        with pytest.raises(ValueError, match="must have one size"):
            written.write(grey(100, 32, 32), stamp(before))
    assert written.frames == before


@pytest.mark.parametrize("end", [OverlayVideo.close, OverlayVideo.abort])
def test_refuses_images_after_the_end(tmp_path, end):
    written = OverlayVideo(tmp_path / "a.mp4")
    written.write(grey(100), stamp(0))
    end(written)
    with pytest.raises(ValueError, match="is finished"):
        written.write(grey(100), stamp(1))


def test_absurdly_near_stamps_still_make_a_video(tmp_path):
    with OverlayVideo(tmp_path / "a.mp4") as written:
        for number in range(10):
            written.write(grey(100), number)
    assert written.rate == 1000.0
    assert len(read(tmp_path / "a.mp4")[0]) == 10


def test_refuses_another_container(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.mp4, got"):
        OverlayVideo(tmp_path / "a.avi")


def test_where_no_codec_opens(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "CODECS", ())
    written = OverlayVideo(tmp_path / "a.mp4")
    written.write(grey(100), stamp(0))
    with pytest.raises(OSError, match="cannot write the video"):
        written.close()
    assert list(tmp_path.iterdir()) == []
