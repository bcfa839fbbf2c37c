"""The RViz configuration shows the topics of the pipeline, with people upright."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from pose_ros import topics
from pose_ros.qos import IMAGES, RESULTS
from pose_viz.params import VizParams
from pose_viz.scene import SceneBuilder

CONFIG = yaml.safe_load((Path(__file__).parents[3] / "config" / "pose.rviz").read_text())[
    "Visualization Manager"
]
VIEWS = CONFIG["Views"]
POLICIES = {"Reliable": "RELIABLE", "Best Effort": "BEST_EFFORT"}


def display(kind):
    (found,) = [d for d in CONFIG["Displays"] if d["Class"] == f"rviz_default_plugins/{kind}"]
    return found


def test_topics_and_quality_of_service():
    for kind, topic, qos in (("MarkerArray", topics.MARKERS, RESULTS), ("Image", topics.OVERLAY, IMAGES)):
        shown = display(kind)["Topic"]
        assert shown["Value"] == topic
        assert POLICIES[shown["Reliability Policy"]] == qos.reliability.name
        assert shown["Depth"] == qos.depth


def test_namespaces_are_those_of_the_markers(studio):
    scene = SceneBuilder(VizParams(uncertainty="ellipsoids")).build(studio.people3d(studio.person3d()))
    assert set(display("MarkerArray")["Namespaces"]) == {spec.namespace for spec in scene.markers}


def axes(view):
    """Directions right, up and forward of an Orbit view in its target frame, as RViz computes them."""
    sign = -1.0 if view["Invert Z Axis"] else 1.0
    yaw, pitch = sign * view["Yaw"], sign * view["Pitch"]
    forward = -np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.cross(forward, [0.0, 0.0, sign])
    right /= np.linalg.norm(right)
    return right, np.cross(right, forward), forward


@pytest.mark.parametrize("view", [VIEWS["Current"], *VIEWS["Saved"]], ids=lambda view: view["Name"])
def test_people_are_upright_and_seen_from_above(view):
    right, up, forward = axes(view)
    assert up[1] < -0.1 or view["Name"] == "From above"  # y points down in the optical frame
    np.testing.assert_allclose(np.abs(right), [1.0, 0.0, 0.0], atol=1e-5)
    assert forward[1] > 0.1


def test_the_first_view_is_not_mirrored():
    right, _, forward = axes(VIEWS["Current"])
    np.testing.assert_allclose(right, [1.0, 0.0, 0.0], atol=1e-5)
    assert forward[2] > 0.9
