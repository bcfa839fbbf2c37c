"""Doors for code of others: entry points of installed packages, by group and name.

A package that stands elsewhere joins in by naming what it brings in its own metadata:

    [project.entry-points."pose_pipeline.lifters"]
    theirs = "their_package.lifting:TheirLifter"

Nothing of it is imported before somebody asks for that name. One that cannot be imported is named and skipped wherever all of a
group are wanted, and is an error where it is asked for by name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

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
def _points(group: str) -> dict[str, list[EntryPoint]]:
    """Entry points by name, in the order of the path."""
    # Whoever asks for nothing of others need not wait for the metadata of all installed packages.
    import importlib.metadata

    points: dict[str, list[EntryPoint]] = {}
    for point in importlib.metadata.entry_points(group=group):
        points.setdefault(point.name, []).append(point)
    return points


def names(group: str) -> list[str]:
    """What installed packages bring, sorted; nothing is imported."""
    return sorted(_points(group))


@dataclass(frozen=True)
class Origin:
    """Where something brought comes from."""

    package: str
    version: str
    place: str
    """Module and attribute, as the entry point states them."""

    def __str__(self) -> str:
        return f"{self.package} {self.version}".strip()


def origin(group: str, name: str) -> Origin:
    """Whose `name` is; nothing is imported. Raises ValueError where nobody brings it."""
    return _origin(_point(group, name))


def rivals(group: str, name: str) -> list[Origin]:
    """Other packages that bring the same name, and whose therefore does not count."""
    points = _points(group).get(name, [])
    # The same package may be found twice, in a source folder and where it is installed.
    return [_origin(point) for point in points[1:] if _owner(point) != _owner(points[0])]


def load(group: str, name: str) -> Any:
    """What stands behind `name`, imported now. Raises ValueError where nobody brings it, and where it cannot be imported."""
    point = _point(group, name)
    try:
        return point.load()
    except Exception as error:
        raise ValueError(
            f"'{name}' of package {_owner(point)} cannot be used ({type(error).__name__}: {error}); "
            "mend or uninstall that package"
        ) from error


def load_fitting(group: str, name: str, fits: Callable[[Any], bool], expected: str) -> Any:
    """As `load`; also raises ValueError for what does not fit, which is not what was `expected`, in words."""
    found = load(group, name)
    if not fits(found):
        point = _point(group, name)
        raise ValueError(
            f"'{name}' of package {_owner(point)} must be {expected}, but {point.value} is {_words(found)}; "
            "mend or uninstall that package"
        )
    return found


def forget() -> None:
    """Look at the installed packages anew when next asked: they have changed while this process ran."""
    _points.cache_clear()


def _point(group: str, name: str) -> EntryPoint:
    points = _points(group).get(name)
    if not points:
        raise ValueError(f"no installed package brings '{name}' to {group}")
    return points[0]  # the first on the path counts, as for imports


def _origin(point: EntryPoint) -> Origin:
    return Origin(_owner(point), point.dist.version if point.dist else "", point.value)


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value.partition(":")[0].partition(".")[0]


def _words(found: object) -> str:
    if isinstance(found, type):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        return f"a class that lacks {missing}" if missing else f"class {found.__name__}"
    return f"of type {type(found).__name__}"
