"""Replay a bag with sim time: its images through the whole pipeline, or its 2D people through lifting and refinement.

ros2 launch pose_pipeline replay.launch.py bag:=out/demo/bag
ros2 launch pose_pipeline replay.launch.py bag:=drive_3 images:=true record:=out/again
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.conditions import IfCondition, UnlessCondition
from launch.substitutions import LaunchConfiguration, NotEqualsSubstitution, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile
from launch_ros.substitutions import FindPackageShare

from pose_ros.topics import CAMERA_INFO, IMAGE, IMAGE_COMPRESSED, PEOPLE2D, SKELETON2D, WORLD

SHARE = FindPackageShare("pose_pipeline")
IMAGES = LaunchConfiguration("images")

ARGUMENTS = [
    DeclareLaunchArgument("bag", description="bag folder to replay"),
    DeclareLaunchArgument(
        "images", default_value="false", description="true: detect again from the bag's images"
    ),
    DeclareLaunchArgument("image_topic", default_value=IMAGE, description="image topic in the bag"),
    DeclareLaunchArgument(
        "camera_info", default_value=CAMERA_INFO, description="CameraInfo topic in the bag"
    ),
    DeclareLaunchArgument(
        "params",
        default_value=PathJoinSubstitution([SHARE, "config", "replay.yaml"]),
        description="parameter file",
    ),
    DeclareLaunchArgument("rate", default_value="1.0", description="playback rate"),
    DeclareLaunchArgument("record", default_value="", description="folder of the bag to record; empty: none"),
    DeclareLaunchArgument("rviz", default_value="false", description="open RViz"),
]


def stage(package, name, condition=None):
    """A stage in its own process, started again when it dies."""
    return Node(
        package=package,
        executable=name,
        name=name,
        parameters=[ParameterFile(LaunchConfiguration("params"))],
        remappings=[
            (IMAGE, LaunchConfiguration("image_topic")),
            (IMAGE_COMPRESSED, [LaunchConfiguration("image_topic"), "/compressed"]),
            (CAMERA_INFO, LaunchConfiguration("camera_info")),
        ],
        condition=condition,
        output="screen",
        respawn=True,
        respawn_delay=2.0,
    )


def play(topics, condition):
    """`ros2 bag play` of some topics, driving the clock."""
    return ExecuteProcess(
        cmd=[
            *("ros2", "bag", "play", LaunchConfiguration("bag"), "--clock", "--delay", "3"),
            *("--rate", LaunchConfiguration("rate")),
            *("--topics", *topics),
        ],
        condition=condition,
        output="screen",
    )


def generate_launch_description():
    """The stages that the chosen input needs, the player, a recorder and RViz on request."""
    images = [
        LaunchConfiguration("image_topic"),
        [LaunchConfiguration("image_topic"), "/compressed"],
        LaunchConfiguration("camera_info"),
    ]
    people = [PEOPLE2D, WORLD, SKELETON2D, LaunchConfiguration("camera_info")]
    recorder = Node(
        package="pose_tools",
        executable="pose",
        arguments=["record", LaunchConfiguration("record")],
        parameters=[{"use_sim_time": True}],
        condition=IfCondition(NotEqualsSubstitution(LaunchConfiguration("record"), "")),
        output="screen",
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", PathJoinSubstitution([SHARE, "config", "pose.rviz"])],
        parameters=[{"use_sim_time": True}],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription(
        [
            *ARGUMENTS,
            stage("pose2d_node", "pose2d", IfCondition(IMAGES)),
            stage("lift3d_node", "lift3d"),
            stage("refine_node", "refine"),
            stage("pose_viz", "viz"),
            play(images, IfCondition(IMAGES)),
            play(people, UnlessCondition(IMAGES)),
            recorder,
            rviz,
        ]
    )
