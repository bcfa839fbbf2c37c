"""Evaluation on small clips: networks whose errors are known, files that do not fit, runs that were interrupted."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lift3d_node.learned.model_card import ModelCard
from pose_core.skeleton import SKELETONS
from pose_train.lifter import tracks
from pose_train.lifter.family import FAMILY
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.tracks import Track
from pose_train.studies import document as writing
from pose_train.studies import real_video
from pose_train.studies.lifters import figures, report, running
from pose_train.studies.lifters.candidates import Candidate, candidates
from pose_train.studies.lifters.figures import BASELINES
from pose_train.studies.lifters.scenes import CONDITIONS, Scenes, Settings
from pose_train.studies.lifters.study import ALL, LifterStudy
from pose_train.studies.scores import Cost, Result, Scores, score
from pose_train.studies.study import machine, plain
from pose_train.trunk import checkpoint, export
from pose_train.trunk.batch import Batch
from pose_train.trunk.network import parameters
from pose_train.trunk.training import whole

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def settings(data: Path) -> Settings:
    return Settings(data, clips=6, frames=40, batch=4, timings=3, real=False)


@pytest.fixture(scope="module")
def held_out(settings: Settings) -> Scenes:
    return Scenes(settings)


def make(name: str, seed: int = 0) -> tuple[ModelCard, LiftingNetwork]:
    torch.manual_seed(seed)
    kind = FAMILY.find(name)
    made = kind(kind.Config.small()).eval()
    gives_std = "log_std" in made.step(*nothing(made), made.initial(1))[0]
    return FAMILY.describe(made, std=() if gives_std else (0.05,)), made


def nothing(made: LiftingNetwork) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = ModelCard.inputs_of(made.skeleton_in, dataclasses.asdict(made.config))
    return torch.zeros(1, *inputs["joints"]), torch.zeros(1, *inputs["context"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network as checkpoint and exported, and with one that is a checkpoint alone."""
    folder = tmp_path_factory.mktemp("networks")
    card, made = make("single_frame_mlp")
    checkpoint.save(folder / "single_frame_mlp.pt", checkpoint.Checkpoint(card, made.state_dict()))
    export.to_onnx(made, card, folder / "single_frame_mlp.onnx")
    card, made = make("streaming_tcn")
    checkpoint.save(folder / "streaming_tcn.pt", checkpoint.Checkpoint(card, made.state_dict()))
    return folder


def scored(card: ModelCard, outputs: dict[str, np.ndarray], batch: Batch) -> Scores:
    return score(tracks.tracks(card, outputs, batch), SKELETONS.get(card.skeleton_out))


def test_the_test_is_the_same_each_time_and_under_each_condition(
    settings: Settings, held_out: Scenes
) -> None:
    again = Scenes(settings).clips("noise")
    np.testing.assert_array_equal(held_out.clips("noise").xy, again.xy)
    for condition in CONDITIONS:
        clips = held_out.clips(condition)
        np.testing.assert_array_equal(clips.height, again.height)
        if condition != "tilted":
            np.testing.assert_array_equal(clips.clean_xy, again.clean_xy)
            np.testing.assert_array_equal(clips.joints["mediapipe33"], again.joints["mediapipe33"])
    turned = np.einsum("nti,nti->nt", held_out.clips("tilted").up, again.up)
    assert np.degrees(np.arccos(turned)).max() > 15.0
    clean, masked = held_out.clips("clean"), held_out.clips("masked")
    np.testing.assert_array_equal(clean.xy, clean.clean_xy)
    missing = np.isnan(masked.xy).any(-1).all(1).mean()
    assert 0.15 < missing < 0.5


