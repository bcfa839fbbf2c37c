from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.conversion import POINT, RULES, conversion
from pose_core.skeleton import COCO17, H36M17, MEDIAPIPE33, MPI_INF28, POSE2SIM22, SKELETONS, remap

BODIES = ("mediapipe33", "coco17", "h36m17", "mpi_inf28", "pose2sim22")
pairs = pytest.mark.parametrize(("source", "target"), tuple(itertools.product(BODIES, BODIES)))


def person(skeleton, **positions) -> np.ndarray:
    """Joints of a person: the named ones where stated, all others at the origin."""
    xyz = np.zeros((len(skeleton), 3))
    for name, position in positions.items():
        xyz[skeleton.index(name)] = position
    return xyz


def joint(converted: np.ndarray, skeleton, name: str) -> list[float]:
    return converted[..., skeleton.index(name), :].tolist()


@pairs
def test_weights_of_a_joint_sum_to_one_and_signs_follow_provenance(source, target):
    made = conversion(source, target)
    np.testing.assert_allclose(made.matrix[made.known].sum(1), 1.0, atol=1e-12)
    assert [bool(text) for text in made.provenance] == made.known.tolist()
    assert not (made.exact & ~made.known).any()
    np.testing.assert_array_equal(made.needs.any(1), made.known)


@pairs
def test_a_mirrored_person_converts_to_the_mirrored_person(source, target):
    made = conversion(source, target)
    flipped = made.matrix[made.target.flip][:, made.source.flip]
    np.testing.assert_allclose(flipped, made.matrix, atol=1e-12)


@pairs
def test_what_is_exact_is_what_names_tell_except_where_one_name_is_two_points(source, target):
    start, end = SKELETONS.get(source), SKELETONS.get(target)
    by_name, made = remap(start, end), conversion(source, target, approximate=False)
    for row, name in enumerate(end.joints):
        if source == target or not {(source, name), (target, name)} & POINT.keys():
            expected = by_name[row]
            if name == "head_top" and source == "pose2sim22":
                expected = np.eye(len(start))[start.index("head")]
            np.testing.assert_array_equal(made.matrix[row], expected)
    assert made.known.tolist() == made.exact.tolist() == conversion(source, target).exact.tolist()


def test_a_skeleton_is_left_alone():
    xyz, confidence = np.random.default_rng(0).random((4, 33, 3)), np.ones((4, 33))
    got, sure = conversion("mediapipe33", "mediapipe33").apply(xyz, confidence)
    assert got is xyz
    assert sure is confidence


def test_mediapipe_to_coco_by_name():
    made = conversion("mediapipe33", "coco17")
    assert made.exact.all()
    assert made.provenance == COCO17.joints
    published = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
    np.testing.assert_array_equal(made.matrix, np.eye(33)[published])


def test_mediapipe_to_human36m():
    xyz = person(
        MEDIAPIPE33,
        left_hip=(1, 10, 0),
        right_hip=(-1, 10, 0),
        left_shoulder=(2, 14, 0),
        right_shoulder=(-2, 14, 2),
        nose=(0, 16, 2),
        left_ear=(0.5, 16, 0),
        right_ear=(-0.5, 16, 1),
        left_knee=(7, 8, 9),
    )
    made = conversion("mediapipe33", "h36m17")
    assert made.known.all()
    got, sure = made.apply(xyz, np.full(33, 0.5))
    assert joint(got, H36M17, "pelvis") == [0, 10, 0]
    assert joint(got, H36M17, "neck") == [0, 14, 1]
    assert joint(got, H36M17, "spine") == [0, 12, 0.5]
    assert joint(got, H36M17, "left_knee") == [7, 8, 9]
    # 1.48 of the middle of the ears (0, 16, 0.5), 0.22 of the nose (0, 16, 2), less 0.7 of the neck (0, 14, 1)
    np.testing.assert_allclose(joint(got, H36M17, "head_top"), [0, 17.4, 0.48], atol=1e-12)
    assert (sure == 0.5).all()
    approximate = {H36M17.joints[i] for i in np.flatnonzero(~made.exact)}
    assert approximate == {"spine", "head_top"}
    assert made.provenance[H36M17.index("spine")] == "0.5 pelvis + 0.5 neck"


