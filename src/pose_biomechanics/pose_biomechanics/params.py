"""Parameters of whatever takes joint angles."""

from __future__ import annotations

from dataclasses import dataclass

from pose_core.angles import PELVIS_SEQUENCES
from pose_core.config import TiltParams, param

MAX_CYCLES = 64
"""Headings for marker augmentation; more say nothing new."""


@dataclass(frozen=True)
class AngleParams(TiltParams):
    """How angles are taken; a stage that publishes them has these among its own."""

    pelvis_sequence: str = param(
        "YXZ",
        "order of tilt (Z), drop (X) and rotation (Y) of the pelvis: YXZ after Baker, or ZXY as ISB and OpenSim have it",
        choices=PELVIS_SEQUENCES,
        live=True,
    )
    # Joints that err by 20 mm turn the plane of a leg that is bent by 20 degrees by 15 degrees.
    straight_deg: float = param(
        20.0,
        "bend below which an arm or leg does not tell how it is turned about its length",
        unit="deg",
        low=0.0,
        high=80.0,
        live=True,
    )
