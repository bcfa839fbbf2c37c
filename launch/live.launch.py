"""Live pipeline: a camera, video, image folder or image topic in; skeletons, markers and a bag out.

ros2 launch pose_pipeline live.launch.py source:=0
ros2 launch pose_pipeline live.launch.py image_topic:=/camera/image_raw camera_info:=/camera/camera_info subject_height:=1.78

What is not stated as an argument is as the parameter file says, and else as docs/parameters.md says.
"""

from pose_ros.topics import CAMERA_INFO, IMAGE
from pose_tools.launching.actions import argument, arguments, command, describe, recorder, rviz, stage
from pose_tools.parameters.options import LIVE_LAUNCH

ARGUMENTS = arguments(
    LIVE_LAUNCH,
    "live.yaml",
    argument("image_topic", "image topic to read, or to publish on when source is set", IMAGE),
    argument("camera_info", "CameraInfo topic beside the image topic", CAMERA_INFO),
    argument("namespace", "of all nodes, as of one robot of several", ""),
    argument("composed", "all stages in one process", "false"),
)


def start(launch, given):
    """A recorder on request, then separate stages or one process with the same nodes, and RViz on request."""
    space = given.arguments["namespace"]
    if given.says("composed"):
        stages = [launch.keep(command(given, given.composed_words, space))]
    else:
        stages = [
            stage(launch, given, "pose2d_node", "pose2d", space, at_first={"wait_for": given.listeners}),
            stage(launch, given, "lift3d_node", "lift3d", space),
            stage(launch, given, "refine_node", "refine", space),
            stage(launch, given, "pose_viz", "viz", space),
        ]
    return [*recorder(launch, given, space), *stages, *rviz(given, space)]


def generate_launch_description():
    return describe(LIVE_LAUNCH, ARGUMENTS, start)
