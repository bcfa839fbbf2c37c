"""Waiting for those who listen: by name, namespace and lifecycle state."""

from __future__ import annotations

import pytest
import rclpy
from pose_msgs.msg import People2D
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node

from pose_core.config import StageParams
from pose_ros import listeners, qos, topics
from pose_ros.listeners import RECORDER, Listeners, names_of, unmatched
from pose_ros.stage import Stage
from pose_ros.testing import executing, spin_until


class Lifter(Stage[StageParams]):
    """Listens as the lifting stage does."""

    def __init__(self, **node_options: object) -> None:
        super().__init__("lift3d", StageParams, **node_options)

    def on_start(self) -> None:
        self.listen(People2D, topics.PEOPLE2D, lambda message: None)


@pytest.fixture
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "SETTLED_S", 0.0)


def source(namespace: str = "") -> Node:
    node = rclpy.create_node("pose2d", namespace=namespace)
    node.create_publisher(People2D, topics.PEOPLE2D, qos.RESULTS)
    return node


def test_a_stage_is_waited_for_until_it_is_active(ros_context: None, no_settling: None) -> None:
    """Between configure and activate it listens, and throws away what it hears."""
    node, lifter = source(), Lifter(parameter_overrides=[rclpy.Parameter("autostart", value=False)])
    waited = Listeners(node, ["lift3d"])
    with executing(node, lifter) as executor:
        assert waited.missing() == ["lift3d"]
        assert lifter.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert spin_until(executor, lambda: waited._listens("lift3d"))
        for _ in range(20):
            executor.spin_once(timeout_sec=0.02)
        assert waited.missing() == ["lift3d"]
        assert lifter.trigger_activate() == TransitionCallbackReturn.SUCCESS
        assert spin_until(executor, lambda: not waited.missing())
        assert unmatched(node) == []
        waited.close()


def test_one_of_another_robot_is_not_meant(ros_context: None, no_settling: None) -> None:
    node, other = source("left"), Lifter(namespace="right")
    waited = Listeners(node, ["lift3d"])
    with executing(node, other) as executor:
        assert spin_until(executor, lambda: node.get_subscriptions_info_by_topic("/right/pose2d/people"))
        assert waited.missing() == ["lift3d"]
        executor.add_node(ours := Lifter(namespace="left"))
        assert spin_until(executor, lambda: not waited.missing())
        ours.destroy_node()


def test_a_recorder_is_there_when_it_listens_to_people(ros_context: None, no_settling: None) -> None:
    node, recorder = source(), rclpy.create_node(RECORDER)
    waited = Listeners(node, [RECORDER])
    with executing(node, recorder) as executor:
        assert waited.missing() == [RECORDER]
        recorder.create_subscription(People2D, topics.PEOPLE2D, lambda message: None, qos.RESULTS)
        assert spin_until(executor, lambda: not waited.missing())


def test_everybody_must_have_been_there_for_a_while(
    ros_context: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(listeners.time, "monotonic", lambda: now)
    node = source()
    waited = Listeners(node, [])
    with executing(node):
        assert waited.missing() == []  # nobody is waited for
    monkeypatch.setattr(Listeners, "_listens", lambda self, name: True)
    monkeypatch.setattr(Listeners, "_is_active", lambda self, name: True)
    monkeypatch.setattr(listeners, "unmatched", lambda node: [])
    waited._names = ["lift3d"]
    waited._since = None
    assert waited.missing() == ["lift3d"]
    now += listeners.SETTLED_S
    assert waited.missing() == []


def test_names_are_known_ones() -> None:
    assert names_of("lift3d  pose_recorder") == ["lift3d", "pose_recorder"]
    assert names_of("") == []
    with pytest.raises(ValueError, match=r"a node 'lift2d' cannot be waited for; did you mean 'lift3d'\?"):
        names_of("refine lift2d")
