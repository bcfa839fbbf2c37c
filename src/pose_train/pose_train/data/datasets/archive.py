"""Reading foreign .npz, .npy and pickle files without running anything that stands in them.

Many data sets are NumPy archives of pickled dictionaries, and a pickle is a program. Here it can only make numbers, text,
built-in containers and NumPy arrays of these: the few names that such pickles call are answered by constructors of our own
that check what they are given, so neither pickle's nor NumPy's own ones ever see a foreign argument. Everything else is refused.

A problem is a ValueError of one sentence that names the file; a file that is not there a FileNotFoundError.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import pickletools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from pose_core.reading.arrays import Archive, Stream, array_of, open_npz, read_header, rest_of_array
from pose_core.reading.damage import Refused, damage_told

Shape = tuple[int | str, ...]
"""A name instead of a number is a size that is free, such as ("frames", 17, 3)."""

SCALAR = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|[SU]\d{1,6}|O8?)")
"""Types that arrays of a pickle may have."""


def read_npz(
    path: str | os.PathLike[str], required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, Any]:
    """The named arrays of an .npz archive, those of `optional` only where they are there.

    Arrays of objects are unpacked: one without dimensions is what it holds, others are (nested) lists.
    """
    path = Path(path)
    with _problems_of(path), open_npz(path) as archive:
        missing = [name for name in required if name not in archive]
        if missing:
            has = ", ".join(f"'{name}'" for name in list(archive)[:12]) or "nothing"
            raise Refused(f"has no '{missing[0]}', only {has}; it is not the file that is expected here")
        wanted = [name for name in (*required, *optional) if name in archive]
        return {name: _read_member(archive, name) for name in wanted}


def read_npy(path: str | os.PathLike[str]) -> Any:
    """The array of an .npy file, unpacked as in `read_npz`."""
    path = Path(path)
    with _problems_of(path), path.open("rb") as file:
        return _read_array(file, path.stat().st_size)


def read_pickle(path: str | os.PathLike[str]) -> Any:
    """The plain content of a pickle."""
    path = Path(path)
    with _problems_of(path), path.open("rb") as file:
        return _unpickle(file.read())


def numbers(value: Any, what: str, shape: Shape, dtype: type = np.float64) -> np.ndarray:
    """`value` as an array of `dtype` if it is one of numbers with that shape. `what`: file and name, for the message."""
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "biuf":
        held = f"{value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise ValueError(f"{what} must be an array of numbers, got {held}")
    fits = value.ndim == len(shape) and all(
        isinstance(size, str) or size == got for size, got in zip(shape, value.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(str(size) for size in shape)
        raise ValueError(f"{what} must have shape ({wanted}), got {value.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(value).astype(dtype, copy=False)


def mapping(value: Any, what: str) -> dict[str, Any]:
    """`value` if it is a dictionary with text for keys."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{what} must be a dictionary of names, got {type(value).__name__}")
    return value


def text(value: Any, what: str) -> str:
    """`value` if it is text: a string, or bytes or an array of one."""
    if isinstance(value, np.ndarray | np.generic) and value.size == 1:
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise ValueError(f"{what} must be text, got {type(value).__name__}")
    return value


@contextmanager
def _problems_of(path: Path) -> Iterator[None]:
    """Turn what damaged content raises into one sentence about the file."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; check the path (relative to {Path.cwd()})")
    with damage_told(path, "is damaged or cut off ({}); get it anew from its publisher"):
        yield


def _read_member(archive: Archive, name: str) -> Any:
    with archive.open(name) as stream:
        return _read_array(stream, archive.size_of(name))


def _read_array(stream: Stream, size: int) -> Any:
    shape, fortran, dtype = read_header(stream)
    if dtype.kind == "O":
        return _unpickle(stream.read())
    return rest_of_array(stream, size, shape, fortran, dtype)


def _unpickle(content: bytes) -> Any:
    _expect_small_memo(content)
    try:
        return _Plain().of(_Unpickler(io.BytesIO(content)).load())
    except UnicodeDecodeError as error:
        raise ValueError("text in it is not UTF-8") from error


_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")


def _expect_small_memo(content: bytes) -> None:
    """Raise ValueError for a pickle that keeps something under a larger number than it has instructions.

    Unpickling makes a list that long at once, so that nine bytes take gigabytes. Raises it too for instructions that are
    none, or longer than the file.
    """
    for done, (instruction, argument, _) in enumerate(pickletools.genops(content), 1):
        if instruction.name in _PUTS and (argument is None or argument > done):
            raise ValueError(f"it keeps its value {done} under the number {argument}")


class _Unpickler(pickle.Unpickler):
    """Answers only to the names that pickles of NumPy arrays call."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream, encoding="latin1")  # as NumPy's own bytes stand in a pickle of Python 2

    def find_class(self, module: str, name: str) -> Any:
        where = module.replace("numpy._core", "numpy.core")
        make = _MAKERS.get((where, name))
        if make is None:
            raise Refused(
                f"holds code ('{module}.{name}') where only arrays should be, and was not opened further"
            )
        return _Maker(make)


