"""What every lifting network must do; a file dropped into pose_train/lifter/networks is tested by being there.

Each is tried as `Config.small()` and with every switch of that turned over, every other choice made.
"""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lift3d_node.learned.encoding import MAX_MOTION, MAX_OFFSET, context_names
from lift3d_node.learned.limbs import LIMBS
from pose_core.config import build
from pose_core.skeleton import SKELETONS
from pose_train.lifter.network import (
    NETWORKS,
    OUTPUTS,
    LiftingNetwork,
    Outputs,
    State,
    find,
    names,
    parameters,
)

FRAMES = 16
MILLION = 1_000_000
FEWEST, MOST = MILLION // 10, 6 * MILLION
"""Parameters of a default configuration: what a few hours on two cores can train and one core can run at 30 Hz."""


def variants(name: str) -> Iterator[tuple[str, Any]]:
    """(label, configuration) to try of a network."""
    small = find(name).Config.small()
    yield name, small
    for field in dataclasses.fields(small):
        value = getattr(small, field.name)
        others = (not value,) if isinstance(value, bool) else field.metadata["choices"]
        for other in others:
            if other != value:
                yield f"{name}-{field.name}={other}", dataclasses.replace(small, **{field.name: other})


CASES = [pytest.param(name, config, id=label) for name in names() for label, config in variants(name)]
networks = pytest.mark.parametrize(("name", "config"), CASES)
defaults = pytest.mark.parametrize("name", names())


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


def make(name: str, config: Any) -> LiftingNetwork:
    return find(name)(config).eval()


def inputs(network: LiftingNetwork, batch: int, frames: int) -> tuple[Tensor, Tensor]:
    """Keypoints, a fifth of them missing, and context."""
    joints = torch.randn(batch, frames, len(SKELETONS.get(network.skeleton_in)), 3)
    joints[..., 2] = 0.1 + 0.9 * torch.rand_like(joints[..., 2])
    joints[torch.rand(joints.shape[:-1]) < 0.2] = 0.0
    return joints, 0.3 * torch.randn(batch, frames, len(context_names(asdict(network.config))))


def stream(network: LiftingNetwork, joints: Tensor, context: Tensor) -> Outputs:
    """The same as `forward`, one frame after the other."""
    state = network.initial(len(joints))
    frames = []
    for t in range(joints.shape[1]):
        outputs, state = network.step(joints[:, t], context[:, t], state)
        frames.append(outputs)
    return {name: torch.stack([frame[name] for frame in frames], 1) for name in frames[0]}


def difference(a: Outputs, b: Outputs) -> float:
    """The largest difference of any number."""
    assert a.keys() == b.keys()
    assert all(a[name].shape == b[name].shape for name in a)
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def part(outputs: Outputs, *index: Any) -> Outputs:
    return {name: value[index] for name, value in outputs.items()}


def finite(outputs: Outputs) -> bool:
    return all(bool(torch.isfinite(value).all()) for value in outputs.values())


@defaults
def test_a_file_registers_a_network_of_its_name_and_names_its_source(name):
    network = find(name)
    assert NETWORKS.get(name) is network
    assert network.__module__ == f"pose_train.lifter.networks.{name}"
    assert sys.modules[network.__module__].__doc__
    assert SKELETONS.get(network.skeleton_in)
    assert SKELETONS.get(network.skeleton_out)


def test_an_unknown_network_is_refused_with_the_nearest_known():
    with pytest.raises(
        ValueError, match="unknown network 'single_frame_mpl'; did you mean 'single_frame_mlp'"
    ):
        find("single_frame_mpl")


@defaults
def test_default_size(name):
    network = find(name)
    assert FEWEST <= parameters(network(network.Config())) <= MOST
    assert parameters(network(network.Config.small())) < FEWEST


@networks
def test_configuration_survives_a_file_and_is_described(name, config):
    again = build(find(name).Config, json.loads(json.dumps(dataclasses.asdict(config))))
    assert again == config
    assert all(field.metadata.get("description") for field in dataclasses.fields(config))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, dataclasses.fields(config)[0].name, None)


@defaults
def test_values_out_of_range_are_refused_by_name(name):
    small = find(name).Config.small()
    low = [field for field in dataclasses.fields(small) if field.metadata["low"] is not None]
    assert low
    for field in low:
        below = type(getattr(small, field.name))(field.metadata["low"] - 1)
        with pytest.raises(ValueError, match=field.name):
            find(name)(dataclasses.replace(small, **{field.name: below}))


