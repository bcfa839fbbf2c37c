"""Ctrl-C and SIGTERM end what an executor does, and nothing else."""

from __future__ import annotations

import importlib.util
import signal
import threading

import pytest
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node

from pose_core.system.signals import Signals
from pose_ros.signals import spin

EXECUTORS = [SingleThreadedExecutor, MultiThreadedExecutor]
if importlib.util.find_spec("rclpy.experimental"):  # not in every distribution
    EXECUTORS.append(importlib.import_module("rclpy.experimental").EventsExecutor)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("executor_class", EXECUTORS)
def test_a_signal_ends_spinning_and_leaves_ros_up(ros_context, executor_class, number):
    node = Node("idle")
    with Signals() as signals:
        executor = executor_class()
        executor.add_node(node)
        main = threading.main_thread().ident
        timer = threading.Timer(0.05, signal.pthread_kill, (main, number))
        timer.start()
        spin(executor, signals)
        timer.join()
    assert ros_context.ok()
    executor.shutdown()
    node.destroy_node()


def test_a_signal_before_spinning_is_not_lost(ros_context):
    with Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        spin(SingleThreadedExecutor(), signals)
