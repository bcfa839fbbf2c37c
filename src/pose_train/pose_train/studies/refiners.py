"""`pose evaluate refiners`: every refiner on the same noisy people; for docs/refiners.md.

Four scenes: people whom no training saw, as the default lifter lifts them; MediaPipe's own 3D on real video; made noise on true
motion; and the truth itself, which a refiner must leave alone. Each refiner runs as on a robot, person by person and frame by
frame through the whole stage, for each look-ahead that it has, and offline. Results are kept by a digest of all that they depend
on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import lift3d_node
import pose_core
import refine_node
from lift3d_node.correspondence import Correspondence
from lift3d_node.params import Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from pose_core.callbacks import Progress, Say, no_progress, silent
from pose_core.files import sha256, write_whole
from pose_core.measures import metrics
from pose_core.networks import onnx_file
from pose_core.people import JointState, People3D, ScaleSource
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33, SKELETONS, Skeleton
from pose_core.units import NS_PER_S
from pose_train.data import detector, landmarks, mocap, stored, synthesis
from pose_train.data import lifted as lifted_data
from pose_train.data import noise as noise_data
from pose_train.data.lifted import Lifted
from pose_train.data.mocap import PACKS
from pose_train.data.noise import Noise, NoiseMaker
from pose_train.data.synthesis import Synthesizer
from pose_train.studies import real_video, tables
from pose_train.studies.lifters import machine, sources, write_document
from pose_train.studies.real_video import EASY
from pose_train.studies.scores import NOMINAL_RATE
from pose_train.trunk.deviations import LEVEL
from refine_node import recording
from refine_node.model_card import RefinerCard
from refine_node.network_refiner import WEIGHTS, NetworkRefiner
from refine_node.params import RefineParams
from refine_node.refiners import REFINERS
from refine_node.refiners.kalman import Kalman

COMMAND = "pose evaluate refiners"
LOOK_AHEADS = (0, 2, 4, 8)
RATE_HZ = 30.0
LONGEST_LAG = 0.25
"""Seconds within which the lag is looked for."""
SURE = 0.005
"""Heights: the deviation that is stated for the truth."""
PLACE = np.array([0.0, 0.0, 3.0])
"""Metres before the camera, where people stand who were not lifted."""
PLACE_STD = 0.02

SCENES = ("lifted", "mediapipe", "synthetic", "clean")
ORDER = ("raw", "one_euro", "savitzky_golay", "kalman", "smoothnet", "hpstm")
"""Of the tables; what is not named here follows."""
PARTS = {
    "raw": "neither",
    "kalman": "filter only",
    "hpstm_transformer": "transformer only",
    "hpstm_fk": "forward kinematics only",
    "hpstm": "both",
}
"""Rows of the ablation. Those that are no refiner of their own take part in nothing else."""
ABLATED = ("hpstm_transformer", "hpstm_fk")
CODE = (detector, landmarks, mocap, real_video, lifted_data, stored, noise_data, synthesis)
"""Modules whose change makes results stale, with this one and all of `pose_core`, `lift3d_node` and `refine_node`."""


def expect_files(pack: Path, lifter: Path) -> None:
    """Raise ValueError where a pack of motion capture or a lifter's file is not there."""
    for file, option in ((pack, "--data"), (lifter, "--lifter")):
        if not file.is_file():
            raise ValueError(f"there is no file {file}; say with {option} where it is")


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    data: Path
    """Folder of the motion capture packs."""
    lifter: Path = stored.Made.lifter
    """File of the lifter whose output is refined."""
    clips: int = 8
    """Of the first scene; those of made noise and of the truth are half as many."""
    frames: int = 420
    """Of a clip: in the second half of 14 s, whose bones are judged, most have settled."""
    seed: int = 23
    real: bool = True
    """Whether the real video is evaluated, for which the demo videos must have been fetched."""

    def __post_init__(self) -> None:
        for name, least in (("clips", 1), ("frames", 16)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        expect_files(self.data / PACKS["test"], self.lifter)


@dataclass(frozen=True)
class Take:
    """One person as a refiner gets them, and as they were (T, J, 3): metres, camera frame; NaN where unknown."""

    given: PoseSequence
    truth: np.ndarray


@dataclass(frozen=True)
class RefinerScores:
    """Figures of one refiner in one scene: means over its takes, which have one frame rate; NaN where nothing tells."""

    mpjpe_mm: float
    pa_mpjpe_mm: float
    acceleration: float
    """Error, m/s^2."""
    jitter: float
    """m/s^3, of the refined motion alone."""
    bones_mm: float
    """Standard deviation of bones' lengths over the second half of a take."""
    coverage: float
    """Share of coordinates within the central 90 % interval of the stated standard deviation."""
    lag_ms: float
    """By which the motion comes later than the true one, the look-ahead left aside."""
    ms: float
    """Per person and frame: median of the processor's time, the whole stage."""

    @property
    def acceleration_mm(self) -> float:
        """Millimetres per frame squared at `NOMINAL_RATE`."""
        return 1e3 * self.acceleration / NOMINAL_RATE**2


@dataclass(frozen=True)
class Variant:
    """One way to run a refiner."""

    label: str
    """What the tables call it."""
    refiner: str
    """Name in `refine_node.refiners`."""
    look_ahead: int | None = 0
    """Frames; None is offline."""
    bones: bool = True
    """Whether bones are held at their lengths."""
    file: Path | None = None
    """Of a network that does not ship."""

    def params(self) -> RefineParams:
        """For the stage."""
        return RefineParams(
            refiner=self.refiner,
            look_ahead=self.look_ahead or 0,
            bone_lengths=self.bones,
            model=str(self.file or ""),
        )


class Scenes:
    """The takes of each scene, made when they are first asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def takes(self, name: str) -> list[Take]:
        """Those of one of `SCENES`."""
        takes: list[Take] = getattr(self, name)
        return takes

    @cached_property
    def _skeleton(self) -> Skeleton:
        return SKELETONS.get(lifted_data.lifter_of(self._settings.lifter).lifter.skeleton_out)

    @cached_property
    def _clips(self) -> synthesis.Clips:
        settings = self._settings
        synthesizer = Synthesizer(
            [mocap.read(settings.data / PACKS["test"])],
            (self._skeleton.name,),
            synthesis.AS_CAPTURED,
            tilted=0.0,
        )
        random = np.random.default_rng(settings.seed)
        return synthesizer.clips(settings.clips, settings.frames, random, rates=(RATE_HZ,))

    @property
    def _few(self) -> int:
        return (self._settings.clips + 1) // 2

    @cached_property
    def lifted(self) -> list[Take]:
        """The test people through the whole lifting stage."""
        lifted = lifted_data.lift(self._settings.lifter, self._clips)
        return [_take(lifted, row, self._skeleton) for row in range(len(lifted.height))]

    @cached_property
    def synthetic(self) -> list[Take]:
        """The same motion with noise of `pose_train.data.noise`."""
        return self._made(Noise(clean=0.0))

    @cached_property
    def clean(self) -> list[Take]:
        """The same motion as it is, said to be sure."""
        return [
            dataclasses.replace(
                take,
                given=dataclasses.replace(
                    take.given, std=np.full_like(take.given.std, SURE * take.given.metadata["height"])
                ),
            )
            for take in self._made(Noise(clean=1.0))
        ]

    def _made(self, noise: Noise) -> list[Take]:
        clips, skeleton, some = self._clips, self._skeleton, slice(0, self._few)
        truth = metrics.root_aligned(clips.truth(skeleton.name)[some], skeleton)
        step, height = clips.step[some], clips.height[some]
        metres = height[:, None, None]
        made = NoiseMaker(skeleton, noise).clip(
            (truth / metres[..., None]).astype(np.float32),
            step,
            np.random.default_rng(self._settings.seed),
        )
        lifted = Lifted(
            xyz=made.xyz * metres[..., None] + PLACE,
            std=made.std * metres,
            root_std=np.full((*step.shape, 3), PLACE_STD),
            confidence=made.confidence,
            truth=truth + PLACE,
            step=step,
            height=height,
        )
        return [_take(lifted, row, skeleton) for row in range(len(lifted.height))]

    @cached_property
    def mediapipe(self) -> list[Take]:
        """What MediaPipe says of the person in the real video, placed as the pipeline does it, before the easy cameras."""
        video = real_video.load(1)
        return [filmed(video, camera, "mediapipe_world") for camera in EASY]


def run(variant: Variant, take: Take) -> tuple[PoseSequence, float]:
    """The refined take, and the median of milliseconds that a frame took."""
    spent = [time.process_time_ns()]

    def progress(_done: int, _total: int | None) -> None:
        spent.append(time.process_time_ns())

    if variant.look_ahead is None:
        refined = recording.smooth(take.given, variant.params())
        return refined, (time.process_time_ns() - spent[0]) / len(take.given) / 1e6
    refined = recording.refine_live(take.given, variant.params(), progress)
    return refined, float(np.median(np.diff(spent))) / 1e6


def score(variant: Variant, takes: Sequence[Take]) -> RefinerScores:
    """Figures over all takes."""
    rows, motions = [], []
    for take in takes:
        skeleton = SKELETONS.get(take.given.skeleton)
        refined, spent = run(variant, take)
        dt = float(np.median(np.diff(take.given.stamps))) / NS_PER_S
        xyz, truth = (metrics.root_aligned(one, skeleton) for one in (refined.xyz, take.truth))
        motions.append((xyz, truth))
        rows.append(
            {
                "mpjpe_mm": 1e3 * metrics.mpjpe(xyz, truth, None),
                "pa_mpjpe_mm": 1e3 * metrics.pa_mpjpe(xyz, truth),
                "acceleration": metrics.acceleration_error(xyz, truth, dt, None),
                "jitter": metrics.jitter(xyz, dt),
                "coverage": float(metrics.interval_coverage(xyz, truth, refined.std, None, (LEVEL,))[0]),
                "bones_mm": 1e3 * metrics.bone_length_std(xyz[len(xyz) // 2 :], skeleton),
                "ms": spent,
            }
        )
    means = {name: _mean([row[name] for row in rows]) for name in rows[0]}
    # One lag of all: that of a single noisy take is mostly chance.
    frames = min(len(xyz) for xyz, _ in motions)
    xyz, truth = (np.concatenate([one[:frames] for one in side], 1) for side in zip(*motions, strict=True))
    lag_ms = 1e3 * metrics.lag(xyz, truth, dt, LONGEST_LAG)
    return RefinerScores(lag_ms=lag_ms, **means)


def _mean(values: list[float]) -> float:
    """Of those that are numbers; NaN without any."""
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan


def variants(files: Iterable[Path]) -> tuple[list[Variant], list[str]]:
    """All ways to run all refiners that there are, those of `files` (.onnx) among them; and the names of those without weights.

    A file takes the place of the weights that ship under its name. Raises ValueError for a file that holds no refiner, and for
    two of one name.
    """
    given: dict[str, Path] = {}
    for file in files:
        if file.suffix != ".onnx":
            raise ValueError(
                f"a refiner's file ends in .onnx, got '{file}'; export it with pose export-model"
            )
        if file.stem in given:
            raise ValueError(
                f"{given[file.stem]} and {file} have one name; rename one, the table tells refiners by it"
            )
        given[file.stem] = file
    names = {*(name for name, _ in REFINERS.usable()), *given, *ABLATED}
    found: list[Variant] = []
    absent: list[str] = []
    for name in sorted(names, key=lambda one: (ORDER.index(one) if one in ORDER else len(ORDER), one)):
        if name in given:
            file = given[name]
            card, _ = onnx_file.read(file, RefinerCard)
            found += _ways(Variant(name, card.network, file=file), card.look_aheads)
        elif name not in REFINERS:
            absent.append(name)
        elif issubclass(kind := REFINERS.get(name), NetworkRefiner):
            if (WEIGHTS / f"{name}.onnx").is_file():
                found += _ways(Variant(name, name), kind.session(RefineParams(refiner=name)).card.look_aheads)
            else:
                absent.append(name)
        else:
            found += _ways(Variant(name, name), LOOK_AHEADS if kind.looks_ahead else (0,))
    return found, absent


def _ways(variant: Variant, look_aheads: Sequence[int]) -> list[Variant]:
    """With each look-ahead and offline; without one also with bones as they come."""
    ways = [replace(variant, look_ahead=frames) for frames in look_aheads if frames in LOOK_AHEADS]
    ways += [replace(way, bones=False) for way in ways if way.look_ahead == 0]
    if variant.label in ABLATED:
        return [way for way in ways if way.look_ahead == 0]
    kind = REFINERS.get(variant.refiner)
    if issubclass(kind, (Kalman, NetworkRefiner)):
        ways.append(replace(variant, look_ahead=None))
    return ways


def wanted(scene: str, variant: Variant) -> bool:
    """Whether a table shows it."""
    if variant.label in ABLATED:
        return scene == "lifted"
    return scene != "clean" or variant.look_ahead == 0


Results = dict[str, dict[Variant, RefinerScores]]
"""By scene."""


def evaluate(
    ways: Sequence[Variant],
    settings: Settings,
    folder: Path,
    tell: Say = silent,
    progress: Progress = no_progress,
) -> Results:
    """Figures of all, from `folder` where they were made before; `tell` gets sentences, `progress` how many are done."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = Scenes(settings)
    names = [name for name in SCENES if settings.real or name != "mediapipe"]
    jobs = [(name, way) for name in names for way in ways if wanted(name, way)]
    shared = _shared_key(settings)
    results: Results = {name: {} for name in names}
    for number, (name, way) in enumerate(jobs):
        progress(number, len(jobs))
        own = {**dataclasses.asdict(way), "file": way.file and sha256(way.file)}
        digest = hashlib.sha256(json.dumps([shared, name, own], sort_keys=True).encode()).hexdigest()
        file = folder / f"{name}-{way.label}-{digest[:16]}.json"
        if file.is_file():
            results[name][way] = _from_json(file.read_text())
            continue
        results[name][way] = found = score(way, scenes.takes(name))
        write_whole(file, (json.dumps(_without_nan(found), sort_keys=True) + "\n").encode())
        tell(
            f"{name}, {words(way)}: MPJPE {found.mpjpe_mm:.1f} mm, acceleration {found.acceleration:.1f} m/s²"
        )
    progress(len(jobs), len(jobs))
    return results


def report(results: Results, absent: Sequence[str], settings: Settings, where: str) -> dict[str, str]:
    """The generated parts of docs/refiners.md by the names of their marks; `where`: the machine, in words."""
    made = f"Made by `{COMMAND}`"
    clips = f"{made} on {where}: {settings.clips} clips of {settings.frames} frames at {RATE_HZ:g} per second.\n\n"
    film = (
        f"{made} on {where}: cameras {', '.join(map(str, EASY))}, {real_video.RATE_HZ} images per second.\n\n"
    )
    left_out = ""
    if absent:
        left_out = f"Not trained yet, so left out: {', '.join(f'`{name}`' for name in absent)}.\n\n"
    parts = {}
    for name, found in results.items():
        shown = {way: one for way, one in found.items() if way.label not in ABLATED}
        rows = harm(shown) if name == "clean" else table(shown)
        parts[name] = (film if name == "mediapipe" else clips) + left_out + tables.markdown(*rows)
    parts["ablation"] = clips + left_out + tables.markdown(*ablation(results["lifted"]))
    return parts


def table(found: Mapping[Variant, RefinerScores]) -> tables.Table:
    """All figures of one scene; what is cut of the acceleration error is against `raw` without held bones."""
    raw = next((one for way, one in found.items() if way.label == "raw" and not way.bones), None)
    rows = []
    for way, one in found.items():
        cut = 1.0 - one.acceleration / raw.acceleration if raw else math.nan
        rows.append(
            [
                f"`{way.label}`",
                "offline" if way.look_ahead is None else str(way.look_ahead),
                "held" if way.bones else "free",
                tables.number(one.mpjpe_mm),
                tables.number(one.pa_mpjpe_mm),
                tables.number(one.acceleration_mm),
                tables.number(one.acceleration),
                tables.percent(cut),
                tables.number(one.jitter, 0),
                tables.number(one.bones_mm),
                tables.number(one.lag_ms),
                tables.percent(one.coverage),
                tables.number(one.ms, 2),
            ]
        )
    header = [
        "refiner",
        "look-ahead",
        "bones",
        "MPJPE mm",
        "PA-MPJPE",
        "acceleration mm/frame²",
        "m/s²",
        "cut",
    ]
    return [*header, "jitter m/s³", "bone std mm", "lag ms", "90 % covers", "ms"], rows


def harm(found: Mapping[Variant, RefinerScores]) -> tables.Table:
    """What refiners do to the truth."""
    rows = [
        [
            f"`{way.label}`",
            "held" if way.bones else "free",
            tables.number(one.mpjpe_mm, 2),
            tables.number(one.acceleration),
            tables.number(one.bones_mm, 2),
            tables.number(one.lag_ms),
        ]
        for way, one in found.items()
    ]
    return ["refiner", "bones", "MPJPE mm added", "acceleration m/s²", "bone std mm", "lag ms"], rows


def ablation(found: Mapping[Variant, RefinerScores]) -> tables.Table:
    """What each part is worth, without look-ahead and with bones as the parts give them."""
    shown = {
        way.label: one
        for way, one in found.items()
        if way.look_ahead == 0 and not way.bones and way.label in PARTS
    }
    header, rows = table({Variant(name, name, bones=False): shown[name] for name in PARTS if name in shown})
    kept = [i for i, title in enumerate(header) if title not in ("look-ahead", "bones")]
    titles = [PARTS[name] for name in PARTS if name in shown]
    return ["part", *(header[i] for i in kept)], [
        [title, *(row[i] for i in kept)] for title, row in zip(titles, rows, strict=True)
    ]


def words(way: Variant) -> str:
    """The variant in words, for people."""
    ahead = "offline" if way.look_ahead is None else f"look-ahead {way.look_ahead}"
    return f"{way.label}, {ahead}{'' if way.bones else ', bones free'}"


def _shared_key(settings: Settings) -> dict[str, object]:
    """What all results depend on."""
    code = [Path(__file__), *sources((pose_core, refine_node, lift3d_node), CODE)]
    return {
        "clips": [settings.clips, settings.frames, settings.seed],
        "files": [sha256(file) for file in (*code, settings.lifter, settings.data / PACKS["test"])],
        "weights": [sha256(file) for file in sorted(WEIGHTS.glob("*.onnx"))],
    }


def _without_nan(one: RefinerScores) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in dataclasses.asdict(one).items()}


