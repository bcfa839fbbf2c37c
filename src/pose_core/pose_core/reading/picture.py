"""Images as cameras and programs save them: looked at before they are decoded, so that none takes more than its pixels.

A few kilobytes may claim gigabytes, and decoders believe them. So the size is read from the header first (BMP, JPEG, PNG, TIFF,
WebP; whatever else OpenCV could decode is refused), and a PNG's chunks are counted against the bytes that are there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection

import numpy as np

from pose_core.types import Array

MAX_PIXELS = 64_000_000
"""Largest image that is decoded: more than cameras of robots and telephones give (50 million), and 200 MB once decoded."""
DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras give; what has more than 8 is kept in 16."""
MAX_SAMPLES = 4
"""Numbers of a pixel: colour and opacity."""

Size = tuple[int, int]
"""(width, height) in pixels."""


class DamagedImage(ValueError):
    """These bytes are no image, or none that may be decoded; the message says why."""


def decode(content: bytes, kinds: Collection[str] = (), *, upright: bool, used_depth: bool = False) -> Array:
    """(H, W, 3) uint8, blue first. `kinds`: names of `KINDS` that are accepted, all by default.

    `upright`: turned as the EXIF tag says; else as the sensor saw it. `used_depth`: of 16 bits, the upper 8 of those `DEPTHS`
    that this image uses, so that 12 bits are not nearly black; else the upper 8 of all. Raises DamagedImage.
    """
    import cv2  # takes a while, and most who read files here need none

    width, height = size_of(content, kinds)
    flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    if used_depth:
        flags |= cv2.IMREAD_ANYDEPTH
    try:
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        why = getattr(error, "err", "") or type(error).__name__
        raise DamagedImage(f"image of {width} x {height} is damaged: {why[:100]}") from error
    if bgr is None:
        raise DamagedImage(f"image of {width} x {height} is damaged")
    return bgr if bgr.dtype == np.uint8 else _upper_bits(bgr)


def _upper_bits(bgr: Array) -> Array:
    """8 bits of an image of more, by the depth that it uses. Raises DamagedImage for numbers that are not whole."""
    if bgr.dtype != np.uint16:
        raise DamagedImage(f"image must have 8 or 16 bits for a number, got {bgr.dtype}")
    most = int(bgr.max())
    depth = next(bits for bits in DEPTHS if most < 1 << bits)
    result: Array = (bgr >> (depth - 8)).astype(np.uint8)
    return result


def holds_several(content: bytes) -> bool:
    """Whether a PNG or WebP is animated, or a TIFF has several pages; `decode` gives the first image."""
    try:
        if content.startswith(_PNG_START):
            return b"acTL" in content[: content.find(b"IDAT")]
        if content[:4] == b"RIFF" and content[12:16] == b"VP8X":
            return bool(content[20] & _WEBP_ANIMATED)
        if (order := _TIFF_ORDER.get(content[:4])) is not None:
            (start,) = struct.unpack_from(f"{order}I", content, 4)
            (count,) = struct.unpack_from(f"{order}H", content, start)
            (following,) = struct.unpack_from(f"{order}I", content, start + 2 + 12 * count)
            return bool(following)
    except (struct.error, IndexError):
        return False
    return False


def size_of(content: bytes, kinds: Collection[str] = ()) -> Size:
    """The size that an image's header states. Raises DamagedImage for what is no whole image, and for more than `MAX_PIXELS`."""
    accepted = kinds or KINDS
    for kind in accepted:
        try:
            size = KINDS[kind](content)
        except (struct.error, IndexError):
            size = None
        if size is not None:
            width, height = size
            if not 0 < width * height <= MAX_PIXELS:
                raise DamagedImage(f"image must have 1 to {MAX_PIXELS} pixels, got {width} x {height}")
            return size
    *others, last = accepted
    raise DamagedImage(f"image of {len(content)} bytes must be a whole {', '.join(others)} or {last}")


