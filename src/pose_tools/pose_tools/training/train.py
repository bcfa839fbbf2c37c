"""`pose train` and `pose evaluate`: progress and results of `pose_train`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pose_core.callbacks import Progress, Say
from pose_core.networks.model_card import Card
from pose_train.angle import checkpoint as refining_angles
from pose_train.angle import run as angle_runs
from pose_train.angle.recipes import recipe as angle_recipe
from pose_train.lifter import checkpoint as lifting
from pose_train.lifter.recipes import recipe
from pose_train.lifter.run import train
from pose_train.refiner import checkpoint as refining
from pose_train.refiner import run as refiners
from pose_train.refiner.recipes import recipe as refiner_recipe
from pose_train.studies import lifters as evaluate
from pose_train.studies import real_video, tables
from pose_train.studies import refiners as refiner_evaluate
from pose_train.trunk import export
from pose_train.trunk.runs import Job, Trained


def train_lifter(job: Job[Path], progress: Progress, say: Say) -> dict[str, Any]:
    """Train, calibrate and export one lifter; what it became."""
    trained = train(job, _teller(job.steps or recipe(job.name).steps, progress, say), say)
    return _became(job, trained)


def train_refiner(job: refiners.RefinerJob, progress: Progress, say: Say) -> dict[str, Any]:
    """Lift what the refiner learns from, where that was not done yet; train, calibrate and export it; what it became."""
    told = _teller(job.steps or refiner_recipe(job.name).steps, progress, say)
    trained = refiners.train(job, told, say, progress)
    return _became(job, trained)


def train_angles(job: angle_runs.AngleJob, progress: Progress, say: Say) -> dict[str, Any]:
    """Train and export a network that refines joint angles; what it became."""
    told = _teller(job.steps or angle_recipe(job.name).steps, progress, say)
    trained = angle_runs.train(job, told, say, progress)
    return _became(job, trained)


def _became(job: Job[Any], trained: Trained[Any]) -> dict[str, Any]:
    """Where a finished run is, and what was measured of it."""
    return {
        "model": job.name,
        "checkpoint": str(trained.checkpoint),
        "onnx": str(trained.onnx),
        **trained.card.metrics,
    }


def _teller(steps: int, progress: Progress, say: Say) -> Callable[[int, Mapping[str, float]], None]:
    """Shows steps as progress and says what validations measured."""

    def told(step: int, measured: Mapping[str, float]) -> None:
        if "loss" in measured:
            progress(step + 1, steps)
        else:
            say(f"step {step}: " + ", ".join(f"{name} {value:.4g}" for name, value in measured.items()))

    return told


def export_model(file: Path, out: Path, half: bool) -> str:
    """Write the network of a checkpoint to `out`, in the form that its ending says; a sentence about it.

    Raises ValueError for another ending, and for a checkpoint that cannot be used.
    """
    card, trained = _load(file)
    if out.suffix == ".onnx":
        difference = export.to_onnx(trained, card, out, half)
    elif out.suffix == ".ts":
        difference = export.to_torchscript(trained, card, out)
    else:
        raise ValueError(f"the file to write must end in .onnx or .ts, got '{out}'")
    return f"{out}: '{card.network}', largest difference from the network {difference.largest:.2g}"


def _load(file: Path) -> tuple[Card, Any]:
    """Card and network of a checkpoint of any kind. Raises ValueError as a lifter's would, where it is none of them."""
    for load in (refining.load, refining_angles.load):
        try:
            return load(file)
        except ValueError:
            continue
    return lifting.load(file)


def evaluate_lifters(
    files: list[Path],
    settings: evaluate.Settings,
    out: Path,
    document: Path,
    progress: Progress,
    say: Say,
) -> dict[str, Any]:
    """Measure the shipped lifters and those in `files`, and rewrite their rows in the tables of `document`.

    A file named as a shipped one is measured in its place.
    """
    named = {file.stem for file in files}
    networks = evaluate.candidates([*(file for file in evaluate.shipped() if file.stem not in named), *files])
    results = evaluate.evaluate(networks, settings, out, say, progress)
    detector = ""
    if settings.real:
        say("comparing the simulated detector with the real one")
        detector = evaluate.detector_table(evaluate.TestSet(settings), real_video.load(2))
    parts = evaluate.report(results, settings, evaluate.machine(), detector)
    evaluate.write_document(document, parts, keep_others=True)
    for name, table in evaluate.tables_of(results).items():
        say(f"\n{name}\n{tables.text(*table)}")
    say(f"wrote {document}")
    return {result.name: json.loads(result.to_json()) for result in results}


def evaluate_refiners(
    files: list[Path],
    settings: refiner_evaluate.Settings,
    out: Path,
    document: Path,
    progress: Progress,
    say: Say,
) -> dict[str, Any]:
    """Measure the refiners that there are and those in `files`, and rewrite the tables of `document`."""
    ways, absent = refiner_evaluate.variants(files)
    results = refiner_evaluate.evaluate(ways, settings, out, say, progress)
    parts = refiner_evaluate.report(results, absent, settings, evaluate.machine())
    evaluate.write_document(document, parts)
    say(f"wrote {document}")
    return {
        scene: {refiner_evaluate.words(way): dataclasses.asdict(one) for way, one in found.items()}
        for scene, found in results.items()
    }
