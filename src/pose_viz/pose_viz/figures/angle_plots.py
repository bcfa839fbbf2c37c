"""Figures of joint angles over time: one per group of angles, and one sheet of all.

Angles are drawn in degrees over seconds, with one standard deviation as a band. Where an angle is not to be trusted
(`pose_core.angles.AngleFlag`) the ground behind it says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pose_core.angles import AngleFlag, AngleSequence
from pose_core.skeleton import side
from pose_viz.figures.angle_curves import (
    MERGED,
    SIDES,
    Grouping,
    Summary,
    flagged,
    grouping_of,
    limits_deg,
    seconds_of,
    shown,
    stretches,
    summary_of,
    title_of,
)
from pose_viz.palette import Colour, side_colour

DPI = 150
LABEL = 0.46
"""Inches from a panel's left edge to the name of its angles."""
GROUP_WIDTH = 7.2
"""Inches of a group's figure; as wide as the text of a page."""
PANEL_HEIGHT, PANEL_GAP = 1.45, 0.32
"""Inches of a panel, and between two, where the title of the lower one is."""
HEAD, FOOT, LEFT, RIGHT = 0.88, 0.52, 0.66, 0.16
"""Inches about the panels: for the figure's title and key, the time, the angle, and half a number."""
KEY_BELOW, EDGE = 0.34, 0.1
"""Inches from the top of the page to the key, and from its left edge to title and key."""
SHEET_SIZE = (8.27, 11.69)
"""Inches of the sheet: A4, upright."""
COLUMNS = 3
"""Panels beside one another on the sheet: flexion, abduction and rotation."""
COLUMN_GAP = 0.42
"""Inches between them, for the numbers of the right one."""
PIECES = 2000
"""Most parts of a curve; of the frames in each, the lowest and the highest are drawn. More than a page has dots across."""

INK, GREY = "0.15", "0.45"
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.edgecolor": "0.55",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.91",
    "grid.linewidth": 0.7,
    "xtick.color": "0.35",
    "ytick.color": "0.35",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "hatch.linewidth": 0.6,
}

REASONS: dict[AngleFlag, tuple[str, dict[str, Any]]] = {
    AngleFlag.JOINT_MISSING: ("joint missing", {"facecolor": "0.87", "edgecolor": "none"}),
    AngleFlag.UNOBSERVABLE: (
        "not observable",
        {"facecolor": "0.97", "edgecolor": "0.62", "hatch": "////", "linewidth": 0.0},
    ),
    AngleFlag.NEAR_GIMBAL_LOCK: (
        "near gimbal lock",
        {"facecolor": "0.97", "edgecolor": "0.55", "hatch": "....", "linewidth": 0.0},
    ),
}
"""Why an angle is not to be trusted: what it is called, and the ground behind it. Tells apart without colours."""


def group_figure(
    angles: AngleSequence,
    group: str,
    grouping: Grouping | None = None,
    *,
    title: str = "",
    start: int | None = None,
) -> Figure:
    """The angles of one group below one another.

    `title`: behind the group's name, such as the person's; `start`: stamp of second 0, by default the first. Raises
    ValueError for a group or an angle that is not there.
    """
    rows = _group(angles, group, grouping)
    with matplotlib.rc_context(STYLE):
        height = HEAD + (PANEL_HEIGHT + PANEL_GAP) * max(len(rows), 1) - PANEL_GAP + FOOT
        figure = _figure((GROUP_WIDTH, height), title_of(group) + (f", {title}" if title else ""))
        if not _has_frames(figure, angles):
            return figure
        seconds = seconds_of(angles, start)
        panels = _panels(figure, len(rows), 1)[:, 0]
        colour = side_colour(side(group), paper=True)
        for axes, (name, label) in zip(panels, rows, strict=True):
            _mark(axes, angles, name, seconds)
            _draw(axes, angles, name, seconds, colour)
            _limit(axes, angles, [name], 5)
            axes.set_title(label.capitalize(), loc="left", y=1.0, fontweight="bold", color=INK)
            axes.set_title(_said(summary_of(angles, name)), loc="right", y=1.0, color=GREY, fontsize=8.5)
            axes.set_ylabel("degrees")
        _time(panels[-1], seconds)
        panels[-1].set_xlabel("time (s)")
        names = [name for name, _ in rows]
        _key(figure, [("angle", colour)], _reasons(angles, names), _has_std(angles, names))
    return figure


