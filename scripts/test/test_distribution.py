"""The distribution pose-pipeline says what its packages say, hides nothing from colcon, and works when installed."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from catkin_pkg.package import parse_package

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = SETTINGS["project"]
WHEEL: dict[str, Any] = SETTINGS["tool"]["hatch"]["build"]["targets"]["wheel"]
CONFIGURATIONS = sorted(ROOT.glob("src/*/setup.cfg"))


def requirements(name: str) -> list[str]:
    """What a file of requirements asks for, without blanks and comments."""
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    asked = (line.partition("#")[0] if "#" in line else re.split(r"\s{2,}", line)[0] for line in lines)
    return sorted(plain(line) for line in asked if line.strip())


def plain(requirement: str) -> str:
    """Without the blanks and quotes that do not matter."""
    return re.split(r"\s{3,}", requirement.strip())[0].replace('"', "'").replace(" ", "")


def configured(file: Path) -> configparser.ConfigParser:
    sections = configparser.ConfigParser()
    sections.read(file)
    return sections


def test_dependencies_are_those_of_the_requirements():
    assert sorted(map(plain, PROJECT["dependencies"])) == requirements("runtime.txt")
    assert sorted(map(plain, PROJECT["optional-dependencies"]["train"])) == requirements("train.txt")


def test_neither_ros_nor_torch_nor_colcon_is_brought():
    names = {re.split(r"[\s<=>;]", asked)[0].lower() for asked in PROJECT["dependencies"]}
    assert not [name for name in names if name.startswith(("ros-", "torch", "colcon", "ament", "rclpy"))]


def test_every_python_package_is_in_it_and_editable():
    packages = sorted(f"src/{file.parent.name}/{file.parent.name}" for file in CONFIGURATIONS)
    assert sorted(WHEEL["packages"]) == sorted([*packages, "src/pose_pipeline/pose_pipeline"])
    folders = [str(Path(package).parent) for package in WHEEL["packages"]]
    assert SETTINGS["tool"]["hatch"]["build"]["dev-mode-dirs"] == folders


def test_entry_points_are_those_of_the_packages():
    stated: dict[str, dict[str, str]] = {}
    for file in CONFIGURATIONS:
        sections = configured(file)
        if not sections.has_section("options.entry_points"):
            continue
        for group, text in sections["options.entry_points"].items():
            if group != "console_scripts":
                pairs = (line.split("=", 1) for line in text.strip().splitlines())
                stated.setdefault(group, {}).update({name.strip(): value.strip() for name, value in pairs})
    assert PROJECT["entry-points"] == stated
    tools = configured(ROOT / "src/pose_tools/setup.cfg")["options.entry_points"]["console_scripts"]
    assert [f"{name} = {value}" for name, value in PROJECT["scripts"].items()] == tools.strip().splitlines()


def test_one_version():
    pattern = SETTINGS["tool"]["hatch"]["version"]["pattern"]
    (version,) = re.findall(
        pattern.replace("?P<version>", ""), (ROOT / SETTINGS["tool"]["hatch"]["version"]["path"]).read_text()
    )
    manifests = [str(manifest.parent) for manifest in ROOT.glob("src/*/package.xml")]
    assert {parse_package(folder).version for folder in manifests} == {version}
    assert {configured(file)["metadata"]["version"] for file in CONFIGURATIONS} == {version}


def test_colcon_at_the_root_sees_the_packages_of_src_and_not_the_distribution():
    """A plain `colcon build` there must not take the root for a package, below which it would not look."""
    done = subprocess.run(
        [Path(sys.executable).with_name("colcon"), "list", "--names-only"],
        cwd=ROOT,
        env={**os.environ, "COLCON_LOG_PATH": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(done.stdout.split()) == sorted(
        manifest.parent.name for manifest in ROOT.glob("src/*/package.xml")
    )


@pytest.mark.slow
def test_an_empty_environment_gets_the_command_and_all_that_works_on_files(tmp_path: Path):
    """As a user without ROS has it: `pip install .`, then the commands."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    hidden = ("PYTHON", "AMENT", "COLCON", "ROS_", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--constraint",
        ROOT / "requirements/constraints.txt",
    ]
    subprocess.run([*install, ROOT], env=environ, cwd=tmp_path, check=True)
    check = [python, ROOT / "scripts" / "check_without_ros.py", tmp_path / "made"]
    done = subprocess.run(check, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
