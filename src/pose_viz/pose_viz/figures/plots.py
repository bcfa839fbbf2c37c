"""Figures of people in 3D over time, and contact sheets of images.

Positions come in an optical frame (REP 103: x right, y down, z forward) and are shown upright: x to the
right, depth into the page, -y up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from pose_core.geometry.camera import Camera
from pose_core.markers import tilt_of, world_from_camera
from pose_core.people import People2D, People3D
from pose_core.skeleton import SKELETONS, Skeleton
from pose_core.units import MM_PER_M, NS_PER_S
from pose_viz.palette import SIDES, bgr255, person_colour, side_colour

SIZE_INCHES = (14.0, 9.0)
DPI = 150

UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Rotates optical axes (right, down, forward) to those of the figure (right, depth, up)."""
VIEWS = {"from the camera": 0, "from the side": 1}
"""Name of each orthographic view of a film strip, and the axis of the figure that runs to its right."""
STRIP_PEOPLE = 2
"""People with a film strip: those seen longest."""
SCENE_PEOPLE = 4
"""People in the other panels, likewise."""
SCENE_POSES = 4
"""Skeletons per person in space, where they overlap."""
TITLE_INCHES, STRIP_INCHES = 0.6, 2.0
"""Heights of the title and of each film strip where there is nothing else on the page."""
STRIP_GAP = 0.18
"""Metres between neighbours of a film strip."""
KNEE_DASHES = ("-", "--", ":", "-.")
"""Lines of the people in the one panel whose colours tell sides."""
BAND_PERCENT = (10.0, 90.0)

GREY = "0.45"
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "legend.frameon": False,
    "legend.fontsize": 8,
}


@dataclass(frozen=True)
class Track:
    """One person over all images of a sequence; NaN where the person is not there."""

    id: str
    skeleton: Skeleton
    time: np.ndarray  # (T,) seconds since the first image
    xyz: np.ndarray  # (T, J, 3) metres, optical frame
    std: np.ndarray  # (T, J) metres
    root_std: np.ndarray  # (T, 3) metres
    turn: np.ndarray  # (T, 3, 3) from the optical frame to the axes of the figure

    @cached_property
    def upright(self) -> np.ndarray:
        """(T, N, 3) nodes in the axes of the figure: right, depth, up."""
        return self.skeleton.with_virtual(self.xyz) @ self.turn.transpose(0, 2, 1)

    @cached_property
    def root(self) -> np.ndarray:
        """(T, 3) root in the axes of the figure."""
        return self.upright[:, self.skeleton.index(self.skeleton.root)]

    @cached_property
    def present(self) -> np.ndarray:
        """(T,) whether the person's root is known."""
        return np.isfinite(self.root).all(-1)


def tracks(people: Sequence[People3D]) -> list[Track]:
    """Everybody's track, those seen longest first.

    Raises ValueError unless stamps increase and all people have one skeleton.
    """
    if not people:
        return []
    if len({image.skeleton for image in people}) > 1:
        names = ", ".join(sorted({image.skeleton for image in people}))
        raise ValueError(f"all people of a figure must have the same skeleton, got {names}")
    stamps = np.array([image.stamp for image in people])
    if (np.diff(stamps) <= 0).any():
        raise ValueError("stamps of a figure must increase; draw each pass over a looped video on its own")
    skeleton = SKELETONS.get(people[0].skeleton)
    time = (stamps - stamps[0]) / NS_PER_S
    turn = np.array([upright_axes(image.up) for image in people])
    by_id: dict[str, Track] = {}
    for row, image in enumerate(people):
        for person in image.people:
            if person.id not in by_id:
                shape = (len(people), len(skeleton))
                xyz, std, root_std = (
                    np.full(size, np.nan) for size in ((*shape, 3), shape, (len(people), 3))
                )
                by_id[person.id] = Track(person.id, skeleton, time, xyz, std, root_std, turn)
            track = by_id[person.id]
            track.xyz[row], track.std[row], track.root_std[row] = person.xyz, person.std, person.root_std
    seen = [track for track in by_id.values() if track.present.any()]
    return sorted(seen, key=lambda track: -track.present.sum())


def upright_axes(up: np.ndarray | None) -> np.ndarray:
    """(3, 3) axes right, depth and up of a figure in the optical frame of a camera in which `up` points up; None: a level one."""
    return UPRIGHT if up is None else world_from_camera(*tilt_of(up))[[2, 0, 1]]


