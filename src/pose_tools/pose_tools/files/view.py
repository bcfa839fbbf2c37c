"""`pose view`: a recording or a file of markers as a page that shows it in space; any browser opens it, without a server."""

from __future__ import annotations

import math
import os
import sys
import warnings
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pose_core.callbacks import Progress, Say
from pose_core.formats.c3d import read_c3d
from pose_core.formats.trc import read_trc
from pose_core.markers import MarkerSequence
from pose_core.sequence import PoseSequence
from pose_core.units import S_PER_NS
from pose_tools.bag.files import BAG_FILES, METADATA
from pose_tools.bag.people import BagPeople, read_people
from pose_tools.result_folder import BAG
from pose_tools.tilt import LEVEL, Tilt
from pose_viz.pages import web_page
from pose_viz.pages.viewer import viewer_page

MARKER_FILES: dict[str, Callable[[Path], MarkerSequence]] = {".trc": read_trc, ".c3d": read_c3d}
SEQUENCE_FILE = ".npz"


@dataclass(frozen=True)
class ViewJob:
    """What to show. Raises ValueError for what cannot work, before anything is read."""

    source: Path
    """A bag, a folder of `pose process` or `pose demo`, a .trc, .c3d or .npz file."""
    out: Path | None = None
    """The page; by default beside the source, with its name."""
    people: tuple[str, ...] = ()
    """Ids of those in a bag who are shown; none: everybody."""
    begin: float = 0.0
    """Seconds since the recording's start from which it is shown; likewise `end`."""
    end: float = math.inf
    tilt: Tilt | None = None
    """Tilt of the camera, where it is stated; else it is that which a bag knows, else the camera is level."""
    namespace: str | None = None
    """Of the robot, where the bag has several."""
    open_browser: bool = True

    def __post_init__(self) -> None:
        expect_source(self.source, (*MARKER_FILES, SEQUENCE_FILE, *BAG_FILES))
        if not self.begin < self.end:
            raise ValueError(
                f"the part to show must end after it begins, got {self.begin:g} to {self.end:g} s"
            )
        page = self.page
        if page.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"the page to write must end in .html, got '{page}'")
        if not page.parent.is_dir():
            raise ValueError(
                f"there is no folder {page.parent}; make it first, or name another one with --out"
            )
        if page.is_dir() or (page.is_file() and not web_page.is_ours(page)):
            raise ValueError(f"{page} exists and is no page of this program; name another one with --out")

    @property
    def page(self) -> Path:
        """Where the page goes."""
        if self.out is not None:
            return self.out
        source = self.source.resolve()
        return source.with_name(f"{name_of(self.source)}.html")


def view(job: ViewJob, progress: Progress) -> dict[str, Any]:
    """Write the page and open it; what it shows. `progress` gets the number of messages read.

    Raises ValueError for a source without anybody to show or a damaged one, OSError where the page cannot be written.
    """
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        people, origin, (pitch, roll) = _people(job, progress, said.append)
    said += [str(warning.message) for warning in caught]
    shown = [_part(one, origin, job.begin, job.end) for one in people]
    if not any(len(one) for one in shown):
        raise ValueError(
            f"{job.source} has no frame from {job.begin:g} to {job.end:g} s; it lasts {_last(people, origin):g} s"
        )
    content = viewer_page(
        shown,
        name_of(job.source),
        camera_pitch_deg=pitch,
        camera_roll_deg=roll,
    )
    page = web_page.save(content, job.page)
    return {
        "page": str(page),
        "people": len(shown),
        "frames": max(len(one) for one in shown),
        "opened": job.open_browser and _open(page),
        **({"warnings": said} if said else {}),
    }


def expect_source(source: Path, endings: Sequence[str]) -> None:
    """Raise ValueError for a source that is not there, or a file with another ending."""
    if not source.exists():
        raise ValueError(f"there is no {source}; name a bag, or a file that ends in {', '.join(endings)}")
    if source.is_file() and source.suffix.lower() not in endings:
        raise ValueError(
            f"{source} is of no kind that can be read; it must be a bag or end in {', '.join(endings)}"
        )


def name_of(source: Path) -> str:
    """What a source is called: its name without the ending of a file."""
    path = source.resolve()
    return path.name if path.is_dir() else path.stem


def open_recording(source: Path, progress: Progress, say: Say, namespace: str | None) -> BagPeople:
    """The people in 3D of a bag, which may lie in a folder of results. Raises as `bag_people.read_people` does."""
    inside = source / BAG
    result = not (source / METADATA).is_file() and inside.is_dir()
    return read_people(inside if result else source, progress, say, namespace=namespace, landmarks=False)


def _people(
    job: ViewJob, progress: Progress, say: Say
) -> tuple[list[MarkerSequence] | list[PoseSequence], int, Tilt]:
    """Everybody to show, the stamp of second 0, and how the camera is tilted."""
    ending = job.source.suffix.lower()
    tilt = job.tilt
    if job.source.is_dir() or ending in BAG_FILES:
        held = open_recording(job.source, progress, say, job.namespace)
        people = [held.joints(person) for person in held.chosen(job.people)]
        return people, int(held.stamps[0]), tilt or held.tilt or LEVEL
    if job.people:
        raise ValueError(f"{job.source} is of one person; leave --person out")
    if ending == SEQUENCE_FILE:
        sequence = PoseSequence.load(job.source)
        return [sequence], int(sequence.stamps[0]) if len(sequence) else 0, tilt or LEVEL
    markers = MARKER_FILES[ending](job.source)
    return [markers], int(markers.stamps[0]) if len(markers) else 0, tilt or LEVEL


def _part(
    one: MarkerSequence | PoseSequence, origin: int, begin: float, end: float
) -> MarkerSequence | PoseSequence:
    """The frames from `begin` to `end`, in seconds after the stamp `origin`."""
    seconds = (one.stamps - origin) * S_PER_NS
    kept = (seconds >= begin) & (seconds <= end)
    if kept.all():
        return one
    if isinstance(one, PoseSequence):
        return one[slice(int(kept.argmax()), int(kept.argmax() + kept.sum()))]
    return replace(one, stamps=one.stamps[kept], xyz=one.xyz[kept], std=one.std[kept])


def _last(people: Sequence[MarkerSequence | PoseSequence], origin: int) -> float:
    return max((float(one.stamps[-1] - origin) * S_PER_NS for one in people if len(one)), default=0.0)


def _open(page: Path) -> bool:
    """Whether a browser was asked to show the page: where there is no screen, none is."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return False
    return webbrowser.open(page.resolve().as_uri())
