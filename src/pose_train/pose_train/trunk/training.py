"""Trains a network on numbered batches: restartable, reproducible, on CPU or GPU; and what lifting networks learn from.

Batch number i is made from the seed and i alone, in a process of its own, so that an interrupted run goes on with the same data
and ends with the same weights as one that was not interrupted (on the same machine and number of threads).
"""

from __future__ import annotations

import copy
import ctypes
import dataclasses
import json
import math
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from lift3d_node.learned import limbs
from lift3d_node.learned.model_card import CENTRES
from pose_core.files import sha256
from pose_core.measures import metrics
from pose_core.skeleton import SKELETONS
from pose_train.data import detector, mocap
from pose_train.data.samples import Batch, Preparer, answered
from pose_train.data.synthesis import Synthesizer
from pose_train.lifter.loss import Loss
from pose_train.lifter.network import LiftingNetwork
from pose_train.lifter.recipes import Recipe
from pose_train.trunk import checkpoint

PACKS = {split: f"cmu_mocap_{split}.npz" for split in ("train", "val", "test")}
"""Files of the motion capture packs, by split."""

QUIET = 0.3
"""Share of the steps whose detector errs by less than it usually does, by anything between nothing and that: a network that only
knows bad keypoints does not believe good ones."""

VALIDATION_CLIPS, VALIDATION_FRAMES, VALIDATION_SEED = 48, 64, 7
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
MOST = 2**31 - 1
"""Parameters of glibc's mallopt (malloc.h), and the largest value it takes."""

STATE_FILE, WEIGHTS_FILE, LOG_FILE = "state.pt", "weights.pt", "log.jsonl"


Make = Callable[[int, np.random.Generator], Batch]
"""Makes a batch of clips of so many frames."""
Measure = Callable[[dict[str, Tensor], Batch], tuple[Tensor, Mapping[str, float]]]
"""What is to become small, from a network's outputs and the batch they are of; and each of its terms."""


class Task(Protocol):
    """What a network is to learn. Plain data, because another process makes the batches."""

    @property
    def recipe(self) -> Recipe:
        """How it is learnt."""

    @property
    def seed(self) -> int:
        """With a batch's number, all that chance decides of it."""

    def maker(self) -> Make:
        """Opens the data; to be called in the process that makes the batches."""

    def measure(self, network: Any) -> Measure:
        """The loss of `network`."""

    def validation(self) -> Batch:
        """What training is judged by: of other people."""

    def judge(self, network: Any, batch: Batch) -> dict[str, float]:
        """Errors of `network` on `batch`; `mpjpe_mm`, or else `degrees`, says which weights are better."""

    def identity(self) -> dict[str, Any]:
        """What a run that goes on must have in common with the one before, besides the network; plain values."""


