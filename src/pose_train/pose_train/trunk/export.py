"""Trained networks as files that run without this code: ONNX for the stages, TorchScript for programs of one's own.

Both hold one step: joints, context and the state of the frame before in, outputs and the next state out, for any number of
people. What was written is run again beside the network before anything is said to be exported.
"""

from __future__ import annotations

import copy
import io
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from pose_core.files import write_whole
from pose_core.networks import sums
from pose_core.networks.model_card import Card
from pose_train.trunk.checkpoint import load
from pose_train.trunk.family import family_of
from pose_train.trunk.network import StreamingNetwork

OPSET = 17
"""The newest that torch's exporter writes without onnxscript and every onnxruntime in use reads."""

SMALLEST_HALF = 64
"""Weights of fewer numbers stay as they are: the conversion would cost more than it saves."""

TOLERANCE = 1e-4
"""Largest difference from the network that is allowed, relative to 1 + the number."""

HALF_TOLERANCE = 1e-3
"""The same of weights of 16 bits, for the root mean square; in heights under 2 mm. Their rounding alone gives a third of it."""

FRAMES, BATCHES = 6, (1, 2, 5)
"""How long, and for how many people at once, a file is compared with its network."""


@dataclass(frozen=True)
class Difference:
    """Between what a file and its network give, outputs and state, relative to 1 + the number."""

    largest: float
    rms: float


def convert(file: Path, out: Path, half: bool = True) -> str:
    """Write the network of a checkpoint to `out`, in the form that its ending says; a sentence about it.

    Raises ValueError for another ending, and for a checkpoint that cannot be used.
    """
    _, card, network = load(file)
    if out.suffix == ".onnx":
        difference = to_onnx(network, card, out, half)
    elif out.suffix == ".ts":
        difference = to_torchscript(network, card, out)
    else:
        raise ValueError(f"the file to write must end in .onnx or .ts, got '{out}'")
    return f"{out}: '{card.network}', largest difference from the network {difference.largest:.2g}"


def to_onnx(
    network: StreamingNetwork, card: Card, path: str | os.PathLike[str], half: bool = True
) -> Difference:
    """Write the network as one ONNX file with its card inside; returns how far it is from the network.

    `half`: weights are stored in 16 bits, which halves the file, and computed with in 32. The same network gives the same
    bytes. Raises ValueError, and writes nothing, where the card is not the network's or the file would compute something else.
    """
    network = _for_export(network, card)
    buffer = io.BytesIO()
    names = {"input_names": card.input_names, "output_names": card.output_names}
    with _tracing(card):
        torch.onnx.export(
            _Step(network, card),
            tuple(_example(card, 2)),
            buffer,
            opset_version=OPSET,
            dynamic_axes={name: {0: "batch"} for port in names.values() for name in port},
            dynamo=False,
            **names,
        )
    model = onnx.load_from_string(buffer.getvalue())
    # Where the code was that made a node is no business of whoever runs it.
    for node in model.graph.node:
        node.ClearField("doc_string")
    helper.set_model_props(model, {card.KEY: card.to_json()})
    difference = _checked(_onnx_difference(network, card, model), card)
    if half:
        _store_half(model.graph)
        difference = _onnx_difference(network, card, model)
        if not difference.rms <= HALF_TOLERANCE:
            raise ValueError(
                f"with weights of 16 bits '{card.network}' differs by {difference.rms:.2g}, more than {HALF_TOLERANCE:g}; "
                "export it without half"
            )
    onnx.checker.check_model(model, full_check=True)
    write_whole(path, model.SerializeToString(deterministic=True))
    sums.state(path)
    return difference


