"""How a camera is tilted."""

import numpy as np
import pytest

from pose_core.markers import up_in_camera
from pose_tools.tilt import differs, recorded_tilt, stated_tilt


@pytest.mark.parametrize(
    ("pitch", "roll", "tilt"),
    [(None, None, None), (12.0, None, (12.0, 0.0)), (None, -3.0, (0.0, -3.0)), (0.0, 0.0, (0.0, 0.0))],
)
def test_one_that_is_stated_states_the_other(pitch, roll, tilt) -> None:
    assert stated_tilt(pitch, roll) == tilt


def test_a_recording_has_the_tilt_of_its_images() -> None:
    up = np.array([np.full(3, np.nan), up_in_camera(19.0, -5.0), up_in_camera(21.0, -5.0)])
    assert recorded_tilt(up) == pytest.approx((20.0, -5.0), abs=1e-6)


@pytest.mark.parametrize(
    "up",
    [
        np.zeros((0, 3)),
        np.full((4, 3), np.nan),
        np.array([up_in_camera(0.0), up_in_camera(10.0)]),
        np.array([up_in_camera(0.0), -up_in_camera(0.0)]),
    ],
)
def test_a_camera_that_turns_or_is_not_known_has_none(up: np.ndarray) -> None:
    assert recorded_tilt(up) is None


def test_a_tilt_that_is_told_twice_does_not_differ() -> None:
    assert not differs(None, None)
    assert not differs(None, (20.0, 3.0))
    assert not differs((20.05, 3.0), (20.0, 3.0))
    assert differs((20.5, 3.0), (20.0, 3.0))
    assert differs((0.0, 0.0), None)
