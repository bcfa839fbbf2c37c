"""Quality of service of the topics, and how parameters override it.

Every topic of a stage takes the parameters of `pose_core.config.qos_overrides`.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from pose_core.config.qos_overrides import POLICIES

RESULTS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""People and other results: nothing is lost between stages that keep up."""

IMAGES = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Sensor data: a slow stage drops images, it never queues them."""

LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
"""Descriptions that do not change: who comes later still gets the last one."""


def overridable() -> QoSOverridingOptions:
    """Options that let parameters override history, depth, reliability and durability of a topic."""
    return QoSOverridingOptions([QoSPolicyKind[policy.upper()] for policy in POLICIES])
