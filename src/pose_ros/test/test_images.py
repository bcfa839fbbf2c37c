"""Images of every encoding, built here value by value, come back in BGR; broken ones are refused."""

from __future__ import annotations

import struct
import zlib
from array import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from pose_ros import images
from pose_ros.conversions import MalformedMessage
from pose_ros.messages import images as reading

B, G, R = 10, 100, 200
GREY = 121

# The colour in ITU-R BT.601 with luma from 16 to 235, as video has it, and black.
Y = round(16 + (65.481 * R + 128.553 * G + 24.966 * B) / 255)
U = round(128 + (-37.797 * R - 74.203 * G + 112.0 * B) / 255)
V = round(128 + (112.0 * R - 93.786 * G - 18.214 * B) / 255)
BLACK_Y, BLACK_UV = 16, 128

WIDTH, HEIGHT = 12, 16


def tiled(block: list[list[int]], kind: str = "u1", width: int = WIDTH) -> np.ndarray:
    """Rows of one image made of copies of `block`."""
    return np.tile(np.array(block, kind), (HEIGHT // len(block), width // len(block[0])))


def plain(*values: int, kind: str = "u1") -> np.ndarray:
    return tiled([list(values)], kind, WIDTH * len(values))


def packed(*values: int) -> np.ndarray:
    """Two pixels in four bytes."""
    return tiled([list(values)], width=2 * WIDTH)


def planar(luma: int, chroma: tuple[int, int], chroma_rows: int) -> np.ndarray:
    return np.vstack(
        [np.full((HEIGHT, WIDTH), luma, np.uint8), np.tile(np.uint8(chroma), (chroma_rows, WIDTH // 2))]
    )


BAYER = {
    "rggb": [[R, G], [G, B]],
    "bggr": [[B, G], [G, R]],
    "gbrg": [[G, B], [R, G]],
    "grbg": [[G, R], [B, G]],
}
COLOURED = {
    "bgr8": plain(B, G, R),
    "rgb8": plain(R, G, B),
    "bgra8": plain(B, G, R, 7),
    "rgba8": plain(R, G, B, 7),
    "8UC3": plain(B, G, R),
    "8UC4": plain(B, G, R, 7),
    "bgr16": plain(B * 257, G * 257, R * 257, kind="<u2"),
    "rgb16": plain(R * 257, G * 257, B * 257, kind=">u2"),
    "bgra16": plain(B * 257, G * 257, R * 257, 9, kind=">u2"),
    "rgba16": plain(R * 257, G * 257, B * 257, 9, kind="<u2"),
    "16UC3": plain(B * 257, G * 257, R * 257, kind="<u2"),
    "16UC4": plain(B * 257, G * 257, R * 257, 9, kind="<u2"),
    **{f"bayer_{name}8": tiled(block) for name, block in BAYER.items()},
    **{f"bayer_{name}16": tiled(block, "<u2") * np.uint16(257) for name, block in BAYER.items()},
    "mono8": plain(GREY),
    "8UC1": plain(GREY),
    "mono16": plain(GREY * 257, kind=">u2"),
    "uyvy": packed(U, Y, V, Y),
    "yuv422": packed(U, Y, V, Y),
    "yuyv": packed(Y, U, Y, V),
    "yuv422_yuy2": packed(Y, U, Y, V),
    "nv12": planar(Y, (U, V), HEIGHT // 2),
    "nv21": planar(Y, (V, U), HEIGHT // 2),
    "nv24": planar(Y, (U, V), HEIGHT * 2),
}
BLACK = {
    "uyvy": packed(BLACK_UV, BLACK_Y, BLACK_UV, BLACK_Y),
    "yuv422": packed(BLACK_UV, BLACK_Y, BLACK_UV, BLACK_Y),
    "yuyv": packed(BLACK_Y, BLACK_UV, BLACK_Y, BLACK_UV),
    "yuv422_yuy2": packed(BLACK_Y, BLACK_UV, BLACK_Y, BLACK_UV),
    "nv12": planar(BLACK_Y, (BLACK_UV, BLACK_UV), HEIGHT // 2),
    "nv21": planar(BLACK_Y, (BLACK_UV, BLACK_UV), HEIGHT // 2),
    "nv24": planar(BLACK_Y, (BLACK_UV, BLACK_UV), HEIGHT * 2),
}


def message(encoding: str, pixels: np.ndarray, padding: int = 0) -> Image:
    """`pixels`: rows of any type; `padding`: bytes after each row, of a value that must not be seen."""
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    msg = Image(encoding=encoding, width=WIDTH, height=HEIGHT, step=rows.shape[1])
    msg.is_bigendian = pixels.dtype.byteorder == ">"
    msg.data = array("B", rows.tobytes())
    return msg


def expected(encoding: str) -> tuple[int, int, int]:
    return (GREY, GREY, GREY) if encoding in ("mono8", "mono16", "8UC1") else (B, G, R)


def tolerance(encoding: str) -> int:
    """Video encodings round twice; all others are exact."""
    return 2 if encoding in BLACK else 0


def test_every_encoding_is_tested():
    assert set(COLOURED) == set(reading.ENCODINGS)


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", reading.ENCODINGS)
def test_a_plain_colour(encoding, padding):
    bgr = reading.image_from_msg(message(encoding, COLOURED[encoding], padding))
    assert (bgr.shape, bgr.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert bgr.flags.c_contiguous
    np.testing.assert_allclose(bgr, np.broadcast_to(expected(encoding), bgr.shape), atol=tolerance(encoding))


@pytest.mark.parametrize("encoding", reading.ENCODINGS)
def test_rows_stay_where_they_are(encoding):
    coloured = COLOURED[encoding]
    pixels = coloured.copy()
    black = BLACK.get(encoding, np.zeros_like(coloured))
    planes = [slice(0, HEIGHT), slice(HEIGHT, len(coloured))]
    for plane in planes:
        middle = plane.start + (plane.stop - plane.start) // 2
        pixels[middle : plane.stop] = black[middle : plane.stop]
    bgr = reading.image_from_msg(message(encoding, pixels)).astype(int)
    # Demosaicing and chroma filters reach over the edge by a pixel or two.
    top, bottom = bgr[: HEIGHT // 2 - 2], bgr[HEIGHT // 2 + 2 :]
    np.testing.assert_allclose(top, np.broadcast_to(expected(encoding), top.shape), atol=tolerance(encoding))
    np.testing.assert_allclose(bottom, np.zeros(bottom.shape), atol=tolerance(encoding))


def test_columns_and_rows_of_bgr8_come_back():
    bgr = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    msg = images.image_to_msg(bgr, 2_500_000_000, "optical")
    assert (msg.header.stamp.sec, msg.header.stamp.nanosec, msg.header.frame_id) == (
        2,
        500_000_000,
        "optical",
    )
    assert (msg.width, msg.height, msg.encoding, msg.step) == (WIDTH, HEIGHT, "bgr8", 3 * WIDTH)
    np.testing.assert_array_equal(reading.image_from_msg(msg), bgr)


def test_a_view_of_an_image_is_sent_as_it_looks():
    bgr = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    np.testing.assert_array_equal(
        reading.image_from_msg(images.image_to_msg(bgr[::-1, ::2], 0, "")), bgr[::-1, ::2]
    )


def test_16_bits_are_rounded_to_8():
    values = np.array([0, 128, 129, 257, 32768, 65535], "<u2")
    msg = Image(encoding="mono16", width=6, height=1, step=12)
    msg.data = array("B", values.tobytes())
    assert reading.image_from_msg(msg)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


def broken(encoding: str = "bgr8", **changes) -> Image:
    msg = message(encoding, COLOURED.get(encoding, COLOURED["bgr8"]))
    for name, value in changes.items():
        setattr(msg, name, value)
    return msg


BROKEN = {
    "an image of encoding 32FC1 holds distances, not colours; take the camera's colour images": broken(
        "32FC1"
    ),
    "an image of encoding 16UC1 holds distances, not colours; take the camera's colour images": broken(
        "16UC1"
    ),
    "encoding '' has no known colour": broken(""),
    "must have a size, got 0 x 16": broken(width=0),
    "must have a size, got 12 x 0": broken(height=0),
    "must be at least 36, got 35": broken(step=35),
    "must be at least 36, got 0": broken(step=0),
    "bgr8 image of 12 x 16 must have 576 bytes, got 100": broken(data=array("B", bytes(100))),
    "must have 576 bytes, got 0": broken(data=array("B")),
    "bgr8 image of 12 x 17 must have 612 bytes, got 576": broken(height=17),
    "a uyvy image must have an even width, got 11": broken("uyvy", width=11),
    "a nv12 image must have even sides, got 12 x 15": broken("nv12", height=15),
    "nv12 image of 12 x 14 must have 252 bytes, got 288": broken("nv12", height=14),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_broken_images_are_refused(sentence):
    with pytest.raises(MalformedMessage) as error:
        reading.image_from_msg(BROKEN[sentence])
    assert sentence in str(error.value)


def scene() -> np.ndarray:
    """A smooth image whose corners have different colours."""
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([4 * x, 5 * y, 255 - 2 * x - 2 * y], axis=-1).astype(np.uint8)


def compressed(data: bytes, kind: str = "jpeg") -> CompressedImage:
    msg = CompressedImage(format=kind)
    msg.data = array("B", data)
    return msg


def encoded(extension: str, image: np.ndarray | None = None) -> bytes:
    done, data = cv2.imencode(extension, scene() if image is None else image)
    assert done
    return data.tobytes()


def test_jpeg_comes_back_nearly():
    msg = images.compressed_to_msg(scene(), 2_500_000_000, "optical", quality=95)
    assert (msg.header.stamp.sec, msg.header.frame_id) == (2, "optical")
    assert msg.format == "bgr8; jpeg compressed bgr8"
    assert np.abs(reading.compressed_from_msg(msg).astype(int) - scene()).mean() < 2.0


def test_png_comes_back_exactly():
    np.testing.assert_array_equal(reading.compressed_from_msg(compressed(encoded(".png"), "png")), scene())


@pytest.mark.parametrize("image", [scene()[..., 0], scene()[..., 0].astype(np.uint16) * 257])
def test_grey_png_of_8_or_16_bits(image):
    bgr = reading.compressed_from_msg(compressed(encoded(".png", image), "png"))
    np.testing.assert_array_equal(bgr, np.repeat(scene()[..., :1], 3, axis=-1))


def test_jpeg_with_the_padding_of_a_camera():
    data = encoded(".jpg")
    np.testing.assert_array_equal(
        reading.compressed_from_msg(compressed(data + bytes(1000))),
        reading.compressed_from_msg(compressed(data)),
    )


def test_orientation_in_the_file_is_not_applied():
    """Keypoints and camera info are those of the sensor's rows and columns."""
    turned = b"\xff\xe1" + struct.pack(">H", 34) + b"Exif\0\0" + b"MM\0*\0\0\0\x08" + struct.pack(">H", 1)
    turned += struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
    data = encoded(".jpg")
    data = data[:2] + turned + data[2:]
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (64, 48, 3)
    assert reading.compressed_from_msg(compressed(data)).shape == (48, 64, 3)


def png_claiming(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = encoded(".png")
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def jpeg_claiming(width: int, height: int) -> bytes:
    data = encoded(".jpg")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


BROKEN_COMPRESSED = {
    "no bytes": (b"", "0 bytes must be a whole JPEG or PNG (its format is stated as 'jpeg')"),
    "noise": (np.random.default_rng(0).bytes(5000), "must be a whole JPEG or PNG"),
    "another format": (encoded(".bmp"), "must be a whole JPEG or PNG"),
    "a JPEG cut short": (encoded(".jpg")[:-200], "must be a whole JPEG or PNG"),
    "a JPEG of two markers": (b"\xff\xd8\xff\xd9", "must be a whole JPEG or PNG"),
    "a JPEG without a frame": (
        b"\xff\xd8\xff\xfe\0\x02" + bytes(30) + b"\xff\xd9",
        "must be a whole JPEG or PNG",
    ),
    "a PNG cut short": (encoded(".png")[:-50], "must be a whole JPEG or PNG"),
    "a PNG with nothing in it": (encoded(".png")[:33] + encoded(".png")[-12:], "must be a whole JPEG or PNG"),
    "a huge JPEG": (jpeg_claiming(65000, 65000), "must have 1 to 64000000 pixels, got 65000 x 65000"),
    "a huge PNG": (png_claiming(2**31 - 1, 2**31 - 1), "must have 1 to 64000000 pixels"),
    "an empty JPEG": (jpeg_claiming(0, 48), "got 0 x 48"),
}


@pytest.mark.parametrize("name", BROKEN_COMPRESSED)
def test_broken_compressed_images_are_refused(name):
    data, sentence = BROKEN_COMPRESSED[name]
    with pytest.raises(MalformedMessage) as error:
        reading.compressed_from_msg(compressed(data))
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    "kind", ["16UC1; compressedDepth png", "32FC1; compressedDepth", "16UC1; png compressed "]
)
def test_compressed_depth_is_told_apart_from_damage(kind):
    with pytest.raises(
        MalformedMessage, match="holds distances, not colours; take the camera's colour images"
    ):
        reading.compressed_from_msg(compressed(b"\0" * 12 + encoded(".png"), kind))


def test_any_cut_of_a_jpeg_is_refused():
    data = encoded(".jpg")
    for length in range(0, len(data) - 2, 37):
        with pytest.raises(MalformedMessage):
            reading.compressed_from_msg(compressed(data[:length]))
