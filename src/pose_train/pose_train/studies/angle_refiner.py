"""`pose evaluate angle-refiner`: what angle refinement does to people whom no training saw; for docs/angle_refinement.md.

Motion of the test people with made noise of three sizes, as the default lifter lifts it, and as it is; and real video, against
what four views say. Angles come from the code that runs live, and are refined as it does, frame by frame.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

import lift3d_node
import pose_biomechanics
import pose_core
import refine_node
from lift3d_node.params import Lift3DParams
from pose_biomechanics.angle_refiner import NETWORK, WEIGHTS, AngleRefiner
from pose_biomechanics.angles import angles_of
from pose_biomechanics.isb import GROUPS, NAMES, angles_of_group
from pose_core.angles import AngleSequence, PeopleAngles, PersonAngles
from pose_core.files import sha256
from pose_core.measures import metrics
from pose_core.skeleton import SKELETONS
from pose_core.units import S_PER_NS
from pose_train.angle import data as angle_data
from pose_train.angle.data import MadeAngles
from pose_train.data import clips, detector, landmarks, mocap, stored, synthesis
from pose_train.data import lifted as lifted_data
from pose_train.data import noise as noise_data
from pose_train.data.clips import Clip
from pose_train.data.mocap import PACKS
from pose_train.data.noise import Noise, NoiseMaker
from pose_train.data.synthesis import Synthesizer
from pose_train.studies import real_video, tables
from pose_train.studies.angles.compared import BASELINE, levelled
from pose_train.studies.angles.noise import sequence_of
from pose_train.studies.real_video import EASY, RealVideo
from pose_train.studies.refiners.scenes import filmed as filmed_take
from pose_train.studies.study import Measurement, Results, Study, expect_files, plain, with_nan
from refine_node import recording
from refine_node.encoding import DEFAULT_HEIGHT
from refine_node.params import RefineParams

RATE_HZ = 30.0
SIZES = {"half noise": 0.5, "noise": 1.0, "twice noise": 2.0}
"""Scenes with made noise: factors on that of training."""
LIFTED, FILMED = "lifted", "filmed"
TRUE = {"true, as unsure": False, "true, sure": True}
"""Scenes without errors: what deviations are stated, those of lifted people or least ones."""
TIMED = 300
"""Frames that are timed."""
MODEL = "model"
"""The one candidate."""


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    data: Path
    """Folder of the motion capture packs."""
    lifter: Path = stored.Made.lifter
    """File of the lifter whose people have angles."""
    clips: int = 24
    frames: int = 150
    """Of a clip."""
    seed: int = 29
    real: bool = True
    """Whether the real video is evaluated, for which the demo videos must have been fetched."""

    def __post_init__(self) -> None:
        for name, least in (("clips", 1), ("frames", 4)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        expect_files({self.data / PACKS["test"]: "--data", self.lifter: "--lifter"})


@dataclass(frozen=True)
class AngleScores:
    """Figures of one scene, in degrees, over all angles that are valid as given and in truth; NaN where there are none."""

    joints_mm: float
    """Mean distance of the joints from the truth about the root, of a person of default height."""
    before: Mapping[str, float]
    """Mean absolute error by group, and of all together (`all`)."""
    after: Mapping[str, float]
    correction: float
    """Mean absolute change."""
    at_limit: float
    """Share of angles that are moved as far as their deviation allows."""
    bettered: float
    """Share of angles that come nearer to the truth, of those that move."""
    acceleration: tuple[float, float]
    """Mean absolute error of second differences, degrees per frame squared, before and after."""
    ms: float = math.nan
    """Median of the processor's time for one person in one frame, where that was measured."""


@dataclass(frozen=True)
class People:
    """Angles of clips, and how far the joints that they are of are off: a mean in millimetres about the root."""

    made: Sequence[MadeAngles]
    joints_mm: float


