"""TRC: marker positions as OpenSim, Pose2Sim, Motion Analysis and Vicon exchange them.

Written as OpenSim's TRCFileAdapter reads it: five header lines, an empty one, then a row of 2 + 3 M fields per frame, no tab at
the end. A missing marker is `nan nan nan`: with empty fields OpenSim 4.6 refuses a row whose last marker is missing, and a tab at
the end of rows, which would mend that, makes pandas (so Pose2Sim) take the frame number for an index. All of them read `nan`.
"""

from __future__ import annotations

import os
import warnings
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pose_core.files import write_pieces
from pose_core.formats.rate import MOST_FRAMES, expect_even
from pose_core.formats.text import count_of, expect_file, fields_of, lines_of, numbers_of
from pose_core.markers import MarkerSequence
from pose_core.reading.damage import budget, damage_told, expect_once
from pose_core.types import Array
from pose_core.units import S_PER_NS

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "meters": 1.0, "millimeters": 0.001}
"""What the units of a file are worth."""
DECIMALS = {"m": 6, "mm": 3}
"""Units that are written, to the micrometre."""
MOST_MARKERS = 10_000
KEYS = "DataRate CameraRate NumFrames NumMarkers Units OrigDataRate OrigDataStartFrame OrigNumFrames".split()
ROWS = 500
"""Rows that are put together at a time."""
LAST_SECOND = 2**63 * S_PER_NS


def write_trc(
    path: str | os.PathLike[str],
    markers: MarkerSequence,
    *,
    units: str = "m",
    origin: int | None = None,
    rate_hz: float | None = None,
) -> None:
    """Write markers at an even rate (by default `rate_of` their stamps; see `rate.evenly`).

    `origin`: stamp of time 0 and frame 1, by default the first. Times are written as they are, to the nanosecond. Raises
    ValueError for other units than m and mm, uneven stamps, no frame or marker, and names that would break the table.
    """
    path = Path(path)
    if units not in DECIMALS:
        raise ValueError(f"units of a TRC file must be m or mm, got '{units}'")
    if not markers.names:
        raise ValueError("a TRC file needs at least one marker, got none")
    for name in markers.names:
        if not name.isprintable() or not name.strip() or name != name.strip():
            raise ValueError(
                f"a marker of a TRC file needs a printable name without blanks around it, got {name!r}"
            )
    rate = expect_even(markers.stamps, rate_hz)
    write_pieces(
        path, _pieces(path.name, markers, units, rate, int(markers.stamps[0]) if origin is None else origin)
    )


def _pieces(name: str, markers: MarkerSequence, units: str, rate: float, origin: int) -> Iterator[bytes]:
    frames, count = len(markers), len(markers.names)
    first = 1 + round((int(markers.stamps[0]) - origin) * S_PER_NS * rate)
    values = [f"{rate:.6f}", f"{rate:.6f}", frames, count, units, f"{rate:.6f}", first, frames]
    header: list[list[object]] = [
        ["PathFileType", "4", "(X/Y/Z)", name],
        list(KEYS),
        values,
        ["Frame#", "Time", *(field for marker in markers.names for field in (marker, "", ""))],
        ["", "", *(f"{axis}{i}" for i in range(1, count + 1) for axis in "XYZ")],
        [],
    ]
    yield "".join("\t".join(map(str, line)) + "\n" for line in header).encode()
    decimals = DECIMALS[units]
    row = "\t".join(["%d", "%.9f", *[f"%.{decimals}f"] * (3 * count)]) + "\n"
    for start in range(0, frames, ROWS):
        part = slice(start, start + ROWS)
        xyz = np.where(markers.missing[part, :, None], np.nan, markers.xyz[part] / METRES[units])
        # adding zero makes -0.000000 plain zero
        numbers = (np.round(xyz, decimals) + 0.0).reshape(len(xyz), -1).tolist()
        times = ((markers.stamps[part] - origin) * S_PER_NS).tolist()
        lines = (
            row % (first + start + i, time, *line)
            for i, (time, line) in enumerate(zip(times, numbers, strict=True))
        )
        yield "".join(lines).encode()


def read_trc(path: str | os.PathLike[str]) -> MarkerSequence:
    """Markers of a TRC file of any origin, in metres and the axes of the file; stamps are its times in ns.

    A coordinate that is empty or nan makes its marker missing. `metadata` has `units` and `rate_hz` as the file states
    them. A number of frames that is not the stated one is warned about. Raises FileNotFoundError, and ValueError for whatever is
    no such file, with the line.
    """
    path = expect_file(path)
    with damage_told(path, "is no whole TRC file: {}"):
        return _read(path)


