"""Between the types of pose_core and the generated message classes, in both directions.

The mapping itself is that of `pose_ros.messages`; here it gets the classes that a node publishes. `x_to_msg` and `x_from_msg`
are inverse to each other: what a message carries (float32) comes back bit by bit.
"""

from __future__ import annotations

from builtin_interfaces.msg import Time
from pose_msgs import msg as msgs
from sensor_msgs.msg import CameraInfo, JointState
from std_msgs.msg import Header

from pose_ros.messages.names import type_name
from pose_ros.messages.reading import (
    MalformedMessage,
    angles_from_msg,
    bodies_from_msg,
    camera_from_msg,
    identity_change_from_msg,
    people2d_from_msg,
    people3d_from_msg,
    run_from_msg,
    skeleton_from_msg,
    stamp_to_ns,
    subjects_from_msg,
)
from pose_ros.messages.writing import MessageWriter

__all__ = [
    "MalformedMessage",
    "angles_from_msg",
    "angles_to_joint_state",
    "angles_to_msg",
    "bodies_from_msg",
    "bodies_to_msg",
    "camera_from_msg",
    "camera_to_msg",
    "header",
    "identity_change_from_msg",
    "identity_change_to_msg",
    "people2d_from_msg",
    "people2d_to_msg",
    "people3d_from_msg",
    "people3d_to_msg",
    "run_from_msg",
    "run_to_msg",
    "skeleton_from_msg",
    "skeleton_to_msg",
    "stamp_from_ns",
    "stamp_to_ns",
    "subjects_from_msg",
    "subjects_to_msg",
]

_GENERATED: dict[str, type] = {
    type_name(kind): kind
    for kind in (
        Time,
        Header,
        CameraInfo,
        JointState,
        msgs.Bodies,
        msgs.Body,
        msgs.IdentityChange,
        msgs.JointAngles,
        msgs.People2D,
        msgs.People3D,
        msgs.Person2D,
        msgs.Person3D,
        msgs.PersonAngles,
        msgs.Run,
        msgs.Skeleton,
        msgs.StageTimes,
        msgs.Subject,
        msgs.Subjects,
    )
}
_writer = MessageWriter(_GENERATED.__getitem__)

stamp_from_ns = _writer.stamp
header = _writer.header
people2d_to_msg = _writer.people2d
people3d_to_msg = _writer.people3d
angles_to_msg = _writer.angles
angles_to_joint_state = _writer.joint_state
skeleton_to_msg = _writer.skeleton
camera_to_msg = _writer.camera
identity_change_to_msg = _writer.identity_change
run_to_msg = _writer.run
subjects_to_msg = _writer.subjects
bodies_to_msg = _writer.bodies
