from __future__ import annotations

import numpy as np
import pytest

from pose_core.skeleton import SKELETONS, Skeleton, mirror, remap, side

ALL = [SKELETONS.get(name) for name in SKELETONS]
BODIES = [skeleton for skeleton in ALL if skeleton.name != "hand21"]
every = pytest.mark.parametrize("skeleton", ALL, ids=lambda s: s.name)
body = pytest.mark.parametrize("skeleton", BODIES, ids=lambda s: s.name)

# Row numbers as the definitions' own pages print them.
PUBLISHED = {
    "mediapipe33": {
        0: "nose",
        1: "left_eye_inner",
        6: "right_eye_outer",
        7: "left_ear",
        8: "right_ear",
        9: "mouth_left",
        11: "left_shoulder",
        12: "right_shoulder",
        15: "left_wrist",
        18: "right_pinky",
        19: "left_index",
        22: "right_thumb",
        23: "left_hip",
        26: "right_knee",
        28: "right_ankle",
        29: "left_heel",
        32: "right_foot_index",
    },
    "coco17": {
        0: "nose",
        1: "left_eye",
        4: "right_ear",
        5: "left_shoulder",
        10: "right_wrist",
        11: "left_hip",
        16: "right_ankle",
    },
    "h36m17": {
        0: "pelvis",
        1: "right_hip",
        3: "right_ankle",
        4: "left_hip",
        6: "left_ankle",
        7: "spine",
        10: "head_top",
        11: "left_shoulder",
        13: "left_wrist",
        14: "right_shoulder",
        16: "right_wrist",
    },
    "mpi_inf28": {
        0: "spine3",
        4: "pelvis",
        5: "neck",
        7: "head_top",
        9: "left_shoulder",
        14: "right_shoulder",
        16: "right_wrist",
        18: "left_hip",
        22: "left_toe",
        23: "right_hip",
        27: "right_toe",
    },
    "hand21": {
        0: "wrist",
        1: "thumb_cmc",
        4: "thumb_tip",
        5: "index_mcp",
        8: "index_tip",
        12: "middle_tip",
        16: "ring_tip",
        17: "pinky_mcp",
        20: "pinky_tip",
    },
    "pose2sim22": {
        0: "pelvis",
        1: "right_hip",
        4: "right_big_toe",
        7: "left_hip",
        12: "left_heel",
        13: "neck",
        15: "nose",
        16: "right_shoulder",
        19: "left_shoulder",
        21: "left_wrist",
    },
}
LENGTHS = {"mediapipe33": 33, "coco17": 17, "h36m17": 17, "mpi_inf28": 28, "hand21": 21, "pose2sim22": 22}


# (across from the middle, height above the floor, distance in front of the body's plane), metres
BODY = {
    "pelvis": (0.0, 0.95, 0.0),
    "spine": (0.0, 1.1, 0.0),
    "spine2": (0.0, 1.2, 0.0),
    "spine3": (0.0, 1.3, 0.0),
    "spine4": (0.0, 1.4, 0.0),
    "neck": (0.0, 1.45, 0.0),
    "nose": (0.0, 1.6, 0.1),
    "head": (0.0, 1.65, 0.0),
    "head_top": (0.0, 1.75, 0.0),
    "eye_inner": (0.02, 1.65, 0.08),
    "eye": (0.03, 1.65, 0.08),
    "eye_outer": (0.05, 1.65, 0.07),
    "ear": (0.08, 1.63, 0.0),
    "mouth": (0.03, 1.56, 0.08),
    "clavicle": (0.05, 1.45, 0.0),
    "shoulder": (0.18, 1.42, 0.0),
    "elbow": (0.45, 1.42, 0.0),
    "wrist": (0.7, 1.42, 0.0),
    "hand": (0.78, 1.42, 0.0),
    "pinky": (0.8, 1.39, 0.0),
    "index": (0.8, 1.44, 0.0),
    "thumb": (0.75, 1.45, 0.04),
    "hip": (0.1, 0.93, 0.0),
    "knee": (0.11, 0.5, 0.02),
    "ankle": (0.12, 0.08, 0.0),
    "heel": (0.12, 0.02, -0.05),
    "foot": (0.12, 0.03, 0.1),
    "foot_index": (0.12, 0.02, 0.16),
    "toe": (0.12, 0.02, 0.16),
    "big_toe": (0.11, 0.02, 0.16),
    "small_toe": (0.16, 0.02, 0.13),
}
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
KNUCKLES = ("cmc", "mcp", "pip", "ip", "dip", "tip")
DEPTH = 3.0


