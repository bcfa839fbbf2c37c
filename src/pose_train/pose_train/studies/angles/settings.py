"""How much of joint angles is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pose_train.data.mocap import PACKS
from pose_train.studies import (
    opensim_walk,
)


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    data: Path
    """Folder of the motion capture packs, and of `opensim` in it."""
    poses: int = 40
    """Of each activity."""
    draws: int = 25
    """Of noise on each pose."""
    seed: int = 31
    clips: int = 60
    """Of people of the motion capture test, seen by a simulated detector and lifted."""
    frames: int = 90
    """Of each clip."""
    real: bool = True
    """Whether the real video is evaluated, for which the demo videos must have been fetched."""

    def __post_init__(self) -> None:
        for name in ("poses", "draws", "clips"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for file in (PACKS["test"], f"opensim/{opensim_walk.MODEL}"):
            if not (self.data / file).is_file():
                raise ValueError(f"there is no file {self.data / file}; say with --data where the data is")
