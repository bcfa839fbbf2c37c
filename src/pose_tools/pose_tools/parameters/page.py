"""The reference page of all parameters (docs/parameters.md)."""

from __future__ import annotations

from collections.abc import Iterator

from pose_core.config import Parameter, parameters_of, text_of
from pose_tools.parameters.options import LAUNCH_FILES, OPTIONS, RUNS, Option, options_for
from pose_tools.parameters.table import OWNERS, STAGES

TITLES = {
    "pose2d": "images to people in 2D",
    "lift3d": "people in 2D to 3D",
    "refine": "smooth people and joint angles",
    "viz": "drawing",
    "process": "`pose process` itself, and writing files",
    "video": "overlay videos",
    "record": "recording",
}
HEAD = """# Parameters

Made by `pose parameters`; change the dataclasses, not this page. Every parameter stands once, in the frozen dataclass of its
stage (`params.py`); the nodes' ROS parameters, the options of `pose`, the arguments of the launch files and this page come from
there.

- On a command line, what has no option of its own is stated by `--set stage.name=value`, as often as needed:
  `pose process walk.mp4 -o out --set refine.process_noise=0.5 --set lift3d.field_of_view_deg=75`. A value is written as in YAML.
- `--params FILE` of `pose live`, `replay` and `process` and `params:=FILE` of the launch files take a file as ROS 2 reads it;
  what an option, a launch argument or `--set` states counts more. In `pose process` parameters that only a node can use change
  nothing.
- Launch files take the same as `set:="refine.process_noise=0.5 viz.lifetime=1.0"`, nodes as `--ros-args -p process_noise:=0.5`.
- A misspelt name, a wrong type or a value out of range is refused in one sentence. What is *live* may be changed while the node
  runs: `ros2 param set /refine process_noise 0.5`.
- Every topic of a stage takes `qos_overrides.<full topic name>.<publisher|subscription>.<policy>` as well ([topics](topics.md)).
"""


def page() -> str:
    """All of it, as Markdown."""
    return "\n".join([HEAD, *(line for owner in OWNERS for line in _owner(owner)), *_options()])


def _owner(owner: str) -> Iterator[str]:
    kind = OWNERS[owner]
    yield f"## {owner}: {TITLES[owner]}"
    yield ""
    if owner not in STAGES:
        takers = " and ".join(f"`pose {place}`" for place, run in RUNS.items() if owner in run)
        yield f"Not of a node: by `--set` of {takers}."
        yield ""
    yield "| name | type | default | unit | range or choices | live | what it is | option |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, parameter in parameters_of(kind).items():
        yield _row(owner, name, parameter)
    yield ""


def _row(owner: str, name: str, parameter: Parameter) -> str:
    flags = dict.fromkeys(_shown(option) for option in options_for(f"{owner}.{name}"))
    cells = (
        f"`{name}`",
        parameter.kind.__name__,
        f"`{text_of(parameter.default)}`" if text_of(parameter.default) else "empty",
        parameter.unit,
        ", ".join(f"`{choice}`" for choice in parameter.choices) or parameter.bounds,
        "yes" if parameter.live else "",
        parameter.description,
        ", ".join(flags),
    )
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _shown(option: Option) -> str:
    on_command_line = any(place not in LAUNCH_FILES for place in option.where)
    return f"`{option.flags.split('/')[0]}`" if on_command_line else f"`{option.name}:=`"


def _options() -> Iterator[str]:
    yield "## Options and launch arguments"
    yield ""
    yield "| option | launch argument | states | of |"
    yield "|---|---|---|---|"
    for option in OPTIONS:
        commands = [f"`pose {place}`" for place in option.where if place not in LAUNCH_FILES]
        files = [f"`{place}`" for place in option.where if place in LAUNCH_FILES]
        flag = f"`{option.flags}`" if commands else ""
        argument = f"`{option.name}`" if files else ""
        states = ", ".join(f"`{full}`" for full in option.states)
        yield f"| {flag} | {argument} | {states} | {', '.join([*commands, *files])} |"
    yield ""
