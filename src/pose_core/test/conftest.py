"""Has the shapes and types in pose_core's signatures checked while tests run (see pose_core.types)."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest

jaxtyping.install_import_hook(
    "pose_core", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
)


@pytest.fixture
def without_checks() -> Iterator[None]:
    """For tests of what the code itself says to arguments that the checks would refuse first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
