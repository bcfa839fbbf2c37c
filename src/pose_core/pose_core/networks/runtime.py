"""What computes a network: onnxruntime on a CPU or a GPU, behind one small interface that other libraries may stand behind too.

A library is imported when a session is opened, so that whoever needs no network never loads it. A device that is asked for and
not there is an error; only `auto` chooses, and the session says what runs.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple

import numpy as np

from pose_core.assets import cache_dir
from pose_core.networks import onnx_file
from pose_core.networks.model_card import C, Card
from pose_core.types import Array

Outputs = dict[str, Array]
State = list[Array]

DEVICES = ("auto", "cpu", "cuda", "tensorrt")

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


class Session(ABC, Generic[C]):
    """A loaded network. Without memory: the state goes in and comes out."""

    card: C
    device: str
    """What really computes: cpu, cuda or tensorrt."""
    failures: tuple[type[Exception], ...]
    """What the library raises for a network that it cannot run."""

    @abstractmethod
    def run(self, joints: Array, context: Array, state: State) -> tuple[Outputs, State]:
        """Outputs (N, ...) and next state of N people's next frame: `joints` (N, J, F), `context` (N, C), `state` (N, ...).

        All float32, as the encoding of the stage makes them.
        """


def empty_state(card: Card, people: int) -> State:
    """State (N, ...) before anybody's first frame."""
    return [np.zeros((people, *shape), np.float32) for shape in card.state]


class OnnxSession(Session[C]):
    """onnxruntime, on one thread: the networks are so small that a second one costs more than it gives."""

    def __init__(
        self, path: str | os.PathLike[str], kind: type[C], device: str = "auto", remedy: str = "install it"
    ) -> None:
        """`kind`: card that the file must have. `remedy`: what to do where onnxruntime is not installed.

        Raises ValueError for a file or device that is not there, and for a file that is not what its card says.
        """
        self.card, content = onnx_file.read(path, kind)
        opened = open_network(
            content, str(path), device, remedy, lambda provider: _settings(provider, self.card)
        )
        self._session, self.device, self.failures = opened
        self._inputs, self._outputs = self.card.input_names, self.card.output_names
        for what, expected, found in (
            ("inputs", self._inputs, [node.name for node in self._session.get_inputs()]),
            ("outputs", self._outputs, [node.name for node in self._session.get_outputs()]),
        ):
            if found != expected:
                raise ValueError(
                    f"model file '{path}' has {what} {', '.join(found)}, its model card says {', '.join(expected)}"
                )

    def run(self, joints: Array, context: Array, state: State) -> tuple[Outputs, State]:
        feed = dict(zip(self._inputs, [joints, context, *state], strict=True))
        results = self._session.run(self._outputs, feed)
        told = len(self.card.outputs)
        return dict(zip(self.card.outputs, results[:told], strict=True)), results[told:]


def try_out(session: Session[C], path: str | os.PathLike[str]) -> None:
    """Run frames in which nothing is seen. Raises ValueError where the network fails or gives something else than its card."""
    card = session.card
    for people in WARM_UP:
        joints, context = (np.zeros((people, *shape), np.float32) for shape in card.inputs.values())
        try:
            outputs, state = session.run(joints, context, empty_state(card, people))
        except session.failures as error:
            raise ValueError(f"model file '{path}' fails on {session.device}: {error}") from error
        arrays = [(name, outputs[name], shape) for name, shape in card.shapes.items() if name in outputs]
        arrays += [(f"state {i}", *pair) for i, pair in enumerate(zip(state, card.state, strict=True))]
        for name, array, shape in arrays:
            if array.shape != (people, *shape) or not np.isfinite(array).all():
                raise ValueError(
                    f"model file '{path}' gives {name} of shape {array.shape} for {people} people, finite numbers of "
                    f"shape {(people, *shape)} are needed; export it again"
                )


class Opened(NamedTuple):
    """A network that onnxruntime has loaded."""

    session: Any
    """onnxruntime.InferenceSession"""
    device: str
    failures: tuple[type[Exception], ...]
    """What running it may raise."""


def open_network(
    content: bytes,
    path: str,
    device: str = "auto",
    remedy: str = "install it",
    settings: Callable[[str], dict[str, str]] = lambda _provider: {},
) -> Opened:
    """The network in the bytes of the file `path`, on one thread. `settings` of an execution provider, by its name.

    Raises ValueError, where onnxruntime is not installed with the `remedy`; for a network that it cannot load; and for a device
    that is not there.
    """
    ort = _onnxruntime(remedy)
    providers = choose_providers(device, ort.get_available_providers())
    if providers[0] != PROVIDERS["cpu"] and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # CUDA and cuDNN may be wheels, which the system's loader does not know
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; what matters of the rest is checked here
    failures = _errors(ort.capi.onnxruntime_pybind11_state)
    try:
        session = ort.InferenceSession(
            content, options, providers=providers, provider_options=[settings(one) for one in providers]
        )
    except failures as error:
        raise ValueError(f"onnxruntime cannot load model file '{path}': {error}") from error
    runs = _device_of(session.get_providers())
    if device not in ("auto", runs):
        raise ValueError(
            f"device {device} was asked for, but onnxruntime could not start it and would run on {runs}; "
            "see its log above, or set device to auto"
        )
    return Opened(session, runs, failures)


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


def _onnxruntime(remedy: str) -> Any:
    """The library. Raises ValueError with the `remedy` where it is not installed."""
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise ValueError(f"onnxruntime is not installed: {remedy}") from error
    return onnxruntime


def _errors(module: Any) -> tuple[type[Exception], ...]:
    """onnxruntime's own exceptions, which have no base in common."""
    return tuple(
        kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Exception)
    )


def _device_of(providers: Sequence[str]) -> str:
    """The device of the first provider that runs."""
    return next(device for device, provider in PROVIDERS.items() if provider == providers[0])


def _settings(provider: str, card: Card) -> dict[str, str]:
    """TensorRT builds for a range of batches and keeps what it built; the others need nothing said."""
    if provider != PROVIDERS["tensorrt"]:
        return {}
    shapes = (*card.inputs.values(), *card.state)

    def profile(people: int) -> str:
        sized = zip(card.input_names, shapes, strict=True)
        return ",".join(f"{name}:{'x'.join(map(str, (people, *shape)))}" for name, shape in sized)

    return {
        "trt_profile_min_shapes": profile(1),
        "trt_profile_opt_shapes": profile(1),
        "trt_profile_max_shapes": profile(MOST_PEOPLE),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache_dir() / "tensorrt"),
    }
