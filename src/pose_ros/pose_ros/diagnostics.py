"""How a stage is doing: counts, times and faults, and the diagnostics message made of them (REP 107).

No clock is read here: whoever calls says what time it is, so that the same calls give the same numbers.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from pose_core.units import MS_PER_NS, NS_PER_S

WINDOW = 512
"""Frames that the percentiles look back on."""

SILENCE = 2.0
"""Seconds without input after which an active stage warns."""

PERCENTILES = (50, 95, 99)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that `percent` % of them do not exceed (nearest rank); NaN for none."""
    if not values:
        return math.nan
    return sorted(values)[max(math.ceil(percent / 100.0 * len(values)) - 1, 0)]


class Health:
    """What a stage reports about itself. All methods may be called from any thread."""

    def __init__(self, name: str, hardware_id: str = "none") -> None:
        """`name`: fully qualified name of the node; `hardware_id`: of the device behind it, or `none`."""
        self.name = name
        self.hardware_id = hardware_id
        self._lock = threading.Lock()
        self._frames = 0
        self._processing: deque[int] = deque(maxlen=WINDOW)
        self._age: deque[int] = deque(maxlen=WINDOW)
        self._drops: Counter[str] = Counter()
        self._notes: dict[str, str] = {}
        self._faults: dict[str, tuple[str, bool]] = {}
        self._inputs = 0
        self._seen_activity = 0
        self._seen_active = False
        self._quiet_since = 0
        self._reported_at: int | None = None
        self._reported_frames = 0
        self._reported_drops = 0

    def frame(self, start: int, end: int, grabbed: int | None = None) -> None:
        """An image was worked on from `start` to `end`; `grabbed`: when its way began. ns of one clock."""
        with self._lock:
            self._frames += 1
            self._processing.append(end - start)
            if grabbed is not None:
                self._age.append(end - grabbed)

    def drop(self, reason: str) -> None:
        """An input was dropped. Few words, the same for the same cause: it is counted by reason."""
        with self._lock:
            self._drops[reason] += 1

    def note(self, key: str, value: object) -> None:
        """State a fact, for example `note("device", "cpu")`; floats are shown with four digits."""
        with self._lock:
            self._notes[key] = f"{value:.4g}" if isinstance(value, float) else str(value)

    def fault(self, name: str, sentence: str, *, warn: bool = False) -> None:
        """Something is wrong until `clear(name)`: `sentence` says what to do. `warn`: work goes on."""
        with self._lock:
            self._faults[name] = (sentence, warn)

    def clear(self, name: str) -> None:
        """The fault `name` is over; nothing where there was none."""
        with self._lock:
            self._faults.pop(name, None)

    def faults(self) -> dict[str, str]:
        """Sentences of the standing faults by name."""
        with self._lock:
            return {name: sentence for name, (sentence, _) in self._faults.items()}

    def dropped(self) -> dict[str, int]:
        """Dropped inputs by reason."""
        with self._lock:
            return dict(self._drops)

    def frames(self) -> int:
        """Images that went through."""
        with self._lock:
            return self._frames

    def heard(self) -> None:
        """Input arrived."""
        with self._lock:
            self._inputs += 1

    def report(self, now: int, state: str, active: bool, waits_for: Sequence[str] = ()) -> DiagnosticStatus:
        """Status since the last report. `now`: ns of a clock that does not jump; `state`: of the lifecycle.

        A warning where an active stage heard and did nothing for a while; `waits_for`: topics it listens to.
        """
        with self._lock:
            activity = self._frames + self._inputs
            if activity != self._seen_activity or not (active and self._seen_active):
                self._quiet_since = now
            self._seen_activity, self._seen_active = activity, active
            silence = (now - self._quiet_since) / NS_PER_S
            drops = self._drops.total() - self._reported_drops
            warnings = [sentence for sentence, warn in self._faults.values() if warn]
            errors = [sentence for sentence, warn in self._faults.values() if not warn]
            if silence >= SILENCE:
                warnings.append(
                    f"no input for {silence:.0f} s{' on ' if waits_for else ''}{', '.join(waits_for)}"
                )
            if drops:
                warnings.append(f"{drops} inputs dropped since the last report")
            status = DiagnosticStatus(
                level=DiagnosticStatus.ERROR
                if errors
                else DiagnosticStatus.WARN
                if warnings
                else DiagnosticStatus.OK,
                name=self.name,
                hardware_id=self.hardware_id,
                message="; ".join(errors + warnings) or state,
                values=[KeyValue(key=key, value=value) for key, value in self._values(now, state).items()],
            )
            self._reported_at, self._reported_frames = now, self._frames
            self._reported_drops += drops
            return status

    def _values(self, now: int, state: str) -> dict[str, str]:
        values = {"state": state, "frames": str(self._frames), "dropped": str(self._drops.total())}
        if self._reported_at is not None and now > self._reported_at:
            rate = (self._frames - self._reported_frames) * NS_PER_S / (now - self._reported_at)
            values["rate_hz"] = f"{rate:.1f}"
        for what, window in (("processing", self._processing), ("age", self._age)):
            if window:
                values |= {f"{what}_p{p}_ms": f"{percentile(window, p) * MS_PER_NS:.3f}" for p in PERCENTILES}
        values |= {f"dropped: {reason}": str(count) for reason, count in sorted(self._drops.items())}
        values |= {f"fault: {name}": sentence for name, (sentence, _) in sorted(self._faults.items())}
        return values | self._notes
