"""Corrections to the ROS 2 wheels: their CMake files name folders of the machine that made them."""

from __future__ import annotations

import re
from pathlib import Path

from workspace.steps import replace_text

_MADE_FOR = r"/opt/python/cp\d+-cp\d+"
_NUMPY_HEADERS = re.compile(_MADE_FOR + r"/lib/python[\d.]+/site-packages/numpy/_?core/include")
_PYTHON_HEADERS = re.compile(_MADE_FOR + r"/include/python[\d.]+")


def with_local_headers(text: str, python_headers: str, numpy_headers: str) -> str:
    """CMake text with the wheel maker's header folders replaced by this machine's. Applying it twice changes nothing more."""
    text = _NUMPY_HEADERS.sub(lambda _: numpy_headers, text)
    return _PYTHON_HEADERS.sub(lambda _: python_headers, text)


def patch(prefix: Path, python_headers: str, numpy_headers: str) -> int:
    """Correct every CMake file below share/ of a virtual environment. Returns how many files changed."""
    changed = 0
    for file in sorted((prefix / "share").rglob("*.cmake")):
        text = file.read_text()
        changed += replace_text(file, with_local_headers(text, python_headers, numpy_headers))
    return changed
