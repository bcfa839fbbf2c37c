"""What every refining network promises besides what all networks do (`test_conformance`).

Each is tried as `Config.small()`, for two skeletons, with every switch turned over, every other choice made and every number of
parts that may be 0 at 0. What only one of them promises stands at the end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pose_core.config import build
from pose_core.geometry.kinematics import BodyTree
from pose_core.geometry.rotations import matrix_of_rotation_vector
from pose_core.networks.step import CONTEXT
from pose_core.skeleton import SKELETONS
from pose_train.refiner.network import LOOK_AHEADS, RefiningNetwork
from pose_train.refiner.networks import NETWORKS
from pose_train.refiner.networks.hpstm import FADE, UNSEEN_LOG_STD
from pose_train.testing import stream
from pose_train.trunk.network import Outputs, parameters
from refine_node.encoding import FEATURES, MAX_OFFSET

FRAMES = 20
MOST = 2_000_000
"""Parameters of a default configuration."""
SKELETON = ("mediapipe33", "h36m17")
LOG_STD = -3.5


def variants(name: str) -> Iterator[tuple[str, Any]]:
    """(label, configuration) to try of a network."""
    small = NETWORKS.from_file(name).Config.small()
    yield name, small
    for field in dataclasses.fields(small):
        value = getattr(small, field.name)
        others: tuple[Any, ...] = field.metadata["choices"]
        if isinstance(value, bool):
            others = (not value,)
        elif field.name == "skeleton":
            others = SKELETON
        elif isinstance(value, int) and field.metadata["low"] == 0:
            others = (0,)
        for other in others:
            if other != value:
                yield f"{name}-{field.name}={other}", dataclasses.replace(small, **{field.name: other})


CASES = [
    pytest.param(name, config, id=label) for name in NETWORKS.files() for label, config in variants(name)
]
networks = pytest.mark.parametrize(("name", "config"), CASES)
defaults = pytest.mark.parametrize("name", NETWORKS.files())
skeletons = pytest.mark.parametrize("skeleton", SKELETON)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


def untrained(name: str, config: Any) -> RefiningNetwork:
    return NETWORKS.from_file(name)(config).eval()


def make(name: str, config: Any) -> RefiningNetwork:
    """A network as if it had been trained: untrained ones change nothing."""
    network = untrained(name, config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def inputs(network: RefiningNetwork, batch: int, frames: int) -> tuple[Tensor, Tensor]:
    """Joints, a fifth of them missing, and context."""
    joints = 0.3 * torch.randn(batch, frames, len(network.skeleton), len(FEATURES))
    joints[..., 3] = LOG_STD + 0.5 * torch.randn_like(joints[..., 3])
    joints[..., 4] = 0.1 + 0.9 * torch.rand_like(joints[..., 4])
    joints[torch.rand(joints.shape[:-1]) < 0.2] = 0.0
    return joints, 0.3 * torch.randn(batch, frames, len(CONTEXT))


def motion(skeleton: str, batch: int, frames: int) -> Tensor:
    """Joints (B, T, J, 3) of somebody who moves and whose bones do not stretch."""
    tree = BodyTree(SKELETONS.get(skeleton))
    random = np.random.default_rng(5)
    start, speed = random.normal(0.0, (0.5, 0.05), (batch, len(tree.heads), 3, 2)).transpose(3, 0, 1, 2)
    turned = start[:, None] + np.arange(frames)[:, None, None] * speed[:, None]
    lengths = tree.standing_lengths
    lengths = (lengths + lengths[tree.mirror]) / 2
    return torch.from_numpy(tree.forward(matrix_of_rotation_vector(turned), lengths)).float()


def known(xyz: Tensor) -> tuple[Tensor, Tensor]:
    """Joints and context of a camera that sees everything, 30 times a second."""
    rest = torch.tensor([LOG_STD, 1.0]).expand(*xyz.shape[:-1], 2)
    return torch.cat([xyz, rest], -1), torch.zeros(*xyz.shape[:2], len(CONTEXT))


def difference(a: Outputs, b: Outputs) -> float:
    """The largest difference of any number."""
    assert a.keys() == b.keys()
    assert all(a[name].shape == b[name].shape for name in a)
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def finite(outputs: Outputs) -> bool:
    return all(bool(torch.isfinite(value).all()) for value in outputs.values())


@defaults
@skeletons
def test_default_size(name, skeleton):
    network = NETWORKS.from_file(name)
    assert parameters(network(build(network.Config, {"skeleton": skeleton}))) <= MOST
    assert parameters(network(network.Config.small())) < MOST / 20


@networks
def test_look_aheads_ascend_and_are_the_common_ones_unless_for_recordings(name, config):
    network = untrained(name, config)
    if getattr(config, "centred", False):
        assert len(network.look_aheads) == 1
        assert network.look_aheads[0] > 0
    else:
        assert network.look_aheads == tuple(ahead for ahead in LOOK_AHEADS if ahead <= config.look_ahead)


@networks
@torch.no_grad()
def test_an_untrained_network_gives_back_the_frame_that_each_entry_describes(name, config):
    network = untrained(name, config)
    xyz = motion(config.skeleton, 2, FRAMES)
    outputs = network(*known(xyz))
    for k, ahead in enumerate(network.look_aheads):
        torch.testing.assert_close(
            outputs["xyz"][:, ahead:, k], xyz[:, : FRAMES - ahead], atol=1e-4, rtol=0.0
        )
        if "log_std" in outputs:
            torch.testing.assert_close(
                outputs["log_std"][:, ahead:, k], torch.full_like(xyz[:, ahead:, :, 0], LOG_STD)
            )


@networks
@torch.no_grad()
def test_the_root_is_the_origin(name, config):
    network = make(name, config)
    joints, context = inputs(network, 2, FRAMES)
    joints[:, 0, :, 4] += 0.1  # every joint has been seen
    xyz = network(joints, context)["xyz"]
    root = network.skeleton.root_of(xyz[:, network.look_aheads[-1] :].numpy())
    np.testing.assert_allclose(root, 0.0, atol=1e-6)


@networks
@torch.no_grad()
def test_little_or_nothing_seen_gives_finite_numbers(name, config):
    network = make(name, config)
    joints, context = inputs(network, 4, 2 * FRAMES)
    joints[:2], context[0] = 0.0, 0.0  # nobody
    joints[1, :, 4] = torch.tensor(
        [MAX_OFFSET, -MAX_OFFSET, 1.0, 0.0, 1e-9]
    )  # one joint, far out, of the least confidence
    joints[2, 5:19] = 0.0  # out of sight for longer than the window
    joints[3, :, :, :3] = 0.0  # all joints in one place
    for trained in (network, untrained(name, config)):
        assert finite(trained(joints, context))
        assert finite(stream(trained, joints, context))


@networks
def test_learns_to_take_the_noise_from_one_batch(name, config):
    network = untrained(name, config).train()
    xyz = motion(config.skeleton, 2, FRAMES)
    noisy = xyz + 0.02 * torch.randn_like(xyz)
    joints, context = known(noisy - noisy[:, :, :1] + xyz[:, :, :1])
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    first = last = float("nan")
    for step in range(400):
        optimiser.zero_grad()
        answers = network(joints, context)["xyz"]
        error = torch.stack(
            [
                functional.mse_loss(answers[:, ahead:, k], xyz[:, : FRAMES - ahead])
                for k, ahead in enumerate(network.look_aheads)
            ]
        ).mean()
        error.backward()
        optimiser.step()
        first, last = (error.item() if step == 0 else first), error.item()
        if last < 0.6 * first:
            break
    assert last < 0.6 * first


def hpstm(**changed: Any) -> tuple[str, Any]:
    return "hpstm", dataclasses.replace(NETWORKS.from_file("hpstm").Config.small(), **changed)


@skeletons
@torch.no_grad()
def test_hpstm_gives_bones_one_length_on_both_sides_for_all_look_aheads(skeleton):
    network = make(*hpstm(skeleton=skeleton))
    tree = BodyTree(network.skeleton)
    xyz = network(*inputs(network, 2, FRAMES))["xyz"]
    lengths = torch.from_numpy(network.skeleton.bone_lengths(xyz.double().numpy()))
    assert lengths.min() > 0.0
    torch.testing.assert_close(lengths, lengths[..., tree.mirror], atol=1e-5, rtol=0.0)
    torch.testing.assert_close(lengths, lengths[:, :, :1].expand_as(lengths), atol=1e-5, rtol=0.0)


@skeletons
@torch.no_grad()
def test_hpstm_lengths_settle_at_the_mean_of_what_was_measured(skeleton):
    network = untrained(*hpstm(skeleton=skeleton, memory=1_000_000, layers=0))
    xyz = motion(skeleton, 1, 400)
    truth = network.skeleton.bone_lengths(xyz.numpy())[0, 0]
    random = np.random.default_rng(7)
    stretched = xyz * torch.from_numpy(random.normal(1.0, 0.05, (1, 400, 1, 1))).float()
    found = network.skeleton.bone_lengths(network(*known(stretched))["xyz"][0, :, 0].double().numpy())
    # 5 % over the root of 400; and from one frame to the next a four hundredth of what that frame is off.
    np.testing.assert_allclose(found[-1], truth, rtol=3 * 0.05 / 20)
    assert (np.abs(np.diff(found[300:], axis=0)) < 4 * 0.05 / 300 * truth).all()
    assert (found[300:].std(0) < 0.003 * truth).all()


@torch.no_grad()
def test_hpstm_does_not_learn_lengths_from_what_is_not_seen_or_not_sure():
    network = untrained(*hpstm(skeleton="h36m17"))
    skeleton = network.skeleton
    joints, context = known(motion("h36m17", 1, 40))
    expected = skeleton.bone_lengths(joints[0, 0, :, :3].numpy())
    knee, ankle, wrist = skeleton.indices("left_knee", "left_ankle", "left_wrist")
    joints[:, 5:, ankle, :3] = 3.0 * joints[:, 5:, knee, :3]
    joints[:, 5:, ankle, 3] = 0.0  # as uncertain as the whole person is tall
    joints[:, 5:, wrist] = 0.0
    found = skeleton.bone_lengths(network(joints, context)["xyz"][0, :, 0].numpy())
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=3e-3)


@torch.no_grad()
def test_hpstm_keeps_a_bone_that_is_no_longer_seen_and_then_trusts_the_decoder():
    network = untrained(*hpstm(skeleton="h36m17"))
    skeleton = network.skeleton
    tree = BodyTree(skeleton)
    elbow, wrist = skeleton.indices("left_elbow", "left_wrist")
    bone = int(np.flatnonzero(tree.child == wrist)[0])
    joints, context = known(motion("h36m17", 1, 1).expand(1, 60, -1, -1))
    joints[:, 10:, wrist] = 0.0
    outputs = network(joints, context)
    xyz = outputs["xyz"][0, :, 0].double().numpy()
    vector = xyz[:, wrist] - xyz[:, elbow]
    length = np.linalg.norm(vector[0])
    before, alone = vector[0] / length, tree.rest[bone] * (1, -1, -1)
    for gap in (0, 1, 3):
        mixed = FADE**gap * before + (1 - FADE**gap) * alone
        np.testing.assert_allclose(vector[9 + gap], length * mixed / np.linalg.norm(mixed), atol=1e-4)
    np.testing.assert_allclose(vector[-1], length * alone, atol=1e-4)
    np.testing.assert_allclose(
        outputs["log_std"][0, 9:12, 0, wrist], (LOG_STD, UNSEEN_LOG_STD, UNSEEN_LOG_STD)
    )


@torch.no_grad()
def test_hpstm_takes_the_body_from_one_hip():
    network = untrained(*hpstm(skeleton="mediapipe33"))
    xyz = motion("mediapipe33", 1, 1).expand(1, 3, -1, -1)
    joints, context = known(xyz)
    joints[:, 1:, network.skeleton.index("right_hip")] = 0.0
    found = network(joints, context)["xyz"][0, :, 0]
    hips = network.skeleton.indices("left_hip", "right_hip")
    torch.testing.assert_close(found[:, hips], xyz[0, :, hips], atol=1e-4, rtol=0.0)


@torch.no_grad()
def test_hpstm_for_recordings_waits_for_half_a_window_per_layer():
    network = make(*hpstm(centred=True, window=7, layers=3))
    assert network.look_aheads == (9,)
    joints, context = inputs(network, 1, 40)
    before = network(joints, context)
    joints[:, 20, :, :3] += 0.2
    moved = (network(joints, context)["xyz"] - before["xyz"]).abs().amax((0, 2, 3, 4)) > 1e-6
    # Frames 11 to 29 are described at 20 to 38; lengths are of all frames so far.
    assert not moved[:20].any()
    assert moved[20:39].all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"width": 30, "heads": 4}, "heads must divide width, got 4 heads for width 30"),
        ({"centred": True, "window": 6}, "window must be odd, got 6"),
        ({"centred": True, "layers": 0}, "centred must be false without layers"),
        ({"decoder": "fx"}, "decoder must be one of fk, positions, got 'fx'"),
    ],
)
def test_hpstm_refuses_what_cannot_work(changed, message):
    with pytest.raises(ValueError, match=message):
        untrained(*hpstm(**changed))


def test_smoothnet_refuses_to_look_ahead_of_its_window():
    with pytest.raises(ValueError, match="look_ahead must be below window, got 8 of 8"):
        untrained("smoothnet", dataclasses.replace(NETWORKS.from_file("smoothnet").Config.small(), window=8))


@torch.no_grad()
def test_smoothnet_repeats_what_was_first_and_last_seen():
    config = NETWORKS.from_file("smoothnet").Config.small()
    network = make("smoothnet", dataclasses.replace(config, skeleton="h36m17"))
    joints, context = known(motion("h36m17", 1, 1).expand(1, FRAMES, -1, -1))
    expected = network(joints, context)["xyz"]
    joints = joints.clone()
    joints[:, 10:, 3] = 0.0
    torch.testing.assert_close(network(joints, context)["xyz"], expected)
    joints[:, :4] = 0.0
    torch.testing.assert_close(network(joints, context)["xyz"][:, 4:], expected[:, 4:])


@torch.no_grad()
def test_smoothnet_treats_all_joints_and_axes_alike_and_moves_with_them():
    network = make("smoothnet", NETWORKS.from_file("smoothnet").Config.small())
    joints, context = known(motion("mediapipe33", 1, FRAMES))
    elbow, index = network.skeleton.indices("left_elbow", "left_index")
    network.root.zero_()  # which couples the joints
    expected = network(joints, context)["xyz"]
    order = torch.arange(33)
    order[[elbow, index]] = order[[index, elbow]]
    swapped = joints[:, :, order]
    swapped[..., :3] = swapped[..., [1, 2, 0]] + 0.3
    found = network(swapped, context)["xyz"]
    torch.testing.assert_close(found, expected[..., order, :][..., [1, 2, 0]] + 0.3, atol=1e-5, rtol=0.0)
