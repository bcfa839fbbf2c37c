"""Two recordings held against each other: numbers by hand, and what cannot be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_core.measures.comparison import compare
from pose_core.measures.even_grid import GRID_MAX, even_grid
from pose_core.people import JointState
from pose_core.sequence import PoseSequence
from pose_core.skeleton import H36M17
from pose_core.units import NS_PER_S

PERIOD = NS_PER_S // 50


def recording(xyz: np.ndarray, stamps: np.ndarray | None = None) -> PoseSequence:
    frames, joints = xyz.shape[:2]
    return PoseSequence(
        person="p1",
        frame_id="camera",
        skeleton="h36m17",
        stamps=PERIOD * np.arange(frames) if stamps is None else stamps,
        xyz=xyz,
        std=np.full((frames, joints), 0.01),
        confidence=np.ones((frames, joints)),
        state=np.full((frames, joints), JointState.LIFTED, np.uint8),
        root_std=np.full((frames, 3), 0.01),
        person_confidence=np.ones(frames),
    )


@pytest.fixture
def truth() -> PoseSequence:
    rng = np.random.default_rng(4)
    return recording(
        rng.normal(scale=0.4, size=(1, 17, 3)) + np.linspace(0.0, 1.0, 12)[:, None, None] * [1.0, 0.0, 0.0]
    )


def test_a_recording_is_itself(truth):
    same = compare(truth, truth)
    assert same.frames == 12
    assert (same.mpjpe, same.placed_mpjpe, same.mpjve, same.acceleration_error) == (0.0, 0.0, 0.0, 0.0)
    assert same.pa_mpjpe == pytest.approx(0.0, abs=1e-12)
    assert (same.pck, same.auc) == (1.0, 1.0)
    assert same.limb_direction_error == 0.0


def test_a_person_too_far_away_errs_in_place_alone(truth):
    moved = compare(replace(truth, xyz=truth.xyz + np.array([0.0, 0.0, 0.3])), truth)
    assert moved.placed_mpjpe == pytest.approx(0.3)
    assert moved.mpjpe == pytest.approx(0.0, abs=1e-12)


def test_a_person_too_large_errs_until_scaled(truth):
    root = H36M17.root_of(truth.xyz)[:, None]
    large = compare(replace(truth, xyz=root + 1.1 * (truth.xyz - root)), truth)
    distance = np.linalg.norm(truth.xyz - root, axis=-1)
    assert large.mpjpe == pytest.approx(0.1 * distance.mean())
    assert large.n_mpjpe == pytest.approx(0.0, abs=1e-12)
    assert large.limb_direction_error == pytest.approx(0.0, abs=1e-7)


def test_a_jump_of_one_joint_by_hand(truth):
    xyz = truth.xyz.copy()
    wrist = H36M17.index("left_wrist")
    xyz[5, wrist] += [0.0, 0.2, 0.0]
    jumped = compare(replace(truth, xyz=xyz), truth)
    assert jumped.mpjpe == pytest.approx(0.2 / (12 * 17))
    assert jumped.mpjve == pytest.approx(2 * 0.2 * 50.0 / (11 * 17))
    assert jumped.acceleration_error == pytest.approx((1 + 2 + 1) * 0.2 * 50.0**2 / (10 * 17))
    assert jumped.pck == pytest.approx(1.0 - 1.0 / (12 * 17))


def test_only_common_frames_count_and_a_lost_image_is_no_step(truth):
    kept = np.delete(np.arange(12), 6)
    some = replace(
        truth,
        **{
            name: getattr(truth, name)[kept]
            for name in ("stamps", "xyz", "std", "confidence", "state", "root_std", "person_confidence")
        },
    )
    moving = replace(some, xyz=some.xyz + np.linspace(0.0, 0.0, 11)[:, None, None])
    found = compare(moving, truth)
    assert (found.frames, found.mpjve) == (11, 0.0)


def test_what_cannot_be_compared_is_named(truth):
    with pytest.raises(ValueError, match="one skeleton, got 'h36m17' and 'mpi_inf28'"):
        compare(
            truth,
            replace(
                truth,
                skeleton="mpi_inf28",
                **{
                    name: np.zeros((12, 28, *shape), kind)
                    for name, shape, kind in (
                        ("xyz", (3,), float),
                        ("std", (), float),
                        ("confidence", (), float),
                        ("state", (), np.uint8),
                    )
                },
            ),
        )
    with pytest.raises(ValueError, match="no stamp in common"):
        compare(truth, replace(truth, stamps=truth.stamps + 1))


def test_one_frame_and_days_of_gap_have_no_differences():
    for stamps in (np.array([7]), PERIOD * np.array([0, 1, 2, 3, GRID_MAX + 3])):
        (grid,), step = even_grid(stamps, np.zeros((len(stamps), 2, 3)))
        assert np.isnan(grid).all()
        assert (grid.shape, step) == ((1, 2, 3), 1.0)
