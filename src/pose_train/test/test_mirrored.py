"""The mirrored person comes from the mirrored keypoints, exactly, whatever the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pose_train.lifter.networks import NETWORKS
from pose_train.lifter.networks._mirrored import SIDES, Enter, Leave, Linear, Mirror, Normal, activate
from pose_train.lifter.networks.streaming_tcn import PARTS, StreamingTcnConfig, seen

SEEN = seen(StreamingTcnConfig())

MIRRORS = {
    "a pair": Mirror(np.array([1, 0]), np.array([1.0, 1.0])),
    "a pair that turns": Mirror(np.array([1, 0]), np.array([-1.0, -1.0])),
    "one that stays": Mirror.alone(1.0),
    "one that turns": Mirror.alone(-1.0),
    "all of a frame": SEEN,
    **PARTS,
}


def applied(mirror: Mirror, x: torch.Tensor) -> torch.Tensor:
    return x[..., mirror.order.tolist()] * torch.tensor(mirror.sign, dtype=x.dtype)


@pytest.mark.parametrize("name", MIRRORS)
def test_a_mirror_is_its_own_inverse_and_its_parts_are_a_basis(name):
    mirror = MIRRORS[name]
    n = len(mirror.order)
    x = np.random.default_rng(0).normal(size=n)
    once = mirror.sign * x[mirror.order]
    assert np.array_equal(mirror.sign * once[mirror.order], x)
    even, odd = mirror.parts()
    both = np.concatenate([even, odd])
    assert both.shape == (n, n)
    assert np.allclose(both @ both.T, np.eye(n), atol=1e-6)
    assert np.allclose(even @ once, even @ x, atol=1e-6)
    assert np.allclose(odd @ once, -(odd @ x), atol=1e-6)


def test_parts_by_hand():
    # One joint of the middle, x turns; a pair whose x turns.
    even, odd = Mirror.of_rows(np.array([0, 2, 1]), np.array([-1.0, 1.0])).parts()
    h = np.sqrt(0.5)
    assert np.allclose(even, [[0, 0, h, 0, -h, 0], [0, 0, 0, h, 0, h], [0, 1, 0, 0, 0, 0]])
    assert np.allclose(odd, [[0, 0, h, 0, h, 0], [0, 0, 0, h, 0, -h], [1, 0, 0, 0, 0, 0]])


def test_of_the_context_what_points_sideways_turns():
    # Log size, motion in x and y, growth, step; and up.
    assert SEEN.sign[-8:].tolist() == [1.0, -1.0, 1.0, 1.0, 1.0, -1.0, 1.0, 1.0]
    assert seen(StreamingTcnConfig(takes_up=False)).sign[-5:].tolist() == [1.0, -1.0, 1.0, 1.0, 1.0]


def test_the_widths_turn_and_arms_change_places():
    toward = PARTS["toward"]
    assert toward.order.tolist()[:2] == [1, 0]
    assert toward.order.tolist()[8:10] == [8, 9]
    assert toward.sign.tolist()[8:10] == [-1.0, -1.0]
    # A width that runs to the mirror's left still runs from the person's left to their right, so its x stays.
    assert PARTS["limbs"].sign.reshape(14, 3)[8].tolist() == [1.0, -1.0, -1.0]


@given(st.integers(0, 2**31))
def test_layers_keep_the_symmetry(seed):
    torch.manual_seed(seed)
    mirror = SEEN
    enter, linear, normal, leave = Enter(mirror, 6), Linear(6, 6), Normal(6), Leave(mirror, 6)
    torch.nn.init.normal_(linear.bias)
    torch.nn.init.normal_(normal.gain)

    def run(x: torch.Tensor) -> torch.Tensor:
        return leave(activate(linear(normal(enter(x))), 6))

    x = torch.randn(3, len(mirror.order))
    assert torch.allclose(run(applied(mirror, x)), applied(mirror, run(x)), atol=1e-5)


def other_basis(x: torch.Tensor) -> torch.Tensor:
    return (SIDES @ x.reshape(2, -1)).reshape(x.shape)


def test_the_bases_are_each_others_inverse():
    x = torch.randn(2, 4, 5)
    assert torch.allclose(other_basis(other_basis(x)), x, atol=1e-6)
    # Different parts alone: the sides are opposite.
    x[0] = 0.0
    one, other = other_basis(x)
    assert torch.allclose(one, -other)


def test_normal_gives_a_root_mean_square_of_one():
    x = 7.0 * torch.randn(2, 3, 50)
    out = Normal(50)(x)
    assert torch.allclose(out.square().mean((0, 2)), torch.ones(3), atol=1e-4)


def test_the_network_gives_the_mirrored_person():
    torch.manual_seed(3)
    kind = NETWORKS.from_file("streaming_tcn")
    network = kind(kind.Config.small()).eval()
    for value in network.parameters():
        torch.nn.init.normal_(value, std=0.2)
    joints, context = torch.randn(2, 9, 33, 3), torch.randn(2, 9, 8)
    joints[:, :, 4, 2] = 0.0
    numbers = torch.cat([joints, torch.zeros(2, 9, 33, 1)], -1).flatten(2)
    mirrored = applied(SEEN, torch.cat([numbers, context], -1))
    there = mirrored[..., :-8].unflatten(-1, (33, 4))[..., :3], mirrored[..., -8:]
    with torch.no_grad():
        here, seen_there = network(joints, context), network(*there)
    for name, part, numbers in (
        ("xyz", "landmarks", [0, 1, 2]),
        ("log_std", "landmarks", [3, 4]),
        ("centres", "centres", [0, 1, 2]),
        ("centres_log_std", "centres", [3, 4]),
        ("limbs", "limbs", [0, 1, 2]),
        ("toward", "toward", [0]),
        ("ratios", "ratios", [0]),
    ):
        mirror = PARTS[part]
        rows = here[name].shape[2]
        numbers_each = len(mirror.order) // rows
        order = mirror.order.reshape(rows, numbers_each)[:, 0] // numbers_each
        sign = torch.tensor(mirror.sign.reshape(rows, numbers_each)[:, numbers], dtype=torch.float32)
        value = here[name].reshape(2, 9, rows, len(numbers))
        expected = value[:, :, order.tolist()] * sign
        assert torch.allclose(seen_there[name].reshape(value.shape), expected, atol=1e-4), name
