"""What long work calls while it goes on."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int | None], None]
"""Gets how much is done, and of how much; None where that is not known."""
Say = Callable[[str], None]
"""Gets a sentence for people."""


def no_progress(_done: int, _total: int | None) -> None:
    """The `Progress` of whoever does not watch."""


def silent(_sentence: str) -> None:
    """The `Say` of whoever does not listen."""
