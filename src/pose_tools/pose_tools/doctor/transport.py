"""Whether raw images get from one process to another: measured between two, on a ROS domain of their own.

python -m pose_tools.doctor.transport 1920 1080 60    measures it for another size and rate
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pose_core.units import NS_PER_MS
from pose_tools.doctor.finding import OK, SKIPPED, WARN, Check, Checks
from pose_tools.middleware import (
    CHOSEN,
    ENOUGH,
    PROFILE,
    SHARED_MEMORY,
    environment,
    shared_memory_free,
    variable,
)

WIDTH, HEIGHT, RATE = 1280, 720, 30.0
"""What a common camera sends: 2.8 MB, 30 times a second."""
SECONDS = 1.5
"""Time for which images are sent."""

ENOUGH_ARRIVE = 0.9
"""Share of the images that must arrive."""

MEETING_S = 20.0
"""Time for sender and receiver to find each other."""
PATIENCE_S = MEETING_S + SECONDS + 15.0
"""Longest time for one measurement, the start of two processes on a busy machine included."""
LAST_S = 0.5
"""Time for the last image to arrive."""

NAME = "raw images"
MODULE = "pose_tools.doctor.transport"
TOPIC = "pose_doctor/image"


@dataclass(frozen=True)
class Crossing:
    """Of `sent` images `received` ones have arrived, after `delay_ms` as a rule."""

    sent: int
    received: int
    delay_ms: float

    @property
    def good(self) -> bool:
        """Whether a camera's images would get through."""
        return self.sent > 0 and self.received >= ENOUGH_ARRIVE * self.sent

    def __str__(self) -> str:
        after = f", after {self.delay_ms:.0f} ms" if self.received else ""
        return f"{self.received} of {self.sent} arrive{after}"


def raw_images() -> Checks:
    """Raw images get from a program of this shell, such as a camera driver, to the pipeline."""
    from pose_tools.graph.workspace import config_file

    try:
        profile = config_file(PROFILE)
    except FileNotFoundError:
        return [Check(NAME, SKIPPED, "the workspace is not installed: make setup")]
    plain = dict(os.environ)
    ours = environment(plain, profile)
    shell = measure(plain, plain | ours)
    pipeline = shell if shell is None or shell.good or not ours else measure(plain | ours, plain | ours)
    return [judge(shell, pipeline, plain, profile)]


def judge(
    shell: Crossing | None, pipeline: Crossing | None, given: Mapping[str, str], profile: Path
) -> Check:
    """What to set. `shell`: sent by a program with the environment `given`; `pipeline`: by one with `profile` (None: not met)."""
    what = f"{WIDTH} x {HEIGHT} at {RATE:g} Hz"
    if shell is None or pipeline is None:
        remedy = "ros2 multicast receive, and in another shell ros2 multicast send, show whether a firewall is between"
        return Check(NAME, WARN, f"two programs did not meet within {MEETING_S:.0f} s", remedy)
    if shell.good:
        return Check(NAME, OK, f"{what}: {shell}")
    instead = "or let the pipeline open the camera (source:=0), or set image_transport:=compressed"
    if pipeline.good:
        detail = f"{what}: {shell} from a program started in this shell, {pipeline.received} with our profile of Fast DDS"
        return Check(
            NAME,
            WARN,
            detail,
            f"where the camera driver starts: export {variable(given)}={profile}; {instead}",
        )
    middleware = given.get("RMW_IMPLEMENTATION", "")
    if middleware == "rmw_cyclonedds_cpp":
        buffers = "net.core.rmem_max=67108864, and a larger SocketReceiveBufferSize (docs/middleware.md)"
        remedy = f"sudo sysctl -w {buffers}; {instead}"
    elif shared_memory_free() < ENOUGH:
        remedy = f"make {SHARED_MEMORY} larger (docker run --ipc=host, or --shm-size=1g); {instead}"
    else:
        chosen = [name for name in CHOSEN if given.get(name)]
        remedy = (
            f"unset {' '.join(chosen)}; {instead}"
            if chosen
            else f"end what keeps this machine busy; {instead}"
        )
    return Check(NAME, WARN, f"{what}: {pipeline}", remedy)


