"""Quality of service of the topics, and how parameters override it.

Every topic of a stage takes the parameters of `pose_core.config.qos_overrides`.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from pose_core.config.qos_overrides import POLICIES
from pose_ros.messages import delivery
from pose_ros.messages.delivery import Delivery


def profile(offered: Delivery) -> QoSProfile:
    """The QoS profile of a delivery."""
    return QoSProfile(
        depth=offered.depth,
        reliability=ReliabilityPolicy.RELIABLE if offered.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if offered.latched else DurabilityPolicy.VOLATILE,
    )


RESULTS, LATCHED = profile(delivery.RESULTS), profile(delivery.LATCHED)
IMAGES, OWN_IMAGES = profile(delivery.IMAGES), profile(delivery.OWN_IMAGES)


def overridable() -> QoSOverridingOptions:
    """Options that let parameters override history, depth, reliability and durability of a topic."""
    return QoSOverridingOptions([QoSPolicyKind[policy.upper()] for policy in POLICIES])
