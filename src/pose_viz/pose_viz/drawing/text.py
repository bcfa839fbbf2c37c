"""Text in pictures: real letters at any size, in the font that matplotlib brings along (DejaVu Sans)."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font

from pose_viz.drawing.placing import Box
from pose_viz.palette import Colour, bgr255

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
POINTS_DPI = 72
"""At which a point is a pixel."""
CAPITAL = 0.73
"""Height of a capital letter over the size of the font."""
TEXT_PER_IMAGE = 0.0095
"""Height of capital letters over the longer side of the image, at least `TEXT_MIN` pixels."""
TEXT_MIN = 7.0
PANEL: Colour = (0.08, 0.08, 0.08)
"""Behind text."""
PANEL_ALPHA = 0.72
PAD = 0.6
"""Room around text over the height of its capital letters."""
LINE = 1.9
"""Distance of lines, likewise."""
CACHED = 512
"""Words kept as pixels: those of a legend and of the names of all bones, at a few sizes."""


def text_height(canvas: np.ndarray) -> float:
    """Height of capital letters in pixels that an image of that size asks for."""
    return max(TEXT_PER_IMAGE * max(canvas.shape[:2]), TEXT_MIN)


@cache
def _font() -> FT2Font:
    return FT2Font(str(FONT))


@lru_cache(CACHED)
def _letters(text: str, height: float) -> tuple[np.ndarray, int]:
    """Coverage (h, w) uint8 of a text whose capital letters have `height` pixels, and how many rows are above the baseline."""
    font = _font()
    font.set_size(height / CAPITAL, POINTS_DPI)
    font.set_text(text, 0.0)
    font.draw_glyphs_to_bitmap(antialiased=True)
    coverage = np.array(font.get_image(), np.uint8)
    above = coverage.shape[0] - round(font.get_descent() / 64)
    coverage.flags.writeable = False  # shared by all who ask
    return coverage, above


def text_width(text: str, height: float) -> int:
    """Pixels that a line takes whose capital letters have `height` pixels."""
    return int(_letters(text, height)[0].shape[1])


def panel_size(lines: list[str], height: float, indent: float = 0.0) -> tuple[int, int]:
    """Width and height of lines on their panel, in pixels; `indent`: room before each line."""
    widest = max((text_width(line, height) for line in lines), default=0)
    across = widest + indent + 2.0 * PAD * height
    down = (len(lines) - 1) * LINE * height + height + 2.0 * PAD * height
    return int(np.ceil(across)), int(np.ceil(down))


def baseline(box: Box, row: int, height: float) -> float:
    """y of the line with that number on a panel."""
    return box.top + (PAD + 1.0) * height + row * LINE * height


def write(
    canvas: np.ndarray,
    box: Box,
    lines: list[str],
    height: float,
    colours: list[Colour],
    indent: float = 0.0,
) -> None:
    """Draw lines and the panel behind them in a box of `panel_size`; `colours`: of each line."""
    fill(canvas, box)
    for row, (line, colour) in enumerate(zip(lines, colours, strict=True)):
        coverage, above = _letters(line, height)
        left = round(box.left + PAD * height + indent)
        _stamp(canvas, coverage, left, round(baseline(box, row, height)) - above, colour)


def fill(canvas: np.ndarray, box: Box) -> None:
    """Darken the panel of a text."""
    left, top, right, bottom = (max(round(side), 0) for side in box)
    panel = canvas[top:bottom, left:right]
    if panel.size:
        colour = np.full_like(panel, bgr255(PANEL))
        cv2.addWeighted(colour, PANEL_ALPHA, panel, 1.0 - PANEL_ALPHA, 0.0, dst=panel)


def _stamp(canvas: np.ndarray, coverage: np.ndarray, left: int, top: int, colour: Colour) -> None:
    """Blend a colour into the canvas as far as it is covered; what sticks out is cut off."""
    rows, columns = coverage.shape
    x, y = max(left, 0), max(top, 0)
    right, bottom = min(left + columns, canvas.shape[1]), min(top + rows, canvas.shape[0])
    if x >= right or y >= bottom:
        return
    part = canvas[y:bottom, x:right]
    share = coverage[y - top : bottom - top, x - left : right - left, None].astype(np.float32) / 255.0
    part[:] = np.rint(part + share * (np.array(bgr255(colour), np.float32) - part)).astype(np.uint8)
