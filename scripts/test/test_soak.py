"""What a long run calls growth."""

from __future__ import annotations

import platform
import re
from dataclasses import replace

import pytest

from soak import Interval, grown, in_use_mb

STEADY = [
    Interval(60.0, 1800, 0.05, 0.08, 300.0 - i % 2, 700.0 + 5.0 * i, 400_000 + 100 * i, 20, 40)
    for i in range(10)
]


def with_last(**changes: float) -> list[Interval]:
    return [*STEADY[:-1], replace(STEADY[-1], **changes)]


def test_a_steady_run_has_not_grown() -> None:
    assert grown(STEADY) == []
    filling = [replace(one, memory_mb=100.0 * i, threads=i) for i, one in enumerate(STEADY[:2])]
    assert grown([*filling, *STEADY[2:]]) == []


@pytest.mark.parametrize(
    ("intervals", "sentence"),
    [
        (with_last(memory_mb=311.0), "memory grew from 300 to 311 MB"),
        (with_last(blocks=430_000), "blocks grew from 400200 to 430000"),
        (with_last(threads=21), "threads grew from 20 to 21"),
        (with_last(files=45), "files grew from 40 to 45"),
        (
            [*STEADY[:6], *(replace(one, age_p95_s=0.3) for one in STEADY[6:])],
            r"the age of results \(p95\) grew from 80 to 300 ms",
        ),
        (STEADY[:3], "only 3 intervals came out"),
    ],
)
def test_growth_is_told(intervals: list[Interval], sentence: str) -> None:
    (found,) = grown(intervals)
    assert re.search(sentence, found)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no mallinfo2")
def test_memory_that_is_held_is_in_use() -> None:
    before = in_use_mb()
    held = [bytes(1000) for _ in range(50_000)]
    grown_by = in_use_mb() - before
    del held
    assert 45.0 < grown_by < 75.0
    assert in_use_mb() - before < 20.0
