"""`pose export`: the people of a bag as files that other programs read, one set for each person.

Markers, angles and times are those of `pose process`. docs/files.md says what each file holds.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pose_biomechanics.angles import AngleOptions, matrix_of_euler
from pose_biomechanics.augmentation import MarkerAugmenter
from pose_biomechanics.isb import ANGLES, OPENSIM_PELVIS_SEQUENCE
from pose_biomechanics.opensim_pelvis import opensim_turns, rotation_of
from pose_biomechanics.params import MAX_CYCLES
from pose_core.angles import AngleSequence
from pose_core.callbacks import Progress, Say, silent
from pose_core.formats.bvh import write_bvh
from pose_core.formats.c3d import MOST_FRAMES, write_c3d
from pose_core.formats.csv_file import write_table
from pose_core.formats.mot import filled, write_mot
from pose_core.formats.rate import evenly, evenly_posed, rate_of
from pose_core.formats.trc import write_trc
from pose_core.markers import MarkerSequence, world_from_camera
from pose_core.people import ScaleSource
from pose_core.sequence import PoseSequence
from pose_core.units import S_PER_NS
from pose_tools.bag.level import ANEW, LEVEL, Tilt, differs, stated_tilt
from pose_tools.bag.people import BagPeople, read_people
from pose_tools.process.person import (
    Timing,
    Wanted,
    expect_body,
    file_name,
    least_seconds,
    open_augmenter,
    person_of,
    write_angles,
    write_landmarks,
)
from pose_tools.process.stages import Track

MEASURED_SCALES = (ScaleSource.DEPTH.name, ScaleSource.CALIBRATION.name)
"""Where a person's size was measured, which a stated height does not change."""

HIP_IN_PELVIS = np.array([-0.056276, -0.07849, 0.0])
"""Metres; the middle of the hip joints in the pelvis of the Rajagopal 2016 model, as its file states it."""
PELVIS = ("pelvis_tilt", "pelvis_list", "pelvis_rotation")
PLACE = ("pelvis_tx", "pelvis_ty", "pelvis_tz")
"""OpenSim's coordinates of the pelvis: turns about Z, X' and Y'', and where its origin is."""
UNSTATED = "the angles do not state their pelvis_sequence"
"""Why angles may not tell them."""


@dataclass(frozen=True)
class ExportJob:
    """What to export and how. Raises ValueError for what cannot work, before anything is read."""

    bag: Path
    out: Path
    """Folder of the files; made where there is none."""
    to: tuple[str, ...] = ("trc", "c3d", "mot", "bvh", "csv")
    """Keys of `FORMATS`."""
    height: float = 0.0
    """Standing height of everybody in metres, to which they are scaled; 0: as recorded."""
    mass: float = 0.0
    """Kilograms; 0: not known, taken from the height."""
    people: tuple[str, ...] = ()
    """Ids of those who are exported; none: everybody."""
    min_seconds: float = 1.0
    """People seen for less are listed, not exported, unless they are named."""
    augment: bool = False
    """Add markers by the networks of marker augmentation."""
    augmentation_cycles: int = 1
    """Headings to which a person is turned for them; their answers are averaged."""
    estimate_missing: bool = False
    """Mirror limbs that are not seen from the other side."""
    force_complete: bool = False
    """Give every marker in every frame, made up where it must be."""
    camera_pitch_deg: float | None = None
    """Degrees by which the camera looks down."""
    camera_roll_deg: float | None = None
    """Degrees by which the camera's right side is lower than its left. Where one of them is stated, the other is 0; where none
    is, the tilt is that which the bag knows, else the camera is level."""
    namespace: str | None = None
    """Of the robot, where the bag has several."""
    force: bool = False
    """Replace existing files."""

    def __post_init__(self) -> None:
        if not self.bag.exists():
            raise ValueError(f"there is no bag {self.bag}; name a bag's folder, a .mcap or a .db3 file")
        unknown = [name for name in self.to if name not in FORMATS]
        if unknown or not self.to:
            raise ValueError(f"formats must be of {', '.join(FORMATS)}, got {', '.join(unknown) or 'none'}")
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"{self.out} is no folder; name another one")
        expect_body(self.height, self.mass)
        if not 1 <= self.augmentation_cycles <= MAX_CYCLES:
            raise ValueError(
                f"augmentation_cycles must be from 1 to {MAX_CYCLES}, got {self.augmentation_cycles}"
            )
        if not 0.0 <= self.min_seconds < math.inf:
            raise ValueError(f"min_seconds must be a time of at least 0, got {self.min_seconds}")
        AngleOptions.tilted(*(self.stated or LEVEL))

    @property
    def stated(self) -> Tilt | None:
        """Tilt of the camera."""
        return stated_tilt(self.camera_pitch_deg, self.camera_roll_deg)


