"""The report of a run as a page: what was processed, how good it is (`pose_core.measures.quality`), and the joint angles.

Positions are metres, angles radians, as everywhere; the page has millimetres,
degrees and percent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import numpy as np

from pose_core.angles import AngleFlag, AngleSequence
from pose_core.measures.quality import Change, IdChange, Quality
from pose_core.skeleton import side
from pose_core.units import MM_PER_M
from pose_viz.figures.angle_curves import (
    MERGED,
    Grouping,
    flagged,
    grouping_of,
    limits_deg,
    seconds_of,
    shown,
    stretches,
    title_of,
)
from pose_viz.pages import web_page
from pose_viz.pages.web_page import chart_text, css, numbers, text
from pose_viz.palette import person_colour, side_colour

PERCENT = 100.0
PIECES = 400
"""Most parts of a chart's curves; of the frames in each, the lowest and the highest are kept."""
GAPS_LISTED, JOINTS_LISTED = 12, 8
JOINT_MISSING_SHARE = 0.005
"""Share of frames a joint must be missing in to be listed."""
PANEL_PX, PANEL_GAP, CHART_PX = 105, 0.14, 40
"""Pixels of a panel of a chart, gap to the next as a share of it, and pixels for the time axis."""
GROUNDS = {
    AngleFlag.JOINT_MISSING: ("joint missing", "rgba(120,120,125,0.28)"),
    AngleFlag.UNOBSERVABLE: ("not observable", "rgba(240,200,60,0.30)"),
    AngleFlag.NEAR_GIMBAL_LOCK: ("near gimbal lock", "rgba(150,110,200,0.25)"),
}
"""Why an angle is not to be trusted, and the ground behind it."""


@dataclass(frozen=True)
class FileEntry:
    """A file beside the report. `path`: relative to it, with `/`."""

    path: str
    what: str
    size_bytes: int | None = None


@dataclass(frozen=True)
class PersonReport:
    """One person. `facts`: whatever else is to be said of them, such as `{"height": "1.78 m"}`."""

    person: str
    quality: Quality
    angles: AngleSequence | None = None
    grouping: Grouping | None = None
    """Groups of the angles; by default read from their names."""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> Grouping:
        """Groups in the order of the charts: right and left beside one another. Empty where no angle is known."""
        if self.angles is None or not np.isfinite(self.angles.angle).any():
            return {}
        groups = grouping_of(self.angles.names) if self.grouping is None else self.grouping
        return dict(sorted(groups.items(), key=lambda item: side(item[0]) != "centre"))


