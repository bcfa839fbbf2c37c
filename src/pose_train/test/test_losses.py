"""Each term by hand, and none for a perfect answer."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lift3d_node.learned.limbs import LIMBS
from pose_core.skeleton import SKELETONS
from pose_train.data.detector import FULL
from pose_train.data.samples import Preparer
from pose_train.data.synthesis import Synthesizer
from pose_train.lifter.loss import Loss, Weights
from pose_train.lifter.networks import NETWORKS
from pose_train.trunk.batch import Batch, answered

MP = SKELETONS.get("mediapipe33")


@pytest.fixture
def batch(synthesizer: Synthesizer) -> Batch:
    clips = synthesizer.clips(3, 6, np.random.default_rng(0), FULL)
    return Preparer("mediapipe33", "mediapipe33").prepare(clips)


@pytest.fixture
def loss() -> Loss:
    network = NETWORKS.from_file("streaming_tcn")
    assert NETWORKS.get("streaming_tcn") is network
    return Loss(network(network.Config.small()), Weights())


def limbs(xyz: torch.Tensor) -> torch.Tensor:
    parents, children = (MP.indices(*ends) for ends in zip(*LIMBS, strict=True))
    return xyz[..., children, :] - xyz[..., parents, :]


def perfect(batch: Batch) -> dict[str, torch.Tensor]:
    truth = batch.target["xyz"]
    vectors = limbs(truth)
    return {
        "xyz": truth.clone(),
        "centres": batch.target["centres"].clone(),
        "centres_log_std": torch.full((*truth.shape[:2], 17, 2), -4.0),
        "log_std": torch.full((*truth.shape[:3], 2), -4.0),
        "limbs": torch.nn.functional.normalize(vectors, dim=-1),
        "toward": -1e4 * torch.sign(vectors[..., 2]),
        "ratios": vectors.norm(dim=-1)[..., :10],
    }


def test_a_perfect_answer_costs_only_its_doubt(loss: Loss, batch: Batch):
    _, terms = loss(perfect(batch), batch)
    for name, value in terms.items():
        expected = -0.12 if "likelihood" in name else 0.0  # 0.01 * 3 axes * log std
        assert value == pytest.approx(expected, abs=1e-5), name


def test_a_constant_shift_costs_its_length_and_no_motion(loss: Loss, batch: Batch):
    outputs = perfect(batch)
    outputs["xyz"] += torch.tensor([0.03, 0.0, 0.04])
    _, terms = loss(outputs, batch)
    assert terms["position"] == pytest.approx(0.05, rel=1e-4)
    assert terms["velocity"] == pytest.approx(0.0, abs=1e-6)
    assert terms["limbs"] == pytest.approx(0.0, abs=1e-6)


def test_answers_that_come_late_are_compared_with_the_frames_they_answer(batch: Batch):
    kind = NETWORKS.from_file("lstm_posenet")
    network = kind(kind.Config(window=5, width=24, centred=True))
    assert network.look_ahead == 2
    truth = torch.randn(3, 6, 17, 3, generator=torch.Generator().manual_seed(0))
    late = torch.full_like(truth, 9.0)
    late[:, 2:] = truth[:, :-2]
    on_h36m = replace(batch, target={"xyz": truth}, known=torch.ones(3, 6, dtype=torch.bool))
    _, terms = Loss(network, Weights())({"xyz": late}, on_h36m)
    assert terms["position"] == pytest.approx(0.0, abs=1e-6)
    assert terms["acceleration"] == pytest.approx(0.0, abs=1e-6)
    _, terms = Loss(network, Weights())({"xyz": truth}, on_h36m)
    assert terms["position"] > 0.5
    with pytest.raises(
        ValueError, match="clips of 2 frames hold no answer of a network that sees 2 frames ahead"
    ):
        answered({"xyz": truth[:, :2]}, replace(on_h36m, known=on_h36m.known[:, :2]), 2)


def test_an_error_that_alternates_by_hand(loss: Loss, batch: Batch):
    outputs = perfect(batch)
    sign = torch.tensor([1.0, -1.0]).repeat(3)[None, :, None]
    outputs["xyz"][..., 0] += 0.01 * sign
    _, terms = loss(outputs, batch)
    assert terms["velocity"] == pytest.approx(0.3 * 0.02, rel=1e-3)
    assert terms["acceleration"] == pytest.approx(2.0 * 0.04, rel=1e-3)


def test_limbs_turned_by_sixty_degrees_cost_half(loss: Loss, batch: Batch):
    outputs = perfect(batch)
    axis = torch.nn.functional.normalize(
        torch.linalg.cross(outputs["limbs"], torch.randn_like(outputs["limbs"])), dim=-1
    )
    outputs["limbs"] = 0.5 * outputs["limbs"] + 0.75**0.5 * axis
    _, terms = loss(outputs, batch)
    assert terms["directions"] == pytest.approx(0.1 * 0.5, rel=1e-4)


def test_an_undecided_sign_costs_log_two(loss: Loss, batch: Batch):
    outputs = perfect(batch)
    outputs["toward"] = torch.zeros_like(outputs["toward"])
    assert loss(outputs, batch)[1]["toward"] == pytest.approx(0.01 * math.log(2.0), rel=1e-5)


def test_the_likelihood_is_best_at_the_errors_own_size_and_does_not_move_the_joints(loss: Loss, batch: Batch):
    def cost(log_std: float) -> float:
        outputs = perfect(batch)
        outputs["xyz"] += 0.02  # mean absolute error 0.02 on each axis
        outputs["log_std"] = torch.full_like(outputs["log_std"], log_std)
        return loss(outputs, batch)[1]["likelihood"]

    best = math.log(math.sqrt(2.0) * 0.02)
    assert cost(best) < min(cost(best - 0.1), cost(best + 0.1))
    outputs = perfect(batch)
    outputs["xyz"] = (outputs["xyz"] + 0.02).requires_grad_()
    only = Loss.__new__(Loss)
    only.__dict__ = dict(loss.__dict__)
    only._weights = Weights(
        position=0.0, velocity=0.0, acceleration=0.0, direction=0.0, length=0.0, toward=0.0
    )
    only(outputs, batch)[0].backward()
    assert outputs["xyz"].grad is None or outputs["xyz"].grad.abs().max() < 1e-9


def test_frames_in_which_nothing_is_seen_do_not_count(loss: Loss, batch: Batch):
    outputs = perfect(batch)
    batch.known[1, 2] = False
    outputs["xyz"][1, 2] += 100.0
    _, terms = loss(outputs, batch)
    for name in ("position", "velocity", "acceleration", "lengths"):
        assert terms[name] == pytest.approx(0.0, abs=1e-5)


def test_terms_of_outputs_that_a_network_does_not_give_are_left_out(loss: Loss, batch: Batch):
    outputs = {name: value for name, value in perfect(batch).items() if name in ("limbs", "toward")}
    assert set(loss(outputs, batch)[1]) == {"directions", "toward"}


def test_bone_lengths_by_hand(batch: Batch):
    network = NETWORKS.from_file("streaming_tcn")
    only = Loss(network(network.Config.small()), Weights(bones=1.0))
    outputs = perfect(batch)
    outputs["xyz"] = outputs["xyz"] * 1.1
    bones = MP.edges[(len(MP) > MP.edges).all(1)]
    lengths = (batch.target["xyz"][..., bones[:, 1], :] - batch.target["xyz"][..., bones[:, 0], :]).norm(
        dim=-1
    )
    assert only(outputs, batch)[1]["bones"] == pytest.approx(float((0.1 * lengths).square().mean()), rel=1e-3)


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match="velocity must be at least 0"):
        Weights(velocity=-1.0)
