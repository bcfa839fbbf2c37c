"""Locks between processes, as files: whoever dies gives his up."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class Busy(Exception):
    """Another process holds the lock."""


@contextmanager
def locked(file: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock `file`, which is made where it is not there. Without `wait`, raises Busy where another process holds it."""
    with file.open("w") as lock:
        _acquire(lock, wait)
        try:
            yield
        finally:
            _release(lock)


if sys.platform == "win32":

    def _acquire(lock: IO[str], wait: bool) -> None:
        while True:
            lock.seek(0)
            try:
                # LK_LOCK asks once a second, ten times
                msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError as error:
                if not wait:
                    raise Busy(lock.name) from error
            else:
                return

    def _release(lock: IO[str]) -> None:
        lock.seek(0)
        msvcrt.locking(lock.fileno(), msvcrt.LK_UNLCK, 1)

else:

    def _acquire(lock: IO[str], wait: bool) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise Busy(lock.name) from error

    def _release(lock: IO[str]) -> None:
        """Closing the file gives the lock up."""


def wait_for_disk(path: Path) -> None:
    """Return when the disk has all that was written to a file, or the names in a folder; Windows does the latter by itself."""
    windows = sys.platform == "win32"
    if windows and path.is_dir():
        return
    file = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