def overview_figure(
    angles: AngleSequence,
    grouping: Grouping | None = None,
    *,
    title: str = "Joint angles",
    start: int | None = None,
) -> Figure:
    """All groups on one sheet, both sides of a joint in the same panels."""
    groups = grouping_of(angles.names) if grouping is None else grouping
    rows = _sheet(groups)
    with matplotlib.rc_context(STYLE):
        figure = _figure(SHEET_SIZE, title)
        if not rows or not _has_frames(figure, angles):
            return figure
        seconds = seconds_of(angles, start)
        grid = _panels(figure, len(rows), COLUMNS)
        for line, (heading, cells) in zip(grid, rows, strict=True):
            for axes, cell in zip(line, cells, strict=True):
                if cell is None:
                    axes.axis("off")
                    continue
                label, by_side = cell
                for which, name in by_side.items():
                    _draw(axes, angles, name, seconds, side_colour(which, paper=True), thin=True)
                _limit(axes, angles, list(by_side.values()), 3)
                _rug(axes, angles, by_side, seconds)
                axes.set_title(label.capitalize(), loc="left", y=1.0, color=INK)
                axes.tick_params(labelbottom=False)
                _time(axes, seconds)
            line[0].set_ylabel(heading, fontweight="bold", fontsize=9.5, color=INK)
        for column in range(COLUMNS):
            for lowest in [axes for axes in grid[:, column] if axes.axison][-1:]:
                lowest.tick_params(labelbottom=True)
                lowest.set_xlabel("time (s)")
        sides = {side(group) for group in groups}
        lines = [(name, side_colour(name, paper=True)) for name in (*SIDES, "centre") if name in sides]
        every = [name for names in groups.values() for name, _ in names]
        _key(figure, lines, [], _has_std(angles, every), rug=bool(_reasons(angles, every)))
    return figure


def _group(angles: AngleSequence, group: str, grouping: Grouping | None) -> list[tuple[str, str]]:
    groups = grouping_of(angles.names) if grouping is None else grouping
    if group not in groups:
        raise ValueError(f"no group of angles is called '{group}'; there are {', '.join(groups)}")
    for name, _ in groups[group]:
        angles.of(name)
    return list(groups[group])


Cell = tuple[str, dict[str, str]]
"""Of the sheet: what is drawn, and the angle of each side."""


def _sheet(groups: Grouping) -> list[tuple[str, list[Cell | None]]]:
    """Rows of the sheet: a heading and its panels; right and left of a joint share them."""
    joints: dict[str, dict[str, dict[str, str]]] = {}
    for group, angles in groups.items():
        first, _, rest = group.partition("_")
        panels = joints.setdefault(rest if first in SIDES else group, {})
        for name, label in angles:
            panels.setdefault(label, {})[side(group)] = name
    rows: list[tuple[str, list[Cell | None]]] = []
    for joint, panels in joints.items():
        cells: list[Cell | None] = list(panels.items())
        for begin in range(0, len(cells), COLUMNS):
            part = cells[begin : begin + COLUMNS]
            rows.append((f"{title_of(joint)} (°)", [*part, *[None] * (COLUMNS - len(part))]))
    return rows


def _figure(size: tuple[float, float], title: str) -> Figure:
    width, height = size
    figure = Figure(figsize=size, dpi=DPI)
    FigureCanvasAgg(figure)
    # Names from files are no formulas.
    look: Any = {"fontsize": 13, "fontweight": "bold", "color": INK, "parse_math": False}
    figure.text(EDGE / width, 1.0 - EDGE / height, title, ha="left", va="top", **look)
    return figure


