"""The stage base class on a real graph: lifecycle, topics, parameters, bad input, diagnostics, the process."""

from __future__ import annotations

import copy
import re
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, replace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from pose_msgs import msg as msgs
from pose_msgs.srv import SetSubject
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.subscription import Subscription

from pose_core.config import StageParams, param
from pose_core.people import People2D, Person2D, StageTime
from pose_core.skeleton import SKELETONS
from pose_core.system import exits
from pose_ros import diagnostics, qos, stage, topics
from pose_ros.conversions import people2d_from_msg, people2d_to_msg, skeleton_from_msg
from pose_ros.domains import private_domain
from pose_ros.stage import Stage, now_ns
from pose_ros.testing import executing, spin_until

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR
JOINTS = len(SKELETONS.get("coco17"))


@dataclass(frozen=True)
class Params(StageParams):
    gain: float = param(1.0, "factor on the pixels", low=0.0, high=10.0, live=True)
    fixed: int = param(3, "a number that stays")
    fail: str = param("", "in which step to fail")
    bug: bool = param(False, "whether the failure is a bug rather than a wrong configuration")


class Echo(Stage[Params]):
    """Scales people in 2D and passes them on."""

    def __init__(self, **node_options):
        self.steps: list[str] = []
        super().__init__("echo", Params, **node_options)

    def step(self, name: str) -> None:
        self.steps.append(name)
        if self.params.fail == name:
            raise (
                RuntimeError("a bug, planted")
                if self.params.bug
                else ValueError("gain must fit the camera, got 7")
            )

    def on_start(self):
        self.output = self.publish_on(msgs.People2D, "echo/people")
        self.input = self.listen(msgs.People2D, topics.PEOPLE2D, self.on_people, needed="people in 2D")
        self.description = self.listen(msgs.Skeleton, topics.SKELETON2D, self.on_skeleton, qos.LATCHED)
        self.serve(SetSubject, "echo/set_subject", self.on_subject)
        self.publish_skeleton("echo/skeleton", "coco17")
        self.skeletons: list[str] = []
        self.step("start")

    def on_run(self):
        self.step("run")

    def on_pause(self):
        self.step("pause")

    def on_stop(self):
        self.step("stop")

    def on_params(self, params):
        if params.gain == 5.0:
            raise ValueError("gain must not be 5")
        self.steps.append(f"gain {params.gain}")

    def on_people(self, msg):
        start = now_ns()
        people = people2d_from_msg(msg)
        if people.frame_id == "bug":
            raise ZeroDivisionError("planted")
        scaled = tuple(replace(person, xy_px=person.xy_px * self.params.gain) for person in people.people)
        times = self.stamped(people.times, start)
        self.output.publish(people2d_to_msg(replace(people, people=scaled, times=times)))

    def on_skeleton(self, msg):
        self.skeletons.append(msg.name)

    def on_subject(self, request, response):
        if request.height < 0.0:
            raise ValueError(f"height must be positive, got {request.height}")
        response.success, response.message = True, request.person_id
        return response


class Peer(Node):
    """The rest of the graph: sends people, keeps what the stage says."""

    def __init__(self, **node_options):
        super().__init__("peer", **node_options)
        self.input = self.create_publisher(msgs.People2D, topics.PEOPLE2D, qos.RESULTS)
        self.people: list[People2D] = []
        self.skeletons: list[msgs.Skeleton] = []
        self.status: list[DiagnosticStatus] = []
        self.create_subscription(msgs.People2D, "echo/people", self.on_people, qos.RESULTS)
        self.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, self.on_diagnostics, 10)

    def on_people(self, msg):
        self.people.append(people2d_from_msg(msg))

    def on_diagnostics(self, msg):
        assert msg.header.stamp.sec > 0
        self.status += msg.status

    def connected(self) -> bool:
        return self.input.get_subscription_count() > 0 and self.count_publishers("echo/people") > 0

    def call(self, executor, kind, name, **fields):
        client = self.create_client(kind, name)
        assert spin_until(executor, client.service_is_ready)
        future = client.call_async(kind.Request(**fields))
        assert spin_until(executor, future.done)
        self.destroy_client(client)
        return future.result()


