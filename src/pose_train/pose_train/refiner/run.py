"""From a name to a trained, calibrated and exported refiner: what `pose train refiner` does."""

from __future__ import annotations

import numpy as np

from pose_core.callbacks import Progress, Say
from pose_core.config import build
from pose_train.data.samples import Batch
from pose_train.refiner import checkpoint, network
from pose_train.refiner import data as refiner_data
from pose_train.refiner.data import Made
from pose_train.refiner.loss import delayed
from pose_train.refiner.network import RefiningNetwork
from pose_train.refiner.recipes import recipe
from pose_train.refiner.task import RefinerSource, judge
from pose_train.studies import scores
from pose_train.trunk.runs import Job, Trained, begun, carry_out, device_of, keep
from pose_train.trunk.training import Told, Training, whole
from refine_node.model_card import RefinerCard

TRAINED_ON = "CMU motion capture (mocap.cs.cmu.edu, NSF EIA-0196217), lifted from synthetic detections, and with synthetic noise"


RefinerJob = Job[Made]
"""What to train, on what, and where the results go."""


def train(job: RefinerJob, told: Told, tell: Say, lifting: Progress) -> Trained[RefinerCard]:
    """Prepare the data, train, calibrate and export.

    `lifting` gets frames lifted and all, `told` steps and measurements, `tell` sentences. Raises ValueError for an unknown name,
    data that are not there, a folder of another run, and a device that is absent.
    """
    device = device_of(job.device)
    plan = recipe(job.name)
    kind = network.find(plan.network or job.name)
    file = refiner_data.prepare(job.data, lifting)
    plan = begun(job, plan)
    skeleton = refiner_data.read(file).skeleton
    net = kind(build(kind.Config, {"skeleton": skeleton, **plan.config}))
    run = Training(net, RefinerSource(file, plan, job.seed), job.out, device)
    carry_out(run, job, device, told, tell)
    return finish(run, job, tell)


def finish(run: Training[RefiningNetwork, RefinerSource], job: RefinerJob, tell: Say) -> Trained[RefinerCard]:
    """Calibrate the standard deviations of a run on people it was not trained on, and write checkpoint and ONNX file."""
    trained = run.result.cpu().eval()
    batch = run.source.validation()
    measured = {name: round(value, 3) for name, value in judge(trained, batch).items()}
    card = checkpoint.describe(
        trained, training=TRAINED_ON, metrics=measured, temperature=temperatures(trained, batch)
    )
    return keep(run, job, card, tell)


def temperatures(trained: RefiningNetwork, batch: Batch) -> tuple[float, ...]:
    """One factor per joint on the standard deviations, which makes them honest on `batch`; (1,) for a network without any."""
    outputs = whole(trained, batch)
    if "log_std" not in outputs:
        return (1.0,)
    truth, there = (given.numpy() for given in delayed(batch.target["xyz"], batch.known, trained.look_aheads))
    xyz, log_std = (outputs[name][there].astype(float) for name in ("xyz", "log_std"))
    std = np.repeat(np.exp(log_std)[..., None], 3, -1)
    return tuple(scores.temperatures(xyz, truth[there].astype(float), std).tolist())
