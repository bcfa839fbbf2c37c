"""What `pose process` leaves of one person: markers, landmarks, angles."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pose_biomechanics.angle_refiner import AngleRefiner
from pose_biomechanics.angles import AngleOptions, angles_of, angles_of_markers
from pose_biomechanics.augmentation import HEIGHTS, MASSES, MarkerAugmenter, marker_errors
from pose_biomechanics.isb import ANGLES, GROUPS, angles_of_group
from pose_biomechanics.marker_set import MARKERS, Way, markers_of
from pose_core import assets
from pose_core.angles import AngleFlag, AngleSequence
from pose_core.formats.csv_file import write_table
from pose_core.formats.rate import evenly
from pose_core.formats.trc import write_trc
from pose_core.markers import MarkerSequence
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS
from pose_core.statements import MAX_HEIGHT, MAX_MASS, MIN_HEIGHT, MIN_MASS
from pose_core.units import S_PER_NS
from pose_tools.parameters.own import ProcessParams
from pose_tools.process.stages import Track

SHORT_SHARE = 0.5
"""Of a recording, that a person must be there to count even where it is shorter than `min_seconds`."""
LONGEST_NAME = 120
"""Bytes of a part of a file's name; file systems take 255 of the whole."""
ANGLE_FOLDER = "joint_angles"
BODY_MASS_INDEX = 23.0
"""kg/m², of a person whose mass is not known: the middle of what adults weigh who are neither thin nor heavy (WHO: 18.5 to 25), a
little up, as most are."""
ENOUGH = 0.8
"""Share of the frames in which something is known that those must be in which markers tell it."""
SCALES = {"default": "an adult's, as none was stated", "subject": "stated"}
"""Where a height comes from, in words."""


@dataclass(frozen=True)
class Wanted:
    """How markers and angles are made."""

    process: ProcessParams
    angle_refiner: AngleRefiner | None
    options: AngleOptions


@dataclass(frozen=True)
class Timing:
    """What all files of a recording share."""

    origin: int
    """ns, stamp of the first image: time 0."""
    rate_hz: float
    """Of files that have frames at an even rate."""


@dataclass(frozen=True)
class Person:
    """One person, through all stages."""

    track: Track
    refined: PoseSequence
    markers: MarkerSequence
    """Final: of the refined person, with what augmentation added."""
    angles: AngleSequence
    facts: dict[str, Any]
    """What else there is to say, as JSON can."""
    remarks: tuple[str, ...]
    """Whole sentences about what could not be done."""


def person_of(
    track: Track, refined: PoseSequence, wanted: Wanted, augmenter: MarkerAugmenter | None
) -> Person:
    """Markers and angles of a refined person. `augmenter` None: the networks for further markers are not there."""
    markers = markers_of(
        refined,
        estimate_missing=wanted.process.estimate_missing,
        force_complete=wanted.process.force_complete,
        camera_pitch_deg=wanted.options.camera_pitch_deg,
        camera_roll_deg=wanted.options.camera_roll_deg,
    )
    height = float(refined.metadata.get("height", np.nan))
    mass = wanted.process.mass or BODY_MASS_INDEX * height**2
    facts: dict[str, Any] = {
        "height_m": height,
        "scale": str(refined.metadata.get("scale_source", "NONE")).lower(),
        "mass_kg": mass,
        "mass": "stated" if wanted.process.mass else f"from the height, {BODY_MASS_INDEX:g} kg/m²",
    }
    remarks = _guesses(track.id, markers)
    reason = _unfit(height, mass, augmenter)
    if augmenter is not None and not reason:
        augmented = augmenter.augment(markers, height, mass, wanted.process.augmentation_cycles)
        markers, reason = augmented.markers, augmented.reason
        if not augmented.used:
            remarks.append(f"{track.id}: no markers were added: {reason}")
        elif (augmented.mask.mean(0) < ENOUGH).any():
            remarks.append(f"{track.id}: markers were added to part of the recording: {reason}")
        markers = _without_empty(markers)
    else:
        remarks.append(f"{track.id}: no markers were added: {reason}")
    facts |= {"markers": len(markers.names), "augmentation": reason}
    added = "augmentation" in markers.metadata
    angles, facts["angles_from"] = angles_of(refined, wanted.options), "joints"
    if added:
        by_markers = angles_of_markers(markers, wanted.options, marker_errors(markers.names))
        angles, others = _better(by_markers, angles)
        names = ", ".join(group.replace("_", " ") for group in others)
        facts["angles_from"] = f"markers, of {names} from joints" if others else "markers"
        if others:
            remarks.append(
                f"{track.id}: angles of {names} are those of the joints: their markers are often missing."
            )
    if wanted.angle_refiner is not None:
        angles, done = wanted.angle_refiner.refine(angles)
        facts["joint_refinement"] = {
            "mean_correction_deg": done.mean_deg,
            "at_limit": done.at_limit,
            "harm_deg": done.harm_deg,
        }
    return Person(track, refined, markers, angles, facts, tuple(remarks))