def people(stamp: int = 1_500_000_000, frame_id: str = "camera") -> People2D:
    person = Person2D("p1", 0.5, np.array([1.0, 2.0, 3.0, 4.0]), np.ones((JOINTS, 2)), np.full(JOINTS, 0.5))
    return People2D(stamp, frame_id, "coco17", 640, 480, (person,), (StageTime("source", 1, 2),))


def overrides(**values) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


def echo(**values) -> Echo:
    return Echo(parameter_overrides=overrides(**values))


def manual(**values) -> Echo:
    return echo(autostart=False, **values)


@pytest.fixture
def graph(ros_context):
    """A connected stage and peer with their executor."""
    node, peer = echo(), Peer()
    with executing(node, peer) as executor:
        assert spin_until(executor, peer.connected)
        yield node, peer, executor


def test_people_pass_through_the_graph(graph):
    node, peer, executor = graph
    before = now_ns()
    peer.input.publish(people2d_to_msg(people()))
    assert spin_until(executor, lambda: peer.people)
    (received,) = peer.people
    assert (received.stamp, received.frame_id, received.skeleton) == (1_500_000_000, "camera", "coco17")
    np.testing.assert_array_equal(received.people[0].xy_px, np.ones((JOINTS, 2)))
    assert received.times[0] == StageTime("source", 1, 2)
    assert received.times[1].stage == "echo"
    assert before <= received.times[1].start <= received.times[1].end <= now_ns()
    assert node.health.frames() == 1


def test_without_stage_times_messages_are_reproducible(ros_context):
    with executing(echo(stage_times=False), Peer()) as executor:
        node, peer = sorted(executor.get_nodes(), key=lambda n: n.get_name())
        assert spin_until(executor, peer.connected)
        peer.input.publish(people2d_to_msg(people()))
        assert spin_until(executor, lambda: peer.people)
        assert peer.people[0].times == ()
        assert node.health.frames() == 1


def test_a_late_joiner_gets_the_skeleton(graph):
    _, peer, executor = graph
    peer.create_subscription(msgs.Skeleton, "echo/skeleton", peer.skeletons.append, qos.LATCHED)
    assert spin_until(executor, lambda: peer.skeletons)
    assert skeleton_from_msg(peer.skeletons[0]) == SKELETONS.get("coco17")


def test_a_namespace_moves_everything(ros_context):
    options = {"namespace": "robot"}
    with executing(Echo(**options), Peer(**options)) as executor:
        node, peer = sorted(executor.get_nodes(), key=lambda n: n.get_name())
        assert spin_until(executor, lambda: peer.connected() and peer.status)
        assert node.health.name == peer.status[0].name == "robot/echo: pipeline"
        assert {name for name, _ in peer.get_topic_names_and_types()} >= {
            "/robot/echo/people",
            "/diagnostics",
        }


# Malformed input and bugs.


def test_a_malformed_message_is_dropped_and_the_next_one_works(graph, capfd, monkeypatch):
    node, peer, executor = graph
    monkeypatch.setattr(stage, "WARN_PERIOD", 10**18)
    broken = people2d_to_msg(people())
    broken.skeleton = "coco18"

    def refused(count: int) -> None:
        for _ in range(count):
            before = sum(node.health.dropped().values())
            peer.input.publish(broken)
            assert spin_until(executor, lambda before=before: sum(node.health.dropped().values()) > before)

    refused(3)
    assert node.health.dropped() == {"malformed message on /pose2d/people": 3}
    peer.input.publish(people2d_to_msg(people()))
    assert spin_until(executor, lambda: peer.people)
    warning = "dropped a message on /pose2d/people: skeleton 'coco18' is unknown here"
    assert capfd.readouterr().err.count(warning) == 1

    monkeypatch.setattr(stage, "WARN_PERIOD", 0)
    refused(2)
    assert capfd.readouterr().err.count(warning) == 2


def test_damage_that_no_message_can_be_read_from_is_malformed(graph):
    node, peer, executor = graph
    peer.input.publish(serialize_message(people2d_to_msg(people()))[:40])
    assert spin_until(executor, node.health.dropped)
    assert node.health.dropped() == {"malformed message on /pose2d/people": 1}