def measure(
    sender: Mapping[str, str],
    receiver: Mapping[str, str],
    size: tuple[int, int] = (WIDTH, HEIGHT),
    rate: float = RATE,
    seconds: float = SECONDS,
) -> Crossing | None:
    """Send images of `size` (width, height) from one process to another, with these environments.

    None where the two do not find each other. Ends within PATIENCE_S.
    """
    from pose_ros.domains import private_domain

    arguments = [*map(str, size), str(rate), str(seconds)]
    with private_domain() as domain:
        alone = {"ROS_DOMAIN_ID": str(domain)}
        with (
            _running("receive", arguments, {**receiver, **alone}) as receiving,
            _running("send", arguments, {**sender, **alone}) as sending,
        ):
            sent = _words_of(sending)
            heard = _words_of(receiving) if sent not in ([], ["0"]) else []
    return Crossing(int(sent[0]), int(heard[0]), float(heard[1])) if heard else None


@contextmanager
def _running(role: str, arguments: list[str], given: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process of this module, which does not outlive the block."""
    command = [sys.executable, "-m", MODULE, role, *arguments]
    out, nothing = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(
        command, env=given, stdin=nothing, stdout=out, stderr=nothing, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _words_of(process: subprocess.Popen[str]) -> list[str]:
    """What it printed; nothing where it failed or took too long."""
    try:
        return process.communicate(timeout=PATIENCE_S)[0].split()
    except subprocess.TimeoutExpired:
        return []


def send(width: int, height: int, rate: float, seconds: float) -> int:
    """Send images to a receiver once there is one. Returns how many; 0 where none came."""
    import rclpy
    from sensor_msgs.msg import Image

    from pose_ros.conversions import stamp_from_ns
    from pose_ros.qos import IMAGES

    rclpy.init()
    node = rclpy.create_node("pose_doctor_sender")
    publisher = node.create_publisher(Image, TOPIC, IMAGES)
    image = Image(width=width, height=height, step=3 * width, encoding="bgr8")
    image.data = array("B", bytes(3 * width * height))
    deadline = time.monotonic() + MEETING_S
    while not publisher.get_subscription_count():
        if time.monotonic() > deadline:
            return 0
        time.sleep(0.02)
    time.sleep(LAST_S)  # until the receiver, too, knows of the sender
    start, count = time.monotonic(), round(seconds * rate)
    for index in range(count):
        time.sleep(max(start + index / rate - time.monotonic(), 0.0))
        image.header.stamp = stamp_from_ns(time.monotonic_ns())
        publisher.publish(image)
    time.sleep(LAST_S)
    return count


def receive(seconds: float) -> tuple[int, float]:
    """Images that came until the sender had gone again, and their median delay in ms."""
    import rclpy
    from sensor_msgs.msg import Image

    from pose_ros.conversions import stamp_to_ns
    from pose_ros.qos import IMAGES

    rclpy.init()
    node = rclpy.create_node("pose_doctor_receiver")
    delays: list[int] = []

    def hear(image: Image) -> None:
        delays.append(time.monotonic_ns() - stamp_to_ns(image.header.stamp))

    subscription = node.create_subscription(Image, TOPIC, hear, IMAGES)
    met, deadline = False, time.monotonic() + 2.0 * MEETING_S + seconds
    while time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
        there = subscription.get_publisher_count() > 0
        if met and not there:
            break
        met |= there
    return len(delays), sorted(delays)[len(delays) // 2] / NS_PER_MS if delays else 0.0


def main(arguments: list[str]) -> None:
    """Measure, or be one of the two processes that do."""
    if arguments[:1] == ["send"]:
        width, height, rate, seconds = arguments[1:]
        print(send(int(width), int(height), float(rate), float(seconds)))
    elif arguments[:1] == ["receive"]:
        print(*receive(float(arguments[-1])))
    else:
        from pose_tools.graph.workspace import config_file

        width, height, rate = arguments or (str(WIDTH), str(HEIGHT), str(RATE))
        plain = dict(os.environ)
        ours = plain | environment(plain, config_file(PROFILE))
        for name, sender in (("this environment", plain), ("our profile", ours)):
            crossing = measure(sender, ours, (int(width), int(height)), float(rate), 5.0)
            print(f"{name}: {crossing or 'the two processes did not meet'}")


if __name__ == "__main__":
    main(sys.argv[1:])
