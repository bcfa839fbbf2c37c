"""NumPy's files: what NumPy writes is read, and a header is not believed."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pose_core.reading.arrays import open_npz, read_npy
from pose_core.reading.damage import DAMAGE, LEAST_BUDGET, Refused
from pose_core.sequence import PoseSequence


def npy(header: str, content: bytes = b"") -> bytes:
    """An .npy file of version 1.0 with any header."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def header(shape: str, descr: str = "'<f8'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24.0).reshape(2, 3, 4),
        np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        np.arange(5, dtype=">i4"),
        np.array("text"),
        np.array(3.5),
        np.empty((0, 17, 3), np.float32),
        np.array([True, False]),
    ],
)
def test_what_numpy_writes_is_read(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", first=array, second=array)
    with open_npz(tmp_path / "a.npz") as archive:
        assert list(archive) == ["first", "second"]
        assert "first" in archive
        assert "third" not in archive
        found = [read_npy(tmp_path / "a.npy"), *dict(archive).values()]
    for one in found:
        np.testing.assert_array_equal(one, array)
        assert (one.dtype, one.flags["F_CONTIGUOUS"]) == (array.dtype, array.flags["F_CONTIGUOUS"])
        assert one.flags["WRITEABLE"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy(header("(10000000000, 17, 3)")), "4080000000000 bytes are announced, 128 are there"),
        (npy(header("()", "'<U1000000000'")), "text cannot have the type"),
        (npy(header("(-1, 3)"), bytes(24)), r"cannot have the shape \(-1, 3\)"),
        (npy(header("(True,)"), bytes(8)), "cannot have the shape"),
        (npy(header("(2,)"), bytes(8)), "8 bytes for an array|16 bytes are announced|bytes for an array"),
        (npy(header("(1,", "'<f8'")), r"\S"),
        (npy("{" * 100), r"\S"),
        (npy("(" * 117), r"\S"),
        (npy("{'descr': '<f8', 'shape': (1,), 'fortran_order': False, 'x': '''"), r"\S"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "array format|version"),
        (b"", r"\S"),
    ],
)
def test_a_header_is_not_believed(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DAMAGE, match=words):
            read_npy(tmp_path / "a.npy")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("descr", ["'|O'", "[('a', '<f8')]"])
def test_objects_and_structures_are_refused(tmp_path: Path, descr: str) -> None:
    (tmp_path / "a.npy").write_bytes(npy(header("(1,)", descr), bytes(8)))
    with pytest.raises(Refused, match="where numbers or text should be"):
        read_npy(tmp_path / "a.npy")


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_not_opened(tmp_path: Path) -> None:
    """A megabyte of zeros is a kilobyte in it: 100 kB would take 100 MB, and a megabyte a gigabyte."""
    zeros = npy(header("(1000000,)"), bytes(8_000_000))
    content = zipped({f"a{number}.npy": zeros for number in range(12)})
    assert len(content) < 200_000
    (tmp_path / "a.npz").write_bytes(content)
    tracemalloc.start()
    try:
        with (
            pytest.raises(ValueError, match="claims to hold 96001536 bytes, more than the"),
            open_npz(tmp_path / "a.npz"),
        ):
            pass
        assert tracemalloc.get_traced_memory()[1] < 2**22 < LEAST_BUDGET
    finally:
        tracemalloc.stop()


def test_an_archive_that_lies_about_its_members_is_refused(tmp_path: Path) -> None:
    content = zipped({"a.npy": npy(header("(1000,)"), bytes(8000))})
    at = content.index(b"PK\x01\x02") + 24  # size in the central directory
    (tmp_path / "a.npz").write_bytes(content[:at] + (4000).to_bytes(4, "little") + content[at + 4 :])
    with pytest.raises(DAMAGE), open_npz(tmp_path / "a.npz") as archive:
        archive["a"]


def test_a_sequence_that_claims_terabytes_is_refused_in_one_sentence(tmp_path: Path) -> None:
    members = {name: npy(header("(10000000000, 17, 3)")) for name in ("header.npy", "xyz.npy")}
    (tmp_path / "walk.npz").write_bytes(zipped(members))
    with pytest.raises(
        ValueError, match=r"walk.npz is not a whole pose sequence: 4080000000000 bytes are announced"
    ):
        PoseSequence.load(tmp_path / "walk.npz")
