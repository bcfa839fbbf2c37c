"""Runs the live pipeline on a looped video at its own rate for a long time, and says what grows.

    make soak                   ten minutes of the demo video
    make soak MINUTES=60

Prints one row per interval: frames per second, age of the refined message when it came out, resident memory, threads and open
files of the process. Ends with 1 where memory, threads, files or age grow after the start.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pose_core import assets
from pose_core.units import S_PER_NS
from pose_tools.graph.demo import VIDEO
from pose_tools.graph.graph import Bundle, Setup
from pose_tools.graph.live import Run, run
from pose_tools.parameters.chosen import Values

ROWS = 10
"""Intervals of a run."""
WARM = 2
"""Intervals in which caches still fill; growth is counted from their end on."""
MEMORY_MB = 10.0
"""Growth of the memory in use that is no leak: images come and go."""
BLOCKS = 20_000
"""Growth of Python's blocks that is no leak: statistics of the last frames fill up."""
AGE_FACTOR, AGE_S = 2.0, 0.05
"""By which the age of the last intervals may exceed that of the first warm ones."""


@dataclass
class Interval:
    """What one part of the run was like."""

    seconds: float
    frames: int
    age_p50_s: float
    age_p95_s: float
    memory_mb: float
    """In use, as the allocator says; it keeps more resident for what comes, and how much varies by 50 MB."""
    resident_mb: float
    blocks: int
    """Of Python's own allocator, which serves small objects."""
    threads: int
    files: int


@dataclass
class Watch:
    """Puts results into intervals."""

    length_s: float
    begun: float = field(default_factory=time.monotonic)
    ages: list[float] = field(default_factory=list)
    intervals: list[Interval] = field(default_factory=list)

    def __call__(self, bundle: Bundle) -> None:
        times = bundle.refined.times
        if times:
            self.ages.append((times[-1].end - times[0].start) * S_PER_NS)
        now = time.monotonic()
        if now - self.begun >= self.length_s:
            self._close(now)

    def _close(self, now: float) -> None:
        ages = np.array(self.ages or [np.nan])
        self.intervals.append(
            Interval(
                now - self.begun,
                len(self.ages),
                float(np.median(ages)),
                float(np.percentile(ages, 95.0)),
                in_use_mb(),
                resident_mb(),
                sys.getallocatedblocks(),
                len(os.listdir("/proc/self/task")),
                len(os.listdir("/proc/self/fd")),
            )
        )
        row = self.intervals[-1]
        print(
            f"{len(self.intervals):4d}  {row.frames / row.seconds:6.1f} fps  "
            f"age p50 {row.age_p50_s * 1e3:7.1f} ms  p95 {row.age_p95_s * 1e3:7.1f} ms  "
            f"{row.memory_mb:7.1f} MB in use  {row.blocks:8d} blocks  {row.resident_mb:7.1f} MB resident  "
            f"{row.threads:3d} threads  {row.files:3d} files",
            flush=True,
        )
        self.begun, self.ages = now, []


def grown(intervals: list[Interval]) -> list[str]:
    """A sentence for each thing that grew after the start."""
    if len(intervals) < WARM + 2:
        return [f"only {len(intervals)} intervals came out; nothing can be said"]
    first, last = intervals[WARM], intervals[-1]
    found = []
    if last.memory_mb - first.memory_mb > MEMORY_MB:
        found.append(f"memory grew from {first.memory_mb:.0f} to {last.memory_mb:.0f} MB")
    if last.blocks - first.blocks > BLOCKS:
        found.append(f"blocks grew from {first.blocks} to {last.blocks}")
    for name in ("threads", "files"):
        if getattr(last, name) > getattr(first, name):
            found.append(f"{name} grew from {getattr(first, name)} to {getattr(last, name)}")
    half = (len(intervals) + WARM) // 2
    before, after = (
        float(np.median([one.age_p95_s for one in part])) for part in (intervals[WARM:half], intervals[half:])
    )
    if after > AGE_FACTOR * before + AGE_S:
        found.append(f"the age of results (p95) grew from {before * 1e3:.0f} to {after * 1e3:.0f} ms")
    return found


class _Mallinfo2(ctypes.Structure):
    """What glibc's mallinfo2 returns."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    )


def in_use_mb() -> float:
    """Memory that the process holds of its allocator; what is resident where the C library is another than glibc."""
    try:
        mallinfo2 = ctypes.CDLL("libc.so.6").mallinfo2
    except (OSError, AttributeError):
        return resident_mb()
    mallinfo2.restype = _Mallinfo2
    gc.collect()
    found = mallinfo2()
    return float(found.uordblks + found.hblkhd) / 1e6


def resident_mb() -> float:
    """Physical memory of the process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--source", type=Path, help="video; default: the demo's")
    arguments = parser.parse_args()
    source = arguments.source or assets.fetch([VIDEO])[0]
    watch = Watch(arguments.minutes * 60.0 / ROWS)
    overrides: Values = {"pose2d": {"source": str(source), "loop": True, "real_time": True}}
    job = Run(
        Setup(overrides=overrides, live=True, private=True),
        max_seconds=arguments.minutes * 60.0 + 5.0,
        observers=[watch],
    )
    result = run(job)
    if "failure" in result:
        print(result["failure"], file=sys.stderr)
        return 1
    found = grown(watch.intervals)
    for sentence in found:
        print(sentence, file=sys.stderr)
    if not found:
        print("nothing grew")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
