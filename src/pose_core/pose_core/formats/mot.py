"""MOT and STO: named numbers over time, as OpenSim reads coordinates and SIMM motions.

OpenSim's Storage, which its viewer and tools use, stops at the first number that is none without a word (measured with 4.6), so
nothing is missing in a file that is written here: `filled` interpolates, and the header says what it did.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_core.files import write_pieces
from pose_core.formats.rate import MOST_FRAMES
from pose_core.formats.text import count_of, expect_file, fields_of, lines_of, numbers_of
from pose_core.reading.damage import damage_told
from pose_core.types import Array, Stamps
from pose_core.units import S_PER_NS

MOST_COLUMNS = 10_000
MOST_HEADER_LINES = 1000
ROWS = 1000
"""Rows that are put together at a time."""
LAST_SECOND = 2**63 * S_PER_NS


@dataclass(frozen=True, eq=False)
class Motion:
    """What a MOT or STO file holds."""

    name: str
    """The first line."""
    stamps: Stamps
    """ns"""
    columns: dict[str, Array]
    """(T,) each but time, in the order and units of the file."""
    degrees: bool
    """Whether angles are in degrees; else radians."""


def write_mot(
    path: str | os.PathLike[str],
    stamps: Stamps,
    columns: Mapping[str, Array],
    degrees: bool = True,
    *,
    origin: int | None = None,
    name: str = "Coordinates",
    notes: Sequence[str] = (),
) -> None:
    """Write columns (T,) over `stamps` (ns), angles in degrees (or radians) and lengths in metres.

    `origin`: stamp of time 0, by default the first. `notes`: lines for people in the header. Raises ValueError for no frame or
    column, stamps that do not increase, columns of other lengths, names with blanks, and numbers that are not finite.
    """
    stamps = np.asarray(stamps, np.int64)
    if not len(stamps) or not columns:
        raise ValueError(
            f"a MOT file needs frames and columns, got {len(stamps)} frames, {len(columns)} columns"
        )
    if (np.diff(stamps) <= 0).any():
        raise ValueError("stamps must increase")
    for column, values in columns.items():
        if not column.isprintable() or column.split() != [column] or column == "time":
            raise ValueError(
                f"a column of a MOT file needs a name without blanks, other than time, got {column!r}"
            )
        if np.shape(values) != stamps.shape:
            raise ValueError(f"column {column} must have shape {stamps.shape}, got {np.shape(values)}")
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise ValueError(
                f"column {column} has no number in row {row}, after which OpenSim would stop; "
                "use pose_core.formats.mot.filled"
            )
    for note in (name, *notes):
        if not note.isprintable() or "=" in note or note.strip().lower() == "endheader":
            raise ValueError(f"a line of a MOT file's header must be plain text without =, got {note!r}")
    write_pieces(
        path, _pieces(stamps, columns, degrees, int(stamps[0]) if origin is None else origin, name, notes)
    )


def _pieces(
    stamps: Stamps,
    columns: Mapping[str, Array],
    degrees: bool,
    origin: int,
    name: str,
    notes: Sequence[str],
) -> Iterator[bytes]:
    header = [
        name,
        "version=1",
        f"nRows={len(stamps)}",
        f"nColumns={len(columns) + 1}",
        f"inDegrees={'yes' if degrees else 'no'}",
        *(["", *notes, ""] if notes else []),
        "endheader",
        "\t".join(["time", *columns]),
    ]
    yield ("\n".join(header) + "\n").encode()
    row = "\t".join(["%.9f", *["%.6f"] * len(columns)]) + "\n"
    for start in range(0, len(stamps), ROWS):
        part = slice(start, start + ROWS)
        times = (stamps[part] - origin) * S_PER_NS
        # adding zero makes -0.000000 plain zero
        values = [np.round(np.asarray(column, float)[part], 6) + 0.0 for column in columns.values()]
        yield "".join(row % tuple(line) for line in np.stack([times, *values], 1).tolist()).encode()


def filled(stamps: Stamps, columns: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, int]]:
    """Columns (T,) without gaps, and how many rows of each were filled.

    By a straight line over time between the numbers on both sides, and before the first and after the last by these. A column
    without any number is left out.
    """
    full, counts = {}, {}
    for name, values in columns.items():
        known = np.isfinite(values)
        if known.any():
            full[name] = np.where(known, values, np.interp(stamps, stamps[known], values[known]))
            counts[name] = int((~known).sum())
    return full, counts


def read_mot(path: str | os.PathLike[str]) -> Motion:
    """A MOT or STO file, of OpenSim or SIMM; times become stamps in ns. Angles are those of the file, see `Motion.degrees`.

    A file that does not say has radians, as OpenSim takes it, but for SIMM's, whose angles are always degrees. Raises
    FileNotFoundError, and ValueError for whatever is no such file, with the line.
    """
    path = expect_file(path)
    with damage_told(path, "is no whole MOT or STO file: {}"):
        return _read(path)


def _read(path: Path) -> Motion:
    lines = lines_of(path)
    name, stated = _header(path, lines)
    number, names = _names(path, lines)
    width = len(names)
    columns = stated.get("ncolumns", stated.get("datacolumns"))
    if columns is not None and count_of(columns, MOST_COLUMNS, f"{path}, nColumns") != width:
        raise ValueError(f"{path} states {columns} columns and names {width}")
    rows = stated.get("nrows", stated.get("datarows"))
    numbers = array("d")
    for number, line in lines:
        fields = fields_of(line)
        while fields and not fields[-1] and len(fields) > width:
            fields.pop()
        if not any(fields):
            continue
        if len(fields) != width:
            raise ValueError(f"{path}, line {number} has {len(fields)} fields, {width} are due")
        numbers.extend(numbers_of(fields, f"{path}, line {number}"))
        if len(numbers) > MOST_FRAMES * width:
            raise ValueError(f"{path} has more than {MOST_FRAMES} rows")
    table = np.frombuffer(numbers).reshape(-1, width) if numbers else np.empty((0, width))
    if rows is not None and count_of(rows, MOST_FRAMES, f"{path}, nRows") != len(table):
        raise ValueError(
            f"{path} states {rows} rows and holds {len(table)}; it was cut short, or nRows is wrong"
        )
    if not len(table):
        raise ValueError(f"{path} holds no row")
    times = table[:, 0]
    if not (np.abs(times) < LAST_SECOND).all():
        raise ValueError(f"{path} has a row without a time; each needs one in its first column")
    stamps = np.rint(times / S_PER_NS).astype(np.int64)
    if (np.diff(stamps) <= 0).any():
        late = int(np.argmax(np.diff(stamps) <= 0)) + 1
        raise ValueError(
            f"{path}: times must increase, but {times[late]:g} s comes after {times[late - 1]:g} s"
        )
    degrees = stated.get("indegrees", "yes" if "datacolumns" in stated else "no").lower() == "yes"
    return Motion(name, stamps, dict(zip(names[1:], table[:, 1:].T, strict=True)), degrees)


def _header(path: Path, lines: Iterator[tuple[int, str]]) -> tuple[str, dict[str, str]]:
    """The first line, and what the header states, its keys in small letters."""
    name = ""
    stated: dict[str, str] = {}
    for number, line in lines:
        text = line.strip()
        if text.lower() == "endheader":
            return name, stated
        if number > MOST_HEADER_LINES:
            break
        name = text if number == 1 else name
        key, equals, value = text.partition("=") if "=" in text else text.partition(" ")
        if equals:
            stated[key.strip().lower()] = value.strip()
    raise ValueError(f"{path} is no MOT or STO file: no line says endheader")


def _names(path: Path, lines: Iterator[tuple[int, str]]) -> tuple[int, list[str]]:
    for number, line in lines:
        names = [name for name in fields_of(line) if name]
        if not names:
            continue
        if names[0].lower() != "time":
            raise ValueError(f"{path}, line {number}: the first column must be time, got '{names[0][:40]}'")
        if len(names) > MOST_COLUMNS:
            raise ValueError(f"{path}, line {number} names {len(names)} columns, more than {MOST_COLUMNS}")
        if len(set(names)) != len(names):
            raise ValueError(f"{path}, line {number} names a column twice")
        return number, names
    raise ValueError(f"{path} ends before the names of its columns")
