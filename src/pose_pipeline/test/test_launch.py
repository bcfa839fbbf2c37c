"""The launch files: what they start, with which arguments and parameters.

Where launch_ros is installed, which only an installed ROS 2 has, the launch files run with it too; everywhere they run with
stand-ins for its actions that remember how they were made.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from pose2d_node.params import NO_TOKEN
from pose_core import config
from pose_core.config import text_of
from pose_core.statements import RunStatement, SubjectStatement, SubjectStatements
from pose_core.system.exits import FAILED, WRONG_CONFIGURATION, Failed, WrongConfiguration
from pose_ros.domains import private_domain
from pose_ros.messages import names
from pose_ros.messages.delivery import IMAGES, LATCHED, RESULTS
from pose_tools.bag.messages import constructor, serialize, writer
from pose_tools.bag.topics import Topic
from pose_tools.bag.writer import BagWriter
from pose_tools.cli.main import app
from pose_tools.launching import replayed
from pose_tools.middleware import CHOSEN, ENOUGH, VARIABLE
from pose_tools.parameters.launching import SET, arguments_of
from pose_tools.parameters.options import LAUNCH_FILES, LIVE_LAUNCH, REPLAY_LAUNCH, options_of
from pose_tools.parameters.table import STAGES

ROOT = Path(__file__).resolve().parents[3]
STAMP_NS = 5 * 10**9

needs_launch = pytest.mark.skipif(
    importlib.util.find_spec("launch_ros") is None,
    reason="LAUNCH FILES NOT RUN: launch_ros is missing; source an installed ROS 2 and test again",
)


def bag_of(folder: Path, kinds: dict[str, str]) -> Path:
    """A bag with one empty message on each topic, of these types."""
    with BagWriter(folder, [Topic(name, kind, IMAGES) for name, kind in kinds.items()]) as writer:
        for name, kind in kinds.items():
            writer.write(name, serialize(constructor(kind)()), STAMP_NS)
    return folder


DRIVER = {"/camera/image/compressed": names.COMPRESSED_IMAGE, "/camera/camera_info": names.CAMERA_INFO}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People of a robot without a namespace, and compressed images of a camera driver."""
    return bag_of(tmp_path_factory.mktemp("bags") / "bag", {"/pose2d/people": names.PEOPLE2D, **DRIVER})


