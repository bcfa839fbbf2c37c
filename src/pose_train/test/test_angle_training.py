"""Training of angle refinement: what a network sees is what runs live, runs resume, and a file runs in the refiner."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from pose_biomechanics import angle_encoding
from pose_biomechanics.angle_refiner import AngleRefiner, corrected
from pose_biomechanics.angles import angles_of
from pose_biomechanics.isb import GROUPS, NAMES
from pose_core.angles import AngleSequence
from pose_core.config import build
from pose_train.angle import data as angle_data
from pose_train.angle.data import MadeAngles
from pose_train.angle.family import FAMILY
from pose_train.angle.loss import AngleLoss, exponential
from pose_train.angle.network import AngleNetwork
from pose_train.angle.networks import NETWORKS
from pose_train.angle.recipes import RECIPES, AngleRecipe
from pose_train.angle.task import AngleTask, batch_of, judge
from pose_train.data import stored
from pose_train.data.stored import Made
from pose_train.studies import angle_refiner as angle_refiner_evaluate
from pose_train.studies.angle_refiner import LIFTED, SIZES, AngleRefinerStudy, AngleScores, People, Settings
from pose_train.studies.document import write_document
from pose_train.trunk import checkpoint, export
from pose_train.trunk.runs import Job, train
from pose_train.trunk.training import Batches

pytestmark = pytest.mark.usefixtures("cache")

NAME = "angle_transformer"
TINY = AngleRecipe(
    steps=4,
    frames_per_step=48,
    warm_up=2,
    validate_every=2,
    clip_lengths=(6, 12),
    length_shares=(0.5, 0.5),
    final_shares=(0.5, 0.5),
    config=dataclasses.asdict(NETWORKS.from_file(NAME).Config.small()),
)


@pytest.fixture(scope="module")
def source(made: Made) -> AngleTask:
    return AngleTask(stored.prepare(made), TINY, 0)


def network(seed: int = 0) -> AngleNetwork:
    torch.manual_seed(seed)
    return NETWORKS.from_file(NAME)(build(NETWORKS.from_file(NAME).Config, dict(TINY.config)))


def test_batches_are_made_from_their_number_alone(source: AngleTask):
    every, later = list(Batches(source, 0)), list(Batches(source, 3))
    torch.testing.assert_close(every[3].joints, later[0].joints, rtol=0, atol=0)
    assert {batch.joints.shape[1] for batch in every} <= {6, 12}
    assert all(torch.isfinite(batch.joints).all() for batch in every)


def test_clips_have_the_angles_that_a_recording_has(source: AngleTask):
    sequences = stored.read(source.file)
    clip = sequences.lifted(np.array([0, 1]), np.tile(np.arange(16), (2, 1)))
    clip.xyz[0, 3:5] = np.nan  # nobody
    clip.xyz[1, :, 27:33] = np.nan  # no feet
    found = angle_data.made(clip, sequences.skeleton)
    for row in range(2):
        stamps = 10**9 * (1 + np.arange(16))
        alone = angles_of(
            angle_data.sequence(
                1.7 * clip.xyz[row].astype(float), 1.7 * clip.std[row].astype(float), stamps, "mediapipe33"
            )
        )
        np.testing.assert_array_equal(found.angle[row], alone.angle)
        np.testing.assert_array_equal(found.std[row], alone.std)
        np.testing.assert_array_equal(found.flags[row], alone.flags)
    assert np.isnan(found.angle[0, 3:5]).all()
    ankle = angle_encoding.ROWS[GROUPS.index("left_ankle")]
    assert np.isnan(found.angle[1][:, ankle]).all()
    assert np.isfinite(found.truth[1][:, ankle[0]]).all()


def angles(**degrees: tuple[float, float]) -> MadeAngles:
    """One frame: of each angle, what is given and what is true, in degrees; all else is 0 and sure to 20 degrees."""
    given, truth = np.zeros((2, 1, 1, len(NAMES)))
    for name, (one, other) in degrees.items():
        given[..., NAMES.index(name)], truth[..., NAMES.index(name)] = np.radians((one, other))
    std, flags = np.full(given.shape, np.radians(20.0)), np.zeros(given.shape, np.uint8)
    flags[~np.isfinite(given)] = 2
    truth_flags = np.where(np.isfinite(truth), np.uint8(0), np.uint8(2))
    return MadeAngles(given, std, flags, truth, std, truth_flags, np.full((1, 1), 1 / 30))


def test_outliers_are_stated_last_for_some_frames_and_leave_all_else_alone():
    one = angles(right_hip_flexion=(30.0, 42.0), right_elbow_pronation=(np.nan, np.nan))
    many = MadeAngles(
        *(
            np.tile(getattr(one, field.name), (40, 30) + (1,) * (field.name != "step"))
            for field in dataclasses.fields(one)
        )
    )
    found = angle_data.outlying(many, 0.25, np.random.default_rng(0))
    off = found.angle != many.angle
    rows = angle_encoding.ROWS
    assert not off[..., 36:].any()
    known = np.isfinite(many.angle)
    hit = (off & known)[..., rows].any((1, 3))
    assert hit.mean() == pytest.approx(0.25, abs=0.05)
    lasting = (off & known)[..., rows].any(-1).sum(1)[hit]
    assert (lasting.min(), lasting.max()) == (1, 8)
    assert (found.std >= many.std).all()
    np.testing.assert_array_equal(found.std[~off], many.std[~off])
    np.testing.assert_array_equal(np.isnan(found.angle), np.isnan(many.angle))
    # The errors are as large as they are said to be.
    error, said = (found.angle - many.angle)[off & known], np.sqrt(found.std**2 - many.std**2)[off & known]
    assert np.sqrt(np.mean((error / said) ** 2)) == pytest.approx(1.0, abs=0.25)
    np.testing.assert_array_equal(angle_data.outlying(many, 0.0, np.random.default_rng(0)).angle, many.angle)


def turn(**degrees: float) -> torch.Tensor:
    """A turn of each group about its own Z."""
    found = torch.zeros(1, 1, 12, 3)
    for group, value in degrees.items():
        found[..., GROUPS.index(group), 2] = np.radians(value)
    return found


def test_the_loss_is_the_mean_angle_between_groups_and_truth():
    batch = batch_of(angles(right_hip_flexion=(30.0, 42.0), left_knee_flexion=(50.0, 50.0)))
    loss = AngleLoss(TINY)
    assert float(loss({"turn": turn()}, batch)[0]) == pytest.approx(11.5 / 12, abs=0.02)
    assert float(loss({"turn": turn(right_hip=12.0)}, batch)[0]) == pytest.approx(0.0, abs=1e-3)
    # A hip that is lifted by 12 degrees more than it should, and a knee that is bent by 12 too many.
    wrong = float(loss({"turn": turn(right_hip=24.0, left_knee=-12.0)}, batch)[0])
    assert wrong == pytest.approx(2 * 11.5 / 12, abs=0.04)


def test_what_the_truth_does_not_determine_should_stay_and_what_was_not_seen_counts_less():
    undetermined = batch_of(angles(right_elbow_pronation=(70.0, np.nan)))
    assert float(AngleLoss(TINY)({"turn": turn()}, undetermined)[0]) == pytest.approx(0.0, abs=1e-6)
    unseen = angles(
        right_knee_flexion=(np.nan, 12.0),
        right_knee_abduction=(np.nan, 0.0),
        right_knee_internal_rotation=(np.nan, 0.0),
    )
    assert float(AngleLoss(TINY)({"turn": turn()}, batch_of(unseen))[0]) == pytest.approx(
        0.2 * 11.5 / 11.2, abs=0.01
    )


def test_the_exponential_is_a_rotation_and_smooth_at_zero():
    vectors = np.random.default_rng(0).normal(0.0, 1.0, (20, 3))
    found = exponential(torch.from_numpy(vectors)).numpy()
    np.testing.assert_allclose(found, Rotation.from_rotvec(vectors).as_matrix(), atol=1e-9)
    zero = torch.zeros(3, requires_grad=True)
    exponential(zero)[1, 0].backward()
    torch.testing.assert_close(zero.grad, torch.tensor([0.0, 0.0, 1.0]))


class Told(torch.nn.Module):
    """Answers with one turn, whatever it sees."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = torch.nn.Parameter(answer)

    def forward(self, groups: torch.Tensor, context: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"turn": self.answer.expand(*groups.shape[:3], 3)}


