"""ROS parameters of a stage from its one dataclass (`pose_core.config`)."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from pose_core import config
from pose_core.config import parameter_file

P = TypeVar("P")


def declare(node: Node, cls: type[P]) -> P:
    """Declare the fields of `cls` as parameters of `node` and return their values.

    An integer is accepted where a float is meant. Raises ValueError for a wrong type, a value out of range,
    and an unknown name among the values given.
    """
    given = {name: value for name, value in _given(node).items() if not node.has_parameter(name)}
    params = config.build(cls, parameter_file.own(given))
    for name, parameter in config.parameters_of(cls).items():
        node.declare_parameter(name, getattr(params, name), describe(parameter), ignore_override=True)
    return params


def unused(node: Node) -> list[str]:
    """Values given to this node that no parameter has taken: QoS overrides of topics it does not have."""
    return [name for name in _given(node) if not node.has_parameter(name)]


def _given(node: Node) -> dict[str, Any]:
    # rclpy has no public way to see values given to undeclared parameters; misspelt ones it ignores.
    return {name: parameter.value for name, parameter in node._parameter_overrides.items()}


def describe(parameter: config.Parameter) -> ParameterDescriptor:
    """Descriptor of one parameter."""
    unit = f" [{parameter.unit}]" if parameter.unit else ""
    descriptor = ParameterDescriptor(
        description=f"{parameter.description}{unit}", read_only=not parameter.live
    )
    low, high = parameter.low, parameter.high
    if parameter.choices:
        descriptor.additional_constraints = f"one of {parameter.allowed}"
    if low is None and high is None:
        return descriptor
    if parameter.kind is int:
        descriptor.integer_range = [
            IntegerRange(
                from_value=-(2**63) if low is None else int(low),
                to_value=2**63 - 1 if high is None else int(high),
            )
        ]
    elif parameter.kind is float:
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=-sys.float_info.max if low is None else float(low),
                to_value=sys.float_info.max if high is None else float(high),
            )
        ]
    return descriptor


def with_kinds(cls: type, changes: list[Parameter]) -> list[Parameter]:
    """`changes` with integers turned to floats where `cls` means a float."""
    known = config.parameters_of(cls)
    return [
        Parameter(change.name, value=float(change.value))
        if change.name in known and known[change.name].kind is float and type(change.value) is int
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
