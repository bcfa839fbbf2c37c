"""`pose evaluate lifters`: every lifter on the same held-out people, cameras and noise, and on real video; for docs/models.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import lift3d_node
import pose_core
from lift3d_node.learned import encoding
from pose_core.files import sha256
from pose_train.data import detector, landmarks, mocap, samples, synthesis
from pose_train.data.mocap import PACKS
from pose_train.lifter import tracks
from pose_train.studies import real_video, scores
from pose_train.studies.lifters.candidates import Candidate, candidates, shipped
from pose_train.studies.lifters.figures import (
    BASELINES,
    TILT_KNOWN,
    evaluate_baseline,
    evaluate_mediapipe,
    evaluate_network,
)
from pose_train.studies.lifters.report import detector_table, report, tables_of
from pose_train.studies.lifters.scenes import Scenes, Settings
from pose_train.studies.real_video import EASY, RealVideo
from pose_train.studies.scores import Result
from pose_train.studies.study import Measurement, Results, Study
from pose_train.studies.tables import text

ALL = "all"
"""The scene of every lifter: its figures are of all conditions together."""


class LifterStudy(Study[str, Result]):
    """Networks and baselines by name. A file named as a shipped one is measured in its place."""

    command = "lifters"
    keeps_others = True
    packages = (pose_core, lift3d_node)
    modules = (detector, landmarks, mocap, real_video, samples, scores, synthesis, tracks)

    def __init__(self, settings: Settings, files: Sequence[Path] = ()) -> None:
        """`files`: further .onnx and .pt files. Raises ValueError for those that hold no lifter."""
        self.settings, self.test = settings, Scenes(settings)
        named = {file.stem for file in files}
        self.networks = candidates([*(file for file in shipped() if file.stem not in named), *files])

    def depends(self) -> dict[str, Any]:
        values = {f.name: getattr(self.settings, f.name) for f in dataclasses.fields(self.settings)}
        return {name: value for name, value in values.items() if name not in ("data", "device")}

    def files(self) -> list[Path]:
        packs = [self.settings.data / PACKS[split] for split in ("val", "test")]
        for pack in packs:
            if not pack.is_file():
                raise ValueError(f"{pack}: no such motion capture pack; say with --data where the packs are")
        return packs

    def measurements(self) -> list[Measurement[str, Result]]:
        jobs = [
            self._of_network(candidate, known)
            for candidate in self.networks
            for known in ((False, True) if candidate.card.config.get(encoding.TAKES_UP) else (False,))
        ]
        for name in BASELINES:
            jobs.append(self._job(name, partial(evaluate_baseline, name, self.test, self.settings)))
        if self.settings.real:
            jobs.append(self._job("mediapipe_world", lambda: evaluate_mediapipe(self.video)))
        return jobs

    @cached_property
    def video(self) -> RealVideo | None:
        """Looked at when it is first asked for; None where it is to be left aside."""
        return real_video.load(2) if self.settings.real else None

    def restored(self, kept: Any) -> Result:
        return Result.of(kept)

    def sentence(self, result: Result) -> str:
        said = []
        if "noise" in result.simulated:
            one = result.simulated["noise"]
            said.append(f"MPJPE {one.mpjpe_mm:.1f} mm, limbs {one.limb_mean_deg:.1f} degrees")
        if result.real:
            one = result.real_mean(real_video.RATE_HZ, EASY)
            said.append(
                f"real video PA-MPJPE {one.pa_mpjpe_mm:.1f} mm, limbs {one.limb_mean_deg:.1f} degrees"
            )
        return "; ".join(said)

    def report(self, results: Results[str, Result], where: str) -> dict[str, str]:
        detector = detector_table(self.test, self.video) if self.video else ""
        return report(list(results[ALL].values()), self.settings, where, detector)

    def told(self, results: Results[str, Result]) -> list[str]:
        return [f"\n{name}\n{text(*table)}" for name, table in tables_of(list(results[ALL].values())).items()]

    def figures(self, results: Results[str, Result]) -> dict[str, Any]:
        return super().figures(results)[ALL]

    def _of_network(self, candidate: Candidate, known: bool) -> Measurement[str, Result]:
        depends = {"files": [sha256(file) for file in candidate.files], "tilt_known": known}
        return self._job(
            candidate.name + TILT_KNOWN * known,
            lambda: evaluate_network(candidate, self.test, self.settings, self.video, known),
            depends,
        )

    def _job(
        self, name: str, measure: Callable[[], Result], depends: Mapping[str, Any] | None = None
    ) -> Measurement[str, Result]:
        return Measurement(ALL, name, name, depends or {}, measure)
