"""What `pose process` needs beside the packages, fetched when it is needed for the first time."""

from __future__ import annotations

from pose2d_node.mediapipe_detector import MODELS, SUFFIX
from pose2d_node.params import Pose2DParams
from pose_core import assets
from pose_core.callbacks import Say
from pose_tools.process.job import ProcessJob


def missing(job: ProcessJob) -> list[str]:
    """Assets that a job can use and that were not fetched: the model that finds people, the networks that add markers."""
    names = (*_model(job.pose2d), *assets.GROUPS["marker_augmenter"])
    return [name for name in names if not assets.is_there(name)]


def _model(params: Pose2DParams) -> list[str]:
    """The asset that finds people, where it is one."""
    known = params.detector == Pose2DParams.detector and params.model in MODELS
    return [f"pose_landmarker_{params.model}{SUFFIX}"] if known else []


def fetch_model(params: Pose2DParams, say: Say) -> None:
    """Fetch the model that finds people, as `fetch_missing`."""
    _fetch([name for name in _model(params) if not assets.is_there(name)], say)


def fetch_missing(job: ProcessJob, say: Say) -> None:
    """Fetch what a job can use. Without a network it goes on: a bag may hold all that is wanted, else the run says what lacks."""
    _fetch(missing(job), say)


def _fetch(names: list[str], say: Say) -> None:
    if not names:
        return
    say(f"fetching {', '.join(dict.fromkeys(name.partition('/')[0] for name in names))} for the first time")
    try:
        assets.fetch(names, say)
    except assets.FetchFailed as error:
        say(f"going on without: {error}")
