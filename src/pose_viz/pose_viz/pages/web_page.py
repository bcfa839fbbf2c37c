"""HTML pages that need no server and no network: styles, data and scripts stand in the file itself.

What comes from files is kept apart from markup: `text` escapes it for HTML, `chart_text` for the few tags that plotly.js
reads in labels, and data travel as JSON in which no `<` is left. A content security policy names the page's own scripts by
their digests and forbids everything else, the network included.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from plotly.offline import get_plotlyjs

from pose_core.files import write_whole
from pose_viz.palette import Colour

GENERATOR = "pose pipeline"
"""Stands in every page: what carries it may be replaced by a newer one."""
HEAD_BYTES = 1024

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; color: #1d1d1f; background: #fff; font: 15px/1.5 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
h1 { font-size: 1.35rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
h3 { font-size: .95rem; margin: 1.25rem 0 .25rem; }
.note { color: #5c5c61; margin: 0; overflow-wrap: anywhere; }
"""

_CHECKED_JSON = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def text(value: object) -> str:
    """`value` as text between tags or in a quoted attribute."""
    return html.escape(str(value), quote=True)


def chart_text(value: object) -> str:
    """`value` as a label of plotly.js, which reads a few tags and entities."""
    return html.escape(str(value), quote=False)


def json_text(value: Any) -> str:
    """`value` as JSON that can stand in a page. Raises ValueError for NaN, which JSON does not know: see `numbers`."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(_CHECKED_JSON)


def numbers(values: np.ndarray, decimals: int) -> list[Any]:
    """Nested lists of rounded floats, None where `values` are not finite."""
    rounded = np.round(np.asarray(values, float), decimals) + 0.0  # no negative zero
    boxed = rounded.astype(object)
    boxed[~np.isfinite(rounded)] = None
    listed: list[Any] = boxed.tolist()
    return listed


def css(colour: Colour, alpha: float = 1.0) -> str:
    """A colour of the palette as CSS and plotly.js write it."""
    red, green, blue = (round(255 * c) for c in colour)
    return f"rgb({red},{green},{blue})" if alpha == 1.0 else f"rgba({red},{green},{blue},{alpha:g})"


def page(
    title: str,
    body: str,
    *,
    style: str = "",
    data: Mapping[str, Any] | None = None,
    scripts: Sequence[str] = (),
    charts: bool = False,
) -> str:
    """A whole page. `body` is markup, in which everything from files is escaped already; `title` is plain text.

    `data`: what `scripts` find as JSON in the elements of these ids. `charts`: whether plotly.js is put before them.
    """
    sources = ([get_plotlyjs()] if charts else []) + list(scripts)
    for source in sources:
        if "</script" in source.lower():
            raise ValueError("a script of a page must not hold the tag that ends it")
    digests = " ".join(f"'sha256-{_digest(source)}'" for source in sources) or "'none'"
    # plotly.js writes styles into the page as it draws, and hands pictures to itself as data: and blob:.
    policy = (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta name="generator" content="{GENERATOR}">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{text(title)}</title>",
        f"<style>{STYLE}{style}</style>",
        "</head>",
        "<body>",
        body,
        *(
            f'<script type="application/json" id="{text(name)}">{json_text(value)}</script>'
            for name, value in (data or {}).items()
        ),
        *(f"<script>{source}</script>" for source in sources),
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def save(content: str, path: Path | str) -> Path:
    """Write a page, whole or not at all. Raises ValueError where `path` is another program's file."""
    path = Path(path)
    if path.is_dir() or (path.is_file() and not is_ours(path)):
        raise ValueError(f"{path} exists and is no page of this program; choose another name")
    # Names of files may hold bytes that are no text.
    write_whole(path, content.encode("utf-8", "replace"))
    return path


def is_ours(path: Path) -> bool:
    """Whether a file is a page that `page` made."""
    with path.open("rb") as file:
        return f'name="generator" content="{GENERATOR}"'.encode() in file.read(HEAD_BYTES)


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
