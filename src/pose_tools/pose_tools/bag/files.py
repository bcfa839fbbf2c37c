"""The files of a bag: which of them there are, and whether they are whole."""

from __future__ import annotations

from pathlib import Path

from mcap.records import Message

from pose_tools.bag.mcap_file import is_whole, scan
from pose_tools.result_folder import part_of

METADATA = "metadata.yaml"
"""rosbag2's name of the file that makes a folder a bag."""
BAG_FILES = (".mcap", ".db3")
"""Endings of files that hold the messages of a bag."""


def is_bag(path: Path) -> bool:
    """Whether a file or folder looks like a bag, whole or not; other folders may hold images."""
    files = path.iterdir() if path.is_dir() else (path,)
    return any(not set(file.suffixes).isdisjoint(BAG_FILES) for file in files)


def holds_captures(folder: Path) -> bool:
    """Whether anything but descriptions, which have no time of their own, can be read from a folder with MCAP files."""
    records = (record for file in mcap_files(folder) for record in scan(file))
    return any(isinstance(record, Message) and record.log_time > 0 for record in records)


def how_to_recover(folder: Path) -> str:
    """Where the rest of a recording that was cut short is, and what makes a bag of it."""
    part = part_of(folder)
    return f"{part} has what came until then, and `pose bag-recover {part} {folder}` makes a bag of it"


def locate(bag: Path) -> Path:
    """The folder or file to read: a folder with one bare storage file stands for that file."""
    if not bag.exists():
        if part_of(bag).is_dir() and holds_captures(part_of(bag)):
            raise FileNotFoundError(f"{bag} is still being recorded, or was cut short: {how_to_recover(bag)}")
        raise FileNotFoundError(f"there is no bag at {bag}")
    if bag.is_file():
        if bag.suffix not in BAG_FILES:
            raise ValueError(f"{bag} is no bag; name a bag's folder, a .mcap or a .db3 file")
        return bag
    if (bag / METADATA).is_file() or any(bag.glob("*.mcap")):
        return bag
    databases = sorted(bag.glob("*.db3"))
    if len(databases) == 1:
        return databases[0]
    raise FileNotFoundError(f"{bag} holds no bag: neither {METADATA} nor a storage file is in it")


def is_cut_short(path: Path) -> bool:
    """Whether a bag lacks its end, or what describes it."""
    if path.is_dir() and not ((path / METADATA).is_file() and (path / METADATA).stat().st_size):
        return True
    return any(not is_whole(file) for file in mcap_files(path))


def mcap_files(path: Path) -> list[Path]:
    """The MCAP files of a bag in the order in which they were written: _2 before _10."""
    if path.is_file():
        return [path] if path.suffix == ".mcap" else []
    return sorted(path.glob("*.mcap"), key=lambda file: (len(file.name), file.name))