@dataclass(frozen=True)
class RunReport:
    """Everything that the page says."""

    title: str
    source: str
    """What was processed."""
    frames: int
    seconds: float
    people: tuple[PersonReport, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """How it was processed, such as `{"lifter": "streaming_tcn"}`."""
    id_changes: tuple[IdChange, ...] = ()
    overlay: str = ""
    """Path of the overlay video relative to the page; empty: there is none. `viewer` likewise."""
    viewer: str = ""
    files: tuple[FileEntry, ...] = ()
    warnings: tuple[str, ...] = ()
    """Whole sentences; the page adds `remarks_of` everybody that are not among them."""
    start: int | None = None
    """Stamp of second 0 of the angles; by default their first."""


def remarks_of(person: str, quality: Quality) -> list[str]:
    """What a reader of the figures should notice, as whole sentences."""
    remarks = []
    if quality.frames < 4:
        remarks.append(f"{person} has {quality.frames} frames: too few to measure jitter.")
    if quality.seen.before < 0.8:
        remarks.append(f"{person} is seen in only {_percent(quality.seen.before)} of the frames.")
    if quality.predicted > 0.2:
        remarks.append(f"{_percent(quality.predicted)} of the joints of {person} are predicted, not seen.")
    if quality.jitter.after > quality.jitter.before:
        remarks.append(f"Refining made the motion of {person} less smooth.")
    if quality.bone_std.after > quality.bone_std.before:
        remarks.append(f"Refining made the bones of {person} vary more.")
    return remarks


def report_page(run: RunReport) -> str:
    """The page: one file, the same for the same report. Print it, or open it without a network."""
    charts = [
        {"id": _chart_id(number, place), **angle_chart(one.angles, group, rows, run.start)}
        for number, one in enumerate(run.people)
        if one.angles is not None
        for place, (group, rows) in enumerate(one.groups.items())
    ]
    body = "\n".join(
        [
            "<main>",
            f'<header><h1>{text(run.title)}</h1><p class="note">{text(_headline(run))}</p></header>',
            _warnings(run),
            _links(run),
            _processed(run),
            _qualities(run),
            *(_person(number, one, run) for number, one in enumerate(run.people)),
            _files(run),
            "</main>",
        ]
    )
    if not charts:
        return web_page.page(run.title, body, style=STYLE)
    return web_page.page(
        run.title, body, style=STYLE, data={"charts": charts}, scripts=[DRAWING], charts=True
    )


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100.0 else f"{value:.1f}"


def _percent(share: float) -> str:
    return f"{PERCENT * share:.1f} %" if math.isfinite(share) else "-"


def _time(seconds: float) -> str:
    if seconds < 120.0:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    return (
        f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d} h"
        if whole >= 3600
        else (f"{whole // 60}:{whole % 60:02d} min")
    )


def _bytes(size: int | None) -> str:
    if size is None:
        return ""
    for unit, worth in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= worth:
            return f"{size / worth:.1f} {unit}"
    return f"{size} B"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _headline(run: RunReport) -> str:
    people = _count(len(run.people), "person", "people")
    rate = (
        f" at {(run.frames - 1) / run.seconds:.4g} per second" if run.frames > 1 and run.seconds > 0 else ""
    )
    return f"{people}, {_count(run.frames, 'frame', 'frames')} in {_time(run.seconds)}{rate}."


def _warnings(run: RunReport) -> str:
    sentences = [*run.warnings]
    if not run.people:
        sentences.append("Nobody was found.")
    for one in run.people:
        sentences += remarks_of(one.person, one.quality)
    if not sentences:
        return ""
    items = "".join(f"<li>{text(sentence)}</li>" for sentence in dict.fromkeys(sentences))
    return f'<section class="warnings"><h2>To notice</h2><ul>{items}</ul></section>'


def _link(path: str, label: str) -> str:
    # "./" keeps a name such as javascript:x a path; quoting leaves no character with a meaning in markup.
    return f'<a href="./{quote(path, errors="surrogateescape")}">{text(label)}</a>'


def _links(run: RunReport) -> str:
    links = []
    if run.overlay:
        links.append(_link(run.overlay, "Overlay video"))
    if run.viewer:
        links.append(_link(run.viewer, "3D viewer"))
    return f'<p class="links">{" · ".join(links)}</p>' if links else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """Cells are markup. `words`: how many columns hold words; the others hold figures, set to the right."""

    def line(cells: Sequence[str], tag: str) -> str:
        marked = (
            f"<{tag}>{cell}</{tag}>" if i < words else f'<{tag} class="figure">{cell}</{tag}>'
            for i, cell in enumerate(cells)
        )
        return f"<tr>{''.join(marked)}</tr>"

    top = f"<thead>{line(head, 'th')}</thead>" if head else ""
    return f'<div class="scroll"><table>{top}<tbody>{"".join(line(row, "td") for row in rows)}</tbody></table></div>'


def _facts(facts: Mapping[str, str]) -> str:
    return _table((), [(text(name), text(value)) for name, value in facts.items()], words=2)


def _processed(run: RunReport) -> str:
    rows = {"source": run.source, **run.settings}
    return f"<section><h2>What was processed</h2>{_facts(rows)}</section>"


