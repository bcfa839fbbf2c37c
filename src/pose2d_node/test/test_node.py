from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from pose_msgs import msg as msgs
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pose2d_node import node as node_module
from pose2d_node.node import Pose2DNode
from pose2d_node.sources import VIDEO_ORIGIN_NS
from pose2d_node.testing import HEIGHT, WIDTH, FakeDetector, fake_estimator, figure, image_of, index_of
from pose_core.geometry.calibration import write_camera_yaml
from pose_core.geometry.camera import Camera
from pose_ros import frames, qos, topics
from pose_ros.conversions import people2d_from_msg, people3d_from_msg, stamp_from_ns, stamp_to_ns
from pose_ros.images import compressed_to_msg, image_to_msg
from pose_ros.listeners import RECORDER
from pose_ros.messages.images import image_from_msg
from pose_ros.testing import executing, spin_until

PERIOD = 40_000_000
NOW = 1_700_000_000_000_000_000
STAMPS = [VIDEO_ORIGIN_NS + i * PERIOD for i in range(10)]
PEOPLE = [figure(100.0), figure(500.0, confidence=0.5)]


def parameters(**values: Any) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


def new_node(seen: list | None = None, gate: Callable[[], bool] | None = None, **values: Any) -> Pose2DNode:
    """A node whose detector sees PEOPLE."""
    estimator = fake_estimator(PEOPLE if seen is None else seen)
    return Pose2DNode(gate, lambda params: estimator, parameter_overrides=parameters(**values))


def detector_of(node: Pose2DNode) -> FakeDetector:
    return node._estimator.detector


class Listener(Node):
    """Everything the stage publishes, in the order of its arrival."""

    def __init__(self, *extra: tuple[type, str]) -> None:
        super().__init__("listener")
        self.heard: list[tuple[str, Any]] = []
        self.kinds = [(msgs.People2D, topics.PEOPLE2D), (msgs.People3D, topics.WORLD), *extra]
        for kind, topic in self.kinds:
            profile = qos.IMAGES if kind in (Image, CompressedImage) else 50
            self.create_subscription(
                kind, topic, lambda msg, topic=topic: self.heard.append((topic, msg)), profile
            )

    def of(self, topic: str) -> list[Any]:
        return [msg for heard, msg in self.heard if heard == topic]

    def stamps(self, topic: str) -> list[int]:
        return [stamp_to_ns(msg.header.stamp) for msg in self.of(topic)]

    def connected(self, node: Node) -> bool:
        """Whether both sides of each topic know of each other."""
        reached = {
            publisher.topic_name for publisher in node.publishers if publisher.get_subscription_count()
        }
        wanted = {self.resolve_topic_name(topic) for _, topic in self.kinds}
        return wanted <= reached and all(self.count_publishers(topic) for topic in wanted)

    def complete(self, count: int) -> bool:
        """Whether `count` messages of every reliable topic have come."""
        lossy = (Image, CompressedImage, msgs.Skeleton)
        return all(len(self.of(topic)) == count for kind, topic in self.kinds if kind not in lossy)


class Driver(Node):
    """A camera driver that publishes images on a topic."""

    def __init__(self, kind: type, topic: str) -> None:
        super().__init__("driver")
        self.output = self.create_publisher(kind, topic, qos.IMAGES)

    def connected(self, node: Node) -> bool:
        """Whether both sides of the topic know of each other."""
        return self.output.get_subscription_count() > 0 and node.count_publishers(self.output.topic_name) > 0


class Gate:
    """Lets the worker read when everybody listens."""

    def __init__(self, images: int | None = None) -> None:
        self.opened = threading.Event()
        self.left = images

    def __call__(self) -> bool:
        self.opened.wait(20.0)
        if self.left is None:
            return True
        self.left -= 1
        return self.left >= 0


def played(make_video, listener: Listener, **values: Any) -> tuple[Pose2DNode, Listener]:
    """A node that has read a video of 10 images while `listener` listened."""
    gate = Gate()
    node = new_node(gate=gate, source=str(make_video()), **values)
    with executing(listener, node) as executor:
        assert spin_until(executor, lambda: listener.connected(node))
        gate.opened.set()
        assert spin_until(executor, lambda: node.finished.is_set() and listener.complete(10))
    return node, listener


