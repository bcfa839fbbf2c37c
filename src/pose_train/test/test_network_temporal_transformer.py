from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lift3d_node.learned.encoding import CONTEXT
from pose_train.lifter.networks.temporal_transformer import Layer, TemporalTransformer, TransformerConfig
from pose_train.trunk.network import parameters


def sequence(frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(1, frames, 17, 3), torch.rand(1, frames, len(CONTEXT))


def moved_at(network: TemporalTransformer, frames: int, changed: int) -> list[int]:
    """The frames whose answer changes when one frame's input does."""
    joints, context = sequence(frames)
    before = network(joints, context)["xyz"]
    joints[:, changed, :, :2] += 1.0
    return (network(joints, context)["xyz"] - before).abs().amax((0, 2, 3)).nonzero().flatten().tolist()


@pytest.mark.parametrize("centred", [False, True])
def test_size_of_the_default(centred):
    assert 1_000_000 <= parameters(TemporalTransformer(TransformerConfig(centred=centred))) <= 1_200_000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"window": 80}, "window must be odd, got 80"),
        ({"heads": 7}, "heads must divide width, got 7 heads for width 192"),
        ({"joint_heads": 3}, "joint_heads must divide joint_width, got 3 heads for width 32"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        TemporalTransformer(TransformerConfig(**wrong))


def test_bias_starts_as_published_slopes_and_hides_what_is_out_of_the_window():
    network = TemporalTransformer(replace(TransformerConfig.small(), window=3))
    hidden = float("-inf")
    first = 2.0**-4  # of two heads: 2^-4, 2^-8
    expected = [
        [0.0, hidden, hidden, hidden],
        [-first, 0.0, hidden, hidden],
        [-2 * first, -first, 0.0, hidden],
        [hidden, -2 * first, -first, 0.0],
    ]
    assert network._bias(4)[0].tolist() == expected
    assert network._bias(4)[1, 3].tolist() == [hidden, -2 * 2.0**-8, -(2.0**-8), 0.0]
    centred = TemporalTransformer(replace(TransformerConfig.small(), window=3, centred=True))
    assert centred._bias(3)[0].tolist() == [
        [0.0, -first, -2 * first],
        [-first, 0.0, -first],
        [-2 * first, -first, 0.0],
    ]


@torch.no_grad()
def test_distances_to_the_past_and_to_the_future_have_biases_of_their_own():
    centred = TemporalTransformer(replace(TransformerConfig.small(), window=3, centred=True))
    centred.bias[0] = torch.tensor(
        [1.0, 2.0, 3.0, 4.0, 5.0]
    )  # two before, one before, itself, one after, two after
    assert centred._bias(3)[0].tolist() == [[3.0, 4.0, 5.0], [2.0, 3.0, 4.0], [1.0, 2.0, 3.0]]


@torch.no_grad()
def test_attention_by_hand():
    layer = Layer(2, 1, 0.0)
    layer.merge.weight[:], layer.merge.bias[:] = torch.eye(2), 0.0
    layer.query.weight[:], layer.query.bias[:] = 0.0, 0.0  # no preference but the bias
    key_value = torch.tensor([[[0.0, 0.0, 1.0, 10.0], [0.0, 0.0, 5.0, 30.0]]])
    bias = torch.log(torch.tensor([[[[1.0, 3.0]]]]))
    mixed = layer._attend(torch.randn(1, 1, 2), key_value, bias)
    torch.testing.assert_close(mixed, torch.tensor([[[4.0, 25.0]]]))


@torch.no_grad()
def test_causal_form_sees_a_window_per_layer():
    network = TemporalTransformer(TransformerConfig.small()).eval()
    assert network.look_ahead == 0
    assert moved_at(network, 24, 4) == list(range(4, 4 + 2 * (5 - 1) + 1))


@torch.no_grad()
def test_answers_do_not_depend_on_when_a_recording_began():
    network = TemporalTransformer(TransformerConfig.small()).eval()
    joints, context = sequence(24)
    late = network(joints[:, 7:], context[:, 7:])["xyz"][:, 8:]
    torch.testing.assert_close(network(joints, context)["xyz"][:, 15:], late, atol=1e-6, rtol=0.0)


@torch.no_grad()
def test_centred_form_learns_from_clips_what_it_answers_from_windows():
    """A clip of half a window and a frame is one window with nothing before it."""
    network = TemporalTransformer(replace(TransformerConfig.small(), centred=True))
    joints, context = sequence(3)
    learnt, told = (network.train(mode)(joints, context) for mode in (True, False))
    for name, values in learnt.items():
        assert values.shape == told[name].shape
        torch.testing.assert_close(values[:, 2], told[name][:, 2])


@torch.no_grad()
def test_centred_form_answers_the_middle_of_its_window():
    network = TemporalTransformer(replace(TransformerConfig.small(), centred=True)).eval()
    assert network.look_ahead == 2
    # Window 5: what is answered at frame t is frame t - 2, from frames t - 4 to t.
    assert moved_at(network, 20, 9) == list(range(9, 14))


@torch.no_grad()
def test_a_cache_holds_the_window_and_no_more():
    network = TemporalTransformer(TransformerConfig.small()).eval()
    joints, context = sequence(9)
    state = network.initial(1)
    for t in range(9):
        _, state = network.step(joints[:, t], context[:, t], state)
        assert state[0].sum() == min(t + 1, 4)
    assert [tuple(s.shape) for s in state] == [(1, 4), (1, 4, 48), (1, 4, 48)]
