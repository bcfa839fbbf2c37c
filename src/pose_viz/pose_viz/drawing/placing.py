"""Where names and legends go: inside the image, off faces and people, and never over one another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

MOST = 0.3
"""Share of an image that a legend may take."""


class Box(NamedTuple):
    """A rectangle of an image, in pixels; right and bottom are just outside."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether they have any part in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def within(self, width: int, height: int) -> bool:
        """Whether it lies inside an image of that size."""
        return self.left >= 0 and self.top >= 0 and self.right <= width and self.bottom <= height

    def grown(self, margin: float) -> Box:
        """The same with `margin` pixels more on each side."""
        return Box(self.left - margin, self.top - margin, self.right + margin, self.bottom + margin)

    @classmethod
    def around(cls, xy_px: np.ndarray, margin: float = 0.0) -> Box | None:
        """What holds the points (N, 2) that are finite; None where none is."""
        known = xy_px[np.isfinite(xy_px).all(-1)]
        if not len(known):
            return None
        (left, top), (right, bottom) = known.min(0).tolist(), known.max(0).tolist()
        return cls(left, top, right, bottom).grown(margin)


class Wish(NamedTuple):
    """A label that wants a place."""

    at: tuple[float, float]
    """The point that it belongs to."""
    size: tuple[int, int]
    """Width and height of the label."""


def spread(wishes: Sequence[float], sizes: Sequence[float], low: float, high: float) -> list[float] | None:
    """Tops of labels below one another, each as near as can be to its wish in the sense of least squares.

    `wishes`: tops that labels want, in rising order. None where the labels together are higher than `low` to `high`.
    """
    starts = np.concatenate([[0.0], np.cumsum(sizes)[:-1]])
    room = high - low - float(np.sum(sizes))
    if room < 0.0:
        return None
    # Without their heights labels may touch but not pass one another: isotonic regression, neighbours that would are pooled.
    pools: list[tuple[float, int]] = []
    for wish in np.asarray(wishes) - starts:
        mean, count = float(wish), 1
        while pools and pools[-1][0] > mean:
            before, held = pools.pop()
            mean, count = (before * held + mean * count) / (held + count), held + count
        pools.append((mean, count))
    level = [min(max(mean, low), low + room) for mean, count in pools for _ in range(count)]
    return [top + start for top, start in zip(level, starts.tolist(), strict=True)]


def place_labels(
    wishes: Sequence[Wish],
    around: Box,
    image: tuple[int, int],
    taken: Iterable[Box],
    gap: float,
) -> list[Box | None]:
    """A place for each of the labels of one person, in columns left and right of the box `around` them.

    The half of the points that is to the left has its labels there, the other half to the right, each at about the height of its
    point.
    `image`: width and height. `taken`: boxes that no label may cover. Earlier wishes count more: the last are left out (None)
    where a column is full. Boxes lie inside the image and overlap neither one another nor what is taken.
    """
    occupied = list(taken)
    places: list[Box | None] = [None] * len(wishes)
    from_left = sorted(range(len(wishes)), key=lambda i: wishes[i].at[0])
    left = set(from_left[: len(wishes) // 2])
    for on_left in (True, False):
        chosen = [i for i in range(len(wishes)) if (i in left) == on_left]
        for i, box in _column(wishes, chosen, around, image, occupied, gap, on_left=on_left).items():
            places[i] = box
            occupied.append(box)
    return places


def _column(
    wishes: Sequence[Wish],
    chosen: list[int],
    around: Box,
    image: tuple[int, int],
    occupied: list[Box],
    gap: float,
    *,
    on_left: bool,
) -> dict[int, Box]:
    """Boxes of the labels `chosen` by their numbers; those without a place are left out."""
    width, height = image
    fitting = [i for i in chosen if wishes[i].size[0] <= width]
    while fitting:
        order = sorted(fitting, key=lambda i: wishes[i].at[1])
        sizes = [wishes[i].size[1] + gap for i in order]
        # The gap counts with each label, so half of one stands above the first.
        tops = spread(
            [wishes[i].at[1] - wishes[i].size[1] / 2.0 for i in order], sizes, -gap / 2.0, height + gap / 2.0
        )
        if tops is not None:
            return _free(
                {
                    i: _beside(wishes[i].size, top + gap / 2.0, around, width, gap, on_left=on_left)
                    for i, top in zip(order, tops, strict=True)
                },
                image,
                occupied,
                gap,
            )
        fitting = fitting[:-1]
    return {}


def _beside(size: tuple[int, int], top: float, around: Box, width: int, gap: float, *, on_left: bool) -> Box:
    across, down = size
    left = around.left - gap - across if on_left else around.right + gap
    left = min(max(left, 0.0), width - across)
    return Box(left, top, left + across, top + down)


def _free(boxes: dict[int, Box], image: tuple[int, int], occupied: list[Box], gap: float) -> dict[int, Box]:
    """The boxes, those that would cover something moved down or up to the nearest free place, or left out."""
    kept: dict[int, Box] = {}
    for i, box in boxes.items():
        held = [*occupied, *kept.values()]
        step = box.bottom - box.top + gap
        shifts = sorted((n * step / 2.0 for n in range(-16, 17)), key=abs)
        tried = (Box(box.left, box.top + shift, box.right, box.bottom + shift) for shift in shifts)
        good = (one for one in tried if one.within(*image) and not any(one.overlaps(other) for other in held))
        if (place := next(good, None)) is not None:
            kept[i] = place
    return kept


def place_legend(
    sizes: Sequence[tuple[int, int]],
    image: tuple[int, int],
    taken: Sequence[Box],
    margin: float,
    before: Box | None = None,
) -> tuple[int, Box] | None:
    """Number of the first of `sizes` (width, height) that finds a place off all that is `taken`, and the place.

    A legend stays where it was `before` as long as it may. It has corners first, then borders, at most half of the width
    and `MOST` of the image. None where there is no such place.
    """
    width, height = image
    for number, (across, down) in enumerate(sizes):
        if 2 * across > width or down + 2 * margin > height or across * down > MOST * width * height:
            continue
        lefts = np.linspace(margin, width - margin - across, 9).tolist()
        tops = np.linspace(margin, height - margin - down, 9).tolist()
        corners = [(x, y) for y in (tops[-1], tops[0]) for x in (lefts[0], lefts[-1])]
        borders = [(x, y) for x in (lefts[0], lefts[-1]) for y in reversed(tops[1:-1])]
        borders += [(x, y) for y in (tops[-1], tops[0]) for x in lefts[1:-1]]
        spots = [*corners, *borders]
        if before is not None:
            spots.insert(0, (before.left, before.top))
        for x, y in spots:
            box = Box(x, y, x + across, y + down)
            if box.within(width, height) and not any(box.overlaps(other) for other in taken):
                return number, box
    return None
