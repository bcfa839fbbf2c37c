"""What launch files decide, without launch: when a process is started again, and with what."""

from __future__ import annotations

import pytest

from pose_core.system.exits import FAILED, WRONG_CONFIGURATION
from pose_ros import listeners
from pose_tools.launching import given
from pose_tools.launching.restarts import LONGEST_DELAY_S, SETTLED_S, Restarts
from pose_tools.parameters.launching import flag


def test_a_crash_is_retried_at_once_then_with_growing_delays() -> None:
    restarts = Restarts()
    delays = [restarts.delay(FAILED, 0.5) for _ in range(9)]
    assert delays == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert LONGEST_DELAY_S == 30.0


def test_one_that_worked_for_long_is_again_retried_at_once() -> None:
    restarts = Restarts()
    assert [restarts.delay(-9, lived) for lived in (1.0, 1.0, SETTLED_S, 1.0, SETTLED_S - 1.0)] == [
        *(0.0, 1.0),
        *(0.0, 1.0, 2.0),
    ]


def test_thousands_of_crashes_are_no_overflow() -> None:
    restarts = Restarts()
    assert {restarts.delay(FAILED, 0.0) for _ in range(5000)} >= {LONGEST_DELAY_S}


@pytest.mark.parametrize("code", [0, 1, 2, -2, -9, -11, 255])
def test_any_other_end_is_retried(code: int) -> None:
    assert Restarts().delay(code, 0.0) == 0.0


def test_a_wrong_configuration_is_not_retried() -> None:
    restarts = Restarts()
    assert restarts.delay(WRONG_CONFIGURATION, 0.0) is None
    assert restarts.delay(FAILED, 0.0) == 0.0


def test_the_recorder_has_one_name() -> None:
    assert given.RECORDER == listeners.RECORDER


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("0", False), (" false", False)])
def test_flags_are_read_as_launch_reads_them(text: str, value: bool) -> None:
    assert flag("rviz", text) is value


def test_other_words_are_no_flags() -> None:
    with pytest.raises(ValueError, match="rviz must be true or false, got 'on'"):
        flag("rviz", "on")
