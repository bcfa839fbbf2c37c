from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.conversion import conversion
from pose_core.filtering.missing_joints import TRUST, Method, MissingJoints
from pose_core.filtering.visibility import joint_mask
from pose_core.geometry.standing import STANDING
from pose_core.skeleton import COCO17, MEDIAPIPE33, MPI_INF28, Skeleton, mirror

BODIES = ("mediapipe33", "coco17", "h36m17", "mpi_inf28", "pose2sim22")
FILLERS = {name: MissingJoints(name) for name in BODIES}
HEIGHT = 2.0


def t_pose(skeleton: Skeleton = MEDIAPIPE33) -> np.ndarray:
    """(J, 3) an average person of 2 m, arms level; x to the person's left, y up, z forward."""
    person = np.zeros((33, 3))
    for name, position in STANDING.items():
        person[MEDIAPIPE33.index(name)] = position
        person[MEDIAPIPE33.index(mirror(name))] = np.multiply(position, (-1, 1, 1))
    hand = {"index": (0.383, 0.014), "pinky": (0.377, -0.020), "thumb": (0.361, 0.029)}
    for side, out in (("left", 1.0), ("right", -1.0)):
        x, y, z = person[MEDIAPIPE33.index(f"{side}_shoulder")]
        for part, (reach, forward) in {"elbow": (0.186, 0.0), "wrist": (0.332, 0.0), **hand}.items():
            person[MEDIAPIPE33.index(f"{side}_{part}")] = (x + out * reach, y, z + forward)
    return HEIGHT * conversion("mediapipe33", skeleton.name).apply(person, np.ones(33))[0]


def without(positions: np.ndarray, skeleton: Skeleton, *names: str) -> np.ndarray:
    lacking = positions.copy()
    lacking[..., skeleton.indices(*names), :] = np.nan
    return lacking


def only(positions: np.ndarray, skeleton: Skeleton, *names: str) -> np.ndarray:
    return without(positions, skeleton, *(name for name in skeleton.joints if name not in names))


def at(filled, skeleton: Skeleton, name: str) -> np.ndarray:
    return filled.positions[..., skeleton.index(name), :]


def full(positions: np.ndarray) -> np.ndarray:
    return np.ones(positions.shape[:-1])


def test_a_missing_forearm_is_the_mirror_image_of_the_other():
    xyz = t_pose()
    lost = ("right_wrist", "right_index", "right_pinky", "right_thumb")
    filled = FILLERS["mediapipe33"].fill(without(xyz, MEDIAPIPE33, *lost), full(xyz))
    # shoulder at 2 (0.106, 0.818, 0), arm 2 (0.186 + 0.146) long
    np.testing.assert_allclose(at(filled, MEDIAPIPE33, "right_wrist"), [-0.876, 1.636, 0.0], atol=1e-12)
    np.testing.assert_allclose(filled.positions, xyz, atol=1e-12)
    rows = MEDIAPIPE33.indices(*lost)
    assert (filled.method[rows] == Method.SYMMETRY).all()
    assert filled.inferred.sum() == 4
    assert filled.counts() == {"missing": 0, "seen": 29, "symmetry": 4, "average": 0}
    # each hangs on the one before it, so the fingers are a guess on a guess
    assert filled.confidence[rows].tolist() == [0.5, 0.25, 0.25, 0.25]


def test_a_bent_forearm_is_reflected_where_its_own_elbow_is():
    xyz = t_pose(COCO17)
    xyz[COCO17.index("left_wrist")] = xyz[COCO17.index("left_elbow")] + (0.1, 0.2, 0.15)
    xyz[COCO17.index("right_elbow")] = (-0.3, 1.3, 0.2)
    xyz[COCO17.index("right_wrist")] = np.nan
    filled = FILLERS["coco17"].fill(xyz, full(xyz))
    np.testing.assert_allclose(at(filled, COCO17, "right_wrist"), [-0.4, 1.5, 0.35], atol=1e-12)


