"""What computes a network: onnxruntime or torch, on a CPU or a GPU, behind one small interface.

Libraries are imported when a session is opened, so that whoever lifts without torch never loads it. A device that is asked
for and not there is an error; only `auto` chooses, and the session says what runs.
"""

from __future__ import annotations

import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lift3d_node import encoding, onnx_file
from lift3d_node.limbs import LIMBS
from lift3d_node.model_card import ModelCard
from lift3d_node.params import BACKENDS, DEVICES
from pose_core.assets import cache_dir
from pose_core.skeleton import SKELETONS

Outputs = dict[str, np.ndarray]
State = list[np.ndarray]

SUFFIXES = {".onnx": "onnxruntime", ".pt": "torch"}
"""Which backend runs a file."""

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""Execution providers of onnxruntime by device."""

MOST_PEOPLE = 16
"""People of one image that TensorRT prepares for; more make it build anew, which takes seconds."""

WARM_UP = (1, 2, 3)
"""Batches run before the first image: what is compiled, or fails, does so then. One and many are compiled apart."""


class Session(ABC):
    """A loaded network. Without memory: the state goes in and comes out."""

    card: ModelCard
    device: str
    """What really computes: cpu, cuda or tensorrt."""
    failures: tuple[type[Exception], ...]
    """What the library raises for a network that it cannot run."""

    @abstractmethod
    def run(self, joints: np.ndarray, context: np.ndarray, state: State) -> tuple[Outputs, State]:
        """Outputs (N, ...) and next state of N people's next frame: `joints` (N, J, 3), `context` (N, C), `state` (N, ...).

        All float32, as `lift3d_node.encoding` makes them.
        """


def open_session(
    path: str | os.PathLike[str], backend: str = "auto", device: str = "auto", compile_: bool = False
) -> Session:
    """The network in the file at `path`, tried with a few empty frames.

    Raises ValueError for a file, backend or device that is not there, that do not go together, or a network that fails.
    """
    for name, value, known in (("backend", backend, BACKENDS), ("device", device, DEVICES)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got '{value}'")
    suffix = Path(path).suffix
    if suffix not in SUFFIXES:
        raise ValueError(f"model must be a file that ends in {' or '.join(SUFFIXES)}, got '{path}'")
    if backend not in ("auto", SUFFIXES[suffix]):
        other = next(known for known, runs in SUFFIXES.items() if runs == backend)
        raise ValueError(
            f"backend {backend} runs {other} files, got '{path}': "
            + (
                "export it with pose export-model"
                if other == ".onnx"
                else "set model to the checkpoint of training"
            )
            + ", or set backend to auto"
        )
    session: Session
    if SUFFIXES[suffix] == "torch":
        session = TorchSession(path, device, compile_)
    elif compile_:
        raise ValueError("compile needs the torch backend: set model to a .pt file, or compile to false")
    else:
        session = OnnxSession(path, device)
    _try_out(session, path)
    return session


def empty_state(card: ModelCard, people: int) -> State:
    """State (N, ...) before anybody's first frame."""
    return [np.zeros((people, *shape), np.float32) for shape in card.state]


class OnnxSession(Session):
    """onnxruntime, on one thread: the networks are so small that a second one costs more than it gives."""

    def __init__(self, path: str | os.PathLike[str], device: str = "auto") -> None:
        """Raises ValueError as `open_session`."""
        self.card, content = onnx_file.read(path)
        ort = _library("onnxruntime", "install it, or set model to a .pt file to run it with torch")
        providers = choose_providers(device, ort.get_available_providers())
        if providers[0] != PROVIDERS["cpu"] and hasattr(ort, "preload_dlls"):
            ort.preload_dlls()  # CUDA and cuDNN may be wheels, which the system's loader does not know
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; what matters of the rest is checked here
        settings = [_settings(provider, self.card) for provider in providers]
        self.failures = _errors(ort.capi.onnxruntime_pybind11_state)
        try:
            self._session = ort.InferenceSession(
                content, options, providers=providers, provider_options=settings
            )
        except self.failures as error:
            raise ValueError(f"onnxruntime cannot load model file '{path}': {error}") from error
        self.device = _device_of(self._session.get_providers())
        if device not in ("auto", self.device):
            raise ValueError(
                f"device {device} was asked for, but onnxruntime could not start it and would run on {self.device}; "
                "see its log above, or set device to auto"
            )
        self._inputs, self._outputs = onnx_file.input_names(self.card), onnx_file.output_names(self.card)
        for what, expected, found in (
            ("inputs", self._inputs, [node.name for node in self._session.get_inputs()]),
            ("outputs", self._outputs, [node.name for node in self._session.get_outputs()]),
        ):
            if found != expected:
                raise ValueError(
                    f"model file '{path}' has {what} {', '.join(found)}, its model card says {', '.join(expected)}"
                )

    def run(self, joints: np.ndarray, context: np.ndarray, state: State) -> tuple[Outputs, State]:
        feed = dict(zip(self._inputs, [joints, context, *state], strict=True))
        results = self._session.run(self._outputs, feed)
        told = len(self.card.outputs)
        return dict(zip(self.card.outputs, results[:told], strict=True)), results[told:]


