"""The node on a real graph: topics, services, parameters, diagnostics and bad input."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from pose_msgs import msg as msgs
from pose_msgs.srv import ResetPerson, SetSubject
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo

from lift3d_node.node import Lift3DNode
from lift3d_node.pairing import SIZE
from lift3d_node.params import Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from pose_core.geometry.camera import Camera
from pose_core.markers import up_in_camera
from pose_core.people import JointState, People2D, People3D, Person3D, ScaleSource, StageTime
from pose_core.skeleton import H36M17, MEDIAPIPE33
from pose_core.units import NS_PER_S
from pose_ros import diagnostics, qos, topics
from pose_ros.conversions import (
    camera_to_msg,
    people2d_to_msg,
    people3d_from_msg,
    people3d_to_msg,
    skeleton_from_msg,
)
from pose_ros.testing import executing, ros_context, spin_until  # noqa: F401 (pytest finds the fixture by its name)

pytestmark = pytest.mark.usefixtures("ros_context")


class Probe(Node):
    """Plays the stages before and after, and the camera."""

    def __init__(self) -> None:
        super().__init__("probe")
        self.out: list[msgs.People3D] = []
        self.reports: list[DiagnosticStatus] = []
        self.skeletons: list[msgs.Skeleton] = []
        self.people = self.create_publisher(msgs.People2D, topics.PEOPLE2D, qos.RESULTS)
        self.world = self.create_publisher(msgs.People3D, topics.WORLD, qos.RESULTS)
        self.output = self.create_subscription(msgs.People3D, topics.LIFTED, self.out.append, qos.RESULTS)
        self.create_subscription(
            DiagnosticArray, topics.DIAGNOSTICS, lambda m: self.reports.extend(m.status), 10
        )
        self.set_subject = self.create_client(SetSubject, "lift3d/set_subject")
        self.reset = self.create_client(ResetPerson, "lift3d/reset")


class Graph:
    def __init__(self, stage: Lift3DNode, probe: Probe, executor) -> None:
        self.stage, self.probe, self.executor = stage, probe, executor

    def until(self, condition) -> None:
        assert spin_until(self.executor, condition)

    def spin_a_little(self) -> None:
        """For three diagnostics messages, in which whatever was sent before arrives."""
        reports = len(self.probe.reports)
        self.until(lambda: len(self.probe.reports) > reports + 2)

    def send(self, shot: tuple[People2D, People3D]) -> None:
        self.probe.world.publish(people3d_to_msg(shot[1]))
        self.probe.people.publish(people2d_to_msg(shot[0]))

    def lifted(self, shot: tuple[People2D, People3D]) -> People3D:
        """What the stage makes of an image."""
        count = len(self.probe.out)
        self.send(shot)
        self.until(lambda: len(self.probe.out) > count)
        return people3d_from_msg(self.probe.out[-1])

    def stamps(self) -> list[int]:
        return [people3d_from_msg(msg).stamp for msg in self.probe.out]

    def call(self, client, request):
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        return future.result()

    def report(self) -> tuple[DiagnosticStatus, dict[str, str]]:
        """A diagnostics status made from now on, and its values."""
        self.spin_a_little()
        status = self.probe.reports[-1]
        return status, {value.key: value.value for value in status.values}

    def camera(self):
        publisher = self.probe.create_publisher(CameraInfo, topics.CAMERA_INFO, 10)
        self.until(
            lambda: publisher.get_subscription_count() and self.stage.count_publishers(topics.CAMERA_INFO)
        )
        return publisher


@contextmanager
def graph(**params) -> Iterator[Graph]:
    """With the lifter whose answers are known, the detector's own 3D, unless `params` name a model. Nothing is skipped."""
    plain = {} if "model" in params else {"lifter": "mediapipe_world"}
    overrides = [
        Parameter(name, value=value)
        for name, value in {"diagnostics_period": 0.1, "lossless": True, **plain, **params}.items()
    ]
    stage, probe = Lift3DNode(parameter_overrides=overrides), Probe()
    with executing(stage, probe) as executor:
        made = Graph(stage, probe, executor)
        made.until(
            lambda: (
                probe.people.get_subscription_count()
                and (probe.world.get_subscription_count() or "model" in params)
                and stage.count_subscribers(topics.LIFTED)
                and probe.count_publishers(topics.LIFTED)
            )
        )
        yield made


