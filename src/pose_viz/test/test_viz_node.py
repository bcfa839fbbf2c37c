"""The node in a graph of its own: markers and overlays by value, and nothing done that nobody looks at."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import rclpy
from pose_msgs.msg import People2D as People2DMsg
from pose_msgs.msg import People3D as People3DMsg
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from visualization_msgs.msg import Marker, MarkerArray

from pose_core.skeleton import MEDIAPIPE33
from pose_ros import frames, topics
from pose_ros.conversions import camera_to_msg, people2d_to_msg, people3d_to_msg, stamp_to_ns
from pose_ros.images import compressed_to_msg, image_to_msg
from pose_ros.messages.images import compressed_from_msg
from pose_ros.qos import IMAGES, RESULTS
from pose_ros.testing import executing, spin_until
from pose_viz.body_frames import body_frames
from pose_viz.node import IMAGELESS, VizNode
from pose_viz.overlay import REPROJECTED
from pose_viz.palette import SIDES, bgr255

NAMESPACE = "/room"
PLAIN = {"overlay_legend": False, "overlay_times": False, "overlay_quality": 100, "overlay_rate": 0.0}


@contextmanager
def stage(markers: bool = False, overlay: bool = False, **params):
    """The node, and beside it a peer that publishes what other stages do and listens to what is asked for."""
    overrides = [Parameter(name, value=value) for name, value in params.items()]
    viz = VizNode(namespace=NAMESPACE, parameter_overrides=overrides)
    peer = rclpy.create_node("peer", namespace=NAMESPACE)
    made = SimpleNamespace(viz=viz, peer=peer, markers=[], overlays=[])
    made.refined = peer.create_publisher(People3DMsg, topics.REFINED, RESULTS)
    made.lifted = peer.create_publisher(People3DMsg, topics.LIFTED, RESULTS)
    made.people2d = peer.create_publisher(People2DMsg, topics.PEOPLE2D, RESULTS)
    if markers:
        peer.create_subscription(MarkerArray, topics.MARKERS, made.markers.append, RESULTS)
    if overlay:
        made.watcher = peer.create_subscription(CompressedImage, topics.OVERLAY, made.overlays.append, IMAGES)
    with executing(viz, peer) as executor:
        made.until = lambda condition, timeout=20.0: spin_until(executor, condition, timeout)
        source = made.lifted if params.get("people") == "lift3d" else made.refined
        assert made.until(lambda: source.get_subscription_count() and made.people2d.get_subscription_count())
        assert made.until(lambda: not markers or viz.count_subscribers(f"{NAMESPACE}/viz/markers"))
        assert made.until(lambda: not overlay or viz._overlay.get_subscription_count())
        assert made.until(lambda: not markers or viz._markers.get_subscription_count())
        yield made


def frame(studio, stamp):
    """A grey image in this process, as the first stage leaves it."""
    image = np.full((studio.camera.height, studio.camera.width, 3), 60, np.uint8)
    frames.put(f"{NAMESPACE}/image_raw", stamp, image)


def handled(viz, count):
    return lambda: viz.health.frames() >= count


@pytest.fixture
def asked(monkeypatch):
    """One entry for every message of people that the node has looked at."""
    entries = []
    wanted = VizNode._overlay_wanted
    monkeypatch.setattr(VizNode, "_overlay_wanted", lambda viz: entries.append(viz) or wanted(viz))
    return entries


def test_markers_by_value(ros_context, studio):
    person = studio.person3d()
    with stage(markers=True, lifetime=1.25, joint_radius=0.04) as made:
        made.refined.publish(
            people3d_to_msg(studio.people3d(person, stamp=3_000_000_007, frame_id="optical"))
        )
        assert made.until(lambda: made.markers)
    clear, joints, bones, label = made.markers[0].markers
    assert clear.action == Marker.DELETEALL
    assert (joints.ns, bones.ns, label.ns) == ("joints", "bones", "labels")
    assert (joints.type, bones.type, label.type) == (
        Marker.SPHERE_LIST,
        Marker.LINE_LIST,
        Marker.TEXT_VIEW_FACING,
    )
    for marker in (clear, joints, bones, label):
        assert marker.header.frame_id == "optical"
        assert (marker.header.stamp.sec, marker.header.stamp.nanosec) == (3, 7)
    for marker in (joints, bones, label):
        assert marker.action == Marker.ADD
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (1, 250_000_000)
        assert (marker.pose.orientation.w, marker.id, marker.frame_locked) == (1.0, 0, False)
    wrist = MEDIAPIPE33.index("left_wrist")
    point, colour = joints.points[wrist], joints.colors[wrist]
    np.testing.assert_allclose([point.x, point.y, point.z], person.xyz[wrist], rtol=1e-6)
    np.testing.assert_allclose([colour.r, colour.g, colour.b], SIDES["left"][0], rtol=1e-6)
    assert (joints.scale.x, joints.scale.y, joints.scale.z) == pytest.approx((0.08, 0.08, 0.08))
    assert len(joints.points) == len(joints.colors) == 33
    assert len(bones.points) == len(bones.colors) == 2 * len(MEDIAPIPE33.bones)
    assert (bones.scale.x, label.scale.z) == pytest.approx((0.02, 0.12))
    assert label.text == "p1  1.70 m"
    np.testing.assert_allclose(
        [label.pose.position.x, label.pose.position.y, label.pose.position.z], [0, -0.95, 3], atol=1e-6
    )


def test_people_leave_and_the_stamp_goes_back(ros_context, studio):
    scenes = (
        studio.people3d(studio.person3d("p1"), studio.person3d("p2"), stamp=10),
        studio.people3d(studio.person3d("p2"), stamp=20),
        studio.people3d(studio.person3d("p2"), stamp=5),
    )
    with stage(markers=True) as made:
        for number, people in enumerate(scenes, 1):
            made.refined.publish(people3d_to_msg(people))
            assert made.until(lambda number=number: len(made.markers) == number)
    _, second, third = (array.markers for array in made.markers)
    assert {(m.ns, m.id) for m in second if m.action == Marker.DELETE} == {
        ("joints", 0),
        ("bones", 0),
        ("labels", 0),
    }
    assert {m.id for m in second if m.action == Marker.ADD} == {1}
    assert [m.action for m in third] == [Marker.DELETEALL, Marker.ADD, Marker.ADD, Marker.ADD]


def test_ellipsoids_and_a_live_change_of_style(ros_context, studio):
    with stage(markers=True, uncertainty="ellipsoids") as made:
        made.refined.publish(people3d_to_msg(studio.people3d(studio.person3d(), stamp=1)))
        assert made.until(lambda: made.markers)
        spheres = [m for m in made.markers[0].markers if m.ns == "uncertainty"]
        assert len(spheres) == 34
        assert {m.type for m in spheres} == {Marker.SPHERE}
        nose = next(m for m in spheres if m.id == MEDIAPIPE33.index("nose"))
        assert (nose.pose.position.y, nose.scale.x, nose.color.a) == pytest.approx((-0.6, 0.04, 0.3))
        assert made.viz.set_parameters([Parameter("uncertainty", value="none")])[0].successful
        made.refined.publish(people3d_to_msg(studio.people3d(studio.person3d(), stamp=2)))
        assert made.until(lambda: len(made.markers) == 2)
        gone = [m for m in made.markers[1].markers if m.ns == "uncertainty"]
        assert len(gone) == 34
        assert {m.action for m in gone} == {Marker.DELETE}


def test_the_source_of_people_can_be_the_lifter(ros_context, studio):
    with stage(markers=True, people="lift3d") as made:
        made.lifted.publish(people3d_to_msg(studio.people3d(studio.person3d(), stamp=1)))
        assert made.until(lambda: made.markers)


def test_nothing_is_drawn_or_subscribed_to_while_nobody_looks(ros_context, studio, monkeypatch, asked):
    def fail(*_):
        raise AssertionError("drawn for nobody")

    monkeypatch.setattr("pose_viz.node.draw", fail)
    monkeypatch.setattr("pose_viz.node.scene_to_msg", fail)
    with stage() as made:
        image = made.peer.create_publisher(Image, topics.IMAGE, IMAGES)
        frame(studio, 1)
        made.people2d.publish(people2d_to_msg(studio.people2d(studio.person2d(), stamp=1)))
        made.refined.publish(people3d_to_msg(studio.people3d(studio.person3d(), stamp=1)))
        assert made.until(lambda: len(asked) == 2)
        assert image.get_subscription_count() == 0


def test_overlay_from_the_image_of_this_process(ros_context, studio):
    stamp = 4_000_000_009
    frame(studio, stamp)
    with stage(overlay=True, **PLAIN) as made:
        image = made.peer.create_publisher(Image, topics.IMAGE, IMAGES)
        made.people2d.publish(
            people2d_to_msg(studio.people2d(studio.person2d(), stamp=stamp, frame_id="optical"))
        )
        assert made.until(lambda: made.overlays)
        assert image.get_subscription_count() == 0
    message = made.overlays[0]
    assert stamp_to_ns(message.header.stamp) == stamp
    assert message.header.frame_id == "optical"
    assert "jpeg" in message.format
    drawn = compressed_from_msg(message)
    assert drawn.shape == (480, 640, 3)
    x, y = np.rint(studio.person2d().xy_px[MEDIAPIPE33.index("left_wrist")]).astype(int)
    np.testing.assert_allclose(drawn[y, x], bgr255(SIDES["left"][0]), atol=25)


def test_overlay_stops_when_the_last_subscriber_leaves(ros_context, studio):
    with stage(overlay=True, **PLAIN) as made:
        image = made.peer.create_publisher(Image, topics.IMAGE, IMAGES)
        made.people2d.publish(people2d_to_msg(studio.people2d(studio.person2d(), stamp=1)))
        assert made.until(lambda: image.get_subscription_count() == 1)
        made.peer.destroy_subscription(made.watcher)
        assert made.until(lambda: made.viz._overlay.get_subscription_count() == 0)
        made.people2d.publish(people2d_to_msg(studio.people2d(studio.person2d(), stamp=2)))
        assert made.until(lambda: image.get_subscription_count() == 0)


@pytest.mark.parametrize(
    ("kind", "topic"),
    [
        (Image, topics.IMAGE),
        (CompressedImage, topics.IMAGE_COMPRESSED),
        (CompressedImage, topics.IMAGE),  # a topic of compressed images, named as the image topic
    ],
)
def test_overlay_from_the_image_of_another_process(ros_context, studio, kind, topic):
    picture = np.full((480, 640, 3), 60, np.uint8)
    with stage(overlay=True, **PLAIN) as made:
        images = made.peer.create_publisher(kind, topic, IMAGES)
        assert made.until(lambda: made.viz.count_publishers(f"{NAMESPACE}/{topic}"))
        made.people2d.publish(people2d_to_msg(studio.people2d(studio.person2d(), stamp=1)))
        assert made.until(lambda: images.get_subscription_count() == 1)
        to_msg = image_to_msg if kind is Image else compressed_to_msg
        images.publish(to_msg(picture, 2, "optical"))
        assert made.until(lambda: 2 in made.viz._pairing._images)
        made.people2d.publish(people2d_to_msg(studio.people2d(studio.person2d(), stamp=2)))
        assert made.until(lambda: made.overlays)
        assert [stamp_to_ns(m.header.stamp) for m in made.overlays] == [2]


def test_reprojection_with_the_camera_that_comes_beside_the_image(ros_context, studio):
    at = (0.6, 0.0, 3.0)
    with stage(overlay=True, **PLAIN) as made:
        infos = made.peer.create_publisher(CameraInfo, topics.CAMERA_INFO, IMAGES)
        made.people2d.publish(people2d_to_msg(studio.people2d(stamp=1)))
        assert made.until(lambda: infos.get_subscription_count() == 1)
        infos.publish(camera_to_msg(studio.camera, 2, "optical"))
        assert made.until(lambda: made.viz._camera is not None)
        made.refined.publish(people3d_to_msg(studio.people3d(studio.person3d(at=at), stamp=2)))
        assert made.until(handled(made.viz, 1))
        frame(studio, 2)
        made.people2d.publish(people2d_to_msg(studio.people2d(stamp=2)))
        assert made.until(lambda: made.overlays)
    drawn = compressed_from_msg(made.overlays[-1])
    ends = studio.person2d(at=at).xy_px[MEDIAPIPE33.indices("left_knee", "left_ankle")]
    x, y = np.rint(ends.mean(0)).astype(int)
    np.testing.assert_allclose(drawn[y, x], bgr255(REPROJECTED), atol=60)


def test_overlay_without_images_is_a_fault_until_one_comes(ros_context, studio):
    with stage(overlay=True, **PLAIN) as made:
        for stamp in range(1, IMAGELESS + 1):
            made.people2d.publish(people2d_to_msg(studio.people2d(studio.person2d(), stamp=stamp)))
            assert made.until(lambda stamp=stamp: made.viz._imageless >= stamp)
        assert "no image on /room/image_raw has the stamp" in made.viz.health.faults()["overlay"]
        frame(studio, 1000)
        made.people2d.publish(people2d_to_msg(studio.people2d(studio.person2d(), stamp=1000)))
        assert made.until(lambda: made.overlays)
        assert made.viz.health.faults() == {}


def test_overlay_rate_is_kept_and_is_no_fault(ros_context, studio, asked):
    with stage(overlay=True, **(PLAIN | {"overlay_rate": 1.0})) as made:
        for number in range(2 * 90 + 1):
            stamp = number * 10_000_000
            frame(studio, stamp)
            made.people2d.publish(people2d_to_msg(studio.people2d(stamp=stamp)))
            assert made.until(lambda number=number: len(asked) > number)
            assert made.until(lambda number=number: len(made.overlays) > number // 90)
        assert made.viz.health.faults() == {}
    # A tenth of a period early counts as in time.
    assert [stamp_to_ns(message.header.stamp) for message in made.overlays] == [0, 900_000_000, 1_800_000_000]


def test_malformed_messages_are_dropped_and_the_next_one_works(ros_context, studio):
    good = people3d_to_msg(studio.people3d(studio.person3d(), stamp=2))
    unknown = people3d_to_msg(studio.people3d(studio.person3d(), stamp=1))
    unknown.skeleton = "octopus"
    with stage(markers=True, overlay=True, **PLAIN) as made:
        made.refined.publish(unknown)
        broken = people2d_to_msg(studio.people2d(studio.person2d(), stamp=1))
        broken.people[0].xy_px = broken.people[0].xy_px[:-1]
        made.people2d.publish(broken)
        made.refined.publish(good)
        assert made.until(lambda: made.markers)
        assert made.until(lambda: sum(made.viz.health.dropped().values()) == 2)
    assert stamp_to_ns(made.markers[0].markers[0].header.stamp) == 2


def test_overlay_can_be_switched_off_while_running(ros_context, studio, asked):
    with stage(overlay=True, **PLAIN) as made:
        assert made.viz.set_parameters([Parameter("overlay", value=False)])[0].successful
        for stamp in (1, 2):
            frame(studio, stamp)
        made.people2d.publish(people2d_to_msg(studio.people2d(studio.person2d(), stamp=1)))
        assert made.until(lambda: asked)
        assert made.viz.set_parameters([Parameter("overlay", value=True)])[0].successful
        made.people2d.publish(people2d_to_msg(studio.people2d(studio.person2d(), stamp=2)))
        assert made.until(lambda: made.overlays)
        assert [stamp_to_ns(m.header.stamp) for m in made.overlays] == [2]


def test_a_stage_that_is_paused_lets_go_of_the_image(ros_context, studio):
    with stage(overlay=True, **PLAIN) as made:
        image = made.peer.create_publisher(Image, topics.IMAGE, IMAGES)
        made.people2d.publish(people2d_to_msg(studio.people2d(studio.person2d(), stamp=1)))
        assert made.until(lambda: image.get_subscription_count() == 1)
        made.viz.trigger_deactivate()
        assert made.until(lambda: image.get_subscription_count() == 0)
        made.viz.trigger_cleanup()
        made.viz.trigger_configure()
        made.viz.trigger_activate()
        frame(studio, 2)
        assert made.until(lambda: made.viz._overlay.get_subscription_count())
        assert made.until(lambda: made.people2d.get_subscription_count())
        made.people2d.publish(people2d_to_msg(studio.people2d(studio.person2d(), stamp=2)))
        assert made.until(lambda: made.overlays)


def test_bad_parameters_are_refused(ros_context):
    for name, value, sentence in (
        ("uncertainty", "fog", "uncertainty must be one of transparency, ellipsoids, none, got 'fog'"),
        ("overlay_quality", 0, "overlay_quality must be from 1 to 100, got 0"),
        ("marker_lifetime", 1.0, "unknown parameter 'marker_lifetime'; did you mean"),
    ):
        with pytest.raises(ValueError, match=sentence):
            VizNode(parameter_overrides=[Parameter(name, value=value)])


class TFMessage:
    """What tf2_msgs has, which ROS 2 from PyPI lacks."""

    def __init__(self, transforms):
        self.transforms = transforms


class TF:
    """A publisher on /tf that keeps what it is given."""

    msg_type = TFMessage

    def __init__(self):
        self.sent, self.listeners = [], 1

    def get_subscription_count(self):
        return self.listeners

    def publish(self, message):
        self.sent.append(message.transforms)


@pytest.fixture
def tf(monkeypatch):
    module, sent = ModuleType("tf2_msgs"), TF()
    module.msg = ModuleType("tf2_msgs.msg")
    module.msg.TFMessage = TFMessage
    monkeypatch.setitem(sys.modules, "tf2_msgs", module)
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", module.msg)
    publish_on = VizNode.publish_on
    monkeypatch.setattr(
        VizNode,
        "publish_on",
        lambda self, kind, topic, *rest: sent if topic == "/tf" else publish_on(self, kind, topic, *rest),
    )
    return sent


def test_bodies_have_frames_at_the_stamp_of_the_image(ros_context, studio, tf):
    people = studio.people3d(studio.person3d(), stamp=3_000_000_007, frame_id="optical")
    expected = body_frames(people, 0.1)[0]
    with stage(body_frames=True) as made:
        made.refined.publish(people3d_to_msg(people))
        assert made.until(handled(made.viz, 1))
    ((transform,),) = tf.sent
    assert (transform.header.frame_id, transform.child_frame_id) == (
        "optical",
        f"room/body_{people.people[0].id}",
    )
    assert stamp_to_ns(transform.header.stamp) == 3_000_000_007
    moved, turned = transform.transform.translation, transform.transform.rotation
    np.testing.assert_allclose([moved.x, moved.y, moved.z], expected.origin, atol=1e-6)
    np.testing.assert_allclose([turned.x, turned.y, turned.z, turned.w], expected.quaternion, atol=1e-6)


def test_frames_that_nobody_wants_are_not_published(ros_context, studio, tf):
    people = people3d_to_msg(studio.people3d(studio.person3d()))
    with stage() as made:
        made.refined.publish(people)
        assert made.until(handled(made.viz, 1))
    tf.listeners = 0
    with stage(body_frames=True) as made:
        made.refined.publish(people)
        assert made.until(handled(made.viz, 1))
    assert tf.sent == []


def test_frames_of_bodies_without_tf2_msgs_are_refused_with_the_remedy(ros_context, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_msgs", None)
    with pytest.raises(ValueError, match="install a ROS 2 distribution, or set body_frames: false"):
        VizNode(parameter_overrides=[Parameter("body_frames", value=True)])
