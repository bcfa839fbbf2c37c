from __future__ import annotations

import numpy as np
import pytest

from pose2d_node.detection import BadImage
from pose2d_node.params import Pose2DParams
from pose2d_node.testing import fake_estimator, figure, image_of
from pose_core import config
from pose_core.people import JointState, ScaleSource
from pose_core.skeleton import MEDIAPIPE33


def test_people_and_world_say_the_same_of_the_same_people():
    left, right = figure(100.0), figure(500.0, confidence=0.5)
    left.xy_px[3], left.world[3], left.confidence[3] = np.nan, np.nan, 0.0
    estimate = fake_estimator([left, right]).process(7, image_of(0), "camera")
    people, world = estimate.people, estimate.world
    assert (people.stamp, people.frame_id, people.skeleton) == (7, "camera", "mediapipe33")
    assert (people.width, people.height) == (64, 48)
    assert (world.stamp, world.frame_id, world.skeleton) == (7, "camera", "mediapipe33")
    assert [p.id for p in people.people] == [p.id for p in world.people] == ["p1", "p2"]
    assert people.people[1].confidence == world.people[1].confidence == 0.5
    np.testing.assert_array_equal(people.people[0].xy_px, left.xy_px)
    np.testing.assert_array_equal(people.people[0].box_px, left.box_px)
    np.testing.assert_array_equal(world.people[0].xyz, left.world)
    assert world.people[0].state[3] == JointState.MISSING
    assert world.people[0].state[4] == JointState.LIFTED
    assert np.isnan(world.people[0].std[3])
    assert world.people[0].scale_source == ScaleSource.MODEL


def test_uncertainty_is_stated_and_the_root_is_not_placed():
    (person,) = fake_estimator([figure(0.0)]).process(1, image_of(0), "camera").world.people
    assert np.isnan(person.root_std).all()
    std = dict(zip(MEDIAPIPE33.joints, person.std, strict=True))
    assert std["left_hip"] == std["right_hip"] == 0.02
    assert std["left_foot_index"] == 0.11
    assert std["right_index"] == std["right_pinky"] == 0.14
    assert std["mouth_left"] == 0.08
    assert std["left_eye_inner"] == 0.085
    assert person.std.min() == 0.02


def test_second_detections_are_dropped():
    estimator = fake_estimator([figure(0.0, confidence=0.6), figure(1.0, confidence=0.7)])
    (person,) = estimator.process(1, image_of(0), "camera").people.people
    assert person.confidence == 0.7


def test_when_time_goes_back_people_are_new():
    estimator = fake_estimator([figure(0.0)])
    ids = [
        estimator.process(stamp, image_of(0), "camera").people.people[0].id for stamp in (10**9, 2 * 10**9, 5)
    ]
    assert ids == ["p1", "p1", "p2"]


def test_when_the_first_image_after_that_fails_too():
    estimator = fake_estimator([figure(0.0)])
    estimator.process(10**9, image_of(0), "camera")
    estimator.detector.restarts += 1  # time went back, and the image could not be used
    assert estimator.process(5, image_of(0), "camera").people.people[0].id == "p2"


def test_an_image_with_the_stamp_of_the_one_before_is_refused():
    estimator = fake_estimator([figure(0.0)])
    estimator.process(5, image_of(0), "camera")
    with pytest.raises(
        BadImage, match="two images have the stamp 5 ns; each image needs its own capture time"
    ):
        estimator.process(5, image_of(1), "camera")
    assert estimator.process(6, image_of(2), "camera").people.people[0].id == "p1"


def test_a_bad_image_harms_nothing():
    estimator = fake_estimator([figure(0.0)])
    with pytest.raises(BadImage, match="must have pixels"):
        estimator.process(5, image_of(0)[:0], "camera")
    assert estimator.process(5, image_of(0), "camera").people.people[0].id == "p1"


def test_nobody_in_sight_is_an_empty_answer():
    estimate = fake_estimator([]).process(5, image_of(0), "camera")
    assert estimate.people.people == ()
    assert estimate.world.people == ()


def test_the_defaults_of_the_parameters_are_allowed():
    config.check(Pose2DParams())
    for name, value in {
        "num_poses": 11,
        "delegate": "tpu",
        "image_transport": "theora",
        "max_track_gap": -1.0,
    }.items():
        with pytest.raises(ValueError, match=name):
            config.build(Pose2DParams, {name: value})
