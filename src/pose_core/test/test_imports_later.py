"""Modules that are imported when they are used."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from pose_core.system.imports import imported_later


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A library that imports another, which takes long, in two ways."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "__init__.py").write_text("")
    (tmp_path / "slow" / "part.py").write_text("answer = 42")
    (tmp_path / "library.py").write_text("import slow.part as a\nfrom slow import part as b\nimport slow\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("slow", "slow.part", "library"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "library"


def test_a_module_is_imported_at_its_first_use(library: str):
    with imported_later("slow", "slow.part"):
        found = importlib.import_module(library)
    assert {"slow", "slow.part"} & sys.modules.keys() == set()
    assert found.a.answer == 42
    assert sys.modules["slow.part"].answer == found.b.answer == found.slow.part.answer == 42
    for name in ("slow", "slow.part", "library"):
        del sys.modules[name]


def test_a_module_that_is_there_stays(library: str):
    there = importlib.import_module("slow.part")
    with imported_later("slow", "slow.part"):
        found = importlib.import_module(library)
    assert found.a is there
    assert sys.modules["slow.part"] is there
    for name in ("slow", "slow.part", "library"):
        del sys.modules[name]


def test_what_a_module_needs_at_its_import_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "needing.py").write_text("from slow import answer")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="answer"), imported_later("slow"):
        importlib.import_module("needing")
    assert "slow" not in sys.modules
