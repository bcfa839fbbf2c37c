"""`pose evaluate angle-refiner`: what angle refinement does to people whom no training saw; for docs/angle_refinement.md.

Motion of the test people with made noise of three sizes, as the default lifter lifts it, and as it is; and real video, against
what four views say. Angles come from the code that runs live, and are refined as it does, frame by frame.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lift3d_node.params import Lift3DParams
from pose_biomechanics.angle_refiner import AngleRefiner
from pose_biomechanics.angles import angles_of
from pose_biomechanics.isb import GROUPS, NAMES, angles_of_group
from pose_core.angles import AngleSequence, PeopleAngles, PersonAngles
from pose_core.callbacks import Say, silent
from pose_core.measures import metrics
from pose_core.skeleton import SKELETONS
from pose_core.units import S_PER_NS
from pose_train.angle import data as angle_data
from pose_train.angle.data import MadeAngles
from pose_train.data import lifted as lifted_data
from pose_train.data import mocap, stored, synthesis
from pose_train.data.clips import Clip
from pose_train.data.mocap import PACKS
from pose_train.data.noise import Noise, NoiseMaker
from pose_train.data.synthesis import Synthesizer
from pose_train.studies import angles as angle_evaluate
from pose_train.studies import real_video, tables
from pose_train.studies import refiners as refiner_evaluate
from pose_train.studies.lifters import machine, write_document
from pose_train.studies.real_video import EASY, RealVideo
from refine_node import recording
from refine_node.encoding import DEFAULT_HEIGHT
from refine_node.params import RefineParams

COMMAND = "pose evaluate angle-refiner"
RATE_HZ = 30.0
SIZES = {"half noise": 0.5, "noise": 1.0, "twice noise": 2.0}
"""Scenes with made noise: factors on that of training."""
LIFTED, FILMED = "lifted", "filmed"
TRUE = {"true, as unsure": False, "true, sure": True}
"""Scenes without errors: what deviations are stated, those of lifted people or least ones."""
TIMED = 300
"""Frames that are timed."""
DOCUMENT = Path("docs/angle_refinement.md")


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
        refiner_evaluate.expect_files(self.data / PACKS["test"], self.lifter)


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
        take = refiner_evaluate.filmed(video, camera, lifter)
        options = angle_evaluate.levelled(video.reference.cameras[camera - 1])
        given = recording.refine_live(take.given, RefineParams())
        truth = angle_evaluate.sequence_of(take.truth, given.stamps, given.skeleton)
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


@dataclass(frozen=True)
class AngleResults:
    """What was measured, scene by scene, and how long one person's frame takes."""

    scores: Mapping[str, AngleScores]
    ms: float


def evaluate(settings: Settings, model: str | Path = "", tell: Say = silent) -> AngleResults:
    """All figures of the network in the file `model`, or of the one that ships; `tell` gets sentences."""
    refiner, scenes = AngleRefiner(model), Scenes(settings)
    scores = {}
    for name in scenes.names:
        scores[name] = _told(name, score(scenes.people(name), refiner), tell)
    if settings.real:
        video = real_video.load(1)
        for lifter in (Lift3DParams().lifter, angle_evaluate.BASELINE):
            name = f"{FILMED}, {lifter}"
            scores[name] = _told(name, score(filmed(video, lifter), refiner), tell)
    some, *_ = angle_data.sequences(scenes.people(LIFTED).made[0])
    return AngleResults(scores, milliseconds(some, refiner))


def _told(name: str, one: AngleScores, tell: Say) -> AngleScores:
    tell(f"{name}: {one.before[ALL]:.2f} degrees, refined {one.after[ALL]:.2f}")
    return one


def evaluate_angle_refiner(
    settings: Settings,
    model: str | Path = "",
    document: Path = DOCUMENT,
    tell: Say = silent,
) -> AngleResults:
    """Measure, and rewrite the tables of `document`. Raises ValueError for a document without the marks."""
    results = evaluate(settings, model, tell)
    write_document(document, report(results, settings, machine()))
    tell(f"wrote {document}")
    return results


def report(results: AngleResults, settings: Settings, where: str) -> dict[str, str]:
    """The generated parts of docs/angle_refinement.md by the names of their marks; `where`: the machine, in words."""
    made = (
        f"Made by `{COMMAND}` on {where}: {settings.clips} clips of {settings.frames} frames at {RATE_HZ:g} per second; "
        f"{results.ms:.2f} ms per person and frame. Filmed: cameras {', '.join(map(str, EASY))}, {real_video.RATE_HZ} per "
        "second.\n\n"
    )
    others = {name: one for name, one in results.scores.items() if name not in (*SIZES, LIFTED)}
    return {
        "summary": made + tables.markdown(*summary(results.scores)),
        "groups": made + tables.markdown(*groups({name: results.scores[name] for name in (*SIZES, LIFTED)})),
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
