"""Makes the samples of `pose_train.data.datasets.aist` from AIST++'s annotations and videos, through our detector.

    python -m pose_train.data.datasets.aist_convert ANNOTATIONS VIDEOS OUTPUT

ANNOTATIONS has the folders keypoints3d (*.pkl) and cameras (mapping.txt, setting1.json, ...), VIDEOS the *.mp4 files. One
file per video appears in OUTPUT, whole or not at all, so that a run that was stopped goes on where it was: what is there is
not made again. With --frames one file per frame is written, as the published system has it.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_core.callbacks import Say
from pose_core.files import write_whole
from pose_core.geometry.calibration import CalibratedCamera
from pose_core.skeleton import COCO17, MEDIAPIPE33
from pose_train.data.datasets.aist import (
    FIELDS,
    FPS,
    MORE_FIELDS,
    TO_CAMERA_AXES,
    mirrored,
    read_cameras,
    read_joints,
    read_settings,
    torso_length,
)

if TYPE_CHECKING:
    from pose2d_node.detection import Detector

OpenDetector = Callable[[], "Detector"]

VIEWS = tuple(f"c{number:02d}" for number in range(1, 10))
ALL_VIEWS = "cAll"
"""In a sequence's name, in the place of the view."""
TORSO = (0.1, 2.0)
"""Metres; outside, the joints are no person."""
MIRROR_MARGIN = 0.5
"""A video is mirrored if keypoints are that much nearer to the mirrored joints than to the joints themselves."""
MS = 1_000_000
IN_MEDIAPIPE = MEDIAPIPE33.indices(*COCO17.joints)


@dataclass(frozen=True)
class Job:
    """One video to convert."""

    name: str
    video: Path
    joints: Path
    camera: CalibratedCamera
    output: Path


@dataclass(frozen=True)
class Options:
    """`every`: one frame of so many is looked at. `longest`: frames looked at per video, 0 for all. `one_per_frame`: layout."""

    every: int = 2
    longest: int = 0
    one_per_frame: bool = False

    def __post_init__(self) -> None:
        if self.every < 1 or self.longest < 0:
            raise ValueError(
                f"every must be at least 1 and longest at least 0, got {self.every} and {self.longest}"
            )


@dataclass(frozen=True)
class Summary:
    """What a run did: videos converted, found done, and failed (name, reason)."""

    converted: int
    done_before: int
    failed: tuple[tuple[str, str], ...]


def plan(annotations: Path, videos: Path, output: Path, views: tuple[str, ...] = VIEWS) -> list[Job]:
    """The videos of `views` that have joints, in the order of their names.

    Raises ValueError where there are none, or where a camera file is missing or wrong.
    """
    settings = read_settings(annotations / "cameras" / "mapping.txt")
    cameras = {
        setting: read_cameras(annotations / "cameras" / f"{setting}.json")
        for setting in set(settings.values())
    }
    jobs = []
    for joints in sorted((annotations / "keypoints3d").glob("*.pkl")):
        sequence = joints.stem
        for view in views:
            video = videos / f"{sequence.replace(ALL_VIEWS, view)}.mp4"
            if not video.is_file():
                continue
            if view not in cameras.get(settings.get(sequence, ""), {}):
                raise ValueError(
                    f"{annotations / 'cameras'} has no camera {view} for '{sequence}'; get mapping.txt and its settings anew"
                )
            jobs.append(Job(f"{sequence}_{view}", video, joints, cameras[settings[sequence]][view], output))
    if not jobs:
        raise ValueError(
            f"no video in {videos} belongs to a file in {annotations / 'keypoints3d'}; a sequence "
            f"gBR_sBM_{ALL_VIEWS}_d04_mBR0_ch01.pkl needs gBR_sBM_{views[0]}_d04_mBR0_ch01.mp4"
        )
    return jobs


def is_done(job: Job, options: Options) -> bool:
    """Whether an earlier run finished this video."""
    return _marker(job, options).is_file()


