"""Every figure on tracks whose errors were put in by hand."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from lift3d_node.learned import limbs
from pose_core.skeleton import COCO17, MEDIAPIPE33
from pose_train.lifter.tracks import Track
from pose_train.studies.scores import Cost, Result, Scores, mean_scores, score
from pose_train.studies.study import plain
from pose_train.trunk.deviations import temperatures

FRAMES = 12
STEP = np.full(FRAMES, 1.0 / 30.0)


@pytest.fixture
def truth() -> np.ndarray:
    """(T, 33, 3) a person in all directions, about the pelvis."""
    random = np.random.default_rng(4)
    path = 0.01 * np.cumsum(random.standard_normal((FRAMES, 33, 3)), 0)
    xyz = random.uniform(-0.7, 0.7, (33, 3)) + path
    return xyz - MEDIAPIPE33.root_of(xyz)[:, None]


def scored(predicted: np.ndarray, truth: np.ndarray, **kwargs: object) -> Scores:
    return score([Track(predicted, truth, STEP, **kwargs)], MEDIAPIPE33)  # type: ignore[arg-type]


def test_the_truth_has_no_error(truth: np.ndarray) -> None:
    found = scored(truth, truth)
    for name in (
        "mpjpe_mm",
        "mpjpe_body_mm",
        "pa_mpjpe_mm",
        "n_mpjpe_mm",
        "limb_mean_deg",
        "limb_median_deg",
    ):
        assert getattr(found, name) == pytest.approx(0.0, abs=1e-6)
    assert found.acceleration == pytest.approx(0.0, abs=1e-9)
    assert (found.z_sign, found.z_sign_clear, found.found) == (1.0, 1.0, 1.0)
    assert math.isnan(found.coverage)
    assert math.isnan(found.rank_correlation)


def test_a_constant_offset_of_the_whole_person_is_no_error(truth: np.ndarray) -> None:
    assert scored(truth + np.array([0.3, -0.2, 0.5]), truth).mpjpe_mm == pytest.approx(0.0, abs=1e-9)


def test_a_mirror_across_the_image_plane_has_every_sign_wrong(truth: np.ndarray) -> None:
    found = scored(truth * (1.0, 1.0, -1.0), truth)
    assert found.z_sign == 0.0
    assert found.z_sign_clear == 0.0
    directions = limbs.directions(truth, MEDIAPIPE33)
    expected = np.degrees(2.0 * np.arcsin(np.abs(directions[..., 2])))
    assert found.limb_mean_deg == pytest.approx(expected.mean())
    assert found.limb_median_deg == pytest.approx(np.median(expected))


def test_clear_signs_leave_out_limbs_in_the_image_plane() -> None:
    truth = np.zeros((1, 33, 3))
    for joint, z in (
        ("left_elbow", 0.02),
        ("right_elbow", -0.02),
        ("left_wrist", 0.3),
        ("right_wrist", -0.3),
    ):
        truth[0, MEDIAPIPE33.index(joint)] = (1.0 if "left" in joint else -1.0, 0.0, z)
    wrong = truth.copy()
    wrong[0, MEDIAPIPE33.indices("left_elbow", "right_elbow"), 2] *= -1.0
    found = score([Track(wrong, truth, STEP[:1])], MEDIAPIPE33)
    assert found.z_sign == pytest.approx(0.5)
    assert found.z_sign_clear == 1.0


def test_a_person_too_large_errs_in_scale_alone(truth: np.ndarray) -> None:
    found = scored(1.1 * truth, truth)
    assert found.mpjpe_mm == pytest.approx(100.0 * np.linalg.norm(truth, axis=-1).mean())
    assert found.n_mpjpe_mm == pytest.approx(0.0, abs=1e-6)
    assert found.pa_mpjpe_mm == pytest.approx(0.0, abs=1e-6)
    assert found.limb_mean_deg == pytest.approx(0.0, abs=1e-6)


def test_one_joint_counts_as_one_of_all(truth: np.ndarray) -> None:
    wrong = truth.copy()
    wrong[:, MEDIAPIPE33.index("nose"), 0] += 0.33
    assert scored(wrong, truth).mpjpe_mm == pytest.approx(10.0)
    assert scored(wrong, truth).mpjpe_body_mm == pytest.approx(0.0, abs=1e-9)
    wrong = truth.copy()
    wrong[:, MEDIAPIPE33.index("left_wrist"), 1] += 0.12
    assert scored(wrong, truth).mpjpe_body_mm == pytest.approx(10.0)


def test_acceleration_per_frame_and_per_second(truth: np.ndarray) -> None:
    shaking = truth.copy()
    shaking[:, MEDIAPIPE33.index("nose"), 2] += 0.001 * (-1.0) ** np.arange(FRAMES)
    found = scored(shaking, truth)
    # The second difference of 1, -1, 1 is 4.
    assert found.acceleration_mm == pytest.approx(4.0 / 33.0)
    assert found.acceleration == pytest.approx(0.004 * 900.0 / 33.0)


def test_accelerations_leave_out_steps_that_differ_and_clips_of_other_rates(truth: np.ndarray) -> None:
    broken = truth.copy()
    broken[6:, MEDIAPIPE33.index("nose"), 0] += 0.1
    step = STEP.copy()
    step[6] = 0.1
    assert score([Track(broken, truth, step)], MEDIAPIPE33).acceleration == pytest.approx(0.0, abs=1e-9)
    # One jump is two second differences of ten, of one joint of 33.
    jump = 0.1 * 900.0 * 2.0 / 10.0 / 33.0
    assert score([Track(broken, truth, STEP)], MEDIAPIPE33).acceleration == pytest.approx(jump)
    fast = Track(broken, truth, 0.5 * STEP)
    steady = Track(truth, truth, STEP)
    assert score([fast, steady], MEDIAPIPE33, (25.0, 35.0)).acceleration == pytest.approx(0.0, abs=1e-9)
    assert math.isnan(score([fast], MEDIAPIPE33, (25.0, 35.0)).acceleration)
    assert score([fast], MEDIAPIPE33).acceleration == pytest.approx(4.0 * jump)


def test_coverage_counts_each_axis_by_its_own_deviation(truth: np.ndarray) -> None:
    random = np.random.default_rng(1)
    predicted = truth + 0.0
    others = [i for i, joint in enumerate(MEDIAPIPE33.joints) if "hip" not in joint]
    predicted[:, others] += random.choice((-0.1, 0.1), (FRAMES, len(others), 3))
    wide = np.full(truth.shape, 0.1)  # 0.1 is one deviation, within 1.645
    narrow = wide * (1.0, 1.0, 0.5)  # and two deviations along z
    assert scored(predicted, truth, std=wide).coverage == 1.0
    # Hips, which do not err, stay within.
    assert scored(predicted, truth, std=narrow).coverage == pytest.approx((2.0 + 2.0 / 33.0) / 3.0)


def test_normal_errors_are_covered_and_ranked(truth: np.ndarray) -> None:
    random = np.random.default_rng(2)
    truth = np.tile(truth, (40, 1, 1))
    std = np.broadcast_to(np.linspace(0.01, 0.2, 33)[:, None], truth.shape)
    predicted = truth + std * random.standard_normal(truth.shape)
    hips = MEDIAPIPE33.indices("left_hip", "right_hip")
    predicted[:, hips] = truth[:, hips]
    found = score([Track(predicted, truth, np.full(len(truth), 1.0 / 30.0), std)], MEDIAPIPE33)
    assert found.coverage == pytest.approx(0.9 * 31 / 33 + 2 / 33, abs=0.01)
    assert 0.5 < found.rank_correlation < 1.0
    size = np.linalg.norm(predicted - truth, axis=-1, keepdims=True) + 1e-6
    honest = np.broadcast_to(size, truth.shape)
    exact = score([Track(predicted, truth, np.full(len(truth), 1.0 / 30.0), honest)], MEDIAPIPE33)
    assert exact.rank_correlation == pytest.approx(1.0)


def test_missing_joints_lower_what_was_found_and_nothing_else(truth: np.ndarray) -> None:
    predicted = truth.copy()
    predicted[:, MEDIAPIPE33.index("left_wrist")] = np.nan
    found = scored(predicted, truth)
    assert found.found == pytest.approx(32.0 / 33.0)
    assert found.mpjpe_mm == pytest.approx(0.0, abs=1e-9)
    nothing = scored(np.full_like(truth, np.nan), truth)
    assert nothing.found == 0.0
    assert math.isnan(nothing.mpjpe_mm)
    unknown = scored(truth, np.full_like(truth, np.nan))
    assert math.isnan(unknown.found)


def test_directions_of_their_own_replace_those_of_joints(truth: np.ndarray) -> None:
    missing = np.full_like(truth, np.nan)
    given = limbs.directions(truth, MEDIAPIPE33)
    turned = given * (1.0, 1.0, -1.0)
    assert scored(missing, truth, directions=given).limb_mean_deg == pytest.approx(0.0, abs=1e-6)
    assert scored(missing, truth, directions=turned).z_sign == 0.0
    both = [Track(truth, truth, STEP), Track(missing, truth, STEP, directions=turned)]
    assert score(both, MEDIAPIPE33).z_sign == 0.5


def test_nothing_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match="at least one track"):
        score([], MEDIAPIPE33)


def test_temperatures_make_the_interval_cover_ninety_percent() -> None:
    random = np.random.default_rng(3)
    truth = np.zeros((4000, 17, 3))
    std = np.full(truth.shape, 0.02)
    factors = np.linspace(0.5, 3.0, 17)
    predicted = truth + std * factors[:, None] * random.standard_normal(truth.shape)
    still = COCO17.indices("left_hip", "right_hip")  # never err, so the root does not
    gone = COCO17.index("left_wrist")
    predicted[:, still] = 0.0
    predicted[:, gone] = np.nan
    found = temperatures(predicted, truth, std)
    rest = [i for i in range(17) if i not in (*still, gone)]
    np.testing.assert_allclose(found[rest], factors[rest], rtol=0.05)
    assert found[[*still, gone]].tolist() == [1.0, 1.0, 1.0]
    fitted = score([Track(predicted, truth, np.full(4000, 1.0 / 30.0), std * found[:, None])], COCO17)
    assert fitted.coverage == pytest.approx((14 * 0.9 + 2) / 16, abs=1e-3)


def some(value: float) -> Scores:
    return Scores(*[value] * len(dataclasses.fields(Scores)))


def test_means_leave_out_what_is_not_known() -> None:
    one = dataclasses.replace(some(1.0), coverage=math.nan, found=math.nan)
    other = dataclasses.replace(some(3.0), found=math.nan)
    mean = mean_scores([one, other])
    assert mean.mpjpe_mm == 2.0
    assert mean.coverage == 3.0
    assert math.isnan(mean.found)


def test_results_survive_being_written() -> None:
    real = {"60": {"1": some(1.0), "2": dataclasses.replace(some(2.0), coverage=math.nan), "3": some(4.0)}}
    cost = Cost(parameters=12, one_ms=0.5)
    result = Result("a", "coco17", {"noise": some(2.5)}, real, cost, 1e-4)
    text = json.dumps(plain(result), allow_nan=False)
    again = Result.of(json.loads(text))
    assert json.dumps(plain(again)) == text
    assert math.isnan(again.real["60"]["2"].coverage)
    assert again.real_mean(60, (1, 3)).mpjpe_mm == 2.5
    for wrong in ({}, [], [1], {"name": "a"}, {**plain(result), "real": 3}):
        with pytest.raises(ValueError, match="no result of an evaluation"):
            Result.of(wrong)
