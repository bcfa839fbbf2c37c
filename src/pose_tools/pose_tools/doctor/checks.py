"""What is wrong with this machine or the running graph, and what to type to mend it.

Each check is a function that returns findings and prints nothing. What may crash on import (libraries built
against another NumPy, a broken RMW) is tried in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pose_core import assets

OK, WARN, FAIL, SKIPPED = "ok", "warn", "fail", "skipped"

PYTHON = ((3, 10), (3, 12))
MODEL = "pose_landmarker_full.task"
"""The model of the default configuration."""

PROBE_S = 60.0
SETTLE_S = 2.0
"""Time for nodes to find each other, and for something that is sent once a second to come."""

GIB = 2**30


@dataclass(frozen=True)
class Check:
    """One finding. `level`:

    ok, warn, fail or skipped; `remedy`: what to type or do, of every warning and failure.
    """

    name: str
    level: str
    detail: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.level in (WARN, FAIL) and not self.remedy:
            raise ValueError(f"check '{self.name}' needs a remedy")


Checks = list[Check]


@dataclass(frozen=True)
class Probe:
    """What came of a Python process: its exit code and the last lines it wrote."""

    code: int
    out: str
    err: str


def probe(code: str, *arguments: str) -> Probe:
    """Run Python code in a process of its own, with this interpreter and environment."""
    command = [sys.executable, "-c", code, *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_S, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        return Probe(-1, "", f"no answer within {PROBE_S:.0f} s")
    err = _last_line(done.stderr) or f"exit code {done.returncode}"
    return Probe(done.returncode, _last_line(done.stdout), err)


def _last_line(text: str) -> str:
    return ([line.strip() for line in text.splitlines() if line.strip()] or [""])[-1]


def run(checks: Iterable[Callable[[], Checks]]) -> Checks:
    """All findings, in order."""
    return [found for check in checks for found in check()]


def exit_code(found: Checks) -> int:
    """1 where something failed, else 0."""
    return int(any(check.level == FAIL for check in found))


def as_dict(found: Checks) -> dict[str, Any]:
    """For JSON."""
    return {"ok": exit_code(found) == 0, "checks": [asdict(check) for check in found]}


def python() -> Checks:
    """The interpreter's version."""
    version = sys.version_info[:2]
    text = f"{version[0]}.{version[1]}"
    if PYTHON[0] <= version <= PYTHON[1]:
        return [Check("python", OK, text)]
    low, high = (".".join(map(str, end)) for end in PYTHON)
    remedy = f"install Python {high}, then: PYTHON=python{high} make setup"
    return [Check("python", FAIL, f"{text} is not from {low} to {high}", remedy)]


def numpy() -> Checks:
    """NumPy below 2, which cv_bridge of apt is built against."""
    return [_version_below("numpy", "numpy", 2, 'pip install "numpy<2"')]


def opencv() -> Checks:
    """OpenCV below 5, and only one of its wheels, which overwrite each other."""
    found = [_version_below("opencv", "cv2", 5, 'pip install "opencv-contrib-python<5"')]
    wheels = _installed("opencv-")
    if len(wheels) > 1:
        remedy = f'pip uninstall -y {" ".join(wheels)} && pip install "opencv-contrib-python<5"'
        found.append(Check("opencv wheels", WARN, f"{', '.join(wheels)} overwrite each other", remedy))
    return found


def _version_below(name: str, module: str, limit: int, remedy: str) -> Check:
    tried = probe(f"import {module}; print({module}.__version__)")
    if tried.code:
        return Check(name, FAIL, f"{module} does not import: {tried.err}", remedy)
    if int(tried.out.split(".")[0]) >= limit:
        return Check(name, FAIL, f"{tried.out} is too new, it must be below {limit}", remedy)
    return Check(name, OK, tried.out)


def _installed(prefix: str) -> list[str]:
    """Names of the installed distributions that begin with `prefix`."""
    return sorted(
        {
            name
            for found in metadata.distributions()
            if (name := found.metadata["Name"] or "").startswith(prefix)
        }
    )


_CV_BRIDGE = """
import numpy
from cv_bridge import CvBridge
bgr = numpy.arange(18, dtype=numpy.uint8).reshape(2, 3, 3)
bridge = CvBridge()
rgb = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(bgr, "bgr8"), "rgb8")
assert (rgb == bgr[..., ::-1]).all(), "colours came back wrong"
"""


