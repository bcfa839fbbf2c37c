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
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Generic, NoReturn, TypeVar

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from pose_msgs import msg as msgs
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.service import Service
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription

from pose_core.config import StageParams
from pose_core.people import StageTime
from pose_core.skeleton import SKELETONS
from pose_core.system import exits
from pose_core.system.signals import Signals
from pose_core.system.threads import one_blas_thread
from pose_core.units import NS_PER_S
from pose_ros import parameters, qos, topics
from pose_ros.conversions import MalformedMessage, skeleton_to_msg
from pose_ros.diagnostics import Health
from pose_ros.signals import spin

P = TypeVar("P", bound=StageParams)

WARN_PERIOD = NS_PER_S
"""Nanoseconds between two warnings about malformed messages of one topic."""

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
    """

    # Private names are mangled (two underscores), so that a subclass cannot meet them by accident.

    params: P
    """Checked values, replaced as a whole when a live parameter changes."""

    health: Health
    """What diagnostics say of this stage."""

    def __init__(self, name: str, params: type[P], **node_options: Any) -> None:
        """`params`: the stage's dataclass. Raises ValueError for parameters that it does not allow."""
        super().__init__(name, **node_options)
        self.health = Health(self.get_fully_qualified_name())
        self.__name = self.get_name()
        self.__steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.__configured = self.__running = self.__destroyed = self.__autostarting = False
        self.__failure: Exception = RuntimeError(f"{self.__name} cannot change its lifecycle state")
        self.__made = ExitStack()
        self.__inputs: list[str] = []
        self.__held: dict[str, Callable[[], None]] = {}
        self.__warned: dict[str, int] = {}
        try:
            self.params = parameters.declare(self, params)
            self.add_pre_set_parameters_callback(lambda changes: parameters.with_kinds(params, changes))
            self.add_on_set_parameters_callback(self.__on_set_parameters)
            self.__diagnostics = self.create_publisher(
                DiagnosticArray, topics.DIAGNOSTICS, 10, qos_overriding_options=qos.overridable()
            )
            self.create_timer(self.params.diagnostics_period, self.__publish_diagnostics, clock=self.__steady)
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
        self, kind: type, topic: str, callback: Callable[[Any], None], qos_profile: QoSProfile = qos.RESULTS
    ) -> Subscription:
        """Subscription that delivers while the stage is active.

        What arrives earlier is dropped, but the last message of a latched topic waits for activation: it
        would not come again. MalformedMessage raised by `callback` drops the message; anything else ends the
        node.
        """
        profile = copy.copy(qos_profile)
        resolved = self.resolve_topic_name(topic)

        def deliver(msg: Any) -> None:
            if not self.__running:
                if latched:
                    self.__held[resolved] = lambda: deliver(msg)
                return
            self.health.heard()
            try:
                callback(msg)
            except MalformedMessage as error:
                self.__drop(resolved, error)

        subscription = self.create_subscription(
            kind, topic, deliver, profile, qos_overriding_options=qos.overridable()
        )
        self.__made.callback(self.destroy_subscription, subscription)
        latched = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        if not latched:
            self.__inputs.append(resolved)
        return subscription

    def unlisten(self, subscription: Subscription) -> None:
        """End what `listen` began, before cleanup would."""
        if subscription.topic_name in self.__inputs:
            self.__inputs.remove(subscription.topic_name)
        self.destroy_subscription(subscription)

    def serve(self, kind: type, name: str, callback: Callable[[Any, Any], Any]) -> Service:
        """Service while configured, of a type whose response has `success` and `message`.

        ValueError raised by `callback(request, response)` becomes the answer: no success, and the sentence.
        """

        def answer(request: Any, response: Any) -> Any:
            try:
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
        self.__running = True
        held, self.__held = self.__held, {}
        try:
            for deliver in held.values():
                deliver()
        except BaseException:
            self.__leave_active()
            raise

    def __leave_active(self) -> None:
        self.__running = False
        try:
            self.on_pause()
        finally:
            super().on_deactivate(_ANY_STATE)

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
        self.__made.close()
        self.__inputs.clear()
        self.__held.clear()

    # Parameters, malformed input, diagnostics.

    def __on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        before = self.params
        try:
            self.params = parameters.changed(before, changes)
            if self.__configured and self.params != before:
                self.on_params(self.params)
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

    def __publish_diagnostics(self) -> None:
        state = "active" if self.__running else "inactive" if self.__configured else "unconfigured"
        now = self.__steady.now().nanoseconds
        msg = DiagnosticArray(status=[self.health.report(now, state, self.__running, self.__inputs)])
        msg.header.stamp = self.get_clock().now().to_msg()
        self.__diagnostics.publish(msg)


def run(stage_class: Callable[[], Stage[Any]]) -> None:
    """`main` of a stage: works until Ctrl-C or SIGTERM.

    Where it cannot start it says so in a sentence and exits with a code of `pose_core.system.exits`.
    """
    with Signals() as signals:
        _init()
        try:
            stage = _construct(stage_class)
            one_blas_thread()
            executor = SingleThreadedExecutor()
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
