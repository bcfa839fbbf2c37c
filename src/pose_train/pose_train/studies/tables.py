"""Tables as people read them, in Markdown and in a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

Table = tuple[list[str], list[list[str]]]
"""Header and rows."""

NONE = "-"
"""Where there is no figure."""


def number(value: float | int | None, digits: int = 1) -> str:
    """A figure with that many digits after the point."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 0) -> str:
    """A share of 1 as a percentage."""
    return NONE if value is None or not math.isfinite(value) else f"{100.0 * value:.{digits}f} %"


def magnitude(value: float | None) -> str:
    """A count with three figures, in thousands, millions or thousands of millions: 1.73 M."""
    if value is None or not math.isfinite(value):
        return NONE
    for limit, unit, factor in ((1e3, "", 1.0), (1e6, " k", 1e-3), (1e9, " M", 1e-6)):
        if abs(value) < limit:
            return f"{value * factor:.3g}{unit}"
    return f"{value * 1e-9:.3g} G"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and all others to the right. Raises ValueError for rows of other lengths."""
    _check(header, rows)
    lines = [_line(header), "|" + "|".join([" --- ", *(" ---: " for _ in header[1:])]) + "|"]
    return "\n".join([*lines, *(_line([_escaped(cell) for cell in row]) for row in rows)]) + "\n"


def text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same with aligned columns, for a terminal."""
    _check(header, rows)
    widths = [max(len(line[i]) for line in (header, *rows)) for i in range(len(header))]
    lines = []
    for first, *rest in (header, *rows):
        cells = [
            first.ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)),
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def _check(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for row in rows:
        if len(row) != len(header):
            raise ValueError(
                f"a row must have {len(header)} cells like its header, got {len(row)}: {list(row)}"
            )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