@networks
def test_outputs_have_their_names_and_shapes(name, config):
    network = make(name, config)
    joints = len(SKELETONS.get(network.skeleton_out))
    shapes = {
        "xyz": (joints, 3),
        "log_std": (joints, 2),
        "centres": (17, 3),
        "centres_log_std": (17, 2),
        "limbs": (len(LIMBS), 3),
        "toward": (len(LIMBS),),
    }
    x, context = inputs(network, 2, FRAMES)
    outputs = network(x, context)
    stepped, _ = network.step(x[:, 0], context[:, 0], network.initial(2))
    assert set(outputs) <= set(OUTPUTS)
    assert set(outputs) == set(stepped)
    assert "xyz" in outputs or "limbs" in outputs
    for output, value in outputs.items():
        expected = shapes.get(output, tuple(value.shape[2:]))
        assert (value.shape, value.dtype) == ((2, FRAMES, *expected), torch.float32)
        assert (stepped[output].shape, stepped[output].dtype) == ((2, *expected), torch.float32)
    assert outputs.get("ratios", torch.zeros(1, 1, 1)).dim() == 3


@networks
def test_the_root_is_the_origin_and_directions_have_length_one(name, config):
    network = make(name, config)
    outputs = network(*inputs(network, 2, FRAMES))
    for output, skeleton in (("xyz", network.skeleton_out), ("centres", "h36m17")):
        if output in outputs:
            root = SKELETONS.get(skeleton).root_of(outputs[output].detach().numpy())
            np.testing.assert_allclose(root, 0.0, atol=1e-6)
    if "limbs" in outputs:
        torch.testing.assert_close(outputs["limbs"].norm(dim=-1), torch.ones(2, FRAMES, len(LIMBS)))


@networks
@torch.no_grad()
def test_little_or_nothing_seen_gives_finite_numbers(name, config):
    network = make(name, config)
    joints, context = inputs(network, 3, FRAMES)
    joints[0], context[0] = 0.0, 0.0  # nobody
    joints[1] = 0.0
    joints[1, :, 4] = torch.tensor(
        [MAX_OFFSET, -MAX_OFFSET, 1.0]
    )  # one joint, as far out as the encoding allows
    context[1] = MAX_MOTION * (1.0 - 2.0 * (torch.arange(FRAMES) % 2))[:, None]
    joints[2, 5:9] = 0.0  # out of sight for a while
    assert finite(network(joints, context))
    assert finite(stream(network, joints, context))


@networks
@torch.no_grad()
def test_people_of_a_batch_do_not_depend_on_each_other(name, config):
    network = make(name, config)
    joints, context = inputs(network, 3, FRAMES)
    together = network(joints, context)
    alone = network(joints[1:2], context[1:2])
    assert difference(part(together, slice(1, 2)), alone) < 1e-5
    order = [2, 0, 1]
    assert difference(network(joints[order], context[order]), part(together, order)) < 1e-5


@networks
@torch.no_grad()
def test_the_future_changes_nothing_and_the_present_does(name, config):
    network = make(name, config)
    joints, context = inputs(network, 2, FRAMES)
    before = network(joints, context)
    other, moved = inputs(network, 2, FRAMES)
    changed = 9
    joints[:, changed:], context[:, changed:] = other[:, changed:], moved[:, changed:]
    after = network(joints, context)
    assert (
        difference(part(after, slice(None), slice(changed)), part(before, slice(None), slice(changed))) < 1e-6
    )
    answered = changed + network.look_ahead
    assert answered < FRAMES, "the small configuration looks too far ahead for this test"
    assert difference(part(after, slice(None), answered), part(before, slice(None), answered)) > 1e-4


@networks
@torch.no_grad()
def test_frame_by_frame_equals_the_whole_sequence(name, config):
    network = make(name, config)
    joints, context = inputs(network, 2, 3 * FRAMES)
    assert difference(stream(network, joints, context), network(joints, context)) < 1e-5


@networks
@torch.no_grad()
def test_state_keeps_its_size_and_is_not_written_to(name, config):
    network = make(name, config)
    joints, context = inputs(network, 2, FRAMES)
    state = network.initial(2)
    shapes = [tuple(s.shape) for s in state]
    assert all(shape[0] == 2 for shape in shapes)
    assert [(1, *shape[1:]) for shape in shapes] == [tuple(s.shape) for s in network.initial(1)]
    for t in range(FRAMES):
        kept = [s.clone() for s in state]
        _, following = network.step(joints[:, t], context[:, t], state)
        assert all(torch.equal(a, b) for a, b in zip(state, kept, strict=True))
        assert [tuple(s.shape) for s in following] == shapes
        assert all(s.dtype == torch.float32 and bool(torch.isfinite(s).all()) for s in following)
        state = following


