"""The simulated detector: sizes of errors as stated, slow as stated, and confidences that tell how wrong it is."""

from __future__ import annotations

import numpy as np
import pytest

from pose_core.skeleton import SKELETONS
from pose_train.data import detector
from pose_train.data.detector import CLEAN, FULL, MASKED, Noise
from pose_train.data.landmarks import Landmarks
from pose_train.testing import rest

MP = SKELETONS.get("mediapipe33")
STEP = 1.0 / 30.0


def scene(count: int = 40, frames: int = 60, turn: float = 0.0) -> tuple[np.ndarray, ...]:
    """Somebody 4 m away in the reference pose, `turn` radians about the vertical; arguments of `detect`."""
    upright = np.repeat(np.eye(3, dtype=np.float32)[None], 7, 0)
    body = Landmarks("mediapipe33").of(rest(), upright, np.array(1.0)) - (0.0, 1.0, 0.0)
    c, s = np.cos(turn), np.sin(turn)
    body = body @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
    xyz = (body * (1, -1, -1) + (0.0, 0.0, 4.0)).astype(np.float32)  # y down, facing the camera
    xyz = np.broadcast_to(xyz, (count, frames, 33, 3)).copy()
    clean = xyz[..., :2] / xyz[..., 2:]
    inside = np.ones(clean.shape[:3], bool)
    return xyz, clean, inside, np.full((count, frames), STEP), np.full(count, 1.75)


