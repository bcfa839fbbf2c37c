"""Ctrl-C and SIGTERM as an orderly end: what runs is finished, threads can be joined, and nobody sees a traceback.

The exit code of a process that a signal ended before it was done is 128 + the number of the signal, as a shell has it: 130, 143.
Nodes, which work until somebody ends them, exit with 0.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM)

ENDED = 128
"""Exit code, but for the signal's number, of a process that a signal ended before it was done."""


class Ended(KeyboardInterrupt):
    """A signal ends the process."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Signals:
    """Notes the signals that end a process, as a context manager in the main thread.

    A second signal raises Ended, for whoever cannot wait.
    """

    def __init__(self) -> None:
        self.received = False
        """Whether the process is to end."""

    def __enter__(self) -> Signals:
        self._before = {number: signal.signal(number, self._on_signal) for number in ENDING}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.received:
            raise Ended(number)
        self.received = True
        _Process.ended_by = number


class _Process:
    """What `run_command` knows of its process."""

    ended_by = 0
    """Number of the last signal that asked for the end; 0: none did."""
    over = False
    """Whether nothing of value is left to do."""
    endless = False
    """Whether it works until a signal comes."""

    @classmethod
    def code_of(cls, number: int) -> int:
        """Exit code where the signal of this number is the reason."""
        return 0 if cls.endless else ENDED + number


def run_command(command: Callable[[], object], *, endless: bool = False) -> NoReturn:
    """Make `command`, which imports what it needs when it is called, all that this process does; for entry points.

    Signals are handled before anything that takes time is imported. One that comes while modules are imported ends the process on
    the spot: nothing was begun yet, and libraries take an exception in the middle of their import for an error of their own, or
    swallow it. At other times it raises Ended, so that files are left in order, unless `Signals` notes it. Exits with what
    `command` returns or gives to sys.exit, and with 128 + the signal's number instead of a failure that a signal brought about;
    one that is `endless` has then done what it was to do, and exits with 0.
    """
    _Process.endless = endless
    for number in ENDING:
        signal.signal(number, _on_signal)
    sys.unraisablehook = _on_unraisable
    code: object = 0
    try:
        code = command()
    except SystemExit as error:
        code = error.code
    except Ended as error:
        code = _Process.code_of(error.number)
    _Process.over = True
    if code not in (None, 0) and _Process.ended_by:
        if isinstance(code, str):
            print(code, file=sys.stderr)
        code = _Process.code_of(_Process.ended_by)
    sys.exit(code)  # type: ignore[arg-type]  # whatever SystemExit had


def _on_signal(number: int, frame: FrameType | None) -> None:
    _Process.ended_by = number
    if _Process.over or _imports(frame):
        _leave(_Process.code_of(number))
    raise Ended(number)


def _on_unraisable(told: sys.UnraisableHookArgs) -> None:
    """Ended came up where Python lets nothing be raised, as when an object is deleted."""
    if isinstance(told.exc_value, Ended):
        _leave(_Process.code_of(told.exc_value.number))
    sys.__unraisablehook__(told)


def _imports(frame: FrameType | None) -> bool:
    """Whether `frame` runs within the import of a module."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _leave(code: int) -> NoReturn:
    """End the process without any of Python's ending."""
    if sys.stderr is not None and sys.stderr.isatty():
        os.write(2, b"\x1b[?25h\n")  # the cursor, which a progress bar may have hidden
    os._exit(code)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Processes that start meanwhile are not interrupted by Ctrl-C: that is for their parent, which then stops them.

    Windows has no such mask; there they end with a traceback of their own, and the parent still stops in order.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
