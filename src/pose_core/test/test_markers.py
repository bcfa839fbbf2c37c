"""Which way is up for a tilted camera."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_core.markers import tilt_of, up_in_camera, world_from_camera

S, C = np.sin(np.radians(30.0)), np.cos(np.radians(30.0))


@pytest.mark.parametrize(
    ("pitch", "roll", "up"),
    [
        (0.0, 0.0, (0.0, -1.0, 0.0)),  # y of the optical frame points down
        (30.0, 0.0, (0.0, -C, -S)),  # looking down, what is up comes towards the camera
        (0.0, 30.0, (-S, -C, 0.0)),  # its right side lower, what is up is on the left
        (90.0, 0.0, (0.0, 0.0, -1.0)),
    ],
)
def test_up_by_hand(pitch: float, roll: float, up: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(up_in_camera(pitch, roll), up, atol=1e-12)
    # The frame of files has Y up.
    np.testing.assert_allclose(world_from_camera(pitch, roll) @ np.array(up), (0.0, 1.0, 0.0), atol=1e-12)


@given(st.floats(-89.0, 89.0), st.floats(-179.0, 179.0))
def test_the_tilt_comes_back(pitch: float, roll: float) -> None:
    assert tilt_of(up_in_camera(pitch, roll)) == pytest.approx((pitch, roll), abs=1e-6)