def skeleton_figure(
    people: Sequence[People3D],
    people2d: Sequence[People2D] = (),
    camera: Camera | None = None,
    *,
    title: str = "3D skeleton over time",
    poses: int = 6,
) -> Figure:
    """A page about a sequence: skeletons in space and as film strips, and curves over time.

    `poses`: skeletons in a strip where one person has the page, evenly spaced in time. With the 2D people
    of the same images and their camera, the last curve is the reprojection error, otherwise the joints'
    standard deviation. Raises ValueError as `tracks` does.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, ha="left")
        found = tracks(people)
        if not found:
            figure.text(
                0.5, 0.5, f"nobody was seen in {len(people)} images", ha="center", fontsize=14, color=GREY
            )
            return figure
        grid = GridSpec(2, 1, figure, height_ratios=(2.3, 1.0))
        top = grid[0].subgridspec(1, 2, width_ratios=(1.0, 1.35))
        _draw_scene(figure.add_subplot(top[0], projection="3d"), found[:SCENE_PEOPLE])
        strips = [(track, view) for track in found[:STRIP_PEOPLE] for view in VIEWS]
        # Half as high strips have room for twice as many poses.
        per_strip = poses * len(strips) // len(VIEWS)
        rows = top[1].subgridspec(len(strips), 1)
        for row, (track, view) in enumerate(strips):
            _draw_strip(figure.add_subplot(rows[row]), track, view, per_strip)
        panels = grid[1].subgridspec(1, 4)
        curves = [figure.add_subplot(panels[column]) for column in range(4)]
        _draw_root(curves[0], found[:SCENE_PEOPLE])
        _draw_knees(curves[1], found[:SCENE_PEOPLE])
        _draw_bone_lengths(curves[2], found[:SCENE_PEOPLE])
        if people2d and camera is not None:
            _draw_reprojection(curves[3], found[:SCENE_PEOPLE], people, people2d, camera)
        else:
            _draw_std(curves[3], found[:SCENE_PEOPLE])
        for axes in curves:
            axes.set_xlabel("time (s)")
            axes.set_xlim(found[0].time[0], max(found[0].time[-1], 1e-3))
        _draw_key(figure, found[:SCENE_PEOPLE])
    return figure


def comparison_figure(
    named: Mapping[str, Sequence[People3D]], *, title: str = "3D skeletons compared", poses: int = 8
) -> Figure:
    """Film strips of the same images as several methods see them, one below the other, from the side and from the camera.

    `named`: people by the method's name. Each shows the one who is seen longest, about the root; all are level as far as one of
    the methods knows in an image which way is up. Raises ValueError as `tracks` does.
    """
    ups = {image.stamp: image.up for people in named.values() for image in people if image.up is not None}
    with matplotlib.rc_context(STYLE):
        found = [
            (name, track)
            for name, people in named.items()
            for track in tracks([replace(image, up=ups.get(image.stamp)) for image in people])[:1]
        ]
        height = TITLE_INCHES + STRIP_INCHES * max(len(found), 1)
        figure = Figure(figsize=(SIZE_INCHES[0], height), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, ha="left")
        if not found:
            figure.text(0.5, 0.5, "nobody was seen", ha="center", fontsize=14, color=GREY)
            return figure
        grid = GridSpec(len(found), len(VIEWS), figure)
        for row, (name, track) in enumerate(found):
            for column, view in enumerate(reversed(VIEWS)):
                axes = figure.add_subplot(grid[row, column])
                _draw_strip(axes, track, view, poses)
                axes.set_title(f"{name}, {axes.get_title(loc='left')}", loc="left", color="0.1")
        _draw_key(figure, [found[0][1]])
    return figure


def image_figure(drawn: np.ndarray, people: People3D, *, title: str) -> Figure:
    """One image (H, W, 3) BGR as it was drawn on, beside its people in space and from two sides.

    Those in space are at most `SCENE_PEOPLE`; from two sides there is the first. Raises ValueError as `tracks` does.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, ha="left")
        shown = tracks([people])
        grid = GridSpec(2, 4, figure, height_ratios=(3.0, 2.0))
        flat = figure.add_subplot(grid[:, :2])
        flat.imshow(drawn[..., ::-1])
        flat.set_axis_off()
        flat.set_title("In the image", loc="left")
        if not shown:
            return figure
        _draw_scene(figure.add_subplot(grid[0, 2:], projection="3d"), shown[:SCENE_PEOPLE])
        for column, view in enumerate(VIEWS):
            axes = figure.add_subplot(grid[1, 2 + column])
            _draw_strip(axes, shown[0], view, 1)
        _draw_key(figure, shown[:SCENE_PEOPLE], "")
    return figure


