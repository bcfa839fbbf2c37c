"""Cards and files of networks in general, with the smallest card there can be."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from pose_core.networks import onnx_file, runtime
from pose_core.networks.model_card import Card, Shape
from pose_core.networks.runtime import OnnxSession, choose_providers, empty_state, try_out

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


@dataclass(frozen=True, kw_only=True)
class PlainCard(Card):
    KEY: ClassVar[str] = "pose_core.networks.model_card"
    ENCODING: ClassVar[int] = 4
    encoding: int = 4

    @property
    def inputs(self) -> dict[str, Shape]:
        return {"joints": (17, 3), "context": (1,)}

    @property
    def shapes(self) -> dict[str, Shape]:
        return {"xyz": (17, 3)}

    @property
    def skeleton_of_outputs(self) -> str:
        return "coco17"


@dataclass(frozen=True, kw_only=True)
class OtherCard(PlainCard):
    KEY: ClassVar[str] = "pose_viz.model_card"


CARD = PlainCard(network="add", config={}, outputs=("xyz",), state=((17, 3),))


def write(path: Path, card: Card | None = CARD) -> Path:
    """A network that adds the frame before, times 0.5."""

    def port(name: str, *shape: int):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["state_0", "half"], ["faded"]),
            helper.make_node("Add", ["joints", "faded"], ["xyz"]),
            helper.make_node("Identity", ["joints"], ["next_state_0"]),
        ],
        "add",
        [port("joints", 17, 3), port("context", 1), port("state_0", 17, 3)],
        [port("xyz", 17, 3), port("next_state_0", 17, 3)],
        [numpy_helper.from_array(np.float32(0.5), "half")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if card is not None:
        helper.set_model_props(model, {card.KEY: card.to_json()})
    onnx.save(model, path)
    return path


def test_a_file_runs_frame_by_frame(tmp_path: Path):
    session = OnnxSession(write(tmp_path / "a.onnx"), PlainCard, "cpu")
    try_out(session, "a.onnx")
    assert (session.card, session.device) == (CARD, "cpu")
    joints = np.random.default_rng(0).normal(size=(2, 17, 3)).astype(np.float32)
    context = np.zeros((2, 1), np.float32)
    outputs, state = session.run(joints, context, empty_state(CARD, 2))
    np.testing.assert_array_equal(outputs["xyz"], joints)
    outputs, state = session.run(joints, context, state)
    np.testing.assert_allclose(outputs["xyz"], 1.5 * joints, rtol=1e-6)


def test_the_card_of_another_stage_is_told_from_none(tmp_path: Path):
    with pytest.raises(
        ValueError, match="a.onnx' is a network of pose_viz, not of pose_core; name another file"
    ):
        onnx_file.read(write(tmp_path / "a.onnx", OtherCard(**vars(CARD))), PlainCard)
    with pytest.raises(ValueError, match="a.onnx' has no model card.*pose export-model"):
        onnx_file.read(write(tmp_path / "a.onnx", None), PlainCard)


def test_a_card_comes_back_from_json():
    card = replace(CARD, metrics={"b": 1.5, "a": 2.0}, temperature=(1.5,) * 17, training="nothing")
    assert PlainCard.from_json(card.to_json()) == card
    assert card.input_names == ["joints", "context", "state_0"]
    assert card.output_names == ["xyz", "next_state_0"]


def test_cards_are_compared_by_the_fields_named():
    trained = replace(CARD, metrics={"a": 1.0}, state=())
    trained.expect_same(CARD, "network", "config")
    with pytest.raises(
        ValueError, match=r"trained with state \(\), but network 'add' has \(\(17, 3\),\); train it again"
    ):
        trained.expect_same(CARD, "network", "state")


def test_a_network_that_is_not_as_its_card_says_is_refused(tmp_path: Path):
    with pytest.raises(
        ValueError, match="a.onnx' has outputs xyz, next_state_0, its model card says xyz, more"
    ):
        OnnxSession(write(tmp_path / "a.onnx", replace(CARD, outputs=("xyz", "more"))), PlainCard)
    with pytest.raises(ValueError, match="a.onnx' fails on cpu"):
        try_out(OnnxSession(write(tmp_path / "a.onnx", replace(CARD, state=((17, 2),))), PlainCard), "a.onnx")


def test_a_library_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match="onnxruntime is not installed: do this"):
        OnnxSession(write(tmp_path / "a.onnx"), PlainCard, remedy="do this")


@pytest.mark.parametrize(
    ("device", "available", "chosen"),
    [
        ("auto", [CPU], [CPU]),
        ("auto", [TENSORRT, CUDA, CPU], [CUDA, CPU]),
        ("cpu", [TENSORRT, CUDA, CPU], [CPU]),
        ("cuda", [TENSORRT, CUDA, CPU], [CUDA, CPU]),
        ("tensorrt", [TENSORRT, CUDA, CPU], [TENSORRT, CUDA, CPU]),
    ],
)
def test_providers_follow_the_device(device: str, available: list[str], chosen: list[str]):
    assert choose_providers(device, available) == chosen


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_gpu_that_is_not_there_is_an_error(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(ValueError, match=f"device {device} was asked for, but this onnxruntime has only CPU"):
        OnnxSession(write(tmp_path / "a.onnx"), PlainCard, device)


def test_tensorrt_is_told_the_shapes():
    settings = runtime._settings(TENSORRT, CARD)
    assert settings["trt_profile_min_shapes"] == "joints:1x17x3,context:1x1,state_0:1x17x3"
    assert settings["trt_profile_max_shapes"] == "joints:16x17x3,context:16x1,state_0:16x17x3"
    assert runtime._settings(CUDA, CARD) == {}


@pytest.mark.parametrize("content", [b"hello world", b"\xff" * 100, bytes(100), b"\x38\x05"])
def test_bytes_that_are_no_onnx_are_refused(content: bytes, tmp_path: Path):
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(ValueError, match="is no whole ONNX file|has no model card"):
        onnx_file.read(tmp_path / "a.onnx", PlainCard)


def test_every_way_to_a_tensor_is_looked_at():
    """Field numbers, against the definition of the format."""
    messages, todo = {}, [onnx.ModelProto.DESCRIPTOR]
    while todo:
        message = todo.pop()
        if message.name not in messages:
            inner = {field.number: field.message_type for field in message.fields if field.message_type}
            messages[message.name] = {number: kind.name for number, kind in inner.items()}
            todo += inner.values()
    leading: set[str] = set()
    reaches = {"TensorProto"}
    while reaches != leading:
        leading = set(reaches)
        reaches |= {name for name, inner in messages.items() if leading & set(inner.values())}
    for name in reaches - {"TensorProto"}:
        ways = {number: kind for number, kind in messages[name].items() if kind in reaches}
        if name == "ModelProto":
            ways |= {14: "StringStringEntryProto"}
        assert onnx_file.NESTED[name] == ways
    tensor = onnx.TensorProto.DESCRIPTOR.fields_by_name
    assert tensor["external_data"].number == onnx_file.EXTERNAL_DATA
    assert tensor["data_location"].number == onnx_file.DATA_LOCATION


@pytest.mark.parametrize("operator", ["Loop", "Scan"])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_network_that_may_never_end_is_refused(tmp_path: Path, operator: str, hidden: bool):
    """A loop of 2**63 turns ran until the machine was switched off, at its first frame."""
    model = onnx.load(write(tmp_path / "a.onnx"))
    body = helper.make_graph([helper.make_node("Identity", ["go"], ["on"])], "body", [], [])
    node = helper.make_node(operator, ["turns", "go"], ["out"], body=body)
    if hidden:
        node = helper.make_node("If", ["go"], ["out"], then_branch=helper.make_graph([node], "then", [], []))
    model.graph.node.append(node)
    onnx.save(model, tmp_path / "b.onnx")
    with pytest.raises(
        ValueError, match=rf"b.onnx' has a loop \({operator}\), which may never end and is refused"
    ):
        onnx_file.read(tmp_path / "b.onnx", PlainCard)


def test_functions_that_call_each_other_are_refused(tmp_path: Path):
    """Thirty, each of which calls the one before twice, kept onnxruntime busy without end while it loaded them."""
    functions, own, plain = [], helper.make_opsetid("own", 1), helper.make_opsetid("", 17)
    for number in range(30):
        inner, domain = (f"F{number - 1}", "own") if number else ("Relu", "")
        calls = [
            helper.make_node(inner, [a], [b], domain=domain) for a, b in (("x", "between"), ("between", "y"))
        ]
        functions.append(helper.make_function("own", f"F{number}", ["x"], ["y"], calls, [plain, own]))
    model = onnx.load(write(tmp_path / "a.onnx"))
    model.functions.extend(functions)
    model.opset_import.append(own)
    model.graph.node.append(helper.make_node("F29", ["joints"], ["never"], domain="own"))
    onnx.save(model, tmp_path / "b.onnx")
    with pytest.raises(ValueError, match="b.onnx' has functions of its own, which may never end"):
        onnx_file.read(tmp_path / "b.onnx", PlainCard)
