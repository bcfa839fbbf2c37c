"""`pose plot`: figures of joint angles and of the skeleton over time, from a bag, a file or the tables of an export."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_biomechanics.angles import AngleOptions, angles_of, angles_of_markers
from pose_biomechanics.isb import ANGLES, GROUPS
from pose_core.angles import AngleSequence
from pose_core.callbacks import Progress, Say
from pose_core.markers import up_in_camera
from pose_core.people import People3D
from pose_core.sequence import PoseSequence
from pose_tools.bag.files import BAG_FILES
from pose_tools.files.tables import read_angle_tables
from pose_tools.files.view import MARKER_FILES, SEQUENCE_FILE, expect_source, name_of, open_recording
from pose_tools.process.figures import OVERVIEW
from pose_tools.process.person import file_name
from pose_tools.tilt import ANEW, LEVEL, Tilt, differs
from pose_viz.figures import plots
from pose_viz.figures.angle_plots import group_figure, overview_figure

SKELETON = "skeleton.png"


@dataclass(frozen=True)
class PlotJob:
    """What to draw. Raises ValueError for what cannot work, before anything is read."""

    source: Path
    """A bag, a folder of `pose process` or `pose demo`, a folder of angle tables, a .npz, .trc or .c3d file."""
    out: Path
    """Folder of the figures; made where there is none."""
    people: tuple[str, ...] = ()
    """Ids of those in a bag who are drawn; none: everybody."""
    joints: tuple[str, ...] = ()
    """Groups of angles such as right_knee, or both sides as knee; none: all, on one sheet as well."""
    tilt: Tilt | None = None
    """Tilt of the camera, where it is stated; else it is that which a bag knows, else the camera is level."""
    namespace: str | None = None
    """Of the robot, where the bag has several."""
    force: bool = False
    """Replace existing figures."""

    def __post_init__(self) -> None:
        expect_source(self.source, (SEQUENCE_FILE, *MARKER_FILES, *BAG_FILES))
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"{self.out} is no folder; name another one")
        self.groups  # noqa: B018 (checks its part)
        AngleOptions.tilted(*(self.tilt or LEVEL))

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups to draw, in their order. Raises ValueError for a joint that has no angles."""
        for joint in self.joints:
            if not any(_is_of(group, joint) for group in GROUPS):
                raise ValueError(f"no angles are called '{joint}'; there are {', '.join(GROUPS)}")
        return tuple(g for g in GROUPS if not self.joints or any(_is_of(g, joint) for joint in self.joints))


@dataclass(frozen=True)
class _Drawn:
    """What is drawn: angles of everybody by what they are called, and their joints where they are known."""

    angles: dict[str, AngleSequence]
    origin: int
    """Stamp of second 0."""
    people: tuple[PoseSequence, ...] = ()
    tilt: Tilt | None = None
    """Of the camera, where it is known."""


def plot(job: PlotJob, progress: Progress) -> dict[str, Any]:
    """Draw the figures; which. `progress` gets the number of figures.

    Raises ValueError for a source without anybody, a damaged one, and for existing figures, before anything is written.
    """
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        drawn = _read(job, said.append)
    said += [str(warning.message) for warning in caught]
    figures = _figures(job, drawn)
    for name in figures:
        if (job.out / name).exists() and not job.force:
            raise ValueError(
                f"{job.out / name} exists already; name another folder, or replace it with --force"
            )
    for number, (name, draw) in enumerate(figures.items()):
        progress(number, len(figures))
        plots.save(draw(), job.out / name)
    progress(len(figures), len(figures))
    return {
        "folder": str(job.out),
        "people": len(drawn.angles),
        "frames": max((len(angles) for angles in drawn.angles.values()), default=0),
        "figures": len(figures),
        **({"warnings": said} if said else {}),
    }


def together(people: Sequence[PoseSequence], tilt: Tilt | None = None) -> list[People3D]:
    """Everybody of one recording image by image, as the figures take them, before a camera that is tilted so.

    All have one frame and one skeleton.
    """
    up = None if tilt is None else up_in_camera(*tilt)
    images: dict[int, People3D] = {}
    for image in sorted(
        (image for one in people for image in one.to_people()), key=lambda image: image.stamp
    ):
        other = images.get(image.stamp)
        shown = image.people if other is None else (*other.people, *image.people)
        images[image.stamp] = People3D(image.stamp, image.frame_id, image.skeleton, shown, up=up)
    return list(images.values())


