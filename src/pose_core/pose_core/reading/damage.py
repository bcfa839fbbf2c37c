"""Files that may be damaged, or made to do harm: what reading them may raise, take, and say.

A reader asks for memory in proportion to the file that is there, whatever it claims, and ends in one sentence that names it.
"""

from __future__ import annotations

import errno
import os
import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
)
"""What damaged or hostile content makes the readers of the standard library and of NumPy raise."""


class Refused(ValueError):
    """A file may be whole and is not read all the same; the message says what it is or holds, and follows the file's name."""


LONGEST_SENTENCE = 300
"""Characters of what is said about a file; whatever stands in it may be longer."""
LONGEST_PATH = 150
"""Characters of a path in such a sentence; of a longer one the end is shown."""

LEAST_BUDGET = 64 << 20
"""Bytes that the smallest file may take once it is read."""
GROWTH = 100
"""Bytes that each byte of a file may take beyond that. Measured numbers grow two- to tenfold when they are unpacked, mostly
missing ones some fiftyfold; deflate alone could make a thousand of one."""


def budget(size: int) -> int:
    """Bytes that a file of `size` bytes may take once it is read."""
    return LEAST_BUDGET + GROWTH * size


def reason(error: BaseException) -> str:
    """What an error says, in one line of printable characters."""
    said = "".join(letter if letter.isprintable() else " " for letter in str(error))
    said = " ".join(said.split()) or type(error).__name__
    return f"it has no {said}" if type(error) is KeyError else said


def sentence(path: str | os.PathLike[str], text: str, error: BaseException) -> str:
    """`text` about the file `path`, with the reason in the place of its `{}`; at most `LONGEST_SENTENCE` characters."""
    name = str(path)
    name = name if len(name) <= LONGEST_PATH else "..." + name[3 - LONGEST_PATH :]
    before, _, after = text.partition("{}")
    left = LONGEST_SENTENCE - len(f"{name} {before}{after}")
    said = reason(error)
    if str(path) and said.startswith(str(path)):  # what was raised names the file already
        said = said[len(str(path)) :].lstrip(" :,")
    return f"{name} {before}{said if len(said) <= left else said[: left - 3] + '...'}{after}"


@contextmanager
def damage_told(path: str | os.PathLike[str], text: str) -> Iterator[None]:
    """Raise ValueError of one sentence, `text` with the reason in the place of its `{}`, for whatever damage raises inside.

    What is `Refused` is said without that text, and what is said already in a sentence that begins with `path` stays as it is.
    OSError passes, but for that of a place in the file that there cannot be.
    """
    try:
        yield
    except Refused as error:
        raise ValueError(sentence(path, "{}", error)) from error
    except DAMAGE as error:
        said = str(error)
        if type(error) is ValueError and said.startswith(str(path)) and len(said) <= LONGEST_SENTENCE:
            raise
        if type(error) is ValueError and said.startswith(str(path)):
            raise ValueError(sentence(path, "{}", error)) from error
        raise ValueError(sentence(path, text, error)) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise ValueError(sentence(path, text, error)) from error


def expect_once(names: Iterable[str], what: str) -> None:
    """Raise ValueError, which begins with `what`, where a name comes twice. In linear time."""
    seen: set[str] = set()
    twice: set[str] = set()
    for name in names:
        (twice if name in seen else seen).add(name)
    if twice:
        raise ValueError(
            f"{what} names {', '.join(sorted(twice)[:5])[:100]} more than once; rename one of them"
        )