def test_every_image_of_a_video_is_published_with_its_stamp(ros_context, make_video):
    node, listener = played(
        make_video, Listener((msgs.Skeleton, topics.SKELETON2D), (CameraInfo, topics.CAMERA_INFO))
    )
    assert node.frames_read == 10
    assert node.health.frames() == 10
    assert [listener.stamps(topic) for topic in (topics.PEOPLE2D, topics.WORLD, topics.CAMERA_INFO)] == [
        STAMPS
    ] * 3
    assert detector_of(node).images == list(range(10))
    for msg, world in zip(listener.of(topics.PEOPLE2D), listener.of(topics.WORLD), strict=True):
        people, metres = people2d_from_msg(msg), people3d_from_msg(world)
        assert (people.width, people.height, people.frame_id) == (WIDTH, HEIGHT, "camera_optical_frame")
        assert [p.id for p in people.people] == [p.id for p in metres.people] == ["p1", "p2"]
        np.testing.assert_allclose(people.people[1].xy_px, PEOPLE[1].xy_px, rtol=1e-6)
        assert [time.stage for time in people.times] == ["source", "detect", "pose2d"]
        assert people.times == metres.times
        assert people.times[1].start == people.stamp + 1  # as the fake detector says
        assert people.times[0].start <= people.times[0].end <= people.times[2].start <= people.times[2].end
    for info in listener.of(topics.CAMERA_INFO):
        assert (info.width, info.height) == (WIDTH, HEIGHT)
        assert not info.k.any()  # uncalibrated


def test_the_others_are_there_when_people_arrive(ros_context, make_video, monkeypatch):
    order: list[tuple[str, int]] = []
    publish_on = Pose2DNode.publish_on

    def recorded(self, kind, topic, *profile):
        publisher = publish_on(self, kind, topic, *profile)
        inner = publisher.publish
        monkeypatch.setattr(
            publisher,
            "publish",
            lambda msg: (
                order.append((topic, frames.get("/image_raw", stamp_to_ns(msg.header.stamp)) is not None)),
                inner(msg),
            ),
        )
        return publisher

    monkeypatch.setattr(Pose2DNode, "publish_on", recorded)
    played(make_video, Listener())
    assert order == [(topics.CAMERA_INFO, True), (topics.WORLD, True), (topics.PEOPLE2D, True)] * 10


def test_images_are_published_only_to_those_who_listen(ros_context, make_video, monkeypatch):
    made: list[str] = []
    for name in ("image_to_msg", "compressed_to_msg"):
        function = getattr(node_module, name)
        monkeypatch.setattr(
            node_module,
            name,
            lambda *args, name=name, function=function: (made.append(name), function(*args))[1],
        )
    played(make_video, Listener())
    assert made == []
    _, listener = played(make_video, Listener((Image, topics.IMAGE)))
    assert made == ["image_to_msg"] * 10
    for msg in listener.of(topics.IMAGE):
        assert index_of(image_from_msg(msg)) == STAMPS.index(stamp_to_ns(msg.header.stamp))
        assert msg.header.frame_id == "camera_optical_frame"
    made.clear()
    played(make_video, Listener((CompressedImage, topics.IMAGE_COMPRESSED)))
    assert made == ["compressed_to_msg"] * 10


def test_images_stay_in_the_process_for_those_who_draw(ros_context, make_video):
    gate = Gate()
    node = new_node(gate=gate, source=str(make_video()))
    with executing(node) as executor:
        gate.opened.set()
        assert spin_until(executor, node.finished.is_set)
        kept = [stamp for stamp in STAMPS if frames.get("/image_raw", stamp) is not None]
        assert kept == STAMPS[-frames.KEPT :]
        assert index_of(frames.get("/image_raw", STAMPS[9])) == 9


def test_without_stage_times_the_messages_hold_none(ros_context, make_video):
    _, listener = played(make_video, Listener(), stage_times=False)
    assert all(not msg.times.stage for _, msg in listener.heard)


def test_nobody_in_sight_is_said(ros_context, make_video):
    gate = Gate()
    node = new_node([], gate, source=str(make_video()))
    listener = Listener()
    with executing(listener, node) as executor:
        assert spin_until(executor, lambda: listener.connected(node))
        gate.opened.set()
        assert spin_until(executor, lambda: listener.complete(10))
    assert all(len(msg.people) == 0 for _, msg in listener.heard)