def _panels(figure: Figure, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) axes below and beside one another, over one time."""
    width, height = figure.get_size_inches().tolist()
    panel_width = (width - LEFT - RIGHT - COLUMN_GAP * (columns - 1)) / columns
    panel_height = (height - HEAD - FOOT - PANEL_GAP * (rows - 1)) / rows
    panels: np.ndarray = figure.subplots(
        rows,
        columns,
        sharex=True,
        squeeze=False,
        gridspec_kw={
            "left": LEFT / width,
            "right": 1.0 - RIGHT / width,
            "bottom": FOOT / height,
            "top": 1.0 - HEAD / height,
            "wspace": COLUMN_GAP / panel_width,
            "hspace": PANEL_GAP / panel_height,
        },
    )
    # Placed by hand: matplotlib otherwise measures all ticks of all panels for it, several times.
    for axes in panels[:, 0]:
        axes.yaxis.set_label_coords(-LABEL / panel_width, 0.5)
    return panels


def _has_frames(figure: Figure, angles: AngleSequence) -> bool:
    """Whether there is something to draw; says so on the figure where there is not."""
    if len(angles) and np.isfinite(angles.angle).any():
        return True
    sentence = f"no angle is known in {len(angles)} frames" if len(angles) else "the recording has no frames"
    figure.text(0.5, 0.5, sentence, ha="center", fontsize=12, color=GREY)
    return False


def _draw(
    axes: Axes, angles: AngleSequence, name: str, seconds: np.ndarray, colour: Colour, *, thin: bool = False
) -> None:
    """The curve, its band, and a dot for each frame that has no neighbour to be joined to."""
    seconds, degrees, std = shown(angles, name, seconds, PIECES)
    axes.fill_between(seconds, degrees - std, degrees + std, color=colour, alpha=0.2, lw=0, zorder=2)
    axes.plot(seconds, degrees, color=colour, lw=1.1 if thin else 1.5, zorder=3)
    there = np.isfinite(degrees)
    padded = np.concatenate([[False], there, [False]])
    alone = there & ~padded[:-2] & ~padded[2:]
    axes.plot(seconds[alone], degrees[alone], "o", color=colour, ms=2.5, zorder=3)


def _mark(axes: Axes, angles: AngleSequence, name: str, seconds: np.ndarray) -> None:
    """The ground behind the frames in which the angle is not to be trusted."""
    merged = MERGED * float(seconds[-1] - seconds[0])
    for reason, (_, look) in REASONS.items():
        runs = stretches(flagged(angles, name, reason), seconds, merged)
        axes.broken_barh(runs, (0.0, 1.0), transform=axes.get_xaxis_transform(), zorder=0.5, **look)


def _rug(axes: Axes, angles: AngleSequence, by_side: Mapping[str, str], seconds: np.ndarray) -> None:
    """A strip along the bottom per side, where its angle is not to be trusted."""
    merged = MERGED * float(seconds[-1] - seconds[0])
    for row, (which, name) in enumerate(by_side.items()):
        any_reason = np.any([flagged(angles, name, reason) for reason in REASONS], axis=0)
        axes.broken_barh(
            stretches(any_reason, seconds, merged),
            (0.05 * row, 0.045),
            transform=axes.get_xaxis_transform(),
            facecolor=side_colour(which, paper=True),
            edgecolor="none",
            alpha=0.55,
            zorder=1,
        )


def _limit(axes: Axes, angles: AngleSequence, names: list[str], ticks: int) -> None:
    """The panel's height, and a line at zero where it is in sight."""
    axes.set_ylim(*limits_deg(angles, names))
    if np.isfinite(angles.angle[:, [angles.names.index(name) for name in names]]).any():
        axes.yaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 3, 5, 10]))
        axes.axhline(0.0, color="0.55", lw=0.8, zorder=1)
    else:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "not known", transform=axes.transAxes, ha="center", va="center", color=GREY)


def _time(axes: Axes, seconds: np.ndarray) -> None:
    """Both ends of the recording; minutes where it is long."""
    axes.set_xlim(float(seconds[0]), max(float(seconds[-1]), float(seconds[0]) + 1e-3))
    if seconds[-1] - seconds[0] > 600.0:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at // 60:.0f}:{at % 60:02.0f}"))


def _said(summary: Summary) -> str:
    if not summary.valid:
        return "never valid"
    said = f"{_whole(summary.low_deg)}° to {_whole(summary.high_deg)}°"
    if np.isfinite(summary.std_deg):
        said += f", ± {summary.std_deg:.1f}°"
    return said + (f", valid {100.0 * summary.valid:.0f} %" if summary.valid < 0.9995 else "")


def _whole(degrees: float) -> str:
    return f"{round(degrees) + 0:d}".replace("-", "\N{MINUS SIGN}")


def _has_std(angles: AngleSequence, names: Sequence[str]) -> bool:
    return bool(np.isfinite(angles.std[:, [angles.names.index(name) for name in names]]).any())


def _reasons(angles: AngleSequence, names: Sequence[str]) -> list[AngleFlag]:
    """The reasons that occur at all."""
    return [reason for reason in REASONS if any(flagged(angles, name, reason).any() for name in names)]


def _key(
    figure: Figure,
    lines: list[tuple[str, Colour]],
    reasons: list[AngleFlag],
    has_std: bool,
    *,
    rug: bool = False,
) -> None:
    """What lines, bands and grounds mean, below the title."""
    shown: list[tuple[Any, str]] = [(Line2D([], [], color=colour, lw=1.8), name) for name, colour in lines]
    if has_std:
        shown.append((Patch(facecolor=lines[0][1], alpha=0.25), "± 1 standard deviation"))
    for reason in reasons:
        name, look = REASONS[reason]
        shown.append((Patch(**look), name))
    if rug:
        shown.append((Patch(facecolor="0.45", alpha=0.55), "strip at the foot: not to be trusted"))
    width, height = figure.get_size_inches().tolist()
    figure.legend(
        [handle for handle, _ in shown],
        [name for _, name in shown],
        loc="upper left",
        bbox_to_anchor=(EDGE / width, 1.0 - KEY_BELOW / height),
        ncols=len(shown),
        handlelength=1.6,
        columnspacing=1.3,
        borderpad=0.0,
        borderaxespad=0.0,
    )
