"""Folders of results: names of what lies in them, and where they are until they are complete."""

from __future__ import annotations

from pathlib import Path

from pose_viz.codecs import CODECS

BAG, SUMMARY = "bag", "summary.json"
"""Of what both `pose demo` and `pose process` leave, beside the overlay video."""

LOCK = ".lock"
"""File in the folder of a bag that its writer holds while it records."""


def overlay_name(codec: str) -> str:
    """Name of the overlay video: overlay.webm, or overlay.mp4 of the codec mp4v."""
    return f"overlay{CODECS[codec].suffix}"


def part_of(folder: Path, ending: str = "part") -> Path:
    """Where a bag is until it is complete and gets its name: a hidden folder beside."""
    whole = folder.resolve()
    return (
        folder.parent / f".{whole.name}.{ending}"
        if folder.name
        else whole.with_name(f".{whole.name}.{ending}")
    )


def expect_free(folder: Path) -> None:
    """Raise FileExistsError where there is a file, or a folder that holds more than the lock of its writer."""
    if folder.exists() and not (folder.is_dir() and all(path.name == LOCK for path in folder.iterdir())):
        raise FileExistsError(
            f"{folder} exists and is not an empty folder; choose another one for the bag or remove it"
        )