def _qualities(run: RunReport) -> str:
    if not run.people:
        return ""
    columns = [one.quality for one in run.people]

    def change(name: str, values: Sequence[Change], show: Any) -> list[str]:
        return [name, *(f"{show(v.before)} → <b>{show(v.after)}</b>" for v in values)]

    def mm(value: float) -> str:
        return _number(value * MM_PER_M)

    rows = [
        ["in view", *(f"{_time(q.begin)} to {_time(q.begin + q.seconds)}" for q in columns)],
        change("frames with the person in that time", [q.seen for q in columns], _percent),
        change("joints missing there", [q.missing for q in columns], _percent),
        ["gaps before refining", *(str(len(q.gaps)) for q in columns)],
        change("jitter about the root (m/s³)", [q.jitter for q in columns], _number),
        change("jitter of the root (m/s³)", [q.root_jitter for q in columns], _number),
        change("variation of bone lengths (mm)", [q.bone_std for q in columns], mm),
        ["moved by refining, on average (mm)", *(mm(q.moved) for q in columns)],
        ["joints predicted", *(_percent(q.predicted) for q in columns)],
        ["joints interpolated", *(_percent(q.interpolated) for q in columns)],
        ["left and right swapped, repaired", *(_times(q.swaps) for q in columns)],
    ]
    head = ["lifted → <b>refined</b>", *(text(one.person) for one in run.people)]
    changes = [
        f"At {_time(c.seconds)} {text(c.before)} probably became {text(c.after)}, {c.metres:.2f} m away."
        for c in run.id_changes
    ]
    ids = " ".join(changes) if changes else "No id changed."
    return (
        f"<section><h2>Quality</h2>{_table(head, rows)}"
        f'<p class="note">{ids}</p>'
        '<p class="note small">Jitter is the mean third derivative of position over the joints that are there before and after; '
        "variation of bone lengths is the standard deviation over time, averaged over the bones.</p></section>"
    )


def _times(count: int) -> str:
    return "never" if count == 0 else "once" if count == 1 else f"{count} times"


def _person(number: int, one: PersonReport, run: RunReport) -> str:
    colour = css(person_colour(one.person, paper=True))
    parts = [
        f'<section><h2><span class="swatch" style="background:{colour}"></span>{text(one.person)}</h2>',
        _facts(one.facts) if one.facts else "",
        _dropouts(one),
    ]
    if one.angles is not None:
        parts.append(_angles(number, one.angles, one.groups))
    return "\n".join([*parts, "</section>"])


def _dropouts(one: PersonReport) -> str:
    quality = one.quality
    said = []
    if quality.gaps:
        longest = sorted(quality.gaps, key=lambda gap: -gap.length)[:GAPS_LISTED]
        listed = ", ".join(f"{_time(gap.begin)} ({gap.length:.2f} s)" for gap in sorted(longest))
        rest = len(quality.gaps) - len(longest)
        more = f", and {rest} shorter ones" if rest else ""
        said.append(
            f"<p>{_count(len(quality.gaps), 'gap', 'gaps')}, by begin and length: {listed}{more}.</p>"
        )
    worst = sorted(
        (joint for joint in quality.joints if max(joint.missing) > JOINT_MISSING_SHARE),
        key=lambda joint: -max(joint.missing),
    )
    if worst:
        rows = [
            [
                text(joint.joint.replace("_", " ")),
                f"{_percent(joint.missing.before)} → <b>{_percent(joint.missing.after)}</b>",
                _percent(joint.interpolated),
                _percent(joint.predicted),
            ]
            for joint in worst[:JOINTS_LISTED]
        ]
        rest = len(worst) - JOINTS_LISTED
        note = (
            f'<p class="note small">and {_count(rest, "other joint", "other joints")}</p>' if rest > 0 else ""
        )
        said.append(_table(["joint", "missing", "interpolated", "predicted"], rows) + note)
    if not said:
        said.append("<p>No gaps, and no joint is missing.</p>")
    return f"<h3>Dropouts</h3>{''.join(said)}"


