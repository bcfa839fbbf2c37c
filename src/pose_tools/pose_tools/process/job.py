"""What `pose process` is asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lift3d_node import models
from lift3d_node.params import STATED, Lift3DParams
from pose2d_node.detector import DETECTORS
from pose2d_node.params import Pose2DParams
from pose_biomechanics.angles import AngleOptions
from pose_core.config import Value, check, text_of
from pose_core.markers import up_in_camera
from pose_tools.parameters.chosen import Values, chosen, params_of
from pose_tools.parameters.options import PROCESS, RUNS
from pose_tools.parameters.own import ProcessParams
from pose_tools.process.person import expect_body
from pose_tools.process.stages import is_offline
from pose_tools.tilt import Tilt
from pose_viz.params import VizParams
from refine_node.params import RefineParams
from refine_node.refiners import REFINERS

USUAL: Values = {"viz": {"overlay_max_size": 960}}
"""What differs here from what a node does where nobody says: the overlay video has half the size of a Full HD image, to which it
is shrunk three times as fast as to any odd size near it."""


@dataclass(frozen=True)
class ProcessJob:
    """What to process and how: the parameters of the stages, as their nodes have them, and of the command itself.

    Of the camera's tilt the lifter is told where `lift3d.camera_tilt` is `stated`, or where a bag knows it; there is no tf here.
    Raises ValueError for what cannot work, before anything is read.
    """

    source: Path
    """Video file, folder of images, or bag."""
    out: Path
    """Folder of the results."""
    pose2d: Pose2DParams = field(default_factory=Pose2DParams)
    """Its calibration is that of the camera; else there is that of a bag, else a usual angle of view."""
    lift3d: Lift3DParams = field(default_factory=Lift3DParams)
    refine: RefineParams = field(default_factory=RefineParams)
    viz: VizParams = field(default_factory=partial(params_of, "viz", USUAL))
    process: ProcessParams = field(default_factory=ProcessParams)
    force: bool = False
    """Replace the results of another input."""

    @classmethod
    def of(cls, source: Path, out: Path, *layers: Values, force: bool = False) -> ProcessJob:
        """From values by stage, of which later layers count more; the rest are defaults. Raises ValueError."""
        made = {owner: params_of(owner, USUAL, *layers) for owner in RUNS[PROCESS]}
        return cls(source, out, force=force, **made)

    @classmethod
    def asked(
        cls,
        source: Path,
        out: Path,
        *,
        parameters: Mapping[str, Any] | None = None,
        force: bool = False,
        **options: Any,
    ) -> ProcessJob:
        """From the options of `pose process` by name, such as `height=1.8, camera_pitch_deg=20.0`.

        `parameters`: others by full name, such as `{"refine.process_noise": 0.5}`. Raises ValueError.
        """
        return cls.of(source, out, chosen(PROCESS, options, named=parameters), force=force)

    def __post_init__(self) -> None:
        if not self.source.exists():
            raise ValueError(f"there is no '{self.source}'; name a video, a folder of images or a bag")
        expect_body(self.lift3d.height, self.process.mass)
        for owner in RUNS[PROCESS]:
            check(getattr(self, owner))
        if self.calibration is not None and not self.calibration.is_file():
            raise ValueError(f"there is no calibration file {self.calibration}")
        models.expect_known(self.lift3d.lifter)
        DETECTORS.get(self.pose2d.detector)
        REFINERS.get(self.refine.refiner)

    @property
    def calibration(self) -> Path | None:
        """File of the camera's calibration, where one is stated."""
        return Path(self.pose2d.calibration) if self.pose2d.calibration else None

    @property
    def options(self) -> AngleOptions:
        """How angles are taken."""
        return AngleOptions.of(self.refine)

    @property
    def tilt_stated(self) -> bool:
        """Whether the lifter is told how the camera is tilted."""
        return self.lift3d.camera_tilt == STATED

    @property
    def tilt(self) -> Tilt:
        """Of the camera, in degrees; means something where it is stated."""
        return self.lift3d.camera_pitch_deg, self.lift3d.camera_roll_deg

    @property
    def up(self) -> np.ndarray | None:
        """(3,) unit vector that points up, in the optical frame of the camera; None where its tilt is not stated."""
        return up_in_camera(*self.tilt) if self.tilt_stated else None

    def tilted(self, tilt: Tilt) -> ProcessJob:
        """The same for a camera that is known to be tilted so."""
        pitch, roll = tilt
        return replace(
            self,
            lift3d=replace(self.lift3d, camera_tilt=STATED, camera_pitch_deg=pitch, camera_roll_deg=roll),
            refine=replace(self.refine, camera_pitch_deg=pitch, camera_roll_deg=roll),
        )

    def changes(self) -> dict[str, Value]:
        """By full name, the parameters that are not what they are where nobody says, but for those that no result depends on."""
        found: dict[str, Value] = {}
        for owner in RUNS[PROCESS]:
            mine, usual = vars(getattr(self, owner)), vars(params_of(owner, USUAL))
            found |= {f"{owner}.{name}": mine[name] for name in mine if mine[name] != usual[name]}
        found.pop("process.processes", None)
        if self.calibration is not None:
            found["pose2d.calibration"] = readable(self.calibration.name)
        return found


