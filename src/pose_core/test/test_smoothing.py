"""Smoothing looking both ways, against the Gaussian solution written out in full."""

from __future__ import annotations

import numpy as np
import pytest

from pose_core.filtering.filters import AccelerationDensity, ConstantVelocityKalman
from pose_core.filtering.smoothing import FixedLagSmoother, rts_smooth

MS = 1_000_000
Q, SPEED = 3.0, 1.5


def uneven(frames: int, seed: int = 0) -> np.ndarray:
    return 10**9 + np.cumsum(np.random.default_rng(seed).integers(5, 80, frames)) * MS


def dense(stamps: np.ndarray, z: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of all positions of one coordinate, of the joint Gaussian of all states and measurements.

    The prior is that of the filter: the first sample alone tells the position, and the velocity has deviation SPEED.
    """
    frames = len(z)
    information, right = np.zeros((2 * frames, 2 * frames)), np.zeros(2 * frames)
    information[1, 1] += 1.0 / SPEED**2
    for k in range(frames - 1):
        dt = (stamps[k + 1] - stamps[k]) * 1e-9
        step = np.zeros((2, 2 * frames))
        step[:, 2 * k : 2 * k + 2] = -np.array([[1.0, dt], [0.0, 1.0]])
        step[:, 2 * k + 2 : 2 * k + 4] = np.eye(2)
        noise = Q * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        information += step.T @ np.linalg.solve(noise, step)
    for k in np.flatnonzero(np.isfinite(z)):
        information[2 * k, 2 * k] += 1.0 / std[k] ** 2
        right[2 * k] += z[k] / std[k] ** 2
    covariance = np.linalg.inv(information)
    return (covariance @ right)[::2], np.sqrt(np.diag(covariance)[::2])


@pytest.mark.parametrize("missing", [False, True])
def test_it_is_the_gaussian_solution(missing):
    rng = np.random.default_rng(1)
    stamps, z, std = uneven(12), rng.normal(size=(12, 2, 3)), rng.uniform(0.05, 0.5, (12, 2))
    if missing:
        z[[4, 5, 9], 0] = np.nan
        std[11, 1] = np.nan
    xyz, deviation = rts_smooth(stamps, z, std, Q, initial_speed_std=SPEED)
    for joint in range(2):
        given = np.isfinite(std[:, joint])
        for axis in range(3):
            position, expected = dense(stamps, np.where(given, z[:, joint, axis], np.nan), std[:, joint])
            np.testing.assert_allclose(xyz[:, joint, axis], position, rtol=1e-8, atol=1e-9)
            np.testing.assert_allclose(deviation[:, joint], expected, rtol=1e-8)


def test_the_last_frame_is_that_of_the_filter_and_the_others_are_surer():
    rng = np.random.default_rng(2)
    stamps, z, std = uneven(20), rng.normal(size=(20, 3, 3)), np.full((20, 3), 0.2)
    xyz, deviation = rts_smooth(stamps, z, std, Q)
    kalman, filtered = ConstantVelocityKalman(Q), []
    for frame, stamp in enumerate(stamps.tolist()):
        filtered.append((kalman.update(stamp, z[frame], std[frame]), kalman.std))
    np.testing.assert_array_equal(xyz[-1], filtered[-1][0])
    np.testing.assert_array_equal(deviation[-1], filtered[-1][1])
    assert all((deviation[k] < filtered[k][1]).all() for k in range(19))


def test_a_density_that_depends_on_speed_is_that_of_the_speed_when_it_does_not_change():
    stamps = uneven(40)
    true = (stamps - stamps[0])[:, None, None] * 1e-9 * np.array([1.2, 0.0, -0.5])
    std = np.full((40, 1), 0.05)
    rising, constant = (
        rts_smooth(stamps, true, std, density, initial_speed_std=1e3)[1]
        for density in (AccelerationDensity(0.5, 2.0), 0.5 + 2.0 * (1.2**2 + 0.5**2))
    )
    # until the second frame no velocity is known, and the first step is of somebody at rest
    np.testing.assert_allclose(rising[5:], constant[5:], rtol=2e-2)
    assert (rising[5:] > 1.1 * rts_smooth(stamps, true, std, 0.5)[1][5:]).all()


def test_backwards_in_time_is_the_same():
    rng = np.random.default_rng(3)
    stamps, z, std = uneven(30), rng.normal(size=(30, 1, 3)), np.full((30, 1), 0.3)
    # a velocity of which nothing is known beforehand, as time turned round knows nothing of it
    forth, _ = rts_smooth(stamps, z, std, Q, initial_speed_std=1e4)
    back, _ = rts_smooth(stamps[-1] + 10**9 - stamps[::-1], z[::-1], std, Q, initial_speed_std=1e4)
    np.testing.assert_allclose(back[::-1], forth, atol=1e-6)


def test_a_straight_walk_comes_back_and_a_gap_in_it_is_bridged():
    stamps = uneven(60)
    true = (stamps - stamps[0])[:, None, None] * 1e-9 * np.array([1.2, 0.0, -0.5])
    seen = np.where((np.arange(60) // 7 == 3)[:, None, None], np.nan, true)
    xyz, deviation = rts_smooth(stamps, seen, np.full((60, 1), 0.05), Q, initial_speed_std=1e3)
    np.testing.assert_allclose(xyz, true, atol=1e-6)
    assert deviation[24] > 1.5 * deviation[18]


def test_before_a_joint_is_seen_it_is_unknown_and_afterwards_ever_less_sure():
    stamps, z = uneven(10), np.zeros((10, 1, 3))
    z[:3], z[7:] = np.nan, np.nan
    xyz, deviation = rts_smooth(stamps, z, np.full((10, 1), 0.1), Q)
    assert np.isnan(xyz[:3]).all()
    assert np.isnan(deviation[:3]).all()
    np.testing.assert_allclose(xyz[3:], 0.0, atol=1e-12)
    assert (np.diff(deviation[6:, 0]) > 0.0).all()


def test_nothing_is_smoothed_across_a_new_start():
    stamps, z = uneven(40), np.zeros((40, 1, 3))
    z[20:] = 5.0
    xyz, _ = rts_smooth(stamps, z, np.full((40, 1), 0.02), Q, gate=6.0, gate_patience=2)
    # the frame before the new start was kept out as an outlier
    np.testing.assert_allclose(xyz[:20], 0.0, atol=1e-6)
    np.testing.assert_allclose(xyz[21:], 5.0, atol=1e-6)


def test_no_frames_and_one_frame():
    empty, _ = rts_smooth(np.array([], int), np.zeros((0, 2, 3)), np.zeros((0, 2)), Q)
    assert empty.shape == (0, 2, 3)
    one, deviation = rts_smooth(np.array([5]), np.ones((1, 2, 3)), np.full((1, 2), 0.5), Q)
    np.testing.assert_array_equal(one, np.ones((1, 2, 3)))
    np.testing.assert_array_equal(deviation, 0.5)


def test_stamps_must_increase():
    with pytest.raises(ValueError, match="stamps must increase, got 5 after 5"):
        rts_smooth(np.array([5, 5]), np.zeros((2, 1, 3)), np.ones((2, 1)), Q)
    with pytest.raises(ValueError, match="acceleration_density must be positive, got 0"):
        rts_smooth(np.array([5]), np.zeros((1, 1, 3)), np.ones((1, 1)), 0)


@pytest.mark.parametrize("density", [Q, AccelerationDensity(0.3, 8.0)])
@pytest.mark.parametrize("lag", [0, 1, 4])
def test_a_fixed_lag_is_the_smoother_of_what_has_been_seen_so_far(lag, density):
    rng = np.random.default_rng(4)
    stamps, z, std = uneven(25), 0.05 * rng.normal(size=(25, 3, 3)), np.full((25, 3), 0.03)
    z[[5, 6, 14], 1] = np.nan
    z[:3, 2] = np.nan
    z[17:, 0] += 4.0  # the gate lets it start anew
    gates = {"gate": 8.0, "gate_patience": 2}
    kalman, smoother = ConstantVelocityKalman(density, **gates), FixedLagSmoother(density, lag)
    for k, stamp in enumerate(stamps.tolist()):
        kalman.update(stamp, z[k], std[k])
        smoother.push(kalman.moments)
        xyz, deviation = rts_smooth(stamps[: k + 1], z[: k + 1], std[: k + 1], density, **gates)
        for back in range(min(lag, k) + 1):
            at, position, sure = smoother.at(back)
            assert at == stamps[k - back]
            np.testing.assert_allclose(position, xyz[k - back], rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(sure, deviation[k - back], rtol=1e-7)
    with pytest.raises(ValueError, match=f"the frame {lag + 1} before the newest is not known"):
        smoother.at(lag + 1)
    with pytest.raises(ValueError, match="the frame 0 before the newest is not known"):
        FixedLagSmoother(Q, 1).at(0)
