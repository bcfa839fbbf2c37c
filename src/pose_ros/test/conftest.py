from pose_ros.testing import ros_context  # noqa: F401
