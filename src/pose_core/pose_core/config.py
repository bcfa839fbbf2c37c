"""Parameters as one frozen dataclass: default, description and range stand once, in the field.

    @dataclass(frozen=True)
    class Params:
        rate: float = param(30.0, "frames per second of the camera", low=1.0, high=240.0)

ROS parameters, command line options, documentation and validation all derive from it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeVar, get_type_hints

from pose_core.registry import suggest

D = TypeVar("D")

KINDS = (bool, int, float, str)
"""Types a parameter may have: those that YAML, ROS and a command line share."""


def param(
    default: bool | int | float | str,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """A dataclass field that carries what a user needs to know.

    `low`, `high`: inclusive range of a number. `choices`: allowed strings. `live`: may change while the node runs.
    """
    if type(default) not in KINDS:
        raise TypeError(f"a parameter is a bool, int, float or str, got {default!r}")
    metadata = {"description": description, "low": low, "high": high, "choices": choices, "live": live}
    return dataclasses.field(default=default, metadata=metadata)


def check(params: Any) -> None:
    """Raise ValueError for the first `param` field of a dataclass whose value has a wrong type or range."""
    kinds = get_type_hints(type(params))
    for field in dataclasses.fields(params):
        if field.metadata:
            _check_value(field, kinds[field.name], getattr(params, field.name))


def _check_value(field: dataclasses.Field[Any], kind: type, value: Any) -> None:
    name, low, high = field.name, field.metadata.get("low"), field.metadata.get("high")
    if type(value) is not kind:
        raise ValueError(f"{name} must be of type {kind.__name__}, got {value!r}")
    if isinstance(value, float) and math.isnan(value):
        raise ValueError(f"{name} must be a number, got nan")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = (
            f"at least {low}"
            if high is None
            else f"at most {high}"
            if low is None
            else f"from {low} to {high}"
        )
        raise ValueError(f"{name} must be {bounds}, got {value}")
    choices = field.metadata.get("choices")
    if choices and value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got '{value}'")


def build(cls: type[D], values: dict[str, Any]) -> D:
    """A checked `cls` from named values; the rest are defaults. An int is accepted where a float or a string is meant
    (camera 0: YAML and ROS read `source: 0` as a number).

    Raises ValueError for an unknown name (with the nearest known one), a wrong type or a value out of range.
    """
    kinds = get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise ValueError(f"unknown parameter '{name}'; {suggest(name, known)}")
    params = cls(**{name: _from_int(value, kinds[name]) for name, value in values.items()})
    check(params)
    return params


def _from_int(value: Any, kind: type) -> Any:
    return kind(value) if type(value) is int and kind in (float, str) else value


@dataclasses.dataclass(frozen=True)
class StageParams:
    """Parameters that every stage has."""

    autostart: bool = param(
        True, "configure and activate at start-up instead of waiting for lifecycle commands"
    )
    stage_times: bool = param(
        True, "state in each message when each stage worked; false gives reproducible bytes"
    )
    diagnostics_period: float = param(1.0, "seconds between two diagnostics messages", low=0.1, high=60.0)


PITCH, ROLL = (
    "degrees by which the camera looks down",
    "degrees by which the camera's right side is lower than its left",
)
"""What the parameters of `TiltParams` mean, wherever somebody is asked for them."""


@dataclasses.dataclass(frozen=True)
class TiltParams(StageParams):
    """Parameters of stages that need to know how the camera is tilted (`pose_core.markers.world_from_camera`)."""

    camera_pitch_deg: float = param(0.0, PITCH, low=-90.0, high=90.0, live=True)
    camera_roll_deg: float = param(0.0, ROLL, low=-180.0, high=180.0, live=True)
