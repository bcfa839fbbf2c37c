"""What `pose process` is asked for."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lift3d_node import models
from lift3d_node.params import STATED, UNKNOWN, Lift3DParams
from pose2d_node.detector import DETECTORS
from pose2d_node.params import Pose2DParams
from pose_biomechanics.angles import AngleOptions
from pose_biomechanics.augmentation import MAX_CYCLES
from pose_core.config import build
from pose_core.markers import up_in_camera
from pose_tools.bag.level import LEVEL, Tilt, stated_tilt
from pose_tools.process.person import expect_body
from pose_tools.process.stages import is_offline
from refine_node.params import RefineParams
from refine_node.refiners import REFINERS


@dataclass(frozen=True)
class ProcessJob:
    """What to process and how. Raises ValueError for what cannot work, before anything is read."""

    source: Path
    """Video file, folder of images, or bag."""
    out: Path
    """Folder of the results."""
    height: float = 0.0
    """Standing height of everybody in metres; 0: not known, an adult's is assumed."""
    mass: float = 0.0
    """Kilograms; 0: not known, taken from the height."""
    estimate_missing: bool = False
    """Mirror limbs that are not seen from the other side."""
    force_complete: bool = False
    """Give every marker in every frame, made up where it must be."""
    augmentation_cycles: int = 1
    """Headings to which a person is turned for the networks that add markers; their answers are averaged."""
    joint_refinement: bool = False
    """Let a network correct implausible joint angles."""
    lifter: str = Lift3DParams.lifter
    refiner: str = RefineParams.refiner
    visibility_min: float = Lift3DParams.min_confidence
    """Confidence below which a joint is left out of the refined result."""
    calibration: Path | None = None
    """Of the camera; else that of a bag, else a usual angle of view."""
    camera_pitch_deg: float | None = None
    """Degrees by which the camera looks down."""
    camera_roll_deg: float | None = None
    """Degrees by which the camera's right side is lower than its left. Where one of them is stated, the other is 0; where none
    is, the tilt is unknown to the lifter, and angles take the camera as level."""
    pelvis_sequence: str = AngleOptions.pelvis_sequence
    detector: str = Pose2DParams.detector
    """What finds people in images."""
    num_poses: int = Pose2DParams.num_poses
    """Most people to look for."""
    model: str = Pose2DParams.model
    image_rate_hz: float = Pose2DParams.image_rate_hz
    """Images per second of a folder of images."""
    overlay: bool = True
    """Also a video of the people drawn on their images."""
    min_seconds: float = 1.0
    """People seen for less are listed, not exported."""
    force: bool = False
    """Replace the results of another input."""
    processes: int = 0
    """How many look for people at the same time; 0: one for each core. No result depends on it."""

    def __post_init__(self) -> None:
        if not self.source.exists():
            raise ValueError(f"there is no '{self.source}'; name a video, a folder of images or a bag")
        expect_body(self.height, self.mass)
        for name, low, high in (
            ("visibility_min", 0.0, 1.0),
            ("augmentation_cycles", 1, MAX_CYCLES),
            ("min_seconds", 0.0, math.inf),
            ("processes", 0, math.inf),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be from {low:g} to {high:g}, got {value:g}")
        if self.calibration is not None and not self.calibration.is_file():
            raise ValueError(f"there is no calibration file {self.calibration}")
        models.expect_known(self.lifter)
        DETECTORS.get(self.detector)
        REFINERS.get(self.refiner)
        self.pose2d, self.options, self.lift3d, self.refine  # noqa: B018 (each checks its part)

    @property
    def pose2d(self) -> Pose2DParams:
        return build(
            Pose2DParams,
            {name: getattr(self, name) for name in ("detector", "num_poses", "model", "image_rate_hz")},
        )

    @property
    def lift3d(self) -> Lift3DParams:
        pitch, roll = self.tilt
        return build(
            Lift3DParams,
            {
                "lifter": self.lifter,
                "height": self.height,
                "camera_tilt": STATED if self.tilt_stated else UNKNOWN,
                "camera_pitch_deg": pitch,
                "camera_roll_deg": roll,
            },
        )

    @property
    def refine(self) -> RefineParams:
        return build(RefineParams, {"refiner": self.refiner})

    @property
    def options(self) -> AngleOptions:
        return AngleOptions(self.pelvis_sequence, *self.tilt)

    @property
    def tilt_stated(self) -> bool:
        return stated_tilt(self.camera_pitch_deg, self.camera_roll_deg) is not None

    @property
    def up(self) -> np.ndarray | None:
        """(3,) unit vector that points up, in the optical frame of the camera; None where its tilt is not stated."""
        return up_in_camera(*self.tilt) if self.tilt_stated else None

    @property
    def tilt(self) -> Tilt:
        """Of the camera; level where it is not stated."""
        return stated_tilt(self.camera_pitch_deg, self.camera_roll_deg) or LEVEL


def settings_of(job: ProcessJob) -> dict[str, str]:
    """What was asked for and shapes the result, in words."""
    unknown = "not stated"
    pitch, roll = job.tilt
    return {
        "lifter": job.lifter,
        "refiner": f"{job.refiner}, {'with the whole recording known' if is_offline(job.refine) else 'as live'}",
        "height": f"{job.height:g} m" if job.height else unknown,
        "mass": f"{job.mass:g} kg" if job.mass else unknown,
        "calibration": job.calibration.name if job.calibration is not None else unknown,
        "camera": f"looks {pitch:g}° down, rolled by {roll:g}°" if job.tilt_stated else unknown,
        **_detector_of(job),
        "least visibility of a joint": f"{job.visibility_min:g}",
        "estimate missing": _yes(job.estimate_missing),
        "force complete": _yes(job.force_complete),
        "augmentation cycles": f"{job.augmentation_cycles}",
        "joint refinement": _yes(job.joint_refinement),
        "pelvis sequence": job.pelvis_sequence,
    }


def _detector_of(job: ProcessJob) -> dict[str, str]:
    most = f"at most {job.num_poses} people"
    if job.detector == Pose2DParams.detector:
        return {"MediaPipe model": f"{job.model}, {most}"}
    return {"detector": f"{job.detector}, {most}"}


def readable(name: str) -> str:
    """A file's name, which may hold bytes that are no text, as JSON can say it."""
    return os.fsencode(name).decode("utf-8", "replace")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
