"""The people of a bag as sequences: joints in 3D, angles and landmarks, one person at a time.

A bag is read once, message by message. What is kept of a message is what it says of each person, in the 32 bits it says it
with, some 700 bytes for 33 joints; sequences are made when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pose_core.angles import AngleSequence, PeopleAngles, PersonAngles
from pose_core.callbacks import Progress, Say
from pose_core.people import JointState, People2D, People3D, Person2D, Person3D
from pose_core.sequence import COVARIANCE, PoseSequence
from pose_core.skeleton import SKELETONS
from pose_core.units import S_PER_NS
from pose_ros import topics
from pose_ros.messages import names
from pose_ros.messages.reading import MalformedMessage, angles_from_msg, people2d_from_msg, people3d_from_msg
from pose_tools.bag.reader import BagMessage, read
from pose_tools.tilt import Tilt, recorded_tilt

SOLID = (topics.REFINED, topics.LIFTED)
"""Topics of people in 3D, the better one first."""
KINDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    topics.REFINED: (names.PEOPLE3D, people3d_from_msg),
    topics.LIFTED: (names.PEOPLE3D, people3d_from_msg),
    topics.ANGLES: (names.JOINT_ANGLES, angles_from_msg),
    topics.PEOPLE2D: (names.PEOPLE2D, people2d_from_msg),
}
"""Message type and conversion of each topic that is read."""
UNKNOWN_UP = np.full(3, np.nan)
EVERY = 200
"""Messages after which progress is told."""


@dataclass(frozen=True)
class BagPeople:
    """Everybody whom a bag shows in 3D, in the order in which they came."""

    path: Path
    topic: str
    """Full name of the topic that the joints are from."""
    stamps: np.ndarray
    """(T,) ns, of all images on it."""
    tilt: Tilt | None
    """Of the camera, as those who lifted knew it; None where they did not, and where it turned."""
    _joints: _Series
    _landmarks: _Series
    _angles: _Series

    @property
    def ids(self) -> tuple[str, ...]:
        """Of everybody."""
        return tuple(self._joints.people)

    def chosen(self, people: Sequence[str]) -> list[str]:
        """Ids of the wanted `people`, or everybody's. Raises ValueError for somebody who is not there."""
        unknown = [person for person in people if person not in self.ids]
        if unknown:
            raise ValueError(f"{self.path} shows no {', '.join(unknown)}; it shows {', '.join(self.ids)}")
        return list(dict.fromkeys(people)) or list(self.ids)

    def images(self, person: str) -> int:
        """How many images show them."""
        return len(self._joints.people[person])

    def seconds(self, person: str) -> float:
        """From the first image that shows them to the last."""
        shown = self._joints.people[person].rows["image"]
        return float(self.stamps[shown[-1]] - self.stamps[shown[0]]) * S_PER_NS

    def joints(self, person: str) -> PoseSequence:
        """In 3D, in the images from the first that shows the person to the last; missing where one does not."""
        series = self._joints
        return _sequence(series, person, _spread(series, person), 3, dict(series.about[person]))

    def landmarks(self, person: str) -> PoseSequence | None:
        """As detected, in pixels; None where the bag holds none of this person."""
        series = self._landmarks
        if person not in series.people:
            return None
        return _sequence(series, person, _spread(series, person), 2, {})

    def angles(self, person: str) -> AngleSequence | None:
        """As recorded, in the images that have some; None where the bag holds none of this person.

        Raises ValueError where the sequence of the pelvis was changed while they were recorded.
        """
        series = self._angles
        if person not in series.people:
            return None
        rows = series.people[person].rows
        stamps = np.array(series.stamps, np.int64)[rows["image"]]
        stated = series.pelvis_sequences[person]
        if len(stated) > 1:
            changed = " and ".join(sequence or "not stated" for sequence in stated)
            raise ValueError(
                f"{self.path} changes pelvis_sequence on {series.topic} while it shows '{person}': {changed}; cut it in two there"
            )
        (sequence,) = stated
        return AngleSequence(
            series.names,
            stamps,
            rows["angle"],
            rows["std"],
            rows["flags"],
            person,
            pelvis_sequence=sequence,
        )


