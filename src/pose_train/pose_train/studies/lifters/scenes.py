"""What lifters are shown: clips of people whom no training saw, under several conditions.

They are made from a motion capture pack with one fixed seed: whole sequences go through each network from an empty past, as a
robot would feed it, and all frames count, the first ones too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lift3d_node.learned import encoding
from pose_train.data import detector, mocap, synthesis
from pose_train.data.mocap import PACKS
from pose_train.data.samples import Preparer
from pose_train.data.synthesis import Clips, Synthesizer
from pose_train.trunk.batch import Batch


@dataclass(frozen=True)
class Condition:
    """What the test's people are seen with."""

    noise: detector.Noise
    tilted: float = 0.0
    """Share of the clips whose camera is tilted strongly."""


CONDITIONS = {
    "noise": Condition(detector.FULL),
    "clean": Condition(detector.CLEAN),
    "masked": Condition(detector.MASKED),
    "tilted": Condition(detector.FULL, tilted=1.0),
}
SKELETONS_OUT = ("h36m17", "mpi_inf28")
"""Truths that clips need besides the detector's own; that of coco17 is part of it."""


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    data: Path
    """Folder of the motion capture packs."""
    clips: int = 200
    frames: int = 90
    """Of a clip: three seconds at 30 per second."""
    seed: int = 11
    batch: int = 20
    """Clips that go through a network at once."""
    device: str = "cpu"
    """Where torch computes the sequences."""
    timings: int = 300
    """Frames of which the median time is taken."""
    real: bool = True
    """Whether the real video is evaluated, for which the demo videos must have been fetched."""


class Scenes:
    """Clips of one split of the data, made when they are first asked for."""

    def __init__(self, settings: Settings, split: str = "test") -> None:
        self._settings, self._split = settings, split
        self._clips: dict[str, Clips] = {}
        self._prepared: dict[tuple[object, ...], Batch] = {}

    @cached_property
    def _pack(self) -> mocap.Pack:
        return mocap.read(self._settings.data / PACKS[self._split])

    def clips(self, condition: str) -> Clips:
        """The clips of one of `CONDITIONS`. The people, motions and, but for their tilt, cameras are the same under each."""
        if condition not in self._clips:
            random = np.random.default_rng(self._settings.seed)
            settings, chosen = self._settings, CONDITIONS[condition]
            maker = Synthesizer([self._pack], SKELETONS_OUT, synthesis.AS_CAPTURED, tilted=chosen.tilted)
            self._clips[condition] = maker.clips(settings.clips, settings.frames, random, chosen.noise)
        return self._clips[condition]

    def batch(
        self,
        condition: str,
        skeleton_in: str,
        skeleton_out: str,
        config: Mapping[str, object] | None = None,
        tilt_known: bool = False,
    ) -> Batch:
        """The same as input and truth of networks of these skeletons, prepared as `config` asks for."""
        config = config or {}
        asked = (bool(config.get(name)) for name in (encoding.INFER_MISSING, encoding.TAKES_UP))
        key = (condition, skeleton_in, skeleton_out, tilt_known, *asked)
        if key not in self._prepared:
            preparer, clips = Preparer(skeleton_in, skeleton_out, config), self.clips(condition)
            self._prepared[key] = preparer.prepare(clips, clips.up if tilt_known else None)
        return self._prepared[key]