@pytest.mark.parametrize("skeleton", ["mediapipe33", "h36m17", "mpi_inf28", "coco17"])
def test_outputs_that_are_the_truth_have_no_error(held_out: Scenes, skeleton: str) -> None:
    card, _ = make("single_frame_mlp")
    card = dataclasses.replace(card, skeleton_in="mediapipe33", skeleton_out=skeleton)
    batch = held_out.batch("noise", "mediapipe33", skeleton)
    truth = batch.target["xyz"].numpy()
    outputs = {"xyz": truth, "log_std": np.full((*truth.shape[:-1], 2), -3.0, np.float32)}
    found = scored(card, outputs, batch)
    assert found.mpjpe_mm == pytest.approx(0.0, abs=1e-3)
    assert found.limb_mean_deg == pytest.approx(0.0, abs=1e-3)
    assert found.z_sign == 1.0
    assert found.coverage == 1.0
    mirrored = scored(card, {"xyz": truth * np.float32([1, 1, -1]), "log_std": outputs["log_std"]}, batch)
    assert mirrored.z_sign == 0.0


def test_errors_are_metric_by_the_persons_height(held_out: Scenes) -> None:
    card, _ = make("single_frame_mlp")
    batch = held_out.batch("noise", "mediapipe33", "mediapipe33")
    wrong = batch.target["xyz"].numpy().copy()
    wrong[:, :, 0, 0] += 0.01 * 33.0  # heights, of one joint in 33
    outputs = {"xyz": wrong, "log_std": np.full((*wrong.shape[:-1], 2), -3.0, np.float32)}
    seen = batch.known.numpy().sum(1)
    mean_height = float(np.average(batch.height.numpy(), weights=seen))
    assert scored(card, outputs, batch).mpjpe_mm == pytest.approx(10.0 * mean_height, rel=1e-4)


def test_outputs_that_come_late_are_put_beside_their_own_frames(held_out: Scenes) -> None:
    card, _ = make("single_frame_mlp")
    batch = held_out.batch("noise", "mediapipe33", "mediapipe33")
    truth = batch.target["xyz"].numpy()
    late = {"xyz": np.roll(truth, 3, 1), "log_std": np.full((*truth.shape[:-1], 2), -3.0, np.float32)}
    ahead = dataclasses.replace(card, look_ahead=3)
    assert scored(ahead, late, batch).mpjpe_mm == pytest.approx(0.0, abs=1e-3)
    assert scored(card, late, batch).mpjpe_mm > 1.0
    assert len(tracks.tracks(ahead, late, batch)[0].step) == 37


def test_frames_in_which_nothing_is_seen_do_not_count(held_out: Scenes) -> None:
    card, _ = make("single_frame_mlp")
    batch = held_out.batch("noise", "mediapipe33", "mediapipe33")
    known = torch.ones_like(batch.known)
    known[:, 10:20] = False
    wrong = batch.target["xyz"].numpy().copy()
    wrong[:, 10:20] += np.linspace(0.0, 1.0, 33, dtype=np.float32)[:, None]
    outputs = {"xyz": wrong, "log_std": np.full((*wrong.shape[:-1], 2), -3.0, np.float32)}
    found = scored(card, outputs, dataclasses.replace(batch, known=known))
    assert found.mpjpe_mm == pytest.approx(0.0, abs=1e-3)


def test_limbs_alone_become_joints_on_the_rays_of_the_keypoints(held_out: Scenes) -> None:
    card, _ = make("pof_transformer")
    batch = held_out.batch("clean", card.skeleton_in, card.skeleton_out)
    skeleton = SKELETONS.get(card.skeleton_out)
    from lift3d_node.learned.limbs import directions

    given = directions(batch.target["xyz"].numpy(), skeleton).astype(np.float32)
    found = scored(card, {"limbs": given}, batch)
    assert found.limb_mean_deg == pytest.approx(0.0, abs=0.01)
    assert found.z_sign == 1.0
    # What is left are the lengths of limbs, which are those of the average person.
    assert found.mpjpe_body_mm < 80.0
    assert found.found == pytest.approx(12 / 17, abs=0.01)