def read_people(
    bag: Path,
    progress: Progress,
    warn: Say,
    *,
    namespace: str | None = None,
    landmarks: bool = True,
) -> BagPeople:
    """Everybody in a bag: their refined joints or, where there are none, the lifted ones, and what else it holds of them.

    `namespace`: of the robot, such as /robot1, where a bag has several. `landmarks`: whether those in 2D are wanted. A bag that
    was cut short is read up to its last whole chunk, and `warn` is told; as it is of messages that cannot be used. `progress`
    gets the number of messages. Raises FileNotFoundError, and ValueError for a bag that cannot be read, has no people in 3D on
    our topics or several robots, or shows nobody.
    """
    reader = _Reader(bag, namespace, landmarks)
    held: dict[str, None] = {}
    for number, message in enumerate(read(bag, warn=warn)):
        held[message.topic] = None
        reader.take(message)
        if number % EVERY == 0:
            progress(number, None)
    return reader.people(tuple(held), warn)


@dataclass
class _Series:
    """What one topic says, image by image and person by person."""

    topic: str = ""
    skeleton: str = ""
    frame_id: str = ""
    names: tuple[str, ...] = ()
    """Of angles."""
    stamps: list[int] = field(default_factory=list)
    up: list[np.ndarray] = field(default_factory=list)
    """(3,) of each image in 3D, NaN where it is not known."""
    people: dict[str, _Rows] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What else is known of a person."""
    pelvis_sequences: dict[str, dict[str, None]] = field(default_factory=dict)
    """Those that were stated of a person's angles, in their order."""
    unusable: int = 0
    """Messages that were left out."""
    fault: str = ""
    """What was wrong with the first of them."""


class _Rows:
    """Structured rows, of which there are more and more."""

    def __init__(self, kind: np.dtype[Any]) -> None:
        self._held = np.empty(8, kind)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> np.ndarray:
        """(N,) so far."""
        return self._held[: self._count]

    def add(self, row: tuple[Any, ...]) -> None:
        if self._count == len(self._held):
            self._held = np.concatenate([self._held, np.empty_like(self._held)])
        self._held[self._count] = row
        self._count += 1


class _Reader:
    """Sorts messages into series."""

    def __init__(self, bag: Path, namespace: str | None, landmarks: bool) -> None:
        self._bag = bag
        self._wanted = [topic for topic in KINDS if landmarks or topic != topics.PEOPLE2D]
        self._given = namespace
        self._namespace = (
            None if namespace is None else "/" + namespace.strip("/") if namespace.strip("/") else ""
        )
        self._series = {topic: _Series() for topic in KINDS}

    def take(self, message: BagMessage) -> None:
        """Raises ValueError for people of a second robot, and for another skeleton or other angles than before."""
        topic = next((t for t in self._wanted if message.topic.endswith(f"/{t}")), None)
        if topic is None or message.type != KINDS[topic][0]:
            return
        namespace = message.topic.removesuffix(f"/{topic}")
        if self._namespace is None and topic in SOLID:
            self._namespace = namespace
        if self._namespace is not None and namespace != self._namespace:
            if self._given is None and topic in SOLID:
                raise ValueError(
                    f"{self._bag} holds people of '{self._namespace or '/'}' and '{namespace}'; choose with --namespace"
                )
            return
        if topic == topics.LIFTED and self._series[topics.REFINED].stamps:
            return
        self._add(self._series[topic], topic, message)

    def people(self, held: tuple[str, ...], warn: Say) -> BagPeople:
        """What has been taken. Raises ValueError where that is nobody; `held`: the topics that the bag has."""
        solid = next((self._series[topic] for topic in SOLID if self._series[topic].stamps), None)
        if solid is None:
            for series in (self._series[topic] for topic in SOLID):
                if series.unusable:
                    raise ValueError(
                        f"no message on {series.topic} in {self._bag} can be used: {series.fault}"
                    )
            where = "" if self._given is None else f" in the namespace '{self._given}'"
            raise ValueError(
                f"{self._bag} has no people in 3D{where}, which would be on {' or '.join(SOLID)}; it has "
                f"{', '.join(sorted(held)) or 'no message'}; `pose replay` makes them of people in 2D"
            )
        if not solid.people:
            raise ValueError(f"{self._bag} shows nobody in its {len(solid.stamps)} images on {solid.topic}")
        for series in self._series.values():
            if series.unusable:
                warn(f"{series.unusable} messages on {series.topic} were left out; the first: {series.fault}")
        return BagPeople(
            path=self._bag,
            topic=solid.topic,
            stamps=np.array(solid.stamps, np.int64),
            tilt=recorded_tilt(np.array(solid.up)),
            _joints=solid,
            _landmarks=self._series[topics.PEOPLE2D],
            _angles=self._series[topics.ANGLES],
        )

    def _add(self, series: _Series, topic: str, message: BagMessage) -> None:
        _, convert = KINDS[topic]
        series.topic = message.topic
        try:
            people = convert(message.decode())
            if series.stamps and people.stamp <= series.stamps[-1]:
                raise MalformedMessage(f"{people.stamp} ns comes after {series.stamps[-1]} ns")
        except ValueError as error:
            series.unusable += 1
            series.fault = series.fault or str(error)
            return
        _expect_alike(self._bag, series, people)
        for person in people.people:
            if person.id not in series.people:
                series.people[person.id] = _Rows(_row_kind(person))
            series.people[person.id].add((len(series.stamps), *_values(person)))
            if isinstance(person, Person3D):
                series.about[person.id] = _about(person)
            if isinstance(people, PeopleAngles):
                series.pelvis_sequences.setdefault(person.id, {})[people.pelvis_sequence] = None
        series.stamps.append(people.stamp)
        if isinstance(people, People3D):
            series.up.append(UNKNOWN_UP if people.up is None else people.up)


