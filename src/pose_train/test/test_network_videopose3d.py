from __future__ import annotations

import pytest
import torch

from lift3d_node.learned.encoding import CONTEXT
from pose_train.lifter.networks.videopose3d import CausalConvolution, TemporalConvolutionConfig, VideoPose3D
from pose_train.trunk.network import parameters


def test_size_of_the_default():
    assert 2_000_000 <= parameters(VideoPose3D(TemporalConvolutionConfig())) <= 3_000_000
    assert 4_000_000 <= parameters(VideoPose3D(TemporalConvolutionConfig(frames=243))) <= 5_000_000


def test_published_sizes():
    # 8.56 and 16.95 million for 17 keypoints of two numbers, without context and deviations.
    with torch.device("meta"):
        short, long = (
            VideoPose3D(TemporalConvolutionConfig(frames=frames, channels=1024)) for frames in (27, 243)
        )
    more = (
        3 * (17 + len(CONTEXT)) * 1024 + 2 * 17 * 1025 + 2 * 17
    )  # confidence, context; deviations; stand-ins
    assert parameters(short) - more == pytest.approx(8.56e6, rel=0.005)
    assert parameters(long) - more == pytest.approx(16.95e6, rel=0.005)


@pytest.mark.parametrize("frames", [28, 81 + 1, 100])
def test_other_numbers_of_frames_are_refused(frames):
    with pytest.raises(ValueError, match=f"frames must be a power of 3, such as 27 or 243, got {frames}"):
        VideoPose3D(TemporalConvolutionConfig(frames=frames))


@pytest.mark.parametrize("frames", [3, 9, 27, 243])
def test_sees_exactly_its_frames(frames):
    network = VideoPose3D(TemporalConvolutionConfig(frames=frames, channels=8)).eval()
    joints = torch.rand(1, frames + 5, 17, 3, requires_grad=True)
    outputs = network(joints, torch.zeros(1, frames + 5, len(CONTEXT)))
    answered = frames + 2
    outputs["log_std"][0, answered].sum().backward()
    seen = joints.grad.abs().amax((0, 2, 3)).nonzero().flatten().tolist()
    assert seen == list(range(answered - frames + 1, answered + 1))


def test_state_holds_what_each_convolution_needs():
    with torch.device("meta"):
        state = VideoPose3D(TemporalConvolutionConfig(frames=243, channels=64)).initial(2)
    assert [tuple(s.shape[:2]) for s in state] == [(2, 2 * 3**i) for i in range(5)]


@torch.no_grad()
def test_convolution_by_hand():
    layer = CausalConvolution(1, 1, 2, 0.0)
    layer.convolution.weight[:] = torch.tensor([[[100.0, 10.0, 1.0]]])
    layer.convolution.bias[:] = 0.0
    layer.after = torch.nn.Identity()
    x = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])[None, :, None]
    assert layer(x).flatten().tolist() == [1.0, 2.0, 13.0, 24.0, 135.0]
    past = torch.tensor([1.0, 2.0, 3.0, 4.0])[None, :, None]
    now, following = layer.step(x[:, 4], past)
    assert now.item() == 135.0
    assert following.flatten().tolist() == [2.0, 3.0, 4.0, 5.0]
