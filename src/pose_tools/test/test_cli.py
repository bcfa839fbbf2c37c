"""What the `pose` command says of itself and makes of its options."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pose_tools.cli.main import app


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("live", "[default: streaming_tcn]"),
        ("live", "[default: not known; angles take the camera as level]"),
        ("process", "[default: not known; angles take the camera as level]"),
        ("train lifter", "[default:"),
        ("evaluate lifters", "[default:"),
    ],
)
def test_help_states_defaults(command: str, said: str) -> None:
    """Typer's rich markup takes square brackets for tags, and drops them."""
    told = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"}).stdout
    assert said in " ".join(told.split())
