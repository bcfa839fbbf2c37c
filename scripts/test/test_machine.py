"""A machine that lacks something gets one sentence with the remedy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import set_up
from workspace import machine
from workspace.machine import APT_ROS_PACKAGES, Ros, check_tools, check_wheels, find_ros, paths
from workspace.steps import SetUpError

ROOT = Path("/home/me/workspace")


@pytest.fixture
def jazzy(tmp_path) -> dict[str, str]:
    """The environment of a sourced ROS 2 with all that is needed, in a folder of the test's."""
    prefix = tmp_path / "jazzy"
    for name in APT_ROS_PACKAGES:
        (prefix / "share" / name).mkdir(parents=True)
        (prefix / "share" / name / "package.xml").touch()
    (prefix / "lib" / "python3.12" / "site-packages").mkdir(parents=True)
    return {
        "ROS_DISTRO": "jazzy",
        "AMENT_PREFIX_PATH": str(prefix),
        "LD_LIBRARY_PATH": f"{prefix}/lib::/opt/vendor/lib",
        "PYTHONPATH": f"{prefix}/lib/python3.12/site-packages",
    }


def test_without_a_sourced_ros_the_wheels_are_used():
    assert find_ros({"AMENT_PREFIX_PATH": "/left/over"}, "3.11", ROOT) == Ros()
    assert Ros().from_wheels


def test_a_sourced_ros_is_remembered(jazzy):
    prefix = jazzy["AMENT_PREFIX_PATH"]
    ros = find_ros(jazzy, "3.12", ROOT)
    assert not ros.from_wheels
    assert ros.distro == "jazzy"
    assert ros.prefixes == (prefix,)
    assert ros.libraries == (f"{prefix}/lib", "/opt/vendor/lib")
    assert ros.modules == (f"{prefix}/lib/python3.12/site-packages",)


def test_this_workspace_sourced_on_top_changes_nothing(jazzy):
    ros = find_ros(jazzy, "3.12", ROOT)
    for name, folder in (
        ("AMENT_PREFIX_PATH", "install"),
        ("LD_LIBRARY_PATH", "install/lib"),
        ("PYTHONPATH", "build/pose_core"),
    ):
        jazzy[name] = f"{ROOT}/{folder}:{jazzy[name]}"
    assert find_ros(jazzy, "3.12", ROOT) == ros
    jazzy["AMENT_PREFIX_PATH"] = f"{ROOT}-of-another/install:{jazzy['AMENT_PREFIX_PATH']}"
    assert find_ros(jazzy, "3.12", ROOT) != ros


def test_a_named_but_unsourced_ros(jazzy):
    del jazzy["AMENT_PREFIX_PATH"]
    with pytest.raises(SetUpError, match="source /opt/ros/jazzy/setup.bash, or unset ROS_DISTRO"):
        find_ros(jazzy, "3.12", ROOT)


def test_a_ros_without_needed_packages(jazzy):
    share = Path(jazzy["AMENT_PREFIX_PATH"]) / "share"
    for name in ("cv_bridge", "rclpy"):
        (share / name / "package.xml").unlink()
    with pytest.raises(SetUpError, match="apt install ros-jazzy-cv-bridge ros-jazzy-rclpy"):
        find_ros(jazzy, "3.12", ROOT)


def test_a_ros_for_another_python(jazzy):
    with pytest.raises(SetUpError, match="no modules for Python 3.11; .* PYTHON=/usr/bin/python3"):
        find_ros(jazzy, "3.11", ROOT)


@pytest.mark.parametrize(
    ("system", "processor", "libc", "words"),
    [
        ("Linux", "aarch64", ("glibc", "2.36"), "this is Linux on aarch64; install ROS 2"),
        ("Darwin", "x86_64", ("", ""), "this is Darwin on x86_64; install ROS 2"),
        ("Linux", "x86_64", ("glibc", "2.27"), "need glibc 2.28 or newer, this machine has glibc 2.27"),
        ("Linux", "x86_64", ("", ""), "this machine has another C library"),
    ],
)
def test_machines_that_the_wheels_do_not_run_on(system, processor, libc, words):
    with pytest.raises(SetUpError, match=words):
        check_wheels(system, processor, libc)


@pytest.mark.parametrize("version", ["2.28", "2.36", "3.0", "2.100.1"])
def test_machines_that_the_wheels_run_on(version):
    check_wheels("Linux", "x86_64", ("glibc", version))


def test_missing_tools_are_all_named_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine.sysconfig, "get_path", lambda _name: str(tmp_path))
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(machine, "LIBRARIES", {"libc.so.6": "libc6", "libno_such.so.9": "libno-such9"})
    with pytest.raises(SetUpError, match=r"apt install cmake g\+\+ python3-venv python3-dev libno-such9$"):
        check_tools(Ros("jazzy"))
    monkeypatch.setattr(machine, "LIBRARIES", {})
    (tmp_path / "Python.h").touch()
    for name in ("cmake", "c++"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(SetUpError, match=r"^python3-venv missing; .* apt install python3-venv$"):
        check_tools(Ros("jazzy"))


def test_paths_drops_empty_entries():
    assert paths(None) == paths("") == ()
    assert paths("/a::/b:") == ("/a", "/b")


@pytest.mark.parametrize("version", [(3, 9, 2), (3, 13, 0)])
def test_other_pythons_get_a_sentence(monkeypatch, version):
    monkeypatch.setattr(set_up.sys, "version_info", version)
    with pytest.raises(SystemExit, match=r"needs Python 3\.10 to 3\.12, this is 3\.\d+; .* PYTHON=python3"):
        set_up.main()


def test_old_pythons_can_read_the_entry():
    ast.parse(Path(set_up.__file__).read_text(), feature_version=(3, 4))


def test_help_needs_no_machine():
    done = subprocess.run(
        [sys.executable, set_up.__file__, "--help"], capture_output=True, text=True, check=True
    )
    assert "--again" in done.stdout
