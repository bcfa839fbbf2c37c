"""What is said of damaged files, and what looking for it takes."""

from __future__ import annotations

import errno
import struct
import tokenize
import zipfile

import pytest

from pose_core.reading.damage import (
    LEAST_BUDGET,
    LONGEST_SENTENCE,
    Refused,
    budget,
    damage_told,
    expect_once,
    reason,
    sentence,
)


def told(error: BaseException, path: str = "a.npz") -> str:
    with (
        pytest.raises(ValueError, match=r"\S") as caught,
        damage_told(path, "is no whole file: {}; copy it again"),
    ):
        raise error
    return str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("it is short"), "a.npz is no whole file: it is short; copy it again"),
        (KeyError("xyz"), "a.npz is no whole file: it has no 'xyz'; copy it again"),
        (MemoryError(), "a.npz is no whole file: MemoryError; copy it again"),
        (OverflowError("too\n large\0"), "a.npz is no whole file: too large; copy it again"),
        (tokenize.TokenError("EOF"), "a.npz is no whole file: EOF; copy it again"),
        (struct.error("4 bytes"), "a.npz is no whole file: 4 bytes; copy it again"),
        (zipfile.BadZipFile("sum"), "a.npz is no whole file: sum; copy it again"),
        (OSError(errno.EINVAL, "no place"), "a.npz is no whole file: [Errno 22] no place; copy it again"),
        (Refused("holds objects"), "a.npz holds objects"),
        (ValueError("a.npz, line 3: no number"), "a.npz, line 3: no number"),
    ],
)
def test_damage_becomes_one_sentence_about_the_file(error: Exception, said: str) -> None:
    assert told(error) == said


@pytest.mark.parametrize(
    "error", [ValueError("x" * 5000), ValueError("a.npz, " + "y" * 5000), Refused("z" * 5000)]
)
def test_no_sentence_is_longer_than_people_read(error: ValueError) -> None:
    said = told(error)
    assert len(said) == LONGEST_SENTENCE
    assert said.startswith("a.npz")
    assert "..." in said


def test_the_end_of_a_long_path_is_shown() -> None:
    said = sentence("/deep" * 200 + "/walk.c3d", "is no whole C3D file: {}", ValueError("z" * 500))
    assert len(said) == LONGEST_SENTENCE
    assert "/deep/walk.c3d is no whole C3D file: zzz" in said


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "gone", "a"), OSError(errno.EIO, "broken disk"), KeyboardInterrupt()]
)
def test_a_broken_disk_is_no_damage(error: BaseException) -> None:
    with pytest.raises(type(error)), damage_told("a.npz", "is no whole file: {}"):
        raise error


def test_reasons_are_one_printable_line() -> None:
    assert reason(ValueError("a\r\n\tb\x1b[2Jc")) == "a b [2Jc"


def test_the_budget_grows_with_the_file() -> None:
    assert budget(0) == LEAST_BUDGET == 64 * 2**20
    assert budget(10**6) - budget(0) == 10**8


class Name(str):
    """A name that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_equal_names_are_found_in_linear_time() -> None:
    Name.compared = 0
    with pytest.raises(ValueError, match=r"^it names M more than once; rename one of them$"):
        expect_once([Name("M") for _ in range(65_535)], "it")
    assert Name.compared <= 3 * 65_535
    expect_once(["a", "b", "c"], "it")


def test_only_a_few_of_many_equal_names_are_said() -> None:
    with pytest.raises(ValueError, match=r"M0, M1, M10, M100, M1000 more than once") as caught:
        expect_once([f"M{i}" for i in range(5000)] * 2, "it")
    assert len(str(caught.value)) < 100
