"""What `pose process` needs beside the packages, fetched when it is needed for the first time."""

from __future__ import annotations

from pose2d_node.mediapipe_detector import MODELS, SUFFIX
from pose2d_node.params import Pose2DParams
from pose_core import assets
from pose_core.callbacks import Say
from pose_tools.process.job import ProcessJob


def missing(job: ProcessJob) -> list[str]:
    """Assets that a job can use and that were not fetched: the model that finds people, the networks that add markers."""
    networks = [name for name in assets.GROUPS["marker_augmenter"] if not assets.is_there(name)]
    return [*missing_model(job.pose2d), *networks]


def missing_model(params: Pose2DParams) -> list[str]:
    """The model that finds people, where it was not fetched."""
    known = params.detector == Pose2DParams.detector and params.model in MODELS
    model = f"pose_landmarker_{params.model}{SUFFIX}"
    return [model] if known and not assets.is_there(model) else []


def fetch_missing(names: list[str], say: Say) -> None:
    """Fetch what is missing. Without a network it goes on: a bag may hold all that is wanted, else the run says what lacks."""
    if not names:
        return
    say(f"fetching {', '.join(dict.fromkeys(name.partition('/')[0] for name in names))} for the first time")
    try:
        assets.fetch(names, say)
    except assets.FetchFailed as error:
        say(f"going on without: {error}")
