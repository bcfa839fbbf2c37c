"""`pose evaluate lifters`: every lifter on the same held-out people, cameras and noise, and on real video; for docs/models.md.

The simulated test is made from a motion capture pack of people whom no training saw, with one fixed seed: whole sequences go
through each network from an empty past, as a robot would feed it, and all frames count, the first ones too. A lifter's results
are kept by a digest of everything that they depend on: a run that was interrupted goes on, and a second one costs nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import lift3d_node
import pose_core
from lift3d_node import models
from lift3d_node.learned import backends, encoding
from lift3d_node.learned.model_card import ModelCard
from lift3d_node.learned.network_lifter import NetworkLifter
from lift3d_node.params import Lift3DParams
from pose_core.callbacks import Progress, Say, no_progress, silent
from pose_core.config import build
from pose_core.files import sha256, write_whole
from pose_core.geometry.camera import Camera
from pose_core.networks import onnx_file, runtime
from pose_core.people import People2D, Person2D
from pose_core.skeleton import SKELETONS
from pose_train.data import detector, landmarks, mocap, samples, synthesis
from pose_train.data.mocap import PACKS
from pose_train.data.samples import Preparer
from pose_train.data.synthesis import Clips, Synthesizer
from pose_train.lifter.family import FAMILY
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.tracks import Arrays, Track, tracks, truth_of
from pose_train.studies import real_video, scores, statistics2d, tables
from pose_train.studies.real_video import CAMERAS, EASY, HARD, RealVideo
from pose_train.studies.scores import PEOPLE, Cost, Result, Scores, score
from pose_train.trunk import checkpoint, export
from pose_train.trunk.batch import Batch, part_of
from pose_train.trunk.network import parameters
from pose_train.trunk.training import whole

Forward = Callable[[Batch], Arrays]


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
TILT_KNOWN = ", tilt known"
"""Added to the name of a network whose figures are those with the direction that points up stated, without error."""
SKELETONS_OUT = ("h36m17", "mpi_inf28")
"""Truths that clips need besides the detector's own; that of coco17 is part of it."""
STEADY_HZ = (25.0, 35.0)
"""Rates of the clips that accelerations are stated for."""

BASELINES = ("mean_pose", "last_pose")
MEMORY = 1.0
"""Seconds for which `last_pose` keeps what it last knew."""

MAX_GAP = 0.02
"""Heights that an exported network, whose weights have 16 bits, may give otherwise than the trained one; more is an error."""

COMMAND = "pose evaluate lifters"

CODE = (detector, landmarks, mocap, real_video, samples, scores, synthesis)
"""Modules whose change makes results stale, with this one and all of `pose_core` and `lift3d_node`."""


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


@dataclass(frozen=True)
class Candidate:
    """A trained network: its checkpoint, its exported file, or both. Raises ValueError without any."""

    name: str
    checkpoint: Path | None = None
    onnx: Path | None = None

    def __post_init__(self) -> None:
        if self.checkpoint is None and self.onnx is None:
            raise ValueError(f"lifter '{self.name}' has no file; name a .pt or .onnx file")

    @property
    def files(self) -> list[Path]:
        """Those that there are."""
        return [file for file in (self.checkpoint, self.onnx) if file is not None]

    @cached_property
    def card(self) -> ModelCard:
        """What the network is. Raises ValueError for files that cannot be used, or that hold different networks."""
        cards = []
        if self.onnx is not None:
            cards.append(onnx_file.read(self.onnx, ModelCard)[0])
        if self.checkpoint is not None:
            cards.append(checkpoint.read_of(FAMILY, self.checkpoint).card)
        for name in ("network", "config", "skeleton_in", "skeleton_out", "state"):
            if len({json.dumps(getattr(card, name)) for card in cards}) > 1:
                raise ValueError(
                    f"{self.files[0]} and {self.files[1]} differ in {name}; export the checkpoint again, or name one of them"
                )
        return cards[0]


def candidates(files: Iterable[Path]) -> list[Candidate]:
    """Networks of .onnx and .pt files, those of one name (without the ending) together; in the order given.

    Raises ValueError for other files, and for two of one name and kind.
    """
    found: dict[str, dict[str, Path]] = {}
    for file in files:
        if file.suffix not in backends.SUFFIXES:
            raise ValueError(f"a lifter's file ends in {' or '.join(backends.SUFFIXES)}, got '{file}'")
        if not file.is_file():
            raise ValueError(f"there is no file {file}; train the lifter, or name another")
        kinds = found.setdefault(file.stem, {})
        if file.suffix in kinds:
            raise ValueError(
                f"{kinds[file.suffix]} and {file} have one name; rename one, the table tells lifters by it"
            )
        kinds[file.suffix] = file
    return [Candidate(name, kinds.get(".pt"), kinds.get(".onnx")) for name, kinds in found.items()]


