"""`pose train`, `pose evaluate` and `pose export-model`."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lift3d_node.params import Lift3DParams
from pose_core.callbacks import Say
from pose_core.system.threads import one_blas_thread
from pose_tools.terminal import Bar, Json, say, show

if TYPE_CHECKING:  # it needs torch
    from pose_train.refiner.data import Made
    from pose_train.trunk.runs import D, Job

LIFT3D = Lift3DParams()

train_app = typer.Typer(
    help="Train learned parts; needs torch, which make setup-train brings.", no_args_is_help=True
)
evaluate_app = typer.Typer(help="Measure learned parts, and write their documents.", no_args_is_help=True)
Out = Annotated[Path | None, typer.Option(help="folder of the run [default: out/train/MODEL]")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
Steps = Annotated[int, typer.Option(help="steps instead of the recipe's; 0: those", min=0)]
Threads = Annotated[int, typer.Option(help="threads of torch on the CPU; 0: all cores", min=0)]
Wandb = Annotated[str, typer.Option(help="project of Weights & Biases to log to")]
Real = Annotated[bool, typer.Option(help="also the real video")]
Data = Annotated[Path, typer.Option(help="folder of the motion capture packs")]


def add_to(app: typer.Typer) -> None:
    """Give the `pose` command these."""
    app.command("export-model")(export_model)
    app.add_typer(train_app, name="train")
    app.add_typer(evaluate_app, name="evaluate")


@train_app.callback()
@evaluate_app.callback()
def _needs_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")  # `pose` says how to get it


def _made(data: Path, lifter: Path | None) -> Made:
    """What refiners learn from, with the lifter that ships unless another one is named."""
    from pose_train.refiner.data import Made

    return Made(data, lifter) if lifter else Made(data)


def _carry_out(run: Callable[[Job[D], Bar, Say], dict[str, Any]], job: Job[D], as_json: bool) -> None:
    with Bar("train") as progress:
        result = run(job, progress, say)
    show(result, as_json)


@train_app.command("lifter")
def train_lifter(
    model: Annotated[str, typer.Option(help="network to train")] = "streaming_tcn",
    data: Data = Path("data"),
    out: Out = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="seed of weights and data")] = 0,
    steps: Steps = 0,
    threads: Threads = 0,
    wandb: Wandb = "",
    as_json: Json = False,
) -> None:
    """Train a lifting network on synthesised views of motion capture. Started again, it goes on where it was interrupted."""
    from pose_tools.training.train import train_lifter as run_training
    from pose_train.trunk.runs import Job

    job = Job(model, data, out or Path("out/train") / model, device, seed, steps, threads, wandb)
    _carry_out(run_training, job, as_json)


@train_app.command("refiner")
def train_refiner(
    model: Annotated[str, typer.Option(help="network to train")] = "hpstm",
    data: Data = Path("data"),
    out: Out = None,
    lifter: Annotated[
        Path | None, typer.Option(help=f"lifter (.onnx) to refine [default: {LIFT3D.lifter} as it ships]")
    ] = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="seed of weights and batches")] = 0,
    steps: Steps = 0,
    threads: Threads = 0,
    wandb: Wandb = "",
    as_json: Json = False,
) -> None:
    """Train a refining network on a lifter's own errors and on made ones. Started again, it goes on where it was interrupted."""
    from pose_tools.training.train import train_refiner as run_training
    from pose_train.refiner.run import RefinerJob

    job = RefinerJob(
        model, _made(data, lifter), out or Path("out/train") / model, device, seed, steps, threads, wandb
    )
    _carry_out(run_training, job, as_json)


@train_app.command("angles")
def train_angles(
    model: Annotated[str, typer.Option(help="network to train")] = "angle_transformer",
    data: Data = Path("data"),
    out: Out = None,
    lifter: Annotated[
        Path | None,
        typer.Option(help=f"lifter (.onnx) whose people have angles [default: {LIFT3D.lifter} as it ships]"),
    ] = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="seed of weights and batches")] = 0,
    steps: Steps = 0,
    threads: Threads = 0,
    wandb: Wandb = "",
    as_json: Json = False,
) -> None:
    """Train a network that corrects implausible joint angles. Started again, it goes on where it was interrupted."""
    from pose_tools.training.train import train_angles as run_training
    from pose_train.angle.run import AngleJob

    job = AngleJob(
        model, _made(data, lifter), out or Path("out/train") / model, device, seed, steps, threads, wandb
    )
    _carry_out(run_training, job, as_json)