@pytest.fixture
def shot(scene):
    """`shot(stamp, ids, camera)`: people of 1.75 m and their world landmarks in one image, as messages carry them."""

    def build(stamp: int = NS_PER_S, ids: tuple[str, ...] = ("p1",), camera: Camera | None = None) -> tuple:
        one = scene(**({"camera": camera} if camera else {}))
        people = tuple(replace(one.person, id=id) for id in ids)
        nan = np.full(33, np.nan)
        world = tuple(
            Person3D(id, 0.9, one.shape.xyz, nan, np.full(3, np.nan), np.full(33, 0.8), one.shape.state)
            for id in ids
        )
        times = (StageTime("source", 5, 6), StageTime("pose2d", 6, 9))
        size = (one.camera.width, one.camera.height)
        return (
            People2D(stamp, "eye", "mediapipe33", *size, people, times),
            People3D(stamp, "eye", "mediapipe33", world),
        )

    return build


FOV = Camera.from_field_of_view(1280, 960, 60.0)


def test_people_are_lifted_and_placed(shot, scene) -> None:
    """Without CameraInfo the field of view is used, and said; the figure is seen with that camera."""
    with graph(height=1.75) as g:
        lifted = g.lifted(shot(7 * NS_PER_S + 1, ("p1", "p2"), FOV))
        assert (lifted.stamp, lifted.frame_id, lifted.skeleton) == (7 * NS_PER_S + 1, "eye", "mediapipe33")
        assert [time.stage for time in lifted.times] == ["source", "pose2d", "lift3d"]
        assert lifted.times[2].start <= lifted.times[2].end
        assert [person.id for person in lifted.people] == ["p1", "p2"]
        for person in lifted.people:
            np.testing.assert_allclose(person.xyz, scene(camera=FOV).xyz, atol=2e-5)
            assert (person.state == JointState.LIFTED).all()
            assert person.scale_source == ScaleSource.SUBJECT
            assert person.height == pytest.approx(1.75)
        skeletons: list[msgs.Skeleton] = []
        g.probe.create_subscription(msgs.Skeleton, topics.LIFTED_SKELETON, skeletons.append, qos.LATCHED)
        g.until(lambda: skeletons)
        assert skeleton_from_msg(skeletons[0]).name == "mediapipe33"
        status, values = g.report()
        assert status.level == DiagnosticStatus.OK
        assert values["intrinsics"] == "field_of_view 60 degrees"
        assert values["scale"] == "p1 subject 1.75 m, p2 subject 1.75 m"
        assert values["lifter"] == "mediapipe_world"
        assert values["device"] == "cpu"
        assert float(values["reprojection_p50_px"]) < 0.01
        worst = values["reprojection_p50_px of the worst joints"].split(", ")
        assert len(worst) == 3
        assert all(float(px) < 0.01 for _, px in (joint.split() for joint in worst))
        assert len(values) <= 16  # a monitor shows all of them, each second
        assert (status.name, status.hardware_id) == ("lift3d: pipeline", "eye")


def test_joint_centres_are_published_on_demand(shot) -> None:
    """Those of the default lifter lie near the joints."""
    stage = Lift3DNode(parameter_overrides=[Parameter("joint_centres", value=True)])
    probe, centres, skeletons = Probe(), [], []
    probe.create_subscription(msgs.People3D, topics.CENTRES, centres.append, qos.RESULTS)
    probe.create_subscription(msgs.Skeleton, topics.CENTRES_SKELETON, skeletons.append, qos.LATCHED)
    with executing(stage, probe) as executor:
        assert spin_until(
            executor,
            lambda: (
                probe.people.get_subscription_count() and probe.count_publishers(topics.CENTRES) and skeletons
            ),
        )
        people, _ = shot(7 * NS_PER_S, ("p1", "p2"), FOV)
        probe.people.publish(people2d_to_msg(people))
        assert spin_until(executor, lambda: centres and probe.out)
    inner, outer = people3d_from_msg(centres[0]), people3d_from_msg(probe.out[0])
    assert skeleton_from_msg(skeletons[0]).name == inner.skeleton == "h36m17"
    assert (inner.stamp, inner.frame_id, inner.times) == (outer.stamp, outer.frame_id, outer.times)
    assert [person.id for person in inner.people] == ["p1", "p2"]
    knees = (H36M17.index("left_knee"), MEDIAPIPE33.index("left_knee"))
    assert np.linalg.norm(inner.people[0].xyz[knees[0]] - outer.people[0].xyz[knees[1]]) < 0.1


