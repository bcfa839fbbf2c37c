"""CSV: tables with a header row, for spreadsheets, R, MATLAB and pandas.

Comma, full stop for decimals, line feed, UTF-8. What is missing is an empty cell.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from pose_core.files import write_pieces
from pose_core.types import Array

DECIMALS = 6
"""Of numbers: micrometres, microseconds, millionths of a degree."""
ROWS = 2000
"""Rows that are put together at a time."""

Columns = Mapping[str, Array]
"""(N,) each, all equally long: numbers, whole numbers or text."""


def write_table(path: str | os.PathLike[str], columns: Columns) -> None:
    """Write columns of one length under their names. Raises ValueError for no column and columns of other lengths."""
    write_tables(path, tuple(columns), [columns])


def write_tables(path: str | os.PathLike[str], names: tuple[str, ...], tables: Iterable[Columns]) -> None:
    """Write one table that comes in parts, each with the columns `names`; as `write_table`, with one part in memory."""
    if not names:
        raise ValueError("a table needs at least one column, got none")
    write_pieces(path, _pieces(names, tables))


def _pieces(names: tuple[str, ...], tables: Iterable[Columns]) -> Iterator[bytes]:
    yield _lines([[_quoted(name) for name in names]])
    for columns in tables:
        if tuple(columns) != names:
            raise ValueError(f"columns must be {', '.join(names)}, got {', '.join(columns)}")
        length = len(columns[names[0]])
        for name in names:
            if np.shape(columns[name]) != (length,):
                raise ValueError(f"column {name} must have shape {(length,)}, got {np.shape(columns[name])}")
        for start in range(0, length, ROWS):
            cells = [_cells(np.asarray(columns[name])[start : start + ROWS]) for name in names]
            yield _lines(zip(*cells, strict=True))


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    # a line of a single empty cell would be an empty line, which many readers skip
    return "".join((",".join(row) or '""') + "\n" for row in rows).encode()


def _cells(values: Array) -> list[str]:
    if values.dtype.kind == "f":
        # adding zero makes -0.000000 plain zero
        rounded = (np.round(values.astype(float), DECIMALS) + 0.0).tolist()
        return [f"{value:.{DECIMALS}f}" if value == value else "" for value in rounded]
    if values.dtype.kind in "iu":
        return [str(value) for value in values.tolist()]
    return [_quoted(str(value)) for value in values.tolist()]


def _quoted(text: str) -> str:
    """Text as a cell: in quotes where a comma, a quote or the end of a line stands in it."""
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
