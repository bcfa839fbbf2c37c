"""Videos are whole or not there, and keep time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pose_viz import video
from pose_viz.codecs import CODEC, CODECS, Codec
from pose_viz.params import VizParams
from pose_viz.video import OverlayVideo, shrunk

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


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("count", [1, 3, video.RATE_IMAGES, 30])
def test_every_image_is_read_back(tmp_path, count, codec):
    path = tmp_path / "new" / f"a{CODECS[codec].suffix}"
    with OverlayVideo(path, codec) as written:
        for number in range(count):
            written.write(grey(40 + 5 * number), stamp(number))
    images, rate = read(path)
    assert len(images) == written.frames == count
    assert rate == pytest.approx(50.0 if count > 1 else video.DEFAULT_RATE, rel=1e-3)
    for number, image in enumerate(images):
        assert image.shape == (64, 48, 3)
        assert abs(float(image.mean()) - (40 + 5 * number)) < 4.0
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(("codec", "fourcc"), [("vp8", "VP80"), ("vp9", "VP90"), ("mp4v", "FMP4")])
def test_files_are_of_the_codec_asked_for(tmp_path, codec, fourcc):
    path = tmp_path / f"a{CODECS[codec].suffix}"
    with OverlayVideo(path, codec) as written:
        written.write(grey(100), stamp(0))
    capture = cv2.VideoCapture(str(path))
    assert int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode() == fourcc
    assert path.read_bytes()[:4] == (b"\x1a\x45\xdf\xa3" if path.suffix == ".webm" else b"\0\0\0\x1c")


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_images_give_the_same_bytes(tmp_path, codec):
    noise = np.random.default_rng(0).integers(0, 256, (12, 96, 160, 3), np.uint8)
    files = [tmp_path / f"{name}{CODECS[codec].suffix}" for name in "ab"]
    for file in files:
        with OverlayVideo(file, codec) as written:
            for number, image in enumerate(noise):
                written.write(image, stamp(number))
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("rate", [24000 / 1001, 25.0, 30000 / 1001, 59.94, 60000 / 1001, 120.0])
def test_a_stated_rate_is_that_of_the_file(tmp_path, codec, rate):
    path = tmp_path / f"a{CODECS[codec].suffix}"
    with OverlayVideo(path, codec, rate) as written:
        for number in range(100):
            written.write(grey(100), START + round(number * 1e3 / rate) * 1_000_000)  # as containers round
    images, found = read(path)
    assert len(images) == written.frames == 100
    assert found == pytest.approx(rate, rel=1e-5)


def test_encoders_say_nothing_past_the_log(tmp_path, capfd):
    with OverlayVideo(tmp_path / "a.webm") as written:
        written.write(grey(100), stamp(0))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("shape", "own", "scale", "size"),
    [
        ((90, 160, 3), 0, 1.0, 0),
        ((90, 160, 3), 0, 0.5, 80),
        ((160, 90, 3), 40, 0.5, 40),
        ((90, 160, 3), 100, 0.5, 80),
    ],
)
def test_a_scale_shrinks_and_never_enlarges(shape, own, scale, size):
    assert shrunk(VizParams(overlay_max_size=own), shape, scale).overlay_max_size == size


def test_a_dropped_image_is_bridged_by_the_one_before(tmp_path):
    with OverlayVideo(tmp_path / "a.webm") as written:
        for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12):
            written.write(grey(15 * (number + 1)), stamp(number))
    images, _ = read(tmp_path / "a.webm")
    assert len(images) == 13
    assert [round(float(image.mean()) / 15) for image in images[7:13]] == [8, 9, 9, 9, 12, 13]


def test_a_pause_is_shortened(tmp_path):
    with OverlayVideo(tmp_path / "a.webm") as written:
        for number in range(10):
            written.write(grey(100), stamp(number))
        written.write(grey(100), stamp(9) + 3600 * 10**9)
    assert written.frames == 10 + 50


def test_jittering_stamps_lose_no_image(tmp_path):
    rng = np.random.default_rng(0)
    with OverlayVideo(tmp_path / "a.webm") as written:
        for number in range(100):
            written.write(grey(100), stamp(number) + int(rng.integers(-4_000_000, 4_000_000)))
    assert 100 <= written.frames <= 110


def test_an_exception_leaves_nothing(tmp_path):
    def stop_half_way():
        with OverlayVideo(tmp_path / "a.webm") as written:
            for number in range(20):
                written.write(grey(100), stamp(number))
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        stop_half_way()
    assert list(tmp_path.iterdir()) == []


def test_abort_leaves_nothing_and_an_older_video_stays(tmp_path):
    (tmp_path / "a.webm").write_bytes(b"older")
    written = OverlayVideo(tmp_path / "a.webm")
    for number in range(20):
        written.write(grey(100), stamp(number))
    written.abort()
    assert [p.name for p in tmp_path.iterdir()] == ["a.webm"]
    assert (tmp_path / "a.webm").read_bytes() == b"older"


def test_no_image_makes_no_file(tmp_path):
    written = OverlayVideo(tmp_path / "a.webm")
    assert written.close() is None
    assert list(tmp_path.iterdir()) == []


def test_odd_sizes_lose_a_row_or_column(tmp_path):
    with OverlayVideo(tmp_path / "a.webm") as written:
        for number in range(3):
            written.write(grey(100, 65, 49), stamp(number))
    images, _ = read(tmp_path / "a.webm")
    assert [image.shape for image in images] == [(64, 48, 3)] * 3


def test_the_callers_image_may_be_reused(tmp_path):
    image = grey(0)
    with OverlayVideo(tmp_path / "a.webm") as written:
        for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11):
            image[:] = 20 * number
            written.write(image, stamp(number))
    images, _ = read(tmp_path / "a.webm")
    assert [round(float(image.mean()) / 20) for image in images] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 11]


@pytest.mark.parametrize("before", [1, 20])
def test_refuses_what_no_video_can_hold(tmp_path, before):
    with OverlayVideo(tmp_path / "a.webm") as written:
        for number in range(before):
            written.write(grey(100), stamp(number))
        with pytest.raises(ValueError, match="stamps of a video must increase"):
            written.write(grey(100), stamp(before - 1))
        with pytest.raises(ValueError, match="must have one size"):
            written.write(grey(100, 32, 32), stamp(before))
    assert written.frames == before


@pytest.mark.parametrize("end", [OverlayVideo.close, OverlayVideo.abort])
def test_refuses_images_after_the_end(tmp_path, end):
    written = OverlayVideo(tmp_path / "a.webm")
    written.write(grey(100), stamp(0))
    end(written)
    with pytest.raises(ValueError, match="is finished"):
        written.write(grey(100), stamp(1))


def test_absurdly_near_stamps_still_make_a_video(tmp_path):
    with OverlayVideo(tmp_path / "a.webm") as written:
        for number in range(10):
            written.write(grey(100), number)
    assert written.rate == 1000.0
    assert len(read(tmp_path / "a.webm")[0]) == 10


def test_refuses_another_container(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.webm or \.mp4, got"):
        OverlayVideo(tmp_path / "a.avi")


def test_where_no_codec_opens(tmp_path, monkeypatch):
    monkeypatch.setitem(CODECS, CODEC, Codec("????", ".webm"))
    written = OverlayVideo(tmp_path / "a.webm")
    written.write(grey(100), stamp(0))
    with pytest.raises(OSError, match="cannot write the video"):
        written.close()
    assert list(tmp_path.iterdir()) == []


def test_a_name_without_a_codec_says_which(tmp_path):
    with OverlayVideo(tmp_path / "a.mp4") as written:
        written.write(grey(100), stamp(0))
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little") == b"FMP4"


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "vp9"), ("a.webm", "mp4v")])
def test_refuses_a_codec_in_files_of_another(tmp_path, name, codec):
    with pytest.raises(ValueError, match=f"the name of a video of codec {codec} must end in"):
        OverlayVideo(tmp_path / name, codec)


def test_refuses_a_codec_that_is_not_known(tmp_path):
    with pytest.raises(ValueError, match="unknown codec 'avc1'; choose one of vp8, vp9, mp4v"):
        OverlayVideo(tmp_path / "a.mp4", "avc1")
