"""Brings together what belongs to one image but comes on its own: the image, its people in 2D and in 3D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pose_core.people import People2D, People3D
from pose_core.units import NS_PER_S

T = TypeVar("T")
Image = TypeVar("Image")
"""An image, or what becomes one when it is drawn on."""

KEEP = 8
"""Images that wait for their people, and people for their image. Older ones are dropped."""
RECENT_NS = NS_PER_S
"""3D people are waited for as long as others came within this time."""
EARLY = 0.9
"""Share of the period between two frames that must have passed: stamps of real cameras jitter."""


@dataclass(frozen=True)
class Frame(Generic[Image]):
    """One image and the people in it. `people3d` is None where nobody computes them, or not in time."""

    image: Image
    people2d: People2D
    people3d: People3D | None


class Pairing(Generic[Image]):
    """Bounded buffers by exact stamp: the newest complete frame is handed out once, older ones go."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, as when the stamps go back."""
        self._images: dict[int, Image] = {}
        self._people2d: dict[int, People2D] = {}
        self._people3d: dict[int, People3D] = {}
        self._taken: int | None = None
        self._last_3d: int | None = None

    def due(self, stamp: int, rate: float) -> bool:
        """Whether a frame of `stamp` may be drawn, at most `rate` frames per second of image time; 0: all."""
        return self._taken is None or rate <= 0.0 or not 0 <= stamp - self._taken < EARLY * NS_PER_S / rate

    def put_image(self, stamp: int, image: Image) -> None:
        """An image has arrived."""
        self._put(self._images, stamp, image)

    def put_people2d(self, people: People2D) -> None:
        """2D people have arrived. A stamp that goes back starts anew."""
        if self._people2d and people.stamp < max(self._people2d):
            self.reset()
        if self._taken is not None and people.stamp < self._taken:
            self.reset()
        self._put(self._people2d, people.stamp, people)

    def put_people3d(self, people: People3D) -> None:
        """3D people have arrived."""
        self._last_3d = people.stamp
        self._put(self._people3d, people.stamp, people)

    def take(self, rate: float = 0.0) -> Frame[Image] | None:
        """The newest frame that is complete and due, or None."""
        pairs = sorted(s for s in self._images.keys() & self._people2d.keys() if self.due(s, rate))
        complete = [stamp for stamp in pairs if stamp in self._people3d or not self._expects_3d(stamp)]
        if complete:
            return self._hand_out(complete[-1])
        return self._hand_out(pairs[0]) if len(pairs) == KEEP else None

    def _expects_3d(self, stamp: int) -> bool:
        return self._last_3d is not None and abs(stamp - self._last_3d) <= RECENT_NS

    def _hand_out(self, stamp: int) -> Frame[Image]:
        frame = Frame(self._images[stamp], self._people2d[stamp], self._people3d.get(stamp))
        self._taken = stamp
        for waiting in (self._images, self._people2d, self._people3d):
            for old in [other for other in waiting if other <= stamp]:
                del waiting[old]
        return frame

    def _put(self, waiting: dict[int, T], stamp: int, item: T) -> None:
        if self._taken is not None and stamp <= self._taken:
            return
        waiting[stamp] = item
        while len(waiting) > KEEP:
            del waiting[min(waiting)]
