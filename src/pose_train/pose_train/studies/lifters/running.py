"""What a lifter costs: size, operations and times."""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lift3d_node.learned import backends, encoding
from lift3d_node.learned.network_lifter import NetworkLifter
from lift3d_node.params import Lift3DParams
from pose_core.config import build
from pose_core.geometry.camera import Camera
from pose_core.networks import runtime
from pose_core.people import People2D, Person2D
from pose_core.skeleton import SKELETONS
from pose_train.lifter.family import FAMILY
from pose_train.lifter.network import LiftingNetwork
from pose_train.studies.lifters.candidates import Candidate
from pose_train.studies.lifters.scenes import Settings
from pose_train.studies.scores import PEOPLE, Cost
from pose_train.trunk import checkpoint, export
from pose_train.trunk.network import parameters


def cost(candidate: Candidate, settings: Settings) -> Cost:
    """Size, operations and times of a network; one that was not exported is, for that."""
    card = candidate.card
    kind = FAMILY.find(card.network)
    bare = kind(build(kind.Config, dict(card.config))).eval()
    with tempfile.TemporaryDirectory() as folder:
        file = candidate.onnx or Path(folder) / f"{candidate.name}.onnx"
        if candidate.onnx is None:
            assert candidate.checkpoint is not None  # a candidate has one of them
            _, trained = checkpoint.load_of(FAMILY, candidate.checkpoint)
            export.to_onnx(trained, card, file)
        session = backends.OnnxSession(file, "cpu")
        size = file.stat().st_size
    repeats = settings.timings
    return Cost(
        parameters=parameters(bare),
        macs=macs(bare),
        bytes=size,
        look_ahead=card.look_ahead,
        one_ms=time_of(_frame(session, 1), repeats),
        batch_ms=time_of(_frame(session, PEOPLE), repeats) / PEOPLE,
        lift_ms=None if card.look_ahead else time_of(_lifting(session), repeats),
    )


@torch.no_grad()
def macs(trained: LiftingNetwork) -> int:
    """Multiply-accumulate operations of one `step` of one person: matrix products and convolutions, counted by torch."""
    joints = torch.zeros(1, len(SKELETONS.get(trained.skeleton_in)), 3)
    context = torch.zeros(1, len(encoding.context_names(dataclasses.asdict(trained.config))))
    counter = FlopCounterMode(display=False)
    recurrent: list[int] = []

    def count(layer: torch.nn.Module, given: tuple[torch.Tensor, ...], _out: object) -> None:
        frames = given[0].shape[:-1].numel()
        recurrent.append(frames * sum(weight.numel() for weight in layer.parameters() if weight.ndim > 1))

    layers = [layer for layer in trained.modules() if isinstance(layer, torch.nn.LSTM)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    # Torch does not count what it computes in one piece: attention unless it is told to, and LSTM layers.
    with sdpa_kernel(SDPBackend.MATH), counter:
        trained.step(joints, context, trained.initial(1))
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() // 2 + sum(recurrent)


def time_of(call: Callable[[], object], repeats: int) -> float:
    """Median time of `call` in ms, after a tenth as many calls to warm up."""
    for _ in range(max(repeats // 10, 1)):
        call()
    durations = []
    for _ in range(repeats):
        start = time.perf_counter_ns()
        call()
        durations.append(time.perf_counter_ns() - start)
    return statistics.median(durations) / 1e6


def _frame(session: backends.Session, people: int) -> Callable[[], object]:
    """One call of the network on random keypoints, each continuing the one before."""
    card = session.card
    random = np.random.default_rng(0)
    joints = random.standard_normal((people, len(SKELETONS.get(card.skeleton_in)), 3), np.float32)
    joints[..., 2] = 1.0
    context = np.zeros((people, len(encoding.context_names(card.config))), np.float32)
    state = [runtime.empty_state(card, people)]

    def call() -> None:
        _, state[0] = session.run(joints, context, state[0])

    return call


def _lifting(session: backends.Session) -> Callable[[], object]:
    """One image of one person through the whole lifter."""
    lifter = NetworkLifter(Lift3DParams(), session)
    camera = Camera.from_field_of_view(1280, 720, 60.0)
    joints = len(SKELETONS.get(session.card.skeleton_in))
    xy_px = np.random.default_rng(0).uniform((400.0, 100.0), (800.0, 700.0), (joints, 2))
    person = Person2D("p1", 1.0, np.array([400.0, 100.0, 800.0, 700.0]), xy_px, np.ones(joints))
    number = [0]

    def call() -> None:
        number[0] += 1
        stamp = number[0] * 33_333_333
        lifter.lift(People2D(stamp, "camera", session.card.skeleton_in, 1280, 720, (person,)), camera, None)

    return call
