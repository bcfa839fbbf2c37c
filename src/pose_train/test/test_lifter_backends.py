from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from lift3d_node.learned.backends import OnnxSession, open_session
from lift3d_node.learned.model_card import ModelCard
from pose_core.networks.runtime import empty_state
from pose_train.lifter.torch_session import TorchSession
from pose_train.trunk import checkpoint

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@pytest.fixture(params=["onnx", "pt"])
def model(request, tmp_path: Path, tiny_onnx, tiny_network, tiny_card: ModelCard) -> Path:
    """The tiny network, which gives 2 (keypoints + half of those before), in a file for either backend."""
    path = tmp_path / f"tiny.{request.param}"
    if request.param == "onnx":
        return tiny_onnx(path)
    network = tiny_network.Tiny(tiny_network.Config(gain=2.0))
    checkpoint.save(path, checkpoint.Checkpoint(tiny_card, network.state_dict()))
    return path


def numbers(people: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(people).normal(size=(people, *shape)).astype(np.float32)


def test_outputs_and_state_are_those_of_the_network(model: Path, tiny_card: ModelCard) -> None:
    session = open_session(model)
    assert (session.card, session.device) == (tiny_card, "cpu")
    first, second = numbers(3, 33, 3), numbers(3, 33, 3)[::-1].copy()
    context = np.zeros((3, 5), np.float32)
    outputs, state = session.run(first, context, empty_state(session.card, 3))
    assert list(outputs) == ["xyz", "log_std"]
    np.testing.assert_allclose(outputs["xyz"], 2.0 * first, rtol=1e-6)
    np.testing.assert_allclose(outputs["log_std"], np.broadcast_to([-3.0, -2.0], (3, 33, 2)))
    outputs, state = session.run(second, context, state)
    np.testing.assert_allclose(outputs["xyz"], 2.0 * second + first, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(state[0], second)
    assert outputs["xyz"].dtype == state[0].dtype == np.float32


def test_a_person_does_not_depend_on_the_batch(model: Path) -> None:
    session = open_session(model)
    joints, before = numbers(3, 33, 3), numbers(4, 33, 3)[:3]
    together, state = session.run(joints, np.zeros((3, 5), np.float32), [before])
    for i in range(3):
        alone, own = session.run(joints[i : i + 1], np.zeros((1, 5), np.float32), [before[i : i + 1]])
        np.testing.assert_array_equal(alone["xyz"][0], together["xyz"][i])
        np.testing.assert_array_equal(own[0][0], state[0][i])


def test_threads_of_torch_stay_as_they_were(model: Path) -> None:
    before = torch.get_num_threads()
    open_session(model)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "tiny.onnx",
            {"backend": "torch"},
            "backend torch runs .pt files, got .*set model to the checkpoint",
        ),
        (
            "tiny.pt",
            {"backend": "onnxruntime"},
            "backend onnxruntime runs .onnx files, got .*pose export-model",
        ),
        ("tiny.onnx", {"compile_": True}, "compile needs the torch backend"),
        ("tiny.ts", {}, "must be a file that ends in .onnx or .pt, got"),
        ("tiny.onnx", {"backend": "tflite"}, "backend must be one of auto, onnxruntime, torch, got 'tflite'"),
        ("tiny.onnx", {"device": "gpu"}, "device must be one of auto, cpu, cuda, tensorrt, got 'gpu'"),
        ("none.onnx", {}, "none.onnx' cannot be read: No such file"),
    ],
)
def test_what_does_not_go_together_is_refused(
    name: str, options: dict, said: str, tiny_onnx, tmp_path: Path
) -> None:
    tiny_onnx(tmp_path / "tiny.onnx")
    with pytest.raises(ValueError, match=said):
        open_session(tmp_path / name, **options)


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_gpu_that_is_not_there_is_an_error(
    device: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = (
        "set model to a .onnx file" if (model.suffix, device) == (".pt", "tensorrt") else "set device to auto"
    )
    with pytest.raises(ValueError, match=f"device {device} .*{said}"):
        open_session(model, device=device)


@pytest.mark.skipif(
    CUDA in onnxruntime.get_available_providers(), reason="a CUDA build of onnxruntime starts it"
)
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_gpu_that_does_not_start_is_an_error_unless_auto(
    tiny_onnx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CUDA build without the driver falls back to the CPU by itself and only logs it."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    path = tiny_onnx(tmp_path / "a.onnx")
    with pytest.raises(
        ValueError, match="device cuda was asked for, but onnxruntime could not start it and would run on cpu"
    ):
        open_session(path, device="cuda")
    assert open_session(path, device="auto").device == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_what_the_cpu_gives(model: Path) -> None:
    if model.suffix == ".onnx" and CUDA not in onnxruntime.get_available_providers():
        pytest.skip("needs a CUDA build of onnxruntime")
    joints, context = numbers(2, 33, 3), np.zeros((2, 5), np.float32)
    there, here = open_session(model, device="cuda"), open_session(model, device="cpu")
    assert there.device == "cuda"
    state = empty_state(here.card, 2)
    np.testing.assert_allclose(
        there.run(joints, context, state)[0]["xyz"], here.run(joints, context, state)[0]["xyz"], atol=1e-5
    )


def test_compiled_gives_the_same(
    tiny_network, tiny_card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced by torch's compiler, with its own interpreter in place of a C++ compiler, which not every machine has."""
    asked = []
    interpreted = functools.partial(torch.compile, backend="eager")

    def compile_(function, **options):
        asked.append(options)
        return interpreted(function, **options)

    monkeypatch.setattr(torch, "compile", compile_)
    path = tmp_path / "tiny.pt"
    network = tiny_network.Tiny(tiny_network.Config(gain=2.0))
    checkpoint.save(path, checkpoint.Checkpoint(tiny_card, network.state_dict()))
    session = open_session(path, compile_=True)
    assert asked == [{"dynamic": True}]
    joints = numbers(4, 33, 3)
    outputs, _ = session.run(joints, np.zeros((4, 5), np.float32), [joints])
    np.testing.assert_allclose(outputs["xyz"], 3.0 * joints, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"outputs": ("xyz", "ratios")},
            "has outputs xyz, log_std, next_state_0, its model card says xyz, ratios",
        ),
        ({"state": ()}, "has inputs joints, context, state_0, its model card says joints, context$"),
        ({"state": ((33, 2),)}, "fails on cpu"),
        ({"skeleton_in": "coco17"}, "fails on cpu"),
        ({"skeleton_out": "coco17"}, r"gives xyz of shape \(1, 33, 3\) for 1 people"),
    ],
)
def test_a_card_that_does_not_fit_its_graph_is_refused(
    changes: dict, said: str, tiny_onnx, tiny_card: ModelCard, tmp_path: Path
) -> None:
    card = replace(tiny_card, std=(0.1,), **changes)
    with pytest.raises(ValueError, match=said):
        open_session(tiny_onnx(tmp_path / "a.onnx", card))


