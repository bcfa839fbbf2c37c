"""Parameters from one dataclass, on a node."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String

from pose_core.config import StageParams, param
from pose_ros import parameters, qos


@dataclass(frozen=True)
class Params(StageParams):
    model: str = param("full", "which model", choices=("lite", "full"))
    num_poses: int = param(1, "people at most", low=1, high=10)
    cutoff: float = param(1.5, "hertz", low=0.0, live=True)
    beta: float = param(0.5, "slope")


@pytest.fixture
def declared(ros_context):
    """Makes a node with the given values, declares `Params` on it and returns both."""
    nodes = []

    def declare(*arguments: str, **values):
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        node = Node(
            "refine", parameter_overrides=overrides, cli_args=["--ros-args", *arguments] if arguments else []
        )
        nodes.append(node)
        return node, parameters.declare(node, Params)

    yield declare
    for node in nodes:
        node.destroy_node()


def test_defaults(declared):
    node, params = declared()
    assert params == Params()
    assert node.get_parameter("cutoff").value == 1.5
    assert node.get_parameter("model").value == "full"


def test_an_integer_is_taken_for_a_float(declared):
    node, params = declared(cutoff=3, num_poses=2)
    assert (params.cutoff, type(params.cutoff), params.num_poses) == (3.0, float, 2)
    assert node.get_parameter("cutoff").type_ == Parameter.Type.DOUBLE


def test_values_of_a_parameter_file(declared, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(
        "/**:\n  ros__parameters:\n    use_sim_time: true\n"
        "refine:\n  ros__parameters:\n    cutoff: 4\n    qos_overrides:\n"
        "      /people:\n        subscription:\n          depth: 3\n"
    )
    node, params = declared("--params-file", str(path))
    assert params.cutoff == 4.0
    assert node.get_parameter("use_sim_time").value is True
    assert parameters.unused(node) == ["qos_overrides./people.subscription.depth"]
    node.create_subscription(
        String,
        "people",
        lambda _: None,
        10,
        qos_overriding_options=qos.overridable(),
    )
    assert parameters.unused(node) == []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("cut_off", 1.0, "unknown parameter 'cut_off'; did you mean 'cutoff'?"),
        ("cutoff", -1.0, "cutoff must be at least 0.0, got -1.0"),
        ("cutoff", "fast", "cutoff must be of type float, got 'fast'"),
        ("num_poses", 11, "num_poses must be from 1 to 10, got 11"),
        ("num_poses", 2.0, "num_poses must be of type int, got 2.0"),
        ("model", "heavy", "model must be one of lite, full, got 'heavy'"),
        ("qos_overrides./a.publisher.dept", 1, "unknown part 'dept' of"),
        ("qos_overrides./a.publishers.depth", 1, "did you mean 'publisher'?"),
        ("qos_overrides.a.publisher.depth", 1, "with the topic's full name"),
        ("qos_overrides./a.publisher.depth", -1, "must be a whole number of at least 0, got -1"),
        ("qos_overrides./a.publisher.depth", "ten", "must be a whole number of at least 0, got 'ten'"),
        (
            "qos_overrides./a.publisher.reliability",
            "relaxed",
            "must be one of reliable, best_effort, got 'relaxed'",
        ),
    ],
)
def test_wrong_values_are_refused(declared, name, value, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        declared(**{name: value})


def test_descriptors(declared):
    node, _ = declared()
    cutoff, num_poses, model, beta = node.describe_parameters(["cutoff", "num_poses", "model", "beta"])
    assert (cutoff.description, cutoff.read_only, cutoff.floating_point_range[0].from_value) == (
        "hertz",
        False,
        0.0,
    )
    assert cutoff.floating_point_range[0].to_value > 1e300
    assert (
        num_poses.read_only,
        num_poses.integer_range[0].from_value,
        num_poses.integer_range[0].to_value,
    ) == (
        True,
        1,
        10,
    )
    assert model.additional_constraints == "one of lite, full"
    assert not beta.floating_point_range


def test_changes():
    params = parameters.changed(
        Params(), [Parameter("cutoff", value=2.0), Parameter("use_sim_time", value=True)]
    )
    assert params == Params(cutoff=2.0)
    with pytest.raises(ValueError, match="cutoff must be a number, got nan"):
        parameters.changed(params, [Parameter("cutoff", value=float("nan"))])
