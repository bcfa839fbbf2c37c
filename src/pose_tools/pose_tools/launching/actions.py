"""Actions of ROS 2's launch that both launch files are made of. Only an installed ROS 2 has `launch_ros`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import launch.logging
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.substitutions import PathJoinSubstitution, TextSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.substitutions import FindPackageShare

from pose_core.config import Value
from pose_core.system.exits import FAILED, code_of, refusing
from pose_tools.launching.given import Given
from pose_tools.launching.restarts import Restarts
from pose_tools.middleware import PROFILE, helps, variable
from pose_tools.parameters.launching import arguments_of, expect_known

SHARE = FindPackageShare("pose_pipeline")

PATIENCE_S = "60"
"""Seconds after Ctrl-C until a process of `pose` is told again to end, which a recorder takes for: leave the bag as it is."""

POLL_S = 0.1
"""How often a launch that ends looks whether its processes have ended."""

Actions = list[Action]
Make = Callable[..., Action]


class EndWith(Action):
    """Lets a launch that shuts down exit with a code, when the processes that it started have ended.

    Launch itself exits with 0, whatever its processes did, or with 1 after an exception.
    """

    def __init__(self, code: int, running: set[int]) -> None:
        """`running`: process ids, kept up to date by others."""
        super().__init__()
        self.code = code
        self._running = running

    def execute(self, context: LaunchContext) -> None:
        """Begin to wait."""
        self._context = context
        self._ended: asyncio.Future[None] = context.asyncio_loop.create_future()
        self._look()

    def _look(self) -> None:
        if self._context.is_shutdown and not self._running:
            self._ended.set_exception(SystemExit(self.code))
        else:
            self._context.asyncio_loop.call_later(POLL_S, self._look)

    def get_asyncio_future(self) -> asyncio.Future[None]:
        """What the launch waits for."""
        return self._ended


class Launch:
    """The processes of one launch: kept alive, or required; and how it ends."""

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._code: int | None = None

    def watch(self) -> Actions:
        """To be executed before any process starts."""
        return [
            RegisterEventHandler(OnProcessStart(on_start=lambda event, _: self._running.add(event.pid))),
            RegisterEventHandler(OnProcessExit(on_exit=lambda event, _: self._running.discard(event.pid))),
        ]

    def end(self, sentence: str, code: int) -> Actions:
        """Actions that end the launch with this code: the first that anybody gives, but for a failure after a success."""
        if self._code:
            return []
        begins, self._code = self._code is None, code
        log = launch.logging.get_logger("pose_pipeline")
        (log.error if code else log.info)(sentence)
        stop = [Shutdown(reason=sentence)] if begins else []
        return [*stop, EndWith(code, self._running)] if code else stop

    def keep(self, make: Make) -> Action:
        """A process that is started again when it dies, unless its configuration is wrong: that ends the launch.

        `make`: of `on_exit`, and of whether it is the `first` time, the action that starts it.
        """
        restarts = Restarts()

        def start(_context: LaunchContext | None = None, *, first: bool = False) -> Actions:
            began = time.monotonic()

            def ended(event: Any, context: LaunchContext) -> Actions:
                if context.is_shutdown:
                    return []
                delay = restarts.delay(event.returncode, time.monotonic() - began)
                if delay is None:
                    return self.end(
                        f"{event.process_name} is wrongly configured, as it says above", event.returncode
                    )
                again = OpaqueFunction(function=start)
                launch.logging.get_logger("pose_pipeline").warning(
                    f"{event.process_name} ended with exit code {event.returncode} and is started again in {delay:g} s"
                )
                return [TimerAction(period=delay, actions=[again])] if delay else [again]

            return [make(on_exit=ended, first=first)]

        return start(first=True)[0]

    def require(self, make: Make, what: str) -> Action:
        """A process whose end ends the launch, with its own exit code; `what` it is, for the user."""

        def ended(event: Any, context: LaunchContext) -> Actions:
            # a code below zero is the number of the signal that killed it
            code = event.returncode if event.returncode >= 0 else FAILED
            if context.is_shutdown and not code:
                return []
            return self.end(f"{what} has ended with exit code {event.returncode}", code)

        return make(on_exit=ended, first=True)


def argument(
    name: str, description: str, default: Any = None, choices: Sequence[str] = ()
) -> DeclareLaunchArgument:
    """The declaration of one; without a default it has to be given."""
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=list(choices) or None
    )


def arguments(place: str, params: str, *own: DeclareLaunchArgument) -> list[DeclareLaunchArgument]:
    """Of a launch file: its `own`, those that state parameters, and what both files have. `params`: its parameter file."""
    return [
        *own,
        *(argument(one.name, one.description, one.default, one.choices) for one in arguments_of(place)),
        argument(
            "params",
            "parameter file; what an argument states counts more",
            PathJoinSubstitution([SHARE, "config", params]),
        ),
        argument("record", "folder of the bag to record; empty: none", ""),
        argument("record_images", "record the images as well", "false"),
        argument("rviz", "open RViz", "false"),
        argument("fixed_frame", "frame that RViz looks from; empty: frame_id", ""),
    ]


def describe(
    place: str,
    declared: list[DeclareLaunchArgument],
    start: Callable[[Launch, Given], Actions],
) -> LaunchDescription:
    """A launch file: what it `declared`, and what it starts of what was given.

    What arguments state counts more than the parameter file, their defaults do not: what is said is noted before those. What
    cannot be ends the launch with one sentence and an exit code of `pose_core.system.exits` before anything starts.
    """
    said: dict[str, str] = {}
    ours = Launch()

    def note(context: LaunchContext) -> None:
        said.update(context.launch_configurations)

    def begin(context: LaunchContext) -> Actions:
        try:
            with refusing():
                expect_known(place, [one.name for one in declared], sys.argv)
            given = Given.read(place, said, context.launch_configurations)
            return [*ours.watch(), *middleware_for_images(), *start(ours, given)]
        except (ValueError, OSError) as error:
            return ours.end(str(error), code_of(error))

    return LaunchDescription([OpaqueFunction(function=note), *declared, OpaqueFunction(function=begin)])


def middleware_for_images() -> Actions:
    """Our profile of Fast DDS in the environment of all processes, unless somebody has set another one."""
    profile = PathJoinSubstitution([SHARE, "config", PROFILE])
    return [SetEnvironmentVariable(variable(os.environ), profile)] if helps(os.environ) else []


def stage(
    ours: Launch,
    given: Given,
    package: str,
    name: str,
    namespace: str,
    *,
    always: Mapping[str, Value] | None = None,
    at_first: Mapping[str, Value] | None = None,
) -> Action:
    """A stage in a process of its own, kept alive, with what is stated for it.

    `always`: further parameters; `at_first`: those that it has until it is started again.
    """

    def make(on_exit: Any, first: bool) -> Action:
        own: dict[str, Value] = {"lossless": True} if given.is_lossless else {}
        own |= {**(always or {}), **((at_first or {}) if first else {}), **given.values.get(name, {})}
        typed = {
            key: ParameterValue(TextSubstitution(text=value), value_type=str)
            if isinstance(value, str)
            else value
            for key, value in own.items()
        }
        return Node(
            package=package,
            executable=name,
            name=name,
            namespace=namespace,
            parameters=[ParameterFile(given.arguments["params"]), *([typed] if typed else [])],
            remappings=given.remappings(),
            output="screen",
            on_exit=on_exit,
        )

    return ours.keep(make)


def command(
    given: Given, words: Callable[[bool], Sequence[str]], namespace: str, *, sim_time: bool = False
) -> Make:
    """What makes a process of `pose`; `words`: of whether it is the first time."""

    def make(on_exit: Any, first: bool) -> Action:
        return Node(
            package="pose_tools",
            executable="pose",
            namespace=namespace,
            arguments=list(words(first)),
            parameters=[{"use_sim_time": True}] if sim_time else [],
            remappings=given.remappings(),
            output="screen",
            on_exit=on_exit,
            sigterm_timeout=PATIENCE_S,
        )

    return make


def executable(package: str, name: str) -> str:
    """Path of an installed executable. Raises FileNotFoundError where it is not."""
    try:
        path = Path(get_package_prefix(package)) / "lib" / package / name
    except PackageNotFoundError as error:
        raise FileNotFoundError(
            f"package {package} is not installed; build and source the workspace"
        ) from error
    return str(path)


def recorder(ours: Launch, given: Given, namespace: str, *, sim_time: bool = False) -> Actions:
    """What records the bag, where one is asked for: first of all, and required."""
    if not given.record:
        return []
    make = command(given, lambda _first: given.recorder_words, namespace, sim_time=sim_time)
    return [ours.require(make, f"the recorder of {given.record}")]


def rviz(given: Given, namespace: str, *, sim_time: bool = False) -> Actions:
    """RViz, where it is asked for."""
    if not given.says("rviz"):
        return []
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            namespace=namespace,
            arguments=[
                "-d",
                PathJoinSubstitution([SHARE, "config", "pose.rviz"]),
                "--fixed-frame",
                given.fixed_frame,
            ],
            parameters=[{"use_sim_time": True}] if sim_time else [],
            remappings=given.remappings(),
        )
    ]
