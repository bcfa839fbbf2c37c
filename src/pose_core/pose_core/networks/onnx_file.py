"""Networks as ONNX files: their card, and the check of a file before any library opens it.

The card lies in the file's `metadata_props`. A file is one piece here: ONNX may keep weights in other files, named by
paths inside the first, and a path may lead anywhere, so a file that names one is refused. Only as much of the format is read
as that takes (message and field numbers of onnx.proto, protocol buffers' wire format), because a robot has onnxruntime
but not the package that defines the format.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pose_core.networks import sums
from pose_core.networks.model_card import C

MAX_BYTES = 2**31 - 1
"""Protocol buffers know no larger messages."""

NESTED = {
    "ModelProto": {
        7: "GraphProto",
        14: "StringStringEntryProto",
        20: "TrainingInfoProto",
        25: "FunctionProto",
    },
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
}
"""Fields by number whose messages lead to tensors or hold metadata."""

OPERATOR = 4
"""Field of a node with the name of what it computes."""
LOOPS = (b"Loop", b"Scan")
"""Operators that may run as often as the file says, for ever too. No network here has one: the step of each is one frame."""

EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""Fields of a tensor that say its data lie elsewhere."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""


def read(path: str | os.PathLike[str], kind: type[C]) -> tuple[C, bytes]:
    """Card, of the given kind, and content of the ONNX file at `path`.

    Raises ValueError for a file that is missing, no ONNX, cut short, has no such card, keeps data elsewhere, or has a loop or
    functions of its own.
    """
    content = content_of(path)
    try:
        metadata = _metadata(memoryview(content))
    except (_Malformed, UnicodeDecodeError) as error:
        raise ValueError(
            f"model file '{path}' is no whole ONNX file ({error}); copy or export it again"
        ) from error
    except _Elsewhere as error:
        raise ValueError(
            f"model file '{path}' keeps weights in other files, which is refused; export it as one file"
        ) from error
    except _Endless as error:
        raise ValueError(
            f"model file '{path}' has {error}, which may never end and is refused; export one frame's step"
        ) from error
    if kind.KEY not in metadata:
        others = sorted(key for key in metadata if key.endswith(".model_card"))
        if others:
            raise ValueError(
                f"model file '{path}' is a network of {others[0].split('.')[0]}, not of {kind.KEY.split('.')[0]}; "
                "name another file"
            )
        raise ValueError(
            f"model file '{path}' has no model card, so nobody knows what it takes; export it with pose export-model"
        )
    return card_of(metadata[kind.KEY], path, kind), content


def card_of(text: str, path: str | os.PathLike[str], kind: type[C]) -> C:
    """The card in `text`. Raises ValueError naming the file it came from."""
    try:
        return kind.from_json(text)
    except ValueError as error:
        raise ValueError(f"model file '{path}': {error}") from error


def content_of(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a model file. Raises ValueError where there is none that can be read, or one that ships is damaged."""
    file = Path(path)
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ValueError(f"model file '{path}' is larger than 2 GiB, which no network here is")
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"model file '{path}' cannot be read: {error.strerror}") from error
    sums.check(file, content)
    return content


class _Malformed(Exception):
    """Not protocol buffers."""


class _Endless(Exception):
    """A node that may run for ever."""


class _Elsewhere(Exception):
    """A tensor whose data lie in another file."""


def _metadata(content: memoryview) -> dict[str, str]:
    """The model's metadata; on the way every tensor is looked at."""
    metadata = {}
    # A stack of its own: graphs inside graphs may not use up Python's.
    stack = [("ModelProto", content)]
    while stack:
        kind, message = stack.pop()
        for number, value in _fields(message):
            if kind == "TensorProto":
                if number == EXTERNAL_DATA or (number == DATA_LOCATION and value != 0):
                    raise _Elsewhere
                continue
            if kind == "NodeProto" and number == OPERATOR and not isinstance(value, int) and value in LOOPS:
                raise _Endless(f"a loop ({bytes(value).decode()})")
            inside = NESTED[kind].get(number)
            if inside is None:
                continue
            if inside == "FunctionProto":
                # Thirty that call each other twice are a thousand million nodes once onnxruntime has put them in their places.
                raise _Endless("functions of its own")
            if isinstance(value, int):
                raise _Malformed(f"a {inside} is a number")
            if inside == "StringStringEntryProto":
                entry = {
                    key: bytes(text).decode() for key, text in _fields(value) if not isinstance(text, int)
                }
                metadata[entry.get(1, "")] = entry.get(2, "")
            else:
                stack.append((inside, value))
    return metadata


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if wire == BYTES:
            size, at = _varint(message, at)
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
        else:
            raise _Malformed(f"no field has wire type {wire}")
        if at + size > len(message):
            raise _Malformed("it is cut short")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise _Malformed("it is cut short")