def test_a_lifter_without_joint_centres_says_so(shot) -> None:
    with pytest.raises(ValueError, match="lifter 'mediapipe_world' knows no joint centres"):
        PeopleLifter(Lift3DParams(lifter="mediapipe_world", joint_centres=True))
    assert PeopleLifter(Lift3DParams(lifter="mediapipe_world")).centres is None


def test_nobody_is_an_empty_message(shot) -> None:
    with graph() as g:
        people, world = shot()
        lifted = g.lifted((replace(people, people=()), replace(world, people=())))
        assert lifted.people == ()


def test_without_stage_times_bytes_repeat(shot) -> None:
    runs = []
    for _ in range(2):
        with graph(stage_times=False) as g:
            for i in range(3):
                g.lifted(shot((i + 1) * NS_PER_S))
            # as text, which gives every bit of a float32: the padding between serialized fields is whatever memory held
            runs.append([repr(msg) for msg in g.probe.out])
            assert list(g.probe.out[0].times.stage) == []
    assert runs[0] == runs[1]


def test_people_and_world_meet_in_any_order(shot) -> None:
    with graph() as g:
        for i, world_first in enumerate([True, False, True, False]):
            people, world = shot((i + 1) * NS_PER_S)
            sends = [
                lambda p=people: g.probe.people.publish(people2d_to_msg(p)),
                lambda w=world: g.probe.world.publish(people3d_to_msg(w)),
            ]
            for send in reversed(sends) if world_first else sends:
                send()
                g.spin_a_little()
        assert g.stamps() == [NS_PER_S, 2 * NS_PER_S, 3 * NS_PER_S, 4 * NS_PER_S]


def test_a_slow_stage_lifts_the_newest_pair_next_and_counts_what_it_skips(shot, monkeypatch) -> None:
    with graph(lossless=False) as g:
        begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
        process = g.stage._lifter.process

        def slow(*frame):
            begun.release()
            assert go_on.acquire(timeout=20.0)
            return process(*frame)

        monkeypatch.setattr(g.stage._lifter, "process", slow)
        g.send(shot(1 * NS_PER_S))
        g.until(lambda: begun.acquire(blocking=False))
        for i in (2, 3, 4):
            g.send(shot(i * NS_PER_S))
        g.probe.people.publish(people2d_to_msg(shot(5 * NS_PER_S)[0]))  # newer, but no pair yet
        g.until(lambda: g.stage.health.skipped() == 2)
        for _ in range(2):
            go_on.release()
        g.until(lambda: len(g.probe.out) == 2)
        assert g.stamps() == [1 * NS_PER_S, 4 * NS_PER_S]
        go_on.release()
        g.probe.world.publish(people3d_to_msg(shot(5 * NS_PER_S)[1]))
        g.until(lambda: len(g.probe.out) == 3)
        assert g.stamps()[2] == 5 * NS_PER_S
        assert g.stage.health.dropped() == {}


def test_a_camera_that_speaks_does_not_hide_that_no_people_come(shot, monkeypatch) -> None:
    monkeypatch.setattr(diagnostics, "SILENCE", 0.3)
    with graph() as g:
        camera = g.camera()

        def warned() -> list[str]:
            camera.publish(camera_to_msg(FOV, NS_PER_S, "eye"))
            return [status.message for status in g.probe.reports if status.level == DiagnosticStatus.WARN]

        g.until(warned)
        assert "waits for people in 2D on /pose2d/people, none for 0 s; somebody publishes" in warned()[-1]
        assert "camera_info" not in warned()[-1]


