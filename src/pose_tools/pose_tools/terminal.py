"""What commands print: progress and tables go to stderr; with --json, one JSON document goes to stdout."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="print the result as JSON on stdout")]


def say(line: str) -> None:
    """One line on stderr."""
    print(line, file=sys.stderr, flush=True)


def show(result: dict[str, Any], as_json: bool) -> None:
    """The result of a command."""
    from pose_tools.summary import table

    say(table(result))
    if as_json:
        print(json.dumps(result, indent=2, default=str))


class Bar:
    """A progress bar on stderr, called with the number of images done and, where known, of all."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), refresh_per_second=5)
        self._task = self._progress.add_task(title, total=None)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def __call__(self, done: int, total: int | None = None) -> None:
        self._progress.update(self._task, completed=done, total=total)
