from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from lift3d_node.learned.backends import open_session
from pose_core.config import param
from pose_core.networks.onnx_file import card_of
from pose_core.networks.runtime import empty_state
from pose_train.lifter.family import FAMILY
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks import NETWORKS
from pose_train.trunk.export import HALF_TOLERANCE, TOLERANCE, to_onnx, to_torchscript

torch.set_num_threads(1)


@dataclass(frozen=True)
class Config:
    width: int = param(24, "features", low=1)
    trick: str = param("", "a fault that export must find", choices=("", "branch", "batch", "nan"))


class Recurrent(LiftingNetwork):
    """Linear layers with a memory of one vector; enough to have weights of every size."""

    Config = Config
    skeleton_in, skeleton_out = "coco17", "h36m17"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.take = nn.Linear(17 * 3 + 5 + config.width, config.width)
        self.give = nn.Linear(config.width, 17 * 5)

    def forward(self, joints, context):
        raise NotImplementedError

    def initial(self, batch):
        return [self.give.weight.new_zeros(batch, self.config.width)]

    def step(self, joints, context, state):
        memory = torch.tanh(self.take(torch.cat([joints.flatten(1), context, state[0]], -1)))
        if self.config.trick == "branch" and joints.sum() > 0.0:
            memory = -memory
        if self.config.trick == "batch":
            memory = memory + 0.1 * torch.arange(int(joints.shape[0]))[:2].sum()
        if self.config.trick == "nan":
            memory = torch.log(memory)
        raw = self.give(memory).unflatten(-1, (17, 5))
        return {"xyz": raw[..., :3], "log_std": raw[..., 3:] - 3.0}, [memory]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch):
    """`make(trick)`: a network of this file, and its card."""
    monkeypatch.setitem(NETWORKS._entries, "recurrent", Recurrent)

    def build(trick: str = ""):
        torch.manual_seed(3)
        network = Recurrent(Config(trick=trick))
        return network, FAMILY.describe(network, training="nothing", metrics={"mpjpe_mm": 1.0})

    return build


@pytest.mark.parametrize(("half", "tolerance"), [(False, TOLERANCE), (True, HALF_TOLERANCE)])
def test_onnx_computes_what_the_network_computes(half: bool, tolerance: float, make, tmp_path: Path) -> None:
    network, card = make()
    difference = to_onnx(network, card, tmp_path / "a.onnx", half)
    assert 0.0 < difference.rms < difference.largest
    assert (difference.rms if half else difference.largest) <= tolerance
    session = open_session(tmp_path / "a.onnx", device="cpu")
    assert session.card == card
    random = np.random.default_rng(0)
    state, kept = empty_state(card, 3), [torch.zeros(3, 24)]
    for _ in range(4):
        joints = random.normal(size=(3, 17, 3)).astype(np.float32)
        context = random.normal(size=(3, 5)).astype(np.float32)
        outputs, state = session.run(joints, context, state)
        with torch.no_grad():
            expected, kept = network.step(torch.from_numpy(joints), torch.from_numpy(context), kept)
        for name in ("xyz", "log_std"):
            np.testing.assert_allclose(outputs[name], expected[name], atol=3 * tolerance)


def test_the_network_is_left_as_it_was(make, tmp_path: Path) -> None:
    network, card = make()
    network.train()
    to_onnx(network, card, tmp_path / "a.onnx")
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_half_is_half_as_large_and_computes_in_single(make, tmp_path: Path) -> None:
    network, card = make()
    sizes = {}
    for half in (False, True):
        to_onnx(network, card, tmp_path / "a.onnx", half)
        graph = onnx.load(tmp_path / "a.onnx").graph
        kinds = {tensor.data_type for tensor in graph.initializer if np.prod(tensor.dims) >= 64}
        assert kinds == {onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT}
        sizes[half] = sum(len(tensor.raw_data) for tensor in graph.initializer)
        assert {port.type.tensor_type.elem_type for port in (*graph.input, *graph.output)} == {
            onnx.TensorProto.FLOAT
        }
    # 80 x 24 + 24 x 85 weights and 85 of the 109 offsets; the other 24 stay.
    assert sizes[True] == pytest.approx(0.5 * sizes[False], rel=0.02)


