"""Messages without ROS: objects of the types that `definitions` knows, made, serialized and read again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import FieldDesc
from rosbags.serde import SerdeError

from pose_ros.messages.writing import MessageWriter
from pose_tools.bag.cdr import layout
from pose_tools.bag.definitions import fields, store

_NUMPY_NAMES = {"bool": "bool_", "byte": "uint8", "char": "uint8"}
"""Of element types, where they are other than in ROS."""


class Constructor:
    """Makes messages of one type from some of their fields, by name; the others are zero or empty, as in generated classes."""

    def __init__(self, name: str) -> None:
        """Raises ValueError for a type that is not known here."""
        self._fields = {field: (_converter(kind), _default(kind)) for field, kind in fields(name)}
        self._name = name
        self._kind = store().types[name]

    def __call__(self, **given: Any) -> Any:
        """Raises TypeError for a field that the type has not."""
        if unknown := given.keys() - self._fields.keys():
            raise TypeError(f"{self._name} has no field {', '.join(sorted(unknown))}")
        return self._kind(
            **{
                field: convert(given[field]) if field in given else default()
                for field, (convert, default) in self._fields.items()
            }
        )


constructor = cache(Constructor)
"""Of a message type by its name."""


@cache
def writer() -> MessageWriter:
    """Makes messages of core types."""
    return MessageWriter(constructor)


def serialize(message: Any) -> bytes:
    """CDR of a message made here: the bytes of `rclpy.serialization.serialize_message`, with zeros as padding."""
    return bytes(store().serialize_cdr(message, message.__msgtype__))


def deserialize(cdr: bytes, name: str) -> Any:
    """The message, whose arrays are NumPy's, read-only. Raises ValueError for a type that is not known here, or other bytes."""
    fields(name)
    try:
        return store().deserialize_cdr(cdr, name)
    except SerdeError:
        pass
    try:  # again without what a middleware that estimates lengths left behind the last field
        return store().deserialize_cdr(layout(name).clean(cdr), name)
    except SerdeError as error:
        raise ValueError(f"{len(cdr)} bytes are not a {name}: {error}") from error


def _as_it_is(value: Any) -> Any:
    return value


def _converter(field: FieldDesc) -> Callable[[Any], Any]:
    """Makes numbers of an array or a sequence what `rosbags` serializes."""
    dtype = _element_dtype(field)
    return _as_it_is if dtype is None else partial(np.ascontiguousarray, dtype=dtype)


def _element_dtype(field: FieldDesc) -> Any:
    """NumPy's type of the elements of an array or a sequence of numbers; None for anything else."""
    kind, about = field
    if kind not in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        return None
    element: Any = about[0]
    if element[0] != Nodetype.BASE or element[1][0] == "string":
        return None
    return np.dtype(_NUMPY_NAMES.get(element[1][0], element[1][0]))


def _default(field: FieldDesc) -> Callable[[], Any]:
    kind, about = field
    dtype = _element_dtype(field)
    if dtype is not None:
        return partial(np.zeros, about[1] if kind == Nodetype.ARRAY else 0, dtype)
    if kind == Nodetype.SEQUENCE:
        return list
    if kind == Nodetype.ARRAY:
        element: Any = about[0]
        make = _default(element)
        return lambda: [make() for _ in range(int(about[1]))]
    if kind == Nodetype.NAME:
        return constructor(str(about))
    zero: dict[Any, Any] = {"string": "", "bool": False, "float32": 0.0, "float64": 0.0}
    value = zero.get(about[0], 0)
    return lambda: value
