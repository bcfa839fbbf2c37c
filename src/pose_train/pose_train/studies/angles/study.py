"""`pose evaluate angles`: how far joint angles can be trusted; for docs/angles.md.

Whether the angles of a body that is known come back, and what joints alone cannot tell of it (`oracle`); what noise of joints
does to angles (`noise`); how far off those of lifted people are, and how far they are said to be (`lifted`); how far they are
from those of OpenSim's inverse kinematics (`opensim`); how far those of one camera are from those of four (`real`); and what they
cost.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import lift3d_node
import pose_biomechanics
import pose_core
import refine_node
from pose_core.callbacks import Progress, Say, no_progress, silent
from pose_core.files import write_whole
from pose_train.data import clips, detector, landmarks, lifted, mocap, synthesis
from pose_train.data.mocap import PACKS
from pose_train.studies import opensim_walk, oracle, real_video, segment_chain
from pose_train.studies.angles import report
from pose_train.studies.angles.compared import apart, one_camera, walked
from pose_train.studies.angles.lifted import errors_together, stated_of
from pose_train.studies.angles.noise import MIDDLE_MM, NOISES_MM, activities, drawn, noisy
from pose_train.studies.angles.running import costs
from pose_train.studies.angles.settings import Settings
from pose_train.studies.oracle import MARKER_SET, SKELETONS_KNOWN
from pose_train.studies.refiners import scenes
from pose_train.studies.refiners.scenes import Scenes
from pose_train.studies.segment_chain import PLAIN
from pose_train.studies.study import Measurement, Results, Study, plain, with_nan

ANGLES = "angles"
"""The one candidate."""
FILE = "angles.json"
"""Where the figures are left, beside the kept results."""


@dataclass(frozen=True)
class Found:
    """What was measured in one scene."""

    figures: dict[str, Any]
    """By name, as deep as need be; NaN where there is none."""
    about: dict[str, Any] = field(default_factory=dict)
    """What a reader of the tables is told of the scene."""


class AngleStudy(Study[str, Found]):
    """The angles that the pipeline computes, in all scenes."""

    command = "angles"
    packages = (pose_core, pose_biomechanics, refine_node, lift3d_node)
    modules = (
        *(clips, detector, landmarks, lifted, mocap, synthesis),
        *(opensim_walk, oracle, real_video, scenes, segment_chain),
    )

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def depends(self) -> dict[str, Any]:
        return {name: getattr(self.settings, name) for name in ("poses", "draws", "seed", "clips", "frames")}

    def files(self) -> Sequence[Path]:
        walk = self.settings.data / "opensim"
        recorded = (opensim_walk.MODEL, opensim_walk.MARKERS, opensim_walk.ANGLES)
        return [self.settings.data / PACKS["test"], *(walk / name for name in recorded)]

    def measurements(self) -> list[Measurement[str, Found]]:
        jobs: dict[str, Callable[[], Found]] = {
            "oracle": self.oracle,
            "noise": self.noise,
            "lifted": self.lifted,
            "opensim": self.opensim,
        }
        if self.settings.real:
            jobs["real"] = self.real
        jobs["cost_ms"] = lambda: Found(plain(costs()))
        return [Measurement(name, ANGLES, name, {}, job) for name, job in jobs.items()]

    def restored(self, kept: Any) -> Found:
        return Found(with_nan(kept["figures"]), kept["about"])

    def sentence(self, result: Found) -> str:
        return "done"

    def report(self, results: Results[str, Found], where: str) -> dict[str, str]:
        found = {name: one[ANGLES] for name, one in results.items()}
        parts = {
            "oracle": f"{report.exact(found['oracle'].figures)}\n{report.cost(found['cost_ms'].figures, where)}",
            "noise": report.noise(found["noise"].figures, found["noise"].about, self.settings),
            "lifted": report.lifted(found["lifted"].figures, self.settings),
            "opensim": report.opensim(found["opensim"].figures, found["opensim"].about),
        }
        if "real" in found:
            parts["real"] = report.real(found["real"].figures, found["real"].about)
        return parts

    def figures(self, results: Results[str, Found]) -> dict[str, Any]:
        return {name: plain(one[ANGLES].figures) for name, one in results.items()}

    def carry_out(
        self, folder: Path, document: Path, tell: Say = silent, progress: Progress = no_progress
    ) -> dict[str, Any]:
        """The same, and the figures are left in `folder`/angles.json."""
        figures = super().carry_out(folder, document, tell, progress)
        write_whole(folder / FILE, (json.dumps(figures, indent=1) + "\n").encode())
        return figures

    def oracle(self) -> Found:
        """Angles of bodies that are known."""
        seen = (MARKER_SET, *SKELETONS_KNOWN)
        exact = {
            one: oracle.recovery(one, PLAIN, {} if one == MARKER_SET else oracle.BENT, self.settings.seed)
            for one in seen
        }
        leaking = {one: oracle.leaks(one) for one in (MARKER_SET, "pose2sim22", "mediapipe33")}
        named = {
            one: {f"{cause}: {kind}": value for (cause, kind), value in found.items()}
            for one, found in leaking.items()
        }
        return Found({"exact": exact, "leaks": named})

    def noise(self) -> Found:
        """Angles of people who hold a pose, by the size of the noise and, of one size, by what they do."""
        settings = self.settings
        random = np.random.default_rng(settings.seed)
        poses = activities(mocap.read(settings.data / PACKS["test"]), settings.poses, random)
        runs = {
            (noise, name): drawn(some, noise / 1e3, settings.draws, random)
            for noise in NOISES_MM
            for name, some in poses.items()
        }
        found = {f"{noise} mm": noisy(runs[noise, name] for name in poses) for noise in NOISES_MM}
        found |= {name: noisy([runs[MIDDLE_MM, name]]) for name in poses}
        return Found(_figures(found), {"poses": {name: len(some) for name, some in poses.items()}})

    def lifted(self) -> Found:
        """Angles of people as they are lifted and refined live."""
        settings = scenes.Settings(
            self.settings.data,
            clips=self.settings.clips,
            frames=self.settings.frames,
            seed=self.settings.seed,
            real=False,
        )
        takes = Scenes(settings).lifted
        share, together = errors_together(takes)
        return Found({"covered": _figures(stated_of(takes)), "depth_share": share, "handed_down": together})

    def opensim(self) -> Found:
        """Angles of OpenSim's own recording, from its markers and from joints alone."""
        walk = opensim_walk.read(self.settings.data / "opensim")
        ours, theirs = walked(walk)
        found = {way: apart(values, theirs) for way, values in ours.items()}
        return Found(_figures(found), {"frames": len(walk.markers)})

    def real(self) -> Found:
        """Angles of one camera, against those of four."""
        video = real_video.load(1)
        return Found(_figures(one_camera(video)), {"frames": len(video.reference.xyz)})


def _figures(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Of each kind of angle the fields of what was found."""
    return {
        name: {kind: dataclasses.asdict(one) for kind, one in each.items()} for name, each in found.items()
    }
