"""Joint angles as they are handed on: shapes that agree, and the sequence that the pelvis's are in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_core.angles import PELVIS_SEQUENCES, AngleSequence, PeopleAngles, PersonAngles

NAMES = ("pelvis_anterior_tilt", "right_knee_flexion")


def person(angles: int = 2) -> PersonAngles:
    return PersonAngles("p1", np.zeros(angles), np.full(angles, 0.1), np.zeros(angles, np.uint8))


def sequence(**changes: object) -> AngleSequence:
    values = {"angle": np.zeros((3, 2)), "std": np.full((3, 2), 0.1), "flags": np.zeros((3, 2), np.uint8)}
    return AngleSequence(**{"names": NAMES, "stamps": np.arange(3), **values, **changes})


@pytest.mark.parametrize("stated", ["", *PELVIS_SEQUENCES])
def test_the_sequence_of_the_pelvis_is_kept(stated: str):
    people = PeopleAngles(1, "camera", NAMES, (person(),), pelvis_sequence=stated)
    assert replace(people, stamp=2).pelvis_sequence == stated
    whole = sequence(pelvis_sequence=stated)
    part = replace(whole, **{name: getattr(whole, name)[1:] for name in ("stamps", "angle", "std", "flags")})
    assert (len(part), part.pelvis_sequence) == (2, stated)


def test_a_sequence_of_the_pelvis_need_not_be_stated():
    assert PeopleAngles(1, "camera", NAMES).pelvis_sequence == ""
    assert sequence().pelvis_sequence == ""


@pytest.mark.parametrize("stated", ["XYZ", "zxy", "YXY", " ", "ZXY\0"])
def test_an_unknown_sequence_of_the_pelvis_is_refused(stated: str):
    with pytest.raises(
        ValueError, match="pelvis_sequence must be ZXY or YXZ, or empty where it is not stated"
    ):
        PeopleAngles(1, "camera", NAMES, (person(),), pelvis_sequence=stated)
    with pytest.raises(ValueError, match=f"got '{stated}'"):
        sequence(pelvis_sequence=stated)


def test_people_have_the_angles_that_are_named():
    with pytest.raises(ValueError, match="2 angles are named, person 'p1' has 3"):
        PeopleAngles(1, "camera", NAMES, (person(3),))


@pytest.mark.parametrize("name", ["angle", "std", "flags"])
def test_arrays_of_a_sequence_must_agree(name: str):
    with pytest.raises(ValueError, match=f"{name} must have shape"):
        sequence(**{name: np.zeros((3, 3))})


def test_stamps_of_a_sequence_increase():
    with pytest.raises(ValueError, match="stamps must increase"):
        sequence(stamps=np.array([1, 2, 2]))


def test_an_angle_is_found_by_its_name():
    np.testing.assert_array_equal(sequence(angle=np.arange(6.0).reshape(3, 2)).of(NAMES[1]), [1.0, 3.0, 5.0])
    with pytest.raises(ValueError, match="no angle is called 'left_knee_flexion'"):
        sequence().of("left_knee_flexion")
