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

from pose_core.reading import picture
from pose_ros.messages.reading import MalformedMessage, check_image_size

COMPRESSED = ("JPEG", "PNG")
"""Kinds of compressed images that are read, by their names in `pose_core.reading.picture.KINDS`."""

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

DEPTH = ("16UC1", "32FC1")
"""Encodings of depth images (REP 118)."""


def image_from_msg(msg: Any) -> np.ndarray:
    """The image, which for bgr8 shares the memory of `msg`. Raises MalformedMessage."""
    layout = _LAYOUTS.get(msg.encoding)
    if msg.encoding in DEPTH:
        raise MalformedMessage(
            f"an image of encoding {msg.encoding} holds distances, not colours; take the camera's colour images (image_topic)"
        )
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

    Raises MalformedMessage for anything else, for an image cut short, and for one of more than `picture.MAX_PIXELS`.
    """
    if any(word in msg.format for word in ("compressedDepth", *DEPTH)):
        raise MalformedMessage(
            f"an image of format '{msg.format[:40]}' holds distances, not colours; take the camera's colour images (image_topic)"
        )
    content = bytes(msg.data)
    try:
        if content.startswith(_JPEG_START) and _JPEG_END not in content.rstrip(b"\0")[-_TRAILER:]:
            raise picture.DamagedImage(f"image of {len(content)} bytes must be a whole JPEG or PNG")
        bgr = picture.decode(content, COMPRESSED, upright=False)
    except picture.DamagedImage as error:
        raise MalformedMessage(f"compressed {error} (its format is stated as '{msg.format[:40]}')") from error
    check_image_size(bgr.shape[1], bgr.shape[0])
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
_TRAILER = 64
"""Bytes in which an end marker is looked for after zeros are taken off: cameras pad their JPEGs."""
