"""Ctrl-C and SIGTERM as an orderly end: what runs is finished, ROS is still up, threads can be joined.

The signal handlers of rclpy take the middleware away at once, from threads that are still publishing as well.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

from rclpy.executors import Executor

ENDING = (signal.SIGINT, signal.SIGTERM)

LOOK = 0.2
"""Seconds after which an idle executor looks for a signal: Python handles none while the middleware waits."""


class Signals:
    """Notes the signals that end a process, as a context manager in the main thread.

    Open it before ROS is initialised, and initialise that with `SignalHandlerOptions.NO`. A second signal raises
    KeyboardInterrupt, for whoever cannot wait.
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

    def spin(self, executor: Executor) -> None:
        """Let `executor` work until a signal was received."""
        while not self.received:
            executor.spin_once(timeout_sec=LOOK)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = True
