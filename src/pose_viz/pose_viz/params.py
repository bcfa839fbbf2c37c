"""Parameters of the drawing, for the node and for every function that draws."""

from __future__ import annotations

from dataclasses import dataclass

from pose_core.config import StageParams, param


@dataclass(frozen=True)
class VizParams(StageParams):
    """What is drawn and how."""

    people: str = param("refine", "stage whose 3D people are shown", choices=("refine", "lift3d"))
    min_confidence: float = param(
        0.1, "joints below this confidence are not drawn", low=0.0, high=1.0, live=True
    )
    show_labels: bool = param(True, "write ids beside people", live=True)

    lifetime: float = param(
        0.5, "time after which markers vanish unless renewed", unit="s", low=0.05, high=60.0, live=True
    )
    joint_radius: float = param(0.025, "radius of joint markers", unit="m", low=0.001, high=0.5, live=True)
    bone_width: float = param(0.02, "width of bone markers", unit="m", low=0.001, high=0.5, live=True)
    uncertainty: str = param(
        "transparency",
        "how markers show standard deviations: fainter joints, ellipsoids of one, or not at all",
        choices=("transparency", "ellipsoids", "none"),
        live=True,
    )

    body_frames: bool = param(
        False,
        "also publish on tf a frame body_<id> for each person whose hips and shoulders are known: x forward, z towards the head",
    )

    overlay: bool = param(True, "draw on the image while somebody subscribes to the overlay", live=True)
    overlay_max_size: int = param(
        1280,
        "longer side of the overlay: larger images are shrunk; 0: as it is",
        unit="px",
        low=0,
        high=16384,
        live=True,
    )
    overlay_quality: int = param(85, "JPEG quality of the overlay", low=1, high=100, live=True)
    overlay_rate: float = param(
        30.0, "most overlays in image time; 0: one per image", unit="Hz", low=0.0, high=1000.0, live=True
    )
    overlay_boxes: bool = param(True, "draw the box around each person", live=True)
    overlay_reprojection: bool = param(
        True, "draw the 3D skeleton back into the image, thin and light", live=True
    )
    overlay_legend: bool = param(True, "explain the colours in a corner of the image", live=True)
    overlay_times: bool = param(True, "write the age of the result and the time of each stage", live=True)
    image_transport: str = param(
        "auto",
        "image topic, where another process has the image; auto: raw if it is published, else compressed",
        choices=("auto", "raw", "compressed"),
    )
