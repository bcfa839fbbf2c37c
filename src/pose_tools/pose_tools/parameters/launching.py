"""Arguments of the launch files from the table of parameters, and what they state; the launch files make actions of it.

What nobody states is left to the parameter file, and to the node's own default after that.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pose_core.config import parameter_file, text_of
from pose_core.registry import suggest
from pose_tools.parameters.chosen import Values, chosen
from pose_tools.parameters.options import LAUNCH_FILES, RUNS, options_of

SET = "set"


@dataclass(frozen=True)
class Argument:
    """What a launch file declares."""

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()


def arguments_of(place: str) -> list[Argument]:
    """Those of a launch file that state parameters."""
    made = [
        Argument(name, text_of(option.parameter.default), option.help(place), option.parameter.choices)
        for name, option in options_of(place).items()
    ]
    example = "'refine.process_noise=0.5 viz.lifetime=1.0'"
    return [
        *made,
        Argument(
            SET, "", f"further parameters of {', '.join(RUNS[place])}, with blanks between them: {example}"
        ),
    ]


def stated(place: str, given: Mapping[str, str]) -> Values:
    """By stage, what was `given` to a launch file by name of an argument; anything else among it is let be.

    Raises ValueError for a parameter that is not known and for a value that cannot be.
    """
    said = {
        name: parameter_file.value_of(option.parameter, given[name])
        for name, option in options_of(place).items()
        if name in given
    }
    return chosen(place, said, shlex.split(given.get(SET, "")))


def flag(name: str, text: str) -> bool:
    """The value of an argument that is true or false. Raises ValueError for anything else."""
    found = {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower())
    if found is None:
        raise ValueError(f"{name} must be true or false, got '{text}'")
    return found


def as_sets(values: Values) -> list[str]:
    """The same as words for `--set`."""
    return [
        f"{owner}.{name}={text_of(value)}" for owner, named in values.items() for name, value in named.items()
    ]


def expect_known(place: str, arguments: Iterable[str], command_line: Sequence[str]) -> None:
    """Raise ValueError where the command line that started this very launch file names an argument that it does not have.

    `ros2 launch` passes over such a one without a word. The command line says nothing of a launch file that another one includes.
    """
    known = list(arguments)
    files = [row for row, word in enumerate(command_line) if Path(word).name in LAUNCH_FILES]
    if not files or Path(command_line[files[0]]).name != place:
        return
    for word in command_line[files[0] + 1 :]:
        name, assigned, _ = word.partition(":=")
        if assigned and name not in known:
            raise ValueError(f"unknown argument '{name}'; {suggest(name, known)}")
