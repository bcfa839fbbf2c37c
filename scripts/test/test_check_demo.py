"""The judge of the demo lets a good run pass and names what is wrong with a bad one."""

from __future__ import annotations

import copy
import json

import pytest

import check_demo

GOOD = {
    "frames": 100,
    "fps": 30.0,
    "frames_with_person": {"pose2d": 100, "lift3d": 95, "refine": 99},
    "reprojection_px": {"lift3d": {"p50": 3.0}, "refine": {"p50": 5.0}},
    "files": {"bag": "bag"},
}


@pytest.fixture
def summary(tmp_path) -> dict:
    (tmp_path / "bag").mkdir()
    return copy.deepcopy(GOOD)


def test_a_good_run_passes(summary, tmp_path):
    assert check_demo.complaints(summary, tmp_path) == []


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("frames",), 60, "60 of 100 frames went through"),
        (("frames_with_person", "lift3d"), 94, "lift3d saw a person in 94 frames, expected at least 95"),
        (("frames_with_person",), {}, "pose2d saw a person in 0 frames"),
        (("reprojection_px", "refine", "p50"), 400.0, "refine has a reprojection error of 400.0 px"),
        (("reprojection_px", "lift3d", "p50"), float("nan"), "lift3d has a reprojection error of nan px"),
        (("reprojection_px", "lift3d"), {}, "lift3d has a reprojection error of None px"),
        (("files", "bag"), "elsewhere", "elsewhere was not written"),
    ],
)
def test_faults_are_named(summary, tmp_path, path, value, sentence):
    target = summary
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    assert check_demo.complaints(summary, tmp_path)[0].startswith(sentence)


def test_the_command_line(summary, tmp_path, monkeypatch, capsys):
    file = tmp_path / "summary.json"
    monkeypatch.chdir(tmp_path)
    file.write_text(json.dumps(summary))
    assert check_demo.main([str(file)]) == 0
    assert "100 frames at 30.0 fps" in capsys.readouterr().out
    file.write_text(json.dumps({**summary, "frames": 1}))
    assert check_demo.main([str(file)]) == 1
    assert "1 of 100 frames" in capsys.readouterr().err
    assert check_demo.main([]) == 2