def test_both_forearms_missing_continue_the_upper_arms_at_average_length():
    xyz = t_pose(COCO17)
    shoulder = xyz[COCO17.index("left_shoulder")]
    xyz[COCO17.index("left_elbow")] = shoulder + 2 * 0.186 * np.array([0.6, 0.0, 0.8])
    filled = FILLERS["coco17"].fill(without(xyz, COCO17, "left_wrist", "right_wrist"), full(xyz))
    np.testing.assert_allclose(
        at(filled, COCO17, "left_wrist"),
        shoulder + 2 * (0.186 + 0.146) * np.array([0.6, 0.0, 0.8]),
        atol=1e-12,
    )
    np.testing.assert_allclose(at(filled, COCO17, "right_wrist"), [-0.876, 1.636, 0.0], atol=1e-12)
    rows = COCO17.indices("left_wrist", "right_wrist")
    assert (filled.method[rows] == Method.AVERAGE).all()
    assert (filled.confidence[rows] == 0.25).all()


def test_size_is_the_persons_own():
    """A person with all bones 10 % longer gets forearms 10 % longer."""
    xyz = 1.1 * t_pose(COCO17)
    filled = FILLERS["coco17"].fill(without(xyz, COCO17, "left_wrist", "right_wrist"), full(xyz))
    np.testing.assert_allclose(at(filled, COCO17, "right_wrist")[0], 1.1 * -0.876, atol=1e-12)


def test_a_hidden_elbow_lies_between_shoulder_and_wrist():
    xyz = t_pose(COCO17)
    filled = FILLERS["coco17"].fill(without(xyz, COCO17, "left_elbow"), full(xyz))
    np.testing.assert_allclose(at(filled, COCO17, "left_elbow"), [0.584, 1.636, 0.0], atol=1e-12)
    # moved wrist: from the shoulder as before, from the wrist 0.3 m higher; weights 1 / 0.186^2 and 1 / 0.146^2
    xyz[COCO17.index("left_wrist"), 1] += 0.3
    filled = FILLERS["coco17"].fill(without(xyz, COCO17, "left_elbow"), full(xyz))
    share = 0.186**2 / (0.186**2 + 0.146**2)
    np.testing.assert_allclose(
        at(filled, COCO17, "left_elbow"), [0.584, 1.636 + 0.3 * share, 0.0], atol=1e-12
    )


def test_missing_legs_stand_straight_below_a_leaning_trunk():
    xyz = t_pose(COCO17)
    lean = np.radians(30.0)
    turn = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    legs = [f"{side}_{part}" for side in ("left", "right") for part in ("knee", "ankle")]
    filled = FILLERS["coco17"].fill(without(xyz @ turn.T, COCO17, *legs), full(xyz))
    np.testing.assert_allclose(filled.positions, xyz @ turn.T, atol=1e-12)
    assert filled.counts() == {"missing": 0, "seen": 13, "symmetry": 0, "average": 4}


def test_a_selfie_without_hips_gets_a_whole_body():
    xyz = t_pose()
    upper = [
        name
        for name in MEDIAPIPE33.joints
        if not any(p in name for p in ("hip", "knee", "ankle", "heel", "foot"))
    ]
    filled = FILLERS["mediapipe33"].fill(only(xyz, MEDIAPIPE33, *upper), full(xyz))
    np.testing.assert_allclose(filled.positions, xyz, atol=1e-12)


def test_one_hip_is_enough():
    xyz = t_pose(COCO17)
    lost = ("right_hip", "right_knee", "right_ankle")
    filled = FILLERS["coco17"].fill(without(xyz, COCO17, *lost), full(xyz))
    np.testing.assert_allclose(filled.positions, xyz, atol=1e-12)


@pytest.mark.parametrize("name", BODIES)
def test_an_average_person_is_complete_from_the_trunk_alone(name):
    filler = FILLERS[name]
    xyz = t_pose(filler.skeleton)
    arms = filler.skeleton.indices(*(f"{side}_{p}" for side in ("left", "right") for p in ("elbow", "wrist")))
    xyz[arms] = np.nan
    trunk = only(xyz, filler.skeleton, "left_shoulder", "right_shoulder", "left_hip", "right_hip")
    filled = filler.fill(trunk, full(xyz))
    told = np.isfinite(xyz).all(-1) & np.array(["hand" not in joint for joint in filler.skeleton.joints])
    fingers = [f"{side}_{p}" for side in ("left", "right") for p in ("index", "pinky", "thumb")]
    told &= np.array([joint not in fingers for joint in filler.skeleton.joints])
    np.testing.assert_allclose(filled.positions[told], xyz[told], atol=1e-8)
    elbow = filled.positions[filler.skeleton.index("left_elbow")]
    np.testing.assert_allclose(elbow, [0.212, 1.264, 0.0], atol=1e-8)  # hanging
    if name == "pose2sim22":
        toes = filler.skeleton.indices("left_small_toe", "right_small_toe")
        assert (filled.method[toes] == Method.MISSING).all(), "no source tells where small toes are"
    else:
        assert (filled.method != Method.MISSING).all()


