"""`ros2 run refine_node refine`: a signal is handled before anything that takes time is imported."""

from __future__ import annotations

from pose_core.system.signals import run_command


def main() -> None:
    """Entry point of the `refine` command."""
    run_command(_run, endless=True)


def _run() -> None:
    from refine_node.node import main as run_node

    run_node()


if __name__ == "__main__":
    main()
