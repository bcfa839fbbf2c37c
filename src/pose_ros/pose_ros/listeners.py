"""Who listens to a node, so that what sends a recording does not begin before others can hear it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future

from pose_core.registry import suggest
from pose_ros import topics

RECORDER = "pose_recorder"
"""Name of the node that records bags."""

INPUTS = {
    "pose2d": (topics.IMAGE, topics.IMAGE_COMPRESSED),
    "lift3d": (topics.PEOPLE2D,),
    "refine": (topics.LIFTED,),
    "viz": (topics.REFINED,),
    RECORDER: (topics.PEOPLE2D,),
}
"""A node of this name listens to one of these topics at least. All but the recorder are stages and tell that they are active."""

SETTLED_S = 0.5
"""How long everybody must have been there: nodes find each other one by one, and nobody sees whether two others have."""


def names_of(text: str) -> list[str]:
    """Names of nodes, with blanks between them. Raises ValueError for one that is not known."""
    names = text.split()
    for name in names:
        if name not in INPUTS:
            raise ValueError(f"a node '{name}' cannot be waited for; {suggest(name, list(INPUTS))}")
    return names


class Listeners:
    """Nodes in the namespace of `node` that are waited for. `node` must be spun by an executor; any thread may ask."""

    def __init__(self, node: Node, names: Iterable[str]) -> None:
        """`names`: of `INPUTS`."""
        self._node, self._names = node, list(names)
        self._asked: dict[str, tuple[Client, Future | None]] = {
            name: (node.create_client(GetState, f"{name}/get_state"), None)
            for name in self._names
            if name != RECORDER
        }
        self._since: float | None = None

    def close(self) -> None:
        """Ask no more."""
        for client, _ in self._asked.values():
            self._node.destroy_client(client)
        self._asked.clear()

    def missing(self) -> list[str]:
        """Nodes that do not listen yet, else topics to which somebody listens whom this node has not found. Empty: begin."""
        found = [name for name in self._names if not (self._listens(name) and self._is_active(name))]
        found = found or unmatched(self._node)
        if found:
            self._since = None
        elif self._since is None:
            self._since = time.monotonic()
        settled = self._since is not None and time.monotonic() - self._since >= SETTLED_S
        return [] if settled else found or self._names

    def _listens(self, name: str) -> bool:
        return any(
            (one.node_name, one.node_namespace) == (name, self._node.get_namespace())
            for topic in INPUTS[name]
            for one in self._node.get_subscriptions_info_by_topic(self._node.resolve_topic_name(topic))
        )

    def _is_active(self, name: str) -> bool:
        if name not in self._asked:
            return True
        client, answer = self._asked[name]
        if answer is None or (answer.done() and not _says_active(answer)):
            answer = client.call_async(GetState.Request()) if client.service_is_ready() else None
            self._asked[name] = client, answer
        return answer is not None and answer.done() and _says_active(answer)


def unmatched(node: Node) -> list[str]:
    """Topics of `node` to which others listen that its publishers have not found yet."""
    return [
        publisher.topic_name
        for publisher in node.publishers
        if publisher.get_subscription_count() < node.count_subscribers(publisher.topic_name)
    ]


def _says_active(answer: Future) -> bool:
    found = answer.result()
    return found is not None and found.current_state.id == State.PRIMARY_STATE_ACTIVE
