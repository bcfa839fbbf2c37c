"""CSV tables: to the byte, and as Python's and NumPy's own readers see them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core import files
from pose_core.formats.csv_file import write_table, write_tables

NAN = float("nan")


def test_a_table_to_the_byte(tmp_path: Path):
    columns = {
        "time": np.array([0.0, 1 / 3]),
        "person": np.array(["p1", 'a, "b"']),
        "x_px": np.array([NAN, -1e-9]),
        "flags": np.array([0, 4], np.uint8),
    }
    write_table(tmp_path / "a.csv", columns)
    expected = b'time,person,x_px,flags\n0.000000,p1,,0\n0.333333,"a, ""b""",0.000000,4\n'
    assert (tmp_path / "a.csv").read_bytes() == expected


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6) | st.just(NAN), st.text("aé,\"\n\r ;'", max_size=8)), max_size=20)
)
@settings(max_examples=50, deadline=None)
def test_other_readers_see_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str]]
):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    numbers, words = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], object)
    write_table(path, {"x": numbers, "word": words})
    with path.open(newline="", encoding="utf-8") as file:
        header, *read = list(csv.reader(file))
    assert header == ["x", "word"]
    assert [row[1] for row in read] == [row[1] for row in rows]
    np.testing.assert_allclose([float(row[0] or "nan") for row in read], numbers, atol=5.1e-7)


def test_numpy_reads_it(tmp_path: Path):
    write_table(
        tmp_path / "a.csv", {"time": np.arange(5000) / 100, "angle_deg": np.linspace(-180, 180, 5000)}
    )
    table = np.genfromtxt(tmp_path / "a.csv", delimiter=",", names=True)
    np.testing.assert_allclose(table["time"], np.arange(5000) / 100, atol=1e-9)
    np.testing.assert_allclose(table["angle_deg"], np.linspace(-180, 180, 5000), atol=5.1e-7)


def test_parts_make_the_table_that_the_whole_makes(tmp_path: Path):
    parts = [{"a": np.arange(3.0), "b": np.arange(3)}, {"a": np.zeros(0), "b": np.zeros(0, int)}]
    parts.append({"a": np.array([3.0]), "b": np.array([3])})
    write_tables(tmp_path / "a.csv", ("a", "b"), parts)
    write_table(tmp_path / "b.csv", {"a": np.arange(4.0), "b": np.arange(4)})
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_an_empty_table_has_its_header(tmp_path: Path):
    write_tables(tmp_path / "a.csv", ("a", "b"), [])
    assert (tmp_path / "a.csv").read_bytes() == b"a,b\n"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, "at least one column"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, r"column b must have shape \(2,\), got \(3,\)"),
        ({"a": np.zeros((2, 2))}, r"column a must have shape \(2,\)"),
    ],
)
def test_what_cannot_be_written_says_why(tmp_path: Path, columns: dict[str, np.ndarray], words: str):
    with pytest.raises(ValueError, match=words):
        write_table(tmp_path / "a.csv", columns)
    assert not list(tmp_path.iterdir())


def test_parts_with_other_columns_are_refused_and_leave_nothing(tmp_path: Path):
    with pytest.raises(ValueError, match="columns must be a, b, got b, a"):
        write_tables(tmp_path / "a.csv", ("a", "b"), [{"b": np.zeros(1), "a": np.zeros(1)}])
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_table(tmp_path / "a.csv", {"a": np.zeros(3)})
    assert not list(tmp_path.iterdir())
