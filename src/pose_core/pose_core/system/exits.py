"""What a process exits with. Zero is success; those who launch processes decide by the rest whether to start them again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

FAILED = 1
"""What was asked did not come out; the sentence on stderr says why."""

USAGE = 2
"""Words of a command line that cannot be placed."""

WRONG_CONFIGURATION = 78
"""A parameter, or what it names, cannot be: starting again would not help. The number is EX_CONFIG of sysexits.h."""


class WrongConfiguration(ValueError):
    """A parameter, or what it names, cannot be; the sentence says what to change."""


class Failed(ValueError):
    """What was asked did not come out, or not all of it; the sentence says what is there all the same."""


class Unavailable(ValueError):
    """What is configured does not answer now, such as a camera that is not plugged in; trying again may help."""


def code_of(error: Exception) -> int:
    """What a process exits with that this error ends."""
    return WRONG_CONFIGURATION if isinstance(error, WrongConfiguration) else FAILED


def refused(error: ValueError) -> ValueError:
    """What raised `error` was to be configured: the same sentence as WrongConfiguration, unless trying again may help."""
    return error if isinstance(error, Unavailable | WrongConfiguration) else WrongConfiguration(str(error))


@contextmanager
def refusing() -> Iterator[None]:
    """Around what checks a configuration: each ValueError of it is one of a wrong configuration."""
    try:
        yield
    except ValueError as error:
        raise refused(error) from error
