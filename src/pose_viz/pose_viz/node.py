"""The node `viz`: markers of 3D people, and the image with everybody drawn on it while somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Quaternion, Transform, TransformStamped, Vector3
from pose_msgs import msg as msgs
from pose_msgs.msg import People2D as People2DMsg
from pose_msgs.msg import People3D as People3DMsg
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from pose_core.geometry.camera import Camera
from pose_core.people import People3D
from pose_core.units import NS_PER_S
from pose_ros import frames, topics
from pose_ros.conversions import (
    bodies_from_msg,
    camera_from_msg,
    header,
    people2d_from_msg,
    people3d_from_msg,
    stamp_to_ns,
    subjects_from_msg,
)
from pose_ros.images import compressed_to_msg, image_topic
from pose_ros.messages.images import compressed_from_msg, image_from_msg
from pose_ros.qos import IMAGES
from pose_ros.stage import Stage, now_ns, run
from pose_viz.body_frames import BodyFrame, body_frames
from pose_viz.overlay import draw
from pose_viz.pairing import Frame, Pairing
from pose_viz.params import VizParams
from pose_viz.scene import Key, MarkerSpec, Scene, SceneBuilder, Shape

PEOPLE = {"refine": topics.REFINED, "lift3d": topics.LIFTED}
"""Topic of each choice of the parameter `people`."""

IMAGELESS = 60
"""2D people in a row without their image after which a wanted overlay is reported as failing."""

SHAPES = {
    Shape.SPHERES: Marker.SPHERE_LIST,
    Shape.LINES: Marker.LINE_LIST,
    Shape.TEXT: Marker.TEXT_VIEW_FACING,
    Shape.ELLIPSOID: Marker.SPHERE,
}


class Picture(NamedTuple):
    """An image that is decoded when it is drawn on, and the topic that it came from."""

    topic: str
    decode: Callable[[], np.ndarray]


class VizNode(Stage[VizParams]):
    """Draws what the other stages publish. What nobody looks at is neither built nor subscribed to."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("viz", VizParams, **node_options)

    def on_start(self) -> None:
        self._scene = SceneBuilder(self.params)
        self._pairing: Pairing[Picture] = Pairing()
        self._camera: Camera | None = None
        self._imageless = 0
        self._followed: dict[tuple[str, type], Subscription] = {}
        self._image_topic = self.resolve_topic_name(topics.IMAGE)
        self._markers = self.publish_on(MarkerArray, topics.MARKERS)
        self._overlay = self.publish_on(CompressedImage, topics.OVERLAY, IMAGES)
        self._tf = self._open_tf() if self.params.body_frames else None
        self._people_topic = PEOPLE[self.params.people]
        self.keep(msgs.Subjects, topics.SUBJECTS, lambda msg: subjects_from_msg(msg).statement)
        self.keep(msgs.Bodies, topics.BODIES, lambda msg: bodies_from_msg(msg).statement)
        self.listen(People3DMsg, self._people_topic, self._on_people3d, needed="people in 3D", at_once=True)
        self.listen(People2DMsg, topics.PEOPLE2D, self._on_people2d, needed="people in 2D", at_once=True)

    def on_pause(self) -> None:
        self._stop_overlay()

    def on_params(self, params: VizParams) -> None:
        self._scene.params = params

    def _open_tf(self) -> Publisher:
        """Raises ValueError where tf2_msgs is not installed."""
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError as error:
            raise ValueError(
                "frames of bodies on tf need tf2_msgs, which ROS 2 from PyPI lacks; install a ROS 2 distribution, or set "
                "body_frames: false"
            ) from error
        return self.publish_on(TFMessage, topics.TF)

    # What belongs to one image is brought together as it comes, so that the newest of what is complete is drawn.

    def _on_people3d(self, msg: People3DMsg) -> None:
        people = people3d_from_msg(msg)
        self.health.sees(people.frame_id)
        if self._overlay_wanted():
            self._pairing.put_people3d(people)
            self._hand_on()
        self.hand_over(self._mark, people, self._people_topic)

    def _on_people2d(self, msg: People2DMsg) -> None:
        if not self._overlay_wanted():
            self._stop_overlay()
            return
        people = people2d_from_msg(msg)
        if not self._pairing.due(people.stamp, self.params.overlay_rate):
            return
        image = frames.get(self._image_topic, people.stamp)
        self._follow(image_outside=image is None)
        self._pairing.put_people2d(people)
        if image is not None:
            self._pairing.put_image(people.stamp, Picture(topics.IMAGE, lambda: image))
        self._imageless += 1
        if self._imageless == IMAGELESS:
            self.health.fault("overlay", self._why_imageless(), warn=True)
        self._hand_on()

    def _on_image(self, msg: Image) -> None:
        self._receive(stamp_to_ns(msg.header.stamp), Picture(topics.IMAGE, lambda: image_from_msg(msg)))

    def _on_compressed(self, msg: CompressedImage) -> None:
        self._receive(
            stamp_to_ns(msg.header.stamp),
            Picture(topics.IMAGE_COMPRESSED, lambda: compressed_from_msg(msg)),
        )

    def _receive(self, stamp: int, picture: Picture) -> None:
        if self._pairing.due(stamp, self.params.overlay_rate):
            self._pairing.put_image(stamp, picture)
            self._hand_on()

    def _hand_on(self) -> None:
        frame = self._pairing.take(self.params.overlay_rate)
        if frame is not None:
            self._imageless = 0
            self.health.clear("overlay")
            self.hand_over(self._draw, frame, frame.image.topic)

    # Work on the newest.

    def _on_camera_info(self, msg: CameraInfo) -> None:
        self._camera = camera_from_msg(msg)

    def _mark(self, people: People3D) -> None:
        start = now_ns()
        if self._markers.get_subscription_count() > 0:
            scene = self._scene.build(people)
            self._markers.publish(scene_to_msg(scene, people, self.params.lifetime))
        if self._tf is not None and self._tf.get_subscription_count() > 0:
            frames_of = body_frames(people, self.params.min_confidence, self.get_namespace())
            transforms = [transform_to_msg(frame, people.stamp, people.frame_id) for frame in frames_of]
            if transforms:
                self._tf.publish(self._tf.msg_type(transforms=transforms))
        self.stamped(people.times, start)

    def _draw(self, frame: Frame[Picture]) -> None:
        people = frame.people2d
        image = draw(frame.image.decode(), people, frame.people3d, self._camera, self.params)
        self._overlay.publish(
            compressed_to_msg(image, people.stamp, people.frame_id, self.params.overlay_quality)
        )

    def _overlay_wanted(self) -> bool:
        return self.params.overlay and self._overlay.get_subscription_count() > 0

    def _stop_overlay(self) -> None:
        for topic in list(self._followed):
            self.unlisten(self._followed.pop(topic))
        self._pairing.reset()
        self._imageless = 0
        self.health.clear("overlay")

    def _follow(self, image_outside: bool) -> None:
        """Subscribe to what the overlay needs: the camera, and the image unless this process has it."""
        wanted: dict[tuple[str, type], Callable[[Any], None]] = {}
        if self.params.overlay_reprojection:
            wanted[topics.CAMERA_INFO, CameraInfo] = self._on_camera_info
        if image_outside:
            image = image_topic(self, self.params.image_transport)
            if image.compressed:
                wanted[image.name, CompressedImage] = self._on_compressed
            else:
                wanted[image.name, Image] = self._on_image
        for followed in self._followed.keys() - wanted.keys():
            self.unlisten(self._followed.pop(followed))
        for topic, kind in wanted.keys() - self._followed.keys():
            self._followed[topic, kind] = self.listen(
                kind, topic, wanted[topic, kind], IMAGES, at_once=kind is not CameraInfo
            )

    def _why_imageless(self) -> str:
        topic = self.resolve_topic_name(image_topic(self, self.params.image_transport).name)
        return f"no image on {topic} has the stamp of any 2D people; remap {topics.IMAGE} to their image"