def place(name: str) -> tuple[float, float, float]:
    """Optical frame: x right, y down, z forward. Who faces the camera has the left side at its right."""
    finger, _, knuckle = name.partition("_")
    if knuckle in KNUCKLES:
        return (0.02 * FINGERS.index(finger) - 0.04, -0.04 - 0.02 * KNUCKLES.index(knuckle), DEPTH)
    across, up, front = BODY["_".join(word for word in name.split("_") if word not in ("left", "right"))]
    sign = {"left": 1.0, "right": -1.0, "centre": 0.0}[side(name)]
    return (sign * across, 1.0 - up, DEPTH - front)


def standing(skeleton: Skeleton) -> np.ndarray:
    """(J, 3) metres: who stands facing the camera with arms out, each joint placed by its name alone."""
    if skeleton.name == "hand21":
        return np.array([(0.0, 0.0, DEPTH) if name == "wrist" else place(name) for name in skeleton.joints])
    return np.array([place(name) for name in skeleton.joints])


def figure() -> Skeleton:
    return Skeleton(
        "figure",
        ("left_hip", "right_hip", "left_knee", "right_knee"),
        (
            ("pelvis", "left_hip"),
            ("pelvis", "right_hip"),
            ("left_hip", "left_knee"),
            ("right_hip", "right_knee"),
        ),
        "pelvis",
        "https://example.org",
        (("pelvis", "left_hip", "right_hip"),),
    )


def test_the_registry_holds_the_documented_skeletons():
    assert {skeleton.name: len(skeleton) for skeleton in ALL} == LENGTHS


@every
def test_rows_are_those_of_the_published_definition(skeleton):
    for row, joint in PUBLISHED[skeleton.name].items():
        assert skeleton.joints[row] == joint
        assert skeleton.index(joint) == row


@every
def test_bones_form_a_tree_over_all_nodes(skeleton):
    assert len(set(skeleton.nodes)) == len(skeleton.nodes)
    assert len(skeleton.bones) == len(skeleton.nodes) - 1
    assert (skeleton.parents == -1).sum() == 1
    assert skeleton.parents[skeleton.index(skeleton.root)] == -1
    for node in range(len(skeleton.nodes)):
        steps = 0
        while skeleton.parents[node] >= 0:
            node, steps = skeleton.parents[node], steps + 1
            assert steps < len(skeleton.nodes)
        assert node == skeleton.index(skeleton.root)
    assert skeleton.source.startswith("http")


@every
def test_parents_come_before_their_children(skeleton):
    known = {skeleton.index(skeleton.root)}
    for parent, child in skeleton.edges.tolist():
        assert parent in known
        known.add(child)


@every
def test_the_flip_is_an_involution_that_keeps_the_middle(skeleton):
    np.testing.assert_array_equal(skeleton.flip[skeleton.flip], np.arange(len(skeleton)))
    np.testing.assert_array_equal(skeleton.flip_nodes[: len(skeleton)], skeleton.flip)
    for row, joint in enumerate(skeleton.joints):
        assert (skeleton.flip[row] == row) == (side(joint) == "centre")


@every
def test_the_tree_is_its_own_mirror_image(skeleton):
    bones = {tuple(bone) for bone in skeleton.bones}
    assert {(mirror(parent), mirror(child)) for parent, child in bones} == bones


@body
def test_left_is_at_the_right_of_the_image_of_who_faces_the_camera(skeleton):
    x = standing(skeleton)[:, 0]
    left, right = (
        skeleton.indices("left_hip", "left_shoulder"),
        skeleton.indices("right_hip", "right_shoulder"),
    )
    assert (x[left] > 0.05).all()
    assert (x[right] < -0.05).all()


@body
def test_no_bone_crosses_the_middle_of_a_standing_person(skeleton):
    for parent, child in skeleton.bones:
        assert side(parent) in ("centre", side(child))


