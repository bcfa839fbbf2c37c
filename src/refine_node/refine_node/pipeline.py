"""Everybody in a scene, refined: one state per person, gaps bridged, jumps gated, bones held at their lengths."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pose_core.filtering.swaps import SwapRepair, exchanged_person
from pose_core.geometry.covariance import carried_on
from pose_core.people import (
    LONGEST_DELAY,
    MOST_PEOPLE,
    JointState,
    People3D,
    Person3D,
    ScaleSource,
    with_missing,
    with_std,
    within_reach,
)
from pose_core.skeleton import SKELETONS
from pose_core.statements import BodyOf, BodyStatement
from pose_core.units import NS_PER_S
from refine_node.bones import BoneLengths, BoneTree
from refine_node.params import RefineParams
from refine_node.refiner import Refiner
from refine_node.refiners import REFINERS

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
        self.swaps = SwapRepair(refiner.skeleton)
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
        self.shown: tuple[Person3D, int] | None = None
        """The person as last handed out from a frame that showed them, and its stamp."""
        self.adopted = False
        """Whether bones are from a statement that does not tell at which scale they were learnt."""
        self._body: tuple[int, BodyOf | None] = (-1, None)

    def body(self, id: str) -> BodyOf | None:
        """What is stated of the person's bones; None while none is settled. The same object until that changes."""
        revision, _ = self._body
        if revision != self.bones.revision:
            stated = self.bones.stated()
            height = math.nan if self.adopted else self.person.height
            body = (
                None
                if stated is None
                else BodyOf(self.refiner.skeleton.name, BodyStatement(id, *stated, height))
            )
            self._body = self.bones.revision, body
        return self._body[1]

    def adopt(self, body: BodyOf) -> None:
        """Take over what was stated of the person's bones, at the scale of today, unless these are another skeleton's."""
        if body.skeleton == self.refiner.skeleton.name:
            before = self.bones.revision
            ratio = self.person.height / body.body.height
            length = ratio * body.body.length if np.isfinite(ratio) else body.body.length
            self.bones.adopt(length, body.body.settled, self.seen)
            unknown = self.bones.revision != before and not np.isfinite(ratio)
            self.adopted = self.adopted or unknown


@dataclass
class Entry:
    """Somebody in a frame that is still to be handed out."""

    track: Track
    stamp: int
    seen: bool
    person: Person3D | None
    """As the frame itself told; a prediction of a person not seen, None where there is none."""
    done: bool = False
    """Whether `person` is what will be handed out: the filters have restarted since."""


