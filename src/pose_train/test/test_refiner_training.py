"""Training of refiners: resumed runs end alike, batches come from their number, and a file runs in the stage."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_core.config import build
from pose_core.networks.runtime import OnnxSession, empty_state
from pose_train.data import stored
from pose_train.data.stored import Made
from pose_train.refiner.data import batch_of
from pose_train.refiner.family import FAMILY, honest
from pose_train.refiner.loss import delayed
from pose_train.refiner.network import RefiningNetwork
from pose_train.refiner.networks import NETWORKS
from pose_train.refiner.recipes import RECIPES, RefinerRecipe
from pose_train.refiner.task import RefinerTask, judge
from pose_train.trunk import checkpoint
from pose_train.trunk.batch import Batch
from pose_train.trunk.runs import Job, train
from pose_train.trunk.training import Batches, Training
from refine_node.model_card import RefinerCard

pytestmark = pytest.mark.usefixtures("cache")

NAME = "smoothnet"
TINY = RefinerRecipe(
    steps=4,
    frames_per_step=48,
    warm_up=2,
    validate_every=2,
    clip_lengths=(6, 12),
    length_shares=(0.5, 0.5),
    final_shares=(0.5, 0.5),
    network=NAME,
    config=dataclasses.asdict(NETWORKS.from_file(NAME).Config.small()),
)


@pytest.fixture(scope="module")
def source(made: Made) -> RefinerTask:
    return RefinerTask(stored.prepare(made), TINY, 0)


def network(seed: int = 0) -> RefiningNetwork:
    torch.manual_seed(seed)
    kind = NETWORKS.from_file(NAME)
    return kind(build(kind.Config, dict(TINY.config)))


def interrupted(source: RefinerTask, folder: Path) -> None:
    """A run that ends in its fourth step."""

    def told(step: int, _: object) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Training(network(), source, folder, workers=0).run(told)


def test_a_run_on_other_data_is_refused(source: RefinerTask, tmp_path: Path):
    interrupted(source, tmp_path / "run")
    other = tmp_path / "refiner_data-other.npz"
    other.write_bytes(source.file.read_bytes())
    with pytest.raises(ValueError, match="another network, recipe or seed"):
        Training(network(), dataclasses.replace(source, file=other), tmp_path / "run")


def test_batches_are_made_from_their_number_alone(source: RefinerTask):
    every, later = list(Batches(source, 0)), list(Batches(source, 3))
    torch.testing.assert_close(every[3].joints, later[0].joints, rtol=0, atol=0)
    assert len(every) == 4
    assert {batch.joints.shape[1] for batch in every} <= {6, 12}
    assert all(batch.joints.shape[0] * batch.joints.shape[1] == 48 for batch in every)
    assert all(batch.known.all() for batch in every)


def test_clips_longer_than_what_is_stored_are_refused(source: RefinerTask):
    long = dataclasses.replace(TINY, clip_lengths=(6, 17))
    with pytest.raises(ValueError, match="clip_lengths must be at most 16"):
        dataclasses.replace(source, recipe=long).maker()


class Told(torch.nn.Module):
    """Answers with the truth, moved."""

    look_aheads = (0, 2)

    def __init__(self, batch: Batch, moved: float) -> None:
        super().__init__()
        self.skeleton = network().skeleton
        truth, _ = delayed(batch.target["xyz"], batch.known, self.look_aheads)
        nose = torch.zeros(33, 3)
        nose[0, 0] = moved
        self.answer = torch.nn.Parameter(truth + nose)

    def forward(self, joints: torch.Tensor, context: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"xyz": self.answer, "log_std": torch.full(self.answer.shape[:-1], np.log(0.01))}


def test_judging_a_known_answer(source: RefinerTask):
    batch = source.validation()
    found = judge(Told(batch, 0.033), batch)
    # The nose alone, one of 33 joints, by 3.3 % of 1.7 m.
    assert found["mpjpe_mm"] == pytest.approx(1.7, rel=1e-4)
    assert found["mpjpe_mm_2"] == pytest.approx(1.7, rel=1e-4)
    assert found["acceleration_mm"] == pytest.approx(0.0, abs=0.01)
    assert found["input_mpjpe_mm"] > 10.0


def test_temperatures_make_deviations_honest(source: RefinerTask):
    batch = source.validation()
    factors = honest(Told(batch, 0.033), batch)
    # Moved along one axis of three: the 90 % quantile of (0.033, 0, 0) / 0.01 is 3.3, and that of a normal distribution 1.645.
    assert factors[0] == pytest.approx(3.3 / 1.6449, rel=0.02)
    assert factors[1] == 1.0


def test_a_trained_refiner_is_calibrated_and_runs_from_its_file(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(RECIPES, NAME, dataclasses.replace(TINY, steps=2))
    job = Job(NAME, made, tmp_path, device="cpu")
    said: list[str] = []
    trained = train(FAMILY, job, lambda step, measured: None, said.append, lambda done, total: None)
    assert checkpoint.read_of(FAMILY, trained.checkpoint).card == trained.card
    assert trained.card.network == NAME
    assert trained.card.skeleton == "mediapipe33"
    assert trained.card.metrics["input_mpjpe_mm"] > 10.0
    session = OnnxSession(trained.onnx, RefinerCard, "cpu")
    batch = batch_of(stored.read(made.cached_file()).validation())
    joints, context = batch.joints.numpy(), batch.context.numpy()
    state = empty_state(session.card, len(joints))
    for t in range(joints.shape[1]):
        outputs, state = session.run(joints[:, t].copy(), context[:, t].copy(), state)
    _, net = checkpoint.load_of(FAMILY, trained.checkpoint)
    with torch.no_grad():
        expected = net(batch.joints, batch.context)["xyz"][:, -1]
    np.testing.assert_allclose(outputs["xyz"], expected, atol=2e-3)
    assert any("parameters" in sentence for sentence in said)


def test_a_job_of_an_unknown_network_says_so(made: Made, tmp_path: Path):
    with pytest.raises(ValueError, match="did you mean 'hpstm'"):
        train(FAMILY, Job("hpstmm", made, tmp_path), lambda *_: None, lambda _: None, lambda *_: None)
