"""The stages as plain objects over a whole recording: who is who, lifted, refined.

Live and here the same objects work on the same images in the same order; what differs is that the refined result knows the whole
recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from lift3d_node.intrinsics import Intrinsics
from lift3d_node.pipeline import PeopleLifter
from pose_core.callbacks import Progress
from pose_core.people import JointState, People3D
from pose_core.sequence import ARRAYS, PoseSequence
from pose_tools.process.people import Seen, Sighting
from refine_node import recording
from refine_node.network_refiner import NetworkRefiner
from refine_node.params import RefineParams
from refine_node.refiners import REFINERS
from refine_node.refiners.kalman import Kalman

PART = 500
"""Images whose people are kept as objects before they become arrays."""


@dataclass(frozen=True)
class Track:
    """One person from the first image that shows them to the last one, all arrays over the same stamps."""

    id: str
    seen: PoseSequence
    """2D, pixels, as detected."""
    world: PoseSequence | None
    """The detector's own 3D; None where it is not known."""
    lifted: PoseSequence
    images: int
    """Images that show the person."""

    @property
    def seconds(self) -> float:
        """From the first to the last of them."""
        return self.seen.duration


@dataclass(frozen=True)
class Lifted:
    """All people of a recording."""

    stamps: np.ndarray  # (T,) int64, ns, of all images
    skeleton: str
    """Of the lifted people; empty without people."""
    frame_id: str
    tracks: tuple[Track, ...]
    width: int
    height: int
    """Of the first image, pixels."""


def lift(
    sighting: Sighting, stage: PeopleLifter, intrinsics: Intrinsics, watch: Callable[[int], None]
) -> Lifted:
    """Lift everybody with a `stage` that has lifted nobody yet. `watch` gets the number of images done.

    Raises ValueError for a lifter that cannot work on this.
    """
    images = _lifted(sighting, stage, intrinsics)
    kept = _Kept()
    size, frame_id, done = (0, 0), "", 0
    while part := list(islice(images, PART)):
        kept.add(part)
        first = part[0][0].people
        size = size if size[0] else (first.width, first.height)
        frame_id = first.frame_id
        done += len(part)
        watch(done)
    return Lifted(kept.stamps(), kept.skeleton, frame_id, kept.tracks(), *size)


def _lifted(
    sighting: Sighting, stage: PeopleLifter, intrinsics: Intrinsics
) -> Iterator[tuple[Seen, People3D]]:
    for seen in sighting.images():
        stage.check(seen.people)
        world = seen.world if stage.lifter.uses_world else None
        if stage.lifter.uses_world:
            if seen.world is None:
                raise ValueError(
                    f"lifter '{stage.lifter.name}' needs the detector's own 3D, which the input does not hold; choose another one"
                )
            stage.check_world(seen.world)
        camera = intrinsics.of(seen.people.width, seen.people.height)
        yield seen, stage.process(seen.people, world, camera)


class _Kept:
    """Collects people as arrays: a person who is there for an hour is three of them, not a hundred thousand objects."""

    def __init__(self) -> None:
        self.skeleton = ""
        self._stamps: list[np.ndarray] = []
        self._pieces: dict[str, list[tuple[int, PoseSequence, PoseSequence | None, PoseSequence]]] = {}
        self._images = 0

    def add(self, part: Sequence[tuple[Seen, People3D]]) -> None:
        """Take the next images."""
        flat = [seen.people for seen, _ in part]
        worlds = [seen.world for seen, _ in part if seen.world is not None]
        solid = [people for _, people in part]
        self.skeleton = solid[0].skeleton
        self._stamps.append(np.array([people.stamp for people in flat], np.int64))
        ids = dict.fromkeys(person.id for people in flat for person in people.people)
        for id in ids:
            known = len(worlds) == len(part) and any(one.id == id for world in worlds for one in world.people)
            world = PoseSequence.from_people(worlds, id) if known else None
            piece = (
                self._images,
                PoseSequence.from_people(flat, id),
                world,
                PoseSequence.from_people(solid, id),
            )
            self._pieces.setdefault(id, []).append(piece)
        self._images += len(part)

    def stamps(self) -> np.ndarray:
        """(T,) of all images so far."""
        return np.concatenate([np.zeros(0, np.int64), *self._stamps])

    def tracks(self) -> tuple[Track, ...]:
        """Everybody, in the order in which they appeared."""
        stamps = self.stamps()
        return tuple(self._track(id, pieces, stamps) for id, pieces in self._pieces.items())

    @staticmethod
    def _track(
        id: str, pieces: list[tuple[int, PoseSequence, PoseSequence | None, PoseSequence]], stamps: np.ndarray
    ) -> Track:
        seen = joined([(start, flat) for start, flat, _, _ in pieces], stamps)
        lifted = joined([(start, solid) for start, _, _, solid in pieces], stamps)
        worlds = [(start, world) for start, _, world, _ in pieces if world is not None]
        world = joined(worlds, stamps) if len(worlds) == len(pieces) else None
        shown = np.flatnonzero(np.isfinite(seen.person_confidence))
        span = slice(int(shown[0]), int(shown[-1]) + 1)
        return Track(id, seen[span], None if world is None else world[span], lifted[span], len(shown))


def joined(pieces: Sequence[tuple[int, PoseSequence]], stamps: np.ndarray) -> PoseSequence:
    """One sequence over all `stamps` from pieces of it and the rows at which they start; missing between them."""
    example = pieces[-1][1]
    arrays: dict[str, Any] = {name: _blank(name, getattr(example, name), len(stamps)) for name in ARRAYS}
    for start, piece in pieces:
        for name, array in arrays.items():
            array[start : start + len(piece)] = getattr(piece, name)
    return replace(example, **(arrays | {"stamps": stamps}))


def _blank(name: str, example: np.ndarray, frames: int) -> np.ndarray:
    empty = {"state": JointState.MISSING, "confidence": 0.0, "stamps": 0}
    return np.full((frames, *example.shape[1:]), empty.get(name, np.nan), example.dtype)


def hidden(sequence: PoseSequence, visibility_min: float) -> PoseSequence:
    """The sequence without the joints whose confidence is below `visibility_min`."""
    out = sequence.confidence < visibility_min
    return replace(
        sequence,
        xyz=np.where(out[..., None], np.nan, sequence.xyz),
        std=np.where(out, np.nan, sequence.std),
        confidence=np.where(out, 0.0, sequence.confidence),
        state=np.where(out, JointState.MISSING, sequence.state).astype(np.uint8),
    )


def is_offline(params: RefineParams) -> bool:
    """Whether the refiner can use the whole recording for each frame."""
    return issubclass(REFINERS.get(params.refiner), (Kalman, NetworkRefiner))


def refine(lifted: PoseSequence, params: RefineParams, progress: Progress) -> PoseSequence:
    """The person refined with all of the recording known, or, by a refiner that cannot use that, as live.

    Raises ValueError where nothing of the person was believed.
    """
    with_all = recording.smooth if is_offline(params) else recording.refine_live
    refined = with_all(lifted, params, progress)
    if refined.missing.all():
        raise ValueError(
            f"nothing of person '{lifted.person}' was believed; look at the video and the height"
        )
    return refined
