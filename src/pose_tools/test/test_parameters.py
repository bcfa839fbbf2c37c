"""One source for each parameter: the table, options, `--set`, parameter files and the page agree with the dataclasses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from pose_core import config
from pose_core.config import Parameter, parameters_of, text_of
from pose_core.system import exits
from pose_core.system.exits import WrongConfiguration
from pose_tools.cli import main as cli
from pose_tools.cli.main import app
from pose_tools.parameters.chosen import chosen, of_file, params_of
from pose_tools.parameters.options import (
    FILES,
    LAUNCH_FILES,
    LIVE,
    OPTIONS,
    PROCESS,
    RECORD,
    REFINE,
    REPLAY,
    RUNS,
    options_for,
    options_of,
)
from pose_tools.parameters.page import page
from pose_tools.parameters.table import OWNERS, STAGES, full_names, parameter, split
from pose_tools.process import job as process_job
from pose_tools.process import run as process_run
from pose_tools.process.job import USUAL, ProcessJob, settings_of

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = sorted({place for option in OPTIONS for place in option.where} - set(LAUNCH_FILES))


def another(known: Parameter) -> Any:
    """A value that is not the default."""
    if known.choices:
        return next(choice for choice in known.choices if choice != known.default)
    if known.kind is bool:
        return not known.default
    if known.kind is str:
        return "another"
    if known.high is not None and known.default != known.high:
        return known.kind(known.high)
    return known.kind(7)


def helped(command: str) -> str:
    """The help of a command, each run of blanks as one."""
    told = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "400"}).stdout
    return " ".join(told.split())


# The table


@pytest.mark.parametrize("full", full_names())
def test_every_parameter_says_what_it_is(full: str) -> None:
    known = parameter(full)
    assert len(known.description) > 10
    assert not known.description.endswith(".")
    known.check(known.default)
    if known.unit:
        assert known.kind in (int, float)
        for unit in ("metres", "seconds", "hertz", "pixels", "kilograms"):
            assert f"in {unit}" not in known.description, "the unit stands beside the description"


def test_every_name_of_an_option_means_one_thing_in_each_place() -> None:
    for place in {place for option in OPTIONS for place in option.where}:
        here = [option for option in OPTIONS if place in option.where]
        assert len({option.name for option in here}) == len(here) == len({option.flags for option in here})
        assert len({full for option in here for full in option.states}) == sum(len(o.states) for o in here)
    for option in OPTIONS:
        kinds = [parameter(full) for full in option.states]
        assert all((k.kind, k.default, k.low, k.high) == vars_of(kinds[0]) for k in kinds)


def vars_of(known: Parameter) -> tuple[Any, ...]:
    return known.kind, known.default, known.low, known.high


# The command line


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_the_dataclasses_say(command: str) -> None:
    said = helped(command)
    for option in options_of(command).values():
        known = option.parameter
        flag = option.flags.split("/")[0]
        assert flag in said
        usual = option.usual.get(command, text_of(known.default))
        line = [known.description]
        line += [f"[{known.allowed}]"] if known.allowed else []
        line += [f"[default: {usual}]"] if usual else []
        assert " ".join(line) in said
    assert ("--set" in said) == (command in RUNS)


@pytest.mark.parametrize("command", [*RUNS.keys() - set(LAUNCH_FILES)])
def test_every_command_that_runs_stages_takes_any_of_their_parameters(command: str) -> None:
    assert "--set <stage.name=value>" in helped(command)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs a command up to where its work would begin; what it asks for, as parameters by owner."""
    from pose_tools.files import refine as refine_files
    from pose_tools.graph import live as graph_live
    from pose_tools.graph import replay as graph_replay

    found: dict[str, Any] = {}

    def of_setup(setup: Any) -> None:
        file = of_file(setup.params_file)
        found.update({stage: params_of(stage, file, setup.overrides) for stage in STAGES})
        found["setup"] = setup

    def run_live(job: Any) -> dict[str, Any]:
        of_setup(job.setup)
        found["record"] = OWNERS["record"](images=job.record_images, image_transport=job.record_transport)
        return {}

    def run_replay(_bag: Path, _record: Path, setup: Any, **_more: Any) -> dict[str, Any]:
        of_setup(setup)
        return {}

    def run_process(job: ProcessJob, *_more: Any) -> dict[str, Any]:
        found.update({owner: getattr(job, owner) for owner in RUNS[PROCESS]})
        return {}

    def run_record(_out: Path, *, images: bool, transport: str, **_more: Any) -> dict[str, Any]:
        found["record"] = OWNERS["record"](images=images, image_transport=transport)
        return {}

    def run_refine(job: Any, _progress: Any) -> dict[str, Any]:
        found["refine"] = job.params
        return {}

    monkeypatch.setattr(graph_live, "run", run_live)
    monkeypatch.setattr(graph_live, "record", run_record)
    monkeypatch.setattr(graph_replay, "replay", run_replay)
    monkeypatch.setattr(process_run, "process", run_process)
    monkeypatch.setattr(refine_files, "refine_file", run_refine)
    # A detector of another name is one that a package brings.
    monkeypatch.setattr(process_job, "DETECTORS", SimpleNamespace(get=lambda name: name))
    source = tmp_path / "in.npz"
    source.touch()
    needs = {
        LIVE: [],
        REPLAY: ["bag", "--record", "out", "--images"],
        PROCESS: [str(source), "-o", str(tmp_path / "out")],
        RECORD: [str(tmp_path / "bag")],
        REFINE: [str(source), str(tmp_path / "out.npz")],
    }

    def run(command: str, *words: str) -> dict[str, Any]:
        found.clear()
        result = CliRunner().invoke(app, [command, *needs[command], *words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return dict(found)

    return run


NAMED = {"lift3d.lifter": "mediapipe_world", "refine.refiner": "raw"}
"""Values of parameters that are names of something, and looked up."""


def value_for(full: str, tmp_path: Path) -> Any:
    if full == "pose2d.calibration":
        (tmp_path / "camera.yaml").touch()
        return str(tmp_path / "camera.yaml")
    return NAMED.get(full, another(parameter(full)))


@pytest.mark.parametrize(
    ("command", "name"),
    [(c, name) for c in (LIVE, REPLAY, PROCESS, RECORD, REFINE) for name in options_of(c)],
)
def test_each_option_reaches_its_stages(asked: Any, tmp_path: Path, command: str, name: str) -> None:
    option = options_of(command)[name]
    value = value_for(option.states[0], tmp_path)
    flag, _, negative = option.flags.partition("/")
    words = [flag if value else negative] if option.parameter.kind is bool else [f"{flag}={text_of(value)}"]
    before, after = asked(command), asked(command, *words)
    for full in option.states:
        owner, field = split(full)
        assert getattr(before[owner], field) != value
        assert getattr(after[owner], field) == value
    others = {full for owner in RUNS[command] for full in full_names([owner])} - set(option.states)
    for full in others - {"lift3d.camera_tilt"}:
        owner, field = split(full)
        assert getattr(after[owner], field) == getattr(before[owner], field)


@pytest.mark.parametrize("command", [LIVE, REPLAY, PROCESS, RECORD, REFINE])
def test_every_parameter_can_be_set(asked: Any, tmp_path: Path, command: str) -> None:
    """All of a command's at once, and what it says of each comes back."""
    values = {
        full: value_for(full, tmp_path)
        for owner in RUNS[command]
        for full in full_names([owner])
        if full != "lift3d.height"  # a stated one is as tall as a person
    }
    words = [word for full, value in values.items() for word in ("--set", f"{full}={text_of(value)}")]
    found = asked(command, *words)
    for full, value in values.items():
        owner, name = split(full)
        got = getattr(found[owner], name)
        assert (got, type(got)) == (value, parameter(full).kind), full


@pytest.mark.parametrize("full", full_names())
def test_what_is_set_is_read_as_its_type(full: str) -> None:
    place = next(place for place, owners in RUNS.items() if split(full)[0] in owners)
    value = another(parameter(full))
    owner, name = split(full)
    assert chosen(place, {}, [f"{full}={text_of(value)}"]) == {owner: {name: value}}
    if parameter(full).kind is not str:
        with pytest.raises(ValueError, match=rf"^{re.escape(full)} must be of type .*, got 'nonsense'$"):
            chosen(place, {}, [f"{full}=nonsense"])


@pytest.mark.parametrize("full", full_names())
def test_the_nearest_name_is_told_wherever_one_is_misspelt(full: str, tmp_path: Path) -> None:
    owner, name = split(full)
    wrong = name[:-2] + name[-1] + name[-2] + "x"
    place = next(place for place, owners in RUNS.items() if owner in owners)
    with pytest.raises(
        ValueError, match=rf"^unknown parameter '{owner}\.{wrong}'; did you mean '{owner}\.{name}'"
    ):
        chosen(place, {}, [f"{owner}.{wrong}=1"])
    with pytest.raises(ValueError, match=f"^unknown parameter '{wrong}'; did you mean '{name}'"):
        config.build(OWNERS[owner], {wrong: 1})
    if owner in STAGES:
        file = tmp_path / "robot.yaml"
        file.write_text(f"/**/{owner}: {{ros__parameters: {{{wrong}: 1}}}}\n")
        with pytest.raises(ValueError, match=f"{owner}: unknown parameter '{wrong}'; did you mean '{name}'"):
            of_file(file)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "refin.process_noise=1"], "did you mean 'refine.process_noise'?"),
        (["--set", "refine.lifter=raw"], "did you mean 'lift3d.lifter'?"),
        (["--set", "process_noise=1"], "--set takes stage.name=value, such as refine.process_noise=0.5"),
        (["--set", "refine.process_noise"], "--set takes stage.name=value, such as refine.process_noise=0.5"),
        (["--set", "refine.process_noise=0"], r"refine.process_noise must be from 0.001 to 10000.0, got 0.0"),
        (["--set", "pose2d.num_poses=2.5"], "pose2d.num_poses must be of type int, got 2.5"),
        (["--set", "viz.people=lift2d"], "viz.people must be one of refine, lift3d, got 'lift2d'"),
        (
            ["--set", "record.images=true"],
            "record.images changes nothing here: process has the parameters of",
        ),
        (["--height", "tall"], "height must be of type float, got 'tall'"),
        (
            ["--height", "1.8", "--set", "lift3d.height=1.7"],
            "lift3d.height is stated twice, by --height and by",
        ),
        (["--set", "refine.beta=1", "--set", "refine.beta=2"], "refine.beta is stated twice"),
        (["--params", "nowhere.yaml"], "nowhere.yaml cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    asked: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        asked(PROCESS, *words)
    monkeypatch.setattr(sys, "argv", ["pose", "process", __file__, "-o", "out", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().err.splitlines()
    assert end.value.code == exits.WRONG_CONFIGURATION
    assert len(said) == 1
    assert sentence in said[0]


@pytest.mark.parametrize("command", FILES)
def test_commands_on_files_refuse_a_wrong_tilt(command: str) -> None:
    for said, sentence in (("steep", "must be of type float, got 'steep'"), ("200", "from -180.0 to 180.0")):
        words = [command, __file__, "-o", "out", f"--camera-roll-deg={said}"]
        result = CliRunner().invoke(app, words)
        assert isinstance(result.exception, ValueError)
        assert str(result.exception).startswith("camera_roll_deg must be ")
        assert sentence in str(result.exception)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["process", "in.mp4", "-o", "out", "--heigth", "1.8"], "--heigth (Possible options: --height"),
        (["proces"], "no such command 'proces'; Did you mean 'process'?"),
        (["process", "in.mp4"], "missing option '--out'"),
        (["live", "--max-frames", "few"], "--max-frames"),
    ],
)
def test_words_that_are_no_options_are_one_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["pose", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    (said,) = capsys.readouterr().err.splitlines()
    assert end.value.code == exits.USAGE
    assert said.startswith("pose: ")
    assert sentence in said


@pytest.mark.parametrize(("words", "code"), [([], 2), (["train"], 2), (["--help"], 0), (["fetch", "-h"], 0)])
def test_help_is_still_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    monkeypatch.setattr(sys, "argv", ["pose", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capsys.readouterr()
    assert end.value.code == code
    assert "Usage: pose" in told.out + told.err


def test_a_pitch_or_a_frame_alone_states_the_tilt() -> None:
    def tilt(**stated: Any) -> Any:
        return chosen(LIVE, stated).get("lift3d", {}).get("camera_tilt")

    assert tilt() is None
    assert tilt(camera_pitch_deg=20.0) == tilt(camera_roll_deg=0.0) == "stated"
    assert tilt(level_frame="map") == tilt(level_frame="map", camera_roll_deg=3.0) == "tf"
    assert tilt(camera_pitch_deg=0.0, level_frame="odom", camera_tilt="unknown") == "unknown"
    set_alone = chosen(LIVE, {}, ["lift3d.camera_pitch_deg=20"])
    assert set_alone == {"lift3d": {"camera_pitch_deg": 20.0}}
    both = chosen(LIVE, {"camera_pitch_deg": 20.0}, ["lift3d.camera_tilt=unknown"])
    assert both["lift3d"] == {"camera_pitch_deg": 20.0, "camera_tilt": "unknown"}
    assert both["refine"] == {"camera_pitch_deg": 20.0}


# Files


def robot(tmp_path: Path, text: str) -> str:
    file = tmp_path / "robot.yaml"
    file.write_text(text)
    return str(file)


def test_a_file_counts_less_than_what_is_stated(asked: Any, tmp_path: Path) -> None:
    file = robot(
        tmp_path,
        "/robot/lift3d: {ros__parameters: {height: 1.8, max_distance: 20}}\n"
        "/**/refine: {ros__parameters: {process_noise: 1e-1, beta: 3, qos_overrides: {/a: {publisher: {depth: 3}}}}}\n"
        "/**: {ros__parameters: {stage_times: false}}\n"
        "usb_cam: {ros__parameters: {framerate: 30}}\n",
    )
    found = asked(PROCESS, "--params", file, "--height", "1.9", "--set", "refine.beta=4")
    assert (found["lift3d"].height, found["lift3d"].max_distance) == (1.9, 20.0)
    assert (found["refine"].process_noise, found["refine"].beta) == (0.1, 4.0)
    assert not found["viz"].stage_times
    assert (
        found["viz"].overlay_max_size == USUAL["viz"]["overlay_max_size"] != STAGES["viz"]().overlay_max_size
    )


def test_live_takes_a_video_image_by_image_unless_it_is_told_otherwise(asked: Any, tmp_path: Path) -> None:
    file = robot(tmp_path, "/**/pose2d: {ros__parameters: {real_time: true, source: film.mp4}}\n")
    for words, real_time in (
        ([], False),
        (["--real-time"], True),
        (["--set", "pose2d.real_time=true"], True),
        (["--params", file], False),
    ):
        found = (
            asked(LIVE, "--source", "film.mp4", *words) if "--params" not in words else asked(LIVE, *words)
        )
        assert found["pose2d"].source == "film.mp4"
        assert found["pose2d"].real_time is found["setup"].live is real_time
    assert asked(LIVE)["setup"].live
    assert asked(LIVE, "--source", "0")["setup"].live


def test_live_takes_images_from_any_topic(asked: Any) -> None:
    assert asked(LIVE)["setup"].ros_args == ()
    found = asked(LIVE, "--image-topic", "/cam/jpeg", "--camera-info", "cam/info")["setup"].ros_args
    assert found == ("-r", "image_raw:=/cam/jpeg", "-r", "camera_info:=cam/info")
    with pytest.raises(
        WrongConfiguration, match="'/cam jpeg' cannot be the name of a topic; it has letters, digits"
    ):
        asked(LIVE, "--image-topic", "/cam jpeg")


def test_replay_of_people_has_no_use_for_parameters_of_the_detector(asked: Any) -> None:
    with pytest.raises(ValueError, match="add --images"):
        asked(REPLAY, "--no-images", "--set", "pose2d.model=heavy")


def test_quality_of_service_is_set_for_nodes(asked: Any) -> None:
    name = "qos_overrides./image_raw.subscription.reliability"
    found = asked(LIVE, "--set", f"pose2d.{name}=reliable")
    assert found["setup"].overrides["pose2d"][name] == "reliable"
    with pytest.raises(ValueError, match="must be one of reliable, best_effort, got 'relaxed'"):
        asked(LIVE, "--set", f"pose2d.{name}=relaxed")


# The job of `pose process`


def test_a_job_says_what_it_changes(tmp_path: Path) -> None:
    source, camera = tmp_path / "film.mp4", tmp_path / "camera.yaml"
    source.touch()
    camera.touch()
    plain = ProcessJob(source, tmp_path / "out")
    assert plain == ProcessJob.of(source, tmp_path / "out") == ProcessJob.asked(source, tmp_path / "out")
    assert plain.changes() == {}
    assert "other parameters" not in settings_of(plain)
    told = ProcessJob.of(
        source,
        tmp_path / "out",
        chosen(
            PROCESS,
            {"height": 1.8, "calibration": camera, "processes": 1, "camera_roll_deg": 3.0},
            ["refine.process_noise=0.5", "viz.show_labels=false"],
        ),
    )
    assert told.changes() == {
        "pose2d.calibration": "camera.yaml",
        "lift3d.height": 1.8,
        "lift3d.camera_tilt": "stated",
        "lift3d.camera_roll_deg": 3.0,
        "refine.camera_roll_deg": 3.0,
        "refine.process_noise": 0.5,
        "viz.show_labels": False,
    }
    by_name = {"refine.process_noise": 0.5, "viz.show_labels": False}
    options: dict[str, Any] = {"height": 1.8, "calibration": camera, "processes": 1, "camera_roll_deg": 3}
    assert ProcessJob.asked(source, tmp_path / "out", parameters=by_name, **options) == told
    with pytest.raises(ValueError, match="did you mean 'refine.process_noise'?"):
        ProcessJob.asked(source, tmp_path / "out", parameters={"refine.proces_noise": 0.5})
    with pytest.raises(ValueError, match="viz.show_labels must be of type bool, got 'no'"):
        ProcessJob.asked(source, tmp_path / "out", parameters={"viz.show_labels": "no"})
    assert settings_of(told)["other parameters"] == "refine.process_noise=0.5, viz.show_labels=false"


# The reference page


def test_the_page_is_what_the_dataclasses_say() -> None:
    written = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    assert written == page(), "make it again: .venv/bin/pose parameters -o docs/parameters.md"


def test_the_page_has_every_parameter_and_every_option() -> None:
    text = page()
    for owner, kind in OWNERS.items():
        section = text.split(f"\n## {owner}:", 1)[1].split("\n## ", 1)[0]
        rows = [line for line in section.splitlines() if line.startswith("| `")]
        assert len(rows) == len(parameters_of(kind))
        for row, (name, known) in zip(rows, parameters_of(kind).items(), strict=True):
            assert row.startswith(f"| `{name}` | {known.kind.__name__} |")
            assert known.description in row
            assert all(
                option.flags.split("/")[0] in row or option.name in row
                for option in options_for(f"{owner}.{name}")
            )
    for option in OPTIONS:
        assert ", ".join(f"`{full}`" for full in option.states) in text


def test_no_part_of_it_needs_ros() -> None:
    program = (
        "import sys; sys.modules['rclpy'] = None; "
        "import pose_tools.parameters.page, pose_tools.parameters.launching, pose_tools.cli.main"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
