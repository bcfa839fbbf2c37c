"""From a name to a trained, calibrated and exported lifter: what `pose train lifter` does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lift3d_node.learned.model_card import ModelCard
from pose_core.callbacks import Say
from pose_core.config import build
from pose_train.lifter import checkpoint, network
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.recipes import recipe
from pose_train.studies import lifters as evaluate
from pose_train.trunk.runs import Job, Trained, begun, carry_out, device_of, keep
from pose_train.trunk.training import PACKS, Source, Told, Training, judge, validation, whole

TRAINED_ON = "CMU motion capture (mocap.cs.cmu.edu, NSF EIA-0196217), synthetic cameras and detections"


def train(job: Job[Path], told: Told, tell: Say) -> Trained[ModelCard]:
    """Train, calibrate and export; `told` gets steps and measurements, `tell` sentences.

    Raises ValueError for an unknown name, data that are not there, a folder of another run, and a device that is absent.
    """
    for split in ("train", "val"):
        if not (job.data / PACKS[split]).is_file():
            raise ValueError(
                f"{job.data} has no {PACKS[split]}; say with --data where the motion capture packs are"
            )
    device = device_of(job.device)
    plan = begun(job, recipe(job.name))
    kind = network.find(plan.network or job.name)
    net = kind(build(kind.Config, dict(plan.config)))
    source = Source(
        job.data, "train", net.skeleton_in, net.skeleton_out, plan, job.seed, dataclasses.asdict(net.config)
    )
    run = Training(net, source, job.out, device)
    carry_out(run, job, device, told, tell)
    return finish(run, job, tell)


def finish(run: Training[LiftingNetwork, Source], job: Job[Path], tell: Say) -> Trained[ModelCard]:
    """Calibrate the standard deviations of a run on people it was not trained on, and write checkpoint and ONNX file."""
    trained = run.result.cpu().eval()
    batch = validation(run.source)
    measured = {name: round(value, 3) for name, value in judge(trained, batch).items()}
    outputs = whole(trained, batch)
    card = checkpoint.describe(trained, training=TRAINED_ON, metrics=measured, std=_any_std(outputs))
    return keep(run, job, evaluate.calibrated(card, outputs, batch), tell)


def _any_std(outputs: evaluate.Arrays) -> tuple[float, ...]:
    """What calibration replaces, for networks that do not tell how sure they are."""
    return () if "log_std" in outputs else (1.0,)
