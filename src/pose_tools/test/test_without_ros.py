"""What works on files runs where there is neither ROS nor torch, and makes the same bytes as where there is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from pose_core import assets
from pose_tools.process.job import ProcessJob
from pose_tools.process.run import process

FRAMES = 24

BLOCKED = """
import importlib, importlib.abc, json, pkgutil, sys

class Absent(importlib.abc.MetaPathFinder):
    '''Nothing of ROS, of a built workspace or of the extras can be imported.'''

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top.endswith("_msgs") or top.startswith(("ament", "rclpy", "rosidl", "launch", "tf2")) or top in OTHERS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

OTHERS = {"builtin_interfaces", "cv_bridge", "rpyutils", "torch", "onnx", "tensorboard", "ml_dtypes", "wandb"}
sys.meta_path.insert(0, Absent())
for name in ("ROS_DISTRO", "AMENT_PREFIX_PATH"):
    __import__("os").environ.pop(name, None)
"""

NEEDS_ROS = (
    "pose_ros.conversions",
    "pose_ros.diagnostics",
    "pose_ros.domains",
    "pose_ros.gravity",
    "pose_ros.images",
    "pose_ros.listeners",
    "pose_ros.parameters",
    "pose_ros.qos",
    "pose_ros.signals",
    "pose_ros.stage",
    "pose_ros.testing",
    "pose2d_node.node",
    "lift3d_node.node",
    "refine_node.node",
    "pose_viz.node",
    "pose_tools.bench.composed",
    "pose_tools.bench.graph",
    "pose_tools.bench.load",
    "pose_tools.bench.start",
    "pose_tools.doctor.graph",
    "pose_tools.graph",
    "pose_tools.launching.actions",
)
"""Modules that only nodes and what runs nodes need, with all below them."""

NEEDS_EXTRAS = ("pose_train", "lift3d_node.testing")


def blocked(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code, *arguments], capture_output=True, text=True, check=False
    )


def test_all_but_what_runs_nodes_can_be_imported() -> None:
    code = """
left_out = tuple(json.loads(sys.argv[1]))
count = 0
for top in json.loads(sys.argv[2]):
    package = importlib.import_module(top)
    for module in pkgutil.walk_packages(package.__path__, f"{top}.", onerror=lambda name: None):
        if not module.name.startswith(left_out):
            importlib.import_module(module.name)
            count += 1
print(count)
"""
    packages = "pose_core pose_biomechanics pose_ros pose2d_node lift3d_node refine_node pose_viz pose_tools pose_pipeline"
    done = blocked(code, json.dumps([*NEEDS_ROS, *NEEDS_EXTRAS]), json.dumps(packages.split()))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 120


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the demo video."""
    file = tmp_path_factory.mktemp("clip") / "walk.mp4"
    video = cv2.VideoCapture(str(assets.path("Demo_SinglePerson/videos/cam01.mp4")))
    width, height = (int(video.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    out = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), 60.0, (width, height))
    for _ in range(FRAMES):
        read, frame = video.read()
        assert read
        out.write(frame)
    out.release()
    return file


COMMANDS = """
from pose_tools.cli import main

def pose(*arguments):
    sys.argv = ["pose", *arguments]
    try:
        main.main()
    except SystemExit as end:
        if end.code:
            raise

clip, out, files = sys.argv[1:4]
pose("process", clip, "-o", out, "--processes", "1", "--min-seconds", "0", "--no-overlay")
pose("export", f"{out}/bag", "-o", f"{files}/export", "--to", "trc,c3d,mot,bvh,csv,npz", "--min-seconds", "0")
pose("plot", f"{out}/bag", "-o", f"{files}/plot", "--joint", "right_knee")
pose("view", f"{out}/bag", "-o", f"{files}/page.html", "--no-open")
pose("refine", next(iter(__import__("pathlib").Path(files, "export").glob("*.npz"))).as_posix(), f"{files}/refined.npz")
print("done")
"""


def test_a_recording_is_processed_to_the_bytes_of_an_installation_with_ros(
    clip: Path, tmp_path: Path
) -> None:
    without = blocked(COMMANDS, str(clip), str(tmp_path / "without"), str(tmp_path / "files"))
    assert without.stdout.strip().endswith("done"), without.stderr
    assert (tmp_path / "files" / "page.html").stat().st_size > 10_000
    assert list((tmp_path / "files" / "plot").rglob("*.png"))
    assert {path.suffix for path in (tmp_path / "files" / "export").iterdir() if path.is_file()} == {
        ".trc",
        ".c3d",
        ".mot",
        ".bvh",
        ".csv",
        ".npz",
    }
    job = ProcessJob.asked(clip, tmp_path / "with", processes=1, min_seconds=0.0, overlay=False)
    process(job, lambda _done, _total: None)
    made, expected = (
        {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in (tmp_path / "without", tmp_path / "with")
    )
    assert {"bag/bag_0.mcap", "bag/metadata.yaml", "report.html", "walk_final.trc"} <= made.keys()
    assert made == expected


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["live"], "pose: pose live needs ROS 2: source the setup.bash of a built workspace"),
        (["demo"], "pose: pose demo needs ROS 2: "),
        (["record", "bag"], "pose: pose record needs ROS 2: "),
        (["evaluate", "lifters"], "pip install 'pose-pipeline[train]'"),
        (["export-model", "a.ckpt", "b.onnx"], "pip install 'pose-pipeline[train]'"),
    ],
)
def test_what_needs_more_says_what(command: list[str], sentence: str, tmp_path: Path) -> None:
    code = "from pose_tools.cli import main; sys.argv[0] = 'pose'; main.main()"
    done = blocked(code, *command)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_skips_what_is_of_ros() -> None:
    done = blocked("from pose_tools.cli import main; sys.argv[0] = 'pose'; main.main()", "doctor", "--json")
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert found["ROS 2"]["level"] == "skipped"
    assert not found.keys() & {"rclpy", "rmw", "pose_msgs", "cv_bridge", "domain", "camera"}
