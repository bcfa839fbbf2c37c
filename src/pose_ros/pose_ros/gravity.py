"""Which way is up for a camera that moves, from tf.

tf2_ros comes with an installed ROS 2; ROS 2 from PyPI lacks it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.time import Time

from pose_core.geometry.rotations import is_unit, matrix_of_quaternion


class Gravity:
    """The z axis of a level frame (REP 105: odom or map, whose z points up), as cameras see it."""

    def __init__(self, node: Node, level_frame: str) -> None:
        """Listens on /tf and /tf_static with `node`. Raises ValueError where tf2_ros is not installed."""
        try:
            import tf2_ros
        except ImportError as error:
            raise ValueError(
                "the tilt of cameras from tf needs tf2_ros, which ROS 2 from PyPI lacks; install a ROS 2 distribution, or "
                "state the tilt"
            ) from error
        self.level_frame = level_frame
        self._unknown: type[Exception] = tf2_ros.TransformException
        self._buffer: Any = tf2_ros.Buffer()
        self._listener: Any = tf2_ros.TransformListener(self._buffer, node)

    def close(self) -> None:
        """Stop listening."""
        self._listener.unregister()

    def up(self, frame: str, stamp: int) -> np.ndarray | None:
        """(3,) unit vector that points up in `frame` at `stamp` (ns), or as known last; None where tf does not tell.

        The newest transform is often older than an image that was taken just now. Waiting for the next one would cost more than
        the camera turns in between.
        """
        for time in (Time(nanoseconds=stamp, clock_type=ClockType.ROS_TIME), Time()):
            try:
                turn = self._buffer.lookup_transform(frame, self.level_frame, time).transform.rotation
            except self._unknown:
                continue
            quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
            if not is_unit(quaternion):
                return None
            up: np.ndarray = matrix_of_quaternion(quaternion)[:, 2]
            return up
        return None