def _expect_alike(bag: Path, series: _Series, people: People2D | People3D | PeopleAngles) -> None:
    """Raise ValueError where people are of another kind than the first; images without people say nothing."""
    if not people.people:
        return
    names = people.names if isinstance(people, PeopleAngles) else ()
    skeleton = "" if isinstance(people, PeopleAngles) else people.skeleton
    if not series.people:
        series.names, series.skeleton, series.frame_id = names, skeleton, people.frame_id
    if (names, skeleton, people.frame_id) != (series.names, series.skeleton, series.frame_id):
        raise ValueError(
            f"{bag} changes the skeleton, the frame or the angles of {series.topic} on the way; cut it in two there"
        )


def _row_kind(person: Person2D | Person3D | PersonAngles) -> np.dtype[Any]:
    if isinstance(person, PersonAngles):
        count = (len(person.angle),)
        return np.dtype(
            [("image", "i8"), ("angle", "f4", count), ("std", "f4", count), ("flags", "u1", count)]
        )
    joints = len(person.joint_confidence)
    flat = [("image", "i8"), ("person_confidence", "f4"), ("confidence", "f4", (joints,))]
    if isinstance(person, Person2D):
        return np.dtype([*flat, ("xyz", "f4", (joints, 2))])
    solid = [
        ("xyz", "f4", (joints, 3)),
        ("std", "f4", (joints,)),
        (COVARIANCE, "f4", (joints, 6)),
        ("root_std", "f4", (3,)),
    ]
    return np.dtype([*flat, *solid, ("state", "u1", (joints,))])


def _values(person: Person2D | Person3D | PersonAngles) -> tuple[Any, ...]:
    """In the order of `_row_kind`, but for the image."""
    if isinstance(person, PersonAngles):
        return person.angle, person.std, person.flags
    flat = (person.confidence, person.joint_confidence)
    if isinstance(person, Person2D):
        return *flat, person.xy_px
    covariance = np.nan if person.covariance is None else person.covariance
    return *flat, person.xyz, person.std, covariance, person.root_std, person.state


def _about(person: Person3D) -> dict[str, Any]:
    """As `PoseSequence.from_people` puts it."""
    sizes = {"height": person.height, "height_std": person.height_std}
    known = {name: float(size) for name, size in sizes.items() if np.isfinite(size)}
    return {"scale_source": person.scale_source.name, **known}


def _spread(series: _Series, person: str) -> np.ndarray:
    """(N,) the images from the first that shows a person to the last."""
    shown = series.people[person].rows["image"]
    return np.arange(shown[0], shown[-1] + 1)


def _sequence(
    series: _Series, person: str, images: np.ndarray, dims: int, metadata: dict[str, Any]
) -> PoseSequence:
    rows = series.people[person].rows
    at = rows["image"] - images[0]
    joints = len(SKELETONS.get(series.skeleton))
    arrays: dict[str, np.ndarray] = {
        "xyz": np.full((len(images), joints, dims), np.nan),
        "confidence": np.zeros((len(images), joints)),
        "std": np.full((len(images), joints), np.nan),
        "root_std": np.full((len(images), dims), np.nan),
        "state": np.full((len(images), joints), JointState.MISSING, np.uint8),
        "person_confidence": np.full(len(images), np.nan),
    }
    if dims == 3 and np.isfinite(rows[COVARIANCE]).any():
        arrays[COVARIANCE] = np.full((len(images), joints, 6), np.nan)
    for name in arrays:
        if name in (rows.dtype.names or ()):
            arrays[name][at] = rows[name]
    if dims == 2:
        shown = np.isfinite(arrays["xyz"]).all(-1)
        arrays["state"][shown] = JointState.MEASURED
    return PoseSequence(
        skeleton=series.skeleton,
        stamps=np.array(series.stamps, np.int64)[images],
        frame_id=series.frame_id,
        person=person,
        metadata=metadata,
        **arrays,
    )
