"""The formats of `pose export`: what writes the files of one person, by name. docs/files.md says what each file holds.

Installed packages may bring others (`pose_core.doors`), which are imported when they are asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pose_biomechanics.angles import matrix_of_euler
from pose_biomechanics.isb import ANGLES, OPENSIM_PELVIS_SEQUENCE
from pose_biomechanics.opensim_pelvis import opensim_turns, rotation_of
from pose_core import doors
from pose_core.angles import AngleSequence
from pose_core.formats.bvh import write_bvh
from pose_core.formats.c3d import MOST_FRAMES, write_c3d
from pose_core.formats.csv_file import write_table
from pose_core.formats.mot import filled, write_mot
from pose_core.formats.rate import evenly, evenly_posed
from pose_core.formats.trc import write_trc
from pose_core.markers import MarkerSequence
from pose_core.registry import Registry
from pose_core.sequence import PoseSequence
from pose_core.units import S_PER_NS
from pose_tools.process.person import Timing, write_angles, write_landmarks
from pose_tools.process.stages import Track

JOINTS, MARKERS, ANGLES_OF_JOINTS, LANDMARKS = CONTENTS = ("joints", "markers", "angles", "landmarks")
"""What the files of a format may hold."""

HIP_IN_PELVIS = np.array([-0.056276, -0.07849, 0.0])
"""Metres; the middle of the hip joints in the pelvis of the Rajagopal 2016 model, as its file states it."""
PELVIS = ("pelvis_tilt", "pelvis_list", "pelvis_rotation")
PLACE = ("pelvis_tx", "pelvis_ty", "pelvis_tz")
"""OpenSim's coordinates of the pelvis: turns about Z, X' and Y'', and where its origin is."""
UNSTATED = "the angles do not state their pelvis_sequence"
"""Why angles may not tell them."""


@dataclass(frozen=True)
class Subject:
    """One person, ready to be written. All is over the same recording; missing is NaN everywhere."""

    track: Track
    """`seen` are the landmarks in pixels, of no frame where the format does not hold them or the bag does not."""
    joints: PoseSequence
    """In 3D, metres, optical frame of the camera."""
    markers: MarkerSequence
    """Metres, X where the camera looks, Y up, Z right."""
    angles: AngleSequence
    """Radians."""
    angles_from: str
    """What they are made of, in words."""
    turn: np.ndarray
    """(3, 3) from the optical frame to the axes of the markers."""
    timing: Timing
    """Time 0, and the rate of formats that have frames at an even rate; stamps are those of the images."""

    @property
    def even_markers(self) -> MarkerSequence:
        """At the even rate of `timing`, on its grid."""
        return evenly(self.markers, self.timing.rate_hz, self.timing.origin)


@dataclass(frozen=True)
class Exporter:
    """A format; its name is that of its entry. Raises ValueError for one without files, or that would hold nothing."""

    endings: tuple[str, ...]
    """What the names of its files and folders end in, after the person's prefix: those are not replaced unless that is asked
    for."""
    holds: tuple[str, ...]
    """Of `CONTENTS`."""
    write: Callable[[Path, str, Subject], Iterable[str]]
    """Writes the files of a person into a folder, each name a prefix and an ending, and returns their names. Raises ValueError
    where this person cannot be written, with a sentence that says why; then nobody's files are left."""

    def __post_init__(self) -> None:
        if not self.endings or not self.holds or not set(self.holds) <= set(CONTENTS):
            raise ValueError(
                f"a format must state its endings and hold some of {', '.join(CONTENTS)}, got {self.endings} and {self.holds}"
            )


def is_exporter(found: Any) -> bool:
    """Whether something is a format."""
    return isinstance(found, Exporter)


EXPORTERS: Registry[Exporter] = Registry(
    "format", doors.EXPORTERS, is_exporter, "an instance of pose_tools.files.formats.Exporter"
)
"""Formats by name."""


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


def _write_trc(folder: Path, prefix: str, subject: Subject) -> Iterable[str]:
    name = f"{prefix}.trc"
    write_trc(
        folder / name, subject.even_markers, origin=subject.timing.origin, rate_hz=subject.timing.rate_hz
    )
    return [name]


def _write_c3d(folder: Path, prefix: str, subject: Subject) -> Iterable[str]:
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


def _write_mot(folder: Path, prefix: str, subject: Subject) -> Iterable[str]:
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


def _write_bvh(folder: Path, prefix: str, subject: Subject) -> Iterable[str]:
    timing = subject.timing
    even = evenly_posed(subject.joints, timing.rate_hz, timing.origin)
    write_bvh(folder / f"{prefix}.bvh", even, turn=subject.turn, rate_hz=timing.rate_hz)
    return [f"{prefix}.bvh"]


def _write_csv(folder: Path, prefix: str, subject: Subject) -> Iterable[str]:
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


def _write_npz(folder: Path, prefix: str, subject: Subject) -> Iterable[str]:
    subject.joints.save(folder / f"{prefix}.npz")
    return [f"{prefix}.npz"]


for _name, _exporter in {
    "trc": Exporter((".trc",), (MARKERS,), _write_trc),
    "c3d": Exporter((".c3d", "_part2.c3d"), (MARKERS,), _write_c3d),
    "mot": Exporter((".mot",), (MARKERS, ANGLES_OF_JOINTS), _write_mot),
    "bvh": Exporter((".bvh",), (JOINTS,), _write_bvh),
    "csv": Exporter(
        ("_markers.csv", "_joint_angles", "_raw_landmarks.csv"),
        (MARKERS, ANGLES_OF_JOINTS, LANDMARKS),
        _write_csv,
    ),
    "npz": Exporter((".npz",), (JOINTS,), _write_npz),
}.items():
    EXPORTERS.register(_name)(_exporter)
