"""The launch files: what they start, with which arguments. Needs launch_ros, which only an installed ROS 2 has."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

from lift3d_node.params import Lift3DParams
from pose2d_node.params import Pose2DParams
from pose_core import config
from pose_viz.params import VizParams
from refine_node.params import RefineParams

ROOT = Path(__file__).resolve().parents[3]
PARAMS = {"pose2d": Pose2DParams, "lift3d": Lift3DParams, "refine": RefineParams, "viz": VizParams}

needs_launch = pytest.mark.skipif(
    importlib.util.find_spec("launch_ros") is None,
    reason="LAUNCH FILES NOT RUN: launch_ros is missing; source an installed ROS 2 and test again",
)


def description(name: str):
    """The launch description of `launch/name`."""
    spec = importlib.util.spec_from_file_location(name.split(".")[0], ROOT / "launch" / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def started(name: str, **arguments: str) -> list[str]:
    """Executables (or the first words of commands) that the launch file starts with these arguments."""
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, ExecuteProcess
    from launch_ros.actions import Node

    context = LaunchContext()
    context.launch_configurations.update(arguments)
    names = []
    for entity in description(name).entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.visit(context)
        elif entity.condition is None or entity.condition.evaluate(context):
            assert isinstance(entity, ExecuteProcess)
            command = entity.node_executable if isinstance(entity, Node) else entity.cmd[2]
            names.append(command if isinstance(command, str) else "".join(part.text for part in command))
    return names


@pytest.mark.parametrize("file", ["live.yaml", "replay.yaml"])
def test_configuration_names_only_parameters_that_exist_and_differ_from_their_default(file: str) -> None:
    content = yaml.safe_load((ROOT / "config" / file).read_text())
    for pattern, block in content.items():
        stages = [PARAMS[pattern.rsplit("/", 1)[-1]]] if pattern != "/**" else list(PARAMS.values())
        for params in stages:
            built = config.build(params, block["ros__parameters"])
            for name in block["ros__parameters"]:
                assert getattr(built, name) != getattr(params(), name)


@needs_launch
def test_live_starts_each_stage_in_its_own_process() -> None:
    assert started("live.launch.py") == ["pose2d", "lift3d", "refine", "viz"]


@needs_launch
def test_live_composed_starts_one_process() -> None:
    assert started("live.launch.py", composed="true") == ["pose"]


@needs_launch
def test_live_records_and_opens_rviz_on_request() -> None:
    assert started("live.launch.py", record="out/bag", rviz="true")[4:] == ["pose", "rviz2"]


@needs_launch
def test_replay_of_people_leaves_detection_out() -> None:
    assert started("replay.launch.py", bag="out/bag") == ["lift3d", "refine", "viz", "play"]


@needs_launch
def test_replay_of_images_runs_all_stages() -> None:
    assert started("replay.launch.py", bag="out/bag", images="true") == [
        "pose2d",
        "lift3d",
        "refine",
        "viz",
        "play",
    ]


@needs_launch
@pytest.mark.parametrize("file", ["live.launch.py", "replay.launch.py"])
def test_every_argument_is_described(file: str) -> None:
    from launch.actions import DeclareLaunchArgument

    arguments = [e for e in description(file).entities if isinstance(e, DeclareLaunchArgument)]
    assert arguments
    assert all(len(argument.description) > 5 for argument in arguments)


@needs_launch
def test_stages_start_again_when_they_die() -> None:
    from launch_ros.actions import Node

    stages = [e for e in description("live.launch.py").entities if isinstance(e, Node)][:5]
    assert all(stage._ExecuteLocal__respawn for stage in stages)


@needs_launch
def test_the_cameras_tilt_reaches_lifting_and_refinement() -> None:
    """In their own processes as parameters, in one process as options of `pose live`."""
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument
    from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
    from launch_ros.actions import Node
    from launch_ros.utilities import evaluate_parameters

    context = LaunchContext()
    asked = {"camera_tilt": "tf", "camera_pitch_deg": "22", "level_frame": "map"}
    context.launch_configurations.update(asked)
    entities = description("live.launch.py").entities
    for argument in entities:
        if isinstance(argument, DeclareLaunchArgument):
            argument.visit(context)
    started_by = [node for node in entities if isinstance(node, Node)]
    nodes = {node.node_executable: node for node in reversed(started_by)}  # of two commands `pose`, the first
    told = {
        name: {
            key: value
            for part in evaluate_parameters(context, node._Node__parameters)
            if isinstance(part, dict)
            for key, value in part.items()
        }
        for name, node in nodes.items()
        if name in ("lift3d", "refine")
    }
    angles = {"camera_pitch_deg": 22.0, "camera_roll_deg": 0.0}
    assert told["refine"] == angles
    assert told["lift3d"] == {"height": 0.0, "camera_tilt": "tf", "level_frame": "map", **angles}
    words = [
        perform_substitutions(context, normalize_to_list_of_substitutions(word))
        for word in nodes["pose"]._Node__arguments
    ]
    options = dict(zip(words[-8::2], words[-7::2], strict=True))
    assert options == {
        "--camera-tilt": "tf",
        "--camera-pitch-deg": "22",
        "--camera-roll-deg": "0.0",
        "--level-frame": "map",
    }
