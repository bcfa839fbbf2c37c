"""What tells the ids of one run from those of all others."""

from __future__ import annotations

import os
import re

from pose2d_node.params import AUTO_TOKEN, LONGEST_TOKEN, NO_TOKEN, Pose2DParams, is_camera

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
"""Base 32 (RFC 4648) in lower case."""
DIGITS = 4
"""One of a million: a robot meets the same one twice after a thousand starts."""


def run_token(params: Pose2DParams) -> str:
    """The token that `params` ask for; another one at each call where it is random, empty for none.

    Raises ValueError for one that cannot stand in an id.
    """
    asked = params.run_token
    if asked == AUTO_TOKEN:
        return "" if _is_repeatable(params) else "".join(_ALPHABET[byte % 32] for byte in os.urandom(DIGITS))
    if asked == NO_TOKEN:
        return ""
    if not re.fullmatch(rf"[a-z0-9]{{1,{LONGEST_TOKEN}}}", asked):
        raise ValueError(
            f"run_token must be {AUTO_TOKEN}, {NO_TOKEN}, or at most {LONGEST_TOKEN} letters a to z and digits, got '{asked}'"
        )
    return asked


def _is_repeatable(params: Pose2DParams) -> bool:
    """Whether another run of the same source gives the same people at the same stamps."""
    return bool(params.source) and not params.real_time and not is_camera(params.source)
