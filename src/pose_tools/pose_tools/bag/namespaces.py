"""Robots whose topics are in a bag: each has those of the pipeline below its own namespace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pose_ros import topics
from pose_ros.messages.names import CAMERA_INFO


def namespace_of(bag: Path, held: Iterable[str], wanted: Iterable[str], given: str | None) -> str:
    """The namespace, empty or with a slash in front, below which `held` topics (full names) have one of the `wanted` (relative).

    `given`: what the user says; else it is the only one. Raises ValueError where there are none, or several.
    """
    names, relative = set(held), list(wanted)
    found = sorted(
        {full.removesuffix(f"/{topic}") for full in names for topic in relative if full.endswith(f"/{topic}")}
    )
    if given is not None:
        stripped = given.strip("/")
        found = [namespace for namespace in found if namespace == (f"/{stripped}" if stripped else "")]
    if len(found) > 1:
        robots = " and ".join(f"'{namespace or '/'}'" for namespace in found)
        raise ValueError(f"{bag} holds topics of {robots}; choose with --namespace")
    if not found:
        where = "" if given is None else f" in the namespace '{given}'"
        on = " or ".join(f"/{topic}" for topic in relative)
        raise ValueError(
            f"{bag} has no message on {on}{where}; it holds {', '.join(sorted(names)) or 'nothing'}"
        )
    return found[0]


def camera_topic_of(held: Mapping[str, str], namespace: str) -> str:
    """The full name of the topic with the camera's calibration, of those `held` (and their types).

    That of the namespace, else the only one of its type; empty where there is none, or several.
    """
    ours = f"{namespace}/{topics.CAMERA_INFO}"
    if ours in held:
        return ours
    known = [topic for topic, kind in held.items() if kind == CAMERA_INFO]
    return known[0] if len(known) == 1 else ""
