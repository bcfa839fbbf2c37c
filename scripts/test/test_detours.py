"""No package reaches by a name in a string what its imports may not reach: `make check` sees only import statements."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADERS = {"__import__", "find_loader", "import_module", "importorskip", "run_module"}
"""Functions that import what they are told; `find_spec` only asks whether it is there."""
TORCH = re.compile(r"(torch|onnx|tensorboard|pose_train)(\.|$)")
ROS = re.compile(r"(rclpy|rosidl_\w+|ament_\w+|\w+_msgs|builtin_interfaces|cv_bridge)(\.|$)")
WITHOUT_TORCH = "pose_core pose_biomechanics pose_ros pose2d_node lift3d_node refine_node pose_viz".split()
WITHOUT_ROS = [
    "pose_core/pose_core",
    "pose_biomechanics/pose_biomechanics",
    "pose_ros/pose_ros/messages",
    "pose_tools/pose_tools/bag",
    "pose_tools/pose_tools/files",
    "pose_tools/pose_tools/process",
]


def detours(folder: Path, forbidden: re.Pattern[str]) -> list[str]:
    """Calls in a folder that load a module whose name, as far as it is written there, is forbidden."""
    found = []
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in LOADERS and forbidden.match(beginning(node.args[0])):
                found.append(f"{file.relative_to(folder)}:{node.lineno}")
    return found


def beginning(argument: ast.expr) -> str:
    """The text that a call is given, up to its first part that is computed."""
    first = argument.values[0] if isinstance(argument, ast.JoinedStr) else argument
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


@pytest.mark.parametrize("package", WITHOUT_TORCH)
def test_nothing_but_training_loads_torch_by_name(package: str):
    assert detours(ROOT / "src" / package / package, TORCH) == []


@pytest.mark.parametrize("folder", WITHOUT_ROS)
def test_what_works_on_files_loads_nothing_of_ros_by_name(folder: str):
    assert (ROOT / "src" / folder).is_dir()
    assert detours(ROOT / "src" / folder, ROS) == []


def test_a_detour_is_found(tmp_path: Path):
    (tmp_path / "sly.py").write_text(
        'import importlib\nimportlib.import_module("torch.nn")\nname = "x"\n__import__(f"rclpy.{name}")\n'
    )
    assert detours(tmp_path, TORCH) == ["sly.py:2"]
    assert detours(tmp_path, ROS) == ["sly.py:4"]