def description(name: str):
    """The launch description of `launch/name`."""
    spec = importlib.util.spec_from_file_location(name.split(".")[0], ROOT / "launch" / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


@pytest.mark.parametrize("file", ["live.yaml", "replay.yaml"])
def test_configuration_names_only_parameters_that_exist_and_differ_from_their_default(file: str) -> None:
    content = yaml.safe_load((ROOT / "config" / file).read_text())
    for pattern, block in content.items():
        stages = [STAGES[pattern.rsplit("/", 1)[-1]]] if pattern != "/**" else list(STAGES.values())
        for params in stages:
            built = config.build(params, block["ros__parameters"])
            for name in block["ros__parameters"]:
                assert getattr(built, name) != getattr(params(), name)


# With the launch of an installed ROS 2


def visited(name: str, **arguments: str) -> tuple[Any, list]:
    """A context of arguments, and what the launch file makes in it."""
    from launch import LaunchContext

    context = LaunchContext()
    context.launch_configurations.update(arguments)
    made = []
    for entity in description(name).entities:
        made += entity.visit(context) or []
    return context, made


def started(name: str, **arguments: str) -> list[str]:
    """Executables that the launch file starts with these arguments."""
    from launch_ros.actions import Node

    return [entity.node_executable for entity in visited(name, **arguments)[1] if isinstance(entity, Node)]


@needs_launch
def test_live_starts_each_stage_in_its_own_process() -> None:
    assert started(LIVE_LAUNCH) == ["pose2d", "lift3d", "refine", "viz"]


@needs_launch
def test_live_composed_starts_one_process() -> None:
    assert started(LIVE_LAUNCH, composed="true") == ["pose"]


@needs_launch
def test_the_recorder_comes_first_and_rviz_last(tmp_path: Path) -> None:
    asked = {"record": str(tmp_path / "bag"), "rviz": "true"}
    assert started(LIVE_LAUNCH, **asked) == ["pose", "pose2d", "lift3d", "refine", "viz", "rviz2"]


@needs_launch
def test_replay_starts_what_its_input_needs(bag: Path) -> None:
    assert started(REPLAY_LAUNCH, bag=str(bag)) == ["lift3d", "refine", "viz", "pose"]
    of_images = ["pose2d", "lift3d", "refine", "viz", "pose"]
    assert started(REPLAY_LAUNCH, bag=str(bag), images="true") == of_images


@needs_launch
@pytest.mark.parametrize("file", LAUNCH_FILES)
def test_every_argument_is_described(file: str) -> None:
    from launch.actions import DeclareLaunchArgument

    arguments = [e for e in description(file).entities if isinstance(e, DeclareLaunchArgument)]
    assert arguments
    assert all(len(argument.description) > 5 for argument in arguments)


@needs_launch
def test_what_is_stated_reaches_the_nodes_of_the_real_launch() -> None:
    from launch_ros.actions import Node
    from launch_ros.utilities import evaluate_parameters

    context, made = visited(LIVE_LAUNCH, camera_pitch_deg="22", source="0")
    told = [
        part
        for node in made
        if isinstance(node, Node)
        for part in evaluate_parameters(context, node._Node__parameters)
        if isinstance(part, dict)
    ]
    assert told == [
        {"wait_for": "lift3d refine", "source": "0"},
        {"camera_pitch_deg": 22.0, "camera_tilt": "stated"},
        {"camera_pitch_deg": 22.0},
    ]


SERVICE = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import ExecuteProcess, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from pose_tools.launching import restarts
from pose_tools.launching.actions import Launch

def python(file, **options):
    return ExecuteProcess(cmd=[sys.executable, file], output="screen", **options)

def include(file, *arguments):
    sys.argv[:] = ["ros2", "launch", file, *arguments]
    pairs = [tuple(word.split(":=", 1)) for word in arguments]
    return [IncludeLaunchDescription(PythonLaunchDescriptionSource(file), launch_arguments=pairs)]

ours = Launch()
"""
RUN = """
service = LaunchService()
service.include_launch_description(LaunchDescription(entities))
sys.exit(service.run())
"""

ORDERLY = """
import time
try:
    while True:
        time.sleep(0.1)
except KeyboardInterrupt:
    print("ended in order", flush=True)
"""

FAILING = """
import sys
from pathlib import Path
count = Path(__file__).with_suffix(".count")
count.write_text((count.read_text() if count.exists() else "") + "x")
sys.exit(78 if count.read_text() == "xxx" else 1)
"""


def launched_for_real(folder: Path, body: str, **scripts: str) -> subprocess.CompletedProcess[str]:
    """A launch of `entities`, which `body` sets, in a process and on a ROS domain of its own, with these files in `folder`."""
    for name, script in scripts.items():
        (folder / f"{name}.py").write_text(script)
    with private_domain() as domain:
        return subprocess.run(
            [sys.executable, "-c", SERVICE + body + RUN],
            env=os.environ | {"ROS_DOMAIN_ID": str(domain), "ROS_LOG_DIR": str(folder / "log")},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
        )


@needs_launch
def test_a_crash_is_retried_and_a_wrong_configuration_ends_the_launch_in_order(tmp_path: Path) -> None:
    """Another process of the launch still ends in order: what it prints last arrives."""
    body = """
restarts.FIRST_DELAY_S = 0.01
failing = ours.keep(lambda on_exit, first: python("failing.py", on_exit=on_exit))
entities = [*ours.watch(), python("orderly.py"), failing]
"""
    done = launched_for_real(tmp_path, body, failing=FAILING, orderly=ORDERLY)
    said = done.stdout + done.stderr
    assert done.returncode == WRONG_CONFIGURATION, said
    assert (tmp_path / "failing.count").read_text() == "xxx"
    assert "is started again in 0 s" in said
    assert "is started again in 0.01 s" in said
    assert "wrongly configured" in said
    assert "ended in order" in said


@needs_launch
@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(FAILED)", FAILED),
        ("import os; os.kill(os.getpid(), 9)", FAILED),
    ],
)
def test_the_end_of_what_is_required_ends_the_launch(end: str, code: int, tmp_path: Path) -> None:
    body = """
required = ours.require(lambda on_exit, first: python("short.py", on_exit=on_exit), "the recorder of bag")
entities = [*ours.watch(), python("orderly.py"), required]
"""
    done = launched_for_real(tmp_path, body, short=f"FAILED = {FAILED}\n{end}\n", orderly=ORDERLY)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "the recorder of bag has ended with exit code" in said


def including(file: str, *words: str) -> str:
    return f"entities = include({str(ROOT / 'launch' / file)!r}, *{list(words)!r})\n"


@needs_launch
@pytest.mark.parametrize(
    ("argument", "code", "sentence"),
    [
        ("params:=nowhere.yaml", WRONG_CONFIGURATION, "nowhere.yaml cannot be read"),
        ("liftr:=x", WRONG_CONFIGURATION, "did you mean 'lifter'?"),
        ("record:=TAKEN", FAILED, "exists and is not an empty folder"),
    ],
)
def test_what_cannot_be_ends_the_launch_before_anything_starts(
    argument: str, code: int, sentence: str, bag: Path, tmp_path: Path
) -> None:
    done = launched_for_real(tmp_path, including(LIVE_LAUNCH, argument.replace("TAKEN", str(bag))))
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert sentence in said
    assert "process started" not in said


@needs_launch
@pytest.mark.parametrize("composed", ["false", "true"])
def test_a_stage_that_refuses_its_configuration_ends_the_launch(composed: str, tmp_path: Path) -> None:
    words = ("source:=nowhere.mp4", f"composed:={composed}", "record:=bag")
    done = launched_for_real(tmp_path, including(LIVE_LAUNCH, *words))
    said = done.stdout + done.stderr
    assert done.returncode == WRONG_CONFIGURATION, said
    assert "source 'nowhere.mp4' is no camera index" in said
    assert [path.name for path in tmp_path.iterdir()] == ["log"], "no bag, whole or in part"


@needs_launch
def test_a_replay_out_of_which_nothing_comes_ends_with_a_failure(bag: Path, tmp_path: Path) -> None:
    """Its one image is none."""
    words = (f"bag:={bag}", "images:=true", "record:=again", "rate:=0")
    done = launched_for_real(tmp_path, including(REPLAY_LAUNCH, *words))
    said = done.stdout + done.stderr
    assert done.returncode == FAILED, said
    assert "nothing came out of the stages for 1 frames" in said


# With stand-ins for launch


class Made:
    """An action, a condition or a parameter file: how it was made."""

    def __init__(self, *positional: Any, **named: Any) -> None:
        self.positional, self.named = positional, named

    def __getattr__(self, name: str) -> Any:
        if name == "name" and self.positional:  # as launch's own actions say what they are called
            return self.positional[0]
        try:
            return self.__dict__["named"][name]
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


def kinds(*called: str) -> dict[str, type]:
    return {name: type(name, (Made,), {}) for name in called}


class Log:
    """Takes what is said."""

    def error(self, said: str) -> None: ...

    warning = info = error


STAND_INS: dict[str, dict[str, Any]] = {
    "launch.logging": {"get_logger": lambda name: Log()},
    "launch.actions": kinds(
        "DeclareLaunchArgument",
        "OpaqueFunction",
        "RegisterEventHandler",
        "SetEnvironmentVariable",
        "Shutdown",
        "TimerAction",
    ),
    "launch.event_handlers": kinds("OnProcessExit", "OnProcessStart"),
    "launch.substitutions": {
        "PathJoinSubstitution": lambda parts: Text(lambda _given: ROOT.joinpath(*parts[1:])),
        "TextSubstitution": lambda text: Text(lambda _given: text),
    },
    "launch": {"LaunchDescription": list, "LaunchContext": SimpleNamespace, **kinds("Action")},
    "launch_ros": {},
    "launch_ros.actions": kinds("Node"),
    "launch_ros.parameter_descriptions": kinds("ParameterFile", "ParameterValue"),
    "launch_ros.substitutions": {"FindPackageShare": lambda name: name},
}


@dataclass
class Launched:
    """What a launch file declared and started."""

    declared: dict[str, Made] = field(default_factory=dict)
    started: list[Made] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    """Variables that everything is started with."""
    ended: tuple[int, str] | None = None
    """Exit code and sentence, where it ended before anything started."""
    context: SimpleNamespace = field(default_factory=SimpleNamespace)

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Typed values beside the parameter file, by executable."""
        return {node.executable: self._own(node) for node in self.started if "parameters" in node.named}

    def _own(self, node: Made) -> dict[str, Any]:
        files = [part for part in node.parameters if isinstance(part, Made)]
        assert all(performed(file.positional[0], self.context).endswith(".yaml") for file in files)
        return {
            name: performed(value.positional[0], self.context) if isinstance(value, Made) else value
            for part in node.parameters
            if not isinstance(part, Made)
            for name, value in part.items()
        }

    def nodes(self, executable: str) -> list[Made]:
        return [node for node in self.started if node.executable == executable]

    def words(self, executable: str, first: str = "") -> list[str]:
        """The command line of a node, whose first word is this where it is stated."""
        lines = [
            [performed(word, self.context) for word in node.arguments] for node in self.nodes(executable)
        ]
        (line,) = (words for words in lines if not first or words[0] == first)
        return line


def described(_pose: str, words: list[str]) -> Any:
    """As `replayed.describe`, without a process for each."""
    result = CliRunner().invoke(app, words)
    if result.exception is not None:
        raise Failed(str(result.exception))
    return json.loads(result.stdout)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a launch file with the stand-ins, as `ros2 launch` would with these arguments."""
    made = {name: ModuleType(name) for name in STAND_INS}
    for name, module in made.items():
        module.__dict__.update(STAND_INS[name])
        monkeypatch.setitem(sys.modules, name, module)
    made["launch"].logging = made["launch.logging"]  # type: ignore[attr-defined]
    monkeypatch.setattr(replayed, "describe", described)
    monkeypatch.delitem(sys.modules, ACTIONS, raising=False)
    monkeypatch.setitem(sys.modules, ACTIONS, importlib.import_module(ACTIONS))

    def run(file: str, **given: str) -> Launched:
        words = [f"{name}:={value}" for name, value in given.items()]
        monkeypatch.setattr(sys, "argv", ["ros2", "launch", "pose_pipeline", file, *words])
        found = Launched(context=SimpleNamespace(launch_configurations=dict(given), is_shutdown=False))
        for action in description(file):
            if type(action).__name__ == "OpaqueFunction":
                by_kind: dict[str, list[Any]] = {}
                for one in action.function(found.context) or []:
                    by_kind.setdefault(type(one).__name__, []).append(one)
                found.started += by_kind.get("Node", [])
                for one in by_kind.get("SetEnvironmentVariable", []):
                    name, value = one.positional
                    found.environment[name] = performed(value, found.context)
                for end in by_kind.get("EndWith", []):
                    found.ended = end.code, by_kind["Shutdown"][0].reason
            else:
                assert type(action).__name__ == "DeclareLaunchArgument"
                found.declared[action.positional[0]] = action
                if action.default_value is not None:
                    text = performed(action.default_value, found.context)
                    found.context.launch_configurations.setdefault(action.positional[0], text)
        return found

    return run


ACTIONS = "pose_tools.launching.actions"


@pytest.mark.parametrize("file", LAUNCH_FILES)
def test_everything_is_started_with_our_profile_of_fast_dds_unless_one_is_chosen(
    launched: Any, required: Any, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*CHOSEN, "RMW_IMPLEMENTATION", "ROS_DISTRO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pose_tools.middleware.shared_memory_free", lambda: ENOUGH)
    assert launched(file, **required[file]).environment == {VARIABLE: str(ROOT / "config" / "fastdds.xml")}
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    assert launched(file, **required[file]).environment == {}


@pytest.fixture
def required(bag: Path) -> dict[str, dict[str, str]]:
    """Arguments that a launch file cannot do without."""
    return {LIVE_LAUNCH: {}, REPLAY_LAUNCH: {"bag": str(bag), "images": "true"}}


@pytest.mark.parametrize("file", LAUNCH_FILES)
def test_arguments_are_those_of_the_table(launched: Any, required: Any, file: str) -> None:
    declared = launched(file, **required[file]).declared
    wanted = {"lifter", "refiner", "look_ahead", "model", "image_transport", "frame_id", "subject_height"}
    assert wanted <= set(options_of(file))
    assert {"namespace", "fixed_frame", "record", "record_images", "image_topic", "camera_info"} <= set(
        declared
    )
    for argument in arguments_of(file):
        made = declared[argument.name]
        assert made.default_value == argument.default
        assert made.description == argument.description
        assert made.choices == (list(argument.choices) or None)
        if argument.name != SET:
            parameter = options_of(file)[argument.name].parameter
            assert argument.default == text_of(parameter.default)
            assert parameter.description in argument.description
            assert argument.choices == parameter.choices
    assert all(len(made.description) > 5 for made in declared.values())


REPLAYED_IMAGES = {
    "use_sim_time": True,
    "source": "",
    "image_transport": "compressed",
    "run_token": NO_TOKEN,
    "qos_overrides./image_raw/compressed.subscription.reliability": "reliable",
}


def test_what_nobody_states_is_left_to_the_parameter_file(launched: Any, required: Any) -> None:
    live = launched(LIVE_LAUNCH).parameters()
    assert live == {"pose2d": {"wait_for": "lift3d refine"}, "lift3d": {}, "refine": {}, "viz": {}}
    replay = launched(REPLAY_LAUNCH, **required[REPLAY_LAUNCH]).parameters()
    clock = {"use_sim_time": True}
    assert {name: replay[name] for name in STAGES} == {
        "pose2d": REPLAYED_IMAGES,
        "lift3d": clock,
        "refine": clock,
        "viz": clock,
    }


def another(parameter: config.Parameter) -> Any:
    """A value that is not the default."""
    if parameter.choices:
        return next(choice for choice in parameter.choices if choice != parameter.default)
    if parameter.kind is str:
        return "0"
    if parameter.high is not None and parameter.default != parameter.high:
        return parameter.kind(parameter.high)
    return parameter.kind(parameter.low)


STATED = [
    (file, name)
    for file in LAUNCH_FILES
    for name in options_of(file)
    if (file, name) != (REPLAY_LAUNCH, "image_transport")
]
"""Each option of each file; a replay's transport says which topic of the bag to look for."""


@pytest.mark.parametrize(("file", "name"), STATED)
def test_each_argument_reaches_its_stages(launched: Any, required: Any, file: str, name: str) -> None:
    option = options_of(file)[name]
    value = another(option.parameter)
    told = launched(file, **required[file], **{name: text_of(value)}).parameters()
    for full in option.states:
        stage, _, field_name = full.partition(".")
        assert told[stage][field_name] == value
        assert type(told[stage][field_name]) is option.parameter.kind
        own = {key: said for key, said in told[stage].items() if not key.startswith(("qos_", "use_sim"))}
        config.build(STAGES[stage], own)
    if file == LIVE_LAUNCH:
        words = launched(file, **{name: text_of(value)}, composed="true").words("pose")
        assert words[:4] == ["live", "--stay", "--params", str(ROOT / "config" / "live.yaml")]
        assert words[4::2] == ["--set"] * len(words[5::2])
        assert {f"{full}={text_of(value)}" for full in option.states} <= set(words[5::2])
        assert "pose2d.real_time=true" in words, "as the parameter file says"


@pytest.mark.parametrize(
    ("given", "lossless"),
    [
        ({"source": "walk.mp4"}, False),
        ({"source": "walk.mp4", "set": "pose2d.real_time=false"}, True),
        ({"source": "0", "set": "pose2d.real_time=false"}, False),
        ({"set": "pose2d.real_time=false"}, False),
    ],
)
def test_a_recording_that_is_not_played_like_a_camera_is_taken_whole(
    launched: Any, given: dict[str, str], lossless: bool
) -> None:
    told = launched(LIVE_LAUNCH, **given).parameters()
    assert [told[name].get("lossless", False) for name in STAGES] == [lossless] * 4


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


@pytest.mark.parametrize("composed", ["false", "true"])
def test_every_node_has_the_same_remappings_and_namespace(
    launched: Any, tmp_path: Path, composed: str
) -> None:
    """The recorder had none: the CameraInfo of a driver was never recorded."""
    asked = {"image_topic": "/camera/image", "camera_info": "/camera/camera_info", "namespace": "left"}
    run = launched(LIVE_LAUNCH, **asked, rviz="true", record=str(tmp_path / "bag"), composed=composed)
    assert len(run.started) == {"false": 6, "true": 3}[composed]
    assert {tuple(node.remappings) for node in run.started} == {
        (
            ("image_raw", "/camera/image"),
            ("image_raw/compressed", "/camera/image/compressed"),
            ("camera_info", "/camera/camera_info"),
        )
    }
    assert {node.namespace for node in run.started} == {"left"}


def test_a_source_waits_for_the_recorder_until_it_is_started_again(launched: Any, tmp_path: Path) -> None:
    """It then has its listeners, and a robot waits for its first result."""
    run = launched(LIVE_LAUNCH, record=str(tmp_path / "bag"), source="walk.mp4")
    assert run.started[0].executable == "pose"
    assert run.parameters()["pose2d"]["wait_for"] == "lift3d refine pose_recorder"
    (detector,) = run.nodes("pose2d")
    (again,) = detector.on_exit(SimpleNamespace(returncode=-9, process_name="pose2d-2"), run.context)
    (anew,) = again.function(run.context)
    assert run._own(anew) == {"source": "walk.mp4"}


def test_a_stage_that_dies_is_started_again_but_not_while_the_launch_ends(launched: Any) -> None:
    run = launched(LIVE_LAUNCH)
    (lifter,) = run.nodes("lift3d")
    died = SimpleNamespace(returncode=-9, process_name="lift3d-2")
    (at_once,) = lifter.on_exit(died, run.context)
    assert type(at_once).__name__ == "OpaqueFunction"
    (second,) = at_once.function(run.context)
    (later,) = second.on_exit(died, run.context)
    assert (type(later).__name__, later.period) == ("TimerAction", 1.0)
    assert lifter.on_exit(died, SimpleNamespace(is_shutdown=True)) == []
    stop, end = lifter.on_exit(
        SimpleNamespace(returncode=WRONG_CONFIGURATION, process_name="lift3d-2"), run.context
    )
    assert (type(stop).__name__, end.code) == ("Shutdown", WRONG_CONFIGURATION)
    refused = SimpleNamespace(returncode=WRONG_CONFIGURATION, process_name="refine-3")
    assert run.nodes("refine")[0].on_exit(refused, run.context) == [], "it ends already"


def test_a_recorder_that_fails_after_a_replay_that_did_not_is_a_failure(
    launched: Any, bag: Path, tmp_path: Path
) -> None:
    """It was killed while the launch ended, and that ended with 0."""
    run = launched(REPLAY_LAUNCH, bag=str(bag), record=str(tmp_path / "bag"))
    recorder, player = run.nodes("pose")
    (stop,) = player.on_exit(SimpleNamespace(returncode=0, process_name="pose-5"), run.context)
    assert type(stop).__name__ == "Shutdown"
    ending = SimpleNamespace(is_shutdown=True)
    (end,) = recorder.on_exit(SimpleNamespace(returncode=130, process_name="pose-1"), ending)
    assert end.code == 130
    assert recorder.on_exit(SimpleNamespace(returncode=1, process_name="pose-1"), ending) == []
    assert float(recorder.sigterm_timeout) >= 60.0, "a busy machine takes its time to write the end of a bag"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, []),
        ({"record_images": "true", "source": "walk.mp4"}, ["compressed"]),
        ({"record_images": "true", "source": "0", "image_transport": "raw"}, ["compressed"]),
        ({"record_images": "true"}, ["raw"]),
        ({"record_images": "true", "image_transport": "compressed"}, ["compressed"]),
    ],
)
def test_images_are_recorded_as_they_come(
    launched: Any, tmp_path: Path, given: dict[str, str], words: list[str]
) -> None:
    """Those of a driver as pose2d takes them, which it offers for sure; our own as we make them small."""
    said = launched(LIVE_LAUNCH, record=str(tmp_path / "bag"), **given).words("pose", "record")
    assert said[:2] == ["record", str(tmp_path / "bag")]
    assert said[2:] == [
        word for kind in words for word in ("--images", "--set", f"record.image_transport={kind}")
    ]


