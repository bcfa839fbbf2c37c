from __future__ import annotations

from dataclasses import dataclass

import pytest

from pose_core.config import StageParams, build, check, param


@dataclass(frozen=True)
class Camera(StageParams):
    rate: float = param(30.0, "frames per second", low=1.0, high=240.0)
    index: int = param(0, "number of the camera", low=0)
    below: float = param(0.0, "an upper bound alone", high=1.0)
    mode: str = param("video", "kind of source", choices=("video", "folder"))
    loop: bool = param(False, "start again at the end", live=True)


@dataclass(frozen=True)
class Source(StageParams):
    source: str = param("", "index or file")


def test_defaults_pass_the_check():
    assert build(Camera, {}) == Camera()
    check(Camera())


def test_values_replace_defaults_and_inherited_ones():
    params = build(Camera, {"rate": 25.0, "autostart": False, "diagnostics_period": 0.5})
    assert (params.rate, params.autostart, params.diagnostics_period, params.mode) == (
        25.0,
        False,
        0.5,
        "video",
    )


def test_a_whole_number_may_stand_for_a_string_as_yaml_reads_camera_0():
    assert build(Camera, {"mode": "folder"}).mode == "folder"
    assert build(Source, {"source": 0}).source == "0"
    with pytest.raises(ValueError, match="source must be of type str, got True"):
        build(Source, {"source": True})


def test_a_whole_number_may_stand_for_a_float_but_not_the_reverse():
    rate = build(Camera, {"rate": 60}).rate
    assert rate == 60.0
    assert type(rate) is float
    with pytest.raises(ValueError, match=r"index must be of type int, got 1\.0"):
        build(Camera, {"index": 1.0})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": 0.5}, r"rate must be from 1\.0 to 240\.0, got 0\.5"),
        ({"rate": 240.5}, "rate must be from"),
        ({"rate": float("nan")}, "rate must be a number, got nan"),
        ({"rate": "fast"}, "rate must be of type float, got 'fast'"),
        ({"rate": True}, "rate must be of type float, got True"),
        ({"index": -1}, "index must be at least 0, got -1"),
        ({"index": True}, "index must be of type int"),
        ({"below": 1.5}, r"below must be at most 1\.0, got 1\.5"),
        ({"mode": "vidoe"}, "mode must be one of video, folder, got 'vidoe'"),
        ({"loop": 1}, "loop must be of type bool, got 1"),
        ({"rte": 30.0}, r"unknown parameter 'rte'; did you mean 'rate'\?"),
        ({"diagnostics_period": 0.0}, "diagnostics_period must be from"),
    ],
)
def test_a_wrong_value_is_explained(values, message):
    with pytest.raises(ValueError, match=message):
        build(Camera, values)


@pytest.mark.parametrize("bound", [1.0, 240.0])
def test_bounds_are_inclusive(bound):
    assert build(Camera, {"rate": bound}).rate == bound


def test_a_default_of_another_kind_is_refused(without_checks):
    with pytest.raises(TypeError, match="a bool, int, float or str"):
        param((1, 2), "a tuple")
