"""What is wrong with the running ROS graph:

QoS that keeps messages back, cameras, stages and their diagnostics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import GetState
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pose_ros.diagnostics import node_of
from pose_ros.domains import own_context
from pose_ros.messages.images import compressed_from_msg
from pose_ros.messages.reading import MalformedMessage
from pose_ros.qos import mismatch, name_of, override
from pose_ros.topics import DIAGNOSTICS
from pose_tools.doctor.finding import FAIL, OK, SKIPPED, WARN, Check, Checks
from pose_tools.parameters.table import STAGES

SETTLE_S = 2.0
"""Time for nodes to find each other, and for something that is sent once a second to come."""

OPTIONAL = ("viz",)
"""Stages without which the pipeline is whole."""

CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
IMAGES = {"sensor_msgs/msg/Image": Image, "sensor_msgs/msg/CompressedImage": CompressedImage}
ANY_PUBLISHER = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Matches whatever a publisher offers."""


class Visit:
    """A node on the graph under examination and its executor."""

    def __init__(self, node: Node, executor: Executor) -> None:
        self.node = node
        self._executor = executor

    def wait(self, condition: Callable[[], object], timeout_s: float = SETTLE_S) -> bool:
        """Let callbacks run until `condition` holds; False where it does not in time."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def first(self, wanted: dict[str, type], timeout_s: float = SETTLE_S) -> dict[str, Any]:
        """The first message of each topic of `wanted` that comes in time."""
        got: dict[str, Any] = {}
        subscriptions = [
            self.node.create_subscription(kind, topic, partial(got.setdefault, topic), ANY_PUBLISHER)
            for topic, kind in wanted.items()
        ]
        self.wait(lambda: len(got) == len(wanted), timeout_s)
        for subscription in subscriptions:
            self.node.destroy_subscription(subscription)
        return got


@contextmanager
def visit(context: Context | None = None) -> Iterator[Visit]:
    """A node on the graph, once it had time to see the others."""
    with nullcontext(context) if context is not None else own_context() as joined:
        node = rclpy.create_node("pose_doctor", context=joined)
        executor = SingleThreadedExecutor(context=joined)
        executor.add_node(node)
        try:
            yield Visit(node, executor)
        finally:
            executor.shutdown()
            node.destroy_node()


def graph_checks() -> Checks:
    """All checks of the graph that this process's environment leads to."""
    with visit() as guest:
        guest.wait(lambda: False, SETTLE_S)
        return [*qos(guest.node), *camera_info(guest), *stages(guest), *diagnostics(guest)]


def qos(node: Node) -> Checks:
    """Publishers and subscriptions that never exchange a message, and topics with several types."""
    topics = node.get_topic_names_and_types()
    found = [
        check
        for topic, types in topics
        for check in _type_clash(node, topic, types) or _mismatches(node, topic)
    ]
    return found or [Check("qos", OK, f"all publishers and subscriptions of {len(topics)} topics match")]


def _type_clash(node: Node, topic: str, types: list[str]) -> Checks:
    if len(types) < 2:
        return []
    ends = node.get_publishers_info_by_topic(topic) + node.get_subscriptions_info_by_topic(topic)
    detail = "; ".join(f"{name_of(end)} means {end.topic_type}" for end in ends)
    remedy = f"give one of them another topic: ros2 run PACKAGE NODE --ros-args -r {topic}:={topic}_2"
    return [Check(f"type of {topic}", FAIL, detail, remedy)]


def _mismatches(node: Node, topic: str) -> Checks:
    found = {}
    for publisher in node.get_publishers_info_by_topic(topic):
        for subscription in node.get_subscriptions_info_by_topic(topic):
            reason = mismatch(publisher, subscription)
            if reason:
                detail = f"{name_of(subscription)} gets nothing from {name_of(publisher)}: {reason}"
                parameter = override(topic, publisher, subscription)
                remedy = (
                    f"start {name_of(subscription)} with: --ros-args -p {parameter}"
                    if parameter
                    else f"ros2 topic info -v {topic} shows both profiles; make deadline and liveliness equal"
                )
                found[detail] = Check(f"qos of {topic}", FAIL, detail, remedy)
    return list(found.values())


def camera_info(guest: Visit) -> Checks:
    """Every CameraInfo on the graph is calibrated and of the size of its images."""
    published = [
        (topic, types[0])
        for topic, types in guest.node.get_topic_names_and_types()
        if _has_publisher(guest, topic)
    ]
    cameras = [topic for topic, kind in published if kind == CAMERA_INFO]
    if not cameras:
        return [
            Check(
                "camera_info", SKIPPED, "nobody publishes one; the camera is assumed from its field of view"
            )
        ]
    images = {camera: _image_beside(camera, published) for camera in cameras}
    wanted = dict.fromkeys(cameras, CameraInfo) | {
        image[0]: image[1] for image in images.values() if image is not None
    }
    got = guest.first(wanted)
    found = []
    for camera in cameras:
        image = images[camera]
        size = image_size(got[image[0]]) if image is not None and image[0] in got else None
        found += judge_camera_info(camera, got.get(camera), size)
    return found


def _has_publisher(guest: Visit, topic: str) -> bool:
    return guest.node.count_publishers(topic) > 0


