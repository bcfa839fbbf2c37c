from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from pose2d_node.testing import HEIGHT, WIDTH, image_of
from pose_ros.testing import ros_context  # noqa: F401


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """Writes a video of `frames` images that tell their numbers."""

    def write(name: str = "film.avi", frames: int = 10, fps: float = 25.0, code: str = "MJPG") -> Path:
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, (WIDTH, HEIGHT))
        for index in range(frames):
            writer.write(image_of(index))
        writer.release()
        return path

    return write
