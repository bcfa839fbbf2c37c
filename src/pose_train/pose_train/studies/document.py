"""Documents whose tables are made: text of people's own between marks that name the parts that are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pose_core.files import write_whole


def write_document(path: Path, parts: Mapping[str, str], keep_others: bool = False) -> None:
    """Put each part between the marks of its name in the document at `path`, which changes as a whole or not at all.

    `keep_others`: rows of what was not measured now stay, where they were made in the same way. Raises ValueError where a mark
    is missing.
    """
    document = path.read_text()
    for name, content in parts.items():
        merged = with_others(content, marked(document, name)) if keep_others else content
        document = replaced(document, name, merged)
    write_whole(path, document.encode())


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
