"""Judge the summary that the demo leaves: did every stage see the person, in numbers that make sense?

    python3 scripts/check_demo.py out/demo/summary.json

The bounds are wide: they catch a broken pipeline on any machine, not a slow one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FRAMES = 100
"""Of the demo video."""

FRAMES_WITH_PERSON = 95
"""At least, at every stage; the person walks in view throughout."""

REPROJECTION_PX = 40.0
"""At most, for the median joint; the images are 1080 px wide and 1920 px high."""


def complaints(summary: dict[str, Any], folder: Path) -> list[str]:
    """What is wrong with a demo's summary, as sentences. `folder`: relative file names start here."""
    found = []
    if summary["frames"] != FRAMES:
        found.append(f"{summary['frames']} of {FRAMES} frames went through")
    for stage in ("pose2d", "lift3d", "refine"):
        count = summary["frames_with_person"].get(stage, 0)
        if count < FRAMES_WITH_PERSON:
            found.append(f"{stage} saw a person in {count} frames, expected at least {FRAMES_WITH_PERSON}")
    for stage in ("lift3d", "refine"):
        error = summary["reprojection_px"].get(stage, {}).get("p50")
        if error is None or not 0.0 < error < REPROJECTION_PX:
            found.append(f"{stage} has a reprojection error of {error} px, expected 0 to {REPROJECTION_PX:g}")
    missing = [name for name in summary["files"].values() if not (folder / name).exists()]
    return found + [f"{name} was not written" for name in missing]


def main(arguments: list[str]) -> int:
    """Print the complaints about the summary named on the command line; returns the exit status."""
    if len(arguments) != 1:
        print("name one file: check_demo.py out/demo/summary.json", file=sys.stderr)
        return 2
    summary = json.loads(Path(arguments[0]).read_text())
    found = complaints(summary, Path.cwd())
    for sentence in found:
        print(f"demo: {sentence}", file=sys.stderr)
    if not found:
        print(f"demo: {summary['frames']} frames at {summary['fps']:.1f} fps, a person at every stage")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