@pytest.mark.parametrize(
    ("given", "frame"),
    [
        ({}, "camera_optical_frame"),
        ({"frame_id": "eye"}, "eye"),
        ({"set": "pose2d.frame_id=eye"}, "eye"),
        ({"frame_id": "eye", "fixed_frame": "map"}, "map"),
    ],
)
def test_rviz_looks_from_the_camera_or_from_what_is_said(
    launched: Any, given: dict[str, str], frame: str
) -> None:
    assert launched(LIVE_LAUNCH, rviz="true", **given).words("rviz2")[-2:] == ["--fixed-frame", frame]


@pytest.mark.parametrize(
    ("given", "code", "sentence"),
    [
        ({"liftr": "x"}, WRONG_CONFIGURATION, "unknown argument 'liftr'; did you mean 'lifter'?"),
        ({"look_ahead": "two"}, WRONG_CONFIGURATION, "look_ahead must be of type int, got 'two'"),
        ({"subject_height": "17.5"}, WRONG_CONFIGURATION, "subject_height must be from 0.0 to 2.6, got 17.5"),
        ({"set": "refine.proces_noise=1"}, WRONG_CONFIGURATION, "did you mean 'refine.process_noise'?"),
        (
            {"lifter": "a", "set": "lift3d.lifter=b"},
            WRONG_CONFIGURATION,
            "lift3d.lifter is stated twice, by lifter:= and",
        ),
        ({"params": "nowhere.yaml"}, WRONG_CONFIGURATION, "nowhere.yaml cannot be read"),
        ({"rviz": "yess"}, WRONG_CONFIGURATION, "rviz must be true or false, got 'yess'"),
        ({"record_images": "true"}, WRONG_CONFIGURATION, "records nothing without record:=FOLDER"),
        ({"record": str(ROOT)}, FAILED, "exists and is not an empty folder; choose another one"),
    ],
)
@pytest.mark.parametrize("file", LAUNCH_FILES)
def test_what_cannot_be_is_refused(
    launched: Any, required: Any, file: str, given: dict[str, str], code: int, sentence: str
) -> None:
    run = launched(file, **required[file], **given)
    assert run.ended is not None
    assert run.ended[0] == code
    assert sentence in run.ended[1]
    assert run.started == []


