"""Where each parameter stands: one table of dataclasses, and the full names `stage.name` in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from lift3d_node.params import Lift3DParams
from pose2d_node.params import Pose2DParams
from pose_core.config import Parameter, parameters_of
from pose_tools.parameters.own import ProcessParams, RecordParams, VideoParams
from pose_viz.params import VizParams
from refine_node.params import RefineParams

STAGES: Mapping[str, type] = {
    "pose2d": Pose2DParams,
    "lift3d": Lift3DParams,
    "refine": RefineParams,
    "viz": VizParams,
}
"""Parameter dataclass of each stage by the name of its node, in processing order."""

OWNERS: Mapping[str, type] = {
    **STAGES,
    "process": ProcessParams,
    "video": VideoParams,
    "record": RecordParams,
}
"""Of all that has parameters: the stages, and what commands have of their own."""


def full_names(owners: Iterable[str] = OWNERS) -> list[str]:
    """`stage.name` of every parameter of `owners`."""
    return [f"{owner}.{name}" for owner in owners for name in parameters_of(OWNERS[owner])]


def split(full: str) -> tuple[str, str]:
    """Owner and name of a full name."""
    owner, _, name = full.partition(".")
    return owner, name


def parameter(full: str) -> Parameter:
    """The parameter `stage.name`. Raises ValueError naming the nearest known one."""
    owner, name = split(full)
    if owner not in OWNERS or name not in parameters_of(OWNERS[owner]):
        raise ValueError(
            f"unknown parameter '{full}'; did you mean '{_nearest(full)}'? `pose parameters` lists all"
        )
    return parameters_of(OWNERS[owner])[name]


def _nearest(full: str) -> str:
    """One of the same name in another stage, else one that is written alike."""
    owner, name = split(full)
    known = full_names()
    alike = [other for other in known if split(other)[1] == name]
    mine = [] if alike or owner not in OWNERS else full_names([owner])
    return difflib.get_close_matches(full, alike or mine or known, n=1, cutoff=0.0)[0]
