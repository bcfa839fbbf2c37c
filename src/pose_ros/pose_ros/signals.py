"""Ctrl-C and SIGTERM as an orderly end: what runs is finished, ROS is still up, threads can be joined.

The signal handlers of rclpy take the middleware away at once, from threads that are still publishing as well.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType

from rclpy.executors import Executor

ENDING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Listens to the signals that end a process, as a context manager in the main thread.

    Open it before ROS is initialised, and initialise that with `SignalHandlerOptions.NO`. A second signal raises
    KeyboardInterrupt, for whoever cannot wait.
    """

    def __init__(self) -> None:
        self.received = threading.Event()
        self._executor: Executor | None = None

    def __enter__(self) -> Signals:
        reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # Python's own handlers wait until the main thread leaves the middleware; the pipe is written to at once.
        threading.Thread(target=self._watch, args=(reader,), daemon=True).start()
        self._wakeup = signal.set_wakeup_fd(self._writer)
        self._handlers = {number: signal.signal(number, _interrupt_next_time) for number in ENDING}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._writer)

    def spin(self, executor: Executor) -> None:
        """Let `executor` work until a signal was received."""
        self._executor = executor
        while not self.received.is_set():
            executor.spin_once()

    def _watch(self, reader: int) -> None:
        while os.read(reader, 1):
            self.received.set()
            if self._executor is not None:
                self._executor.create_task(_nothing)  # so that spin_once returns
        os.close(reader)


def _interrupt_next_time(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.default_int_handler)


def _nothing() -> None:
    pass