def test_people_without_world_landmarks_are_counted(shot) -> None:
    with graph() as g:
        for i in range(3):
            g.probe.people.publish(people2d_to_msg(shot((i + 1) * NS_PER_S)[0]))
        g.lifted(shot(4 * NS_PER_S))
        assert g.stamps() == [4 * NS_PER_S]
        assert g.stage.health.dropped() == {"no world landmarks for this frame": 3}
        for i in range(SIZE + 2):
            g.probe.people.publish(people2d_to_msg(shot((i + 5) * NS_PER_S)[0]))
            if i % 6 == 5:
                g.spin_a_little()
        assert g.stage.health.dropped() == {"no world landmarks for this frame": 5}


def test_people_wait_for_the_calibration_when_there_is_a_camera(shot, scene) -> None:
    with graph(height=1.75) as g:
        camera = g.camera()
        for i in range(3):
            g.send(shot((i + 1) * NS_PER_S))
            g.spin_a_little()
        assert g.stamps() == []
        truth = scene()
        camera.publish(camera_to_msg(truth.camera, NS_PER_S, "eye"))
        g.until(lambda: len(g.probe.out) == 3)
        assert g.stamps() == [NS_PER_S, 2 * NS_PER_S, 3 * NS_PER_S]
        person = people3d_from_msg(g.probe.out[0]).people[0]
        np.testing.assert_allclose(person.xyz, truth.xyz, atol=2e-5)
        assert g.report()[1]["intrinsics"] == "camera_info"


def test_a_camera_that_says_nothing_is_given_up(shot) -> None:
    with graph() as g:
        camera = g.camera()
        for i in range(SIZE - 1):
            g.send(shot((i + 1) * NS_PER_S))
        g.spin_a_little()
        assert g.stamps() == []
        g.send(shot(SIZE * NS_PER_S))
        g.until(lambda: len(g.probe.out) == SIZE)
        assert g.stamps() == [(i + 1) * NS_PER_S for i in range(SIZE)]
        status, values = g.report()
        assert status.level == DiagnosticStatus.WARN
        assert "has a publisher but nothing came" in values["fault: intrinsics"]
        g.lifted(shot(20 * NS_PER_S))
        camera.publish(camera_to_msg(FOV, NS_PER_S, "eye"))
        g.spin_a_little()
        g.lifted(shot(21 * NS_PER_S))
        assert g.report()[1]["intrinsics"] == "camera_info"
        assert g.stage.health.faults() == {}


def test_an_uncalibrated_camera_is_a_warning(shot, scene) -> None:
    with graph(height=1.75) as g:
        camera = g.camera()
        camera.publish(CameraInfo(width=1280, height=960))
        g.spin_a_little()
        person = g.lifted(shot(camera=FOV)).people[0]
        np.testing.assert_allclose(person.xyz, scene(camera=FOV).xyz, atol=2e-5)
        status, values = g.report()
        assert status.level == DiagnosticStatus.WARN
        assert "not calibrated" in values["fault: intrinsics"]
        assert "field_of_view_deg" in values["fault: intrinsics"]


def test_a_calibration_of_half_the_size_is_scaled(shot, scene) -> None:
    with graph(height=1.75) as g:
        camera = g.camera()
        truth = scene()
        camera.publish(camera_to_msg(truth.camera.scaled(640, 480), NS_PER_S, "eye"))
        g.spin_a_little()
        person = g.lifted(shot()).people[0]
        np.testing.assert_allclose(person.xyz, truth.xyz, atol=1e-4)
        assert g.stage.health.faults() == {}


def test_a_calibration_of_another_shape_is_a_warning(shot, scene) -> None:
    with graph(height=1.75) as g:
        camera = g.camera()
        camera.publish(camera_to_msg(Camera(1280, 720, FOV.matrix), NS_PER_S, "eye"))
        g.spin_a_little()
        person = g.lifted(shot(camera=FOV)).people[0]
        np.testing.assert_allclose(person.xyz, scene(camera=FOV).xyz, atol=2e-5)
        assert "1280 x 720" in g.report()[1]["fault: intrinsics"]


