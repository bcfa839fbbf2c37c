"""Quality of service of the topics, how parameters override it, and why nothing comes on one.

Every topic of a stage takes the parameters of `pose_core.config.qos_overrides`.
"""

from __future__ import annotations

import copy
from dataclasses import replace

from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.topic_endpoint_info import TopicEndpointInfo

from pose_core.config.qos_overrides import POLICIES, PREFIX
from pose_ros.messages import delivery
from pose_ros.messages.delivery import Delivery
from pose_ros.messages.names import COMPRESSED_IMAGE, IMAGE, type_name
from pose_ros.topics import OVERLAY


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


MOST_NAMED = 5
"""Topics that a sentence names."""

_ASKED_TOO_MUCH = {
    "reliability": (ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE),
    "durability": (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL),
}
"""Offered and asked for, where they do not go together."""


def name_of(end: TopicEndpointInfo) -> str:
    """Full name of the node that has a publisher or subscription."""
    if end.node_name.startswith("_NODE_NAME_UNKNOWN"):
        return "a program that is no ROS node"
    return f"{end.node_namespace.rstrip('/')}/{end.node_name}"


def mismatch(publisher: TopicEndpointInfo, subscription: TopicEndpointInfo) -> str:
    """Why the subscription gets nothing from the publisher; empty where quality of service does not keep it back."""
    level, reason = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
    return reason.removeprefix("ERROR: ").rstrip(" ;") if level == QoSCompatibility.ERROR else ""


def override(topic: str, publisher: TopicEndpointInfo, subscription: TopicEndpointInfo) -> str:
    """The parameter, as of a command line, by which the subscription asks for no more than is offered; empty where none does."""
    for policy, (less, more) in _ASKED_TOO_MUCH.items():
        offered, asked = getattr(publisher.qos_profile, policy), getattr(subscription.qos_profile, policy)
        if (offered, asked) == (less, more):
            return f"{PREFIX}{topic}.subscription.{policy}:={offered.name.lower()}"
    return ""


def why_silent(node: Node, topic: str, kind: type) -> str:
    """Why `node` gets no message of type `kind` on `topic` (a full name), as far as the graph tells, and what to do."""
    wanted = type_name(kind)
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return f"nobody publishes there: start what does, or remap the topic{_elsewhere(node, wanted)}"
    fitting = [one for one in publishers if one.topic_type == wanted]
    if not fitting:
        sent = " and ".join(sorted({one.topic_type for one in publishers}))
        return f"{name_of(publishers[0])} publishes {sent} there, not {wanted}: remap the topic{_elsewhere(node, wanted)}"
    own = (node.get_name(), node.get_namespace())
    for subscription in node.get_subscriptions_info_by_topic(topic):
        if (subscription.node_name, subscription.node_namespace) != own:
            continue
        reasons = [mismatch(one, subscription) for one in fitting]
        if all(reasons):
            set_it = override(topic, fitting[0], subscription) or "make both the same"
            return (
                f"quality of service keeps back what {name_of(fitting[0])} publishes ({reasons[0]}): {set_it}"
            )
    return f"somebody publishes there but nothing comes: see what {name_of(fitting[0])} says"


def _elsewhere(node: Node, wanted: str) -> str:
    """Topics on which such messages are now; of images of either kind, as one can be taken for the other."""
    kinds = (IMAGE, COMPRESSED_IMAGE) if wanted in (IMAGE, COMPRESSED_IMAGE) else (wanted,)
    found = [
        f"{topic} ({kind.rpartition('/')[2]})" if len(kinds) > 1 else topic
        for topic, types in sorted(node.get_topic_names_and_types())
        for kind in types
        if kind in kinds
        and not topic.endswith(f"/{OVERLAY}")
        and any(end.topic_type == kind for end in node.get_publishers_info_by_topic(topic))
    ]
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return f"; there is {', '.join(found[:MOST_NAMED])}{more}" if found else ""
