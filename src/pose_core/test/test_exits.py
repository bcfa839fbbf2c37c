"""Exit codes: which errors are a wrong configuration."""

from __future__ import annotations

import pytest

from pose_core.system import exits
from pose_core.system.exits import Failed, Unavailable, WrongConfiguration, code_of, refusing


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WrongConfiguration("window must be odd"), 78),
        (Unavailable("camera 3 gives no image"), 1),
        (Failed("nothing came out"), 1),
        (ValueError("the file is damaged"), 1),
        (FileNotFoundError("there is no bag"), 1),
    ],
)
def test_each_kind_of_failure_has_its_code(error: Exception, code: int) -> None:
    assert code_of(error) == code


def test_codes_are_told_apart() -> None:
    assert len({0, exits.FAILED, exits.USAGE, exits.WRONG_CONFIGURATION}) == 4


def test_what_checks_a_configuration_refuses_it_in_the_same_words() -> None:
    with pytest.raises(WrongConfiguration, match=r"^window must be odd, got 80$"), refusing():
        raise ValueError("window must be odd, got 80")


@pytest.mark.parametrize("kind", [Unavailable, WrongConfiguration])
def test_what_knows_better_is_let_be(kind: type[ValueError]) -> None:
    with pytest.raises(ValueError, match="camera 3") as caught, refusing():
        raise kind("camera 3 gives no image")
    assert type(caught.value) is kind


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), refusing():
        _ = 1 / 0
