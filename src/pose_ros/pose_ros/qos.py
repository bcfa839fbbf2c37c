"""Quality of service of the topics, and how parameters override it.

Every topic of a stage takes parameters `qos_overrides.<full topic name>.<publisher|subscription>.<policy>`,
for example `qos_overrides./image_raw.subscription.reliability: reliable`.
"""

from __future__ import annotations

from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from pose_core.registry import suggest
from pose_ros.messages import delivery
from pose_ros.messages.delivery import Delivery


def profile(offered: Delivery) -> QoSProfile:
    """The QoS profile of a delivery."""
    return QoSProfile(
        depth=offered.depth,
        reliability=ReliabilityPolicy.RELIABLE if offered.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if offered.latched else DurabilityPolicy.VOLATILE,
    )


RESULTS, IMAGES, LATCHED = profile(delivery.RESULTS), profile(delivery.IMAGES), profile(delivery.LATCHED)

OVERRIDE_PREFIX = "qos_overrides."

_CHOICES = {
    "history": [HistoryPolicy.KEEP_LAST.name.lower(), HistoryPolicy.KEEP_ALL.name.lower()],
    "reliability": [ReliabilityPolicy.RELIABLE.name.lower(), ReliabilityPolicy.BEST_EFFORT.name.lower()],
    "durability": [DurabilityPolicy.VOLATILE.name.lower(), DurabilityPolicy.TRANSIENT_LOCAL.name.lower()],
}
_POLICIES = [*_CHOICES, "depth"]
_ENTITIES = ["publisher", "subscription"]


def overridable() -> QoSOverridingOptions:
    """Options that let parameters override history, depth, reliability and durability of a topic."""
    return QoSOverridingOptions([QoSPolicyKind[policy.upper()] for policy in _POLICIES])


def check_override(name: str, value: Any) -> None:
    """Raise ValueError unless the parameter `name` (`qos_overrides...`) is a policy that can be `value`."""
    topic, entity, policy = [*name.removeprefix(OVERRIDE_PREFIX).rsplit(".", 2), "", ""][:3]
    if not topic.startswith("/"):
        raise ValueError(
            f"'{name}' must read {OVERRIDE_PREFIX}/topic.publisher.policy with the topic's full name"
        )
    for word, known in ((entity, _ENTITIES), (policy, _POLICIES)):
        if word not in known:
            raise ValueError(f"unknown part '{word}' of '{name}'; {suggest(word, known)}")
    if policy == "depth":
        if type(value) is not int or value < 0:
            raise ValueError(f"{name} must be a whole number of at least 0, got {value!r}")
    elif value not in _CHOICES[policy]:
        raise ValueError(f"{name} must be one of {', '.join(_CHOICES[policy])}, got {value!r}")
