"""What every lifting network promises besides what all networks do (`test_conformance`).

Each is tried as `Config.small()` and with every switch of that turned over, every other choice made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lift3d_node.learned.encoding import MAX_MOTION, MAX_OFFSET, context_names
from lift3d_node.learned.limbs import LIMBS
from pose_core.skeleton import SKELETONS
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.networks import NETWORKS
from pose_train.testing import stream
from pose_train.trunk.network import Outputs, parameters

FRAMES = 16
MILLION = 1_000_000
FEWEST = MILLION // 10
"""Parameters that a default configuration has at least."""


def variants(name: str) -> Iterator[tuple[str, Any]]:
    """(label, configuration) to try of a network."""
    small = NETWORKS.from_file(name).Config.small()
    yield name, small
    for field in dataclasses.fields(small):
        value = getattr(small, field.name)
        others = (not value,) if isinstance(value, bool) else field.metadata["choices"]
        for other in others:
            if other != value:
                yield f"{name}-{field.name}={other}", dataclasses.replace(small, **{field.name: other})


CASES = [
    pytest.param(name, config, id=label) for name in NETWORKS.files() for label, config in variants(name)
]
networks = pytest.mark.parametrize(("name", "config"), CASES)
defaults = pytest.mark.parametrize("name", NETWORKS.files())


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


def make(name: str, config: Any) -> LiftingNetwork:
    return NETWORKS.from_file(name)(config).eval()


def inputs(network: LiftingNetwork, batch: int, frames: int) -> tuple[Tensor, Tensor]:
    """Keypoints, a fifth of them missing, and context."""
    joints = torch.randn(batch, frames, len(SKELETONS.get(network.skeleton_in)), 3)
    joints[..., 2] = 0.1 + 0.9 * torch.rand_like(joints[..., 2])
    joints[torch.rand(joints.shape[:-1]) < 0.2] = 0.0
    return joints, 0.3 * torch.randn(batch, frames, len(context_names(asdict(network.config))))


def finite(outputs: Outputs) -> bool:
    return all(bool(torch.isfinite(value).all()) for value in outputs.values())


@defaults
def test_default_size(name):
    network = NETWORKS.from_file(name)
    assert FEWEST <= parameters(network(network.Config()))
    assert parameters(network(network.Config.small())) < FEWEST


@networks
def test_the_root_is_the_origin_and_directions_have_length_one(name, config):
    network = make(name, config)
    outputs = network(*inputs(network, 2, FRAMES))
    for output, skeleton in (("xyz", network.skeleton_out), ("centres", "h36m17")):
        if output in outputs:
            root = SKELETONS.get(skeleton).root_of(outputs[output].detach().numpy())
            np.testing.assert_allclose(root, 0.0, atol=1e-6)
    if "toward" in outputs:
        assert outputs["toward"].shape == (2, FRAMES, len(LIMBS))
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
