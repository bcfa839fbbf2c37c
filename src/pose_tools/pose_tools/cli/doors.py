"""Commands that installed packages bring to `pose`: attached by name, imported when they are called.

Own commands win. The list of commands names the package that brings one, which its metadata tell without an import; one that
cannot be imported says so when it is called, and `pose doctor` names it.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from pose_core import doors
from pose_tools.commands import load


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
