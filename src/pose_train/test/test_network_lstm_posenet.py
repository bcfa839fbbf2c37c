from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lift3d_node.learned.encoding import CONTEXT
from pose_train.lifter.networks._layers import windows
from pose_train.lifter.networks.lstm_posenet import LSTMConfig, LSTMPoseNet, Recurrence
from pose_train.trunk.network import parameters


def moved_at(network: LSTMPoseNet, frames: int, changed: int) -> list[int]:
    """The frames whose answer changes when one frame's input does."""
    joints, context = torch.rand(1, frames, 17, 3), torch.rand(1, frames, len(CONTEXT))
    before = network(joints, context)["xyz"]
    joints[:, changed, :, :2] += 1.0
    return (network(joints, context)["xyz"] - before).abs().amax((0, 2, 3)).nonzero().flatten().tolist()


def test_size_of_the_default():
    assert 700_000 <= parameters(LSTMPoseNet(LSTMConfig())) <= 1_200_000
    assert 700_000 <= parameters(LSTMPoseNet(LSTMConfig(centred=True))) <= 1_200_000


@pytest.mark.parametrize("centred", [False, True])
def test_an_even_window_is_refused(centred):
    with pytest.raises(ValueError, match="window must be odd, got 80"):
        LSTMPoseNet(LSTMConfig(window=80, centred=centred))


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="width must be even, got 25"):
        LSTMPoseNet(LSTMConfig(width=25))


def test_windows_end_at_each_frame_and_start_with_nothing():
    x = torch.tensor([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]])
    expected = [[0, 0, 1], [0, 1, 2], [1, 2, 3], [0, 0, 4], [0, 4, 5], [4, 5, 6]]
    assert windows(x, 3)[..., 0].tolist() == expected


@torch.no_grad()
def test_a_step_of_a_layer_is_that_of_torch():
    layer = Recurrence(12, both=False)
    x, hidden, cell = torch.randn(5, 12), torch.randn(5, 12), torch.randn(5, 12)
    _, (expected_hidden, expected_cell) = layer.lstm(layer.norm(x)[:, None], (hidden[None], cell[None]))
    found, found_hidden, found_cell = layer.step(x, hidden, cell)
    torch.testing.assert_close(found_hidden, expected_hidden[0])
    torch.testing.assert_close(found_cell, expected_cell[0])
    torch.testing.assert_close(found, x + expected_hidden[0])


@torch.no_grad()
def test_causal_memory_has_no_end_and_a_size_that_no_window_changes():
    network = LSTMPoseNet(LSTMConfig.small()).eval()
    assert network.look_ahead == 0
    assert moved_at(network, 20, 4) == list(range(4, 20))
    long = LSTMPoseNet(replace(LSTMConfig.small(), window=81))
    assert [s.shape for s in long.initial(3)] == [s.shape for s in network.initial(3)] == [(3, 2, 24)] * 2


@torch.no_grad()
def test_centred_form_answers_the_middle_of_its_window():
    network = LSTMPoseNet(replace(LSTMConfig.small(), centred=True)).eval()
    assert network.look_ahead == 3
    # Window 7: what is answered at frame t is frame t - 3, from frames t - 6 to t.
    assert moved_at(network, 20, 9) == list(range(9, 16))


@torch.no_grad()
def test_centred_form_learns_from_clips_what_it_answers_from_windows():
    """A clip of half a window and a frame is one window with nothing before it."""
    network = LSTMPoseNet(replace(LSTMConfig.small(), centred=True))
    joints, context = torch.rand(2, 4, 17, 3), torch.rand(2, 4, len(CONTEXT))
    learnt, told = (network.train(mode)(joints, context) for mode in (True, False))
    for name, values in learnt.items():
        assert values.shape == told[name].shape
        torch.testing.assert_close(values[:, 3], told[name][:, 3])


@torch.no_grad()
def test_centred_form_reads_backwards_too():
    network = LSTMPoseNet(replace(LSTMConfig.small(), centred=True)).eval()
    forwards = network.layers[0].lstm.all_weights[0]
    backwards = network.layers[0].lstm.all_weights[1]
    for a, b in zip(forwards, backwards, strict=True):
        b.copy_(a)
    x = torch.randn(2, 7, 24)
    half = 12
    given = network.layers[0].lstm(x)[0]
    turned = network.layers[0].lstm(x.flip(1))[0].flip(1)
    torch.testing.assert_close(given[..., :half], turned[..., half:])
