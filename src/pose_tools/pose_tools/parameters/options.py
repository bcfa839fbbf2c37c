"""Which parameters have an option of their own, in which command or launch file. What they are stands in their dataclass alone.

All others are reached by `--set stage.name=value` and by a parameter file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pose_core.config import Parameter
from pose_tools.parameters.table import STAGES, parameter

LIVE, REPLAY, PROCESS, RECORD, REFINE, DEMO = "live", "replay", "process", "record", "refine", "demo"
EXPORT, PLOT, VIEW, DRAW, LIFT = "export", "plot", "view", "draw", "lift"
LIVE_LAUNCH, REPLAY_LAUNCH = LAUNCH_FILES = "live.launch.py", "replay.launch.py"

RUNS: Mapping[str, tuple[str, ...]] = {
    LIVE: (*STAGES, "record"),
    DEMO: (*STAGES, "video"),
    REPLAY: ("pose2d", "lift3d", "refine"),
    PROCESS: (*STAGES, "process", "video"),
    LIFT: ("pose2d", "lift3d"),
    RECORD: ("record",),
    REFINE: ("refine",),
    DRAW: ("pose2d", "lift3d"),
    LIVE_LAUNCH: tuple(STAGES),
    REPLAY_LAUNCH: tuple(STAGES),
}
"""Whose parameters each command and launch file takes by `--set`, the launch files by their argument `set`."""

IN_GRAPH = (LIVE, REPLAY, LIVE_LAUNCH, REPLAY_LAUNCH)
WITH_CAMERA = (LIVE, LIVE_LAUNCH)
WITH_IMAGES = (*WITH_CAMERA, REPLAY_LAUNCH)
FILES = (EXPORT, PLOT, VIEW)

_LEVEL = "not known; angles take the camera as level"
_AS_RECORDED = "as a bag knows it, else 0"
_AS_STATED = "as the bag states, else "
_REPLAYS = (REPLAY, REPLAY_LAUNCH)
_TILTED = dict.fromkeys((*WITH_CAMERA, PROCESS), _LEVEL) | dict.fromkeys((*FILES, *_REPLAYS), _AS_RECORDED)


@dataclass(frozen=True)
class Option:
    """One thing that a user may state, under one name, wherever it means the same."""

    name: str
    """As an argument of Python and of launch files."""
    states: tuple[str, ...]
    """Full names of the parameters that take the value; the first one says what it is."""
    where: tuple[str, ...]
    """Commands and launch files that have it."""
    flag: str = ""
    """On a command line; else the name with dashes."""
    usual: Mapping[str, str] = field(default_factory=dict)
    """What holds in a place where nobody says, where that is not the parameter's default."""

    @property
    def parameter(self) -> Parameter:
        """What it is."""
        return parameter(self.states[0])

    @property
    def flags(self) -> str:
        """Of the command line, as typer declares them."""
        flag = self.flag or f"--{self.name.replace('_', '-')}"
        return f"{flag}/--no-{flag.removeprefix('--')}" if self.parameter.kind is bool else flag

    def said(self, place: str) -> str:
        """How one states it in `place`."""
        return f"{self.name}:=" if place in LAUNCH_FILES else self.flags.split("/")[0]

    def help(self, place: str) -> str:
        """What it is, in which range, and what holds in `place` where nobody says."""
        return self.parameter.help(self.usual.get(place))


OPTIONS = (
    Option("source", ("pose2d.source",), WITH_CAMERA),
    Option("detector", ("pose2d.detector",), (*WITH_IMAGES, PROCESS, DRAW, LIFT)),
    Option("model", ("pose2d.model",), (*WITH_IMAGES, PROCESS, DRAW, LIFT)),
    Option("num_poses", ("pose2d.num_poses",), (*WITH_IMAGES, PROCESS, DRAW, LIFT), usual={DRAW: "4"}),
    Option(
        "calibration",
        ("pose2d.calibration",),
        (*WITH_CAMERA, PROCESS, DRAW, LIFT),
        usual=dict.fromkeys((PROCESS, DRAW), "the bag's, or a usual angle of view")
        | {LIFT: "a usual angle of view"},
    ),
    Option("image_transport", ("pose2d.image_transport",), WITH_IMAGES),
    Option("frame_id", ("pose2d.frame_id",), WITH_IMAGES),
    Option("image_rate_hz", ("pose2d.image_rate_hz",), (LIVE, PROCESS, DRAW), flag="--image-rate"),
    Option("real_time", ("pose2d.real_time",), (LIVE,)),
    Option("loop", ("pose2d.loop",), (LIVE,)),
    Option("lifter", ("lift3d.lifter",), (*IN_GRAPH, PROCESS, DRAW, LIFT)),
    Option(
        "height", ("lift3d.height",), (LIVE, REPLAY, PROCESS, DRAW, LIFT), usual={REPLAY: _AS_STATED + "0"}
    ),
    Option("subject_height", ("lift3d.height",), LAUNCH_FILES, usual={REPLAY_LAUNCH: _AS_STATED + "0"}),
    Option(
        "camera_tilt",
        ("lift3d.camera_tilt",),
        IN_GRAPH,
        usual=dict.fromkeys(IN_GRAPH, "stated with an angle, tf with a level_frame, else unknown"),
    ),
    Option(
        "camera_pitch_deg",
        ("lift3d.camera_pitch_deg", "refine.camera_pitch_deg"),
        (*IN_GRAPH, PROCESS, *FILES),
        usual=_TILTED,
    ),
    Option(
        "camera_roll_deg",
        ("lift3d.camera_roll_deg", "refine.camera_roll_deg"),
        (*IN_GRAPH, PROCESS, *FILES),
        usual=_TILTED,
    ),
    Option("level_frame", ("lift3d.level_frame",), IN_GRAPH),
    Option("refiner", ("refine.refiner",), (*IN_GRAPH, PROCESS, REFINE)),
    Option("model", ("refine.model",), (REFINE,)),
    Option("look_ahead", ("refine.look_ahead",), (*IN_GRAPH, REFINE)),
    Option("bone_lengths", ("refine.bone_lengths",), (REFINE,)),
    Option("joint_refinement", ("refine.angle_refinement",), (PROCESS,)),
    Option("pelvis_sequence", ("refine.pelvis_sequence",), (PROCESS,)),
    Option("namespace", ("process.namespace",), (PROCESS,)),
    Option("mass", ("process.mass",), (PROCESS, EXPORT)),
    Option("estimate_missing", ("process.estimate_missing",), (PROCESS, EXPORT)),
    Option("force_complete", ("process.force_complete",), (PROCESS, EXPORT)),
    Option("augmentation_cycles", ("process.augmentation_cycles",), (PROCESS, EXPORT)),
    Option("visibility_min", ("process.visibility_min",), (PROCESS,)),
    Option("overlay", ("process.overlay",), (PROCESS,)),
    Option("codec", ("video.codec",), (PROCESS, DEMO)),
    Option("scale", ("video.scale",), (PROCESS, DEMO)),
    Option("min_seconds", ("process.min_seconds",), (PROCESS, EXPORT)),
    Option("processes", ("process.processes",), (PROCESS,)),
    Option("images", ("record.images",), (RECORD,)),
    Option("record_images", ("record.images",), (LIVE,)),
)


def options_of(place: str) -> dict[str, Option]:
    """The options of a command or launch file, by name."""
    return {option.name: option for option in OPTIONS if place in option.where}


def options_for(full: str) -> list[Option]:
    """The options that state the parameter `stage.name`."""
    return [option for option in OPTIONS if full in option.states]
