"""What the tests of all nodes rest on."""

from __future__ import annotations

from rclpy.node import Node
from std_msgs.msg import Empty

from pose_ros.domains import private_domain
from pose_ros.testing import executing, spin_until


def test_tests_do_not_share_a_domain():
    with private_domain() as one, private_domain() as other:
        assert one != other


def test_waiting_ends_with_the_condition_or_the_time(ros_context):
    node = Node("idle")
    with executing(node) as executor:
        calls = []
        assert spin_until(executor, lambda: calls.append(1) or len(calls) == 3)
        assert len(calls) == 3
        assert not spin_until(executor, lambda: False, timeout=0.0)


def test_nodes_are_gone_afterwards(ros_context):
    watcher, node = Node("watcher"), Node("node")
    with executing(watcher) as executor:
        with executing(node):
            node.create_publisher(Empty, "topic", 1)
            assert spin_until(executor, lambda: watcher.count_publishers("topic") == 1)
        assert spin_until(executor, lambda: watcher.count_publishers("topic") == 0)