def test_set_subject_counts_from_the_next_image(shot) -> None:
    with graph() as g:
        before = g.lifted(shot(NS_PER_S, ("p1", "p2"))).people
        assert all(person.scale_source == ScaleSource.DEFAULT for person in before)
        answer = g.call(g.probe.set_subject, SetSubject.Request(person_id="p2", height=1.87, mass=80.0))
        assert (answer.success, answer.message) == (True, "p2: 1.87 m, 80 kg")
        first, second = g.lifted(shot(2 * NS_PER_S, ("p1", "p2"))).people
        np.testing.assert_array_equal(first.xyz, before[0].xyz)
        np.testing.assert_allclose(second.xyz, before[1].xyz * 1.87 / 1.70, atol=1e-4)
        assert (second.scale_source, second.height) == (ScaleSource.SUBJECT, pytest.approx(1.87))
        assert g.call(g.probe.set_subject, SetSubject.Request(person_id="p2")).success
        second = g.lifted(shot(3 * NS_PER_S, ("p1", "p2"))).people[1]
        assert second.scale_source == ScaleSource.DEFAULT


@pytest.mark.parametrize(
    ("person", "height", "mass", "said"),
    [
        ("p1", 187.0, 0.0, "height must be from 0.5 to 2.6 m, or 0 to forget it, got 187"),
        ("p1", 1.8, 1.0, "mass must be from 2 to 400 kg"),
        ("1", 1.8, 0.0, "id must start with a letter"),
    ],
)
def test_set_subject_refuses_what_nobody_is(person: str, height: float, mass: float, said: str, shot) -> None:
    with graph() as g:
        answer = g.call(g.probe.set_subject, SetSubject.Request(person_id=person, height=height, mass=mass))
        assert not answer.success
        assert said in answer.message
        assert g.lifted(shot()).people[0].scale_source == ScaleSource.DEFAULT


def test_height_is_a_live_parameter(shot) -> None:
    with graph() as g:
        assert g.lifted(shot(NS_PER_S)).people[0].height == pytest.approx(1.70)
        assert g.stage.set_parameters([Parameter("height", value=1.6)])[0].successful
        assert g.lifted(shot(2 * NS_PER_S)).people[0].height == pytest.approx(1.6)
        refused = g.stage.set_parameters([Parameter("height", value=0.2)])[0]
        assert not refused.successful
        assert "got 0.2" in refused.reason
        assert g.lifted(shot(3 * NS_PER_S)).people[0].height == pytest.approx(1.6)


def test_the_cameras_tilt_is_a_live_parameter(shot) -> None:
    with graph() as g:
        assert g.report()[1]["camera tilt"] == "unknown"
        tilt = {"camera_tilt": "stated", "camera_pitch_deg": 20.0, "camera_roll_deg": -5.0}
        changed = g.stage.set_parameters_atomically(
            [Parameter(name, value=value) for name, value in tilt.items()]
        )
        assert changed.successful
        assert g.report()[1]["camera tilt"] == "looks 20.0 degrees down, rolled by -5.0"
        refused = g.stage.set_parameters([Parameter("camera_tilt", value="guessed")])[0]
        assert not refused.successful
        assert "unknown" in refused.reason


class PlayedGravity:
    """Tells of the frame "eye" what the test says."""

    def __init__(self, _node: object, level_frame: str, max_age: float) -> None:
        self.level_frame, self.max_age, self.closed = level_frame, max_age, False
        self.told: np.ndarray | None = None
        self.fault = ""

    def up(self, frame: str, _stamp: int) -> np.ndarray | None:
        up = self.told if frame == "eye" else None
        self.fault = "" if up is not None else f"there is no tf from '{self.level_frame}' to '{frame}'"
        return up

    def close(self) -> None:
        self.closed = True


