"""What computes a lifting network: onnxruntime or torch, on a CPU or a GPU; see `pose_core.runtime`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from lift3d_node.model_card import ModelCard
from lift3d_node.params import BACKENDS
from pose_core import runtime
from pose_core.runtime import DEVICES, Outputs, State, library, try_out

Session = runtime.Session[ModelCard]

SUFFIXES = {".onnx": "onnxruntime", ".pt": "torch"}
"""Which backend runs a file."""


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
    try_out(session, path)
    return session


class OnnxSession(runtime.OnnxSession[ModelCard]):
    """onnxruntime with a lifting network."""

    def __init__(self, path: str | os.PathLike[str], device: str = "auto") -> None:
        """Raises ValueError as `open_session`."""
        super().__init__(
            path, ModelCard, device, "install it, or set model to a .pt file to run it with torch"
        )


class TorchSession(Session):
    """torch, with weights as they were trained; `compile_` lets it generate code for this machine, for some minutes."""

    def __init__(self, path: str | os.PathLike[str], device: str = "auto", compile_: bool = False) -> None:
        """Raises ValueError as `open_session`."""
        torch = library(
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
