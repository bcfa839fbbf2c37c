"""Networks that come with a package: the SHA-256 of each stands in a file beside them, as `sha256sum` writes it.

A bit that has flipped on a disk changes what a network computes, and nothing else would tell. `pose export-model` states the
sum of what it writes into such a folder. Files that a user has made have none, in whatever folder.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pose_core.files import write_whole

SUMS = "SHA256SUMS"
"""Name of the file in a folder of networks."""


def check(path: str | os.PathLike[str], content: bytes) -> None:
    """Raise ValueError where the `content` of the file at `path` is not what the sums beside it state; nothing where none do."""
    stated = _stated(Path(path).parent).get(Path(path).name)
    if stated not in (None, hashlib.sha256(content).hexdigest()):
        raise ValueError(
            f"model file '{path}' is damaged: its SHA-256 is not the one in {SUMS} beside it; install the package again"
        )


def state(path: str | os.PathLike[str]) -> None:
    """State the sum of the file at `path` where its folder states sums. Raises OSError where one cannot be read or written."""
    path = Path(path)
    if (path.parent / SUMS).is_file():
        sums = _stated(path.parent) | {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
        lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
        write_whole(path.parent / SUMS, lines.encode())


def _stated(folder: Path) -> dict[str, str]:
    """Sums in hexadecimal by name; none where the folder states none."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines) if name}
