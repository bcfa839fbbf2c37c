"""What the `pose` command says of itself and makes of its options."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pose_tools.cli.main import _tilted, app


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


@pytest.mark.parametrize(
    ("asked", "lift3d"),
    [
        ((None, None, None, None), (None, None, None, None)),
        ((None, 20.0, None, None), ("stated", 20.0, None, None)),
        ((None, None, 0.0, None), ("stated", None, 0.0, None)),
        ((None, None, None, "map"), ("tf", None, None, "map")),
        # As the launch file does, which states everything.
        (("unknown", 0.0, 0.0, "odom"), ("unknown", 0.0, 0.0, "odom")),
    ],
)
def test_a_pitch_alone_states_the_tilt(asked: tuple, lift3d: tuple) -> None:
    chosen: dict = {"lift3d": {"height": 1.8}, "refine": {}}
    _tilted(chosen, *asked)
    tilt, pitch, roll, frame = lift3d
    assert chosen == {
        "lift3d": {
            "height": 1.8,
            "camera_tilt": tilt,
            "camera_pitch_deg": pitch,
            "camera_roll_deg": roll,
            "level_frame": frame,
        },
        "refine": {"camera_pitch_deg": pitch, "camera_roll_deg": roll},
    }