def test_weights_beyond_half_precision_stay_single(make, tmp_path: Path) -> None:
    network, card = make()
    with torch.no_grad():
        network.take.weight[0, 0] = 1e6
    to_onnx(network, card, tmp_path / "a.onnx")
    kinds = [tensor.data_type for tensor in onnx.load(tmp_path / "a.onnx").graph.initializer]
    assert kinds.count(onnx.TensorProto.FLOAT16) == 2


def test_the_same_network_gives_the_same_bytes_without_paths(make, tmp_path: Path) -> None:
    for name in ("a", "b"):
        to_onnx(*make(), tmp_path / f"{name}.onnx")
    content = (tmp_path / "a.onnx").read_bytes()
    assert content == (tmp_path / "b.onnx").read_bytes()
    assert b".py" not in content
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_folder_of_networks_that_ship_states_the_sum_of_what_is_exported(make, tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").touch()
    to_onnx(*make(), tmp_path / "a.onnx")
    digest = hashlib.sha256((tmp_path / "a.onnx").read_bytes()).hexdigest()
    assert (tmp_path / "SHA256SUMS").read_text() == f"{digest}  a.onnx\n"


def test_torchscript_computes_the_same_and_has_the_card(make, tmp_path: Path) -> None:
    network, card = make()
    assert to_torchscript(network, card, tmp_path / "a.ts").largest <= TOLERANCE
    extra = {card.KEY: ""}
    script = torch.jit.load(tmp_path / "a.ts", _extra_files=extra)
    assert card_of(extra[card.KEY].decode(), "a.ts", type(card)) == card
    joints, context, memory = torch.randn(4, 17, 3), torch.randn(4, 5), torch.randn(4, 24)
    xyz, log_std, after = script(joints, context, memory)
    with torch.no_grad():
        outputs, state = network.step(joints, context, [memory])
    torch.testing.assert_close(xyz, outputs["xyz"])
    torch.testing.assert_close(log_std, outputs["log_std"])
    torch.testing.assert_close(after, state[0])


@pytest.mark.parametrize("export", [to_onnx, to_torchscript])
@pytest.mark.parametrize(
    ("trick", "said"),
    [
        ("branch", "'recurrent' cannot be exported: test_export.py, line .*, branches on a tensor"),
        ("batch", "'recurrent' as exported differs from the network by"),
        ("nan", "'recurrent' as exported differs from the network by inf"),
    ],
)
def test_what_would_compute_something_else_is_not_written(
    export, trick: str, said: str, make, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        export(*make(trick), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_half_precision_spoils_are_refused(make, tmp_path: Path) -> None:
    """Large numbers that cancel out: the rounding of each is larger than what is left."""
    network, card = make()
    with torch.no_grad():
        network.give.weight[:, 0] += 60.0
        network.give.weight[:, 1] -= 60.0
        network.take.weight[1], network.take.bias[1] = network.take.weight[0], network.take.bias[0]
    with pytest.raises(
        ValueError, match="with weights of 16 bits 'recurrent' differs by .*export it without half"
    ):
        to_onnx(network, card, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_card_of_another_network_is_refused(make, tmp_path: Path) -> None:
    network, card = make()
    with pytest.raises(
        ValueError, match=r"trained with config \{'width': 25, .*but network 'recurrent' has .*24"
    ):
        to_onnx(network, replace(card, config={**card.config, "width": 25}), tmp_path / "a.onnx")


@pytest.mark.parametrize("name", ["lstm_posenet", "temporal_transformer"])
def test_what_training_drops_at_random_stays_when_exported(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    kind = NETWORKS.from_file(name)
    network = kind(replace(kind.Config.small(), dropout=0.5)).eval()
    difference = to_onnx(network, FAMILY.describe(network), tmp_path / "net.onnx")
    assert difference.rms <= HALF_TOLERANCE
