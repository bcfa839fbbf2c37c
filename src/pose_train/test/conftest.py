"""A pack, its folder and its synthesizer for all tests of this package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pose_train import mocap
from pose_train.refiner_data import Made
from pose_train.synthesis import Synthesizer
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
