"""Files of parameters as ROS 2 reads them (YAML), checked and read without ROS.

Names stand under the name of a node, or a pattern of `*` and `**`, and `ros__parameters`.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pose_core import config
from pose_core.config import qos_overrides
from pose_core.registry import suggest

ROS_OWN = {"use_sim_time": bool, "start_type_description_service": bool}
"""Parameters that every ROS node has."""

_VALUES = "ros__parameters"


def _parsed(text: str) -> Any:
    """What ROS reads in YAML. Raises ValueError for text that is none."""
    # A small program that reads no file need not wait for PyYAML.
    import yaml

    try:
        return yaml.load(text, _ros_loader())
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


@functools.cache
def _ros_loader() -> Any:
    """Safe loading, with the floats without a point (1e-3) that ROS reads as numbers and PyYAML as text."""
    import yaml

    loader: Any = type("RosLoader", (yaml.SafeLoader,), {})
    loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("+-0123456789")
    )
    return loader


def scalar(text: str) -> Any:
    """What ROS reads in `text`; the text where that is no YAML."""
    try:
        return _parsed(text)
    except ValueError:
        return text


def value_of(parameter: config.Parameter, text: str) -> Any:
    """What `text` says, as a value of the parameter where it can be one, else as YAML reads it; a text stays as it is."""
    return text if parameter.kind is str else parameter.taken(scalar(text))


def own(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the named values that are for the node itself. Raises ValueError for a wrong QoS override."""
    for name, value in given.items():
        if qos_overrides.is_override(name):
            qos_overrides.check(name, value)
    return {name: value for name, value in given.items() if not qos_overrides.is_override(name)}


def problems(path: str | Path, nodes: Mapping[str, type], *, foreign: bool = False) -> list[str]:
    """What is wrong with a parameter file, one sentence each; `nodes`: parameter dataclass by node name.

    Every section must be for one of `nodes`, by name, by full name, or by a pattern; with `foreign`, one for another node is let
    be, unless its name is nearly that of one of them.
    """
    try:
        content = _content(path)
    except ValueError as error:
        return [str(error)]
    return [f"{path}: {problem}" for problem in _wrong("", content, nodes, foreign)]


def values(path: str | Path, nodes: Mapping[str, type], *, foreign: bool = True) -> dict[str, dict[str, Any]]:
    """What a file states for each of `nodes`, whichever namespace it names; of several sections for one node, the later counts.

    Raises ValueError with the first of `problems`. Neither QoS overrides nor what every ROS node has are among the values.
    """
    if wrong := problems(path, nodes, foreign=foreign):
        raise ValueError(wrong[0])
    stated: dict[str, dict[str, Any]] = {name: {} for name in nodes}
    for section, given in _sections("", _content(path)):
        last = section.rsplit("/", 1)[-1]
        flat = {name: value for name, value in _flat("", given) if name not in ROS_OWN}
        for name in nodes if "*" in last else {last} & set(nodes):
            stated[name] |= own(flat)
    return stated


def _content(path: str | Path) -> Any:
    try:
        return _parsed(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from error


def _sections(name: str, content: Any) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Full names of nodes in a file without problems, and what stands under them."""
    for key, value in content.items():
        if key == _VALUES:
            yield name, value
        else:
            yield from _sections(_under(name, key), value)


def _under(name: str, key: Any) -> str:
    return f"{name}/{key}".replace("//", "/") if name else str(key)


def _wrong(name: str, content: Any, nodes: Mapping[str, type], foreign: bool) -> Iterator[str]:
    """Problems of what stands under `name`, the beginning of a node's full name."""
    if not isinstance(content, Mapping):
        yield f"{name or 'values'} must stand under the name of a node and {_VALUES}, got {content!r}"
        return
    for key, value in content.items():
        if key == _VALUES:
            yield from (f"{name}: {problem}" for problem in _wrong_section(name, value, nodes, foreign))
        else:
            yield from _wrong(_under(name, key), value, nodes, foreign)


def _wrong_section(section: str, given: Any, nodes: Mapping[str, type], foreign: bool) -> list[str]:
    name = section.rsplit("/", 1)[-1]
    if "*" not in name and name not in nodes:
        if foreign and not difflib.get_close_matches(name, list(nodes), n=1):
            return []
        return [f"unknown node '{name}'; {suggest(name, list(nodes))}"]
    if not isinstance(given, Mapping):
        return [f"{_VALUES} must hold named values, got {given!r}"]
    classes = list(nodes.values()) if "*" in name else [nodes[name]]
    flat = list(_flat("", given))
    return list(dict.fromkeys(problem for cls in classes for problem in _wrong_values(cls, flat)))


def _flat(prefix: str, given: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in given.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value


def _wrong_values(cls: type, given: list[tuple[str, Any]]) -> list[str]:
    found = []
    for name, value in given:
        try:
            if name not in ROS_OWN:
                config.build(cls, own({name: value}))
            elif type(value) is not ROS_OWN[name]:
                found.append(f"{name} must be of type {ROS_OWN[name].__name__}, got {value!r}")
        except ValueError as error:
            found.append(str(error))
    return found
