"""An executor that works until a signal ends the process, while ROS is still up.

The signal handlers of rclpy take the middleware away at once, from threads that are still publishing as well. So open
`pose_core.system.signals.Signals` before ROS is initialised, and initialise that with `SignalHandlerOptions.NO`.
"""

from __future__ import annotations

from rclpy.executors import Executor

from pose_core.system.signals import Signals

LOOK = 0.2
"""Seconds after which an idle executor looks for a signal: Python handles none while the middleware waits."""


def spin(executor: Executor, signals: Signals) -> None:
    """Let `executor` work until a signal was received."""
    while not signals.received:
        executor.spin_once(timeout_sec=LOOK)