def save(figure: Figure, path: Path | str) -> Path:
    """Write a figure as PNG under `path`, whole or not at all. Missing folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        # Level 3 instead of 6 takes a third of the time, for files a tenth larger.
        figure.savefig(partial, format="png", facecolor="white", pil_kwargs={"compress_level": 3})
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def contact_sheet(
    images: Sequence[np.ndarray], captions: Sequence[str] = (), *, columns: int = 4, width_px: int = 1600
) -> np.ndarray:
    """One image (H, width_px, 3) with small copies of BGR `images` in rows, each above its caption.

    All take the shape of the first. Raises ValueError for no images, or another number of captions.
    """
    if not images:
        raise ValueError("a contact sheet needs at least one image")
    if captions and len(captions) != len(images):
        raise ValueError(f"captions must be as many as the images, got {len(captions)} for {len(images)}")
    columns = min(columns, len(images))
    gap = max(width_px // 160, 4)
    cell_width = (width_px - gap * (columns + 1)) // columns
    cell_height = round(cell_width * images[0].shape[0] / images[0].shape[1])
    text = max(cell_width // 22, 8) if captions else 0
    pitch = cell_height + gap + (2 * text)
    rows = -(-len(images) // columns)
    sheet = np.full((rows * pitch + gap, width_px, 3), 255, np.uint8)
    for number, image in enumerate(images):
        x = gap + (number % columns) * (cell_width + gap)
        y = gap + (number // columns) * pitch
        sheet[y : y + cell_height, x : x + cell_width] = cv2.resize(
            image, (cell_width, cell_height), interpolation=cv2.INTER_AREA
        )
        if captions:
            origin = (x, y + cell_height + round(1.5 * text))
            ink = bgr255(side_colour("centre", paper=True))
            cv2.putText(
                sheet, captions[number], origin, cv2.FONT_HERSHEY_DUPLEX, text / 22.0, ink, 1, cv2.LINE_AA
            )
    return sheet


def evenly(indices: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of `indices`, evenly spaced from the first to the last."""
    if len(indices) <= count:
        return indices
    return indices[np.rint(np.linspace(0, len(indices) - 1, count)).astype(int)]


def _poses(track: Track, count: int) -> np.ndarray:
    return evenly(np.flatnonzero(track.present), count)


def _bones(track: Track, nodes: np.ndarray) -> tuple[np.ndarray, list[tuple[float, float, float]]]:
    """Ends (B, 2, D) of the bones that are there, and their colours on paper."""
    ends = nodes[track.skeleton.edges]
    there = np.flatnonzero(np.isfinite(ends).all((1, 2)))
    return ends[there], [side_colour(track.skeleton.bone_sides[bone], track.id, paper=True) for bone in there]


def _draw_scene(axes: Axes3D, shown: list[Track]) -> None:
    """Skeletons where they are, older ones paler, with the root's path and its shadow on the floor."""
    everything = np.concatenate([track.upright[_poses(track, SCENE_POSES)].reshape(-1, 3) for track in shown])
    low, high = np.nanmin(everything, 0), np.nanmax(everything, 0)
    floor = low[2]
    for track in shown:
        rows = _poses(track, SCENE_POSES)
        for order, row in enumerate(rows):
            alpha = 0.3 + 0.7 * (order + 1) / len(rows)
            ends, colours = _bones(track, track.upright[row])
            axes.add_collection3d(
                Line3DCollection(ends, colors=colours, linewidths=1.8, alpha=alpha, capstyle="round")
            )
        x, y, z = track.root.T
        own = person_colour(track.id, paper=True)
        axes.plot(x, y, z, color=own, lw=1.6)
        axes.plot(x, y, np.full_like(z, floor), color="0.6", lw=1.2)
    margin = 0.08
    span = np.maximum(high - low, 0.3)
    middle = (low + high) / 2.0
    for axis, (name, setter) in enumerate(
        (("right (m)", axes.set_xlim), ("depth (m)", axes.set_ylim), ("up (m)", axes.set_zlim))
    ):
        bottom = floor if axis == 2 else middle[axis] - span[axis] * (0.5 + margin)
        setter(bottom, middle[axis] + span[axis] * (0.5 + margin))
        (axes.set_xlabel, axes.set_ylabel, axes.set_zlabel)[axis](name)
    axes.set_box_aspect(span * (1.0 + 2.0 * margin), zoom=1.0)
    axes.view_init(elev=14.0, azim=-62.0)
    level = all(np.array_equal(track.turn[0], UPRIGHT) for track in shown)
    where = "in the camera's frame (up: camera's -y)" if level else "from the camera, level"
    axes.set_title(f"In space, {where}", loc="left")
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axis.pane.set_facecolor("0.97")
        axis._axinfo["grid"].update(color="0.88", linewidth=0.6)


