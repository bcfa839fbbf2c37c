"""The camera behind an image: calibrated where a calibration came, else from a stated field of view."""

from __future__ import annotations

from pose_core.geometry.camera import Camera

SAME_SHAPE = 0.01
"""Relative difference of aspect ratios up to which an image counts as the calibrated one resized."""


class Intrinsics:
    """Knows the calibration that was heard last and gives the camera of an image of any size."""

    def __init__(self, field_of_view_deg: float) -> None:
        """`field_of_view_deg`: across the longer image side, for images without a calibration."""
        self._field_of_view_deg = field_of_view_deg
        self._calibrated: Camera | None = None
        self._camera: Camera | None = None
        self._gave_up = False
        self.settled = False
        """Whether anything was heard, even that the camera is not calibrated, or nothing is expected any more."""
        self.fault = ""
        """What is wrong with what was heard, and the remedy; empty where nothing is."""

    def hear(self, calibrated: Camera | None) -> None:
        """Take a calibration, or None for a camera that says of itself that it has none."""
        if self.settled and not self._gave_up and calibrated == self._calibrated:
            return
        self.settled, self._gave_up = True, False
        self._calibrated, self._camera, self.fault = calibrated, None, ""
        if calibrated is None:
            self.fault = (
                f"the camera is not calibrated (K in camera_info is all zero), {self._assumed()} and distances are as good as "
                "that; calibrate it, or set field_of_view_deg"
            )

    def give_up(self, topic: str) -> None:
        """Nothing comes on `topic` although somebody publishes there: go on without, until something does."""
        self.settled = self._gave_up = True
        self.fault = f"{topic} has a publisher but nothing came on it, {self._assumed()}; check its QoS and the camera's driver"

    def of(self, width: int, height: int) -> Camera:
        """The camera of images of this size in pixels; states in `fault` where the calibration is for another shape."""
        if self._camera is None or (self._camera.width, self._camera.height) != (width, height):
            self._camera = self._make(width, height)
        return self._camera

    def describe(self) -> str:
        """Where the intrinsics of the last image come from."""
        if self._camera is None:
            return "unknown"
        if self._camera.source == "field_of_view":
            return f"field_of_view {self._camera.field_of_view_deg:.4g} degrees"
        return self._camera.source

    def _assumed(self) -> str:
        return f"a field of view of {self._field_of_view_deg:g} degrees is assumed"

    def _make(self, width: int, height: int) -> Camera:
        calibrated = self._calibrated
        if calibrated is None:
            return Camera.from_field_of_view(width, height, self._field_of_view_deg)
        if (calibrated.width, calibrated.height) == (width, height):
            self.fault = ""
            return calibrated
        if abs(calibrated.width * height / (calibrated.height * width) - 1.0) <= SAME_SHAPE:
            self.fault = ""
            return calibrated.scaled(width, height)
        self.fault = (
            f"camera_info is for {calibrated.width} x {calibrated.height}, the images are {width} x {height}, which is "
            f"another shape: {self._assumed()}; calibrate at this size"
        )
        return Camera.from_field_of_view(width, height, self._field_of_view_deg)
