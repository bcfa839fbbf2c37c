"""Files of trained networks, torch's and ONNX: what comes back, and everything that must not be opened."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import external_data_helper

from lift3d_node.learned.model_card import ModelCard
from pose_core.networks import onnx_file
from pose_train.lifter.family import FAMILY
from pose_train.trunk import checkpoint
from pose_train.trunk.checkpoint import Checkpoint

torch.set_num_threads(1)


@pytest.fixture
def saved(tiny_network, tiny_card: ModelCard, tmp_path: Path):
    """`saved(card, weights)`: path of a checkpoint of the tiny network."""

    def save(card: ModelCard = tiny_card, **changed: torch.Tensor) -> Path:
        network = tiny_network.Tiny(tiny_network.Config(gain=2.0))
        with torch.no_grad():
            network.gain.copy_(torch.tensor([1.0, 2.0, 3.0]))
        path = tmp_path / "tiny.pt"
        checkpoint.save(path, Checkpoint(card, {**network.state_dict(), **changed}))
        return path

    return save


def test_a_network_describes_itself(tiny_network, tiny_card: ModelCard) -> None:
    network = tiny_network.Tiny(tiny_network.Config())
    network.train()
    assert FAMILY.describe(network, "none", {"mpjpe_mm": 400.5}) == tiny_card
    assert network.training


def test_a_network_comes_back_with_its_card(saved, tiny_card: ModelCard) -> None:
    card, network = checkpoint.load_of(FAMILY, saved())
    assert card == tiny_card
    assert network.gain.tolist() == [1.0, 2.0, 3.0]
    assert not network.training


def test_progress_of_training_comes_back(tiny_card: ModelCard, tmp_path: Path) -> None:
    progress = {"epoch": 3, "optimizer": {"state": {0: {"step": torch.tensor(5.0)}}, "rates": [0.1, None]}}
    checkpoint.save(tmp_path / "a.pt", Checkpoint(tiny_card, {"w": torch.ones(2)}, progress))
    again = checkpoint.read_of(FAMILY, tmp_path / "a.pt")
    assert again.progress["epoch"] == 3
    assert again.progress["optimizer"]["rates"] == [0.1, None]
    assert again.progress["optimizer"]["state"][0]["step"].item() == 5.0
    assert again.weights["w"].tolist() == [1.0, 1.0]


class Attack:
    """Makes a folder where it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = str(proof)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.proof,)


@pytest.mark.parametrize("how", ["torch", "pickle", "inside"])
def test_code_in_a_file_does_not_run(how: str, tiny_card: ModelCard, tmp_path: Path) -> None:
    path, proof = tmp_path / "evil.pt", tmp_path / "proof"
    if how == "torch":
        torch.save(Attack(proof), path)
    elif how == "pickle":
        path.write_bytes(pickle.dumps(Attack(proof), protocol=2))
    else:
        torch.save({"card": tiny_card.to_json(), "weights": {}, "progress": {"a": Attack(proof)}}, path)
    with pytest.raises(ValueError, match="evil.pt' holds more than numbers and names, which could run code"):
        checkpoint.load_of(FAMILY, path)
    assert not proof.exists()
    # The attack is real: a reader that trusts the file runs it.
    pickle.loads(path.read_bytes()) if how == "pickle" else torch.load(path, weights_only=False)
    assert proof.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_checkpoint_cut_short_is_refused(share: float, saved) -> None:
    path = saved()
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="tiny.pt' (is no whole checkpoint|holds more than numbers)"):
        checkpoint.load_of(FAMILY, path)


@pytest.mark.parametrize("content", [[1, 2], {"card": 3, "weights": {}, "progress": {}}, {"state_dict": {}}])
def test_another_file_of_torch_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="no checkpoint of pose train: it must hold card, weights, progress"):
        checkpoint.read_of(FAMILY, tmp_path / "other.pt")


@pytest.mark.filterwarnings("ignore:.*torch.jit:", "ignore:'torch.load' received a zip")
def test_a_torchscript_archive_is_refused(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.ReLU()).save(tmp_path / "script.pt")
    with pytest.raises(ValueError, match="is no whole checkpoint"):
        checkpoint.read_of(FAMILY, tmp_path / "script.pt")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none.pt' cannot be read: No such file"):
        checkpoint.read_of(FAMILY, tmp_path / "none.pt")
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        onnx_file.read(tmp_path, ModelCard)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"skeleton_in": "coco17"}, "skeleton_in 'coco17', but network 'tiny' has 'mediapipe33'"),
        ({"network": "tinny"}, "unknown network 'tinny'; did you mean 'tiny'"),
        ({"config": {"width": 3}}, "unknown parameter 'width'"),
        ({"config": {"gain": -1.0}}, "gain must be at least 0"),
        ({"state": ()}, r"state \(\), but network 'tiny' has \(\(33, 3\),\)"),
        ({"outputs": ("xyz", "ratios", "log_std")}, "but network 'tiny' has \\('xyz', 'log_std'\\)"),
        ({"look_ahead": 2}, "look_ahead 2, but network 'tiny' has 0"),
    ],
)
def test_another_network_is_refused_naming_both(
    changes: dict, said: str, saved, tiny_card: ModelCard
) -> None:
    path = saved(replace(tiny_card, **changes))
    with pytest.raises(ValueError, match=f"tiny.pt': .*{said}"):
        checkpoint.load_of(FAMILY, path)


