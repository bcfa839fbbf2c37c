"""The package of docs/extending.md, built and installed by pip into a folder of its own, as its users would have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pose_core import assets
from pose_core.skeleton import MEDIAPIPE33
from pose_core.system.exits import WRONG_CONFIGURATION
from pose_ros.domains import private_domain
from pose_tools.bag.people import read_people

VIDEO = "Demo_SinglePerson/videos/cam01.mp4"
FRAMES = 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(assets.is_intact(name) for name in (VIDEO, "pose_landmarker_full.task")),
        reason="NOT RUN ON REAL VIDEO: fetch it with `python -m pose_core.assets`",
    ),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder into which pip installed the package, with one more lifter that cannot be imported."""
    return tmp_path_factory.mktemp("installed")


@pytest.fixture
def pose(
    installed: Path, tmp_path: Path, their_source: Callable[[Path], Path]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`pose(*arguments)` runs the command where the package is installed, in a folder of the test's own."""
    if not any(installed.iterdir()):
        source = their_source(tmp_path / "source")
        project = source / "pyproject.toml"
        text = project.read_text(encoding="utf-8")
        lifters = '[project.entry-points."pose_pipeline.lifters"]\n'
        project.write_text(text.replace(lifters, f'{lifters}gone = "their_pose.gone:Lifter"\n'))
        build = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        subprocess.run([sys.executable, "-m", *build, "--target", installed, source], check=True)
    path = os.pathsep.join([str(installed), *filter(None, [os.environ.get("PYTHONPATH")])])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        with private_domain() as domain:
            return subprocess.run(
                [str(Path(sys.executable).with_name("pose")), *arguments],
                capture_output=True,
                text=True,
                check=False,
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": path, "ROS_DOMAIN_ID": str(domain)},
            )

    return run


def test_live_runs_their_lifter_and_refiner(
    pose: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    chosen = ["--lifter", "flat", "--refiner", "halfway", "--height", "1.7"]
    done = pose(
        "live",
        *("--source", str(assets.path(VIDEO)), "--max-frames", str(FRAMES)),
        *(*chosen, "--record", "bag", "--json"),
    )
    assert done.returncode == 0, done.stderr
    assert "flat" in json.dumps(json.loads(done.stdout))
    held = read_people(tmp_path / "bag", lambda *_: None, print)
    joints = held.joints(held.ids[0])
    assert len(joints) >= FRAMES // 2
    # people of paper: turned towards the camera, all joints lie in one plane
    shape = (joints.xyz - joints.xyz.mean(1, keepdims=True))[len(joints) // 2]
    assert joints.skeleton == "mediapipe33"
    assert _thickness(shape) < 0.01
    told = pose("people", "bag")
    assert (told.returncode, told.stdout.split()) == (0, [held.ids[0], str(len(joints))])


def test_live_runs_their_detector(
    pose: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    source = ("--source", str(assets.path(VIDEO)), "--max-frames", str(FRAMES))
    done = pose("live", *source, "--detector", "scarecrow", "--lifter", "flat", "--record", "bag")
    assert done.returncode == 0, done.stderr
    (person,) = (held := read_people(tmp_path / "bag", lambda *_: None, print)).ids
    seen = held.landmarks(person)
    assert seen is not None
    # upright in the middle of 1080 x 1920 pixels: hips at 0.9 - 0.8 x 0.53 of the height
    hips = seen.xyz[:, MEDIAPIPE33.indices("left_hip", "right_hip")].mean(1)
    np.testing.assert_allclose(hips, np.broadcast_to((540.0, 0.476 * 1920.0), hips.shape), atol=0.1)


def test_one_that_cannot_be_imported_is_named_and_the_rest_work(
    pose: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = pose("live", "--source", str(assets.path(VIDEO)), "--lifter", "gone", "--max-frames", "2")
    assert done.returncode == WRONG_CONFIGURATION
    assert (
        "'gone' of package their-pose cannot be used (ModuleNotFoundError: No module named 'their_pose.gone')"
        in done.stderr
    )
    told = pose("--help")
    assert "people" in told.stdout
    assert "of package their-pose" in told.stdout
    found = pose("doctor", "--no-graph", "--json")
    checks = {check["name"]: check for check in json.loads(found.stdout)["checks"]}
    assert checks["lifter flat"]["level"] == "ok"
    assert checks["lifter flat"]["detail"] == "of package their-pose 1.0"
    assert checks["lifter gone"]["level"] == "warn"
    assert "pip uninstall their-pose" in checks["lifter gone"]["remedy"]
    for name in ("detector scarecrow", "refiner halfway", "format json", "command people"):
        assert checks[name]["level"] == "ok", checks[name]


def _thickness(shape: np.ndarray) -> float:
    """Metres, standard deviation of points (J, 3) across the plane that fits them best."""
    return float(np.linalg.svd(shape, compute_uv=False)[-1] / np.sqrt(len(shape)))
