"""Everybody in a scene, refined: one state per person, gaps bridged, jumps gated, bones held at their lengths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from pose_core.people import JointState, People3D, Person3D, ScaleSource, with_missing
from pose_core.skeleton import SKELETONS
from refine_node.bones import BoneLengths, BoneTree
from refine_node.params import RefineParams
from refine_node.refiner import Refiner
from refine_node.refiners import REFINERS

SECOND = 1_000_000_000
UNKNOWN_STD = 0.1
"""Metres; standard deviation of a position that comes without one."""
MIN_STD = 1e-3
"""Metres; no estimate of a body is better, and a filter cannot take 0."""
EXTENT = (0.05, 4.0)
"""Metres between which the largest extent of a body or hand lies; a person within needs no closer look."""
MEDIAN_BONE = (0.002, 1.0)
"""Metres between which the median bone of a body or hand lies: 0.03 of a hand, 0.1 to 0.3 of a body."""
SCALE_CHANGE = 1e-3
"""Relative change of a stated height above which the metric scale counts as another one."""


class Track:
    """What is known of one person."""

    def __init__(self, refiner: Refiner, bones: BoneLengths, person: Person3D, stamp: int) -> None:
        joints = len(person.state)
        self.refiner = refiner
        self.bones = bones
        self.person = person
        """As last believed."""
        self.seen = stamp
        """When that was, ns."""
        self.missed = False
        """Whether there have been frames since then."""
        self.joint_seen = np.full(joints, stamp, np.int64)
        """(J,) when each joint was last believed, ns; means nothing for a joint that the refiner does not know."""
        self.joint_confidence = np.zeros(joints)
        """(J,) confidence at that time."""
        self.jump: tuple[Person3D, int] | None = None
        """The latest view of the person that was not believed, and its stamp."""
        self.jumps = 0
        """How many of them in a row agree."""


class PeopleRefiner:
    """Refines people, message by message, in the order of their stamps.

    A person who is not seen, or seen where they cannot be, is predicted for less than `max_gap` seconds, with growing
    standard deviations and confidence that falls to 0; so is a joint. Then the joint is missing and the person gone;
    their bone lengths are kept for `forget_after` seconds. A jump that `gate_frames` frames agree on is believed. A
    stamp that goes back, another frame or another skeleton resets everything.
    """

    def __init__(self, params: RefineParams) -> None:
        """Raises ValueError for an unknown refiner."""
        self.params = params
        self._kind = REFINERS.get(params.refiner)
        self._tracks: dict[str, Track] = {}
        self._source: tuple[str, str] | None = None
        self.last_stamp: int | None = None
        """ns of the latest people; the same stamp does not come twice."""
        self.bridged = 0
        """People predicted so far, counted per frame."""
        self.resets: Counter[str] = Counter()
        """Filters restarted so far, by reason."""
        self.wrong_units: dict[str, str] = {}
        """By id, a sentence for each person of the latest frame who was left out because of their size."""

    def retune(self, params: RefineParams) -> None:
        """Use other parameters from now on; filters restart, bone lengths are kept. Raises ValueError, then unchanged."""
        self._kind = REFINERS.get(params.refiner)
        self.params = params
        for track in self._tracks.values():
            track.refiner = self._kind(params, track.refiner.skeleton)
            track.bones.params = params

    def reset(self, person: str = "") -> list[str]:
        """Forget a person, or everybody; returns the ids of whom."""
        gone = [id for id in self._tracks if person in ("", id)]
        for id in gone:
            del self._tracks[id]
        return gone

    def settled(self) -> dict[str, tuple[int, int]]:
        """Settled bones, and bones, of each person."""
        return {id: (int(t.bones.settled.sum()), len(t.bones.settled)) for id, t in self._tracks.items()}

    def contradictions(self) -> dict[str, list[str]]:
        """What contradicts a person's bone lengths, for those of whom something does."""
        found = {id: track.bones.contradictions() for id, track in self._tracks.items()}
        return {id: sentences for id, sentences in found.items() if sentences}

    def process(self, people: People3D) -> People3D:
        """Everybody at the stamp of `people`: those seen, in their order, and then those predicted.

        Raises ValueError where the stamp is that of the previous call or an id comes twice.
        """
        stamp = people.stamp
        present = {person.id for person in people.people}
        if stamp == self.last_stamp:
            raise ValueError(f"people at {stamp} ns have been refined already; each stamp may come once")
        if len(present) < len(people.people):
            raise ValueError(
                f"people at {stamp} ns must have different ids, got {[p.id for p in people.people]}"
            )
        self._follow_source(people)
        self.last_stamp = stamp
        self.wrong_units = {}
        refined = [self._person(clean(person), stamp) for person in people.people]
        refined += self._absent(present, stamp)
        return replace(people, people=tuple(filter(None, refined)), delay=people.delay + self._kind.delay)

    def _follow_source(self, people: People3D) -> None:
        source = (people.frame_id, people.skeleton)
        if source != self._source:
            if self._source is not None:
                self._restart("another frame or skeleton")
            self._source, self._tree = source, BoneTree(SKELETONS.get(people.skeleton))
        if self.last_stamp is not None and people.stamp < self.last_stamp:
            self._restart("stamp went back")

    def _restart(self, reason: str) -> None:
        self.resets[reason] += 1
        self._tracks.clear()

    def _person(self, person: Person3D, stamp: int) -> Person3D | None:
        """A person who is in the image; None where nothing can be said."""
        track = self._tracks.get(person.id)
        if not self._plausible(person) or not (person.state != JointState.MISSING).any():
            return None if track is None else self._predicted(track, stamp)
        if track is None:
            refiner = self._kind(self.params, self._tree.skeleton)
            track = self._tracks[person.id] = Track(
                refiner, BoneLengths(self._tree, self.params), person, stamp
            )
        elif not self._believe(track, person, stamp):
            return self._predicted(track, stamp)
        track.person, track.seen, track.missed, track.jump, track.jumps = person, stamp, False, None, 0
        return self._finish(track, track.refiner.refine(person, stamp), stamp)

    def _absent(self, present: Iterable[str], stamp: int) -> list[Person3D | None]:
        """Predictions of those who are not in the image; forgets those who have long been away."""
        horizon = stamp - int(self.params.forget_after * SECOND)
        for id in [id for id, track in self._tracks.items() if track.seen < horizon and id not in present]:
            del self._tracks[id]
        return [self._predicted(track, stamp) for id, track in self._tracks.items() if id not in present]

    def _predicted(self, track: Track, stamp: int) -> Person3D | None:
        track.missed = True
        left = float(self._left(track.seen, stamp))
        predicted = track.refiner.predict(stamp) if left > 0.0 else None
        if predicted is None:
            return None
        self.bridged += 1
        return self._finish(track, replace(predicted, confidence=track.person.confidence * left), stamp)

    def _left(self, seen: int | np.ndarray, stamp: int) -> float | np.ndarray:
        """How much of `max_gap` is left since `seen`: 1 at once, 0 or less once it is used up."""
        return 1.0 - (stamp - seen) / max(self.params.max_gap * SECOND, 1.0)

    def _finish(self, track: Track, person: Person3D, stamp: int) -> Person3D:
        """Bound the predictions of joints, learn bone lengths and apply them."""
        predicted = person.state == JointState.PREDICTED
        shown = ~predicted & (person.state != JointState.MISSING)
        track.joint_seen[shown] = stamp
        track.joint_confidence[shown] = person.joint_confidence[shown]
        if predicted.any():
            left = self._left(track.joint_seen, stamp)
            person = replace(
                person,
                joint_confidence=np.where(predicted, track.joint_confidence * left, person.joint_confidence),
            )
            lost = predicted & ~(person.joint_confidence > 0.0)
            if lost.any():
                person = with_missing(person, lost)
        if not self.params.bone_lengths:
            return person
        if shown.any():
            track.bones.observe(person, stamp)
        return replace(person, xyz=track.bones.enforce(person.xyz, person.std, stamp))

    def _plausible(self, person: Person3D) -> bool:
        """Whether the person has the size of one; a unit other than metres cannot be told from a giant in any other way."""
        if person.scale_source == ScaleSource.NONE:
            return True
        extent = np.fmax.reduce(np.fmax.reduce(person.xyz) - np.fmin.reduce(person.xyz))
        if EXTENT[0] < extent < EXTENT[1]:
            return True
        length, _ = self._tree.measure(person.xyz)
        length = length[np.isfinite(length)]
        median = float(np.median(length)) if len(length) else np.nan
        low, high = MEDIAN_BONE
        if not (median < low or median > high):
            return True
        self.wrong_units[person.id] = (
            f"the median bone of person '{person.id}' is {median:.3g} m long; "
            "positions must be in metres, is this another unit?"
        )
        return False

    def _believe(self, track: Track, person: Person3D, stamp: int) -> bool:
        """Whether a person known before may be where they are; restarts the filters where those cannot follow."""
        reason = ""
        if track.missed and self._left(track.seen, stamp) <= 0.0:
            reason = "gap"
        if self._scale_changed(track.person, person):
            reason = "another scale"
            self._rescale(track, person.height / track.person.height)
        if not reason and not self._near(person, track.person, stamp - track.seen):
            if track.refiner.predict(stamp) is None:
                return True
            agrees = track.jump is not None and self._near(person, track.jump[0], stamp - track.jump[1])
            track.jump, track.jumps = (person, stamp), track.jumps + 1 if agrees else 1
            if track.jumps < self.params.gate_frames:
                return False
            reason = "jump"
        if reason:
            self.resets[reason] += 1
            track.refiner.reset()
        return True

    @staticmethod
    def _scale_changed(before: Person3D, now: Person3D) -> bool:
        """Whether positions have another scale. A height that is estimated frame by frame does not say so, a stated one does."""
        if now.scale_source != before.scale_source:
            return True
        stated = now.scale_source in (ScaleSource.DEFAULT, ScaleSource.SUBJECT)
        return stated and abs(now.height / before.height - 1.0) > SCALE_CHANGE

    @staticmethod
    def _rescale(track: Track, ratio: float) -> None:
        """Bones keep their share of the height, or are learnt anew where that is not known."""
        if np.isfinite(ratio):
            track.bones.rescale(ratio)
        else:
            track.bones.reset()

    def _near(self, person: Person3D, other: Person3D, elapsed: int) -> bool:
        """Whether two views of a person `elapsed` ns apart can be of the same one; swapped joints do not matter."""
        shift = person.xyz - other.xyz
        std = np.hypot(person.root_std, other.root_std)
        reach = self.params.gate * std + self.params.max_speed * elapsed / SECOND
        if (np.fmax.reduce(np.abs(shift)) <= reach).all():
            return True
        shift = shift[~np.isnan(shift[:, 0])]
        return not len(shift) or bool((np.abs(np.median(shift, axis=0)) <= reach).all())


def clean(person: Person3D) -> Person3D:
    """`person` with incomplete joints missing and all other standard deviations usable."""
    there = (
        np.isfinite(person.xyz.sum(-1))
        & (person.joint_confidence > 0.0)
        & (person.state != JointState.MISSING)
    )
    usable = (person.std >= MIN_STD) & (person.std < np.inf)
    root_usable = (person.root_std >= MIN_STD) & (person.root_std < np.inf)
    if not (usable | ~there).all() or not root_usable.all():
        person = replace(person, std=_usable(person.std), root_std=_usable(person.root_std))
    return person if there.all() else with_missing(person, ~there)


def _usable(std: np.ndarray) -> np.ndarray:
    return np.maximum(np.where(np.isfinite(std), std, UNKNOWN_STD), MIN_STD)
