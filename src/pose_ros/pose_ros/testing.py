"""Support for tests of nodes: a ROS graph of one's own, an executor, and waiting for a condition with a bound.

A package's `test/conftest.py` makes the fixture known to its tests:

    from pose_ros.testing import ros_context  # noqa: F401
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node

from pose_ros import frames
from pose_ros.domains import private_domain


@pytest.fixture
def ros_context() -> Iterator[Context]:
    """ROS, initialised for one test on a random domain that no other test uses at the time."""
    with private_domain() as domain:
        rclpy.init(domain_id=domain)
        try:
            yield rclpy.get_default_context()
        finally:
            rclpy.try_shutdown()
            frames.clear()


@contextlib.contextmanager
def executing(*nodes: Node) -> Iterator[Executor]:
    """An executor of `nodes`, which are destroyed in the end."""
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    try:
        yield executor
    finally:
        executor.shutdown()
        for node in nodes:
            node.destroy_node()


def spin_until(executor: Executor, condition: Callable[[], object], timeout: float = 20.0) -> bool:
    """Let `executor` work until `condition` holds; False where it does not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        executor.spin_once(timeout_sec=0.05)
    return True
