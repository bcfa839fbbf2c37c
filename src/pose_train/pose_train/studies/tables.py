"""Tables as people read them, in Markdown and in a terminal, and those of docs/models.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pose_train.studies.scores import PEOPLE, Result, Scores

Table = tuple[list[str], list[list[str]]]
"""Header and rows."""

NONE = "-"
"""Where there is no figure."""

POSES: dict[str, Callable[[Scores], str]] = {
    "MPJPE mm": lambda one: number(one.mpjpe_mm),
    "body": lambda one: number(one.mpjpe_body_mm),
    "PA-MPJPE": lambda one: number(one.pa_mpjpe_mm),
    "N-MPJPE": lambda one: number(one.n_mpjpe_mm),
    "limbs °": lambda one: number(one.limb_mean_deg),
    "median": lambda one: number(one.limb_median_deg),
    "z sign": lambda one: percent(one.z_sign, 1),
    "clear": lambda one: percent(one.z_sign_clear, 1),
}
"""Columns of figures about single frames."""


def number(value: float | int | None, digits: int = 1) -> str:
    """A figure with that many digits after the point."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 0) -> str:
    """A share of 1 as a percentage."""
    return NONE if value is None or not math.isfinite(value) else f"{100.0 * value:.{digits}f} %"


def magnitude(value: float | None) -> str:
    """A count with three figures, in thousands, millions or thousands of millions: 1.73 M."""
    if value is None or not math.isfinite(value):
        return NONE
    for limit, unit, factor in ((1e3, "", 1.0), (1e6, " k", 1e-3), (1e9, " M", 1e-6)):
        if abs(value) < limit:
            return f"{value * factor:.3g}{unit}"
    return f"{value * 1e-9:.3g} G"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and all others to the right. Raises ValueError for rows of other lengths."""
    _check(header, rows)
    lines = [_line(header), "|" + "|".join([" --- ", *(" ---: " for _ in header[1:])]) + "|"]
    return "\n".join([*lines, *(_line([_escaped(cell) for cell in row]) for row in rows)]) + "\n"


def text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same with aligned columns, for a terminal."""
    _check(header, rows)
    widths = [max(len(line[i]) for line in (header, *rows)) for i in range(len(header))]
    lines = []
    for first, *rest in (header, *rows):
        cells = [
            first.ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)),
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def marked(document: str, name: str) -> str:
    """What stands in `document` between `<!-- begin NAME -->` and `<!-- end NAME -->`. Raises ValueError as `replaced`."""
    return _parted(document, name)[1].strip()


def replaced(document: str, name: str, content: str) -> str:
    """`document` with what stands between `<!-- begin NAME -->` and `<!-- end NAME -->` replaced by `content`.

    Raises ValueError unless both marks stand there once, in that order.
    """
    before, _, after = _parted(document, name)
    return f"{before}\n{content.strip()}\n\n{after}"


def with_others(content: str, before: str) -> str:
    """A table of `markdown` under a line of words, with the rows of `before` whose names (first cells) it does not have.

    Names stand where they stood, new ones at the end. Where the words or the headers differ, rows cannot stand beside one
    another, and `content` stays as it is.
    """
    new, old = content.strip().splitlines(), before.strip().splitlines()
    head = next((row for row, line in enumerate(new) if line.startswith("|")), len(new)) + 2
    if new[:head] != old[:head]:
        return content
    rows = {**_by_name(old[head:]), **_by_name(new[head:])}
    return "\n".join([*new[:head], *(line for lines in rows.values() for line in lines)]) + "\n"


def _by_name(rows: Sequence[str]) -> dict[str, list[str]]:
    """Rows of a Markdown table by their first cells."""
    named: dict[str, list[str]] = {}
    for row in rows:
        named.setdefault(row.split(" | ")[0], []).append(row)
    return named


def _parted(document: str, name: str) -> tuple[str, str, str]:
    """`document` up to the first mark of a part with it, what stands between the marks, and the rest from the second on."""
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    if document.count(begin) != 1 or document.count(end) != 1 or document.index(begin) > document.index(end):
        raise ValueError(
            f"the document must hold the lines '{begin.strip()}' and '{end}' once, in this order"
        )
    before, rest = document.split(begin)
    between, after = rest.split(end)
    return before + begin, between, end + after


def accuracy(results: Sequence[Result]) -> Table:
    """Figures on the simulated test with full noise."""
    columns: dict[str, Callable[[Scores], str]] = {
        **POSES,
        "acceleration mm/frame²": lambda one: number(one.acceleration_mm),
        "m/s²": lambda one: number(one.acceleration),
        "90 % covers": lambda one: percent(one.coverage),
        "rank correlation": lambda one: number(one.rank_correlation, 2),
    }
    rows = [
        [_name(result), result.skeleton, str(result.cost.look_ahead)]
        + [cell(result.simulated["noise"]) for cell in columns.values()]
        for result in results
    ]
    return ["lifter", "joints", "look-ahead", *columns], rows


def conditions(results: Sequence[Result]) -> Table:
    """Figures with true keypoints, full noise, joints missing, and with cameras that are strongly tilted."""
    header = ["lifter", "MPJPE mm clean", "noise", "30 % masked", "tilted", "masked costs"]
    header += ["limbs ° clean", "noise", "30 % masked", "tilted"]
    rows = []
    for result in results:
        columns = [result.simulated[name] for name in ("clean", "noise", "masked", "tilted")]
        _, noise, masked, _ = errors = [one.mpjpe_mm for one in columns]
        rows.append(
            [
                _name(result),
                *map(number, errors),
                percent(masked / noise - 1.0),
                *(number(one.limb_mean_deg) for one in columns),
            ]
        )
    return header, rows


def real(results: Sequence[Result], easy: Sequence[int], hard: Sequence[int]) -> Table:
    """Figures on the real video, means over the `easy` cameras and over the `hard` ones."""
    columns: dict[str, Callable[[Scores], str]] = {
        **POSES,
        "acceleration m/s²": lambda one: number(one.acceleration),
        "90 % covers": lambda one: percent(one.coverage),
    }
    others = ("PA-MPJPE", "limbs °", "median")
    rows = []
    for result in results:
        for rate in sorted(map(int, result.real), reverse=True):
            one, other = result.real_mean(rate, easy), result.real_mean(rate, hard)
            cells = [cell(one) for cell in columns.values()] + [columns[title](other) for title in others]
            rows.append([_name(result), str(rate), *cells])
    where = f"camera {', '.join(map(str, hard))}: "
    return ["lifter", "images/s", *columns, where + others[0], *others[1:]], rows


def cost(results: Sequence[Result]) -> Table:
    """What lifters cost."""
    header = [
        "lifter",
        "parameters",
        "MACs",
        "file MB",
        "look-ahead",
        "one person ms",
        f"each of {PEOPLE}",
        "whole lifter",
    ]
    rows = []
    for result in results:
        one = result.cost
        size = None if one.bytes is None else one.bytes / 1e6
        times = (number(value, 2) for value in (one.one_ms, one.batch_ms, one.lift_ms))
        rows.append(
            [
                _name(result),
                magnitude(one.parameters),
                magnitude(one.macs),
                number(size),
                str(one.look_ahead),
                *times,
            ]
        )
    return header, rows


def _name(result: Result) -> str:
    return f"`{result.name}`"


def _check(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for row in rows:
        if len(row) != len(header):
            raise ValueError(
                f"a row must have {len(header)} cells like its header, got {len(row)}: {list(row)}"
            )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