def test_deviations_across_and_along_the_view(held_out: Scenes) -> None:
    card, _ = make("single_frame_mlp")
    factors = np.linspace(1.0, 2.0, 33)
    card = dataclasses.replace(card, temperature=tuple(factors.tolist()))
    outputs = {"log_std": np.broadcast_to(np.log([0.01, 0.03]), (2, 5, 33, 2))}
    std = tracks.standard_deviations(card, outputs)
    assert std is not None
    np.testing.assert_allclose(std[1, 4], factors[:, None] * [0.01, 0.01, 0.03])
    measured, _ = make("pof_transformer")
    std = tracks.standard_deviations(measured, {})
    assert std is not None
    np.testing.assert_allclose(np.broadcast_to(std, (17, 3)), 0.05)


def test_calibration_makes_the_stated_interval_honest(data: Path) -> None:
    batch = Scenes(Settings(data, clips=20, frames=60)).batch("noise", "mediapipe33", "mediapipe33")
    card, _ = make("single_frame_mlp")
    truth = batch.target["xyz"].double().numpy()
    random = np.random.default_rng(0)
    hips = SKELETONS.get("mediapipe33").indices("left_hip", "right_hip")
    scale = np.full(33, 0.02)
    scale[hips] = 0.0
    xyz = truth + scale[:, None] * random.standard_normal(truth.shape)
    outputs = {"xyz": xyz, "log_std": np.full((*truth.shape[:-1], 2), np.log(0.01))}
    rest = [i for i in range(33) if i not in hips]
    fitted = tracks.calibrated(card, outputs, batch)
    np.testing.assert_allclose(np.array(fitted.temperature)[rest], 2.0, rtol=0.1)
    before, after = scored(card, outputs, batch), scored(fitted, outputs, batch)
    assert before.coverage < 0.7
    assert after.coverage == pytest.approx(0.9, abs=0.02)
    plain = dataclasses.replace(card, outputs=("xyz",), std=(1.0,))
    stated = tracks.calibrated(plain, {"xyz": xyz}, batch)
    np.testing.assert_allclose(np.array(stated.std)[rest], 0.02, rtol=0.1)
    np.testing.assert_allclose(np.array(stated.std)[hips], 0.02, rtol=0.1)


@pytest.mark.parametrize("name", ["streaming_tcn", "lstm_posenet"])
def test_frame_by_frame_through_the_exported_file_is_the_same(
    held_out: Scenes, tmp_path: Path, name: str
) -> None:
    from lift3d_node.learned import backends

    card, made = make(name)
    export.to_onnx(made, card, tmp_path / "a.onnx", half=False)
    batch = held_out.batch("noise", card.skeleton_in, card.skeleton_out, card.config)
    trained = whole(made, batch)
    exported = figures.stream(backends.OnnxSession(tmp_path / "a.onnx", "cpu"), batch)
    assert set(exported) == set(card.outputs)
    assert figures.export_gap(trained, exported) < 1e-3
    moved = {**exported, "xyz": exported["xyz"] + 0.5}
    assert figures.export_gap(trained, moved) == pytest.approx(0.5, abs=1e-2)


def test_operations_are_counted_as_by_hand() -> None:
    _, made = make("single_frame_mlp")
    width = made.config.width
    assert running.macs(made) == (3 * 33 + 1) * width + 2 * width * width + width * 5 * 33
    _, recurrent = make("lstm_posenet")
    # Each weight of a matrix counts once; biases and norms do not multiply.
    weights = sum(p.numel() for p in recurrent.parameters() if p.ndim > 1)
    assert running.macs(recurrent) == pytest.approx(weights, rel=0.05)
    both = FAMILY.find("lstm_posenet")
    window = both(dataclasses.replace(both.Config.small(), centred=True)).eval()
    in_layers = sum(p.numel() for p in window.layers.parameters() if p.ndim > 1)
    around = sum(one.weight.numel() for one in window.modules() if isinstance(one, torch.nn.Linear))
    assert running.macs(window) == 7 * in_layers + around
    attending = FAMILY.find("pof_transformer")
    small = attending(attending.Config.small())
    products = []
    for layer in small.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_hook(
                lambda one, _given, out: products.append(out.numel() * one.in_features)
            )
    found = running.macs(small)
    # 17 joints and 14 limbs are tokens of 16 numbers; in each of two layers all ask all, and all answer all.
    assert found == sum(products) + 2 * 2 * 31 * 31 * 16


