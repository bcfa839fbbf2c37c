"""Tables, letter by letter."""

from __future__ import annotations

import dataclasses
import math

import pytest

from pose_train.studies import document as writing
from pose_train.studies import tables
from pose_train.studies.lifters import report
from pose_train.studies.scores import Cost, Result, Scores


def test_numbers() -> None:
    assert tables.number(1234.56) == "1,234.6"
    assert tables.number(0.125, 2) == "0.12"
    assert tables.percent(0.935, 1) == "93.5 %"
    assert [tables.magnitude(n) for n in (0, 999, 21_480, 1_730_000, 2.5e9)] == [
        "0",
        "999",
        "21.5 k",
        "1.73 M",
        "2.5 G",
    ]
    for shown in (tables.number, tables.percent, tables.magnitude):
        assert shown(math.nan) == shown(None) == "-"


def test_markdown() -> None:
    assert tables.markdown(["a", "b"], [["x|y", "1"], ["z", "22"]]) == (
        "| a | b |\n| --- | ---: |\n| x\\|y | 1 |\n| z | 22 |\n"
    )
    with pytest.raises(ValueError, match="2 cells"):
        tables.markdown(["a", "b"], [["x"]])


def test_text_is_aligned() -> None:
    assert (
        tables.text(["name", "n"], [["a", "10"], ["longer", "2"]]) == "name     n\na       10\nlonger   2\n"
    )


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    document = "before\n<!-- begin a -->\nold\n<!-- end a -->\nafter\n"
    once = writing.replaced(document, "a", "new\n")
    assert once == "before\n<!-- begin a -->\n\nnew\n\n<!-- end a -->\nafter\n"
    assert writing.replaced(once, "a", "new") == once
    backwards = "<!-- end a -->\n<!-- begin a -->\n"
    for wrong in ("", document + document, document.replace("end a", "end b"), backwards):
        with pytest.raises(ValueError, match="once, in this order"):
            writing.replaced(wrong, "a", "new")


def some(value: float) -> Scores:
    return Scores(*[value] * len(dataclasses.fields(Scores)))


def test_tables_of_results() -> None:
    result = Result(
        "streaming_tcn",
        "mediapipe33",
        {"noise": some(40.0), "clean": some(20.0), "masked": some(50.0), "tilted": some(45.0)},
        {
            "30": {"1": some(1.0), "2": some(9.0), "3": some(3.0)},
            "60": {"1": some(2.0), "2": some(8.0), "3": some(4.0)},
        },
        Cost(parameters=1_730_000, macs=2_000_000, bytes=3_460_000, one_ms=0.9, batch_ms=0.42, lift_ms=None),
    )
    header, ((name, skeleton, ahead, *figures),) = report.accuracy([result])
    assert (name, skeleton, ahead) == ("`streaming_tcn`", "mediapipe33", "0")
    assert dict(zip(header[3:], figures, strict=True))["MPJPE mm"] == "40.0"
    header, (row,) = report.conditions([result])
    assert row == ["`streaming_tcn`", "20.0", "40.0", "50.0", "45.0", "25 %", "20.0", "40.0", "50.0", "45.0"]
    assert len(header) == len(row)
    header, rows = report.real([result], (1, 3), (2,))
    assert [row[1] for row in rows] == ["60", "30"]
    assert [row[header.index("PA-MPJPE")] for row in rows] == ["3.0", "2.0"]
    assert [row[header.index("camera 2: PA-MPJPE")] for row in rows] == ["8.0", "9.0"]
    header, (row,) = report.cost([result])
    assert row == ["`streaming_tcn`", "1.73 M", "2 M", "3.5", "0", "0.90", "0.42", "-"]
    for header, rows in (report.accuracy([]), report.cost([])):
        assert tables.markdown(header, rows).count("\n") == 2


def test_rows_of_others_stay_where_they_were_made_alike():
    head = ["name", "n"]
    old = "Made with 2.\n\n" + tables.markdown(head, [["`a`", "1"], ["`b`", "2"], ["`b`", "3"]])
    new = "Made with 2.\n\n" + tables.markdown(head, [["`c`", "7"], ["`b`", "5"], ["`b`", "6"], ["`b`", "8"]])
    assert writing.with_others(new, old) == "Made with 2.\n\n" + tables.markdown(
        head, [["`a`", "1"], ["`b`", "5"], ["`b`", "6"], ["`b`", "8"], ["`c`", "7"]]
    )
    assert writing.with_others(new, old.replace("with 2", "with 3")) == new
    assert writing.with_others(new, old.replace("name", "what")) == new
    assert writing.with_others(new, "") == new
