"""A family of one's own: one folder, found without a list, goes through the same doors as those that there are."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import pose_core
import pose_train
from pose_core.networks import onnx_file
from pose_core.networks.runtime import OnnxSession, empty_state
from pose_tools.cli.main import app
from pose_train.studies.study import Measurement, Results, Study
from pose_train.studies.tables import markdown, number
from pose_train.trunk import checkpoint
from pose_train.trunk.checkpoint import Checkpoint
from pose_train.trunk.family import find, names
from pose_train.trunk.training import Training

FAMILY = '''
"""Numbers that are noisy to numbers that are less so."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from pose_core.networks.model_card import Card
from pose_train.averager import networks
from pose_train.trunk.batch import Batch
from pose_train.trunk.family import Family
from pose_train.trunk.network import Networks, StreamingNetwork
from pose_train.trunk.recipe import Recipe
from pose_train.trunk.training import whole


@dataclass(frozen=True, kw_only=True)
class AveragerCard(Card):
    KEY: ClassVar[str] = "averager.card"
    ENCODING: ClassVar[int] = 1
    encoding: int = 1
    inputs = property(lambda self: {"joints": (17, 2), "context": (1,)})
    shapes = property(lambda self: {"value": (17,)})
    skeleton_of_outputs = "coco17"


class AveragingNetwork(StreamingNetwork):
    pass


NETWORKS: Networks[AveragingNetwork] = Networks(networks, ("value",))


@dataclass(frozen=True)
class AveragerTask:
    file: Path
    recipe: Recipe
    seed: int

    def maker(self):
        truth = np.load(self.file)
        return lambda frames, random: batch(truth[random.integers(0, len(truth), 8), :frames], random)

    def measure(self, network):
        def loss(outputs, batch):
            error = (outputs["value"] - batch.target["value"]).square().mean()
            return error, {"error": float(error.detach())}

        return loss

    def validation(self):
        return batch(np.load(self.file)[:4], np.random.default_rng(1))

    def judge(self, network, batch):
        return {"error": float(np.abs(whole(network, batch)["value"] - batch.target["value"].numpy()).mean())}

    def identity(self):
        return {"data": self.file.name, "recipe": dataclasses.asdict(self.recipe), "seed": self.seed}


def batch(truth, random):
    seen = np.stack([truth + 0.3 * random.standard_normal(truth.shape), np.ones(truth.shape)], -1)
    people, frames = truth.shape[:2]
    return Batch(
        joints=torch.from_numpy(seen.astype(np.float32)),
        context=torch.zeros(people, frames, 1),
        target={"value": torch.from_numpy(truth.astype(np.float32))},
        known=torch.ones(people, frames, dtype=torch.bool),
        height=torch.ones(people),
        step=torch.full((people, frames), 1 / 30),
    )


class AveragerFamily(Family[AveragerCard, AveragingNetwork, Recipe, Path]):
    name, command = "averager", "averager"
    summary = "Train an averager."
    default = "smoothing"
    training = "numbers"
    card, network, networks = AveragerCard, AveragingNetwork, NETWORKS
    recipes = {
        "smoothing": Recipe(
            steps=40, validate_every=20, clip_lengths=(16,), length_shares=(1.0,), final_shares=(1.0,), rate=0.02
        )
    }
    plain = Recipe()

    def data(self, folder, lifter):
        return folder

    def prepare(self, data, progress):
        progress(1, 1)
        return data / "numbers.npy"

    def task(self, network, data, plan, seed):
        return AveragerTask(data, plan, seed)

    def facts(self, network):
        return {}

    def inputs(self, network):
        return {"joints": (17, 2), "context": (1,)}


FAMILY = AveragerFamily()
'''
NETWORK = '''
"""An exponential mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pose_core.config import param
from pose_train.averager.family import NETWORKS, AveragingNetwork


@dataclass(frozen=True)
class Config:
    start: float = param(0.9, "weight of the newest number at first", low=0.1, high=1.0)

    @classmethod
    def small(cls):
        return cls()


@NETWORKS.register("smoothing")
class Smoothing(AveragingNetwork):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.weight = torch.nn.Parameter(torch.full((17,), config.start))
        self.drift = torch.nn.Parameter(torch.zeros(17))

    def forward(self, joints, context):
        state, values = self.initial(len(joints)), []
        for t in range(joints.shape[1]):
            outputs, state = self.step(joints[:, t], context[:, t], state)
            values.append(outputs["value"])
        return {"value": torch.stack(values, 1)}

    def initial(self, batch):
        return [self.weight.new_zeros(batch, 17)]

    def step(self, joints, context, state):
        value = state[0] + self.weight * (joints[..., 0] - state[0]) + self.drift * context
        return {"value": value}, [value]
'''


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of the family, whose folder stands beside those of the package."""
    # Another process would find it in the package's own folder, but knows nothing of a path that this one added.
    monkeypatch.setattr(Training.__init__, "__defaults__", ("cpu", 0))
    folder = tmp_path / "more" / "averager"
    (folder / "networks").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "family.py").write_text(FAMILY)
    (folder / "networks" / "__init__.py").write_text("")
    (folder / "networks" / "smoothing.py").write_text(NETWORK)
    pose_train.__path__.append(str(folder.parent))
    importlib.invalidate_caches()
    yield "averager"
    pose_train.__path__.remove(str(folder.parent))
    for module in [name for name in sys.modules if name.startswith("pose_train.averager")]:
        del sys.modules[module]
    if hasattr(pose_train, "averager"):
        del pose_train.averager


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.stdout


