"""What `ros2 param describe` tells of every parameter of every stage."""

from __future__ import annotations

import pytest

from pose_ros.parameters import describe
from pose_tools.parameters.table import STAGES, full_names, parameter


@pytest.mark.parametrize("full", full_names(STAGES))
def test_descriptors_say_what_the_dataclasses_say(full: str) -> None:
    known = parameter(full)
    told = describe(known)
    assert told.description == known.description + (f" [{known.unit}]" if known.unit else "")
    assert told.read_only is not known.live
    assert told.additional_constraints == (f"one of {', '.join(known.choices)}" if known.choices else "")
    ranges = [*told.floating_point_range, *told.integer_range]
    assert len(ranges) == (known.low is not None or known.high is not None)
    for span in ranges:
        assert known.low is None or span.from_value == known.low
        assert known.high is None or span.to_value == known.high
