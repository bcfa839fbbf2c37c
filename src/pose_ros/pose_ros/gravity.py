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
from pose_core.units import NS_PER_S
from pose_ros.conversions import stamp_to_ns


class Gravity:
    """The z axis of a level frame (REP 105: odom or map, whose z points up), as cameras see it.

    `fault` says why the last answer was that it is not known, and what to do; empty where it was known.
    """

    def __init__(self, node: Node, level_frame: str, max_age: float) -> None:
        """Listens on /tf and /tf_static with `node`. Raises ValueError where tf2_ros is not installed.

        `max_age`: seconds between an image and the newest transform beyond which it is not believed. Static ones have no age.
        """
        try:
            import tf2_ros
        except ImportError as error:
            raise ValueError(
                "the tilt of cameras from tf needs tf2_ros, which ROS 2 from PyPI lacks; install a ROS 2 distribution, or "
                "state the tilt"
            ) from error
        self.level_frame = level_frame
        self.fault = ""
        self._max_age = round(max_age * NS_PER_S)
        self._last_stamp = 0
        self._unknown: type[Exception] = tf2_ros.TransformException
        self._buffer: Any = tf2_ros.Buffer()
        self._listener: Any = tf2_ros.TransformListener(self._buffer, node)

    def close(self) -> None:
        """Stop listening."""
        self._listener.unregister()

    def up(self, frame: str, stamp: int) -> np.ndarray | None:
        """(3,) unit vector that points up in `frame` at `stamp` (ns), or as known shortly before; None where tf does not tell.

        The newest transform is often older than an image that was taken just now. Waiting for the next one would cost more than
        the camera turns in between.
        """
        if stamp < self._last_stamp - self._max_age:
            self._buffer.clear()  # a bag begins again: the buffer refuses what is older than what it has
        self._last_stamp = stamp
        way = f"tf from '{self.level_frame}' to '{frame}'"
        found = self._at(frame, stamp) or self._at(frame, 0)
        if found is None:
            self.fault = f"there is no {way}; publish it, or set level_frame"
            return None
        age = stamp - stamp_to_ns(found.header.stamp)
        limit = f"more than {self._max_age / NS_PER_S:g} s (max_tf_age)"
        if age != stamp and abs(age) > self._max_age:  # a static one has the stamp 0
            self.fault = (
                f"{way} has stopped: its newest transform is {limit} older than the image; start what publishes it again"
                if age > 0
                else f"{way} is {limit} newer than the image; take the time of both from one clock (use_sim_time)"
            )
            return None
        turn = found.transform.rotation
        quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
        if not is_unit(quaternion):
            self.fault = f"{way} is no rotation (its quaternion is not of length 1); mend what publishes it"
            return None
        self.fault = ""
        up: np.ndarray = matrix_of_quaternion(quaternion)[:, 2]
        return up

    def _at(self, frame: str, stamp: int) -> Any:
        """The transform at `stamp` (ns; 0: the newest), or None."""
        time = Time(nanoseconds=stamp, clock_type=ClockType.ROS_TIME)
        try:
            return self._buffer.lookup_transform(frame, self.level_frame, time)
        except self._unknown:
            return None