class _Maker:
    """A constructor that a pickle may call and can do nothing else with."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise Refused("tries to change a function while it is read, and was not opened further")


class _Dtype:
    """Stands in for numpy.dtype, whose own `__setstate__` believes what it is told."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not SCALAR.fullmatch(code):
            raise Refused(f"holds an array of {code!r} where numbers or text should be")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        _, order, subarray, names, fields, *_ = state
        if (subarray, names, fields) != (None, None, None) or order not in ("<", ">", "|", "="):
            raise Refused("holds a structured array where numbers or text should be")
        if order in "<>":
            self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands in for an array until the pickle has told everything about it."""

    def __init__(self, *_: Any) -> None:
        self.content: np.ndarray | list[Any] = []
        self.shape: tuple[int, ...] = ()

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Dtype):
            raise TypeError("an array without a type")
        self.shape = _checked_shape(shape)
        if dtype.dtype.kind == "O":
            if not isinstance(content, list) or len(content) != math.prod(self.shape):
                raise ValueError(f"an array {self.shape} of objects with other content")
            self.content = content
        else:
            self.content = array_of(_bytes(content), self.shape, dtype.dtype, bool(fortran))


def _array_of_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    """An array as protocol 5 writes it."""
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", bytes(content)))
    return array


def _scalar(dtype: Any, content: Any) -> Any:
    if not isinstance(dtype, _Dtype) or dtype.dtype.kind == "O":
        raise TypeError("a number without a type")
    return array_of(_bytes(content), (), dtype.dtype, False)[()]


def _encode(content: Any, encoding: Any) -> bytes:
    """How protocol 2 writes bytes."""
    if encoding != "latin1" or not isinstance(content, str):
        raise Refused(f"asks for the encoding {encoding!r}, and was not opened further")
    return content.encode("latin1")


def _bytes(content: Any) -> bytes:
    return content.encode("latin1") if isinstance(content, str) else bytes(content)


def _checked_shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"an array of the shape {shape!r}")
    return shape


def _not_to_be_called(*_: Any) -> Any:
    raise Refused("makes an array in a way that no writer of arrays does, and was not opened further")


_MAKERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _not_to_be_called,  # named as the argument of _reconstruct
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _array_of_buffer,
    ("_codecs", "encode"): _encode,
}

KEYS = (str, bytes, int, float, bool, type(None))
VALUES = (*KEYS, complex, np.generic)


class _Plain:
    """Puts real arrays in the place of those of a pickle, and refuses what is no data.

    What stands in a pickle several times is looked at once: nested references could otherwise take forever.
    """

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        if isinstance(value, VALUES):
            return value
        if id(value) not in self._done:
            self._done[id(value)] = self._new(value)
        return self._done[id(value)]

    def _new(self, value: Any) -> Any:
        if isinstance(value, list | tuple | set | frozenset):
            return [self.of(item) for item in value]
        if isinstance(value, dict):
            if not all(isinstance(key, KEYS) for key in value):
                raise Refused("holds a dictionary with keys that are no names")
            return {key: self.of(item) for key, item in value.items()}
        if isinstance(value, _Array):
            if isinstance(value.content, np.ndarray):
                return value.content
            return self._nested(iter(value.content), value.shape)
        raise Refused("holds something that is neither number, text, array nor a collection of these")

    def _nested(self, items: Iterator[Any], shape: tuple[int, ...]) -> Any:
        if not shape:
            return self.of(next(items))
        if 0 in shape:
            return []
        return [self._nested(items, shape[1:]) for _ in range(shape[0])]