def _image_beside(camera: str, published: list[tuple[str, str]]) -> tuple[str, type] | None:
    """An image topic in the camera's namespace, as image_transport lays them out (image_raw/compressed)."""
    namespace = camera.rpartition("/")[0] + "/"
    beside = [
        (topic, IMAGES[kind]) for topic, kind in published if kind in IMAGES and topic.startswith(namespace)
    ]
    return min(beside, key=lambda image: (image[0].count("/"), image[0]), default=None)


def image_size(message: Any) -> tuple[int, int] | None:
    """(width, height) in pixels; None for a compressed image that cannot be decoded."""
    if isinstance(message, Image):
        return message.width, message.height
    try:
        height, width, _ = compressed_from_msg(message).shape
    except MalformedMessage:
        return None
    return width, height


def judge_camera_info(topic: str, info: CameraInfo | None, size: tuple[int, int] | None) -> Checks:
    """`info`: None where none came; `size`: (width, height) of the images, None where unknown."""
    namespace = topic.rpartition("/")[0]
    calibrate = "ros2 run camera_calibration cameracalibrator --size 8x6 --square 0.025 --ros-args "
    calibrate += f"-r image:={namespace}/image_raw -r camera:={namespace or '/'}"
    if info is None:
        return [
            Check(
                topic,
                WARN,
                "has a publisher, but no message came",
                f"ros2 topic hz {topic}; ros2 topic info -v {topic}",
            )
        ]
    if not any(info.k):
        remedy = f"calibrate: {calibrate}, or name a calibration: pose live --calibration FILE"
        return [Check(topic, FAIL, "is not calibrated: K is all zero", remedy)]
    # REP 104: width and height are those of the full sensor, the image is the region of interest after binning
    width = (info.roi.width or info.width) // max(info.binning_x, 1)
    height = (info.roi.height or info.height) // max(info.binning_y, 1)
    if size is not None and size != (width, height):
        detail = f"is for images of {width}x{height}, but they are {size[0]}x{size[1]}"
        return [
            Check(topic, FAIL, detail, f"set the camera to {width}x{height}, or calibrate again: {calibrate}")
        ]
    return [
        Check(topic, OK, f"calibrated for {width}x{height}" + ("" if size else "; no image came to compare"))
    ]


def stages(guest: Visit) -> Checks:
    """The stages of the pipeline run and are active."""
    nodes = {
        f"{space.rstrip('/')}/{name}": name for name, space in guest.node.get_node_names_and_namespaces()
    }
    running = {full: name for full, name in nodes.items() if name in STAGES}
    if not running:
        return [Check("stages", SKIPPED, "the pipeline does not run; start it with: pose live")]
    found = [_state(guest, full) for full in running]
    missing = [name for name in STAGES if name not in (*running.values(), *OPTIONAL)]
    if missing:
        remedy = f"ros2 run {missing[0]}_node {missing[0]}, or all stages: pose live"
        found.append(Check("stages", WARN, f"{', '.join(missing)} not seen", remedy))
    return found


def _state(guest: Visit, node: str) -> Check:
    client: Client[GetState.Request, GetState.Response] = guest.node.create_client(
        GetState, f"{node}/get_state"
    )
    try:
        answer = client.call_async(GetState.Request()) if guest.wait(client.service_is_ready) else None
        response = answer.result() if answer is not None and guest.wait(answer.done) else None
        if response is None:
            remedy = f"end the process of {node}; launch starts it again"
            return Check(node, FAIL, "does not answer; it is hung or was killed a moment ago", remedy)
        state = response.current_state.label
    finally:
        guest.node.destroy_client(client)
    if state == "active":
        return Check(node, OK, "active")
    steps = {"unconfigured": ("configure", "activate"), "inactive": ("activate",)}.get(state)
    commands = " && ".join(f"ros2 lifecycle set {node} {step}" for step in steps or ())
    return Check(node, FAIL, f"is {state}", commands or f"end the process of {node}; launch starts it again")


def diagnostics(guest: Visit) -> Checks:
    """What the stages say of themselves, worst level first."""
    worst: dict[str, DiagnosticStatus] = {}

    def collect(array: DiagnosticArray) -> None:
        for status in array.status:
            known = worst.setdefault(status.name, status)
            if _level(status) > _level(known):
                worst[status.name] = status

    if not guest.node.count_publishers(DIAGNOSTICS):
        return [Check("diagnostics", SKIPPED, f"nobody publishes {DIAGNOSTICS}")]
    subscription = guest.node.create_subscription(DiagnosticArray, DIAGNOSTICS, collect, ANY_PUBLISHER)
    guest.wait(lambda: False, SETTLE_S)
    guest.node.destroy_subscription(subscription)
    ours = {name: status for name, status in worst.items() if node_of(name).rpartition("/")[2] in STAGES}
    if not ours:
        remedy = f"ros2 topic echo {DIAGNOSTICS}"
        return [Check("diagnostics", WARN, "no stage reported within two seconds", remedy)]
    return [_reported(status) for status in sorted(ours.values(), key=_level, reverse=True)]


def _level(status: DiagnosticStatus) -> int:
    """The level as a number: rclpy gives a byte."""
    return int.from_bytes(status.level, "little")


def _reported(status: DiagnosticStatus) -> Check:
    name, level = f"diagnostics of {status.name}", _level(status)
    if level == int.from_bytes(DiagnosticStatus.OK, "little"):
        return Check(name, OK, status.message)
    failed = level >= int.from_bytes(DiagnosticStatus.ERROR, "little")
    return Check(
        name, FAIL if failed else WARN, status.message, f"see all values: ros2 topic echo {DIAGNOSTICS}"
    )
