"""Writing long files piece by piece, so that nobody ever reads half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pose_core.files import _umask


def write_pieces(path: str | os.PathLike[str], pieces: Iterable[bytes]) -> None:
    """Put the `pieces`, one after the other, under `path` at once; `pose_core.files.write_whole` for what need not fit in memory.

    Readers find the old file or the new one, never a part. Raises OSError where the folder is missing, not writable or full,
    and what making the pieces raises.
    """
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
