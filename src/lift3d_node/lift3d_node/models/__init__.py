"""All lifters: importing this package loads every file in it, so that a dropped-in file is registered.

Trained networks whose weights ship, as `weights/<name>.onnx`, are lifters of that name. Installed packages may bring others
(`pose_core.doors`), which are imported when they are asked for by name; of one name, ours counts.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from lift3d_node.learned.backends import open_session
from lift3d_node.learned.network_lifter import NetworkLifter
from lift3d_node.lifter import LIFTERS, Lifter
from lift3d_node.params import Lift3DParams
from pose_core import doors
from pose_core.registry import suggest
from pose_core.skeleton import SKELETONS

__all__ = ["LIFTERS", "make", "names"]

WEIGHTS = Path(__file__).parent.parent / "weights"

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def names() -> list[str]:
    """All lifters that `Lift3DParams.lifter` may name; nothing that packages bring is imported."""
    return sorted({*own(), *LIFTERS.names()})


def own() -> list[str]:
    """Those of this package, which win over what others bring under the same name."""
    return sorted({*LIFTERS.own(), *(file.stem for file in WEIGHTS.glob("*.onnx"))})


def make(params: Lift3DParams) -> Lifter:
    """The lifter that `lifter`, `model`, `backend`, `device` and `compile` ask for.

    Raises ValueError for an unknown name (with the known ones), a file that cannot be used, or parameters that contradict
    each other.
    """
    if params.model:
        return _network(params, Path(params.model).expanduser())
    expect_known(params.lifter)
    weights = WEIGHTS / f"{params.lifter}.onnx"
    if params.lifter in LIFTERS.own() or not weights.is_file():
        kind = LIFTERS.get(params.lifter)
        _check_plain(params, kind)
        lifter = kind(params)
        if params.lifter not in LIFTERS.own():
            _expect_skeletons(lifter, params.lifter)
    else:
        if params.backend == "torch":
            raise ValueError(
                f"backend torch needs a checkpoint: set model to the .pt file of '{params.lifter}', or backend to auto"
            )
        lifter = _network(params, weights)
    lifter.name = params.lifter
    return lifter


def expect_known(lifter: str) -> None:
    """Raise ValueError for a name that is not among `names`."""
    if lifter in own() or lifter in LIFTERS:
        return
    raise ValueError(
        f"unknown lifter '{lifter}'; {suggest(lifter, names())}; a network whose weights do not ship has to be trained first "
        f"(pose train lifter --model {lifter}) and runs by its file: set model to that"
    )


def _expect_skeletons(lifter: Lifter, name: str) -> None:
    """Raise ValueError where a lifter that a package brings takes or gives joints that nobody knows."""
    for which in ("skeleton_in", "skeleton_out"):
        stated = getattr(lifter, which, "")
        if stated not in SKELETONS:
            raise ValueError(
                f"lifter '{name}' of package {doors.origin(doors.LIFTERS, name).package} must state a known {which}, "
                f"got '{stated}'; {suggest(stated, SKELETONS.names())}"
            )


def _network(params: Lift3DParams, path: Path) -> Lifter:
    session = open_session(path, params.backend, params.device, params.compile)
    network = session.card.network
    if params.model and params.lifter not in (network, Lift3DParams.lifter):
        raise ValueError(
            f"lifter is '{params.lifter}', but model '{params.model}' holds network '{network}'; state one of the two"
        )
    lifter = NetworkLifter(params, session)
    lifter.file = path
    lifter.name = network
    return lifter


def _check_plain(params: Lift3DParams, kind: type[Lifter]) -> None:
    """A lifter without a network computes with NumPy, whatever is asked for; so nothing else may be asked for."""
    for name, allowed in (("backend", ("auto",)), ("device", ("auto", "cpu")), ("compile", (False,))):
        value = getattr(params, name)
        if value not in allowed and not (name == "device" and kind.takes_device):
            raise ValueError(
                f"{name} {value} needs a network, and lifter '{params.lifter}' is none; set {name} to {allowed[0]}"
            )
