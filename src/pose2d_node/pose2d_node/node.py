"""The 2D stage as a ROS node: images from a source of its own or from a topic, people in 2D out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from pose_msgs import msg as msgs
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from pose2d_node.detection import BadImage
from pose2d_node.estimator import Estimate, Pose2DEstimator, Sight
from pose2d_node.lost_images import LostImages
from pose2d_node.params import NO_TOKEN, Pose2DParams
from pose2d_node.run_token import run_token
from pose2d_node.sources import Frame, Source, open_source
from pose_core.geometry.calibration import read_camera
from pose_core.geometry.camera import Camera
from pose_core.people import StageTime
from pose_core.skeleton import MEDIAPIPE33
from pose_ros import frames, qos, topics
from pose_ros.conversions import (
    MalformedMessage,
    camera_to_msg,
    header,
    people2d_to_msg,
    people3d_to_msg,
    stamp_to_ns,
)
from pose_ros.images import ImageInput, compressed_name, compressed_to_msg, image_to_msg, stamp_of
from pose_ros.listeners import Listeners, names_of
from pose_ros.messages.delivery import Delivery
from pose_ros.messages.images import compressed_from_msg, image_from_msg
from pose_ros.stage import STOP_PATIENCE, Stage, now_ns, run

OLDEST_CAPTURE = 10_000_000_000
"""ns; a stamp further back (a bag, simulated time) is no time at which this machine saw an image."""

CAMERA_INFO_QOS = qos.profile(Delivery(100, reliable=False))
"""Of the CameraInfo that announces images: none may be lost as long as the executor works."""

LOST = "images lost"
"""Name of the fault."""
MANY_LOST, FEW = 0.1, 30
"""Share of the announced images beyond which losses are a fault, and how many must have been announced to tell."""

LISTENERS_PERIOD, LISTENERS_PATIENCE = 0.05, 60.0
"""Seconds between two looks at who listens, and after which the first image is read without them."""

SAME_SHAPE = 0.01
"""Relative difference of aspect ratios up to which an image counts as the calibrated one resized."""


class Pose2DNode(Stage[Pose2DParams]):
    """Publishes the people in each image, and the image itself where the node opens its source.

    In both cases one thread detects and another one, at most one image behind, tracks and publishes.

    A source of its own is read by a thread of the node. `gate`, where given, is called before each of its images
    and ends the reading by returning False. `finished` is set when the reading has ended by itself: the
    source had no more images, or the gate said so. `frames_read` counts the images read since activation, `last_stamp` is that of
    the last one (ns; 0: none).
    """

    def __init__(
        self,
        gate: Callable[[], bool] | None = None,
        make_estimator: Callable[[Pose2DParams], Pose2DEstimator] = Pose2DEstimator.from_params,
        **node_options: Any,
    ) -> None:
        self._gate = gate or _always
        self._make_estimator = make_estimator
        self.finished = threading.Event()
        self.frames_read = self.last_stamp = 0
        self._source: Source | None = None
        self._input: ImageInput | None = None
        self._reader: threading.Thread | None = None
        super().__init__("pose2d", Pose2DParams, **node_options)

    def on_start(self) -> None:
        params = self.params
        self._calibration = _read_calibration(params.calibration)
        self._cameras: dict[tuple[int, int], Camera | None] = {}
        token = run_token(params)
        self._estimator = self._make_estimator(replace(params, run_token=token or NO_TOKEN))
        self._listeners = Listeners(self, names_of(params.wait_for)) if params.wait_for else None
        try:
            self._source = open_source(params, self._report) if params.source else None
        except BaseException:
            self._estimator.close()  # left to the garbage collector, MediaPipe's threads may wait for each other for ever
            raise
        self.health.note("device", self._estimator.detector.device)
        self.health.note("detector", params.detector)
        if params.detector == Pose2DParams.detector:  # others know nothing of MediaPipe's models
            self.health.note("model", params.model)
        self.health.note(
            "source", self._source.describe() if self._source else f"topic, {params.image_transport}"
        )
        self._people = self.publish_on(msgs.People2D, topics.PEOPLE2D)
        self._world = self.publish_on(msgs.People3D, topics.WORLD)
        self.publish_skeleton(topics.SKELETON2D, MEDIAPIPE33.name)
        software = dict(self._estimator.software())
        self.publish_run(topics.RUN2D, lambda: software, token)
        self._image_topic = self.resolve_topic_name(topics.IMAGE)
        if self._source or self._calibration:
            self._camera_info = self.publish_on(CameraInfo, topics.CAMERA_INFO)
        if self._source:
            self._image = self.publish_on(Image, topics.IMAGE, qos.IMAGES)
            self._compressed = self.publish_on(CompressedImage, compressed_name(self), qos.OWN_IMAGES)
        else:
            callbacks = {Image: self._on_image, CompressedImage: self._on_compressed}
            self._lost = LostImages()
            self._input = ImageInput(self, params.image_transport, callbacks, self._on_arrival)
            if not self._calibration:  # else the node publishes there
                self.listen(
                    CameraInfo, topics.CAMERA_INFO, self._on_camera_info, CAMERA_INFO_QOS, at_once=True
                )

    def on_run(self) -> None:
        self._publisher = Behind("pose2d-publish")
        if self._source is None:
            return
        self.finished.clear()
        self.health.clear("source")
        self.frames_read = self.last_stamp = 0
        self._stopping = threading.Event()
        self._reader = threading.Thread(target=self._work, args=(self._source,), name="pose2d", daemon=True)
        self._reader.start()

    def on_pause(self) -> None:
        if self._reader is not None and self._source is not None:
            self._stopping.set()
            self._source.close()
            self._reader.join(STOP_PATIENCE)
            if self._reader.is_alive():
                raise RuntimeError(
                    f"the image in work did not end within {STOP_PATIENCE:g} s; start the node anew"
                )
            self._reader = None
        self._publisher.close()

    def on_stop(self) -> None:
        if self._listeners is not None:
            self._listeners.close()
        if self._source is not None:
            self._source.close()
            self._source = None
        if self._input is not None:
            self._input.close()
            self._input = None
        self._estimator.close()

    def on_report(self) -> None:
        if self._input is None:
            return
        self.health.note_if("images lost", self._lost.lost)
        share, recent = self._lost.share, self._lost.recent
        if recent >= FEW and share > MANY_LOST:
            sentence = self._lost_in_words(share, recent)
            if LOST not in self.health.faults():
                self.get_logger().warning(sentence)
            self.health.fault(LOST, sentence, warn=True)
        else:
            self.health.clear(LOST)

    # A source of its own.

    def _work(self, source: Source) -> None:
        try:
            self._await_listeners()
            self._read(source, iter(source))
        except BaseException as error:  # noqa: BLE001 - a thread's boundary: the executor raises it again
            self.fail(error)

    def _await_listeners(self) -> None:
        """Return when those who are waited for can hear the first image."""
        if self._listeners is None:
            return
        deadline = time.monotonic() + LISTENERS_PATIENCE
        while (missing := self._listeners.missing()) and time.monotonic() < deadline:
            if self._stopping.wait(LISTENERS_PERIOD):
                return
        if missing:
            self.get_logger().warning(f"begins without {', '.join(missing)}, waited for in vain")

    def _read(self, source: Source, images: Iterator[Frame]) -> None:
        skipped = source.skipped
        while not self._stopping.is_set() and self._gate():
            frame = next(images, None)
            if frame is None:
                break
            self.frames_read += 1
            self.last_stamp = frame.stamp
            self.health.skip(source.skipped - skipped)
            skipped = source.skipped
            seen = self._see(frame)
            if seen is not None:
                self._publisher.do(partial(self._finish, frame, *seen))
        else:
            source.close()
        self._publisher.wait()
        if self._stopping.is_set():
            return
        ended = f"{source.describe()} has no more images; activate the node again to start anew"
        self.health.fault("source", ended, warn=True)
        self.finished.set()

    def _see(self, frame: Frame) -> tuple[int, Sight] | None:
        """When work on the image began, and what is in it; None where it cannot be used."""
        start = now_ns()
        frames.put(self._image_topic, frame.stamp, frame.bgr)
        try:
            return start, self._estimator.see(frame.stamp, frame.bgr)
        except BadImage as error:
            self.health.drop("bad image")
            self.get_logger().warning(f"dropped an image: {error}", throttle_duration_sec=1.0)
            return None

    def _finish(self, frame: Frame, start: int, sight: Sight) -> None:
        grabbed = StageTime("source", frame.grabbed_start, frame.grabbed_end)
        self._track(sight, self.params.frame_id, grabbed, start)
        if self._image.get_subscription_count():
            self._image.publish(image_to_msg(frame.bgr, frame.stamp, self.params.frame_id))
        if self._compressed.get_subscription_count():
            self._compressed.publish(compressed_to_msg(frame.bgr, frame.stamp, self.params.frame_id))

    def _report(self, name: str, sentence: str) -> None:
        """A source's fault; only a missing camera keeps the node from working."""
        if not sentence:
            self.health.clear(name)
        elif self.health.faults().get(name) != sentence:
            self.health.fault(name, sentence, warn=name != "camera")
            self.get_logger().warning(sentence)

    # The image topic.

    def _on_arrival(self, msg: bytes) -> None:
        self._lost.arrive(stamp_of(msg))

    def _on_camera_info(self, msg: CameraInfo) -> None:
        self._lost.announce(stamp_to_ns(msg.header.stamp))

    def _lost_in_words(self, share: float, recent: int) -> str:
        announced = self.resolve_topic_name(topics.CAMERA_INFO)
        return (
            f"{share * recent:.0f} of the last {recent} images that {announced} announces did not arrive; pose doctor measures "
            "the way of an image and says what to set (docs/middleware.md)"
        )

    def _on_image(self, msg: Image) -> None:
        self._hear(msg.header, partial(image_from_msg, msg))

    def _on_compressed(self, msg: CompressedImage) -> None:
        self._hear(msg.header, partial(compressed_from_msg, msg))

    def _hear(self, of: Header, decode: Callable[[], np.ndarray]) -> None:
        start, received, stamp = now_ns(), self.received_ns, stamp_to_ns(of.stamp)
        if stamp == 0:
            raise MalformedMessage(
                "the image has no stamp; its driver must state the capture time in header.stamp"
            )
        captured = stamp if 0 <= received - stamp <= OLDEST_CAPTURE else received
        bgr = decode()
        frames.put(self._image_topic, stamp, bgr)
        try:
            sight = self._estimator.see(stamp, bgr)
        except BadImage as error:
            raise MalformedMessage(str(error)) from error
        grabbed = StageTime("source", captured, received)
        self._publisher.do(
            partial(self._track, sight, of.frame_id or self.params.frame_id, grabbed, start), self.fail
        )

    # Both.

    def _track(self, sight: Sight, frame_id: str, grabbed: StageTime, start: int) -> None:
        self.health.sees(frame_id)
        estimate = self._estimator.track(sight, frame_id)
        if sight.restart_reason:
            self.health.note("restarts", sight.restarts)
            self.get_logger().warning(f"looking for people anew: {sight.restart_reason}")
        times = self.stamped((grabbed, StageTime("detect", *sight.inference)), start)
        self._publish(estimate, times)

    def _publish(self, estimate: Estimate, times: tuple[StageTime, ...]) -> None:
        """World landmarks and CameraInfo go first, so that they are there when the people arrive."""
        people = replace(estimate.people, times=times)
        if self._source or self._calibration:
            self._camera_info.publish(
                self._camera_info_of(people.width, people.height, people.stamp, people.frame_id)
            )
        self._world.publish(people3d_to_msg(replace(estimate.world, times=times)))
        self._people.publish(people2d_to_msg(people))

    def _camera_info_of(self, width: int, height: int, stamp: int, frame_id: str) -> CameraInfo:
        if (width, height) not in self._cameras:
            self._cameras = {(width, height): self._camera_of(width, height)}
        camera = self._cameras[width, height]
        if camera is None:  # K all zero: uncalibrated (sensor_msgs/CameraInfo)
            return CameraInfo(header=header(stamp, frame_id), width=width, height=height)
        return camera_to_msg(camera, stamp, frame_id)

    def _camera_of(self, width: int, height: int) -> Camera | None:
        """The calibration for images of this size; None where there is none that fits."""
        calibrated = self._calibration
        self.health.clear("camera_info")
        if calibrated is None or (calibrated.width, calibrated.height) == (width, height):
            return calibrated
        sizes = (
            f"{self.params.calibration} is for {calibrated.width} x {calibrated.height}, "
            f"the images are {width} x {height}"
        )
        if abs(calibrated.width * height / (calibrated.height * width) - 1.0) > SAME_SHAPE:
            self._report(
                "camera_info", f"{sizes}, which is another shape: it is not used; calibrate at this size"
            )
            return None
        self._report("camera_info", f"{sizes}: it is scaled, which is wrong where the image was cropped")
        return calibrated.scaled(width, height)


class Behind:
    """A thread that does what it is told while the next thing is prepared, and is never more than one thing behind."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, name)
        self._last: Future[None] | None = None

    def do(self, work: Callable[[], None], failed: Callable[[BaseException], None] | None = None) -> None:
        """Begin `work` when what came before is done, and raise what that raised; `failed` is told at once."""
        self.wait()
        self._last = self._pool.submit(work)
        if failed is not None:
            self._last.add_done_callback(lambda done: (error := done.exception()) and failed(error))

    def wait(self) -> None:
        """Return when everything is done; raises what it raised."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """Finish what is begun, and end the thread."""
        self._pool.shutdown()


def _always() -> bool:
    return True


def _read_calibration(path: str) -> Camera | None:
    if not path:
        return None
    try:
        return read_camera(path)
    except OSError as error:
        raise ValueError(f"calibration '{path}' cannot be read: {error.strerror}; check the path") from error


def main() -> None:
    """What `python -m pose2d_node` does, once it knows what to do on a signal."""
    run(Pose2DNode)
