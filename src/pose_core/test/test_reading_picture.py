"""Images that claim more than they hold, and those that programs really write."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_core.reading import picture
from pose_core.reading.picture import DamagedImage, decode, size_of

KINDS = (".bmp", ".jpg", ".png", ".tif", ".webp")


def scene(width: int = 37, height: int = 21) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([3 * columns, 7 * rows, 200 - columns], -1).astype(np.uint8)


def encoded(kind: str, image: np.ndarray | None = None, *options: int) -> bytes:
    done, content = cv2.imencode(kind, scene() if image is None else image, options)
    assert done
    return content.tobytes()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("image", [scene(), scene()[..., 0], np.dstack([scene(), scene()[..., 0]])])
def test_size_and_pixels_are_those_of_opencv(kind: str, image: np.ndarray) -> None:
    content = encoded(kind, image)
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert size_of(content) == (37, 21)
    np.testing.assert_array_equal(decode(content, upright=True), expected)


@pytest.mark.parametrize("options", [(cv2.IMWRITE_WEBP_QUALITY, 101), (cv2.IMWRITE_WEBP_QUALITY, 60)])
def test_webp_with_and_without_loss(options: tuple[int, int]) -> None:
    assert size_of(encoded(".webp", scene(), *options)) == (37, 21)


def test_a_16_bit_image_is_read_and_a_jpeg_in_scans() -> None:
    assert decode(encoded(".png", scene().astype(np.uint16) * 257), upright=True).dtype == np.uint8
    assert size_of(encoded(".jpg", scene(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)) == (37, 21)


@pytest.mark.parametrize("image", [np.zeros((3000, 4000), np.uint8), np.zeros((3000, 4000, 3), np.uint16)])
def test_an_image_of_one_colour_is_not_too_small_to_be_true(image: np.ndarray) -> None:
    content = encoded(".png", image, cv2.IMWRITE_PNG_COMPRESSION, 9)
    assert len(content) < image.nbytes / 900
    assert size_of(content) == (4000, 3000)


def test_a_jpeg_with_more_behind_its_end_is_read() -> None:
    """Telephones put a second image or their notes there."""
    assert decode(encoded(".jpg") + b"notes" * 500, upright=True).shape == (21, 37, 3)


BMP = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, 40_000, -40_000, 1, 24, 0, 0, 0, 0, 0, 0)
VP8X = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\x00" * 2


def tiff(*entries: tuple[int, int, int]) -> bytes:
    rows = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png(30_000, 30_000, chunk(b"IDAT", bytes(12_000))), "1 to 64000000 pixels, got 30000 x 30000"),
        (png(8_000, 8_000, chunk(b"IDAT", bytes(12_000))), "must be a whole"),
        (png(0, 5), "got 0 x 5"),
        (BMP, "got 40000 x 40000"),
        (VP8X, "got 65536 x 65536"),
        (tiff((256, 4, 40_000), (257, 4, 40_000)), "got 40000 x 40000"),
        (tiff((256, 4, 40), (257, 4, 40), (322, 4, 30_000), (323, 4, 30_000)), "must be a whole"),
        (tiff((256, 4, 40), (257, 4, 40), (278, 4, 2**31)), "must be a whole"),
        (tiff((256, 4, 40), (257, 4, 40), (277, 3, 60_000)), "must be a whole"),
        (tiff((256, 4, 40), (257, 4, 40), (256, 4, 40_000)), "must be a whole"),
        (tiff((256, 4, 40)), "must be a whole"),
        (b"II*\0" + struct.pack("<I", 2**32 - 1), "must be a whole"),
        (b"P6 30000 30000 255\n", "19 bytes must be a whole BMP, JPEG, PNG, TIFF or WebP"),
        (b"", "0 bytes must be a whole"),
    ],
)
def test_an_image_that_claims_too_much_is_refused_before_it_is_decoded(content: bytes, words: str) -> None:
    with pytest.raises(DamagedImage, match=words):
        decode(content, upright=True)


def test_a_chunk_that_is_longer_than_the_image_is_refused() -> None:
    """12 kB of which OpenCV believed 3.5 GB: libraries ask for a chunk's bytes before they look for them."""
    whole = encoded(".png")
    lying = whole[:33] + struct.pack(">I", 3_679_259_057) + whole[37:]
    with pytest.raises(DamagedImage, match="must be a whole"):
        decode(lying, upright=True)
    with pytest.raises(DamagedImage, match="must be a whole"):
        decode(whole[:-12], upright=True)


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("kind", KINDS)
def test_an_image_cut_short_gives_pixels_or_one_exception(kind: str, cut: float) -> None:
    content = encoded(kind, scene(200, 100))
    try:
        image = decode(content[: int(cut * len(content))], upright=True)
    except DamagedImage:
        return
    assert image.shape == (100, 200, 3)


def test_only_the_kinds_that_are_asked_for_are_read() -> None:
    with pytest.raises(DamagedImage, match="must be a whole JPEG or PNG"):
        size_of(encoded(".bmp"), ("JPEG", "PNG"))
    assert picture.KINDS.keys() == {"BMP", "JPEG", "PNG", "TIFF", "WebP"}


@pytest.mark.skipif(sys.platform == "win32", reason="counts memory as Unix does")
def test_hostile_images_take_no_memory(tmp_path: Path) -> None:
    whole = encoded(".png")
    files = [
        png(30_000, 30_000, chunk(b"IDAT", bytes(12_000))),
        BMP,
        whole[:33] + b"\xdb\x4d\x09\xb1" + whole[37:],
    ]
    for number, content in enumerate(files):
        (tmp_path / f"{number}").write_bytes(content)
    program = """
import resource, sys
from pathlib import Path
import cv2
from pose_core.reading.picture import DamagedImage, decode
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        decode(path.read_bytes(), upright=True)
    except DamagedImage:
        print("refused")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    *refused, grown = done.stdout.split()
    assert refused == ["refused"] * 3
    assert int(grown) < 50, "megabytes"


@pytest.mark.parametrize("kind", [".png", ".tif"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_of_16_bits_those_that_are_used_can_be_read(kind: str, bits: int) -> None:
    full = scene()
    full[0, 0] = 255
    deep = encoded(kind, full.astype(np.uint16) << (bits - 8))
    np.testing.assert_array_equal(decode(deep, upright=True, used_depth=True), full)
    np.testing.assert_allclose(decode(deep, upright=True), full >> (16 - bits), atol=1)  # OpenCV rounds TIFF
    np.testing.assert_array_equal(decode(encoded(kind), upright=True, used_depth=True), scene())


def test_numbers_that_are_not_whole_are_refused_where_depth_counts() -> None:
    with pytest.raises(DamagedImage, match="8 or 16 bits for a number, got float32"):
        decode(encoded(".tif", scene().astype(np.float32)), upright=True, used_depth=True)


def test_files_with_several_images_are_known() -> None:
    animated = chunk(b"acTL", struct.pack(">II", 3, 0))
    assert picture.holds_several(png(1, 1, animated, chunk(b"IDAT", b"")))
    assert picture.holds_several(b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0")
    assert not picture.holds_several(b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0")
    pages = cv2.imencodemulti(".tif", [scene(), scene()])[1].tobytes()
    assert picture.holds_several(pages)
    for kind in KINDS:
        assert not picture.holds_several(encoded(kind))
    assert not picture.holds_several(b"II*\0")
