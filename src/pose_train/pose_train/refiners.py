"""From a name to a trained, calibrated and exported refiner: what `pose train refiner` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pose_core.config import build
from pose_train import export, refiner_data, scores
from pose_train.lifters import device_of
from pose_train.logs import open_logs
from pose_train.refiner_data import Made
from pose_train.refiner_losses import delayed
from pose_train.refiner_recipes import recipe
from pose_train.refiner_training import RefinerSource, judge
from pose_train.samples import Batch
from pose_train.training import Told, Training
from refine_node import checkpoint, network
from refine_node.checkpoint import Checkpoint
from refine_node.model_card import RefinerCard
from refine_node.network import RefiningNetwork

TRAINED_ON = "CMU motion capture (mocap.cs.cmu.edu, NSF EIA-0196217), lifted from synthetic detections, and with synthetic noise"


@dataclass(frozen=True)
class RefinerJob:
    """What to train, on what, and where the results go. 0 and empty strings mean: as the recipe or network says."""

    name: str
    made: Made
    """The data."""
    out: Path
    """Folder of the run; one that holds an interrupted run of the same job is continued."""
    device: str = "auto"
    seed: int = 0
    steps: int = 0
    threads: int = 0
    wandb: str = ""
    """Project of Weights & Biases to log to, where that is installed; TensorBoard is always written."""


@dataclass(frozen=True)
class TrainedRefiner:
    """A finished run."""

    card: RefinerCard
    checkpoint: Path
    onnx: Path


def train(
    job: RefinerJob, told: Told, tell: Callable[[str], None], lifting: refiner_data.Progress
) -> TrainedRefiner:
    """Prepare the data, train, calibrate and export.

    `lifting` gets frames lifted and all, `told` steps and measurements, `tell` sentences. Raises ValueError for an unknown name,
    data that are not there, a folder of another run, and a device that is absent.
    """
    device = device_of(job.device)
    plan = recipe(job.name)
    kind = network.find(plan.network or job.name)
    if job.threads:
        torch.set_num_threads(job.threads)
    file = refiner_data.prepare(job.made, lifting)
    torch.manual_seed(job.seed)
    skeleton = refiner_data.read(file).skeleton
    net = kind(build(kind.Config, {"skeleton": skeleton, **plan.config}))
    if job.steps:
        plan = dataclasses.replace(plan, steps=job.steps)
    run = Training(net, RefinerSource(file, plan, job.seed), job.out, device)
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


def finish(
    run: Training[RefiningNetwork, RefinerSource], job: RefinerJob, tell: Callable[[str], None]
) -> TrainedRefiner:
    """Calibrate the standard deviations of a run on people it was not trained on, and write checkpoint and ONNX file."""
    trained = run.result.cpu().eval()
    batch = run.source.validation()
    measured = {name: round(value, 3) for name, value in judge(trained, batch).items()}
    trained.eval()
    card = checkpoint.describe(
        trained, training=TRAINED_ON, metrics=measured, temperature=temperatures(trained, batch)
    )
    files = [job.out / f"{job.name}{suffix}" for suffix in (".pt", ".onnx")]
    checkpoint.save(files[0], Checkpoint(card, trained.state_dict(), {"step": run.step}))
    difference = export.to_onnx(trained, card, files[1])
    tell(f"{files[1]}: largest difference from the network {difference.largest:.2g}")
    return TrainedRefiner(card, *files)


@torch.no_grad()
def temperatures(trained: RefiningNetwork, batch: Batch) -> tuple[float, ...]:
    """One factor per joint on the standard deviations, which makes them honest on `batch`; (1,) for a network without any."""
    outputs = trained(batch.joints, batch.context)
    if "log_std" not in outputs:
        return (1.0,)
    truth, there = delayed(batch.target["xyz"], batch.known, trained.look_aheads)
    xyz, log_std = (outputs[name][there].double().numpy() for name in ("xyz", "log_std"))
    std = np.repeat(np.exp(log_std)[..., None], 3, -1)
    return tuple(scores.temperatures(xyz, truth[there].double().numpy(), std).tolist())
