"""The launch files: what they start, with which arguments and parameters.

Where launch_ros is installed, which only an installed ROS 2 has, the launch files run with it too; everywhere they run with
stand-ins for its actions that remember how they were made.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from pose_core import config
from pose_core.config import text_of
from pose_tools.parameters.launching import SET, arguments_of
from pose_tools.parameters.options import LAUNCH_FILES, LIVE_LAUNCH, REPLAY_LAUNCH, options_of
from pose_tools.parameters.table import STAGES

ROOT = Path(__file__).resolve().parents[3]

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


def visited(name: str, context) -> list:
    """What the launch file makes of the arguments in a context of the real launch."""
    made = []
    for entity in description(name).entities:
        made += entity.visit(context) or []
    return made


def started(name: str, **arguments: str) -> list[str]:
    """Executables (or the first words of commands) that the launch file starts with these arguments."""
    from launch import LaunchContext
    from launch.actions import ExecuteProcess
    from launch_ros.actions import Node

    context = LaunchContext()
    context.launch_configurations.update(arguments)
    names = []
    for entity in visited(name, context):
        if entity.condition is None or entity.condition.evaluate(context):
            assert isinstance(entity, ExecuteProcess)
            command = entity.node_executable if isinstance(entity, Node) else entity.cmd[2]
            names.append(command if isinstance(command, str) else "".join(part.text for part in command))
    return names


@pytest.mark.parametrize("file", ["live.yaml", "replay.yaml"])
def test_configuration_names_only_parameters_that_exist_and_differ_from_their_default(file: str) -> None:
    content = yaml.safe_load((ROOT / "config" / file).read_text())
    for pattern, block in content.items():
        stages = [STAGES[pattern.rsplit("/", 1)[-1]]] if pattern != "/**" else list(STAGES.values())
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
def test_what_is_stated_reaches_the_nodes_of_the_real_launch() -> None:
    from launch import LaunchContext
    from launch_ros.actions import Node
    from launch_ros.utilities import evaluate_parameters

    context = LaunchContext()
    context.launch_configurations.update({"camera_pitch_deg": "22", "source": "0"})
    nodes = [entity for entity in visited(LIVE_LAUNCH, context) if isinstance(entity, Node)]
    assert all(node._ExecuteLocal__respawn for node in nodes[:5])
    told = [
        part
        for node in nodes[:4]
        for part in evaluate_parameters(context, node._Node__parameters)
        if isinstance(part, dict)
    ]
    assert told == [
        {"source": "0"},
        {"camera_pitch_deg": 22.0, "camera_tilt": "stated"},
        {"camera_pitch_deg": 22.0},
    ]


# With stand-ins for launch


class Made:
    """An action, a condition or a parameter file: how it was made."""

    def __init__(self, *positional: Any, **named: Any) -> None:
        self.positional, self.named = positional, named

    def __getattr__(self, name: str) -> Any:
        if name == "name" and self.positional:  # as launch's own actions say what they are called
            return self.positional[0]
        try:
            return self.named[name]
        except KeyError:
            raise AttributeError(name) from None


class Text:
    """A substitution: what it stands for in a context."""

    def __init__(self, of: Any) -> None:
        self._of = of

    def perform(self, context: SimpleNamespace) -> str:
        return str(self._of(context.launch_configurations))


def performed(value: Any, context: SimpleNamespace) -> str:
    parts = value if isinstance(value, list | tuple) else [value]
    return "".join(part.perform(context) if isinstance(part, Text) else part for part in parts)


def is_true(value: Any, context: SimpleNamespace) -> bool:
    return performed(value, context).lower() == "true"


STAND_INS: dict[str, dict[str, Any]] = {
    "launch": {"LaunchDescription": list},
    "launch.actions": {
        name: type(name, (Made,), {})
        for name in ("DeclareLaunchArgument", "OpaqueFunction", "ExecuteProcess")
    },
    "launch.conditions": {
        "IfCondition": lambda text: SimpleNamespace(evaluate=lambda context: is_true(text, context)),
        "UnlessCondition": lambda text: SimpleNamespace(evaluate=lambda context: not is_true(text, context)),
    },
    "launch.substitutions": {
        "LaunchConfiguration": lambda name: Text(lambda given: given[name]),
        "NotEqualsSubstitution": lambda one, other: Text(
            lambda given: one.perform(SimpleNamespace(launch_configurations=given)) != other
        ),
        "PathJoinSubstitution": lambda parts: Text(lambda _given: ROOT.joinpath(*parts[1:])),
        "TextSubstitution": lambda text: Text(lambda _given: text),
    },
    "launch_ros": {},
    "launch_ros.actions": {"Node": type("Node", (Made,), {})},
    "launch_ros.parameter_descriptions": {
        "ParameterFile": type("ParameterFile", (Made,), {}),
        "ParameterValue": type("ParameterValue", (Made,), {}),
    },
    "launch_ros.substitutions": {"FindPackageShare": lambda name: name},
}


@dataclass
class Launched:
    """What a launch file declared and started."""

    declared: dict[str, Made] = field(default_factory=dict)
    started: list[Made] = field(default_factory=list)
    context: SimpleNamespace = field(default_factory=SimpleNamespace)

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Typed values beside the parameter file, by executable of the stages."""
        return {node.executable: self._own(node) for node in self.started if "parameters" in node.named}

    def _own(self, node: Made) -> dict[str, Any]:
        file, *others = node.parameters if isinstance(node.parameters[0], Made) else [None, *node.parameters]
        assert file is None or performed(file.positional[0], self.context).endswith(".yaml")
        return {
            name: performed(value.positional[0], self.context) if isinstance(value, Made) else value
            for part in others
            for name, value in part.items()
        }

    def words(self, executable: str) -> list[str]:
        """The command line of a node."""
        (node,) = (node for node in self.started if node.named.get("executable") == executable)
        return [performed(word, self.context) for word in node.arguments]

    def remappings(self, executable: str) -> dict[str, str]:
        (node,) = (node for node in self.started if node.named.get("executable") == executable)
        return {name: performed(to, self.context) for name, to in node.remappings}


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a launch file with the stand-ins, as `ros2 launch` would with these arguments."""
    for name, content in STAND_INS.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)

    def run(file: str, **given: str) -> Launched:
        words = [f"{name}:={value}" for name, value in given.items()]
        monkeypatch.setattr(sys, "argv", ["ros2", "launch", "pose_pipeline", file, *words])
        found = Launched(context=SimpleNamespace(launch_configurations=dict(given)))
        for action in description(file):
            kind = type(action).__name__
            if kind == "OpaqueFunction":
                found.started += [
                    entity
                    for entity in action.function(found.context) or []
                    if entity.named.get("condition") is None or entity.condition.evaluate(found.context)
                ]
            else:
                assert kind == "DeclareLaunchArgument"
                found.declared[action.positional[0]] = action
                if "default_value" in action.named:
                    text = performed(action.default_value, found.context)
                    found.context.launch_configurations.setdefault(action.positional[0], text)
        return found

    return run


REQUIRED = {LIVE_LAUNCH: {}, REPLAY_LAUNCH: {"bag": "out/bag", "images": "true"}}


@pytest.mark.parametrize("file", LAUNCH_FILES)
def test_arguments_are_those_of_the_table(launched: Any, file: str) -> None:
    declared = launched(file, **REQUIRED[file]).declared
    wanted = {"lifter", "refiner", "look_ahead", "model", "image_transport", "frame_id", "subject_height"}
    assert wanted <= set(options_of(file))
    for argument in arguments_of(file):
        made = declared[argument.name]
        assert made.default_value == argument.default
        assert made.description == argument.description
        assert made.choices == (argument.choices or None)
        if argument.name != SET:
            parameter = options_of(file)[argument.name].parameter
            assert argument.default == text_of(parameter.default)
            assert parameter.description in argument.description
            assert argument.choices == parameter.choices
    assert all(len(made.description) > 5 for made in declared.values())


@pytest.mark.parametrize("file", LAUNCH_FILES)
def test_what_nobody_states_is_left_to_the_parameter_file(launched: Any, file: str) -> None:
    told = launched(file, **REQUIRED[file]).parameters()
    assert {name: told[name] for name in STAGES} == {name: {} for name in STAGES}


def another(parameter: config.Parameter) -> Any:
    """A value that is not the default."""
    if parameter.choices:
        return next(choice for choice in parameter.choices if choice != parameter.default)
    if parameter.kind is str:
        return "0"
    if parameter.high is not None and parameter.default != parameter.high:
        return parameter.kind(parameter.high)
    return parameter.kind(parameter.low)


@pytest.mark.parametrize(
    ("file", "name"), [(file, name) for file in LAUNCH_FILES for name in options_of(file)]
)
def test_each_argument_reaches_its_stages(launched: Any, file: str, name: str) -> None:
    option = options_of(file)[name]
    value = another(option.parameter)
    run = launched(file, **REQUIRED[file], **{name: text_of(value)})
    told = run.parameters()
    for full in option.states:
        stage, _, field_name = full.partition(".")
        assert told[stage][field_name] == value
        assert type(told[stage][field_name]) is option.parameter.kind
        config.build(STAGES[stage], told[stage])
    if file == LIVE_LAUNCH:
        words = launched(file, **{name: text_of(value)}, composed="true").words("pose")
        assert words[:5] == ["live", "--real-time", "--stay", "--params", str(ROOT / "config" / "live.yaml")]
        assert words[5::2] == ["--set"] * len(words[6::2])
        assert {f"{full}={text_of(value)}" for full in option.states} <= set(words[6::2])


def test_further_parameters_are_set(launched: Any) -> None:
    asked = {"set": "refine.process_noise=0.5 'viz.people=lift3d'", "lifter": "mediapipe_world"}
    told = launched(LIVE_LAUNCH, **asked).parameters()
    assert told["refine"] == {"process_noise": 0.5}
    assert told["viz"] == {"people": "lift3d"}
    assert told["lift3d"] == {"lifter": "mediapipe_world"}


def test_a_pitch_alone_states_the_tilt(launched: Any) -> None:
    told = launched(LIVE_LAUNCH, camera_pitch_deg="22").parameters()
    assert told["lift3d"] == {"camera_pitch_deg": 22.0, "camera_tilt": "stated"}
    assert told["refine"] == {"camera_pitch_deg": 22.0}


def test_both_image_topics_follow_the_argument(launched: Any) -> None:
    for file in LAUNCH_FILES:
        run = launched(file, **REQUIRED[file], image_topic="/camera/image", image_transport="compressed")
        remapped = run.remappings("pose2d")
        assert remapped["image_raw"] == "/camera/image"
        assert remapped["image_raw/compressed"] == "/camera/image/compressed"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"liftr": "x"}, "unknown argument 'liftr'; did you mean 'lifter'?"),
        ({"look_ahead": "two"}, "look_ahead must be of type int, got 'two'"),
        ({"subject_height": "17.5"}, r"subject_height must be from 0\.0 to 2\.6, got 17\.5"),
        ({"set": "refine.proces_noise=1"}, "did you mean 'refine.process_noise'?"),
        ({"lifter": "a", "set": "lift3d.lifter=b"}, "lift3d.lifter is stated twice, by lifter:= and"),
        ({"params": "nowhere.yaml"}, "nowhere.yaml cannot be read"),
    ],
)
@pytest.mark.parametrize("file", LAUNCH_FILES)
def test_what_cannot_be_is_refused(launched: Any, file: str, given: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        launched(file, **REQUIRED[file], **given)


def test_a_misspelt_parameter_in_the_file_is_refused(launched: Any, tmp_path: Path) -> None:
    file = tmp_path / "robot.yaml"
    file.write_text("/**/refine: {ros__parameters: {refinr: kalman}}\n")
    with pytest.raises(ValueError, match="did you mean 'refiner'?"):
        launched(LIVE_LAUNCH, params=str(file))


def test_replay_of_people_has_no_detector_to_tell_anything(launched: Any) -> None:
    with pytest.raises(ValueError, match="add images:=true"):
        launched(REPLAY_LAUNCH, bag="out/bag", model="heavy")
    assert "pose2d" not in launched(REPLAY_LAUNCH, bag="out/bag", refiner="raw").parameters()


def test_arguments_of_a_launch_file_that_includes_this_one_are_let_be(
    launched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pose_tools.parameters.launching import expect_known

    launch = ["ros2", "launch", "robot", "robot.launch.py", "arm:=left"]
    expect_known(LIVE_LAUNCH, ["source"], launch)
    with pytest.raises(ValueError, match="unknown argument 'arm'"):
        expect_known(LIVE_LAUNCH, ["source"], ["ros2", "launch", "pose_pipeline", LIVE_LAUNCH, "arm:=left"])
