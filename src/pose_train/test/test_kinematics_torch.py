"""Rotations and forward kinematics in torch do what NumPy's do, and can be trained and exported."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose_core.geometry import rotations
from pose_core.geometry.kinematics import BodyTree
from pose_core.skeleton import SKELETONS

torch = pytest.importorskip("torch", reason="needs torch, which `make test` installs")
twin = pytest.importorskip("pose_train.refiner.networks._kinematics")

NAMES = SKELETONS.names()
TREES = {name: BodyTree(SKELETONS.get(name)) for name in NAMES}
PRECISION = {torch.float64: 1e-12, torch.float32: 1e-5}

every = pytest.mark.parametrize("name", NAMES)
precisions = pytest.mark.parametrize("dtype", list(PRECISION))
seeds = st.integers(0, 2**32 - 1)


def random_lengths(tree: BodyTree, rng: np.random.Generator, *shape: int) -> np.ndarray:
    """(*shape, B) alike on both sides."""
    return rng.uniform(0.05, 0.5, (*shape, int(tree.pairs.max()) + 1))[..., tree.pairs]


def random_rotations(rng: np.random.Generator, *shape: int) -> np.ndarray:
    turns = Rotation.random(int(np.prod(shape)), random_state=rng)
    return turns.as_matrix().reshape(*shape, 3, 3)


@precisions
@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_six_numbers_agree_with_numpy(dtype, seed):
    six = np.random.default_rng(seed).normal(size=(3, 4, 6))
    made = twin.matrix_of_6d(torch.tensor(six, dtype=dtype))
    assert made.dtype == dtype
    x, y = six[..., :3], six[..., 3:]
    slant = np.linalg.norm(np.cross(x, y), axis=-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)
    tolerance = PRECISION[dtype] / min(1.0, float(slant.min()))  # nearly parallel ones magnify rounding
    np.testing.assert_allclose(made.numpy(), rotations.matrix_of_6d(six), rtol=0, atol=tolerance)


@every
@precisions
@settings(max_examples=5, deadline=None)
@given(seed=seeds)
def test_joints_agree_with_numpy(name, dtype, seed):
    tree, rng = TREES[name], np.random.default_rng(seed)
    turns, lengths = random_rotations(rng, 2, 3, len(tree.heads)), random_lengths(tree, rng, 2, 1)
    root = rng.normal(size=(2, 3, 3))
    module = twin.ForwardKinematics(tree, dtype)
    arrays = [torch.tensor(array, dtype=dtype) for array in (turns, lengths, root)]
    joints = module(*arrays)
    assert joints.dtype == dtype
    np.testing.assert_allclose(
        joints.numpy(), tree.forward(turns, lengths, root), rtol=0, atol=PRECISION[dtype]
    )
    np.testing.assert_allclose(
        module(*arrays[:2]).numpy(), tree.forward(turns, lengths), rtol=0, atol=PRECISION[dtype]
    )


@every
def test_whatever_a_network_says_bones_keep_their_lengths_and_virtual_points_are_means(name):
    tree, rng = TREES[name], np.random.default_rng(3)
    module = twin.ForwardKinematics(tree, torch.float64)
    six = torch.tensor(10.0 * rng.normal(size=(7, len(tree.heads), 6)))
    lengths = rng.uniform(0.05, 0.5, (7, len(tree.child)))  # tied bones differ here
    joints = module(twin.matrix_of_6d(six), torch.tensor(lengths)).numpy()
    kept = np.where(tree.tied, lengths[:, tree.heads[tree.groups]], lengths)
    np.testing.assert_allclose(tree.skeleton.bone_lengths(joints), kept, rtol=0, atol=1e-9)
    np.testing.assert_allclose(tree.skeleton.root_of(joints), np.zeros((7, 3)), rtol=0, atol=1e-9)


@every
def test_lengths_by_pairs_are_alike_on_both_sides(name):
    tree = TREES[name]
    module = twin.ForwardKinematics(tree)
    lengths = torch.arange(int(tree.pairs.max()) + 1)[module.pairs].numpy()
    np.testing.assert_array_equal(lengths[tree.mirror], lengths)


def test_the_identity_is_the_rest_pose():
    tree = TREES["mediapipe33"]
    six = torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(len(tree.heads), 6)
    joints = twin.ForwardKinematics(tree)(
        twin.matrix_of_6d(six), torch.tensor(tree.standing_lengths, dtype=torch.float32)
    )
    nose, heel = tree.skeleton.indices("nose", "left_heel")
    np.testing.assert_allclose(joints[nose].numpy(), [0.0, 0.914 - 0.530, 0.064], rtol=0, atol=1e-6)
    np.testing.assert_allclose(joints[heel].numpy(), [0.051, 0.005 - 0.530, -0.029], rtol=0, atol=1e-6)


def leaf(rng: np.random.Generator, *shape: int) -> object:
    return torch.tensor(rng.normal(size=shape), requires_grad=True)


def test_gradients_of_rotations():
    rng = np.random.default_rng(0)
    assert torch.autograd.gradcheck(twin.matrix_of_6d, leaf(rng, 4, 6))


@pytest.mark.parametrize("name", ["h36m17", "coco17"])
def test_gradients_of_joints(name):
    tree, rng = TREES[name], np.random.default_rng(1)
    module = twin.ForwardKinematics(tree, torch.float64)

    def joints(six, lengths, root):
        return module(twin.matrix_of_6d(six), lengths, root)

    arguments = leaf(rng, 1, len(tree.heads), 6), leaf(rng, 1, len(tree.child)), leaf(rng, 1, 3)
    assert torch.autograd.gradcheck(joints, arguments)


@precisions
def test_gradients_are_finite_where_numbers_tell_no_rotation(dtype):
    six = torch.tensor([[0.0, 0, 0, 0, 0, 0], [1, 2, 3, 2, 4, 6], [0, 0, 0, 1, 0, 0]], dtype=dtype)
    six.requires_grad_()
    made = twin.matrix_of_6d(six)
    made.sum().backward()
    assert torch.isfinite(made).all()
    assert torch.isfinite(six.grad).all()


def test_what_follows_from_the_skeleton_is_not_saved():
    module = twin.ForwardKinematics(TREES["mediapipe33"])
    assert module.state_dict() == {}
    assert list(module.parameters()) == []


@pytest.mark.parametrize("name", ["h36m17", "mediapipe33"])
def test_an_exported_decoder_gives_the_same_joints(name):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    tree, rng = TREES[name], np.random.default_rng(2)

    class Decoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kinematics = twin.ForwardKinematics(tree)

        def forward(self, six, lengths):
            return self.kinematics(twin.matrix_of_6d(six), lengths[..., self.kinematics.pairs])

    def example(people: int) -> list[torch.Tensor]:
        shapes = (4, len(tree.heads), 6), (1, int(tree.pairs.max()) + 1)
        return [torch.tensor(rng.normal(size=(people, *shape)), dtype=torch.float32) for shape in shapes]

    decoder, names, file = Decoder().eval(), ["six", "lengths"], io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            decoder,
            tuple(example(2)),
            file,
            input_names=names,
            output_names=["joints"],
            dynamic_axes={name: {0: "people"} for name in (*names, "joints")},
            opset_version=17,
            dynamo=False,
        )
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for people in (1, 3):
        inputs = example(people)
        (joints,) = session.run(None, {name: t.numpy() for name, t in zip(names, inputs, strict=True)})
        np.testing.assert_allclose(joints, decoder(*inputs).numpy(), rtol=0, atol=1e-4)
