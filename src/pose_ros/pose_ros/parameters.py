"""ROS parameters of a stage from its one dataclass (`pose_core.config`)."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from pose_core import config
from pose_core.registry import suggest
from pose_ros import qos

P = TypeVar("P")

ROS_OWN = {"use_sim_time": bool, "start_type_description_service": bool}
"""Parameters that every ROS node has."""


def declare(node: Node, cls: type[P]) -> P:
    """Declare the fields of `cls` as parameters of `node` and return their values.

    An integer is accepted where a float is meant. Raises ValueError for a wrong type, a value out of range,
    and an unknown name among the values given.
    """
    params = config.build(
        cls, _own({name: value for name, value in _given(node).items() if not node.has_parameter(name)})
    )
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        node.declare_parameter(
            field.name, getattr(params, field.name), describe(cls, field), ignore_override=True
        )
    return params


def unused(node: Node) -> list[str]:
    """Values given to this node that no parameter has taken: QoS overrides of topics it does not have."""
    return [name for name in _given(node) if not node.has_parameter(name)]


def _given(node: Node) -> dict[str, Any]:
    # rclpy has no public way to see values given to undeclared parameters; misspelt ones it ignores.
    return {name: parameter.value for name, parameter in node._parameter_overrides.items()}


def _own(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the named values that are for the stage itself. Raises ValueError for a wrong QoS override."""
    for name, value in given.items():
        if name.startswith(qos.OVERRIDE_PREFIX):
            qos.check_override(name, value)
    return {name: value for name, value in given.items() if not name.startswith(qos.OVERRIDE_PREFIX)}


def describe(cls: type, field: dataclasses.Field[Any]) -> ParameterDescriptor:
    """Descriptor of one field of a `param` dataclass."""
    kind, low, high = get_type_hints(cls)[field.name], field.metadata.get("low"), field.metadata.get("high")
    descriptor = ParameterDescriptor(
        description=field.metadata.get("description", ""), read_only=not field.metadata.get("live")
    )
    if choices := field.metadata.get("choices"):
        descriptor.additional_constraints = f"one of {', '.join(choices)}"
    if low is None and high is None:
        return descriptor
    if kind is int:
        descriptor.integer_range = [
            IntegerRange(
                from_value=-(2**63) if low is None else int(low),
                to_value=2**63 - 1 if high is None else int(high),
            )
        ]
    elif kind is float:
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=-sys.float_info.max if low is None else float(low),
                to_value=sys.float_info.max if high is None else float(high),
            )
        ]
    return descriptor


def with_kinds(cls: type, changes: list[Parameter]) -> list[Parameter]:
    """`changes` with integers turned to floats where `cls` means a float."""
    kinds = get_type_hints(cls)
    return [
        Parameter(change.name, value=float(change.value))
        if kinds.get(change.name) is float and type(change.value) is int
        else change
        for change in changes
    ]


def changed(params: P, changes: list[Parameter]) -> P:
    """`params` with those of `changes` that are its fields. Raises ValueError for a value not allowed."""
    names = {field.name for field in dataclasses.fields(params)}  # type: ignore[arg-type]
    values = {change.name: change.value for change in changes if change.name in names}
    if not values:
        return params
    new = dataclasses.replace(params, **values)  # type: ignore[type-var]
    config.check(new)
    return new


def check_yaml(path: str | Path, nodes: Mapping[str, type]) -> list[str]:
    """What is wrong with a parameter file, one sentence each; `nodes`: parameter dataclass by node name.

    Every section must be for one of `nodes`, by name, by full name, or by a pattern of `*` and `**`.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _RosLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return [f"{path} cannot be read: {' '.join(str(error).split())}"]
    return [f"{path}: {problem}" for problem in _check_names("", content, nodes)]


class _RosLoader(yaml.SafeLoader):
    """Safe loading, with the floats without a point (1e-3) that ROS reads as numbers and PyYAML as text."""


_RosLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("+-0123456789")
)

_VALUES = "ros__parameters"


def _check_names(name: str, content: Any, nodes: Mapping[str, type]) -> Iterator[str]:
    """Problems of what stands under `name`, the beginning of a node's full name."""
    if not isinstance(content, Mapping):
        yield f"{name or 'values'} must stand under the name of a node and {_VALUES}, got {content!r}"
        return
    for key, value in content.items():
        if key == _VALUES:
            yield from (f"{name}: {problem}" for problem in _check_section(name, value, nodes))
        else:
            yield from _check_names(f"{name}/{key}".replace("//", "/") if name else str(key), value, nodes)


def _check_section(section: str, values: Any, nodes: Mapping[str, type]) -> list[str]:
    name = section.rsplit("/", 1)[-1]
    if "*" not in name and name not in nodes:
        return [f"unknown node '{name}'; {suggest(name, list(nodes))}"]
    if not isinstance(values, Mapping):
        return [f"{_VALUES} must hold named values, got {values!r}"]
    classes = list(nodes.values()) if "*" in name else [nodes[name]]
    given = list(_flat("", values))
    return list(dict.fromkeys(problem for cls in classes for problem in _check_values(cls, given)))


def _flat(prefix: str, values: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value


def _check_values(cls: type, given: list[tuple[str, Any]]) -> list[str]:
    problems = []
    for name, value in given:
        try:
            if name not in ROS_OWN:
                config.build(cls, _own({name: value}))
            elif type(value) is not ROS_OWN[name]:
                problems.append(f"{name} must be of type {ROS_OWN[name].__name__}, got {value!r}")
        except ValueError as error:
            problems.append(str(error))
    return problems
