"""What a bag must know about serialized messages (CDR, the encoding of ROS 2): their stamp and their padding.

The bytes between aligned fields are whatever the middleware's buffer held before: the same message,
serialized twice, differs there. `Layout.clean` sets them to zero and drops what follows the last field, so
that equal messages are equal bytes and no stray memory ends up in a file.

Encoding: OMG, "DDS Extensible Types", plain CDR (XCDR1), 7.4.1: four bytes of encapsulation header, then each
number aligned to its own size (at most 8), counted from behind that header.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

from rosidl_parser.definition import (
    AbstractSequence,
    AbstractString,
    Array,
    BasicType,
    NamespacedType,
)

from pose_core.units import NS_PER_S

HEADER = 4
"""Bytes of the encapsulation header."""

_SIZES = {
    **dict.fromkeys(("boolean", "octet", "char", "uint8", "int8"), 1),
    **dict.fromkeys(("int16", "uint16"), 2),
    **dict.fromkeys(("int32", "uint32", "float"), 4),
    **dict.fromkeys(("int64", "uint64", "double"), 8),
}

Field = tuple[int, int]
"""(alignment, bytes) of a number, or of a fixed array of numbers."""

_COUNT: Field = (4, 4)


def _stamp_place(kind: type) -> tuple[int | None, bool]:
    """Offset of the first header's stamp, and whether it is that of the first element of a sequence."""
    field = next(iter(kind.SLOT_TYPES), None)  # type: ignore[attr-defined]
    if _is_header(field):
        return HEADER, False
    if isinstance(field, AbstractSequence) and isinstance(field.value_type, NamespacedType):
        elements = _message_class(field.value_type)
        if _is_header(next(iter(elements.SLOT_TYPES), None)):  # type: ignore[attr-defined]
            return HEADER + _COUNT[1], True
    return None, False


def _is_header(field: Any) -> bool:
    return isinstance(field, NamespacedType) and field.namespaced_name() == ("std_msgs", "msg", "Header")


def _order(cdr: bytes) -> str:
    if len(cdr) < HEADER or cdr[0] != 0 or cdr[1] not in (0, 1):
        raise ValueError(f"bytes that begin with {bytes(cdr[:2]).hex()} are not plain CDR")
    return "<" if cdr[1] else ">"


class Layout:
    """Where the padding lies in serialized messages of one type."""

    def __init__(self, kind: type) -> None:
        """`kind`: message class.

        Raises ValueError for a field that is encoded differently everywhere (wstring).
        """
        self._name = kind.__name__
        self._steps = _steps(_flatten(kind))
        self._stamp_at, self._in_sequence = _stamp_place(kind)

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
def layout(kind: type) -> Layout:
    """The layout of a message class, built once."""
    return Layout(kind)


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


def _flatten(kind: type) -> Iterator[Any]:
    """Fixed fields as (alignment, size), the rest as steps, in order; nested messages dissolved."""
    for field in kind.SLOT_TYPES:  # type: ignore[attr-defined]
        yield from _parts(field)


def _parts(field: Any) -> Iterator[Any]:
    if isinstance(field, BasicType):
        yield _size(field), _size(field)
    elif isinstance(field, NamespacedType):
        yield from _flatten(_message_class(field))
    elif isinstance(field, AbstractString):
        yield _COUNT
        yield _Bytes(1)
    elif isinstance(field, (AbstractSequence, Array)):
        yield from _several(field.value_type, field.size if isinstance(field, Array) else None)
    else:
        raise ValueError(f"fields of type {type(field).__name__} are not supported in bags")


def _several(element: Any, count: int | None) -> Iterator[Any]:
    """A fixed array of `count` elements, or a sequence (None)."""
    if count is None:
        yield _COUNT
    if not isinstance(element, BasicType):
        yield _Structs(_steps(_parts(element)), count)
    elif count is None:
        yield _Bytes(_size(element))
    else:
        yield _size(element), _size(element) * count


def _size(field: BasicType) -> int:
    if field.typename not in _SIZES:
        raise ValueError(f"fields of type {field.typename} are not supported in bags")
    return _SIZES[field.typename]


def _message_class(field: NamespacedType) -> type:
    found: type = getattr(importlib.import_module(".".join(field.namespaces)), field.name)
    return found
