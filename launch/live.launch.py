"""Live pipeline: a camera, video, image folder or image topic in; skeletons, markers and a bag out.

ros2 launch pose_pipeline live.launch.py source:=0
ros2 launch pose_pipeline live.launch.py image_topic:=/camera/image_raw camera_info:=/camera/camera_info subject_height:=1.78

What is not stated as an argument is as the parameter file says, and else as docs/parameters.md says.
"""

import sys
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition, UnlessCondition
from launch.substitutions import (
    LaunchConfiguration,
    NotEqualsSubstitution,
    PathJoinSubstitution,
    TextSubstitution,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.substitutions import FindPackageShare

from pose_ros.topics import CAMERA_INFO, IMAGE, IMAGE_COMPRESSED
from pose_tools.parameters.chosen import of_file
from pose_tools.parameters.launching import arguments_of, as_sets, expect_known, stated
from pose_tools.parameters.options import LIVE_LAUNCH

SHARE = FindPackageShare("pose_pipeline")

ARGUMENTS = [
    DeclareLaunchArgument(
        "image_topic",
        default_value=IMAGE,
        description="image topic to read, or to publish on when source is set",
    ),
    DeclareLaunchArgument(
        "camera_info", default_value=CAMERA_INFO, description="CameraInfo topic beside the image topic"
    ),
    *(
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            choices=argument.choices or None,
        )
        for argument in arguments_of(LIVE_LAUNCH)
    ),
    DeclareLaunchArgument(
        "params",
        default_value=PathJoinSubstitution([SHARE, "config", "live.yaml"]),
        description="parameter file; what an argument states counts more",
    ),
    DeclareLaunchArgument("record", default_value="", description="folder of the bag to record; empty: none"),
    DeclareLaunchArgument("rviz", default_value="false", description="open RViz"),
    DeclareLaunchArgument("composed", default_value="false", description="all stages in one process"),
]

REMAPPINGS = [
    (IMAGE, LaunchConfiguration("image_topic")),
    (IMAGE_COMPRESSED, [LaunchConfiguration("image_topic"), "/compressed"]),
    (CAMERA_INFO, LaunchConfiguration("camera_info")),
]


def stage(package, name, parameters):
    """A stage in its own process, started again when it dies."""
    typed = {
        key: ParameterValue(TextSubstitution(text=value), value_type=str) if isinstance(value, str) else value
        for key, value in parameters.items()
    }
    return Node(
        package=package,
        executable=name,
        name=name,
        parameters=[ParameterFile(LaunchConfiguration("params")), *([typed] if typed else [])],
        remappings=REMAPPINGS,
        condition=UnlessCondition(LaunchConfiguration("composed")),
        output="screen",
        respawn=True,
        respawn_delay=2.0,
    )


def nodes(values):
    """Separate stages, or one process with the same nodes, with these parameters; a recorder and RViz on request."""
    composed = Node(
        package="pose_tools",
        executable="pose",
        arguments=[
            *("live", "--real-time", "--stay"),
            *("--params", LaunchConfiguration("params")),
            *(word for value in as_sets(values) for word in ("--set", value)),
        ],
        remappings=REMAPPINGS,
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
    return [
        stage("pose2d_node", "pose2d", values.get("pose2d", {})),
        stage("lift3d_node", "lift3d", values.get("lift3d", {})),
        stage("refine_node", "refine", values.get("refine", {})),
        stage("pose_viz", "viz", values.get("viz", {})),
        composed,
        recorder,
        rviz,
    ]


def generate_launch_description():
    """What arguments state counts more than the parameter file, their defaults do not: what is stated is noted before those."""
    given = {}

    def note(context):
        expect_known(LIVE_LAUNCH, [argument.name for argument in ARGUMENTS], sys.argv)
        given.update(context.launch_configurations)

    def start(context):
        of_file(Path(LaunchConfiguration("params").perform(context)))  # names the first thing wrong with it
        return nodes(stated(LIVE_LAUNCH, given))

    return LaunchDescription([OpaqueFunction(function=note), *ARGUMENTS, OpaqueFunction(function=start)])
