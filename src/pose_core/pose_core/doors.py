"""Doors for code of others: entry points of installed packages, by group and name.

A package that stands elsewhere joins in by naming what it brings in its own metadata:

    [project.entry-points."pose_pipeline.lifters"]
    theirs = "their_package.lifting:TheirLifter"

Nothing of it is imported before somebody asks for that name. One that cannot be imported is named and skipped wherever all of a
group are wanted, and is an error where it is asked for by name.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterator
from typing import Any

DETECTORS, LIFTERS, REFINERS, EXPORTERS, COMMANDS, BACKENDS = GROUPS = (
    "pose_pipeline.detectors",
    "pose_pipeline.lifters",
    "pose_pipeline.refiners",
    "pose_pipeline.exporters",
    "pose_pipeline.commands",
    "pose_pipeline.backends",
)
"""What may be brought; docs/extending.md says what each must be."""


@functools.cache
def _points(group: str) -> dict[str, importlib.metadata.EntryPoint]:
    # The same package may be found twice, in a source folder and where it is installed; the first on the path counts, as for
    # imports.
    points: dict[str, importlib.metadata.EntryPoint] = {}
    for point in importlib.metadata.entry_points(group=group):
        points.setdefault(point.name, point)
    return points


def names(group: str) -> list[str]:
    """What installed packages bring, sorted; nothing is imported."""
    return sorted(_points(group))


def load(group: str, name: str) -> Any:
    """What stands behind `name`, imported now. Raises ValueError where nobody brings it, and where it cannot be imported."""
    point = _points(group).get(name)
    if point is None:
        raise ValueError(f"no installed package brings '{name}' to {group}")
    try:
        return point.load()
    except Exception as error:
        owner = point.dist.name if point.dist else point.value
        raise ValueError(
            f"'{name}' of package {owner} cannot be used ({type(error).__name__}: {error}); mend or uninstall that package"
        ) from error


def load_all(group: str) -> Iterator[tuple[str, Any | ValueError]]:
    """Each name with what stands behind it, or with the error that says why it is skipped."""
    for name in names(group):
        try:
            yield name, load(group, name)
        except ValueError as error:
            yield name, error
