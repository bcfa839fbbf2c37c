"""What every network of every family must do: a file dropped into a folder `networks`, or a family of one's own, is tested by
being there.

Each network is tried as `Config.small()`, with every switch turned over, every other choice made, another skeleton, and every
number of parts that may be 0 at 0; what takes longer as `Config.small()` alone. What only one of them promises stands in the
tests of its family.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pose_core.config import build
from pose_core.networks.model_card import Card
from pose_core.networks.runtime import OnnxSession, empty_state
from pose_core.skeleton import SKELETONS
from pose_train.data.stored import Made
from pose_train.testing import stream
from pose_train.trunk import checkpoint, export
from pose_train.trunk.checkpoint import Checkpoint
from pose_train.trunk.family import AnyFamily, families, find, names
from pose_train.trunk.network import Outputs, State, StreamingNetwork, parameters
from pose_train.trunk.training import Training

FRAMES = 20
CHANGED = 9
"""The frame from which on the future is another one."""
MOST = 6_000_000
"""Parameters of a default configuration: what a few hours on two cores can train and one core can run at 30 Hz."""
OTHER_SKELETON = "h36m17"


def variants(family: AnyFamily, name: str) -> Iterator[tuple[str, Any]]:
    """(label, configuration) to try of a network."""
    small = family.find(name).Config.small()
    yield f"{family.name}-{name}", small
    for field in dataclasses.fields(small):
        value = getattr(small, field.name)
        others: tuple[Any, ...] = field.metadata["choices"]
        if isinstance(value, bool):
            others = (not value,)
        elif field.name == "skeleton":
            others = (OTHER_SKELETON,)
        elif isinstance(value, int) and field.metadata["low"] == 0:
            others = (0,)
        for other in others:
            if other != value:
                changed = dataclasses.replace(small, **{field.name: other})
                yield f"{family.name}-{name}-{field.name}={other}", changed


NETWORKS = [(family, name) for family in families() for name in family.networks.files()]
networks = pytest.mark.parametrize(
    ("family", "name", "config"),
    [
        pytest.param(family, name, config, id=label)
        for family, name in NETWORKS
        for label, config in variants(family, name)
    ],
)
defaults = pytest.mark.parametrize(
    ("family", "name"), [pytest.param(*one, id=f"{one[0].name}-{one[1]}") for one in NETWORKS]
)
each_family = pytest.mark.parametrize("family", [pytest.param(find(name), id=name) for name in names()])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


def make(family: AnyFamily, name: str, config: Any) -> StreamingNetwork:
    """A network as if it had been trained: untrained ones of some families change nothing."""
    network = family.find(name)(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def small(family: AnyFamily, name: str) -> StreamingNetwork:
    return make(family, name, family.find(name).Config.small())


def card_of(family: AnyFamily, network: StreamingNetwork) -> Card:
    """With values for what the network cannot tell."""
    told: dict[str, Any] = {"std": (0.05,), "skeleton": "mediapipe33"}
    card: Card = family.describe(
        network, "nothing", {"degrees": 0.5}, **{field: told[field] for field in family.told}
    )
    return card


def inputs(family: AnyFamily, network: StreamingNetwork, people: int, frames: int, seed: int = 0):
    """What the family tries its networks with, frame after frame; joints (B, T, J, F), some of them missing, and context."""
    card = card_of(family, network)
    each = [family.example(card, people, seed=1000 * seed + t) for t in range(frames)]
    return tuple(torch.stack(part, 1) for part in zip(*each, strict=True))


def difference(a: Outputs, b: Outputs) -> float:
    """The largest difference of any number, relative to 1 + the number."""
    assert a.keys() == b.keys()
    assert all(a[name].shape == b[name].shape for name in a)
    return max(float(((a[name] - b[name]).abs() / (1.0 + b[name].abs())).max()) for name in a)


def part(outputs: Outputs, *index: Any) -> Outputs:
    return {name: value[index] for name, value in outputs.items()}


def finite(outputs: Outputs) -> bool:
    return all(bool(torch.isfinite(value).all()) for value in outputs.values())


def delays(network: StreamingNetwork) -> tuple[int, ...]:
    """Frames that each answer waits for, as the network declares them."""
    return getattr(network, "look_aheads", None) or (getattr(network, "look_ahead", 0),)


def test_families_are_found_by_their_folders():
    assert names() == sorted(names())
    assert set(names()) >= {"lifter", "refiner", "angle"}
    for family in families():
        assert find(family.name) is family
    with pytest.raises(ValueError, match="unknown family 'lifters'; did you mean 'lifter'"):
        find("lifters")


def test_no_two_families_have_a_card_or_a_command_in_common():
    for told in ("command", "card"):
        assert len({getattr(family, told) for family in families()}) == len(names())
    assert len({family.card.KEY for family in families()}) == len(names())


@each_family
def test_what_is_trained_by_default_exists_and_recipes_are_for_networks(family: AnyFamily):
    for name in {family.default, *family.recipes}:
        plan = family.recipe(name)
        kind = family.find(plan.network or name)
        build(kind.Config, dict(plan.config))
        assert max(plan.clip_lengths) <= Made.frames
    assert family.recipe("nobody's") is family.plain


@defaults
def test_a_file_registers_a_network_of_its_name_and_names_its_source(family: AnyFamily, name: str):
    network = family.find(name)
    assert family.networks.get(name) is network
    assert issubclass(network, family.network)
    assert network.__module__ == f"{family.networks.package.__name__}.{name}"
    assert sys.modules[network.__module__].__doc__
    with pytest.raises(ValueError, match=f"unknown network '{name}s'; did you mean '{name}'"):
        family.find(f"{name}s")


@defaults
def test_default_size(family: AnyFamily, name: str):
    network = family.find(name)
    full = parameters(network(network.Config()))
    assert full <= MOST
    assert parameters(network(network.Config.small())) < full / 2


@networks
def test_configuration_survives_a_file_and_is_described(family: AnyFamily, name: str, config: Any):
    again = build(family.find(name).Config, json.loads(json.dumps(dataclasses.asdict(config))))
    assert again == config
    assert all(field.metadata.get("description") for field in dataclasses.fields(config))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, dataclasses.fields(config)[0].name, None)


@defaults
def test_values_out_of_range_are_refused_by_name(family: AnyFamily, name: str):
    config = family.find(name).Config.small()
    low = [field for field in dataclasses.fields(config) if field.metadata["low"] is not None]
    assert low
    for field in low:
        below = type(getattr(config, field.name))(field.metadata["low"] - 1)
        with pytest.raises(ValueError, match=field.name):
            family.find(name)(dataclasses.replace(config, **{field.name: below}))
    if hasattr(config, "skeleton"):
        with pytest.raises(ValueError, match="unknown skeleton 'h37m17'"):
            family.find(name)(dataclasses.replace(config, skeleton="h37m17"))


@networks
@torch.no_grad()
def test_outputs_are_those_of_the_card(family: AnyFamily, name: str, config: Any):
    network = make(family, name, config)
    card = card_of(family, network)
    joints, context = inputs(family, network, 2, FRAMES)
    outputs = network(joints, context)
    stepped, _ = network.step(joints[:, 0], context[:, 0], network.initial(2))
    assert tuple(stepped) == card.outputs
    assert set(outputs) == set(card.outputs) <= set(family.networks.outputs)
    assert card.skeleton_of_outputs in SKELETONS
    for output, value in outputs.items():
        shape = card.shapes.get(output, tuple(value.shape[2:]))
        assert (value.shape, value.dtype) == ((2, FRAMES, *shape), torch.float32)
        assert (stepped[output].shape, stepped[output].dtype) == ((2, *shape), torch.float32)


@networks
@torch.no_grad()
def test_little_or_nothing_seen_gives_finite_numbers(family: AnyFamily, name: str, config: Any):
    for network in (make(family, name, config), family.find(name)(config).eval()):
        joints, context = inputs(family, network, 3, FRAMES)
        joints[0], context[0] = 0.0, 0.0  # nobody
        joints[1, :, 1:] = 0.0  # a single joint
        joints[2, 5:9] = 0.0  # out of sight for a while
        assert finite(network(joints, context))
        assert finite(stream(network, joints, context))


@networks
@torch.no_grad()
def test_people_of_a_batch_do_not_depend_on_each_other(family: AnyFamily, name: str, config: Any):
    network = make(family, name, config)
    joints, context = inputs(family, network, 3, FRAMES)
    together = network(joints, context)
    assert difference(part(together, slice(1, 2)), network(joints[1:2], context[1:2])) < 1e-5
    order = [2, 0, 1]
    assert difference(network(joints[order], context[order]), part(together, order)) < 1e-5


@networks
@torch.no_grad()
def test_the_future_changes_nothing_and_the_frame_described_does(family: AnyFamily, name: str, config: Any):
    network = make(family, name, config)
    joints, context = inputs(family, network, 2, FRAMES)
    before = network(joints, context)
    other, moved = inputs(family, network, 2, FRAMES, seed=1)
    joints[:, CHANGED:], context[:, CHANGED:] = other[:, CHANGED:], moved[:, CHANGED:]
    after = network(joints, context)
    past = (slice(None), slice(CHANGED))
    assert difference(part(after, *past), part(before, *past)) < 1e-6
    assert CHANGED + max(delays(network)) < FRAMES, (
        "the small configuration looks too far ahead for this test"
    )
    for k, delay in enumerate(delays(network)):
        answer = (slice(None), CHANGED + delay, *((k,) if hasattr(network, "look_aheads") else ()))
        assert difference(part(after, *answer), part(before, *answer)) > 1e-4


@networks
@torch.no_grad()
def test_frame_by_frame_equals_the_whole_sequence(family: AnyFamily, name: str, config: Any):
    network = make(family, name, config)
    joints, context = inputs(family, network, 2, 3 * FRAMES)
    # Noise may put a direction between two that are nearly opposite, where rounding counts for more.
    assert difference(stream(network, joints, context), network(joints, context)) < 5e-5


@networks
@torch.no_grad()
def test_state_starts_as_zero_keeps_its_size_and_is_not_written_to(family: AnyFamily, name: str, config: Any):
    network = make(family, name, config)
    joints, context = inputs(family, network, 2, FRAMES)
    state = network.initial(2)
    shapes = [tuple(s.shape) for s in state]
    assert not any(bool(s.any()) for s in state)
    assert all(shape[0] == 2 and 0 not in shape for shape in shapes)
    assert [shape[1:] for shape in shapes] == list(card_of(family, network).state)
    for t in range(FRAMES):
        kept = [s.clone() for s in state]
        _, following = network.step(joints[:, t], context[:, t], state)
        assert all(torch.equal(a, b) for a, b in zip(state, kept, strict=True))
        assert [tuple(s.shape) for s in following] == shapes
        assert all(s.dtype == torch.float32 and bool(torch.isfinite(s).all()) for s in following)
        state = following


@networks
@torch.no_grad()
def test_people_who_came_at_different_times_share_a_batch(family: AnyFamily, name: str, config: Any):
    network = make(family, name, config)
    joints, context = inputs(family, network, 2, FRAMES)
    came, now = (0, 3), FRAMES - 1
    states: list[State] = []
    for person, first in enumerate(came):
        state = network.initial(1)
        for t in range(first, now):
            _, state = network.step(joints[person, t][None], context[person, t][None], state)
        states.append(state)
    both = [torch.cat(pair) for pair in zip(*states, strict=True)]
    together, _ = network.step(joints[:, now], context[:, now], both)
    for person, first in enumerate(came):
        whole = network(joints[person : person + 1, first:], context[person : person + 1, first:])
        assert difference(part(together, slice(person, person + 1)), part(whole, slice(None), -1)) < 5e-5


@networks
def test_every_parameter_takes_part(family: AnyFamily, name: str, config: Any):
    network = make(family, name, config)
    outputs = network(*inputs(family, network, 4, FRAMES))
    sum(value.square().mean() for value in outputs.values()).backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in network.parameters() if p.grad is not None)
    assert not [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]


@networks
@torch.no_grad()
def test_a_checkpoint_gives_the_same_network_of_the_same_family(
    family: AnyFamily, name: str, config: Any, tmp_path: Path
):
    network = make(family, name, config)
    card = card_of(family, network)
    assert type(card).from_json(card.to_json()) == card
    checkpoint.save(tmp_path / "a.pt", Checkpoint(card, network.state_dict(), {"step": 3}))
    found, stored, again = checkpoint.load(tmp_path / "a.pt")
    assert (found, stored) == (family, card)
    assert not again.training
    joints, context = inputs(family, network, 1, FRAMES)
    assert difference(again(joints, context), network(joints, context)) == 0.0
    other = make(family, name, config)
    assert difference(other(joints, context), network(joints, context)) > 1e-4


@defaults
def test_a_checkpoint_of_before_which_names_no_family_still_loads(
    family: AnyFamily, name: str, tmp_path: Path
):
    network = small(family, name)
    card = card_of(family, network)
    weights = {key: value.detach() for key, value in network.state_dict().items()}
    torch.save({"card": card.to_json(), "weights": weights, "progress": {"step": 3}}, tmp_path / "old.pt")
    found, stored, again = checkpoint.load(tmp_path / "old.pt")
    assert (found, stored) == (family, card)
    assert all(torch.equal(value, weights[key]) for key, value in again.state_dict().items())


@defaults
def test_a_file_of_another_family_is_refused_naming_both(family: AnyFamily, name: str, tmp_path: Path):
    network = small(family, name)
    card = card_of(family, network)
    checkpoint.save(tmp_path / "a.pt", Checkpoint(card, network.state_dict()))
    for other in families():
        if other is not family:
            said = f"a.pt' is a network of family {family.name}, not of {other.name}"
            with pytest.raises(ValueError, match=said):
                checkpoint.load_of(other, tmp_path / "a.pt")
            strange = small(other, other.networks.files()[0])
            with pytest.raises(ValueError, match=f"a card of {card.KEY} is not that of a "):
                export.to_onnx(strange, card, tmp_path / "b.onnx")


@defaults
def test_a_card_refuses_a_network_that_is_another(family: AnyFamily, name: str, tmp_path: Path):
    network = small(family, name)
    card = card_of(family, network)
    family.check_fit(card, network)
    numbers = [key for key, value in card.config.items() if type(value) in (int, float)]
    strange: dict[str, Any] = {
        "config": {**card.config, numbers[0]: card.config[numbers[0]] + 1},
        "state": (*card.state, (7,)),
    }
    for field, fact in family.facts(network).items():
        strange[field] = (
            OTHER_SKELETON if isinstance(fact, str) else (0, 77) if isinstance(fact, tuple) else 77
        )
        if strange[field] == fact:
            strange[field] = "coco17"
    for field, value in strange.items():
        other = dataclasses.replace(card, temperature=(1.0,), **{field: value})
        with pytest.raises(ValueError, match=f"trained with {field} .*but network '{name}' has"):
            family.check_fit(other, network)
        with pytest.raises(ValueError, match=f"trained with {field} "):
            export.to_onnx(network, other, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


@networks
@torch.no_grad()
def test_the_exported_file_computes_the_same_for_any_number_of_people(
    family: AnyFamily, name: str, config: Any, tmp_path: Path
):
    network = make(family, name, config)
    card = card_of(family, network)
    export.to_onnx(network, card, tmp_path / "a.onnx", half=False)
    session = OnnxSession(tmp_path / "a.onnx", family.card, "cpu")
    assert session.card == card
    for people in (1, 3):
        joints, context = inputs(family, network, people, FRAMES)
        joints[:, 5:8], context[:, 5:8] = 0.0, 0.0
        expected, state = network(joints, context), empty_state(card, people)
        for t in range(FRAMES):
            found, state = session.run(joints[:, t].numpy().copy(), context[:, t].numpy().copy(), state)
            for output, value in expected.items():
                np.testing.assert_allclose(found[output], value[:, t].numpy(), atol=1e-4, rtol=1e-4)


@defaults
def test_every_network_is_exported_with_half_weights_and_as_torchscript(
    family: AnyFamily, name: str, tmp_path: Path
):
    network = family.find(name)(family.find(name).Config.small()).eval()
    card = card_of(family, network)
    export.to_onnx(network, card, tmp_path / "half.onnx")
    export.to_torchscript(network, card, tmp_path / "a.ts")
    checkpoint.save(tmp_path / "a.pt", Checkpoint(card, network.state_dict()))
    for suffix in ("onnx", "ts"):
        said = export.convert(tmp_path / "a.pt", tmp_path / f"again.{suffix}")
        assert f"'{name}', largest difference from the network" in said
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "half.onnx").read_bytes()


def learning(family: AnyFamily, name: str, data: Path, made: Made, seed: int = 0, **plan: Any):
    """A small network, and what it is to learn, of little data."""
    kind = family.find(name)
    tiny: dict[str, Any] = {
        "steps": 4,
        "frames_per_step": 48,
        "warm_up": 2,
        "validate_every": 2,
        "clip_lengths": (12, 16),
        "length_shares": (0.5, 0.5),
        "final_shares": (0.5, 0.5),
        "config": dataclasses.asdict(kind.Config.small()),
    }
    recipe = dataclasses.replace(family.recipe(name), **{**tiny, **plan})
    source = family.prepare(made if family.lifter else family.data(data, None), lambda done, total: None)
    torch.manual_seed(seed)
    network = family.build(kind, source, recipe)
    return network, family.task(network, source, recipe, 0)


@pytest.fixture(autouse=True)
def few_validation_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pose_train.lifter.task.VALIDATION_CLIPS", 4)
    monkeypatch.setattr("pose_train.lifter.task.VALIDATION_FRAMES", 16)


@defaults
def test_one_batch_is_learnt_by_heart(family: AnyFamily, name: str, data: Path, made: Made):
    network, task = learning(family, name, data, made)
    batch = task.maker()(12, np.random.default_rng(1))
    loss = task.measure(network)
    optimizer = torch.optim.Adam(network.train().parameters(), 1e-2)
    values = []
    for _ in range(200):
        optimizer.zero_grad()
        total, terms = loss(network(batch.joints, batch.context), batch)
        assert terms
        total.backward()
        optimizer.step()
        values.append(float(total.detach()))
        if values[-1] < 0.6 * values[0]:
            break
    assert values[-1] < 0.6 * values[0]


@defaults
def test_an_interrupted_run_ends_with_the_same_weights(
    family: AnyFamily, name: str, data: Path, made: Made, tmp_path: Path
):
    def run(folder: Path, seed: int = 0, stop_after: int = 10**9) -> Training:
        training = Training(*learning(family, name, data, made, seed), folder, workers=0)

        def told(step: int, _measured: object) -> None:
            if step >= stop_after:
                raise KeyboardInterrupt

        try:
            training.run(told)
        except KeyboardInterrupt:
            assert stop_after < 10**9
        return training

    whole = run(tmp_path / "whole")
    run(tmp_path / "parts", stop_after=3)
    resumed = run(tmp_path / "parts", seed=9)
    assert resumed.step == whole.step == 4
    for key, value in whole.result.state_dict().items():
        torch.testing.assert_close(resumed.result.state_dict()[key], value, rtol=0, atol=0, msg=key)
    fresh = learning(family, name, data, made)[0].state_dict()
    assert any(not torch.equal(value, fresh[key]) for key, value in whole.network.state_dict().items())
    measured = whole.task.judge(whole.result, whole.task.validation())
    assert measured
    assert all(np.isfinite(value) for value in measured.values())
