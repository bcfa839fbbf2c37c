"""`pose export`: the people of a bag as files that other programs read, one set for each person.

Markers, angles and times are those of `pose process`. docs/files.md says what each file holds.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pose_biomechanics.angles import AngleOptions
from pose_biomechanics.augmentation import MarkerAugmenter
from pose_core.callbacks import Progress, Say, silent
from pose_core.config import check
from pose_core.formats.rate import rate_of
from pose_core.markers import world_from_camera
from pose_core.people import ScaleSource
from pose_core.sequence import PoseSequence
from pose_tools.bag.people import BagPeople, read_people
from pose_tools.files.formats import EXPORTERS, LANDMARKS, UNSTATED, Exporter, Subject
from pose_tools.parameters.own import ProcessParams
from pose_tools.process.person import (
    Timing,
    Wanted,
    expect_body,
    file_name,
    least_seconds,
    open_augmenter,
    person_of,
)
from pose_tools.process.stages import Track
from pose_tools.tilt import ANEW, LEVEL, Tilt, differs

MEASURED_SCALES = (ScaleSource.DEPTH.name, ScaleSource.CALIBRATION.name)
"""Where a person's size was measured, which a stated height does not change."""


@dataclass(frozen=True)
class ExportJob:
    """What to export and how. Raises ValueError for what cannot work, before anything is read."""

    bag: Path
    out: Path
    """Folder of the files; made where there is none."""
    to: tuple[str, ...] = ("trc", "c3d", "mot", "bvh", "csv")
    """Names in `EXPORTERS`."""
    height: float = 0.0
    """Standing height of everybody in metres, to which they are scaled; 0: as recorded."""
    people: tuple[str, ...] = ()
    """Ids of those who are exported; none: everybody."""
    augment: bool = False
    """Add markers by the networks of marker augmentation."""
    process: ProcessParams = field(default_factory=ProcessParams)
    """How markers are made, and for how long people must be seen unless they are named; as of `pose process`."""
    tilt: Tilt | None = None
    """Tilt of the camera, where it is stated; else it is that which the bag knows, else the camera is level."""
    namespace: str | None = None
    """Of the robot, where the bag has several."""
    force: bool = False
    """Replace existing files."""

    def __post_init__(self) -> None:
        if not self.bag.exists():
            raise ValueError(f"there is no bag {self.bag}; name a bag's folder, a .mcap or a .db3 file")
        unknown = [name for name in self.to if name not in EXPORTERS]
        if unknown or not self.to:
            raise ValueError(f"formats must be of {', '.join(EXPORTERS)}, got {', '.join(unknown) or 'none'}")
        self.formats  # noqa: B018 (loads those of other packages)
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"{self.out} is no folder; name another one")
        expect_body(self.height, self.process.mass)
        check(self.process)
        AngleOptions.tilted(*(self.tilt or LEVEL))

    @property
    def formats(self) -> list[Exporter]:
        """The wanted ones, each once. Raises ValueError for one of another package that cannot be used."""
        return [EXPORTERS.get(name) for name in dict.fromkeys(self.to)]

    def holds(self, content: str) -> bool:
        """Whether a wanted format holds this, of `formats.CONTENTS`."""
        return any(content in one.holds for one in self.formats)


def export(job: ExportJob, progress: Progress, say: Say = silent) -> dict[str, Any]:
    """Write the files of everybody; what was written of whom. All files are there, whole, or none is.

    `progress` gets the number of messages read; `say` a sentence where something could not be done. Raises ValueError for a bag
    that cannot be used and for existing files, before anything is written; OSError where the disk is full.
    """
    held = read_people(job.bag, progress, say, namespace=job.namespace, landmarks=job.holds(LANDMARKS))
    chosen = _chosen(job, held)
    name = file_name(_bag_name(job.bag))
    prefixes = _prefixes(name, chosen)
    if not job.force:
        _expect_new(job, prefixes)
    timing = Timing(int(held.stamps[0]), rate_of(held.stamps))
    augmenter = open_augmenter() if job.augment else None
    people: dict[str, Any] = {}
    with _folder(job.out) as folder:
        for person, prefix in prefixes.items():
            subject = _subject(job, held, person, augmenter, timing, say)
            files = [file for one in job.formats for file in one.write(folder, prefix, subject)]
            people[person] = {
                "images": held.images(person),
                "seconds": held.seconds(person),
                "markers": len(subject.markers.names),
                "angles": subject.angles_from,
                "pelvis sequence": subject.angles.pelvis_sequence or "not stated",
                "files": ", ".join(files),
            }
        if "c3d" in job.to:
            _remove_parts(job.out, prefixes)
    left = [person for person in held.ids if person not in prefixes]
    return {
        "folder": str(job.out),
        "topic": held.topic,
        "rate Hz": timing.rate_hz,
        "people": people,
        **({"not exported": {person: f"{held.seconds(person):.1f} s" for person in left}} if left else {}),
    }


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """A new folder inside of `out`, whose files are moved to `out` in the end, and gone where there is none."""
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=out) as scratch:
            yield Path(scratch)
            for file in sorted(Path(scratch).rglob("*")):
                place = out / file.relative_to(scratch)
                if file.is_dir():
                    place.mkdir(exist_ok=True)
                else:
                    os.replace(file, place)
        made = False
    finally:
        if made:
            with suppress(OSError):  # of a folder that somebody else has used meanwhile
                out.rmdir()


