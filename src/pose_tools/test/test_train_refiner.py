"""The commands of refiners: what they refuse, and checkpoints that become files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pose_core.networks import onnx_file
from pose_tools.cli.main import app
from pose_train.refiner.family import FAMILY
from pose_train.trunk import checkpoint
from pose_train.trunk.checkpoint import Checkpoint
from pose_train.trunk.export import convert
from refine_node.model_card import RefinerCard


def test_a_refiner_becomes_an_onnx_file(tmp_path: Path):
    torch.manual_seed(0)
    kind = FAMILY.find("smoothnet")
    net = kind(kind.Config.small())
    checkpoint.save(tmp_path / "net.pt", Checkpoint(FAMILY.describe(net), net.state_dict(), {}))
    assert "'smoothnet', largest difference" in convert(
        tmp_path / "net.pt", tmp_path / "net.onnx", half=False
    )
    card, _ = onnx_file.read(tmp_path / "net.onnx", RefinerCard)
    assert card == checkpoint.read_of(FAMILY, tmp_path / "net.pt").card


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path):
    (tmp_path / "net.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="net.pt"):
        convert(tmp_path / "net.pt", tmp_path / "net.onnx", half=False)


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_without_data_they_say_where_to_name_them(command: str, tmp_path: Path):
    what = "refiner" if command == "train" else "refiners"
    result = CliRunner().invoke(app, [command, what, "--data", str(tmp_path), "--out", str(tmp_path / "o")])
    assert isinstance(result.exception, ValueError)
    assert "--data where" in str(result.exception) or "with --data" in str(result.exception)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("command", [["train", "refiner"], ["evaluate", "refiners"], ["refine"]])
def test_help_stands_without_work(command: list[str]):
    assert CliRunner().invoke(app, [*command, "--help"]).exit_code == 0