def _is_of(group: str, joint: str) -> bool:
    return group == joint or group.partition("_")[2] == joint


def _read(job: PlotJob, say: Say) -> _Drawn:
    ending = job.source.suffix.lower()
    tables = job.source.is_dir() and any((job.source / f"{group}.csv").is_file() for group in GROUPS)
    if not tables and (job.source.is_dir() or ending in BAG_FILES):
        return _recorded(job, say)
    if job.people:
        raise ValueError(f"{job.source} is of one person; leave --person out")
    if tables:
        angles = read_angle_tables(job.source)
        return _Drawn({name_of(job.source): angles}, 0)
    if ending == SEQUENCE_FILE:
        sequence = PoseSequence.load(job.source)
        angles = angles_of(sequence, AngleOptions.tilted(*(job.tilt or LEVEL)))
        return _Drawn({sequence.person or name_of(job.source): angles}, _first(angles), (sequence,), job.tilt)
    angles = angles_of_markers(MARKER_FILES[ending](job.source))
    return _Drawn({name_of(job.source): angles}, _first(angles))


def _recorded(job: PlotJob, say: Say) -> _Drawn:
    """Angles as the bag has them, else of its joints: a stated tilt of the camera makes recorded ones out of date."""
    held = open_recording(job.source, _quiet, say, job.namespace)
    people = tuple(held.joints(person) for person in held.chosen(job.people))
    angles: dict[str, AngleSequence] = {}
    options = AngleOptions.tilted(*(job.tilt or held.tilt or LEVEL))
    for one in people:
        recorded = held.angles(one.person)
        own = None if differs(job.tilt, held.tilt) else recorded
        if recorded is not None and own is None:
            say(f"{one.person}: {ANEW}")
        angles[one.person] = angles_of(one, options) if own is None else own
    return _Drawn(angles, int(held.stamps[0]), people, job.tilt or held.tilt)


def _figures(job: PlotJob, drawn: _Drawn) -> dict[str, Callable[[], Any]]:
    """What draws each figure, by its path in the folder: with several people, each has one of their own."""
    figures: dict[str, Callable[[], Any]] = {}
    folders = _folders(list(drawn.angles))
    for person, angles in drawn.angles.items():
        for group in job.groups:
            if any(angle.group == group and angle.name in angles.names for angle in ANGLES):
                figures[f"{folders[person]}{group}.png"] = _group(angles, group, person, drawn.origin)
        if not job.joints:
            figures[f"{folders[person]}{OVERVIEW}"] = _overview(angles, person, drawn.origin)
    if drawn.people and not job.joints:
        title = f"{name_of(job.source)}: 3D skeleton over time"
        figures[SKELETON] = lambda: plots.skeleton_figure(together(drawn.people, drawn.tilt), title=title)
    return figures


def _group(angles: AngleSequence, group: str, person: str, origin: int) -> Callable[[], Any]:
    return lambda: group_figure(angles, group, title=person, start=origin)


def _overview(angles: AngleSequence, person: str, origin: int) -> Callable[[], Any]:
    return lambda: overview_figure(angles, title=f"Joint angles, {person}", start=origin)


def _folders(people: list[str]) -> dict[str, str]:
    """Folder of each person's figures with a slash behind it; nothing for a single one. Different ones, whatever the ids."""
    if len(people) < 2:
        return dict.fromkeys(people, "")
    folders: dict[str, str] = {}
    for person in people:
        name = plain = file_name(person)
        number = 2
        while f"{name}/".casefold() in {taken.casefold() for taken in folders.values()}:
            name = f"{plain}_{number}"
            number += 1
        folders[person] = f"{name}/"
    return folders


def _first(angles: AngleSequence) -> int:
    return int(angles.stamps[0]) if len(angles) else 0


def _quiet(_done: int, _total: int | None) -> None:
    """Reading is quick; the figures are what takes its time."""