def convert(
    jobs: list[Job],
    open_detector: OpenDetector,
    options: Options | None = None,
    *,
    processes: int = 1,
    finished: Say | None = None,
) -> Summary:
    """Convert what is not done yet, in several processes if more than one; `finished` gets each video's name.

    A video that cannot be converted is reported and the others go on. `open_detector` makes one for each video; it must be
    importable by other processes. Raises BrokenProcessPool where a process dies.
    """
    options = options or Options()
    todo = [job for job in jobs if not is_done(job, options)]
    work = partial(convert_video, open_detector=open_detector, options=options)
    failed = []
    for job, error in _results(todo, work, processes):
        if error is not None:
            failed.append((job.name, str(error)))
        if finished is not None:
            finished(job.name)
    return Summary(len(todo) - len(failed), len(jobs) - len(todo), tuple(sorted(failed)))


def convert_video(job: Job, open_detector: OpenDetector, options: Options) -> int:
    """Write the samples of one video; returns how many. Raises ValueError or OSError, saying which file and why."""
    joints = read_joints(job.joints)
    detector = open_detector()
    try:
        samples = _samples(job, joints, detector, options)
    finally:
        detector.close()
    job.output.mkdir(parents=True, exist_ok=True)
    if options.one_per_frame:
        for i, frame in enumerate(samples["frame_idx"].tolist()):
            one = {name: samples[name][i] for name in (*FIELDS, *MORE_FIELDS)}
            one |= {"sequence": np.array(job.name), "frame_idx": np.array(frame)}
            write_whole(job.output / f"{job.name}_f{frame:06d}.npz", _npz(one))
        write_whole(_marker(job, options), f"{len(samples['frame_idx'])} frames\n".encode())
    else:
        write_whole(_marker(job, options), _npz(samples))
    return len(samples["frame_idx"])


def _results(
    jobs: list[Job], work: Callable[[Job], int], processes: int
) -> Iterator[tuple[Job, Exception | None]]:
    """Each job as it ends, with what stopped it."""
    if processes <= 1:
        for job in jobs:
            yield job, _failure(partial(work, job))
        return
    # MediaPipe's threads do not survive a fork.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield from _ended(pool, jobs, work)


def _ended(
    pool: Executor, jobs: list[Job], work: Callable[[Job], int]
) -> Iterator[tuple[Job, Exception | None]]:
    pending: dict[Future[int], Job] = {pool.submit(work, job): job for job in jobs}
    try:
        for future in as_completed(pending):
            yield pending[future], _failure(future.result)
    finally:
        for future in pending:
            future.cancel()


def _failure(call: Callable[[], int]) -> Exception | None:
    try:
        call()
    except (ValueError, OSError) as error:
        return error
    return None


def _marker(job: Job, options: Options) -> Path:
    """The file that exists once a video is done."""
    return job.output / f"{job.name}{'.done' if options.one_per_frame else '.npz'}"


def _samples(job: Job, joints: np.ndarray, detector: Detector, options: Options) -> dict[str, np.ndarray]:
    """The arrays of a file: all fields with a leading axis of T frames, and the lens."""
    keypoints = np.full((len(joints), len(COCO17), 2), np.nan)
    confidence = np.zeros((len(joints), len(COCO17)))
    detected = np.full((len(joints), len(COCO17), 3), np.nan)
    lens = job.camera.camera
    for i, bgr in _frames(job.video, len(joints), options):
        height, width = bgr.shape[:2]
        if width * lens.height != height * lens.width:
            raise ValueError(
                f"{job.video} is {width} x {height}, its camera {lens.width} x {lens.height}; get the video anew"
            )
        found = detector.detect(round(i / FPS * 1000) * MS, bgr)
        if not found:
            continue
        best = max(found, key=lambda one: one.score)
        keypoints[i] = best.xy_px[IN_MEDIAPIPE] / (width, height)
        confidence[i] = best.confidence[IN_MEDIAPIPE]
        detected[i] = best.world[IN_MEDIAPIPE] * TO_CAMERA_AXES
    camera = job.camera
    projected = lens.project(camera.to_camera(joints)) / (lens.width, lens.height)
    if _is_mirrored(keypoints, projected):
        projected = mirrored(projected)
    pelvis, mp_pelvis = COCO17.root_of(joints), COCO17.root_of(detected)
    scale, mp_scale = torso_length(joints), torso_length(detected)
    with np.errstate(invalid="ignore"):
        good = _is_person(scale) & _is_person(mp_scale) & np.isfinite(joints).all((1, 2))
    frames = np.flatnonzero(good)
    fields = {
        "corrupted": (detected - mp_pelvis[:, None]) / mp_scale[:, None, None],
        "ground_truth": (joints - pelvis[:, None]) / scale[:, None, None],
        "pose_2d": keypoints,
        "projected_2d": projected,
        "visibility": confidence,
        "camera_R": np.broadcast_to(camera.R_cam_world, (len(joints), 3, 3)),
        "gt_scale": scale,
        "camera_relative": camera.position - pelvis,
        "mp_scale": mp_scale,
    }
    return {name: field[frames].astype(np.float32) for name, field in fields.items()} | {
        "frame_idx": frames,
        "sequence": np.array(job.name),
        "camera_matrix": lens.matrix,
        "camera_distortion": lens.distortion,
        "image_size": np.array([lens.width, lens.height]),
    }