def _angles(number: int, angles: AngleSequence, groups: Grouping) -> str:
    if not groups:
        return "<h3>Joint angles</h3><p>No angle is known.</p>"
    charts = "".join(
        f'<figure><figcaption>{text(title_of(group))}</figcaption><div class="chart" id="{_chart_id(number, place)}" '
        f'style="height:{PANEL_PX * len(rows) + CHART_PX}px"></div></figure>'
        for place, (group, rows) in enumerate(groups.items())
    )
    names = [name for rows in groups.values() for name, _ in rows]
    key = "".join(
        f'<span class="key"><i style="background:{colour}"></i>{reason_name}</span>'
        for reason, (reason_name, colour) in GROUNDS.items()
        if any(flagged(angles, name, reason).any() for name in names)
    )
    thin = ""
    if len(angles) > 3 * PIECES:
        kept = f"the lowest and the highest of every {len(angles) / PIECES:.0f} frames"
        thin = f" The recording is long: charts hold {kept}."
    return (
        f'<h3>Joint angles</h3><p class="note small">Degrees over seconds; the band is one standard deviation.{thin} {key}</p>'
        f'<div class="grid">{charts}</div>'
    )


def _chart_id(number: int, place: int) -> str:
    return f"chart-{number}-{place}"


def angle_chart(
    angles: AngleSequence, group: str, rows: Sequence[tuple[str, str]], start: int | None = None
) -> dict[str, Any]:
    """plotly's figure of one group: panels below one another over one time axis."""
    seconds = seconds_of(angles, start)
    colour = side_colour(side(group), paper=True)
    pitch = 1.0 / max(len(rows), 1)
    traces: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    last = f"y{len(rows)}" if len(rows) > 1 else "y"
    layout: dict[str, Any] = {
        "margin": {"l": 44, "r": 8, "t": 4, "b": 34},
        "showlegend": False,
        "hovermode": "x",
        "font": {"size": 11},
        "xaxis": {
            "anchor": last,
            "range": numbers(np.array([seconds[0], max(seconds[-1], seconds[0] + 1e-3)]), 3),
            "title": {"text": "time (s)", "standoff": 4},
            "gridcolor": "#ececef",
            "zeroline": False,
        },
        "annotations": [],
        "shapes": shapes,
    }
    for row, (name, label) in enumerate(rows):
        axis = "y" if row == 0 else f"y{row + 1}"
        top = 1.0 - row * pitch
        layout[f"yaxis{axis[1:]}"] = {
            "domain": [
                round(max(top - pitch * (1.0 - PANEL_GAP), 0.0), 4),
                round(top - pitch * PANEL_GAP, 4),
            ],
            "anchor": "x",
            "gridcolor": "#ececef",
            "zerolinecolor": "#a0a0a5",
            "ticksuffix": "°",
            "range": numbers(np.array(limits_deg(angles, [name])), 1),
            "nticks": 5,
        }
        layout["annotations"].append(
            {
                "text": chart_text(label.capitalize()),
                "xref": "paper",
                "yref": "paper",
                "x": 0.0,
                "y": round(top - pitch * PANEL_GAP, 4),
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
            }
        )
        at, degrees, std = shown(angles, name, seconds, PIECES)
        x = numbers(at, 3)
        traces.append(_band(x, degrees, std, axis, css(colour, 0.2)))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": numbers(degrees, 1),
                "yaxis": axis,
                "line": {"color": css(colour), "width": 1.6},
                "name": chart_text(label),
                "hovertemplate": "%{y:.1f}<extra>%{fullData.name}</extra>",
            }
        )
        merged = MERGED * float(seconds[-1] - seconds[0])
        for reason, (_, ground) in GROUNDS.items():
            for begin, length in stretches(flagged(angles, name, reason), seconds, merged):
                shapes.append(
                    {
                        "type": "rect",
                        "xref": "x",
                        "yref": f"{axis} domain",
                        "x0": round(begin, 3),
                        "x1": round(begin + length, 3),
                        "y0": 0,
                        "y1": 1,
                        "fillcolor": ground,
                        "line": {"width": 0},
                        "layer": "below",
                    }
                )
    return {"data": traces, "layout": layout}


