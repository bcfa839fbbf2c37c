"""What is recorded: topics, their types, and what a player shall offer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pose_ros import topics as names
from pose_ros.messages import names as types
from pose_ros.messages.delivery import IMAGES, LATCHED, RESULTS, Delivery

LONGEST_NAME = 247
"""Characters of a full topic name: what ROS's middleware interface leaves of 255."""
_FULL_NAME = re.compile(r"(/[A-Za-z_][A-Za-z0-9_]*)+")


def is_full_name(topic: str) -> bool:
    """Whether ROS takes it for an absolute topic name."""
    return len(topic) <= LONGEST_NAME and _FULL_NAME.fullmatch(topic) is not None


def remapped(names_of: Mapping[str, str]) -> list[str]:
    """Words for --ros-args that give topics other names, those that are not empty. Raises ValueError for what is no name."""
    words = []
    for topic, name in names_of.items():
        if name and not is_full_name(f"/{name.removeprefix('/')}"):
            raise ValueError(
                f"'{name}' cannot be the name of a topic; it has letters, digits and _ between slashes, as /camera/image_raw"
            )
        words += ["-r", f"{topic}:={name}"] if name else []
    return words


@dataclass(frozen=True)
class Topic:
    """What is recorded: an absolute name, a message type such as pose_msgs/msg/People2D, and what a player shall offer."""

    name: str
    type: str
    qos: Delivery = RESULTS


def result_topics(
    stages: Iterable[str] | None = None, *, images: bool = False, transport: str = "compressed"
) -> tuple[Topic, ...]:
    """The results of the pipeline by their relative names, in processing order, skeletons first.

    `stages`: only what these stages publish ("pose2d", "lift3d", ...). `images`: these, too; `transport`: raw or compressed, of
    which a driver may offer but one. Never diagnostics: they are stamped
    with the system clock, which would stretch the bag of a video from 1970 to today.
    """
    topics = [
        Topic(names.RUN2D, types.RUN, LATCHED),
        Topic(names.LIFTED_RUN, types.RUN, LATCHED),
        Topic(names.REFINED_RUN, types.RUN, LATCHED),
        Topic(names.SUBJECTS, types.SUBJECTS, LATCHED),
        Topic(names.BODIES, types.BODIES, LATCHED),
        Topic(names.SKELETON2D, types.SKELETON, LATCHED),
        Topic(names.LIFTED_SKELETON, types.SKELETON, LATCHED),
        Topic(names.CENTRES_SKELETON, types.SKELETON, LATCHED),
        Topic(names.REFINED_SKELETON, types.SKELETON, LATCHED),
        Topic(names.CAMERA_INFO, types.CAMERA_INFO),
        Topic(names.IDENTITY, types.IDENTITY_CHANGE),
        Topic(names.PEOPLE2D, types.PEOPLE2D),
        Topic(names.WORLD, types.PEOPLE3D),
        Topic(names.LIFTED, types.PEOPLE3D),
        Topic(names.CENTRES, types.PEOPLE3D),
        Topic(names.REFINED, types.PEOPLE3D),
        Topic(names.ANGLES, types.JOINT_ANGLES),
        Topic(names.MARKERS, types.MARKERS),
    ]
    if images and transport == "compressed":
        topics.append(Topic(names.IMAGE_COMPRESSED, types.COMPRESSED_IMAGE, IMAGES))
    elif images:
        topics.append(Topic(names.IMAGE, types.IMAGE, IMAGES))
    if stages is None:
        return tuple(topics)
    chosen = set(stages)
    return tuple(topic for topic in topics if _stage_of(topic.name) in chosen)


def _stage_of(topic: str) -> str:
    """The stage that publishes a topic: images and camera come from the one that owns the source."""
    stage, slash, _ = topic.partition("/")
    return stage if slash and topic != names.IMAGE_COMPRESSED else "pose2d"
