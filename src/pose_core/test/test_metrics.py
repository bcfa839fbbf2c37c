from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose_core.geometry.align import procrustes
from pose_core.measures import metrics
from pose_core.skeleton import SKELETONS, Skeleton

H36M = SKELETONS.get("h36m17")
MEDIAPIPE = SKELETONS.get("mediapipe33")
CHAIN = Skeleton("chain", ("a", "b", "c"), (("a", "b"), ("b", "c")), "a", "https://example.org")
LEGS = Skeleton(
    "legs",
    ("pelvis", "left_hip", "right_hip", "left_knee", "right_knee"),
    (("pelvis", "left_hip"), ("pelvis", "right_hip"), ("left_hip", "left_knee"), ("right_hip", "right_knee")),
    "pelvis",
    "https://example.org",
)
DT = 1.0 / 50.0


def motion(seed: int = 0, frames: int = 40, joints: int = 17) -> np.ndarray:
    """A smooth random motion: a few slow waves about a standing-sized cloud."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None, None] * DT
    waves = sum(
        rng.normal(size=(joints, 3)) * 0.1 * np.sin(2 * np.pi * f * t + rng.uniform(0, 6))
        for f in (0.7, 1.6, 2.9)
    )
    return rng.normal(size=(joints, 3)) * 0.5 + [0.0, 0.0, 3.0] + waves


def chain(*xyz: tuple[float, float, float]) -> np.ndarray:
    return np.array([xyz], float)


def test_mpjpe_by_hand():
    truth = chain((0, 0, 0), (1, 0, 0), (2, 0, 0))
    predicted = chain((0, 0, 0), (1, 3, 4), (2, 0, 1))
    assert metrics.mpjpe(predicted, truth, None) == pytest.approx((0 + 5 + 1) / 3)
    np.testing.assert_allclose(metrics.joint_errors(predicted, truth, None), [[0, 5, 1]])
    # moving the whole prediction counts only where no skeleton gives it a root
    assert metrics.mpjpe(predicted + np.array([0, 0, 7]), truth, CHAIN) == pytest.approx(2.0)
    assert metrics.mpjpe(truth + np.array([0, 0, 7]), truth, None) == pytest.approx(7.0)


def test_a_virtual_root_is_the_mean_of_the_hips():
    truth = motion(joints=33)
    assert metrics.mpjpe(truth + np.array([1.0, 2.0, 3.0]), truth, MEDIAPIPE) == pytest.approx(0.0, abs=1e-12)
    wrong = truth.copy()
    wrong[:, 23] += [0.2, 0.0, 0.0]  # one hip by 20 cm moves the root by 10
    assert metrics.mpjpe(wrong, truth, MEDIAPIPE) == pytest.approx((32 * 0.1 + 0.1) / 33)


def test_n_mpjpe_by_hand():
    truth = chain((0, 0, 0), (2, 0, 0), (0, 2, 0))
    predicted = chain((0, 0, 0), (1, 0, 0), (0, 0, 1))
    # s = <p, q> / <p, p> = 2 / 2 = 1: errors 0, 1, sqrt(5)
    assert metrics.n_mpjpe(predicted, truth, CHAIN) == pytest.approx((1 + np.sqrt(5)) / 3)
    assert metrics.n_mpjpe(0.001 * truth, truth, CHAIN) == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_alignment_can_only_help_in_the_least_squares_sense(seed):
    truth, predicted = motion(seed, 5), motion(seed, 5) + 0.1 * motion(seed + 1, 5)
    similarity = procrustes(predicted, truth, scaled=True)
    before, after = (np.square(x - truth).sum((1, 2)) for x in (predicted, similarity.apply(predicted)))
    assert (after <= before + 1e-9).all()
    assert metrics.pa_mpjpe(predicted, truth) == pytest.approx(
        metrics.mpjpe(similarity.apply(predicted), truth, None)
    )


def test_pa_mpjpe_forgives_a_similarity_and_nothing_else():
    truth = motion()
    R = Rotation.from_euler("xyz", [10, -70, 33], degrees=True).as_matrix()
    assert metrics.pa_mpjpe(0.3 * truth @ R.T + [1, 2, 3], truth) == pytest.approx(0.0, abs=1e-12)
    assert metrics.mpjpe(truth @ R.T, truth, H36M) > 0.1
    assert metrics.n_mpjpe(truth @ R.T, truth, H36M) > 0.1
    assert metrics.pa_mpjpe(truth * [-1, 1, 1], truth) > 0.1


def test_planted_faults_are_caught():
    truth = motion()
    assert metrics.mpjpe(truth, truth, H36M) == 0.0
    assert metrics.mpjpe(1000.0 * truth, truth, H36M) > 100.0  # millimetres
    assert metrics.mpjpe(truth[:, H36M.flip], truth, H36M) > 0.1  # swapped sides
    assert metrics.pa_mpjpe(truth[:, H36M.flip], truth) > 0.1
    assert metrics.limb_direction_error(truth[:, H36M.flip], truth, H36M) > np.radians(20)
    assert metrics.mpjpe(np.roll(truth, 3, axis=0), truth, H36M) > 0.01  # late


def test_missing_joints_are_left_out_on_both_sides():
    truth, predicted = motion(), motion() + 0.01 * motion(1)
    predicted[5:9, 3] = np.nan
    truth[7, 12] = np.nan
    errors = np.linalg.norm(predicted - truth, axis=-1)
    assert np.isnan(errors).sum() == 5
    assert metrics.mpjpe(predicted, truth, None) == pytest.approx(np.nanmean(errors))
    assert np.isfinite(metrics.pa_mpjpe(predicted, truth))
    rest = [0, 1, 2, *range(4, 12), *range(13, 17)]
    assert metrics.pa_mpjpe(predicted[7:8], truth[7:8]) == pytest.approx(
        metrics.pa_mpjpe(predicted[7:8, rest], truth[7:8, rest])
    )
    assert metrics.n_mpjpe(predicted[7:8], truth[7:8], None) == pytest.approx(
        metrics.n_mpjpe(predicted[7:8, rest], truth[7:8, rest], None)
    )


def test_without_anything_to_compare_there_is_no_number():
    truth = motion()
    nothing = np.full_like(truth, np.nan)
    for value in (
        metrics.mpjpe(nothing, truth, H36M),
        metrics.pa_mpjpe(nothing, truth),
        metrics.n_mpjpe(nothing, truth, H36M),
        metrics.mpjve(nothing, truth, DT, H36M),
        metrics.acceleration_error(truth[:2], truth[:2], DT, H36M),
        metrics.jitter(truth[:3], DT),
        metrics.pck(nothing, truth, H36M),
        metrics.auc(nothing, truth, H36M),
        metrics.limb_direction_error(nothing, truth, H36M),
        metrics.bone_length_std(nothing, H36M),
        metrics.bone_asymmetry(nothing, H36M),
        metrics.lag(nothing, truth, DT, 0.1),
        *metrics.interval_coverage(nothing, truth, np.ones(truth.shape[:2]), H36M),
    ):
        assert np.isnan(value)


def test_motion_errors_by_hand():
    # x = 3 t^2 against rest: after steps of dt the first differences are 3 dt (2 k + 1), the second 6 dt^2.
    t = np.arange(6) * DT
    truth = np.zeros((6, 3, 3))
    predicted = truth.copy()
    predicted[:, 2, 0] = 3.0 * t**2
    assert metrics.mpjve(predicted, truth, DT, CHAIN) == pytest.approx(
        np.mean(3.0 * DT * (2 * np.arange(5) + 1)) / 3
    )
    assert metrics.acceleration_error(predicted, truth, DT, CHAIN) == pytest.approx(6.0 / 3)
    assert metrics.acceleration_error(predicted, truth, 1.0, CHAIN) == pytest.approx(6.0 / 3 * DT**2)
    assert metrics.jitter(predicted, DT) == pytest.approx(0.0, abs=1e-9)


def test_jitter_by_hand():
    xyz = np.zeros((9, 2, 3))
    xyz[:, 0, 1] = 2.0 * (np.arange(9) * 0.1) ** 3  # third derivative 12
    assert metrics.jitter(xyz, 0.1) == pytest.approx(6.0)
    alternating = np.zeros((9, 1, 3))
    alternating[:, 0, 0] = 0.001 * (-1.0) ** np.arange(9)  # third difference 8 mm
    assert metrics.jitter(alternating, 1 / 30) == pytest.approx(0.008 * 27000)


def test_a_constant_offset_and_a_common_motion_leave_motion_errors_alone():
    truth, predicted = motion(), motion() + 0.01 * motion(1)
    drift = np.linspace(0, 1, len(truth))[:, None, None] * [1.0, 0.0, 0.0]
    for metric in (metrics.mpjve, metrics.acceleration_error):
        value = metric(predicted, truth, DT, H36M)
        assert metric(predicted + drift, truth, DT, H36M) == pytest.approx(value)
        assert metric(predicted + 5.0, truth, DT, None) == pytest.approx(metric(predicted, truth, DT, None))
        assert metric(predicted, truth, 2 * DT, H36M) < value


@pytest.mark.parametrize("dt", [0.0, -0.02, float("nan")])
def test_a_step_must_be_positive(dt):
    for metric in (
        lambda: metrics.mpjve(motion(), motion(), dt, H36M),
        lambda: metrics.acceleration_error(motion(), motion(), dt, H36M),
        lambda: metrics.jitter(motion(), dt),
        lambda: metrics.lag(motion(), motion(), dt, 0.1),
    ):
        with pytest.raises(ValueError, match="dt must be a positive number of seconds"):
            metric()


def test_pck_and_auc_by_hand():
    truth = np.zeros((1, 4, 3))
    predicted = np.zeros((1, 4, 3))
    predicted[0, :, 2] = [0.05, 0.12, 0.16, np.nan]
    assert metrics.pck(predicted, truth, None) == pytest.approx(2 / 3)
    assert metrics.pck(predicted, truth, None, threshold=0.05) == pytest.approx(1 / 3)
    # thresholds 0, 5, ... 150 mm: 50 mm reaches 21 of 31, 120 mm reaches 7, 160 mm none
    assert metrics.auc(predicted, truth, None) == pytest.approx((21 + 7 + 0) / 3 / 31)
    assert metrics.auc(truth, truth, None) == 1.0


def test_limb_directions_by_hand():
    truth = chain((0, 0, 0), (1, 0, 0), (2, 0, 0))
    predicted = chain((5, 5, 5), (5, 8, 5), (5 + 2, 8 + 2, 5))
    np.testing.assert_allclose(
        metrics.limb_direction_angles(predicted, truth, CHAIN), [[np.pi / 2, np.pi / 4]]
    )
    assert metrics.limb_direction_error(predicted, truth, CHAIN) == pytest.approx(3 * np.pi / 8)
    assert metrics.limb_direction_error(-truth, truth, CHAIN) == pytest.approx(np.pi)
    tiny = chain((0, 0, 0), (1, 1e-9, 0), (2, 1e-9, 0))
    np.testing.assert_allclose(metrics.limb_direction_angles(tiny, truth, CHAIN), [[1e-9, 0.0]], atol=1e-15)
    point = chain((0, 0, 0), (0, 0, 0), (1, 0, 0))
    np.testing.assert_array_equal(
        np.isnan(metrics.limb_direction_angles(point, truth, CHAIN)), [[True, False]]
    )


def test_bone_lengths_by_hand():
    xyz = np.zeros((2, 5, 3))
    xyz[:, 1, 0], xyz[:, 2, 0] = [0.1, 0.3], [-0.1, -0.1]
    xyz[:, 3] = xyz[:, 1] + [0.0, 0.4, 0.0]
    xyz[:, 4] = xyz[:, 2] + [0.0, 0.5, 0.0]
    # left hip bone 0.1 and 0.3: deviation 0.1 of four bones; differences left to right 0, 0.2 and 0.1, 0.1
    assert metrics.bone_length_std(xyz, LEGS) == pytest.approx(0.1 / 4)
    assert metrics.bone_asymmetry(xyz, LEGS) == pytest.approx((0.0 + 0.2 + 0.1 + 0.1) / 4)
    xyz[0, 1] = np.nan
    assert metrics.bone_length_std(xyz, LEGS) == pytest.approx(0.0)
    rigid = motion()[:1] @ Rotation.random(30, random_state=0).as_matrix()
    assert metrics.bone_length_std(rigid, H36M) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("steps", [-6, -1, 0, 1, 4])
def test_a_shift_by_whole_frames_is_found(steps):
    long = motion(frames=140)
    truth = long[20:120]
    predicted = long[20 - steps : 120 - steps]
    assert metrics.lag(predicted, truth, DT, 0.2) == pytest.approx(steps * DT, abs=0.1 * DT)


def test_lag_ignores_place_scale_and_missing_frames():
    long = motion(frames=140)
    truth, predicted = long[20:120].copy(), 0.8 * long[17:117] + [3.0, 0.0, 0.0]
    predicted[30:36, 4] = np.nan
    truth[50] = np.nan
    assert metrics.lag(predicted, truth, DT, 0.2) == pytest.approx(3 * DT, abs=0.1 * DT)


def test_lag_of_half_a_frame_lies_between():
    fine = motion(frames=281)
    stretched = fine  # the same waves, seen at every second sample: one fine step is half a coarse one
    assert metrics.lag(stretched[39:239:2], stretched[40:240:2], DT, 0.2) == pytest.approx(
        0.5 * DT, abs=0.15 * DT
    )


def test_lag_without_motion_or_without_room():
    still = np.zeros((50, 17, 3))
    assert np.isnan(metrics.lag(still, still, DT, 0.1))
    with pytest.raises(ValueError, match="longest must be from"):
        metrics.lag(motion(), motion(), DT, 5.0)
    with pytest.raises(ValueError, match="longest must be from"):
        metrics.lag(motion(), motion(), DT, 0.001)


def test_coverage_by_hand_and_for_normal_errors():
    truth = np.zeros((1, 1, 3))
    predicted = np.array([[[0.5, 1.0, 2.0]]])
    # half widths of the 50 % and 90 % intervals: 0.674 and 1.645 deviations
    np.testing.assert_allclose(
        metrics.interval_coverage(predicted, truth, np.ones((1, 1)), None), [1 / 3, 2 / 3]
    )
    rng = np.random.default_rng(0)
    std = rng.uniform(0.01, 0.1, (2000, 17))
    noisy = std[..., None] * rng.normal(size=(2000, 17, 3))
    honest = metrics.interval_coverage(noisy, np.zeros_like(noisy), std, None, (0.5, 0.9, 0.99))
    np.testing.assert_allclose(honest, [0.5, 0.9, 0.99], atol=0.005)
    assert metrics.interval_coverage(noisy, np.zeros_like(noisy), std / 1000, None)[1] < 0.01  # kilometres
    assert metrics.interval_coverage(noisy, np.zeros_like(noisy), std / 2, None)[1] < 0.65


def test_shapes_must_agree(without_checks):
    with pytest.raises(ValueError, match="must have one shape"):
        metrics.mpjpe(motion(), motion(frames=39), H36M)
