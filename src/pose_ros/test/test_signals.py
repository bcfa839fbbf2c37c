"""Ctrl-C and SIGTERM end what an executor does, and nothing else."""

from __future__ import annotations

import importlib.util
import signal
import threading

import pytest
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node

from pose_ros.signals import Signals

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
        signals.spin(executor)
        timer.join()
    assert ros_context.ok()
    executor.shutdown()
    node.destroy_node()


def test_a_signal_before_spinning_is_not_lost(ros_context):
    with Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        signals.spin(SingleThreadedExecutor())


def test_a_second_signal_interrupts():
    with Signals() as signals:
        assert not signals.received
        signal.raise_signal(signal.SIGINT)
        assert signals.received
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_handlers_of_before_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Signals():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
