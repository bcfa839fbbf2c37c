from __future__ import annotations

import math

import pytest

from lift3d_node.params import Lift3DParams
from lift3d_node.subjects import Subject, Subjects
from pose_core.people import ScaleSource


def test_default_is_stated_as_such() -> None:
    subject = Subjects(Lift3DParams()).of("p1")
    assert (subject.height, subject.height_std, subject.source) == (1.70, 0.10, ScaleSource.DEFAULT)
    assert math.isnan(subject.mass)


def test_parameter_everybody_person_in_this_order() -> None:
    subjects = Subjects(Lift3DParams(height=1.6))
    assert subjects.of("p1") == Subject(1.6, 0.02, ScaleSource.SUBJECT, subjects.of("p1").mass)
    assert subjects.state("", 1.8, 0.0) == "everybody: 1.8 m"
    assert subjects.of("p1").height == 1.8
    assert subjects.state("p1", 1.9, 80.0) == "p1: 1.9 m, 80 kg"
    assert (subjects.of("p1").height, subjects.of("p1").mass, subjects.of("p2").height) == (1.9, 80.0, 1.8)
    assert subjects.state("p1", 0.0, 0.0) == "p1: forgotten"
    assert subjects.of("p1").height == 1.8
    subjects.state("", 0.0, 0.0)
    assert subjects.of("p1").height == 1.6


def test_mass_alone_leaves_the_height() -> None:
    subjects = Subjects(Lift3DParams())
    subjects.state("p1", 0.0, 70.0)
    assert (subjects.of("p1").source, subjects.of("p1").mass) == (ScaleSource.DEFAULT, 70.0)


@pytest.mark.parametrize("height", [0.5, 2.6])
@pytest.mark.parametrize("mass", [2.0, 400.0])
def test_limits_are_allowed(height: float, mass: float) -> None:
    subjects = Subjects(Lift3DParams())
    subjects.state("p1", height, mass)
    assert (subjects.of("p1").height, subjects.of("p1").mass) == (height, mass)


@pytest.mark.parametrize(
    ("height", "mass", "said"),
    [
        (0.49, 0.0, "height must be from 0.5 to 2.6 m, or 0 to forget it, got 0.49"),
        (175.0, 0.0, "got 175"),
        (-1.7, 0.0, "got -1.7"),
        (math.nan, 0.0, "height .* got nan"),
        (1.7, 1.9, "mass must be from 2 to 400 kg, or 0 to forget it, got 1.9"),
        (1.7, math.inf, "got inf"),
        (1.7, math.nan, "mass .* got nan"),
    ],
)
def test_impossible_values_change_nothing(height: float, mass: float, said: str) -> None:
    subjects = Subjects(Lift3DParams())
    subjects.state("p1", 1.8, 80.0)
    with pytest.raises(ValueError, match=said):
        subjects.state("p1", height, mass)
    assert (subjects.of("p1").height, subjects.of("p1").mass) == (1.8, 80.0)


def test_id_must_be_one() -> None:
    with pytest.raises(ValueError, match="must start with a letter, got '1'"):
        Subjects(Lift3DParams()).state("1", 1.8, 0.0)


def test_parameter_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"got 0.3"):
        Subjects(Lift3DParams(height=0.3))
