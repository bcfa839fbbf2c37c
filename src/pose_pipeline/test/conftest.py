"""What the documents show: code of their examples, and the package of docs/extending.md as if it were installed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_core import doors

DOCS = Path(__file__).parents[3] / "docs"
BLOCK = re.compile(r'^```\w+(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$', re.M | re.S)
ENTRIES = re.compile(r'^\[project\.entry-points\."(?P<group>[^"]+)"\]\n(?P<lines>(?:\w.*\n)+)', re.M)


def written(folder: Path) -> Path:
    """The package of docs/extending.md in a folder, one file for each block with a title."""
    text = (DOCS / "extending.md").read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        if block["title"]:
            file = folder / block["title"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block["code"], encoding="utf-8")
    return folder


def describe(folder: Path, name: str, entries: str) -> None:
    """Metadata that make a folder on the path look like one where package `name` 1.0 is installed."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)


@pytest.fixture
def examples() -> Callable[[str], list[str]]:
    """`examples(document)` gives the code blocks of a document, in order."""
    return lambda name: [found["code"] for found in BLOCK.finditer((DOCS / name).read_text(encoding="utf-8"))]


@pytest.fixture
def their_source() -> Callable[[Path], Path]:
    """`their_source(folder)` writes the package of docs/extending.md."""
    return written


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path, str, str], None]]:
    """`install(folder, name, entries)` puts a folder on the path of this process and of those it starts."""
    before = set(sys.modules)

    def put(folder: Path, name: str, entries: str) -> None:
        describe(folder, name, entries)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv(
            "PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        )
        doors.forget()

    yield put
    monkeypatch.undo()
    doors.forget()
    for name in set(sys.modules) - before:
        if name.startswith(("their_pose", "other_pose")):
            del sys.modules[name]


@pytest.fixture
def theirs(tmp_path: Path, install: Callable[[Path, str, str], None]) -> Path:
    """The package of docs/extending.md, installed; its folder."""
    folder = written(tmp_path / "theirs")
    project = (folder / "pyproject.toml").read_text(encoding="utf-8")
    sections = [
        f"[{found['group']}]\n{found['lines'].replace(chr(34), '')}" for found in ENTRIES.finditer(project)
    ]
    assert len(sections) == 5
    install(folder, "their-pose", "\n".join(sections))
    return folder


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Half a second of grey images."""
    path = tmp_path / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (320, 240))
    for _ in range(15):
        writer.write(np.full((240, 320, 3), 128, np.uint8))
    writer.release()
    return path
