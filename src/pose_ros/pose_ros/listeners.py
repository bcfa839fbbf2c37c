"""Who listens to a node, so that what sends a recording does not begin before others can hear it."""

from __future__ import annotations

from collections.abc import Iterable

from rclpy.node import Node

from pose_core.registry import suggest
from pose_ros import topics

INPUTS = {
    "pose2d": (topics.IMAGE, topics.IMAGE_COMPRESSED),
    "lift3d": (topics.PEOPLE2D,),
    "refine": (topics.LIFTED,),
    "viz": (topics.REFINED,),
    "pose_recorder": (topics.PEOPLE2D,),
}
"""Topics that a node of this name listens to as soon as it works, one of them at least."""


def names_of(text: str) -> list[str]:
    """Names of nodes, with blanks between them. Raises ValueError for one that is not known."""
    names = text.split()
    for name in names:
        if name not in INPUTS:
            raise ValueError(f"a node '{name}' cannot be waited for; {suggest(name, list(INPUTS))}")
    return names


def absent(node: Node, names: Iterable[str]) -> list[str]:
    """Which of these nodes in the namespace of `node` listen to nothing yet."""
    return [name for name in names if not any(_listens(node, name, topic) for topic in INPUTS[name])]


def unmatched(node: Node) -> list[str]:
    """Topics of `node` to which others listen that its publishers have not found yet."""
    return [
        publisher.topic_name
        for publisher in node.publishers
        if publisher.get_subscription_count() < node.count_subscribers(publisher.topic_name)
    ]


def _listens(node: Node, name: str, topic: str) -> bool:
    return any(
        (one.node_name, one.node_namespace) == (name, node.get_namespace())
        for one in node.get_subscriptions_info_by_topic(node.resolve_topic_name(topic))
    )
