from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lift3d_node.stature import CHAIN, Stature
from pose_core.skeleton import COCO17, H36M17, HAND21, MEDIAPIPE33, SKELETONS, remap


@pytest.fixture
def figure(scene) -> np.ndarray:
    return scene().shape.xyz


def test_shares_add_up_to_shoulder_less_ankle() -> None:
    """Drillis & Contini: shoulders at 0.818 H, ankles at 0.039 H."""
    assert sum(share for share, _ in CHAIN) == pytest.approx(0.818 - 0.039)


def test_height_of_known_lengths() -> None:
    """Trunk 0.5, thighs 0.4 and 0.44, shanks 0.41: (0.5 + 0.42 + 0.41) / 0.779."""
    xyz = np.zeros((17, 3))
    places = {"neck": (0, -0.5), "left_knee": (0, 0.4), "right_knee": (0, 0.44), "left_ankle": (0.41, 0.4)}
    places["right_ankle"] = (-0.41, 0.44)
    for joint, place in places.items():
        xyz[H36M17.index(joint), :2] = place
    assert Stature(H36M17).of(xyz) == pytest.approx(1.33 / 0.779)


def test_figure_has_its_height(figure) -> None:
    assert Stature(MEDIAPIPE33).of(figure) == pytest.approx(1.75)


def test_height_scales_and_does_not_turn(figure) -> None:
    turned = figure @ Rotation.from_euler("xyz", [1.0, 2.0, 3.0]).as_matrix()
    assert Stature(MEDIAPIPE33).of(1000.0 * turned + 5.0) == pytest.approx(1750.0)


def test_sitting_does_not_change_height(figure) -> None:
    """Turning the legs below the hips by 90 degrees keeps all bones."""
    sitting = figure.copy()
    for side in ("left", "right"):
        hip, *leg = MEDIAPIPE33.indices(f"{side}_hip", f"{side}_knee", f"{side}_ankle")
        turn = Rotation.from_euler("x", 90, degrees=True).as_matrix()
        sitting[leg] = (figure[leg] - figure[hip]) @ turn.T + figure[hip]
    assert Stature(MEDIAPIPE33).of(sitting) == pytest.approx(1.75)


@pytest.mark.parametrize(
    "missing", [["left_ankle"], ["left_knee"], ["left_ankle", "right_ankle"], ["left_knee", "right_knee"]]
)
def test_missing_joints_are_made_up_for(figure, missing: list[str]) -> None:
    figure = figure.copy()
    figure[MEDIAPIPE33.indices(*missing)] = np.nan
    assert Stature(MEDIAPIPE33).of(figure) == pytest.approx(1.75)


def test_one_longer_leg_counts_half(figure) -> None:
    longer = figure.copy()
    longer[MEDIAPIPE33.index("left_ankle")] += (
        0.1 * (figure[27] - figure[25]) / np.linalg.norm(figure[27] - figure[25])
    )
    assert Stature(MEDIAPIPE33).of(longer) == pytest.approx(1.75 + 0.05 / 0.779)


def test_nothing_known_is_nan() -> None:
    assert math.isnan(Stature(MEDIAPIPE33).of(np.full((33, 3), np.nan)))


@pytest.mark.parametrize("name", sorted(set(SKELETONS.names()) - {"hand21"}))
def test_every_body_skeleton_has_the_chain(name: str, figure) -> None:
    target = SKELETONS.get(name)
    if name in ("mpi_inf28", "pose2sim22", "h36m17", COCO17.name, MEDIAPIPE33.name):
        joints = np.nan_to_num(remap(MEDIAPIPE33, target), nan=0.0) @ figure
        assert Stature(target).of(joints) == pytest.approx(1.75)
    else:
        assert Stature(target).of(np.ones((len(target), 3))) == 0.0


def test_a_hand_has_no_height() -> None:
    with pytest.raises(ValueError, match="hand21"):
        Stature(HAND21)
