"""How fast `pose process` is, beside a bare MediaPipe loop in the same run: rates alone tell of the machine and its load."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

from pose2d_node.mediapipe_detector import model_path
from pose2d_node.params import Pose2DParams
from pose2d_node.sources import open_source
from pose_core.callbacks import Say, no_progress
from pose_tools.process.job import ProcessJob
from pose_tools.process.run import process
from pose_tools.process.workers import cores


def speed(video: Path, rounds: int, say: Say, *, repeat: int = 6) -> dict[str, Any]:
    """Images per second of a bare MediaPipe loop in one thread and of `pose process`, medians over rounds, and their ratios.

    The bare loop reads the video, converts colours and detects; `detect only` leaves the reading out of its time. `stages` is
    detection, ids, lifting and refinement, from the first image to the last, as the bare loop is timed; `files` is the whole
    command without the overlay video, `everything` with it, both with all that it takes to start. They run on a film of the video
    `repeat` times over, so that what is done once is a small part.
    """
    rates: dict[str, list[float]] = {}
    images = 0
    with film_of(video, repeat) as film:
        for number in range(1, rounds + 1):
            bare, images = bare_rates(film)
            found = {**bare, **process_rates(film)}
            for name, rate in found.items():
                rates.setdefault(name, []).append(rate)
            said = ", ".join(f"{name} {rate:.1f}" for name, rate in found.items())
            say(f"round {number} of {rounds}, images per second: {said}")
    fps = {name: statistics.median(values) for name, values in rates.items()}
    ours = ("stages", "files", "everything")
    return {
        "cores": cores(),
        "images": images,
        "fps": fps,
        "over the bare loop": {name: fps[name] / fps["bare loop"] for name in ours},
        "over its detection alone": {name: fps[name] / fps["detect only"] for name in ours},
    }


def bare_landmarker() -> vision.PoseLandmarker:
    """MediaPipe's own, with the default model; to be used as a context."""
    options = vision.PoseLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model_path(Pose2DParams().model))),
        running_mode=vision.RunningMode.VIDEO,
    )
    return vision.PoseLandmarker.create_from_options(options)


def detect(landmarker: vision.PoseLandmarker, bgr: np.ndarray, time_ms: int) -> None:
    """Colour conversion and detection, nothing else."""
    image = mediapipe.Image(mediapipe.ImageFormat.SRGB, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    landmarker.detect_for_video(image, time_ms)


def bare_rates(video: Path) -> tuple[dict[str, float], int]:
    """Of MediaPipe called by itself in one thread, from the first result to the last, and the number of images."""
    capture = cv2.VideoCapture(str(video))
    period_ms = 1000.0 / capture.get(cv2.CAP_PROP_FPS)
    images, begin, detecting = 0, 0.0, 0.0
    with bare_landmarker() as landmarker:
        while True:
            good, bgr = capture.read()
            if not good:
                break
            start = time.perf_counter()
            detect(landmarker, bgr, round(images * period_ms))
            end = time.perf_counter()
            if images:
                detecting += end - start
            else:
                begin = end
            images += 1
    capture.release()
    return {"bare loop": (images - 1) / (end - begin), "detect only": (images - 1) / detecting}, images


def process_rates(video: Path) -> dict[str, float]:
    """Of `pose process` on the same video."""
    rates: dict[str, float] = {}
    for overlay, name in ((False, "files"), (True, "everything")):
        with tempfile.TemporaryDirectory(prefix="pose-speed-") as folder:
            result = process(ProcessJob.asked(video, Path(folder) / "out", overlay=overlay), no_progress)
        seconds = result["seconds"]
        rates[name] = result["images"] / seconds["all"]
        if overlay:
            rates["stages"] = result["images"] / (
                seconds["first image to last one lifted"] + seconds["refine"]
            )
    return rates


@contextmanager
def film_of(video: Path, repeat: int) -> Iterator[Path]:
    """The video `repeat` times over, forwards and backwards by turns so that nobody jumps, encoded anew; for 1, as it is."""
    if repeat == 1:
        yield video
        return
    with tempfile.TemporaryDirectory(prefix="pose-speed-") as folder:
        film = Path(folder) / f"{video.stem}.mp4"
        images = [frame.bgr for frame in open_source(Pose2DParams(source=str(video)))]
        capture = cv2.VideoCapture(str(video))
        rate = capture.get(cv2.CAP_PROP_FPS)
        capture.release()
        height, width = images[0].shape[:2]
        writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
        for number in range(repeat):
            for bgr in images if number % 2 == 0 else images[::-1]:
                writer.write(bgr)
        writer.release()
        del images
        yield film