def cv_bridge() -> Checks:
    """cv_bridge imports and really converts an image."""
    tried = probe(_CV_BRIDGE)
    if not tried.code:
        return [Check("cv_bridge", OK, "converts images")]
    distro = os.environ.get("ROS_DISTRO")
    remedy = (
        f"sudo apt install ros-{distro}-cv-bridge python3-numpy"
        if distro
        else 'pip install cv-bridge "numpy<2"'
    )
    return [Check("cv_bridge", FAIL, f"does not convert images: {tried.err}", remedy)]


def models() -> Checks:
    """The pose model and the demo videos are there with the right SHA-256."""
    found = [_asset(MODEL, FAIL)]
    demo = [name for name in assets.ASSETS if name.startswith("Demo_") and name.endswith(".mp4")]
    others = [name for name in assets.ASSETS if name.endswith(".task") and name != MODEL]
    broken = [check for name in demo if (check := _asset(name, WARN)).level != OK]
    found += broken or [Check("demo videos", OK, f"{len(demo)} videos")]
    # a model that nobody fetched is none to complain about, a damaged one is
    return found + [check for name in others if _is_present(name) and (check := _asset(name, FAIL))]


def _asset(name: str, level: str) -> Check:
    try:
        return Check(name, OK, str(assets.verify(name)))
    except (assets.MissingAsset, assets.CorruptAsset) as error:
        return Check(name, level, str(error), f"pose fetch {name}")


def _is_present(name: str) -> bool:
    try:
        return assets.path(name).is_file()
    except assets.MissingAsset:
        return False


_LANDMARKER = """
import sys
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision
options = vision.PoseLandmarkerOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]))
with vision.PoseLandmarker.create_from_options(options):
    print(mediapipe.__version__)
"""


def mediapipe() -> Checks:
    """MediaPipe opens the pose model."""
    if not _is_present(MODEL):
        return [Check("mediapipe", SKIPPED, f"needs {MODEL}, which is missing")]
    tried = probe(_LANDMARKER, str(assets.path(MODEL)))
    if not tried.code:
        return [Check("mediapipe", OK, f"{tried.out} opens {MODEL}")]
    is_library = ".so" in tried.err
    remedy = (
        "sudo apt install libgles2 libegl1 libgl1"
        if is_library
        else 'pip install "mediapipe>=1.2" or make setup'
    )
    return [Check("mediapipe", FAIL, f"does not open {MODEL}: {tried.err}", remedy)]


def ros() -> Checks:
    """rclpy imports, the RMW makes a node, the project's messages are built."""
    distro = os.environ.get("ROS_DISTRO", "")
    tried = probe("import rclpy; print(rclpy.__file__)")
    if tried.code:
        remedy = (
            f"source /opt/ros/{distro or '$ROS_DISTRO'}/setup.bash, or without an installed ROS: make setup"
        )
        return [Check("rclpy", FAIL, f"does not import: {tried.err}", remedy)]
    return [Check("rclpy", OK, f"ROS 2 {distro}" if distro else "ROS 2 from wheels"), _rmw(), _messages()]


def _rmw() -> Check:
    wanted = os.environ.get("RMW_IMPLEMENTATION", "")
    tried = probe(
        "import rclpy; rclpy.init(); rclpy.create_node('pose_doctor_probe'); print(rclpy.get_rmw_implementation_identifier())"
    )
    if not tried.code:
        return Check("rmw", OK, tried.out)
    package = f"ros-{os.environ.get('ROS_DISTRO', '$ROS_DISTRO')}-{wanted.replace('_', '-')}"
    remedy = (
        f"unset RMW_IMPLEMENTATION, or: sudo apt install {package}"
        if wanted
        else "unset ROS_DOMAIN_ID; make setup"
    )
    return Check("rmw", FAIL, f"{wanted or 'the default'} makes no node: {tried.err}", remedy)


def _messages() -> Check:
    tried = probe(
        "from pose_msgs.msg import People3D; from rclpy.serialization import serialize_message as s; s(People3D())"
    )
    if not tried.code:
        return Check("pose_msgs", OK, "built")
    remedy = "make setup, or: colcon build && source install/setup.bash"
    return Check("pose_msgs", FAIL, f"not built or not sourced: {tried.err}", remedy)