def _draw_strip(axes: Axes, track: Track, view: str, poses: int) -> None:
    """Poses beside one another, as an orthographic camera sees them."""
    across = VIEWS[view]
    rows = _poses(track, poses)
    flat = track.upright[rows][..., [across, 2]]
    flat[..., 0] -= track.root[rows, across, None]
    offsets = side_by_side(flat[..., 0], STRIP_GAP)
    flat[..., 0] += offsets[:, None]
    floor = float(np.nanmin(flat[..., 1]))
    for pose, offset, row in zip(flat, offsets, rows, strict=True):
        ends, colours = _bones(track, pose)
        axes.add_collection(LineCollection(list(ends), colors=colours, linewidths=2.4, capstyle="round"))
        _write(axes, f"{track.time[row]:.2f} s", (offset, floor), (0, -4), ha="center", va="top", color=GREY)
    axes.plot([-0.2, -0.2], [floor, floor + 0.5], color="0.2", lw=2.5, solid_capstyle="butt")
    _write(axes, "0.5 m", (-0.2, floor + 0.25), (-4, 0), ha="right", va="center", rotation=90)
    axes.set_xlim(-0.25, float(np.nanmax(flat[..., 0])) + 0.05)
    axes.set_ylim(floor - 0.05, float(np.nanmax(flat[..., 1])) + 0.05)
    axes.set_aspect("equal")
    axes.set_anchor("W")
    axes.axis("off")
    note = " (depth to the right)" if across == 1 else ""
    axes.set_title(f"{track.id} {view}{note}", loc="left", color=person_colour(track.id, paper=True))


def side_by_side(x: np.ndarray, gap: float) -> np.ndarray:
    """Offsets (P,) that put poses with coordinates `x` (P, N) in a row from 0 on, `gap` apart."""
    left, right = np.nanmin(x, 1), np.nanmax(x, 1)
    starts = np.concatenate([[0.0], np.cumsum(right - left + gap)[:-1]])
    return starts - left


def _write(axes: Axes, text: str, at: tuple[float, float], shift: tuple[int, int], **style: Any) -> None:
    """Small text at a point of the axes, shifted by some points of the page."""
    axes.annotate(text, at, shift, textcoords="offset points", size=8, annotation_clip=False, **style)


BONE_SPAN_MM = 1.0
"""Least height of the panel of bone lengths, so that rounding does not look like motion."""


def _draw_root(axes: Axes, shown: list[Track]) -> None:
    """Where the root is, with one standard deviation of its depth."""
    for track in shown:
        colour = person_colour(track.id, paper=True)
        for axis, dash in ((1, "-"), (0, "--"), (2, ":")):
            axes.plot(track.time, track.root[:, axis], dash, color=colour, lw=1.4)
        depth, std = track.root[:, 1], track.root_std[:, 2]
        axes.fill_between(track.time, depth - std, depth + std, color=colour, alpha=0.2, lw=0)
    axes.set_title("Root position (m)", loc="left")
    _styles(axes, {"depth ± 1 std": "-", "right": "--", "up": ":"})