def test_weights_that_are_no_numbers_are_refused(tiny_onnx, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gives xyz of shape .* finite numbers"):
        open_session(tiny_onnx(tmp_path / "a.onnx", gain=float("nan")))


def test_a_graph_that_onnxruntime_cannot_read_is_refused(tiny_onnx, tmp_path: Path) -> None:
    import onnx

    path = tiny_onnx(tmp_path / "a.onnx")
    model = onnx.load(path)
    model.graph.node[0].op_type = "Mull"
    onnx.save(model, path)
    with pytest.raises(ValueError, match="onnxruntime cannot load model file .*a.onnx"):
        open_session(path)


@pytest.mark.parametrize(("kind", "library"), [(OnnxSession, "onnxruntime"), (TorchSession, "torch")])
def test_a_library_that_is_not_installed_is_named(
    kind, library: str, tiny_onnx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ValueError, match=f"{library} is not installed: install it, or"):
        kind(tiny_onnx(tmp_path / "a.onnx"))


def test_lifting_with_onnxruntime_never_loads_torch(tiny_onnx, tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "tiny.onnx")
    program = f"""
import sys
import lift3d_node.node
from lift3d_node.params import Lift3DParams
from lift3d_node.pipeline import PeopleLifter
PeopleLifter(Lift3DParams(lifter="mediapipe_world"))
assert not {{"torch", "onnxruntime"}} & set(sys.modules)
assert PeopleLifter(Lift3DParams(model={str(path)!r})).lifter.name == "tiny"
assert "onnxruntime" in sys.modules and not {{"torch", "onnx"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
