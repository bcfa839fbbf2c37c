"""What `pose process` needs beside the packages, fetched when it is needed for the first time."""

from __future__ import annotations

from pose2d_node.mediapipe_detector import MODELS, SUFFIX
from pose2d_node.params import Pose2DParams
from pose_core import assets
from pose_core.callbacks import Say
from pose_tools.process.job import ProcessJob


def missing(job: ProcessJob) -> list[str]:
    """Assets that a job can use and that were not fetched: the model that finds people, the networks that add markers."""
    known = job.pose2d.detector == Pose2DParams.detector and job.pose2d.model in MODELS
    model = [f"pose_landmarker_{job.pose2d.model}{SUFFIX}"] if known else []
    return [name for name in (*model, *assets.GROUPS["marker_augmenter"]) if not assets.is_there(name)]


def fetch_missing(job: ProcessJob, say: Say) -> None:
    """Fetch what a job can use. Without a network it goes on: a bag may hold all that is wanted, else the run says what lacks."""
    names = missing(job)
    if not names:
        return
    say(f"fetching {', '.join(dict.fromkeys(name.partition('/')[0] for name in names))} for the first time")
    try:
        assets.fetch(names, say)
    except assets.FetchFailed as error:
        say(f"going on without: {error}")
