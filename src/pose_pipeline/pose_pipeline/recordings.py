"""Whole recordings: a video made into results, and whatever lies in a file or folder read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pose_core.angles import AngleSequence
from pose_core.callbacks import Progress, Say, no_progress, silent
from pose_core.formats.c3d import read_c3d
from pose_core.formats.mot import Motion, read_mot
from pose_core.formats.trc import read_trc
from pose_core.markers import MarkerSequence
from pose_core.sequence import PoseSequence
from pose_tools.result_folder import BAG, SUMMARY

if TYPE_CHECKING:
    from pose_tools.bag.people import BagPeople

FORMAT = "pose_process"
"""What the format of a summary begins with where the folder is one of `pose process`."""


@dataclass(frozen=True, eq=False)
class Result:
    """What `process` leaves in a folder, and `read` finds there. Everything is read when it is asked for.

    All of one recording shares its stamps, in ns. `person` may be left out where there is only one. Raises ValueError for a
    person who is not there and for a file that is damaged, FileNotFoundError for one that is gone.
    """

    folder: Path
    summary: Mapping[str, Any]
    """The run in numbers, as summary.json has it: people, lifter, refiner, warnings and so on."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Of everybody who was exported, in the order in which they appeared."""
        return tuple(self.summary["people"])

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything in the folder that the run made."""
        return tuple(self.folder / name for name in self.summary.get("files", ()))

    def joints(self, person: str = "") -> PoseSequence:
        """(T, J, 3) metres, refined, in the optical frame of the camera."""
        return self._held.joints(self._one(person))

    def landmarks(self, person: str = "") -> PoseSequence:
        """(T, J, 2) pixels, as detected."""
        found = self._held.landmarks(self._one(person))
        if found is None:
            raise ValueError(f"{self.folder / BAG} holds no landmarks of '{self._one(person)}'")
        return found

    def angles(self, person: str = "") -> AngleSequence:
        """(T, A) radians with standard deviations and flags (docs/angles.md)."""
        found = self._held.angles(self._one(person))
        if found is None:
            raise ValueError(f"{self.folder / BAG} holds no joint angles of '{self._one(person)}'")
        return found

    def markers(self, person: str = "") -> MarkerSequence:
        """(T', M, 3) metres at an even rate, X where the camera looks, Y up, Z right: the refined ones (docs/markers.md)."""
        from pose_tools.process.person import labels

        label = dict(zip(self.ids, labels(list(self.ids)), strict=True))[self._one(person)]
        ending = f"_{label}_final.trc" if label else "_final.trc"
        fitting = [file for file in self.files if file.name.endswith(ending)]
        if not fitting:
            raise FileNotFoundError(f"{self.folder} lists no file that ends in {ending}; process it again")
        markers = read_trc(min(fitting, key=lambda file: len(file.name)))
        return replace(markers, stamps=markers.stamps + int(self._held.stamps[0]), person=self._one(person))

    @cached_property
    def _held(self) -> BagPeople:
        from pose_tools.bag.people import read_people

        return read_people(self.folder / BAG, no_progress, silent)

    def _one(self, person: str) -> str:
        if not person and len(self.ids) == 1:
            return self.ids[0]
        if person not in self.ids:
            wrong = f"shows no '{person}'" if person else "shows several people: name one"
            raise ValueError(f"{self.folder} {wrong}; it shows {', '.join(self.ids)}")
        return person


Recording: TypeAlias = "PoseSequence | AngleSequence | MarkerSequence | Motion | BagPeople | Result"
"""What `read` returns, by what lies there."""


def process(
    video: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    progress: Progress = no_progress,
    say: Say = silent,
    **options: Any,
) -> Result:
    """A recording of one camera to markers, joint angles, a bag, an overlay video and a report in the folder `out`.

    `video`: a video file, a folder of images, or a bag. `options`: those of `pose process` with underscores: height (m), mass
    (kg), lifter, refiner, detector, calibration (a path), camera_pitch_deg, num_poses, overlay, force, processes and so on, and
    `parameters`, any others by full name, such as `{"refine.process_noise": 0.5}` (docs/parameters.md). `progress` is called
    with units of work done and all; `say` with a sentence now and then.

    People are looked for in several processes, which import the calling script anew: call this under `if __name__ ==
    "__main__":`, or with `processes=1`. Interrupted, it goes on from where it was when called again. Call it in the main
    thread: it takes Ctrl-C as the wish to stop. Raises ValueError for an input, folder or option that cannot be used, and when
    interrupted; OSError where the disk is full; unless it returns, nothing is at `out` that was not there before.
    """
    from pose_tools.process.job import ProcessJob
    from pose_tools.process.run import process as run

    run(ProcessJob.asked(Path(video), Path(out), **options), progress, say)
    return _result(Path(out))


def read(path: str | os.PathLike[str]) -> Recording:
    """What a file or folder holds:

    - .trc, .c3d: `MarkerSequence`, metres, axes of the file; a .csv of markers: the same.
    - .mot, .sto: `Motion`, columns by name in the file's units.
    - .csv of joint angles, or a folder of such tables: `AngleSequence`, radians.
    - .csv of landmarks: `PoseSequence` in pixels.
    - .npz: `PoseSequence`, metres or pixels.
    - a bag (folder, .mcap, .db3), also inside a folder of `pose demo`: `BagPeople`, whose `ids`, `joints(id)`, `landmarks(id)`
      and `angles(id)` are everybody's sequences.
    - a folder of `pose process`: `Result`, which also has `markers(id)`, `files` and `summary`.

    Stamps are ns: those of the recording in a bag, a result and an .npz; the file's own times elsewhere. Raises
    FileNotFoundError, and ValueError for what is none of these, or damaged.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}")
    if path.is_dir():
        return _folder(path)
    readers = _readers()
    ending = path.suffix.lower()
    if ending not in readers:
        raise ValueError(
            f"{path} is of no kind that can be read; it must be a folder or end in {', '.join(readers)}"
        )
    return readers[ending](path)


def _readers() -> dict[str, Callable[[Path], Recording]]:
    from pose_tools.files.tables import read_table

    return {
        ".trc": read_trc,
        ".c3d": read_c3d,
        ".mot": read_mot,
        ".sto": read_mot,
        ".csv": read_table,
        ".npz": PoseSequence.load,
        ".mcap": _bag,
        ".db3": _bag,
    }


def _folder(path: Path) -> Recording:
    from pose_biomechanics.isb import GROUPS

    if (path / SUMMARY).is_file() and _summary(path).get("format", "").startswith(FORMAT):
        return _result(path)
    if any((path / f"{group}.csv").is_file() for group in GROUPS):
        from pose_tools.files.tables import read_angle_tables

        return read_angle_tables(path)
    return _bag(path)


def _result(path: Path) -> Result:
    return Result(path, _summary(path))


def _summary(path: Path) -> dict[str, Any]:
    try:
        summary = json.loads((path / SUMMARY).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path / SUMMARY} is damaged: {error}") from error
    if not isinstance(summary, dict):
        raise ValueError(f"{path / SUMMARY} is damaged: it holds no names")
    return summary


def _bag(path: Path) -> BagPeople:
    from pose_tools.files.view import open_recording

    return open_recording(path, no_progress, silent, None)