def test_a_misspelt_parameter_in_the_file_is_refused(launched: Any, tmp_path: Path) -> None:
    file = tmp_path / "robot.yaml"
    file.write_text("/**/refine: {ros__parameters: {refinr: kalman}}\n")
    code, sentence = launched(LIVE_LAUNCH, params=str(file)).ended
    assert code == WRONG_CONFIGURATION
    assert "did you mean 'refiner'?" in sentence


def test_replay_of_people_has_no_detector_to_tell_anything(launched: Any, bag: Path) -> None:
    code, sentence = launched(REPLAY_LAUNCH, bag=str(bag), model="heavy").ended
    assert code == WRONG_CONFIGURATION
    assert "add images:=true" in sentence
    told = launched(REPLAY_LAUNCH, bag=str(bag), refiner="raw").parameters()
    assert "pose2d" not in told
    assert told["refine"] == {"use_sim_time": True, "refiner": "raw"}


def test_a_replay_waits_for_its_recorder_and_all_have_the_clock_of_the_bag(
    launched: Any, bag: Path, tmp_path: Path
) -> None:
    run = launched(REPLAY_LAUNCH, bag=str(bag), record=str(tmp_path / "bag"), rviz="true", rate="0.5")
    assert run.started[0].arguments[0] == "record"
    words = run.words("pose", "play")
    assert words == ["play", str(bag), "--rate", "0.5", "--wait-for", "pose_recorder"]
    (player,) = (node for node in run.nodes("pose") if node.arguments[0] == "play")
    clocked = [node for node in run.started if node is not player]
    assert len(clocked) == 5
    assert all(run._own(node)["use_sim_time"] is True for node in clocked)


