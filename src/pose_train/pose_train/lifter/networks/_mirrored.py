"""Layers for networks that give the mirrored person for the mirrored keypoints, whatever their weights.

A body seen in a mirror is a body again, so half of what a network would have to learn from examples can be built in. Features
come in pairs, one for each side, that change places under the mirror; written as what the sides have in common and in what they
differ, a linear layer that keeps the symmetry is two of half the width, at half the cost. After R. Yeh, Y.-T. Hu,
A. Schwing: Chirality nets for human pose regression, NeurIPS 2019, section 3, in the basis where the shared weights are diagonal.

Features are tensors (2, N, C): common and different parts of C pairs of features of N frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_core.skeleton import SKELETONS

HALF = 0.5**0.5


@dataclass(frozen=True)
class Mirror:
    """What a mirror does to a vector: `sign * vector[order]`, its own inverse."""

    order: np.ndarray  # (n,) intp
    sign: np.ndarray  # (n,) 1 or -1

    @classmethod
    def of_rows(cls, flip: np.ndarray, signs: np.ndarray) -> Mirror:
        """Rows (R, k) that change places by `flip` (R,), laid out one after the other, with `signs` (k,) or (R, k)."""
        rows, numbers = len(flip), np.shape(signs)[-1]
        order = flip[:, None] * numbers + np.arange(numbers)
        return cls(order.ravel(), np.broadcast_to(signs, (rows, numbers)).ravel())

    @classmethod
    def of_joints(cls, skeleton: str, *signs: float) -> Mirror:
        """The joints of a skeleton with as many numbers each as `signs`."""
        return cls.of_rows(SKELETONS.get(skeleton).flip, np.array(signs))

    @classmethod
    def alone(cls, *signs: float) -> Mirror:
        """Numbers that keep their places."""
        return cls(np.arange(len(signs)), np.array(signs))

    def __add__(self, other: Mirror) -> Mirror:
        """Of two vectors, one after the other."""
        return Mirror(
            np.concatenate([self.order, other.order + len(self.order)]),
            np.concatenate([self.sign, other.sign]),
        )

    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """(even, n) and (odd, n) float32: orthonormal directions that the mirror keeps, and those that it turns around."""
        unit = np.eye(len(self.order))
        mirrored = (
            self.sign[:, None] * unit[self.order]
        )  # row i: what becomes of direction i; the mirror is symmetric
        first = np.arange(len(self.order)) < self.order
        alone = np.arange(len(self.order)) == self.order
        paired = [HALF * (unit + by * mirrored)[first] for by in (1.0, -1.0)]
        single = [unit[alone & (self.sign * by > 0.0)] for by in (1.0, -1.0)]
        even, odd = (np.concatenate(both).astype(np.float32) for both in zip(paired, single, strict=True))
        return even, odd


# One product of matrices instead of a sum, a difference and their stacking: at one person a frame costs what its operations
# cost to start, whatever they compute.
SIDES = torch.tensor([[HALF, HALF], [HALF, -HALF]])
"""From common and different parts to the two sides, or back: its own inverse."""


def activate(x: Tensor, channels: int) -> Tensor:
    """GELU of each side of (2, N, channels). A number of channels that is stated, not looked up, spares an exported file work."""
    sides = SIDES.to(x)
    return (sides @ functional.gelu(sides @ x.reshape(2, -1))).reshape(2, -1, channels)


class Enter(nn.Module):
    """Numbers (N, n) that a mirror acts on to features."""

    def __init__(self, mirror: Mirror, channels: int) -> None:
        super().__init__()
        even, odd = mirror.parts()
        self.even_part = nn.Buffer(torch.from_numpy(even.T.copy()), persistent=False)
        self.odd_part = nn.Buffer(torch.from_numpy(odd.T.copy()), persistent=False)
        self.even, self.odd = nn.Linear(len(even), channels), nn.Linear(len(odd), channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.even(x @ self.even_part), self.odd(x @ self.odd_part)])


class Leave(nn.Module):
    """Features to numbers (N, n) that a mirror acts on."""

    def __init__(self, mirror: Mirror, channels: int) -> None:
        super().__init__()
        even, odd = mirror.parts()
        self.even_part = nn.Buffer(torch.from_numpy(even), persistent=False)
        self.odd_part = nn.Buffer(torch.from_numpy(odd), persistent=False)
        self.even, self.odd = nn.Linear(channels, len(even)), nn.Linear(channels, len(odd), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.even(x[0]) @ self.even_part + self.odd(x[1]) @ self.odd_part


class Linear(nn.Module):
    """Features to features."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        bound = channels**-0.5
        self.weight = nn.Parameter(torch.empty(2, channels, out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(out))  # of what the sides have in common

    def forward(self, x: Tensor) -> Tensor:
        return torch.bmm(x, self.weight) + with_zeros(self.bias)


def with_zeros(bias: Tensor) -> Tensor:
    """(2, 1, C) what is added to the common parts (C,), and nothing to the different ones."""
    return torch.stack([bias, torch.zeros_like(bias)])[:, None]


class Normal(nn.Module):
    """Features of each frame divided by their root mean square (B. Zhang, R. Sennrich, NeurIPS 2019), then scaled."""

    SMALL = 1e-5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(2, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean((0, 2), keepdim=True) + self.SMALL) * self.gain
