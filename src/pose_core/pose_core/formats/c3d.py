"""C3D: marker positions in the binary format of motion capture laboratories (www.c3d.org), written by ezc3d.

A missing marker has the residual -1 and the position 0, as the format wants it; readers know it by the residual. Numbers are
32 bit floats. Joint angles are left out: the format would store three as one point with one residual, so that one angle that
cannot be told would take two others with it.
"""

from __future__ import annotations

import errno
import math
import os
import struct
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pose_core.files import write_whole
from pose_core.formats.rate import expect_even
from pose_core.formats.text import expect_file
from pose_core.formats.trc import DECIMALS, METRES
from pose_core.markers import MarkerSequence
from pose_core.reading.damage import damage_told, expect_once
from pose_core.units import S_PER_NS

MOST_FRAMES = 65535
"""The header counts them with 16 bits."""
MOST_POINTS = 255
"""More need names in several parameters, which few programs read."""
BLOCK = 512
MAGIC = 0x50
INTEL = 84
"""Number of the processor whose byte order the file has; others are DEC's and SGI's, long out of use."""
CHARACTERS = -1
KINDS = {1: "i1", 2: "<i2", 4: "<f4"}
"""Of parameters, by the byte that says it."""
RATES_HZ = (1e-3, 1e6)
COMPUTED = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS")
"""Parameters that name those points which are no positions."""


def write_c3d(
    path: str | os.PathLike[str],
    markers: MarkerSequence,
    *,
    units: str = "mm",
    origin: int | None = None,
    rate_hz: float | None = None,
) -> None:
    """Write markers at an even rate (by default `rate_of` their stamps; see `rate.evenly`).

    `origin`: stamp of frame 1 of the recording, by default the first. Raises ValueError for other units than m and mm, uneven
    stamps, no frame or marker, more than `MOST_POINTS`, and frames beyond number `MOST_FRAMES`; OSError where it cannot be
    written.
    """
    if units not in DECIMALS:
        raise ValueError(f"units of a C3D file must be m or mm, got '{units}'")
    if not markers.names:
        raise ValueError("a C3D file needs at least one marker, got none")
    rate = expect_even(markers.stamps, rate_hz)
    start = int(markers.stamps[0])
    first = round((start - (start if origin is None else origin)) * S_PER_NS * rate)
    if len(markers.names) > MOST_POINTS:
        raise ValueError(f"a C3D file holds at most {MOST_POINTS} markers, got {len(markers.names)}")
    if first < 0 or first + len(markers) > MOST_FRAMES:
        raise ValueError(
            f"frames of a C3D file must be numbered from 1 to {MOST_FRAMES}, got {first + 1} to {first + len(markers)}; "
            "write it in parts, each with its own origin"
        )
    for name in markers.names:
        if not name.isascii() or not name.isprintable() or not name.strip() or len(name) > 127:
            raise ValueError(
                f"a marker of a C3D file needs a name of 1 to 127 ASCII characters, got {name!r}"
            )
    write_whole(path, _content(markers, units, rate, first))


def _content(markers: MarkerSequence, units: str, rate: float, first: int) -> bytes:
    import ezc3d  # takes a while, and only this needs it

    file = ezc3d.c3d()
    point = file["parameters"]["POINT"]
    point["RATE"]["value"] = [rate]
    point["UNITS"]["value"] = [units]
    point["LABELS"]["value"] = list(markers.names)
    point["DESCRIPTIONS"]["value"] = ["estimated from video"] * len(markers.names)
    file.add_parameter("POINT", "X_SCREEN", "+X")
    file.add_parameter("POINT", "Y_SCREEN", "+Y")
    file["header"]["points"]["first_frame"] = first
    missing = markers.missing.T
    data = np.ones((4, *missing.shape))
    data[:3] = np.where(missing, np.nan, markers.xyz.transpose(2, 1, 0) / METRES[units])
    file["data"]["points"] = data
    file["data"]["meta_points"]["residuals"] = np.where(missing, -1.0, 0.0)[None]
    with tempfile.TemporaryDirectory(prefix="c3d-") as folder:
        path = Path(folder) / "points.c3d"
        file.write(str(path))
        content = path.read_bytes()
    # ezc3d does not say when the disk takes no more
    if len(content) < BLOCK or len(content) < _Header.of(content).end:
        raise OSError(errno.ENOSPC, "the disk is full; free space and try again", tempfile.gettempdir())
    return content


def read_c3d(path: str | os.PathLike[str]) -> MarkerSequence:
    """Markers of a C3D file, in metres and the axes of the file; points that are angles, forces and such are left out.

    Stamps are (frame - 1) / rate in ns. `metadata` has `units` and `rate_hz`. Read here and not by ezc3d, which a damaged file
    takes down with the whole program. Raises FileNotFoundError, and ValueError for whatever is no such file, or none with the
    byte order of Intel's processors.
    """
    path = expect_file(path)
    content = path.read_bytes()
    with damage_told(path, "is no whole C3D file: {}"):
        header = _Header.of(content)
        return _markers(content, header, _parameters(content, header.parameters))