def transform_to_msg(frame: BodyFrame, stamp: int, frame_id: str) -> TransformStamped:
    """The transform from the frame of the people, `frame_id`, to one of their bodies; `stamp` in ns."""
    x, y, z, w = frame.quaternion.tolist()
    translation = dict(zip("xyz", frame.origin.tolist(), strict=True))
    return TransformStamped(
        header=header(stamp, frame_id),
        child_frame_id=frame.name,
        transform=Transform(translation=Vector3(**translation), rotation=Quaternion(x=x, y=y, z=z, w=w)),
    )


def scene_to_msg(scene: Scene, people: People3D, lifetime: float) -> MarkerArray:
    """The markers of a scene of `people`, which vanish after `lifetime` seconds."""
    stamp = header(people.stamp, people.frame_id)
    markers = [Marker(header=stamp, action=Marker.DELETEALL)] if scene.clear else []
    markers += [_deletion(stamp, key) for key in scene.deleted]
    vanish = Duration(sec=int(lifetime), nanosec=int(lifetime % 1.0 * NS_PER_S))
    markers += [_marker(stamp, spec, vanish) for spec in scene.markers]
    return MarkerArray(markers=markers)


def _deletion(stamp: Header, key: Key) -> Marker:
    namespace, number = key
    return Marker(header=stamp, ns=namespace, id=number, action=Marker.DELETE)


def _marker(stamp: Header, spec: MarkerSpec, lifetime: Duration) -> Marker:
    points = [Point(x=x, y=y, z=z) for x, y, z in spec.points.tolist()]
    colours = [ColorRGBA(r=r, g=g, b=b, a=a) for r, g, b, a in spec.colours.tolist()]
    marker = Marker(header=stamp, ns=spec.namespace, id=spec.number, type=SHAPES[spec.shape], text=spec.text)
    marker.lifetime = lifetime
    marker.scale.x, marker.scale.y, marker.scale.z = spec.scale
    marker.color = colours[-1]
    if spec.shape in (Shape.SPHERES, Shape.LINES):
        marker.points, marker.colors = points, colours
    else:
        marker.pose.position = points[0]
        turn = marker.pose.orientation
        turn.x, turn.y, turn.z, turn.w = spec.turn
    return marker


def main() -> None:
    """What `python -m pose_viz` does, once it knows what to do on a signal."""
    run(VizNode)
