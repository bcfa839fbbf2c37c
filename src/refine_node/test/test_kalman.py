"""The numbers of the Kalman refiner: gain, deviations, gate, and how it coasts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are, solve_discrete_lyapunov

from pose_core.people import JointState, with_missing
from refine_node.coasting import JOINT_COAST
from refine_node.params import RefineParams
from refine_node.refiners.kalman import Kalman

DT = 1.0 / 50.0
STEP = 20_000_000
STD = 0.05
PARAMS = RefineParams()
WRIST, OTHER_WRIST = 15, 16


F, H = np.array([[1.0, DT], [0.0, 1.0]]), np.array([[1.0, 0.0]])


def steady_state(q: float, noise: float) -> tuple[np.ndarray, float]:
    """Gain (2, 1) of position and velocity, and variance of the position after an update, from the Riccati equation."""
    Q, R = q * np.array([[DT**3 / 3, DT**2 / 2], [DT**2 / 2, DT]]), np.array([[noise**2]])
    before = solve_discrete_are(F.T, H.T, Q, R)
    gain = before @ H.T / (before[0, 0] + noise**2)
    return gain, gain[0, 0] * noise**2


def settled(figure, **params) -> tuple[Kalman, int]:
    """A refiner that has long seen the figure stand still, and the stamp of the next frame."""
    kalman = Kalman(RefineParams(**params), figure.skeleton)
    for k in range(500):
        kalman.refine(figure.person(std=STD), k * STEP)
    return kalman, 500 * STEP


def moved(figure, joint: int, by: float):
    xyz = figure.person().xyz
    xyz[joint, 0] += by
    return figure.person(xyz, std=STD)


def test_gain_is_that_of_the_riccati_equation(figure):
    kalman, t = settled(figure)
    out = kalman.refine(moved(figure, WRIST, 0.01), t)
    gain, _ = steady_state(PARAMS.process_noise, PARAMS.white_share * STD)
    assert out.xyz[WRIST, 0] - figure.xyz[WRIST, 0] == pytest.approx(gain[0, 0] * 0.01, rel=1e-6)


def test_gain_of_the_root_is_that_of_its_own_deviation_and_noise(figure):
    kalman, t = settled(figure)
    xyz = figure.person().xyz + np.array([0.01, 0.0, 0.01])
    out = kalman.refine(figure.person(xyz, std=STD), t).xyz.mean(0) - figure.person().xyz.mean(0)
    gains = [
        steady_state(PARAMS.root_process_noise, PARAMS.root_white_share * std)[0][0, 0]
        for std in (0.01, 0.05)
    ]
    np.testing.assert_allclose(out, [gains[0] * 0.01, 0.0, gains[1] * 0.01], atol=1e-8)
    assert gains[1] < 0.7 * gains[0]


def test_deviation_is_that_of_the_filter_and_of_the_bias_that_no_filter_removes(figure):
    kalman, t = settled(figure)
    out = kalman.refine(figure.person(std=STD), t)
    _, variance = steady_state(PARAMS.process_noise, PARAMS.white_share * STD)
    expected = math.sqrt(variance + (1.0 - PARAMS.white_share**2) * STD**2)
    np.testing.assert_allclose(out.std, expected, rtol=1e-6)
    assert math.sqrt(1.0 - PARAMS.white_share**2) * STD < expected < STD


def test_noise_that_is_all_white_is_reduced_to_what_the_filter_says(figure):
    params = RefineParams(white_share=1.0, process_noise=1.0, process_noise_rate=0.0, joint_gate=0.0)
    kalman = Kalman(params, figure.skeleton)
    rng = np.random.default_rng(0)
    hips = [23, 24]
    errors = []
    for k in range(900):
        true = figure.person().xyz + np.array([1.2 * k * DT, 0.0, 0.0])
        noise = STD * rng.normal(size=true.shape)
        noise[hips] = 0.0
        out = kalman.refine(figure.person(true + noise, std=STD), k * STEP)
        errors.append(out.xyz - true)
    # a walk at constant speed has no acceleration: only the measurement noise drives the error e+ = (I - K H) F e + K v
    K, variance = steady_state(1.0, STD)
    A = (np.eye(2) - K @ H) @ F
    expected = math.sqrt(solve_discrete_lyapunov(A, STD**2 * K @ K.T)[0, 0])
    joints = np.setdiff1d(np.arange(33), hips)
    measured = np.array(errors)[300:, joints]
    assert np.sqrt(np.mean(measured**2)) == pytest.approx(expected, rel=0.05)
    assert expected < math.sqrt(variance) < 0.6 * STD
    assert np.abs(measured.mean((0, 1))).max() < 0.002  # and no lag
    np.testing.assert_allclose(out.std[joints], math.sqrt(variance), rtol=1e-6)


def test_a_joint_known_better_is_followed_closer(figure):
    kalman = Kalman(PARAMS, figure.skeleton)
    std = np.where(np.arange(33) == WRIST, 0.2, 0.02)
    for k in range(500):
        kalman.refine(replace(figure.person(), std=std), k * STEP)
    person = figure.person()
    xyz = person.xyz.copy()
    xyz[[WRIST, OTHER_WRIST], 0] += 0.01
    out = kalman.refine(replace(person, xyz=xyz, std=std), 500 * STEP).xyz - person.xyz
    gains = [steady_state(PARAMS.process_noise, PARAMS.white_share * s)[0][0, 0] for s in (0.2, 0.02)]
    np.testing.assert_allclose(out[[WRIST, OTHER_WRIST], 0], 0.01 * np.array(gains), rtol=1e-5)
    assert gains[0] < 0.6 * gains[1]


def test_a_fast_joint_is_followed_closer_than_one_at_rest(figure):
    kalman = Kalman(PARAMS, figure.skeleton)
    for k in range(500):
        kalman.refine(moved(figure, WRIST, 2.0 * k * DT), k * STEP)
    person = moved(figure, WRIST, 2.0 * 500 * DT)
    xyz = person.xyz.copy()
    xyz[[WRIST, OTHER_WRIST], 0] += 0.01
    out = kalman.refine(figure.person(xyz, std=STD), 500 * STEP).xyz - person.xyz
    densities = (PARAMS.process_noise + PARAMS.process_noise_rate * 2.0**2, PARAMS.process_noise)
    gains = [steady_state(q, PARAMS.white_share * STD)[0][0, 0] for q in densities]
    np.testing.assert_allclose(out[[WRIST, OTHER_WRIST], 0], 0.01 * np.array(gains), rtol=1e-4)
    assert gains[0] > 2.0 * gains[1]


def test_a_swap_of_the_legs_is_kept_out_for_frames_that_a_flicker_takes(figure, swapped):
    kalman, t = settled(figure)
    legs = ("knee", "ankle", "heel", "foot_index")
    rows = figure.skeleton.indices(*(f"{side}_{part}" for side in ("left", "right") for part in legs))
    swap = figure.person().xyz
    for part in legs:
        swap = swapped(swap, f"left_{part}", f"right_{part}")
    for k in range(PARAMS.gate_frames - 1):
        out = kalman.refine(figure.person(swap, std=STD), t + k * STEP)
        assert (out.state[rows] == JointState.PREDICTED).all()
        assert (np.delete(out.state, rows) == JointState.LIFTED).all()
        np.testing.assert_allclose(out.xyz, figure.person().xyz, atol=1e-6)
    out = kalman.refine(figure.person(std=STD), t + 10 * STEP)
    assert (out.state == JointState.LIFTED).all()
    np.testing.assert_allclose(out.xyz, figure.person().xyz, atol=1e-6)


def test_a_jump_that_lasts_is_taken_up_at_once_when_believed(figure):
    kalman, t = settled(figure)
    for k in range(PARAMS.gate_frames):
        out = kalman.refine(moved(figure, WRIST, 0.5), t + k * STEP)
    assert out.state[WRIST] == JointState.LIFTED
    assert out.xyz[WRIST, 0] - figure.xyz[WRIST, 0] == pytest.approx(0.5, abs=1e-12)


def test_no_gate_lets_all_through(figure):
    kalman, t = settled(figure, joint_gate=0.0)
    out = kalman.refine(moved(figure, WRIST, 5.0), t)
    assert (out.state == JointState.LIFTED).all()
    gain, _ = steady_state(PARAMS.process_noise, PARAMS.white_share * STD)
    assert out.xyz[WRIST, 0] - figure.xyz[WRIST, 0] == pytest.approx(5.0 * gain[0, 0], rel=1e-6)


def test_an_unseen_joint_coasts_to_a_halt(figure):
    kalman = Kalman(PARAMS, figure.skeleton)
    for k in range(300):
        out = kalman.refine(moved(figure, WRIST, 0.5 * k * DT), k * STEP)
    start, wrist = out.xyz[WRIST, 0], np.arange(33) == WRIST
    stds = []
    for k, t in ((301, 0.04), (310, 0.22), (400, 2.02)):
        out = kalman.refine(with_missing(figure.person(std=STD), wrist), k * STEP)
        travelled = 0.5 * JOINT_COAST * (1.0 - math.exp(-t / JOINT_COAST))
        assert out.xyz[WRIST, 0] - start == pytest.approx(travelled, rel=1e-2)
        stds.append(out.std[WRIST])
    assert STD < stds[1] < stds[2]


@pytest.mark.parametrize("by", [0.6, 1.0, 10.0])
def test_a_hip_that_is_somewhere_else_does_not_take_the_body_with_it(figure, by: float):
    kalman, t = settled(figure)
    hip = figure.skeleton.index("left_hip")
    others = np.arange(len(figure.skeleton)) != hip
    out = kalman.refine(moved(figure, hip, by), t)
    np.testing.assert_allclose(out.xyz, figure.person().xyz, atol=0.02)
    assert out.state[hip] == JointState.PREDICTED
    assert (out.state[others] == JointState.LIFTED).all()
    # What lasts is believed, as any jump.
    for k in range(1, PARAMS.gate_frames + 20):
        out = kalman.refine(moved(figure, hip, by), t + k * STEP)
    assert out.xyz[hip, 0] - figure.person().xyz[hip, 0] == pytest.approx(by, abs=0.02)
    np.testing.assert_allclose(out.xyz[others], figure.person().xyz[others], atol=0.02)


def test_a_body_that_bends_keeps_its_root(figure):
    """The upper body falls forward by 2 m/s about hips that stand: two thirds of the joints move."""
    kalman, t = settled(figure)
    upper = figure.xyz[:, 1] < -0.05
    for k in range(1, 20):
        xyz = figure.person().xyz.copy()
        xyz[upper, 2] -= 2.0 * k * DT
        out = kalman.refine(figure.person(xyz, std=STD), t + k * STEP)
        root = figure.skeleton.root_of(out.xyz)
        np.testing.assert_allclose(root, figure.skeleton.root_of(xyz), atol=0.03)
