from __future__ import annotations

import numpy as np
import pytest
import torch

from lift3d_node.learned.encoding import CONTEXT
from pose_core.skeleton import MEDIAPIPE33, MPI_INF28, Skeleton
from pose_train.lifter.networks.sparse_gcn_transformer import (
    GCNConfig,
    GraphConvolution,
    SparseGCNTransformer,
    neighbours,
)
from pose_train.trunk.network import parameters

ARM = Skeleton(
    "arm",
    ("root", "left_a", "right_a", "tip"),
    (("root", "left_a"), ("root", "right_a"), ("left_a", "tip")),
    "root",
    "",
)
"""root - left_a - tip, root - right_a."""


def test_size_of_the_default():
    assert 1_000_000 <= parameters(SparseGCNTransformer(GCNConfig())) <= 2_000_000


def test_neighbours_of_a_small_tree():
    itself, towards, away, mirrored = neighbours(ARM, mirrors=True)
    assert np.array_equal(itself, np.eye(4))
    assert towards.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert away.tolist() == [[0, 0.5, 0.5, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert mirrored.tolist() == [[0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert len(neighbours(ARM, mirrors=False)) == 3


def test_the_graph_of_the_body_is_its_bones():
    graph = neighbours(MPI_INF28, mirrors=True)
    towards, away, mirrored = graph[1], graph[2], graph[3]
    at = MPI_INF28.index
    assert towards[at("left_knee"), at("left_hip")] == 1.0
    assert away[at("pelvis"), MPI_INF28.indices("spine", "left_hip", "right_hip")] == pytest.approx(
        [1 / 3] * 3
    )
    assert mirrored[at("left_wrist"), at("right_wrist")] == 1.0
    assert not mirrored[at("neck")].any()
    assert np.count_nonzero(towards) == np.count_nonzero(away) == 27  # a tree of 28 joints
    assert np.isin(graph.sum(-1).round(6), (0.0, 1.0)).all()
    flip = MPI_INF28.flip
    assert np.array_equal(graph[:, flip][:, :, flip], graph)


def test_a_skeleton_with_virtual_points_is_refused():
    with pytest.raises(ValueError, match="'mediapipe33' has virtual points"):
        neighbours(MEDIAPIPE33, mirrors=True)


@torch.no_grad()
def test_convolution_by_hand():
    layer = GraphConvolution(1, neighbours(ARM, mirrors=True))
    layer.mix.weight[:] = torch.tensor([[1.0, 10.0, 100.0, 1000.0]])
    layer.mix.bias[:] = 0.0
    layer.gain[2, 0] = 2.0  # the root hears those away from it twice as loud
    x = torch.tensor([1.0, 2.0, 3.0, 4.0])[None, :, None]
    expected = [1.0 + 2 * 100 * 2.5, 2.0 + 10 + 100 * 4 + 1000 * 3, 3.0 + 10 + 1000 * 2, 4.0 + 10 * 2]
    assert layer(x).flatten().tolist() == expected


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="heads must divide width, got 3 heads for width 128"):
        SparseGCNTransformer(GCNConfig(heads=3))


@torch.no_grad()
@pytest.mark.parametrize("mirrors", [True, False])
def test_torchscript_gives_the_same(mirrors, tmp_path):
    network = SparseGCNTransformer(GCNConfig(width=16, layers=2, heads=2, mirrors=mirrors)).eval()
    torch.jit.script(network).save(tmp_path / "network.pt")
    scripted = torch.jit.load(tmp_path / "network.pt")
    for batch, frames in ((1, 1), (3, 5)):
        joints, context = torch.rand(batch, frames, 28, 3), torch.rand(batch, frames, len(CONTEXT))
        joints[:, :, 4] = 0.0
        expected, found = network(joints, context), scripted(joints, context)
        assert expected.keys() == found.keys()
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], atol=1e-6, rtol=0.0)


@torch.no_grad()
def test_every_joint_hears_of_every_other():
    network = SparseGCNTransformer(GCNConfig(width=16, layers=1, heads=2)).eval()
    joints, context = torch.rand(1, 1, 28, 3), torch.rand(1, 1, len(CONTEXT))
    before = network(joints, context)["log_std"]
    joints[..., MPI_INF28.index("left_toe"), :2] += 1.0
    changed = (network(joints, context)["log_std"] - before).abs().amax(-1)
    assert (changed > 0.0).all()
