"""The bag that `pose process` leaves: what the live graph would record, with refined people that know the whole recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lift3d_node.intrinsics import Intrinsics
from pose_core.angles import AngleSequence, PeopleAngles, PersonAngles
from pose_core.config import parameters_of, text_of
from pose_core.people import People3D
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS
from pose_core.statements import RunStatement, SubjectStatements
from pose_ros import topics
from pose_tools.bag import messages
from pose_tools.bag.topics import result_topics
from pose_tools.bag.writer import BagWriter
from pose_tools.process.overlay import Reader
from pose_tools.process.people import Sighting
from pose_tools.process.stages import Lifted


@dataclass(frozen=True)
class Result:
    """One person, refined."""

    refined: PoseSequence
    angles: AngleSequence


def write_bag(
    folder: Path,
    sighting: Sighting,
    lifted: Lifted,
    results: Iterable[Result],
    intrinsics: Intrinsics,
    watch: Callable[[], None],
    up: np.ndarray | None = None,
    runs: Iterable[RunStatement] = (),
    subjects: SubjectStatements | None = None,
) -> None:
    """Write everything of everybody into a bag, image by image. `watch` is called for each image, and may raise.

    `up`: (3,) unit vector that points up before the camera, where that is known. `runs`: of lifting and refinement; `subjects`:
    what was stated of people.

    The same people give the same bytes: messages carry no processing times. Raises OSError where the disk is full, and ValueError
    for people whose pelvises were taken apart in different sequences, which one message cannot say.
    """
    results = list(results)
    stated = sorted({result.angles.pelvis_sequence for result in results})
    if len(stated) > 1:
        raise ValueError(f"angles of one bag must have one pelvis_sequence, got {' and '.join(stated)}")
    lifted_people = [Reader(track.lifted) for track in lifted.tracks]
    refined_people = [Reader(result.refined) for result in results]
    angles = [_Angles(result.angles) for result in results]
    skeleton2d = ""
    make = messages.writer()
    with BagWriter(folder) as writer:
        out = _Outlet(writer)
        for run in runs:
            out.put(f"{run.stage}/run", make.run(run), None)
        if subjects is not None and subjects.subjects:
            out.put(topics.SUBJECTS, make.subjects(subjects), None)
        for seen in sighting.images():
            watch()
            people, stamp, frame_id = seen.people, seen.people.stamp, seen.people.frame_id
            if not skeleton2d:
                skeleton2d = people.skeleton
                out.describe(topics.SKELETON2D, skeleton2d)
                out.describe(topics.LIFTED_SKELETON, lifted.skeleton)
                out.describe(topics.REFINED_SKELETON, lifted.skeleton)
            out.put(
                topics.CAMERA_INFO,
                _camera_info(intrinsics, people.width, people.height, stamp, frame_id),
                stamp,
            )
            if seen.world is not None:
                out.put(topics.WORLD, make.people3d(seen.world), stamp)
            out.put(topics.PEOPLE2D, make.people2d(people), stamp)
            solid = People3D(stamp, frame_id, lifted.skeleton, up=up)
            for topic, readers in ((topics.LIFTED, lifted_people), (topics.REFINED, refined_people)):
                here = tuple(person for one in readers if (person := one.at(stamp)) is not None)
                out.put(topic, make.people3d(replace(solid, people=here)), stamp)
            if results:
                names = results[0].angles.names
                turned = tuple(known for each in angles if (known := each.at(stamp)) is not None)
                everybody = PeopleAngles(stamp, frame_id, names, turned, pelvis_sequence=stated[0])
                out.put(topics.ANGLES, make.angles(everybody), stamp)


def run_of(stage: str, params: Any) -> RunStatement:
    """What a stage is told. Its software is left out: the same messages give the same bytes everywhere."""
    return RunStatement(
        stage, parameters={name: text_of(getattr(params, name)) for name in parameters_of(type(params))}
    )


class _Outlet:
    """A bag's topics by their relative names, stated when something comes on them."""

    TOPICS = (
        topics.LIFTED_RUN,
        topics.REFINED_RUN,
        topics.SUBJECTS,
        topics.SKELETON2D,
        topics.LIFTED_SKELETON,
        topics.REFINED_SKELETON,
        topics.CAMERA_INFO,
        topics.WORLD,
        topics.PEOPLE2D,
        topics.LIFTED,
        topics.REFINED,
        topics.ANGLES,
    )

    def __init__(self, writer: BagWriter) -> None:
        self._writer = writer
        recorded = {topic.name: topic for topic in result_topics()}
        for name in self.TOPICS:
            writer.add(replace(recorded[name], name=f"/{name}"))

    def put(self, topic: str, message: Any, stamp: int | None) -> None:
        self._writer.write(f"/{topic}", messages.serialize(message), stamp)

    def describe(self, topic: str, skeleton: str) -> None:
        self.put(topic, messages.writer().skeleton(SKELETONS.get(skeleton)), None)


class _Angles:
    """One person's angles, image by image; stamps increase from call to call."""

    def __init__(self, angles: AngleSequence) -> None:
        self._angles = angles
        self._next = 0

    def at(self, stamp: int) -> PersonAngles | None:
        row = self._next + int(np.searchsorted(self._angles.stamps[self._next :], stamp))
        self._next = row
        if row == len(self._angles) or self._angles.stamps[row] != stamp:
            return None
        one = self._angles
        return PersonAngles(one.person, one.angle[row], one.std[row], one.flags[row])


def _camera_info(intrinsics: Intrinsics, width: int, height: int, stamp: int, frame_id: str) -> Any:
    camera = intrinsics.of(width, height)
    if camera.source == "field_of_view":
        return messages.writer().uncalibrated(width, height, stamp, frame_id)
    return messages.writer().camera(camera, stamp, frame_id)
