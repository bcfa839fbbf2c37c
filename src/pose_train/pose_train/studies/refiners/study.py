"""`pose evaluate refiners`: every refiner on the same noisy people; for docs/refiners.md.

Each refiner runs as on a robot, person by person and frame by frame through the whole stage, for each look-ahead that it has, and
offline.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lift3d_node
import pose_core
import refine_node
from pose_core.files import sha256
from pose_train.data import clips, detector, landmarks, lifted, mocap, noise, synthesis
from pose_train.data.mocap import PACKS
from pose_train.studies import real_video
from pose_train.studies.refiners.figures import RefinerScores, score
from pose_train.studies.refiners.report import report
from pose_train.studies.refiners.scenes import SCENES, Scenes, Settings
from pose_train.studies.refiners.variants import Variant, variants, wanted, words
from pose_train.studies.study import Measurement, Results, Study, plain, with_nan
from refine_node.network_refiner import WEIGHTS


class RefinerStudy(Study[Variant, RefinerScores]):
    """All refiners that there are, in each scene that shows them."""

    command = "refiners"
    packages = (pose_core, refine_node, lift3d_node)
    modules = (clips, detector, landmarks, lifted, mocap, noise, real_video, synthesis)

    def __init__(
        self, settings: Settings, files: Sequence[Path] = (), ways: Sequence[Variant] | None = None
    ) -> None:
        """`files`: further .onnx files; `ways`: what is measured instead of all. Raises ValueError as `variants`."""
        self.settings, self.scenes = settings, Scenes(settings)
        every, self.absent = variants(files)
        self.ways = every if ways is None else ways

    def depends(self) -> dict[str, Any]:
        return {name: getattr(self.settings, name) for name in ("clips", "frames", "seed")}

    def files(self) -> list[Path]:
        weights = sorted(WEIGHTS.glob("*.onnx"))
        return [self.settings.lifter, self.settings.data / PACKS["test"], *weights]

    def measurements(self) -> list[Measurement[Variant, RefinerScores]]:
        names = [name for name in SCENES if self.settings.real or name != "mediapipe"]
        return [self._of(name, way) for name in names for way in self.ways if wanted(name, way)]

    def restored(self, kept: Any) -> RefinerScores:
        return RefinerScores(**with_nan(kept))

    def sentence(self, result: RefinerScores) -> str:
        return f"MPJPE {result.mpjpe_mm:.1f} mm, acceleration {result.acceleration:.1f} m/s²"

    def report(self, results: Results[Variant, RefinerScores], where: str) -> dict[str, str]:
        return report(results, self.absent, self.settings, where)

    def figures(self, results: Results[Variant, RefinerScores]) -> dict[str, Any]:
        return {
            scene: {words(way): plain(one) for way, one in found.items()} for scene, found in results.items()
        }

    def _of(self, scene: str, way: Variant) -> Measurement[Variant, RefinerScores]:
        depends = {**dataclasses.asdict(way), "file": way.file and sha256(way.file)}
        return Measurement(
            scene, way, f"{scene}, {words(way)}", depends, lambda: score(way, self.scenes.takes(scene))
        )
