from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import savgol_coeffs

from pose_core.filtering.filters import AccelerationDensity, ConstantVelocityKalman, OneEuro, SavitzkyGolay

START = 1_700_000_000_000_000_000
MS = 1_000_000


def stamps(count: int, step_ms: float = 20.0) -> list[int]:
    return [START + round(i * step_ms * MS) for i in range(count)]


def one(value: float) -> np.ndarray:
    return np.array([[value]])


class TestOneEuro:
    def test_three_steps_by_hand(self):
        # dt 0.1 s, cutoffs 1 Hz, beta 0.5. Weight at cutoff f: 2 pi f dt / (2 pi f dt + 1).
        def weight(f, dt):
            return 2 * math.pi * f * dt / (2 * math.pi * f * dt + 1)

        euro = OneEuro(1.0, 0.5, 1.0)
        assert euro.filter(0, one(1.0)) == 1.0
        slope = weight(1.0, 0.1) * (2.0 - 1.0) / 0.1  # 10 units per second, smoothed from rest
        assert slope == pytest.approx(3.8586955)
        a = weight(1.0 + 0.5 * slope, 0.1)
        first = 1.0 + a * (2.0 - 1.0)
        assert euro.filter(100 * MS, one(2.0))[0, 0] == pytest.approx(first, rel=1e-12)
        slope += weight(1.0, 0.05) * ((1.5 - first) / 0.05 - slope)
        second = first + weight(1.0 + 0.5 * abs(slope), 0.05) * (1.5 - first)
        assert euro.filter(150 * MS, one(1.5))[0, 0] == pytest.approx(second, rel=1e-12)

    def test_a_constant_passes_and_a_step_arrives(self):
        euro = OneEuro(1.0, 0.0)
        for stamp in stamps(10):
            np.testing.assert_array_equal(euro.filter(stamp, np.full((33, 3), 2.5)), 2.5)
        values = [euro.filter(stamp, np.full((33, 3), 3.5))[0, 0] for stamp in stamps(300)[10:]]
        assert np.all(np.diff(values) >= 0.0)
        assert values[0] == pytest.approx(2.5 + 0.04 * math.pi / (0.04 * math.pi + 1))
        assert values[-1] == pytest.approx(3.5, abs=1e-3)

    def test_the_cutoff_is_in_hertz_whatever_the_frame_rate(self):
        # one cycle of a sine at the cutoff comes through with gain 1 / sqrt(2), sampled finely
        for step_ms in (0.5, 1.0):
            euro = OneEuro(2.0, 0.0)
            t = stamps(round(2000 / step_ms), step_ms)
            out = [
                euro.filter(stamp, one(math.sin(4 * math.pi * (stamp - START) * 1e-9)))[0, 0] for stamp in t
            ]
            assert max(out[len(out) // 2 :]) == pytest.approx(math.sqrt(0.5), abs=0.01)

    def test_speed_raises_the_cutoff(self):
        ramp = [one(0.02 * i) for i in range(50)]
        lazy, quick = OneEuro(0.5, 0.0), OneEuro(0.5, 5.0)
        for stamp, x in zip(stamps(50), ramp, strict=True):
            slow, fast = lazy.filter(stamp, x), quick.filter(stamp, x)
        assert ramp[-1] - slow > 5 * (ramp[-1] - fast) > 0.0

    def test_missing_samples_leave_the_state(self):
        x = np.random.default_rng(0).normal(size=(40, 3, 2))
        with_gap = OneEuro(1.0, 0.3)
        without = OneEuro(1.0, 0.3)
        for i, stamp in enumerate(stamps(40)):
            gap = 10 <= i < 15
            sample = x[i].copy()
            if gap:
                sample[1] = np.nan
            got = with_gap.filter(stamp, sample)
            np.testing.assert_array_equal(np.isnan(got).any(-1), [False, gap, False])
            if not gap:
                alone = without.filter(stamp, x[i, 1])
                np.testing.assert_array_equal(got[1], alone)

    def test_hold_repeats_the_last_value(self):
        euro = OneEuro()
        assert np.isnan(euro.filter(0, np.array([np.nan]), hold=True))
        last = euro.filter(20 * MS, np.array([4.0]))
        np.testing.assert_array_equal(euro.filter(40 * MS, np.array([np.nan]), hold=True), last)
        np.testing.assert_array_equal(euro.filter(60 * MS, np.array([np.inf]), hold=True), last)

    def test_after_a_long_gap_it_follows_or_starts_anew(self):
        euro, fresh = OneEuro(1.0), OneEuro(1.0, max_gap=0.5)
        for stamp in stamps(5):
            euro.filter(stamp, one(0.0))
            fresh.filter(stamp, one(0.0))
        later = stamps(5)[-1] + 10_000 * MS
        assert euro.filter(later, one(1.0))[0, 0] == pytest.approx(1.0, abs=0.02)
        assert fresh.filter(later, one(1.0))[0, 0] == 1.0

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 1000), st.floats(0.0, 6.3))
    def test_by_joint_the_axes_do_not_matter(self, seed, angle):
        rng = np.random.default_rng(seed)
        turn = np.array(
            [
                [math.cos(angle), -math.sin(angle), 0.0],
                [math.sin(angle), math.cos(angle), 0.0],
                [0.0, 0.0, 1.0],
            ]
        )
        plain, turned = OneEuro(1.0, 2.0, by_joint=True), OneEuro(1.0, 2.0, by_joint=True)
        for stamp in stamps(8):
            x = rng.normal(size=(4, 3))
            np.testing.assert_allclose(
                turned.filter(stamp, x @ turn.T), plain.filter(stamp, x) @ turn.T, atol=1e-12
            )

    def test_noise_goes_down(self):
        rng = np.random.default_rng(0)
        euro = OneEuro(1.0, 0.0)
        out = np.array([euro.filter(stamp, rng.normal(size=(33, 3))) for stamp in stamps(300)])
        assert out[100:].std() < 0.35

    def test_what_comes_back_is_the_callers(self):
        euro = OneEuro()
        first = euro.filter(0, np.zeros(3), hold=True)
        first[:] = 99.0
        np.testing.assert_array_equal(euro.filter(20 * MS, np.zeros(3)), 0.0)

    @pytest.mark.parametrize(
        ("settings_", "message"),
        [
            ({"min_cutoff": 0.0}, "min_cutoff must be positive, got 0.0"),
            ({"beta": -1.0}, "beta must not be negative, got -1.0"),
            ({"derivative_cutoff": float("nan")}, "derivative_cutoff must be positive"),
            ({"max_gap": 0.0}, "max_gap must be positive"),
        ],
    )
    def test_wrong_settings_are_refused(self, settings_, message):
        with pytest.raises(ValueError, match=message):
            OneEuro(**settings_)


