"""Robots whose topics are in a bag: each has those of the pipeline below its own namespace, and cameras of any name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pose_ros import topics
from pose_ros.messages.names import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE
from pose_tools.bag.reader import topics_with_messages

COMPRESSED = "/compressed"
"""What image_transport adds to the name of an image topic."""


@dataclass(frozen=True)
class Input:
    """What of a bag goes through the stages again."""

    namespace: str
    """Of the robot: empty, or with a slash in front."""
    names: dict[str, str]
    """Name in the pipeline by full name in the bag, in the order in which messages of one stamp are sent: what starts the stages
    is last. Topics without a message are left out, for which a stage would wait."""

    @property
    def transport(self) -> str:
        """How images come, as pose2d.image_transport says it."""
        return "compressed" if topics.IMAGE_COMPRESSED in self.names.values() else "raw"

    @property
    def detecting(self) -> dict[str, bool | int | float | str]:
        """Parameters of pose2d for these images, none of which may be lost."""
        return {
            "source": "",
            "image_transport": self.transport,
            **{
                f"qos_overrides.{self.namespace}/{topic}.subscription.reliability": "reliable"
                for topic in self.names.values()
                if topic != topics.CAMERA_INFO
            },
        }


def input_of(
    bag: Path,
    *,
    images: bool,
    namespace: str | None = None,
    image_topic: str = "",
    camera_info: str = "",
    transport: str = "",
) -> Input:
    """What a bag has for the stages: its images, or the people in 2D that were found in them, and the camera's calibration.

    `namespace`: of the robot, where the bag has several. `image_topic`, `camera_info`: where it has several. `transport`: raw or
    compressed, where it has both; else compressed. Raises as `topics_with_messages`, and ValueError where there is nothing, or a
    choice to make.
    """
    held = topics_with_messages(bag)
    if not images:
        robot = namespace_of(bag, held, [topics.PEOPLE2D], namespace)
        starters = {f"{robot}/{topic}": topic for topic in (topics.WORLD, topics.PEOPLE2D)}
    else:
        seen = image_topic_of(bag, held, namespace, image_topic, transport)
        robot = _owner(bag, held, seen, namespace)
        compressed = held[seen] == COMPRESSED_IMAGE
        starters = {seen: topics.IMAGE_COMPRESSED if compressed else topics.IMAGE}
    camera = _given_camera(bag, held, camera_info) if camera_info else camera_topic_of(held, robot)
    names = {camera: topics.CAMERA_INFO} if camera else {}
    return Input(robot, names | {full: topic for full, topic in starters.items() if full in held})


def image_topic_of(
    bag: Path, held: Mapping[str, str], namespace: str | None = None, given: str = "", transport: str = ""
) -> str:
    """The full name of the topic with the camera's images, of those `held` (and their types).

    That which is `given`, else the pipeline's own of the only robot or of `namespace`, else the only one that holds images.
    Compressed ones count more, unless `transport` is raw. Raises ValueError where there is none, or several.
    """
    kinds = {"raw": (IMAGE,), "compressed": (COMPRESSED_IMAGE,)}.get(transport, (COMPRESSED_IMAGE, IMAGE))
    found = [
        full
        for kind in kinds
        for full, held_kind in sorted(held.items())
        if held_kind == kind and not full.endswith(f"/{topics.OVERLAY}")
    ]
    cameras = list(dict.fromkeys(full.removesuffix(COMPRESSED) for full in found))
    if given:
        wanted = "/" + given.strip("/").removesuffix(COMPRESSED)
        cameras = [camera for camera in cameras if camera == wanted]
    elif len(cameras) > 1:
        below = None if namespace is None else _slashed(namespace)
        own = [camera for camera in cameras if camera.endswith(f"/{topics.IMAGE}")]
        exact = [camera for camera in own if below is None or camera == f"{below}/{topics.IMAGE}"]
        cameras = exact if len(exact) == 1 else cameras
    if len(cameras) > 1:
        raise ValueError(
            f"{bag} holds images of {' and '.join(cameras)}; choose with --image-topic (of launch files: image_topic:=)"
        )
    if not cameras:
        of = f" of {given}" if given else ""
        raise ValueError(f"{bag} has no images{of}; it holds {', '.join(sorted(held)) or 'nothing'}")
    return next(full for full in found if full.removesuffix(COMPRESSED) == cameras[0])


def _given_camera(bag: Path, held: Mapping[str, str], given: str) -> str:
    full = "/" + given.strip("/")
    if held.get(full) != CAMERA_INFO:
        known = ", ".join(sorted(topic for topic, kind in held.items() if kind == CAMERA_INFO))
        raise ValueError(f"{bag} has no CameraInfo on {full}; it has them on {known or 'no topic'}")
    return full


def _owner(bag: Path, held: Mapping[str, str], seen: str, given: str | None) -> str:
    """The namespace of the robot that saw images: `given`, that of its people in the bag, else that of the images."""
    if given is not None:
        return _slashed(given)
    if any(full.endswith(f"/{topics.PEOPLE2D}") for full in held):
        robots = [full.removesuffix(f"/{topics.PEOPLE2D}") for full in held if full.endswith(topics.PEOPLE2D)]
        whose = [robot for robot in robots if seen.startswith(f"{robot}/")]
        if len(robots) == 1 or len(whose) == 1:
            return robots[0] if len(robots) == 1 else whose[0]
        return namespace_of(bag, held, [topics.PEOPLE2D], given)
    own = f"/{topics.IMAGE}"
    camera = seen.removesuffix(COMPRESSED)
    return camera.removesuffix(own) if camera.endswith(own) else ""


def _slashed(namespace: str) -> str:
    stripped = namespace.strip("/")
    return f"/{stripped}" if stripped else ""


def namespace_of(bag: Path, held: Iterable[str], wanted: Iterable[str], given: str | None) -> str:
    """The namespace, empty or with a slash in front, below which `held` topics (full names) have one of the `wanted` (relative).

    `given`: what the user says; else it is the only one. Raises ValueError where there are none, or several.
    """
    names, relative = set(held), list(wanted)
    found = sorted(
        {full.removesuffix(f"/{topic}") for full in names for topic in relative if full.endswith(f"/{topic}")}
    )
    if given is not None:
        found = [namespace for namespace in found if namespace == _slashed(given)]
    if len(found) > 1:
        robots = " and ".join(f"'{namespace or '/'}'" for namespace in found)
        raise ValueError(
            f"{bag} holds topics of {robots}; choose with --namespace (of launch files: namespace:=)"
        )
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
