"""From a name to a trained, measured and exported angle-refining network: what `pose train angles` does."""

from __future__ import annotations

from pose_biomechanics.angle_card import AngleCard
from pose_core.callbacks import Progress, Say
from pose_core.config import build
from pose_train.angle import checkpoint as angle_checkpoint
from pose_train.angle import network as angle_network
from pose_train.angle.recipes import recipe
from pose_train.angle.task import AngleSource
from pose_train.refiner import data as refiner_data
from pose_train.refiner import run as refiners
from pose_train.refiner.data import Made
from pose_train.trunk.runs import Job, Trained, begun, carry_out, device_of, keep
from pose_train.trunk.training import Told, Training

TRAINED_ON = f"angles of {refiners.TRAINED_ON}"

AngleJob = Job[Made]
"""What to train, on what, and where the results go."""


def train(job: AngleJob, told: Told, tell: Say, lifting: Progress) -> Trained[AngleCard]:
    """Prepare the data, which are those of refiners, train, measure and export.

    `lifting` gets frames lifted and all, `told` steps and measurements, `tell` sentences. Raises ValueError for an unknown name,
    data that are not there, a folder of another run, and a device that is absent.
    """
    device = device_of(job.device)
    kind = angle_network.find(job.name)
    plan = recipe(job.name)
    file = refiner_data.prepare(job.data, lifting)
    plan = begun(job, plan)
    network = kind(build(kind.Config, dict(plan.config)))
    source = AngleSource(file, plan, job.seed)
    run = Training(network, source, job.out, device)
    carry_out(run, job, device, told, tell)
    trained = run.result.cpu().eval()
    measured = {name: round(value, 3) for name, value in source.judge(trained, source.validation()).items()}
    skeleton = refiner_data.read(file).skeleton
    card = angle_checkpoint.describe(trained, skeleton, training=TRAINED_ON, metrics=measured)
    return keep(run, job, card, tell)
