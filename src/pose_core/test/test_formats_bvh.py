"""BVH files: joints are where an independent reading of the text puts them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core import files
from pose_core.formats import bvh
from pose_core.formats.bvh import write_bvh
from pose_core.geometry.kinematics import BodyTree
from pose_core.geometry.rotations import matrix_of_rotation_vector
from pose_core.geometry.standing import standing_joints
from pose_core.markers import WORLD_FROM_CAMERA
from pose_core.people import JointState
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS

NAN = float("nan")
BODIES = ["mediapipe33", "h36m17", "coco17", "pose2sim22", "mpi_inf28", "hand21"]


@dataclass
class Node:
    """A joint of a file, as its text says it."""

    name: str
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    channels: list[str] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)


def parse(text: str) -> tuple[Node, np.ndarray, float]:
    """The root, channels (T, C) and seconds between frames."""
    tokens = iter(text.split())
    assert next(tokens) == "HIERARCHY"
    assert next(tokens) == "ROOT"
    root = parse_node(tokens)
    assert next(tokens) == "MOTION"
    assert next(tokens) == "Frames:"
    frames = int(next(tokens))
    assert [next(tokens), next(tokens)] == ["Frame", "Time:"]
    period = float(next(tokens))
    return root, np.array(list(tokens), float).reshape(frames, -1), period


def parse_node(tokens: Iterator[str]) -> Node:
    node = Node(next(tokens))
    assert next(tokens) == "{"
    while (word := next(tokens)) != "}":
        if word == "OFFSET":
            node.offset = np.array([float(next(tokens)) for _ in range(3)])
        elif word == "CHANNELS":
            node.channels = [next(tokens) for _ in range(int(next(tokens)))]
        else:
            assert word in ("JOINT", "End")
            node.children.append(parse_node(tokens))
    return node


def axis_turn(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array(
        {
            "X": [[1, 0, 0], [0, c, -s], [0, s, c]],
            "Y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            "Z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]
    )


def positions(root: Node, channels: np.ndarray) -> dict[str, np.ndarray]:
    """Where each joint is in one frame, by multiplying what the text says in the order in which it says it."""
    values = iter(channels.tolist())
    places: dict[str, np.ndarray] = {}

    def visit(node: Node, rotation: np.ndarray, place: np.ndarray) -> None:
        place = place + rotation @ node.offset
        for channel in node.channels:
            value, axis = next(values), channel[0]
            if channel.endswith("position"):
                place = place + value * np.eye(3)["XYZ".index(axis)]
            else:
                assert channel.endswith("rotation")
                rotation = rotation @ axis_turn(axis, value)
        if node.name != "Site":
            assert node.name not in places
            places[node.name] = place
        for child in node.children:
            visit(child, rotation, place)

    visit(root, np.eye(3), np.zeros(3))
    assert next(values, None) is None
    return places


def sequence(skeleton: str, xyz: np.ndarray, rate_hz: float = 30.0) -> PoseSequence:
    shown = np.isfinite(xyz).all(-1)
    frames = len(xyz)
    return PoseSequence(
        skeleton=skeleton,
        stamps=np.rint(np.arange(frames) * (1e9 / rate_hz)).astype(np.int64),
        xyz=xyz,
        confidence=shown * 1.0,
        std=np.where(shown, 0.01, NAN),
        root_std=np.full((frames, 3), 0.01),
        state=np.where(shown, JointState.LIFTED, JointState.MISSING).astype(np.uint8),
        person_confidence=np.ones(frames),
    )


def rigid(skeleton: str, frames: int, seed: int = 0, angle: float = 3.0) -> np.ndarray:
    """(T, J, 3) poses of bones of constant length, which turn by up to `angle` at random; with left unlike right."""
    random = np.random.default_rng(seed)
    tree = BodyTree(SKELETONS.get(skeleton))
    lengths = random.uniform(0.05, 0.5, len(tree.child))
    # a mean of two joints stays their mean only while both are equally far from it
    lengths = np.where(tree.tied, 0.5 * (lengths + lengths[tree.mirror]), lengths)
    rotations = matrix_of_rotation_vector(random.uniform(-angle, angle, (frames, len(tree.heads), 3)))
    return tree.forward(rotations, lengths, random.uniform(-3.0, 3.0, (frames, 3)))


def read(path: Path) -> list[dict[str, np.ndarray]]:
    root, motion, _ = parse(path.read_text())
    return [positions(root, channels) for channels in motion]


@pytest.mark.parametrize("skeleton", BODIES)
def test_joints_are_where_they_were(tmp_path: Path, skeleton: str):
    xyz = rigid(skeleton, 12)
    write_bvh(tmp_path / "a.bvh", sequence(skeleton, xyz), turn=np.eye(3))
    nodes = SKELETONS.get(skeleton).with_virtual(xyz)
    for frame, places in enumerate(read(tmp_path / "a.bvh")):
        for node, name in enumerate(SKELETONS.get(skeleton).nodes):
            np.testing.assert_allclose(places[name], nodes[frame, node], atol=1e-5, err_msg=name)


@given(st.integers(0, 10**6), st.sampled_from([0.01, 1.0, 6.3]))
@settings(max_examples=20, deadline=None)
def test_whatever_the_pose(tmp_path_factory: pytest.TempPathFactory, seed: int, angle: float):
    xyz = rigid("mediapipe33", 3, seed, angle)
    path = tmp_path_factory.mktemp("bvh") / "a.bvh"
    write_bvh(path, sequence("mediapipe33", xyz), turn=np.eye(3))
    for frame, places in enumerate(read(path)):
        found = np.array([places[name] for name in SKELETONS.get("mediapipe33").joints])
        np.testing.assert_allclose(found, xyz[frame], atol=1e-4)


def test_a_standing_person_has_no_rotations(tmp_path: Path):
    """In the axes of rest directions: offsets are those of the person, and no joint turns."""
    xyz = standing_joints("mediapipe33")[None] * 1.8
    write_bvh(tmp_path / "a.bvh", sequence("mediapipe33", xyz), turn=np.eye(3))
    root, motion, period = parse((tmp_path / "a.bvh").read_text())
    assert period == 1.0
    np.testing.assert_allclose(motion[0, 3:], 0.0, atol=2e-3)
    hip = next(child for child in root.children if child.name == "pelvis_to_left_hip").children[0]
    assert hip.name == "left_hip"
    np.testing.assert_allclose(hip.offset, xyz[0, 23] - xyz[0, 23:25].mean(0), atol=1e-6)


def test_the_axes_of_files(tmp_path: Path):
    """x right, y down, z forward of the camera become z, -y and x: 2 m ahead, half a metre below, 0.3 m to the right."""
    xyz = rigid("h36m17", 1)
    xyz += np.array([0.3, 0.5, 2.0]) - xyz[:, :1]
    write_bvh(tmp_path / "a.bvh", sequence("h36m17", xyz))
    places = read(tmp_path / "a.bvh")[0]
    np.testing.assert_allclose(places["pelvis"], [2.0, -0.5, 0.3], atol=1e-6)
    np.testing.assert_allclose(places["left_wrist"], WORLD_FROM_CAMERA @ xyz[0, 13], atol=1e-5)


def test_names_and_layout(tmp_path: Path):
    write_bvh(tmp_path / "a.bvh", sequence("mediapipe33", rigid("mediapipe33", 2, angle=0.1), 25.0))
    text = (tmp_path / "a.bvh").read_text()
    names = re.findall(r"(?:ROOT|JOINT) (\S+)", text)
    skeleton = SKELETONS.get("mediapipe33")
    assert names[0] == "pelvis"
    assert set(skeleton.nodes) <= set(names)
    # joints with one bone after them turn it themselves
    assert {name for name in names if "_to_" in name and name.startswith("left_")} == {
        *("left_wrist_to_left_pinky", "left_wrist_to_left_index", "left_wrist_to_left_thumb"),
        *("left_ankle_to_left_heel", "left_ankle_to_left_foot_index"),
    }
    assert text.count("CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation\n") == 1
    assert text.count("CHANNELS 3 Zrotation Xrotation Yrotation\n") == len(names) - 1
    assert "\nMOTION\nFrames: 2\nFrame Time: 0.040000000\n" in text
    assert text.count("{") == text.count("}")


def test_what_is_missing_is_held(tmp_path: Path):
    """An arm that is not seen stays as it was against the trunk, and a person who is not seen stays."""
    skeleton = SKELETONS.get("mediapipe33")
    xyz = np.repeat(rigid("mediapipe33", 1), 5, axis=0)
    turn = matrix_of_rotation_vector(np.array([0.2, 0.5, 0.1]))
    xyz[2] = xyz[2] @ turn.T
    wrist, hand = skeleton.index("left_wrist"), skeleton.indices("left_pinky", "left_index", "left_thumb")
    whole_body = xyz.copy()
    xyz[2, [wrist, *hand]] = NAN
    xyz[3] = NAN
    write_bvh(tmp_path / "a.bvh", sequence("mediapipe33", xyz), turn=np.eye(3))
    places = read(tmp_path / "a.bvh")
    np.testing.assert_allclose(places[2]["left_wrist"], whole_body[2, wrist], atol=1e-5)
    for name in skeleton.nodes:
        np.testing.assert_allclose(places[3][name], places[2][name], atol=1e-9)
        np.testing.assert_allclose(places[4][name], places[0][name], atol=1e-5)


def test_before_anything_is_seen_the_person_waits(tmp_path: Path):
    xyz = rigid("mediapipe33", 3)
    xyz[0] = NAN
    xyz[:, 13] = NAN  # an elbow that is never seen sits on its shoulder
    write_bvh(tmp_path / "a.bvh", sequence("mediapipe33", xyz), turn=np.eye(3))
    places = read(tmp_path / "a.bvh")
    np.testing.assert_allclose(places[0]["pelvis"], places[1]["pelvis"], atol=1e-9)
    np.testing.assert_allclose(places[1]["left_elbow"], xyz[1, 11], atol=1e-5)
    np.testing.assert_allclose(places[2]["right_wrist"], xyz[2, 16], atol=1e-5)


def test_parts_of_a_long_recording_fit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    xyz = rigid("h36m17", 9)
    xyz[3:5] = NAN
    xyz[7, 5] = NAN
    write_bvh(tmp_path / "a.bvh", sequence("h36m17", xyz))
    monkeypatch.setattr(bvh, "ROWS", 2)
    write_bvh(tmp_path / "b.bvh", sequence("h36m17", xyz))
    assert (tmp_path / "a.bvh").read_bytes() == (tmp_path / "b.bvh").read_bytes()


def test_angles_do_not_jump_while_a_person_spins(tmp_path: Path):
    """Twice round in steps of 10 degrees: no channel steps by more."""
    xyz = np.stack(
        [
            standing_joints("mediapipe33") @ matrix_of_rotation_vector(np.radians([0.0, 10.0 * i, 0.0])).T
            for i in range(73)
        ]
    )
    write_bvh(tmp_path / "a.bvh", sequence("mediapipe33", xyz), turn=np.eye(3))
    _, motion, _ = parse((tmp_path / "a.bvh").read_text())
    assert np.abs(np.diff(motion[:, 3:], axis=0)).max() < 10.1
    assert motion[-1, 5] - motion[0, 5] == pytest.approx(720.0, abs=1e-3)


def test_gimbal_lock_keeps_the_rotation():
    """X at 90 degrees, where only the sum of the others is determined."""
    for a, c in ((0.3, 0.0), (1.0, -2.0), (3.0, 3.0)):
        rotation = axis_turn("Z", np.degrees(a)) @ axis_turn("X", 90.0) @ axis_turn("Y", np.degrees(c))
        found = np.degrees(bvh._zxy(rotation[None, None], None)[0, 0])
        back = axis_turn("Z", found[0]) @ axis_turn("X", found[1]) @ axis_turn("Y", found[2])
        np.testing.assert_allclose(back, rotation, atol=1e-12)


def test_what_cannot_be_written_says_why(tmp_path: Path):
    good = sequence("mediapipe33", rigid("mediapipe33", 5))
    unseen = good.xyz.copy()
    unseen[:, 23] = NAN
    flat = replace(good, xyz=good.xyz[..., :2], root_std=good.root_std[:, :2])
    for wrong, words in (
        (good[:0], "at least one frame"),
        (replace(good, xyz=unseen), "needs the pelvis, which no frame"),
        (flat, "in pixels"),
        (replace(good, stamps=np.array([0, 10, 20, 40, 50])), "even rate"),
    ):
        with pytest.raises(ValueError, match=words):
            write_bvh(tmp_path / "a.bvh", wrong)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bvh(tmp_path / "a.bvh", sequence("mediapipe33", rigid("mediapipe33", 2)))
    assert not list(tmp_path.iterdir())
