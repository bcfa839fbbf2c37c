"""Names beside people, each with a line to what it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pose_viz.drawing.placing import Box, Wish, place_labels
from pose_viz.drawing.text import TEXT_MIN, panel_size, text_height, write
from pose_viz.palette import Colour
from pose_viz.shapes import RIM, draw_disc, draw_segments, fixed

SHRUNK = (1.0, 0.85, 0.7, 0.6)
"""Sizes of the text, over the usual one, that are tried until all names have a place."""
GAP, REACH = 0.3, 2.0
"""Between two labels, and between them and the person, over the height of capital letters."""
WIDEST = 0.4
"""Share of the image's width that a label may have: in a tiny image there are none."""
THIN, DOT = 0.16, 0.45
"""Width of the line to a name and radius of its dot, over the width of a bone."""


@dataclass(frozen=True)
class Label:
    """A name in a picture."""

    text: str
    box: Box


class Name(NamedTuple):
    """What is to be named."""

    text: str
    at: tuple[float, float]
    """Point in pixels."""
    colour: Colour


class Subject(NamedTuple):
    """A person with names, the most important first."""

    names: Sequence[Name]
    body: Box
    bone_width: float


def draw_labels(
    canvas: np.ndarray, subjects: Sequence[Subject], faces: Sequence[Box]
) -> tuple[list[Label], int]:
    """Write everybody's names in letters of one size, off faces and off one another; and how many found no room.

    Of points outside the image no name is written.
    """
    width, height = canvas.shape[1], canvas.shape[0]
    shown = [
        subject._replace(names=[name for name in subject.names if _inside(name.at, width, height)])
        for subject in subjects
    ]
    best: list[list[Box | None]] = []
    size = 0.0
    for share in SHRUNK:
        letters = max(text_height(canvas) * share, TEXT_MIN)
        places = _places(shown, letters, (width, height), faces)
        if not best or _missing(places) < _missing(best):
            best, size = places, letters
        if not _missing(best):
            break
    pairs = [
        (subject, name, box)
        for subject, boxes in zip(shown, best, strict=True)
        for name, box in zip(subject.names, boxes, strict=True)
        if box is not None
    ]
    for subject, name, box in pairs:
        _draw_leader(canvas, name, box, subject.bone_width)
    for _, name, box in pairs:
        write(canvas, box, [name.text], size, [name.colour])
    return [Label(name.text, box) for _, name, box in pairs], _missing(best)


def _places(
    subjects: Sequence[Subject], letters: float, image: tuple[int, int], faces: Sequence[Box]
) -> list[list[Box | None]]:
    taken = list(faces)
    places = []
    for subject in subjects:
        wishes = [Wish(name.at, panel_size([name.text], letters)) for name in subject.names]
        fitting = [wish for wish in wishes if wish.size[0] <= WIDEST * image[0]]
        found = iter(place_labels(fitting, subject.body.grown(REACH * letters), image, taken, GAP * letters))
        boxes = [next(found) if wish.size[0] <= WIDEST * image[0] else None for wish in wishes]
        taken += [box for box in boxes if box is not None]
        places.append(boxes)
    return places


def _missing(places: Sequence[Sequence[Box | None]]) -> int:
    return sum(box is None for boxes in places for box in boxes)


def _inside(point: tuple[float, float], width: int, height: int) -> bool:
    return 0.0 <= point[0] < width and 0.0 <= point[1] < height


def _draw_leader(canvas: np.ndarray, name: Name, box: Box, bone_width: float) -> None:
    """A thin line from a label to its point, with a dot there."""
    x, y = name.at
    edge = min(max(x, box.left), box.right)
    line = fixed(np.array([[[edge, (box.top + box.bottom) / 2.0], [x, y]]]))
    thin = max(THIN * bone_width, 1.0)
    draw_segments(canvas, line, RIM, thin + 1.0)
    draw_segments(canvas, line, name.colour, thin)
    draw_disc(canvas, line[0, 1], DOT * bone_width, RIM)
