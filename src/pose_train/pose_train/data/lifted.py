"""People as the lifting stage publishes them, beside how they really moved: clips that the simulated detector saw.

They go through the whole stage, network and placement, as on a robot.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lift3d_node.params import Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from pose_core.geometry.camera import Camera
from pose_core.people import People2D, Person2D
from pose_core.skeleton import SKELETONS
from pose_core.units import NS_PER_S
from pose_train.data import synthesis
from pose_train.data.synthesis import Clips

IMAGE, FIELD_OF_VIEW_DEG = 2000, 130.0
"""Sides in pixels and angle of the image that holds what any camera of the synthesis sees."""


@dataclass(frozen=True)
class Lifted:
    """n clips of T frames as the lifting stage publishes them: metres, camera frame; NaN where nothing is published."""

    xyz: np.ndarray  # (n, T, J, 3)
    std: np.ndarray  # (n, T, J)
    root_std: np.ndarray  # (n, T, 3)
    confidence: np.ndarray  # (n, T, J)
    truth: np.ndarray  # (n, T, J, 3)
    step: np.ndarray  # (n, T) seconds since the frame before
    height: np.ndarray  # (n,) standing height, which the stage was told


def lifter_of(file: Path) -> PeopleLifter:
    """The lifting stage with the network of a file, on the CPU."""
    return PeopleLifter(Lift3DParams(model=str(file), device="cpu"))


def lift(file: Path, clips: Clips, progress: Callable[[int], None] = lambda _done: None) -> Lifted:
    """Clips through the lifting stage, which is told how tall people are; `progress` gets frames done.

    People of one image have one stamp, so all clips must have the same steps, as `Synthesizer.clips` makes them at one rate.
    Raises ValueError otherwise.
    """
    if np.ptp(clips.step, axis=0).any():
        raise ValueError("clips that are lifted together must have the same steps; make them at one rate")
    stage = lifter_of(file)
    skeleton = stage.lifter.skeleton_out
    count, frames = clips.step.shape
    joints = len(SKELETONS.get(skeleton))
    camera = Camera.from_field_of_view(IMAGE, IMAGE, FIELD_OF_VIEW_DEG)
    focal, centre = camera.matrix[0, 0], camera.matrix[:2, 2]
    xy_px = focal * clips.xy.astype(float) + centre
    seen = np.isfinite(xy_px).all(-1) & (clips.confidence > 0.0)
    stamps = NS_PER_S + np.rint(np.cumsum(clips.step[0]) * NS_PER_S).astype(np.int64)
    for row, height in enumerate(clips.height.tolist()):
        stage.subjects.state(f"p{row}", height, 0.0)
    found = Lifted(
        xyz=np.full((count, frames, joints, 3), np.nan),
        std=np.full((count, frames, joints), np.nan),
        root_std=np.full((count, frames, 3), np.nan),
        confidence=np.zeros((count, frames, joints)),
        truth=clips.truth(skeleton),
        step=clips.step,
        height=clips.height,
    )
    for t in range(frames):
        people = tuple(
            Person2D(
                f"p{row}", 1.0, _box(xy_px[row, t][seen[row, t]]), xy_px[row, t], clips.confidence[row, t]
            )
            for row in np.flatnonzero(seen[:, t].any(-1))
        )
        image = People2D(int(stamps[t]), "camera", synthesis.SKELETON, IMAGE, IMAGE, people)
        for person in stage.process(image, None, camera).people:
            row = int(person.id[1:])
            found.xyz[row, t], found.std[row, t] = person.xyz, person.std
            found.root_std[row, t], found.confidence[row, t] = person.root_std, person.joint_confidence
        progress((t + 1) * count)
    return found


def joined(parts: Sequence[Lifted]) -> Lifted:
    """All clips of several, which have equally many frames and joints."""
    return Lifted(
        **{
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            for f in dataclasses.fields(Lifted)
        }
    )


def _box(xy_px: np.ndarray) -> np.ndarray:
    """(4,) smallest box around points (k, 2)."""
    return np.concatenate([xy_px.min(0), xy_px.max(0)])
