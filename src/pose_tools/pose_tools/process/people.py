"""Everybody in 2D, image by image, as often as it is wanted: from detections that were kept, or from a bag."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pose2d_node.detection import Detection
from pose2d_node.estimator import Pose2DEstimator, Sight
from pose2d_node.params import Pose2DParams
from pose2d_node.tracker import Tracker
from pose_core.people import People2D, People3D
from pose_tools.process.detection import Sights


@dataclass(frozen=True)
class Seen:
    """Everybody in one image in 2D, and the detector's own 3D of them where it is known."""

    people: People2D
    world: People3D | None


class Sighting(ABC):
    """Everybody in 2D with stamps that increase. One that is made of what was kept can be sent to another process."""

    dropped: int = 0
    """Images left out by the last pass, because they cannot be used or their stamps do not increase."""

    @abstractmethod
    def images(self) -> Iterator[Seen]:
        """All images from the first on."""


class Tracked(Sighting):
    """Detections with ids, as the 2D stage gives them."""

    def __init__(self, parts: Callable[[], Iterable[Sights]], params: Pose2DParams, frame_id: str) -> None:
        """`parts`: gives what was seen, segment by segment, from the first on."""
        self._parts, self._params, self._frame_id = parts, params, frame_id

    def images(self) -> Iterator[Seen]:
        self.dropped = 0
        tracker = Tracker(self._params.max_track_gap, self._params.min_track_similarity)
        estimator = Pose2DEstimator(_HasLooked(), tracker)
        last = -1
        for part in self._parts():
            self.dropped += int(part.bad)
            for sight in sights_of(part):
                if sight.stamp <= last:
                    self.dropped += 1
                    continue
                last = sight.stamp
                estimate = estimator.track(sight, self._frame_id)
                yield Seen(estimate.people, estimate.world)


def sights_of(part: Sights) -> Iterator[Sight]:
    """Each image, as the tracker takes it."""
    bounds = np.searchsorted(part.image, np.arange(len(part.stamps) + 1))
    for number, stamp in enumerate(part.stamps.tolist()):
        width, height = part.size[number].tolist()
        people = [
            Detection(part.xy_px[i], part.confidence[i], part.world[i], part.box_px[i], float(part.score[i]))
            for i in range(bounds[number], bounds[number + 1])
        ]
        yield Sight(stamp, width, height, people, (0, 0), 0, "")


class _HasLooked:
    """The detector of an estimator that is only handed what was seen before."""

    device, restarts, restart_reason, inference = "", 0, "", (0, 0)

    def detect(self, stamp: int, bgr: np.ndarray) -> list[Detection]:
        raise ValueError(f"the image of {stamp} ns was looked at before; hand over what was seen")

    def close(self) -> None:
        """There is nothing to free."""