def test_it_is_trained_saved_loaded_and_exported_by_the_same_commands(family: str, tmp_path: Path):
    assert names() == ["angle", family, "lifter", "refiner"]
    time = np.arange(16) / 10.0
    phase = np.random.default_rng(0).uniform(0.0, 6.0, (32, 1, 17))
    np.save(tmp_path / "numbers.npy", np.sin(time[:, None] + phase))
    out = tmp_path / "out"
    assert "averager" in run("train", "--help")
    assert "--lifter" not in run("train", "averager", "--help")
    told = run("train", "averager", "--data", str(tmp_path), "--out", str(out), "--threads", "1", "--json")
    became = json.loads(told[told.index("{") :])
    assert became["error"] < 0.24, "a mean must be nearer to the truth than what it is of, which errs by 0.24"
    found, card, network = checkpoint.load(became["checkpoint"])
    assert found is find(family)
    assert card.metrics == {"error": became["error"]}
    run("export-model", became["checkpoint"], str(tmp_path / "again.onnx"))
    assert onnx_file.read(tmp_path / "again.onnx", found.card)[0] == card
    session, state = OnnxSession(tmp_path / "again.onnx", found.card, "cpu"), empty_state(card, 2)
    joints = np.random.default_rng(2).normal(size=(2, 5, 17, 2)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(joints), torch.zeros(2, 5, 1))["value"].numpy()
    for t in range(5):
        outputs, state = session.run(joints[:, t].copy(), np.zeros((2, 1), np.float32), state)
        np.testing.assert_allclose(outputs["value"], expected[:, t], atol=1e-5)


class AveragerStudy(Study[str, dict[str, float]]):
    """How far off a checkpoint is with much and with little noise."""

    command = "averagers"
    packages = (pose_core,)

    def __init__(self, numbers: Path, model: Path) -> None:
        self.numbers, self.model, self.measured = numbers, model, 0

    def measurements(self) -> list[Measurement[str, dict[str, float]]]:
        return [
            Measurement(scene, "model", scene, {"noise": noise}, partial(self.score, noise))
            for scene, noise in (("much", 0.5), ("little", 0.1))
        ]

    def score(self, noise: float) -> dict[str, float]:
        self.measured += 1
        truth = torch.from_numpy(np.load(self.numbers)).float()
        seen = truth + noise * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
        _, _, network = checkpoint.load(self.model)
        joints = torch.stack([seen, torch.ones_like(seen)], -1)
        with torch.no_grad():
            found = network(joints, torch.zeros(*truth.shape[:2], 1))["value"]
        return {name: float((one - truth).abs().mean()) for name, one in (("before", seen), ("after", found))}

    def depends(self) -> dict[str, Any]:
        return {}

    def files(self) -> list[Path]:
        return [self.numbers, self.model]

    def restored(self, kept: Any) -> dict[str, float]:
        return dict(kept)

    def sentence(self, result: dict[str, float]) -> str:
        return f"{result['after']:.2f}"

    def report(self, results: Results[str, dict[str, float]], where: str) -> dict[str, str]:
        rows = [[scene, *map(number, found["model"].values())] for scene, found in results.items()]
        return {"noise": f"On {where}.\n\n{markdown(['noise', 'before', 'after'], rows)}"}


def test_it_is_evaluated_by_a_study_whose_results_are_kept(family: str, tmp_path: Path):
    found = find(family)
    network = found.find("smoothing")(found.find("smoothing").Config(start=0.5))
    checkpoint.save(tmp_path / "a.pt", Checkpoint(found.describe(network), network.state_dict()))
    np.save(tmp_path / "numbers.npy", np.zeros((4, 16, 17)))
    (tmp_path / "doc.md").write_text("Words.\n<!-- begin noise -->\n<!-- end noise -->\n")
    study, told = AveragerStudy(tmp_path / "numbers.npy", tmp_path / "a.pt"), []
    figures = study.carry_out(tmp_path / "kept", tmp_path / "doc.md", told.append)
    assert figures["much"]["model"]["after"] < figures["much"]["model"]["before"]
    assert "| much | 0.4 | 0.2 |\n| little | 0.1 | 0.0 |\n" in (tmp_path / "doc.md").read_text()
    assert study.carry_out(tmp_path / "kept", tmp_path / "doc.md", told.append) == figures
    assert study.measured == 2
    assert told[-3:] == [
        "much: measured before",
        "little: measured before",
        f"wrote {tmp_path / 'doc.md'}",
    ]
    # Other weights have results of their own, and one that was lost is made again.
    next((tmp_path / "kept").glob("little-*.json")).unlink()
    study.carry_out(tmp_path / "kept", tmp_path / "doc.md")
    assert study.measured == 3
    other = found.find("smoothing")(found.find("smoothing").Config(start=0.9))
    checkpoint.save(tmp_path / "a.pt", Checkpoint(found.describe(other), other.state_dict()))
    assert study.carry_out(tmp_path / "kept", tmp_path / "doc.md") != figures
    assert study.measured == 5


def test_an_output_that_the_family_does_not_know_is_refused(family: str):
    found = find(family)
    network = found.find("smoothing")(found.find("smoothing").Config())
    found.networks.outputs = ("values",)
    with pytest.raises(ValueError, match="gives 'value', which no averager gives; did you mean 'values'"):
        found.describe(network)
