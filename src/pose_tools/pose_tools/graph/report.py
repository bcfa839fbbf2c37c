"""What a run did, in numbers: frames, people, rates, latency per stage, reprojection error."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from pose_core.geometry.camera import Camera
from pose_core.people import People2D, People3D, StageTime
from pose_core.units import NS_PER_MS
from pose_ros.diagnostics import PERCENTILES
from pose_tools.graph.graph import Bundle

WINDOW = 20_000
"""Images that the percentiles look back on: a run on a robot may last for days."""


def percentiles(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """p50, p95 and p99; empty where there are no values."""
    return {f"p{p}": float(np.percentile(values, p)) for p in PERCENTILES} if len(values) else {}


class Window:
    """The last `WINDOW` values of a quantity, in memory that does not grow."""

    def __init__(self) -> None:
        self._ring = np.empty(WINDOW)
        self._count = 0

    def add(self, value: float) -> None:
        """The latest value."""
        self._ring[self._count % WINDOW] = value
        self._count += 1

    @property
    def values(self) -> np.ndarray:
        """(N,) in no order."""
        return self._ring[: min(self._count, WINDOW)]


def reprojection_errors(camera: Camera, people2d: People2D, people3d: People3D) -> np.ndarray:
    """Pixel distances between detected and reprojected joints of the same person and skeleton, (N,), without NaN."""
    if people2d.skeleton != people3d.skeleton:
        return np.empty(0)
    seen = {person.id: person.xy_px for person in people2d.people}
    pairs = [(seen[p.id], camera.project(p.xyz)) for p in people3d.people if p.id in seen]
    errors = [np.linalg.norm(xy - projected, axis=-1) for xy, projected in pairs]
    flat = np.concatenate(errors) if errors else np.empty(0)
    return flat[np.isfinite(flat)]


def latencies(times: tuple[StageTime, ...]) -> dict[str, float]:
    """Milliseconds per stage, `age` since the grab, and `overhead`: the age without the detector's own time."""
    spans = {t.stage: (t.end - t.start) / NS_PER_MS for t in times}
    if not times:
        return spans
    age = (times[-1].end - times[0].start) / NS_PER_MS
    return {**spans, "age": age, "overhead": age - spans.get("detect", 0.0)}


class Report:
    """An observer of a graph's bundles that adds them up."""

    def __init__(self) -> None:
        self.camera: Camera | None = None
        """Intrinsics for the reprojection error, where there is a calibration."""
        self.field_of_view_deg = 0.0
        """Angle of view across the longer image side for the reprojection error without calibration; 0: none."""
        self.frames = 0
        self.with_person: dict[str, int] = {"pose2d": 0, "lift3d": 0, "refine": 0}
        self.ids: dict[str, int] = defaultdict(int)
        self._ms: dict[str, Window] = defaultdict(Window)
        self._reprojection: dict[str, Window] = defaultdict(Window)
        self._started = 0.0
        self._ended = 0.0

    def __call__(self, bundle: Bundle) -> None:
        """Count one image."""
        self._ended = time.perf_counter()
        self._started = self._started or self._ended
        self.frames += 1
        for stage, people in (
            ("pose2d", bundle.people2d),
            ("lift3d", bundle.lifted),
            ("refine", bundle.refined),
        ):
            self.with_person[stage] += any(_visible(person) for person in people.people)
        for person in bundle.people2d.people:
            self.ids[person.id] += 1
        for name, value in latencies(bundle.refined.times).items():
            self._ms[name].add(value)
        camera = self.camera or self._guess(bundle.people2d)
        if camera is not None:
            for stage, people3d in (("lift3d", bundle.lifted), ("refine", bundle.refined)):
                errors = reprojection_errors(camera, bundle.people2d, people3d)
                if len(errors):
                    self._reprojection[stage].add(float(np.median(errors)))

    def _guess(self, people: People2D) -> Camera | None:
        if not self.field_of_view_deg:
            return None
        return Camera.from_field_of_view(people.width, people.height, self.field_of_view_deg)

    @property
    def fps(self) -> float:
        """Images per second, first to last result."""
        return (self.frames - 1) / (self._ended - self._started) if self.frames > 1 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON: times in ms, reprojection errors in px (median joint per image, then percentiles)."""
        return {
            "frames": self.frames,
            "frames_with_person": dict(self.with_person),
            "people": dict(self.ids),
            "fps": self.fps,
            "latency_ms": {name: percentiles(window.values) for name, window in self._ms.items()},
            "reprojection_px": {
                stage: percentiles(window.values) for stage, window in self._reprojection.items()
            },
        }


def _visible(person: Any) -> bool:
    return bool((person.joint_confidence > 0).any())
