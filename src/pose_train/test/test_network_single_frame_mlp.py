from __future__ import annotations

import math

import pytest
import torch

from lift3d_node.learned.encoding import CONTEXT
from pose_core.skeleton import H36M17, MEDIAPIPE33
from pose_train.lifter.networks._layers import JointOutputs, MaskedKeypoints
from pose_train.lifter.networks.single_frame_mlp import SingleFrameConfig, SingleFrameMLP
from pose_train.trunk.network import parameters


def test_default_has_the_published_sizes():
    layer = 1024 * 1024 + 1024 + 2 * 1024  # weights, biases, normalisation
    first = (3 * 33 + 1) * 1024 + 1024 + 2 * 1024
    last = 1024 * 5 * 33 + 5 * 33
    stand_ins = 2 * 33
    assert parameters(SingleFrameMLP(SingleFrameConfig())) == first + 4 * layer + last + stand_ins


def test_a_stand_in_takes_the_place_of_a_missing_keypoint_alone():
    mask = MaskedKeypoints("h36m17")
    with torch.no_grad():
        mask.stand_in[3] = torch.tensor([0.25, -0.5])
    joints = torch.full((2, 17, 3), 0.7)
    joints[1, 3] = torch.tensor([float("nan"), 9.0, 0.0])
    masked = mask(joints)
    assert torch.equal(masked[0], joints[0])
    assert masked[1, 3].tolist() == [0.25, -0.5, 0.0]
    assert torch.equal(masked[1, 4:], joints[1, 4:])


def test_a_stand_in_learns_only_from_frames_in_which_its_keypoint_is_missing():
    mask = MaskedKeypoints("h36m17")
    joints = torch.ones(3, 17, 3)
    joints[:2, 6] = 0.0
    mask(joints).sum().backward()
    expected = torch.zeros(17, 2)
    expected[6] = 2.0  # two frames
    assert torch.equal(mask.stand_in.grad, expected)


@pytest.mark.parametrize("skeleton", [H36M17, MEDIAPIPE33])
def test_outputs_are_about_the_root_and_keep_all_differences(skeleton):
    outputs = JointOutputs(skeleton.name)
    raw = torch.randn(2, 5 * len(skeleton))
    xyz = outputs(raw)["xyz"]
    before = raw.reshape(2, -1, 5)[..., :3]
    torch.testing.assert_close(xyz[:, 1:] - xyz[:, :1], before[:, 1:] - before[:, :1])
    hips = skeleton.indices("left_hip", "right_hip")
    origin = xyz[:, 0] if skeleton is H36M17 else xyz[:, hips].mean(1)
    torch.testing.assert_close(origin, torch.zeros(2, 3), atol=1e-6, rtol=0.0)


def test_deviations_stay_between_a_thousandth_and_half_of_the_height():
    outputs = JointOutputs("h36m17")
    raw = torch.zeros(2, 17, 5)
    raw[0], raw[1] = -100.0, 100.0
    log_std = outputs(raw.flatten(1))["log_std"]
    assert log_std[0].max() == pytest.approx(math.log(0.001), abs=0.01)
    assert log_std[1].min() == pytest.approx(math.log(0.5), abs=0.01)


@torch.no_grad()
def test_knows_no_frame_but_its_own():
    network = SingleFrameMLP(SingleFrameConfig.small()).eval()
    joints, context = torch.rand(1, 6, 33, 3), torch.rand(1, 6, len(CONTEXT))
    before = network(joints, context)["xyz"]
    moved = context.clone()
    size = CONTEXT.index("log_size")
    moved[..., [i for i in range(len(CONTEXT)) if i != size]] += 1.0  # what tells of the frame before
    other = joints.clone()
    other[:, :5] += 1.0
    assert torch.equal(network(other, moved)["xyz"][:, 5], before[:, 5])
    moved[..., size] += 1.0
    assert not torch.equal(network(joints, moved)["xyz"], before)
