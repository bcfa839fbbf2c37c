"""The start of nodes and of `pose`: interrupted anywhere it ends without a word, and it imports no more than it needs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from pose_core import assets

NODES = {"pose2d": "pose2d_node", "lift3d": "lift3d_node", "refine": "refine_node", "viz": "pose_viz"}


def interrupted(package: str, module: str, number: int, *arguments: str) -> tuple[int, str, str]:
    """Exit code and words of an entry point in which a signal comes when `module` is looked for."""
    code = f"""
import importlib, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            signal.raise_signal({number})
sys.meta_path.insert(0, Interrupting())
main = importlib.import_module({f"{package}.__main__"!r}).main
sys.argv = [{package!r}, *{list(arguments)!r}]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "ROS_DOMAIN_ID": "97", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("module", ["numpy", "rclpy", "diagnostic_msgs", "pose_ros.stage"])
@pytest.mark.parametrize("package", NODES.values())
def test_an_interrupt_while_a_node_starts_has_no_traceback(package: str, module: str) -> None:
    """Launch says "finished cleanly" of it, as of one that runs."""
    assert interrupted(package, module, signal.SIGINT) == (0, "", "")


def test_sigterm_while_a_node_starts_has_no_traceback() -> None:
    assert interrupted("refine_node", "refine_node.node", signal.SIGTERM) == (0, "", "")


def test_an_interrupt_while_a_node_opens_its_network_ends_it_in_order() -> None:
    code, said, errors = interrupted("lift3d_node", "onnxruntime", signal.SIGINT)
    assert (code, said) == (0, "")
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("typer", ("--help",)),
        ("pose_tools.cli.main", ("doctor",)),
        ("pose_tools.doctor.report", ("doctor",)),
        ("pose_tools.files.export", ("export", "nothing", "-o", "nowhere")),
        ("rclpy", ("live", "--source", "nothing.mp4")),
        ("pose_tools.bag.recovery", ("bag-recover", "nothing", "nowhere")),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_a_command_starts_has_no_traceback(
    module: str, arguments: tuple[str, ...], number: int
) -> None:
    assert interrupted("pose_tools", module, number, *arguments) == (128 + number, "", "")


HEAVY = (
    *(
        "cv2",
        "ezc3d",
        "jax",
        "matplotlib",
        "mcap",
        "mediapipe",
        "onnx",
        "onnxruntime",
        "pandas",
        "plotly",
        "rclpy",
        "rich",
    ),
    *("rosbags", "scipy", "sounddevice", "tensorboard", "torch", "typer"),
)
"""Libraries whose import takes long."""


def loaded(code: str) -> set[str]:
    """Those that are there once `code` has run."""
    code += f"\nimport os, sys\nprint(*({set(HEAVY)!r} & sys.modules.keys()), flush=True)"
    done = subprocess.run(
        [sys.executable, "-c", code + "\nos._exit(0)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "ROS_DOMAIN_ID": "97", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"},
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("package", "node", "needed"),
    [
        ("pose2d_node", "Pose2DNode", {"cv2", "mediapipe"}),
        ("lift3d_node", "Lift3DNode", {"onnxruntime"}),
        ("refine_node", "RefineNode", set()),
        ("pose_viz", "VizNode", {"cv2"}),
    ],
)
def test_a_node_that_runs_has_imported_what_it_needs_and_no_more(
    package: str, node: str, needed: set[str]
) -> None:
    if "mediapipe" in needed and not assets.is_intact("pose_landmarker_full.task"):
        pytest.skip("the model was not fetched")
    code = f"import rclpy\nfrom {package}.node import {node}\nrclpy.init()\nnode = {node}()"
    assert loaded(code) == {"rclpy"} | needed


def test_pose_starts_without_what_its_commands_need() -> None:
    assert loaded("import pose_tools.cli.main") == {"typer"}
    assert loaded("import pose_tools.doctor.report") == set()


def test_several_people_are_followed_from_the_first_image() -> None:
    """The second one must not wait for an import."""
    code = (
        "from pose2d_node import estimator\nfrom pose2d_node.params import Pose2DParams\n"
        "estimator.open_detector = lambda params: None\n"
        "estimator.Pose2DEstimator.from_params(Pose2DParams(num_poses={}))"
    )
    assert loaded(code.format(2)) - loaded(code.format(1)) == {"scipy"}