@pytest.mark.parametrize("changed", [{"gain": torch.ones(4)}, {"extra": torch.ones(1)}])
def test_weights_of_another_network_are_refused(changed: dict, saved) -> None:
    path = saved(**changed)
    with pytest.raises(ValueError, match="tiny.pt': weights do not fit network 'tiny' as it is now"):
        checkpoint.load_of(FAMILY, path)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ("gain", "is no checkpoint of pose train"),
        (
            {"gain": "three", "log_std": torch.zeros(2)},
            ": weights do not fit network 'tiny' as it is now",
        ),
    ],
)
def test_weights_that_are_no_numbers_are_refused(weights: object, said: str, saved) -> None:
    path = saved()
    torch.save({**torch.load(path, weights_only=True), "weights": weights}, path)
    with pytest.raises(ValueError, match=f"tiny.pt'{said}| {said}"):
        checkpoint.load_of(FAMILY, path)


@pytest.mark.parametrize(
    "state",
    [
        lambda self, batch: [torch.ones(batch, 33, 3)],
        lambda self, batch: [torch.zeros(batch, 33, 3, dtype=torch.float64)],
        lambda self, batch: [torch.zeros(batch, 1, 3)],
    ],
)
def test_state_that_cannot_be_kept_is_refused(state, tiny_network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_network.Tiny, "initial", state)
    with pytest.raises(
        ValueError, match="state 0 of network 'tiny' must be float32, start as zeros and keep its shape"
    ):
        FAMILY.describe(tiny_network.Tiny(tiny_network.Config()))


# ONNX


def test_onnx_gives_its_card(tiny_onnx, tiny_card: ModelCard, tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "tiny.onnx")
    card, content = onnx_file.read(path, ModelCard)
    assert card == tiny_card
    assert content == path.read_bytes()
    assert card.input_names == ["joints", "context", "state_0"]
    assert card.output_names == ["xyz", "log_std", "next_state_0"]


def test_onnx_without_our_card_is_refused(tiny_onnx, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no model card.*pose export-model"):
        onnx_file.read(tiny_onnx(tmp_path / "a.onnx", None), ModelCard)


def test_onnx_of_another_encoding_is_refused(tiny_onnx, tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "a.onnx", None)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {ModelCard.KEY: '{"format": 7}'})
    onnx.save(model, path)
    with pytest.raises(ValueError, match="a.onnx': the model was made for format 7"):
        onnx_file.read(path, ModelCard)


@pytest.mark.parametrize("location", ["/etc/passwd", "../secret", "weights.bin"])
@pytest.mark.parametrize("where", ["initializer", "unmarked", "constant", "subgraph"])
def test_data_in_other_files_is_refused(location: str, where: str, tiny_onnx, tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "a.onnx")
    model = onnx.load(path)
    tensor = onnx.numpy_helper.from_array(np.ones(8, np.float32), "outside")
    external_data_helper.set_external_data(tensor, location)
    if where == "unmarked":
        tensor.ClearField("data_location")
    if where in ("initializer", "unmarked"):
        model.graph.initializer.append(tensor)
    elif where == "constant":
        model.graph.node.append(onnx.helper.make_node("Constant", [], ["outside"], value=tensor))
    else:
        branch = onnx.helper.make_graph([], "branch", [], [], [tensor])
        model.graph.node.append(
            onnx.helper.make_node("If", ["c"], ["o"], then_branch=branch, else_branch=branch)
        )
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="a.onnx' keeps weights in other files, which is refused"):
        onnx_file.read(path, ModelCard)


def test_onnx_cut_short_anywhere_is_refused(tiny_onnx, tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "a.onnx")
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="is no whole ONNX file|has no model card"):
            onnx_file.read(path, ModelCard)


# Families


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("lifterz", "tiny.pt': unknown family 'lifterz'; did you mean 'lifter'"),
        (3, "is no checkpoint of pose train"),
    ],
)
def test_a_family_that_is_not_here_is_refused(family: object, said: str, saved) -> None:
    path = saved()
    torch.save({**torch.load(path, weights_only=True), "family": family}, path)
    with pytest.raises(ValueError, match=said):
        checkpoint.load(path)


@pytest.mark.parametrize("card", ["no card", "3", "[[1]]", "{}"])
def test_a_card_of_no_family_is_refused(card: str, saved) -> None:
    path = saved()
    content = torch.load(path, weights_only=True)
    del content["family"]
    torch.save({**content, "card": card}, path)
    with pytest.raises(ValueError, match="tiny.pt': the model "):
        checkpoint.load(path)
