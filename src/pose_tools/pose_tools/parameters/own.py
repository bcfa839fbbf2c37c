"""Parameters of commands, beside those of the stages that they run."""

from __future__ import annotations

from dataclasses import dataclass

from lift3d_node.params import Lift3DParams
from pose_biomechanics.params import MAX_CYCLES
from pose_core.config import param
from pose_core.statements import MAX_MASS, MIN_MASS
from pose_viz.codecs import CODEC, CODECS


@dataclass(frozen=True)
class ProcessParams:
    """Parameters of `pose process` itself; commands that write files share them."""

    mass: float = param(
        0.0,
        f"mass of everybody, at least {MIN_MASS}; 0: not known, taken from the height",
        unit="kg",
        low=0.0,
        high=MAX_MASS,
    )
    estimate_missing: bool = param(False, "mirror limbs that are not seen from the other side")
    force_complete: bool = param(False, "give every marker in every frame, made up where it must be")
    augmentation_cycles: int = param(
        1,
        "headings to which a person is turned for the networks that add markers; their answers are averaged",
        low=1,
        high=MAX_CYCLES,
    )
    visibility_min: float = param(
        Lift3DParams.min_confidence,
        "confidence below which a joint is left out of the refined result",
        low=0.0,
        high=1.0,
    )
    overlay: bool = param(True, "also a video with the people drawn on it")
    min_seconds: float = param(1.0, "people seen for less are listed, not written", unit="s", low=0.0)
    namespace: str = param("", "of the robot, where a bag has the topics of several")
    processes: int = param(
        0, "how many look for people at once; 0: one for each core; no result depends on it", low=0
    )


@dataclass(frozen=True)
class VideoParams:
    """Parameters of overlay videos."""

    codec: str = param(
        CODEC,
        "encoder of the overlay video: vp8 and vp9 make WebM, mp4v an MP4, which is fast and which browsers do not play",
        choices=tuple(CODECS),
    )
    scale: float = param(1.0, "size of the overlay video over that of the images", low=0.01, high=1.0)


@dataclass(frozen=True)
class RecordParams:
    """Parameters of whatever records a bag."""

    images: bool = param(False, "also record the images")
    image_transport: str = param(
        "compressed",
        "which images to record: those of image_raw/compressed, or of image_raw where a driver has no others",
        choices=("compressed", "raw"),
    )
