"""What a trained network is and what it was made for, stored inside every file that holds one.

A network fed with joints in another order, or in another encoding, gives poses that look right and are wrong. So whoever loads a
file compares its card with what runs, and refuses what does not fit. `Card` holds what all networks have; a stage adds the rest.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from pose_core.registry import suggest
from pose_core.skeleton import SKELETONS

FORMAT = 1
"""Version of the fields that a card has."""

UNIT = "standing height"
"""Unit of all lengths that networks give."""

Value = bool | int | float | str
Shape = tuple[int, ...]

Own = TypeVar("Own", bound="Card")


@dataclass(frozen=True, kw_only=True)
class Card(ABC):
    """A network that sees one frame of a person after the other: joints, a context and its own state.

    Raises ValueError for a card that this version cannot run, naming what it has and what is known.
    """

    KEY: ClassVar[str]
    """Name of the card among the metadata of a file."""
    ENCODING: ClassVar[int]
    """Version of the encoding that runs."""

    network: str
    """Name in the table of networks."""
    config: Mapping[str, Value]
    """Fields of the network's `Config`."""
    outputs: tuple[str, ...]
    """Names, in the order of the file."""
    state: tuple[Shape, ...] = ()
    """Shape of each state tensor for one person, without the batch; all are float32 and start as zeros."""
    temperature: tuple[float, ...] = (1.0,)
    """Factor on the standard deviations that a network gives, one for all joints or one each; fitted on held-out data."""
    training: str = ""
    """What it was trained on, in one line."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What was measured on held-out data, by name and unit (`mpjpe_mm`)."""
    encoding: int
    unit: str = UNIT
    format: int = FORMAT

    @property
    @abstractmethod
    def inputs(self) -> dict[str, Shape]:
        """Shapes for one person of what a network sees beside its state: `joints`, `context`."""

    @property
    @abstractmethod
    def shapes(self) -> dict[str, Shape]:
        """Shapes for one person of the outputs that are used."""

    @property
    @abstractmethod
    def skeleton_of_outputs(self) -> str:
        """Name of the skeleton whose joints are given."""

    @property
    def input_names(self) -> list[str]:
        """Inputs of an exported file: what the network sees, and the state that the frame before left."""
        return [*self.inputs, *(f"state_{i}" for i in range(len(self.state)))]

    @property
    def output_names(self) -> list[str]:
        """Its outputs: those of the card, then the next state."""
        return [*self.outputs, *(f"next_state_{i}" for i in range(len(self.state)))]

    def __post_init__(self) -> None:
        for name in ("format", "encoding"):
            expect(name, type(getattr(self, name)) is int, "a whole number", getattr(self, name))
        _same("format", self.format, FORMAT)
        _same("encoding", self.encoding, self.ENCODING)
        for name in ("network", "training", "unit"):
            expect(name, isinstance(getattr(self, name), str), "a string", getattr(self, name))
        _same("unit", self.unit, UNIT)
        expect("network", self.network != "", "a name", self.network)
        self._set("config", _named("config", self.config, (bool, int, float, str)))
        self._set("metrics", _named("metrics", self.metrics, (int, float)))
        self._set("outputs", all_of("outputs", self.outputs, str))
        expect("outputs", len(set(self.outputs)) == len(self.outputs), "names that differ", self.outputs)
        state = all_of("state", self.state, (list, tuple))
        self._set("state", tuple(all_of("state", shape, int) for shape in state))
        for shape in self.state:
            expect("state", all(size > 0 for size in shape), "positive sizes", shape)
        joints = len(SKELETONS.get(self.skeleton_of_outputs))
        self._set("temperature", positive("temperature", self.temperature, (1, joints)))

    def _set(self, name: str, value: object) -> None:
        """Put a value in the form that it keeps; JSON, for one, knows no tuples."""
        object.__setattr__(self, name, value)

    def to_json(self) -> str:
        """The same card always gives the same characters."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return json.dumps(values, allow_nan=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls: type[Own], text: str) -> Own:
        """The card that `to_json` wrote. Raises ValueError for anything else."""
        try:
            values = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the model card is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise ValueError(f"the model card must be a JSON object, got {type(values).__name__}")
        # Another format has other fields, so it is told first.
        _same("format", values.get("format"), FORMAT)
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                raise ValueError(f"the model card has an unknown field '{name}'; {suggest(name, known)}")
        for name in known:
            if name not in values:
                raise ValueError(f"the model card lacks the field '{name}'; export the model again")
        return cls(**values)

    def expect_same(self, own: Card, *names: str) -> None:
        """Raise ValueError where one of the fields `names` is not that of a network's `own` card, naming both sides."""
        for name in names:
            told, known = getattr(self, name), getattr(own, name)
            if told != known:
                raise ValueError(
                    f"it was trained with {name} {told!r}, but network '{own.network}' has {known!r}; train it again"
                )


C = TypeVar("C", bound=Card)
"""A card of one kind."""


def expect(name: str, right: object, wanted: str, got: object) -> None:
    """Raise ValueError unless the card's field `name` is `right`."""
    if not right:
        raise ValueError(f"the model card's {name} must be {wanted}, got {got!r}")


def all_of(name: str, values: Any, kinds: type | tuple[type, ...]) -> tuple[Any, ...]:
    """The list in the card's field `name`, each of one of `kinds`. Raises ValueError for anything else."""
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    right = isinstance(values, (list, tuple)) and all(type(value) in kinds for value in values)
    expect(name, right, f"a list of {' or '.join(kind.__name__ for kind in kinds)}", values)
    return tuple(values)


def positive(name: str, values: Any, counts: tuple[int, ...]) -> tuple[float, ...]:
    """The positive numbers in the card's field `name`, as many as one of `counts`. Raises ValueError for anything else."""
    numbers = tuple(float(number) for number in all_of(name, values, (int, float)))
    expect(name, all(0.0 < number < math.inf for number in numbers), "positive numbers", numbers)
    known = " or ".join(map(str, counts))
    expect(name, len(numbers) in counts, f"{known} numbers", f"{len(numbers)} of them")
    return numbers


def _same(name: str, got: object, known: object) -> None:
    if got != known or type(got) is not type(known):
        raise ValueError(
            f"the model was made for {name} {got!r}, this version runs {known!r}: export it again"
        )


def _named(name: str, values: Any, kinds: tuple[type, ...]) -> dict[str, Any]:
    right = isinstance(values, Mapping) and all(
        type(key) is str and type(value) in kinds and not (type(value) is float and not math.isfinite(value))
        for key, value in values.items()
    )
    expect(
        name, right, f"names with values of {' or '.join(kind.__name__ for kind in kinds)}, finite", values
    )
    return dict(values)


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")