SAID = (
    *("lift3d.lifter", "refine.refiner", "lift3d.height", "process.mass", "pose2d.calibration"),
    *("lift3d.camera_tilt", "lift3d.camera_pitch_deg", "lift3d.camera_roll_deg"),
    *(
        "refine.camera_pitch_deg",
        "refine.camera_roll_deg",
        "pose2d.detector",
        "pose2d.model",
        "pose2d.num_poses",
    ),
    *("process.visibility_min", "process.estimate_missing", "process.force_complete"),
    *("process.augmentation_cycles", "refine.angle_refinement", "refine.pelvis_sequence"),
    *("process.overlay", "process.min_seconds"),
)
"""Parameters of which the report speaks in words, or need not."""


def settings_of(job: ProcessJob) -> dict[str, str]:
    """What was asked for and shapes the result, in words."""
    unknown = "not stated"
    pitch, roll = job.tilt
    own = job.process
    said = {
        "lifter": job.lift3d.lifter,
        "refiner": f"{job.refine.refiner}, {'with the whole recording known' if is_offline(job.refine) else 'as live'}",
        "height": f"{job.lift3d.height:g} m" if job.lift3d.height else unknown,
        "mass": f"{own.mass:g} kg" if own.mass else unknown,
        "calibration": job.calibration.name if job.calibration is not None else unknown,
        "camera": f"looks {pitch:g}° down, rolled by {roll:g}°" if job.tilt_stated else unknown,
        **_detector_of(job),
        "least visibility of a joint": f"{own.visibility_min:g}",
        "estimate missing": _yes(own.estimate_missing),
        "force complete": _yes(own.force_complete),
        "augmentation cycles": f"{own.augmentation_cycles}",
        "joint refinement": _yes(job.refine.angle_refinement),
        "pelvis sequence": job.refine.pelvis_sequence,
    }
    others = [f"{full}={text_of(value)}" for full, value in job.changes().items() if full not in SAID]
    return said | ({"other parameters": ", ".join(others)} if others else {})


def _detector_of(job: ProcessJob) -> dict[str, str]:
    most = f"at most {job.pose2d.num_poses} people"
    if job.pose2d.detector == Pose2DParams.detector:
        return {"MediaPipe model": f"{job.pose2d.model}, {most}"}
    return {"detector": f"{job.pose2d.detector}, {most}"}


def readable(name: str) -> str:
    """A file's name, which may hold bytes that are no text, as JSON can say it."""
    return os.fsencode(name).decode("utf-8", "replace")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