@pytest.fixture
def stating(tmp_path: Path) -> Path:
    """A bag that states how its people were lifted."""
    run = RunStatement("lift3d", parameters={"height": "1.5", "max_misfit": "0.2", "lossless": "true"})
    subjects = SubjectStatements(1, (SubjectStatement("p1", 1.6),))
    kinds = {"/lift3d/run": names.RUN, "/lift3d/subjects": names.SUBJECTS, "/pose2d/people": names.PEOPLE2D}
    delivery = {names.RUN: LATCHED, names.SUBJECTS: LATCHED, names.PEOPLE2D: RESULTS}
    with BagWriter(
        tmp_path / "stating", [Topic(name, kind, delivery[kind]) for name, kind in kinds.items()]
    ) as bag:
        bag.write("/lift3d/run", serialize(writer().run(run)))
        bag.write("/lift3d/subjects", serialize(writer().subjects(subjects)))
        bag.write("/pose2d/people", serialize(constructor(names.PEOPLE2D)()), STAMP_NS)
    return tmp_path / "stating"


def test_a_replay_is_set_as_the_bag_states_unless_somebody_says_otherwise(
    launched: Any, stating: Path, tmp_path: Path
) -> None:
    clock = {"use_sim_time": True}
    as_it_was = launched(REPLAY_LAUNCH, bag=str(stating))
    assert as_it_was.parameters()["lift3d"] == {"height": 1.5, "max_misfit": 0.2, **clock}
    assert "--no-subjects" not in as_it_was.words("pose", "play")
    otherwise = launched(REPLAY_LAUNCH, bag=str(stating), subject_height="1.8")
    assert otherwise.parameters()["lift3d"] == {"height": 1.8, "max_misfit": 0.2, **clock}
    assert "--no-subjects" in otherwise.words("pose", "play")
    file = tmp_path / "mine.yaml"
    file.write_text("/**/lift3d:\n  ros__parameters:\n    max_misfit: 0.3\n")
    by_file = launched(REPLAY_LAUNCH, bag=str(stating), params=str(file))
    assert by_file.parameters()["lift3d"] == {"height": 1.5, **clock}