@evaluate_app.command("lifters")
def evaluate_lifters(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="further .onnx and .pt files, besides the shipped weights or in their place"),
    ] = None,
    data: Data = Path("data"),
    out: Annotated[Path, typer.Option(help="folder of the results")] = Path("out/evaluate"),
    document: Annotated[
        Path, typer.Option(help="document in whose tables these lifters' rows are rewritten")
    ] = Path("docs/models.md"),
    clips: Annotated[int, typer.Option(help="clips of the test", min=1)] = 200,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    real: Real = True,
    as_json: Json = False,
) -> None:
    """Measure lifters on the same held-out people, cameras and noise, and on real video; print and write docs/models.md."""
    from pose_tools.training.train import evaluate_lifters as run_evaluation
    from pose_train.studies.lifters import Settings

    settings = Settings(data, clips=clips, device=device, real=real)
    one_blas_thread()
    with Bar("evaluate") as progress:
        result = run_evaluation(files or [], settings, out, document, progress, say)
    if as_json:
        print(json.dumps(result, indent=2))


@evaluate_app.command("refiners")
def evaluate_refiners(
    files: Annotated[
        list[Path] | None, typer.Argument(help="further .onnx files, besides the shipped weights")
    ] = None,
    data: Data = Path("data"),
    out: Annotated[Path, typer.Option(help="folder of the results")] = Path("out/evaluate_refiners"),
    document: Annotated[Path, typer.Option(help="document whose tables are rewritten")] = Path(
        "docs/refiners.md"
    ),
    lifter: Annotated[
        Path | None,
        typer.Option(help=f"lifter whose output is refined [default: {LIFT3D.lifter} as it ships]"),
    ] = None,
    clips: Annotated[int, typer.Option(help="clips of the test", min=1)] = 8,
    real: Real = True,
    as_json: Json = False,
) -> None:
    """Measure every refiner on the same lifted, filmed and made recordings; write docs/refiners.md."""
    from pose_tools.training.train import evaluate_refiners as run_evaluation
    from pose_train.studies.refiners import Settings

    settings = (
        Settings(data, lifter, clips=clips, real=real) if lifter else Settings(data, clips=clips, real=real)
    )
    one_blas_thread()
    with Bar("evaluate") as progress:
        result = run_evaluation(files or [], settings, out, document, progress, say)
    show(result, as_json)


@evaluate_app.command("angles")
def evaluate_angles(
    data: Data = Path("data"),
    out: Annotated[Path, typer.Option(help="folder of the results")] = Path("out/evaluate_angles"),
    document: Annotated[Path, typer.Option(help="document whose tables are rewritten")] = Path(
        "docs/angles.md"
    ),
    real: Real = True,
    as_json: Json = False,
) -> None:
    """Measure joint angles: exactness, what noise does, OpenSim's beside ours, one camera; write docs/angles.md."""
    from pose_train.studies.angles import Settings
    from pose_train.studies.angles import evaluate_angles as run_evaluation

    one_blas_thread()
    with Bar("evaluate") as progress:
        result = run_evaluation(Settings(data, real=real), out, document, progress, say)
    show(result, as_json)


@evaluate_app.command("angle-refiner")
def evaluate_angle_refiner(
    file: Annotated[Path | None, typer.Argument(help="file (.onnx) instead of the shipped weights")] = None,
    data: Data = Path("data"),
    document: Annotated[Path, typer.Option(help="document whose tables are rewritten")] = Path(
        "docs/angle_refinement.md"
    ),
    real: Real = True,
    as_json: Json = False,
) -> None:
    """Measure what refining joint angles mends and what harm it does; write docs/angle_refinement.md."""
    from pose_train.studies.angle_refiner import Settings
    from pose_train.studies.angle_refiner import evaluate_angle_refiner as run_evaluation

    one_blas_thread()
    results = run_evaluation(Settings(data, real=real), file or "", document, say)
    show({"ms": results.ms, **{name: asdict(one) for name, one in results.scores.items()}}, as_json)


def export_model(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint (.pt) of pose train")],
    out: Annotated[Path, typer.Argument(help="file to write: .onnx, or .ts for TorchScript")],
    half: Annotated[bool, typer.Option(help="store weights in 16 bits (.onnx)")] = True,
) -> None:
    """Write a trained network as one file that runs without this project, with its model card inside."""
    _needs_torch()
    from pose_tools.training.train import export_model as run_export

    say(run_export(checkpoint, out, half))
