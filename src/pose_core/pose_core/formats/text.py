"""Reading text files that anybody may have written: bounded, and with a sentence for whatever is wrong."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

LARGEST_FILE = 2 * 1024**3
"""Bytes; some hours of 64 markers."""
LONGEST_LINE = 1024**2
"""Characters; what a row of 10 000 markers takes."""


def expect_file(path: str | os.PathLike[str]) -> Path:
    """The path of a plain file of a bearable size. Raises FileNotFoundError and ValueError for others."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not path.is_file():
        raise ValueError(f"{path} is no file")
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise ValueError(
            f"{path} has {size} bytes, more than the {LARGEST_FILE} that are read; cut it in pieces"
        )
    return path


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a file with their numbers from 1, line ends and a byte order mark taken off.

    Raises ValueError for a line longer than `LONGEST_LINE`.
    """
    # utf-8-sig: with or without a mark. Other encodings occur in file names in headers, where they do no harm.
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE:
                raise ValueError(f"{path}, line {number} is longer than {LONGEST_LINE} characters")
            yield number, line.rstrip("\n")


def fields_of(line: str) -> list[str]:
    """What stands between the tabs of a line, or between its blanks where it has no tab."""
    return [field.strip() for field in line.split("\t")] if "\t" in line else line.split()


def numbers_of(fields: Iterable[str], where: str) -> list[float]:
    """Finite numbers, and NaN for empty fields and `nan`. Raises ValueError that begins with `where`."""
    numbers = []
    for field in fields:
        try:
            number = float(field) if field else math.nan
        except ValueError as error:
            raise ValueError(f"{where}: '{field[:40]}' is no number") from error
        if math.isinf(number) or "_" in field:
            raise ValueError(f"{where}: '{field[:40]}' is no number")
        numbers.append(number)
    return numbers


def count_of(text: str, most: int, where: str) -> int:
    """A whole number from 0 to `most`. Raises ValueError that begins with `where`."""
    # some programs write counts as 73.000000
    (number,) = numbers_of([text or "nothing"], where)
    if number != number or number != int(number) or not 0 <= number <= most:
        raise ValueError(f"{where}: must be a whole number from 0 to {most}, got '{text[:40]}'")
    return int(number)