@pytest.mark.parametrize(
    ("kinds", "given", "namespace", "images"),
    [
        ({"/left/pose2d/people": names.PEOPLE2D}, {}, "/left", []),
        (
            {"/left/image_raw/compressed": names.COMPRESSED_IMAGE},
            {"images": "true"},
            "/left",
            ["--images", "--transport", "compressed"],
        ),
        ({"/eye/colour": names.IMAGE}, {"images": "true"}, "", ["--images", "--transport", "raw"]),
        (
            {"/left/pose2d/people": names.PEOPLE2D, "/right/pose2d/people": names.PEOPLE2D},
            {"namespace": "right"},
            "/right",
            [],
        ),
    ],
)
def test_namespace_topic_and_transport_are_found_in_the_bag(
    launched: Any,
    tmp_path: Path,
    kinds: dict[str, str],
    given: dict[str, str],
    namespace: str,
    images: list[str],
) -> None:
    run = launched(REPLAY_LAUNCH, bag=str(bag_of(tmp_path / "bag", kinds)), **given)
    assert run.ended is None
    assert {node.namespace for node in run.started} == {namespace}
    chosen = [word for name, value in given.items() if name != "images" for word in (f"--{name}", value)]
    assert run.words("pose") == [
        *("play", str(tmp_path / "bag"), *chosen),
        *(["--images"] if images else []),
        *("--rate", "1.0"),
    ]
    if images:
        told = run.parameters()["pose2d"]
        assert told["image_transport"] == images[-1]
        quality = [name for name in told if name.startswith("qos_overrides")]
        topic = "image_raw/compressed" if images[-1] == "compressed" else "image_raw"
        assert quality == [f"qos_overrides.{namespace}/{topic}.subscription.reliability"]