SAFE_DOMAIN = 101
LAST_DOMAIN = 232
"""https://docs.ros.org/en/rolling/Concepts/Intermediate/About-Domain-ID.html: ports of higher domains meet
those that Linux gives to other programs, and end at 65535."""

RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")


def discovery() -> Checks:
    """Environment variables that decide which nodes see each other."""
    found = [_domain(os.environ.get("ROS_DOMAIN_ID", ""))]
    chosen, localhost = (
        os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", ""),
        os.environ.get("ROS_LOCALHOST_ONLY", ""),
    )
    name = "discovery range"
    if chosen and chosen not in RANGES:
        detail = f"ROS_AUTOMATIC_DISCOVERY_RANGE is '{chosen}', which is none of {', '.join(RANGES)}"
        found.append(Check(name, FAIL, detail, "export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET"))
    elif chosen == "OFF":
        detail = "ROS_AUTOMATIC_DISCOVERY_RANGE=OFF: nodes do not even see those of this machine"
        found.append(Check(name, WARN, detail, "export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST"))
    elif localhost not in ("", "0"):
        detail = "ROS_LOCALHOST_ONLY is deprecated and hides other machines" + (
            f"; it overrides ROS_AUTOMATIC_DISCOVERY_RANGE={chosen}" if chosen else ""
        )
        remedy = "unset ROS_LOCALHOST_ONLY; export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST"
        found.append(Check(name, WARN, detail, remedy))
    else:
        found.append(Check(name, OK, chosen or "SUBNET, the default"))
    return found


def _domain(text: str) -> Check:
    name, remedy = "domain", f"export ROS_DOMAIN_ID=0 (any number from 0 to {SAFE_DOMAIN})"
    if text and not text.isdecimal():
        return Check(name, FAIL, f"ROS_DOMAIN_ID is '{text}', which is no number", remedy)
    domain = int(text or 0)
    if domain > LAST_DOMAIN:
        return Check(
            name, FAIL, f"ROS_DOMAIN_ID={domain} is above {LAST_DOMAIN}: its ports do not exist", remedy
        )
    if domain > SAFE_DOMAIN:
        detail = f"ROS_DOMAIN_ID={domain} is above {SAFE_DOMAIN}: other programs may hold its ports"
        return Check(name, WARN, detail, remedy)
    return Check(name, OK, f"ROS_DOMAIN_ID={domain}")


def cameras(*, open_them: bool = False, devices: Path = Path("/dev")) -> Checks:
    """Cameras that Linux lists, whether this user may use them and, with `open_them`, give an image."""
    files = sorted(devices.glob("video[0-9]*"), key=lambda file: (len(file.name), file.name))
    if not files:
        remedy = "plug a camera in (in a container: docker run --device /dev/video0), or name a file: pose live --source FILE"
        return [Check("camera", WARN, "no camera is connected", remedy)]
    found = [_camera(file, open_them) for file in files]
    # a webcam has a second device for metadata, which never gives images: one that works is enough
    if open_them and any(check.level == OK for check in found):
        found = [Check(c.name, SKIPPED, c.detail) if c.level == WARN else c for c in found]
    return found


def _camera(file: Path, open_it: bool) -> Check:
    if not os.access(file, os.R_OK | os.W_OK):
        remedy = "sudo usermod -aG video $USER, then log out and in again"
        return Check(str(file), FAIL, "this user may not use it", remedy)
    if not open_it:
        return Check(str(file), OK, "may be used (not opened)")
    code = "import sys, cv2; ok, image = cv2.VideoCapture(int(sys.argv[1])).read(); assert ok, 'no image'; print(image.shape)"
    tried = probe(code, file.name.removeprefix("video"))
    if not tried.code:
        return Check(str(file), OK, f"gives images of {tried.out} (rows, columns, channels)")
    return Check(
        str(file), WARN, f"gives no image: {tried.err}", f"close the program that uses it: fuser -v {file}"
    )


_GPU_PROVIDERS = ("CUDAExecutionProvider", "TensorrtExecutionProvider")


