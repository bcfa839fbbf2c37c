"""What a bag must know about serialized messages (CDR, the encoding of ROS 2): their stamp and their padding.

The bytes between aligned fields are whatever the middleware's buffer held before: the same message,
serialized twice, differs there. `Layout.clean` sets them to zero and drops what follows the last field, so
that equal messages are equal bytes and no stray memory ends up in a file.

Encoding: OMG, "DDS Extensible Types", plain CDR (XCDR1), 7.4.1: four bytes of encapsulation header, then each
number aligned to its own size (at most 8), counted from behind that header.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import FieldDesc
from rosbags.typesys.store import Typestore

from pose_core.units import NS_PER_S
from pose_ros.messages import names
from pose_tools.bag.definitions import fields, store

HEADER = 4
"""Bytes of the encapsulation header."""

_SIZES = {
    **dict.fromkeys(("bool", "byte", "char", "uint8", "int8"), 1),
    **dict.fromkeys(("int16", "uint16"), 2),
    **dict.fromkeys(("int32", "uint32", "float32"), 4),
    **dict.fromkeys(("int64", "uint64", "float64"), 8),
}

Field = tuple[int, int]
"""(alignment, bytes) of a number, or of a fixed array of numbers."""

_COUNT: Field = (4, 4)
_HEADER_FIELD = (Nodetype.NAME, names.HEADER)


def _stamp_place(name: str, known: Typestore) -> tuple[int | None, bool]:
    """Offset of the first header's stamp, and whether it is that of the first element of a sequence."""
    first = _first_field(name, known)
    if first == _HEADER_FIELD:
        return HEADER, False
    if first is not None and first[0] == Nodetype.SEQUENCE:
        element: Any = first[1][0]
        if element[0] == Nodetype.NAME and _first_field(element[1], known) == _HEADER_FIELD:
            return HEADER + _COUNT[1], True
    return None, False


def _first_field(name: str, known: Typestore) -> FieldDesc | None:
    return next((field for _, field in fields(name, known)), None)


def _order(cdr: bytes) -> str:
    if len(cdr) < HEADER or cdr[0] != 0 or cdr[1] not in (0, 1):
        raise ValueError(f"bytes that begin with {bytes(cdr[:2]).hex()} are not plain CDR")
    return "<" if cdr[1] else ">"


class Layout:
    """Where the padding lies in serialized messages of one type."""

    def __init__(self, name: str, known: Typestore | None = None) -> None:
        """`name`: of the type, such as pose_msgs/msg/People2D; `known`: where it is defined, by default as of today.

        Raises ValueError where it is not known here.
        """
        known = known or store()
        self._name = name.rpartition("/")[2]
        self._steps = _steps(_flatten(name, known))
        self._stamp_at, self._in_sequence = _stamp_place(name, known)

    def stamp(self, cdr: bytes) -> int | None:
        """Nanoseconds of the std_msgs/Header that the message, or the first in the sequence that it is,
        begins with.

        None where there is no header, or a stamp of zero, which means "no time" in ROS.
        """
        order = _order(cdr)
        if self._stamp_at is None or (
            self._in_sequence and struct.unpack_from(f"{order}I", cdr, HEADER) == (0,)
        ):
            return None
        sec, nanosec = struct.unpack_from(f"{order}iI", cdr, self._stamp_at)
        return int(sec) * NS_PER_S + int(nanosec) or None

    def clean(self, cdr: bytes) -> bytes:
        """The same message with zeros as padding and nothing behind its last field, where a middleware that
        estimates lengths leaves stray bytes. Raises ValueError for bytes that are not of this type."""
        buffer = bytearray(cdr)
        try:
            unpack = _UNPACK[_order(cdr)]
            with memoryview(buffer) as whole, whole[HEADER:] as body:
                end = 0
                for step in self._steps:
                    end = step.walk(body, end, unpack)
        except (ValueError, struct.error) as error:
            raise ValueError(f"{len(cdr)} bytes are not a {self._name}: {error}") from error
        if HEADER + end > len(cdr):
            raise ValueError(f"{len(cdr)} bytes are not a {self._name}, which ends after {HEADER + end}")
        return bytes(buffer[: HEADER + end])


