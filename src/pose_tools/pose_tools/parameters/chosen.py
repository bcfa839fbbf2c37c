"""What somebody chose: values by stage, from options, `--set stage.name=value` and parameter files, checked as they are said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from lift3d_node.params import STATED, TF
from pose_core.config import Value, build, parameter_file, qos_overrides
from pose_core.registry import suggest
from pose_tools.parameters.options import RUNS, options_of
from pose_tools.parameters.table import OWNERS, STAGES, parameter, split

Values = dict[str, dict[str, Value]]
"""By owner and name."""

TILT = "lift3d.camera_tilt"
ANGLES = "lift3d.camera_pitch_deg", "lift3d.camera_roll_deg"
LEVEL_FRAME = "lift3d.level_frame"


def chosen(
    place: str, stated: Mapping[str, Any], sets: Iterable[str] = (), named: Mapping[str, Any] | None = None
) -> Values:
    """What the options of a command or launch file and `--set` state together.

    `stated`: value by name of an option, None where nobody says. `named`: value by full name, as `--set` has it in text. Raises
    ValueError for a name that is not known, with the nearest one, for a value that cannot be, and where one parameter is stated
    twice.
    """
    options = options_of(place)
    by_full: dict[str, tuple[Value, str]] = {}
    for name, value in stated.items():
        if name not in options:
            raise ValueError(f"{place} has no option '{name}'; {suggest(name, list(options))}")
        if value is None:
            continue
        for full in options[name].states:
            by_full[full] = _checked(full, value, name), options[name].said(place)
    tilt = _tilt_of(by_full)
    for full, value, said in (
        *((*_set(place, text), text) for text in sets),
        *((full, _named(place, full, value), full) for full, value in (named or {}).items()),
    ):
        if full in by_full:
            raise ValueError(f"{full} is stated twice, by {by_full[full][1]} and by '{said}'; leave one out")
        by_full[full] = value, f"'{said}'"
    if tilt is not None:
        by_full.setdefault(TILT, (tilt, ""))
    values: Values = {}
    for full, (value, _) in by_full.items():
        owner, name = split(full)
        values.setdefault(owner, {})[name] = value
    return values


def _checked(full: str, value: Any, called: str) -> Value:
    taken: Value = parameter(full).taken(value)
    parameter(full).check(taken, called)
    return taken


def _tilt_of(options: Mapping[str, Any]) -> str | None:
    """What the lifter is told of the camera's tilt where options state angles or a frame but not that; None where they do not."""
    if TILT in options or not options.keys() & {*ANGLES, LEVEL_FRAME}:
        return None
    return TF if LEVEL_FRAME in options else STATED


def _set(place: str, text: str) -> tuple[str, Value]:
    """Full name and value of `stage.name=value`, for the command or launch file `place`. Raises ValueError in one sentence."""
    full, equals, said = text.partition("=")
    full = full.strip()
    owner, name = split(full)
    if not equals or not name:
        raise ValueError(f"--set takes stage.name=value, such as refine.process_noise=0.5, got '{text}'")
    quality = owner in STAGES and qos_overrides.is_override(name)
    value = parameter_file.scalar(said) if quality else parameter_file.value_of(parameter(full), said)
    return full, _named(place, full, value)


def _named(place: str, full: str, value: Any) -> Value:
    """The value of a parameter, for the command or launch file `place`. Raises ValueError in one sentence."""
    owner, name = split(full)
    if owner in STAGES and qos_overrides.is_override(name):
        qos_overrides.check(name, value)
    else:
        value = _checked(full, value, full)
    if owner not in RUNS[place]:
        raise ValueError(
            f"{full} changes nothing here: {place} has the parameters of {', '.join(RUNS[place])}"
        )
    return cast(Value, value)


def of_file(path: Path) -> Values:
    """What a parameter file states for the stages. Raises ValueError for a misspelt name or a value that cannot be."""
    return parameter_file.values(path, STAGES)


def params_of(owner: str, *layers: Values) -> Any:
    """The checked dataclass of a stage or command, in which later layers count. Raises ValueError."""
    merged = {name: value for layer in layers for name, value in layer.get(owner, {}).items()}
    return build(OWNERS[owner], parameter_file.own(merged))
