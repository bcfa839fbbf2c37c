"""The figures of joint angles that `pose process` leaves.

Matplotlib is imported by the workers that draw: it takes most of a second, which the rest need not wait for.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from pose_biomechanics.isb import GROUPS, NAMES, angles_of_group
from pose_core.angles import AngleSequence
from pose_tools.process.workers import Workers, tick

OVERVIEW = "overview.png"


def draw_angles(
    workers: Workers, folder: Path, angles: AngleSequence, origin: int, title: str
) -> list[Future[Any]]:
    """Let workers draw a figure of each group and one of all, time 0 at `origin` (ns), into a folder that is there."""
    return [
        *(
            workers.submit(
                _draw_group, folder / f"{group}.png", _of_group(angles, group), group, origin, title
            )
            for group in GROUPS
        ),
        workers.submit(_draw_all, folder / OVERVIEW, angles, origin, title),
    ]


def _of_group(angles: AngleSequence, group: str) -> AngleSequence:
    """The angles of one group, which is all that its worker needs."""
    columns = [angles.names.index(NAMES[row]) for row in angles_of_group(group)]
    return replace(
        angles,
        names=tuple(angles.names[column] for column in columns),
        angle=angles.angle[:, columns],
        std=angles.std[:, columns],
        flags=angles.flags[:, columns],
    )


def _draw_group(path: Path, angles: AngleSequence, group: str, origin: int, title: str) -> None:
    from pose_viz.figures import plots
    from pose_viz.figures.angle_plots import group_figure

    tick(0)
    plots.save(group_figure(angles, group, title=title, start=origin), path)


def _draw_all(path: Path, angles: AngleSequence, origin: int, title: str) -> None:
    from pose_viz.figures import plots
    from pose_viz.figures.angle_plots import overview_figure

    tick(0)
    plots.save(overview_figure(angles, title=f"Joint angles, {title}", start=origin), path)
