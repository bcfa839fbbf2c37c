"""Files of parameters: what is refused, and what they state for whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pose_core.config import StageParams, param, parameter_file, parameters_of
from pose_core.config.parameter_file import value_of


@dataclass(frozen=True)
class Params(StageParams):
    model: str = param("full", "which model", choices=("lite", "full"))
    num_poses: int = param(1, "people at most", low=1, high=10)
    cutoff: float = param(1.5, "cutoff", unit="Hz", low=0.0, live=True)
    beta: float = param(0.5, "slope")


NODES = {"refine": Params, "viz": StageParams}

GOOD = """
/**:
  ros__parameters: {use_sim_time: true, diagnostics_period: 2}
refine:
  ros__parameters:
    cutoff: 1e-3
    num_poses: 3
    qos_overrides: {/people: {subscription: {depth: 3, reliability: best_effort}}}
/robot/viz:
  ros__parameters: {autostart: false}
left:
  refine:
    ros__parameters: {model: lite}
"""


def test_a_good_file(tmp_path):
    path = tmp_path / "live.yaml"
    path.write_text(GOOD)
    assert parameter_file.problems(path, NODES) == []


@pytest.mark.parametrize(
    ("content", "sentences"),
    [
        (
            "refine: {ros__parameters: {cutof: 1.0}}",
            ["refine: unknown parameter 'cutof'; did you mean 'cutoff'?"],
        ),
        ("refin: {ros__parameters: {cutoff: 1.0}}", ["refin: unknown node 'refin'; did you mean 'refine'?"]),
        (
            "refine: {cutoff: 1.0}",
            ["refine/cutoff must stand under the name of a node and ros__parameters, got 1.0"],
        ),
        ("refine: {ros__parameters: 3}", ["refine: ros__parameters must hold named values, got 3"]),
        ("refine: 3", ["refine must stand under the name of a node and ros__parameters, got 3"]),
        (
            "refine: {ros__parameters: {cutoff: -1, model: heavy}}",
            [
                "refine: cutoff must be at least 0.0, got -1.0",
                "refine: model must be one of lite, full, got 'heavy'",
            ],
        ),
        (
            "refine: {ros__parameters: {use_sim_time: 1}}",
            ["refine: use_sim_time must be of type bool, got 1"],
        ),
        (
            "refine: {ros__parameters: {qos_overrides: {/a: {publisher: {depth: x}}}}}",
            ["refine: qos_overrides./a.publisher.depth must be a whole number of at least 0, got 'x'"],
        ),
        ("/**: {ros__parameters: {num_poses: 2}}", ["/**: unknown parameter 'num_poses'; known: autostart"]),
        ("refine: [", ["cannot be read: "]),
        ("3", ["values must stand under the name of a node and ros__parameters, got 3"]),
    ],
)
def test_bad_files(tmp_path, content, sentences):
    path = tmp_path / "live.yaml"
    path.write_text(content)
    problems = parameter_file.problems(path, NODES)
    assert len(problems) == len(sentences)
    for problem, sentence in zip(problems, sentences, strict=True):
        assert sentence in problem
        assert str(path) in problem


def test_a_missing_file(tmp_path):
    (problem,) = parameter_file.problems(tmp_path / "none.yaml", NODES)
    assert "none.yaml cannot be read" in problem


def test_values_by_node_whatever_the_namespace(tmp_path: Path) -> None:
    path = tmp_path / "live.yaml"
    path.write_text(GOOD)
    assert parameter_file.values(path, NODES) == {
        "refine": {"diagnostics_period": 2, "cutoff": 1e-3, "num_poses": 3, "model": "lite"},
        "viz": {"diagnostics_period": 2, "autostart": False},
    }


def test_the_later_of_two_sections_counts(tmp_path: Path) -> None:
    path = tmp_path / "live.yaml"
    path.write_text(
        "refine: {ros__parameters: {cutoff: 2.0, beta: 1.0}}\n/**/refine: {ros__parameters: {cutoff: 3.0}}\n"
    )
    assert parameter_file.values(path, NODES)["refine"] == {"cutoff": 3.0, "beta": 1.0}


def test_nodes_of_others_are_let_be_unless_they_are_ours_misspelt(tmp_path: Path) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text("usb_cam: {ros__parameters: {framerate: 30.0}}\nrefine: {ros__parameters: {beta: 1}}\n")
    assert parameter_file.problems(path, NODES, foreign=True) == []
    assert parameter_file.values(path, NODES) == {"refine": {"beta": 1}, "viz": {}}
    path.write_text("refinement: {ros__parameters: {beta: 1.0}}\n")
    with pytest.raises(ValueError, match="unknown node 'refinement'; did you mean 'refine'"):
        parameter_file.values(path, NODES)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("cutoff", "2", 2.0),
        ("cutoff", "1e-3", 1e-3),
        ("cutoff", "fast", "fast"),
        ("cutoff", "", None),
        ("num_poses", "3", 3),
        ("num_poses", "3.0", 3.0),
        ("autostart", "false", False),
        ("autostart", "[", "["),
        ("model", "0", "0"),
        ("model", "", ""),
        ("model", "a: b", "a: b"),
    ],
)
def test_text_is_read_as_what_the_parameter_is(name: str, text: str, value: object) -> None:
    said = value_of(parameters_of(Params)[name], text)
    assert (said, type(said)) == (value, type(value))
