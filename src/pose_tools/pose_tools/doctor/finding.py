"""What a check finds, and code tried in a process of its own, because it may crash there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

OK, WARN, FAIL, SKIPPED = "ok", "warn", "fail", "skipped"

PROBE_S = 60.0


@dataclass(frozen=True)
class Check:
    """One finding. `level`:

    ok, warn, fail or skipped; `remedy`: what to type or do, of every warning and failure.
    """

    name: str
    level: str
    detail: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.level in (WARN, FAIL) and not self.remedy:
            raise ValueError(f"check '{self.name}' needs a remedy")


Checks = list[Check]


@dataclass(frozen=True)
class Probe:
    """What came of a Python process: its exit code and the last lines it wrote."""

    code: int
    out: str
    err: str


def probe(code: str, *arguments: str) -> Probe:
    """Run Python code in a process of its own, with this interpreter and environment."""
    command = [sys.executable, "-c", code, *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_S, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        return Probe(-1, "", f"no answer within {PROBE_S:.0f} s")
    err = _last_line(done.stderr) or f"exit code {done.returncode}"
    return Probe(done.returncode, _last_line(done.stdout), err)


def _last_line(text: str) -> str:
    return ([line.strip() for line in text.splitlines() if line.strip()] or [""])[-1]


def run(checks: Iterable[Callable[[], Checks]]) -> Checks:
    """All findings, in order."""
    return [found for check in checks for found in check()]


def exit_code(found: Checks) -> int:
    """1 where something failed, else 0."""
    return int(any(check.level == FAIL for check in found))


def as_dict(found: Checks) -> dict[str, Any]:
    """For JSON."""
    return {"ok": exit_code(found) == 0, "checks": [asdict(check) for check in found]}


def installed(prefix: str) -> list[str]:
    """Names of the installed distributions that begin with `prefix`."""
    return sorted(
        {
            name
            for found in metadata.distributions()
            if (name := found.metadata["Name"] or "").startswith(prefix)
        }
    )