def _draw_knees(axes: Axes, shown: list[Track]) -> None:
    """Angle between thigh and shank, zero when the leg is straight."""
    axes.set_title("Knee flexion (deg)", loc="left")
    for track, dash in zip(shown, KNEE_DASHES, strict=False):
        for name in ("left", "right"):
            names = [f"{name}_{joint}" for joint in ("hip", "knee", "ankle")]
            if all(joint in track.skeleton.nodes for joint in names):
                angle = flexion(track.upright[:, track.skeleton.indices(*names)])
                axes.plot(track.time, angle, dash, color=side_colour(name, track.id, paper=True), lw=1.4)
    if len(shown) > 1:
        _styles(axes, {track.id: dash for track, dash in zip(shown, KNEE_DASHES, strict=False)})


def flexion(joints: np.ndarray) -> np.ndarray:
    """Degrees (...) by which the middle one of three joints (..., 3, 3) is bent; 0 for a straight limb."""
    first, second = joints[..., 1, :] - joints[..., 0, :], joints[..., 2, :] - joints[..., 1, :]
    sine = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.degrees(np.arctan2(sine, (first * second).sum(-1)))


def _draw_bone_lengths(axes: Axes, shown: list[Track]) -> None:
    """How far bones are from their own median length: zero for a rigid skeleton."""
    for track in shown:
        lengths = track.skeleton.bone_lengths(track.xyz)[track.present]
        lengths = lengths[:, np.isfinite(lengths).any(0)]
        errors = np.abs(lengths - np.nanmedian(lengths, axis=0)) * MM_PER_M
        _draw_band(axes, track.time[track.present], errors, track.id)
    axes.set_title("Bone length, off its own median (mm)", loc="left")
    axes.set_ylim(0.0, max(axes.get_ylim()[1], BONE_SPAN_MM))


def _draw_std(axes: Axes, shown: list[Track]) -> None:
    for track in shown:
        _draw_band(axes, track.time[track.present], track.std[track.present] * MM_PER_M, track.id)
    axes.set_title("Joint standard deviation (mm)", loc="left")
    axes.set_ylim(bottom=0.0)


def _draw_reprojection(
    axes: Axes, shown: list[Track], people: Sequence[People3D], people2d: Sequence[People2D], camera: Camera
) -> None:
    """Pixels between detected and reprojected joints."""
    detected = {(image.stamp, person.id): person.xy_px for image in people2d for person in image.people}
    for track in shown:
        errors = np.full(track.std.shape, np.nan)
        for row, image in enumerate(people):
            xy_px = detected.get((image.stamp, track.id))
            if xy_px is not None and len(xy_px) == errors.shape[1]:
                errors[row] = np.linalg.norm(camera.project(track.xyz[row]) - xy_px, axis=-1)
        some = np.isfinite(errors).any(1)
        _draw_band(axes, track.time[some], errors[some], track.id)
    axes.set_title("Reprojection error (px)", loc="left")
    axes.set_ylim(bottom=0.0)


def _draw_band(axes: Axes, time: np.ndarray, values: np.ndarray, person: str) -> None:
    """Median over the columns of `values` (T, K), and the range of most of them."""
    if not np.isfinite(values).any():
        return
    colour = person_colour(person, paper=True)
    some = np.isfinite(values).any(1)
    low, median, high = np.nanpercentile(values[some], (BAND_PERCENT[0], 50.0, BAND_PERCENT[1]), axis=1)
    axes.fill_between(
        time[some],
        low,
        high,
        color=colour,
        alpha=0.2,
        lw=0,
        label=f"{BAND_PERCENT[0]:.0f}-{BAND_PERCENT[1]:.0f} %",
    )
    axes.plot(time[some], median, color=colour, lw=1.4, label="median")
    if not axes.get_legend():
        axes.legend(loc="upper right", ncols=2)


def _styles(axes: Axes, dashes: dict[str, str]) -> None:
    lines = [Line2D([], [], ls=dash, color="0.3", lw=1.4) for dash in dashes.values()]
    axes.legend(lines, list(dashes), loc="best", ncols=len(dashes), handlelength=1.8, columnspacing=1.0)


def _draw_key(figure: Figure, shown: list[Track], of: str = " (path, curves)") -> None:
    """Colours of sides and of people, once for the whole page."""
    entries = [(name, side_colour(name, paper=True), 3.0) for name in SIDES]
    entries += [(f"{track.id}{of}", person_colour(track.id, paper=True), 1.6) for track in shown]
    lines = [Line2D([], [], color=colour, lw=width) for _, colour, width in entries]
    figure.legend(lines, [name for name, _, _ in entries], loc="upper right", ncols=len(entries), fontsize=9)
