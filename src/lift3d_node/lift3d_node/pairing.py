"""Messages of one image that come on two topics, brought together by their stamps."""

from __future__ import annotations

from collections import deque

from pose_core.people import People2D, People3D

SIZE = 10
"""Messages of a topic that wait at most, as many as its quality of service keeps."""

Frame = tuple[People2D, People3D | None]


class Pairing:
    """People in 2D wait for the detector's 3D of the same image (exactly the same stamp), in whatever order they come.

    A frame that is complete ends the waiting of all older people: results keep their order.
    """

    def __init__(self, uses_world: bool) -> None:
        """`uses_world`: whether people wait at all."""
        self._uses_world = uses_world
        self._people: dict[int, People2D] = {}
        self._worlds: dict[int, People3D] = {}
        self._ready: deque[Frame] = deque()
        self._newest_people = self._newest_world = -1
        self._lost = 0

    def put_people(self, people: People2D) -> None:
        """Somebody's keypoints came. Those that wait are given up where the stamp goes back or too many wait."""
        if not self._uses_world:
            self._ready.append((people, None))
            return
        if people.stamp < self._newest_people:
            self._give_up(len(self._people))
        self._newest_people = people.stamp
        self._people.pop(people.stamp, None)
        self._people[people.stamp] = people
        self._match(people.stamp)
        self._give_up(len(self._people) - SIZE)

    def put_world(self, world: People3D) -> None:
        """The detector's 3D came."""
        if world.stamp < self._newest_world:
            self._worlds.clear()
        self._newest_world = world.stamp
        self._worlds.pop(world.stamp, None)
        self._worlds[world.stamp] = world
        self._match(world.stamp)
        while len(self._worlds) > SIZE:
            del self._worlds[next(iter(self._worlds))]

    def complete(self) -> int:
        """Number of complete frames that wait to be taken."""
        return len(self._ready)

    def take(self) -> list[Frame]:
        """The complete frames, oldest first."""
        frames = list(self._ready)
        self._ready.clear()
        return frames

    def take_lost(self) -> int:
        """Number of people messages given up since the last call, because no 3D came for them."""
        lost, self._lost = self._lost, 0
        return lost

    def _match(self, stamp: int) -> None:
        if stamp not in self._people or stamp not in self._worlds:
            return
        self._give_up(list(self._people).index(stamp))
        for older in list(self._worlds)[: list(self._worlds).index(stamp)]:
            del self._worlds[older]
        self._ready.append((self._people.pop(stamp), self._worlds.pop(stamp)))

    def _give_up(self, count: int) -> None:
        """Drop the `count` people that have waited longest."""
        for stamp in list(self._people)[: max(count, 0)]:
            del self._people[stamp]
            self._lost += 1
