"""What angles look like to a network, and what every angle-refining network promises besides what all networks do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation
from torch import Tensor

from pose_biomechanics import angle_encoding
from pose_biomechanics.angle_card import AngleCard
from pose_biomechanics.angle_encoding import CONTEXT, FEATURES, ROWS
from pose_biomechanics.isb import ANGLES, GROUPS, NAMES
from pose_core.angles import AngleFlag
from pose_train.angle.family import FAMILY
from pose_train.angle.network import OUTPUTS, AngleNetwork
from pose_train.angle.networks import NETWORKS
from pose_train.angle.networks.angle_transformer import _turns
from pose_train.testing import stream
from pose_train.trunk.network import parameters

FRAMES = 12
MOST = 700_000
"""Parameters of a default configuration: 1.4 MB in 16 bits."""
few = settings(max_examples=30, deadline=None)
radians = arrays(np.float64, (2, len(NAMES)), elements=st.floats(-1.4, 1.4))
everywhere = arrays(np.float64, (2, len(NAMES)), elements=st.floats(-3.1, 3.1))
signs = np.array([angle.sign for angle in ANGLES])


def at(name: str) -> int:
    return NAMES.index(name)


def zeros() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles, deviations of 0.1 and flags of somebody in the neutral position."""
    return np.zeros(len(NAMES)), np.full(len(NAMES), 0.1), np.zeros(len(NAMES), np.uint8)


def test_every_angle_stands_in_one_triple():
    assert ROWS.shape == (12, 3)
    assert [ANGLES[row].dof for row in ROWS[4]] == ["flex", "abd", "rot"]
    assert {ANGLES[row].group for row in ROWS[4]} == {"left_knee"}
    assert sorted(ROWS.ravel()) == list(range(36))


def test_a_bent_knee_is_a_turn_backwards_about_z():
    angle = zeros()[0]
    angle[at("right_knee_flexion")] = np.pi / 2
    rotation = angle_encoding.rotations(angle)
    # The shank's Y, up along it, points forward (X) against the thigh when the foot is behind.
    np.testing.assert_allclose(
        rotation[GROUPS.index("right_knee")] @ (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), atol=1e-12
    )
    others = [number for number, group in enumerate(GROUPS) if group != "right_knee"]
    np.testing.assert_allclose(rotation[others], np.broadcast_to(np.eye(3), (11, 3, 3)), atol=1e-12)


def test_the_same_pose_of_both_sides_gives_the_same_numbers():
    angle = np.random.default_rng(0).uniform(-1.0, 1.0, len(NAMES))
    mirrored = angle.copy()
    for row, name in enumerate(NAMES):
        if name.startswith("left_") and name.replace("left_", "right_", 1) in NAMES:
            mirrored[row] = angle[at(name.replace("left_", "right_", 1))]
    rotation = angle_encoding.rotations(mirrored)
    for limb in ("hip", "knee", "ankle", "shoulder", "elbow"):
        left, right = (GROUPS.index(f"{side}_{limb}") for side in ("left", "right"))
        np.testing.assert_array_equal(rotation[left], rotation[right])


@pytest.mark.parametrize("sequence", ["ZXY", "YXZ"])
@given(angle=radians)
@few
def test_rotations_are_those_of_scipy(sequence: str, angle: np.ndarray):
    rotation = angle_encoding.rotations(angle, sequence)
    for number in range(len(GROUPS)):
        triple = (angle * signs)[:, ROWS[number]]
        order = sequence if number == 0 else "ZXY"
        triple = triple[:, ["ZXY".index(axis) for axis in order]]
        np.testing.assert_allclose(
            rotation[:, number], Rotation.from_euler(order, triple).as_matrix(), atol=1e-12
        )


@pytest.mark.parametrize("sequence", ["ZXY", "YXZ"])
@given(angle=everywhere, turns=st.integers(-2, 2))
@few
def test_angles_come_back_whole_turns_and_all(sequence: str, angle: np.ndarray, turns: int):
    angle = angle + 2.0 * np.pi * turns
    back = angle_encoding.angles_near(angle_encoding.rotations(angle, sequence), angle, sequence)
    middle = np.abs(np.cos(angle[:, ROWS[:, 1]])) > 1e-3
    difference = np.abs(back - angle)[:, ROWS]
    assert difference[middle].max(initial=0.0) < 1e-9


def test_the_shoulders_second_triple_follows_the_first():
    angle = zeros()[0]
    angle[at("right_shoulder_flexion")] = np.radians(40.0)
    found = np.degrees(angle_encoding.angles_near(angle_encoding.rotations(angle), np.zeros(len(NAMES))))
    # An arm lifted forward by 40 degrees: elevation 40, in the plane that lies ahead.
    assert abs(found[at("right_shoulder_elevation")]) == pytest.approx(40.0)
    assert abs(found[at("right_shoulder_plane_of_elevation")]) == pytest.approx(90.0)


def test_what_is_missing_is_all_zero_and_what_is_unobservable_says_so():
    angle, std, flags = zeros()
    knee, elbow = GROUPS.index("left_knee"), GROUPS.index("right_elbow")
    angle[ROWS[knee]] = np.nan
    flags[ROWS[knee]] = AngleFlag.JOINT_MISSING
    angle[at("right_elbow_pronation")] = std[at("right_elbow_pronation")] = np.nan
    flags[at("right_elbow_pronation")] = AngleFlag.UNOBSERVABLE
    flags[at("right_hip_flexion")] = AngleFlag.NEAR_GIMBAL_LOCK
    groups = angle_encoding.encode(angle, std, flags)
    assert groups.dtype == np.float32
    assert groups.shape == (12, len(FEATURES))
    feature = {name: column for column, name in enumerate(FEATURES)}
    np.testing.assert_array_equal(groups[knee], 0.0)
    seen = [groups[elbow, feature[f"observed_{dof}"]] for dof in ("flex", "abd", "rot")]
    assert seen == [1.0, 1.0, 0.0]
    assert groups[elbow, feature["log_std_flex"]] == pytest.approx(np.log(0.1), rel=1e-6)
    assert groups[elbow, feature["log_std_rot"]] == 0.0
    assert groups[:, feature["locked"]].tolist() == [float(group == "right_hip") for group in GROUPS]
    np.testing.assert_array_equal(groups[elbow, :6], (1, 0, 0, 0, 1, 0))