def test_judging_a_known_answer():
    batch = batch_of(angles(right_hip_flexion=(30.0, 42.0)))
    found = judge(Told(turn(right_hip=7.0)), batch)
    assert found["input_degrees"] == pytest.approx(12.0 / 42, rel=1e-4)
    assert found["degrees"] == pytest.approx(5.0 / 42, rel=1e-4)
    assert found["correction_degrees"] == pytest.approx(7.0 / 42, rel=1e-4)
    assert found["harm_degrees"] == found["sure_harm_degrees"] == pytest.approx(7.0 / 42, rel=1e-4)
    # No farther than the deviations, of 20 degrees as given and of 3 of the truth.
    sure = dataclasses.replace(
        angles(right_hip_flexion=(30.0, 42.0)), truth_std=np.full((1, 1, len(NAMES)), np.radians(3.0))
    )
    found = judge(Told(turn(right_hip=50.0)), batch_of(sure))
    assert found["correction_degrees"] == found["harm_degrees"] == pytest.approx(20.0 / 42, rel=1e-4)
    assert found["sure_harm_degrees"] == pytest.approx(3.0 / 42, rel=1e-4)


def test_a_trained_network_runs_from_its_file(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(RECIPES, NAME, dataclasses.replace(TINY, steps=2))
    said: list[str] = []
    job = Job(NAME, made, tmp_path, device="cpu")
    trained = train(FAMILY, job, lambda step, measured: None, said.append, lambda done, total: None)
    assert trained.card.metrics["input_degrees"] > 1.0
    assert any("parameters" in sentence for sentence in said)
    card, net = checkpoint.load_of(FAMILY, trained.checkpoint)
    assert card == trained.card
    with torch.no_grad():
        net.last[-1].weight += 0.3
    file = tmp_path / "moved.onnx"
    export.to_onnx(net, card, file)
    clip = stored.read(made.cached_file()).validation()
    one = angle_data.made(clip, "mediapipe33")
    batch = batch_of(one)
    with torch.no_grad():
        expected = net(batch.joints, batch.context)["turn"][0].numpy()
    refined, done = AngleRefiner(file).refine(angle_data.sequences(one)[0])
    whole = corrected(one.angle[0], one.std[0], expected.astype(float))
    np.testing.assert_allclose(refined.angle, whole, atol=2e-3)
    assert done.mean_deg > 0.01


def test_scores_of_a_known_error():
    one = angles(right_hip_flexion=(30.0, 42.0), left_elbow_flexion=(20.0, 14.0))

    class Refiner:
        def refine(self, sequence: AngleSequence) -> tuple[AngleSequence, None]:
            angle = sequence.angle.copy()
            angle[:, NAMES.index("right_hip_flexion")] += np.radians(20.0)
            angle[:, NAMES.index("left_elbow_flexion")] -= np.radians(2.0)
            return dataclasses.replace(sequence, angle=angle), None

    found = angle_refiner_evaluate.score(People([one, one], 40.0), Refiner())
    assert found.joints_mm == 40.0
    assert (found.before["right_hip"], found.after["right_hip"]) == pytest.approx((4.0, 8.0 / 3.0))
    assert (found.before["left_elbow"], found.after["left_elbow"]) == pytest.approx((2.0, 4.0 / 3.0))
    assert found.before["pelvis"] == found.after["pelvis"] == 0.0
    assert found.before["all"] == pytest.approx(18.0 / 42)
    assert found.correction == pytest.approx(22.0 / 42)
    assert found.at_limit == pytest.approx(1.0 / 42)
    assert found.bettered == 1.0
    assert np.isnan(found.acceleration).all()


def test_acceleration_is_the_second_difference_of_the_error():
    one = angles(right_hip_flexion=(30.0, 42.0))
    wide = [np.repeat(getattr(one, field.name), 4, 1) for field in dataclasses.fields(one)]
    four = MadeAngles(*wide)
    four.angle[0, 1, NAMES.index("right_hip_flexion")] += np.radians(6.0)

    class Nothing:
        def refine(self, sequence: AngleSequence) -> tuple[AngleSequence, None]:
            return sequence, None

    found = angle_refiner_evaluate.score(People([four], 0.0), Nothing())
    # Of two second differences of the hip one is -12 and the other 6, and 41 angles have none.
    assert found.acceleration == pytest.approx((9.0 / 42, 9.0 / 42))
    assert np.isnan(found.bettered)


def test_the_document_gets_its_tables(tmp_path: Path):
    zero = dict.fromkeys((*GROUPS, "all"), 0.0)
    scores = AngleScores(40.0, {**zero, "all": 8.0}, {**zero, "all": 6.0}, 3.0, 0.25, 0.75, (5.0, 4.0), 0.61)
    clean = AngleScores(0.0, zero, {**zero, "all": 0.4}, 0.4, 0.1, 0.0, (0.0, 0.01))
    scenes = {**dict.fromkeys((*SIZES, LIFTED), scores), "true, sure": clean}
    settings = Settings.__new__(Settings)
    for name, value in {"clips": 3, "frames": 50}.items():
        object.__setattr__(settings, name, value)
    parts = angle_refiner_evaluate.report(scenes, settings, "2 cores")
    assert "3 clips of 50 frames at 30 per second; 0.61 ms" in parts["summary"]
    assert "| noise | 40.0 | 8.00 | 6.00 | 25.0 % | 3.00 | 25 % | 75 % | 5.00 | 4.00 |" in parts["summary"]
    assert "| true, sure | 0.0 | 0.00 | 0.40 | - | 0.40 | 10 % | - | 0.00 | 0.01 |" in parts["summary"]
    assert "| `all` | 8.00 | 6.00 | 8.00 | 6.00 | 8.00 | 6.00 | 8.00 | 6.00 |" in parts["groups"]
    assert "| `all` | 0.40 |" in parts["others"]
    assert parts["groups"].count("\n| `") == 13
    document = tmp_path / "document.md"
    document.write_text("".join(f"<!-- begin {name} -->\n<!-- end {name} -->\n" for name in parts))
    write_document(document, parts)
    assert "| noise | 40.0 |" in document.read_text()


def test_results_are_kept_and_told_with_their_time(data: Path, tmp_path: Path):
    study = AngleRefinerStudy(Settings(data, clips=1, frames=8, real=False))
    document = tmp_path / "document.md"
    document.write_text(
        "".join(f"<!-- begin {name} -->\n<!-- end {name} -->\n" for name in ("summary", "groups", "others"))
    )
    said: list[str] = []
    first = study.carry_out(tmp_path / "out", document, said.append)
    text = document.read_text()
    assert set(first) == {"ms", *study.scenes.names}
    assert first["ms"] == first[LIFTED]["ms"] > 0.0
    assert f"{first['ms']:.2f} ms per person and frame" in text
    again = study.carry_out(tmp_path / "out", document, said.append)
    assert again == first
    assert document.read_text() == text
    assert sum(sentence.endswith("measured before") for sentence in said) == len(study.scenes.names)


def test_scenes_are_of_test_people_and_of_the_sizes_that_are_told(data: Path):
    settings = Settings(data, clips=2, frames=8)
    scenes = angle_refiner_evaluate.Scenes(settings)
    errors, given = {}, {}
    for name in scenes.names:
        people = scenes.people(name)
        (one,) = people.made
        assert one.angle.shape == (2, 8, len(NAMES))
        errors[name], given[name] = people.joints_mm, one
    assert errors["true, sure"] == errors["true, as unsure"] == 0.0
    assert errors["lifted"] > 1.0
    for name in ("true, sure", "true, as unsure"):
        np.testing.assert_array_equal(given[name].angle, given["lifted"].truth)
    stated = {name: np.nanmean(one.std) for name, one in given.items()}
    assert stated["true, sure"] < 0.2 * stated["true, as unsure"]
    assert 0.0 < errors["half noise"] < errors["noise"] < errors["twice noise"]
    with pytest.raises(ValueError, match="frames must be at least 4, got 3"):
        Settings(data, frames=3)
    with pytest.raises(ValueError, match="there is no file .*; say with --data"):
        Settings(data / "nowhere")