def test_in_an_image_the_trunks_axis_is_the_mirror():
    xy = t_pose(COCO17)[:, :2] * (100, -100)  # y down; from the front the person's left is on the right
    filled = FILLERS["coco17"].fill(without(xy, COCO17, "left_wrist"), full(xy))
    np.testing.assert_allclose(at(filled, COCO17, "left_wrist"), [87.6, -163.6], atol=1e-9)
    filled = FILLERS["coco17"].fill(without(xy, COCO17, "left_ankle", "right_ankle"), full(xy))
    np.testing.assert_allclose(at(filled, COCO17, "right_ankle"), [-10.2, -7.8], atol=1e-9)


def test_from_the_side_shoulders_coincide_in_an_image():
    xyz = t_pose(COCO17)
    xy = xyz[:, [2, 1]] * (1, -1)
    xy[COCO17.index("left_knee")] = (0.3, -0.7)
    filled = FILLERS["coco17"].fill(without(xy, COCO17, "left_ankle", "right_ankle", "right_hip"), full(xy))
    assert (filled.method != Method.MISSING).all()
    hip, knee, ankle = (at(filled, COCO17, f"left_{part}") for part in ("hip", "knee", "ankle"))
    cross = (knee - hip)[0] * (ankle - knee)[1] - (knee - hip)[1] * (ankle - knee)[0]
    assert abs(cross) < 1e-12


@pytest.mark.parametrize("seen", [(), ("nose",), ("left_wrist",), ("left_shoulder", "right_hip")])
def test_what_cannot_be_told_stays_missing(seen):
    xyz = only(t_pose(COCO17), COCO17, *seen)
    filled = FILLERS["coco17"].fill(xyz, full(xyz))
    np.testing.assert_array_equal(filled.positions, xyz)
    assert filled.counts() == {"missing": 17 - len(seen), "seen": len(seen), "symmetry": 0, "average": 0}
    np.testing.assert_array_equal(filled.confidence, np.isfinite(xyz[:, 0]).astype(float))


def test_joints_in_one_place_tell_nothing_and_raise_nothing():
    xyz = without(np.ones((17, 3)), COCO17, "left_wrist", "right_ankle")
    filled = FILLERS["coco17"].fill(xyz, full(xyz))
    np.testing.assert_array_equal(filled.positions, xyz)


def test_all_seen_is_left_alone():
    xyz = t_pose(MPI_INF28)
    filled = FILLERS["mpi_inf28"].fill(xyz, full(xyz))
    np.testing.assert_array_equal(filled.positions, xyz)
    assert (filled.method == Method.SEEN).all()


def test_a_joint_that_is_not_to_be_believed_is_replaced():
    xyz = t_pose(COCO17)
    wrong, seen = xyz.copy(), np.ones(17, bool)
    wrist = COCO17.index("left_wrist")
    wrong[wrist], seen[wrist] = (9.0, 9.0, 9.0), False
    filled = FILLERS["coco17"].fill(wrong, full(xyz), seen)
    np.testing.assert_allclose(filled.positions, xyz, atol=1e-12)
    unsure = full(xyz)
    unsure[wrist] = 0.0
    np.testing.assert_array_equal(FILLERS["coco17"].fill(wrong, unsure).positions, filled.positions)


def test_single_precision_stays_single():
    xyz = without(t_pose(COCO17), COCO17, "left_wrist").astype(np.float32)
    filled = FILLERS["coco17"].fill(xyz, np.ones(17, np.float32))
    assert filled.positions.dtype == filled.confidence.dtype == np.float32


@st.composite
def seen_poses(draw) -> tuple[str, np.ndarray, np.ndarray]:
    """A skeleton, three random poses of it in 2D or 3D with joints missing at random, and confidences."""
    name = draw(st.sampled_from(BODIES))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    xyz = t_pose(FILLERS[name].skeleton)
    xyz = np.where(np.isnan(xyz), 0.0, xyz) + rng.normal(0.0, 0.2, (3, *xyz.shape))
    xyz = xyz[..., : draw(st.sampled_from((2, 3)))]
    xyz[rng.random(xyz.shape[:-1]) < draw(st.sampled_from((0.1, 0.5, 0.8)))] = np.nan
    return name, xyz, rng.uniform(0.1, 1.0, xyz.shape[:-1])