class Scenes:
    """The clips of each scene, made when they are first asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.skeleton: str = lifted_data.lifter_of(settings.lifter).lifter.skeleton_out

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*SIZES, LIFTED, *TRUE)

    def people(self, name: str) -> People:
        """Those of one scene."""
        if name in SIZES:
            return self._simulated(self._noisy(SIZES[name]))
        if name in TRUE:
            return People([angle_data.undisturbed(self._lifted.made[0], TRUE[name])], 0.0)
        return self._lifted

    def _simulated(self, clip: Clip) -> People:
        joints_mm = 1e3 * DEFAULT_HEIGHT * float(np.nanmean(np.linalg.norm(clip.xyz - clip.truth, axis=-1)))
        return People([angle_data.made(clip, self.skeleton)], joints_mm)

    def _noisy(self, size: float) -> Clip:
        """True motion with `size` times the noise of training."""
        noise = Noise(clean=0.0)
        noise = dataclasses.replace(
            noise, turn=size * noise.turn, white=size * noise.white, burst_size=size * noise.burst_size
        )
        random = np.random.default_rng(self._settings.seed)
        return NoiseMaker(SKELETONS.get(self.skeleton), noise).clip(self._truth, self._clips.step, random)

    @cached_property
    def _clips(self) -> synthesis.Clips:
        settings = self._settings
        pack = mocap.read(settings.data / PACKS["test"])
        synthesizer = Synthesizer([pack], (self.skeleton,), synthesis.AS_CAPTURED, tilted=0.0)
        random = np.random.default_rng(settings.seed)
        return synthesizer.clips(settings.clips, settings.frames, random, rates=(RATE_HZ,))

    @cached_property
    def _truth(self) -> np.ndarray:
        return self._about_root(self._clips.truth(self.skeleton))

    @cached_property
    def _lifted(self) -> People:
        lifted = lifted_data.lift(self._settings.lifter, self._clips)
        std = lifted.std / lifted.height[:, None, None]
        xyz = self._about_root(lifted.xyz)
        return self._simulated(Clip(xyz, std, lifted.confidence, self._truth, lifted.step))

    def _about_root(self, xyz: np.ndarray) -> np.ndarray:
        """(n, T, J, 3) metres to heights about the root."""
        about = xyz - SKELETONS.get(self.skeleton).root_of(xyz)[:, :, None]
        return (about / self._clips.height[:, None, None, None]).astype(np.float32)


def filmed(video: RealVideo, lifter: str) -> People:
    """The person in the real video before each of the easy cameras, lifted and refined as live, against four views."""
    found, apart = [], []
    for camera in EASY:
        take = filmed_take(video, camera, lifter)
        options = levelled(video.reference.cameras[camera - 1])
        given = recording.refine_live(take.given, RefineParams())
        truth = sequence_of(take.truth, given.stamps, given.skeleton)
        about = [metrics.root_aligned(one.xyz, SKELETONS.get(one.skeleton)) for one in (given, truth)]
        apart.append(np.linalg.norm(about[0] - about[1], axis=-1).ravel())
        ours, theirs = angles_of(given, options), angles_of(truth, options)
        step = np.diff(given.stamps, prepend=given.stamps[:1]) * S_PER_NS
        found.append(
            MadeAngles(
                *(ours.angle[None], ours.std[None], ours.flags[None]),
                *(theirs.angle[None], theirs.std[None], theirs.flags[None]),
                step[None],
            )
        )
    return People(found, 1e3 * float(np.nanmean(np.concatenate(apart))))


def score(people: People, refiner: AngleRefiner) -> AngleScores:
    """Figures of one scene."""
    parts = [_parts(made, refiner) for made in people.made]
    before, after, moved, std, valid = (
        np.concatenate([one.reshape(-1, len(NAMES)) for one in column]) for column in zip(*parts, strict=True)
    )
    acts = valid & (moved > 0.0)
    return AngleScores(
        joints_mm=people.joints_mm,
        before=_by_group(before, valid),
        after=_by_group(after, valid),
        correction=angle_data.mean_degrees(moved, valid),
        at_limit=_share(moved[valid] >= 0.999 * std[valid]),
        bettered=_share(np.abs(after[acts]) < np.abs(before[acts])),
        acceleration=(_acceleration(parts, 0), _acceleration(parts, 1)),
    )


def milliseconds(sequence: AngleSequence, refiner: AngleRefiner) -> float:
    """Median of the processor's time that one frame of one person takes."""
    spent = []
    for t, stamp in enumerate(sequence.stamps[:TIMED].tolist()):
        person = PersonAngles("p1", sequence.angle[t], sequence.std[t], sequence.flags[t])
        people = PeopleAngles(stamp, "camera", NAMES, (person,), pelvis_sequence=sequence.pelvis_sequence)
        start = time.process_time_ns()
        refiner.process(people)
        spent.append(time.process_time_ns() - start)
    return float(np.median(spent)) / 1e6


class AngleRefinerStudy(Study[str, AngleScores]):
    """One network, in all scenes."""

    command = "angle-refiner"
    packages = (pose_core, pose_biomechanics, refine_node, lift3d_node)
    modules = (angle_data, clips, detector, landmarks, lifted_data, mocap, noise_data, real_video, synthesis)

    def __init__(self, settings: Settings, model: str | Path = "") -> None:
        """`model`: the file of the network; empty: the one that ships. Raises ValueError for one that cannot be used."""
        self.settings, self.scenes, self.refiner = settings, Scenes(settings), AngleRefiner(model)
        self.model = Path(model) if model else WEIGHTS / f"{NETWORK}.onnx"

    def depends(self) -> dict[str, Any]:
        return {name: getattr(self.settings, name) for name in ("clips", "frames", "seed")}

    def files(self) -> list[Path]:
        return [self.settings.lifter, self.settings.data / PACKS["test"]]

    def measurements(self) -> list[Measurement[str, AngleScores]]:
        jobs = [self._job(name, partial(self._scored, name)) for name in self.scenes.names]
        if self.settings.real:
            for lifter in (Lift3DParams().lifter, BASELINE):
                jobs.append(self._job(f"{FILMED}, {lifter}", partial(self._filmed, lifter)))
        return jobs

    @cached_property
    def video(self) -> RealVideo:
        """Looked at when it is first asked for."""
        return real_video.load(1)

    def restored(self, kept: Any) -> AngleScores:
        values = with_nan(kept)
        return AngleScores(**{**values, "acceleration": tuple(values["acceleration"])})

    def sentence(self, result: AngleScores) -> str:
        return f"{result.before[ALL]:.2f} degrees, refined {result.after[ALL]:.2f}"

    def report(self, results: Results[str, AngleScores], where: str) -> dict[str, str]:
        return report({name: found[MODEL] for name, found in results.items()}, self.settings, where)

    def figures(self, results: Results[str, AngleScores]) -> dict[str, Any]:
        return {
            "ms": results[LIFTED][MODEL].ms,
            **{name: plain(found[MODEL]) for name, found in results.items()},
        }

    def _scored(self, name: str) -> AngleScores:
        people = self.scenes.people(name)
        found = score(people, self.refiner)
        if name != LIFTED:
            return found
        some, *_ = angle_data.sequences(people.made[0])
        return dataclasses.replace(found, ms=milliseconds(some, self.refiner))

    def _filmed(self, lifter: str) -> AngleScores:
        return score(filmed(self.video, lifter), self.refiner)

    def _job(self, scene: str, measure: Callable[[], AngleScores]) -> Measurement[str, AngleScores]:
        return Measurement(scene, MODEL, scene, {"model": sha256(self.model)}, measure)


