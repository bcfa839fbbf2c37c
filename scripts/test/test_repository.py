"""Facts that stand in several files agree, so that a package or requirement added in one place is not forgotten in another."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest
from catkin_pkg.package import parse_package

import lock
from workspace.packages import EXTRA_REQUIREMENTS, REQUIREMENTS, ROS_REQUIREMENTS

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(manifest.parent for manifest in ROOT.glob("src/*/package.xml"))
PYTHON_PACKAGES = [folder for folder in PACKAGES if (folder / folder.name / "__init__.py").is_file()]
SETUPTOOLS = [folder for folder in PYTHON_PACKAGES if (folder / "setup.py").is_file()]


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
def test_manifests_are_what_colcon_accepts(folder):
    """colcon takes a package with a rejected manifest for plain Python, without a word."""
    warnings: list[str] = []
    package = parse_package(str(folder), warnings=warnings)
    assert warnings == []
    assert package.name == folder.name
    assert package.licenses == ["Apache-2.0"]


@pytest.mark.parametrize("folder", SETUPTOOLS, ids=lambda folder: folder.name)
def test_python_packages_are_registered_where_ros_looks(folder):
    assert (folder / "resource" / folder.name).is_file()
    sections = configparser.ConfigParser()
    sections.read(folder / "setup.cfg")
    assert sections["install"]["install_scripts"] == f"$base/lib/{folder.name}"
    assert sections["develop"]["script_dir"] == f"$base/lib/{folder.name}"


def test_import_directions_types_and_coverage_are_checked_for_every_package():
    linter = configparser.ConfigParser()
    linter.read(ROOT / ".importlinter")
    named = linter["importlinter"]["root_packages"].split()
    assert sorted(named) == [folder.name for folder in PYTHON_PACKAGES]
    settings = (ROOT / "pyproject.toml").read_text()
    for folder in PYTHON_PACKAGES:
        assert f'"src/{folder.name}/{folder.name}"' in settings
        assert f'"src/{folder.name}"' in settings
        assert f'    "{folder.name}",' in settings  # of what coverage is measured


def test_no_folder_of_code_has_more_than_fourteen_modules():
    """What outgrows that gets wings."""
    floors = [floor for folder in PACKAGES for floor in (folder / folder.name).glob("**/") if floor.is_dir()]
    modules = {floor: [file for file in floor.glob("*.py") if file.name != "__init__.py"] for floor in floors}
    assert len(floors) > 40
    assert {
        str(floor.relative_to(ROOT)): len(held) for floor, held in modules.items() if len(held) > 14
    } == {}


def test_pose_pipeline_depends_on_every_package():
    depends = {depend.name for depend in parse_package(str(ROOT / "src" / "pose_pipeline")).exec_depends}
    assert {folder.name for folder in PACKAGES} - {"pose_pipeline"} <= depends


@pytest.mark.parametrize("name", [*REQUIREMENTS, *ROS_REQUIREMENTS, *EXTRA_REQUIREMENTS.values()])
def test_every_requirement_is_pinned(name):
    pinned = {
        line.split("==")[0] for line in (ROOT / "requirements" / "constraints.txt").read_text().splitlines()
    }
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        if line and not line.startswith("#"):
            package = re.split(r"[\s<=>]", line)[0]
            assert lock.normal(package) in pinned, f"{package} is not in constraints.txt; run make lock"


def test_pose_core_loads_neither_ros_nor_torch():
    """Of all its modules, at run time; the linter sees only what the source says."""
    code = """
import importlib, pkgutil, sys
import pose_core
for module in pkgutil.walk_packages(pose_core.__path__, "pose_core."):
    importlib.import_module(module.name)
print(" ".join(sorted({name.split(".")[0] for name in sys.modules})))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "src" / "pose_core",
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(done.stdout.split()) & {"rclpy", "torch", "pose_msgs", "pose_ros", "std_msgs"}


@pytest.mark.parametrize(
    "module",
    ["pose2d_node.node", "lift3d_node.node", "refine_node.node", "pose_viz.node", "pose_tools.cli.main"],
)
def test_no_stage_and_no_start_of_the_command_loads_torch(module):
    """A robot has none; where it is installed, loading it would cost seconds."""
    code = (
        f"import sys, {module}; print({{'torch', 'onnx', 'tensorboard', 'pose_train'}} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
