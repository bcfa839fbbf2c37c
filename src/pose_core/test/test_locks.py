"""Locks keep other processes out, and go with who held them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pose_core.system.locks import Busy, locked, wait_for_disk

HOLDER = """
import sys
from pathlib import Path
from pose_core.system.locks import locked
with locked(Path(sys.argv[1]), wait=False):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_kept_out_until_the_holder_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(Busy), locked(file, wait=False):
        pass
    holder.kill()
    holder.communicate()
    with locked(file, wait=False):
        pass


def test_who_waits_gets_the_lock_when_it_is_given_up(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with locked(file, wait=False):
        waiting = subprocess.Popen(
            [sys.executable, "-c", HOLDER.replace("wait=False", "wait=True"), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    out, _ = waiting.communicate(b"")
    assert out == b"held\n"


def test_a_block_that_fails_gives_the_lock_up(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "lock", wait=False):
        raise KeyError
    with locked(tmp_path / "lock", wait=False):
        pass


def test_files_and_folders_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")
    synced: list[bool] = []
    really = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(os.path.isdir(file)), really(file)))
    wait_for_disk(tmp_path / "file")
    wait_for_disk(tmp_path)
    assert synced == [False, True]
