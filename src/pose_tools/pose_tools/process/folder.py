"""The folder of the results of `pose process`: what may be replaced, and how results get their name only when all are there."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pose_core.files import write_whole
from pose_core.system.locks import Busy, locked
from pose_tools.process.job import ProcessJob, readable
from pose_tools.result_folder import SUMMARY

FORMAT = "pose_process 1"
"""Stands in each summary: that the folder is ours, and the version of its layout."""
FILES = "files"
"""Where a summary lists what its run made: nothing else may be replaced."""
KEEPS_OPEN_FILES = sys.platform == "win32"
"""Whether a folder with a file that is open cannot be removed: the one that holds its own lock, before that is given up."""
DETECTIONS = "detections"
"""Folder of what the next run can use."""


def expect_replaceable(out: Path, job: ProcessJob) -> None:
    """Raise ValueError where the folder must not be replaced: only earlier results are, those of another input by force.

    One that holds the input, or anything that no run made, never is.
    """
    if out.resolve() in job.source.resolve().parents:
        raise ValueError(f"{job.out} holds the input {job.source}; choose another folder with -o")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{job.out} is a file; name a folder for the results")
    if not out.is_dir() or not any(out.iterdir()):
        return
    try:
        earlier = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
        ours = earlier["format"].startswith(FORMAT.split()[0])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        ours, earlier = False, {}
    if not ours:
        raise ValueError(f"{job.out} holds other files; choose an empty or a new folder with -o")
    if others := _others(out, earlier.get(FILES)):
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise ValueError(
            f"{job.out} also holds '{others[0]}'{more}, which its run did not make; move that, or choose another folder with -o"
        )
    if earlier.get("input") != readable(job.source.name) and not job.force:
        raise ValueError(
            f"{job.out} holds the results of {earlier.get('input')}; choose another folder with -o, or replace them with --force"
        )


def _others(out: Path, files: object) -> list[str]:
    """What lies in the folder of earlier results besides its `files`, as its summary lists them."""
    made = {SUMMARY, *(map(str, files) if isinstance(files, list) else ())}
    folders = {parent.as_posix() for name in made for parent in Path(name).parents}
    found = (path.relative_to(out).as_posix() for path in out.rglob("*"))
    return sorted(name for name in found if name not in made and name not in folders)


@contextmanager
def working_folder(out: Path) -> Iterator[Path]:
    """The folder beside `out` in which everything is made. Raises ValueError where another process works in it."""
    folder = out.with_name(f".{out.name}.part")
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / "lock", wait=False))
        except Busy:
            raise ValueError(
                f"another process makes {out} just now; wait for it, or choose another folder"
            ) from None
        try:
            yield folder
        finally:
            if not can_go_on(folder):
                if KEEPS_OPEN_FILES:
                    stack.close()
                shutil.rmtree(folder, ignore_errors=True)


def can_go_on(folder: Path) -> bool:
    """Whether a working folder holds anything that the next run could use."""
    return any(folder.glob(f"{DETECTIONS}/*"))


def write_summary(result: Path, summary: dict[str, Any]) -> None:
    """Leave what there is to say of a run in its results."""
    text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    write_whole(result / SUMMARY, text.encode())


def publish(folder: Path, out: Path) -> None:
    """Give the results, with a list of themselves in their summary, their name; what was there is gone only then."""
    result = folder / "result"
    summary = json.loads((result / SUMMARY).read_text(encoding="utf-8"))
    summary[FILES] = sorted(
        path.relative_to(result).as_posix() for path in result.rglob("*") if path.is_file()
    )
    write_summary(result, summary)
    replaced = folder / "replaced"
    shutil.rmtree(replaced, ignore_errors=True)
    if out.exists():
        out.rename(replaced)
    result.rename(out)
    shutil.rmtree(folder, ignore_errors=KEEPS_OPEN_FILES)