class _Header(NamedTuple):
    """What the first block says."""

    parameters: int  # offset in bytes
    points: int
    analogs: int  # numbers in each frame
    first: int
    frames: int
    scale: float  # of whole numbers; negative where numbers are floats
    data: int  # offset in bytes

    @classmethod
    def of(cls, content: bytes) -> _Header:
        """Raises ValueError where a file does not begin like this."""
        if len(content) < BLOCK or content[1] != MAGIC:
            raise ValueError("it does not begin like one")
        points, analogs, first, last = struct.unpack_from("<HHHH", content, 2)
        scale, data = struct.unpack_from("<fH", content, 12)
        if last < first or not points or not math.isfinite(scale):
            raise ValueError(f"its header states frames {first} to {last} of {points} points")
        return cls(
            (content[0] - 1) * BLOCK, points, analogs, first, last - first + 1, scale, (data - 1) * BLOCK
        )

    @property
    def width(self) -> int:
        """Numbers in each frame."""
        return 4 * self.points + self.analogs

    @property
    def number(self) -> np.dtype[Any]:
        return np.dtype("<f4" if self.scale < 0.0 else "<i2")

    @property
    def end(self) -> int:
        """Bytes up to the end of the points."""
        return self.data + self.frames * self.width * self.number.itemsize


def _parameters(content: bytes, start: int) -> dict[str, list[Any]]:
    """Values by GROUP:NAME, text without blanks at its end. Raises ValueError, struct.error or IndexError for damage."""
    if start < BLOCK or content[start + 3] != INTEL:
        raise ValueError(f"its parameters are not in Intel's byte order ({INTEL}); convert it")
    groups: dict[int, str] = {}
    found: dict[tuple[int, str], list[Any]] = {}
    place, left = start + 4, len(content)
    while True:
        length, group = struct.unpack_from("<bb", content, place)
        after = place + 2 + abs(length)  # negative: locked
        name = content[place + 2 : after].decode("ascii", "replace").upper()
        (step,) = struct.unpack_from("<h", content, after)
        if group < 0:
            groups[-group] = name
        elif group > 0:
            found[group, name], size = _values(content, after + 2, left)
            left -= size
        if step <= 0 or group == 0:
            return {f"{groups.get(group, '')}:{name}": values for (group, name), values in found.items()}
        place = after + step


def _values(content: bytes, place: int, left: int) -> tuple[list[Any], int]:
    """A parameter's values, and how many bytes they take. Raises ValueError where these are more than are `left`: parameters may
    overlap, and all of them together would be far more than the file."""
    kind, count = struct.unpack_from("<bB", content, place)
    shape = list(content[place + 2 : place + 2 + count])
    start, size = place + 2 + count, math.prod(shape)
    length = size if kind == CHARACTERS else size * np.dtype(KINDS.get(kind, "i1")).itemsize
    if start + length > len(content):
        raise ValueError("its parameters go beyond its end")
    if length > left:
        raise ValueError("its parameters are more than the file holds")
    if kind == CHARACTERS:
        width = shape[0] if shape else 1
        places = range(start, start + size, max(width, 1))
        return [content[i : i + width].decode("latin-1").strip() for i in places], length
    if kind not in KINDS:
        raise ValueError(f"it has a parameter of the unknown kind {kind}")
    return list(np.frombuffer(content, KINDS[kind], size, start).tolist()), length


def _markers(content: bytes, header: _Header, parameters: dict[str, list[Any]]) -> MarkerSequence:
    if len(content) < header.end:
        raise ValueError(f"it was cut short, {len(content)} of {header.end} bytes")
    units = str(next(iter(parameters.get("POINT:UNITS", [])), "")).lower()
    if units not in METRES:
        raise ValueError(f"units '{units[:40]}' are none of {', '.join(METRES)}")
    rate = float(next(iter(parameters.get("POINT:RATE", [])), 0.0))
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise ValueError(f"it states {rate:g} frames per second")
    labels = [str(label) for more in ("", "2", "3") for label in parameters.get(f"POINT:LABELS{more}", [])]
    labels += [f"*{number}" for number in range(len(labels), header.points)]
    others = {str(label) for kind in COMPUTED for label in parameters.get(f"POINT:{kind}", [])}
    kept = [row for row, label in enumerate(labels[: header.points]) if label not in others]
    names = tuple(labels[row] for row in kept)
    expect_once(names, "it")
    table = np.frombuffer(content, header.number, header.frames * header.width, header.data)
    table = table.reshape(header.frames, header.width)[:, : 4 * header.points]
    points = table.reshape(header.frames, header.points, 4)[:, kept].astype(float)
    metres = points[..., :3] * (METRES[units] * (1.0 if header.scale < 0.0 else header.scale))
    there = np.isfinite(metres).all(-1) & (points[..., 3] >= 0.0)
    numbers = header.first - 1 + np.arange(header.frames)
    return MarkerSequence(
        names,
        np.rint(numbers / (rate * S_PER_NS)).astype(np.int64),
        np.where(there[..., None], metres, np.nan),
        np.full(there.shape, np.nan),
        metadata={"units": units, "rate_hz": rate},
    )
