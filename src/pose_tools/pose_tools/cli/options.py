"""Options of the command line from the table of parameters: a command names itself, and gets what was chosen."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pose_core.config.parameter_file import value_of
from pose_core.system.exits import refusing
from pose_tools.parameters.chosen import Values, chosen, of_file, params_of
from pose_tools.parameters.options import RUNS, Option, options_of
from pose_tools.tilt import Tilt, stated_tilt

CHOSEN, SETS, FILE = "chosen", "sets", "params"


@dataclass(frozen=True)
class Chosen:
    """What a user stated on the command line of `place`."""

    place: str
    stated: dict[str, Any]
    """By name of an option; None where nobody says."""
    sets: tuple[str, ...] = ()
    """Of `--set`."""
    file: Path | None = None
    """Of `--params`."""

    @property
    def tilt(self) -> Tilt | None:
        """That of the camera, where an angle of it is stated."""
        return stated_tilt(self.stated["camera_pitch_deg"], self.stated["camera_roll_deg"])

    def values(self) -> Values:
        """What options and `--set` state, by stage. Raises WrongConfiguration."""
        with refusing():
            return chosen(self.place, self.stated, self.sets)

    def layers(self) -> tuple[Values, Values]:
        """What the file states, and what counts more. Raises WrongConfiguration."""
        with refusing():
            return of_file(self.file) if self.file is not None else {}, self.values()

    def params(self, owner: str) -> Any:
        """The dataclass of a stage or command as chosen. Raises WrongConfiguration."""
        with refusing():
            return params_of(owner, *self.layers())


def takes(place: str, *, file: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command, whose argument `chosen` is a `Chosen`, the options of `place`, and `--set` where it runs stages.

    `file`: help of `--params`, for commands that have it.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters
        options = options_of(place)
        shared = _shared(place, file)

        def run(**given: Any) -> None:
            with refusing():
                stated = {name: _read(option, given.pop(name)) for name, option in options.items()}
            sets, path = tuple(given.pop(SETS, None) or ()), given.pop(FILE, None)
            command(chosen=Chosen(place, stated, sets, path), **given)

        rest = [parameter for name, parameter in own.items() if name != CHOSEN]
        first = [parameter for parameter in rest if parameter.default is parameter.empty]
        last = [parameter for parameter in rest if parameter.default is not parameter.empty]
        made = [_made(option, place) for option in options.values()]
        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in (*first, *made, *shared, *last)
        ]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _read(option: Option, said: Any) -> Any:
    """The value that was stated. Raises ValueError for one that cannot be."""
    if said is None:
        return None
    value = value_of(option.parameter, said) if isinstance(said, str) else said
    option.parameter.check(value, option.name)
    return value


def _made(option: Option, place: str) -> inspect.Parameter:
    """Text is taken as it is, so that a value that cannot be is refused as in a parameter file."""
    kind = option.parameter.kind
    return _keyword(
        option.name,
        bool if kind is bool else str,
        typer.Option(
            option.flags,
            help=option.help(place),
            show_default=False,
            metavar=None if kind is bool else f"<{kind.__name__}>",
        ),
    )


def _keyword(name: str, kind: Any, option: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _shared(place: str, file: str) -> list[inspect.Parameter]:
    made = []
    if file:
        made.append(_keyword(FILE, Path, typer.Option("--params", help=file, metavar="<file>")))
    if place in RUNS:
        told = f"any parameter of {', '.join(RUNS[place])}; `pose parameters` lists them"
        made.append(_keyword(SETS, list[str], typer.Option("--set", help=told, metavar="<stage.name=value>")))
    return made