def _band(x: list[float], degrees: np.ndarray, std: np.ndarray, axis: str, colour: str) -> dict[str, Any]:
    """Angle plus and minus deviation as outlines, one for each run of frames that have both."""
    good = np.isfinite(degrees + std)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8))).reshape(-1, 2)
    xs: list[float | None] = []
    ys: list[float | None] = []
    low, high = numbers(degrees - std, 1), numbers(degrees + std, 1)
    for begin, end in edges.tolist():
        xs += [*x[begin:end], *reversed(x[begin:end]), None]
        ys += [*high[begin:end], *reversed(low[begin:end]), None]
    return {
        "type": "scatter",
        "mode": "none",
        "x": xs[:-1],
        "y": ys[:-1],
        "yaxis": axis,
        "fill": "toself",
        "fillcolor": colour,
        "hoverinfo": "skip",
    }


def _files(run: RunReport) -> str:
    if not run.files:
        return ""
    rows = [
        (_link(entry.path, entry.path), text(entry.what), _bytes(entry.size_bytes)) for entry in run.files
    ]
    return f"<section><h2>Files</h2>{_table(['file', 'what it holds', 'size'], rows, words=2)}</section>"


STYLE = """
main { max-width: 1080px; margin: 0 auto; padding: 1.25rem 1rem 3rem; }
section { margin-bottom: 1.5rem; }
.warnings { border-left: 4px solid #d55e00; background: #fdf3ea; padding: .1rem 1rem .5rem; margin-top: 1rem; }
.warnings h2 { margin-top: .6rem; }
.warnings ul { margin: 0; padding-left: 1.1rem; }
.links { margin: 1rem 0 0; }
a { color: #0063a0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .22rem 1.1rem .22rem 0; border-bottom: 1px solid #e6e6ea; vertical-align: top; }
td:not(:first-child) { overflow-wrap: anywhere; }
th { font-weight: 600; color: #5c5c61; }
.figure { text-align: right; white-space: nowrap; }
.scroll { overflow-x: auto; }
.small { font-size: .85rem; margin-top: .35rem; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .45em; }
.key { white-space: nowrap; margin-left: .9em; }
.key i { display: inline-block; width: 1.3em; height: .8em; margin-right: .35em; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: .75rem 1.5rem; }
figure { margin: .5rem 0 0; min-width: 0; break-inside: avoid; }
figcaption { font-weight: 600; font-size: .95rem; }
@page { size: A4; margin: 14mm; }
@media print {
  html { font-size: 10.5px; }
  body { font-size: 1rem; }
  main { padding: 0; max-width: none; }
  .grid { grid-template-columns: 1fr 1fr; gap: 1rem; }
  h2, h3 { break-after: avoid; }
  tr { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

DRAWING = """
"use strict";
(function () {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const config = {displaylogo: false, responsive: true, displayModeBar: false};
  const element = (chart) => document.getElementById(chart.id);
  const printed = 330;
  let next = 0;
  // One chart at a time, so that the page can be read meanwhile.
  (function draw() {
    if (next === charts.length) { document.body.dataset.drawn = "yes"; return; }
    const chart = charts[next++];
    Plotly.newPlot(element(chart), chart.data, chart.layout, config).then(() => setTimeout(draw));
  })();
  // Paper has another width than the window, and does not tell charts so.
  window.addEventListener("beforeprint", () => {
    for (const chart of charts.slice(0, next)) Plotly.relayout(element(chart), {autosize: false, width: printed});
  });
  window.addEventListener("afterprint", () => {
    for (const chart of charts.slice(0, next)) Plotly.relayout(element(chart), {autosize: true, width: null});
  });
})();
"""