@pytest.fixture
def calibration(tmp_path) -> Callable[[int, int], Path]:
    def write(width: int, height: int) -> Path:
        matrix = np.array([[50.0, 0.0, 0.5 * width - 0.5], [0.0, 60.0, 0.5 * height - 0.5], [0.0, 0.0, 1.0]])
        write_camera_yaml(
            tmp_path / "camera.yaml", Camera(width, height, matrix, np.array([0.1, 0.0, 0.0, 0.0, 0.0]))
        )
        return tmp_path / "camera.yaml"

    return write


def test_the_calibration_goes_with_each_image(ros_context, make_video, calibration):
    info = Listener((CameraInfo, topics.CAMERA_INFO))
    node, listener = played(make_video, info, calibration=str(calibration(WIDTH, HEIGHT)))
    assert listener.stamps(topics.CAMERA_INFO) == STAMPS
    for msg in listener.of(topics.CAMERA_INFO):
        assert msg.k.tolist() == [50.0, 0.0, 31.5, 0.0, 60.0, 23.5, 0.0, 0.0, 1.0]
        assert msg.d.tolist() == [0.1, 0.0, 0.0, 0.0, 0.0]
        assert msg.header.frame_id == "camera_optical_frame"
    assert set(node.health.faults()) == {"source"}


def test_a_calibration_of_another_size_is_scaled_and_said(ros_context, make_video, calibration):
    info = Listener((CameraInfo, topics.CAMERA_INFO))
    node, listener = played(make_video, info, calibration=str(calibration(2 * WIDTH, 2 * HEIGHT)))
    for msg in listener.of(topics.CAMERA_INFO):
        assert (msg.width, msg.height) == (WIDTH, HEIGHT)
        assert msg.k.tolist() == [25.0, 0.0, 31.5, 0.0, 30.0, 23.5, 0.0, 0.0, 1.0]
    assert "is for 128 x 96, the images are 64 x 48: it is scaled" in node.health.faults()["camera_info"]


def test_a_calibration_of_another_shape_is_not_used(ros_context, make_video, calibration):
    info = Listener((CameraInfo, topics.CAMERA_INFO))
    node, listener = played(make_video, info, calibration=str(calibration(WIDTH, WIDTH)))
    assert not any(msg.k.any() for msg in listener.of(topics.CAMERA_INFO))
    assert "which is another shape: it is not used" in node.health.faults()["camera_info"]


def test_the_gate_ends_the_reading(ros_context, make_video):
    gate = Gate(images=3)
    gate.opened.set()
    node = new_node(gate=gate, source=str(make_video()))
    with executing(node) as executor:
        assert spin_until(executor, node.finished.is_set)
    assert node.frames_read == 3
    assert detector_of(node).stamps == STAMPS[:3]


def test_the_end_of_the_source_is_a_fault(ros_context, make_video):
    node = new_node(source=str(make_video()))
    with executing(node) as executor:
        assert spin_until(executor, node.finished.is_set)
        assert node.health.faults()["source"].startswith(
            "film.avi, 64 x 48 at 25 Hz has no more images; activate"
        )


