"""`pose doctor`: all checks, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

from pose_tools.doctor import doors, machine, ros, transport
from pose_tools.doctor.finding import FAIL, OK, SKIPPED, WARN, Check, Checks, as_dict, exit_code, run
from pose_tools.missing import has_ros

WITHOUT_ROS = "there is none here; pose live, demo, replay, record and bench need it, all else works"


def checks(*, open_cameras: bool = False, own_commands: Collection[str] = ()) -> list[Callable[[], Checks]]:
    """All checks of this machine, in the order in which one needs the other."""
    of_files: list[Callable[[], Checks]] = [machine.python, machine.numpy, machine.opencv]
    models: list[Callable[[], Checks]] = [machine.models, machine.mediapipe]
    rest: list[Callable[[], Checks]] = [machine.gpu, lambda: doors.brought(own_commands), machine.disk]
    if not has_ros():
        return [*of_files, *models, lambda: [Check("ROS 2", SKIPPED, WITHOUT_ROS)], *rest]
    of_ros: list[Callable[[], Checks]] = [
        ros.ros,
        ros.discovery,
        transport.raw_images,
        lambda: ros.cameras(open_them=open_cameras),
        lambda: ros.config(ros.installed_config()),
    ]
    return [*of_files, ros.cv_bridge, *models, *of_ros, *rest]


def report_and_exit_code(
    *, cameras: bool, graph: bool, as_json: bool, own_commands: Collection[str] = ()
) -> int:
    """Run everything, print a table on stderr and with `as_json` the findings on stdout.

    1 where something failed.
    """
    found = run(checks(open_cameras=cameras, own_commands=own_commands))
    works = all(check.level != FAIL for check in found if check.name in ("rclpy", "rmw", "pose_msgs"))
    if graph and works and has_ros():
        from pose_tools.doctor.graph import graph_checks

        found += graph_checks()
    _print(found)
    if as_json:
        print(json.dumps(as_dict(found), indent=2))
    return exit_code(found)


def _print(found: Checks) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    colours = {OK: "green", WARN: "yellow", FAIL: "bold red", SKIPPED: "dim"}
    for check in found:
        console.print(
            Text.assemble((f"{check.level:>7}", colours[check.level]), f"  {check.name}: {check.detail}")
        )
        if check.remedy:
            console.print(Text(f"{'':>9}{check.remedy}", style="cyan"), soft_wrap=True)
    counts = {level: sum(check.level == level for check in found) for level in colours}
    console.print(", ".join(f"{count} {level}" for level, count in counts.items() if count))
