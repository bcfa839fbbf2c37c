"""What a stage runs on: versions of packages, and the files of models by their content."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

OWN = ("pose-pipeline", "pose_core")
"""Our distribution, as PyPI's tools or colcon name it; the first that is installed counts."""
DIGITS = 12
"""Of a SHA-256 that are stated: enough to tell files apart."""


def versions(*packages: str) -> dict[str, str]:
    """Installed versions by name, our own first; a package that is not installed is left out."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str] = {}
    for name in (*OWN, *packages):
        try:
            found["pose-pipeline" if name in OWN else name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def model(path: Path | None) -> dict[str, str]:
    """The start of a file's SHA-256 by its name without folders; nothing for None. Raises OSError where it cannot be read."""
    if path is None:
        return {}
    stated = path.stat()
    return {path.name: _digest(path, stated.st_mtime_ns, stated.st_size)}


@functools.lru_cache(maxsize=8)
def _digest(path: Path, _changed: int, _size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return f"sha256 {digest.hexdigest()[:DIGITS]}"
