"""What waits between a thread that brings and the one that works, and a worker that lives by it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Items wait here in the order in which they were put, at most `length` of each key.

    Where a key is full, `newest` drops its oldest item, which `skipped` counts: who takes never lags behind. Otherwise `put`
    waits until there is room: nothing is lost, and who puts becomes as slow as who takes.
    """

    def __init__(self, length: int, *, newest: bool, on_skip: Callable[[], None] | None = None) -> None:
        """`on_skip` is called for each item that is dropped, in the thread that puts."""
        self.skipped = 0
        self._length, self._newest, self._on_skip = length, newest, on_skip
        self._waiting: deque[tuple[str, T]] = deque()
        self._count: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._finished = self._closed = False
        self._error: BaseException | None = None

    @property
    def closed(self) -> bool:
        """Whether nobody takes items any more."""
        return self._closed

    def put(self, item: T, key: str = "") -> bool:
        """Let `item` wait; False once nobody takes items any more."""
        with self._changed:
            if not self._newest:
                self._changed.wait_for(lambda: self._closed or self._count[key] < self._length)
            if self._closed:
                return False
            while self._count[key] >= self._length:
                self._drop_oldest(key)
            self._waiting.append((key, item))
            self._count[key] += 1
            self._changed.notify_all()
            return True

    def take(self) -> T | None:
        """The item that waits longest, once there is one; None after the last one. Raises the error of `finish`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._finished or self._waiting)
            if self._waiting:
                key, item = self._waiting.popleft()
                self._count[key] -= 1
                self._changed.notify_all()
                return item
            if self._error is not None and not self._closed:
                raise self._error
            return None

    def finish(self, error: BaseException | None = None) -> None:
        """No item follows, because of `error` where there is one."""
        with self._changed:
            self._finished, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody takes items any more; what waits is forgotten."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._count.clear()
            self._changed.notify_all()

    def pause(self, seconds: float) -> bool:
        """Wait that long in the thread that puts; False once nobody takes items any more."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._closed, timeout=seconds)

    def _drop_oldest(self, key: str) -> None:
        place = next(i for i, (other, _) in enumerate(self._waiting) if other == key)
        del self._waiting[place]
        self._count[key] -= 1
        self.skipped += 1
        if self._on_skip is not None:
            self._on_skip()


class Worker:
    """One thread that does what is brought, one thing after another, until something raises or it is closed."""

    def __init__(
        self, name: str, *, length: int, newest: bool, on_skip: Callable[[], None] | None = None
    ) -> None:
        """`name`: of the thread. `length`, `newest`, `on_skip`: of its `Inbox`."""
        self.failure: BaseException | None = None
        """What ended the work."""
        self._inbox: Inbox[Callable[[], None]] = Inbox(length, newest=newest, on_skip=on_skip)
        self._floor = threading.Condition()
        self._owner, self._depth, self._guests = 0, 0, 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def bring(self, work: Callable[[], None], key: str = "") -> bool:
        """Let the worker do it in turn; False where it has ended. It may take the place of older work of the same `key`."""
        return self._inbox.put(work, key)

    @contextmanager
    def held(self, patience: float | None = None) -> Iterator[bool]:
        """The worker rests meanwhile, and so does everybody else who would hold it.

        What is in work ends first, what waits comes later. Gives False, and holds nothing, where that takes longer than
        `patience` seconds.
        """
        holds = self._enter(patience, guest=True)
        try:
            yield holds
        finally:
            if holds:
                self._leave()

    def close(self, patience: float) -> bool:
        """End it and forget what waits; False where what is in work does not end within `patience` seconds."""
        self._inbox.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while (work := self._inbox.take()) is not None:
                self._enter(None, guest=False)
                try:
                    if not self._inbox.closed:
                        work()
                finally:
                    self._leave()
        except BaseException as error:  # noqa: BLE001 - a thread's boundary: whoever owns the worker raises it again
            self.failure = error
            self._inbox.close()

    # The floor: a lock that the worker gives up to whoever waits. A plain one it would take again before anybody woke up.

    def _enter(self, patience: float | None, *, guest: bool) -> bool:
        me = threading.get_ident()
        with self._floor:
            if self._owner != me:
                self._guests += guest
                free = self._floor.wait_for(
                    lambda: not self._owner and (guest or not self._guests), timeout=patience
                )
                self._guests -= guest
                if not free:
                    self._floor.notify_all()
                    return False
                self._owner = me
            self._depth += 1
            return True

    def _leave(self) -> None:
        with self._floor:
            self._depth -= 1
            if not self._depth:
                self._owner = 0
                self._floor.notify_all()