def test_a_bug_in_a_callback_ends_the_executor(graph):
    _, peer, executor = graph
    peer.input.publish(people2d_to_msg(people(frame_id="bug")))
    with pytest.raises(ZeroDivisionError, match="planted"):
        spin_until(executor, lambda: False)


# Lifecycle.


def test_steps_of_a_life(ros_context):
    node = echo()
    assert (node.steps, node.active) == (["start", "run"], True)
    node.destroy_node()
    node.destroy_node()
    assert (node.steps, node.active) == (["start", "run", "pause", "stop"], False)


def test_lifecycle_services_lead_it_through(ros_context):
    node, peer = manual(), Peer()
    with executing(node, peer) as executor:
        states = []
        for transition in (
            Transition.TRANSITION_CONFIGURE,
            Transition.TRANSITION_ACTIVATE,
            Transition.TRANSITION_DEACTIVATE,
            Transition.TRANSITION_CLEANUP,
            Transition.TRANSITION_CONFIGURE,
            Transition.TRANSITION_ACTIVATE,
            Transition.TRANSITION_ACTIVE_SHUTDOWN,
        ):
            assert peer.call(
                executor, ChangeState, "echo/change_state", transition=Transition(id=transition)
            ).success
            states.append(peer.call(executor, GetState, "echo/get_state").current_state.id)
        inactive, active = State.PRIMARY_STATE_INACTIVE, State.PRIMARY_STATE_ACTIVE
        assert states[:4] == [inactive, active, inactive, State.PRIMARY_STATE_UNCONFIGURED]
        assert states[4:] == [inactive, active, State.PRIMARY_STATE_FINALIZED]
    assert node.steps == ["start", "run", "pause", "stop"] * 2


def taken(subscription: Subscription) -> list:
    """Messages that the executor takes from `subscription` from now on, whether they are delivered or not."""
    messages = []
    deliver = subscription.callback

    def take(msg):
        messages.append(msg)
        deliver(msg)

    subscription.callback = take
    return messages


def test_only_an_active_stage_receives_and_publishes(ros_context):
    node, peer = manual(), Peer()
    with executing(node, peer) as executor:
        node.trigger_configure()
        messages = taken(node.input)
        assert spin_until(executor, peer.connected)
        peer.input.publish(people2d_to_msg(people(stamp=1)))
        assert spin_until(executor, lambda: messages)
        node.output.publish(people2d_to_msg(people(stamp=2)))
        node.trigger_activate()
        peer.input.publish(people2d_to_msg(people(stamp=3)))
        assert spin_until(executor, lambda: peer.people)
        node.trigger_deactivate()
        peer.input.publish(people2d_to_msg(people(stamp=4)))
        assert spin_until(executor, lambda: len(messages) == 3)
        node.trigger_activate()
        peer.input.publish(people2d_to_msg(people(stamp=5)))
        assert spin_until(executor, lambda: len(peer.people) == 2)
        assert [received.stamp for received in peer.people] == [3, 5]


def test_a_latched_message_waits_for_activation(ros_context):
    node, peer = manual(), Peer()
    latched = peer.create_publisher(msgs.Skeleton, topics.SKELETON2D, qos.LATCHED)
    with executing(node, peer) as executor:
        node.trigger_configure()
        messages = taken(node.description)
        assert spin_until(executor, latched.get_subscription_count)
        for name in ("first", "last"):
            latched.publish(msgs.Skeleton(name=name))
            assert spin_until(
                executor,
                lambda name=name: messages and deserialize_message(messages[-1], msgs.Skeleton).name == name,
            )
        assert node.skeletons == []
        node.trigger_activate()
        assert node.skeletons == ["last"]
        latched.publish(msgs.Skeleton(name="live"))
        assert spin_until(executor, lambda: node.skeletons == ["last", "live"])


def entities(node: Node) -> tuple[int, ...]:
    """How many publishers, subscriptions, services and timers a node holds."""
    return tuple(
        len(list(kind)) for kind in (node.publishers, node.subscriptions, node.services, node.timers)
    )


