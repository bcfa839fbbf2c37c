"""A pack, its folder and its synthesizer for all tests of this package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lift3d_node.testing import scene, tiny_card, tiny_onnx  # noqa: F401
from pose_train.data import mocap
from pose_train.data.stored import Made
from pose_train.data.synthesis import Synthesizer
from pose_train.testing import motion


@pytest.fixture(scope="session")
def pack() -> mocap.Pack:
    """Two people, three motions, one of them shorter than most clips."""
    return mocap.Pack(60.0, (motion("a", "01", 200, 0), motion("b", "01", 20, 1), motion("c", "02", 150, 2)))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, pack: mocap.Pack) -> Path:
    """A folder with the pack as training, validation and test data."""
    folder = tmp_path_factory.mktemp("data")
    for split in ("train", "val", "test"):
        mocap.write(folder / f"cmu_mocap_{split}.npz", pack)
    return folder


@pytest.fixture(scope="session")
def synthesizer(pack: mocap.Pack) -> Synthesizer:
    return Synthesizer([pack], ("h36m17", "mpi_inf28"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the module's own, in which nothing is yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSE_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def made(data: Path, cache: None) -> Made:
    """What refining networks learn from, little of it."""
    return Made(data, clips=4, trained=1, held_out=1, truths=3, frames=16)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


TINY_NETWORK = """
from dataclasses import dataclass

import torch

from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks import NETWORKS
from pose_core.config import param


@dataclass(frozen=True)
class Config:
    gain: float = param(2.0, "factor", low=0.0)


@NETWORKS.register("tiny")
class Tiny(LiftingNetwork):
    Config = Config
    skeleton_in = skeleton_out = "mediapipe33"

    def __init__(self, config):
        super().__init__(config)
        self.gain = torch.nn.Parameter(torch.full((3,), config.gain))
        self.log_std = torch.nn.Parameter(torch.tensor([-3.0, -2.0]))

    def forward(self, joints, context):
        before = torch.cat([torch.zeros_like(joints[:, :1]), joints[:, :-1]], 1)
        return self.outputs(joints, before)

    def initial(self, batch):
        return [self.gain.new_zeros(batch, 33, 3)]

    def step(self, joints, context, state):
        return self.outputs(joints, state[0]), [joints]

    def outputs(self, joints, before):
        return {
            "xyz": self.gain * (joints + 0.5 * before),
            "log_std": self.log_std.expand(*joints.shape[:-1], 2),
        }
"""


@pytest.fixture(scope="session")
def tiny_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module `pose_train.lifter.networks.tiny`, dropped into the folder of networks as anybody would."""
    from pose_train.lifter import networks
    from pose_train.lifter.networks import NETWORKS

    folder = tmp_path_factory.mktemp("networks")
    (folder / "tiny.py").write_text(TINY_NETWORK)
    networks.__path__.append(str(folder))
    yield sys.modules[NETWORKS.from_file("tiny").__module__]
    networks.__path__.remove(str(folder))
    del sys.modules["pose_train.lifter.networks.tiny"], NETWORKS._entries["tiny"]