def test_networks_are_told_by_name_and_their_files_belong_together(files: Path, tmp_path: Path) -> None:
    found = candidates(sorted(files.iterdir()))
    assert [(one.name, len(one.files)) for one in found] == [("single_frame_mlp", 2), ("streaming_tcn", 1)]
    assert found[0].card.network == "single_frame_mlp"
    with pytest.raises(ValueError, match="no file"):
        candidates([tmp_path / "gone.pt"])
    with pytest.raises(ValueError, match=r"ends in .onnx or .pt"):
        candidates([tmp_path / "a.ckpt"])
    shutil.copy(files / "streaming_tcn.pt", tmp_path)
    with pytest.raises(ValueError, match="one name"):
        candidates([files / "streaming_tcn.pt", tmp_path / "streaming_tcn.pt"])
    with pytest.raises(ValueError, match="differ in network"):
        _ = Candidate("a", files / "streaming_tcn.pt", files / "single_frame_mlp.onnx").card
    with pytest.raises(ValueError, match="no file"):
        Candidate("a")


def measured(networks: list[Candidate], settings: Settings, folder: Path, *told: Any) -> list[Result]:
    """Results of some networks alone, and the baselines."""
    study = LifterStudy(settings)
    study.networks = networks
    return list(study.run(folder, *told)[ALL].values())


def test_what_was_measured_is_not_measured_again(files: Path, settings: Settings, tmp_path: Path) -> None:
    networks = candidates(sorted(files.iterdir()))
    told: list[str] = []
    done: list[tuple[int, int]] = []
    results = measured(networks, settings, tmp_path, told.append, lambda *at: done.append(at))
    assert [result.name for result in results] == [
        "single_frame_mlp",
        "streaming_tcn",
        "streaming_tcn, tilt known",
        *BASELINES,
    ]
    assert done == [(i, 5) for i in range(6)]
    assert not any("before" in sentence for sentence in told)
    mlp = results[0]
    assert set(mlp.simulated) == set(CONDITIONS)
    assert mlp.export_gap is not None
    assert results[1].export_gap is None
    # Told which direction points up, a network says something else, at the same cost.
    assert results[2].simulated["noise"].mpjpe_mm != results[1].simulated["noise"].mpjpe_mm
    assert results[2].cost == Cost()
    for result in results[:2]:
        assert result.cost.parameters == parameters(make(result.name)[1])
        assert min(result.cost.one_ms or 0, result.cost.batch_ms or 0, result.cost.lift_ms or 0) > 0.0
    # One result is lost, as if the run had been interrupted; a network was trained anew.
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 5
    next(file for file in kept if file.name.startswith("last_pose")).unlink()
    card, made = make("streaming_tcn", seed=1)
    other = tmp_path / "other" / "streaming_tcn.pt"
    other.parent.mkdir()
    checkpoint.save(other, checkpoint.Checkpoint(card, made.state_dict()))
    told.clear()
    again = measured([networks[0], Candidate("streaming_tcn", other)], settings, tmp_path, told.append)
    before = [sentence.split(":")[0] for sentence in told if sentence.endswith("measured before")]
    assert before == ["single_frame_mlp", "mean_pose"]
    assert plain(again[0]) == plain(mlp)
    assert again[1].simulated["noise"].mpjpe_mm != results[1].simulated["noise"].mpjpe_mm
    assert plain(again[4]) == plain(results[4])
    with pytest.raises(ValueError, match="--data"):
        measured([], dataclasses.replace(settings, data=tmp_path), tmp_path)


def test_an_export_of_other_weights_is_refused(
    files: Path, settings: Settings, held_out: Scenes, tmp_path: Path
) -> None:
    card, made = make("single_frame_mlp", seed=5)
    export.to_onnx(made, card, tmp_path / "single_frame_mlp.onnx")
    wrong = Candidate("single_frame_mlp", files / "single_frame_mlp.pt", tmp_path / "single_frame_mlp.onnx")
    with pytest.raises(ValueError, match="export the checkpoint again"):
        figures.evaluate_network(wrong, held_out, settings, None)


