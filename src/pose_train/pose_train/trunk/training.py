"""Trains a network on numbered batches: restartable, reproducible, on CPU or GPU.

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from pose_train.trunk import checkpoint
from pose_train.trunk.batch import Batch, on_device
from pose_train.trunk.network import N
from pose_train.trunk.task import T, Task, Told

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
MOST = 2**31 - 1
"""Parameters of glibc's mallopt (malloc.h), and the largest value it takes."""

STATE_FILE, WEIGHTS_FILE, LOG_FILE = "state.pt", "weights.pt", "log.jsonl"


@dataclass(frozen=True)
class Failure:
    """Why there are no batches; torch would wrap the error of another process into a page of text."""

    sentence: str


class Batches(IterableDataset[Batch | Failure]):
    """Batches `start`, `start + 1`, ... up to the recipe's last; a `Failure` alone where the data cannot be read."""

    def __init__(self, task: Task, start: int) -> None:
        self.task = task
        self._start = start

    def __iter__(self) -> Iterator[Batch | Failure]:
        if torch.utils.data.get_worker_info():
            # An interrupt is for the process that trains; it ends this one.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            torch.set_num_threads(1)
        recipe = self.task.recipe
        try:
            make = self.task.maker()
        except (ValueError, OSError) as error:
            yield Failure(str(error))
            return
        for number in range(self._start, recipe.steps):
            random = np.random.default_rng((self.task.seed, number))
            yield make(int(random.choice(recipe.clip_lengths, p=recipe.shares(number))), random)


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


class Training(Generic[N, T]):
    """One run in one folder. Goes on where an earlier run in that folder ended."""

    def __init__(self, network: N, task: T, folder: Path, device: str = "cpu", workers: int = 1) -> None:
        """Raises ValueError where the folder holds a run of another network, recipe or seed."""
        self.network = network.to(device)
        self.step = 0
        self.task = task
        self._recipe, self._folder, self._workers = task.recipe, folder, workers
        self._device = torch.device(device)
        self._loss = task.measure(network)
        self._optimizer = torch.optim.AdamW(
            network.parameters(), lr=task.recipe.rate, weight_decay=task.recipe.decay, fused=True
        )
        self._mean = copy.deepcopy(self.network).requires_grad_(False)
        self._best, self._bad, self._factor = math.inf, 0, 1.0
        self._best_weights: dict[str, Tensor] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / STATE_FILE).exists():
            self._resume()

    @property
    def result(self) -> N:
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
        judged_by = self.task.validation()
        batches = DataLoader(
            Batches(self.task, self.step),
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
                measured = self.task.judge(self._mean, judged_by)
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
        value = next(iter(measured.values()))
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
            **self.task.identity(),
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
