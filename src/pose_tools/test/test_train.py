"""The commands of training: what they refuse, and what they write."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from lift3d_node.learned.model_card import ModelCard
from pose_core.networks import onnx_file
from pose_tools.cli import train as cli_train
from pose_tools.cli.main import app
from pose_tools.missing import said_of
from pose_train.lifter.family import FAMILY
from pose_train.studies.lifters.scenes import Settings
from pose_train.studies.lifters.study import LifterStudy
from pose_train.trunk import checkpoint
from pose_train.trunk.checkpoint import Checkpoint
from pose_train.trunk.export import convert
from pose_train.trunk.family import families


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """The checkpoint of a small network."""
    torch.manual_seed(0)
    kind = FAMILY.find("streaming_tcn")
    net = kind(kind.Config.small())
    checkpoint.save(tmp_path / "net.pt", Checkpoint(FAMILY.describe(net), net.state_dict(), {}))
    return tmp_path / "net.pt"


def test_a_checkpoint_becomes_an_onnx_file(trained: Path):
    out = trained.with_suffix(".onnx")
    assert "largest difference" in convert(trained, out, half=False)
    assert onnx_file.read(out, ModelCard)[0] == checkpoint.read_of(FAMILY, trained).card


def test_a_checkpoint_becomes_torchscript(trained: Path):
    out = trained.with_suffix(".ts")
    convert(trained, out, half=True)
    extra = {ModelCard.KEY: ""}
    script = torch.jit.load(out, _extra_files=extra)
    assert '"network":"streaming_tcn"' in str(extra[ModelCard.KEY])
    assert script is not None


def test_another_ending_is_refused(trained: Path):
    with pytest.raises(ValueError, match=r"must end in .onnx or .ts"):
        convert(trained, trained.with_suffix(".bin"), half=True)


def test_without_data_training_says_where_to_name_them(tmp_path: Path):
    result = CliRunner().invoke(
        app, ["train", "lifter", "--data", str(tmp_path), "--out", str(tmp_path / "o")]
    )
    assert isinstance(result.exception, ValueError)
    assert "say with --data" in str(result.exception)
    assert not (tmp_path / "o").exists()


def test_every_family_has_its_command():
    said = CliRunner().invoke(app, ["train", "--help"]).output
    for family in families():
        assert family.command in said
        options = CliRunner().invoke(app, ["train", family.command, "--help"]).output
        assert family.default in options
        assert ("--lifter" in options) == bool(family.lifter)
    result = CliRunner().invoke(app, ["train", "refiners"])
    assert result.exit_code == 2
    assert "No such command 'refiners'" in result.output


def test_without_torch_training_says_what_brings_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cli_train, "_has_torch", lambda: False)
    result = CliRunner().invoke(app, ["train", "--help"])
    assert result.exit_code == 0
    assert "make setup-train" in result.output
    for command in (["train", "lifter"], ["evaluate", "lifters"]):
        result = CliRunner().invoke(app, command)
        assert isinstance(result.exception, ModuleNotFoundError)
        said = said_of(str(result.exception.name), "pose train")
        assert said is not None
        assert "make setup-train" in said


@pytest.mark.parametrize("command", [["train", "lifter"], ["evaluate", "lifters"], ["export-model"]])
def test_help_stands_without_work(command: list[str]):
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0


def test_a_file_named_as_a_shipped_lifter_is_measured_in_its_place(trained: Path, tmp_path: Path):
    own = trained.rename(tmp_path / "streaming_tcn.pt")
    study = LifterStudy(Settings(tmp_path, real=False), [own])
    assert [(one.name, one.files) for one in study.networks] == [("streaming_tcn", [own])]
