"""Who is who from image to image: ids that stay with a person and are never given twice.

Each person is expected where a constant-velocity Kalman filter of the middle of the torso puts it;
detections and expectations are paired so that the sum of similarities is greatest (Kuhn-Munkres,
`scipy.optimize.linear_sum_assignment`). Similarity mixes object keypoint similarity (the form of the COCO
keypoint challenge, https://cocodataset.org/#keypoints-eval) and the intersection over union of the boxes.

Measured on detections of Demo_MultiPerson (4 views, 2 people, 60 images per second and every 2nd, 4th, 8th
of them, with and without 5 % of bursts of 10 lost detections) and on two people of Demo_SinglePerson made
to walk through each other at 0.25 to 3 body heights per second: id switches, and in how many of 24 jumps of
the detector to another person the id wrongly stayed:

    this tracker                                             101    2
    the same without a motion model                          238    2
    the same, following the box's centre for the torso's      99    2
    the same, keypoints alone                                 90    1
    the same, tolerance growing by 0.3 per second            171    1
    the same, tolerance growing by 1.0 per second             44    2
    norfair-enough 2.4.3, ids at once, distance below 0.3    594    0
    norfair-enough 2.4.3, ids at once, distance below 0.6    461   13

A tolerance that grows faster keeps more ids over gaps and lends more of them to whoever stands near: of 24
such jumps within 0.17 s of absence 9 are taken for the same person here, 20 at 1.0 per second. Undisturbed,
Demo_MultiPerson has no switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np

from pose2d_node.detection import Detection
from pose_core.filtering.filters import ConstantVelocityKalman
from pose_core.skeleton import MEDIAPIPE33
from pose_core.units import NS_PER_S

KEYPOINT_TOLERANCE = 0.1
"""Standard deviation of a keypoint about its expected place, in diagonals of the person's box."""
TOLERANCE_GROWTH = 0.6
"""The same per second since the person was seen, in diagonals per second, until LONGEST_GROWTH."""
LONGEST_GROWTH = 0.5
LONGEST_PREDICTION = 0.3
"""Seconds: further ahead, nobody keeps a velocity."""
BOX_WEIGHT = 0.3
"""Share of the boxes in the similarity; the rest is the keypoints'."""
SAME_PERSON = 0.02
"""Keypoints as near as this to another person's (standard deviation, in diagonals) are a second detection
of that person."""
SAME_SIMILARITY = 0.5

ACCELERATION = 1.0
"""Root of the power spectral density of a torso's acceleration, in diagonals and seconds."""
TORSO_NOISE = 0.02
"""Standard deviation of a detected torso, in diagonals."""
TORSO_SPEED = 0.5
"""Standard deviation of the speed of somebody who was not there before, in diagonals per second."""

_TORSO = MEDIAPIPE33.indices("left_shoulder", "right_shoulder", "left_hip", "right_hip")


@dataclass
class Track:
    """A person: the last detection, its stamp, and the filter of the torso's motion."""

    id: str
    stamp: int
    seen: Detection
    motion: ConstantVelocityKalman

    def shift(self, stamp: int) -> np.ndarray:
        """(2,) pixels that the person is expected to have moved since it was seen."""
        expected, _ = self.motion.predict(min(stamp, self.stamp + round(LONGEST_PREDICTION * NS_PER_S)))
        return expected[0] - torso(self.seen)

    def tolerance(self, stamp: int) -> float:
        """Standard deviation of a keypoint about its expected place, in diagonals."""
        return KEYPOINT_TOLERANCE + TOLERANCE_GROWTH * min((stamp - self.stamp) / NS_PER_S, LONGEST_GROWTH)


