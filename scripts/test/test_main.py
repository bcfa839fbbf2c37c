"""The steps of set-up: which files make colcon build again, and in which environment programs run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from workspace.machine import Ros
from workspace.main import Workspace
from workspace.steps import Shell, Stamps, run_steps


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    for name in (
        "src/stage/package.xml",
        "src/stage/setup.py",
        "src/stage/stage/node.py",
        "src/stage/test/test_node.py",
        "launch/live.py",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("old")
    return Workspace(tmp_path, Ros(), Shell(tmp_path / "log.txt", 0))


def write(workspace: Workspace, name: str) -> None:
    file = workspace.root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("new")


@pytest.mark.parametrize(
    "name",
    [
        "src/stage/package.xml",
        "src/stage/setup.py",
        "src/other/package.xml",
        "src/messages/msg/People.msg",
        "src/linked/linked/new.py",
        "launch/replay.py",
        "config/live.yaml",
    ],
)
def test_colcon_builds_again_after_a_change_of(workspace, name):
    before = workspace.build_digest()
    write(workspace, name)
    assert workspace.build_digest() != before


@pytest.mark.parametrize(
    "name",
    [
        "src/stage/stage/node.py",
        "src/stage/stage/models/new.py",
        "src/stage/test/test_node.py",
        "src/stage/.pytest_cache/README.md",
        "src/stage/resource/__pycache__/x.pyc",
        "launch/live.py",
    ],
)
def test_colcon_need_not_build_again_after_a_change_of(workspace, name):
    before = workspace.build_digest()
    write(workspace, name)
    assert workspace.build_digest() == before


def test_the_wheels_have_a_step_that_an_installed_ros_has_not(workspace, tmp_path):
    names = [step.name for step in workspace.steps()]
    installed = Workspace(tmp_path, Ros("jazzy", ("/opt/ros/jazzy",)), workspace.shell)
    assert [name for name in names if name not in [step.name for step in installed.steps()]] == ["ROS wheels"]
    assert {file.name for file in workspace.requirements} - {
        file.name for file in installed.requirements
    } == {"ros.txt"}


def test_packages_to_train_come_last_and_only_when_asked_for(workspace, tmp_path):
    names = [step.name for step in workspace.steps()]
    training = Workspace(tmp_path, Ros(), workspace.shell, ("train",))
    assert [step.name for step in training.steps()] == [*names, "packages to train"]
    assert "train.txt" not in {file.name for file in workspace.requirements}


def test_packages_to_train_are_installed_anew_with_the_environment(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(Workspace, "install_packages", lambda _self, files: calls.extend(files))
    for name in ("requirements/train.txt", "requirements/constraints.txt", ".venv/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    workspace = Workspace(tmp_path, Ros(), Shell(tmp_path / "log.txt", 0), ("train",))
    step, stamps = workspace.steps()[-1], Stamps(tmp_path / "state")

    def run() -> int:
        return run_steps([step], stamps, lambda _text: None)

    assert run() == 1
    assert calls == [tmp_path / "requirements" / "train.txt"]
    assert run() == 0
    shutil.rmtree(tmp_path / ".venv")
    (tmp_path / ".venv").mkdir()
    assert run() == 1
    (tmp_path / "requirements" / "constraints.txt").write_text("torch==2.13.0")
    assert run() == 1
    assert run() == 0


def test_programs_see_the_chosen_ros_only(workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    monkeypatch.setenv("PYTHONPATH", "/opt/ros/jazzy/modules")
    monkeypatch.setenv("MAKEFLAGS", "-j")
    environ = workspace.environ(EXTRA="1")
    assert not {"AMENT_PREFIX_PATH", "PYTHONPATH", "MAKEFLAGS"} & set(environ)
    assert Path(environ["PATH"].split(":")[0]) == tmp_path / ".venv" / "bin"
    assert environ["EXTRA"] == "1"
    installed = Workspace(tmp_path, Ros("jazzy", ("/opt/ros/jazzy",)), workspace.shell)
    assert installed.environ()["AMENT_PREFIX_PATH"] == "/opt/ros/jazzy"
