"""A page that shows people moving in space: to turn, to zoom, to play.

plotly.js draws; the page holds the positions, whole millimetres, and a short script that plays them. Axes are those of files
(`pose_core.markers`): X forward, Y up, Z right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_core.markers import MarkerSequence, marker_name, world_from_camera
from pose_core.sequence import PoseSequence
from pose_core.skeleton import POSE2SIM22, SKELETONS, side
from pose_core.units import MM_PER_M, S_PER_NS
from pose_viz.figures.plots import evenly
from pose_viz.pages import web_page
from pose_viz.pages.web_page import chart_text, css, text
from pose_viz.palette import SIDES, person_colour, side_colour

FRAMES_MAX = 1500
"""Frames that a page holds; of a longer recording, that many, evenly spaced."""
PLOT_AXES = (2, 0, 1)
"""Which of X, Y, Z runs along plotly's x, y and z: its z is up, and the three stay right-handed."""
AXIS_TITLES = ("Z right (m)", "X forward (m)", "Y up (m)")
TILE = 0.5
"""Metres between the lines of the floor."""
FLOOR_TILES = 200
"""Lines of the floor along each axis at most; it has larger tiles in a larger hall."""
FLOOR_PERCENT = 1.0
"""Share of the lowest points that may lie under the floor, in percent: single wrong frames do not sink it."""
REACH_PERCENT = (0.1, 99.9)
"""Range of the positions that the view takes in: a single outlier does not shrink everybody."""
REACH_FRAMES = 5000
"""Frames of a person that are looked at for that."""
MARGIN = 0.3
"""Metres about them on the ground; less above and below."""
HOLD = 1.5
"""Frame periods for which somebody stays in view without a new frame."""
FAR = 1e4
"""Metres beyond which a position is a mistake and not shown."""
EYE = (1.0, -1.5, 0.5)
"""Where the view is from at first, in plotly's axes: behind the camera, to its right."""


