"""Quality of service of the topics, and how parameters override it.

Every topic of a stage takes the parameters of `pose_core.config.qos_overrides`.
"""

from __future__ import annotations

import copy
from dataclasses import replace

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
SHARED = profile(replace(delivery.LATCHED, depth=delivery.RESULTS.depth))
"""Of a subscription to a latched topic on which several publish: it has room for what each of them said last."""
IMAGES, OWN_IMAGES = profile(delivery.IMAGES), profile(delivery.OWN_IMAGES)

DEEP_RESULTS, DEEP_IMAGES = 1000, 60
"""Depth of a subscription that may lose nothing: what comes while it works waits there. 60 raw images of 720p take 166 MB."""


def lossless(profile: QoSProfile) -> QoSProfile:
    """A profile that waits for a slow stage, as far as its depth goes; reliability stays, or it might not match any more."""
    reliable = profile.reliability == ReliabilityPolicy.RELIABLE
    deep = copy.copy(profile)
    deep.depth = max(profile.depth, DEEP_RESULTS if reliable else DEEP_IMAGES)
    return deep


def overridable() -> QoSOverridingOptions:
    """Options that let parameters override history, depth, reliability and durability of a topic."""
    return QoSOverridingOptions([QoSPolicyKind[policy.upper()] for policy in POLICIES])
