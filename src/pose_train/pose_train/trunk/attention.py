"""Attention over frames that can run as a stream: keys and values are kept as they were computed.

What is learnt of time are distances between frames, a bias for each head and distance (P. Shaw et al., NAACL 2018; C. Raffel et
al., JMLR 21, 2020, section 2.1), because a cache of keys allows nothing that changes as the window moves on. They start as the
fixed slopes of O. Press et al. (ALiBi), ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_train.trunk.network import State

UNSEEN = -1e4
"""Score of what a frame must not see. Finite: a frame that sees nothing at all has no meaning, but must not be NaN."""


def delayed(x: Tensor, frames: int) -> Tensor:
    """Frame t of (B, T, D) is that of t - `frames`; zero where there was none yet."""
    return functional.pad(x, (0, 0, frames, 0))[:, : x.shape[1]] if frames else x


def slopes(heads: int, offsets: Tensor) -> Tensor:
    """(H, N) biases to start from, for keys at `offsets` (N,) from the query."""
    return -torch.exp2(-8.0 * torch.arange(1, heads + 1) / heads)[:, None] * offsets.abs()


def band(bias: Tensor, frames: int, past: int, future: int, shift: int = 0) -> Tensor:
    """(H, T, T) scores to add for each query (row) and key: those of `bias` (H, N) for keys from `past` frames before the query
    to `future` after it, the oldest being column `shift`."""
    frame = torch.arange(frames, device=bias.device)
    place = frame - frame[:, None] + past
    inside = (place >= 0) & (place <= past + future)
    return bias[:, place.clamp(0, past + future) + shift].masked_fill(~inside, UNSEEN)


class Attention(nn.Module):
    """A layer that lets frames look at others and then at themselves, normalised before each part.

    How many frames there are is always said: a size that is read from a tensor would be computed in an exported file.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.width, self.heads, self.scale = width, heads, (width // heads) ** -0.5
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.merge = nn.Linear(width, width)
        self.each = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def keys(self, normed: Tensor, frames: int) -> Tensor:
        """Keys and then values (B, 2 H, S, D / H) of normalised frames (B, S, D)."""
        return self._by_head(self.key_value(normed), frames, 2 * self.heads)

    def no_keys(self, batch: int, frames: int) -> Tensor:
        """The same of frames that there have not been."""
        return self.merge.weight.new_zeros(batch, 2 * self.heads, frames, self.width // self.heads)

    def forward(self, x: Tensor, normed: Tensor, keys: Tensor, bias: Tensor, frames: int) -> Tensor:
        """Frames (B, Q, D), as they are and normalised, after `keys` (B, 2 H, S, D / H) of others.

        `bias` is added to the scores (B, H, Q, S).
        """
        query = self._by_head(self.query(normed), frames, self.heads)
        key, value = keys.split(self.heads, 1)
        mixed = torch.softmax(query @ key.transpose(2, 3) * self.scale + bias, -1) @ value
        x = x + self.dropout(self.merge(mixed.transpose(1, 2).reshape(-1, frames, self.width)))
        return x + self.dropout(self.each(x))

    def _by_head(self, x: Tensor, frames: int, heads: int) -> Tensor:
        return x.reshape(-1, frames, heads, self.width // self.heads).transpose(1, 2)


class FrameTransformer(nn.Module):
    """Layers in which a frame sees `past` frames before it and `future` after it: (B, T, D) to (B, T, D), frame t being that of
    t - `delay`, zero where there is none.

    State: which of the last frames there were, (B, N), 1 or 0; per layer the keys and values of the `past` + `future` frames
    before the newest, and, where there is a future, the `future` frames that wait for theirs.
    """

    def __init__(self, width: int, heads: int, layers: int, past: int, future: int, dropout: float) -> None:
        super().__init__()
        self.past, self.future, self.delay = past, future, layers * future
        self.width, self.window = width, past + 1 + future
        self.layers = nn.ModuleList(Attention(width, heads, dropout) for _ in range(layers))
        start = slopes(heads, torch.arange(-past, future + 1))
        self.bias = nn.Parameter(start.repeat(layers, 1, 1))  # (layer, head, offset), oldest first

    def forward(self, x: Tensor) -> Tensor:
        frames = x.shape[1]
        for layer, bias in zip(self.layers, self.bias, strict=True):
            normed = layer.norm(x)
            scores = band(bias, frames, self.past, self.future)
            x = layer(x, normed, layer.keys(normed, frames), scores, frames)
        return delayed(x, self.delay)

    def initial(self, batch: int) -> State:
        state = [self.bias.new_zeros(batch, self.delay + self.window - 1)]
        for layer in self.layers:
            state.append(layer.no_keys(batch, self.window - 1))
            if self.future:
                state.append(self.bias.new_zeros(batch, self.future, self.width))
        return state

    def step(self, x: Tensor, old: Iterator[Tensor]) -> tuple[Tensor, Tensor, State]:
        """The newest frame (B, D), after the state that is next in `old`; and what to add to the scores of the frames (B, 1, 1,
        window) that the first layer sees: there may have been none."""
        there = torch.cat([next(old), torch.ones_like(x[:, :1])], 1)
        following = [there[:, 1:]]
        newest = self.delay + self.window - 1
        x, absent = x[:, None], unseen(there[:, newest + 1 - self.window :], self.window)
        first = absent
        for layer, bias in zip(self.layers, self.bias, strict=True):
            normed = layer.norm(x)
            keys = torch.cat([next(old), layer.keys(normed, 1)], 2)
            following.append(keys[:, :, 1:])
            if self.future:
                waiting = torch.cat([next(old), x], 1)
                following.append(waiting[:, 1:])
                x = waiting[:, :1]
                normed = layer.norm(x)
                absent = unseen(there[:, newest + 1 - self.window : newest + 1], self.window)
                newest -= self.future
            x = layer(x, normed, keys, bias[:, None] + absent, 1)
        if self.future:
            # Where there is no such frame yet forward has zero.
            x = x * there[:, newest : newest + 1, None]
        return x[:, 0], first, following


def unseen(there: Tensor, frames: int) -> Tensor:
    """(B, 1, 1, S) what to add to scores of frames that there were, (B, S) 1 or 0."""
    return ((1.0 - there) * UNSEEN).reshape(-1, 1, 1, frames)
