"""The backend torch of lifters: entry point `torch` of `pose_pipeline.backends`."""

from __future__ import annotations

import os

import numpy as np

from lift3d_node.learned.backends import Session
from pose_core.networks.runtime import Outputs, State


class TorchSession(Session):
    """torch, with weights as they were trained; `compile_` lets it generate code for this machine, for some minutes."""

    def __init__(self, path: str | os.PathLike[str], device: str = "auto", compile_: bool = False) -> None:
        """Raises ValueError as `open_session`."""
        try:
            import torch
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise ValueError(
                "torch is not installed: install it, or export the model with pose export-model to run it with onnxruntime"
            ) from error
        if device == "tensorrt":
            raise ValueError("device tensorrt needs backend onnxruntime: set model to a .onnx file")
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device cuda was asked for, but torch finds no CUDA device; set device to auto")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"

        from pose_train.lifter.family import FAMILY
        from pose_train.trunk.checkpoint import load_of

        self.card, network = load_of(FAMILY, path)
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
