"""A run's numbers as one screen of text."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 100


def table(result: dict[str, Any], title: str = "") -> str:
    """Nested results as an indented two-column table; percentile dictionaries stand in one cell."""
    grid = Table(show_header=False, box=None, pad_edge=False, title=title or None)
    grid.add_column()
    grid.add_column()
    for name, text in _rows(result):
        grid.add_row(name, text)
    sink = io.StringIO()
    Console(file=sink, width=WIDTH, highlight=False).print(grid)
    return sink.getvalue().rstrip()


def _rows(value: dict[str, Any], indent: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, entry in value.items():
        if isinstance(entry, dict) and any(isinstance(inner, dict) for inner in entry.values()):
            rows += [(f"{indent}{name}", ""), *_rows(entry, indent + "  ")]
        else:
            rows.append((f"{indent}{name}", _text(entry)))
    return rows


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {_text(entry)}" for name, entry in value.items()) or "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
