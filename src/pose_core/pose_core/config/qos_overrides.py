"""Parameters that override the quality of service of a topic, as every ROS node may take them:

`qos_overrides.<full topic name>.<publisher|subscription>.<policy>`, for example `qos_overrides./image_raw.subscription.depth: 5`.
"""

from __future__ import annotations

from typing import Any

from pose_core.registry import suggest

PREFIX = "qos_overrides."

CHOICES = {
    "history": ("keep_last", "keep_all"),
    "reliability": ("reliable", "best_effort"),
    "durability": ("volatile", "transient_local"),
}
"""Values of the policies that have names."""
POLICIES = (*CHOICES, "depth")
ENTITIES = ("publisher", "subscription")


def is_override(name: str) -> bool:
    """Whether a parameter of that name overrides quality of service."""
    return name.startswith(PREFIX)


def check(name: str, value: Any) -> None:
    """Raise ValueError unless the parameter `name` (`qos_overrides...`) is a policy that can be `value`."""
    topic, entity, policy = [*name.removeprefix(PREFIX).rsplit(".", 2), "", ""][:3]
    if not topic.startswith("/"):
        raise ValueError(f"'{name}' must read {PREFIX}/topic.publisher.policy with the topic's full name")
    for word, known in ((entity, ENTITIES), (policy, POLICIES)):
        if word not in known:
            raise ValueError(f"unknown part '{word}' of '{name}'; {suggest(word, list(known))}")
    if policy == "depth":
        if type(value) is not int or value < 0:
            raise ValueError(f"{name} must be a whole number of at least 0, got {value!r}")
    elif value not in CHOICES[policy]:
        raise ValueError(f"{name} must be one of {', '.join(CHOICES[policy])}, got {value!r}")
