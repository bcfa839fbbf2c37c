"""Ctrl-C and SIGTERM as an orderly end: what runs is finished, threads can be joined."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

ENDING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Notes the signals that end a process, as a context manager in the main thread.

    A second signal raises KeyboardInterrupt, for whoever cannot wait.
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

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = True


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