def test_baselines(settings: Settings, held_out: Scenes) -> None:
    mean, last = (figures.evaluate_baseline(name, held_out, settings) for name in BASELINES)
    assert mean.simulated["noise"] == mean.simulated["masked"]
    # Nobody moves in the mean of all people, so it errs by all that people do.
    assert mean.simulated["noise"].mpjpe_mm > last.simulated["noise"].mpjpe_mm > 10.0
    assert math.isnan(mean.simulated["noise"].coverage)
    with pytest.raises(ValueError, match="mean_pose, last_pose"):
        figures.evaluate_baseline("first_pose", held_out, settings)


def test_the_last_pose_is_a_second_old() -> None:
    truth = np.arange(12.0).reshape(12, 1, 1)
    old = figures._earlier(truth, np.full(12, 0.25))[:, 0, 0]
    np.testing.assert_array_equal(old, [np.nan] * 4 + list(range(8)))
    skipping = np.array([0.25, 0.25, 0.75, 0.25, 0.25, 0.25])
    np.testing.assert_array_equal(
        figures._earlier(truth[:6], skipping)[:, 0, 0], [np.nan, np.nan, 0.0, 1.0, 1.0, 1.0]
    )


def test_the_real_video_gives_a_figure_for_each_rate_and_camera(
    files: Path, settings: Settings, held_out: Scenes, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, int, int]] = []

    def view(lifter: object, _video: object, camera: int, step: int, _known: bool = False) -> Scores:
        calls.append((lifter.name, camera, step))  # type: ignore[attr-defined]
        still = np.zeros((3, 33, 3))
        return score(
            [Track(still + camera, still + camera, np.full(3, step / 60.0))], SKELETONS.get("mediapipe33")
        )

    monkeypatch.setattr(real_video, "evaluate_view", view)
    monkeypatch.setattr(real_video, "load", lambda _step: object())
    candidate = candidates([files / "single_frame_mlp.onnx"])[0]
    result = figures.evaluate_network(candidate, held_out, settings, real_video.load(2))
    assert {rate: list(views) for rate, views in result.real.items()} == {
        "60": ["1", "2", "3", "4"],
        "30": ["1", "2", "3", "4"],
    }
    assert calls[0] == ("single_frame_mlp", 1, 1)
    assert figures.evaluate_mediapipe(real_video.load(2)).real["30"].keys() == result.real["30"].keys()
    with pytest.raises(ValueError, match="real video"):
        figures.evaluate_mediapipe(None)


def test_the_document_gets_all_tables_and_keeps_its_words(
    settings: Settings, held_out: Scenes, tmp_path: Path
) -> None:
    results = [figures.evaluate_baseline(name, held_out, settings) for name in BASELINES]
    document = tmp_path / "models.md"
    shutil.copy(ROOT / "docs" / "models.md", document)
    parts = report.report(results, settings, "two shared Xeon cores", "| detector |\n")
    assert set(parts) == {"accuracy", "conditions", "cost", "detector"}
    writing.write_document(document, parts)
    text = document.read_text()
    assert "6 clips of 40 frames" in text
    assert "two shared Xeon cores" in text
    assert "| `last_pose` | mediapipe33 | 0 |" in text
    assert "| detector |" in text
    writing.write_document(document, parts)
    assert document.read_text() == text
    writing.write_document(document, report.report(results[:1], settings, "elsewhere"), keep_others=True)
    assert "| `last_pose` | mediapipe33 | 0 |" in document.read_text()
    writing.write_document(document, parts)
    with pytest.raises(ValueError, match="begin other"):
        writing.write_document(document, {"accuracy": "lost", "other": ""})
    assert document.read_text() == text


def test_the_machine_is_told_in_words() -> None:
    words = machine().split()
    assert int(words[0]) > 0
    assert words[-1] in ("core", "cores")
