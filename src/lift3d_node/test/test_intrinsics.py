from __future__ import annotations

import numpy as np
import pytest

from lift3d_node.intrinsics import Intrinsics
from pose_core.geometry.camera import Camera

HD = Camera(1280, 720, np.array([[900.0, 0, 639.5], [0, 900.0, 359.5], [0, 0, 1]]), source="camera_info")


def test_without_calibration_the_field_of_view_counts() -> None:
    """60 degrees across 1280 pixels: f = 640 / tan(30 degrees)."""
    intrinsics = Intrinsics(60.0)
    camera = intrinsics.of(1280, 720)
    assert camera.matrix[0, 0] == pytest.approx(640.0 * np.sqrt(3.0))
    assert camera.source == "field_of_view"
    assert intrinsics.describe() == "field_of_view 60 degrees"
    assert (intrinsics.fault, intrinsics.settled) == ("", False)


def test_calibration_of_the_same_size_is_used() -> None:
    intrinsics = Intrinsics(60.0)
    assert intrinsics.describe() == "unknown"
    intrinsics.hear(HD)
    assert intrinsics.settled
    assert intrinsics.of(1280, 720) is HD
    assert (intrinsics.describe(), intrinsics.fault) == ("camera_info", "")


def test_same_shape_of_another_size_is_scaled() -> None:
    intrinsics = Intrinsics(60.0)
    intrinsics.hear(HD)
    camera = intrinsics.of(640, 360)
    assert camera.matrix[0, 0] == pytest.approx(450.0)
    assert camera.matrix[0, 2] == pytest.approx(319.5)
    assert intrinsics.fault == ""


def test_a_pixel_row_of_padding_is_no_other_shape() -> None:
    intrinsics = Intrinsics(60.0)
    intrinsics.hear(Camera(1088, 1920, HD.matrix, source="camera_info"))
    assert intrinsics.of(1080, 1920).source == "camera_info"


def test_another_shape_is_a_fault() -> None:
    intrinsics = Intrinsics(55.0)
    intrinsics.hear(HD)
    assert intrinsics.of(640, 480) == Camera.from_field_of_view(640, 480, 55.0)
    assert "camera_info is for 1280 x 720, the images are 640 x 480" in intrinsics.fault
    assert "55 degrees" in intrinsics.fault
    intrinsics.of(1280, 720)
    assert intrinsics.fault == ""


def test_uncalibrated_is_a_fault_until_a_calibration_comes() -> None:
    intrinsics = Intrinsics(60.0)
    intrinsics.hear(None)
    assert intrinsics.settled
    assert intrinsics.of(1280, 720).source == "field_of_view"
    assert "not calibrated" in intrinsics.fault
    intrinsics.hear(None)
    assert "not calibrated" in intrinsics.fault
    intrinsics.hear(HD)
    assert intrinsics.of(1280, 720) is HD
    assert intrinsics.fault == ""


def test_giving_up_lasts_until_something_comes() -> None:
    intrinsics = Intrinsics(60.0)
    intrinsics.give_up("/camera_info")
    assert intrinsics.settled
    assert intrinsics.of(1280, 720).source == "field_of_view"
    assert "/camera_info has a publisher but nothing came" in intrinsics.fault
    intrinsics.hear(None)
    assert "not calibrated" in intrinsics.fault
    intrinsics.give_up("/camera_info")
    intrinsics.hear(HD)
    assert intrinsics.of(1280, 720) is HD


def test_an_equal_calibration_changes_nothing() -> None:
    intrinsics = Intrinsics(60.0)
    intrinsics.hear(HD)
    scaled = intrinsics.of(640, 360)
    intrinsics.hear(Camera(1280, 720, HD.matrix, source="camera_info"))
    assert intrinsics.of(640, 360) is scaled
