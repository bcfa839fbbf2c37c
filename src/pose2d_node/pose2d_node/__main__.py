"""`ros2 run pose2d_node pose2d`: a signal is handled before anything that takes time is imported."""

from __future__ import annotations

from pose_core.system.signals import run_command


def main() -> None:
    """Entry point of the `pose2d` command."""
    run_command(_run, endless=True)


def _run() -> None:
    from pose2d_node.node import main as run_node

    run_node()


if __name__ == "__main__":
    main()