def shipped() -> list[Path]:
    """Files of the weights that come with `lift3d_node`."""
    return sorted(models.WEIGHTS.glob("*.onnx"))


class TestSet:
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


def evaluate(
    networks: Sequence[Candidate],
    settings: Settings,
    folder: Path,
    tell: Say = silent,
    progress: Progress = no_progress,
) -> list[Result]:
    """Figures of all networks and baselines, from `folder` where they were made before.

    `tell` gets a sentence per lifter, `progress` how many are done. Raises ValueError for what cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    test = TestSet(settings)
    shared = _shared_key(settings)
    video: list[RealVideo] = []

    def real() -> RealVideo | None:
        if settings.real and not video:
            video.append(real_video.load(2))
        return video[0] if video else None

    jobs: list[tuple[str, dict[str, Any], Callable[[], Result]]] = []
    for candidate in networks:
        files = [sha256(file) for file in candidate.files]
        for known in (False, True) if candidate.card.config.get(encoding.TAKES_UP) else (False,):
            jobs.append(
                (
                    candidate.name + TILT_KNOWN * known,
                    {"files": files, "tilt_known": known},
                    lambda candidate=candidate, known=known: evaluate_network(  # type: ignore[misc]
                        candidate, test, settings, real(), known
                    ),
                )
            )
    jobs += [
        (name, {"baseline": name}, lambda name=name: evaluate_baseline(name, test, settings))  # type: ignore[misc]
        for name in BASELINES
    ]
    if settings.real:
        jobs.append(("mediapipe_world", {"lifter": "mediapipe_world"}, lambda: evaluate_mediapipe(real())))
    results = []
    for number, (name, own, make) in enumerate(jobs):
        progress(number, len(jobs))
        digest = hashlib.sha256(json.dumps([shared, own], sort_keys=True).encode()).hexdigest()
        file = folder / f"{name}-{digest[:16]}.json"
        if file.is_file():
            result = Result.from_json(file.read_text())
            tell(f"{name}: measured before")
        else:
            result = make()
            write_whole(file, result.to_json().encode())
            tell(f"{name}: {_sentence(result)}")
        results.append(result)
    progress(len(jobs), len(jobs))
    return results


def evaluate_network(
    candidate: Candidate,
    test: TestSet,
    settings: Settings,
    video: RealVideo | None,
    tilt_known: bool = False,
) -> Result:
    """All figures of one network; with the tilt of cameras stated, but what it costs, which is the same.

    Raises ValueError where its two files disagree on the test.
    """
    card = candidate.card
    forward, exported = forwards(candidate, settings)
    simulated, gap = {}, None
    for condition in CONDITIONS:
        batch = test.batch(condition, card.skeleton_in, card.skeleton_out, card.config, tilt_known)
        outputs = forward(batch)
        simulated[condition] = score(
            tracks(card, outputs, batch), SKELETONS.get(card.skeleton_out), STEADY_HZ
        )
        if exported is not None and gap is None:
            few = part_of(batch, slice(0, min(settings.batch, settings.clips)))
            gap = export_gap(outputs, exported(few))
    if gap is not None and gap > MAX_GAP:
        raise ValueError(
            f"{candidate.onnx} and {candidate.checkpoint} differ by {gap:.2g} heights on the test; export the checkpoint again"
        )
    real: dict[str, dict[str, Scores]] = {}
    if video is not None and not card.look_ahead:
        file = candidate.onnx or candidate.checkpoint
        lifter = models.make(Lift3DParams(model=str(file), device="cpu"))
        real = real_scores(
            lambda camera, step: real_video.evaluate_view(lifter, video, camera, step, tilt_known)
        )
    spent = Cost() if tilt_known else cost(candidate, settings)
    name = candidate.name + TILT_KNOWN * tilt_known
    return Result(name, card.skeleton_out, simulated, real, spent, gap)


def evaluate_baseline(name: str, test: TestSet, settings: Settings) -> Result:
    """Figures of what knows nothing of the image: one of `BASELINES`.

    `mean_pose` is the mean of other people in the axes of the view; `last_pose` the true pose of `MEMORY` seconds ago. Both are
    of the simulated detector's skeleton, and the same under all conditions with the same cameras. Raises ValueError for other
    names.
    """
    skeleton = SKELETONS.get(synthesis.SKELETON)
    batch = test.batch("noise", skeleton.name, skeleton.name)
    truth = truth_of(batch)
    if name == "mean_pose":
        others = TestSet(settings, "val").batch("noise", skeleton.name, skeleton.name)
        heights = others.target["xyz"].double().numpy()[others.known.numpy()].mean(0)
        metres = batch.height.double().numpy()[:, None, None, None]
        predicted = np.broadcast_to(heights * metres, truth.shape)
    elif name == "last_pose":
        predicted = np.stack(
            [_earlier(one, step) for one, step in zip(truth, batch.step.double().numpy(), strict=True)]
        )
    else:
        raise ValueError(f"a baseline is one of {', '.join(BASELINES)}, got '{name}'")
    steps = batch.step.double().numpy()
    found = score([Track(*one) for one in zip(predicted, truth, steps, strict=True)], skeleton, STEADY_HZ)
    alike = [condition for condition, what in CONDITIONS.items() if not what.tilted]
    return Result(name, skeleton.name, dict.fromkeys(alike, found))


def evaluate_mediapipe(video: RealVideo | None) -> Result:
    """Figures of the detector's own 3D, which simulation does not have."""
    if video is None:
        raise ValueError("MediaPipe's own 3D needs the real video; let settings.real be true")
    lifter = models.make(Lift3DParams(lifter="mediapipe_world"))
    real = real_scores(lambda camera, step: real_video.evaluate_view(lifter, video, camera, step))
    return Result("mediapipe_world", lifter.skeleton_out, {}, real)


