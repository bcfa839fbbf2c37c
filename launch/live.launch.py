"""Live pipeline: a camera, video, image folder or image topic in; skeletons, markers and a bag out.

ros2 launch pose_pipeline live.launch.py source:=0
ros2 launch pose_pipeline live.launch.py image_topic:=/camera/image_raw camera_info:=/camera/camera_info subject_height:=1.78
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition, UnlessCondition
from launch.substitutions import LaunchConfiguration, NotEqualsSubstitution, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.substitutions import FindPackageShare

from lift3d_node.params import TILTS, Lift3DParams
from pose2d_node.params import Pose2DParams
from pose_core.config import PITCH, ROLL
from pose_ros.topics import CAMERA_INFO, IMAGE

SHARE = FindPackageShare("pose_pipeline")
POSE2D, LIFT3D = Pose2DParams(), Lift3DParams()

ARGUMENTS = [
    DeclareLaunchArgument(
        "source",
        default_value=POSE2D.source,
        description="camera index, video file or image folder; empty: image_topic",
    ),
    DeclareLaunchArgument(
        "image_topic",
        default_value=IMAGE,
        description="image topic to read, or to publish on when source is set",
    ),
    DeclareLaunchArgument(
        "camera_info", default_value=CAMERA_INFO, description="CameraInfo topic beside the image topic"
    ),
    DeclareLaunchArgument(
        "calibration", default_value=POSE2D.calibration, description="camera calibration file for source"
    ),
    DeclareLaunchArgument(
        "num_poses", default_value=str(POSE2D.num_poses), description="most people to track"
    ),
    DeclareLaunchArgument(
        "subject_height", default_value=str(LIFT3D.height), description="metres; 0: unknown"
    ),
    DeclareLaunchArgument(
        "camera_tilt",
        default_value=LIFT3D.camera_tilt,
        choices=TILTS,
        description="what the lifter is told of the camera's tilt: nothing, the two angles below, or level_frame's tf",
    ),
    DeclareLaunchArgument(
        "camera_pitch_deg",
        default_value=str(LIFT3D.camera_pitch_deg),
        description=PITCH,
    ),
    DeclareLaunchArgument(
        "camera_roll_deg",
        default_value=str(LIFT3D.camera_roll_deg),
        description=ROLL,
    ),
    DeclareLaunchArgument(
        "level_frame", default_value=LIFT3D.level_frame, description="tf frame whose z axis points up"
    ),
    DeclareLaunchArgument(
        "params",
        default_value=PathJoinSubstitution([SHARE, "config", "live.yaml"]),
        description="parameter file",
    ),
    DeclareLaunchArgument("record", default_value="", description="folder of the bag to record; empty: none"),
    DeclareLaunchArgument("rviz", default_value="false", description="open RViz"),
    DeclareLaunchArgument("composed", default_value="false", description="all stages in one process"),
]


def stage(package, name, parameters=()):
    """A stage in its own process, started again when it dies."""
    return Node(
        package=package,
        executable=name,
        name=name,
        parameters=[ParameterFile(LaunchConfiguration("params")), *parameters],
        remappings=[
            (IMAGE, LaunchConfiguration("image_topic")),
            (CAMERA_INFO, LaunchConfiguration("camera_info")),
        ],
        condition=UnlessCondition(LaunchConfiguration("composed")),
        output="screen",
        respawn=True,
        respawn_delay=2.0,
    )


def generate_launch_description():
    """Separate stages, or one process with the same nodes."""
    source = {
        "source": ParameterValue(LaunchConfiguration("source"), value_type=str),
        "calibration": ParameterValue(LaunchConfiguration("calibration"), value_type=str),
        "num_poses": ParameterValue(LaunchConfiguration("num_poses"), value_type=int),
    }
    tilt = {
        name: ParameterValue(LaunchConfiguration(name), value_type=float)
        for name in ("camera_pitch_deg", "camera_roll_deg")
    }
    lifting = {
        "height": ParameterValue(LaunchConfiguration("subject_height"), value_type=float),
        "camera_tilt": ParameterValue(LaunchConfiguration("camera_tilt"), value_type=str),
        "level_frame": ParameterValue(LaunchConfiguration("level_frame"), value_type=str),
        **tilt,
    }
    composed = Node(
        package="pose_tools",
        executable="pose",
        arguments=[
            *("live", "--real-time", "--stay"),
            *("--params", LaunchConfiguration("params")),
            *("--source", LaunchConfiguration("source")),
            *("--calibration", LaunchConfiguration("calibration")),
            *("--num-poses", LaunchConfiguration("num_poses")),
            *("--height", LaunchConfiguration("subject_height")),
            *("--camera-tilt", LaunchConfiguration("camera_tilt")),
            *("--camera-pitch-deg", LaunchConfiguration("camera_pitch_deg")),
            *("--camera-roll-deg", LaunchConfiguration("camera_roll_deg")),
            *("--level-frame", LaunchConfiguration("level_frame")),
        ],
        remappings=[
            (IMAGE, LaunchConfiguration("image_topic")),
            (CAMERA_INFO, LaunchConfiguration("camera_info")),
        ],
        condition=IfCondition(LaunchConfiguration("composed")),
        output="screen",
        respawn=True,
        respawn_delay=2.0,
    )
    recorder = Node(
        package="pose_tools",
        executable="pose",
        arguments=["record", LaunchConfiguration("record")],
        condition=IfCondition(NotEqualsSubstitution(LaunchConfiguration("record"), "")),
        output="screen",
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", PathJoinSubstitution([SHARE, "config", "pose.rviz"])],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription(
        [
            *ARGUMENTS,
            stage("pose2d_node", "pose2d", [source]),
            stage("lift3d_node", "lift3d", [lifting]),
            stage("refine_node", "refine", [tilt]),
            stage("pose_viz", "viz"),
            composed,
            recorder,
            rviz,
        ]
    )