def _chosen(job: ExportJob, held: BagPeople) -> list[str]:
    """Who is exported. Raises ValueError for ids that the bag lacks, and nobody."""
    if job.people:
        return held.chosen(job.people)
    least = least_seconds(job.process.min_seconds, held.stamps)
    chosen = [person for person in held.ids if held.seconds(person) >= least]
    if not chosen:
        longest = max(held.seconds(person) for person in held.ids)
        raise ValueError(
            f"nobody in {job.bag} is seen for {least:g} s (at most {longest:.2f}); lower --min-seconds"
        )
    return chosen


def _prefixes(name: str, people: list[str]) -> dict[str, str]:
    """What the names of each person's files begin with: different ones, whatever the ids."""
    if len(people) == 1:
        return {people[0]: name}
    prefixes: dict[str, str] = {}
    for person in people:
        plain = prefix = f"{name}_{file_name(person)}"
        number = 2
        # file systems may take capitals for small letters
        while prefix.casefold() in {taken.casefold() for taken in prefixes.values()}:
            prefix = f"{plain}_{number}"
            number += 1
        prefixes[person] = prefix
    return prefixes


def _bag_name(bag: Path) -> str:
    """A bag's folder, or its only file, by the name without what says the kind and number of the file."""
    path = bag.resolve()
    return re.sub(r"_\d+$", "", path.stem) if path.is_file() else path.name


def _expect_new(job: ExportJob, prefixes: dict[str, str]) -> None:
    """Raise ValueError where a file that may be written is there."""
    for prefix in prefixes.values():
        names = [f"{prefix}{ending}" for one in job.formats for ending in one.endings]
        there = next((job.out / name for name in names if (job.out / name).exists()), None)
        if there is not None:
            raise ValueError(f"{there} exists already; name another folder, or replace it with --force")


def _remove_parts(out: Path, prefixes: dict[str, str]) -> None:
    """Take away the later C3D files of a longer recording that is replaced."""
    for prefix in prefixes.values():
        number = 2
        while (part := out / f"{prefix}_part{number}.c3d").exists():
            part.unlink()
            number += 1


def _subject(
    job: ExportJob, held: BagPeople, person: str, augmenter: MarkerAugmenter | None, timing: Timing, say: Say
) -> Subject:
    joints = _scaled(held.joints(person), job.height)
    seen = held.landmarks(person) if job.holds(LANDMARKS) else None
    track = Track(person, seen if seen is not None else joints[:0], None, joints, held.images(person))
    tilt = job.tilt or held.tilt or LEVEL
    wanted = Wanted(
        job.process,
        None,
        AngleOptions.tilted(*tilt),
    )
    made = person_of(track, joints, wanted, augmenter)
    if job.augment:
        for remark in made.remarks:
            say(remark)
    # those of the bag know what the stage knew; a stated tilt of the camera or more markers make them out of date
    recorded = held.angles(person)
    own = recorded if not differs(job.tilt, held.tilt) and not job.augment else None
    if recorded is not None and own is None and not job.augment:
        say(f"{person}: {ANEW}")
    if own is not None and not own.pelvis_sequence and "mot" in job.to:
        say(f"{person}: no coordinates of the pelvis were written for OpenSim: {UNSTATED}")
    return Subject(
        track=track,
        joints=joints,
        markers=made.markers,
        angles=made.angles if own is None else own,
        angles_from=f"from {made.facts['angles_from']}" if own is None else "as recorded",
        turn=world_from_camera(*tilt),
        timing=timing,
    )


def _scaled(joints: PoseSequence, height: float) -> PoseSequence:
    """The person as tall as stated. Seen by one camera, somebody taller by a factor is farther away by that factor.

    Raises ValueError where the size was measured, and where the recorded height is not known.
    """
    if not height:
        return joints
    source = joints.metadata.get("scale_source", ScaleSource.NONE.name)
    recorded = float(joints.metadata.get("height", math.nan))
    if source in MEASURED_SCALES:
        raise ValueError(f"the size of '{joints.person}' was measured ({source.lower()}); leave --height out")
    if not recorded > 0.0:
        raise ValueError(f"the bag does not tell how tall it took '{joints.person}' for; leave --height out")
    factor = height / recorded
    about = {**joints.metadata, "height": height, "scale_source": ScaleSource.SUBJECT.name}
    return replace(
        joints,
        xyz=factor * joints.xyz,
        std=factor * joints.std,
        root_std=factor * joints.root_std,
        covariance=None if joints.covariance is None else factor**2 * joints.covariance,
        metadata=about,
    )