def to_torchscript(network: StreamingNetwork, card: Card, path: str | os.PathLike[str]) -> Difference:
    """Write the network as a TorchScript archive with its card as an extra file; returns how far it is from the network.

    `torch.jit.load(path, _extra_files={card.KEY: ""})` gives a function of the same inputs and outputs as the
    ONNX file. Raises ValueError as `to_onnx`.
    """
    network = _for_export(network, card)
    buffer = io.BytesIO()
    with _tracing(card):
        traced = torch.jit.trace(_Step(network, card), tuple(_example(card, 2)), check_trace=False)
        torch.jit.save(traced, buffer, _extra_files={card.KEY: card.to_json()})
        buffer.seek(0)
        script = torch.jit.load(buffer)
    difference = _checked(_difference(network, card, script), card)
    write_whole(path, buffer.getvalue())
    return difference


class _Step(nn.Module):
    """One step as a function of tensors alone, in the order of the file's inputs and outputs."""

    def __init__(self, network: StreamingNetwork, card: Card) -> None:
        super().__init__()
        self.network = network
        self.names = card.outputs
        # The exporter gives every part back the mode of the whole, which would let dropout drop.
        self.eval()

    def forward(self, joints: Tensor, context: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        outputs, after = self.network.step(joints, context, list(state))
        return (*(outputs[name] for name in self.names), *after)


def _for_export(network: StreamingNetwork, card: Card) -> StreamingNetwork:
    network = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    family = family_of(card)
    if not isinstance(network, family.network):
        raise ValueError(f"a card of {card.KEY} is not that of a {type(network).__name__}")
    family.check_fit(card, network)
    return network


@contextmanager
def _tracing(card: Card) -> Iterator[None]:
    """A branch of Python on a tensor is exported as it went once, of which torch only warns. Its own are sound."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", torch.jit.TracerWarning)
        # The successors of this exporter and of TorchScript need onnxscript, and write no TorchScript.
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
    for warning in told:
        elsewhere = Path(torch.__file__).parent not in Path(warning.filename).parents
        if elsewhere and "to a Python boolean" in str(warning.message):
            raise ValueError(
                f"network '{card.network}' cannot be exported: {Path(warning.filename).name}, line {warning.lineno}, "
                "branches on a tensor; use torch.where, or a size that the configuration gives"
            )


def _example(card: Card, people: int, seed: int = 0) -> list[Tensor]:
    """What the family tries its networks with, and the empty state."""
    return [
        *family_of(card).example(card, people, seed),
        *(torch.zeros(people, *shape) for shape in card.state),
    ]


def _store_half(graph: onnx.GraphProto) -> None:
    """Replace weights by ones of 16 bits and a conversion back, which runs once, when the file is opened."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < SMALLEST_HALF or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _onnx_difference(network: StreamingNetwork, card: Card, model: onnx.ModelProto) -> Difference:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def step(*inputs: Tensor) -> list[Tensor]:
        feed = {name: tensor.numpy() for name, tensor in zip(card.input_names, inputs, strict=True)}
        return [torch.from_numpy(array) for array in session.run(card.output_names, feed)]

    return _difference(network, card, step)


@torch.no_grad()
def _difference(network: StreamingNetwork, card: Card, step: Callable[..., Sequence[Tensor]]) -> Difference:
    """`step` against the network, each going on with its own state."""
    exact = _Step(network, card)
    told = len(card.outputs)
    found = []
    for people in BATCHES:
        state = other = _example(card, people)[2:]
        for frame in range(FRAMES):
            joints, context = _example(card, people, seed=1 + frame)[:2]
            expected, given = exact(joints, context, *state), step(joints, context, *other)
            for right, got in zip(expected, given, strict=True):
                if got.shape != right.shape:
                    return Difference(math.inf, math.inf)
                found.append(((got - right).abs() / (1.0 + right.abs())).flatten())
            state, other = list(expected[told:]), list(given[told:])
    differences = torch.nan_to_num(torch.cat(found).double(), nan=torch.inf)
    return Difference(float(differences.max()), float(differences.square().mean().sqrt()))


def _checked(difference: Difference, card: Card) -> Difference:
    if not difference.largest <= TOLERANCE:
        raise ValueError(
            f"'{card.network}' as exported differs from the network by {difference.largest:.2g}, more than {TOLERANCE:g}; "
            "its step must use tensor operations alone"
        )
    return difference
