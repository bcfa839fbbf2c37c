"""A bag that was cut short, copied up to its last whole chunk."""

from __future__ import annotations

import warnings
from pathlib import Path

from mcap.records import Channel, Schema

from pose_core.callbacks import Say
from pose_core.reading.damage import damage_told
from pose_tools.bag.files import locate, mcap_files
from pose_tools.bag.mcap_file import scan
from pose_tools.bag.writer import BagWriter, Recording

RECOVERY = "recovery"
"""Ending of the folder in which the copy is made: that of a recording may hold what is to be recovered."""


def recover(bag: Path | str, folder: Path | str, warn: Say | None = None, *, empty: bool = False) -> int:
    """Copy a bag that was cut short, up to its last whole chunk, into a new bag in `folder`.

    `bag`: folder, with or without metadata.yaml, or a .mcap file; it stays as it is. `folder` is there when it is complete.
    Returns the number of messages. From a bag of `BagWriter` comes exactly what it would have written, had it been closed there.
    Messages whose topic is not stated are left out, and `warn` (by default a warning) is told. Raises FileNotFoundError,
    FileExistsError, or ValueError where nothing is whole (with `empty`: no topic, without: no message), or what is whole is no
    ROS 2 bag; then there is no `folder`.
    """
    warn = warn or _warn
    files = mcap_files(locate(Path(bag)))
    if not files:
        raise ValueError(
            f"{bag} is no MCAP bag and cannot be recovered here; try sqlite3's .recover on its .db3 file"
        )
    if not any(isinstance(record, Channel) for file in files for record in scan(file)):
        raise ValueError(f"{bag} was cut short before its first topic; nothing can be recovered")
    with Recording(folder, keep=False, empty=empty, part=RECOVERY) as writer:
        for file in files:
            with damage_told(file, "cannot be recovered: {}"):
                _copy(file, writer, warn)
    if not (writer.messages or empty):
        raise ValueError(f"{bag} was cut short before its first message; nothing can be recovered")
    return writer.messages


def _warn(said: str) -> None:
    warnings.warn(said, stacklevel=4)


def _copy(file: Path, writer: BagWriter, warn: Say) -> None:
    schemas: dict[int, Schema] = {}
    topics: dict[int, str] = {}
    lost = 0
    for record in scan(file):
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            schema = schemas.get(record.schema_id) or Schema(id=0, data=b"", encoding="", name="")
            writer.restore_topic(record, schema)
            topics[record.id] = record.topic
        elif record.channel_id in topics:
            writer.restore(topics[record.channel_id], record)
        else:
            lost += 1
    if lost:
        warn(
            f"{file} is damaged: of {lost} messages nothing says on which topic they were; they are left out"
        )
