"""Poses as rotations and lengths of bones; `BoneTree`'s own tests are beside `refine_node.bones`, which it came from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose_core.geometry.kinematics import BodyTree, typical_lengths
from pose_core.geometry.rotations import angle_between, matrix_of_rotation_vector
from pose_core.geometry.standing import STANDING
from pose_core.skeleton import SKELETONS

NAMES = SKELETONS.names()
BODIES = [name for name in NAMES if name != "hand21"]
TREES = {name: BodyTree(SKELETONS.get(name)) for name in NAMES}
MIRROR = np.array([-1.0, 1.0, 1.0])
MIRRORED = np.diag(MIRROR)

every = pytest.mark.parametrize("name", NAMES)
every_body = pytest.mark.parametrize("name", BODIES)


def some(examples: int = 10):
    """Hypothesis with a seed, on every skeleton."""
    return lambda test: every(
        settings(max_examples=examples, deadline=None)(given(seed=st.integers(0, 2**32 - 1))(test))
    )


def random_lengths(tree: BodyTree, rng: np.random.Generator) -> np.ndarray:
    """(B,) tied ones alike."""
    lengths = rng.uniform(0.05, 0.5, len(tree.child))
    return np.where(tree.tied, lengths[tree.mirror] + lengths, lengths)


def random_rotations(seed: int, *shape: int) -> np.ndarray:
    rotations = Rotation.random(int(np.prod(shape)), random_state=np.random.default_rng(seed))
    return rotations.as_matrix().reshape(*shape, 3, 3)


def small_rotations(rng: np.random.Generator, spread: float, *shape: int) -> np.ndarray:
    return matrix_of_rotation_vector(rng.normal(scale=spread, size=(*shape, 3)))


def standing(tree: BodyTree) -> np.ndarray:
    """(J, 3) a person in rest pose, in standing heights, about the root; for skeletons that tables tell wholly."""
    rotations = np.broadcast_to(np.eye(3), (len(tree.heads), 3, 3))
    return tree.forward(rotations, tree.standing_lengths)


@some()
def test_lengths_are_kept_and_virtual_points_remain_means(name, seed):
    tree, rng = TREES[name], np.random.default_rng(seed)
    lengths, root = random_lengths(tree, rng), rng.normal(size=(4, 3))
    joints = tree.forward(random_rotations(seed, 4, len(tree.heads)), lengths, root)
    np.testing.assert_allclose(
        tree.skeleton.bone_lengths(joints), np.broadcast_to(lengths, (4, len(lengths))), rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(tree.skeleton.root_of(joints), root, rtol=0, atol=1e-9)


@some()
def test_what_is_fitted_gives_the_pose_back(name, seed):
    tree, rng = TREES[name], np.random.default_rng(seed)
    xyz = rng.normal(size=(2, 3, len(tree.skeleton), 3))
    rotations, lengths = tree.fit(xyz)
    assert rotations.shape == (2, 3, len(tree.heads), 3, 3)
    np.testing.assert_allclose(lengths, tree.skeleton.bone_lengths(xyz), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        tree.forward(rotations, lengths, tree.skeleton.root_of(xyz)), xyz, rtol=0, atol=1e-9
    )
    eye = np.broadcast_to(np.eye(3), rotations.shape)
    np.testing.assert_allclose(rotations @ np.swapaxes(rotations, -1, -2), eye, rtol=0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, rtol=0, atol=1e-9)
    alone = tree.fit(xyz[1, 2])
    np.testing.assert_allclose(alone.rotations, rotations[1, 2], rtol=0, atol=1e-12)


@some()
def test_turning_every_bone_turns_the_person(name, seed):
    tree, rng = TREES[name], np.random.default_rng(seed)
    turn = random_rotations(seed, 1)[0]
    rotations, lengths = random_rotations(seed + 1, len(tree.heads)), random_lengths(tree, rng)
    joints = tree.forward(rotations, lengths)
    np.testing.assert_allclose(tree.forward(turn @ rotations, lengths), joints @ turn.T, rtol=0, atol=1e-9)
    turned = tree.fit(joints @ turn.T + rng.normal(size=3))
    np.testing.assert_allclose(turned.rotations, turn @ tree.fit(joints).rotations, rtol=0, atol=1e-6)
    np.testing.assert_allclose(turned.lengths, lengths, rtol=0, atol=1e-9)


@some()
def test_a_mirrored_person_has_mirrored_rotations(name, seed):
    tree = TREES[name]
    xyz = np.random.default_rng(seed).normal(size=(len(tree.skeleton), 3))
    rotations, lengths = tree.fit(xyz)
    mirrored = tree.fit((xyz * MIRROR)[tree.skeleton.flip])
    if name in BODIES:  # a hand has no left and right: only its bones' positions are mirrored
        expected = MIRRORED @ rotations[tree.group_mirror] @ MIRRORED
        np.testing.assert_allclose(mirrored.rotations, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(mirrored.lengths, lengths[tree.mirror], rtol=0, atol=1e-12)


@some()
def test_missing_joints_stay_missing_and_the_others_are_exact(name, seed):
    tree, rng = TREES[name], np.random.default_rng(seed)
    xyz = rng.normal(size=(3, len(tree.skeleton), 3))
    root = tree.skeleton.root_of(xyz)
    missing = rng.random(xyz.shape[:-1]) < 0.3
    if tree.skeleton.root in tree.skeleton.joints:
        missing[:, tree.skeleton.index(tree.skeleton.root)] = False
    xyz[missing] = np.nan
    rotations, lengths = tree.fit(xyz, root)
    assert np.isfinite(rotations).all()
    back = tree.forward(rotations, lengths, root)
    np.testing.assert_array_equal(np.isnan(back).any(-1), missing)
    np.testing.assert_allclose(back, xyz, rtol=0, atol=1e-9)


def test_below_a_missing_joint_bones_start_at_the_nearest_known_one():
    tree = TREES["coco17"]
    skeleton, xyz = tree.skeleton, standing(tree)
    hip, knee, ankle = skeleton.indices("left_hip", "left_knee", "left_ankle")
    thigh, shank = (
        skeleton.bone_names.index(f"left_{bone}") for bone in ("hip-left_knee", "knee-left_ankle")
    )
    xyz[knee] = np.nan
    rotations, lengths = tree.fit(xyz)
    assert np.isnan(lengths[thigh])
    assert lengths[shank] == pytest.approx(0.245 + 0.246)
    np.testing.assert_allclose(rotations, np.broadcast_to(np.eye(3), rotations.shape), atol=1e-12)
    back = tree.forward(rotations, lengths)
    assert np.isnan(back[knee]).all()
    np.testing.assert_allclose(back[ankle] - back[hip], [0.0, -0.491, 0.0], atol=1e-12)


def test_one_shoulder_of_two_stays_where_it_is_without_the_neck():
    tree = TREES["mediapipe33"]
    xyz = standing(tree)
    left, right = tree.skeleton.indices("left_shoulder", "right_shoulder")
    xyz[left] = np.nan
    back = tree.forward(*tree.fit(xyz))
    assert np.flatnonzero(np.isnan(back).any(-1)).tolist() == [left]
    np.testing.assert_allclose(back[right], [-0.106, 0.288, 0.0], atol=1e-12)
    np.testing.assert_allclose(back, xyz, rtol=0, atol=1e-12)


def test_without_a_root_nothing_is_known():
    tree = TREES["mediapipe33"]
    xyz = standing(tree)
    xyz[tree.skeleton.index("left_hip")] = np.nan
    rotations, lengths = tree.fit(xyz)
    assert np.isfinite(rotations).all()
    assert np.isnan(lengths).all()
    assert np.isnan(tree.forward(rotations, lengths)).all()
    # told where the root is, all that is seen is known
    root = np.zeros(3)
    np.testing.assert_allclose(tree.forward(*tree.fit(xyz, root), root), xyz, rtol=0, atol=1e-12)
    nothing = tree.fit(np.full_like(xyz, np.nan))
    assert np.isnan(nothing.lengths).all()
    assert np.isfinite(nothing.rotations).all()


def test_a_length_that_is_not_known_leaves_its_joint_missing():
    tree = TREES["h36m17"]
    rotations, lengths = tree.fit(standing(tree))
    lengths[tree.skeleton.bone_names.index("left_elbow-left_wrist")] = np.nan
    missing = np.isnan(tree.forward(rotations, lengths)).any(-1)
    assert np.flatnonzero(missing).tolist() == [tree.skeleton.index("left_wrist")]


def test_a_bone_without_length_turns_with_the_one_before():
    tree = TREES["mediapipe33"]
    skeleton, xyz = tree.skeleton, standing(tree) @ random_rotations(3, 1)[0].T
    wrist, index = skeleton.indices("left_wrist", "left_index")
    xyz[index] = xyz[wrist]
    rotations, lengths = tree.fit(xyz)
    bone = skeleton.bone_names.index("left_wrist-left_index")
    group = tree.groups[bone]
    assert lengths[bone] == 0.0
    np.testing.assert_allclose(rotations[group], rotations[tree.group_parent[group]], rtol=0, atol=1e-12)
    np.testing.assert_allclose(tree.forward(rotations, lengths), xyz, rtol=0, atol=1e-12)


@every
def test_rest_directions_are_unit_mirrored_and_opposite_where_tied(name):
    tree = TREES[name]
    np.testing.assert_allclose(np.linalg.norm(tree.rest, axis=-1), 1.0, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(tree.rest[tree.tied], -tree.rest[tree.mirror][tree.tied])
    if name in BODIES:
        np.testing.assert_allclose(tree.rest[tree.mirror], tree.rest * MIRROR, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(tree.rest, tree.signs[:, None] * tree.rest[tree.heads[tree.groups]])


@every_body
def test_the_rest_pose_stands_upright_and_its_left_is_left(name):
    tree = TREES[name]
    skeleton, xyz = tree.skeleton, standing(tree)
    nodes = dict(zip(skeleton.nodes, skeleton.with_virtual(xyz), strict=True))
    assert nodes["neck"][1] > 0.25
    heads = [node for node in nodes if node in ("nose", "head", "head_top", "left_eye", "left_ear")]
    assert all(nodes[head][1] > nodes["neck"][1] for head in heads)
    assert nodes["left_ankle"][1] < nodes["left_knee"][1] < nodes["left_hip"][1] < 0.1
    for node, (x, _, _) in nodes.items():
        if node.startswith("left"):
            assert x > 0.0
        elif not node.startswith(("right", "mouth")):
            assert x == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose((xyz * MIRROR)[skeleton.flip], xyz, rtol=0, atol=1e-12)
    if "nose" in nodes:
        assert nodes["nose"][2] > nodes["neck"][2] + 0.03  # forward


def test_the_rest_pose_is_the_standing_person():
    tree = TREES["mediapipe33"]
    xyz = standing(tree)
    for joint, position in STANDING.items():
        above_pelvis = np.array(position) - [0.0, STANDING["left_hip"][1], 0.0]
        np.testing.assert_allclose(xyz[tree.skeleton.index(joint)], above_pelvis, rtol=0, atol=1e-9)


def test_a_hand_hangs_with_its_thumb_forward():
    tree = TREES["hand21"]
    rest = dict(zip((child for _, child in tree.skeleton.bones), tree.rest, strict=True))
    assert all(direction[1] < -0.5 for direction in rest.values())
    knuckles = [rest[f"{finger}_mcp"][2] for finger in ("pinky", "ring", "middle", "index")]
    assert knuckles == sorted(knuckles)
    assert rest["thumb_cmc"][2] > knuckles[-1]
    np.testing.assert_array_equal(rest["index_tip"], rest["index_mcp"])


def test_tables_by_hand():
    tree = TREES["coco17"]
    names = tree.skeleton.bone_names
    assert (len(tree.child), len(tree.heads), len(tree.levels)) == (18, 16, 4)
    trunk, left, right = (
        names.index(bone) for bone in ("pelvis-neck", "pelvis-left_hip", "pelvis-right_hip")
    )
    assert tree.groups[left] == tree.groups[right] != tree.groups[trunk]
    assert (tree.signs[left], tree.signs[right]) == (1.0, -1.0)
    assert tree.group_mirror[tree.groups[left]] == tree.groups[left]
    shin, thigh = (names.index(bone) for bone in ("right_knee-right_ankle", "right_hip-right_knee"))
    assert tree.group_parent[tree.groups[shin]] == tree.groups[thigh]
    assert tree.group_parent[tree.groups[thigh]] == tree.groups[right]
    assert tree.group_parent[tree.groups[trunk]] == -1
    # trunk, nose, and of each pair one: shoulder, arm, forearm, hip, thigh, shank, eye, ear
    assert tree.pairs.max() + 1 == 10
    assert tree.pairs[shin] == tree.pairs[names.index("left_knee-left_ankle")]
    assert len(TREES["h36m17"].heads) == len(TREES["h36m17"].child) == 16


def group(tree: BodyTree, bone: str) -> int:
    return int(tree.groups[tree.skeleton.bone_names.index(bone)])


def against_the_bone_before(tree: BodyTree, rotations: np.ndarray) -> np.ndarray:
    """(G, 3, 3) in the axes of the bone before."""
    local = rotations.copy()
    inner = tree.group_parent >= 0
    local[inner] = np.swapaxes(rotations[tree.group_parent[inner]], -1, -2) @ rotations[inner]
    return local


def test_a_bent_elbow_by_hand():
    tree = TREES["mediapipe33"]
    skeleton = tree.skeleton
    xyz = standing(tree)
    elbow = skeleton.index("left_elbow")
    below = skeleton.indices("left_wrist", "left_index", "left_pinky", "left_thumb")
    bend = matrix_of_rotation_vector(np.array([-np.pi / 2, 0.0, 0.0]))  # down to forward
    xyz[below] = (xyz[below] - xyz[elbow]) @ bend.T + xyz[elbow]
    np.testing.assert_allclose(xyz[below[0]] - xyz[elbow], [0.0, 0.0, 0.146], atol=1e-12)
    local = against_the_bone_before(tree, tree.fit(xyz).rotations)
    forearm = group(tree, "left_elbow-left_wrist")
    np.testing.assert_allclose(local[forearm], bend, rtol=0, atol=1e-9)
    others = np.delete(local, forearm, 0)
    np.testing.assert_allclose(others, np.broadcast_to(np.eye(3), others.shape), rtol=0, atol=1e-9)


def test_an_arm_straight_up_points_against_its_rest_direction():
    tree = TREES["h36m17"]
    xyz = standing(tree)
    shoulder, elbow, wrist = tree.skeleton.indices("left_shoulder", "left_elbow", "left_wrist")
    for joint in (elbow, wrist):
        xyz[joint] = xyz[shoulder] * [2, 2, 2] - xyz[joint]
    rotations, lengths = tree.fit(xyz)
    arm, forearm = group(tree, "left_shoulder-left_elbow"), group(tree, "left_elbow-left_wrist")
    assert angle_between(np.eye(3), rotations[arm]) == pytest.approx(np.pi)
    np.testing.assert_allclose(rotations[forearm], rotations[arm], rtol=0, atol=1e-12)
    np.testing.assert_allclose(tree.forward(rotations, lengths), xyz, rtol=0, atol=1e-12)


@every_body
def test_someone_who_has_turned_round_is_turned_in_every_bone(name):
    tree = TREES[name]
    turn = matrix_of_rotation_vector(np.array([0.0, 2.5, 0.0]))
    rotations = tree.fit(standing(tree) @ turn.T).rotations
    np.testing.assert_allclose(rotations, np.broadcast_to(turn, rotations.shape), rtol=0, atol=1e-9)


@every
def test_no_pose_at_all(name):
    tree = TREES[name]
    rotations, lengths = tree.fit(np.empty((0, len(tree.skeleton), 3)))
    assert tree.forward(rotations, lengths, np.empty((0, 3))).shape == (0, len(tree.skeleton), 3)


def test_a_typical_length_by_hand():
    # median 2, spread (3 - 1) / 2 too large to be noise about any length: the best is half the median
    lengths, spread, total = typical_lengths(np.array([[1.0, 2.0, 3.0]]), np.ones((1, 3)))
    assert (lengths[0], spread[0], total[0]) == (1.0, 1.0, 3.0)
    # weights of 1, 8 and 1 put all three quantiles on the middle one
    lengths, spread, _ = typical_lengths(
        np.array([[1.0, 2.0, 3.0, np.nan]]), np.array([[1.0, 8.0, 1.0, 9.0]])
    )
    assert (lengths[0], spread[0]) == (2.0, 0.0)
    assert np.isnan(typical_lengths(np.full((1, 2), np.nan), np.ones((1, 2)))[0]).all()
