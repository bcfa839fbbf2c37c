"""Signals that end a process are noted, and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from pose_core.system import signals
from pose_core.system.signals import Signals, interrupts_held


def test_a_second_signal_interrupts():
    with Signals() as signals:
        assert not signals.received
        signal.raise_signal(signal.SIGINT)
        assert signals.received
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_handlers_of_before_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Signals():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_interrupt_is_held_until_the_end_of_the_block():
    with Signals() as signals:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            assert not signals.received
        assert signals.received


def ended(body: str, *, endless: bool = False) -> tuple[int, str, str]:
    """Exit code and words of a process in which `run_command` runs a function with this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    code = (
        "import os, signal, sys\nfrom pose_core.system.signals import Signals, run_command\n"
        f"def command():\n{lines}\nrun_command(command, endless={endless})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


def test_a_command_ends_with_what_it_returns():
    assert ended("return 3") == (3, "", "")
    assert ended("return None") == (0, "", "")
    assert ended("sys.exit('cannot start')") == (1, "", "cannot start\n")


@pytest.mark.parametrize("number", signals.ENDING)
def test_a_signal_ends_a_command_in_order_and_without_a_word(number: int):
    """What it began is finished by its own `finally`."""
    assert ended(f"try:\n    signal.raise_signal({number})\nfinally:\n    print('put in order')") == (
        128 + number,
        "put in order\n",
        "",
    )


@pytest.mark.parametrize("number", signals.ENDING)
def test_a_signal_within_an_import_ends_the_process_there(tmp_path, number: int):
    """Libraries swallow what is raised in their import, or make an error of their own of it."""
    (tmp_path / "slow.py").write_text(
        f"import signal\ntry:\n    signal.raise_signal({number})\nexcept BaseException: pass\n"
    )
    assert ended(f"sys.path.insert(0, {str(tmp_path)!r})\nimport slow\nprint('went on')") == (
        128 + number,
        "",
        "",
    )


def test_a_signal_where_nothing_can_be_raised_ends_the_process_as_well():
    body = (
        "class A:\n    def __del__(self):\n        signal.raise_signal(signal.SIGINT)\nA()\nprint('went on')"
    )
    assert ended(body) == (130, "", "")


def test_what_fails_because_of_a_signal_says_its_sentence_and_has_the_code_of_the_signal():
    body = (
        "with Signals():\n    signal.raise_signal(signal.SIGTERM)\nsys.exit('interrupted; results are kept')"
    )
    assert ended(body) == (143, "", "interrupted; results are kept\n")


@pytest.mark.parametrize(
    "body",
    [
        "signal.raise_signal(signal.SIGINT)",
        "with Signals():\n    signal.raise_signal(signal.SIGTERM)\n    signal.raise_signal(signal.SIGTERM)",
        "import atexit\natexit.register(signal.raise_signal, signal.SIGINT)",
        "with Signals():\n    signal.raise_signal(signal.SIGTERM)\nsys.exit(1)",
    ],
)
def test_what_works_until_a_signal_comes_has_succeeded(body: str):
    assert ended(body, endless=True) == (0, "", "")


def test_what_notes_a_signal_and_finishes_has_succeeded():
    assert ended("with Signals():\n    signal.raise_signal(signal.SIGTERM)") == (0, "", "")


def test_a_second_signal_ends_a_command_without_a_word():
    body = "with Signals():\n    signal.raise_signal(signal.SIGINT)\n    signal.raise_signal(signal.SIGINT)"
    assert ended(body) == (130, "", "")


def test_a_signal_when_all_is_done_is_silent():
    body = "import atexit\natexit.register(signal.raise_signal, signal.SIGINT)"
    assert ended(body) == (130, "", "")
