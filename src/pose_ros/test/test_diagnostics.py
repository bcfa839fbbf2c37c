"""Numbers of the diagnostics message, worked out by hand."""

from __future__ import annotations

import math

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.units import NS_PER_S
from pose_ros.diagnostics import WINDOW, Health, percentile

MS = 1_000_000


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {item.key: item.value for item in status.values}


def test_percentiles_by_hand():
    hundred = list(range(100, 0, -1))
    assert [percentile(hundred, p) for p in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert [percentile([7, 3, 5], p) for p in (0, 33, 34, 50, 67, 99)] == [3, 3, 5, 5, 7, 7]
    assert percentile([4], 50) == 4
    assert math.isnan(percentile([], 50))


@given(st.lists(st.integers(), min_size=1, max_size=40), st.integers(1, 100))
@settings(max_examples=50, deadline=None)
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(numbers, percent):
    found = percentile(numbers, percent)
    assert found in numbers
    assert 100 * sum(number <= found for number in numbers) >= percent * len(numbers)
    assert 100 * sum(number < found for number in numbers) < percent * len(numbers)


def test_times_of_frames():
    health = Health("/ns/lift3d")
    for ms in range(1, 101):
        health.frame(start=5 * NS_PER_S, end=5 * NS_PER_S + ms * MS, grabbed=4 * NS_PER_S)
    status = health.report(0, "active", True)
    assert (status.name, status.hardware_id, status.message) == ("/ns/lift3d", "none", "active")
    assert status.level == DiagnosticStatus.OK
    shown = values(status)
    assert shown["frames"] == "100"
    assert [shown[f"processing_p{p}_ms"] for p in (50, 95, 99)] == ["50.000", "95.000", "99.000"]
    assert [shown[f"age_p{p}_ms"] for p in (50, 95, 99)] == ["1050.000", "1095.000", "1099.000"]


def test_percentiles_look_back_on_the_last_frames_only():
    health = Health("stage")
    for _ in range(1000):
        health.frame(0, 90 * MS)
    for _ in range(WINDOW):
        health.frame(0, 10 * MS)
    shown = values(health.report(0, "active", True))
    assert shown["frames"] == str(1000 + WINDOW)
    assert shown["processing_p99_ms"] == "10.000"


def test_without_a_grab_time_there_is_no_age():
    health = Health("stage")
    health.frame(0, MS)
    assert not any(key.startswith("age") for key in values(health.report(0, "active", True)))


def test_rate_is_that_since_the_last_report():
    health = Health("stage")
    assert "rate_hz" not in values(health.report(10 * NS_PER_S, "active", True))
    for _ in range(45):
        health.frame(0, MS)
    assert values(health.report(12 * NS_PER_S, "active", True))["rate_hz"] == "22.5"
    assert values(health.report(13 * NS_PER_S, "active", True))["rate_hz"] == "0.0"


def test_drops_are_counted_by_reason_and_warn_once():
    health = Health("stage")
    for reason in ("late", "malformed message on /a", "late"):
        health.drop(reason)
    status = health.report(0, "active", True)
    assert status.level == DiagnosticStatus.WARN
    assert status.message == "3 inputs dropped since the last report"
    shown = values(status)
    assert (shown["dropped"], shown["dropped: late"], shown["dropped: malformed message on /a"]) == (
        "3",
        "2",
        "1",
    )
    status = health.report(NS_PER_S, "active", True)
    assert (status.level, status.message, values(status)["dropped"]) == (DiagnosticStatus.OK, "active", "3")
    assert health.dropped() == {"late": 2, "malformed message on /a": 1}


def test_faults_stand_until_cleared():
    health = Health("stage")
    health.fault("camera_info", "no calibration: publish camera_info", warn=True)
    assert health.report(0, "active", True).level == DiagnosticStatus.WARN
    health.fault("source", "camera 0 is gone: plug it in")
    status = health.report(0, "active", True)
    assert status.level == DiagnosticStatus.ERROR
    assert status.message == "camera 0 is gone: plug it in; no calibration: publish camera_info"
    assert values(status)["fault: source"] == "camera 0 is gone: plug it in"
    health.fault("source", "camera 0 is still gone: plug it in")
    assert health.faults()["source"] == "camera 0 is still gone: plug it in"
    health.clear("source")
    health.clear("source")
    assert health.report(0, "active", True).level == DiagnosticStatus.WARN
    health.clear("camera_info")
    status = health.report(0, "active", True)
    assert (status.level, status.message) == (DiagnosticStatus.OK, "active")


def test_silence_is_seen():
    health = Health("stage")
    reports = {}
    for second in range(8):
        if second == 3:
            health.heard()
        reports[second] = health.report(
            second * NS_PER_S, "active", True, ["/pose2d/people", "/pose2d/world"]
        )
    quiet = {
        second: report.message for second, report in reports.items() if report.level == DiagnosticStatus.WARN
    }
    topics = "on /pose2d/people, /pose2d/world"
    assert quiet == {
        2: f"no input for 2 s {topics}",
        5: f"no input for 2 s {topics}",
        6: f"no input for 3 s {topics}",
        7: f"no input for 4 s {topics}",
    }


def test_frames_of_an_own_source_are_no_silence():
    health = Health("stage")
    for second in range(5):
        health.frame(0, MS)
        assert health.report(second * NS_PER_S, "active", True).level == DiagnosticStatus.OK
    assert health.report(9 * NS_PER_S, "active", True).message == "no input for 5 s"


def test_an_inactive_stage_is_silent_by_right():
    health = Health("stage")
    for second in range(100):
        status = health.report(second * NS_PER_S, "inactive", False)
        assert (status.level, status.message) == (DiagnosticStatus.OK, "inactive")
    assert health.report(101 * NS_PER_S, "active", True).level == DiagnosticStatus.OK


@pytest.mark.parametrize(
    ("value", "shown"), [("cpu", "cpu"), (3, "3"), (0.123456, "0.1235"), (float("nan"), "nan")]
)
def test_notes(value, shown):
    health = Health("stage")
    health.note("device", "gpu")
    health.note("device", value)
    assert values(health.report(0, "active", True))["device"] == shown