def export(job: ExportJob, progress: Progress, say: Say = silent) -> dict[str, Any]:
    """Write the files of everybody; what was written of whom. All files are there, whole, or none is.

    `progress` gets the number of messages read; `say` a sentence where something could not be done. Raises ValueError for a bag
    that cannot be used and for existing files, before anything is written; OSError where the disk is full.
    """
    held = read_people(job.bag, progress, say, namespace=job.namespace, landmarks="csv" in job.to)
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
            files = [file for key in dict.fromkeys(job.to) for file in FORMATS[key](folder, prefix, subject)]
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


def coordinates(angles: AngleSequence) -> dict[str, np.ndarray]:
    """(T,) degrees of each coordinate of OpenSim's Rajagopal 2016 model that the angles tell, with its sign; NaN stays.

    Those of the pelvis are taken apart anew, whatever the sequence of the angles; all NaN where that is not stated.
    """
    found = dict(zip(PELVIS, np.degrees(opensim_turns(rotation_of(angles))).T, strict=True))
    for angle in ANGLES:
        if angle.opensim is not None and angle.name in angles.names and angle.opensim[0] not in PELVIS:
            coordinate, factor = angle.opensim
            found[coordinate] = factor * np.degrees(angles.of(angle.name))
    return found


def pelvis_place(hip: np.ndarray, turned: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """(T,) metres of the pelvis's origin in OpenSim, which puts the middle of its hip joints on `hip` (T, 3).

    `turned`: degrees of `PELVIS`; NaN where one is. The offset is that of the model as it comes, before scaling.
    """
    turns = np.radians(np.stack([turned[name] for name in PELVIS], -1))
    origin = hip - matrix_of_euler(turns, OPENSIM_PELVIS_SEQUENCE) @ HIP_IN_PELVIS
    return dict(zip(PLACE, origin.T, strict=True))


@dataclass(frozen=True)
class _Subject:
    """One person, ready to be written."""

    track: Track
    joints: PoseSequence
    markers: MarkerSequence
    angles: AngleSequence
    angles_from: str
    turn: np.ndarray
    timing: Timing

    @property
    def even_markers(self) -> MarkerSequence:
        return evenly(self.markers, self.timing.rate_hz, self.timing.origin)


def _chosen(job: ExportJob, held: BagPeople) -> list[str]:
    """Who is exported. Raises ValueError for ids that the bag lacks, and nobody."""
    if job.people:
        return held.chosen(job.people)
    least = least_seconds(job.min_seconds, held.stamps)
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
        names = [f"{prefix}{ending}" for key in job.to for ending in ENDINGS[key]]
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
) -> _Subject:
    joints = _scaled(held.joints(person), job.height)
    seen = held.landmarks(person) if "csv" in job.to else None
    track = Track(person, seen if seen is not None else joints[:0], None, joints, held.images(person))
    tilt = job.stated or held.tilt or LEVEL
    wanted = Wanted(
        job.mass,
        job.estimate_missing,
        job.force_complete,
        job.augmentation_cycles,
        None,
        AngleOptions.tilted(*tilt),
    )
    made = person_of(track, joints, wanted, augmenter)
    if job.augment:
        for remark in made.remarks:
            say(remark)
    # those of the bag know what the stage knew; a stated tilt of the camera or more markers make them out of date
    recorded = held.angles(person)
    own = recorded if not differs(job.stated, held.tilt) and not job.augment else None
    if recorded is not None and own is None and not job.augment:
        say(f"{person}: {ANEW}")
    if own is not None and not own.pelvis_sequence and "mot" in job.to:
        say(f"{person}: no coordinates of the pelvis were written for OpenSim: {UNSTATED}")
    return _Subject(
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
        metadata=about,
    )


def _write_trc(folder: Path, prefix: str, subject: _Subject) -> Iterable[str]:
    name = f"{prefix}.trc"
    write_trc(
        folder / name, subject.even_markers, origin=subject.timing.origin, rate_hz=subject.timing.rate_hz
    )
    return [name]