def test_cleanup_leaves_nothing_and_configuring_again_works(ros_context):
    node, peer = manual(), Peer()
    with executing(node, peer) as executor:
        bare = entities(node)
        for _ in range(3):
            assert node.trigger_configure() == SUCCESS
            assert node.trigger_activate() == SUCCESS
            assert spin_until(executor, peer.connected)
            peer.people.clear()
            peer.input.publish(people2d_to_msg(people()))
            assert spin_until(executor, lambda: peer.people)
            assert entities(node) == tuple(np.add(bare, (2, 2, 1, 0)))
            assert node.trigger_deactivate() == SUCCESS
            assert node.trigger_cleanup() == SUCCESS
            assert entities(node) == bare
            # What is left of the last configuration would be taken for the next one.
            assert spin_until(
                executor,
                lambda: not (peer.input.get_subscription_count() or peer.count_publishers("echo/people")),
            )


def test_a_bug_in_on_start_is_logged_and_the_state_stays(ros_context, capfd):
    node = manual(fail="start", bug=True)
    bare = entities(node)
    assert node.trigger_configure() == FAILURE
    log = capfd.readouterr().err
    assert "Traceback" in log
    assert "RuntimeError: a bug, planted" in log
    assert entities(node) == bare
    node.params = replace(node.params, fail="")
    assert node.trigger_configure() == SUCCESS
    node.destroy_node()


def test_a_refused_configuration_is_one_sentence(ros_context, capfd):
    node = manual(fail="start")
    assert node.trigger_configure() == FAILURE
    log = capfd.readouterr().err
    assert "gain must fit the camera, got 7" in log
    assert "Traceback" not in log
    node.destroy_node()


def test_a_stage_that_cannot_run_stays_configured_and_silent(ros_context):
    node = manual(fail="run", bug=True)
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == FAILURE
    assert not node.active
    assert not node.output.is_activated
    node.params = replace(node.params, fail="")
    assert node.trigger_activate() == SUCCESS
    assert node.output.is_activated
    node.destroy_node()


@pytest.mark.parametrize("step", ["pause", "stop"])
def test_a_bug_on_the_way_down_ends_unconfigured(ros_context, capfd, step):
    node = manual(fail=step, bug=True)
    bare = entities(node)
    node.trigger_configure()
    node.trigger_activate()
    results = [node.trigger_deactivate()]
    if step == "stop":
        results.append(node.trigger_cleanup())
    assert results[-1] == ERROR
    assert "RuntimeError: a bug, planted" in capfd.readouterr().err
    assert entities(node) == bare
    assert node.trigger_configure() == SUCCESS
    node.params = replace(node.params, fail="")
    node.destroy_node()


@pytest.mark.parametrize(("step", "bug", "kind"), [("start", False, ValueError), ("run", True, RuntimeError)])
def test_autostart_raises_what_went_wrong_and_leaves_no_node(ros_context, step, bug, kind):
    peer = Peer()
    with pytest.raises(kind, match="gain must fit|planted"):
        echo(fail=step, bug=bug)
    with executing(peer) as executor:
        assert spin_until(executor, lambda: "echo" not in peer.get_node_names())


def test_a_thread_may_publish_until_it_is_paused(ros_context):
    class Source(Stage[StageParams]):
        def __init__(self):
            super().__init__("source", StageParams)

        def on_start(self):
            self.output = self.publish_on(msgs.People2D, "echo/people")

        def on_run(self):
            self.stop = threading.Event()
            self.thread = threading.Thread(target=self.work)
            self.thread.start()

        def on_pause(self):
            self.stop.set()
            self.thread.join()

        def work(self):
            while not self.stop.wait(0.001):
                self.output.publish(people2d_to_msg(people()))

    node, peer = Source(), Peer()
    with executing(node, peer) as executor:
        assert spin_until(executor, lambda: len(peer.people) > 20)
    assert not node.thread.is_alive()


# Parameters.


def test_a_misspelt_parameter_names_the_nearest(ros_context):
    with pytest.raises(ValueError, match="unknown parameter 'gian'; did you mean 'gain'?"):
        echo(gian=2.0)


