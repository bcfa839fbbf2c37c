"""Steps that are done once: skipped while their inputs stay the same, resumed after an interruption.

A finished step leaves a stamp with the digest of its inputs. A started one leaves a mark until it ends, so that the next run
knows that it was killed half-way and first removes what may be incomplete.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class SetUpError(Exception):
    """Set-up cannot go on; the message is a sentence that names what is missing and the remedy."""


def nothing() -> None:
    """Nothing has to be removed after an interruption."""


@dataclass(frozen=True)
class Step:
    """`run` makes `outputs` from what `digest` covers; `clear` removes what a killed `run` may have left incomplete."""

    name: str
    digest: Callable[[], str]
    run: Callable[[], None]
    outputs: tuple[Path, ...] = ()
    clear: Callable[[], None] = nothing


class Stamps:
    """What is known of the steps between runs, as files in one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def is_done(self, step: Step) -> bool:
        """True when the step ended with the inputs that it has now and its outputs are still there."""
        stamp = self._stamp(step)
        done = stamp.is_file() and stamp.read_text() == step.digest()
        return done and all(output.exists() for output in step.outputs)

    def was_interrupted(self, step: Step) -> bool:
        return self._mark(step).exists()

    def begin(self, step: Step, later: Iterable[Step]) -> None:
        """Forget that the step and those that rest on it were done, and mark it as started."""
        for one in (step, *later):
            self._stamp(one).unlink(missing_ok=True)
        self._mark(step).touch()

    def fail(self, step: Step) -> None:
        """The step ended with an error of its own, so nothing is half-written."""
        self._mark(step).unlink(missing_ok=True)

    def finish(self, step: Step, digest: str) -> None:
        """Remove the mark, then stamp with the digest from before the run; killed in between, the step is just done again."""
        self._mark(step).unlink(missing_ok=True)
        replace_text(self._stamp(step), digest)

    def _stamp(self, step: Step) -> Path:
        return self._folder / f"{step.name.replace(' ', '_')}.done"

    def _mark(self, step: Step) -> Path:
        return self._folder / f"{step.name.replace(' ', '_')}.started"


def run_steps(
    steps: Sequence[Step],
    stamps: Stamps,
    tell: Callable[[str], None],
    check: Callable[[], None] = nothing,
) -> int:
    """Do what is not done yet, in order, and return how many steps that were.

    `check` is called once before the first of them. `tell` gets text without a line end.
    """
    count = 0
    for number, step in enumerate(steps, 1):
        if stamps.is_done(step):
            continue
        if count == 0:
            check()
        if stamps.was_interrupted(step):
            tell(f"      the last run was interrupted here, starting this step afresh: {step.name}\n")
            step.clear()
        digest = step.digest()
        stamps.begin(step, steps[number:])
        tell(f"[{number}/{len(steps)}] {step.name} ... ")
        start = time.monotonic()
        try:
            step.run()
        except Exception:
            stamps.fail(step)
            tell("failed\n")
            raise
        stamps.finish(step, digest)
        tell(f"{time.monotonic() - start:.1f} s\n")
        count += 1
    return count


def until(name: str | None, steps: list[Step]) -> list[Step]:
    """The steps up to the named one; all of them for None. Raises SetUpError for an unknown name."""
    names = [step.name for step in steps]
    if name is None:
        return steps
    if name not in names:
        raise SetUpError(f"unknown step '{name}'; known: {', '.join(names)}")
    return steps[: names.index(name) + 1]


def digest_of(*parts: str | Path) -> str:
    """SHA-256 over texts and files. Lengths are hashed too, so that ("ab", "c") and ("a", "bc") differ."""
    total = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        total.update(len(content).to_bytes(8, "little") + content)
    return total.hexdigest()


def replace_text(file: Path, text: str) -> bool:
    """Write a file whole or not at all; unchanged text leaves the file alone. Returns whether it changed."""
    if file.is_file() and file.read_text() == text:
        return False
    part = file.with_name(file.name + ".part")
    part.write_text(text)
    if file.exists():
        part.chmod(file.stat().st_mode & 0o777)
    os.replace(part, file)
    return True


class Shell:
    """Runs programs with their output in a log file, shown only when one fails."""

    def __init__(self, log: Path, lock: int) -> None:
        """`lock`: file descriptor of the set-up's lock. Programs inherit it, so that when set-up is killed and a program
        lives on, the next set-up waits for its end instead of working beside it."""
        self._log = log
        self._log_mode = "w"
        self._lock = lock

    def __call__(self, command: Sequence[object], why: str, env: Mapping[str, str], cwd: Path) -> str:
        """Run `command` and return what it printed. Raises SetUpError with its last words and the sentence `why`."""
        words = [str(word) for word in command]
        try:
            done = subprocess.run(
                words,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                pass_fds=(self._lock,),
                check=False,
            )
        except OSError as error:
            raise SetUpError(f"{why} ({error})") from error
        with self._log.open(self._log_mode) as log:
            log.write(f"$ {' '.join(words)}\n{done.stdout}\n")
        self._log_mode = "a"
        if done.returncode != 0:
            last_words = "\n".join(done.stdout.rstrip().splitlines()[-30:])
            raise SetUpError(
                f"{last_words}\n\n{why} (exit status {done.returncode}; all output: {self._log})"
            )
        return done.stdout


@contextmanager
def exclusive(file: Path, tell: Callable[[str], None]) -> Iterator[int]:
    """Hold the lock `file` so that two set-ups of one folder take turns; yields its file descriptor."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another set-up works in this folder, waiting for it\n")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()