def test_a_video_cut_short_ends_with_two_sentences(ros_context, make_video):
    path = make_video(frames=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    node = new_node(source=str(path))
    with executing(node) as executor:
        assert spin_until(executor, node.finished.is_set)
        assert f"broke off after {node.frames_read} of the 40 images" in node.health.faults()["recording"]
        assert "has no more images" in node.health.faults()["source"]
    assert 5 < node.frames_read < 30


def test_only_a_missing_camera_is_an_error(ros_context):
    node = new_node()
    with executing(node):
        node._report("images", "2 images cannot be read")
        assert node.health.report(0, "active", active=True).level == DiagnosticStatus.WARN
        node._report("camera", "camera 0 gives no image")
        assert node.health.faults() == {
            "images": "2 images cannot be read",
            "camera": "camera 0 gives no image",
        }
        assert node.health.report(0, "active", active=True).level == DiagnosticStatus.ERROR
        node._report("camera", "")
        node._report("images", "")
        assert node.health.report(0, "active", active=True).level == DiagnosticStatus.OK


def test_a_loop_has_no_end_but_stops_at_once(ros_context, make_video):
    node = new_node(source=str(make_video()), loop=True)
    with executing(node) as executor:
        assert spin_until(executor, lambda: node.frames_read > 25)
        assert not node.finished.is_set()
        node.trigger_deactivate()
        read = node.frames_read
        assert not {thread.name for thread in threading.enumerate()} & {"grab", "pose2d"}
        stamps = list(detector_of(node).stamps)
        assert stamps == [VIDEO_ORIGIN_NS + i * PERIOD for i in range(len(stamps))]
        node.trigger_activate()
        assert spin_until(executor, lambda: node.frames_read > 3)
    assert len(stamps) == read
    assert detector_of(node).stamps[read] == VIDEO_ORIGIN_NS  # the video starts anew
    assert detector_of(node).restarts == 1
    assert detector_of(node).closed


def test_after_a_restart_ids_are_new(ros_context, make_video):
    gate = Gate()
    node = new_node(gate=gate, source=str(make_video()))
    listener = Listener()
    with executing(listener, node) as executor:
        assert spin_until(executor, lambda: listener.connected(node))
        gate.opened.set()
        assert spin_until(executor, lambda: listener.complete(10))
        node.trigger_deactivate()
        node.trigger_activate()
        assert spin_until(executor, lambda: listener.complete(20))
    ids = [[p.id for p in msg.people] for msg in listener.of(topics.PEOPLE2D)]
    assert ids == [["p1", "p2"]] * 10 + [["p3", "p4"]] * 10


def test_a_bug_in_the_worker_ends_the_node(ros_context, make_video):
    node = new_node([None], source=str(make_video()))  # a detector that breaks its contract
    with executing(node) as executor, pytest.raises(AttributeError):
        spin_until(executor, lambda: False, 20.0)


def topic_node(ros_context, kind: type, topic: str, **values: Any) -> tuple[Pose2DNode, Driver, Listener]:
    return new_node(**values), Driver(kind, topic), Listener()


def test_images_of_a_topic(ros_context):
    node, driver, listener = topic_node(ros_context, Image, topics.IMAGE)
    with executing(node, driver, listener) as executor:
        assert spin_until(executor, lambda: driver.connected(node) and listener.connected(node))
        for index in range(3):
            driver.output.publish(image_to_msg(image_of(index), NOW + index * PERIOD, "head_camera"))
            assert spin_until(executor, lambda count=index + 1: listener.complete(count))
    people = [people2d_from_msg(msg) for msg in listener.of(topics.PEOPLE2D)]
    assert [p.stamp for p in people] == listener.stamps(topics.WORLD) == [NOW + i * PERIOD for i in range(3)]
    assert {p.frame_id for p in people} == {"head_camera"}
    assert detector_of(node).images == [0, 1, 2]
    # The stamps are years old: the age counts from when the image was received.
    assert all(p.times[0].start == p.times[0].end > NOW + 10**15 for p in people)


def test_the_age_of_a_live_image_counts_from_its_capture(ros_context):
    node, driver, listener = topic_node(ros_context, Image, topics.IMAGE)
    with executing(node, driver, listener) as executor:
        assert spin_until(executor, lambda: driver.connected(node) and listener.connected(node))
        captured = node_module.now_ns() - 3_000_000
        driver.output.publish(image_to_msg(image_of(0), captured, ""))
        assert spin_until(executor, lambda: listener.complete(1))
    people = people2d_from_msg(listener.of(topics.PEOPLE2D)[0])
    assert people.times[0].start == captured
    assert people.times[0].end >= captured + 3_000_000
    assert people.frame_id == "camera_optical_frame"  # the message names none


def test_compressed_images_of_a_topic(ros_context):
    node, driver, listener = topic_node(
        ros_context, CompressedImage, topics.IMAGE_COMPRESSED, image_transport="compressed"
    )
    with executing(node, driver, listener) as executor:
        assert spin_until(executor, lambda: driver.connected(node) and listener.connected(node))
        driver.output.publish(compressed_to_msg(image_of(7), NOW, "camera"))
        assert spin_until(executor, lambda: listener.complete(1))
    assert detector_of(node).images == [7]


@pytest.mark.parametrize("lossless", [False, True])
def test_while_an_image_is_worked_on_only_the_newest_waits_unless_all_are_wanted(
    ros_context, monkeypatch, lossless
):
    node, driver, listener = topic_node(
        ros_context,
        CompressedImage,
        topics.IMAGE_COMPRESSED,
        image_transport="compressed",
        lossless=lossless,
        **({"qos_overrides./image_raw/compressed.subscription.reliability": "reliable"} if lossless else {}),
    )
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
    decoded: list[int] = []
    detect, decode = detector_of(node).detect, node_module.compressed_from_msg

    def slow(stamp, bgr):
        begun.release()
        assert go_on.acquire(timeout=20.0)
        return detect(stamp, bgr)

    monkeypatch.setattr(detector_of(node), "detect", slow)
    monkeypatch.setattr(
        node_module,
        "compressed_from_msg",
        lambda msg: (decoded.append(stamp_to_ns(msg.header.stamp)), decode(msg))[1],
    )
    driver.output = driver.create_publisher(CompressedImage, topics.IMAGE_COMPRESSED, 10)
    stamps = [NOW + index * PERIOD for index in range(5)]
    expected = stamps if lossless else [stamps[0], stamps[4]]
    heard: list[int] = []
    monkeypatch.setattr(
        node.health,
        "heard",
        lambda topic, heard_before=node.health.heard: (heard.append(1), heard_before(topic)),
    )
    with executing(node, driver, listener) as executor:
        assert spin_until(executor, lambda: driver.connected(node) and listener.connected(node))
        for count, stamp in enumerate(stamps, 1):
            driver.output.publish(compressed_to_msg(image_of(0), stamp, "camera"))
            assert spin_until(executor, lambda count=count: len(heard) == count)
            if count == 1:
                assert spin_until(executor, lambda: begun.acquire(blocking=False))
        for _ in expected:
            go_on.release()
        assert spin_until(executor, lambda: listener.complete(len(expected)))
    assert listener.stamps(topics.PEOPLE2D) == decoded == expected
    assert node.health.skipped() == (0 if lossless else 3)
    ids = [[p.id for p in people2d_from_msg(msg).people] for msg in listener.of(topics.PEOPLE2D)]
    assert ids == [ids[0]] * len(expected)  # a gap in time is borne


def test_the_age_holds_the_time_that_an_image_waited(ros_context, monkeypatch):
    node, driver, listener = topic_node(ros_context, Image, topics.IMAGE)
    with executing(node, driver, listener) as executor:
        assert spin_until(executor, lambda: driver.connected(node) and listener.connected(node))
        with node._Stage__worker.held():
            driver.output.publish(image_to_msg(image_of(0), NOW, "camera"))
            heard = node.health._inputs["/image_raw"]
            assert spin_until(executor, lambda: heard.heard)
            released = node_module.now_ns()
        assert spin_until(executor, lambda: listener.complete(1))
    times = people2d_from_msg(listener.of(topics.PEOPLE2D)[0]).times
    assert times[0].start == times[0].end <= released <= times[2].start


def test_what_is_done_behind_is_one_thing_at_a_time_in_order():
    behind, go_on, done = node_module.Behind("behind"), threading.Semaphore(0), []

    def work(number: int) -> None:
        assert go_on.acquire(timeout=20.0)
        done.append(number)

    behind.do(lambda: work(0))
    assert done == []
    go_on.release(2)
    behind.do(lambda: work(1))
    assert done[0] == 0  # the first one has ended before the second one begins
    behind.close()
    assert done == [0, 1]


def test_what_fails_behind_is_told_at_once_and_raised_by_the_next_thing():
    behind, told = node_module.Behind("behind"), []
    behind.do(lambda: 1 / 0, told.append)
    with pytest.raises(ZeroDivisionError):
        behind.wait()
    assert [type(error) for error in told] == [ZeroDivisionError]
    behind.do(lambda: None, told.append)
    behind.close()
    assert len(told) == 1


def with_stamp(msg: Image, stamp: int) -> Image:
    msg.header.stamp = stamp_from_ns(stamp)
    return msg


def with_encoding(msg: Image, encoding: str) -> Image:
    msg.encoding = encoding
    return msg


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (lambda good: with_stamp(good, 0), "has no stamp; its driver must state the capture time"),
        (lambda good: with_stamp(good, NOW), f"two images have the stamp {NOW} ns"),
        (lambda good: with_encoding(good, "yuv999"), "'yuv999'"),
        (lambda good: Image(header=good.header, encoding="bgr8"), "must have a size, got 0 x 0"),
    ],
)
def test_bad_images_of_a_topic_are_dropped_and_the_next_one_works(ros_context, bad, sentence, monkeypatch):
    node, driver, listener = topic_node(ros_context, Image, topics.IMAGE)
    warnings: list[str] = []
    monkeypatch.setattr(
        type(node.get_logger()), "warning", lambda self, text, **options: warnings.append(text)
    )
    with executing(node, driver, listener) as executor:
        assert spin_until(executor, lambda: driver.connected(node) and listener.connected(node))
        driver.output.publish(image_to_msg(image_of(0), NOW, "camera"))
        assert spin_until(executor, lambda: listener.complete(1))
        driver.output.publish(bad(image_to_msg(image_of(1), NOW + PERIOD, "camera")))
        assert spin_until(executor, lambda: node.health.dropped())
        driver.output.publish(image_to_msg(image_of(2), NOW + 2 * PERIOD, "camera"))
        assert spin_until(executor, lambda: listener.complete(2))
    assert node.health.dropped() == {"malformed message on /image_raw": 1}
    assert sentence in warnings[0]
    assert [[p.id for p in msg.people] for msg in listener.of(topics.PEOPLE2D)] == [["p1", "p2"]] * 2