class PeopleRefiner:
    """Refines people, message by message, in the order of their stamps.

    A person who is not seen, or seen where they cannot be, is predicted for less than `max_gap` seconds, with growing
    standard deviations and confidence that falls to 0; so is a joint. Then the joint is missing and the person gone;
    their bone lengths are kept for `forget_after` seconds. A jump that `gate_frames` frames agree on is believed. A
    stamp that goes back, another frame or another skeleton resets everything.

    With `look_ahead` frames are handed out so many frames later, in the light of those; a person who was not seen in between is
    interpolated. What has not been handed out when everything is reset never is.
    """

    def __init__(self, params: RefineParams) -> None:
        """Raises ValueError for an unknown refiner, or parameters that it cannot work with."""
        self.params = params
        self._kind = self._kind_of(params)
        self._tracks: dict[str, Track] = {}
        self._frames: deque[tuple[People3D, list[Entry]]] = deque()
        self._source: tuple[str, str] | None = None
        self._known: dict[str, tuple[BodyOf, int | None]] = {}
        """Of people who have not been seen since it was stated: their bodies, and the first stamp after that."""
        self.last_stamp: int | None = None
        """ns of the latest people; the same stamp does not come twice."""
        self.bridged = 0
        """People predicted so far, counted per frame."""
        self.resets: Counter[str] = Counter()
        """Filters restarted so far, by reason."""
        self.swapped = 0
        """People whose left and right, of all or some joints, were exchanged so far, counted per frame."""
        self.wrong_units: dict[str, str] = {}
        """By id, a sentence for each person of the latest frame who was left out because of their size."""

    def retune(self, params: RefineParams) -> None:
        """Use other parameters from now on; filters restart, bone lengths are kept. Raises ValueError, then unchanged."""
        skeleton = None if self._source is None else self._tree.skeleton
        kind = self._kind_of(params)
        kind.check(params, skeleton)
        for track in self._tracks.values():
            self._settle(track)
        self._kind, self.params = kind, params
        for track in self._tracks.values():
            track.refiner = self._kind(params, track.refiner.skeleton)
            track.bones.params = params

    def reset(self, person: str = "") -> list[str]:
        """Forget a person, or everybody; returns the ids of whom."""
        gone = [id for id in {**self._tracks, **self._known} if person in ("", id)]
        for id in gone:
            self._tracks.pop(id, None)
            self._known.pop(id, None)
        return gone

    def bodies(self) -> dict[str, BodyOf]:
        """By id, the settled bones of everybody who is not forgotten; the same objects until something changes."""
        own = None if self._source is None else self._source[1]
        found = {id: body for id, (body, _) in self._known.items() if own in (None, body.skeleton)}
        found |= {id: body for id, track in self._tracks.items() if (body := track.body(id)) is not None}
        return dict(list(found.items())[-MOST_PEOPLE:]) if len(found) > MOST_PEOPLE else found

    def adopt(self, bodies: Mapping[str, BodyOf]) -> None:
        """Take over what was stated of people, by id. Who is seen has those bones at once, others when they are seen first.

        Bodies of another skeleton than that of the people are left out; what has settled here stays.
        """
        for id, body in bodies.items():
            track = self._tracks.get(id)
            if track is not None:
                track.adopt(body)
            else:
                self._known[id] = body, None

    def settled(self) -> dict[str, tuple[int, int]]:
        """Settled bones, and bones, of each person."""
        return {id: (int(t.bones.settled.sum()), len(t.bones.settled)) for id, t in self._tracks.items()}

    def contradictions(self) -> dict[str, list[str]]:
        """What contradicts a person's bone lengths, for those of whom something does."""
        found = {id: track.bones.contradictions() for id, track in self._tracks.items()}
        return {id: sentences for id, sentences in found.items() if sentences}

    def check(self, people: People3D) -> None:
        """Raise ValueError where `people` cannot be refined: a stamp or an id that comes twice, a skeleton for other refiners."""
        stamp, ids = people.stamp, [person.id for person in people.people]
        if stamp == self.last_stamp:
            raise ValueError(f"people at {stamp} ns have been refined already; each stamp may come once")
        if len(set(ids)) < len(ids):
            raise ValueError(f"people at {stamp} ns must have different ids, got {ids}")
        self._kind.check(self.params, SKELETONS.get(people.skeleton))

    def process(self, people: People3D) -> People3D | None:
        """Everybody in the frame `look_ahead` before this one: those seen, in their order, and then those predicted.

        The stamp is that of the frame, `delay` says how long ago that is. None while there is no such frame. Raises ValueError
        as `check`.
        """
        self.check(people)
        self._follow_source(people)
        stamp = self.last_stamp = people.stamp
        self._forget_unseen(stamp)
        self.wrong_units = {}
        entries = [self._person(clean(person), stamp) for person in people.people]
        entries += self._absent({person.id for person in people.people}, stamp)
        self._frames.append((people, [entry for entry in entries if entry is not None]))
        return self._next() if len(self._frames) > self.params.look_ahead else None

    def flush(self) -> list[People3D]:
        """The frames that have not been handed out yet, at the end of a recording; the later, the less they look ahead."""
        return [self._next() for _ in range(len(self._frames))]

    def _next(self) -> People3D:
        """The oldest frame, as it is to be handed out."""
        people, entries = self._frames.popleft()
        here = {id(track) for track in self._tracks.values()}
        refined = [self._finished(entry) for entry in entries if id(entry.track) in here]
        waited = ((self.last_stamp or people.stamp) - people.stamp) / NS_PER_S
        seen_first = tuple(filter(None, refined))[
            :MOST_PEOPLE
        ]  # those who were seen stand before those predicted
        return replace(people, people=seen_first, delay=min(people.delay + waited, LONGEST_DELAY))

    @staticmethod
    def _kind_of(params: RefineParams) -> type[Refiner]:
        kind = REFINERS.get(params.refiner)
        kind.check(params)
        return kind

    def _follow_source(self, people: People3D) -> None:
        source = (people.frame_id, people.skeleton)
        if source != self._source:
            if self._source is not None:
                self._restart("another frame or skeleton")
            self._source, self._tree = source, BoneTree(SKELETONS.get(people.skeleton))
        if self.last_stamp is not None and people.stamp < self.last_stamp:
            self._restart("stamp went back")

    def _forget_unseen(self, stamp: int) -> None:
        """Forget the bodies of people who have not come for `forget_after` seconds since they were stated."""
        oldest = stamp - int(self.params.forget_after * NS_PER_S)
        since = {id: (body, stamp if first is None else first) for id, (body, first) in self._known.items()}
        self._known = {id: (body, first) for id, (body, first) in since.items() if first >= oldest}

    def _restart(self, reason: str) -> None:
        self.resets[reason] += 1
        self._known.clear()
        self._tracks.clear()
        self._frames.clear()

    def _person(self, person: Person3D, stamp: int) -> Entry | None:
        """A person who is in the image; None where nothing can be said."""
        track = self._tracks.get(person.id)
        if not self._plausible(person) or not (person.state != JointState.MISSING).any():
            return None if track is None else self._predicted(track, stamp)
        if track is None:
            refiner = self._kind(self.params, self._tree.skeleton)
            track = self._tracks[person.id] = Track(
                refiner, BoneLengths(self._tree, self.params), person, stamp
            )
            if person.id in self._known:
                track.adopt(self._known.pop(person.id)[0])
        elif not self._believe(track, person, stamp):
            return self._predicted(track, stamp)
        person = self._unswapped(track, person, stamp)
        track.person, track.seen, track.missed, track.jump, track.jumps = person, stamp, False, None, 0
        return Entry(track, stamp, True, track.refiner.refine(person, stamp))

    def _unswapped(self, track: Track, person: Person3D, stamp: int) -> Person3D:
        """A person who is believed, with left and right put right; joints that were exchanged say so by their state."""
        if not self.params.repair_swaps:
            track.swaps.reset()
            return person
        _, swapped = track.swaps.repair(stamp, person.xyz, person.joint_confidence, person.std)
        if not swapped.any():
            return person
        self.swapped += 1
        person = exchanged_person(person, track.swaps.skeleton, swapped)
        flagged = swapped & (person.state != JointState.MISSING)
        return replace(person, state=np.where(flagged, JointState.SWAPPED, person.state).astype(np.uint8))

    def _absent(self, present: Iterable[str], stamp: int) -> list[Entry]:
        """Predictions of those who are not in the image; forgets those who have long been away."""
        horizon = stamp - int(self.params.forget_after * NS_PER_S)
        for id in [id for id, track in self._tracks.items() if track.seen < horizon and id not in present]:
            del self._tracks[id]
        return [self._predicted(track, stamp) for id, track in self._tracks.items() if id not in present]

    def _predicted(self, track: Track, stamp: int) -> Entry:
        track.missed = True
        left = float(self._left(track.seen, stamp))
        predicted = track.refiner.predict(stamp) if left > 0.0 else None
        if predicted is not None:
            predicted = replace(predicted, confidence=track.person.confidence * left)
        return Entry(track, stamp, False, predicted)

    def _settle(self, track: Track) -> None:
        """Fix what has not been handed out of a person yet, before filters restart that know more about it."""
        for _, entries in self._frames:
            for entry in entries:
                if entry.track is track:
                    entry.person, entry.done = self._finished(entry), True

    def _finished(self, entry: Entry) -> Person3D | None:
        """What is handed out of somebody in a frame; None where nothing can be said."""
        track, person = entry.track, entry.person
        if entry.done or person is None:
            return person
        if entry.seen:
            if self.params.look_ahead:
                person = track.refiner.recall(entry.stamp) or person
            person = self._finish(track, person, entry.stamp)
            track.shown = person, entry.stamp
            return person
        between = self._between(entry, person)
        self.bridged += between is None
        return self._finish(track, between or person, entry.stamp)

    def _between(self, entry: Entry, predicted: Person3D) -> Person3D | None:
        """A person not seen, on the straight line between the frames before and after that show them; None without both."""
        track = entry.track
        after = next(
            (
                other
                for _, entries in self._frames
                for other in entries
                if other.track is track and other.seen and not other.done and other.stamp > entry.stamp
            ),
            None,
        )
        if track.shown is None or after is None:
            return None
        view = track.refiner.recall(after.stamp) or after.person
        return (
            None if view is None else interpolated(track.shown, (view, after.stamp), predicted, entry.stamp)
        )

    def _left(self, seen: int | np.ndarray, stamp: int) -> float | np.ndarray:
        """How much of `max_gap` is left since `seen`: 1 at once, 0 or less once it is used up."""
        return 1.0 - (stamp - seen) / max(self.params.max_gap * NS_PER_S, 1.0)

    def _finish(self, track: Track, person: Person3D, stamp: int) -> Person3D:
        """Bound the predictions of joints, learn bone lengths and apply them; what has left all reach is missing."""
        predicted = person.state == JointState.PREDICTED
        predicted |= (person.state == JointState.INTERPOLATED) & ~(person.joint_confidence > 0.0)
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
            return within_reach(person)
        if shown.any():
            track.bones.observe(person, stamp)
        return within_reach(replace(person, xyz=track.bones.enforce(person.xyz, person.std, stamp)))

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
            self._settle(track)
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
            self._settle(track)
            track.shown = None
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
        if np.isfinite(ratio) and not track.adopted:
            track.bones.rescale(ratio)
        else:
            track.bones.reset()
            track.adopted = False

    def _near(self, person: Person3D, other: Person3D, elapsed: int) -> bool:
        """Whether two views of a person `elapsed` ns apart can be of the same one; swapped joints do not matter."""
        shift = person.xyz - other.xyz
        std = np.hypot(person.root_std, other.root_std)
        reach = self.params.gate * std + self.params.max_speed * elapsed / NS_PER_S
        if (np.fmax.reduce(np.abs(shift)) <= reach).all():
            return True
        shift = shift[~np.isnan(shift[:, 0])]
        return not len(shift) or bool((np.abs(np.median(shift, axis=0)) <= reach).all())


