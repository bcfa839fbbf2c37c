"""Images of messages: every encoding in which a camera sends colour or brightness becomes BGR.

`image_from_msg` does itself what the cv_bridge of a ROS distribution does, with its scaling of 16 bit values
and its Bayer patterns: the one on PyPI ignores `step`, and fails on 16 bit and on most of YUV and Bayer.
Images are uint8 arrays (H, W, 3), blue first, as OpenCV has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pose_ros.messages.reading import MalformedMessage, check_image_size

MAX_PIXELS = 64_000_000
"""Largest compressed image that is decoded: a few kilobytes may claim gigabytes."""

TO_8_BIT = 255.0 / 65535.0


@dataclass(frozen=True)
class _Packed:
    """Pixels of `channels` values of type `kind`; `code`: OpenCV's conversion, None where they are BGR."""

    kind: str
    channels: int
    code: int | None
    pairs: bool = False
    """Whether two neighbours share colour, so that the width must be even."""


@dataclass(frozen=True)
class _Planar:
    """A plane of luma above one of chroma pairs for every `step` pixels; `code`: where step is 2."""

    step: int
    code: int


_COLOURS = {
    "mono": (1, cv2.COLOR_GRAY2BGR),
    "bgr": (3, None),
    "rgb": (3, cv2.COLOR_RGB2BGR),
    "bgra": (4, cv2.COLOR_BGRA2BGR),
    "rgba": (4, cv2.COLOR_RGBA2BGR),
    # ROS names a Bayer pattern from its first pixel, OpenCV from the one below and right of it.
    "bayer_rggb": (1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr": (1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg": (1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg": (1, cv2.COLOR_BayerGB2BGR),
}
_LAYOUTS: dict[str, _Packed | _Planar] = {
    **{f"{name}8": _Packed("u1", *colour) for name, colour in _COLOURS.items()},
    **{f"{name}16": _Packed("u2", *colour) for name, colour in _COLOURS.items()},
    **dict.fromkeys(("uyvy", "yuv422"), _Packed("u1", 2, cv2.COLOR_YUV2BGR_UYVY, pairs=True)),
    **dict.fromkeys(("yuyv", "yuv422_yuy2"), _Packed("u1", 2, cv2.COLOR_YUV2BGR_YUYV, pairs=True)),
    "nv12": _Planar(2, cv2.COLOR_YUV2BGR_NV12),
    "nv21": _Planar(2, cv2.COLOR_YUV2BGR_NV21),
    "nv24": _Planar(1, cv2.COLOR_YUV2BGR_NV12),
}
# OpenCV's names do not say what the channels mean; its own convention does.
_LAYOUTS |= {
    alias: _LAYOUTS[name]
    for alias, name in {
        "8UC1": "mono8",
        "8UC3": "bgr8",
        "8UC4": "bgra8",
        "16UC3": "bgr16",
        "16UC4": "bgra16",
    }.items()
}

ENCODINGS = tuple(_LAYOUTS)
"""Encodings that `image_from_msg` reads."""


def image_from_msg(msg: Any) -> np.ndarray:
    """The image, which for bgr8 shares the memory of `msg`. Raises MalformedMessage."""
    layout = _LAYOUTS.get(msg.encoding)
    if layout is None:
        raise MalformedMessage(
            f"image encoding '{msg.encoding}' has no known colour; publish one of {', '.join(ENCODINGS)}"
        )
    check_image_size(msg.width, msg.height)
    try:
        return _from_planar(msg, layout) if isinstance(layout, _Planar) else _from_packed(msg, layout)
    except cv2.error as error:
        raise MalformedMessage(
            f"{msg.encoding} image of {msg.width} x {msg.height} cannot be converted: {error.err}"
        ) from error


def compressed_from_msg(msg: Any) -> np.ndarray:
    """The image of a JPEG or PNG message, as the sensor saw it (EXIF orientation is not applied).

    Raises MalformedMessage for anything else, for an image cut short, and for one of more than MAX_PIXELS.
    """
    data = bytes(msg.data)
    size = _jpeg_size(data) or _png_size(data)
    if size is None:
        raise MalformedMessage(
            f"compressed image of {len(data)} bytes ('{msg.format}') must be a whole JPEG or PNG"
        )
    width, height = size
    if not 0 < width * height <= MAX_PIXELS:
        raise MalformedMessage(f"compressed image must have 1 to {MAX_PIXELS} pixels, got {width} x {height}")
    check_image_size(width, height)
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise MalformedMessage(f"compressed image of {width} x {height} is damaged: {error.err}") from error
    if bgr is None:
        raise MalformedMessage(f"compressed image of {width} x {height} ('{msg.format}') is damaged")
    return bgr


def _from_packed(msg: Any, layout: _Packed) -> np.ndarray:
    if layout.pairs and msg.width % 2:
        raise MalformedMessage(f"a {msg.encoding} image must have an even width, got {msg.width}")
    kind = np.dtype(layout.kind).newbyteorder(">" if msg.is_bigendian else "<")
    rows = _rows(msg, msg.height, msg.step, msg.width * layout.channels * kind.itemsize)
    pixels = rows.view(kind).reshape(msg.height, msg.width, layout.channels)
    if not kind.isnative:
        pixels = pixels.astype(kind.newbyteorder("="))
    if layout.code is not None:
        pixels = cv2.cvtColor(pixels, layout.code)
    if kind.itemsize == 2:
        pixels = cv2.convertScaleAbs(pixels, alpha=TO_8_BIT)
    return np.ascontiguousarray(pixels)


def _from_planar(msg: Any, layout: _Planar) -> np.ndarray:
    if msg.width % 2 or msg.height % 2:
        raise MalformedMessage(f"a {msg.encoding} image must have even sides, got {msg.width} x {msg.height}")
    chroma_rows = 2 * msg.height // layout.step**2
    rows = _rows(msg, msg.height + chroma_rows, msg.step, msg.width)
    if layout.step == 1:  # OpenCV has no 4:4:4 layout: keep the chroma of every second pixel and row
        chroma = rows[msg.height :].reshape(msg.height, msg.width, 2)[::2, ::2]
        rows = np.concatenate([rows[: msg.height], chroma.reshape(-1, msg.width)])
    return cv2.cvtColor(np.ascontiguousarray(rows), layout.code)


def _rows(msg: Any, rows: int, step: int, row_bytes: int) -> np.ndarray:
    """(rows, row_bytes) uint8 view of the data without the padding of each row to `step` bytes."""
    data = np.frombuffer(msg.data, np.uint8)
    if step < row_bytes:
        raise MalformedMessage(
            f"step of a {msg.encoding} image {msg.width} wide must be at least {row_bytes}, got {step}"
        )
    if data.size != rows * step:
        raise MalformedMessage(
            f"{msg.encoding} image of {msg.width} x {msg.height} must have {rows * step} bytes, "
            f"got {data.size}"
        )
    return data.reshape(rows, step)[:, :row_bytes]


_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header (ITU T.81, table B.1); the three left out define tables."""
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_TRAILER = 64
"""Bytes in which an end marker is looked for after zeros are taken off: cameras pad their JPEGs."""


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) that the first frame header of a JPEG states; None for no JPEG or one cut short."""
    if not data.startswith(_JPEG_START) or _JPEG_END not in data.rstrip(b"\0")[-_TRAILER:]:
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _JPEG_FRAMES:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _png_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a PNG's header; None for no PNG or one cut short."""
    if not data.startswith(_PNG_START) or _PNG_END not in data[-_TRAILER:]:
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
