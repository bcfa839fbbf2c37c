"""From a name to a trained, calibrated and exported lifter: what `pose train lifter` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from lift3d_node import checkpoint, network
from lift3d_node.checkpoint import Checkpoint
from lift3d_node.model_card import ModelCard
from pose_core.config import build
from pose_train import evaluate, export
from pose_train.logs import open_logs
from pose_train.recipes import recipe
from pose_train.training import PACKS, Source, Told, Training, judge, validation

TRAINED_ON = "CMU motion capture (mocap.cs.cmu.edu, NSF EIA-0196217), synthetic cameras and detections"


@dataclass(frozen=True)
class Job:
    """What to train, on what, and where the results go. 0 and empty strings mean: as the recipe or network says."""

    name: str
    data: Path
    """Folder of the motion capture packs."""
    out: Path
    """Folder of the run; one that holds an interrupted run of the same job is continued."""
    device: str = "auto"
    seed: int = 0
    steps: int = 0
    threads: int = 0
    wandb: str = ""
    """Project of Weights & Biases to log to, where that is installed; TensorBoard is always written."""


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    card: ModelCard
    checkpoint: Path
    onnx: Path


def train(job: Job, told: Told, tell: Callable[[str], None]) -> Trained:
    """Train, calibrate and export; `told` gets steps and measurements, `tell` sentences.

    Raises ValueError for an unknown name, data that are not there, a folder of another run, and a device that is absent.
    """
    for split in ("train", "val"):
        if not (job.data / PACKS[split]).is_file():
            raise ValueError(
                f"{job.data} has no {PACKS[split]}; say with --data where the motion capture packs are"
            )
    device = device_of(job.device)
    if job.threads:
        torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    plan = recipe(job.name)
    kind = network.find(plan.network or job.name)
    net = kind(build(kind.Config, dict(plan.config)))
    if job.steps:
        plan = dataclasses.replace(plan, steps=job.steps)
    source = Source(
        job.data, "train", net.skeleton_in, net.skeleton_out, plan, job.seed, dataclasses.asdict(net.config)
    )
    run = Training(net, source, job.out, device)
    tell(
        f"{job.name}: {network.parameters(net):,} parameters on {device}, from step {run.step} of {plan.steps}"
    )
    with ExitStack() as stack:
        log = stack.enter_context(open_logs(job.out, job.wandb, {"model": job.name, "seed": job.seed}))

        def both(step: int, measured: Mapping[str, float]) -> None:
            log(step, measured)
            told(step, measured)

        run.run(both)
    return finish(run, job, tell)


def finish(run: Training, job: Job, tell: Callable[[str], None]) -> Trained:
    """Calibrate the standard deviations of a run on people it was not trained on, and write checkpoint and ONNX file."""
    trained = run.result.cpu().eval()
    batch = validation(run.source)
    measured = {name: round(value, 3) for name, value in judge(trained, batch).items()}
    with torch.no_grad():
        outputs = evaluate.whole(trained, batch)
    card = checkpoint.describe(trained, training=TRAINED_ON, metrics=measured, std=_any_std(outputs))
    card = evaluate.calibrated(card, outputs, batch)
    files = [job.out / f"{job.name}{suffix}" for suffix in (".pt", ".onnx")]
    checkpoint.save(files[0], Checkpoint(card, trained.state_dict(), {"step": run.step}))
    difference = export.to_onnx(trained, card, files[1])
    tell(f"{files[1]}: largest difference from the network {difference.largest:.2g}")
    return Trained(card, *files)


def device_of(name: str) -> str:
    """`auto` is the GPU where there is one. Raises ValueError for a GPU that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {name}, but torch {torch.__version__} sees no GPU; take auto or cpu")
    return name


def _any_std(outputs: evaluate.Arrays) -> tuple[float, ...]:
    """What calibration replaces, for networks that do not tell how sure they are."""
    return () if "log_std" in outputs else (1.0,)
