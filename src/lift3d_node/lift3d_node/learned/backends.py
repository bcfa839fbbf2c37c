"""What computes a lifting network, on a CPU or a GPU: onnxruntime, or torch, which `pose_train` brings through a door.

See `pose_core.networks.runtime` and `pose_core.doors`.
"""

from __future__ import annotations

import os
from pathlib import Path

from lift3d_node.learned.model_card import ModelCard
from lift3d_node.params import BACKENDS
from pose_core import doors
from pose_core.networks import runtime
from pose_core.networks.runtime import DEVICES, try_out

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
        session = _torch(path, device, compile_)
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


def _torch(path: str | os.PathLike[str], device: str, compile_: bool) -> Session:
    if "torch" not in doors.names(doors.BACKENDS):
        raise ValueError(
            f"'{path}' needs the backend torch, which package pose_train brings: install it, or export the model with "
            "pose export-model to run it with onnxruntime"
        )
    session: Session = doors.load(doors.BACKENDS, "torch")(path, device, compile_)
    return session
