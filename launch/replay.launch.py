"""Replay a bag with sim time: its images through the whole pipeline, or its 2D people through lifting and refinement.

ros2 launch pose_pipeline replay.launch.py bag:=out/demo/bag
ros2 launch pose_pipeline replay.launch.py bag:=drive_3 images:=true record:=out/again

Ends when the bag does; with exit code 1 where nothing, or not everything, came out. What is not stated as an argument is as the
parameter file says, else as the bag states of its people, its camera and how they were lifted and refined, and else as
docs/parameters.md says.
"""

from pose_tools.launching.actions import (
    argument,
    arguments,
    command,
    describe,
    executable,
    recorder,
    rviz,
    stage,
)
from pose_tools.launching.replayed import Replayed
from pose_tools.parameters.options import REPLAY_LAUNCH

ARGUMENTS = arguments(
    REPLAY_LAUNCH,
    "replay.yaml",
    argument("bag", "bag folder to replay"),
    argument("images", "true: detect again from the bag's images", "false"),
    argument("image_topic", "image topic in the bag, where it holds several; empty: found", ""),
    argument("camera_info", "CameraInfo topic in the bag, where it holds several; empty: found", ""),
    argument("namespace", "of the robot in the bag, where it holds several; empty: found", ""),
    argument("rate", "playback rate; 0: as fast as the stages take it", "1.0"),
)


def start(launch, given):
    """A recorder on request, the stages that the chosen input needs, what plays the bag, and RViz on request."""
    replayed = Replayed.of(given, executable("pose_tools", "pose"))
    space = replayed.namespace

    def replaying(package, name):
        return stage(launch, given, package, name, space, always=replayed.of_stage(name))

    player = command(given, lambda _first: replayed.words, space)
    return [
        *recorder(launch, given, space, sim_time=True),
        *([replaying("pose2d_node", "pose2d")] if replayed.images else []),
        replaying("lift3d_node", "lift3d"),
        replaying("refine_node", "refine"),
        replaying("pose_viz", "viz"),
        launch.require(player, f"the replay of {replayed.bag}"),
        *rviz(given, space, sim_time=True),
    ]


def generate_launch_description():
    return describe(REPLAY_LAUNCH, ARGUMENTS, start)
