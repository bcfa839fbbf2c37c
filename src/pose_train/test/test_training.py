"""Training: an interrupted run ends with the same weights, schedules are what they say, and folders are not mixed up."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_core.config import build
from pose_core.skeleton import SKELETONS
from pose_train.data import mocap
from pose_train.lifter.family import FAMILY
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks import NETWORKS
from pose_train.lifter.recipes import LifterRecipe
from pose_train.lifter.task import LifterTask, judge, validation
from pose_train.testing import motion
from pose_train.trunk.batch import Batch
from pose_train.trunk.training import Batches, Training

TINY = LifterRecipe(
    steps=6,
    frames_per_step=48,
    warm_up=2,
    validate_every=2,
    clip_lengths=(4, 8),
    length_shares=(0.5, 0.5),
    final_shares=(0.5, 0.5),
)


def network(seed: int = 0) -> LiftingNetwork:
    torch.manual_seed(seed)
    cls = NETWORKS.from_file("streaming_tcn")
    return cls(cls.Config.small())


def source(data: Path, plan: LifterRecipe = TINY, seed: int = 0) -> LifterTask:
    config = dataclasses.asdict(network().config)
    return LifterTask(data, "train", "mediapipe33", "mediapipe33", plan, seed, config)


def train(data: Path, folder: Path, stop_after: int = 10**9, plan: LifterRecipe = TINY) -> Training:
    run = Training(network(), source(data, plan), folder, workers=0)

    def told(step: int, _: object) -> None:
        if step >= stop_after:
            raise KeyboardInterrupt

    try:
        run.run(told)
    except KeyboardInterrupt:
        assert stop_after < 10**9
    return run


@pytest.fixture(autouse=True)
def few_validation_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pose_train.lifter.task.VALIDATION_CLIPS", 4)
    monkeypatch.setattr("pose_train.lifter.task.VALIDATION_FRAMES", 8)


def test_training_leaves_the_arithmetic_of_others_alone(data: Path, tmp_path: Path):
    train(data, tmp_path, stop_after=2)
    assert np.float64(2.3e-308) / np.float64(16.0) > 0.0  # a subnormal number, flushed while training


def test_training_changes_the_weights_and_keeps_a_running_mean(data: Path, tmp_path: Path):
    run = train(data, tmp_path)
    fresh = network().state_dict()
    moved = [name for name, value in run.network.state_dict().items() if not torch.equal(value, fresh[name])]
    assert len(moved) > 0.9 * len(fresh)
    kept = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert all(torch.equal(value, kept[name]) for name, value in run.result.state_dict().items())


def test_validations_are_logged(data: Path, tmp_path: Path):
    train(data, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert all(0.0 < line["mpjpe_mm"] < 1e4 and 0.0 <= line["z_sign"] <= 1.0 for line in lines)


def test_a_folder_of_another_run_is_refused(data: Path, tmp_path: Path):
    train(data, tmp_path, stop_after=3)
    with pytest.raises(ValueError, match="another network, recipe or seed"):
        Training(network(), source(data, seed=1), tmp_path)


def test_batches_are_made_from_their_number_alone(data: Path):
    every = list(Batches(source(data), 0))
    later = list(Batches(source(data), 4))
    assert len(every) == 6
    assert len(later) == 2
    for one, other in zip(every[4:], later, strict=True):
        torch.testing.assert_close(one.joints, other.joints, rtol=0, atol=0)
    assert {batch.joints.shape[1] for batch in every} <= {4, 8}
    assert all(batch.joints.shape[0] * batch.joints.shape[1] == 48 for batch in every)


def test_a_worker_process_makes_the_same_batches(data: Path, tmp_path: Path):
    alone = train(data, tmp_path / "a", plan=dataclasses.replace(TINY, steps=2))
    helped = Training(network(), source(data, dataclasses.replace(TINY, steps=2)), tmp_path / "b", workers=1)
    helped.run(lambda step, measured: None)
    for name, value in alone.result.state_dict().items():
        torch.testing.assert_close(helped.result.state_dict()[name], value, rtol=0, atol=0)


def test_the_cosine_schedule_by_hand(data: Path, tmp_path: Path):
    run = Training(network(), source(data, dataclasses.replace(TINY, steps=12, warm_up=2)), tmp_path)
    rates = []
    for run.step in range(13):
        rates.append(run._rate() / TINY.rate)
    assert rates[0] == pytest.approx(0.5)
    assert rates[2] == pytest.approx(1.0)
    assert rates[7] == pytest.approx(0.5)
    assert rates[12] == pytest.approx(0.0, abs=1e-12)


def test_the_plateau_schedule_halves_after_six_validations_without_gain(data: Path, tmp_path: Path):
    plan = dataclasses.replace(TINY, schedule="plateau", plateau_patience=5, patience=10)
    run = Training(network(), source(data, plan), tmp_path)
    run.step = 100
    run._note({"mpjpe_mm": 50.0})
    for _ in range(5):
        run._note({"mpjpe_mm": 50.0})
    assert run._rate() == pytest.approx(plan.rate)
    run._note({"mpjpe_mm": 50.0})
    assert run._rate() == pytest.approx(0.5 * plan.rate)
    run._note({"mpjpe_mm": 49.0})
    assert run._bad == 0


def test_early_stopping(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pose_train.lifter.task.judge", lambda network, batch: {"mpjpe_mm": 1.0})
    run = train(data, tmp_path, plan=dataclasses.replace(TINY, steps=50, validate_every=1, patience=3))
    assert run.step == 4


def test_who_stops_early_keeps_the_best_weights_and_does_not_go_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    errors, seen = iter([100.0, 50.0, 60.0, 70.0, 80.0]), []

    def measured(network: LiftingNetwork, _batch: Batch) -> dict[str, float]:
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"mpjpe_mm": next(errors)}

    monkeypatch.setattr("pose_train.lifter.task.judge", measured)
    plan = dataclasses.replace(TINY, steps=50, validate_every=1, patience=3)
    run = train(data, tmp_path, plan=plan)
    assert run.step == 5
    again = train(data, tmp_path, plan=plan)
    assert again.step == 5
    kept = torch.load(tmp_path / "weights.pt", weights_only=True)
    for name, value in seen[1].items():
        torch.testing.assert_close(run.result.state_dict()[name], value, rtol=0, atol=0)
        torch.testing.assert_close(again.result.state_dict()[name], value, rtol=0, atol=0)
        torch.testing.assert_close(kept[name], value, rtol=0, atol=0)
    assert any(not torch.equal(value, seen[4][name]) for name, value in seen[1].items())


@pytest.mark.parametrize("what", ["text", "other", "cut"])
def test_a_damaged_state_says_what_to_do(data: Path, tmp_path: Path, what: str):
    train(data, tmp_path, stop_after=3)
    file = tmp_path / "state.pt"
    if what == "text":
        file.write_bytes(b"no state at all")
    elif what == "other":
        torch.save({"some": 1}, file)
    else:
        file.write_bytes(file.read_bytes()[:20_000])
    with pytest.raises(ValueError, match=r"state\.pt"):
        Training(network(), source(data), tmp_path)


def test_a_run_does_not_go_on_with_other_data(data: Path, tmp_path: Path):
    train(data, tmp_path / "run", stop_after=3)
    other = mocap.Pack(60.0, (motion("a", "01", 200, 5), motion("c", "02", 150, 6)))
    (tmp_path / "other").mkdir()
    for split in ("train", "val"):
        mocap.write(tmp_path / "other" / f"cmu_mocap_{split}.npz", other)
    with pytest.raises(ValueError, match="or on other data"):
        Training(network(), source(tmp_path / "other"), tmp_path / "run")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_pack_is_an_error_in_a_sentence(data: Path, tmp_path: Path, workers: int):
    for split in ("train", "val"):
        name = f"cmu_mocap_{split}.npz"
        content = (data / name).read_bytes()
        (tmp_path / name).write_bytes(content if split == "val" else content[:2000])
    run = Training(network(), source(tmp_path), tmp_path / "run", workers=workers)
    with pytest.raises(ValueError, match=r"cmu_mocap_train\.npz") as caught:
        run.run(lambda step, measured: None)
    assert "Traceback" not in str(caught.value)


class Truth(torch.nn.Module):
    """Answers with what it was given, moved."""

    skeleton_out = "mediapipe33"

    def __init__(self, truth: torch.Tensor, look_ahead: int = 0) -> None:
        super().__init__()
        self.truth = torch.nn.Parameter(truth)
        self.look_ahead = look_ahead

    def forward(self, joints: torch.Tensor, context: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"xyz": self.truth}


def test_judging_a_known_answer(data: Path):
    batch: Batch = validation(source(data))
    perfect = judge(Truth(batch.target["xyz"]), batch)
    assert perfect["mpjpe_mm"] == pytest.approx(0.0, abs=1e-3)
    assert perfect["degrees"] == pytest.approx(0.0, abs=1e-3)
    assert perfect["z_sign"] == 1.0
    # Every joint but the two of the root moved by 1 % of height.
    moved = batch.target["xyz"].clone()
    others = [j for j in range(33) if j not in SKELETONS.get("mediapipe33").indices("left_hip", "right_hip")]
    moved[:, :, others, 0] += 0.01
    expected = 1e3 * 0.01 * float(batch.height.mean()) * 31 / 33
    assert judge(Truth(moved), batch)["mpjpe_mm"] == pytest.approx(expected, rel=1e-4)
    late = torch.roll(batch.target["xyz"], 3, dims=1)
    assert judge(Truth(late, look_ahead=3), batch)["mpjpe_mm"] == pytest.approx(0.0, abs=1e-3)
    assert judge(Truth(late), batch)["mpjpe_mm"] > 1.0
    mirrored = batch.target["xyz"] * torch.tensor([1.0, 1.0, -1.0])
    assert judge(Truth(mirrored), batch)["z_sign"] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("training", [False, True])
def test_judging_leaves_a_network_in_the_mode_it_was_in(data: Path, training: bool):
    net = network().train(training)
    judge(net, validation(source(data)))
    assert net.training == training


def test_clips_are_long_enough_for_the_networks_that_learn_from_them():
    for name, plan in FAMILY.recipes.items():
        kind = FAMILY.find(plan.network or name)
        assert kind.skeleton_in in SKELETONS
        made = kind(build(kind.Config, dict(plan.config)))
        assert min(plan.clip_lengths) > made.look_ahead, "a clip must hold answers"
        if name.startswith("temporal_transformer"):
            assert max(plan.clip_lengths) >= made.config.window, "what is never seen is never learnt"


def test_clip_lengths_change_evenly_from_first_to_last():
    plan = dataclasses.replace(TINY, steps=100, length_shares=(1.0, 0.0), final_shares=(0.0, 1.0))
    np.testing.assert_allclose(plan.shares(25), [0.75, 0.25])
    late = dataclasses.replace(plan, mixing_from=0.6)
    for step, shares in ((25, [1.0, 0.0]), (60, [1.0, 0.0]), (80, [0.5, 0.5]), (100, [0.0, 1.0])):
        np.testing.assert_allclose(late.shares(step), shares)
    np.testing.assert_allclose(dataclasses.replace(plan, mixing_from=1.0).shares(100), [1.0, 0.0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clip_lengths": (4,), "length_shares": (0.5, 0.5)}, "need as many length_shares"),
        ({"schedule": "linear"}, "schedule must be one of"),
        ({"rate": -1.0}, "rate must be at least"),
        ({"final_shares": (0.5, 0.4)}, "final_shares must sum to 1"),
    ],
)
def test_impossible_recipes_are_refused(change: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(TINY, **change)