def test_an_integer_for_a_float_at_start_and_live(graph):
    node, peer, executor = graph
    change = Parameter("gain", value=4).to_parameter_msg()
    assert change.value.type == ParameterType.PARAMETER_INTEGER
    (result,) = peer.call(executor, SetParameters, "echo/set_parameters", parameters=[change]).results
    assert result.successful
    assert node.params.gain == 4.0
    (value,) = peer.call(executor, GetParameters, "echo/get_parameters", names=["gain"]).values
    assert (value.type, value.double_value) == (ParameterType.PARAMETER_DOUBLE, 4.0)
    peer.input.publish(people2d_to_msg(people()))
    assert spin_until(executor, lambda: peer.people)
    np.testing.assert_array_equal(peer.people[0].people[0].xy_px, np.full((JOINTS, 2), 4.0))


def test_live_changes(ros_context):
    node = echo(gain=2)
    assert node.params.gain == 2.0
    (good,) = node.set_parameters(overrides(gain=3.0))
    assert good.successful
    assert (node.params.gain, node.steps[-1]) == (3.0, "gain 3.0")
    for name, value, reason in (
        ("gain", 11.0, "out of range"),
        ("gain", float("nan"), "out of range|got nan"),
        ("gain", "loud", "Wrong parameter type"),
        ("gain", 5.0, "gain must not be 5"),
        ("fixed", 4, "read-only"),
    ):
        (result,) = node.set_parameters(overrides(**{name: value}))
        assert not result.successful
        assert re.search(reason, result.reason)
        assert (node.params.gain, node.params.fixed) == (3.0, 3)
        assert node.get_parameter("gain").value == 3.0
    node.destroy_node()


def test_a_stage_that_is_not_configured_takes_live_changes_in_silence(ros_context):
    node = manual()
    (result,) = node.set_parameters(overrides(gain=5.0))
    assert result.successful
    assert (node.params.gain, node.steps) == (5.0, [])
    node.destroy_node()


def test_qos_overrides_are_applied(ros_context, capfd):
    shared = copy.copy(qos.RESULTS)
    node = echo(
        **{
            "qos_overrides./pose2d/people.subscription.reliability": "best_effort",
            "qos_overrides./pose2d/people.subscription.depth": 3,
            "qos_overrides./nowhere.publisher.depth": 3,
        }
    )
    (info,) = node.get_subscriptions_info_by_topic("/pose2d/people")
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    (subscription,) = [s for s in node.subscriptions if s.topic_name == "/pose2d/people"]
    assert subscription.qos_profile.depth == 3
    assert node.output.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert shared == qos.RESULTS
    log = capfd.readouterr().err
    assert "qos_overrides./nowhere.publisher.depth is for a topic that this stage does not use" in log
    node.destroy_node()


# Services and diagnostics.


def test_a_service_answers_and_refuses(graph):
    _, peer, executor = graph
    answer = peer.call(executor, SetSubject, "echo/set_subject", person_id="p1", height=1.8)
    assert (answer.success, answer.message) == (True, "p1")
    answer = peer.call(executor, SetSubject, "echo/set_subject", height=-1.0)
    assert (answer.success, answer.message) == (False, "height must be positive, got -1.0")


def test_diagnostics_are_published_when_nothing_moves(ros_context, monkeypatch):
    monkeypatch.setattr(diagnostics, "SILENCE", 0.05)
    node, peer = echo(diagnostics_period=0.1), Peer()
    with executing(node, peer) as executor:
        assert spin_until(
            executor, lambda: any(status.level == DiagnosticStatus.WARN for status in peer.status)
        )
        status = peer.status[-1]
        assert (status.name, status.hardware_id) == ("echo: pipeline", socket.gethostname())
        assert status.message.startswith(
            "waits for people in 2D on /pose2d/people, none for 0 s; somebody publishes"
        )
        shown = {item.key: item.value for item in status.values}
        assert (shown["state"], shown["frames"], shown["dropped"]) == ("active", "0", "0")
        node.trigger_deactivate()
        peer.status.clear()
        assert spin_until(executor, lambda: peer.status)
        assert (peer.status[-1].level, peer.status[-1].message) == (DiagnosticStatus.OK, "inactive")


def test_diagnostics_come_while_a_message_is_in_work_and_nobody_spins_the_stage(ros_context):
    node, peer = Slow(overrides(diagnostics_period=0.1)), Peer()
    try:
        with executing(peer) as executor:
            node.begin(1)
            count = len(peer.status)
            assert spin_until(executor, lambda: len(peer.status) > count + 3)
            assert not node.reports
            node.go_on.release()
            assert spin_until(executor, lambda: node.reports)
    finally:
        node.go_on.release()
        node.destroy_node()


