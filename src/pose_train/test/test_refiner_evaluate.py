"""Evaluation of refiners: known answers, results that are kept, and tables that say what is missing."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from pose_core.skeleton import SKELETONS
from pose_train.studies import document as writing
from pose_train.studies.refiners import figures, report, study, variants
from pose_train.studies.refiners.figures import RefinerScores
from pose_train.studies.refiners.scenes import SCENES, Scenes, Settings, Take
from pose_train.studies.refiners.study import RefinerStudy
from pose_train.studies.refiners.variants import Variant

RAW = Variant("raw", "raw", bones=False)


@pytest.fixture(scope="module")
def settings(data: Path) -> Settings:
    return Settings(data, clips=2, frames=24, real=False)


@pytest.fixture(scope="module")
def scenes(settings: Settings) -> Scenes:
    return Scenes(settings)


def scores(**values: float) -> RefinerScores:
    return RefinerScores(**{**dict.fromkeys(RefinerScores.__dataclass_fields__, 1.0), **values})


def test_the_truth_is_given_as_it_is(scenes: Scenes):
    found = figures.score(RAW, scenes.takes("clean"))
    assert found.mpjpe_mm == pytest.approx(0.0, abs=1e-3)
    assert found.acceleration == pytest.approx(0.0, abs=1e-2)
    assert found.lag_ms == pytest.approx(0.0, abs=0.1)
    assert found.ms > 0.0


def test_scenes_are_of_the_same_motion(scenes: Scenes):
    assert len(scenes.takes("lifted")) == 2
    assert len(scenes.takes("synthetic")) == len(scenes.takes("clean")) == 1
    take, clean = scenes.takes("lifted")[0], scenes.takes("clean")[0]
    skeleton = SKELETONS.get(take.given.skeleton)
    about, other = (one.truth - skeleton.root_of(one.truth)[:, None] for one in (take, clean))
    np.testing.assert_allclose(about, other, atol=1e-4)
    raw = figures.score(RAW, scenes.takes("lifted"))
    assert 10.0 < raw.mpjpe_mm < 500.0


def test_a_motion_that_comes_late_has_that_lag(scenes: Scenes, monkeypatch: pytest.MonkeyPatch):
    def late(variant: Variant, take: Take):
        xyz = np.roll(take.given.xyz, 2, 0)
        xyz[:2] = xyz[2]
        return dataclasses.replace(take.given, xyz=xyz), 0.5

    monkeypatch.setattr(figures, "run", late)
    found = figures.score(RAW, scenes.takes("clean"))
    assert found.lag_ms == pytest.approx(1e3 * 2 / 30, abs=15.0)
    assert found.ms == 0.5


def test_results_are_kept(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ways = [RAW, Variant("kalman", "kalman", look_ahead=2), Variant("kalman", "kalman", look_ahead=None)]
    said: list[str] = []
    done: list[tuple[int, int]] = []
    first = RefinerStudy(settings, ways=ways).run(tmp_path, said.append, lambda *one: done.append(one))
    # Offline and look-ahead do no harm that is looked at.
    assert {name: len(found) for name, found in first.items()} == {"lifted": 3, "synthetic": 3, "clean": 1}
    assert len(said) == 7
    assert done[-1] == (7, 7)
    assert not any(sentence.endswith("measured before") for sentence in said)
    monkeypatch.setattr(study, "score", None)
    second = RefinerStudy(settings, ways=ways).run(tmp_path, said.append)
    assert all(sentence.endswith(": measured before") for sentence in said[7:])
    assert len(said) == 14
    assert {name: list(found) for name, found in second.items()} == {
        name: list(found) for name, found in first.items()
    }
    assert second["lifted"][RAW].mpjpe_mm == first["lifted"][RAW].mpjpe_mm


def test_the_report_says_what_is_missing(settings: Settings):
    found = {
        RAW: scores(acceleration=20.0),
        Variant("kalman", "kalman", bones=False): scores(acceleration=5.0, lag_ms=math.nan),
        Variant("hpstm_fk", "hpstm", bones=False): scores(),
    }
    parts = report.report({"lifted": found, "clean": {RAW: scores()}}, ["hpstm"], settings, "a machine")
    assert set(parts) == {"lifted", "clean", "ablation"}
    assert all("Not trained yet, so left out: `hpstm`." in part for part in parts.values())
    assert "Made by `pose evaluate refiners` on a machine: 2 clips of 24 frames" in parts["lifted"]
    assert (
        "| `kalman` | 0 | free | 1.0 | 1.0 | 5.6 | 5.0 | 75 % | 1 | 1.0 | - | 100 % | 1.00 |"
        in parts["lifted"]
    )
    assert "hpstm_fk" not in parts["lifted"]
    rows = [line.split("|")[1].strip() for line in parts["ablation"].splitlines() if line.startswith("| ")]
    assert rows == ["part", "---", "neither", "filter only", "forward kinematics only"]


def test_the_document_has_a_place_for_every_part():
    document = (Path(__file__).parents[3] / "docs" / "refiners.md").read_text()
    for name in (*SCENES, "ablation"):
        document = writing.replaced(document, name, f"new {name}")
        assert f"new {name}" in document


def test_every_refiner_without_weights_is_named():
    ways, absent = variants.variants([])
    assert {way.label for way in ways} | set(absent) >= {*variants.ORDER, *variants.ABLATED}
    assert [way.look_ahead for way in ways if way.label == "kalman"] == [0, 2, 4, 8, 0, None]
    assert [(way.look_ahead, way.bones) for way in ways if way.label == "raw"] == [(0, True), (0, False)]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["a.pt"], "ends in .onnx"),
        (["x/a.onnx", "y/a.onnx"], "have one name"),
        (["nowhere.onnx"], "nowhere.onnx"),
    ],
)
def test_files_that_hold_no_refiner_are_refused(files: list[str], words: str):
    with pytest.raises(ValueError, match=words):
        variants.variants([Path(file) for file in files])


@pytest.mark.parametrize(
    ("change", "words"),
    [({"clips": 0}, "clips must be at least 1"), ({"data": Path("/nowhere")}, "say with --data")],
)
def test_what_cannot_be_measured_says_why(data: Path, change: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        Settings(**{"data": data, **change})
