"""What is wrong with ROS 2 on this machine, the cameras that live nodes use and the parameter files they read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pose_tools.doctor.finding import FAIL, OK, SKIPPED, WARN, Check, Checks, probe

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


def installed_config() -> list[Path]:
    """The parameter files of the installed workspace; none where it is not built."""
    from pose_tools.graph.workspace import config_file

    try:
        return sorted(config_file("live.yaml").parent.glob("*.yaml"))
    except FileNotFoundError:
        return []
