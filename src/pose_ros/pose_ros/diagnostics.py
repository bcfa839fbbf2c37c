"""How a stage is doing: counts, times and faults, and the diagnostics message made of them (REP 107).

No clock is read here: whoever calls says what time it is, so that the same calls give the same numbers.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from pose_core.units import MS_PER_NS, NS_PER_S

WINDOW = 512
"""Frames that the percentiles look back on."""

TASK = "pipeline"
"""What a stage's status is about."""

SILENCE = 2.0
"""Seconds without a message of a needed input after which an active stage warns."""

PERCENTILES = (50, 95, 99)
SHOWN = (50, 95)
"""Percentiles in a status: its keys are those that a monitor shows side by side, so they are few."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that `percent` % of them do not exceed (nearest rank); NaN for none."""
    if not values:
        return math.nan
    return sorted(values)[max(math.ceil(percent / 100.0 * len(values)) - 1, 0)]


def status_name(node: str) -> str:
    """Of the status of the node with this full name, in the usual form `node: task` of diagnostic_updater.

    The namespace stays, without the first slash: robots that share a domain must not share names.
    """
    return f"{node.removeprefix('/')}: {TASK}"


def node_of(status: str) -> str:
    """The inverse of `status_name`: full name of the node; empty for a status that is none of a stage's."""
    node, _, task = status.partition(": ")
    return f"/{node}" if task == TASK else ""


@dataclass
class _Input:
    """A topic that a stage cannot do without."""

    what: str
    heard: int = 0
    seen: int = 0
    quiet_since: int = 0


class Health:
    """What a stage reports about itself. All methods may be called from any thread."""

    def __init__(self, name: str, hardware_id: str = "none") -> None:
        """`name`: of the status; `hardware_id`: of the device behind it, until `sees` names the camera."""
        self.name = name
        self.hardware_id = hardware_id
        self._lock = threading.Lock()
        self._frames = 0
        self._processing: deque[int] = deque(maxlen=WINDOW)
        self._age: deque[int] = deque(maxlen=WINDOW)
        self._new_ages: deque[int] = deque(maxlen=WINDOW)
        self._skipped = 0
        self._drops: Counter[str] = Counter()
        self._notes: dict[str, str] = {}
        self._faults: dict[str, tuple[str, bool]] = {}
        self._inputs: dict[str, _Input] = {}
        self._waits_for: dict[str, str] = {}
        self._seen_frames = 0
        self._seen_active = False
        self._idle_since = 0
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
                self._new_ages.append(end - grabbed)

    def sees(self, frame_id: str) -> None:
        """The images are those of the camera with this optical frame; nothing where it is empty."""
        self.hardware_id = frame_id or self.hardware_id

    def skip(self, count: int = 1) -> None:
        """Messages or images were left out because newer ones were there: no fault, where work takes longer than they last."""
        with self._lock:
            self._skipped += count

    def skipped(self) -> int:
        """Messages and images left out because newer ones were there."""
        with self._lock:
            return self._skipped

    def drop(self, reason: str) -> None:
        """An input was dropped. Few words, the same for the same cause: it is counted by reason."""
        with self._lock:
            self._drops[reason] += 1

    def note(self, key: str, value: object) -> None:
        """State a fact, for example `note("device", "cpu")`; floats are shown with four digits."""
        with self._lock:
            self._notes[key] = f"{value:.4g}" if isinstance(value, float) else str(value)

    def note_if(self, key: str, value: object) -> None:
        """State a fact where there is one: a count of nothing, like an empty text, is no key."""
        if value:
            self.note(key, value)
        else:
            with self._lock:
                self._notes.pop(key, None)

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

    def needs(self, topic: str, what: str) -> None:
        """The stage cannot do without messages on `topic`; `what` they are, in the plural."""
        with self._lock:
            self._inputs[topic] = _Input(what)

    def needs_no_more(self, topic: str) -> None:
        """The opposite of `needs`; nothing where that was not called."""
        with self._lock:
            self._inputs.pop(topic, None)

    def heard(self, topic: str) -> None:
        """A message arrived."""
        with self._lock:
            if topic in self._inputs:
                self._inputs[topic].heard += 1

    def waits_for(self) -> dict[str, str]:
        """Of the last report: what was waited for in vain, a sentence for each topic."""
        with self._lock:
            return dict(self._waits_for)

    def report(
        self,
        now: int,
        state: str,
        active: bool,
        why: Callable[[str], str] = lambda topic: "nobody publishes there",
        max_age: float = 0.0,
    ) -> DiagnosticStatus:
        """Status since the last report. `now`: ns of a clock that does not jump; `state`: of the lifecycle.

        A warning where an active stage waits for one of its inputs, or does nothing where it has none; `why`: nothing comes on a
        topic, and what to do. Another one where most results since the last report were older than `max_age` seconds; 0: never.
        """
        with self._lock:
            silent = self._silent(now, active)
        waits = {
            topic: f"{said}; {why(topic)}" for topic, said in silent.items()
        }  # asks the middleware, which takes its time
        with self._lock:
            self._waits_for = waits
            drops = self._drops.total() - self._reported_drops
            warnings = [sentence for sentence, warn in self._faults.values() if warn]
            errors = [sentence for sentence, warn in self._faults.values() if not warn]
            warnings += [*self._waits_for.values(), *self._idle(now, active), *self._old(max_age)]
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
            self._seen_active = active
            self._reported_at, self._reported_frames = now, self._frames
            self._reported_drops += drops
            return status

    def _silent(self, now: int, active: bool) -> dict[str, str]:
        """Inputs on which nothing came for a while, and how long."""
        waits = {}
        for topic, awaited in self._inputs.items():
            if awaited.heard != awaited.seen or not (active and self._seen_active):
                awaited.quiet_since = now
            awaited.seen = awaited.heard
            silence = (now - awaited.quiet_since) / NS_PER_S
            if silence >= SILENCE:
                waits[topic] = f"waits for {awaited.what} on {topic}, none for {silence:.0f} s"
        return waits

    def _idle(self, now: int, active: bool) -> list[str]:
        """Of a stage that listens to nothing."""
        if self._frames != self._seen_frames or not (active and self._seen_active):
            self._idle_since = now
        self._seen_frames = self._frames
        silence = (now - self._idle_since) / NS_PER_S
        return [] if self._inputs or silence < SILENCE else [f"no input for {silence:.0f} s"]

    def _old(self, max_age: float) -> list[str]:
        """Of results that come too late to be acted on."""
        age = percentile(self._new_ages, 50) / NS_PER_S
        self._new_ages.clear()
        if not max_age or not age > max_age:
            return []
        return [
            f"results are {age:.1f} s old, more than max_age {max_age:g} s: see in their times which stage is slow, and give it "
            "a faster model or more of the machine"
        ]

    def _values(self, now: int, state: str) -> dict[str, str]:
        values = {
            "state": state,
            "frames": str(self._frames),
            "skipped": str(self._skipped),
            "dropped": str(self._drops.total()),
        }
        if self._reported_at is not None and now > self._reported_at:
            rate = (self._frames - self._reported_frames) * NS_PER_S / (now - self._reported_at)
            values["rate_hz"] = f"{rate:.1f}"
        for what, window in (("processing", self._processing), ("age", self._age)):
            if window:
                values |= {f"{what}_p{p}_ms": f"{percentile(window, p) * MS_PER_NS:.3f}" for p in SHOWN}
        values |= {f"dropped: {reason}": str(count) for reason, count in sorted(self._drops.items())}
        values |= {f"fault: {name}": sentence for name, (sentence, _) in sorted(self._faults.items())}
        return values | self._notes