def gpu(*, devices: Path = Path("/dev")) -> Checks:
    """Whether ONNX Runtime can use the GPU that is there."""
    wheels = _installed("onnxruntime")
    tried = probe("import onnxruntime; print(*onnxruntime.get_available_providers())")
    if tried.code:
        return [Check("onnxruntime", FAIL, f"does not import: {tried.err}", "pip install onnxruntime")]
    providers = tried.out.split()
    found = [Check("onnxruntime", OK, ", ".join(providers))]
    if len(wheels) > 1:
        remedy = f"pip uninstall -y {' '.join(wheels)} && pip install onnxruntime-gpu"
        found = [Check("onnxruntime", WARN, f"{' and '.join(wheels)} overwrite each other", remedy)]
    boards = [*devices.glob("nvidia[0-9]*"), *devices.glob("dxg")]
    if not boards:
        return [*found, Check("gpu", OK, "none; models run on the CPU")]
    if any(name in providers for name in _GPU_PROVIDERS):
        return [*found, Check("gpu", OK, f"{boards[0]}, used by ONNX Runtime")]
    remedy = f"pip uninstall -y {' '.join(wheels) or 'onnxruntime'} && pip install onnxruntime-gpu"
    return [
        *found,
        Check("gpu", WARN, f"{boards[0]} is there, but ONNX Runtime can only use the CPU", remedy),
    ]


def config(files: Iterable[Path]) -> Checks:
    """The names and values in parameter files."""
    from pose_core.config import parameter_file
    from pose_tools.parameters.table import STAGES

    found = []
    for file in files:
        wrong = parameter_file.problems(file, STAGES)
        found += [
            Check(str(file), FAIL, sentence.removeprefix(f"{file}: "), f"edit {file}") for sentence in wrong
        ]
        found += [] if wrong else [Check(str(file), OK, "known names, values in range")]
    return found or [Check("config", SKIPPED, "the workspace is not installed: make setup")]


def disk(folder: Path | None = None) -> Checks:
    """Free space where bags go: a minute of results takes some 10 MB, with images 400 MB."""
    folder = folder or Path.cwd()
    free = shutil.disk_usage(folder).free
    detail = f"{free / GIB:.1f} GiB free in {folder}"
    if free >= 2 * GIB:
        return [Check("disk", OK, detail)]
    remedy = f"free space, or record elsewhere: pose live --record /other/disk/bag; what is large: du -sh {folder}/*"
    return [Check("disk", FAIL if free < GIB // 10 else WARN, detail, remedy)]


def machine(*, open_cameras: bool = False) -> list[Callable[[], Checks]]:
    """All checks of this machine, in the order in which one needs the other."""
    from pose_tools.doctor.doors import brought

    return [
        python,
        numpy,
        opencv,
        cv_bridge,
        models,
        mediapipe,
        ros,
        discovery,
        lambda: cameras(open_them=open_cameras),
        gpu,
        lambda: config(installed_config()),
        brought,
        disk,
    ]


def installed_config() -> list[Path]:
    """The parameter files of the installed workspace; none where it is not built."""
    from pose_tools.workspace import config_file

    try:
        return sorted(config_file("live.yaml").parent.glob("*.yaml"))
    except FileNotFoundError:
        return []


def report_and_exit_code(*, cameras: bool, graph: bool, as_json: bool) -> int:
    """Run everything, print a table on stderr and with `as_json` the findings on stdout.

    1 where something failed.
    """
    found = run(machine(open_cameras=cameras))
    if graph and all(check.level != FAIL for check in found if check.name in ("rclpy", "rmw", "pose_msgs")):
        from pose_tools.doctor.graph import graph_checks

        found += graph_checks()
    _print(found)
    if as_json:
        print(json.dumps(as_dict(found), indent=2))
    return exit_code(found)


def _print(found: Checks) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    colours = {OK: "green", WARN: "yellow", FAIL: "bold red", SKIPPED: "dim"}
    for check in found:
        console.print(
            Text.assemble((f"{check.level:>7}", colours[check.level]), f"  {check.name}: {check.detail}")
        )
        if check.remedy:
            console.print(Text(f"{'':>9}{check.remedy}", style="cyan"), soft_wrap=True)
    counts = {level: sum(check.level == level for check in found) for level in colours}
    console.print(", ".join(f"{count} {level}" for level, count in counts.items() if count))