def test_a_bag_that_starts_again_is_said(ros_context, monkeypatch):
    node, driver, listener = topic_node(ros_context, Image, topics.IMAGE)
    warnings: list[str] = []
    monkeypatch.setattr(
        type(node.get_logger()), "warning", lambda self, text, **options: warnings.append(text)
    )
    with executing(node, driver, listener) as executor:
        assert spin_until(executor, lambda: driver.connected(node) and listener.connected(node))
        for count, stamp in enumerate([NOW, NOW + PERIOD, NOW], 1):
            driver.output.publish(image_to_msg(image_of(0), stamp, "camera"))
            assert spin_until(executor, lambda count=count: listener.complete(count))
    assert warnings == ["looking for people anew: time went back"]
    assert [msg.people[0].id for msg in listener.of(topics.PEOPLE2D)] == ["p1", "p1", "p3"]


def test_images_that_camera_info_announces_and_that_do_not_come_are_counted_and_told(ros_context):
    node, driver, listener = topic_node(ros_context, Image, topics.IMAGE)
    announcing = driver.create_publisher(CameraInfo, topics.CAMERA_INFO, 50)
    with executing(node, driver, listener) as executor:
        assert spin_until(executor, lambda: driver.connected(node) and listener.connected(node))
        assert spin_until(executor, announcing.get_subscription_count)
        for index in range(46):
            info = CameraInfo()
            info.header.stamp = stamp_from_ns(NOW + index * PERIOD)
            announcing.publish(info)
            assert spin_until(executor, lambda index=index: node._lost.announced > index)
            if index % 3 != 1:  # two of three come
                before = node._lost.arrived
                driver.output.publish(image_to_msg(image_of(index), NOW + index * PERIOD, "camera"))
                assert spin_until(executor, lambda before=before: node._lost.arrived > before)
        node.on_report()
        assert node.health._notes["images lost"] == str(node._lost.lost)
        assert node._lost.lost == 14  # 1 to 40; 43 has but one newer
        assert node.health.faults()["images lost"].startswith(
            "14 of the last 45 images that /camera_info announces did not arrive; pose doctor measures"
        )


