"""Every reader of files and damaged ones: it reads or says one sentence. `make fuzz` does the same for longer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fuzz
from fuzz import READERS, Change, Fault, Reader, judge

PLACES = st.floats(0.0, 1.0).map(lambda share: share**3) | st.floats(0.0, 1.0)
"""Shares of a file's length, more of them near its beginning."""
SIZES = st.integers(0, 8) | st.sampled_from([64, 1 << 40])
CHANGES = st.lists(st.builds(Change, PLACES, SIZES, st.binary(max_size=8)), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, bytes]]:
    """A file of a reader, and what is in it while it is whole."""
    made: dict[str, tuple[Path, bytes]] = {}

    def get(name: str) -> tuple[Path, bytes]:
        if name not in made:
            path = tmp_path_factory.mktemp(name) / f"file{READERS[name].suffix}"
            READERS[name].write(path)
            made[name] = path, path.read_bytes()
        path, content = made[name]
        path.write_bytes(content)
        return path, content

    return get


@pytest.mark.parametrize("name", READERS)
def test_a_whole_file_is_read(whole: Callable[[str], tuple[Path, bytes]], name: str) -> None:
    assert judge(READERS[name], whole(name)[0])


@pytest.mark.parametrize("name", READERS)
@given(changes=CHANGES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_or_refused_in_one_sentence(
    whole: Callable[[str], tuple[Path, bytes]], name: str, changes: list[Change]
) -> None:
    path, content = whole(name)
    path.write_bytes(fuzz.changed(content, changes))
    judge(READERS[name], path)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("length", [0, 1, 9, 40])
def test_a_file_that_is_cut_short_is_refused(
    whole: Callable[[str], tuple[Path, bytes]], name: str, length: int
) -> None:
    path, content = whole(name)
    path.write_bytes(content[:length])
    assert not judge(READERS[name], path)


def test_changes_flip_cut_and_insert() -> None:
    assert Change(0.5, 1, b"X").of(b"abcd") == b"abXd"
    assert Change(0.25, 2, b"").of(b"abcd") == b"ad"
    assert Change(1.0, 0, b"XY").of(b"abcd") == b"abcdXY"
    assert fuzz.changed(b"abcd", [Change(0.0, 1, b""), Change(0.0, 0, b"Z")]) == b"Zbcd"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("xyz"), "KeyError"),
        (ValueError("word " * 80), "400 characters"),
        (ValueError("one\ntwo"), "one"),
        (ValueError(), "0 characters"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_what_a_reader_must_not_do_is_found(tmp_path: Path, error: Exception, words: str) -> None:
    def read(_path: Path) -> None:
        raise error

    with pytest.raises(Fault, match=words):
        judge(Reader(".txt", lambda path: path.touch(), read), tmp_path)


def test_the_command_counts_what_became_of_the_files() -> None:
    done = subprocess.run(
        [sys.executable, fuzz.__file__, "--seconds", "0.2", "c3d"], capture_output=True, text=True, check=True
    )
    words = done.stdout.split()
    assert words[0] == "c3d"
    assert int(words[1]) == int(words[3]) + int(words[5]) > 0
    assert words[7:9] == ["0", "faults;"]