def real_scores(of: Callable[[int, int], Scores]) -> dict[str, dict[str, Scores]]:
    """`Result.real` from a function of camera (1 to 4) and step."""
    return {
        str(real_video.RATE_HZ // step): {str(camera): of(camera, step) for camera in CAMERAS}
        for step in (1, 2)
    }


def forwards(candidate: Candidate, settings: Settings) -> tuple[Forward, Forward | None]:
    """How sequences go through the network; and, where there are both files, how they do through the exported one."""
    exported = None
    if candidate.onnx is not None:
        session = backends.OnnxSession(candidate.onnx, "cpu")

        def exported(batch: Batch) -> Arrays:
            return _in_parts(lambda part: stream(session, part), batch, settings.batch)

    if candidate.checkpoint is None:
        assert exported is not None  # a candidate has one of them
        return exported, None
    _, trained = checkpoint.load_of(FAMILY, candidate.checkpoint)
    trained.to(settings.device).eval()
    return lambda batch: _in_parts(lambda part: whole(trained, part), batch, settings.batch), exported


def stream(session: backends.Session, batch: Batch) -> Arrays:
    """The same frame by frame through a session, as on a robot."""
    joints, context = batch.joints.numpy(), batch.context.numpy()
    state = runtime.empty_state(session.card, len(joints))
    frames = []
    for t in range(joints.shape[1]):
        outputs, state = session.run(joints[:, t].copy(), context[:, t].copy(), state)
        frames.append(outputs)
    return {name: np.stack([frame[name] for frame in frames], 1) for name in session.card.outputs}


def export_gap(outputs: Arrays, others: Arrays) -> float:
    """Largest difference of positions and directions, over the clips that both have."""
    names = [name for name in ("xyz", "limbs", "centres") if name in outputs and name in others]
    gaps = [np.abs(outputs[name][: len(others[name])] - others[name]).max() for name in names]
    return float(max(gaps))


def cost(candidate: Candidate, settings: Settings) -> Cost:
    """Size, operations and times of a network; one that was not exported is, for that."""
    card = candidate.card
    kind = FAMILY.find(card.network)
    bare = kind(build(kind.Config, dict(card.config))).eval()
    with tempfile.TemporaryDirectory() as folder:
        file = candidate.onnx or Path(folder) / f"{candidate.name}.onnx"
        if candidate.onnx is None:
            assert candidate.checkpoint is not None  # a candidate has one of them
            _, trained = checkpoint.load_of(FAMILY, candidate.checkpoint)
            export.to_onnx(trained, card, file)
        session = backends.OnnxSession(file, "cpu")
        size = file.stat().st_size
    repeats = settings.timings
    return Cost(
        parameters=parameters(bare),
        macs=macs(bare),
        bytes=size,
        look_ahead=card.look_ahead,
        one_ms=time_of(_frame(session, 1), repeats),
        batch_ms=time_of(_frame(session, PEOPLE), repeats) / PEOPLE,
        lift_ms=None if card.look_ahead else time_of(_lifting(session), repeats),
    )


@torch.no_grad()
def macs(trained: LiftingNetwork) -> int:
    """Multiply-accumulate operations of one `step` of one person: matrix products and convolutions, counted by torch."""
    joints = torch.zeros(1, len(SKELETONS.get(trained.skeleton_in)), 3)
    context = torch.zeros(1, len(encoding.context_names(dataclasses.asdict(trained.config))))
    counter = FlopCounterMode(display=False)
    recurrent: list[int] = []

    def count(layer: torch.nn.Module, given: tuple[torch.Tensor, ...], _out: object) -> None:
        frames = given[0].shape[:-1].numel()
        recurrent.append(frames * sum(weight.numel() for weight in layer.parameters() if weight.ndim > 1))

    layers = [layer for layer in trained.modules() if isinstance(layer, torch.nn.LSTM)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    # Torch does not count what it computes in one piece: attention unless it is told to, and LSTM layers.
    with sdpa_kernel(SDPBackend.MATH), counter:
        trained.step(joints, context, trained.initial(1))
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() // 2 + sum(recurrent)


def time_of(call: Callable[[], object], repeats: int) -> float:
    """Median time of `call` in ms, after a tenth as many calls to warm up."""
    for _ in range(max(repeats // 10, 1)):
        call()
    durations = []
    for _ in range(repeats):
        start = time.perf_counter_ns()
        call()
        durations.append(time.perf_counter_ns() - start)
    return statistics.median(durations) / 1e6


def machine() -> str:
    """The processor in words, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*:\s*(.*)$", info.read_text(), re.MULTILINE) if info.is_file() else []
    words = re.findall(r"Xeon|EPYC|Ryzen|Core|Atom|Cortex|Neoverse", names[0]) if names else []
    cores = os.cpu_count() or 1
    return f"{cores} {words[0] if words else 'CPU'} core{'s' if cores > 1 else ''}"


def tables_of(results: Sequence[Result]) -> dict[str, tables.Table]:
    """What was measured, by the names of the parts of docs/models.md."""
    simulated = [result for result in results if result.simulated]
    networks = [result for result in simulated if result.name not in BASELINES]
    filmed = [result for result in results if result.real]
    found = {
        "accuracy": tables.accuracy(simulated),
        "conditions": tables.conditions(networks),
        "cost": tables.cost([result for result in networks if result.cost != Cost()]),
    }
    if filmed:
        found["real"] = tables.real(filmed, EASY, HARD)
    return found


def report(results: Sequence[Result], settings: Settings, where: str, detector: str = "") -> dict[str, str]:
    """The generated parts of docs/models.md by the names of their marks.

    `where`: the machine that times were taken on, in words. `detector`: what `detector_table` gives.
    """
    made = f"Made by `{COMMAND}`"
    clips = f"{made}: {settings.clips} clips of {settings.frames} frames.\n\n"
    above = {
        "accuracy": clips,
        "conditions": clips,
        "cost": f"{made} on {where}.\n\n",
        "real": f"{made}.\n\n",
    }
    parts = {name: above[name] + tables.markdown(*table) for name, table in tables_of(results).items()}
    if detector:
        parts["detector"] = f"{made}.\n\n" + detector
    return parts


def write_document(path: Path, parts: Mapping[str, str], keep_others: bool = False) -> None:
    """Put each part between the marks of its name in the document at `path`, which changes as a whole or not at all.

    `keep_others`: rows of what was not measured now stay, where they were made in the same way. Raises ValueError where a mark
    is missing.
    """
    document = path.read_text()
    for name, content in parts.items():
        merged = tables.with_others(content, tables.marked(document, name)) if keep_others else content
        document = tables.replaced(document, name, merged)
    write_whole(path, document.encode())


def detector_table(test: TestSet, video: RealVideo) -> str:
    """The Markdown table of `pose_train.studies.statistics2d`, with the clips of the test."""
    columns = {
        f"cameras {', '.join(map(str, EASY))}": statistics2d.statistics(statistics2d.of_video(video, EASY)),
        f"camera {', '.join(map(str, HARD))}": statistics2d.statistics(statistics2d.of_video(video, HARD)),
        "simulated": statistics2d.statistics(statistics2d.of_clips(test.clips("noise"))),
    }
    return tables.markdown(*statistics2d.table(columns))


def _in_parts(forward: Forward, batch: Batch, size: int) -> Arrays:
    count = len(batch.height)
    parts = [forward(part_of(batch, slice(start, start + size))) for start in range(0, count, size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _earlier(truth: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Each frame's pose of `MEMORY` seconds before; NaN where there is none."""
    time_ = np.cumsum(step)
    before = np.searchsorted(time_, time_ - MEMORY + 1e-9) - 1
    return np.where((before >= 0)[:, None, None], truth[np.maximum(before, 0)], np.nan)


def _frame(session: backends.Session, people: int) -> Callable[[], object]:
    """One call of the network on random keypoints, each continuing the one before."""
    card = session.card
    random = np.random.default_rng(0)
    joints = random.standard_normal((people, len(SKELETONS.get(card.skeleton_in)), 3), np.float32)
    joints[..., 2] = 1.0
    context = np.zeros((people, len(encoding.context_names(card.config))), np.float32)
    state = [runtime.empty_state(card, people)]

    def call() -> None:
        _, state[0] = session.run(joints, context, state[0])

    return call


def _lifting(session: backends.Session) -> Callable[[], object]:
    """One image of one person through the whole lifter."""
    lifter = NetworkLifter(Lift3DParams(), session)
    camera = Camera.from_field_of_view(1280, 720, 60.0)
    joints = len(SKELETONS.get(session.card.skeleton_in))
    xy_px = np.random.default_rng(0).uniform((400.0, 100.0), (800.0, 700.0), (joints, 2))
    person = Person2D("p1", 1.0, np.array([400.0, 100.0, 800.0, 700.0]), xy_px, np.ones(joints))
    number = [0]

    def call() -> None:
        number[0] += 1
        stamp = number[0] * 33_333_333
        lifter.lift(People2D(stamp, "camera", session.card.skeleton_in, 1280, 720, (person,)), camera, None)

    return call


def sources(packages: Iterable[ModuleType], modules: Iterable[ModuleType]) -> list[Path]:
    """All files of code of some packages, and those of single modules: what results depend on."""
    folders = [Path(str(package.__file__)).parent for package in packages]
    code = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    return code + [Path(str(module.__file__)) for module in modules]


def _shared_key(settings: Settings) -> dict[str, Any]:
    """What all results depend on."""
    code = [Path(__file__), *sources((pose_core, lift3d_node), CODE)]
    packs = [settings.data / PACKS[split] for split in ("val", "test")]
    for pack in packs:
        if not pack.is_file():
            raise ValueError(f"{pack}: no such motion capture pack; say with --data where the packs are")
    values = {
        f.name: getattr(settings, f.name)
        for f in dataclasses.fields(settings)
        if f.name not in ("data", "device")
    }
    return {
        "settings": values,
        "code": [sha256(file) for file in code],
        "packs": [sha256(pack) for pack in packs],
    }


def _sentence(result: Result) -> str:
    """The outcome in a line."""
    said = []
    if "noise" in result.simulated:
        one = result.simulated["noise"]
        said.append(f"MPJPE {one.mpjpe_mm:.1f} mm, limbs {one.limb_mean_deg:.1f} degrees")
    if result.real:
        one = result.real_mean(real_video.RATE_HZ, EASY)
        said.append(f"real video PA-MPJPE {one.pa_mpjpe_mm:.1f} mm, limbs {one.limb_mean_deg:.1f} degrees")
    return "; ".join(said)


def evaluate_lifters(
    files: list[Path],
    settings: Settings,
    out: Path,
    document: Path,
    progress: Progress,
    say: Say,
) -> dict[str, Any]:
    """Measure the shipped lifters and those in `files`, and rewrite their rows in the tables of `document`.

    A file named as a shipped one is measured in its place.
    """
    named = {file.stem for file in files}
    networks = candidates([*(file for file in shipped() if file.stem not in named), *files])
    results = evaluate(networks, settings, out, say, progress)
    detector = ""
    if settings.real:
        say("comparing the simulated detector with the real one")
        detector = detector_table(TestSet(settings), real_video.load(2))
    parts = report(results, settings, machine(), detector)
    write_document(document, parts, keep_others=True)
    for name, table in tables_of(results).items():
        say(f"\n{name}\n{tables.text(*table)}")
    say(f"wrote {document}")
    return {result.name: json.loads(result.to_json()) for result in results}