def test_a_calibration_given_for_a_topic_is_published_beside_it(ros_context, calibration):
    node, driver, _ = topic_node(
        ros_context, Image, topics.IMAGE, calibration=str(calibration(WIDTH, HEIGHT))
    )
    listener = Listener((CameraInfo, topics.CAMERA_INFO))
    with executing(node, driver, listener) as executor:
        assert spin_until(executor, lambda: driver.connected(node) and listener.connected(node))
        driver.output.publish(image_to_msg(image_of(0), NOW, "camera"))
        assert spin_until(executor, lambda: listener.complete(1))
    (info,) = listener.of(topics.CAMERA_INFO)
    assert (stamp_to_ns(info.header.stamp), info.header.frame_id, info.k[0]) == (NOW, "camera", 50.0)


def test_with_a_topic_camera_info_is_left_to_the_driver(ros_context):
    node = new_node()
    with executing(node):
        assert node.count_publishers(topics.CAMERA_INFO) == 0
        assert node.count_publishers(topics.IMAGE) == 0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"source": "nowhere.mp4"}, "source 'nowhere.mp4' is no camera index, no file and no folder"),
        ({"calibration": "nowhere.yaml"}, "calibration 'nowhere.yaml' cannot be read: No such file"),
        ({"num_poses": 0}, "num_poses must be from 1 to 10, got 0"),
        ({"num_pose": 1}, "unknown parameter 'num_pose'; did you mean 'num_poses'"),
    ],
)
def test_a_wrong_configuration_is_refused_with_a_sentence(ros_context, values, sentence):
    with pytest.raises(ValueError, match=sentence):
        new_node(**values)


