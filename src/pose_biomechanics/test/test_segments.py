"""Segment frames by value, which definition counts, and limbs that are straight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_biomechanics.segments import (
    ALL_DEFINITIONS,
    MARKER_JOINTS,
    SEGMENTS,
    UNKNOWN,
    WORLD,
    Anatomy,
    SegmentTracker,
    cross,
)
from pose_core.geometry.rotations import matrix_of_rotation_vector
from pose_core.skeleton import POSE2SIM22, SKELETONS

# Points that a figure does not have are in one place.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{what}:RuntimeWarning")
    for what in ("invalid value", "divide by zero")
]

USABLE = np.ones((4, 1), bool)
BENT = {
    # metres, X forward, Y up, Z right; knees bent by 90 degrees (sitting), elbows as well, the left is the mirror image
    "right_hip": (0.0, 1.0, 0.1),
    "right_knee": (0.4, 1.0, 0.1),
    "right_ankle": (0.4, 0.6, 0.1),
    "right_heel": (0.35, 0.53, 0.1),
    "right_foot_index": (0.55, 0.53, 0.1),
    "right_shoulder": (0.0, 1.5, 0.2),
    "right_elbow": (0.0, 1.2, 0.2),
    "right_wrist": (0.25, 1.2, 0.2),
    "right_index": (0.35, 1.2, 0.23),
    "right_pinky": (0.34, 1.2, 0.17),
}


def points(skeleton: str = "mediapipe33", **moved: tuple[float, float, float]) -> np.ndarray:
    """(3, J, 1) metres; joints that are not in `BENT` are at the origin."""
    right = {**BENT, **moved}
    left = {
        name.replace("right", "left"): (x, y, -z)
        for name, (x, y, z) in right.items()
        if name.replace("right", "left") not in moved
    }
    xyz = np.array(
        [{**right, **left}.get(joint, (0.0, 0.0, 0.0)) for joint in SKELETONS.get(skeleton).joints]
    )
    return xyz.T[..., None]


def tracker(skeleton: str = "mediapipe33", straight_deg: float = 20.0) -> SegmentTracker:
    return SegmentTracker(Anatomy.of_skeleton(SKELETONS.get(skeleton)), np.eye(3), straight_deg)


def axes(frames, segment: str) -> np.ndarray:
    """(3, 3) X, Y and Z of a segment, as rows."""
    return frames.axes[:, :, SEGMENTS.index(segment), 0]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ("pelvis", np.eye(3)),
        ("thorax", np.eye(3)),
        # The thigh points forward: its Y, upwards along it, points back, and its X up.
        ("{}_femur", [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        ("{}_tibia", np.eye(3)),
        ("{}_tibia_fibula", np.eye(3)),
        ("{}_foot", np.eye(3)),
        ("{}_humerus", np.eye(3)),
        # The forearm points forward, its Y back.
        ("{}_forearm", [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    ],
)
def test_frames_of_somebody_who_sits(segment: str, expected: np.ndarray, side: str):
    frames = tracker().frames(points(), USABLE)
    np.testing.assert_allclose(axes(frames, segment.format(side)), expected, atol=1e-12)


def test_the_laboratory_is_the_last_row():
    turned = matrix_of_rotation_vector(np.array([0.3, -0.5, 0.9]))
    frames = SegmentTracker(Anatomy.of_skeleton(SKELETONS.get("coco17")), turned, 20.0).frames(
        points("coco17"), USABLE
    )
    np.testing.assert_array_equal(frames.axes[:, :, WORLD, 0], turned)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_frames_are_right_handed_and_turn_with_the_body(seed: int):
    random = np.random.default_rng(seed)
    body = points() + random.normal(0.0, 0.02, points().shape)
    turn = matrix_of_rotation_vector(random.normal(0.0, 2.0, 3))
    moved = np.einsum("ij,jnt->int", turn, body) + random.normal(0.0, 1.0, (3, 1, 1))
    here, there = tracker().frames(body, USABLE), tracker().frames(moved, USABLE)
    for segment in SEGMENTS:
        found = axes(here, segment)
        np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-9)
        np.testing.assert_allclose(np.cross(found[0], found[1]), found[2], atol=1e-9)
        np.testing.assert_allclose(axes(there, segment), found @ turn.T, atol=1e-8)


def test_markers_make_the_frames_that_isb_asks_for():
    """A tibia whose lateral malleolus is lower: the ankle's Z runs through both malleoli, the knee's is square to the shank."""
    lower = np.radians(10.0)
    at = {
        "r.ASIS_study": (0.0, 1.05, 0.12),
        "L.ASIS_study": (0.0, 1.05, -0.12),
        "r.PSIS_study": (-0.2, 1.15, 0.05),
        "L.PSIS_study": (-0.2, 1.15, -0.05),
        "r_knee_study": (0.0, 0.5, 0.15),
        "r_mknee_study": (0.0, 0.5, 0.05),
        "r_ankle_study": (0.0, 0.1 - 0.04 * np.sin(lower), 0.1 + 0.04 * np.cos(lower)),
        "r_mankle_study": (0.0, 0.1 + 0.04 * np.sin(lower), 0.1 - 0.04 * np.cos(lower)),
    }
    xyz = np.array(list(at.values())).T[..., None]
    frames = SegmentTracker(Anatomy.of_markers(tuple(at)), np.eye(3), 20.0).frames(xyz, ~USABLE)
    # The line from the sacrum to the front falls by 0.1 m over 0.2 m.
    tilt = np.arctan2(0.1, 0.2)
    np.testing.assert_allclose(axes(frames, "pelvis")[0], [np.cos(tilt), -np.sin(tilt), 0.0], atol=1e-12)
    np.testing.assert_allclose(axes(frames, "right_tibia"), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(
        axes(frames, "right_tibia_fibula"),
        [[1.0, 0.0, 0.0], [0.0, np.cos(lower), np.sin(lower)], [0.0, -np.sin(lower), np.cos(lower)]],
        atol=1e-12,
    )


def test_a_foot_on_its_outer_edge_is_seen_from_both_kinds_of_joints():
    edge = np.radians(25.0)

    def turned(x: float, y: float, z: float) -> tuple[float, float, float]:
        return x, y * np.cos(edge) - z * np.sin(edge) + 0.6, y * np.sin(edge) + z * np.cos(edge) + 0.1

    with_index = points(
        right_heel=turned(-0.05, -0.07, 0.0),
        right_foot_index=turned(0.15, -0.07, 0.0),
        right_ankle=(0.0, 0.6, 0.1),
    )
    with_toes = points(
        "pose2sim22",
        right_heel=turned(-0.05, -0.07, 0.0),
        right_big_toe=turned(0.15, -0.07, -0.03),
        right_small_toe=turned(0.13, -0.07, 0.03),
        right_ankle=(0.0, 0.6, 0.1),
    )
    expected = np.array([0.0, np.cos(edge), np.sin(edge)])
    for skeleton, body in (("mediapipe33", with_index), ("pose2sim22", with_toes)):
        foot = axes(tracker(skeleton).frames(body, USABLE), "right_foot")
        np.testing.assert_allclose(foot[1], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("skeleton", "missing"),
    [
        ("mediapipe33", set()),
        ("pose2sim22", set()),
        ("coco17", {"right_foot", "left_foot"}),
        ("h36m17", {"right_foot", "left_foot"}),
        ("mpi_inf28", {"right_foot", "left_foot"}),
        ("hand21", set(SEGMENTS)),
    ],
)
def test_what_each_skeleton_tells(skeleton: str, missing: set[str]):
    anatomy = Anatomy.of_skeleton(SKELETONS.get(skeleton))
    unknown = {segment for segment, one in zip(SEGMENTS, anatomy.definitions, strict=True) if one is UNKNOWN}
    assert unknown == missing


def test_a_spine_keeps_pelvis_and_trunk_apart():
    for skeleton, pelvis, thorax in (
        ("h36m17", "left_hip + right_hip -> spine", "spine -> neck"),
        ("mpi_inf28", "left_hip + right_hip -> spine", "spine -> spine4"),
    ):
        anatomy = Anatomy.of_skeleton(SKELETONS.get(skeleton))
        assert anatomy.definitions[0].towards == pelvis
        assert anatomy.definitions[1].along == thorax


def test_left_definitions_mirror_the_right_and_still_point_to_the_right():
    left, right = ALL_DEFINITIONS["left_femur"][0], ALL_DEFINITIONS["right_femur"][0]
    assert right.towards == "r_mknee_study -> r_knee_study"
    assert left.towards == "L_knee_study -> L_mknee_study"
    assert left.along == "L_knee_study + L_mknee_study -> LHJC_study"
    assert ALL_DEFINITIONS["left_foot"][1].along == "left_heel -> left_big_toe + left_small_toe"


def test_markers_of_pose2sim_are_the_joints_of_its_skeleton():
    assert set(MARKER_JOINTS.values()) == set(POSE2SIM22.joints)
    assert MARKER_JOINTS["RSmallToe"] == "right_small_toe"
    assert MARKER_JOINTS["LKnee"] == "left_knee"
    assert MARKER_JOINTS["Hip"] == "pelvis"


def test_a_knee_bent_the_wrong_way_does_not_turn_the_thigh_round():
    frames = tracker().frames(points(right_knee=(0.0, 0.6, 0.1), right_ankle=(0.3, 0.3, 0.1)), USABLE)
    np.testing.assert_allclose(axes(frames, "right_femur")[2], [0.0, 0.0, 1.0], atol=1e-12)


def straight_leg(heading: float) -> np.ndarray:
    """Legs that hang straight, the right foot turned by `heading` radians to the left."""
    c, s = np.cos(heading), np.sin(heading)
    return points(
        right_knee=(0.0, 0.6, 0.1),
        right_ankle=(0.0, 0.2, 0.1),
        right_heel=(-0.05 * c, 0.13, 0.1 + 0.05 * s),
        right_foot_index=(0.15 * c, 0.13, 0.1 - 0.15 * s),
    )


def test_a_straight_limb_is_taken_as_neutral_until_it_bends():
    frames = tracker().frames(straight_leg(0.3), USABLE)
    np.testing.assert_array_equal(frames.straight[:, 0], [True, True, False, False])
    np.testing.assert_allclose(axes(frames, "right_femur"), np.eye(3), atol=1e-12)


def test_a_straight_limb_carries_its_lateral_axis_along():
    """The thigh is turned inwards by 30 degrees while the knee is bent, and stays so while the leg straightens and swings."""
    inwards = np.radians(30.0)
    lateral = np.array([np.sin(inwards), 0.0, np.cos(inwards)])
    ahead = np.array([np.cos(inwards), 0.0, -np.sin(inwards)])
    solver = tracker()
    bent = points(right_knee=(0.0, 0.6, 0.1), right_ankle=tuple(np.array([0.0, 0.6, 0.1]) - 0.4 * ahead))
    found = axes(solver.frames(bent, USABLE), "right_femur")[2]
    np.testing.assert_allclose(found, lateral, atol=1e-12)
    straight = points(right_knee=(0.0, 0.6, 0.1), right_ankle=(0.0, 0.2, 0.1))
    np.testing.assert_allclose(axes(solver.frames(straight, USABLE), "right_femur")[2], lateral, atol=1e-12)
    # Swung forward by 90 degrees about the lateral axis of the body, the part of it along the old X now points up.
    swung = points(right_knee=(0.4, 1.0, 0.1), right_ankle=(0.8, 1.0, 0.1))
    found = axes(solver.frames(swung, USABLE), "right_femur")[2]
    np.testing.assert_allclose(found, [0.0, np.sin(inwards), np.cos(inwards)], atol=1e-12)
    # The whole person turns round while the leg is straight.
    turn = np.diag([-1.0, 1.0, -1.0])
    found = axes(solver.frames(np.einsum("ij,jnt->int", turn, swung), USABLE), "right_femur")[2]
    np.testing.assert_allclose(found, [0.0, np.sin(inwards), -np.cos(inwards)], atol=1e-12)


def test_what_is_not_usable_leaves_no_memory():
    solver, straight = tracker(), straight_leg(0.0)
    turned = points(right_knee=(0.0, 0.6, 0.1), right_ankle=(0.0, 0.6, -0.3))
    solver.frames(turned, ~USABLE)
    np.testing.assert_allclose(axes(solver.frames(straight, USABLE), "right_femur"), np.eye(3), atol=1e-12)


def test_the_foot_tells_where_a_straight_leg_points():
    heading = np.radians(40.0)
    frames = tracker().frames(straight_leg(heading), USABLE)
    shank = axes(frames, "right_tibia_fibula")
    np.testing.assert_allclose(shank[0], [np.cos(heading), 0.0, -np.sin(heading)], atol=1e-12)


def test_frames_of_a_recording_are_those_of_its_frames():
    random = np.random.default_rng(1)
    bodies = np.concatenate([points(), straight_leg(0.1), straight_leg(0.4), points()], 2)
    bodies = np.repeat(bodies, 4, 2) + random.normal(0.0, 0.01, (3, bodies.shape[1], 16))
    at_once = tracker().frames(bodies, np.ones((4, 16), bool))
    one_by_one = tracker()
    for t in range(16):
        frames = one_by_one.frames(bodies[..., t : t + 1], USABLE)
        np.testing.assert_allclose(frames.axes[..., 0], at_once.axes[..., t], atol=1e-12)


def test_cross_product():
    a, b = np.random.default_rng(0).normal(size=(2, 3, 7, 2))
    np.testing.assert_allclose(cross(a, b), np.cross(a, b, axis=0), atol=1e-15)