def _read(path: Path) -> MarkerSequence:
    lines = lines_of(path)
    header = [line for _, line in zip(range(5), lines, strict=False)]
    if not header or not header[0][1].startswith("PathFileType"):
        raise ValueError(f"{path} is no TRC file: its first line must begin with PathFileType")
    if len(header) < 5:
        raise ValueError(f"{path} is cut short: a TRC file has five header lines, this has {len(header)}")
    stated = _stated(path, header[1][1], header[2][1])
    names = _names(path, header[3][1], stated["NumMarkers"])
    axes = [field for field in fields_of(header[4][1]) if field]
    if len(axes) != 3 * len(names) or any(field[0] not in "XYZxyz" for field in axes):
        raise ValueError(f"{path}, line 5 must name X, Y and Z of {len(names)} markers, as in X1 Y1 Z1")
    rows = _rows(path, lines, len(names))
    times = rows[:, 1]
    if len(rows) != stated["NumFrames"]:
        warnings.warn(
            f"{path} states {stated['NumFrames']} frames and holds {len(rows)}; it may be cut short",
            stacklevel=3,
        )
    if not (np.abs(times) < LAST_SECOND).all():
        raise ValueError(f"{path} has a frame without a time; each needs one in its second column")
    stamps = np.rint(times / S_PER_NS).astype(np.int64)
    if (np.diff(stamps) <= 0).any():
        late = int(np.argmax(np.diff(stamps) <= 0)) + 1
        raise ValueError(
            f"{path}: times must increase, but {times[late]:g} s comes after {times[late - 1]:g} s"
        )
    xyz = rows[:, 2:].reshape(len(rows), len(names), 3) * stated["metres"]
    xyz[~np.isfinite(xyz).all(-1)] = np.nan
    metadata = {"units": stated["Units"], "rate_hz": stated["DataRate"]}
    return MarkerSequence(names, stamps, xyz, np.full(xyz.shape[:2], np.nan), metadata=metadata)


def _stated(path: Path, keys: str, values: str) -> dict[str, Any]:
    given = dict(zip(keys.split(), values.split(), strict=False))
    lacking = [key for key in ("DataRate", "NumFrames", "NumMarkers", "Units") if key not in given]
    if lacking:
        raise ValueError(f"{path} does not state {', '.join(lacking)} in its lines 2 and 3")
    units = given["Units"].lower()
    if units not in METRES:
        raise ValueError(f"{path} has units '{units[:40]}'; known are {', '.join(METRES)}")
    (rate,) = numbers_of([given["DataRate"]], f"{path}, DataRate")
    return {
        "DataRate": rate,
        "NumFrames": count_of(given["NumFrames"], MOST_FRAMES, f"{path}, NumFrames"),
        "NumMarkers": count_of(given["NumMarkers"], MOST_MARKERS, f"{path}, NumMarkers"),
        "Units": units,
        "metres": METRES[units],
    }


def _names(path: Path, line: str, count: int) -> tuple[str, ...]:
    fields = [field for field in fields_of(line) if field]
    if fields[:2] != ["Frame#", "Time"]:
        raise ValueError(f"{path}, line 4 must begin with Frame# and Time")
    names = fields[2:]
    if len(names) != count or not count:
        raise ValueError(
            f"{path} states {count} markers and names {len(names)}; there must be one name for each"
        )
    expect_once(names, str(path))
    return tuple(names)


def _rows(path: Path, lines: Iterator[tuple[int, str]], markers: int) -> Array:
    """(T, 2 + 3 M) numbers."""
    width = 2 + 3 * markers
    most = min(MOST_FRAMES * width, budget(path.stat().st_size) // 8)
    numbers = array("d")
    for number, line in lines:
        fields = fields_of(line)
        if not any(fields):
            continue
        # some programs add a tab at the end, others leave out what is missing there
        while len(fields) > width and not fields[-1]:
            fields.pop()
        if len(fields) > width or len(fields) < 2 or (len(fields) - 2) % 3:
            raise ValueError(
                f"{path}, line {number} has {len(fields)} fields, {width} are due to {markers} markers"
            )
        numbers.extend(numbers_of([*fields, *[""] * (width - len(fields))], f"{path}, line {number}"))
        if len(numbers) > most:
            raise ValueError(
                f"{path} has more than {most // width} frames, more than {markers} markers may have"
            )
    if not numbers:
        raise ValueError(f"{path} holds no frame")
    return np.frombuffer(numbers).reshape(-1, width)