def _guesses(id: str, markers: MarkerSequence) -> list[str]:
    """A sentence for each way in which markers were made up, which do not come from this person's motion."""
    sentences = []
    for way, words in (
        (Way.MIRRORED, "mirrored from the other side"),
        (Way.AVERAGE, "put where an average person has them"),
    ):
        made_up: dict[str, int] = markers.metadata["frames_made_up"][way.name.lower()]
        if made_up:
            sentences.append(
                f"{id}: markers are {words} in up to {max(made_up.values())} of {len(markers)} frames, and angles that need them "
                f"guesses there: {', '.join(made_up)}."
            )
    return sentences


def _without_empty(markers: MarkerSequence) -> MarkerSequence:
    """Without added markers that no frame has: what they would make is then made of others."""
    there = np.isfinite(markers.xyz).all(2).any(0) | np.isin(markers.names, MARKERS)
    names = tuple(name for name, kept in zip(markers.names, there, strict=True) if kept)
    return replace(markers, names=names, xyz=markers.xyz[:, there], std=markers.std[:, there])


def _better(by_markers: AngleSequence, by_joints: AngleSequence) -> tuple[AngleSequence, list[str]]:
    """Of each group the angles by markers, or by joints where those are known in many more frames; and which groups that are.

    A group never changes between the two, because their axes differ.
    """
    arrays = {name: getattr(by_markers, name).copy() for name in ("angle", "std", "flags")}
    groups = []
    for group in GROUPS:
        rows = angles_of_group(group)
        known, others = (
            int(((one.flags[:, rows] & AngleFlag.JOINT_MISSING) == 0).sum())
            for one in (by_markers, by_joints)
        )
        if known < ENOUGH * others:
            groups.append(group)
            for name, array in arrays.items():
                array[:, rows] = getattr(by_joints, name)[:, rows]
    return replace(by_markers, **arrays), groups


def said_of(person: Person) -> dict[str, str]:
    """The facts in words."""
    facts = person.facts
    said = {
        "height": f"{facts['height_m']:.3g} m ({SCALES.get(facts['scale'], facts['scale'])})",
        "mass": f"{facts['mass_kg']:.3g} kg ({facts['mass']})",
        "markers": f"{facts['markers']}; {facts['augmentation']}",
        "angles": f"from {facts['angles_from']}",
    }
    if refined := facts.get("joint_refinement"):
        moved = f"valid angles moved by {refined['mean_correction_deg']:.2f}° on average"
        said["joint refinement"] = (
            f"{moved}; on angles without errors it moves them by {refined['harm_deg']:.2f}°"
        )
    return said


def _unfit(height: float, mass: float, augmenter: MarkerAugmenter | None) -> str:
    """Why the networks cannot be asked; empty where they can."""
    if augmenter is None:
        return "the networks were not fetched; run `pose fetch marker_augmenter`"
    for name, value, (low, high), unit in (("height", height, HEIGHTS, "m"), ("mass", mass, MASSES, "kg")):
        if not low <= value <= high:
            return f"the networks know people of {low:g} to {high:g} {unit}, and the {name} is {value:.4g}"
    return ""


def open_augmenter() -> MarkerAugmenter | None:
    """The networks that add markers; None where they were not fetched."""
    try:
        return MarkerAugmenter()
    except assets.MissingAsset:
        return None


