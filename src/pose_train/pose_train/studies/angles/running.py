"""What angles cost."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from pose_biomechanics.angles import (
    AngleOptions,
    AngleSolver,
    angles_of,
)
from pose_core.skeleton import SKELETONS
from pose_train.studies import (
    oracle as angle_oracle,
)
from pose_train.studies import (
    segment_chain,
)
from pose_train.studies.angles.noise import sequence_of
from pose_train.studies.oracle import SKELETONS_KNOWN

AIM_MS = 0.3


@dataclass(frozen=True)
class Cost:
    """Milliseconds of the processor for one person in one frame."""

    live: float
    """Frame by frame: median."""
    least: float
    """The tenth of the frames that cost least: other programs slow the rest down."""
    recorded: float
    """Mean over a recording that is taken as a whole."""


def costs(frames: int = 600) -> dict[str, Cost]:
    """By skeleton, of a body that walks."""
    swing = np.linspace(0.0, 20.0 * math.pi, frames)
    values: dict[str, np.ndarray] = {}
    for letter, phase in (("r", 0.0), ("l", math.pi)):
        values[f"hip_flexion_{letter}"] = 10.0 + 25.0 * np.sin(swing + phase)
        values[f"knee_angle_{letter}"] = 35.0 + 30.0 * np.sin(swing + phase)
        values[f"arm_flex_{letter}"] = -20.0 * np.sin(swing + phase)
        values[f"elbow_flex_{letter}"] = 40.0 + 0.0 * swing
    placed = segment_chain.place(values)
    stamps = angle_oracle.stamps(frames)
    found = {}
    for skeleton in SKELETONS_KNOWN:
        xyz = segment_chain.in_camera(placed.joints(skeleton))
        people = [angle_oracle.person(one) for one in xyz]
        solver, spent = AngleSolver(SKELETONS.get(skeleton), AngleOptions()), []
        for stamp, person in zip(stamps.tolist(), people, strict=True):
            start = time.process_time_ns()
            solver.solve(person, stamp)
            spent.append((time.process_time_ns() - start) / 1e6)
        recording = sequence_of(xyz, stamps, skeleton)
        start = time.process_time_ns()
        angles_of(recording)
        whole = (time.process_time_ns() - start) / 1e6 / frames
        found[skeleton] = Cost(float(np.median(spent)), float(np.quantile(spent, 0.1)), whole)
    return found