def test_mediapipe_to_mpi_inf_3dhp():
    made = conversion("mediapipe33", "mpi_inf28")
    assert made.known.all()
    xyz = person(
        MEDIAPIPE33,
        left_shoulder=(2, 10, 0),
        right_shoulder=(-2, 10, 0),
        left_ear=(0, 12, 0),
        right_ear=(0, 12, 0),
        left_index=(4, 1, 0),
        left_pinky=(6, 3, 0),
        right_ankle=(0, 1, 0),
        right_foot_index=(0, 1, 10),
    )
    got, _ = made.apply(xyz, np.ones(33))
    for name, height in {"spine": 4.3, "spine2": 6.5, "spine3": 7.7, "spine4": 8.8}.items():
        np.testing.assert_allclose(joint(got, MPI_INF28, name), [0, height, 0], atol=1e-12)
    np.testing.assert_allclose(joint(got, MPI_INF28, "neck"), [0, 10.4, 0], atol=1e-12)
    np.testing.assert_allclose(joint(got, MPI_INF28, "left_clavicle"), [0.4, 9, 0], atol=1e-12)
    np.testing.assert_allclose(joint(got, MPI_INF28, "right_clavicle"), [-0.4, 9, 0], atol=1e-12)
    assert joint(got, MPI_INF28, "left_hand") == [5, 2, 0]
    np.testing.assert_allclose(joint(got, MPI_INF28, "right_foot"), [0, 1, 7], atol=1e-12)
    assert joint(got, MPI_INF28, "right_toe") == [0, 1, 10]


def test_human36m_and_coco_share_the_body_but_not_the_head():
    there, back = conversion("coco17", "h36m17"), conversion("h36m17", "coco17")
    assert there.known.all()
    unknown = {COCO17.joints[i] for i in np.flatnonzero(~back.known)}
    assert unknown == {"left_eye", "right_eye", "left_ear", "right_ear"}
    xyz = np.random.default_rng(1).normal(size=(5, 17, 3))
    ones = np.ones((5, 17))
    again, sure = back.apply(*there.apply(xyz, ones))
    np.testing.assert_array_equal(again[:, back.known], xyz[:, back.known])
    np.testing.assert_array_equal(sure, ones * back.known)
    assert np.isnan(again[:, ~back.known]).all()


def test_one_name_for_two_points_is_not_mistaken():
    xyz = person(POSE2SIM22, head=(0, 0, 9), neck=(0, 0, 5))
    got, _ = conversion("pose2sim22", "mpi_inf28").apply(xyz, np.ones(22))
    assert joint(got, MPI_INF28, "head_top") == [0, 0, 9]
    assert joint(got, MPI_INF28, "head") == [0, 0, 7]
    np.testing.assert_allclose(joint(got, MPI_INF28, "neck"), [0, 0, 0.76 * 5 + 0.24 * 9])
    xyz = person(MPI_INF28, head_top=(0, 0, 9), head=(0, 0, 8), neck=(0, 0, 6), spine4=(0, 0, 5))
    got, _ = conversion("mpi_inf28", "pose2sim22").apply(xyz, np.ones(28))
    assert joint(got, POSE2SIM22, "head") == [0, 0, 9]
    assert joint(got, POSE2SIM22, "neck") == [0, 0, 5]
    exact = conversion("mpi_inf28", "pose2sim22", approximate=False)
    assert not exact.known[POSE2SIM22.index("neck")]


def test_a_body_tells_nothing_of_a_hand():
    made = conversion("mediapipe33", "hand21")
    assert not made.known.any()
    got, sure = made.apply(np.zeros((33, 2)), np.ones(33))
    assert np.isnan(got).all()
    assert (sure == 0.0).all()


@settings(max_examples=30, deadline=None)
@given(lost=st.sets(st.sampled_from(MEDIAPIPE33.joints)), target=st.sampled_from(BODIES[1:]))
def test_a_joint_is_missing_where_one_that_it_needs_is(lost, target):
    made = conversion("mediapipe33", target)
    rng = np.random.default_rng(len(lost))
    xy, confidence = rng.normal(size=(2, 33, 2)), rng.uniform(0.1, 1.0, (2, 33))
    full, _ = made.apply(xy, confidence)
    gone = np.array([name in lost for name in MEDIAPIPE33.joints])
    xy[1, gone] = np.nan
    got, sure = made.apply(xy, confidence)
    np.testing.assert_array_equal(got[0], full[0])
    for row in range(len(made.target)):
        needed = np.flatnonzero(made.matrix[row]) if made.known[row] else []
        if not len(needed) or gone[needed].any():
            assert np.isnan(got[1, row]).all()
            assert sure[1, row] == 0.0
        else:
            np.testing.assert_array_equal(got[1, row], full[1, row])
            assert sure[1, row] == confidence[1, needed].min()


def test_conversions_are_shared_and_cannot_be_changed():
    made = conversion("mediapipe33", "h36m17")
    assert conversion("mediapipe33", "h36m17") is made
    with pytest.raises(ValueError, match="read-only"):
        made.matrix[0, 0] = 1.0


def test_unknown_skeletons_are_named():
    with pytest.raises(ValueError, match="mediapipe34"):
        conversion("mediapipe34", "coco17")


def test_rules_have_weights_that_sum_to_one():
    for rule in itertools.chain(*RULES.values()):
        assert sum(rule.values()) == pytest.approx(1.0)