def report(scores: Mapping[str, AngleScores], settings: Settings, where: str) -> dict[str, str]:
    """The generated parts of docs/angle_refinement.md by the names of their marks; `where`: the machine, in words."""
    made = (
        f"Made by `pose evaluate angle-refiner` on {where}: {settings.clips} clips of {settings.frames} frames at "
        f"{RATE_HZ:g} per second; {scores[LIFTED].ms:.2f} ms per person and frame. Filmed: cameras "
        f"{', '.join(map(str, EASY))}, {real_video.RATE_HZ} per second.\n\n"
    )
    others = {name: one for name, one in scores.items() if name not in (*SIZES, LIFTED)}
    return {
        "summary": made + tables.markdown(*summary(scores)),
        "groups": made + tables.markdown(*groups({name: scores[name] for name in (*SIZES, LIFTED)})),
        "others": made + tables.markdown(*groups(others)),
    }


def summary(scores: Mapping[str, AngleScores]) -> tables.Table:
    """One row for each scene."""
    header = [
        "people",
        "joints off by mm",
        "error °",
        "refined °",
        "cut",
        "correction °",
        "at its limit",
        "bettered",
        "acceleration °/frame²",
        "refined",
    ]
    rows = [
        [
            name,
            tables.number(one.joints_mm),
            tables.number(one.before[ALL], 2),
            tables.number(one.after[ALL], 2),
            tables.percent(1.0 - one.after[ALL] / one.before[ALL] if one.before[ALL] else math.nan, 1),
            tables.number(one.correction, 2),
            tables.percent(one.at_limit),
            tables.percent(one.bettered if one.before[ALL] else math.nan),
            *(tables.number(value, 2) for value in one.acceleration),
        ]
        for name, one in scores.items()
    ]
    return header, rows


def groups(scores: Mapping[str, AngleScores]) -> tables.Table:
    """Errors before and after, one row for each group; of people without errors those that were made."""
    shown = {name: (one.after,) if name in TRUE else (one.before, one.after) for name, one in scores.items()}
    header = ["group"]
    for name in scores:
        header += [f"{name}: made °"] if name in TRUE else [f"{name} °", f"{name}: refined °"]
    rows = [
        [f"`{group}`", *(tables.number(side[group], 2) for sides in shown.values() for side in sides)]
        for group in (*GROUPS, ALL)
    ]
    return header, rows


ALL = "all"


def _parts(made: MadeAngles, refiner: AngleRefiner) -> tuple[np.ndarray, ...]:
    """Of clips (n, T, A): errors before and after, how far angles are moved and might be, and which count."""
    after = np.stack([refiner.refine(one)[0].angle for one in angle_data.sequences(made)])
    before, left = (angle_data.wrapped(one - made.truth) for one in (made.angle, after))
    valid = (made.flags == 0) & (made.truth_flags == 0)
    return before, left, np.abs(after - made.angle), made.std, valid


def _acceleration(parts: Sequence[tuple[np.ndarray, ...]], which: int) -> float:
    """Mean absolute second difference in degrees of the errors before (0) or after (1), over what counts in three frames."""
    found = []
    for part in parts:
        step = angle_data.wrapped(np.diff(part[which], axis=1))
        valid = part[-1]
        found.append(np.diff(step, axis=1)[valid[:, 2:] & valid[:, 1:-1] & valid[:, :-2]])
    values = np.abs(np.concatenate(found))
    return float(np.degrees(values.mean())) if values.size else math.nan


def _by_group(difference: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """Mean absolute differences (N, A) in degrees."""
    rows = {group: angles_of_group(group) for group in GROUPS} | {ALL: list(range(len(NAMES)))}
    return {name: angle_data.mean_degrees(difference[:, row], valid[:, row]) for name, row in rows.items()}


def _share(which: Sequence[bool] | np.ndarray) -> float:
    return float(np.mean(which)) if len(which) else math.nan
