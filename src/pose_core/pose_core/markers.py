"""Markers: named points on or in a body, as OpenSim and motion capture exchange them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pose_core.skeleton import side, without_side
from pose_core.types import Array, Matrix3, Stamps

WORLD_FROM_CAMERA = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
"""(3, 3) turns the optical frame of a level camera (x right, y down, z forward) into the frame of files and global angles,
which is ISB's: X forward, where the camera looks, Y up, Z right."""


def world_from_camera(pitch_deg: float = 0.0, roll_deg: float = 0.0) -> Matrix3:
    """(3, 3) the same for a camera that looks down by `pitch_deg` and whose right side is lower by `roll_deg`, degrees.

    X stays the level direction in which the camera looks.
    """
    pitch, roll = np.radians([pitch_deg, roll_deg])
    down = np.array(
        [[np.cos(pitch), np.sin(pitch), 0.0], [-np.sin(pitch), np.cos(pitch), 0.0], [0.0, 0.0, 1.0]]
    )
    lower = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(roll), -np.sin(roll)], [0.0, np.sin(roll), np.cos(roll)]])
    result: Matrix3 = down @ lower @ WORLD_FROM_CAMERA
    return result


def up_in_camera(pitch_deg: float = 0.0, roll_deg: float = 0.0) -> Array:
    """(3,) unit vector that points up, in the optical frame of a camera tilted as in `world_from_camera`."""
    result: Array = world_from_camera(pitch_deg, roll_deg)[1]
    return result


def tilt_of(up: Array) -> tuple[float, float]:
    """Pitch and roll in degrees of a camera in whose optical frame `up` (3,), of length 1, points up: inverse of `up_in_camera`.

    Without a roll where the camera looks straight up or down.
    """
    x, y, z = up.tolist()
    return math.degrees(math.asin(max(-1.0, min(1.0, -z)))), math.degrees(math.atan2(-x, -y))


def marker_name(joint: str) -> str:
    """What Pose2Sim calls the point that a skeleton calls `joint`: `left_big_toe` is LBigToe, `pelvis` is Hip."""
    if joint == "pelvis":
        return "Hip"
    prefix = {"left": "L", "right": "R"}.get(side(joint), "")
    return prefix + "".join(word.capitalize() for word in without_side(joint).split("_"))


@dataclass(frozen=True, eq=False)
class MarkerSequence:
    """One person's M markers over T frames, in metres, Y up. Missing is NaN.

    Raises ValueError for shapes that disagree, names that come twice and stamps that do not increase.
    """

    names: tuple[str, ...]
    """As OpenSim calls them, such as RHip."""
    stamps: Stamps
    """ns"""
    xyz: Array
    """(T, M, 3) metres; X forward, Y up, Z right where nothing else is known of the laboratory."""
    std: Array
    """(T, M) metres, along each axis; NaN where unknown."""
    person: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Anything that JSON can say, such as height and mass, or where each marker comes from."""

    def __post_init__(self) -> None:
        for name, kind in (("stamps", np.int64), ("xyz", np.float64), ("std", np.float64)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        frames, markers = len(self.stamps), len(self.names)
        for name, shape in (("xyz", (frames, markers, 3)), ("std", (frames, markers))):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")
        if len(set(self.names)) != markers:
            raise ValueError(f"markers must have different names, got {', '.join(self.names)}")
        if (np.diff(self.stamps) <= 0).any():
            raise ValueError("stamps must increase")

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def missing(self) -> Array:
        """(T, M) bool: whether a marker has no position."""
        result: Array = ~np.isfinite(self.xyz).all(-1)
        return result

    def of(self, name: str) -> Array:
        """(T, 3) one marker by its name. Raises ValueError for a name it does not have."""
        if name not in self.names:
            raise ValueError(f"no marker is called '{name}'; there are {', '.join(self.names)}")
        return self.xyz[:, self.names.index(name)]