@cache
def layout(name: str, known: Typestore | None = None) -> Layout:
    """The layout of a message type, built once; `known` as in `Layout`."""
    return Layout(name, known)


_UNPACK = {order: struct.Struct(f"{order}I").unpack_from for order in "<>"}


class _Fixed:
    """Fields whose sizes do not depend on the message:

    only the padding depends on where they begin, modulo 8.
    """

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self._table = [_place(fields, start) for start in range(8)]

    def walk(self, body: memoryview, at: int, unpack: Any) -> int:
        length, gaps = self._table[at & 7]
        for start, size in gaps:
            body[at + start : at + start + size] = _ZEROS[size]
        return at + length

    def walk_many(self, body: memoryview, at: int, count: int, unpack: Any) -> int:
        while count:
            length, gaps = self._table[at & 7]
            if not gaps and length & 7 == 0:  # so for all that follow
                return at + count * length
            at = self.walk(body, at, unpack)
            count -= 1
        return at


class _Bytes:
    """Numbers behind a count, which is the four bytes just passed: the characters of a string, for one."""

    def __init__(self, size: int) -> None:
        self._size = size

    def walk(self, body: memoryview, at: int, unpack: Any) -> int:
        (count,) = unpack(body, at - 4)
        if not count:
            return at
        gap = -at % self._size
        body[at : at + gap] = _ZEROS[gap]
        return int(at + gap + count * self._size)


class _Structs:
    """Structures behind a count, or a fixed number of them."""

    def __init__(self, steps: list[Any], count: int | None = None) -> None:
        self._steps = steps
        self._count = count
        self._fixed = steps[0] if len(steps) == 1 and isinstance(steps[0], _Fixed) else None

    def walk(self, body: memoryview, at: int, unpack: Any) -> int:
        count = unpack(body, at - 4)[0] if self._count is None else self._count
        if count > len(body):  # each takes a byte or more
            raise ValueError(f"a sequence of {count} does not fit")
        if self._fixed is not None:
            return self._fixed.walk_many(body, at, count, unpack)
        for _ in range(count):
            for step in self._steps:
                at = step.walk(body, at, unpack)
        return at


_ZEROS = [bytes(size) for size in range(8)]


def _place(fields: tuple[Field, ...], start: int) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Length of the fields that begin at `start` modulo 8, and (offset, size) of each gap between them."""
    at, gaps = start, []
    for alignment, size in fields:
        if gap := -at % alignment:
            gaps.append((at - start, gap))
        at += gap + size
    return at - start, tuple(gaps)


def _steps(parts: Iterator[Any]) -> list[Any]:
    """Runs of fixed fields joined into one step each, with the variable ones between them."""
    steps: list[Any] = []
    run: list[Field] = []
    for part in parts:
        if isinstance(part, tuple):
            run.append(part)
            continue
        if run:
            steps.append(_Fixed(tuple(run)))
            run = []
        steps.append(part)
    return [*steps, _Fixed(tuple(run))] if run else steps


def _flatten(name: str, known: Typestore) -> Iterator[Any]:
    """Fixed fields as (alignment, size), the rest as steps, in order; nested messages dissolved."""
    for _, field in fields(name, known):
        yield from _parts(field, known)


def _parts(field: Any, known: Typestore) -> Iterator[Any]:
    kind, about = field
    if kind == Nodetype.NAME:
        yield from _flatten(about, known)
    elif kind == Nodetype.BASE and about[0] == "string":
        yield _COUNT
        yield _Bytes(1)
    elif kind == Nodetype.BASE:
        yield _SIZES[about[0]], _SIZES[about[0]]
    else:
        element, length = about
        yield from _several(element, length if kind == Nodetype.ARRAY else None, known)


def _several(element: Any, count: int | None, known: Typestore) -> Iterator[Any]:
    """A fixed array of `count` elements, or a sequence (None)."""
    if count is None:
        yield _COUNT
    if element[0] != Nodetype.BASE or element[1][0] == "string":
        yield _Structs(_steps(_parts(element, known)), count)
    elif count is None:
        yield _Bytes(_SIZES[element[1][0]])
    else:
        yield _SIZES[element[1][0]], _SIZES[element[1][0]] * count
