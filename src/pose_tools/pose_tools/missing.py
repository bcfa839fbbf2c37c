"""What an installation lacks, as a sentence that says how to get it."""

from __future__ import annotations

import importlib.util
import os

ROS = (
    "ament_index_python",
    "builtin_interfaces",
    "cv_bridge",
    "diagnostic_msgs",
    "geometry_msgs",
    "lifecycle_msgs",
    "pose_msgs",
    "rcl_interfaces",
    "rclpy",
    "sensor_msgs",
    "std_msgs",
    "tf2_msgs",
    "tf2_ros",
    "visualization_msgs",
)
"""Modules that come with ROS 2 and a built workspace."""

EXTRAS = {
    "ml_dtypes": "train",
    "onnx": "train",
    "tensorboard": "train",
    "torch": "train",
    "wandb": "wandb",
}
"""Modules of the extras of pose-pipeline."""


def has_ros() -> bool:
    """Whether there is a ROS 2 here, whole or not: its Python packages, or a sourced setup file."""
    try:
        found = importlib.util.find_spec("rclpy") is not None
    except ModuleNotFoundError:  # of a finder that keeps it out
        found = False
    return found or bool(os.environ.get("ROS_DISTRO"))


def said_of(module: str, command: str) -> str | None:
    """What to do where `module` cannot be imported in `command`; None for one that every installation has."""
    top = module.partition(".")[0]
    if top in ROS:
        return (
            f"{command} needs ROS 2: source the setup.bash of a built workspace, or make one with make setup in the "
            f"repository (Linux); module {top} is missing here"
        )
    if top in EXTRAS:
        return f"{command} needs {top}: pip install 'pose-pipeline[{EXTRAS[top]}]', or make setup-train in the repository"
    return None