def test_the_tilt_follows_tf_image_by_image(shot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lift3d_node.node.Gravity", PlayedGravity)
    with graph(camera_tilt="tf", level_frame="map", max_tf_age=0.5) as g:
        gravity = g.stage._gravity
        assert gravity.max_age == 0.5
        g.lifted(shot(NS_PER_S))
        status, values = g.report()
        assert status.level == DiagnosticStatus.WARN
        assert "there is no tf from 'map' to 'eye'" in status.message
        assert values["camera tilt"] == "unknown"
        gravity.told = up_in_camera(40.0, 3.0)
        g.lifted(shot(2 * NS_PER_S))
        status, values = g.report()
        assert "there is no tf" not in status.message
        assert values["camera tilt"] == "looks 40.0 degrees down, rolled by 3.0"
        assert g.stage.set_parameters([Parameter("camera_tilt", value="unknown")])[0].successful
        assert gravity.closed
        g.lifted(shot(3 * NS_PER_S))
        assert g.report()[1]["camera tilt"] == "unknown"


def test_tf_that_is_not_installed_is_refused(shot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    with graph() as g:
        refused = g.stage.set_parameters([Parameter("camera_tilt", value="tf")])[0]
        assert not refused.successful
        assert "tf2_ros" in refused.reason
        assert g.lifted(shot()).people[0].id == "p1"


def test_reset_names_whom_it_forgot(shot) -> None:
    with graph() as g:
        g.lifted(shot(NS_PER_S, ("p1", "p2")))
        unknown = g.call(g.probe.reset, ResetPerson.Request(person_id="p9"))
        assert (unknown.success, unknown.message) == (False, "person 'p9' is not known; known: p1, p2")
        assert g.call(g.probe.reset, ResetPerson.Request(person_id="p2")).message == "forgot p2"
        assert g.call(g.probe.reset, ResetPerson.Request()).message == "forgot p1"


def test_stamps_that_go_back_start_anew(shot) -> None:
    with graph() as g:
        for stamp in (5, 6, 1, 2):
            g.lifted(shot(stamp * NS_PER_S))
        assert g.stamps() == [5 * NS_PER_S, 6 * NS_PER_S, NS_PER_S, 2 * NS_PER_S]
        assert g.report()[1]["rewinds"] == "1"
        g.send(shot(2 * NS_PER_S))
        g.until(lambda: g.stage.health.dropped())
        assert g.stage.health.dropped() == {"the same stamp twice": 1}
        assert g.lifted(shot(3 * NS_PER_S)).stamp == 3 * NS_PER_S


def test_a_person_without_keypoints_is_missing_not_dropped(shot) -> None:
    with graph() as g:
        people, world = shot(NS_PER_S, ("p1", "p2"))
        nothing = replace(people.people[0], xy_px=np.full((33, 2), np.nan), joint_confidence=np.zeros(33))
        first, second = g.lifted((replace(people, people=(nothing, people.people[1])), world)).people
        assert (first.state == JointState.MISSING).all()
        assert np.isnan(first.xyz).all()
        assert np.isfinite(second.xyz).all()
        assert g.report()[1]["not placed"] == "fewer than 6 joints in the image 1"


def bad_messages(shot) -> dict[str, tuple]:
    people, world = (people2d_to_msg(shot()[0]), people3d_to_msg(shot()[1]))
    unknown, small, short = (people2d_to_msg(shot()[0]) for _ in range(3))
    unknown.skeleton = "mediapipe34"
    small.width = 0
    short.people[0].xy_px = [1.0, 2.0]
    hand = people2d_to_msg(replace(shot()[0], skeleton="hand21", people=()))
    other = people3d_to_msg(replace(shot()[1], skeleton="coco17", people=()))
    return {
        "unknown skeleton": (unknown, None),
        "no size": (small, None),
        "too few numbers": (short, None),
        "a hand": (hand, None),
        "world of another skeleton": (None, other),
        "good": (people, world),
    }


@pytest.mark.parametrize(
    "kind", ["unknown skeleton", "no size", "too few numbers", "a hand", "world of another skeleton"]
)
def test_malformed_messages_are_dropped_and_the_next_one_works(kind: str, shot) -> None:
    with graph() as g:
        people, world = bad_messages(shot)[kind]
        if people is not None:
            g.probe.people.publish(people)
        if world is not None:
            g.probe.world.publish(world)
        topic = "/" + (topics.PEOPLE2D if people is not None else topics.WORLD)
        g.until(lambda: g.stage.health.dropped() == {f"malformed message on {topic}": 1})
        assert g.lifted(shot(2 * NS_PER_S)).people[0].id == "p1"


def test_a_malformed_calibration_is_dropped(shot) -> None:
    with graph() as g:
        camera = g.camera()
        bad = camera_to_msg(FOV, NS_PER_S, "eye")
        bad.k[0] = -5.0
        camera.publish(bad)
        g.until(lambda: g.stage.health.dropped())
        camera.publish(camera_to_msg(FOV, NS_PER_S, "eye"))
        g.spin_a_little()
        assert g.lifted(shot()).people[0].id == "p1"
        assert g.report()[1]["intrinsics"] == "camera_info"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"lifter": "mediapipe_word"}, "did you mean 'mediapipe_world'"),
        ({"model": "/nowhere/tcn.onnx"}, "model file '/nowhere/tcn.onnx' cannot be read: No such file"),
        ({"model": "tcn.tflite"}, "must be a file that ends in .onnx or .pt"),
        ({"device": "gpu"}, "device must be one of auto, cpu, cuda, tensorrt, got 'gpu'"),
        ({"lifter": "mediapipe_world", "device": "cuda"}, "device cuda needs a network"),
        ({"height": 0.3}, "height must be from 0.5"),
        ({"heigth": 1.7}, "unknown parameter 'heigth'; did you mean 'height'"),
        ({"min_joints": 50}, "min_joints must be at most 33"),
        ({"field_of_view_deg": 200.0}, "field_of_view_deg must be from 10.0 to 150.0, got 200.0"),
    ],
)
def test_wrong_parameters_refuse_to_start(params: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Lift3DNode(parameter_overrides=[Parameter(name, value=value) for name, value in params.items()])


def test_pause_and_restart_keep_working(shot) -> None:
    with graph() as g:
        g.lifted(shot(NS_PER_S))
        for step in ("deactivate", "cleanup", "configure", "activate"):
            getattr(g.stage, f"trigger_{step}")()
        g.until(lambda: g.probe.people.get_subscription_count() and g.probe.world.get_subscription_count())
        g.until(lambda: g.probe.output.get_publisher_count())
        assert g.lifted(shot(2 * NS_PER_S)).stamp == 2 * NS_PER_S


# Networks


@pytest.fixture
def network(tiny_onnx, tmp_path) -> str:
    return str(tiny_onnx(tmp_path / "tiny.onnx"))


def test_a_network_needs_no_world_landmarks(network: str, shot) -> None:
    with graph(model=network, max_misfit=10.0, device="cpu") as g:
        for i in range(3):
            people, _ = shot((i + 1) * NS_PER_S, ("p1", "p2"), FOV)
            g.probe.people.publish(people2d_to_msg(people))
        g.until(lambda: len(g.probe.out) == 3)
        assert [person.id for person in people3d_from_msg(g.probe.out[-1]).people] == ["p1", "p2"]
        _, values = g.report()
        assert (values["lifter"], values["device"]) == ("tiny", "cpu")
        assert g.stage.health.dropped() == {}


def test_nothing_that_is_seen_ends_a_network(network: str, shot) -> None:
    """Keypoints that are none, one alone, nobody, and stamps that jump, go back and repeat."""
    nothing, one = np.full((33, 2), np.nan), np.full((33, 2), np.nan)
    one[25] = (640.0, 480.0)
    with graph(model=network, max_misfit=10.0) as g:
        people, _ = shot(NS_PER_S, ("p1", "p2"), FOV)
        first, second = people.people

        def handled() -> int:
            return len(g.probe.out) + sum(g.stage.health.dropped().values())

        for stamp, *odds in (
            (1, nothing, one),
            (2, one, nothing),
            *((stamp, first.xy_px, nothing, one) for stamp in (7202, 7203, 5, 6)),
        ):
            for xy_px in odds:
                odd = replace(first, xy_px=xy_px, joint_confidence=np.isfinite(xy_px[:, 0]).astype(float))
                before = handled()
                g.probe.people.publish(
                    people2d_to_msg(replace(people, stamp=stamp * NS_PER_S, people=(odd, second)))
                )
                g.until(lambda before=before: handled() == before + 1)
        g.probe.people.publish(people2d_to_msg(replace(people, stamp=7 * NS_PER_S, people=())))
        g.until(lambda: g.stamps()[-1] == 7 * NS_PER_S)
        assert g.stamps() == [stamp * NS_PER_S for stamp in (1, 2, 7202, 7203, 5, 6, 7)]
        missing, seen = people3d_from_msg(g.probe.out[0]).people
        assert (missing.state == JointState.MISSING).all()
        assert np.isnan(missing.xyz).all()
        assert (seen.state != JointState.MISSING).any()


def test_a_network_starts_without_any_message(network: str) -> None:
    with graph(model=network) as g:
        assert g.report()[1]["device"] in ("cpu", "cuda")