def test_a_missing_model_is_refused_with_a_sentence(ros_context, tmp_path, monkeypatch):
    monkeypatch.setenv("POSE_CACHE_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=r"run `pose fetch pose_landmarker_full\.task`"):
        Pose2DNode()


def heard_run(node: Pose2DNode) -> msgs.Run:
    """What somebody who comes late hears of the node's run."""
    late, runs = Node("late"), []
    late.create_subscription(msgs.Run, topics.RUN2D, runs.append, qos.LATCHED)
    with executing(node, late) as executor:
        assert spin_until(executor, lambda: runs)
    return runs[0]


def test_a_run_states_its_token_and_its_parameters(ros_context):
    made: list[str] = []

    def make(params):
        made.append(params.run_token)
        return fake_estimator(PEOPLE)

    run = heard_run(Pose2DNode(None, make, parameter_overrides=parameters(num_poses=3, max_track_gap=2.5)))
    values = dict(zip(run.parameters, run.values, strict=True))
    assert (run.stage, [run.token]) == ("pose2d", made)
    assert (values["num_poses"], values["max_track_gap"], values["loop"]) == ("3", "2.5", "false")
    assert values["run_token"] == "auto"


def test_a_video_has_no_token_and_two_live_runs_have_two(ros_context, make_video):
    assert heard_run(new_node(source=str(make_video()))).token == ""
    tokens = {heard_run(new_node()).token for _ in range(2)}
    assert len(tokens) == 2
    assert "" not in tokens


def test_a_token_that_cannot_be_is_refused(ros_context):
    with pytest.raises(ValueError, match="run_token must be"):
        new_node(run_token="Not This")


class Recorder(Listener):
    """Listens to everything, under the name of what records bags."""

    def __init__(self) -> None:
        Node.__init__(self, RECORDER)
        self.heard, self.kinds = [], [(msgs.People2D, topics.PEOPLE2D)]
        self.create_subscription(
            msgs.People2D, topics.PEOPLE2D, lambda msg: self.heard.append((topics.PEOPLE2D, msg)), 50
        )


def test_the_first_image_waits_for_who_is_to_hear_it(ros_context, make_video):
    """A recorder that came late had 10 of 100."""
    node = new_node(source=str(make_video()), wait_for=RECORDER)
    with executing(node) as executor:
        for _ in range(10):
            executor.spin_once(timeout_sec=0.02)
        assert node.frames_read == 0
        executor.add_node(late := Recorder())
        assert spin_until(executor, lambda: len(late.heard) == len(STAMPS))
        assert late.stamps(topics.PEOPLE2D) == STAMPS
        late.destroy_node()


def test_a_source_does_not_wait_for_ever_and_ends_while_it_waits(ros_context, make_video, monkeypatch):
    with executing(node := new_node(source=str(make_video()), wait_for="lift3d")):
        node.destroy_node()
        assert node.frames_read == 0
    monkeypatch.setattr(node_module, "LISTENERS_PATIENCE", 0.1)
    with executing(node := new_node(source=str(make_video()), wait_for="lift3d")) as executor:
        assert spin_until(executor, node.finished.is_set)
        assert node.frames_read == len(STAMPS)


def test_who_cannot_be_waited_for_is_refused(ros_context):
    with pytest.raises(ValueError, match="a node 'lift2d' cannot be waited for"):
        new_node(wait_for="lift2d")
