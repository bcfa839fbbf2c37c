"""From a job to a trained, calibrated and exported network of any family: what `pose train` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import torch

from pose_core.callbacks import Progress, Say
from pose_core.networks.model_card import C
from pose_train.trunk import export
from pose_train.trunk.checkpoint import Checkpoint, save
from pose_train.trunk.family import D, Family
from pose_train.trunk.logs import open_logs
from pose_train.trunk.network import N, parameters
from pose_train.trunk.recipe import R
from pose_train.trunk.task import Told
from pose_train.trunk.training import Training


@dataclass(frozen=True)
class Job(Generic[D]):
    """What to train, on what, and where the results go. 0 and empty strings mean: as the recipe or network says."""

    name: str
    data: D
    """What `Family.data` gave."""
    out: Path
    """Folder of the run; one that holds an interrupted run of the same job is continued."""
    device: str = "auto"
    seed: int = 0
    steps: int = 0
    threads: int = 0
    wandb: str = ""
    """Project of Weights & Biases to log to, where that is installed; TensorBoard is always written."""


@dataclass(frozen=True)
class Trained(Generic[C]):
    """A finished run."""

    card: C
    checkpoint: Path
    onnx: Path


def device_of(name: str) -> str:
    """`auto` is the GPU where there is one. Raises ValueError for a GPU that is not there, and for other devices."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise ValueError(f"device must be auto, cpu, cuda or cuda:NUMBER, got '{name}'")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {name}, but torch {torch.__version__} sees no GPU; take auto or cpu")
    return name


def train(family: Family[C, N, R, D], job: Job[D], told: Told, tell: Say, progress: Progress) -> Trained[C]:
    """Prepare the data, train, calibrate and export.

    `progress` gets what is prepared and of how much, `told` steps and measurements, `tell` sentences. Raises ValueError for an
    unknown name, data that are not there, a folder of another run, and a device that is absent.
    """
    device = device_of(job.device)
    plan = family.recipe(job.name)
    kind = family.find(plan.network or job.name)
    data = family.prepare(job.data, progress)
    if job.steps:
        plan = dataclasses.replace(plan, steps=job.steps)
    if job.threads:
        torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    network = family.build(kind, data, plan)
    run = Training(network, family.task(network, data, plan, job.seed), job.out, device)
    _carry_out(run, job, device, told, tell)
    return finish(family, run, job, tell)


def finish(family: Family[C, N, R, D], run: Training[N, Any], job: Job[D], tell: Say) -> Trained[C]:
    """Measure and calibrate what a run has come to on people it was not trained on, and write checkpoint and ONNX file.

    `tell` gets how far the two are apart.
    """
    trained = run.result.cpu().eval()
    batch = run.task.validation()
    metrics = {name: round(value, 3) for name, value in run.task.judge(trained, batch).items()}
    card = family.finished(trained, run.task, batch, metrics)
    files = [job.out / f"{job.name}{suffix}" for suffix in (".pt", ".onnx")]
    save(files[0], Checkpoint(card, run.result.state_dict(), {"step": run.step}))
    difference = export.to_onnx(run.result, card, files[1])
    tell(f"{files[1]}: largest difference from the network {difference.largest:.2g}")
    return Trained(card, *files)


def _carry_out(run: Training[N, Any], job: Job[Any], device: str, told: Told, tell: Say) -> None:
    """Train to the end, with logs in the folder of the run; `told` gets steps and measurements, `tell` a sentence."""
    steps = run.task.recipe.steps
    tell(f"{job.name}: {parameters(run.network):,} parameters on {device}, from step {run.step} of {steps}")
    with ExitStack() as stack:
        log = stack.enter_context(open_logs(job.out, job.wandb, {"model": job.name, "seed": job.seed}))

        def both(step: int, measured: Mapping[str, float]) -> None:
            log(step, measured)
            told(step, measured)

        run.run(both)
