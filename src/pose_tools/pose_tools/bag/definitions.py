"""What a bag says about a message type so that it can be read without the package: its definition and its
hash.

Both come from the installed packages: share/<package>/msg/<Name>.msg, and <Name>.json, which holds the RIHS01
hash (REP 2016).
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

_FIELD = re.compile(r"^\s*([A-Za-z]\w*(?:/\w+)*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*", re.MULTILINE)
_PRIMITIVES = frozenset(
    "bool byte char float32 float64 int8 uint8 int16 uint16 int32 uint32 int64 uint64 string wstring".split()
)
_SEPARATOR = "=" * 80


def type_name(kind: type) -> str:
    """`pose_msgs/msg/People2D` of a message class."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


@cache
def definition(name: str) -> str:
    """The text of `pose_msgs/msg/People2D` and of every type it uses, as MCAP's schema encoding `ros2msg`
    wants it.

    Types stand in rosbag2's order: depth first, sorted. Raises ValueError for a type that is not installed.
    """
    return _with_dependencies(name, set())


def _with_dependencies(name: str, seen: set[str]) -> str:
    text = _read(name, ".msg")
    package = name.split("/")[0]
    fields = {match for match in _FIELD.findall(text) if match not in _PRIMITIVES}
    for used in sorted(field if "/" in field else f"{package}/{field}" for field in fields):
        if used not in seen:
            seen.add(used)
            text += f"\n{_SEPARATOR}\nMSG: {used}\n{_with_dependencies(used, seen)}"
    return text


@cache
def type_hash(name: str) -> str:
    """RIHS01 hash of an installed type; empty where it is not, or was built without hashes (before Iron)."""
    try:
        described = json.loads(_read(name, ".json"))
    except ValueError:
        return ""
    return next(
        (entry["hash_string"] for entry in described["type_hashes"] if entry["type_name"] == name), ""
    )


def _read(name: str, suffix: str) -> str:
    """`name`: package/msg/Name, or package/Name as definitions write it."""
    package, kind = name.split("/")[0], name.split("/")[-1]
    try:
        return (Path(get_package_share_directory(package)) / "msg" / f"{kind}{suffix}").read_text(
            encoding="utf-8"
        )
    except (PackageNotFoundError, OSError) as error:
        raise ValueError(
            f"message type {name} is not installed; install package {package} and source its workspace"
        ) from error
