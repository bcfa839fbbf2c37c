"""Writing files so that nobody ever reads half of one."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Put `content` under `path` at once: readers find the old file or the new one, never a part.

    Raises OSError where the folder is missing, not writable or full.
    """
    write_pieces(path, (content,))


def write_pieces(path: str | os.PathLike[str], pieces: Iterable[bytes]) -> None:
    """The same of `pieces`, one after the other, which need not fit in memory together. Raises what making them raises, too."""
    path = Path(path)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part)


def sha256(path: str | os.PathLike[str]) -> str:
    """Digest of what is in a file, in hexadecimal. Raises OSError where it cannot be read."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _umask() -> int:
    """The process's umask, which mkstemp ignores; reading it means setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