def _from_json(text: str) -> RefinerScores:
    values = json.loads(text)
    return RefinerScores(**{name: math.nan if value is None else value for name, value in values.items()})


def _take(lifted: Lifted, row: int, skeleton: Skeleton) -> Take:
    """One person of several."""
    missing = np.isnan(lifted.xyz[row]).any(-1)
    nobody = missing.all(1)
    sequence = PoseSequence(
        skeleton=skeleton.name,
        stamps=NS_PER_S + np.rint(np.cumsum(lifted.step[row]) * NS_PER_S).astype(np.int64),
        xyz=lifted.xyz[row],
        confidence=np.where(missing, 0.0, lifted.confidence[row]),
        std=lifted.std[row],
        root_std=lifted.root_std[row],
        state=np.where(missing, JointState.MISSING, JointState.LIFTED).astype(np.uint8),
        person_confidence=np.where(nobody, np.nan, 1.0),
        frame_id="camera",
        person="p1",
        metadata={"height": float(lifted.height[row]), "scale_source": ScaleSource.SUBJECT.name},
    )
    return Take(sequence, lifted.truth[row].astype(float))


def filmed(video: real_video.RealVideo, number: int, lifter: str) -> Take:
    """The person before one camera (1 to 4), lifted and placed, beside the triangulation."""
    reference, sightings = video.reference, video.sightings[1][number - 1]
    camera = reference.cameras[number - 1]
    stage = PeopleLifter(Lift3DParams(lifter=lifter, height=round(reference.height, 3)))
    match = Correspondence(MEDIAPIPE33.name, stage.lifter.skeleton_in)
    times = np.arange(len(sightings)) - reference.lags[number - 1]
    frames: list[People3D] = []
    for t in range(len(sightings)):
        people = stage.process(sightings.people(t, match), sightings.people_world(t), camera.camera)
        # One person is in the video; a new id would be a detection that was lost for a while.
        frames.append(
            dataclasses.replace(
                people, people=tuple(dataclasses.replace(one, id="p1") for one in people.people[:1])
            )
        )
    there = (times >= 0) & (times < len(reference.xyz))
    given = PoseSequence.from_people([frames[i] for i in np.flatnonzero(there)], "p1")
    return Take(given, camera.to_camera(reference.xyz)[times[there]])


def evaluate_refiners(
    files: list[Path],
    settings: Settings,
    out: Path,
    document: Path,
    progress: Progress,
    say: Say,
) -> dict[str, Any]:
    """Measure the refiners that there are and those in `files`, and rewrite the tables of `document`."""
    ways, absent = variants(files)
    results = evaluate(ways, settings, out, say, progress)
    parts = report(results, absent, settings, machine())
    write_document(document, parts)
    say(f"wrote {document}")
    return {
        scene: {words(way): dataclasses.asdict(one) for way, one in found.items()}
        for scene, found in results.items()
    }