def interpolated(
    before: tuple[Person3D, int], after: tuple[Person3D, int], predicted: Person3D, stamp: int
) -> Person3D:
    """A person at `stamp`, on the straight line between two views of them with their stamps (ns).

    A joint that either view lacks is as `predicted`.
    """
    (a, start), (b, end) = before, after
    share = (stamp - start) / (end - start)

    def between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return (1.0 - share) * one + share * other

    xyz, std = between(a.xyz, b.xyz), between(a.std, b.std)
    known = np.isfinite(xyz).all(-1) & np.isfinite(std)
    std = np.where(known, std, predicted.std)
    shape = predicted.covariance
    if shape is not None and a.covariance is not None:
        # That of the view before: the ray to a joint hardly turns in so short a time.
        shape = np.where(known[:, None], a.covariance, shape)
    return replace(
        predicted,
        confidence=(1.0 - share) * a.confidence + share * b.confidence,
        xyz=np.where(known[:, None], xyz, predicted.xyz),
        std=std,
        covariance=None if shape is None else carried_on(shape, std),
        root_std=between(a.root_std, b.root_std),
        joint_confidence=np.where(
            known, between(a.joint_confidence, b.joint_confidence), predicted.joint_confidence
        ),
        state=np.where(known, JointState.INTERPOLATED, predicted.state).astype(np.uint8),
    )


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
        person = replace(with_std(person, usable_std(person.std)), root_std=usable_std(person.root_std))
    return person if there.all() else with_missing(person, ~there)


def usable_std(std: np.ndarray) -> np.ndarray:
    """Standard deviations in metres as filters take them: known, and never 0."""
    return np.maximum(np.where(np.isfinite(std), std, UNKNOWN_STD), MIN_STD)
