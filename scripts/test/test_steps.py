"""Steps run once, again when their inputs change, and afresh after they were killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workspace.steps import (
    SetUpError,
    Shell,
    Stamps,
    Step,
    digest_of,
    exclusive,
    replace_text,
    run_steps,
    until,
)

SCRIPTS = Path(__file__).parents[1]


class Chain:
    """Three steps, each with an input that a test may change, and a record of what ran."""

    def __init__(self, folder: Path) -> None:
        self.inputs = {"one": "a", "two": "b", "three": "c"}
        self.ran: list[str] = []
        self.said = ""
        self.fails = ""
        self.output = folder / "output"
        self.stamps = Stamps(folder / "state")
        self.steps = [self.step(name) for name in self.inputs]

    def step(self, name: str) -> Step:
        def run() -> None:
            if name == self.fails:
                raise SetUpError(f"{name} has no luck")
            self.ran.append(name)
            self.output.touch()

        def clear() -> None:
            self.ran.append(f"clear {name}")

        outputs = (self.output,) if name == "two" else ()
        return Step(name, lambda: digest_of(self.inputs[name]), run, outputs, clear)

    def tell(self, text: str) -> None:
        self.said += text

    def run(self) -> list[str]:
        self.ran.clear()
        count = run_steps(self.steps, self.stamps, self.tell)
        assert count == len([name for name in self.ran if not name.startswith("clear")])
        return list(self.ran)


@pytest.fixture
def chain(tmp_path) -> Chain:
    return Chain(tmp_path)


def test_steps_run_once(chain):
    assert chain.run() == ["one", "two", "three"]
    assert chain.run() == []


def test_the_machine_is_checked_once_and_only_when_there_is_work(chain):
    checks: list[str] = []

    def check() -> None:
        checks.append("checked")

    run_steps(chain.steps, chain.stamps, chain.tell, check)
    run_steps(chain.steps, chain.stamps, chain.tell, check)
    assert checks == ["checked"]


def test_a_changed_input_repeats_the_step_and_what_rests_on_it(chain):
    chain.run()
    chain.inputs["two"] = "B"
    assert chain.run() == ["two", "three"]
    assert chain.run() == []


def test_a_missing_output_repeats_the_step(chain):
    chain.run()
    chain.output.unlink()
    assert chain.run() == ["two", "three"]


def test_a_failed_step_is_tried_again_without_clearing(chain):
    chain.fails = "two"
    with pytest.raises(SetUpError, match="two has no luck"):
        chain.run()
    chain.fails = ""
    assert chain.run() == ["two", "three"]


def test_a_killed_step_is_cleared_first(chain):
    chain.run()
    chain.stamps.begin(chain.steps[1], chain.steps[2:])  # and the process ended here
    assert chain.run() == ["clear two", "two", "three"]
    assert "interrupted" in chain.said
    assert chain.run() == []


def test_a_process_that_dies_inside_a_step_leaves_the_mark(tmp_path):
    program = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(SCRIPTS)!r})
from workspace.steps import Stamps, Step, run_steps
steps = [Step("good", lambda: "1", lambda: None), Step("killed", lambda: "1", lambda: os.kill(os.getpid(), 9))]
run_steps(steps, Stamps(Path({str(tmp_path)!r})), lambda text: None)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    stamps = Stamps(tmp_path)
    good, killed = (Step(name, lambda: "1", lambda: None) for name in ("good", "killed"))
    assert stamps.is_done(good)
    assert not stamps.was_interrupted(good)
    assert stamps.was_interrupted(killed)
    assert not stamps.is_done(killed)


def test_an_input_edited_during_the_run_counts_for_the_next_one(tmp_path):
    inputs = ["old"]
    ran: list[str] = []

    def run() -> None:
        ran.append(inputs[0])
        inputs[0] = "new"

    step, stamps = Step("edited", lambda: inputs[0], run), Stamps(tmp_path)
    run_steps([step], stamps, lambda _text: None)
    run_steps([step], stamps, lambda _text: None)
    run_steps([step], stamps, lambda _text: None)
    assert ran == ["old", "new"]


def test_a_run_may_stop_after_a_step(chain):
    chain.steps = until("two", chain.steps)
    assert chain.run() == ["one", "two"]
    assert until(None, chain.steps) == chain.steps
    with pytest.raises(SetUpError, match="unknown step 'four'; known: one, two"):
        until("four", chain.steps)


def test_digest_tells_parts_apart(tmp_path):
    file = tmp_path / "file"
    file.write_text("ab")
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of(file) == digest_of("ab")
    assert digest_of() != digest_of("")


def test_replaced_text_keeps_the_mode_and_leaves_equal_files_alone(tmp_path):
    file = tmp_path / "file"
    assert replace_text(file, "one")
    file.chmod(0o750)
    os.utime(file, (1, 1))
    assert not replace_text(file, "one")
    assert file.stat().st_mtime == 1
    assert replace_text(file, "two")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("two", 0o750)
    assert list(tmp_path.iterdir()) == [file]


def test_shell_shows_the_last_words_of_a_failure_and_logs_all(tmp_path):
    with exclusive(tmp_path / "lock", lambda _text: None) as lock:
        shell = Shell(tmp_path / "log.txt", lock)
        assert shell(["echo", "fine"], "echo failed", os.environ, tmp_path) == "fine\n"
        with pytest.raises(SetUpError, match=r"(?s)no such thing.*it could not be shown \(exit status 3"):
            shell(
                ["sh", "-c", "echo no such thing >&2; exit 3"], "it could not be shown", os.environ, tmp_path
            )
        with pytest.raises(SetUpError, match="there is no such program"):
            shell([tmp_path / "nowhere"], "there is no such program", os.environ, tmp_path)
    log = (tmp_path / "log.txt").read_text()
    assert "$ echo fine\nfine\n" in log
    assert "no such thing" in log


def test_two_set_ups_take_turns_even_when_only_a_program_of_the_first_lives_on(tmp_path):
    """The first is killed while its program runs; the second must wait for that program."""
    done = tmp_path / "done"
    program = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(SCRIPTS)!r})
from workspace.steps import exclusive
import subprocess
with exclusive(Path({str(tmp_path / "lock")!r}), print) as lock:
    wait_and_write = "import sys, time; sys.stdin.read(); open({str(done)!r}, 'w').close()"
    subprocess.Popen([sys.executable, "-c", wait_and_write], pass_fds=(lock,))
    print("started", flush=True)
    os._exit(0)
"""
    first = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert first.stdin is not None
    assert first.stdout.readline() == "started\n"
    first.wait()
    said: list[str] = []

    def tell(text: str) -> None:
        said.append(text)
        assert not done.exists()
        first.stdin.close()  # only now may the program of the first end

    start = time.monotonic()
    with exclusive(tmp_path / "lock", tell):
        assert done.exists()
    assert said == ["another set-up works in this folder, waiting for it\n"]
    assert time.monotonic() - start < 60
    first.stdout.close()
