"""Losses of refiners: values by hand, and answers to frames that there are not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pose_core.skeleton import SKELETONS
from pose_train.refiner.loss import RefinerLoss, RefinerWeights, delayed
from pose_train.trunk.batch import Batch

SKELETON = SKELETONS.get("h36m17")
AHEADS = (0, 2)
ONES = RefinerWeights(position=1.0, bones=1.0, velocity=1.0, acceleration=1.0, likelihood=1.0)


def batch(frames: int = 6, people: int = 2) -> Batch:
    random = torch.Generator().manual_seed(0)
    truth = torch.randn(people, frames, 17, 3, generator=random)
    return Batch(
        joints=torch.zeros(people, frames, 17, 5),
        context=torch.zeros(people, frames, 1),
        target={"xyz": truth},
        known=torch.ones(people, frames, dtype=torch.bool),
        height=torch.ones(people),
        step=torch.full((people, frames), 1 / 30),
    )


def answers(one: Batch) -> torch.Tensor:
    """What a perfect network says; 1000 where there is nothing to say."""
    truth, there = delayed(one.target["xyz"], one.known, AHEADS)
    return torch.where(there[..., None, None], truth, 1000.0)


def terms(xyz: torch.Tensor, one: Batch, log_std: torch.Tensor | None = None) -> dict[str, float]:
    network = SimpleNamespace(skeleton=SKELETON, look_aheads=AHEADS)
    outputs = {"xyz": xyz} if log_std is None else {"xyz": xyz, "log_std": log_std}
    total, found = RefinerLoss(network, ONES)(outputs, one)
    assert float(total) == pytest.approx(sum(found.values()), rel=1e-5)
    return dict(found)


def test_answers_are_compared_with_the_frame_that_they_describe():
    frames = torch.arange(4.0)[None]
    truth, there = delayed(frames, torch.tensor([[True, True, False, True]]), AHEADS)
    assert truth[0, :, 0].tolist() == [0, 1, 2, 3]
    assert truth[0, 2:, 1].tolist() == [0, 1]
    assert there[0, :, 0].tolist() == [True, True, False, True]
    assert there[0, :, 1].tolist() == [False, False, True, True]


def test_a_perfect_network_has_no_loss_whatever_it_says_of_frames_before_the_first():
    one = batch()
    assert terms(answers(one), one) == pytest.approx(
        {"position": 0.0, "bones": 0.0, "velocity": 0.0, "acceleration": 0.0}
    )


def test_a_constant_offset_is_an_error_of_position_alone():
    one = batch()
    found = terms(answers(one) + torch.tensor([0.03, 0.0, 0.04]), one)
    assert found["position"] == pytest.approx(0.05, rel=1e-5)
    assert found["velocity"] == pytest.approx(0.0, abs=1e-6)
    assert found["acceleration"] == pytest.approx(0.0, abs=1e-6)
    assert found["bones"] == pytest.approx(0.0, abs=1e-6)


def test_an_alternating_error_by_hand():
    one = batch()
    sign = 1.0 - 2.0 * (torch.arange(6) % 2)
    found = terms(answers(one) + 0.01 * sign[None, :, None, None, None] * torch.tensor([1.0, 0.0, 0.0]), one)
    assert found["position"] == pytest.approx(0.01, rel=1e-5)
    assert found["velocity"] == pytest.approx(0.02, rel=1e-4)
    assert found["acceleration"] == pytest.approx(0.04, rel=1e-4)


def test_longer_bones_by_hand():
    one = batch()
    lengths = SKELETON.bone_lengths(one.target["xyz"].numpy())
    # Frames 0 to 5 count once without look-ahead, frames 0 to 3 once more with that of two.
    counted = np.concatenate([lengths, lengths[:, :4]], 1)
    assert terms(1.1 * answers(one), one)["bones"] == pytest.approx(0.1 * counted.mean(), rel=1e-4)


def test_the_likelihood_by_hand_shapes_deviations_alone():
    one = batch()
    xyz = (answers(one) + 0.02).requires_grad_()
    log_std = torch.full(xyz.shape[:-1], -3.0, requires_grad=True)
    network = SimpleNamespace(skeleton=SKELETON, look_aheads=AHEADS)
    weights = RefinerWeights(position=0.0, bones=0.0, velocity=0.0, acceleration=0.0, likelihood=1.0)
    total, _ = RefinerLoss(network, weights)({"xyz": xyz, "log_std": log_std}, one)
    assert float(total.detach()) == pytest.approx(3 * -3.0 + 2**0.5 * 3 * 0.02 * np.exp(3.0), rel=1e-4)
    total.backward()
    assert float(xyz.grad.abs().max()) == 0.0
    assert float(log_std.grad.abs().max()) > 0.0
    assert float(log_std.grad[:, :2, 1].abs().max()) == 0.0


def test_unknown_frames_take_no_part():
    one = batch()
    xyz = answers(one)
    one.known[:, 3] = False
    xyz[:, 3, 0] = 77.0
    xyz[:, 5, 1] = 77.0  # described frame 3
    assert terms(xyz, one)["position"] == pytest.approx(0.0)
    assert terms(xyz, one)["acceleration"] == pytest.approx(0.0)


def test_weights_out_of_range_are_refused():
    with pytest.raises(ValueError, match="velocity must be at least"):
        RefinerWeights(velocity=-1.0)
