"""How topics deliver their messages, as far as this project chooses it; `pose_ros.qos` makes QoS profiles of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Delivery:
    """What a publisher offers. The last `depth` messages are kept."""

    depth: int
    reliable: bool
    latched: bool = False
    """Who comes later still gets the last message (ROS: transient local)."""


RESULTS = Delivery(10, reliable=True)
"""People and other results: nothing is lost between stages that keep up."""

IMAGES = Delivery(1, reliable=False)
"""Sensor data: a slow stage drops images, it never queues them."""

OWN_IMAGES = Delivery(30, reliable=True)
"""Images of a source of our own: whoever asks for every one, as a recorder does, gets it; others still take them as `IMAGES`."""

LATCHED = Delivery(1, reliable=True, latched=True)
"""Descriptions that do not change: who comes later still gets the last one."""
