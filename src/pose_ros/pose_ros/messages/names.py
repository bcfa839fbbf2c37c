"""Names of the message types, as bags and graphs write them."""

from __future__ import annotations

TIME = "builtin_interfaces/msg/Time"
HEADER = "std_msgs/msg/Header"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
JOINT_STATE = "sensor_msgs/msg/JointState"
MARKERS = "visualization_msgs/msg/MarkerArray"

OWN_PACKAGE = "pose_msgs"
PEOPLE2D = f"{OWN_PACKAGE}/msg/People2D"
PERSON2D = f"{OWN_PACKAGE}/msg/Person2D"
PEOPLE3D = f"{OWN_PACKAGE}/msg/People3D"
PERSON3D = f"{OWN_PACKAGE}/msg/Person3D"
JOINT_ANGLES = f"{OWN_PACKAGE}/msg/JointAngles"
PERSON_ANGLES = f"{OWN_PACKAGE}/msg/PersonAngles"
IDENTITY_CHANGE = f"{OWN_PACKAGE}/msg/IdentityChange"
RUN = f"{OWN_PACKAGE}/msg/Run"
SUBJECT = f"{OWN_PACKAGE}/msg/Subject"
SUBJECTS = f"{OWN_PACKAGE}/msg/Subjects"
BODY = f"{OWN_PACKAGE}/msg/Body"
BODIES = f"{OWN_PACKAGE}/msg/Bodies"
SKELETON = f"{OWN_PACKAGE}/msg/Skeleton"
STAGE_TIMES = f"{OWN_PACKAGE}/msg/StageTimes"


def type_name(kind: type) -> str:
    """`pose_msgs/msg/People2D` of a generated message class."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