class Textbook:
    """The Kalman filter of one coordinate, with matrices, as written in any textbook."""

    def __init__(self, q: float, speed_std: float, z: float, r: float) -> None:
        self.q, self.x, self.P = q, np.array([z, 0.0]), np.diag([r**2, speed_std**2])

    def predict(self, dt: float) -> None:
        F = np.array([[1.0, dt], [0.0, 1.0]])
        Q = self.q * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        self.x, self.P = F @ self.x, F @ self.P @ F.T + Q

    def update(self, z: float, r: float) -> None:
        H = np.array([[1.0, 0.0]])
        S = H @ self.P @ H.T + r**2
        gain = self.P @ H.T / S
        self.x = self.x + gain[:, 0] * (z - self.x[0])
        self.P = (np.eye(2) - gain @ H) @ self.P


class TestKalman:
    def test_one_step_by_hand(self):
        # q 3, dt 1, unit deviations: P = [[1 + 1 + 1, 1 + 1.5], [., 1 + 3]] = [[3, 2.5], [2.5, 4]], S = 4.
        kalman = ConstantVelocityKalman(3.0, initial_speed_std=1.0)
        kalman.update(0, one(2.0), np.array([1.0]))
        x, std = kalman.predict(10**9)
        assert (x[0, 0], std[0]) == (2.0, pytest.approx(math.sqrt(3.0)))
        assert kalman.update(10**9, one(6.0), np.array([1.0]))[0, 0] == pytest.approx(2.0 + 0.75 * 4.0)
        assert kalman.velocity[0, 0] == pytest.approx(2.5 / 4 * 4.0)
        assert kalman.std[0] == pytest.approx(math.sqrt(0.75))
        assert kalman.velocity_std[0] == pytest.approx(math.sqrt(4.0 - 2.5**2 / 4))
        assert kalman.distance[0] == pytest.approx(4.0 / 2.0)

    def test_what_moves_may_turn_sooner(self):
        # Two joints, at 0 and at 3 m/s along (2, 1, 2) / 3: q = 0.5 + 2 * 9 = 18.5 for the second.
        density = AccelerationDensity(0.5, 2.0)
        velocity = np.array([[0.0, 0.0, 0.0], [2.0, 1.0, 2.0]])
        np.testing.assert_allclose(density.at(velocity), [0.5, 18.5])
        kalman = ConstantVelocityKalman(density, initial_speed_std=1.0)
        for k in range(200):
            kalman.update(k * 10**7, velocity * k * 0.01, np.full(2, 1e-6))
        known, stamp = kalman.moments, 199 * 10**7
        _, std = kalman.predict(stamp + 10**9)
        variance = known.position_variance + 2.0 * known.covariance + known.velocity_variance
        np.testing.assert_allclose(std**2 - variance, np.array([0.5, 18.5]) / 3.0, rtol=1e-4)

    def test_a_density_must_be_one(self):
        with pytest.raises(ValueError, match="rise of acceleration_density must not be negative, got -1"):
            AccelerationDensity(1.0, -1.0)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 10_000), st.floats(0.01, 100.0), st.floats(0.1, 5.0))
    def test_every_coordinate_is_the_textbook_filter(self, seed, q, speed_std):
        rng = np.random.default_rng(seed)
        kalman = ConstantVelocityKalman(q, initial_speed_std=speed_std)
        books: dict[tuple[int, int], Textbook] = {}
        stamp = START
        for _ in range(12):
            z, r = rng.normal(size=(3, 2)), rng.uniform(0.01, 0.5, 3)
            z[rng.uniform(size=3) < 0.3] = np.nan
            got = kalman.update(stamp, z, r)
            for j in range(3):
                for d in range(2):
                    if (j, d) in books and np.isfinite(z[j, d]):
                        books[j, d].update(z[j, d], r[j])
                    elif np.isfinite(z[j, d]):
                        books[j, d] = Textbook(q, speed_std, z[j, d], r[j])
                    if (j, d) not in books:
                        assert np.isnan(got[j, d])
                        assert np.isnan(kalman.velocity[j, d])
                        continue
                    book = books[j, d]
                    np.testing.assert_allclose(
                        [got[j, d], kalman.velocity[j, d]], book.x, rtol=1e-8, atol=1e-9
                    )
                    np.testing.assert_allclose(kalman.std[j] ** 2, book.P[0, 0], rtol=1e-7)
                    np.testing.assert_allclose(kalman.velocity_std[j] ** 2, book.P[1, 1], rtol=1e-7)
            dt = int(rng.integers(5 * MS, 200 * MS))
            stamp += dt
            for book in books.values():
                book.predict(dt * 1e-9)

    def test_one_prediction_is_many_small_ones(self):
        whole, parts = ConstantVelocityKalman(2.0), ConstantVelocityKalman(2.0)
        nothing = np.full((1, 3), np.nan)
        for kalman in (whole, parts):
            kalman.update(0, np.zeros((1, 3)), np.array([0.1]))
            kalman.update(100 * MS, np.ones((1, 3)), np.array([0.1]))
        for k in range(1, 11):
            x = parts.update(100 * MS + k * 37 * MS, nothing, np.array([np.nan]))
        expected, std = whole.predict(100 * MS + 370 * MS)
        np.testing.assert_allclose(x, expected, rtol=1e-12)
        np.testing.assert_allclose(parts.std, std, rtol=1e-12)

    def test_a_steady_motion_is_followed_without_lag_and_noise_goes_down(self):
        rng = np.random.default_rng(0)
        kalman = ConstantVelocityKalman(0.01)
        velocity = np.array([1.0, -0.5, 0.2])
        errors = []
        for i, stamp in enumerate(stamps(400)):
            truth = velocity * (i * 0.02)
            got = kalman.update(stamp, truth + 0.05 * rng.normal(size=(33, 3)), np.full(33, 0.05))
            errors.append(got - truth)
        tail = np.array(errors[200:])
        assert np.abs(tail.mean((0, 1))).max() < 0.003
        assert tail.std() < 0.02
        np.testing.assert_allclose(kalman.velocity, np.tile(velocity, (33, 1)), atol=0.1)

    def test_its_own_deviation_is_that_of_its_errors(self):
        # motion and noise drawn from the filter's own model: errors / std must be standard normal
        rng = np.random.default_rng(1)
        q, dt, r, joints = 0.5, 0.02, 0.05, 400
        kalman = ConstantVelocityKalman(q, initial_speed_std=0.3)
        x, v = rng.normal(size=(joints, 3)), 0.3 * rng.normal(size=(joints, 3))
        factor = np.linalg.cholesky(q * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]]))
        for stamp in stamps(60):
            got = kalman.update(stamp, x + r * rng.normal(size=x.shape), np.full(joints, r))
            score = (got - x) / kalman.std[:, None]
            kick = rng.normal(size=(*x.shape, 2)) @ factor.T
            x, v = x + dt * v + kick[..., 0], v + kick[..., 1]
        assert score.std() == pytest.approx(1.0, abs=0.07)

    def test_measurements_are_weighed_by_their_deviation(self):
        kalman = ConstantVelocityKalman(1.0)
        kalman.update(0, np.zeros((3, 3)), np.full(3, 0.1))
        got = kalman.update(20 * MS, np.ones((3, 3)), np.array([0.01, 0.1, 10.0]))[:, 0]
        assert got[0] > 0.9
        assert 0.2 < got[1] < 0.8
        assert got[2] < 0.01
        metres, wrong_unit = (ConstantVelocityKalman(1.0) for _ in range(2))
        for kalman, unit in ((metres, 1.0), (wrong_unit, 1000.0)):
            kalman.update(0, np.zeros((1, 3)), np.array([0.1]))
            kalman.update(20 * MS, np.full((1, 3), 0.05), np.array([0.1 * unit]))
        assert np.abs(metres.velocity - wrong_unit.velocity).max() > 0.01

    def test_the_gate_keeps_an_outlier_out_and_gives_in_to_a_jump(self):
        kalman = ConstantVelocityKalman(0.1, initial_speed_std=0.1, gate=4.0, gate_patience=3)
        times = iter(stamps(100))
        std = np.full(2, 0.02)
        for _ in range(20):
            kalman.update(next(times), np.zeros((2, 3)), std)
        outlier = np.array([[5.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        before = kalman.std
        got = kalman.update(next(times), outlier, std)
        np.testing.assert_array_equal(kalman.rejected, [True, False])
        assert kalman.distance[0] > 100.0
        np.testing.assert_allclose(got, 0.0, atol=1e-12)
        assert kalman.std[0] > before[0]
        kalman.update(next(times), np.zeros((2, 3)), std)
        np.testing.assert_array_equal(kalman.rejected, [False, False])
        for i in range(3):
            got = kalman.update(next(times), outlier, std)
            assert kalman.rejected[0] == (i < 2)
        np.testing.assert_array_equal(got[0], [5.0, 0.0, 0.0])
        assert kalman.std[0] == pytest.approx(0.02)

    def test_a_missing_measurement_does_not_interrupt_a_run_of_rejections(self):
        kalman = ConstantVelocityKalman(0.1, gate=3.0, gate_patience=2)
        times = iter(stamps(100))
        std = np.array([0.02])
        for _ in range(20):
            kalman.update(next(times), np.zeros((1, 3)), std)
        kalman.update(next(times), np.full((1, 3), 5.0), std)
        kalman.update(next(times), np.full((1, 3), np.nan), std)
        np.testing.assert_array_equal(kalman.rejected, [False])
        assert np.isnan(kalman.distance[0])
        np.testing.assert_array_equal(
            kalman.update(next(times), np.full((1, 3), 5.0), std), np.full((1, 3), 5.0)
        )

    def test_without_a_gate_the_outlier_moves_the_state(self):
        kalman = ConstantVelocityKalman(0.1)
        for stamp in stamps(20):
            kalman.update(stamp, np.zeros((1, 3)), np.array([0.02]))
        assert kalman.update(stamps(21)[-1], np.full((1, 3), 5.0), np.array([0.02])).max() > 0.5

    def test_a_joint_unseen_for_too_long_is_unknown(self):
        kalman = ConstantVelocityKalman(1.0, max_gap=0.1)
        nothing, std = np.full((1, 3), np.nan), np.array([0.02])
        kalman.update(0, np.ones((1, 3)), std)
        assert np.isfinite(kalman.update(90 * MS, nothing, std)).all()
        assert np.isnan(kalman.predict(120 * MS)[0]).all()
        assert np.isnan(kalman.predict(120 * MS)[1]).all()
        assert np.isnan(kalman.update(110 * MS, nothing, std)).all()
        assert np.isnan(kalman.velocity).all()
        np.testing.assert_array_equal(
            kalman.update(200 * MS, np.full((1, 3), 2.0), std), np.full((1, 3), 2.0)
        )
        np.testing.assert_array_equal(kalman.velocity, 0.0)

    def test_a_measurement_without_deviation_is_none(self):
        kalman = ConstantVelocityKalman(1.0)
        assert np.isnan(kalman.update(0, np.ones((1, 3)), np.array([np.nan]))).all()
        kalman.update(20 * MS, np.ones((1, 3)), np.array([0.1]))
        np.testing.assert_array_equal(kalman.update(40 * MS, np.full((1, 3), 9.0), np.array([np.nan])), 1.0)
        half = np.array([[1.0, np.nan, 1.0]])
        np.testing.assert_array_equal(kalman.update(60 * MS, half, np.array([0.1])), 1.0)

    def test_an_exact_measurement_is_believed(self):
        kalman = ConstantVelocityKalman(1.0)
        kalman.update(0, np.zeros((1, 3)), np.array([0.0]))
        got = kalman.update(20 * MS, np.ones((1, 3)), np.array([0.0]))
        np.testing.assert_array_equal(got, 1.0)
        assert kalman.std[0] == 0.0

    def test_predicting_changes_nothing_and_cannot_look_back(self):
        kalman = ConstantVelocityKalman(1.0)
        with pytest.raises(ValueError, match="no state yet"):
            kalman.predict(0)
        kalman.update(START, np.zeros((2, 3)), np.full(2, 0.1))
        first = kalman.predict(START + 10**9)
        first[0][:] = 7.0
        second = kalman.predict(START + 10**9)
        np.testing.assert_array_equal(second[0], 0.0)
        np.testing.assert_array_equal(kalman.predict(START)[1], 0.1)
        with pytest.raises(ValueError, match="before the last update"):
            kalman.predict(START - 1)

    def test_wrong_input_is_refused(self, without_checks):
        kalman = ConstantVelocityKalman(1.0)
        with pytest.raises(ValueError, match=r"measurements \(J, D\) and deviations \(J,\)"):
            kalman.update(0, np.zeros((3, 3)), np.zeros(2))
        with pytest.raises(ValueError, match=r"must not be negative, got -0\.1"):
            kalman.update(0, np.zeros((1, 3)), np.array([-0.1]))
        for name in ("acceleration_density", "initial_speed_std", "gate", "gate_patience", "max_gap"):
            with pytest.raises(ValueError, match=f"{name} must be positive, got 0"):
                ConstantVelocityKalman(**{"acceleration_density": 1.0, name: 0})


class TestSavitzkyGolay:
    @pytest.mark.parametrize(("window", "order"), [(5, 2), (9, 3), (7, 0), (15, 1)])
    def test_even_stamps_give_the_published_coefficients(self, window, order):
        expected = savgol_coeffs(window, order, pos=window - 1, use="dot")
        x = np.random.default_rng(0).normal(size=(30, 4, 3))
        savgol = SavitzkyGolay(window, order)
        for i, stamp in enumerate(stamps(30)):
            got = savgol.filter(stamp, x[i])
            if i + 1 >= window:
                np.testing.assert_allclose(
                    got, np.tensordot(expected, x[i + 1 - window : i + 1], 1), atol=1e-12
                )

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 1000), st.integers(0, 3))
    def test_polynomials_pass_unchanged_at_uneven_stamps_and_through_gaps(self, seed, order):
        rng = np.random.default_rng(seed)
        coefficients = rng.normal(size=(order + 1, 4, 3))
        savgol = SavitzkyGolay(9, order)
        stamp = START
        for _ in range(25):
            stamp += int(rng.integers(5 * MS, 60 * MS))
            x = sum(c * ((stamp - START) * 1e-9) ** k for k, c in enumerate(coefficients))
            x = np.asarray(x)
            gone = rng.uniform(size=4) < 0.2
            got = savgol.filter(stamp, np.where(gone[:, None], np.nan, x))
            np.testing.assert_array_equal(np.isnan(got).all(-1), gone)
            np.testing.assert_allclose(got[~gone], x[~gone], rtol=0, atol=1e-8)

    def test_missing_samples_take_no_part(self):
        rng = np.random.default_rng(2)
        x = rng.normal(size=(12, 2))
        gap, none = SavitzkyGolay(8, 2), SavitzkyGolay(7, 2)
        for i, stamp in enumerate(stamps(12)):
            got = gap.filter(stamp, np.where([i == 8, False], np.nan, x[i]))
            if i != 8:
                expected = none.filter(stamp, x[i])
        assert got[0] == pytest.approx(expected[0])
        assert abs(got[1] - expected[1]) > 1e-3

    @pytest.mark.parametrize(("window", "order", "back"), [(9, 2, 4), (9, 3, 2), (5, 1, 4)])
    def test_a_look_back_gives_the_published_coefficients(self, window, order, back):
        expected = savgol_coeffs(window, order, pos=window - 1 - back, use="dot")
        x = np.random.default_rng(0).normal(size=(20, 4, 3))
        savgol = SavitzkyGolay(window, order)
        for i, stamp in enumerate(stamps(20)):
            savgol.filter(stamp, x[i])
            if i + 1 >= window:
                np.testing.assert_allclose(
                    savgol.at(back), np.tensordot(expected, x[i + 1 - window : i + 1], 1), atol=1e-12
                )

    def test_a_look_back_at_a_missing_sample_is_missing(self):
        savgol = SavitzkyGolay(9, 1)
        for i, stamp in enumerate(stamps(12)):
            savgol.filter(stamp, np.array([np.nan if i == 9 else 2.0 * i, 1.0 * i]))
        np.testing.assert_allclose(savgol.at(2), [np.nan, 9.0], atol=1e-9)
        np.testing.assert_allclose(savgol.at(3), [16.0, 8.0], atol=1e-9)

    def test_a_look_back_ends_with_the_window(self):
        savgol = SavitzkyGolay(9, 2)
        for back in (0, -1):
            with pytest.raises(ValueError, match=f"does not hold the sample {back} before the newest"):
                savgol.at(back)
        savgol.filter(0, one(1.0))
        with pytest.raises(ValueError, match="does not hold the sample 1 before"):
            savgol.at(1)

    def test_the_first_samples_pass_through(self):
        savgol = SavitzkyGolay(9, 2)
        for stamp, value in zip(stamps(3), (1.0, 5.0, -2.0), strict=True):
            assert savgol.filter(stamp, one(value))[0, 0] == pytest.approx(value, abs=1e-9)

    def test_noise_goes_down(self):
        rng = np.random.default_rng(0)
        savgol = SavitzkyGolay(15, 1)
        out = np.array([savgol.filter(stamp, rng.normal(size=(33, 3))) for stamp in stamps(100)])
        # an end-point fit of degree 1 to n samples has variance (4 n - 2) / (n (n + 1))
        assert out[20:].std() == pytest.approx(math.sqrt(58 / 240), rel=0.05)

    @pytest.mark.parametrize(("window", "order"), [(3, 3), (2, 5), (3, -1)])
    def test_a_window_must_exceed_the_order(self, window, order):
        with pytest.raises(ValueError, match=f"window must exceed the order {order}.*got {window}"):
            SavitzkyGolay(window, order)


FILTERS = {
    "one_euro": lambda: OneEuro(1.0, 0.5),
    "kalman": lambda: ConstantVelocityKalman(5.0),
    "savitzky_golay": lambda: SavitzkyGolay(7, 2),
}


def step(name: str, causal, stamp: int, x: np.ndarray) -> np.ndarray:
    return causal.update(stamp, x, np.full(len(x), 0.05)) if name == "kalman" else causal.filter(stamp, x)


@pytest.mark.parametrize("name", FILTERS)
class TestEveryFilter:
    def test_stamps_must_increase_until_reset(self, name):
        causal = FILTERS[name]()
        step(name, causal, START, np.zeros((2, 3)))
        for stamp in (START, START - 5):
            with pytest.raises(ValueError, match=f"stamps must increase, got {stamp} after {START}; reset"):
                step(name, causal, stamp, np.ones((2, 3)))
        np.testing.assert_array_equal(step(name, causal, START + 20 * MS, np.zeros((2, 3))), 0.0)
        causal.reset()
        np.testing.assert_array_equal(step(name, causal, 0, np.full((5, 3), 7.0)), 7.0)

    def test_the_shape_stays_until_reset(self, name):
        causal = FILTERS[name]()
        step(name, causal, 0, np.zeros((2, 3)))
        with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 3\)"):
            step(name, causal, 20 * MS, np.zeros((3, 3)))

    def test_joints_do_not_mix(self, name):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(20, 5, 3))
        together, alone = FILTERS[name](), FILTERS[name]()
        for i, stamp in enumerate(stamps(20)):
            np.testing.assert_allclose(
                step(name, together, stamp, x[i])[2:3], step(name, alone, stamp, x[i, 2:3]), atol=1e-12
            )

    def test_an_offset_in_place_or_time_moves_with_the_result(self, name):
        rng = np.random.default_rng(0)
        x = 0.1 * rng.normal(size=(20, 5, 3))
        here, there = FILTERS[name](), FILTERS[name]()
        for i, stamp in enumerate(stamps(20)):
            moved = step(name, there, stamp - START, x[i] + 4.0)
            np.testing.assert_allclose(moved - 4.0, step(name, here, stamp, x[i]), atol=1e-9)

    def test_it_does_not_look_ahead(self, name):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(20, 2, 3))
        longer, shorter = FILTERS[name](), FILTERS[name]()
        full = [step(name, longer, stamp, x[i]) for i, stamp in enumerate(stamps(20))]
        for i, stamp in enumerate(stamps(10)):
            np.testing.assert_array_equal(step(name, shorter, stamp, x[i]), full[i])

    def test_infinity_is_missing_and_does_not_stay(self, name):
        causal = FILTERS[name]()
        for i, stamp in enumerate(stamps(20)):
            x = np.zeros((2, 3))
            if i == 10:
                x[0, 1] = np.inf
            got = step(name, causal, stamp, x)
        np.testing.assert_allclose(got, 0.0, atol=1e-12)

    def test_it_does_not_keep_the_callers_array(self, name):
        causal = FILTERS[name]()
        x = np.zeros((2, 3))
        step(name, causal, 0, x)
        x[:] = 100.0
        np.testing.assert_array_equal(step(name, causal, 20 * MS, np.zeros((2, 3))), 0.0)
