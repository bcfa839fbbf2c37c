"""What a command of another package must be, and how it becomes one of `pose`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.main import get_command

from pose_core import doors

EXPECTED = "a typer.Typer or a function with typer's options"


def load(name: str) -> Any:
    """The command that a package brings under `name`. Raises ValueError where it cannot be used."""
    found = doors.load_fitting(doors.COMMANDS, name, is_command, EXPECTED)
    if not isinstance(found, typer.Typer):
        found = of_function(name, found)
    return get_command(found)


def is_command(found: Any) -> bool:
    """Whether something can become a command."""
    return isinstance(found, typer.Typer) or (callable(found) and not isinstance(found, type))


def of_function(name: str, function: Callable[..., Any]) -> typer.Typer:
    """A command of this name that calls a function with typer's options."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(name)(function)
    return app
