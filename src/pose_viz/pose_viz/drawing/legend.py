"""The legend of a picture: what its colours mean, at a place that covers nobody."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pose_viz.drawing.placing import Box, place_legend
from pose_viz.drawing.styles import Entry
from pose_viz.drawing.text import PAD, TEXT_MIN, baseline, panel_size, text_height, write
from pose_viz.palette import Colour
from pose_viz.shapes import RIM, dashes, draw_disc, draw_segments, fixed

LIGHT: Colour = (1.0, 1.0, 1.0)
SHRUNK = (1.0, 0.85, 0.7, 0.6)
"""Sizes of the text, over the usual one, that are tried until the legend has a place."""
COLUMNS = (1, 2, 3, 4)
SWATCH, SWATCH_GAP = 2.2, 1.0
"""Length of a line of colour and the room behind it, over the height of capital letters."""
SWATCH_WIDTH = 0.5


class Layout(NamedTuple):
    """How entries are set: in columns, with letters of that height in pixels."""

    columns: int
    height: float


def layouts(canvas: np.ndarray, entries: Sequence[Entry]) -> list[Layout]:
    """The ways to set a legend on an image, best first: large letters before small ones, few columns before many."""
    usual = text_height(canvas)
    heights = dict.fromkeys(max(usual * share, TEXT_MIN) for share in SHRUNK)
    columns = [number for number in COLUMNS if number == 1 or len(entries) >= 4 * number]
    return [Layout(number, height) for height in heights for number in columns]


def size_of(entries: Sequence[Entry], layout: Layout) -> tuple[int, int]:
    """Width and height of the whole legend in pixels."""
    widths = [panel_size(texts, layout.height, _indent(layout))[0] for texts in _columns(entries, layout)]
    rows = math.ceil(len(entries) / layout.columns)
    return sum(widths), panel_size([""] * rows, layout.height)[1]


def draw_legend(
    canvas: np.ndarray, entries: Sequence[Entry], taken: Sequence[Box], before: Box | None = None
) -> Box | None:
    """Write a legend where it covers nothing that is `taken`, and where it was `before` if it may; its place.

    None, and no legend, where there is no room: an image that people fill, or a tiny one.
    """
    if not entries:
        return None
    tried = layouts(canvas, entries)
    if before is not None:  # of the size that it had, so that it does not jump from image to image
        tried.sort(key=lambda one: size_of(entries, one) != _size(before))
    sizes = [size_of(entries, layout) for layout in tried]
    image = canvas.shape[1], canvas.shape[0]
    found = place_legend(sizes, image, taken, text_height(canvas), before)
    if found is None:
        return None
    number, box = found
    _draw(canvas, box, entries, tried[number])
    return box


def _size(box: Box) -> tuple[int, int]:
    return round(box.right - box.left), round(box.bottom - box.top)


def _indent(layout: Layout) -> float:
    return (SWATCH + SWATCH_GAP) * layout.height


def _columns(entries: Sequence[Entry], layout: Layout) -> list[list[str]]:
    rows = math.ceil(len(entries) / layout.columns)
    return [[entry.text for entry in entries[at : at + rows]] for at in range(0, len(entries), rows)]


def _draw(canvas: np.ndarray, box: Box, entries: Sequence[Entry], layout: Layout) -> None:
    left, at, height = box.left, 0, layout.height
    for texts in _columns(entries, layout):
        across = panel_size(texts, height, _indent(layout))[0]
        column = Box(left, box.top, left + across, box.bottom)
        write(canvas, column, texts, height, [LIGHT] * len(texts), _indent(layout))
        for row, entry in enumerate(entries[at : at + len(texts)]):
            _swatch(canvas, left + PAD * height, baseline(column, row, height) - height / 2.0, height, entry)
        left, at = left + across, at + len(texts)


def _swatch(canvas: np.ndarray, left: float, y: float, height: float, entry: Entry) -> None:
    width = SWATCH_WIDTH * height
    line = np.array([[[left, y], [left + SWATCH * height, y]]])
    if entry.disc:
        draw_disc(canvas, fixed(line.mean((0, 1))), 0.45 * height, entry.colour)
        return
    if entry.dashed:
        line = dashes(line, 0.4 * width)
    draw_segments(canvas, fixed(line), RIM, width + 2.0)
    draw_segments(canvas, fixed(line), entry.colour, width)
