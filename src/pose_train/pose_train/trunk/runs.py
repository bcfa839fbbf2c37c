"""What the training of any network has in common, from a job to files: logs, checkpoint and ONNX file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from pose_core.callbacks import Say
from pose_core.networks.model_card import C
from pose_train.lifter.recipes import Recipe
from pose_train.trunk import export
from pose_train.trunk.checkpoint import Checkpoint, parameters, save
from pose_train.trunk.logs import open_logs
from pose_train.trunk.training import Told, Training

D = TypeVar("D")
"""What says where data are."""
R = TypeVar("R", bound=Recipe)
"""What says how a network is trained."""


@dataclass(frozen=True)
class Job(Generic[D]):
    """What to train, on what, and where the results go. 0 and empty strings mean: as the recipe or network says."""

    name: str
    data: D
    """Of lifters, the folder of the motion capture packs; of refiners, what is made from it."""
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


def begun(job: Job[Any], plan: R) -> R:
    """The recipe with as many steps as the job wants. Threads and seed of torch are set: the network is to be made next."""
    if job.threads:
        torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    return dataclasses.replace(plan, steps=job.steps) if job.steps else plan


def carry_out(run: Training[Any, Any], job: Job[Any], device: str, told: Told, tell: Say) -> None:
    """Train to the end, with logs in the folder of the run; `told` gets steps and measurements, `tell` a sentence."""
    steps = run.source.recipe.steps
    tell(f"{job.name}: {parameters(run.network):,} parameters on {device}, from step {run.step} of {steps}")
    with ExitStack() as stack:
        log = stack.enter_context(open_logs(job.out, job.wandb, {"model": job.name, "seed": job.seed}))

        def both(step: int, measured: Mapping[str, float]) -> None:
            log(step, measured)
            told(step, measured)

        run.run(both)


def keep(run: Training[Any, Any], job: Job[Any], card: C, tell: Say) -> Trained[C]:
    """Write checkpoint and ONNX file of what the run has come to; `tell` gets how far the two are apart."""
    files = [job.out / f"{job.name}{suffix}" for suffix in (".pt", ".onnx")]
    save(files[0], Checkpoint(card, run.result.state_dict(), {"step": run.step}))
    difference = export.to_onnx(run.result, card, files[1])
    tell(f"{files[1]}: largest difference from the network {difference.largest:.2g}")
    return Trained(card, *files)