@pytest.mark.parametrize(
    ("kinds", "given", "sentence"),
    [
        (DRIVER, {}, "no message on /pose2d/people"),
        ({"/pose2d/people": names.PEOPLE2D}, {"images": "true"}, "has no images"),
        (
            {"/a": names.IMAGE, "/b": names.IMAGE},
            {"images": "true"},
            "holds images of /a and /b; choose with",
        ),
        (
            {"/left/pose2d/people": names.PEOPLE2D, "/right/pose2d/people": names.PEOPLE2D},
            {},
            "holds topics of '/left' and '/right'; choose with --namespace (of launch files: namespace:=)",
        ),
    ],
)
def test_a_bag_that_lacks_what_is_asked_ends_the_launch(
    launched: Any, tmp_path: Path, kinds: dict[str, str], given: dict[str, str], sentence: str
) -> None:
    run = launched(REPLAY_LAUNCH, bag=str(bag_of(tmp_path / "bag", kinds)), **given)
    assert run.ended is not None
    assert run.ended[0] == FAILED
    assert sentence in run.ended[1]
    assert launched(REPLAY_LAUNCH, bag=str(tmp_path / "none")).ended == (
        FAILED,
        f"there is no bag at {tmp_path / 'none'}",
    )


def test_arguments_of_a_launch_file_that_includes_this_one_are_let_be(
    launched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pose_tools.parameters.launching import expect_known

    launch = ["ros2", "launch", "robot", "robot.launch.py", "arm:=left"]
    expect_known(LIVE_LAUNCH, ["source"], launch)
    with pytest.raises(ValueError, match="unknown argument 'arm'"):
        expect_known(LIVE_LAUNCH, ["source"], ["ros2", "launch", "pose_pipeline", LIVE_LAUNCH, "arm:=left"])


LIGHT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise ImportError(f"{name} is not in the Python of ROS")

sys.meta_path.insert(0, Blocked())
import pose_tools.launching.given, pose_tools.launching.replayed, pose_tools.launching.restarts
import pose_tools.middleware, pose_tools.parameters.launching
"""


def test_launch_files_need_nothing_that_the_python_of_ros_lacks() -> None:
    """`ros2 launch` does not run in our environment, where packages of PyPI are."""
    lacking = "apsw,cv2,lz4,matplotlib,mcap,mediapipe,onnxruntime,rich,rosbags,scipy,torch,typer,zstandard"
    done = subprocess.run([sys.executable, "-c", LIGHT, lacking], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def pose(tmp_path: Path) -> str:
    """Our command, as a launch file finds it installed."""
    file = tmp_path / "pose"
    file.write_text(f"#!{sys.executable}\nfrom pose_tools.cli.main import main\nmain()\n")
    file.chmod(0o755)
    return str(file)


def test_a_bag_is_described_by_our_own_command(pose: str, bag: Path) -> None:
    assert replayed.describe(pose, ["play", str(bag), "--images", "--describe", "{}"]) == {
        "namespace": "",
        "values": {
            "pose2d": {name: value for name, value in REPLAYED_IMAGES.items() if name != "use_sim_time"}
        },
        "subjects": True,
        "warnings": [],
    }
    with pytest.raises(Failed, match=r"^there is no bag at nowhere$"):
        replayed.describe(pose, ["play", "nowhere", "--describe", "{}"])
    with pytest.raises(WrongConfiguration, match="did you mean 'lift3d'"):
        replayed.describe(pose, ["play", str(bag), "--wait-for", "lift2d"])
