"""The lifted people beside their image: seen from obliquely in front, on a floor of half-metre tiles."""

from __future__ import annotations

import numpy as np

from pose_core.conversion import conversion
from pose_core.people import People3D
from pose_core.skeleton import SKELETONS
from pose_viz.drawing.styles import Style
from pose_viz.figures.plots import upright_axes
from pose_viz.palette import Colour
from pose_viz.params import VizParams
from pose_viz.shapes import RIM, bone_width, draw_disc, draw_segments, fixed, radii, rim_of

PAPER: Colour = (0.965, 0.965, 0.965)
GRID: Colour = (0.80, 0.80, 0.80)
TILE = 0.5
"""Metres."""
AZIMUTH, ELEVATION = np.radians(35.0), np.radians(14.0)
"""By which the view is turned to the side of the camera's, and looks down."""
MARGIN = 0.06
"""Share of the picture that stays free at each border."""
CALM = 0.98
"""Least share of the last image's extent that the view has in the next one."""
SHAPE = 0.85
"""Width of the picture over the shorter side of the image."""


def panel_width(width: int, height: int) -> int:
    """Pixels across of the picture beside an image of that size; an even number, as videos want it."""
    return max(round(SHAPE * min(width, height) / 2.0) * 2, 2)


class Space:
    """Draws one image after another; the scale follows slowly where it may grow, so that people do not pulse."""

    def __init__(self, style: Style, skeleton: str = "") -> None:
        """`skeleton`: whose joints are drawn; empty: those that the people have."""
        self._style, self._skeleton = style, skeleton
        self._span = np.zeros(2)

    def draw(self, people: People3D, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8 BGR."""
        canvas = np.full((height, width, 3), [round(255 * level) for level in PAPER[::-1]], np.uint8)
        name = self._skeleton or people.skeleton
        change = conversion(people.skeleton, name)
        skeleton = SKELETONS.get(name)
        shown = []
        for person in people.people:
            xyz, confidence = change.apply(person.xyz, person.joint_confidence)
            seen = (confidence >= VizParams.min_confidence) & np.isfinite(xyz).all(-1)
            nodes = skeleton.with_virtual(np.where(seen[:, None], xyz, np.nan)) @ upright_axes(people.up).T
            if np.isfinite(nodes).all(-1).any():
                shown.append((nodes, skeleton.with_virtual(confidence[:, None])[:, 0], seen))
        if not shown:
            return canvas
        everything = np.concatenate([nodes for nodes, _, _ in shown])
        everything = everything[np.isfinite(everything).all(-1)]
        low, high = everything.min(0), everything.max(0)
        tiles = _tiles(low, high)
        seen_px = np.concatenate([_turned(everything), _turned(tiles.reshape(-1, 3))])
        self._span = np.maximum(CALM * self._span, np.ptp(seen_px, axis=0))
        scale = float(((1.0 - 2.0 * MARGIN) * np.array([width, height]) / self._span).min())
        middle = (seen_px.min(0) + seen_px.max(0)) / 2.0

        def project(points: np.ndarray) -> np.ndarray:
            result: np.ndarray = (_turned(points) - middle) * (scale, -scale) + (width / 2.0, height / 2.0)
            return result

        draw_segments(canvas, fixed(project(tiles)), GRID, max(height / 900, 1.0))
        depth = np.array([np.nanmean(nodes[:, 1]) for nodes, _, _ in shown])
        for number in np.argsort(-depth):  # those behind first
            nodes, confidence, seen = shown[number]
            flat = project(nodes)
            known = np.isfinite(flat).all(-1)
            thick = 1.2 * bone_width(canvas, flat[known])
            look = self._style.look(skeleton, seen)
            bones = np.flatnonzero(known[skeleton.edges].all(-1))
            lines = fixed(flat)[skeleton.edges[bones]]
            draw_segments(canvas, lines, RIM, thick + 2.0 * rim_of(thick))
            for line, bone in zip(lines, bones, strict=True):
                draw_segments(canvas, line[None], look.bones[bone], thick)
            sizes = radii(skeleton, flat, confidence, thick)
            for joint in np.flatnonzero(known[: len(skeleton)]):
                draw_disc(canvas, fixed(flat[joint]), sizes[joint] + rim_of(thick), RIM)
                draw_disc(canvas, fixed(flat[joint]), sizes[joint], look.joints[joint])
        return canvas


def _turned(points: np.ndarray) -> np.ndarray:
    """(..., 2) metres to the right and up, as the view sees points (..., 3) that are right, depth and up."""
    x, y, z = np.moveaxis(points, -1, 0)
    across = np.cos(AZIMUTH) * x + np.sin(AZIMUTH) * y
    away = -np.sin(AZIMUTH) * x + np.cos(AZIMUTH) * y
    return np.stack([across, np.cos(ELEVATION) * z + np.sin(ELEVATION) * away], -1)


def _tiles(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(S, 2, 3) lines of the floor under everybody, whole tiles."""
    first, last = np.floor(low[:2] / TILE) * TILE, np.ceil(high[:2] / TILE) * TILE
    xs, ys = (np.arange(a, b + TILE / 2.0, TILE) for a, b in zip(first, last, strict=True))
    lines = [[(x, ys[0]), (x, ys[-1])] for x in xs] + [[(xs[0], y), (xs[-1], y)] for y in ys]
    flat = np.array(lines)
    return np.concatenate([flat, np.full((*flat.shape[:2], 1), low[2])], -1)
