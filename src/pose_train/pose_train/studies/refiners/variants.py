"""The ways to run refiners."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pose_core.networks import onnx_file
from refine_node.model_card import RefinerCard
from refine_node.network_refiner import WEIGHTS, NetworkRefiner
from refine_node.params import RefineParams
from refine_node.refiners import REFINERS
from refine_node.refiners.kalman import Kalman

LOOK_AHEADS = (0, 2, 4, 8)
ORDER = ("raw", "one_euro", "savitzky_golay", "kalman", "smoothnet", "hpstm")
"""Of the tables; what is not named here follows."""
ABLATED = ("hpstm_transformer", "hpstm_fk")


@dataclass(frozen=True)
class Variant:
    """One way to run a refiner."""

    label: str
    """What the tables call it."""
    refiner: str
    """Name in `refine_node.refiners`."""
    look_ahead: int | None = 0
    """Frames; None is offline."""
    bones: bool = True
    """Whether bones are held at their lengths."""
    file: Path | None = None
    """Of a network that does not ship."""

    def params(self) -> RefineParams:
        """For the stage."""
        return RefineParams(
            refiner=self.refiner,
            look_ahead=self.look_ahead or 0,
            bone_lengths=self.bones,
            model=str(self.file or ""),
        )


def variants(files: Iterable[Path]) -> tuple[list[Variant], list[str]]:
    """All ways to run all refiners that there are, those of `files` (.onnx) among them; and the names of those without weights.

    A file takes the place of the weights that ship under its name. Raises ValueError for a file that holds no refiner, and for
    two of one name.
    """
    given: dict[str, Path] = {}
    for file in files:
        if file.suffix != ".onnx":
            raise ValueError(
                f"a refiner's file ends in .onnx, got '{file}'; export it with pose export-model"
            )
        if file.stem in given:
            raise ValueError(
                f"{given[file.stem]} and {file} have one name; rename one, the table tells refiners by it"
            )
        given[file.stem] = file
    names = {*(name for name, _ in REFINERS.usable()), *given, *ABLATED}
    found: list[Variant] = []
    absent: list[str] = []
    for name in sorted(names, key=lambda one: (ORDER.index(one) if one in ORDER else len(ORDER), one)):
        if name in given:
            file = given[name]
            card, _ = onnx_file.read(file, RefinerCard)
            found += _ways(Variant(name, card.network, file=file), card.look_aheads)
        elif name not in REFINERS:
            absent.append(name)
        elif issubclass(kind := REFINERS.get(name), NetworkRefiner):
            if (WEIGHTS / f"{name}.onnx").is_file():
                found += _ways(Variant(name, name), kind.session(RefineParams(refiner=name)).card.look_aheads)
            else:
                absent.append(name)
        else:
            found += _ways(Variant(name, name), LOOK_AHEADS if kind.looks_ahead else (0,))
    return found, absent


def _ways(variant: Variant, look_aheads: Sequence[int]) -> list[Variant]:
    """With each look-ahead and offline; without one also with bones as they come."""
    ways = [replace(variant, look_ahead=frames) for frames in look_aheads if frames in LOOK_AHEADS]
    ways += [replace(way, bones=False) for way in ways if way.look_ahead == 0]
    if variant.label in ABLATED:
        return [way for way in ways if way.look_ahead == 0]
    kind = REFINERS.get(variant.refiner)
    if issubclass(kind, (Kalman, NetworkRefiner)):
        ways.append(replace(variant, look_ahead=None))
    return ways


def wanted(scene: str, variant: Variant) -> bool:
    """Whether a table shows it."""
    if variant.label in ABLATED:
        return scene == "lifted"
    return scene != "clean" or variant.look_ahead == 0


def words(way: Variant) -> str:
    """The variant in words, for people."""
    ahead = "offline" if way.look_ahead is None else f"look-ahead {way.look_ahead}"
    return f"{way.label}, {ahead}{'' if way.bones else ', bones free'}"
