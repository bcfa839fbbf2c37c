"""The base class of all stages: lifecycle, parameters, topics, timing and diagnostics.

class EchoNode(Stage[Params]):
    def __init__(self, **node_options):
        super().__init__("echo", Params, **node_options)

    def on_start(self):
        self.output = self.publish_on(msgs.People2D, "echo/people")
        self.listen(msgs.People2D, topics.PEOPLE2D, self.on_people)

    def on_people(self, msg):
        start = now_ns()
        people = people2d_from_msg(msg)
        ...
        self.output.publish(people2d_to_msg(replace(people, times=self.stamped(people.times, start))))

def main():
    run(EchoNode)
"""

from __future__ import annotations

import copy
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Generic, NoReturn, TypeVar

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from pose_msgs import msg as msgs
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, ROSClock
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.service import Service
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription

from pose_core.config import StageParams, parameters_of, text_of
from pose_core.people import StageTime
from pose_core.skeleton import SKELETONS
from pose_core.statements import RunStatement
from pose_core.statements.keeping import Keeper, Statement
from pose_core.system import exits
from pose_core.system.inbox import Worker
from pose_core.system.signals import Signals
from pose_core.system.threads import one_blas_thread
from pose_core.units import NS_PER_S
from pose_ros import parameters, qos, topics
from pose_ros.conversions import MalformedMessage, run_to_msg, skeleton_to_msg
from pose_ros.diagnostics import Health, status_name
from pose_ros.signals import spin

P = TypeVar("P", bound=StageParams)

WARN_PERIOD = NS_PER_S
"""Nanoseconds between two warnings about malformed messages of one topic."""

WATCH_PERIOD = 0.2
"""Seconds between two looks at whether a thread of the stage has failed."""

STOP_PATIENCE = 5.0
"""Seconds that the message in work may take when the stage is paused."""

WAITING = 10
"""Messages of a topic that wait for a lossless stage before its executor waits with them."""

_ANY_STATE = LifecycleState(label="", state_id=0)
"""Publishers do not look at the state that their switching on and off comes with."""


def now_ns() -> int:
    """System time in ns, for measuring what the machine did; no algorithm may use it."""
    return time.time_ns()


