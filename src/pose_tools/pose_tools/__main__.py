"""The `pose` command: a signal is handled before anything that takes time is imported."""

from __future__ import annotations

from pose_core.system.signals import run_command


def main() -> None:
    """Entry point of the `pose` command."""
    run_command(_run)


def _run() -> None:
    from pose_tools.cli.main import main as run_words

    run_words()


if __name__ == "__main__":
    main()
