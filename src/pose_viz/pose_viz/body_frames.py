"""A coordinate frame on each person's body, for robots that look things up on tf."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from pose_core.geometry.rotations import matrix_of_6d, quaternion_of_matrix
from pose_core.people import JointState, People3D, Person3D, ScaleSource
from pose_core.skeleton import SKELETONS, Skeleton
from pose_core.types import Array

PREFIX = "body_"

LEFT_HIP, RIGHT_HIP, LEFT_SHOULDER, RIGHT_SHOULDER = JOINTS = (
    "left_hip",
    "right_hip",
    "left_shoulder",
    "right_shoulder",
)
"""Joints that all must be known."""

LEAST_WIDTH = 0.05
"""Metres of hips, and of the way from hips to shoulders, below which they tell no direction."""


@dataclass(frozen=True)
class BodyFrame:
    """A body in the frame of the people: REP 103, x forward, y to the body's left, z from hips to shoulders, towards the head."""

    name: str
    origin: Array  # (3,) metres, half way between the hips
    quaternion: Array  # (4,) x, y, z, w; turns vectors of the body into the frame of the people; w >= 0


def body_frames(people: People3D, min_confidence: float, namespace: str = "") -> list[BodyFrame]:
    """Frames of everybody whose hips and shoulders are known with `min_confidence` and who has a metric size, in their order.

    `namespace`: of the node, which stands before the names, so that pipelines on one tf do not share them.
    """
    skeleton = SKELETONS.get(people.skeleton)
    if any(joint not in skeleton.joints for joint in JOINTS):
        return []
    found: dict[str, BodyFrame] = {}
    for person in people.people:
        if _is_known(person, skeleton, min_confidence):
            name = frame_name(person.id, namespace)
            placed = body_frame(name, *(person.xyz[skeleton.joints.index(joint)] for joint in JOINTS))
            if placed is not None:
                found.setdefault(name, placed)
    return list(found.values())


def body_frame(
    name: str, left_hip: Array, right_hip: Array, left_shoulder: Array, right_shoulder: Array
) -> BodyFrame | None:
    """The frame of four joints (3,) in metres; None where they tell no direction."""
    origin = (left_hip + right_hip) / 2.0
    up = (left_shoulder + right_shoulder) / 2.0 - origin
    left = left_hip - right_hip
    length = np.linalg.norm(up)
    across = left - up * (left @ up / length**2) if length >= LEAST_WIDTH else np.zeros(3)
    if not np.linalg.norm(across) >= LEAST_WIDTH:
        return None
    # The first axis of the six numbers is kept, the second one squared to it, the third follows: z, x, y is right-handed, too.
    z, x, y = np.moveaxis(matrix_of_6d(np.concatenate([up, np.cross(left, up)])), -1, 0)
    return BodyFrame(name, origin, quaternion_of_matrix(np.stack([x, y, z], -1)))


def frame_name(person: str, namespace: str = "") -> str:
    """`body_` and the id, with the namespace before it; what is no letter or digit of ASCII becomes its number in hexadecimal."""
    legal = re.sub(r"[^A-Za-z0-9_]", lambda found: f"_{ord(found.group()):x}_", person)
    return "/".join([*filter(None, namespace.split("/")), f"{PREFIX}{legal}"])


def _is_known(person: Person3D, skeleton: Skeleton, min_confidence: float) -> bool:
    chosen = [skeleton.joints.index(joint) for joint in JOINTS]
    return bool(
        person.scale_source != ScaleSource.NONE
        and (person.state[chosen] != JointState.MISSING).all()
        and np.isfinite(person.xyz[chosen]).all()
        and (person.joint_confidence[chosen] >= min_confidence).all()
    )
