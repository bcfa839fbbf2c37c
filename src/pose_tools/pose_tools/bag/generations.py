"""Bags whose messages were defined otherwise: how they were, and how they become those of today.

Messages of `pose_msgs` change seldom, and together. Each time the definitions that went stand here, and every bag of them is read
as if it had been recorded with today's: what they could not say is not known.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import Typesdict
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from pose_ros.messages.names import PERSON2D, PERSON3D
from pose_tools.bag.cdr import layout
from pose_tools.bag.definitions import fields, own_definitions, store, type_hash
from pose_tools.bag.messages import constructor, serialize

_FIRST = {
    PERSON2D: """
string id
float32 confidence
float32[4] box_px
float32[] xy_px
float32[] joint_confidence
""",
    PERSON3D: """
uint8 MISSING=0
uint8 MEASURED=1
uint8 LIFTED=2
uint8 INTERPOLATED=3
uint8 PREDICTED=4
uint8 SWAPPED=5
uint8 SCALE_NONE=0
uint8 SCALE_DEFAULT=1
uint8 SCALE_SUBJECT=2
uint8 SCALE_DEPTH=3
uint8 SCALE_CALIBRATION=4
uint8 SCALE_MODEL=5
string id
float32 confidence
float32[] xyz
float32[] std
float32[3] root_std
float32[] joint_confidence
uint8[] state
float32 height
float32 height_std
uint8 scale_source
""",
}
GENERATIONS: tuple[dict[str, str], ...] = (_FIRST,)
"""Definitions as they were before each change, the oldest first. What a generation does not name was as in the next one."""

NOT_KNOWN: dict[str, dict[str, Any]] = {
    PERSON3D: {
        "root_velocity": np.full(3, np.nan, np.float32),
        "root_velocity_std": np.full(3, np.nan, np.float32),
        "foot_contact": np.full(2, np.nan, np.float32),
    }
}
"""What stands for "not known" in fields that messages of an earlier generation lack; elsewhere that is zero or empty."""


@cache
def generation(number: int) -> Typestore:
    """All types as they were in a generation: 0 is the oldest."""
    texts = own_definitions()
    for later in reversed(GENERATIONS[number:]):
        texts = texts | later
    types: Typesdict = {}
    for name, text in texts.items():
        types |= get_types_from_msg(text, name)
    known = get_typestore(Stores.ROS2_KILTED)
    known.register(types)
    return known


def generation_of(name: str, recorded: str, example: bytes) -> int | None:
    """The earlier generation in which a bag defines a message type; None where that is today's, or is not known here.

    `recorded`: hash of the type in the bag, empty where it states none: then `example`, one of its messages, tells.
    """
    today = type_hash(name)
    if (
        not today or recorded == today
    ):  # before anything of an earlier generation is made: nearly all bags are of today
        return None
    earlier = [number for number in range(len(GENERATIONS)) if _hash(name, number) != today]
    if recorded:
        return next((number for number in earlier if _hash(name, number) == recorded), None)
    if not earlier or _fits(store(), name, example):
        return None
    return next((number for number in reversed(earlier) if _fits(generation(number), name, example)), None)


def upgraded(cdr: bytes, name: str, number: int) -> bytes:
    """A message of an earlier generation as one of today. Raises ValueError for bytes that are none."""
    known = generation(number)
    try:
        before = known.deserialize_cdr(layout(name, known).clean(cdr), name)
    except SerdeError as error:
        raise ValueError(f"{len(cdr)} bytes are not a {name} of an earlier version: {error}") from error
    return serialize(_of_today(before, name))


@cache
def _hash(name: str, number: int) -> str:
    """Of a type in a generation; empty where it was not there."""
    known = generation(number)
    return known.hash_rihs01(name) if name in known.fielddefs else ""


def _fits(known: Typestore, name: str, cdr: bytes) -> bool:
    """Whether bytes can be a message of a type."""
    try:
        layout(name, known).clean(cdr)
    except ValueError:
        return False
    return True


def _of_today(before: Any, name: str) -> Any:
    """A message with the fields of today; those that `before` lacks are not known."""
    given = dict(NOT_KNOWN.get(name, {}))
    for field, (kind, about) in fields(name):
        if hasattr(before, field):
            given[field] = _value_of_today(getattr(before, field), kind, about)
    return constructor(name)(**given)


def _value_of_today(value: Any, kind: Nodetype, about: Any) -> Any:
    if kind == Nodetype.NAME:
        return _of_today(value, str(about))
    if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE) and about[0][0] == Nodetype.NAME:
        return [_of_today(one, str(about[0][1])) for one in value]
    return value
