"""ROS contexts and domains of one's own: runs and tests that must not hear other nodes on the machine."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator

import rclpy
from rclpy.context import Context
from rclpy.signals import SignalHandlerOptions

DOMAINS = range(1, 101)
"""Domains whose ports stay below those that Linux hands out to other programs."""


@contextlib.contextmanager
def private_domain() -> Iterator[int]:
    """A domain, reserved by a port that DDS leaves unused (RTPS 9.6.1.1: 7400 + 250 domain + 9).

    Whoever asks in this way gets another one. Raises RuntimeError when all are taken.
    """
    for domain in random.SystemRandom().sample(DOMAINS, len(DOMAINS)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reservation:
            try:
                reservation.bind(("127.0.0.1", 7400 + 250 * domain + 9))
            except OSError:
                continue
            yield domain
            return
    raise RuntimeError("all ROS domains are in use by other runs on this machine; wait until they have ended")


@contextlib.contextmanager
def own_context(domain: int | None = None) -> Iterator[Context]:
    """ROS, initialised beside the process's default context and without signal handlers (see `pose_ros.signals`).

    `domain`: None takes the one of the environment.
    """
    context = Context()
    rclpy.init(context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield context
    finally:
        context.try_shutdown()
