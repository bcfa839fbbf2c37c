"""Marker augmentation: what goes into the networks and what becomes of their answer, and the gate."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_biomechanics import augmentation
from pose_biomechanics.augmentation import (
    ADDED,
    CHECKS,
    NAMES,
    NETWORKS,
    PARTS,
    PELVIS,
    Gate,
    MarkerAugmenter,
    marker_errors,
)
from pose_biomechanics.marker_set import MARKERS
from pose_core import assets
from pose_core.filtering.joint_errors import HANDED_DOWN, RIGID
from pose_core.geometry.standing import standing_joints
from pose_core.markers import MarkerSequence
from pose_core.skeleton import POSE2SIM22
from pose_core.units import NS_PER_S

onnx = pytest.importorskip(
    "onnx", reason="networks made for these tests need onnx, see requirements/train.txt"
)

HEIGHT, MASS = 1.8, 75.0
BODY, ARMS = NETWORKS
IS_ARM = np.isin(ADDED, list(ARMS.outputs))
LEGS = [i for i, name in enumerate(MARKERS) if any(part in name for part in ("Knee", "Ankle", "Heel", "Toe"))]


def sequence(xyz: np.ndarray, rate_hz: float = 60.0) -> MarkerSequence:
    stamps = np.round(np.arange(len(xyz)) * NS_PER_S / rate_hz).astype(np.int64)
    return MarkerSequence(MARKERS, stamps, xyz, np.full(xyz.shape[:2], 0.01), "p1", {"height": HEIGHT})


def standing() -> np.ndarray:
    """(22, 3) somebody upright who looks along X; small toes beside the big ones."""
    left, up, forward = HEIGHT * standing_joints(POSE2SIM22.name).T
    xyz = np.stack([forward, up, -left], -1)
    for side, out in (("L", -0.03), ("R", 0.03)):
        xyz[MARKERS.index(f"{side}SmallToe")] = xyz[MARKERS.index(f"{side}BigToe")] + (-0.03, 0.0, out)
    return xyz


def moving(frames: int, seed: int = 3) -> np.ndarray:
    """(T, 22, 3) somebody who sways by some centimetres, each marker its own way, and goes along."""
    random = np.random.default_rng(seed)
    time = np.arange(frames)[:, None, None] / 60.0
    phase, pace = random.uniform(0.0, 6.28, (1, 22, 3)), random.uniform(2.0, 6.0, (1, 22, 3))
    return standing() + 0.03 * np.sin(pace * time + phase) + time * (1.0, 0.0, 0.2)


def of(markers: MarkerSequence, part: str) -> np.ndarray:
    """(T, M, 3) the markers that a network adds."""
    return np.stack([markers.of(name) for name in NETWORKS[PARTS.index(part)].outputs], 1)


Normalisation = dict[str, tuple[np.ndarray, np.ndarray]]
WIDTHS = {network.part: (3 * len(network.inputs) + 2, 3 * len(network.outputs)) for network in NETWORKS}


def write_networks(
    folder: Path, weights: dict[str, np.ndarray], offsets: dict[str, np.ndarray], clock: float = 0.0
) -> Normalisation:
    """Networks that answer `features @ weights + offsets`, and put markers `clock` heights along X further in each frame.

    Features are meant as they are before normalisation: by random means and deviations, which lie beside them and are returned.
    """
    random = np.random.default_rng(0)
    kept: Normalisation = {}
    for network in NETWORKS:
        inputs, outputs = WIDTHS[network.part]
        mean, std = random.normal(size=inputs), random.uniform(0.5, 2.0, inputs)
        kept[network.part] = mean, std
        matrix = (std[:, None] * weights[network.part]).astype(np.float32)
        offset = (mean @ weights[network.part] + offsets[network.part]).astype(np.float32)
        step = np.tile([clock, 0.0, 0.0], outputs // 3).astype(np.float32)
        constants = {
            "matrix": matrix,
            "offset": offset,
            "step": step,
            "zeros": np.zeros((outputs, outputs), np.float32),
            "axis": np.array(1),
        }
        nodes = [
            onnx.helper.make_node("MatMul", ["inputs", "matrix"], ["turned"]),
            onnx.helper.make_node("Add", ["turned", "offset"], ["still"]),
            # the number of the frame since the network started, times `clock`
            onnx.helper.make_node("MatMul", ["still", "zeros"], ["nothing"]),
            onnx.helper.make_node("Add", ["nothing", "step"], ["steps"]),
            onnx.helper.make_node("CumSum", ["steps", "axis"], ["time"], exclusive=1),
            onnx.helper.make_node("Add", ["still", "time"], ["output_0"]),
        ]
        graph = onnx.helper.make_graph(
            nodes,
            network.part,
            [onnx.helper.make_tensor_value_info("inputs", onnx.TensorProto.FLOAT, [None, None, inputs])],
            [onnx.helper.make_tensor_value_info("output_0", onnx.TensorProto.FLOAT, [None, None, outputs])],
            [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
        place = folder / network.folder
        place.mkdir(parents=True, exist_ok=True)
        onnx.save(model, str(place / "model.onnx"))
        np.save(place / "mean.npy", mean)
        np.save(place / "std.npy", std)
    return kept


def at_keypoints(moved: dict[str, str] | None = None) -> dict[str, np.ndarray]:
    """Weights that put every added marker on its keypoint, or on the keypoint that `moved` names for it (of the same network)."""
    weights = {}
    for network in NETWORKS:
        matrix = np.zeros(WIDTHS[network.part])
        for column, (name, keypoint) in enumerate(network.outputs.items()):
            chosen = (moved or {}).get(name, keypoint)
            if chosen != "Hip":  # all positions are about it
                row = network.inputs.index(chosen)
                matrix[3 * row : 3 * row + 3, 3 * column : 3 * column + 3] = np.eye(3)
        weights[network.part] = matrix
    return weights


NOWHERE = {part: np.zeros(outputs) for part, (_, outputs) in WIDTHS.items()}


@pytest.fixture
def follower(tmp_path: Path) -> MarkerAugmenter:
    """Puts every added marker on its keypoint."""
    write_networks(tmp_path, at_keypoints(), NOWHERE)
    return MarkerAugmenter("cpu", folder=tmp_path)


@pytest.fixture
def random_weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    return {part: 0.02 * random.normal(size=widths) for part, widths in WIDTHS.items()}


OPEN = Gate(trip=100.0, release=100.0)


def test_names():
    assert len(NAMES) == 65
    assert len(ADDED) == 43
    assert NAMES[:22] == MARKERS
    assert len(BODY.inputs) == 15
    assert len(ARMS.inputs) == 7
    assert ADDED[:5] == ("r.ASIS_study", "L.ASIS_study", "r.PSIS_study", "L.PSIS_study", "r_knee_study")
    assert ADDED[33:37] == ("RHJC_study", "LHJC_study", "r_lelbow_study", "r_melbow_study")
    assert {keypoint for network in NETWORKS for keypoint in network.outputs.values()} <= set(MARKERS)
    for check in CHECKS:
        assert set(check.markers) <= set(NETWORKS[PARTS.index(check.part)].outputs)
    assert len({check.keypoint for check in CHECKS}) == len(CHECKS) == 19


def test_the_networks_are_asked_as_pose2sim_asks_them(tmp_path: Path, random_weights: dict[str, np.ndarray]):
    """Derived anew: about the Hip, by height, height and mass behind, normalised; back by height and Hip."""
    offsets = {part: np.linspace(-0.1, 0.1, len(zero)) for part, zero in NOWHERE.items()}
    normalisation = write_networks(tmp_path, random_weights, offsets)
    given_ = sequence(moving(40))
    result = MarkerAugmenter("cpu", OPEN, tmp_path).augment(given_, HEIGHT, MASS)
    assert result.used
    for network in NETWORKS:
        mean, std = normalisation[network.part]
        hip = given_.of("Hip")
        for t in range(len(given_)):
            features = [(given_.of(name)[t] - hip[t]) / HEIGHT for name in network.inputs]
            features = np.concatenate([*features, [HEIGHT, MASS]])
            shown = (features - mean) / std
            answer = shown @ (std[:, None] * random_weights[network.part])
            answer = answer + mean @ random_weights[network.part] + offsets[network.part]
            expected = answer.reshape(-1, 3) * HEIGHT + hip[t]
            np.testing.assert_allclose(of(result.markers, network.part)[t], expected, atol=1e-4)


def test_added_markers_stand_behind_the_22_with_their_deviations(follower: MarkerAugmenter):
    given_ = sequence(moving(30))
    given_.std[:, MARKERS.index("LKnee")] = 0.04
    result = follower.augment(given_, HEIGHT, MASS)
    markers = result.markers
    assert markers.names == NAMES
    assert result.mask.all()
    np.testing.assert_array_equal(markers.xyz[:, :22], given_.xyz)
    np.testing.assert_array_equal(markers.std[:, :22], given_.std)
    np.testing.assert_allclose(markers.of("L_mknee_study"), given_.of("LKnee"), atol=1e-5)
    std = dict(zip(NAMES, markers.std[0].tolist(), strict=True))
    heading = augmentation.HEADING_STD * HEIGHT
    assert std["L_mknee_study"] == pytest.approx(np.hypot(0.04, heading), abs=1e-6)
    assert std["r.PSIS_study"] == pytest.approx(np.sqrt(0.01**2 + (0.35 * 0.01) ** 2 + heading**2), abs=1e-6)
    assert std["r_thigh1_study"] == pytest.approx(np.hypot(0.01, heading), abs=1e-6)
    assert markers.person == "p1"
    assert markers.metadata["height"] == HEIGHT
    about = markers.metadata["augmentation"]
    assert about["frames"] == {"body": 30, "arms": 30}
    assert json.loads(json.dumps(markers.metadata)) == markers.metadata
    assert result.reason == "augmented: body in 30 of 30 frames; arms in 30 of 30 frames"


def test_added_markers_err_with_their_keypoints():
    errors = marker_errors(NAMES)
    together = errors.mixing @ errors.mixing.T
    np.testing.assert_allclose(np.diag(together), 1.0, atol=1e-12)
    at = {name: row for row, name in enumerate(NAMES)}
    assert together[at["r_knee_study"], at["RKnee"]] == pytest.approx(RIGID)
    assert together[at["r_knee_study"], at["r_mknee_study"]] == pytest.approx(RIGID**2)
    assert together[at["r_lwrist_study"], at["RElbow"]] == pytest.approx(RIGID * HANDED_DOWN["wrist"])
    for name in PELVIS:
        assert np.abs(np.delete(together[at[name]], at[name])).max() == 0.0
    # Most lies along X, where the camera looks.
    assert errors.axes[0] > 2.0 * errors.axes[1] == 2.0 * errors.axes[2]
    assert np.square(errors.axes).mean() == pytest.approx(1.0)


def about_vertical(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def test_cycles_average_over_headings(tmp_path: Path, random_weights: dict[str, np.ndarray]):
    write_networks(tmp_path, random_weights, NOWHERE)
    augmenter = MarkerAugmenter("cpu", OPEN, tmp_path)
    xyz = moving(20)
    answers = []
    for k in range(3):
        R = about_vertical(2 * np.pi * k / 3)
        answers.append(augmenter.augment(sequence(xyz @ R.T), HEIGHT, MASS).markers.xyz[:, 22:] @ R)
    result = augmenter.augment(sequence(xyz), HEIGHT, MASS, cycles=3).markers
    np.testing.assert_allclose(result.xyz[:, 22:], np.mean(answers, 0), atol=1e-5)
    spread = np.sqrt(np.var(answers, axis=0, ddof=1).mean(-1))
    assert np.median(spread) > 0.01
    of_neck = np.array([0.35 * 0.01 if name in PELVIS else 0.0 for name in NAMES[22:]])
    np.testing.assert_allclose(result.std[:, 22:], np.sqrt(0.01**2 + of_neck**2 + spread**2), atol=1e-5)
    assert np.abs(result.xyz[:, 22:] - answers[0]).max() > 0.01


@settings(max_examples=10, deadline=None)
@given(
    shift=st.tuples(*[st.floats(-20, 20)] * 3),
    turn=st.integers(0, 7),
    factor=st.sampled_from([0.8, 1.0, 1.25]),
)
def test_moving_and_turning_a_person_moves_and_turns_the_markers(
    networks_folder: Path, shift: tuple[float, ...], turn: int, factor: float
):
    """Turns by an eighth are exact with 8 cycles whatever the network; size is, as these networks ignore height and mass."""
    augmenter = MarkerAugmenter("cpu", OPEN, networks_folder)
    xyz = moving(10)
    R = about_vertical(turn * np.pi / 4)
    plain = augmenter.augment(sequence(xyz), HEIGHT, MASS, cycles=8).markers
    other = augmenter.augment(sequence(factor * xyz @ R.T + shift), factor * HEIGHT, MASS, cycles=8).markers
    np.testing.assert_allclose(other.xyz, factor * plain.xyz @ R.T + shift, atol=1e-4)


@pytest.fixture(scope="module")
def networks_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(7)
    weights = {part: 0.02 * random.normal(size=widths) for part, widths in WIDTHS.items()}
    for matrix in weights.values():
        matrix[-2:] = 0.0
    folder = tmp_path_factory.mktemp("networks")
    write_networks(folder, weights, NOWHERE)
    return folder


def started(
    result: MarkerSequence, given_: MarkerSequence, clock: float, name: str = "r_mknee_study"
) -> np.ndarray:
    """(T,) frames at 60 Hz since the network that adds `name` started, from how far its clock has carried the marker."""
    keypoint = BODY.outputs.get(name) or ARMS.outputs[name]
    return (result.of(name) - given_.of(keypoint))[:, 0] / (clock * HEIGHT)


@pytest.fixture
def clocked(tmp_path: Path) -> tuple[MarkerAugmenter, float]:
    """Puts markers on keypoints, and 1e-4 heights further along X in each frame."""
    write_networks(tmp_path, at_keypoints(), NOWHERE, clock=1e-4)
    return MarkerAugmenter("cpu", OPEN, tmp_path, still=0), 1e-4


@pytest.mark.parametrize("rate_hz", [24.0, 30.0, 60.0, 120.0])
def test_networks_see_60_frames_a_second(clocked: tuple[MarkerAugmenter, float], rate_hz: float):
    augmenter, clock = clocked
    given_ = sequence(np.repeat(standing()[None], 13, 0), rate_hz)
    result = augmenter.augment(given_, HEIGHT, MASS)
    np.testing.assert_allclose(
        started(result.markers, given_, clock), np.arange(13) * 60.0 / rate_hz, atol=2e-2
    )


def test_a_short_gap_is_bridged_and_a_long_one_starts_anew(clocked: tuple[MarkerAugmenter, float]):
    augmenter, clock = clocked
    xyz = moving(60)
    xyz[10:14, MARKERS.index("LHeel")] = np.nan  # 5 frames, 83 ms from one to the next
    xyz[30:45, MARKERS.index("RWrist")] = np.nan  # 16 frames, 267 ms
    given_ = sequence(xyz)
    result = augmenter.augment(given_, HEIGHT, MASS)
    body, arms = result.mask.T
    assert np.flatnonzero(~body).tolist() == list(range(10, 14))
    assert np.flatnonzero(~arms).tolist() == list(range(30, 45))
    since = started(result.markers, given_, clock)
    np.testing.assert_allclose(since[body], np.arange(60)[body], atol=2e-2)
    since = started(result.markers, given_, clock, "L_melbow_study")
    np.testing.assert_allclose(since[:30], np.arange(30), atol=2e-2)
    np.testing.assert_allclose(since[45:], np.arange(15), atol=2e-2)
    np.testing.assert_array_equal(np.isnan(of(result.markers, "body")).all((1, 2)), ~body)
    np.testing.assert_array_equal(np.isnan(result.markers.std[:, 22:][:, IS_ARM]).all(1), ~arms)
    assert "body in 56 of 60 frames, 4 lack keypoints" in result.reason


def test_a_marker_that_no_body_reaches_is_missing(follower: MarkerAugmenter):
    xyz = moving(30)
    xyz[7, MARKERS.index("LBigToe")] += (0.0, 5.0, 0.0)
    result = follower.augment(sequence(xyz), HEIGHT, MASS)
    assert np.flatnonzero(~result.mask[:, 0]).tolist() == [7]
    assert np.isnan(result.excess[7, 0])
    xyz[7, MARKERS.index("LBigToe")] = np.inf
    assert np.flatnonzero(~follower.augment(sequence(xyz), HEIGHT, MASS).mask[:, 0]).tolist() == [7]


def test_windows_cover_all_frames_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(augmentation, "WINDOW", 50)
    monkeypatch.setattr(augmentation, "WARM_UP", 20)
    for frames in (1, 69, 70, 71, 120, 121, 333):
        windows = augmentation._windows(frames)
        assert [i for one in windows for i in range(one.new, one.stop)] == list(range(frames))
        assert windows[0].start == 0
        assert all(one.new - one.start == 20 and one.stop - one.start <= 70 for one in windows[1:])


def test_windows_and_batches_change_nothing(follower: MarkerAugmenter, monkeypatch: pytest.MonkeyPatch):
    given_ = sequence(moving(700))
    whole = follower.augment(given_, HEIGHT, MASS, cycles=2)
    monkeypatch.setattr(augmentation, "WINDOW", 30)
    monkeypatch.setattr(augmentation, "WARM_UP", 10)
    monkeypatch.setattr(augmentation, "ROWS", 6)
    windowed = follower.augment(given_, HEIGHT, MASS, cycles=2)
    np.testing.assert_allclose(windowed.markers.xyz, whole.markers.xyz, atol=1e-5)


SECONDS = np.arange(8) * 0.1


@pytest.mark.parametrize(
    ("excess", "passes"),
    [
        ([0.0, 0.04, 0.0, -0.1, 0.0, 0.0, 0.0, 0.0], "11111111"),  # at the limit is within
        ([0.0, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], "10000111"),  # good since 0.2 s, for 0.25 s at 0.5 s
        (
            [0.05, 0.035, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            "00000111",
        ),  # 0.035 would pass an open gate, not a shut one
        ([0.0, 0.05, 0.0, 0.0, 0.031, 0.0, 0.0, 0.0], "10000000"),
        ([0.05, np.nan, 0.035, 0.0, 0.05, 0.0, np.nan, 0.0], "00110001"),  # nothing to judge opens it
        ([np.nan] * 8, "00000000"),
    ],
)
def test_the_gate_by_hand(excess: list[float], passes: str):
    passed = Gate(trip=0.04, release=0.03, hold=0.25).passes(SECONDS, np.array(excess))
    assert "".join(str(int(one)) for one in passed) == passes


def test_a_keypoint_beside_its_markers_trips_the_gate(tmp_path: Path):
    """Here knee markers follow the ankles, so a knee that is displaced leaves them behind."""
    knees = {
        f"{side}_{bone}_study": f"{keypoint}Ankle"
        for side, keypoint in (("r", "R"), ("L", "L"))
        for bone in ("knee", "mknee")
    }
    write_networks(tmp_path, at_keypoints(knees), NOWHERE)
    xyz = np.repeat(standing()[None], 90, 0)
    for side in "LR":
        xyz[:, MARKERS.index(f"{side}Knee")] = xyz[:, MARKERS.index(f"{side}Ankle")]
    sound = MarkerAugmenter("cpu", folder=tmp_path).augment(sequence(xyz), HEIGHT, MASS)
    assert sound.mask.all()
    usual = next(check.usual for check in CHECKS if check.keypoint == "RKnee")
    assert sound.residuals["RKnee"].usual_mm == pytest.approx(1e3 * usual * HEIGHT)
    assert sound.residuals["RKnee"].max_mm < 0.1

    xyz[20:30, MARKERS.index("RKnee")] += (0.2, 0.0, 0.0)
    given_ = sequence(xyz)
    result = MarkerAugmenter("cpu", folder=tmp_path).augment(given_, HEIGHT, MASS)
    np.testing.assert_allclose(result.excess[20:30, 0], 0.2 / HEIGHT - usual, atol=1e-5)
    assert result.residuals["RKnee"].max_mm == pytest.approx(200.0, abs=0.1)
    assert result.residuals["LKnee"].max_mm < 0.1
    body, arms = result.mask.T
    # a quarter of a second, 15 frames, after it is well again
    assert np.flatnonzero(~body).tolist() == list(range(20, 45))
    assert arms.all()
    assert result.used
    np.testing.assert_array_equal(result.markers.xyz[:, :22], given_.xyz)
    assert np.isnan(of(result.markers, "body")[20:45]).all()
    assert np.isfinite(of(result.markers, "arms")).all()
    assert result.reason == (
        "augmented: body in 65 of 90 frames, in 25 markers lie too far from keypoints "
        "(RKnee by 186 mm more than usual, 72 mm are allowed); arms in 90 of 90 frames"
    )


def test_above_the_gate_all_along_the_22_remain(tmp_path: Path):
    off = {part: np.full(len(zero), 0.1) for part, zero in NOWHERE.items()}
    write_networks(tmp_path, at_keypoints(), off)
    given_ = sequence(moving(20))
    result = MarkerAugmenter("cpu", folder=tmp_path).augment(given_, HEIGHT, MASS)
    assert not result.used
    assert result.markers is given_
    assert not result.mask.any()
    assert "body in 0 of 20 frames, in 20 markers lie too far from keypoints" in result.reason
    assert set(result.residuals) == {check.keypoint for check in CHECKS}
    assert result.residuals["LWrist"].median_mm == pytest.approx(100.0 * np.sqrt(3) * HEIGHT, rel=1e-3)


def test_no_frame_and_one_frame(follower: MarkerAugmenter):
    nothing = follower.augment(sequence(np.zeros((0, 22, 3))), HEIGHT, MASS)
    assert not nothing.used
    assert nothing.reason == "there are no frames"
    assert nothing.mask.shape == nothing.excess.shape == (0, 2)
    one = follower.augment(sequence(moving(1)), HEIGHT, MASS)
    assert one.mask.all()
    np.testing.assert_allclose(one.markers.of("r_calc_study"), one.markers.of("RHeel"), atol=1e-5)


def test_a_person_who_is_never_seen_keeps_the_22(follower: MarkerAugmenter):
    result = follower.augment(sequence(np.full((5, 22, 3), np.nan)), HEIGHT, MASS)
    assert not result.used
    assert result.residuals == {}
    assert (
        result.reason
        == "augmented: body in 0 of 5 frames, 5 lack keypoints; arms in 0 of 5 frames, 5 lack keypoints"
    )


def test_only_arms_are_seen(follower: MarkerAugmenter):
    xyz = moving(30)
    xyz[:, LEGS] = np.nan
    result = follower.augment(sequence(xyz), HEIGHT, MASS)
    assert result.used
    assert result.mask.any(0).tolist() == [False, True]
    assert result.markers.names == NAMES


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0.3, 70.0, 1), "height must lie between 1 and 2.5 m, got 0.3"),
        ((30.0, 70.0, 1), "height must lie between 1 and 2.5 m, got 30"),
        ((float("nan"), 70.0, 1), "height must lie between 1 and 2.5 m, got nan"),
        ((1.7, 9.9, 1), "mass must lie between 10 and 300 kg, got 9.9"),
        ((1.7, 1700.0, 1), "mass must lie between 10 and 300 kg, got 1700"),
        ((1.7, 70.0, 0), "cycles must lie between 1 and 64 headings, got 0"),
        ((1.7, 70.0, 65), "cycles must lie between 1 and 64 headings, got 65"),
    ],
)
def test_sizes_that_no_person_has_are_refused(
    follower: MarkerAugmenter, sizes: tuple[float, float, int], message: str
):
    with pytest.raises(ValueError, match=message):
        follower.augment(sequence(moving(3)), *sizes)


@pytest.mark.parametrize("sizes", [(1.0, 10.0, 1), (2.5, 300.0, 64)])
def test_sizes_at_the_limits_are_taken(follower: MarkerAugmenter, sizes: tuple[float, float, int]):
    assert follower.augment(sequence(moving(3)), *sizes).mask.shape == (3, 2)


def test_markers_that_are_not_there_are_named(follower: MarkerAugmenter):
    given_ = sequence(moving(3))
    keep = [i for i, name in enumerate(MARKERS) if name not in ("LHeel", "Hip")]
    less = MarkerSequence(
        tuple(MARKERS[i] for i in keep), given_.stamps, given_.xyz[:, keep], given_.std[:, keep]
    )
    with pytest.raises(ValueError, match="all 22 markers of Pose2Sim, Hip, LHeel are not there"):
        follower.augment(less, HEIGHT, MASS)


def test_the_order_of_the_markers_that_come_in_does_not_matter(follower: MarkerAugmenter):
    given_ = sequence(moving(5))
    order = np.random.default_rng(2).permutation(22)
    names = tuple(MARKERS[i] for i in order)
    shuffled = dataclasses.replace(given_, names=names, xyz=given_.xyz[:, order], std=given_.std[:, order])
    plain, other = (follower.augment(one, HEIGHT, MASS).markers for one in (given_, shuffled))
    assert other.names == NAMES
    np.testing.assert_array_equal(other.xyz, plain.xyz)


def test_wrong_networks_and_devices_are_told(tmp_path: Path):
    write_networks(tmp_path, at_keypoints(), NOWHERE)
    np.save(tmp_path / BODY.folder / "mean.npy", np.zeros(5))
    with pytest.raises(ValueError, match=r"has widths \[47, 105\] and normalisation \(5,\)"):
        MarkerAugmenter("cpu", folder=tmp_path)
    with pytest.raises(FileNotFoundError):
        MarkerAugmenter("cpu", folder=tmp_path / "elsewhere")


def test_networks_that_were_not_fetched_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POSE_CACHE_DIR", str(tmp_path))
    with pytest.raises(
        assets.MissingAsset, match="run `pose fetch MarkerAugmenter/LSTM/v0.3_lower/model.onnx`"
    ):
        MarkerAugmenter("cpu")
    place = tmp_path / "MarkerAugmenter/LSTM/v0.3_lower"
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(b"other")
    with pytest.raises(assets.CorruptAsset, match="unexpected SHA-256"):
        MarkerAugmenter("cpu")


def test_gates_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match=r"got release 0\.05, trip 0\.04"):
        Gate(release=0.05)
    with pytest.raises(ValueError, match="hold must be 0 s or more, got -1"):
        Gate(hold=-1.0)


@pytest.fixture(scope="module")
def enhancer() -> MarkerAugmenter:
    """The networks of OpenCap."""
    absent = [name for name in assets.GROUPS["marker_augmenter"] if not assets.is_intact(name)]
    if absent:
        pytest.skip(
            f"NOT TESTED: the real networks; run `pose fetch marker_augmenter` ({', '.join(absent)} absent)"
        )
    return MarkerAugmenter("cpu")


def test_the_real_networks_on_somebody_who_sways(enhancer: MarkerAugmenter):
    """Anatomy: knees between their markers, the front of the pelvis before its back, outer markers farther out."""
    result = enhancer.augment(sequence(moving(240)), HEIGHT, MASS)
    assert result.mask.all(), result.reason
    markers = result.markers
    middle = {
        name: markers.of(f"{name}_study").mean(0) for name in ("r_knee", "r_mknee", "L_knee", "L_mknee")
    }
    assert middle["r_knee"][2] - middle["r_mknee"][2] == pytest.approx(0.10, abs=0.03)
    assert middle["L_mknee"][2] - middle["L_knee"][2] == pytest.approx(0.10, abs=0.03)
    front = markers.of("r.ASIS_study") + markers.of("L.ASIS_study")
    back = markers.of("r.PSIS_study") + markers.of("L.PSIS_study")
    assert (front - back)[:, 0].min() / 2 > 0.10
    assert (markers.of("r.ASIS_study") - markers.of("L.ASIS_study"))[:, 2].mean() == pytest.approx(
        0.25, abs=0.05
    )
    assert result.residuals["RKnee"].median_mm < 30.0
    assert result.residuals["LWrist"].median_mm < 40.0


def test_the_real_networks_forget_within_the_warm_up(
    enhancer: MarkerAugmenter, monkeypatch: pytest.MonkeyPatch
):
    given_ = sequence(moving(700))
    whole = enhancer.augment(given_, HEIGHT, MASS).markers
    monkeypatch.setattr(augmentation, "WINDOW", 100)
    windowed = enhancer.augment(given_, HEIGHT, MASS).markers
    np.testing.assert_allclose(windowed.xyz, whole.xyz, atol=1e-5)
    monkeypatch.setattr(augmentation, "WARM_UP", 5)
    assert np.abs(enhancer.augment(given_, HEIGHT, MASS).markers.xyz - whole.xyz).max() > 1e-3


def test_networks_see_the_first_pose_before_it_moves(tmp_path: Path):
    write_networks(tmp_path, at_keypoints(), NOWHERE, clock=1e-4)
    given_ = sequence(moving(20))
    result = MarkerAugmenter("cpu", OPEN, tmp_path).augment(given_, HEIGHT, MASS)
    np.testing.assert_allclose(
        started(result.markers, given_, 1e-4), augmentation.STILL + np.arange(20), atol=2e-2
    )


def test_the_real_networks_begin_as_if_they_had_seen_the_frames_before(enhancer: MarkerAugmenter):
    """Somebody who bows slowly; cold, markers of the first frame are 16 mm off."""
    bend = 0.2 * np.sin(np.arange(300) / 60.0)
    xyz = np.repeat(standing()[None], 300, 0)
    xyz[..., 0] += bend[:, None] * (xyz[..., 1] - xyz[..., 1].min())
    whole = enhancer.augment(sequence(xyz), HEIGHT, MASS).markers.xyz[150:, 22:]
    errors = []
    for still in (0, augmentation.STILL):
        late = MarkerAugmenter("cpu", still=still).augment(sequence(xyz[150:]), HEIGHT, MASS).markers
        errors.append(np.linalg.norm(late.xyz[:, 22:] - whole, axis=-1).mean(1))
    assert errors[0][0] > 0.01
    assert errors[1][0] < 0.003


def test_the_real_networks_answer_as_pose2sim_has_them_answer(enhancer: MarkerAugmenter):
    ort = pytest.importorskip("onnxruntime")
    given_ = sequence(moving(90))
    result = MarkerAugmenter("cpu", still=0).augment(given_, HEIGHT, MASS).markers
    for network in NETWORKS:
        model, mean, std = (
            assets.path(f"MarkerAugmenter/LSTM/{network.folder}/{file}")
            for file in ("model.onnx", "mean.npy", "std.npy")
        )
        hip = given_.of("Hip")
        columns = [(given_.of(name) - hip) / HEIGHT for name in network.inputs]
        features = np.concatenate([*columns, np.full((90, 1), HEIGHT), np.full((90, 1), MASS)], 1)
        shown = ((features - np.load(mean)) / np.load(std))[None].astype(np.float32)
        session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        (answer,) = session.run(["output_0"], {"inputs": shown})
        expected = answer[0].reshape(90, -1, 3) * HEIGHT + hip[:, None]
        np.testing.assert_allclose(of(result, network.part), expected, atol=1e-5)


def test_the_real_networks_wherever_the_person_stands_and_whichever_way(enhancer: MarkerAugmenter):
    xyz = moving(120)
    plain = enhancer.augment(sequence(xyz), HEIGHT, MASS, cycles=8).markers
    R = about_vertical(np.pi / 4)
    turned = enhancer.augment(sequence(xyz @ R.T + (30.0, 1.0, -7.0)), HEIGHT, MASS, cycles=8).markers
    np.testing.assert_allclose(turned.xyz, plain.xyz @ R.T + (30.0, 1.0, -7.0), atol=2e-4)
    # between the headings it is asked for, averaging leaves little of what one heading differs by
    R = about_vertical(0.3)
    differences = []
    for cycles in (1, 8):
        one, other = (
            enhancer.augment(sequence(place), HEIGHT, MASS, cycles).markers.xyz for place in (xyz, xyz @ R.T)
        )
        differences.append(np.linalg.norm(other @ R - one, axis=-1)[:, 22:].mean())
    assert differences[0] > 1e-3 > differences[1]


def test_the_real_networks_scale_with_the_person(enhancer: MarkerAugmenter):
    """Height is an input too, so nearly."""
    xyz = moving(120)
    small, large = (
        enhancer.augment(sequence(factor * xyz), factor * HEIGHT, MASS, cycles=4).markers.xyz[:, 22:] / factor
        for factor in (0.95, 1.05)
    )
    assert np.linalg.norm(small - large, axis=-1).mean() < 0.02
