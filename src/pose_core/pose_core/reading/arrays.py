"""Arrays in files of NumPy (.npz and .npy): numbers and text alone, and no more memory than the file's bytes allow.

NumPy's own reader believes a header: 128 bytes that claim 4 TB make it ask for them.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator, KeysView
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pose_core.reading.damage import Refused, budget
from pose_core.types import Array

PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compressions of .npz archives."""
KINDS = "biufcSU"
"""Types of arrays that are read: numbers and text, never objects or structures."""


@runtime_checkable
class Stream(Protocol):
    """The part of a file that is used."""

    def read(self, size: int = -1, /) -> bytes: ...


class Archive:
    """The arrays of an .npz archive by their names, each read when it is asked for."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        """`size`: bytes of the file. Raises ValueError for an archive that holds more than its `budget`."""
        self._archive = archive
        self._members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        claimed = sum(info.file_size for info in archive.infolist())
        if claimed > budget(size):
            raise ValueError(
                f"it claims to hold {claimed} bytes, more than the {budget(size)} that {size} may"
            )

    def __getitem__(self, name: str) -> Array:
        """Raises KeyError for a name that it does not have, and one of `DAMAGE`."""
        info = self._members[name]
        with self.open(name) as stream:
            return read_array(stream, info.file_size)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def keys(self) -> KeysView[str]:
        """Names, in the order of the archive; with them `dict` reads all arrays."""
        return self._members.keys()

    def __len__(self) -> int:
        return len(self._members)

    def size_of(self, name: str) -> int:
        """Bytes that it claims to hold under `name`."""
        return self._members[name].file_size

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        """What stands under `name`, which must be read to its end. Raises one of `DAMAGE`, also where its sum is wrong."""
        info = self._members[name]
        if info.flag_bits & 1 or info.compress_type not in PLAIN:
            raise Refused("is encrypted, or compressed in a way that no .npz archive is")
        with self._archive.open(info) as stream:
            yield stream
            if stream.read(1):
                raise ValueError(f"'{info.filename}' goes on after its array")


@contextmanager
def open_npz(path: str | os.PathLike[str]) -> Iterator[Archive]:
    """The arrays of an .npz archive. Raises OSError where it cannot be read, and one of `DAMAGE`."""
    with Path(path).open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("it is no .npz archive, or was cut off")
        with zipfile.ZipFile(file) as archive:
            yield Archive(archive, os.fstat(file.fileno()).st_size)


def read_npy(path: str | os.PathLike[str]) -> Array:
    """The array of an .npy file. Raises OSError where it cannot be read, and one of `DAMAGE`."""
    with Path(path).open("rb") as file:
        return read_array(file, os.fstat(file.fileno()).st_size)


def read_header(stream: Stream) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran's order, and type that an .npy file states. Raises one of `DAMAGE`."""
    npy: Any = np.lib.format  # whose functions say nothing of their types
    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"array format {version} is unknown")
    shape, fortran, dtype = readers[version](stream)
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"an array cannot have the shape {shape}")
    return shape, bool(fortran), dtype


def read_array(stream: Stream, size: int) -> Array:
    """The array in an .npy file of `size` bytes; nothing is asked for before it is known to be there. Raises one of `DAMAGE`."""
    return rest_of_array(stream, size, *read_header(stream))


def rest_of_array(
    stream: Stream, size: int, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]
) -> Array:
    """The array whose header was just read from a file of `size` bytes. Raises one of `DAMAGE`."""
    if dtype.kind not in KINDS:
        raise Refused(f"holds {dtype.name} where numbers or text should be")
    length = math.prod(shape) * dtype.itemsize
    if dtype.itemsize < 0:  # NumPy counts with 32 bits
        raise ValueError(f"text cannot have the type {dtype.str[:40]}")
    if length > size:
        raise ValueError(f"{length} bytes are announced, {size} are there")
    return array_of(stream.read(length), shape, dtype, fortran)


def array_of(content: bytes, shape: tuple[int, ...], dtype: np.dtype[Any], fortran: bool) -> Array:
    """An array from its bytes. Raises ValueError where these are not as many as it takes."""
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{len(content)} bytes for an array {shape} of {dtype.name}")
    if not content:
        return np.empty(shape, dtype)
    # a copy, so that the array can be written to as any other
    return np.frombuffer(bytearray(content), dtype).reshape(shape, order="F" if fortran else "C")