def _write_c3d(folder: Path, prefix: str, subject: _Subject) -> Iterable[str]:
    """A file for every 65535 frames of the recording, which is what the format counts to."""
    markers, timing = subject.even_markers, subject.timing
    numbers = np.rint((markers.stamps - timing.origin) * (S_PER_NS * timing.rate_hz)).astype(np.int64)
    names = []
    for part in np.unique(numbers // MOST_FRAMES).tolist():
        kept = numbers // MOST_FRAMES == part
        piece = replace(markers, stamps=markers.stamps[kept], xyz=markers.xyz[kept], std=markers.std[kept])
        origin = timing.origin + round(part * MOST_FRAMES / (S_PER_NS * timing.rate_hz))
        name = f"{prefix}_part{part + 1}.c3d" if part else f"{prefix}.c3d"
        write_c3d(folder / name, piece, origin=origin, rate_hz=timing.rate_hz)
        names.append(name)
    return names


def _write_mot(folder: Path, prefix: str, subject: _Subject) -> Iterable[str]:
    """Coordinates of OpenSim; where the pelvis is only where all three of its turns and the hips are known."""
    angles, markers = subject.angles, subject.markers
    found = coordinates(angles)
    hip = np.full((len(angles), 3), np.nan)
    known, rows = np.isin(angles.stamps, markers.stamps), np.isin(markers.stamps, angles.stamps)
    hip[known] = markers.of("Hip")[rows]
    found |= pelvis_place(hip, found)
    full, counts = filled(angles.stamps, found)
    if not full:
        raise ValueError(f"no angle of '{subject.joints.person}' is known in any image; leave mot out")
    notes = ["Units are S.I. units (second, meters), angles are in degrees."]
    notes += [
        f"{name}: {count} of {len(angles)} rows could not be told and are interpolated"
        for name, count in counts.items()
        if count
    ]
    why = {} if angles.pelvis_sequence else dict.fromkeys((*PELVIS, *PLACE), f": {UNSTATED}")
    notes += [f"{name}: could not be told{why.get(name, '')}" for name in found if name not in full]
    name = f"{prefix}.mot"
    write_mot(folder / name, angles.stamps, full, origin=subject.timing.origin, notes=notes)
    return [name]


def _write_bvh(folder: Path, prefix: str, subject: _Subject) -> Iterable[str]:
    timing = subject.timing
    even = evenly_posed(subject.joints, timing.rate_hz, timing.origin)
    write_bvh(folder / f"{prefix}.bvh", even, turn=subject.turn, rate_hz=timing.rate_hz)
    return [f"{prefix}.bvh"]


def _write_csv(folder: Path, prefix: str, subject: _Subject) -> Iterable[str]:
    markers, origin = subject.markers, subject.timing.origin
    columns = {"time_s": (markers.stamps - origin) * S_PER_NS}
    for name in markers.names:
        for axis, values in zip("xyz", markers.of(name).T, strict=True):
            columns[f"{name}_{axis}_m"] = values
    write_table(folder / f"{prefix}_markers.csv", columns)
    tables = write_angles(folder / f"{prefix}_joint_angles", subject.angles, origin)
    names = [f"{prefix}_markers.csv", f"{prefix}_joint_angles/ ({len(tables)} tables)"]
    if len(subject.track.seen):
        names += [name for name, _ in write_landmarks(folder, prefix, subject.track, origin)]
    return names


def _write_npz(folder: Path, prefix: str, subject: _Subject) -> Iterable[str]:
    subject.joints.save(folder / f"{prefix}.npz")
    return [f"{prefix}.npz"]


FORMATS: dict[str, Callable[[Path, str, _Subject], Iterable[str]]] = {
    "trc": _write_trc,
    "c3d": _write_c3d,
    "mot": _write_mot,
    "bvh": _write_bvh,
    "csv": _write_csv,
    "npz": _write_npz,
}
"""What writes the files of each format, and returns their names."""
ENDINGS: dict[str, tuple[str, ...]] = {
    **{key: (f".{key}",) for key in FORMATS},
    "c3d": (".c3d", "_part2.c3d"),
    "csv": ("_markers.csv", "_joint_angles", "_raw_landmarks.csv"),
}
"""What their names end in."""
