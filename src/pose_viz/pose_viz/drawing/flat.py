"""Keypoints of an image as a plot in space: all lie in the plane Z = 0."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

from pose_core.people import People2D
from pose_core.skeleton import SKELETONS
from pose_viz.drawing.styles import Entry, Style
from pose_viz.params import VizParams

DPI = 100
SIZES = (480, 1440)
"""Least and greatest height of the plot in pixels; between them it is as high as the image is long."""
USUAL, FONT, LINE = 720, 9.0, 3.4
"""Height of a plot with letters and lines of so many points; those of others follow."""
DEPTH = 0.6
"""Length of the axis Z over the longer side of the image."""
ELEVATION, AZIMUTH = 22.0, -62.0
STYLE: Any = {"legend.frameon": False}


def draw_flat(people: People2D, style: Style, width: int, height: int) -> np.ndarray:
    """(H, W, 3) uint8 BGR: a plot of everybody in an image of `width` x `height` pixels; paler where a joint is unsure."""
    side = int(np.clip(max(width, height), *SIZES))
    skeleton = SKELETONS.get(people.skeleton)
    scale = side / USUAL
    with matplotlib.rc_context(STYLE | {"font.size": FONT * scale}):
        figure = Figure(figsize=(side / DPI, side / DPI), dpi=DPI)
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot(projection="3d", position=(0.02, 0.02, 0.96, 0.94))
        _frame(axes, people, scale)
        entries: dict[Entry, None] = {}
        for person in people.people:
            seen = (person.joint_confidence >= VizParams.min_confidence) & (person.joint_confidence > 0.0)
            look = style.look(skeleton, seen)
            entries |= dict.fromkeys(look.legend)
            flat = skeleton.with_virtual(np.where(seen[:, None], person.xy_px, np.nan))
            confidence = skeleton.with_virtual(person.joint_confidence[:, None])[:, 0]
            # Across, Z and up of the plot: the image stands upright in it, and its plane is Z = 0.
            points = np.stack([flat[:, 0], np.zeros(len(flat)), people.height - 1 - flat[:, 1]], -1)
            there = np.flatnonzero(np.isfinite(points[skeleton.edges]).all((1, 2)))
            ends = points[skeleton.edges[there]]
            alphas = confidence[skeleton.edges[there]].min(-1).clip(0.35, 1.0)
            colours = [(*look.bones[bone], alpha) for bone, alpha in zip(there, alphas, strict=True)]
            dark = [(0.08, 0.08, 0.08, alpha) for alpha in alphas]
            broad = LINE * scale
            axes.add_collection3d(
                Line3DCollection(ends, colors=dark, linewidths=1.45 * broad, capstyle="round")
            )
            axes.add_collection3d(Line3DCollection(ends, colors=colours, linewidths=broad, capstyle="round"))
            known = np.flatnonzero(np.isfinite(points[: len(skeleton)]).all(-1))
            axes.scatter(
                *points[known].T,
                c=[look.joints[joint] for joint in known],
                s=(4.0 * broad),
                edgecolors="0.08",
                linewidths=0.3 * broad,
                depthshade=False,
            )
        if entries:
            lines = [Line2D([], [], color=entry.colour, lw=LINE * scale) for entry in entries]
            figure.legend(lines, [entry.text for entry in entries], loc="upper right", ncols=len(lines))
        canvas.draw()
        rgba = np.asarray(canvas.buffer_rgba())
        return np.ascontiguousarray(rgba[..., 2::-1])


def _frame(axes: Axes3D, people: People2D, scale: float) -> None:
    """Axes in pixels, and the image's plane."""
    width, height = people.width, people.height
    deep = DEPTH * max(width, height)
    axes.set_xlim(0, width)
    axes.set_ylim(-deep / 2.0, deep / 2.0)
    axes.set_zlim(0, height)
    axes.set_box_aspect((width, deep, height), zoom=0.98)
    axes.view_init(elev=ELEVATION, azim=AZIMUTH)
    corners = [(0, 0, 0), (width, 0, 0), (width, 0, height), (0, 0, height)]
    plane = Poly3DCollection([corners], facecolor=(0.5, 0.6, 0.7, 0.10), edgecolor="0.55", linewidths=1.0)
    axes.add_collection3d(plane)
    axes.set_xlabel("X (px)", labelpad=8.0 * scale)
    axes.set_ylabel("Z", labelpad=2.0 * scale)
    axes.set_zlabel("Y (px)", labelpad=9.0 * scale)
    axes.set_yticks([0.0])
    ticks = [tick for tick in axes.get_zticks() if 0 <= tick <= height]
    axes.set_zticks([height - tick for tick in ticks], [f"{tick:.0f}" for tick in ticks])
    axes.tick_params(pad=2.5 * scale)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.pane.set_facecolor("0.97")
        axis._axinfo["grid"].update(color="0.88", linewidth=0.6)
