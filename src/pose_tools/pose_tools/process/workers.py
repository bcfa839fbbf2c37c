"""Processes that work on parts of a recording at the same time.

They are started anew (spawn), so that nothing of the parent, such as its threads, is copied into them.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any, ClassVar

from pose_core.system.signals import interrupts_held

LOOK_S = 0.05
"""Seconds after which the waiting process looks for progress and interrupts."""
DIED = (
    "a working process ended before its time, perhaps for want of memory; the same command goes on from here"
)


class Stopped(Exception):
    """The work is to end now; what is finished is kept."""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Processes for tasks of this package. They end with the block, and give up their tasks where it ends by an exception."""

    def __init__(self, processes: int, watch: Callable[[], None]) -> None:
        """`processes`: 0 does each task here, when it is submitted. `watch` is called now and then while tasks are awaited or
        work here; what it raises ends the work.
        """
        self.processes = processes
        self._watch = watch
        self._here = 0
        self._pool: ProcessPoolExecutor | None = None
        if processes:
            context = multiprocessing.get_context("spawn")
            self._ticks, self._stop = context.Value("q", 0), context.Event()
            self._pool = ProcessPoolExecutor(processes, context, _start, (self._ticks, self._stop))

    def __enter__(self) -> Workers:
        if self._pool is None:
            _Signs.tick = staticmethod(self._tick)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if self._pool is None:
            _Signs.tick = staticmethod(_nobody)
            return
        if kind is not None:
            self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)

    @property
    def ticks(self) -> int:
        """How often the tasks have called `tick`, all together."""
        return self._here if self._pool is None else int(self._ticks.value)

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Let one of the processes run `task`."""
        if self._pool is None:
            done: Future[Any] = Future()
            done.set_result(task(*arguments))
            return done
        try:
            with interrupts_held():
                return self._pool.submit(task, *arguments)
        except BrokenProcessPool as error:
            raise OSError(DIED) from error

    def finish(self, future: Future[Any]) -> Any:
        """The result of a task. Raises what the task raised, OSError where its process died."""
        while not future.done():
            self.pause(future)
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise OSError(DIED) from error

    def has_ended(self, future: Future[Any]) -> bool:
        """Whether a task has come to its end. Raises as `finish`."""
        if future.done():
            self.finish(future)
        return future.done()

    def pause(self, future: Future[Any]) -> None:
        """Wait a moment for a task."""
        self._watch()
        wait([future], LOOK_S)

    def _tick(self, units: int) -> None:
        self._here += units
        self._watch()


def _nobody(_units: int) -> None:
    """Nobody wants to know."""


class _Signs:
    """How a task tells of its progress, and learns that it is to stop."""

    tick: ClassVar[Callable[[int], None]] = staticmethod(_nobody)


def tick(units: int = 1) -> None:
    """In a task, for each image: count it as done. Raises what ends the work."""
    _Signs.tick(units)


def _start(ticks: Any, stop: Any) -> None:
    """In a new process."""

    def count(units: int) -> None:
        if stop.is_set():
            raise Stopped
        with ticks.get_lock():
            ticks.value += units

    _Signs.tick = staticmethod(count)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot say so; nobody wants the results of its workers then."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)
