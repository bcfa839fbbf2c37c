"""Images that a camera took and that never arrived: a driver publishes a CameraInfo for each image, with its stamp."""

from __future__ import annotations

import threading
from collections import deque

from pose_core.units import NS_PER_S

GRACE = 3
"""Newer images after which one that has not come is lost: images overtake each other rarely."""

WAITING = 90
"""Announced images that may be under way; more, and the oldest is lost, as where no images come at all."""

RECENT = 150
"""Images that `share` looks back on."""

BACK = NS_PER_S
"""ns by which a stamp must go back for a recording to have begun again."""


class LostImages:
    """Counts them by stamps (ns), which may come in any order, from any thread: `announced`, `arrived` and `lost` ones.

    As long as no image has had the stamp of a CameraInfo, the two have nothing to do with each other, and nothing is lost.
    """

    def __init__(self) -> None:
        self.lost = self.announced = self.arrived = 0
        self._lock = threading.Lock()
        self._announced: deque[int] = deque()
        self._arrived: deque[int] = deque(maxlen=WAITING)
        self._outcomes: deque[bool] = deque(maxlen=RECENT)
        self._paired = False

    def announce(self, stamp: int) -> None:
        """A CameraInfo came."""
        with self._lock:
            self.announced += 1
            self._begin_again(stamp, self._announced)
            if stamp in self._arrived:
                self._pair(stamp)
                return
            self._announced.append(stamp)
            if len(self._announced) > WAITING:
                self._announced.popleft()
                self._lose(1)

    def arrive(self, stamp: int) -> None:
        """An image came."""
        with self._lock:
            self.arrived += 1
            self._begin_again(stamp, self._arrived)
            self._arrived.append(stamp)
            if stamp in self._announced:
                self._announced.remove(stamp)
                self._pair(stamp)
            if len(self._arrived) < GRACE:
                return
            newest = sorted(self._arrived)[-GRACE:][0]
            late = [announced for announced in self._announced if announced < newest]
            for announced in late:
                self._announced.remove(announced)
            self._lose(len(late))

    @property
    def share(self) -> float:
        """Of the last `RECENT` images that were announced, or as many as there were, the share that was lost."""
        with self._lock:
            return 1.0 - sum(self._outcomes) / len(self._outcomes) if self._outcomes else 0.0

    @property
    def recent(self) -> int:
        """How many images `share` is of."""
        return len(self._outcomes)

    def _pair(self, stamp: int) -> None:
        if not self._paired:  # what was announced before was not yet listened for
            self._announced = deque(later for later in self._announced if later > stamp)
        self._paired = True
        self._outcomes.append(True)

    def _lose(self, count: int) -> None:
        if self._paired:
            self.lost += count
            self._outcomes.extend([False] * count)

    def _begin_again(self, stamp: int, heard: deque[int]) -> None:
        if heard and stamp < max(heard) - BACK:
            self._announced.clear()
            self._arrived.clear()
