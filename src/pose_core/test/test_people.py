from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_core.people import (
    JointState,
    People2D,
    People3D,
    Person2D,
    Person3D,
    ScaleSource,
    expect_joints,
    with_missing,
)


def person2d(joints: int = 17) -> Person2D:
    return Person2D("p1", 0.9, np.array([1.0, 2.0, 30.0, 40.0]), np.ones((joints, 2)), np.full(joints, 0.5))


def person3d(joints: int = 17) -> Person3D:
    state = np.full(joints, JointState.LIFTED, np.uint8)
    return Person3D(
        "p1", 0.9, np.ones((joints, 3)), np.full(joints, 0.02), np.full(3, 0.1), np.full(joints, 0.5), state
    )


def test_states_and_sources_have_the_numbers_of_the_messages():
    assert [state.value for state in JointState] == [0, 1, 2, 3, 4, 5]
    assert JointState(2) is JointState.LIFTED
    assert [source.name for source in ScaleSource] == [
        "NONE",
        "DEFAULT",
        "SUBJECT",
        "DEPTH",
        "CALIBRATION",
        "MODEL",
    ]


@pytest.mark.parametrize(("name", "shape"), [("box_px", (5,)), ("xy_px", (16, 2)), ("xy_px", (17, 3))])
def test_arrays_of_a_person_in_2d_must_agree(name, shape):
    with pytest.raises(ValueError, match=name):
        replace(person2d(), **{name: np.zeros(shape)})


@pytest.mark.parametrize(
    ("name", "shape"), [("xyz", (17, 2)), ("std", (16,)), ("root_std", (17,)), ("joint_confidence", (16,))]
)
def test_arrays_of_a_person_in_3d_must_agree(name, shape):
    with pytest.raises(ValueError, match=name):
        replace(person3d(), **{name: np.zeros(shape)})


def test_people_must_have_the_joints_of_the_skeleton():
    assert People2D(1, "cam", "coco17", 640, 480, (person2d(),)).people[0].id == "p1"
    with pytest.raises(ValueError, match="'mediapipe33' has 33 joints, got a person with 17"):
        People2D(1, "cam", "mediapipe33", 640, 480, (person2d(),))
    with pytest.raises(ValueError, match="'coco17' has 17 joints, got a person with 33"):
        People3D(1, "cam", "coco17", (person3d(), person3d(33)))


@pytest.mark.parametrize(
    "up", [np.zeros(3), np.array([0.0, 0.0, 1.1]), np.array([0.0, np.nan, 1.0]), np.ones(2)]
)
def test_up_is_a_unit_vector(up: np.ndarray):
    with pytest.raises(ValueError, match="up must"):
        People3D(1, "cam", "coco17", up=up)


def test_an_unknown_skeleton_is_refused_even_without_people():
    with pytest.raises(ValueError, match="did you mean 'coco17'"):
        People2D(1, "cam", "coco18", 640, 480)
    with pytest.raises(ValueError, match="unknown skeleton"):
        expect_joints("stick", [])


def test_missing_joints_lose_all_that_was_known_of_them():
    missing = np.zeros(17, bool)
    missing[[2, 5]] = True
    person = with_missing(person3d(), missing)
    assert np.isnan(person.xyz[missing]).all()
    assert np.isnan(person.std[missing]).all()
    assert (person.joint_confidence[missing] == 0.0).all()
    assert (person.state[missing] == JointState.MISSING).all()
    assert person.state.dtype == np.uint8
    np.testing.assert_array_equal(person.xyz[~missing], np.ones((15, 3)))
    np.testing.assert_array_equal(person.state[~missing], np.full(15, JointState.LIFTED))
