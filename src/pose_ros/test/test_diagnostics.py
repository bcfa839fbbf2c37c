"""Numbers of the diagnostics message, worked out by hand."""

from __future__ import annotations

import math

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.units import NS_PER_S
from pose_ros.diagnostics import WINDOW, Health, node_of, percentile, status_name

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
    assert [shown[f"processing_p{p}_ms"] for p in (50, 95)] == ["50.000", "95.000"]
    assert [shown[f"age_p{p}_ms"] for p in (50, 95)] == ["1050.000", "1095.000"]


def test_percentiles_look_back_on_the_last_frames_only():
    health = Health("stage")
    for _ in range(1000):
        health.frame(0, 90 * MS)
    for _ in range(WINDOW):
        health.frame(0, 10 * MS)
    shown = values(health.report(0, "active", True))
    assert shown["frames"] == str(1000 + WINDOW)
    assert shown["processing_p95_ms"] == "10.000"


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


def test_each_input_has_its_own_silence():
    """lift3d without people is not well because its camera says something."""
    health = Health("lift3d: pipeline")
    health.needs("/pose2d/people", "people in 2D")
    health.needs("/pose2d/world", "world landmarks")
    reports, waits = {}, {}
    for second in range(8):
        health.heard("/camera_info")
        health.heard("/pose2d/world")
        if second == 3:
            health.heard("/pose2d/people")
        health.frame(0, 1)
        reports[second] = health.report(second * NS_PER_S, "active", True, "see {}".format)
        waits[second] = health.waits_for()
    sentence = "waits for people in 2D on /pose2d/people, none for {} s; see /pose2d/people"
    assert {second: report.message for second, report in reports.items() if report.level != b"\0"} == {
        2: sentence.format(2),
        5: sentence.format(2),
        6: sentence.format(3),
        7: sentence.format(4),
    }
    assert waits[3] == {}
    assert waits[7] == {"/pose2d/people": sentence.format(4)}


def test_a_topic_without_a_publisher_is_said():
    health = Health("pose2d: pipeline")
    health.needs("/camera/image_raw", "images")
    for second in range(3):
        status = health.report(second * NS_PER_S, "active", True)
    assert status.message == ("waits for images on /camera/image_raw, none for 2 s; nobody publishes there")
    health.needs_no_more("/camera/image_raw")
    health.frame(0, 1)
    assert health.report(9 * NS_PER_S, "active", True).level == DiagnosticStatus.OK


def test_results_that_come_too_late_are_a_warning():
    health = Health("refine: pipeline")

    def report(max_age: float, *ages_ms: int) -> DiagnosticStatus:
        for age in ages_ms:
            health.frame(0, age * MS, 0)
        return health.report(0, "active", True, max_age=max_age)

    late = report(1.0, 900, 1100, 1200)
    assert late.level == DiagnosticStatus.WARN
    assert late.message.startswith(
        "results are 1.1 s old, more than max_age 1 s: see in their times which stage"
    )
    assert report(1.0, 900, 950, 1200).level == DiagnosticStatus.OK
    assert report(1.0).level == DiagnosticStatus.OK
    assert report(0.0, 5000).level == DiagnosticStatus.OK


def test_what_is_skipped_is_counted_and_no_fault():
    health = Health("stage")
    health.skip()
    health.skip(3)
    status = health.report(0, "active", True)
    assert (status.level, values(status)["skipped"], values(status)["dropped"]) == (
        DiagnosticStatus.OK,
        "4",
        "0",
    )
    assert health.skipped() == 4


@pytest.mark.parametrize(
    ("node", "status"), [("/lift3d", "lift3d: pipeline"), ("/a/b/refine", "a/b/refine: pipeline")]
)
def test_a_status_is_named_after_its_node(node, status):
    assert status_name(node) == status
    assert node_of(status) == node
    assert node_of(node) == node_of("lift3d: camera") == ""


def test_the_camera_is_the_hardware():
    health = Health("stage", "robot7")
    assert health.report(0, "active", True).hardware_id == "robot7"
    for frame_id in ("left_eye", ""):
        health.sees(frame_id)
        assert health.report(0, "active", True).hardware_id == "left_eye"


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


def test_nothing_is_no_key():
    health = Health("stage")
    for value in (3, 0):
        health.note_if("rewinds", value)
        assert values(health.report(0, "active", True)).get("rewinds") == (str(value) if value else None)
