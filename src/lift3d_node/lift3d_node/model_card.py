"""What a trained lifting network is and what it was made for, stored inside every file that holds one.

A network fed with keypoints in another order, or in another encoding, gives poses that look right and are wrong. So whoever
loads a file compares its card with what runs, and refuses what does not fit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from lift3d_node import encoding
from pose_core.registry import suggest
from pose_core.skeleton import SKELETONS

FORMAT = 1
"""Version of the fields below."""

UNIT = "standing height"
"""Unit of all lengths that networks give."""

Value = bool | int | float | str


@dataclass(frozen=True)
class ModelCard:
    """Raises ValueError for a card that this version cannot run, naming what it has and what is known."""

    network: str
    """Name in `lift3d_node.networks`."""
    config: Mapping[str, Value]
    """Fields of the network's `Config`."""
    skeleton_in: str
    skeleton_out: str
    outputs: tuple[str, ...]
    """Names as in `lift3d_node.network.OUTPUTS`, in the order of the file."""
    state: tuple[tuple[int, ...], ...] = ()
    """Shape of each state tensor for one person, without the batch; all are float32 and start as zeros."""
    look_ahead: int = 0
    """Frames after the current one that an output waits for."""
    std: tuple[float, ...] = ()
    """Standard deviation along one axis, in heights, of a network that gives no `log_std`: one for all joints, or one each.

    Measured on people, cameras and noise that it was not trained on."""
    temperature: tuple[float, ...] = (1.0,)
    """Factor on the standard deviations that a network gives, one for all joints or one each; fitted on held-out data."""
    training: str = ""
    """What it was trained on, in one line."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What was measured on held-out data, by name and unit (`mpjpe_mm`)."""
    encoding: int = encoding.VERSION
    unit: str = UNIT
    format: int = FORMAT

    def __post_init__(self) -> None:
        for name in ("format", "encoding", "look_ahead"):
            _expect(name, type(getattr(self, name)) is int, "a whole number", getattr(self, name))
        _same("format", self.format, FORMAT)
        _same("encoding", self.encoding, encoding.VERSION)
        for name in ("network", "skeleton_in", "skeleton_out", "training", "unit"):
            _expect(name, isinstance(getattr(self, name), str), "a string", getattr(self, name))
        _same("unit", self.unit, UNIT)
        _expect("network", self.network != "", "a name", self.network)
        _expect("look_ahead", self.look_ahead >= 0, "at least 0", self.look_ahead)
        object.__setattr__(self, "config", _named("config", self.config, (bool, int, float, str)))
        object.__setattr__(self, "metrics", _named("metrics", self.metrics, (int, float)))
        object.__setattr__(self, "outputs", _all("outputs", self.outputs, str))
        _expect(
            "outputs", {"xyz", "limbs"} & set(self.outputs), "'xyz' or 'limbs' among others", self.outputs
        )
        _expect("outputs", len(set(self.outputs)) == len(self.outputs), "names that differ", self.outputs)
        state = _all("state", self.state, (list, tuple))
        object.__setattr__(self, "state", tuple(_all("state", shape, int) for shape in state))
        for shape in self.state:
            _expect("state", all(size > 0 for size in shape), "positive sizes", shape)
        SKELETONS.get(self.skeleton_in)
        joints = len(SKELETONS.get(self.skeleton_out))
        for name, counts in (("std", (0, 1, joints)), ("temperature", (1, joints))):
            numbers = tuple(float(number) for number in _all(name, getattr(self, name), (int, float)))
            object.__setattr__(self, name, numbers)
            _expect(name, all(0.0 < number < math.inf for number in numbers), "positive numbers", numbers)
            known = " or ".join(map(str, counts))
            _expect(name, len(numbers) in counts, f"{known} numbers", f"{len(numbers)} of them")
        told = "log_std" in self.outputs or bool(self.std)
        _expect("std", told, "stated for a network without output 'log_std'", self.std)

    def to_json(self) -> str:
        """The same card always gives the same characters."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return json.dumps(values, allow_nan=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
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


def _expect(name: str, right: object, wanted: str, got: object) -> None:
    if not right:
        raise ValueError(f"the model card's {name} must be {wanted}, got {got!r}")


def _same(name: str, got: object, known: object) -> None:
    if got != known or type(got) is not type(known):
        raise ValueError(
            f"the model was made for {name} {got!r}, this version runs {known!r}: export it again"
        )


def _all(name: str, values: Any, kinds: type | tuple[type, ...]) -> tuple[Any, ...]:
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    right = isinstance(values, (list, tuple)) and all(type(value) in kinds for value in values)
    _expect(name, right, f"a list of {' or '.join(kind.__name__ for kind in kinds)}", values)
    return tuple(values)


def _named(name: str, values: Any, kinds: tuple[type, ...]) -> dict[str, Any]:
    right = isinstance(values, Mapping) and all(
        type(key) is str and type(value) in kinds and not (type(value) is float and not math.isfinite(value))
        for key, value in values.items()
    )
    _expect(
        name, right, f"names with values of {' or '.join(kind.__name__ for kind in kinds)}, finite", values
    )
    return dict(values)


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")