def make(name: str, config: Any, seed: int = 3) -> AngleNetwork:
    """A network as if it had been trained: untrained ones change nothing."""
    torch.manual_seed(seed)
    network = NETWORKS.from_file(name)(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def inputs(batch: int, frames: int, seed: int = 5) -> tuple[Tensor, Tensor]:
    """Groups, a fifth of them missing, and context."""
    random = np.random.default_rng(seed)
    angle = random.uniform(-1.0, 1.0, (batch, frames, len(NAMES)))
    gone = random.random((batch, frames, len(GROUPS))) < 0.2
    for number in range(len(GROUPS)):
        angle[..., ROWS[number]] = np.where(gone[..., number, None], np.nan, angle[..., ROWS[number]])
    std = random.uniform(0.05, 0.3, angle.shape)
    groups = angle_encoding.encode(angle, std, np.zeros(angle.shape, np.uint8))
    return torch.from_numpy(groups), torch.from_numpy(
        angle_encoding.context(random.uniform(0.01, 0.1, (batch, frames)))
    )


def variants(name: str) -> Iterator[Any]:
    """The small configuration, and the shortest window."""
    small = NETWORKS.from_file(name).Config.small()
    yield pytest.param(name, small, id=name)
    yield pytest.param(name, dataclasses.replace(small, window=2), id=f"{name}-shortest")


networks = pytest.mark.parametrize(
    ("name", "config"), [case for name in NETWORKS.files() for case in variants(name)]
)
defaults = pytest.mark.parametrize("name", NETWORKS.files())


@networks
@torch.no_grad()
def test_shapes_and_an_untrained_network_turns_nothing(name: str, config: Any):
    groups, context = inputs(3, FRAMES)
    outputs = make(name, config)(groups, context)
    assert tuple(outputs) == OUTPUTS
    assert (outputs["turn"].shape, outputs["turn"].dtype) == ((3, FRAMES, 12, 3), torch.float32)
    assert float(outputs["turn"].abs().max()) > 1e-3
    assert not NETWORKS.from_file(name)(config)(groups, context)["turn"].any()


@networks
@torch.no_grad()
def test_frame_by_frame_equals_the_whole_sequence(name: str, config: Any):
    network = make(name, config)
    groups, context = inputs(2, 3 * FRAMES)
    torch.testing.assert_close(
        stream(network, groups, context)["turn"], network(groups, context)["turn"], atol=1e-6, rtol=0
    )


@networks
@torch.no_grad()
def test_a_joint_is_corrected_by_what_the_others_do(name: str, config: Any):
    network = make(name, config)
    groups, context = inputs(1, FRAMES)
    before = network(groups, context)["turn"]
    hip, knee = GROUPS.index("left_hip"), GROUPS.index("right_knee")
    groups[:, -1, hip, :6] = torch.tensor([0.0, 1.0, 0.0, -1.0, 0.0, 0.0])
    assert float((network(groups, context)["turn"] - before)[:, -1, knee].abs().max()) > 1e-4


@defaults
def test_default_size(name: str):
    assert parameters(NETWORKS.from_file(name)(NETWORKS.from_file(name).Config())) <= MOST


@defaults
def test_heads_and_window_that_cannot_work_are_refused(name: str):
    small = NETWORKS.from_file(name).Config.small()
    with pytest.raises(ValueError, match="heads must divide width, got 3 heads for width 16"):
        NETWORKS.from_file(name)(dataclasses.replace(small, heads=3))
    with pytest.raises(ValueError, match="window"):
        NETWORKS.from_file(name)(dataclasses.replace(small, window=1))


@defaults
def test_a_card_says_what_is_seen_and_of_which_encoding(name: str):
    network = make(name, NETWORKS.from_file(name).Config.small())
    card = FAMILY.describe(network, "nothing", {"harm_degrees": 0.5}, skeleton="mediapipe33")
    assert card.inputs == {"joints": (12, len(FEATURES)), "context": (len(CONTEXT),)}
    with pytest.raises(ValueError, match="encoding 2, this version runs 1"):
        AngleCard.from_json(card.to_json().replace('"encoding":1', '"encoding":2'))


@given(
    here=arrays(np.float64, 3, elements=st.floats(-1.5, 1.5)),
    turn=arrays(np.float64, 3, elements=st.floats(-0.9, 0.9)),
)
@few
def test_turns_between_frames_are_sines_in_the_axes_of_the_newest(here: np.ndarray, turn: np.ndarray):
    first, second = (Rotation.from_rotvec(here).as_matrix(), Rotation.from_rotvec(turn).as_matrix())
    six = [torch.from_numpy(np.concatenate([R[:, 0], R[:, 1]])) for R in (first, first @ second)]
    size = np.linalg.norm(turn)
    np.testing.assert_allclose(_turns(*six), np.sinc(size / np.pi) * turn, atol=1e-12)
    np.testing.assert_array_equal(_turns(six[0], torch.zeros(6, dtype=torch.float64)), 0.0)
