"""Work between threads: what is kept, what is dropped, who waits for whom. No test waits for time to pass."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pose_core.system.inbox import Inbox, Worker

LONG = 20.0


def started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def taken(inbox: Inbox[int], count: int) -> list[int | None]:
    return [inbox.take() for _ in range(count)]


def test_the_newest_takes_the_place_of_the_oldest_and_that_is_counted():
    inbox: Inbox[int] = Inbox(2, newest=True)
    assert all(inbox.put(number) for number in range(5))
    assert (taken(inbox, 2), inbox.skipped) == ([3, 4], 3)


def test_each_key_has_its_own_places_and_the_order_is_kept():
    inbox: Inbox[int] = Inbox(1, newest=True)
    for number, key in enumerate("abaab"):
        inbox.put(number, key)
    assert (taken(inbox, 2), inbox.skipped) == ([3, 4], 3)


def test_where_nothing_may_be_lost_putting_waits_for_room():
    inbox: Inbox[int] = Inbox(1, newest=False)
    inbox.put(0)
    put = threading.Event()
    thread = started(lambda: inbox.put(1) and put.set())
    assert not put.is_set()
    assert taken(inbox, 2) == [0, 1]
    thread.join(LONG)
    assert put.is_set()
    assert inbox.skipped == 0


def test_a_full_key_does_not_keep_another_one_waiting():
    inbox: Inbox[int] = Inbox(1, newest=False)
    inbox.put(0, "a")
    assert inbox.put(1, "b")
    assert taken(inbox, 2) == [0, 1]


def test_closing_wakes_whoever_waits_and_forgets_what_waits():
    full: Inbox[int] = Inbox(1, newest=False)
    full.put(0)
    answers: list[object] = []
    threads = [started(lambda: answers.append(full.put(1)))]
    empty: Inbox[int] = Inbox(1, newest=True)
    threads.append(started(lambda: answers.append(empty.take())))
    for inbox in (full, empty):
        inbox.close()
    for thread in threads:
        thread.join(LONG)
    assert sorted(answers, key=str) == [False, None]
    assert full.take() is None
    assert not full.pause(LONG)


def test_what_was_put_before_the_end_is_taken_then_the_error_comes():
    inbox: Inbox[int] = Inbox(1, newest=True)
    inbox.put(1)
    inbox.finish(RuntimeError("the camera broke"))
    assert inbox.take() == 1
    with pytest.raises(RuntimeError, match="the camera broke"):
        inbox.take()
    inbox.close()
    assert inbox.take() is None


class Slow:
    """Work that takes until the test lets it go on."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.done: list[int] = []

    def on(self, number: int) -> Callable[[], None]:
        def work() -> None:
            self.begun.release()
            assert self.go_on.acquire(timeout=LONG)
            self.done.append(number)

        return work


def finished(worker: Worker) -> None:
    """When everything that was brought before is done."""
    done = threading.Event()
    worker.bring(done.set, "the last one")
    assert done.wait(LONG)


def test_a_slow_worker_goes_on_with_the_newest():
    slow, skipped = Slow(), []
    worker = Worker("slow", length=1, newest=True, on_skip=lambda: skipped.append(1))
    worker.bring(slow.on(0))
    assert slow.begun.acquire(timeout=LONG)
    for number in range(1, 6):
        worker.bring(slow.on(number))
    for _ in range(2):
        slow.go_on.release()
    finished(worker)
    assert (slow.done, len(skipped)) == ([0, 5], 4)
    assert worker.close(LONG)


def test_a_worker_that_may_lose_nothing_does_everything_in_order():
    slow, skipped = Slow(), []
    worker = Worker("slow", length=1, newest=False, on_skip=lambda: skipped.append(1))
    bringing = started(lambda: [worker.bring(slow.on(number)) for number in range(6)])
    for _ in range(6):
        assert slow.begun.acquire(timeout=LONG)
        slow.go_on.release()
    bringing.join(LONG)
    finished(worker)
    assert (slow.done, skipped) == ([0, 1, 2, 3, 4, 5], [])
    assert worker.close(LONG)


def test_who_holds_a_worker_waits_for_what_is_in_work_and_comes_before_what_waits():
    slow, worker = Slow(), Worker("slow", length=9, newest=False)
    for number in range(3):
        worker.bring(slow.on(number))
    assert slow.begun.acquire(timeout=LONG)
    held, seen = threading.Event(), []

    def look() -> None:
        held.set()
        with worker.held() as holds, worker.held() as again:  # whoever holds it already does so at once
            seen.append((holds, again, list(slow.done)))

    with worker.held(0.0) as holds:
        assert not holds
    guest = started(look)
    assert held.wait(LONG)
    while not worker._guests:  # only then is it known to wait
        pass
    for _ in range(3):
        slow.go_on.release()
    guest.join(LONG)
    finished(worker)
    assert seen == [(True, True, [0])]
    assert slow.done == [0, 1, 2]
    assert worker.close(LONG)


def test_while_a_worker_is_held_nothing_is_done():
    worker, done = Worker("held", length=1, newest=True), []
    with worker.held() as holds:
        assert holds
        worker.bring(lambda: done.append(1))
        assert done == []
    finished(worker)
    assert done == [1]
    assert worker.close(LONG)


def test_a_worker_may_hold_itself():
    worker, done = Worker("itself", length=1, newest=True), []

    def work() -> None:
        with worker.held() as holds:
            done.append(holds)

    worker.bring(work)
    finished(worker)
    assert done == [True]
    assert worker.close(LONG)


def test_what_work_raises_ends_the_worker_and_is_kept():
    worker = Worker("broken", length=1, newest=False)
    worker.bring(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    while worker.bring(lambda: None):
        pass
    assert worker.close(LONG)
    assert isinstance(worker.failure, ZeroDivisionError)
    with worker.held() as holds:
        assert holds


def test_closing_says_whether_what_is_in_work_has_ended():
    slow, worker = Slow(), Worker("slow", length=1, newest=True)
    worker.bring(slow.on(0))
    worker.bring(slow.on(1), "another")
    assert slow.begun.acquire(timeout=LONG)
    assert not worker.close(0.0)
    slow.go_on.release()
    assert worker.close(LONG)
    assert slow.done == [0]