def expect_body(height: float, mass: float) -> None:
    """Raise ValueError for a stated height (m) or mass (kg) that nobody has; 0 is one that is not known."""
    for name, value, low, high, unit in (
        ("height", height, MIN_HEIGHT, MAX_HEIGHT, "m"),
        ("mass", mass, MIN_MASS, MAX_MASS, "kg"),
    ):
        if value and not low <= value <= high:
            raise ValueError(
                f"{name} must be from {low:g} to {high:g} {unit}, or 0 where it is not known, got {value:g}"
            )


def least_seconds(min_seconds: float, stamps: np.ndarray) -> float:
    """For how long a person must be there to count in a recording with images at `stamps` (T,), ns."""
    return min(min_seconds, SHORT_SHARE * float(stamps[-1] - stamps[0]) * S_PER_NS)


def file_name(text: str) -> str:
    """`text` as part of a file's name on any system: letters and digits of any language, blanks and `-_.` stay, others become _.

    Never empty, hidden, a path, or longer than `LONGEST_NAME` bytes.
    """
    name = re.sub(r"[^\w .-]", "_", text).strip(" .")
    return name.encode()[:LONGEST_NAME].decode(errors="ignore").strip(" .") or "_"


def labels(ids: list[str]) -> list[str]:
    """Parts of file names for people: all different, and nothing for a person alone. Ids of a foreign bag may be anything."""
    if len(ids) == 1:
        return [""]
    names = [file_name(id) for id in ids]
    alike = len({name.casefold() for name in names}) < len(names)
    return [f"{name}_{number}" for number, name in enumerate(names, 1)] if alike else names


def write_markers(
    folder: Path, prefix: str, person: Person, timing: Timing, options: AngleOptions
) -> list[tuple[str, str]]:
    """The two TRC files. Returns names and what they are."""
    initial = markers_of(
        person.track.lifted,
        camera_pitch_deg=options.camera_pitch_deg,
        camera_roll_deg=options.camera_roll_deg,
    )
    names = (f"{prefix}_final.trc", f"{prefix}_initial.trc")
    for name, markers in zip(names, (person.markers, initial), strict=True):
        even = evenly(markers, timing.rate_hz, timing.origin)
        write_trc(folder / name, even, origin=timing.origin, rate_hz=timing.rate_hz)
    return [
        (names[0], f"{len(person.markers.names)} markers, refined"),
        (names[1], f"{len(initial.names)} markers as lifted, not refined"),
    ]


def write_landmarks(folder: Path, prefix: str, track: Track, origin: int) -> list[tuple[str, str]]:
    """The detector's own output: pixels, visibility, and its 3D about the middle of the hips where it is known."""
    name = f"{prefix}_raw_landmarks.csv"
    joints = SKELETONS.get(track.seen.skeleton).joints
    columns: dict[str, np.ndarray] = {"time_s": (track.seen.stamps - origin) * S_PER_NS}
    for j, joint in enumerate(joints):
        columns[f"{joint}_x_px"], columns[f"{joint}_y_px"] = track.seen.xyz[:, j].T
        columns[f"{joint}_visibility"] = np.where(
            track.seen.missing[:, j], np.nan, track.seen.confidence[:, j]
        )
        if track.world is not None:
            for axis, values in zip("xyz", track.world.xyz[:, j].T, strict=True):
                columns[f"{joint}_world_{axis}_m"] = values
    write_table(folder / name, columns)
    return [(name, f"{len(joints)} landmarks as {track.seen.skeleton} was detected")]


def write_angles(folder: Path, angles: AngleSequence, origin: int) -> list[str]:
    """One table for each group: degrees, standard deviations, flags. Returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds = (angles.stamps - origin) * S_PER_NS
    names = []
    for group in GROUPS:
        columns: dict[str, np.ndarray] = {"time_s": seconds}
        chosen = [ANGLES[row] for row in angles_of_group(group)]
        for angle in chosen:
            columns[angle.column] = np.degrees(angles.of(angle.name))
        for angle in chosen:
            at = angles.names.index(angle.name)
            columns[f"{angle.column.removesuffix('_deg')}_std_deg"] = np.degrees(angles.std[:, at])
            columns[f"{angle.column.removesuffix('_deg')}_flags"] = angles.flags[:, at]
        names.append(f"{group}.csv")
        write_table(folder / names[-1], columns)
    return names


def valid_share(angles: AngleSequence) -> float:
    """Share of all angles that can be trusted."""
    return float((angles.flags == AngleFlag.VALID).mean()) if angles.flags.size else 0.0