def _both(*pairs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Each pair on the right and on the left: `{}` takes the side's letter as these markers spell it."""
    return tuple((a.format(letter), b.format(letter)) for letter in "rL" for a, b in pairs)


MARKER_BONES: tuple[tuple[str, str], ...] = (
    *((marker_name(parent), marker_name(child)) for parent, child in POSE2SIM22.bones),
    # The pelvis of the markers that augmentation adds, the widths of their joints, and the soles.
    *(("r.ASIS_study", "L.ASIS_study"), ("r.PSIS_study", "L.PSIS_study")),
    *_both(("{}.ASIS_study", "{}.PSIS_study"), ("{}_knee_study", "{}_mknee_study")),
    *_both(("{}_ankle_study", "{}_mankle_study"), ("{}_lelbow_study", "{}_melbow_study")),
    *_both(("{}_lwrist_study", "{}_mwrist_study"), ("C7_study", "{}_shoulder_study")),
    *_both(("{}_calc_study", "{}_toe_study"), ("{}_calc_study", "{}_5meta_study")),
    *_both(("{}_toe_study", "{}_5meta_study")),
)
"""Lines between markers, drawn where both are there."""


def marker_side(name: str) -> str:
    """`left`, `right` or `centre` of a marker: RHip, r.ASIS_study, L_knee_study, or a joint's name."""
    letter = re.match(r"[RrLl](?=[._A-Z])", name)
    if letter:
        return "right" if letter.group() in "Rr" else "left"
    return side(name)


@dataclass(frozen=True)
class _Body:
    """One person as the page shows them."""

    person: str
    points: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    sides: tuple[str, ...]  # of the bones
    stamps: np.ndarray  # (T,) ns
    xyz: np.ndarray  # (T, N, 3) metres, in plotly's axes

    def shown(self, stamps: np.ndarray, period: float) -> np.ndarray:
        """(S, N, 3) where the points are at each of the stamps; NaN where nothing is known.

        A frame is shown until the next one, but no longer than `HOLD` of its own periods, or of `period` (ns).
        """
        row = np.searchsorted(self.stamps, stamps, side="right") - 1
        frames = np.concatenate([np.full((1, len(self.points), 3), np.nan), self.xyz])
        longest = HOLD * max(period, _period(self.stamps))
        known = row >= 0
        known[known] = stamps[known] - self.stamps[row[known]] <= longest
        return np.asarray(frames[np.where(known, row + 1, 0)])


def _period(stamps: np.ndarray) -> float:
    """Nanoseconds between frames; 0 for a single one."""
    return float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0.0


def viewer_page(
    people: Sequence[MarkerSequence | PoseSequence],
    title: str,
    *,
    camera_pitch_deg: float = 0.0,
    camera_roll_deg: float = 0.0,
    frames_max: int = FRAMES_MAX,
) -> str:
    """A page of some people over the same time.

    Joints are taken to be in the optical frame of a camera that looks down by `camera_pitch_deg` and whose right side is
    lower by `camera_roll_deg`, markers in the frame of files. Where nobody has a position, the page says so. Raises
    ValueError for no people, people without frames, and pixels.
    """
    if frames_max < 2:
        raise ValueError(f"frames_max must be at least 2, got {frames_max}")
    if not people:
        raise ValueError("there is nobody to show: the recording has no people")
    level = world_from_camera(camera_pitch_deg, camera_roll_deg)
    bodies = [_body(one, number, level) for number, one in enumerate(people)]
    stamps = np.unique(np.concatenate([body.stamps for body in bodies]))
    if not len(stamps):
        raise ValueError("there is nothing to show: the recording has no frames")
    if not any(np.isfinite(body.xyz).all(-1).any() for body in bodies):
        sentence = f"Nobody has a position in any of the {len(stamps)} frames: there is nothing to show."
        return web_page.page(title, _frame(title, sentence, ""), style=STYLE)
    kept = evenly(stamps, frames_max)
    motion = _motion(bodies, kept, _period(stamps))
    data = {"motion": motion, "figure": _figure(bodies, motion)}
    body = _frame(title, _summary(bodies, stamps, kept), CONTROLS)
    return web_page.page(title, body, style=STYLE, data=data, scripts=[PLAYER], charts=True)


def _body(one: MarkerSequence | PoseSequence, number: int, level: np.ndarray) -> _Body:
    person = one.person or f"person {number + 1}"
    if isinstance(one, MarkerSequence):
        index = {name: i for i, name in enumerate(one.names)}
        named = [bone for bone in MARKER_BONES if bone[0] in index and bone[1] in index]
        bones = [(index[a], index[b]) for a, b in named]
        points, sides, xyz = one.names, tuple(marker_side(child) for _, child in named), one.xyz
    elif one.xyz.shape[2] != 3:
        raise ValueError(f"{person} is in pixels; the viewer shows people in 3D")
    else:
        skeleton = SKELETONS.get(one.skeleton)
        bones = [(parent, child) for parent, child in skeleton.edges.tolist()]
        points, sides, xyz = skeleton.nodes, skeleton.bone_sides, skeleton.with_virtual(one.xyz) @ level.T
    with np.errstate(invalid="ignore"):
        near = (np.abs(xyz) < FAR).all(-1)
    xyz = np.where(near[..., None], xyz, np.nan)
    return _Body(person, points, tuple(bones), sides, one.stamps, xyz[..., PLOT_AXES])


def _motion(bodies: list[_Body], stamps: np.ndarray, period: float) -> dict[str, Any]:
    """What the script plays: seconds, and per person the millimetres of each frame, null where nothing is known."""
    people = []
    there = np.zeros(len(stamps), bool)
    for body in bodies:
        xyz = body.shown(stamps, period)
        seen = np.isfinite(xyz).any((1, 2))
        there |= seen
        flat = np.rint(np.nan_to_num(xyz) * MM_PER_M).astype(np.int64).reshape(len(stamps), -1).astype(object)
        flat[np.isnan(xyz).reshape(len(stamps), -1)] = None
        people.append(
            [row if known else None for row, known in zip(flat.tolist(), seen.tolist(), strict=True)]
        )
    seconds = web_page.numbers((stamps - stamps[0]) * S_PER_NS, 3)
    return {"seconds": seconds, "first": int(np.argmax(there)), "mm": people, "lines": _lines(bodies)}


def _lines(bodies: list[_Body]) -> list[dict[str, Any]]:
    """Which points each trace after the floor runs through: those of bones in pairs with a gap behind, and then all."""
    lines: list[dict[str, Any]] = []
    for number, body in enumerate(bodies):
        groups = [list(SIDES)] if len(bodies) > 1 else [[name] for name in SIDES]
        for group in groups:
            pairs = [bone for bone, name in zip(body.bones, body.sides, strict=True) if name in group]
            if pairs:
                points = [point for a, b in pairs for point in (a, b, None)]
                lines.append({"person": number, "side": group[0], "points": points, "bones": True})
        every = list(range(len(body.points)))
        lines.append({"person": number, "side": "centre", "points": every, "bones": False})
    return lines


def _figure(bodies: list[_Body], motion: dict[str, Any]) -> dict[str, Any]:
    """plotly's figure of the first frame that shows somebody."""
    low, high, ground = _reach(bodies)
    span = high - low
    axes = {
        f"{name}axis": {
            "title": {"text": title, "font": {"size": 12}},
            "range": [round(float(a), 3), round(float(b), 3)],
            "showbackground": False,
            "showgrid": False,
            "zeroline": False,
            "showspikes": False,
            "nticks": 5,
            "tickfont": {"size": 10, "color": "#777"},
            "linecolor": "#bbb",
            "showline": True,
        }
        for name, title, a, b in zip("xyz", AXIS_TITLES, low, high, strict=True)
    }
    layout = {
        "scene": {
            **axes,
            "aspectmode": "manual",
            "aspectratio": {
                name: round(float(s), 4) for name, s in zip("xyz", 1.5 * span / span.max(), strict=True)
            },
            "camera": {
                "eye": dict(zip("xyz", EYE, strict=True)),
                "center": {"x": 0.0, "y": 0.0, "z": -0.1},
            },
            "dragmode": "turntable",
        },
        "uirevision": "kept",
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "legend": {"x": 0.01, "y": 0.99, "itemsizing": "constant", "bgcolor": "rgba(255,255,255,0.7)"},
        "hoverlabel": {"align": "left"},
        "showlegend": True,
    }
    traces = [_floor(low, high, ground)]
    for line in motion["lines"]:
        row = motion["mm"][line["person"]][motion["first"]]
        traces.append(_trace(line, bodies[line["person"]], row, several=len(bodies) > 1))
    return {"data": traces, "layout": layout}


def _trace(
    line: dict[str, Any], body: _Body, row: list[int | None] | None, *, several: bool
) -> dict[str, Any]:
    colour = person_colour(body.person, paper=True) if several else side_colour(line["side"], paper=True)
    places = [
        [None if row is None or point is None else _metres(row[3 * point + axis]) for point in line["points"]]
        for axis in range(3)
    ]
    trace: dict[str, Any] = {
        "type": "scatter3d",
        **dict(zip("xyz", places, strict=True)),
        "name": chart_text(body.person if several else line["side"]),
        "legendgroup": str(line["person"]) if several else line["side"],
        "showlegend": line["bones"],
    }
    if line["bones"]:
        return trace | {"mode": "lines", "line": {"color": css(colour), "width": 6}, "hoverinfo": "skip"}
    has_bones = bool(body.bones)
    return trace | {
        "mode": "markers",
        "name": chart_text(body.person),
        "showlegend": not has_bones,
        "legendgroup": str(line["person"]) if several else "points",
        "marker": {"size": 3.5 if has_bones else 5, "color": _inks(body, several), "opacity": 1.0},
        "text": [chart_text(name) for name in body.points],
        "hovertemplate": "<b>%{text}</b><br>X %{y:.3f}<br>Y %{z:.3f}<br>Z %{x:.3f} m",
    }


def _inks(body: _Body, several: bool) -> str | list[str]:
    """Colour of all points, or of each."""
    if several:
        return css(person_colour(body.person, paper=True))
    return [css(side_colour(marker_side(name), paper=True)) for name in body.points]


def _metres(mm: int | None) -> float | None:
    return None if mm is None else mm / MM_PER_M


def _reach(bodies: list[_Body]) -> tuple[np.ndarray, np.ndarray, float]:
    """Lowest and highest coordinates (3,) of the view, whole tiles of floor, and the height of the floor."""
    seen = [np.flatnonzero(np.isfinite(body.xyz).any((1, 2))) for body in bodies]
    samples = [body.xyz[evenly(rows, REACH_FRAMES)] for body, rows in zip(bodies, seen, strict=True)]
    points = np.concatenate([xyz.reshape(-1, 3) for xyz in samples])
    points = points[np.isfinite(points).all(-1)]
    low, high = np.percentile(points, REACH_PERCENT, axis=0)
    low, high = low - MARGIN * np.array([1.0, 1.0, 0.25]), high + MARGIN * np.array([1.0, 1.0, 0.5])
    low[:2], high[:2] = np.floor(low[:2] / TILE) * TILE, np.ceil(high[:2] / TILE) * TILE
    return low, high, float(np.percentile(points[:, 2], FLOOR_PERCENT))


def _floor(low: np.ndarray, high: np.ndarray, height: float) -> dict[str, Any]:
    """Lines on the ground, `TILE` or a multiple of it apart."""
    tile = TILE * max(int(np.ceil((high - low)[:2].max() / TILE / FLOOR_TILES)), 1)
    (left, near), (right, far) = low[:2].tolist(), high[:2].tolist()
    x: list[float | None] = []
    y: list[float | None] = []
    for value in np.arange(left, right + tile / 2, tile).tolist():
        x += [value, value, None]
        y += [near, far, None]
    for value in np.arange(near, far + tile / 2, tile).tolist():
        x += [left, right, None]
        y += [value, value, None]
    height = round(height, 3)
    return {
        "type": "scatter3d",
        "mode": "lines",
        "x": x,
        "y": y,
        "z": [None if value is None else height for value in x],
        "line": {"color": "#c8c8ce", "width": 2},
        "hoverinfo": "skip",
        "showlegend": False,
        "name": f"floor, {tile:g} m",
    }


def _summary(bodies: list[_Body], stamps: np.ndarray, kept: np.ndarray) -> str:
    """One line about what is shown."""
    seconds = float(stamps[-1] - stamps[0]) * S_PER_NS
    who = bodies[0].person if len(bodies) == 1 else f"{len(bodies)} people"
    points = max(len(body.points) for body in bodies)
    frames = f"{len(stamps)} frame{'s' if len(stamps) > 1 else ''}"
    said = f"{who}, {points} points, {frames}" + (f" in {seconds:.2f} s." if len(stamps) > 1 else ".")
    if len(kept) < len(stamps):
        step = seconds / (len(kept) - 1)
        said += f" The page holds {len(kept)} of the frames, evenly spaced: one every {step:.3g} s."
    return said


def _frame(title: str, summary: str, controls: str) -> str:
    return f'<header><h1>{text(title)}</h1><p class="note">{text(summary)}</p></header>\n{controls}'


STYLE = """
html, body { height: 100%; }
body { display: flex; flex-direction: column; }
header { padding: .75rem 1rem .25rem; }
#scene { flex: 1 1 auto; min-height: 320px; }
#controls { display: flex; flex-wrap: wrap; gap: .5rem .75rem; align-items: center; padding: .5rem 1rem; }
#controls button, #controls select { font: inherit; padding: .3rem .8rem; }
#controls button, #controls select { border: 1px solid #bbb; border-radius: 6px; background: #f7f7f8; }
#controls button { min-width: 5.2rem; }
#when { flex: 1 1 12rem; accent-color: #0073b3; }
#clock { font-variant-numeric: tabular-nums; min-width: 9.5rem; text-align: right; }
#hint { padding: 0 1rem .75rem; font-size: .85rem; }
@media print { #controls, #hint { display: none; } }
"""

CONTROLS = """<div id="scene"></div>
<div id="controls">
<button id="play" type="button">Play</button>
<input id="when" type="range" min="0" step="1" value="0" aria-label="frame">
<output id="clock"></output>
<label>Speed <select id="speed">
<option value="0.1">0.1</option><option value="0.25">0.25</option><option value="0.5">0.5</option>
<option value="1" selected>1</option><option value="2">2</option><option value="4">4</option>
</select></label>
</div>
<p id="hint" class="note">Drag turns, the wheel zooms, the right button moves. Space plays and stops, the arrow keys step.
A point says its name.</p>"""

PLAYER = """
"use strict";
(function () {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const motion = read("motion"), figure = read("figure");
  const scene = document.getElementById("scene"), play = document.getElementById("play");
  const when = document.getElementById("when"), clock = document.getElementById("clock");
  const speed = document.getElementById("speed");
  const seconds = motion.seconds, last = seconds.length - 1;
  let frame = motion.first, playing = false, held = false, began = 0, from = 0;

  function places(line, frame) {
    const row = motion.mm[line.person][frame], axes = [[], [], []];
    for (const point of line.points)
      for (let axis = 0; axis < 3; axis++) {
        const mm = row === null || point === null ? null : row[3 * point + axis];
        axes[axis].push(mm === null ? null : mm / 1000);
      }
    return axes;
  }

  function show(next) {
    frame = next;
    when.value = frame;
    clock.textContent = seconds[frame].toFixed(2) + " of " + seconds[last].toFixed(2) + " s";
    const all = motion.lines.map((line) => places(line, frame));
    const change = {x: all.map((a) => a[0]), y: all.map((a) => a[1]), z: all.map((a) => a[2])};
    return Plotly.restyle(scene, change, motion.lines.map((line, number) => number + 1));
  }

  function at(time) {
    let low = 0, high = last;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (seconds[middle] <= time) low = middle; else high = middle - 1;
    }
    return low;
  }

  function tick(now) {
    if (!playing) return;
    const again = () => requestAnimationFrame(tick);
    let time = from + (now - began) / 1000 * Number(speed.value);
    if (time > seconds[last] + 0.5) { began = now; time = from = seconds[0]; }
    const next = at(time);
    // While the view is being turned, plotly.js would set it back with every new frame.
    if (held || next === frame) again(); else show(next).then(again);
  }

  function start(yes) {
    playing = yes && last > 0;
    play.textContent = playing ? "Stop" : "Play";
    if (!playing) return;
    if (frame === last) frame = 0;
    from = seconds[frame];
    began = performance.now();
    requestAnimationFrame(tick);
  }

  function step(by) {
    start(false);
    show(Math.min(Math.max(frame + by, 0), last));
  }

  when.max = last;
  when.disabled = play.disabled = last === 0;
  play.addEventListener("click", () => start(!playing));
  when.addEventListener("input", () => { start(false); show(Number(when.value)); });
  speed.addEventListener("change", () => { if (playing) start(true); });
  scene.addEventListener("pointerdown", () => { held = true; }, true);
  window.addEventListener("pointerup", () => { held = false; }, true);
  document.addEventListener("keydown", (event) => {
    if (event.target.tagName === "SELECT" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target !== play) { event.preventDefault(); start(!playing); }
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      step(event.key === "ArrowRight" ? 1 : -1);
    }
  });
  const config = {displaylogo: false, responsive: true, scrollZoom: true,
    modeBarButtons: [["toImage", "zoom3d", "pan3d", "tableRotation", "orbitRotation", "resetCameraDefault3d"]]};
  // A tall narrow screen sees less of the width.
  const eye = figure.layout.scene.camera.eye, away = Math.max(1, 0.9 * scene.clientHeight / scene.clientWidth);
  for (const axis in eye) eye[axis] *= away;
  Plotly.newPlot(scene, figure.data, figure.layout, config).then(() => show(frame));
})();
"""