@settings(max_examples=20, deadline=None)
@given(seen_poses())
def test_seen_joints_are_untouched_and_others_marked(given_poses):
    name, xyz, confidence = given_poses
    filled = FILLERS[name].fill(xyz, confidence)
    seen = np.isfinite(xyz).all(-1)
    np.testing.assert_array_equal(filled.positions[seen], xyz[seen])
    np.testing.assert_array_equal(filled.confidence[seen], confidence[seen])
    np.testing.assert_array_equal(filled.method == Method.SEEN, seen)
    np.testing.assert_array_equal(np.isnan(filled.positions).any(-1), filled.method == Method.MISSING)
    np.testing.assert_array_equal(filled.confidence == 0.0, filled.method == Method.MISSING)
    for person in range(3):
        guessed = filled.inferred[person]
        if guessed.any():
            limit = max(TRUST.values()) * confidence[person, seen[person]].max()
            assert filled.confidence[person, guessed].max() <= limit


@settings(max_examples=20, deadline=None)
@given(seen_poses())
def test_filling_twice_changes_nothing(given_poses):
    name, xyz, confidence = given_poses
    once = FILLERS[name].fill(xyz, confidence)
    twice = FILLERS[name].fill(once.positions, once.confidence)
    np.testing.assert_array_equal(twice.positions, once.positions)
    np.testing.assert_array_equal(twice.confidence, once.confidence)


@settings(max_examples=20, deadline=None)
@given(seen_poses())
def test_people_do_not_depend_on_each_other(given_poses):
    name, xyz, confidence = given_poses
    together = FILLERS[name].fill(xyz, confidence)
    for person in range(3):
        alone = FILLERS[name].fill(xyz[person], confidence[person])
        np.testing.assert_allclose(alone.positions, together.positions[person], rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(alone.method, together.method[person])


@settings(max_examples=20, deadline=None)
@given(seen_poses(), st.integers(0, 2**32 - 1), st.floats(0.001, 1000.0))
def test_a_person_elsewhere_turned_and_larger_is_filled_in_the_same(given_poses, seed, scale):
    name, xyz, confidence = given_poses
    rng = np.random.default_rng(seed)
    dims = xyz.shape[-1]
    rotation = np.linalg.qr(rng.normal(size=(dims, dims)))[0]
    rotation[:, 0] *= np.linalg.det(rotation)
    shift = rng.normal(size=dims)
    moved = FILLERS[name].fill(scale * xyz @ rotation.T + shift, confidence)
    here = FILLERS[name].fill(xyz, confidence)
    np.testing.assert_allclose(
        moved.positions, scale * here.positions @ rotation.T + shift, rtol=1e-6, atol=1e-6 * (1.0 + scale)
    )
    np.testing.assert_array_equal(moved.method, here.method)


@settings(max_examples=20, deadline=None)
@given(seen_poses())
def test_a_mirrored_person_is_filled_in_mirrored(given_poses):
    name, xyz, confidence = given_poses
    flip, mirrored = FILLERS[name].skeleton.flip, np.eye(xyz.shape[-1])
    mirrored[0, 0] = -1.0
    here = FILLERS[name].fill(xyz, confidence)
    there = FILLERS[name].fill((xyz @ mirrored)[:, flip], confidence[:, flip])
    np.testing.assert_allclose(there.positions, (here.positions @ mirrored)[:, flip], rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(there.method, here.method[:, flip])


def test_visible_keypoints_are_there_sure_and_inside():
    xy_px = np.array(
        [
            [0.0, 0.0],
            [-0.4, 479.4],
            [-0.6, 5.0],
            [639.6, 5.0],
            [5.0, 479.6],
            [np.nan, 5.0],
            [5.0, 5.0],
            [5.0, 5.0],
        ]
    )
    confidence = np.array([1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.49, 0.0])
    seen = joint_mask(xy_px, confidence, 0.5, 640, 480)
    assert seen.tolist() == [True, True, False, False, False, False, False, False]
    assert joint_mask(xy_px, confidence, 0.0).tolist() == [True] * 5 + [False, True, False]


def test_shapes_and_skeletons_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"'coco17' must be \(..., 17, 2 or 3\), got \(33, 3\)"):
        FILLERS["coco17"].fill(np.zeros((33, 3)), np.ones(33))
    with pytest.raises(ValueError, match="'hand21' lacks 'left_shoulder'"):
        MissingJoints("hand21")