def most_alike(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the (N, M) `table` of similarities whose sum is the largest, each in one pair at most."""
    if not table.size:
        return np.empty(0, int), np.empty(0, int)
    if min(table.shape) == 1:
        row, column = np.unravel_index([table.argmax()], table.shape)
        return row, column
    # Its import takes a fifth of a second of a start; one person never needs it.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table, maximize=True)
    return rows, columns


class Tracker:
    """Gives ids "p1", "p2", ... to detections of increasing stamps, or with a token "p1_TOKEN"."""

    def __init__(self, max_gap: float = 1.0, min_similarity: float = 0.2, token: str = "") -> None:
        """`max_gap`: seconds out of sight after which a person is forgotten.

        `min_similarity`: what is less like a person than that is another one. `token`: of the run, behind every id.
        """
        self._max_gap, self._min_similarity = round(max_gap * NS_PER_S), min_similarity
        self._numbers = count(1)
        self._ending = f"_{token}" if token else ""
        self._tracks: list[Track] = []
        self._stamp: int | None = None

    def reset(self) -> None:
        """Forget everybody; ids that were given stay used. For when time jumps."""
        self._tracks = []
        self._stamp = None

    def update(self, stamp: int, detections: list[Detection]) -> list[str]:
        """Ids of `detections`, in their order. Raises ValueError unless stamps increase."""
        if self._stamp is not None and stamp <= self._stamp:
            raise ValueError(
                f"stamps must increase, got {stamp} after {self._stamp}; reset the tracker when time jumps"
            )
        self._stamp = stamp
        self._tracks = [track for track in self._tracks if stamp - track.stamp <= self._max_gap]
        found = self._assign(stamp, detections)
        tracks = [found.get(i) or self._begin(stamp, seen) for i, seen in enumerate(detections)]
        for track, seen in zip(tracks, detections, strict=True):
            _follow(track, stamp, seen)
        return [track.id for track in tracks]

    def _assign(self, stamp: int, detections: list[Detection]) -> dict[int, Track]:
        """Tracks by the number of the detection that continues them."""
        table = np.zeros((len(self._tracks), len(detections)))
        for row, track in enumerate(self._tracks):
            shift, tolerance = track.shift(stamp), track.tolerance(stamp)
            table[row] = [similarity(track.seen, seen, shift, tolerance) for seen in detections]
        # What is too unlike must not take part: it would trade a good pair for two poor ones.
        table[table < self._min_similarity] = 0.0
        rows, columns = most_alike(table)
        return {int(j): self._tracks[i] for i, j in zip(rows, columns, strict=True) if table[i, j] > 0.0}

    def _begin(self, stamp: int, seen: Detection) -> Track:
        size = diagonal(seen)
        motion = ConstantVelocityKalman((ACCELERATION * size) ** 2, initial_speed_std=TORSO_SPEED * size)
        track = Track(f"p{next(self._numbers)}{self._ending}", stamp, seen, motion)
        self._tracks.append(track)
        return track


def distinct(detections: list[Detection]) -> list[Detection]:
    """`detections` without those that see a person a second time.

    Of two, the one with the higher score stays.
    """
    kept: list[Detection] = []
    for candidate in sorted(detections, key=lambda seen: -seen.score):
        if all(
            keypoint_similarity(other, candidate, np.zeros(2), SAME_PERSON) < SAME_SIMILARITY
            for other in kept
        ):
            kept.append(candidate)
    return [seen for seen in detections if any(seen is other for other in kept)]


def similarity(before: Detection, now: Detection, shift: np.ndarray, tolerance: float) -> float:
    """How alike two detections are, 0 to 1, when the first has moved by `shift` (2,) pixels."""
    boxes = intersection_over_union(before.box_px + np.concatenate([shift, shift]), now.box_px)
    return BOX_WEIGHT * boxes + (1.0 - BOX_WEIGHT) * keypoint_similarity(before, now, shift, tolerance)


def keypoint_similarity(before: Detection, now: Detection, shift: np.ndarray, tolerance: float) -> float:
    """Object keypoint similarity: mean over joints of exp(-d^2 / (2 tolerance^2)), d in diagonals of
    `before`'s box.

    Joints count by the geometric mean of their two confidences, so that guessed ones hardly matter.
    """
    weight = np.sqrt(before.confidence * now.confidence)
    total = weight.sum()
    if total == 0.0:
        return 0.0
    apart = np.nan_to_num(before.xy_px + shift - now.xy_px) / (diagonal(before) * tolerance)
    return float(weight @ np.exp(-0.5 * np.einsum("jc,jc->j", apart, apart)) / total)


def intersection_over_union(a: np.ndarray, b: np.ndarray) -> float:
    """Of two boxes (4,) x_min, y_min, x_max, y_max."""
    common = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0.0))
    together = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common
    return float(common / together) if together > 0.0 else 0.0


def diagonal(seen: Detection) -> float:
    """Of the person's box, pixels; at least one."""
    return max(float(np.linalg.norm(seen.box_px[2:] - seen.box_px[:2])), 1.0)


def torso(seen: Detection) -> np.ndarray:
    """(2,) pixels: mean of the shoulders and hips that are there, else the middle of the box."""
    corners = seen.xy_px[_TORSO]
    there = corners[~np.isnan(corners).any(1)]
    return there.mean(0) if len(there) else 0.5 * (seen.box_px[:2] + seen.box_px[2:])


def _follow(track: Track, stamp: int, seen: Detection) -> None:
    track.stamp, track.seen = stamp, seen
    track.motion.update(stamp, torso(seen)[None], np.array([TORSO_NOISE * diagonal(seen)]))
