"""When a process that ended is started again."""

from __future__ import annotations

from pose_core.system.exits import WRONG_CONFIGURATION

FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 30.0
"""Delay before the second start in a row, doubled up to the latter; the first is at once."""

SETTLED_S = 60.0
"""A process that worked for so long has not failed in a row with the one before."""


class Restarts:
    """Of one process: a crash is mended at once, one that comes back gets growing delays, a wrong configuration none at all."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def delay(self, code: int, lived_s: float) -> float | None:
        """Seconds until the process that exited with `code` after `lived_s` is started again; None: not again."""
        if code == WRONG_CONFIGURATION:
            return None
        delay = 0.0 if lived_s >= SETTLED_S else self._next_s
        self._next_s = min(max(2.0 * delay, FIRST_DELAY_S), LONGEST_DELAY_S)
        return delay
