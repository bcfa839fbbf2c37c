"""Colours: of body sides and of people, the same in markers, overlays and figures.

Hues are those of Okabe and Ito, "Color Universal Design" (2008), which people tell apart with any colour
vision. A colour is (red, green, blue) in 0..1.
"""

from __future__ import annotations

import re
import zlib
from functools import cache

Colour = tuple[float, float, float]

SIDES: dict[str, tuple[Colour, Colour]] = {
    "left": ((0.34, 0.71, 0.91), (0.00, 0.45, 0.70)),
    "right": ((0.96, 0.55, 0.18), (0.84, 0.37, 0.00)),
    "centre": ((0.93, 0.93, 0.93), (0.27, 0.27, 0.27)),
}
"""Colour of each side on a dark background or an image, and on white paper."""

PEOPLE: tuple[tuple[Colour, Colour], ...] = (
    ((0.10, 0.80, 0.58), (0.00, 0.62, 0.45)),
    ((0.91, 0.62, 0.80), (0.80, 0.47, 0.65)),
    ((0.94, 0.89, 0.26), (0.78, 0.68, 0.05)),
    ((0.70, 0.60, 0.95), (0.42, 0.33, 0.72)),
)
"""Colour of each person's box, label and curves, likewise; the fifth person has the first colour again."""

GROUPS: dict[str, Colour] = {
    "arms": (0.34, 0.71, 0.91),
    "legs": (0.84, 0.37, 0.00),
    "torso": (0.94, 0.89, 0.26),
    "face": (0.45, 0.20, 0.65),
}
"""Colour of each part of the body on an image."""

BONE: Colour = (0.25, 0.88, 0.42)
JOINT: Colour = (0.80, 0.10, 0.10)
"""Green bones and red joints, so light and so dark that whoever sees no red and green tells them apart."""

MASKED: Colour = (0.42, 0.42, 0.42)
"""Of bones and joints that a mask leaves out."""

TINT = 0.22
"""Share of a person's own colour in the colours of the sides; the first person is not tinted."""


def person_number(person: str) -> int:
    """A number from 0 for a person's id: `p1` -> 0, `p2` -> 1; for an id without a number, any fixed one."""
    digits = re.search(r"\d+$", person)
    return max(int(digits.group()) - 1, 0) if digits else zlib.crc32(person.encode())


@cache
def person_colour(person: str, *, paper: bool = False) -> Colour:
    """Colour of everything that says who it is."""
    return PEOPLE[person_number(person) % len(PEOPLE)][paper]


@cache
def side_colour(side: str, person: str = "", *, paper: bool = False) -> Colour:
    """Colour of a joint or bone by its side (as `pose_core.skeleton.side` says it), tinted by person."""
    colour = SIDES[side][paper]
    if not person or person_number(person) % len(PEOPLE) == 0:
        return colour
    own = person_colour(person, paper=paper)
    red, green, blue = ((1.0 - TINT) * a + TINT * b for a, b in zip(colour, own, strict=True))
    return red, green, blue


@cache
def bgr255(colour: Colour) -> tuple[int, int, int]:
    """`colour` as OpenCV wants it: (blue, green, red) in 0..255."""
    red, green, blue = (round(255 * c) for c in colour)
    return blue, green, red