# Work in a thread of its own.


class Slow(Stage[Params]):
    """Works on a message for as long as the test likes."""

    def __init__(self, parameters=()):
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.working = False
        self.seen: list[int] = []
        self.asked: list[tuple[str, bool]] = []
        self.reports = 0
        super().__init__("slow", Params, parameter_overrides=list(parameters))

    def on_start(self):
        self.output = self.publish_on(msgs.People2D, "echo/people")
        self.listen(msgs.People2D, topics.PEOPLE2D, self.on_people)
        self.serve(SetSubject, "slow/set_subject", self.on_subject)

    def begin(self, stamp):
        """Work on a message that came, and return when that has begun."""
        self.hand_over(self.on_people, people2d_to_msg(people(stamp=stamp)), topics.PEOPLE2D)
        assert self.begun.acquire(timeout=20.0)

    def on_people(self, msg):
        self.working = True
        self.begun.release()
        assert self.go_on.acquire(timeout=20.0)
        received = people2d_from_msg(msg)
        self.seen.append(received.stamp)
        self.output.publish(people2d_to_msg(received))
        self.working = False

    def on_subject(self, request, response):
        self.asked.append((request.person_id, self.working))
        response.success = True
        return response

    def on_params(self, params):
        self.asked.append((f"gain {params.gain}", self.working))

    def on_report(self):
        assert not self.working
        self.reports += 1


def connected_slow(executor, node, peer):
    return spin_until(executor, lambda: peer.connected() and node.count_publishers(topics.PEOPLE2D))


def test_a_slow_stage_works_on_the_newest_message_next_and_counts_what_it_skips(ros_context):
    node, peer = Slow(), Peer()
    with executing(node, peer) as executor:
        assert connected_slow(executor, node, peer)
        peer.input.publish(people2d_to_msg(people(stamp=1)))
        assert spin_until(executor, lambda: node.working)
        for stamp in range(2, 8):
            peer.input.publish(people2d_to_msg(people(stamp=stamp)))
        assert spin_until(executor, lambda: node.health.skipped() == 5)
        node.go_on.release()
        node.go_on.release()
        assert spin_until(executor, lambda: len(peer.people) == 2)
        assert [received.stamp for received in peer.people] == node.seen == [1, 7]
        assert node.health.dropped() == {}


def test_a_lossless_stage_works_on_every_message_in_order(ros_context):
    node, peer = Slow(overrides(lossless=True)), Peer()
    count = 3 * stage.WAITING

    def let_go():
        for _ in range(count):
            assert node.begun.acquire(timeout=20.0)
            node.go_on.release()

    with executing(node, peer) as executor:
        assert connected_slow(executor, node, peer)
        peer.input.publish(people2d_to_msg(people(stamp=1)))
        assert spin_until(executor, lambda: node.working)
        for stamp in range(2, count + 1):
            peer.input.publish(people2d_to_msg(people(stamp=stamp)))
        letting = threading.Thread(target=let_go)
        letting.start()
        assert spin_until(executor, lambda: len(node.seen) == count)
        letting.join()
        assert node.seen == list(range(1, count + 1))
        assert node.health.skipped() == 0


def test_services_and_live_parameters_have_their_turn_between_two_messages(ros_context):
    node, peer = Slow(overrides(lossless=True)), Peer()
    with executing(node, peer) as executor:
        node.begin(1)
        node.hand_over(node.on_people, people2d_to_msg(people(stamp=2)), topics.PEOPLE2D)

        def let_go():
            while not node._Stage__worker._guests:  # the executor waits for its turn
                pass
            node.go_on.release()

        letting = threading.Thread(target=let_go)
        letting.start()
        assert node.set_parameters(overrides(gain=2.0))[0].successful
        letting.join()
        assert node.asked == [("gain 2.0", False)]
        assert node.seen == [1]
        assert node.begun.acquire(timeout=20.0)  # the second message is in work before the service is asked
        letting = threading.Thread(target=let_go)
        letting.start()
        assert peer.call(executor, SetSubject, "slow/set_subject", person_id="p1").success
        letting.join()
        assert node.asked[1:] == [("p1", False)]
        assert node.seen == [1, 2]


