"""What a bag says about a message type so that it can be read without the package: its definition and its hash.

Nothing of ROS is needed, and the same bags are written with and without it: types of ROS itself are those of `rosbags`, which
are the same from Humble on as far as this project uses them; our own are parsed from the .msg files of pose_msgs, in which they
are written. Hashes are RIHS01 (REP 2016).
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import FieldDesc, Typesdict
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from pose_ros import messages
from pose_ros.messages.names import OWN_PACKAGE

_SEPARATOR = "=" * 80


@cache
def store() -> Typestore:
    """All types that are known here, by names such as pose_msgs/msg/People2D."""
    known = get_typestore(Stores.ROS2_KILTED)
    types: Typesdict = {}
    for name, text in own_definitions().items():
        types |= get_types_from_msg(text, name)
    known.register(types)
    return known


@cache
def own_definitions() -> dict[str, str]:
    """Text of each of our own messages by its name. Raises FileNotFoundError where an installation lost them."""
    places = _places()
    for folder in places:
        if files := sorted(folder.glob("*.msg")):
            return {f"{OWN_PACKAGE}/msg/{file.stem}": file.read_text(encoding="utf-8") for file in files}
    looked = ", ".join(map(str, places))
    raise FileNotFoundError(
        f"the message definitions of {OWN_PACKAGE} are in none of {looked}; install pose-pipeline again, or run make setup"
    )


def _places() -> list[Path]:
    """Folders that may hold our .msg files: of a ROS workspace, of an installed distribution, of the sources."""
    prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    package = Path(messages.__file__).resolve().parent
    built = [Path(prefix) / "share" / OWN_PACKAGE / "msg" for prefix in prefixes]
    return [*built, package / "msg", package.parents[2] / OWN_PACKAGE / "msg"]


@cache
def definition(name: str) -> str:
    """The text of `pose_msgs/msg/People2D` and of every type it uses, as MCAP's schema encoding `ros2msg`
    wants it.

    Types stand in rosbag2's order: depth first, sorted. Raises ValueError for a type that is not known here.
    """
    return _with_dependencies(name, set())


def _with_dependencies(name: str, seen: set[str]) -> str:
    used_types = sorted({used for _, field in fields(name) for used in _named(field)})
    text = _text(name)
    for used in used_types:
        if used not in seen:
            seen.add(used)
            text += f"\n{_SEPARATOR}\nMSG: {used.replace('/msg/', '/')}\n{_with_dependencies(used, seen)}"
    return text


def _text(name: str) -> str:
    """Of one type alone; of our own types with their comments, which say what the numbers are."""
    if name in own_definitions():
        return own_definitions()[name]
    whole, _ = store().generate_msgdef(name, ros_version=2)
    return whole.split(f"{_SEPARATOR}\n")[0]


def _named(field: FieldDesc) -> list[str]:
    """The message type of a field, or of its elements, where that is no plain value."""
    kind, about = field
    if kind == Nodetype.NAME:
        return [str(about)]
    return _named(about[0]) if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE) else []  # type: ignore[arg-type]


def fields(name: str, known: Typestore | None = None) -> list[tuple[str, FieldDesc]]:
    """Names and types of the fields of a message, by default as of today. Raises ValueError for a type that is not known."""
    known = known or store()
    if name not in known.fielddefs:
        raise ValueError(
            f"message type {name} is not known here; this version of pose-pipeline has no definition of it"
        )
    return list(known.fielddefs[name][1])


@cache
def type_hash(name: str) -> str:
    """RIHS01 hash of a type; empty where it is not known here."""
    return store().hash_rihs01(name) if name in store().fielddefs else ""
