"""How fast `pose draw` is, beside decoding alone and detection alone on the same images."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from pose2d_node.estimator import Pose2DEstimator
from pose2d_node.params import Pose2DParams
from pose2d_node.sources import open_source
from pose_core.callbacks import Say, no_progress, silent
from pose_tools.files.draw import DrawJob, draw
from pose_viz.drawing.artist import Artist
from pose_viz.drawing.styles import STYLES

IMAGES = 40
"""Images that each style is drawn on."""
WHOLE = "pose draw"


def draw_speed(video: Path, say: Say) -> dict[str, Any]:
    """Images per second of decoding, of detection, of drawing alone in each style, and of the whole command with its start."""
    params = Pose2DParams(source=str(video))
    begin = time.perf_counter()
    frames = list(open_source(params))
    fps = {"decode": len(frames) / (time.perf_counter() - begin)}
    some = frames[:IMAGES]
    with closing(Pose2DEstimator.from_params(params)) as estimator:
        begin = time.perf_counter()
        people = [estimator.process(frame.stamp, frame.bgr, params.frame_id).people for frame in some]
        fps["detect"] = len(some) / (time.perf_counter() - begin)
    for name in STYLES.names():
        artist = Artist(STYLES.get(name))
        artist.draw(some[0].bgr, people[0])  # letters and colours are made once
        begin = time.perf_counter()
        for frame, seen in zip(some, people, strict=True):
            artist.draw(frame.bgr, seen)
        fps[name] = len(some) / (time.perf_counter() - begin)
    with tempfile.TemporaryDirectory(prefix="pose-draw-speed-") as folder:
        begin = time.perf_counter()
        job = DrawJob(video, Path(folder) / "drawn.mp4", pose2d=Pose2DParams())
        made = draw(job, no_progress, silent)
        fps[WHOLE] = made["images"] / (time.perf_counter() - begin)
    say("images per second: " + ", ".join(f"{name} {rate:.1f}" for name, rate in fps.items()))
    return {
        "images": len(frames),
        "fps": fps,
        "over decoding alone": {name: rate / fps["decode"] for name, rate in fps.items() if name != "decode"},
    }
