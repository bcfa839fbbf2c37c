"""What other packages bring to the pipeline (`pose_core.doors`): which package brings what, and whether it can be used."""

from __future__ import annotations

from collections.abc import Collection

from pose_core import doors
from pose_tools.doctor.finding import OK, WARN, Check, Checks, probe

KINDS = {
    doors.DETECTORS: "detector",
    doors.LIFTERS: "lifter",
    doors.REFINERS: "refiner",
    doors.EXPORTERS: "format",
    doors.COMMANDS: "command",
    doors.BACKENDS: "backend",
}
"""What users call something of each group."""

_TRY = "import sys; from pose_tools.doctor.doors import try_out; try_out(*sys.argv[1:])"


def brought(own_commands: Collection[str] = ()) -> Checks:
    """A finding for everything that is brought; `own_commands` are those of `pose` itself.

    Each is imported in a process of its own, but for backends, which are large.
    """
    return [
        found
        for group in doors.GROUPS
        for name in doors.names(group)
        for found in _look(group, name, own_commands)
    ]


def try_out(group: str, name: str) -> None:
    """Import it as whoever asks for it does. Raises ValueError where it cannot be used."""
    if group == doors.COMMANDS:
        from pose_tools.commands import load

        load(name)
    elif group == doors.DETECTORS:
        from pose2d_node.detector import DETECTORS

        DETECTORS.load(name)
    elif group == doors.LIFTERS:
        from lift3d_node.lifter import LIFTERS

        LIFTERS.load(name)
    elif group == doors.REFINERS:
        from refine_node.refiner import REFINERS

        REFINERS.load(name)
    else:
        from pose_tools.files.formats import EXPORTERS

        EXPORTERS.load(name)


def own(group: str) -> list[str]:
    """Names of a group that are ours, which win over those that packages bring; of commands, the command line knows them."""
    if group == doors.DETECTORS:
        from pose2d_node.detector import DETECTORS

        return DETECTORS.own()
    if group == doors.LIFTERS:
        from lift3d_node import models

        return models.own()
    if group == doors.REFINERS:
        from refine_node.refiners import REFINERS

        return REFINERS.own()
    if group == doors.EXPORTERS:
        from pose_tools.files.formats import EXPORTERS

        return EXPORTERS.own()
    return []


def _look(group: str, name: str, own_commands: Collection[str]) -> Checks:
    origin = doors.origin(group, name)
    what, away = f"{KINDS[group]} {name}", f"pip uninstall {origin.package}"
    ours = own_commands if group == doors.COMMANDS else own(group)
    found = [_state(group, name, what, away, ours)]
    for other in doors.rivals(group, name):
        detail = (
            f"of package {other} is not used: package {origin.package} brings that name, and is found first"
        )
        found.append(
            Check(what, WARN, detail, f"uninstall one of them: pip uninstall {other.package}, or {away}")
        )
    return found


def _state(group: str, name: str, what: str, away: str, ours: Collection[str]) -> Check:
    origin = doors.origin(group, name)
    if name in ours:
        detail = f"of package {origin} is not used: ours has that name"
        return Check(what, WARN, detail, f"ask its authors for another name, or: {away}")
    if group == doors.BACKENDS:
        return Check(what, OK, f"of package {origin} (not opened)")
    tried = probe(_TRY, group, name)
    if not tried.code:
        return Check(what, OK, f"of package {origin}")
    why = tried.err.removeprefix("ValueError: ")
    return Check(what, WARN, why, f"pip install --upgrade {origin.package}, or: {away}")