@dataclass(frozen=True)
class Source:
    """Where the batches of a lifting network come from: a `Task`."""

    data: Path
    split: str
    skeleton_in: str
    skeleton_out: str
    recipe: Recipe
    seed: int
    config: Mapping[str, object] = field(default_factory=dict)
    """That of the network, of which its input depends on what `Encoder` names."""

    def preparer(self) -> Preparer:
        """Makes what the network takes."""
        return Preparer(self.skeleton_in, self.skeleton_out, self.config)

    def synthesizer(self) -> Synthesizer:
        """Reads the pack."""
        return Synthesizer([mocap.read(self.data / PACKS[self.split])], (CENTRES, self.skeleton_out))

    def maker(self) -> Make:
        """Makes clips of what the pack holds."""
        synthesizer, preparer = self.synthesizer(), self.preparer()

        def make(frames: int, random: np.random.Generator) -> Batch:
            count = max(self.recipe.frames_per_step // frames, 1)
            quiet = random.random() < QUIET
            noise = detector.Noise(amount=random.random()) if quiet else detector.FULL
            clips = synthesizer.clips(count, frames, random, noise)
            return preparer.prepare(clips, clips.stated_up(random))

        return make

    def measure(self, network: LiftingNetwork) -> Measure:
        """`pose_train.lifter.loss`"""
        return Loss(network, self.recipe.weights)

    def validation(self) -> Batch:
        """See `validation`."""
        return validation(self)

    def judge(self, network: LiftingNetwork, batch: Batch) -> dict[str, float]:
        """See `judge`."""
        return judge(network, batch)

    def identity(self) -> dict[str, Any]:
        """Data, recipe and seed."""
        packs = {split: sha256(self.data / PACKS[split]) for split in (self.split, "val")}
        return {"data": packs, "recipe": dataclasses.asdict(self.recipe), "seed": self.seed}


@dataclass(frozen=True)
class Failure:
    """Why there are no batches; torch would wrap the error of another process into a page of text."""

    sentence: str


class Batches(IterableDataset[Batch | Failure]):
    """Batches `start`, `start + 1`, ... up to the recipe's last; a `Failure` alone where the data cannot be read."""

    def __init__(self, source: Task, start: int) -> None:
        self.source = source
        self._start = start

    def __iter__(self) -> Iterator[Batch | Failure]:
        if torch.utils.data.get_worker_info():
            # An interrupt is for the process that trains; it ends this one.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            torch.set_num_threads(1)
        recipe = self.source.recipe
        try:
            make = self.source.maker()
        except (ValueError, OSError) as error:
            yield Failure(str(error))
            return
        for number in range(self._start, recipe.steps):
            random = np.random.default_rng((self.source.seed, number))
            yield make(int(random.choice(recipe.clip_lengths, p=recipe.shares(number))), random)


def validation(source: Source) -> Batch:
    """The clips that training is judged by: of other people, with full noise."""
    random = np.random.default_rng(VALIDATION_SEED)
    synthesizer = dataclasses.replace(source, split="val").synthesizer()
    clips = synthesizer.clips(VALIDATION_CLIPS, VALIDATION_FRAMES, random, detector.FULL)
    return source.preparer().prepare(clips, clips.stated_up(random))


def whole(network: nn.Module, batch: Batch) -> dict[str, np.ndarray]:
    """Outputs (n, T, ...) for whole clips, as the network runs after training, whatever mode it is in."""
    return {name: value.numpy() for name, value in tensors(network, batch).items()}


@torch.no_grad()
def tensors(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """The same as tensors on the CPU."""
    training = network.training
    network.eval()
    device = next(network.parameters()).device
    outputs = network(batch.joints.to(device), batch.context.to(device))
    network.train(training)
    return {name: value.detach().cpu() for name, value in outputs.items()}


def judge(network: LiftingNetwork, batch: Batch) -> dict[str, float]:
    """Errors of `network` on clips: millimetres at the person's true height, degrees, shares."""
    late, batch = answered(tensors(network, batch), batch, network.look_ahead)
    outputs = {name: value.numpy() for name, value in late.items()}
    skeleton = SKELETONS.get(network.skeleton_out)
    truth = batch.target["xyz"].double().numpy()
    true_directions = limbs.directions(truth, skeleton)
    if "xyz" not in outputs:
        given = outputs["limbs"].astype(float)
        angles = limbs.angles(given, true_directions)
        return {
            "degrees": float(np.degrees(np.nanmean(angles))),
            "z_sign": limbs.z_sign_accuracy(given, true_directions),
        }
    xyz = outputs["xyz"].astype(float)
    metres = batch.height.double().numpy()[:, None, None, None]
    error = [
        metrics.acceleration_error(p, q, 1.0, skeleton)
        for p, q in zip(xyz * metres, truth * metres, strict=True)
    ]
    given = limbs.directions(xyz, skeleton)
    return {
        "mpjpe_mm": 1e3 * metrics.mpjpe(xyz * metres, truth * metres, skeleton),
        "pa_mpjpe_mm": 1e3 * metrics.pa_mpjpe(xyz * metres, truth * metres),
        "acceleration_mm": 1e3 * float(np.mean(error)),
        "degrees": float(np.degrees(np.nanmean(limbs.angles(given, true_directions)))),
        "z_sign": limbs.z_sign_accuracy(given, true_directions),
    }


Told = Callable[[int, Mapping[str, float]], None]

Network = TypeVar("Network", bound=nn.Module)
"""With a `config`, called with the joints and the context of a batch."""
What = TypeVar("What", bound=Task)


class Training(Generic[Network, What]):
    """One run in one folder. Goes on where an earlier run in that folder ended."""

    def __init__(
        self, network: Network, source: What, folder: Path, device: str = "cpu", workers: int = 1
    ) -> None:
        """Raises ValueError where the folder holds a run of another network, recipe or seed."""
        self.network = network.to(device)
        self.step = 0
        self.source = source
        self._recipe, self._folder, self._workers = source.recipe, folder, workers
        self._device = torch.device(device)
        self._loss = source.measure(network)
        self._optimizer = torch.optim.AdamW(
            network.parameters(), lr=source.recipe.rate, weight_decay=source.recipe.decay, fused=True
        )
        self._mean = copy.deepcopy(self.network).requires_grad_(False)
        self._best, self._bad, self._factor = math.inf, 0, 1.0
        self._best_weights: dict[str, Tensor] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / STATE_FILE).exists():
            self._resume()

    @property
    def result(self) -> Network:
        """The network with the running mean of its weights; of a run that may stop early, with the best of those so far."""
        if not self._best_weights:
            return self._mean
        best = copy.deepcopy(self._mean)
        best.load_state_dict(self._best_weights)
        return best

    def run(self, told: Told) -> None:
        """Train to the end of the recipe; `told` gets the step and what was measured, after each step and validation.

        An interrupt leaves the last validation's state, from which the next run goes on.
        """
        _keep_memory()
        # Where nothing moves gradients fade to numbers that processors handle slowly. The setting is the whole thread's.
        torch.set_flush_denormal(True)
        try:
            self._run(told)
        finally:
            torch.set_flush_denormal(False)

    def _run(self, told: Told) -> None:
        if self._has_stopped:
            return
        judged_by = self.source.validation()
        batches = DataLoader(
            Batches(self.source, self.step),
            batch_size=None,
            num_workers=self._workers,
            prefetch_factor=4 if self._workers else None,
            multiprocessing_context="spawn" if self._workers else None,
        )
        for batch in batches:
            if isinstance(batch, Failure):
                raise ValueError(batch.sentence)
            told(self.step, self._update(batch))
            self.step += 1
            if self.step % self._recipe.validate_every == 0 or self.step == self._recipe.steps:
                measured = self.source.judge(self._mean, judged_by)
                self._note(measured)
                told(self.step, measured)
                self._save()
                if self._has_stopped:
                    return

    @property
    def _has_stopped(self) -> bool:
        """Whether there was no gain for as long as the recipe waits for one."""
        return 0 < self._recipe.patience <= self._bad

    def _update(self, batch: Batch) -> Mapping[str, float]:
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        batch = on_device(batch, self._device)
        total, terms = self._loss(self.network(batch.joints, batch.context), batch)
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()
        if self._recipe.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self._recipe.clip)
        self._optimizer.step()
        # Early on the mean forgets faster, or it would stay at the random start.
        keep = min(self._recipe.average, (1.0 + self.step) / (10.0 + self.step))
        with torch.no_grad():
            for mean, now in zip(
                self._mean.state_dict().values(), self.network.state_dict().values(), strict=True
            ):
                mean.lerp_(now, 1.0 - keep) if mean.is_floating_point() else mean.copy_(now)
        return {"loss": float(total.detach()), **terms}

    def _rate(self) -> float:
        recipe = self._recipe
        warm = min(1.0, (self.step + 1) / max(recipe.warm_up, 1))
        if recipe.schedule == "plateau":
            return recipe.rate * warm * self._factor
        done = max(self.step - recipe.warm_up, 0) / max(recipe.steps - recipe.warm_up, 1)
        return recipe.rate * warm * 0.5 * (1.0 + math.cos(math.pi * done))

    def _note(self, measured: Mapping[str, float]) -> None:
        with (self._folder / LOG_FILE).open("a") as log:
            log.write(json.dumps({"step": self.step, "rate": self._rate(), **measured}) + "\n")
        value = measured["mpjpe_mm"] if "mpjpe_mm" in measured else measured["degrees"]
        if value < self._best:
            self._best, self._bad = value, 0
            if self._recipe.patience:
                self._best_weights = {
                    name: weight.clone() for name, weight in self._mean.state_dict().items()
                }
        else:
            self._bad += 1
            if self._bad % (self._recipe.plateau_patience + 1) == 0:
                self._factor *= self._recipe.plateau_factor

    def _save(self) -> None:
        state = {
            "what": self._identity(),
            "step": self.step,
            "network": self.network.state_dict(),
            "mean": self._mean.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best": self._best,
            "best_weights": self._best_weights,
            "bad": self._bad,
            "factor": self._factor,
        }
        kept = self._best_weights or self._mean.state_dict()
        for name, content in ((STATE_FILE, state), (WEIGHTS_FILE, kept)):
            part = self._folder / f"{name}.part"
            torch.save(content, part)
            os.replace(part, self._folder / name)

    def _resume(self) -> None:
        file = self._folder / STATE_FILE
        state = checkpoint.plain(file)
        if not isinstance(state, dict) or "what" not in state:
            raise ValueError(f"{file} is no state of a run; name another folder, or remove this one")
        if state["what"] != self._identity():
            raise ValueError(
                f"{self._folder} holds a run of another network, recipe or seed, or on other data; "
                "name another folder, or remove it"
            )
        try:
            self.step = state["step"]
            self.network.load_state_dict(state["network"])
            self._mean.load_state_dict(state["mean"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._best, self._bad, self._factor = state["best"], state["bad"], state["factor"]
            self._best_weights = state["best_weights"]
        except (KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{file} is no whole state of a run; name another folder, or remove this one"
            ) from error

    def _identity(self) -> str:
        what = {
            "network": type(self.network).__module__,
            "config": dataclasses.asdict(self.network.config),
            **self.source.identity(),
        }
        return json.dumps(what, sort_keys=True)


def _keep_memory() -> None:
    """Let the C library keep memory that is freed instead of giving it back to the system.

    The gigabytes of a step are otherwise mapped and cleared anew in every step, which took 30 % of the time.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for parameter, value in ((M_MMAP_THRESHOLD, MOST), (M_TRIM_THRESHOLD, MOST), (M_TOP_PAD, 1 << 28)):
            libc.mallopt(parameter, value)


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on `device`."""
    if device.type == "cpu":
        return batch
    target = {name: value.to(device, non_blocking=True) for name, value in batch.target.items()}
    moved = {
        field.name: getattr(batch, field.name).to(device, non_blocking=True)
        for field in dataclasses.fields(batch)
        if field.name != "target"
    }
    return Batch(target=target, **moved)
