"""What a lifter is, what it hands to placement, and the table of all lifters."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lift3d_node.params import Lift3DParams
from pose_core import doors
from pose_core.filtering.joint_errors import DEPTH_SHARE
from pose_core.geometry.camera import Camera
from pose_core.people import JointState, People2D, People3D
from pose_core.registry import Registry


@dataclass(frozen=True)
class Shape:
    """A person's 3D shape about the root of the skeleton (the origin), in any unit.

    Axes are those of the camera turned, by the smallest rotation, until z runs along the ray to the root
    (`pose_core.geometry.camera` has x right, y down): a lifter that sees only the person cannot know where in the image that was.
    A missing joint is NaN with confidence 0 and state MISSING.
    """

    xyz: np.ndarray  # (J, 3)
    std: np.ndarray  # (J,) standard deviation relative to the root, root mean square of the axes
    confidence: np.ndarray  # (J,) 0..1
    state: np.ndarray  # (J,) uint8, JointState
    height: float  # standing height of a person of this shape; NaN where it cannot be told
    centres: np.ndarray | None = None
    """(C, 3) true centres of rotation, joints of skeleton `Lifter.skeleton_of_centres`, in the same axes about the same root;
    NaN where missing, None for a lifter that does not know them."""
    centres_std: np.ndarray | None = None
    """(C,) as `std`."""
    depth_share: np.ndarray | float = DEPTH_SHARE
    """(J,) of the variance of a joint, what lies along z: a third where all axes are alike."""

    @classmethod
    def missing(cls, joints: int) -> Shape:
        """The shape of somebody about whom nothing is known."""
        return cls(
            xyz=np.full((joints, 3), np.nan),
            std=np.full(joints, np.nan),
            confidence=np.zeros(joints),
            state=np.full(joints, JointState.MISSING, np.uint8),
            height=float("nan"),
        )


class Lifter(ABC):
    """Gives people of one image their 3D shape. State is per person id and bounded; stamps never decrease."""

    file: Path | None = None
    """Of the network; None for a lifter without one."""
    name: str = ""
    """What users call it; `lift3d_node.models.make` states it."""
    skeleton_in: str
    skeleton_out: str
    uses_world: ClassVar[bool] = False
    """Whether `lift` needs the detector's own 3D."""
    takes_device: ClassVar[bool] = False
    """Whether `Lift3DParams.device` means something."""
    skeleton_of_centres: str = ""
    """Skeleton of `Shape.centres`; empty for a lifter that gives none."""
    up: np.ndarray | None = None
    """(3,) unit vector that points up, camera axes; None where that is not known. May change at any time; a lifter that has
    no use for it does not look."""
    device: str = "cpu"
    """Where it computes, for diagnostics."""

    def __init__(self, params: Lift3DParams) -> None:
        """Raises ValueError for parameters that it cannot work with."""
        self.params = params

    @abstractmethod
    def lift(self, people: People2D, camera: Camera, world: People3D | None) -> list[Shape]:
        """One shape per person of `people`, in its order. Changes none of its arguments.

        `people` has `skeleton_in`, missing keypoints are NaN; `world` is the detector's own 3D of the same image.
        """

    def reset(self, person: str | None = None) -> None:  # noqa: B027 (a lifter without memory has nothing to forget)
        """Forget what earlier images told about `person`, or about everybody."""


def is_lifter(found: Any) -> bool:
    """Whether something is a class of lifters that can be made."""
    return isinstance(found, type) and issubclass(found, Lifter) and not inspect.isabstract(found)


LIFTERS: Registry[type[Lifter]] = Registry(
    "lifter", doors.LIFTERS, is_lifter, "a subclass of lift3d_node.lifter.Lifter that has its lift"
)
"""Lifter classes by name; a file in `lift3d_node/models` registers one, an installed package may bring one."""
