"""`pose train`, `pose evaluate` and `pose export-model`.

What can be trained stands nowhere here: `pose train` has a command for each family of `pose_train`, found when it is asked for,
because that imports torch.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from lift3d_node.params import Lift3DParams
from pose_core.callbacks import Progress, Say
from pose_core.system.threads import one_blas_thread
from pose_tools.commands import of_function
from pose_tools.terminal import Bar, Json, say, show

if TYPE_CHECKING:  # it needs torch
    from pose_train.studies.study import Study
    from pose_train.trunk.family import AnyFamily
    from pose_train.trunk.runs import Job
    from pose_train.trunk.task import Told

LIFT3D = Lift3DParams()


class FamilyCommands(TyperGroup):
    """One command for each family that there is."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Of all families; of none where torch is missing."""
        return sorted(_families()) if _has_torch() else []

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; None where there is none. Raises ModuleNotFoundError where torch is missing."""
        _needs_torch()
        family = _families().get(cmd_name)
        return _training_of(family) if family else None


train_app = typer.Typer(
    cls=FamilyCommands,
    help="Train learned parts; needs torch, which make setup-train brings.",
    no_args_is_help=True,
)
evaluate_app = typer.Typer(help="Measure learned parts, and write their documents.", no_args_is_help=True)
Out = Annotated[Path | None, typer.Option(help="folder of the run [default: out/train/MODEL]")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
Model = Annotated[str, typer.Option(help="network to train")]
Seed = Annotated[int, typer.Option(min=0, help="seed of weights and batches")]
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


@evaluate_app.callback()
def _needs_torch() -> None:
    if not _has_torch():
        raise ModuleNotFoundError("No module named 'torch'", name="torch")  # `pose` says how to get it


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def _families() -> dict[str, AnyFamily]:
    """All families by their commands."""
    from pose_train.trunk.family import families

    return {family.command: family for family in families()}


def _training_of(family: AnyFamily) -> Any:
    """The command that trains a network of a family."""
    lifter = typer.Option(help=f"lifter (.onnx) {family.lifter} [default: {LIFT3D.lifter} as it ships]")
    options: dict[str, tuple[Any, Any]] = {
        "model": (Model, family.default),
        "data": (Data, Path("data")),
        "out": (Out, None),
        **({"lifter": (Annotated[Path | None, lifter], None)} if family.lifter else {}),
        "device": (Device, "auto"),
        "seed": (Seed, 0),
        "steps": (Steps, 0),
        "threads": (Threads, 0),
        "wandb": (Wandb, ""),
        "as_json": (Json, False),
    }

    def command(
        model: str, data: Path, out: Path | None, as_json: bool, lifter: Path | None = None, **given: Any
    ) -> None:
        from pose_train.trunk.runs import Job

        job = Job(model, family.data(data, lifter), out or Path("out/train") / model, **given)
        with Bar("train") as progress:
            result = train(family, job, progress, say)
        show(result, as_json)

    command.__doc__ = f"{family.summary} Started again, it goes on where it was interrupted."
    command.__annotations__ = {}
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, (kind, default) in options.items()
        ]
    )
    return get_command(of_function(family.command, command))


def train(family: AnyFamily, job: Job[Any], progress: Progress, say: Say) -> dict[str, Any]:
    """Train, calibrate and export one network, its data made where they are not there yet; what it became."""
    from pose_train.trunk import runs

    told = _teller(job.steps or family.recipe(job.name).steps, progress, say)
    trained = runs.train(family, job, told, say, progress)
    return {
        "model": job.name,
        "checkpoint": str(trained.checkpoint),
        "onnx": str(trained.onnx),
        **trained.card.metrics,
    }


def _teller(steps: int, progress: Progress, say: Say) -> Told:
    """Shows steps as progress and says what validations measured."""

    def told(step: int, measured: Mapping[str, float]) -> None:
        if "loss" in measured:
            progress(step + 1, steps)
        else:
            say(f"step {step}: " + ", ".join(f"{name} {value:.4g}" for name, value in measured.items()))

    return told


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
    from pose_train.studies.lifters.scenes import Settings
    from pose_train.studies.lifters.study import LifterStudy

    study = LifterStudy(Settings(data, clips=clips, device=device, real=real), files or [])
    result = evaluate(study, out, document)
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
    from pose_train.studies.refiners.scenes import Settings
    from pose_train.studies.refiners.study import RefinerStudy

    settings = (
        Settings(data, lifter, clips=clips, real=real) if lifter else Settings(data, clips=clips, real=real)
    )
    show(evaluate(RefinerStudy(settings, files or []), out, document), as_json)


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
    from pose_train.studies.angles.settings import Settings
    from pose_train.studies.angles.study import AngleStudy

    show(evaluate(AngleStudy(Settings(data, real=real)), out, document), as_json)


@evaluate_app.command("angle-refiner")
def evaluate_angle_refiner(
    file: Annotated[Path | None, typer.Argument(help="file (.onnx) instead of the shipped weights")] = None,
    data: Data = Path("data"),
    out: Annotated[Path, typer.Option(help="folder of the results")] = Path("out/evaluate_angle_refiner"),
    document: Annotated[Path, typer.Option(help="document whose tables are rewritten")] = Path(
        "docs/angle_refinement.md"
    ),
    real: Real = True,
    as_json: Json = False,
) -> None:
    """Measure what refining joint angles mends and what harm it does; write docs/angle_refinement.md."""
    from pose_train.studies.angle_refiner import AngleRefinerStudy, Settings

    show(evaluate(AngleRefinerStudy(Settings(data, real=real), file or ""), out, document), as_json)


def evaluate(study: Study[Any, Any], out: Path, document: Path) -> dict[str, Any]:
    """Measure, and rewrite the tables of a document; the figures."""
    one_blas_thread()
    with Bar("evaluate") as progress:
        return study.carry_out(out, document, say, progress)


def export_model(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint (.pt) of pose train")],
    out: Annotated[Path, typer.Argument(help="file to write: .onnx, or .ts for TorchScript")],
    half: Annotated[bool, typer.Option(help="store weights in 16 bits (.onnx)")] = True,
) -> None:
    """Write a trained network as one file that runs without this project, with its model card inside."""
    _needs_torch()
    from pose_train.trunk.export import convert

    say(convert(checkpoint, out, half))
