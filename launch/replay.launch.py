"""Replay a bag with sim time: its images through the whole pipeline, or its 2D people through lifting and refinement.

ros2 launch pose_pipeline replay.launch.py bag:=out/demo/bag
ros2 launch pose_pipeline replay.launch.py bag:=drive_3 images:=true record:=out/again

What is not stated as an argument is as the parameter file says, and else as docs/parameters.md says.
"""

import sys
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
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

from pose_ros.topics import CAMERA_INFO, IMAGE, IMAGE_COMPRESSED, PEOPLE2D, SKELETON2D, WORLD
from pose_tools.parameters.chosen import of_file
from pose_tools.parameters.launching import arguments_of, expect_known, stated
from pose_tools.parameters.options import REPLAY_LAUNCH

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
    *(
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            choices=argument.choices or None,
        )
        for argument in arguments_of(REPLAY_LAUNCH)
    ),
    DeclareLaunchArgument(
        "params",
        default_value=PathJoinSubstitution([SHARE, "config", "replay.yaml"]),
        description="parameter file; what an argument states counts more",
    ),
    DeclareLaunchArgument("rate", default_value="1.0", description="playback rate"),
    DeclareLaunchArgument("record", default_value="", description="folder of the bag to record; empty: none"),
    DeclareLaunchArgument("rviz", default_value="false", description="open RViz"),
]


def stage(package, name, parameters, condition=None):
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


def actions(values):
    """The stages that the chosen input needs, with these parameters, the player, a recorder and RViz on request."""
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
    return [
        stage("pose2d_node", "pose2d", values.get("pose2d", {}), IfCondition(IMAGES)),
        stage("lift3d_node", "lift3d", values.get("lift3d", {})),
        stage("refine_node", "refine", values.get("refine", {})),
        stage("pose_viz", "viz", values.get("viz", {})),
        play(images, IfCondition(IMAGES)),
        play(people, UnlessCondition(IMAGES)),
        recorder,
        rviz,
    ]


def generate_launch_description():
    """What arguments state counts more than the parameter file, their defaults do not: what is stated is noted before those."""
    given = {}

    def note(context):
        expect_known(REPLAY_LAUNCH, [argument.name for argument in ARGUMENTS], sys.argv)
        given.update(context.launch_configurations)

    def start(context):
        of_file(Path(LaunchConfiguration("params").perform(context)))  # names the first thing wrong with it
        values = stated(REPLAY_LAUNCH, given)
        if "pose2d" in values and not IfCondition(IMAGES).evaluate(context):
            raise ValueError("pose2d looks at images; add images:=true, or leave what is stated for it out")
        return actions(values)

    return LaunchDescription([OpaqueFunction(function=note), *ARGUMENTS, OpaqueFunction(function=start)])
