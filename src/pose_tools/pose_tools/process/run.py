"""`pose process`: a recording in, everything that biomechanics wants of it out, without a ROS graph, on all cores.

Detection takes most of the time: segments of the input are looked at by all cores, and what each segment showed is kept in a
working folder beside the output, from which an interrupted run goes on. All else follows from those files in the order of images:
ids, lifting, refinement with all of the recording known, markers, angles. What is made is moved to its name when it is complete.

The result depends on the input and the job alone: not on the number of cores, and not on interruptions.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2

from lift3d_node.intrinsics import Intrinsics
from lift3d_node.params import STATED
from lift3d_node.pipeline import PeopleLifter
from pose2d_node.detector import identity
from pose_biomechanics.angle_refiner import AngleRefiner
from pose_core.callbacks import Progress, Say, silent
from pose_core.files import write_whole
from pose_core.formats.rate import rate_of
from pose_core.geometry.calibration import read_camera
from pose_core.measures.quality import id_changes, quality_of
from pose_core.sequence import PoseSequence
from pose_core.statements import MAX_HEIGHT, MIN_HEIGHT, SubjectStatements
from pose_core.system.signals import Signals
from pose_core.system.threads import one_blas_thread
from pose_core.units import S_PER_NS
from pose_tools.bag.files import BAG_FILES, is_bag
from pose_tools.bag.stated import stated_in
from pose_tools.process.bag import Result, run_of, write_bag
from pose_tools.process.detection import Kept, Work, looked, make_ready
from pose_tools.process.figures import draw_angles
from pose_tools.process.folder import (
    DETECTIONS,
    FORMAT,
    can_go_on,
    expect_replaceable,
    publish,
    working_folder,
    write_summary,
)
from pose_tools.process.footage import FolderFootage, Footage, VideoFootage
from pose_tools.process.job import ProcessJob, readable, settings_of
from pose_tools.process.overlay import Drawing, draw
from pose_tools.process.people import Sighting, Tracked
from pose_tools.process.person import (
    ANGLE_FOLDER,
    Person,
    Timing,
    Wanted,
    file_name,
    labels,
    least_seconds,
    open_augmenter,
    person_of,
    said_of,
    valid_share,
    write_angles,
    write_landmarks,
    write_markers,
)
from pose_tools.process.recorded import BagFootage, Recorded, RecordedPeople, camera_of, open_bag
from pose_tools.process.stages import Lifted, Track, hidden, is_offline, lift, refine
from pose_tools.process.workers import Stopped, Workers, cores
from pose_tools.result_folder import BAG, SUMMARY, overlay_name
from pose_viz.figures.angle_curves import gaps_of
from pose_viz.pages import web_page
from pose_viz.pages.report import FileEntry, PersonReport, RunReport, remarks_of, report_page
from refine_node.refiners import REFINERS

REPORT = "report.html"
MOST_GAPS = 5
"""Gaps between images that are told of."""
KEPT_FORMAT = 1
"""Version of what the working folder keeps; another one is begun anew."""


def process(job: ProcessJob, progress: Progress, say: Say = silent) -> dict[str, Any]:
    """Make everything of `job`. Returns what there is to say about it: the summary that lies in the folder, and how long it took.

    `progress` gets units of work done and all; `say` a sentence now and then. Raises ValueError for an input, a folder or a
    parameter that cannot be used, and for an interruption, after which the same job goes on where it was; OSError where the disk
    is full. Unless it returns, nothing is at `job.out` that was not there before.
    """
    started = time.perf_counter()
    out = job.out.absolute()
    expect_replaceable(out, job)
    with Signals() as signals, working_folder(out) as folder:
        meter = _Meter(progress, lambda: signals.received)
        try:
            summary, clock = _Run(job, folder, meter, say).run()
        except Stopped:
            kept = f"; what was looked at is kept in {folder}, and the same command goes on from there"
            raise ValueError(f"interrupted{kept if can_go_on(folder) else ''}") from None
        expect_replaceable(out, job)
        publish(folder, out)
        progress(meter.total or 1, meter.total or 1)
    clock["all"] = time.perf_counter() - started
    return {"folder": str(job.out), **summary, "seconds": clock}


class _Meter:
    """Adds up progress, and ends the work when that is wanted."""

    def __init__(self, progress: Progress, wanted: Callable[[], bool]) -> None:
        self._progress, self._wanted = progress, wanted
        self.total: int | None = None
        self.done = 0
        self.base = 0
        """Units of work that no worker counts."""

    def look(self) -> None:
        """Raise Stopped where the work is to end."""
        if self._wanted():
            raise Stopped

    def show(self, done: int) -> None:
        """`done` units of work of the whole are done. Raises as `look`."""
        self.look()
        self.done = max(self.done, done if self.total is None else min(done, self.total))
        self._progress(self.done, self.total)


@dataclass(frozen=True)
class _Source:
    """An input that is open."""

    name: str
    describe: str
    footage: Footage | None
    """Its images, where it has any."""
    recorded: Recorded | None
    """A bag."""

    @property
    def frame_id(self) -> str:
        """Optical frame that a bag names for its images; else empty."""
        return self.footage.frame_id if self.recorded is not None and self.footage is not None else ""

    @property
    def has_people(self) -> bool:
        """Whether people in 2D were recorded, so that nobody need be looked for."""
        return self.recorded is not None and self.recorded.has_people

    @property
    def length(self) -> int:
        """Images, about."""
        if self.recorded is not None and self.has_people:
            return RecordedPeople(self.recorded).length
        assert self.footage is not None
        return self.footage.length


class _Run:
    """One run in its working folder."""

    def __init__(self, job: ProcessJob, folder: Path, meter: _Meter, say: Say) -> None:
        self.job, self.folder, self.meter, self.say = job, folder, meter, say
        self.result = folder / "result"
        self.refined = folder / "refined"
        self.clock: dict[str, float] = {}
        self.begun = 0.0
        """When the first image was looked at."""
        self.files: list[tuple[str, str]] = []
        """Names within the result, and what they are."""
        self.warnings: list[str] = []
        self.subjects = SubjectStatements()
        """What a bag states of people."""

    def run(self) -> tuple[dict[str, Any], dict[str, float]]:
        """Leave everything in the folder `result`; the summary, and how many seconds what took."""
        for folder in (self.result, self.refined):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        source = self._open()
        job = self.job = self._informed(source)
        intrinsics = self._intrinsics(source)
        processes = job.process.processes or cores()
        with Workers(0 if processes == 1 else processes, lambda: self._watch()) as self.workers:
            if not source.has_people:
                identity(job.pose2d)  # one that is not there is told of before any worker starts
                make_ready(self.workers, job.pose2d)
            stage = PeopleLifter(job.lift3d)
            if self.subjects.subjects:
                stage.subjects.author.hear(self.subjects.statement)
            REFINERS.get(job.refine.refiner).check(job.refine)
            wanted = Wanted(
                job.process,
                AngleRefiner() if job.refine.angle_refinement else None,
                job.options,
            )
            augmenter = open_augmenter()
            one_blas_thread()
            with self._timed("start, detect and lift"):
                sighting, lifted = self._lift(source, stage, intrinsics)
                self.clock["first image to last one lifted"] = time.perf_counter() - self.begun
            chosen = self._chosen(lifted)
            timing = Timing(int(lifted.stamps[0]), rate_of(lifted.stamps))
            with self._timed("refine"):
                refined = self._refine(chosen)
            drawing = self._draw(source, sighting, lifted, intrinsics, refined)
            with self._timed("markers and angles"):
                people = [person_of(track, one, wanted, augmenter) for track, one in refined]
            figures = self._write(source.name, people, timing)
            with self._timed("bag"):
                results = [Result(person.refined, person.angles) for person in people]
                write_bag(
                    self.result / BAG,
                    sighting,
                    lifted,
                    results,
                    intrinsics,
                    self.meter.look,
                    self.job.up,
                    [run_of("lift3d", job.lift3d), run_of("refine", job.refine)],
                    self.subjects,
                )
                self.files.append((BAG, "everything of everybody as messages (rosbag2, MCAP)"))
            with self._timed("figures and overlay"):
                for figure in figures:
                    self.workers.finish(figure)
                has_overlay = self._finish_overlay(drawing)
        summary = self._summary(source, sighting, stage, intrinsics, lifted, people)
        self._report(summary, source, lifted, people, timing.origin, has_overlay)
        return summary, self.clock

    # Input

    def _open(self) -> _Source:
        path = self.job.source
        if path.is_dir() and not is_bag(path):
            folder = FolderFootage.open(path, self.job.pose2d.image_rate_hz)
            return _Source(file_name(path.absolute().name), folder.describe(), folder, None)
        if path.is_dir() or path.suffix in BAG_FILES:
            recorded = open_bag(
                path, self.folder / "recovered", self._warn, self.job.process.namespace or None
            )
            footage = BagFootage.of(recorded) if recorded.image_topic else None
            name = file_name(path.absolute().name if path.is_dir() else path.stem)
            return _Source(name, f"{name}, a bag", footage, recorded)
        video = VideoFootage.open(path)
        return _Source(file_name(path.stem), video.describe(), video, None)

    def _informed(self, source: _Source) -> ProcessJob:
        """The job with what a bag knows of camera and people, where it is not stated otherwise."""
        job = self.job
        if source.recorded is None or (job.tilt_stated and job.lift3d.height):
            return job
        known = stated_in(source.recorded.path, source.recorded.namespace)
        values, _ = known.values({})
        lifting = values.get("lift3d", {})
        if lifting.get("camera_tilt") == STATED and not job.tilt_stated:
            angles = (lifting.get(name, 0.0) for name in ("camera_pitch_deg", "camera_roll_deg"))
            pitch, roll = (round(float(angle), 2) for angle in angles)
            job = job.tilted((pitch, roll))
            self.say(f"the bag knows that the camera looks {pitch:g} degrees down and is rolled by {roll:g}")
        if job.lift3d.height:
            return job
        if MIN_HEIGHT <= (height := float(lifting.get("height", 0.0))) <= MAX_HEIGHT:
            job = replace(job, lift3d=replace(job.lift3d, height=height))
            self.say(f"the bag knows a height of {height:g} m")
        self.subjects = known.subjects
        heights = [
            f"{one.height:g} m of {one.person or 'everybody'}"
            for one in known.subjects.subjects
            if one.height
        ]
        if heights:
            self.say(f"the bag knows heights: {', '.join(heights)}")
        return job

    def _intrinsics(self, source: _Source) -> Intrinsics:
        camera = camera_of(source.recorded) if source.recorded is not None else None
        if self.job.calibration is not None:
            camera = read_camera(self.job.calibration)
        assumed = self.job.lift3d.field_of_view_deg
        intrinsics = Intrinsics(assumed)
        if camera is not None:
            intrinsics.hear(camera)
        else:
            self._warn(
                f"The camera is not calibrated: an angle of view of {assumed:g} degrees is assumed, and distances are as good as "
                "that."
            )
        return intrinsics

    def _warn(self, sentence: str) -> None:
        self.warnings.append(sentence)
        self.say(sentence)

    # Detection and lifting

    def _lift(self, source: _Source, stage: PeopleLifter, intrinsics: Intrinsics) -> tuple[Sighting, Lifted]:
        """Everybody lifted, and the way to see everybody in 2D once more."""
        drawn = 0
        if self.job.process.overlay and source.footage is not None:
            drawn, rate = source.footage.length, self.job.viz.overlay_rate
            if rate:
                drawn = min(drawn, math.ceil(drawn * source.footage.period * S_PER_NS * rate))
        self.meter.total = source.length + drawn
        if source.recorded is not None and source.has_people:
            recorded = RecordedPeople(source.recorded)
            self.begun = time.perf_counter()
            return recorded, lift(recorded, stage, intrinsics, self.meter.show)
        assert source.footage is not None
        work = self._detection(source.footage)
        segments = source.footage.segments()
        there = [images for segment in segments if (images := work.images(segment)) is not None]
        if there:
            self.say(f"{len(there)} of {len(segments)} parts were looked at before; going on from there")
        self.meter.base = sum(there)
        frame_id = source.frame_id or self.job.pose2d.frame_id
        self.begun = time.perf_counter() if len(there) == len(segments) else 0.0
        first = Tracked(partial(looked, work, segments, self.workers), work.params, frame_id)
        lifted = lift(first, stage, intrinsics, lambda _done: self._watch())
        return Tracked(Kept(work, segments), work.params, frame_id), lifted

    def _detection(self, footage: Footage) -> Work:
        """The work of looking at the images; what an earlier run kept of other images, or for another detector, is dropped."""
        params = self.job.pose2d
        key = {
            "format": KEPT_FORMAT,
            "input": footage.identity(),
            "segments": [[segment.start, segment.end] for segment in footage.segments()],
            "detector": asdict(replace(params, calibration="")),  # detection does not look at it
            "seen by": identity(params),
            "versions": {"numpy": version("numpy"), "cv2": cv2.__version__},
        }
        text = json.dumps(key, indent=1, sort_keys=True)
        folder, stated = self.folder / DETECTIONS, self.folder / "job.json"
        if not stated.is_file() or stated.read_text(encoding="utf-8") != text:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            write_whole(stated, text.encode())
        return Work(footage, params, folder)

    def _watch(self) -> None:
        if self.workers.ticks and not self.begun:
            self.begun = time.perf_counter()
        self.meter.show(self.meter.base + self.workers.ticks)

    # Refinement

    def _chosen(self, lifted: Lifted) -> list[Track]:
        """Who is exported. Raises ValueError for nobody."""
        if not lifted.tracks:
            raise ValueError(
                f"nobody was found in the {len(lifted.stamps)} images of {self.job.source}; is a whole person in sight?"
            )
        least = least_seconds(self.job.process.min_seconds, lifted.stamps)
        return [track for track in lifted.tracks if track.seconds >= least]

    def _refine(self, tracks: list[Track]) -> list[tuple[Track, PoseSequence]]:
        """Who could be refined, and how. Raises ValueError for nobody."""
        refined: list[tuple[Track, PoseSequence]] = []
        for track in tracks:
            seen = hidden(track.lifted, self.job.process.visibility_min)
            try:
                one = refine(seen, self.job.refine, lambda _done, _total: self.meter.look())
            except ValueError as error:
                self._warn(f"{track.id} is left out: {error}")
                continue
            refined.append((track, one))
            one.save(self._refined_file(len(refined)))
        if not refined:
            raise ValueError(f"nobody in {self.job.source} could be refined: {' '.join(self.warnings)}")
        return refined

    def _refined_file(self, number: int) -> Path:
        return self.refined / f"person_{number}.npz"

    # Results

    def _draw(
        self,
        source: _Source,
        sighting: Sighting,
        lifted: Lifted,
        intrinsics: Intrinsics,
        refined: list[tuple[Track, PoseSequence]],
    ) -> Future[Any] | None:
        """Begin the overlay video."""
        self.meter.done = self.meter.base = source.length
        self.meter.base -= self.workers.ticks
        if not self.job.process.overlay:
            return None
        if source.footage is None:
            self._warn("The input holds no images, so there is no overlay video.")
            return None
        files = tuple(self._refined_file(number) for number in range(1, len(refined) + 1))
        camera = intrinsics.of(lifted.width, lifted.height)
        return self.workers.submit(
            draw,
            Drawing(
                source.footage,
                sighting,
                files,
                camera,
                self.job.viz,
                self.job.video,
                self.result / overlay_name(self.job.video.codec),
            ),
        )

    def _finish_overlay(self, drawing: Future[Any] | None) -> bool:
        """Whether there is an overlay video."""
        if drawing is None:
            return False
        frames, left_out = self.workers.finish(drawing)
        if left_out:
            self._warn(
                f"{left_out} images are missing in the overlay video; they are broken or of another size."
            )
        if frames:
            self.files.append((overlay_name(self.job.video.codec), "the people drawn on their images"))
        return bool(frames)

    def _write(self, name: str, people: list[Person], timing: Timing) -> list[Future[Any]]:
        """Write everybody's files, and begin the figures."""
        figures: list[Future[Any]] = []
        for person, label in zip(people, labels([person.track.id for person in people]), strict=True):
            prefix = f"{name}_{label}" if label else name
            angles = Path(ANGLE_FOLDER) / label
            (self.result / angles).mkdir(parents=True)
            self.meter.look()
            figures += draw_angles(self.workers, self.result / angles, person.angles, timing.origin, prefix)
            with self._timed("files"):
                self.files += write_markers(self.result, prefix, person, timing, self.job.options)
                self.files += write_landmarks(self.result, prefix, person.track, timing.origin)
                write_angles(self.result / angles, person.angles, timing.origin)
            self.files.append(
                (angles.as_posix(), "joint angles: a table and a figure for each group, and an overview")
            )
        return figures

    def _summary(
        self,
        source: _Source,
        sighting: Sighting,
        stage: PeopleLifter,
        intrinsics: Intrinsics,
        lifted: Lifted,
        people: list[Person],
    ) -> dict[str, Any]:
        """What there is to say; written to the folder."""
        done = {person.track.id for person in people}
        stamps = lifted.stamps
        if sighting.dropped:
            self.warnings.append(f"{sighting.dropped} images could not be used, and are left out.")
        seconds = (stamps - stamps[0]) * S_PER_NS
        for frame in gaps_of(seconds)[:MOST_GAPS].tolist():
            self.warnings.append(
                f"There is no image for {seconds[frame + 1] - seconds[frame]:.1f} s from {seconds[frame]:.1f} s on."
            )
        if intrinsics.fault:
            self.warnings.append(f"{intrinsics.fault}.")
        for person in people:
            self.warnings += person.remarks
        summary: dict[str, Any] = {
            "format": FORMAT,
            "input": readable(self.job.source.name),
            "images": len(stamps),
            "images left out": sighting.dropped,
            "seconds of film": float(stamps[-1] - stamps[0]) * S_PER_NS,
            "camera": intrinsics.describe(),
            "lifter": self.job.lift3d.lifter,
            "refiner": self.job.refine.refiner,
            "refined": "with the whole recording known" if is_offline(self.job.refine) else "as live",
            "parameters": self.job.changes(),
            "swaps repaired": stage.swapped,
            "people": {
                person.track.id: {
                    "images": person.track.images,
                    "seconds": person.track.seconds,
                    **person.facts,
                    "angles valid": valid_share(person.angles),
                }
                for person in people
            },
            "not exported": {
                track.id: {"images": track.images, "seconds": track.seconds}
                for track in lifted.tracks
                if track.id not in done
            },
            "warnings": self.warnings,
        }
        write_summary(self.result, summary)
        self.files.append((SUMMARY, "this run in numbers"))
        return summary

    def _report(
        self,
        summary: dict[str, Any],
        source: _Source,
        lifted: Lifted,
        people: list[Person],
        origin: int,
        has_overlay: bool,
    ) -> None:
        reports, remarks = [], list(self.warnings)
        for person in people:
            quality = quality_of(person.track.lifted, person.refined, start=origin)
            remarks += remarks_of(person.track.id, quality)
            reports.append(PersonReport(person.track.id, quality, person.angles, None, said_of(person)))
        files = [
            FileEntry(name, what, path.stat().st_size if (path := self.result / name).is_file() else None)
            for name, what in self.files
        ]
        page = report_page(
            RunReport(
                title=source.name,
                source=source.describe,
                frames=len(lifted.stamps),
                seconds=summary["seconds of film"],
                people=tuple(reports),
                settings=settings_of(self.job),
                id_changes=tuple(id_changes([track.lifted for track in lifted.tracks], start=origin)),
                overlay=overlay_name(self.job.video.codec) if has_overlay else "",
                files=tuple(files),
                warnings=tuple(remarks),
                start=origin,
            )
        )
        web_page.save(page, self.result / REPORT)

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.clock[what] = self.clock.get(what, 0.0) + time.perf_counter() - start