_JPEG_START = b"\xff\xd8"
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header (ITU T.81, table B.1); the three left out define tables."""


def _jpeg(content: bytes) -> Size | None:
    """By the first frame header; None for no JPEG. Whether its end is there is not asked: telephones write more behind it."""
    if not content.startswith(_JPEG_START):
        return None
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        else:
            (length,) = struct.unpack_from(">H", content, at + 2)
            at += 2 + length
    return None


_PNG_START = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
_CHUNK_SUM = 4
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Numbers of a pixel by the type of colour."""
_DEFLATE = 1040
"""Bytes that deflate can make of one, 1032, with what rows of interlaced images add."""


def _png(content: bytes) -> Size | None:
    """By the first chunk; None for no PNG, where a chunk goes beyond the bytes that are there, and where none is the end.

    None too where the compressed pixels are so few bytes that they cannot be all of the image.
    """
    if not content.startswith(_PNG_START):
        return None
    at = len(_PNG_START)
    length, name = _CHUNK.unpack_from(content, at)
    if (length, name) != (13, b"IHDR"):
        return None
    width, height, depth, colour = struct.unpack_from(">IIBB", content, at + _CHUNK.size)
    packed = 0
    while name != b"IEND":
        length, name = _CHUNK.unpack_from(content, at)
        at += _CHUNK.size + length + _CHUNK_SUM
        if at > len(content):
            return None
        packed += length if name == b"IDAT" else 0
    pixels = height * (width * depth * _PNG_CHANNELS.get(colour, 1) // 8)
    return None if width * height <= MAX_PIXELS and pixels > _DEFLATE * packed else (width, height)


def _bmp(content: bytes) -> Size | None:
    """By the header behind that of the file; a negative height says that rows go downwards."""
    if not content.startswith(b"BM"):
        return None
    (header,) = struct.unpack_from("<I", content, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", content, 18)
    return abs(width), abs(height)


def _webp(content: bytes) -> Size | None:
    """By the first chunk: lossy, lossless or extended."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    (length,) = struct.unpack_from("<I", content, 4)
    if length + 8 > len(content):
        return None
    kind = content[12:16]
    if kind == b"VP8 " and content[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and content[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", content, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        sides = content[24:27] + b"\0" + content[27:30] + b"\0"
        width, height = struct.unpack("<II", sides)
        return width + 1, height + 1
    return None


_WEBP_ANIMATED = 0x02
"""Flag of an extended WebP."""
_TIFF_ORDER = {b"II*\0": "<", b"MM\0*": ">"}
"""Order of bytes as struct names it, by the first four."""
_TIFF_NUMBERS = {1: "B", 3: "H", 4: "I"}
"""Types of entries that hold whole numbers, as struct names them."""
_WIDTH, _HEIGHT, _SAMPLES, _STRIP_ROWS, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 277, 278, 322, 323
_ALL_ROWS = 2**32 - 1
"""Rows of a strip that holds the whole image, however high it is."""


def _tiff(content: bytes) -> Size | None:
    """By the first directory; None for the kind of more than 4 GB, and where a strip or tile is larger than an image may be."""
    order = _TIFF_ORDER.get(content[:4])
    if order is None:
        return None
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, start)
    stated: dict[int, int] = {}
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, numbers = struct.unpack_from(f"{order}HHI", content, at)
        if tag in (_WIDTH, _HEIGHT, _SAMPLES, _STRIP_ROWS, _TILE_WIDTH, _TILE_HEIGHT):
            if numbers != 1 or kind not in _TIFF_NUMBERS or tag in stated:
                return None
            (stated[tag],) = struct.unpack_from(order + _TIFF_NUMBERS[kind], content, at + 8)
    if _WIDTH not in stated or _HEIGHT not in stated or stated.get(_SAMPLES, 1) > MAX_SAMPLES:
        return None
    width, height = stated[_WIDTH], stated[_HEIGHT]
    rows = stated.get(_STRIP_ROWS, height)
    strip = width * (height if rows == _ALL_ROWS else rows)
    tile = stated.get(_TILE_WIDTH, 0) * stated.get(_TILE_HEIGHT, 0)
    return None if max(strip, tile) > MAX_PIXELS >= width * height else (width, height)


KINDS: dict[str, Callable[[bytes], Size | None]] = {
    "BMP": _bmp,
    "JPEG": _jpeg,
    "PNG": _png,
    "TIFF": _tiff,
    "WebP": _webp,
}
"""What reads the size of each kind of image; None for bytes that are none of the kind, or not whole."""
