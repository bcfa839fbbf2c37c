"""Commands that installed packages bring to `pose`: attached by name, imported when they are called.

Own commands win. The list of commands names the package that brings one, which its metadata tell without an import; one that
cannot be imported says so when it is called, and `pose doctor` names it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from pose_core import doors

EXPECTED = "a typer.Typer or a function with typer's options"


class Commands(TyperGroup):
    """The `pose` command, with what others bring to it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours in their order, then theirs; nothing is imported."""
        own = super().list_commands(ctx)
        return [*own, *(name for name in doors.names(doors.COMMANDS) if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; None where there is none."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in doors.names(doors.COMMANDS):
            return own
        return _Brought(cmd_name)


class _Brought(TyperCommand):
    """Stands for a command until it is called."""

    def __init__(self, name: str) -> None:
        super().__init__(name, help=f"of package {doors.origin(doors.COMMANDS, name).package}")

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """That of the command itself. Raises ValueError where it cannot be imported."""
        assert self.name is not None
        return load(self.name).make_context(info_name, args, parent=parent, **extra)


def load(name: str) -> Any:
    """The command that a package brings under `name`. Raises ValueError where it cannot be used."""
    found = doors.load_fitting(doors.COMMANDS, name, is_command, EXPECTED)
    if not isinstance(found, typer.Typer):
        found = _of_function(name, found)
    return get_command(found)


def is_command(found: Any) -> bool:
    """Whether something can become a command."""
    return isinstance(found, typer.Typer) or (callable(found) and not isinstance(found, type))


def _of_function(name: str, function: Callable[..., Any]) -> typer.Typer:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(name)(function)
    return app
