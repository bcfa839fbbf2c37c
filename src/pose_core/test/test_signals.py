"""Signals that end a process are noted, and nothing else."""

from __future__ import annotations

import signal

import pytest

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
