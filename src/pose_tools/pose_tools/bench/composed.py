"""All stages in one process of its own, under a chosen executor, until a signal comes: what `pose bench` loads and measures."""

from __future__ import annotations

import json
import sys

from pose_core.system.signals import Signals
from pose_tools.graph.graph import Setup, running
from pose_tools.graph.workspace import config_file


def main(executor: str, overrides: str) -> None:
    """`overrides`: parameters by stage, as JSON."""
    setup = Setup(
        params_file=config_file("live.yaml"), overrides=json.loads(overrides), executor=executor, live=True
    )
    with Signals() as signals, running(setup) as graph:
        graph.pace.open()
        graph.spin_until(lambda: signals.received)


if __name__ == "__main__":
    main(*sys.argv[1:])