def _frames(video: Path, count: int, options: Options) -> Iterator[tuple[int, np.ndarray]]:
    """Number and image of the frames to look at: at most `count` frames of the video have joints."""
    import cv2

    capture = cv2.VideoCapture(str(video))
    try:
        if not capture.isOpened():
            raise ValueError(
                f"{video} cannot be read as a video; get it anew from the AIST Dance Video Database"
            )
        last = min(count, options.longest * options.every) if options.longest else count
        for i in range(last):
            if not capture.grab():
                break
            if i % options.every == 0:
                whole, bgr = capture.retrieve()
                if not whole:
                    break
                yield i, bgr
    finally:
        capture.release()


def _is_person(scale: np.ndarray) -> np.ndarray:
    return (scale > TORSO[0]) & (scale < TORSO[1])


def _is_mirrored(keypoints: np.ndarray, projected: np.ndarray) -> bool:
    """Whether keypoints (T, 17, 2) are those of a mirrored image of joints that lie at `projected`."""
    seen = np.isfinite(keypoints).all(-1) & np.isfinite(projected).all(-1)
    if not seen.any():
        return False
    direct = np.linalg.norm(keypoints - projected, axis=-1)[seen]
    through_mirror = np.linalg.norm(mirrored(keypoints) - projected, axis=-1)
    return bool(np.nanmedian(through_mirror) < MIRROR_MARGIN * np.median(direct))


def _npz(arrays: dict[str, Any]) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_train.data.datasets.aist_convert",
        description="Convert AIST++ into training samples.",
    )
    parser.add_argument("annotations", type=Path, help="AIST++'s folder with keypoints3d and cameras in it")
    parser.add_argument("videos", type=Path, help="folder of the AIST videos")
    parser.add_argument("output", type=Path, help="folder for the samples")
    parser.add_argument("--views", nargs="+", default=list(VIEWS), choices=VIEWS, metavar="VIEW")
    parser.add_argument("--processes", type=int, default=1, help="videos converted at the same time (1)")
    parser.add_argument(
        "--every", type=int, default=2, help="look at one frame of so many (2: 30 per second)"
    )
    parser.add_argument("--longest", type=int, default=0, help="frames looked at per video (0: all)")
    parser.add_argument(
        "--frames", action="store_true", help="one file per frame, as the published system has it"
    )
    parser.add_argument("--model", default="full", help="MediaPipe's pose landmarker: lite, full or heavy")
    chosen = parser.parse_args(arguments)
    try:
        options = Options(chosen.every, chosen.longest, chosen.frames)
        jobs = plan(chosen.annotations, chosen.videos, chosen.output, tuple(chosen.views))
        summary = _convert_with_bar(jobs, options, chosen.model, chosen.processes)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenProcessPool:
        print("a process ended before its video was done; run again, with fewer --processes", file=sys.stderr)
        return 1
    for name, reason in summary.failed:
        print(f"{name}: {reason}", file=sys.stderr)
    print(f"{summary.converted} converted, {summary.done_before} were done, {len(summary.failed)} failed")
    return 1 if summary.failed else 0


def _convert_with_bar(jobs: list[Job], options: Options, model: str, processes: int) -> Summary:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pose2d_node.mediapipe_detector import model_path, open_mediapipe
    from pose2d_node.params import Pose2DParams

    model_path(model)  # a missing model ends the run here and not with each video
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        done = sum(is_done(job, options) for job in jobs)
        task = bar.add_task("videos", total=len(jobs), completed=done)
        return convert(
            jobs,
            partial(open_mediapipe, Pose2DParams(model=model, num_poses=1)),
            options,
            processes=processes,
            finished=lambda name: bar.advance(task),
        )


if __name__ == "__main__":
    sys.exit(main())