class Stage(LifecycleNode, Generic[P]):
    """A lifecycle node whose subclass only says what to do (`on_*`) and with which topics.

    With `autostart` the constructor configures and activates, and raises what `on_start` or `on_run` raised
    (so set attributes in `on_start`, not after `super().__init__`). Without it lifecycle commands do: where
    `on_start` or `on_run` fails, that is logged and the state stays; where `on_pause` or `on_stop` fails, the
    stage ends up unconfigured. Cleanup destroys what `publish_on`, `listen`, `serve` and `publish_skeleton`
    made; `on_stop` destroys what `on_start` made in another way.

    While the stage is active, one thread of its own works on what comes: on the newest message of each topic, where those that
    came before it are skipped and counted, or with `lossless` on all of them in order, while the executor waits with what
    does not fit. Services and live parameters have their turn between two messages, in the executor. What work raises is
    raised again by the executor. A further thread publishes diagnostics, so that they are on time whatever the others do.
    """

    # Private names are mangled (two underscores), so that a subclass cannot meet them by accident.

    params: P
    """Checked values, replaced as a whole when a live parameter changes."""

    health: Health
    """What diagnostics say of this stage."""

    run_statement: RunStatement
    """What `publish_run` published last."""

    def __init__(self, name: str, params: type[P], **node_options: Any) -> None:
        """`params`: the stage's dataclass. Raises ValueError for parameters that it does not allow."""
        super().__init__(name, **node_options)
        self.health = Health(status_name(self.get_fully_qualified_name()), socket.gethostname())
        self.__name = self.get_name()
        self.__steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.__configured = self.__running = self.__destroyed = self.__autostarting = False
        self.__failure: Exception = RuntimeError(f"{self.__name} cannot change its lifecycle state")
        self.__made = ExitStack()
        self.__worker: Worker | None = None
        self.__broken: BaseException | None = None
        self.__received = 0
        self.__ending = threading.Event()
        self.__reporter = threading.Thread(
            target=self.__report, name=f"{self.__name}-diagnostics", daemon=True
        )
        self.__kinds: dict[str, type] = {}
        self.__held: dict[str, Callable[[], None]] = {}
        self.__publish_run: Callable[[], None] = _nothing
        self.__warned: dict[str, int] = {}
        try:
            self.params = parameters.declare(self, params)
            self.add_pre_set_parameters_callback(lambda changes: parameters.with_kinds(params, changes))
            self.add_on_set_parameters_callback(self.__on_set_parameters)
            self.__diagnostics = self.create_publisher(
                DiagnosticArray, topics.DIAGNOSTICS, 10, qos_overriding_options=qos.overridable()
            )
            # A timer, as not every executor takes guard conditions.
            self.create_timer(WATCH_PERIOD, self.__raise_broken, clock=self.__steady)
            self.__reporter.start()
            if self.params.autostart:
                self.__autostart()
        except BaseException:
            self.destroy_node()
            raise

    # What a stage says.

    def on_start(self) -> None:
        """Configure: build objects, publishers, subscriptions. ValueError refuses the configuration."""

    def on_run(self) -> None:
        """Activate: from now on input is delivered and output published."""

    def on_pause(self) -> None:
        """Deactivate: threads that publish end here. Output is still published."""

    def on_stop(self) -> None:
        """Clean up: drop what `on_start` built."""

    def on_params(self, params: P) -> None:
        """Live parameters changed while configured. ValueError, raised before any change, refuses them."""

    def on_report(self) -> None:
        """Note what diagnostics are to say. Called between two messages, in the thread of diagnostics."""

    # What a stage uses.

    def publish_on(self, kind: type, topic: str, qos_profile: QoSProfile = qos.RESULTS) -> Publisher:
        """Publisher that is silent unless the stage is active. `publish` may be called from any thread."""
        publisher: LifecyclePublisher[Any] = self.create_lifecycle_publisher(
            kind, topic, copy.copy(qos_profile), qos_overriding_options=qos.overridable()
        )
        self.__made.callback(self.destroy_lifecycle_publisher, publisher)
        if self.__running:
            publisher.on_activate(_ANY_STATE)
        return publisher

    def listen(
        self,
        kind: type,
        topic: str,
        callback: Callable[[Any], None],
        qos_profile: QoSProfile = qos.RESULTS,
        *,
        needed: str = "",
        at_once: bool = False,
        arrived: Callable[[bytes], None] | None = None,
    ) -> Subscription:
        """Subscription that delivers while the stage is active, to the thread that works.

        What arrives earlier is dropped, but the last message of a latched topic waits for activation: it
        would not come again. MalformedMessage raised by `callback` drops the message; anything else ends the
        node. `needed`: what the messages are (`images`), where the stage can do nothing without; diagnostics say so when none
        come. `at_once`: `callback` is called for every message, in the executor, to put together what belongs together and
        `hand_over` it; it takes next to no time. `arrived`, unless `at_once`, is called in the executor for every message,
        serialized, those that are skipped included.
        """
        profile = qos.lossless(qos_profile) if self.params.lossless else copy.copy(qos_profile)
        resolved = self.resolve_topic_name(topic)

        def receive(msg: Any) -> None:
            if not self.__running:
                if latched:
                    self.__held[resolved] = lambda: self.__do(deliver, msg, resolved)
                return
            self.health.heard(resolved)
            if at_once:
                self.__do(callback, msg, resolved)
            else:
                if arrived is not None:
                    self.__do(arrived, msg, resolved)
                self.hand_over(deliver, msg, resolved)

        def deliver(msg: bytes) -> None:
            callback(_parsed(msg, kind))

        # Serialized: what is skipped need not be read, and images of a camera's rate would keep the executor busy.
        subscription = self.create_subscription(
            kind, topic, receive, profile, qos_overriding_options=qos.overridable(), raw=not at_once
        )
        self.__made.callback(self.destroy_subscription, subscription)
        latched = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        if needed:
            self.__kinds[resolved] = kind
            self.health.needs(resolved, needed)
            self.__made.callback(self.health.needs_no_more, resolved)
        return subscription

    def hand_over(self, work: Callable[[Any], None], item: Any, topic: str) -> None:
        """Let the thread that works call `work(item)`. It takes the place of what came by `topic` before and still waits, unless
        the stage is lossless. MalformedMessage counts as one of `topic`.
        """
        received, resolved = now_ns(), self.resolve_topic_name(topic)

        def begin() -> None:
            self.__received = received
            self.__do(work, item, resolved)

        if self.__worker is not None:
            self.__worker.bring(begin, resolved)

    @property
    def received_ns(self) -> int:
        """System time at which the message in work was received."""
        return self.__received

    def fail(self, error: BaseException) -> None:
        """A thread of the stage's own has failed: the executor raises `error`."""
        self.__broken = error

    def unlisten(self, subscription: Subscription) -> None:
        """End what `listen` began, before cleanup would."""
        self.health.needs_no_more(subscription.topic_name)
        self.destroy_subscription(subscription)

    def serve(self, kind: type, name: str, callback: Callable[[Any, Any], Any]) -> Service:
        """Service while configured, of a type whose response has `success` and `message`.

        ValueError raised by `callback(request, response)` becomes the answer: no success, and the sentence.
        """

        def answer(request: Any, response: Any) -> Any:
            try:
                with self.__between_messages():
                    return callback(request, response)
            except ValueError as error:
                response.success, response.message = False, str(error)
                return response

        service = self.create_service(kind, name, answer)
        self.__made.callback(self.destroy_service, service)
        return service

    def publish_skeleton(self, topic: str, name: str) -> None:
        """Publish the skeleton called `name`, latched. It may be called before the stage is active."""
        publisher = self.create_publisher(
            msgs.Skeleton, topic, copy.copy(qos.LATCHED), qos_overriding_options=qos.overridable()
        )
        self.__made.callback(self.destroy_publisher, publisher)
        publisher.publish(skeleton_to_msg(SKELETONS.get(name)))

    def publish_run(self, topic: str, software: Callable[[], Mapping[str, str]], token: str = "") -> None:
        """Publish what this run is made of and all its parameters, latched, now and whenever a live parameter changes.

        `software`: versions by name, asked for each time. `token`: behind every id of the run. It may be called before the
        stage is active.
        """
        publisher = self.create_publisher(
            msgs.Run, topic, copy.copy(qos.LATCHED), qos_overriding_options=qos.overridable()
        )
        self.__made.callback(self.destroy_publisher, publisher)

        def publish() -> None:
            values = {name: text_of(getattr(self.params, name)) for name in parameters_of(type(self.params))}
            self.run_statement = RunStatement(self.__name, token, dict(software()), values)
            publisher.publish(run_to_msg(self.run_statement))

        self.__publish_run = publish
        publish()

    def share(self, kind: type, topic: str, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """Listen on a latched topic on which others say the same again; returns what publishes on it.

        `callback` is called with every message, its own among them, between two messages of work, also while the stage is not
        active. Raises as `listen` says.
        """
        publisher: Publisher = self.create_publisher(
            kind, topic, copy.copy(qos.LATCHED), qos_overriding_options=qos.overridable()
        )
        self.__made.callback(self.destroy_publisher, publisher)
        resolved = self.resolve_topic_name(topic)

        def receive(msg: Any) -> None:
            with self.__between_messages():
                self.__do(callback, msg, resolved)

        subscription = self.create_subscription(
            kind, topic, receive, copy.copy(qos.SHARED), qos_overriding_options=qos.overridable()
        )
        self.__made.callback(self.destroy_subscription, subscription)
        return publisher.publish

    def keep(self, kind: type, topic: str, read: Callable[[Any], Statement[Any]]) -> None:
        """Say again what the author of a latched topic states, so that it can take it over when it starts again."""
        keeper: Keeper[Any] = Keeper()

        def hear(msg: Any) -> None:
            if keeper.hear(read(msg)):
                publish(msg)

        publish = self.share(kind, topic, hear)

    def stamped(self, times: tuple[StageTime, ...], start_ns: int) -> tuple[StageTime, ...]:
        """`times` and this stage's work from `start_ns` until now; empty where `stage_times` is false.

        Call it once per image: it also counts the image in diagnostics.
        """
        end_ns = now_ns()
        self.health.frame(start_ns, end_ns, times[0].start if times else None)
        return (*times, StageTime(self.__name, start_ns, end_ns)) if self.params.stage_times else ()

    @property
    def active(self) -> bool:
        """Whether input is delivered and output published."""
        return self.__running

    def destroy_node(self) -> None:
        """Pause, stop and destroy; nothing where that is done already."""
        if self.__destroyed:
            return
        self.__destroyed = True
        try:
            self.__wind_down()
        finally:
            self.__ending.set()
            if self.__reporter.ident is not None:
                self.__reporter.join(STOP_PATIENCE)
            super().destroy_node()
            # rclpy forgets this one, which keeps the node on the graph for as long as Python keeps the object.
            self._state_machine.destroy_when_not_in_use()

    # Lifecycle. rclpy calls these, and swallows what they raise.

    def on_configure(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle transition: see `on_start`."""
        return self.__attempt(self.__enter_inactive, TransitionCallbackReturn.FAILURE)

    def on_activate(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle transition: see `on_run`."""
        return self.__attempt(self.__enter_active, TransitionCallbackReturn.FAILURE)

    def on_deactivate(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle transition: see `on_pause`."""
        return self.__attempt(self.__leave_active, TransitionCallbackReturn.ERROR)

    def on_cleanup(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle transition: see `on_stop`."""
        return self.__attempt(self.__leave_inactive, TransitionCallbackReturn.ERROR)

    def on_shutdown(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle transition: `on_pause` and `on_stop` as far as they are due."""
        return self.__attempt(self.__wind_down, TransitionCallbackReturn.ERROR)

    def on_error(self, _state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle transition after ERROR: back to unconfigured, or finalized where that fails too."""
        return self.__attempt(self.__wind_down, TransitionCallbackReturn.FAILURE)

    def __attempt(
        self, step: Callable[[], None], otherwise: TransitionCallbackReturn
    ) -> TransitionCallbackReturn:
        try:
            step()
        except Exception as error:  # noqa: BLE001 (whatever it is, it must reach the log)
            self.__failure = error
            if not self.__autostarting:
                refused = isinstance(error, ValueError)
                self.get_logger().error(str(error) if refused else traceback.format_exc())
            return otherwise
        return TransitionCallbackReturn.SUCCESS

    def __autostart(self) -> None:
        self.__autostarting = True
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                raise self.__failure
        self.__autostarting = False

    def __enter_inactive(self) -> None:
        try:
            self.on_start()
        except BaseException:
            self.__release()
            raise
        self.__configured = True
        for name in parameters.unused(self):
            self.get_logger().warning(f"{name} is for a topic that this stage does not use")

    def __enter_active(self) -> None:
        super().on_activate(_ANY_STATE)
        try:
            self.on_run()
        except BaseException:
            super().on_deactivate(_ANY_STATE)
            raise
        held, self.__held = self.__held, {}
        self.__running = True
        try:
            for deliver in held.values():
                deliver()
        except BaseException:
            self.__leave_active()
            raise
        lossless = self.params.lossless
        self.__worker = Worker(
            f"{self.__name}-work",
            length=WAITING if lossless else 1,
            newest=not lossless,
            on_skip=self.health.skip,
        )

    def __leave_active(self) -> None:
        self.__running = False
        try:
            self.__end_work()
        finally:
            try:
                self.on_pause()
            finally:
                super().on_deactivate(_ANY_STATE)

    def __end_work(self) -> None:
        worker, self.__worker = self.__worker, None
        if worker is None:
            return
        ended = worker.close(STOP_PATIENCE)
        with worker.held(STOP_PATIENCE) as held:  # whoever looks at the stage between two messages has gone
            if not (ended and held):
                raise RuntimeError(
                    f"the message in work did not end within {STOP_PATIENCE:g} s; start the node anew"
                )

    def __leave_inactive(self) -> None:
        self.__configured = False
        try:
            self.on_stop()
        finally:
            self.__release()

    def __wind_down(self) -> None:
        try:
            if self.__running:
                self.__leave_active()
        finally:
            if self.__configured:
                self.__leave_inactive()

    def __release(self) -> None:
        self.__publish_run = _nothing
        self.__made.close()
        self.__held.clear()

    # Parameters, malformed input, diagnostics.

    def __on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        before = self.params
        try:
            self.params = parameters.changed(before, changes)
            if self.__configured and self.params != before:
                with self.__between_messages():
                    self.on_params(self.params)
                self.__publish_run()
        except ValueError as error:
            self.params = before
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def __drop(self, topic: str, error: MalformedMessage) -> None:
        self.health.drop(f"malformed message on {topic}")
        now = self.__steady.now().nanoseconds
        if topic not in self.__warned or now - self.__warned[topic] >= WARN_PERIOD:
            self.__warned[topic] = now
            self.get_logger().warning(f"dropped a message on {topic}: {error}")

    def __do(self, work: Callable[[Any], None], item: Any, topic: str) -> None:
        try:
            work(item)
        except MalformedMessage as error:
            self.__drop(topic, error)

    def __between_messages(self) -> AbstractContextManager[Any]:
        worker = self.__worker
        return nullcontext() if worker is None else worker.held()

    def __raise_broken(self) -> None:
        worker = self.__worker
        error = self.__broken or (worker.failure if worker is not None else None)
        if error is not None:
            raise error

    def __report(self) -> None:
        """The thread of diagnostics."""
        waits_for: dict[str, str] = {}
        while not self.__ending.wait(self.params.diagnostics_period):
            try:
                self.__note()
                waits_for = self.__publish_diagnostics(waits_for)
            except Exception as error:  # noqa: BLE001 - a thread's boundary: the executor raises it again
                if self.context.ok():
                    self.fail(error)
                return

    def __note(self) -> None:
        worker = self.__worker
        if worker is None:
            return
        with worker.held(0.5 * self.params.diagnostics_period) as held:
            if held and worker is self.__worker:
                self.on_report()

    def __why_silent(self, topic: str) -> str:
        kind = self.__kinds.get(topic)
        return "" if kind is None else qos.why_silent(self, topic, kind)

    def __publish_diagnostics(self, waited_for: dict[str, str]) -> dict[str, str]:
        state = "active" if self.__running else "inactive" if self.__configured else "unconfigured"
        clock = self.get_clock()
        simulated = isinstance(clock, ROSClock) and clock.ros_time_is_active
        aged = not (self.params.lossless or simulated)
        status = self.health.report(
            self.__steady.now().nanoseconds,
            state,
            self.__running,
            self.__why_silent,
            self.params.max_age if aged else 0.0,
        )
        msg = DiagnosticArray(status=[status])
        msg.header.stamp = clock.now().to_msg()
        self.__diagnostics.publish(msg)
        waits_for = self.health.waits_for()
        for topic, sentence in waits_for.items():
            if topic not in waited_for:
                self.get_logger().warning(sentence)
        return waits_for


def _nothing() -> None:
    pass


def _parsed(msg: bytes, kind: type) -> Any:
    try:
        return deserialize_message(msg, kind)
    except RuntimeError as error:  # RMWError, which rclpy does not export
        raise MalformedMessage(f"it is no {kind.__name__}") from error


def run(stage_class: Callable[[], Stage[Any]]) -> None:
    """`main` of a stage: works until Ctrl-C or SIGTERM.

    Where it cannot start it says so in a sentence and exits with a code of `pose_core.system.exits`.
    """
    with Signals() as signals:
        _init()
        try:
            stage = _construct(stage_class)
            one_blas_thread()
            executor = EventsExecutor()  # the best under load of `pose bench` (docs/performance.md)
            executor.add_node(stage)
            try:
                spin(executor, signals)
            finally:
                executor.shutdown()
                stage.destroy_node()
        finally:
            rclpy.try_shutdown()


def _init() -> None:
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # of rcl: an unreadable parameter file, a wrong ROS argument
        _end(f"cannot start, wrong ROS arguments: {error}", exits.WRONG_CONFIGURATION)


def _construct(stage_class: Callable[[], Stage[Any]]) -> Stage[Any]:
    try:
        return stage_class()
    except ValueError as error:
        _end(f"cannot start: {error}", exits.code_of(exits.refused(error)))


def _end(sentence: str, code: int) -> NoReturn:
    print(sentence, file=sys.stderr, flush=True)
    sys.exit(code)
