"""Parameters as one frozen dataclass: default, description, unit and range stand once, in the field.

    @dataclass(frozen=True)
    class Params:
        rate: float = param(30.0, "images per second of the camera", unit="Hz", low=1.0, high=240.0)

ROS parameters, command line options, launch arguments, documentation and validation all derive from it: `parameters_of` gives
each field as a `Parameter`, which knows how to say and to check it.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from pose_core.registry import suggest

D = TypeVar("D")

Value = bool | int | float | str
KINDS = (bool, int, float, str)
"""Types a parameter may have: those that YAML, ROS and a command line share."""


def param(
    default: Value,
    description: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """A dataclass field that carries what a user needs to know.

    `unit`: of a number that has one, as its symbol. `low`, `high`: inclusive range of a number. `choices`: allowed strings.
    `live`: may change while the node runs.
    """
    if type(default) not in KINDS:
        raise TypeError(f"a parameter is a bool, int, float or str, got {default!r}")
    metadata = {
        "description": description,
        "unit": unit,
        "low": low,
        "high": high,
        "choices": choices,
        "live": live,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One `param` field of a dataclass, with all there is to know of it."""

    name: str
    kind: type
    default: Value
    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    @property
    def bounds(self) -> str:
        """The range in words; empty where there is none."""
        if self.low is None and self.high is None:
            return ""
        if self.high is None:
            return f"at least {self.low}"
        return f"at most {self.high}" if self.low is None else f"{self.low} to {self.high}"

    @property
    def allowed(self) -> str:
        """Choices or range in words, the range with its unit; else the unit alone."""
        if self.choices:
            return ", ".join(self.choices)
        return f"{self.bounds} {self.unit}".strip()

    def help(self, default: str | None = None) -> str:
        """One line: what it is, in what, in which range, and what it is where nobody says; `default`: in place of its own."""
        usual = text_of(self.default) if default is None else default
        facts = "".join(f" [{fact}]" for fact in (self.allowed, f"default: {usual}" if usual else "") if fact)
        return f"{self.description}{facts}"

    def check(self, value: Any, called: str = "") -> None:
        """Raise ValueError where `value` has a wrong type or is out of range. `called`: how the sentence names the parameter."""
        name = called or self.name
        if type(value) is not self.kind:
            raise ValueError(f"{name} must be of type {self.kind.__name__}, got {value!r}")
        if isinstance(value, float) and math.isnan(value):
            raise ValueError(f"{name} must be a number, got nan")
        number: Any = value
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            both = self.low is not None and self.high is not None
            raise ValueError(f"{name} must be {'from ' if both else ''}{self.bounds}, got {value}")
        if self.choices and value not in self.choices:
            raise ValueError(f"{name} must be one of {self.allowed}, got '{value}'")

    def taken(self, value: Any) -> Any:
        """`value`, with an int as what it stands for where a float or a string is meant, and a path as its text."""
        if isinstance(value, os.PathLike) and self.kind is str:
            return os.fspath(value)
        return self.kind(value) if type(value) is int and self.kind in (float, str) else value


def text_of(value: Value) -> str:
    """A value as a user writes it, in YAML and on a command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def parameters_of(cls: type) -> Mapping[str, Parameter]:
    """The `param` fields of a dataclass by name, in their order."""
    kinds = get_type_hints(cls)
    fields: Any = dataclasses.fields(cls)
    return {
        field.name: Parameter(field.name, kinds[field.name], field.default, **field.metadata)
        for field in fields
        if field.metadata
    }


def check(params: Any, owner: str = "") -> None:
    """Raise ValueError for the first `param` field of a dataclass whose value has a wrong type or range.

    `owner`: whose parameters these are, for the sentence.
    """
    for name, parameter in parameters_of(type(params)).items():
        parameter.check(getattr(params, name), f"{owner}.{name}" if owner else name)


def build(cls: type[D], values: Mapping[str, Any], owner: str = "") -> D:
    """A checked `cls` from named values; the rest are defaults. An int is accepted where a float or a string is meant
    (camera 0: YAML and ROS read `source: 0` as a number).

    Raises ValueError for an unknown name (with the nearest known one), a wrong type or a value out of range. `owner`: as of
    `check`.
    """
    fields = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            called = f"{owner}.{name}" if owner else name
            raise ValueError(f"unknown parameter '{called}'; {suggest(name, fields)}")
    known = parameters_of(cls)
    params = cls(
        **{name: known[name].taken(value) if name in known else value for name, value in values.items()}
    )
    check(params, owner)
    return params


@dataclasses.dataclass(frozen=True)
class StageParams:
    """Parameters that every stage has."""

    autostart: bool = param(
        True, "configure and activate at start-up instead of waiting for lifecycle commands"
    )
    stage_times: bool = param(
        True, "state in each message when each stage worked; false gives reproducible bytes"
    )
    lossless: bool = param(
        False,
        "work on every message, in order, as for files and replay, however late; false: on the newest one, and skip what came "
        "before it",
    )
    diagnostics_period: float = param(
        1.0, "time between two diagnostics messages", unit="s", low=0.1, high=60.0
    )
    # Several times what four times the images that can be worked on bring about (p95 of 80 to 150 ms, docs/performance.md). At
    # such an age somebody who walks is a metre elsewhere.
    max_age: float = param(
        1.0,
        "age of results, from the capture of their image, above which diagnostics warn; 0: never. A lossless stage, or one on "
        "simulated time, does not know it",
        unit="s",
        low=0.0,
        high=3600.0,
        live=True,
    )


@dataclasses.dataclass(frozen=True)
class TiltParams(StageParams):
    """Parameters of stages that need to know how the camera is tilted (`pose_core.markers.world_from_camera`)."""

    camera_pitch_deg: float = param(
        0.0, "by how much the camera looks down", unit="deg", low=-90.0, high=90.0, live=True
    )
    camera_roll_deg: float = param(
        0.0,
        "by how much the camera's right side is lower than its left",
        unit="deg",
        low=-180.0,
        high=180.0,
        live=True,
    )
