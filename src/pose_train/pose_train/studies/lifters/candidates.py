"""Which lifters are measured: files of trained networks, by their names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lift3d_node import models
from lift3d_node.learned import backends
from lift3d_node.learned.model_card import ModelCard
from pose_core.networks import onnx_file
from pose_train.lifter.family import FAMILY
from pose_train.trunk import checkpoint


@dataclass(frozen=True)
class Candidate:
    """A trained network: its checkpoint, its exported file, or both. Raises ValueError without any."""

    name: str
    checkpoint: Path | None = None
    onnx: Path | None = None

    def __post_init__(self) -> None:
        if self.checkpoint is None and self.onnx is None:
            raise ValueError(f"lifter '{self.name}' has no file; name a .pt or .onnx file")

    @property
    def files(self) -> list[Path]:
        """Those that there are."""
        return [file for file in (self.checkpoint, self.onnx) if file is not None]

    @cached_property
    def card(self) -> ModelCard:
        """What the network is. Raises ValueError for files that cannot be used, or that hold different networks."""
        cards = []
        if self.onnx is not None:
            cards.append(onnx_file.read(self.onnx, ModelCard)[0])
        if self.checkpoint is not None:
            cards.append(checkpoint.read_of(FAMILY, self.checkpoint).card)
        for name in ("network", "config", "skeleton_in", "skeleton_out", "state"):
            if len({json.dumps(getattr(card, name)) for card in cards}) > 1:
                raise ValueError(
                    f"{self.files[0]} and {self.files[1]} differ in {name}; export the checkpoint again, or name one of them"
                )
        return cards[0]


def candidates(files: Iterable[Path]) -> list[Candidate]:
    """Networks of .onnx and .pt files, those of one name (without the ending) together; in the order given.

    Raises ValueError for other files, and for two of one name and kind.
    """
    found: dict[str, dict[str, Path]] = {}
    for file in files:
        if file.suffix not in backends.SUFFIXES:
            raise ValueError(f"a lifter's file ends in {' or '.join(backends.SUFFIXES)}, got '{file}'")
        if not file.is_file():
            raise ValueError(f"there is no file {file}; train the lifter, or name another")
        kinds = found.setdefault(file.stem, {})
        if file.suffix in kinds:
            raise ValueError(
                f"{kinds[file.suffix]} and {file} have one name; rename one, the table tells lifters by it"
            )
        kinds[file.suffix] = file
    return [Candidate(name, kinds.get(".pt"), kinds.get(".onnx")) for name, kinds in found.items()]


def shipped() -> list[Path]:
    """Files of the weights that come with `lift3d_node`."""
    return sorted(models.WEIGHTS.glob("*.onnx"))
