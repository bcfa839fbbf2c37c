"""Numbers of a run, by hand."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from pose_core.geometry.camera import Camera
from pose_core.people import JointState, People2D, People3D, Person2D, Person3D, StageTime
from pose_core.skeleton import MEDIAPIPE33
from pose_tools.graph.graph import IN_FLIGHT, Bundle, OpenDoor, Pace
from pose_tools.graph.report import Report, Window, latencies, percentiles, reprojection_errors
from pose_tools.summary import table

J = len(MEDIAPIPE33)
CAMERA = Camera.from_field_of_view(640, 480, 60.0)


def people(shift_px: float = 0.0, id3d: str = "p1") -> tuple[People2D, People3D]:
    """One person whose keypoints are the projections, moved to the right by `shift_px`."""
    xyz = np.random.default_rng(3).uniform(-0.5, 0.5, (J, 3)) + np.array([0.0, 0.0, 3.0])
    xy = CAMERA.project(xyz) + np.array([shift_px, 0.0])
    flat = Person2D("p1", 1.0, np.zeros(4), xy, np.ones(J))
    state = np.full(J, JointState.LIFTED, np.uint8)
    solid = Person3D(id3d, 1.0, xyz, np.ones(J), np.ones(3), np.ones(J), state)
    times = (
        StageTime("source", 0, 2_000_000),
        StageTime("detect", 3_000_000, 43_000_000),
        StageTime("refine", 50_000_000, 51_000_000),
    )
    return (
        People2D(7, "camera", "mediapipe33", 640, 480, (flat,)),
        People3D(7, "camera", "mediapipe33", (solid,), times=times),
    )


def test_reprojection_error_is_the_distance_in_pixels() -> None:
    np.testing.assert_allclose(reprojection_errors(CAMERA, *people(shift_px=3.0)), np.full(J, 3.0), atol=1e-9)
    assert reprojection_errors(CAMERA, *people()).max() < 1e-9


def test_reprojection_error_pairs_people_by_id_only() -> None:
    assert len(reprojection_errors(CAMERA, *people(id3d="p2"))) == 0


def test_latencies_by_hand() -> None:
    assert latencies(people()[1].times) == {
        "source": 2.0,
        "detect": 40.0,
        "refine": 1.0,
        "age": 51.0,
        "overhead": 11.0,
    }
    assert latencies(()) == {}


def test_percentiles_of_one_to_hundred() -> None:
    assert percentiles([float(n) for n in range(101)]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert percentiles([]) == {}


def test_report_counts_frames_people_and_errors() -> None:
    report = Report()
    report.camera = CAMERA
    flat, solid = people(shift_px=2.0)
    nobody2d, nobody = People2D(8, "camera", "mediapipe33", 640, 480), People3D(8, "camera", "mediapipe33")
    report(Bundle(7, flat, solid, solid))
    report(Bundle(8, nobody2d, nobody, nobody))
    result = report.as_dict()
    assert result["frames"] == 2
    assert result["frames_with_person"] == {"pose2d": 1, "lift3d": 1, "refine": 1}
    assert result["people"] == {"p1": 1}
    assert result["reprojection_px"]["refine"]["p50"] == pytest.approx(2.0)
    assert result["latency_ms"]["overhead"]["p99"] == pytest.approx(11.0)


def test_a_long_run_keeps_a_bounded_number_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pose_tools.graph.report.WINDOW", 3)
    report = Report()
    flat, solid = people()
    for _ in range(5):
        report(Bundle(7, flat, solid, solid))
    assert report.frames == 5
    assert {len(window.values) for window in report._ms.values()} == {3}


def test_a_window_has_the_last_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pose_tools.graph.report.WINDOW", 3)
    window = Window()
    assert percentiles(window.values) == {}
    for value in (1.0, 2.0):
        window.add(value)
    assert sorted(window.values) == [1.0, 2.0]
    for value in (3.0, 4.0, 5.0):
        window.add(value)
    assert sorted(window.values) == [3.0, 4.0, 5.0]


def test_without_calibration_the_field_of_view_serves() -> None:
    report = Report()
    report.field_of_view_deg = 60.0
    flat, solid = people(shift_px=1.0)
    report(Bundle(7, flat, solid, solid))
    assert report.as_dict()["reprojection_px"]["lift3d"]["p50"] == pytest.approx(1.0)


def test_summary_is_one_row_a_number() -> None:
    text = table({"frames": 3, "latency_ms": {"age": {"p50": 1.25, "p95": 2.0}}})
    assert [line.split() for line in text.splitlines()] == [
        ["frames", "3"],
        ["latency_ms"],
        ["age", "p50", "1.25", "p95", "2"],
    ]


def test_pace_lets_only_so_many_in() -> None:
    pace = Pace()
    pace.open()
    entered = []
    worker = threading.Thread(target=lambda: [entered.append(pace()) for _ in range(IN_FLIGHT + 2)])
    worker.start()
    worker.join(0.2)
    assert entered == [True] * IN_FLIGHT
    pace.done()
    pace.stop()
    worker.join(10.0)
    assert entered[-1] is False


def test_lost_images_hold_the_run_up_once() -> None:
    pace = Pace(patience_s=0.05)
    pace.open()
    assert all(pace() for _ in range(2 * IN_FLIGHT))  # none ever comes out
    assert pace.stalls == 1


def test_nothing_enters_before_the_graph_is_connected() -> None:
    for pace in (Pace(), OpenDoor()):
        entered = []
        worker = threading.Thread(target=lambda pace=pace, entered=entered: entered.append(pace()))
        worker.start()
        worker.join(0.1)
        assert entered == []
        pace.open()
        worker.join(10.0)
        assert entered == [True]