def _errors(library: Any) -> tuple[type[Exception], ...]:
    """onnxruntime's own exceptions, which have no base in common."""
    return tuple(
        kind for kind in vars(library).values() if isinstance(kind, type) and issubclass(kind, Exception)
    )


def choose_providers(device: str, available: Sequence[str]) -> list[str]:
    """Execution providers for `device` among the `available` ones, the CPU last for what a GPU cannot do.

    `auto` takes CUDA where it is there, never TensorRT, which prepares for minutes. Raises ValueError where the device
    is not there.
    """
    if device == "auto":
        device = "cuda" if PROVIDERS["cuda"] in available else "cpu"
    if PROVIDERS[device] not in available:
        raise ValueError(
            f"device {device} was asked for, but this onnxruntime has only {', '.join(available)}; "
            "install onnxruntime-gpu, or set device to auto"
        )
    order = {"cpu": ("cpu",), "cuda": ("cuda", "cpu"), "tensorrt": ("tensorrt", "cuda", "cpu")}[device]
    return [PROVIDERS[name] for name in order if PROVIDERS[name] in available]


def _device_of(providers: Sequence[str]) -> str:
    """The device of the first provider that runs."""
    return next(device for device, provider in PROVIDERS.items() if provider == providers[0])


def _settings(provider: str, card: ModelCard) -> dict[str, str]:
    """TensorRT builds for a range of batches and keeps what it built; the others need nothing said."""
    if provider != PROVIDERS["tensorrt"]:
        return {}
    shapes = (_joints_shape(card), (len(encoding.CONTEXT),), *card.state)

    def profile(people: int) -> str:
        sized = zip(onnx_file.input_names(card), shapes, strict=True)
        return ",".join(f"{name}:{'x'.join(map(str, (people, *shape)))}" for name, shape in sized)

    return {
        "trt_profile_min_shapes": profile(1),
        "trt_profile_opt_shapes": profile(1),
        "trt_profile_max_shapes": profile(MOST_PEOPLE),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache_dir() / "tensorrt"),
    }


class TorchSession(Session):
    """torch, with weights as they were trained; `compile_` lets it generate code for this machine, for some minutes."""

    def __init__(self, path: str | os.PathLike[str], device: str = "auto", compile_: bool = False) -> None:
        """Raises ValueError as `open_session`."""
        torch = _library(
            "torch", "install it, or export the model with pose export-model to run it with onnxruntime"
        )
        if device == "tensorrt":
            raise ValueError("device tensorrt needs backend onnxruntime: set model to a .onnx file")
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device cuda was asked for, but torch finds no CUDA device; set device to auto")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        from lift3d_node import checkpoint

        self.card, network = checkpoint.load(path)
        self.device = device
        self.failures = (RuntimeError,)  # its own are derived from that
        self._torch = torch
        network.to(device)
        self._step = torch.compile(network.step, dynamic=True) if compile_ else network.step

    def run(self, joints: np.ndarray, context: np.ndarray, state: State) -> tuple[Outputs, State]:
        torch = self._torch
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.inference_mode():
                tensors = [torch.from_numpy(array).to(self.device) for array in (joints, context, *state)]
                outputs, after = self._step(tensors[0], tensors[1], tensors[2:])
                return (
                    {name: outputs[name].cpu().numpy() for name in self.card.outputs},
                    [tensor.cpu().numpy() for tensor in after],
                )
        finally:
            torch.set_num_threads(threads)


def _library(name: str, remedy: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ValueError(f"{name} is not installed: {remedy}") from error


def _joints_shape(card: ModelCard) -> tuple[int, int]:
    return (len(SKELETONS.get(card.skeleton_in)), 3)


def _try_out(session: Session, path: str | os.PathLike[str]) -> None:
    """Run frames in which nothing is seen. Raises ValueError where the network fails or gives something else than its card."""
    card = session.card
    joints = len(SKELETONS.get(card.skeleton_out))
    shapes: dict[str, tuple[int, ...]] = {
        "xyz": (joints, 3),
        "log_std": (joints, 2),
        "limbs": (len(LIMBS), 3),
    }
    for people in WARM_UP:
        try:
            outputs, state = session.run(
                np.zeros((people, *_joints_shape(card)), np.float32),
                np.zeros((people, len(encoding.CONTEXT)), np.float32),
                empty_state(card, people),
            )
        except session.failures as error:
            raise ValueError(f"model file '{path}' fails on {session.device}: {error}") from error
        arrays = [(name, outputs[name], shape) for name, shape in shapes.items() if name in outputs]
        arrays += [(f"state {i}", *pair) for i, pair in enumerate(zip(state, card.state, strict=True))]
        for name, array, shape in arrays:
            if array.shape != (people, *shape) or not np.isfinite(array).all():
                raise ValueError(
                    f"model file '{path}' gives {name} of shape {array.shape} for {people} people, finite numbers of "
                    f"shape {(people, *shape)} are needed; export it again"
                )
