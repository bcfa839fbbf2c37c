"""What `test_networks` cannot know of the networks that give directions of limbs: their graph, their ends, teacher forcing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn import functional

from lift3d_node.learned import limbs
from lift3d_node.learned.encoding import CONTEXT, Encoder
from pose_core.skeleton import COCO17, MEDIAPIPE33
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks import NETWORKS
from pose_train.lifter.networks._pof_graph import LimbInputs, LimbOutputs, adjacency, relations
from pose_train.lifter.networks.pof_gcn import normalised
from pose_train.lifter.networks.pof_semgcn import SemanticConvolution
from pose_train.trunk.network import parameters

POF = [name for name in NETWORKS.files() if name.startswith("pof_")]
LIMB = {name: limb for limb, name in enumerate(limbs.NAMES)}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


def small(name: str) -> LiftingNetwork:
    return NETWORKS.from_file(name)(NETWORKS.from_file(name).Config.small())


def temporal(frames: int = 6) -> tuple[LiftingNetwork, Tensor, Tensor]:
    return (
        small("pof_semgcn_temporal").eval(),
        torch.rand(2, frames, 17, 3),
        torch.rand(2, frames, len(CONTEXT)),
    )


def neighbours(kind: str, name: str) -> set[str]:
    return {limbs.NAMES[other] for other in np.flatnonzero(relations()[kind][LIMB[name]])}


def test_the_four_networks_are_there_in_their_sizes() -> None:
    assert POF == ["pof_gcn", "pof_semgcn", "pof_semgcn_temporal", "pof_transformer"]
    sizes = {name: parameters(NETWORKS.from_file(name)(NETWORKS.from_file(name).Config())) for name in POF}
    assert all(300_000 < size < 2_000_000 for size in sizes.values()), sizes
    config = NETWORKS.from_file("pof_transformer").Config()
    assert (config.width, config.layers, config.heads) == (128, 6, 8)
    assert {
        (NETWORKS.from_file(name).Config().width, NETWORKS.from_file(name).Config().blocks)
        for name in POF[:3]
    } == {(256, 4)}


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("kinematic", "left_elbow-left_wrist", {"left_shoulder-left_elbow"}),
        ("kinematic", "right_knee-right_ankle", {"right_hip-right_knee"}),
        (
            "kinematic",
            "left_hip-left_knee",
            {
                "left_knee-left_ankle",
                "left_hip-right_hip",
                "left_shoulder-left_hip",
                "right_shoulder-left_hip",
            },
        ),
        ("kinematic", "left_shoulder-left_elbow", {"left_elbow-left_wrist", "left_shoulder-right_shoulder"}),
        (
            "kinematic",
            "right_shoulder-right_elbow",
            {"right_elbow-right_wrist", "left_shoulder-right_shoulder"},
        ),
        ("sharing", "left_shoulder-left_elbow", {"left_shoulder-left_hip", "left_shoulder-right_hip"}),
        (
            "sharing",
            "left_shoulder-left_hip",
            {"left_shoulder-left_elbow", "left_shoulder-right_hip", "right_shoulder-left_hip"},
        ),
        ("sharing", "left_elbow-left_wrist", set()),
        ("symmetry", "left_knee-left_ankle", {"right_knee-right_ankle"}),
        ("symmetry", "left_shoulder-right_hip", {"right_shoulder-left_hip"}),
        ("symmetry", "left_hip-right_hip", set()),
    ],
)
def test_edges_of_limbs_one_can_check_by_hand(kind: str, name: str, expected: set[str]) -> None:
    assert neighbours(kind, name) == expected


def test_the_graph_as_a_whole() -> None:
    kinds = np.array(list(relations().values()))
    assert (kinds.sum(0) <= 1).all(), "an edge is of one kind"
    assert not kinds.diagonal(axis1=1, axis2=2).any()
    np.testing.assert_array_equal(kinds, kinds.transpose(0, 2, 1))
    np.testing.assert_array_equal(kinds, kinds[:, limbs.FLIP][:, :, limbs.FLIP])
    assert relations()["symmetry"].sum() == 12
    ends = [set(limb) for limb in limbs.LIMBS]
    meets = np.array([[bool(a & b) and a != b for b in ends] for a in ends])
    np.testing.assert_array_equal(kinds[0] | kinds[1], meets)
    reach = np.linalg.matrix_power((adjacency() | np.eye(14, dtype=bool)).astype(int), 5)
    assert (reach > 0).all(), "within five edges of each other, as pof_semgcn says"


def test_fixed_weights_of_a_chain_of_three() -> None:
    """Degrees with themselves 2, 3, 2."""
    graph = normalised(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]))
    a, b = 1 / 2, 1 / np.sqrt(6)
    np.testing.assert_allclose(graph, [[a, b, 0], [b, 1 / 3, b], [0, b, a]], rtol=1e-6)


@torch.no_grad()
def test_semantic_weights_are_an_average_over_neighbours_alone() -> None:
    layer = SemanticConvolution(8, groups=2)
    torch.nn.init.normal_(layer.edges)
    weights = layer.weights()
    np.testing.assert_array_equal(weights[1] > 0.0, adjacency())
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 14))
    x = torch.randn(3, 5, 14, 8)
    for weight in (layer.itself.weight, layer.itself.bias):
        weight.zero_()
    layer.others.weight.copy_(torch.eye(8))
    found = layer(x)
    torch.testing.assert_close(found[..., :4], torch.einsum("lm,btmd->btld", weights[0], x[..., :4]))
    torch.testing.assert_close(found[..., 4:], torch.einsum("lm,btmd->btld", weights[1], x[..., 4:]))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pof_semgcn", {"groups": 3}),
        ("pof_semgcn_temporal", {"groups": 3}),
        ("pof_transformer", {"heads": 3}),
    ],
)
def test_parts_must_divide_the_width(name: str, change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(change))} must divide width, got 3 .* for width"):
        NETWORKS.from_file(name)(NETWORKS.from_file(name).Config(**change))


def test_inputs_of_a_known_limb() -> None:
    keypoints = torch.zeros(17, 3)
    keypoints[COCO17.index("left_elbow")] = torch.tensor([1.0, 2.0, 0.5])
    keypoints[COCO17.index("left_wrist")] = torch.tensor([4.0, 6.0, 0.8])
    limb = LimbInputs("coco17")(keypoints)[LIMB["left_elbow-left_wrist"]]
    torch.testing.assert_close(limb, torch.tensor([1.0, 2.0, 0.5, 4.0, 6.0, 0.8, 3.0, 4.0, 5.0]))


@torch.no_grad()
def test_before_training_limbs_point_where_their_keypoints_do(scene) -> None:
    xy = scene().xyz[MEDIAPIPE33.indices(*COCO17.joints)]
    xy = xy[:, :2] / xy[:, 2:]
    view = Encoder("coco17").view(xy, np.ones(17))
    inputs = LimbInputs("coco17")(torch.from_numpy(view.joints))
    found = LimbOutputs()(torch.zeros(14, 4), inputs)["limbs"].numpy()
    flat = limbs.directions(view.joints[:, :2], COCO17)
    np.testing.assert_allclose(found[:, :2], flat, atol=1e-6)
    np.testing.assert_array_equal(found[:, 2], 0.0)


def test_limbs_without_any_direction_have_finite_gradients() -> None:
    keypoints = torch.zeros(17, 3, requires_grad=True)
    outputs = LimbOutputs()
    found = outputs(torch.zeros(14, 4), LimbInputs("coco17")(keypoints))["limbs"]
    found.sum().backward()
    assert not found.any()
    assert keypoints.grad is not None
    assert torch.isfinite(keypoints.grad).all()
    assert torch.isfinite(outputs.scale.grad).all()


@torch.no_grad()
def test_the_face_matters_though_it_has_no_limb() -> None:
    for name in POF:
        network = small(name).eval()
        joints, context = torch.rand(1, 2, 17, 3), torch.zeros(1, 2, len(CONTEXT))
        before = network(joints, context)["toward"]
        joints[..., COCO17.index("nose"), 0] += 1.0
        assert (network(joints, context)["toward"] - before).abs().max() > 1e-4, name


@torch.no_grad()
def test_teacher_forcing_with_its_own_answers_is_the_roll_out() -> None:
    network, joints, context = temporal()
    alone = network(joints, context)
    own = torch.cat([torch.zeros(2, 1, 14, 3), alone["limbs"][:, :-1]], 1)
    forced = network(joints, context, previous=own)
    for name in ("limbs", "toward"):
        torch.testing.assert_close(forced[name], alone[name], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_given_past_reaches_its_frame_alone() -> None:
    network, joints, context = temporal()
    past = functional.normalize(torch.randn(2, 6, 14, 3), dim=-1)
    before = network(joints, context, past)["toward"]
    past[:, 3] = -past[:, 3]
    changed = (network(joints, context, past)["toward"] - before).abs().amax((0, 2))
    assert changed[3] > 1e-4
    assert not changed[[0, 1, 2, 4, 5]].any()


def test_the_roll_out_learns_through_time() -> None:
    network, joints, context = temporal()
    joints.requires_grad_()
    network(joints, context)["toward"][:, 4].sum().backward()
    assert joints.grad is not None
    reached = joints.grad.abs().amax((0, 2, 3))
    assert (reached[:5] > 0.0).all()
    assert reached[5] == 0.0


def poses(count: int, scene) -> tuple[Tensor, Tensor]:
    """Keypoints (2 n, 1, 17, 3) and directions (2 n, 1, 14, 3) of a figure turned about, then of the same in the mirror."""
    joints, truth = [], []
    encoder = Encoder("coco17")
    for angle in np.linspace(0.0, 2.0 * np.pi, count, endpoint=False):
        xyz = scene((0.0, 0.0, 4.0), turn=Rotation.from_euler("y", angle).as_matrix()).xyz
        xyz = xyz[MEDIAPIPE33.indices(*COCO17.joints)]
        for person in (xyz, (xyz * (-1.0, 1.0, 1.0))[COCO17.flip]):
            view = encoder.view(person[:, :2] / person[:, 2:], np.ones(17))
            joints.append(view.joints)
            truth.append(limbs.directions(person @ view.R_cam_view, COCO17))
    order = np.argsort(np.tile([0, 1], count), kind="stable")
    return torch.from_numpy(np.array(joints)[order][:, None]), torch.from_numpy(
        np.array(truth)[order][:, None]
    ).float()


@pytest.mark.parametrize("name", POF)
def test_learns_a_figure_from_all_around_and_its_mirror_image(name: str, scene) -> None:
    joints, truth = poses(8, scene)
    mirrored = torch.from_numpy(limbs.mirrored(truth[:8].numpy()))
    torch.testing.assert_close(mirrored.float(), truth[8:], atol=1e-5, rtol=0.0)
    context = torch.zeros(16, 1, len(CONTEXT))
    network = NETWORKS.from_file(name)(dataclasses.replace(NETWORKS.from_file(name).Config.small(), width=32))
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    toward = (truth[..., 2] < 0.0).float()
    clear = truth[..., 2].abs() > 0.1
    mean_deg, signs, agree = 180.0, 0.0, 0.0
    for _ in range(300):
        optimiser.zero_grad()
        found = network(joints, context)
        error = 1.0 - (found["limbs"] * truth).sum(-1).mean()
        error = error + 0.2 * functional.binary_cross_entropy_with_logits(found["toward"], toward)
        error.backward()
        optimiser.step()
        given = found["limbs"].detach().numpy()
        mean_deg, _ = limbs.angle_error_deg(given, truth.numpy())
        signs = limbs.z_sign_accuracy(given, truth.numpy(), least=0.1)
        agree = float(((found["toward"] > 0.0) == (toward > 0.0))[clear].float().mean())
        if mean_deg < 8.0 and min(signs, agree) > 0.98:
            return
    pytest.fail(f"{mean_deg:.1f} degrees, {signs:.2f} of the signs, {agree:.2f} of the logits")
