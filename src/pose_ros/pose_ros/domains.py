"""A ROS domain of one's own: runs and tests that must not hear other nodes on the machine."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator

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
