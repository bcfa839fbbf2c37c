"""A person before a camera, and the smallest network, for all tests of lifting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lift3d_node.learned.model_card import ModelCard
from lift3d_node.testing import TINY_CARD, make_scene, write_tiny_onnx


@pytest.fixture(scope="session")
def scene():
    """`scene(root, turn, ...)` makes a Scene."""
    return make_scene


@pytest.fixture(scope="session")
def tiny_card() -> ModelCard:
    return TINY_CARD


@pytest.fixture(scope="session")
def tiny_onnx() -> Callable[..., Path]:
    """`tiny_onnx(path, card, gain)` writes the same network as an ONNX file."""
    return write_tiny_onnx
