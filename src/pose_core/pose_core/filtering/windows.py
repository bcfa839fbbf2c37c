"""The last samples of a stream, at a cost per frame that does not depend on how many."""

from __future__ import annotations

import numpy as np

from pose_core.types import Array


class CausalWindow:
    """Ring buffer of the newest `length` items of shape `shape`; usable from the first item on.

    Until it is full, the places before the first item hold copies of it. Every item is written twice,
    `length` apart, so that the items always lie in order in one piece of memory and reading them copies
    nothing.
    """

    def __init__(self, length: int, shape: tuple[int, ...], dtype: np.typing.DTypeLike = np.float64) -> None:
        if length < 1:
            raise ValueError(f"a window must hold at least 1 item, got {length}")
        self.length = length
        self.count = 0
        """Items seen since the last reset, at most `length`."""
        self._items = np.zeros((2 * length, *shape), dtype)
        self._next = 0

    def push(self, item: Array) -> Array:
        """Add an item and return `view`. Raises ValueError where its shape is another."""
        item = np.asarray(item)
        if item.shape != self._items.shape[1:]:
            raise ValueError(f"the window holds items of shape {self._items.shape[1:]}, got {item.shape}")
        if self.count == 0:
            self._items[:] = item
        else:
            self._items[self._next] = self._items[self._next + self.length] = item
        self._next = (self._next + 1) % self.length
        self.count = min(self.count + 1, self.length)
        return self.view

    @property
    def view(self) -> Array:
        """(length, *shape), oldest first, read-only.

        The next push changes it. Raises ValueError while empty.
        """
        if self.count == 0:
            raise ValueError("the window is empty: push an item first")
        view = self._items[self._next : self._next + self.length]
        view.flags.writeable = False
        return view

    @property
    def seen(self) -> Array:
        """(count, *shape): `view` without the padding."""
        return self.view[self.length - self.count :]

    def reset(self) -> None:
        """Forget all items."""
        self.count = self._next = 0