def run(noise: Noise, seed: int = 0, **kwargs: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors (n, T, 33, 2) as shares of the box's diagonal, confidences, and detections."""
    arguments = scene(**kwargs)
    xy, confidence = detector.detect(*arguments, np.random.default_rng(seed), noise)
    box = np.linalg.norm(np.ptp(arguments[1], 2), axis=-1)[..., None, None]
    return (xy - arguments[1]) / box, confidence, xy


@pytest.fixture(autouse=True)
def no_events(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rare events off, unless a test is about one."""
    keep = getattr(request, "param", "")
    for name in ("BURST_START", "HIDDEN_BURST_START", "SWAP_START", "DROPPING", "MASKING", "SMOOTHING"):
        if name not in keep:
            monkeypatch.setattr(detector, name, 0.0)


def test_a_clean_detector_tells_the_truth_and_doubts_what_is_outside():
    xyz, clean, inside, step, height = scene(2, 3)
    inside[0, 1, 5] = False
    xy, confidence = detector.detect(xyz, clean, inside, step, height, np.random.default_rng(0), CLEAN)
    np.testing.assert_array_equal(xy, clean)
    assert confidence[0, 1, 5] == pytest.approx(0.1)
    assert (np.delete(confidence.reshape(6, 33), 1, 0) == 1.0).all()


def test_errors_have_the_stated_size(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detector, "LEVELS", 0.0)
    error, _, _ = run(FULL, count=400, frames=30)
    nose = error[:, :, MP.index("nose")] / 0.7
    expected = np.sqrt(detector.BIAS**2 + detector.DRIFT**2 + detector.WHITE**2)
    assert nose.std() == pytest.approx(expected, rel=0.05)
    assert abs(nose.mean()) < 0.002
    monkeypatch.setattr(detector, "DRIFT", 0.0)
    monkeypatch.setattr(detector, "WHITE", 0.0)
    constant = run(FULL, count=400, frames=3)[0][:, :, MP.index("nose")] / 0.7
    np.testing.assert_allclose(constant, constant[:, :1].repeat(3, 1), atol=1e-6)
    assert constant.std() == pytest.approx(detector.BIAS, rel=0.1)


def test_errors_are_slow_with_the_stated_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detector, "DRIFT_TIMES", (0.2, 0.2001))
    monkeypatch.setattr(detector, "LEVELS", 0.0)
    monkeypatch.setattr(detector, "WHITE", 0.0)
    monkeypatch.setattr(detector, "BIAS", 0.0)
    error, _, _ = run(FULL, count=300, frames=60)
    nose = error[:, :, MP.index("nose")]
    correlation = (nose[:, 1:] * nose[:, :-1]).mean() / (nose**2).mean()
    assert correlation == pytest.approx(np.exp(-STEP / 0.2), abs=0.02)


def test_twice_the_amount_is_twice_the_error():
    one, _, _ = run(Noise(amount=1.0))
    two, _, _ = run(Noise(amount=2.0))
    np.testing.assert_allclose(two, 2.0 * one, atol=1e-6)


def test_an_arm_behind_the_trunk_is_hidden_and_told():
    xyz, _, _, _, height = scene(20, 20)
    wrist, chest = MP.index("left_wrist"), xyz[0, 0, MP.indices("left_shoulder", "right_hip")].mean(0)
    xyz[:, :, wrist] = chest + np.array([0.0, 0.0, 0.25])
    clean = xyz[..., :2] / xyz[..., 2:]
    hidden = detector._hidden(xyz, clean, height)
    assert hidden[..., wrist].all()
    assert not hidden[..., MP.index("right_wrist")].any()
    assert not hidden[..., MP.index("left_shoulder")].any()
    xyz[:, :, wrist] = chest - np.array([0.0, 0.0, 0.25])  # in front of the chest
    assert not detector._hidden(xyz, xyz[..., :2] / xyz[..., 2:], height)[..., wrist].any()


def test_a_leg_behind_the_other_is_hidden_in_profile_and_none_hides_itself():
    xyz, clean, _, _, height = scene(1, 1, turn=np.pi / 2)
    hidden = detector._hidden(xyz, clean, height)[0, 0]
    far, near = ("left", "right") if xyz[0, 0, MP.index("left_knee"), 2] > 4.0 else ("right", "left")
    assert hidden[MP.index(f"{far}_knee")]
    assert not hidden[MP.index(f"{near}_knee")]
    assert not hidden[MP.index(f"{near}_ankle")]


def test_hidden_joints_err_more_and_are_less_sure():
    xyz, clean, inside, step, height = scene(200, 10)
    wrist, other = MP.index("left_wrist"), MP.index("right_wrist")
    xyz[:, :, wrist] = xyz[0, 0, MP.indices("left_shoulder", "right_hip")].mean(0) + np.array(
        [0.0, 0.0, 0.25]
    )
    clean = xyz[..., :2] / xyz[..., 2:]
    xy, confidence = detector.detect(xyz, clean, inside, step, height, np.random.default_rng(0), FULL)
    error = np.linalg.norm(xy - clean, axis=-1)
    assert error[..., wrist].mean() / error[..., other].mean() == pytest.approx(detector.HIDDEN, rel=0.15)
    assert confidence[..., wrist].mean() < 0.6 < 0.9 < confidence[..., other].mean()


@pytest.mark.parametrize("no_events", ["SWAP_START"], indirect=True)
def test_swaps_exchange_left_and_right(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detector, "SWAP_START", 1.0)
    _, _, xy = run(FULL, count=100)
    clean = scene(100)[1]
    legs = MP.indices("left_knee", "right_knee")
    crossed = xy[:, :, legs[0], 0] < xy[:, :, legs[1], 0]
    assert (clean[:, :, legs[0], 0] > clean[:, :, legs[1], 0]).all()
    assert 0.1 < crossed.mean() < 0.6
    # Legs swap in 8 of 10 cases, arms in 6.
    arms = xy[:, :, MP.index("left_elbow"), 0] < xy[:, :, MP.index("right_elbow"), 0]
    assert 0.6 < arms.mean() / crossed.mean() < 0.9


@pytest.mark.parametrize("no_events", ["BURST_START"], indirect=True)
def test_a_burst_moves_a_whole_hand_for_the_stated_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detector, "BURST_START", 0.5)
    error, _, _ = run(FULL, count=200)
    wrist, index = (error[:, :, MP.index(f"left_{part}")] for part in ("wrist", "index"))
    jumped = np.linalg.norm(wrist, axis=-1) > 0.06
    assert 0.02 < jumped.mean() < 0.25
    both = (wrist * index).sum(-1)[jumped]
    assert (both > 0.0).mean() > 0.95


@pytest.mark.parametrize("no_events", ["DROPPING"], indirect=True)
def test_what_drops_out_is_nan_with_confidence_0_and_comes_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detector, "DROPPING", 1.0)
    _, confidence, xy = run(FULL, count=100)
    missing = np.isnan(xy[..., 0])
    np.testing.assert_array_equal(missing, confidence == 0.0)
    np.testing.assert_array_equal(missing[..., MP.index("left_wrist")], missing[..., MP.index("left_thumb")])
    assert not missing[..., MP.index("nose")].any()
    ends = missing[:, :-1] & ~missing[:, 1:]
    assert ends.any()


def test_thirty_percent_masked_are_missing_throughout():
    _, confidence, xy = run(MASKED, count=200, frames=5)
    missing = np.isnan(xy[..., 0])
    assert missing.mean() == pytest.approx(0.3, abs=0.02)
    assert (missing == missing[:, :1]).all()
    assert (confidence[missing] == 0.0).all()


@pytest.mark.parametrize("no_events", ["SMOOTHING"], indirect=True)
def test_a_smoothing_detector_lags(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detector, "SMOOTHING", 1.0)
    xy = np.zeros((50, 2, 1, 2), np.float32)
    xy[:, 1] = 1.0
    smoothed = detector._smoothed(xy, np.random.default_rng(0))
    assert smoothed[:, 1].min() >= 0.5
    assert 0.6 < smoothed[:, 1].mean() < 0.85