@body
def test_bones_of_a_standing_person_are_short(skeleton):
    # A bone to a joint of the other side or of another limb would be longer than any real one.
    assert skeleton.bone_lengths(standing(skeleton)).max() < 0.56


@body
def test_a_mirrored_person_relabelled_is_the_same_person(skeleton):
    xyz = standing(skeleton)
    mirrored = xyz * [-1.0, 1.0, 1.0]
    np.testing.assert_array_equal(mirrored[skeleton.flip], xyz)
    assert np.abs(mirrored - xyz).max() > 0.3


@every
def test_bone_sides_and_names_follow_the_child(skeleton):
    for (parent, child), kind, name in zip(
        skeleton.bones, skeleton.bone_sides, skeleton.bone_names, strict=True
    ):
        assert kind == side(child)
        assert name == f"{parent}-{child}"


def test_virtual_points_are_means_and_lengths_follow():
    skeleton = figure()
    xyz = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 2.0], [1.0, 3.0, 4.0], [-1.0, 2.0, 2.0]])
    np.testing.assert_array_equal(skeleton.with_virtual(xyz)[4], [0.0, 0.0, 1.0])
    np.testing.assert_array_equal(skeleton.root_of(xyz), [0.0, 0.0, 1.0])
    np.testing.assert_allclose(skeleton.bone_lengths(xyz), [np.sqrt(2.0), np.sqrt(2.0), 5.0, 2.0])
    np.testing.assert_array_equal(skeleton.parents, [4, 4, 0, 1, -1])


def test_a_missing_source_makes_the_virtual_point_missing():
    xyz = np.zeros((2, 4, 3))
    xyz[1, 0] = np.nan
    root = figure().root_of(xyz)
    np.testing.assert_array_equal(np.isnan(root).all(-1), [False, True])


def test_an_unknown_joint_is_named():
    with pytest.raises(ValueError, match="'figure' has no joint 'tail'"):
        figure().index("tail")


@pytest.mark.parametrize(
    ("joints", "bones", "message"),
    [
        (("a", "a"), (("a", "a"),), "names a joint twice"),
        (("a", "left_b"), (("a", "left_b"),), "'left_b' but not 'right_b'"),
        (("a", "b", "c"), (("a", "b"),), "no bone reaches"),
        (("a", "b", "c"), (("b", "c"), ("a", "b")), "does not extend a tree"),
        (("a", "b"), (("a", "b"), ("a", "b")), "does not extend a tree"),
    ],
)
def test_a_wrong_definition_is_refused(joints, bones, message):
    with pytest.raises(ValueError, match=message):
        Skeleton("wrong", joints, bones, "a", "https://example.org")


@pytest.mark.parametrize(
    ("name", "mirrored", "which"),
    [
        ("left_knee", "right_knee", "left"),
        ("mouth_right", "mouth_left", "right"),
        ("nose", "nose", "centre"),
        ("right_foot_index", "left_foot_index", "right"),
        ("upright", "upright", "centre"),
    ],
)
def test_sides_are_whole_words_of_names(name, mirrored, which):
    assert mirror(name) == mirrored
    assert side(name) == which


def test_remap_takes_joints_by_name_and_virtual_points_as_means():
    source, target = SKELETONS.get("mediapipe33"), SKELETONS.get("h36m17")
    matrix = remap(source, target, {"spine": ("pelvis", "neck")})
    xyz = np.random.default_rng(0).normal(size=(33, 3))
    moved = matrix @ xyz
    np.testing.assert_array_equal(moved[target.index("left_knee")], xyz[25])
    np.testing.assert_allclose(moved[target.index("pelvis")], (xyz[23] + xyz[24]) / 2)
    np.testing.assert_allclose(moved[target.index("spine")], (xyz[23] + xyz[24] + xyz[11] + xyz[12]) / 4)
    assert np.isnan(moved[target.index("head_top")]).all()


@every
def test_remap_to_itself_changes_nothing(skeleton):
    np.testing.assert_array_equal(remap(skeleton, skeleton), np.eye(len(skeleton)))


@body
def test_remap_commutes_with_the_flip(skeleton):
    source = SKELETONS.get("mediapipe33")
    matrix = remap(source, skeleton)
    np.testing.assert_array_equal(matrix[skeleton.flip][:, source.flip], matrix)