@networks
@torch.no_grad()
def test_people_who_came_at_different_times_share_a_batch(name, config):
    network = make(name, config)
    joints, context = inputs(network, 2, FRAMES)
    came = (0, 6)
    states: list[State] = []
    for person, first in enumerate(came):
        state = network.initial(1)
        for t in range(first, 8):
            _, state = network.step(joints[person, t][None], context[person, t][None], state)
        states.append(state)
    both = [torch.cat(pair) for pair in zip(*states, strict=True)]
    together, _ = network.step(joints[:, 8], context[:, 8], both)
    for person, first in enumerate(came):
        whole = network(joints[person : person + 1, first:9], context[person : person + 1, first:9])
        assert difference(part(together, slice(person, person + 1)), part(whole, slice(None), -1)) < 1e-5


@networks
@torch.no_grad()
def test_a_saved_network_is_the_same_again(name, config):
    network = make(name, config)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    again = make(name, config)
    joints, context = inputs(network, 1, FRAMES)
    assert difference(again(joints, context), network(joints, context)) > 1e-4
    again.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert difference(again(joints, context), network(joints, context)) == 0.0


class Exported(nn.Module):
    """`step` with its names flattened, as an exported file has it."""

    def __init__(self, network: LiftingNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, joints: Tensor, context: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        outputs, following = self.network.step(joints, context, list(state))
        return (*(outputs[name] for name in OUTPUTS if name in outputs), *following)


def export(network: LiftingNetwork) -> onnxruntime.InferenceSession:
    """ONNX Runtime with the step of a network, for any batch. A branch of ours on values is an error."""
    joints, context = inputs(network, 2, 1)
    state = network.initial(2)
    given = [name for name in OUTPUTS if name in network(joints, context)]
    names_in = ["joints", "context", *(f"state_{i}" for i in range(len(state)))]
    names_out = [*given, *(f"next_{i}" for i in range(len(state)))]
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "Converting a tensor to a Python boolean", module="lift3d_node")
        torch.onnx.export(
            Exported(network).eval(),
            (joints[:, 0], context[:, 0], *state),
            file,
            input_names=names_in,
            output_names=names_out,
            dynamic_axes={name: {0: "people"} for name in (*names_in, *names_out)},
            opset_version=17,
            dynamo=False,
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])


@networks
@torch.no_grad()
def test_exported_step_gives_the_same_for_any_number_of_people(name, config):
    network = make(name, config)
    session = export(network)
    names_out = [output.name for output in session.get_outputs()]
    for people in (1, 3):
        joints, context = inputs(network, people, FRAMES)
        joints[:, 5:8], context[:, 5:8] = 0.0, 0.0
        expected = network(joints, context)
        state = [s.numpy() for s in network.initial(people)]
        for t in range(FRAMES):
            feeds = {"joints": joints[:, t].numpy(), "context": context[:, t].numpy()}
            feeds |= {f"state_{i}": s for i, s in enumerate(state)}
            found = dict(zip(names_out, session.run(None, feeds), strict=True))
            state = [found[f"next_{i}"] for i in range(len(state))]
            for output, value in expected.items():
                np.testing.assert_allclose(found[output], value[:, t].numpy(), atol=2e-5)


def loss(outputs: Outputs, targets: Outputs, delay: int) -> Tensor:
    """Mean squared error of what has a target, cross entropy of the limbs' signs; of frames whose answer has come."""
    total = torch.zeros(())
    for name, target in targets.items():
        if name in outputs:
            answer, target = outputs[name][:, delay:], target[:, : target.shape[1] - delay]
            total = total + (
                functional.binary_cross_entropy_with_logits(answer, target)
                if name == "toward"
                else functional.mse_loss(answer, target)
            )
    return total


@networks
def test_learns_one_batch_and_every_parameter_takes_part(name, config):
    network = make(name, config)
    joints, context = inputs(network, 4, 6 + network.look_ahead)
    shape = joints.shape[:2]

    def rooted(skeleton: str) -> Tensor:
        xyz = 0.3 * torch.randn(*shape, len(SKELETONS.get(skeleton)), 3)
        return xyz - torch.from_numpy(SKELETONS.get(skeleton).root_of(xyz.numpy())).float()[..., None, :]

    limbs = functional.normalize(torch.randn(*shape, len(LIMBS), 3), dim=-1)
    targets = {
        "xyz": rooted(network.skeleton_out),
        "centres": rooted("h36m17"),
        "limbs": limbs,
        "toward": (limbs[..., 2] < 0.0).float(),
    }
    sum(value.square().mean() for value in network(joints, context).values()).backward()
    idle = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert all(bool(torch.isfinite(p.grad).all()) for p in network.parameters() if p.grad is not None)
    assert not idle
    optimiser = torch.optim.Adam(network.train().parameters(), lr=1e-2)
    first = last = float("nan")
    for step in range(150):
        optimiser.zero_grad()
        error = loss(network(joints, context), targets, network.look_ahead)
        error.backward()
        optimiser.step()
        first, last = (error.item() if step == 0 else first), error.item()
        if last < 0.3 * first:
            break
    assert last < 0.3 * first
