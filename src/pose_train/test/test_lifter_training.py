"""From a name to files that the pipeline runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from lift3d_node.learned import backends
from lift3d_node.learned.model_card import ModelCard
from pose_core.networks import onnx_file, runtime
from pose_train.lifter.family import FAMILY
from pose_train.lifter.recipes import RECIPES, LifterRecipe
from pose_train.trunk import checkpoint
from pose_train.trunk.runs import Job, Trained, train

TINY = LifterRecipe(
    steps=3,
    frames_per_step=32,
    validate_every=2,
    clip_lengths=(4,),
    length_shares=(1.0,),
    final_shares=(1.0,),
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks, few clips."""
    monkeypatch.setattr("pose_train.lifter.task.VALIDATION_CLIPS", 6)
    monkeypatch.setattr("pose_train.lifter.task.VALIDATION_FRAMES", 8)
    for name in ("streaming_tcn", "pof_gcn"):
        config = dataclasses.asdict(FAMILY.find(name).Config.small())
        monkeypatch.setitem(RECIPES, name, dataclasses.replace(TINY, config=config))


def trained(data: Path, out: Path, name: str = "streaming_tcn") -> Trained:
    return start(Job(name, data, out, device="cpu"))


def start(job: Job[Path]) -> Trained:
    return train(FAMILY, job, lambda step, measured: None, lambda sentence: None, lambda done, total: None)


@pytest.mark.usefixtures("small")
def test_a_trained_lifter_is_calibrated_and_runs_from_both_files(data: Path, tmp_path: Path):
    result = trained(data, tmp_path)
    card, _ = onnx_file.read(result.onnx, ModelCard)
    assert card == checkpoint.read_of(FAMILY, result.checkpoint).card == result.card
    assert card.network == "streaming_tcn"
    assert len(card.temperature) == 33
    assert set(card.metrics) == {"mpjpe_mm", "pa_mpjpe_mm", "acceleration_mm", "degrees", "z_sign"}
    sessions = [
        backends.open_session(result.onnx, "onnxruntime", "cpu", False),
        backends.open_session(result.checkpoint, "torch", "cpu", False),
    ]
    random = np.random.default_rng(0)
    joints = random.normal(size=(2, 33, 3)).astype(np.float32)
    context = random.normal(size=(2, *card.inputs["context"])).astype(np.float32)
    one, other = (session.run(joints, context, runtime.empty_state(card, 2))[0] for session in sessions)
    np.testing.assert_allclose(one["xyz"], other["xyz"], atol=2e-3)
    assert (tmp_path / "tensorboard").is_dir()


@pytest.mark.usefixtures("small")
def test_a_network_of_directions_learns_how_wrong_it_is(data: Path, tmp_path: Path):
    card = trained(data, tmp_path, "pof_gcn").card
    assert len(card.std) == 17
    assert all(0.0 < std < 1.0 for std in card.std)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "streaming_tnc"}, "did you mean 'streaming_tcn'"),
        ({"data": Path("/nowhere")}, "say with --data"),
        ({"device": "cuda"}, "sees no GPU; take auto or cpu"),
    ],
)
def test_jobs_that_cannot_run_say_why(data: Path, tmp_path: Path, change: dict[str, object], words: str):
    if change.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    job = dataclasses.replace(Job("streaming_tcn", data, tmp_path), **change)
    with pytest.raises(ValueError, match=words):
        start(job)


def test_weights_and_biases_that_is_not_installed_says_what_to_do(tmp_path: Path):
    pytest.importorskip("torch.utils.tensorboard")
    try:
        import wandb  # noqa: F401
    except ImportError:
        from pose_train.trunk.logs import open_logs

        with pytest.raises(ValueError, match="pip install wandb"), open_logs(tmp_path, "project", {}):
            pass
    else:
        pytest.skip("wandb is installed")