def test_what_waits_when_a_stage_is_paused_is_forgotten(ros_context):
    node, peer = Slow(), Peer()
    with executing(node, peer) as executor:
        assert connected_slow(executor, node, peer)
        node.begin(1)
        node.hand_over(node.on_people, people2d_to_msg(people(stamp=2)), topics.PEOPLE2D)
        node.go_on.release()
        node.go_on.release()
        node.trigger_deactivate()
        assert node.seen in ([1], [1, 2])
        seen = list(node.seen)
        node.hand_over(node.on_people, people2d_to_msg(people(stamp=3)), topics.PEOPLE2D)
        node.trigger_activate()
        node.begin(4)
        node.go_on.release()
        assert spin_until(executor, lambda: len(node.seen) > len(seen))
        assert node.seen == [*seen, 4]


def test_work_that_does_not_end_is_said_when_the_stage_is_paused(ros_context, monkeypatch, capfd):
    monkeypatch.setattr(stage, "STOP_PATIENCE", 0.01)
    node = Slow()
    node.begin(1)
    assert node.trigger_deactivate() == ERROR
    assert "the message in work did not end within 0.01 s; start the node anew" in capfd.readouterr().err
    node.go_on.release()
    node.destroy_node()


# The process.

PROGRAM = """
from pose_core.config import StageParams
from pose_ros import stage, topics
from pose_msgs import msg as msgs

class Small(stage.Stage[StageParams]):
    def __init__(self):
        super().__init__("small", StageParams)
    def on_start(self):
        {start}
        self.output = self.publish_on(msgs.People2D, topics.PEOPLE2D)
    def on_run(self):
        print("running", flush=True)
        {run}
    def on_stop(self):
        self.output.publish(msgs.People2D())  # ROS is still up
        print("stopped", flush=True)

stage.run(Small)
"""


def program(*arguments: str, start: str = "pass", run: str = "pass") -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(start=start, run=run), "--ros-args", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def _own_graph(monkeypatch):
    with private_domain() as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        yield


@pytest.mark.usefixtures("_own_graph")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_in_order(number):
    with program() as process:
        assert process.stdout.readline() == "running\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("stopped\n", "", 0)


@pytest.mark.usefixtures("_own_graph")
@pytest.mark.parametrize(
    ("arguments", "start", "sentence"),
    [
        (
            ["-p", "autostrat:=true"],
            "pass",
            "cannot start: unknown parameter 'autostrat'; did you mean 'autostart'?",
        ),
        ([], "raise ValueError('no camera 3; plug it in')", "cannot start: no camera 3; plug it in"),
        (["--params-file", "nowhere.yaml"], "pass", "cannot start, wrong ROS arguments: "),
    ],
)
def test_what_cannot_start_says_why_in_a_sentence(arguments, start, sentence):
    with program(*arguments, start=start) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == exits.WRONG_CONFIGURATION
    assert sentence in err
    assert "Traceback" not in err
    assert "running" not in out


@pytest.mark.usefixtures("_own_graph")
def test_what_may_be_there_later_ends_it_with_the_code_of_a_failure():
    start = "from pose_core.system.exits import Unavailable; raise Unavailable('camera 3 gives no image')"
    with program(start=start) as process:
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (exits.FAILED, "cannot start: camera 3 gives no image\n")


@pytest.mark.usefixtures("_own_graph")
def test_a_bug_ends_the_process_with_its_traceback():
    with program(run="self.create_timer(0.01, lambda: 1 / 0)") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "ZeroDivisionError" in err
    assert out == "running\nstopped\n"


def test_what_is_no_longer_listened_to_is_unsubscribed_and_cleanup_still_works(ros_context):
    stage = Echo()
    topic = stage.input.topic_name
    stage.unlisten(stage.input)
    assert topic not in [subscription.topic_name for subscription in stage.subscriptions]
    stage.trigger_deactivate()
    stage.trigger_cleanup()
    assert not list(stage.subscriptions)
    stage.destroy_node()
