"""Support for tests of nodes: a ROS graph of one's own, an executor, and waiting for a condition with a bound.

A package's `test/conftest.py` makes the fixture known to its tests:

    from pose_ros.testing import ros_context  # noqa: F401
"""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node

from pose_ros import frames

DOMAINS = range(1, 101)
"""Domains whose ports stay below those that Linux hands out to other programs."""


@pytest.fixture
def ros_context() -> Iterator[Context]:
    """ROS, initialised for one test on a random domain that no other test uses at the time."""
    with _own_domain() as domain:
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


@contextlib.contextmanager
def _own_domain() -> Iterator[int]:
    """A domain, reserved among tests by a port DDS does not use (RTPS 9.6.1.1: 7400 + 250 domain + 9)."""
    for domain in random.SystemRandom().sample(DOMAINS, len(DOMAINS)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reservation:
            try:
                reservation.bind(("127.0.0.1", 7400 + 250 * domain + 9))
            except OSError:
                continue
            yield domain
            return
    raise RuntimeError("all ROS domains are in use by other tests; wait until they have ended")
