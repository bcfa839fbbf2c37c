from __future__ import annotations

import re

import pytest

from pose2d_node.params import Pose2DParams
from pose2d_node.run_token import run_token
from pose2d_node.testing import figure
from pose2d_node.tracker import Tracker
from pose_core.people import expect_id


@pytest.mark.parametrize("source", ["walk.mp4", "folder/of/images"])
def test_a_recording_that_is_read_as_fast_as_it_can_be_has_none(source: str) -> None:
    assert run_token(Pose2DParams(source=source)) == ""


@pytest.mark.parametrize(
    "params",
    [
        Pose2DParams(),
        Pose2DParams(source="0"),
        Pose2DParams(source="/dev/video0"),
        Pose2DParams(source="rtsp://camera/stream"),
        Pose2DParams(source="walk.mp4", real_time=True),
    ],
)
def test_whatever_is_live_has_another_one_each_time(params: Pose2DParams) -> None:
    tokens = {run_token(params) for _ in range(20)}
    assert len(tokens) > 15
    assert all(re.fullmatch("[a-z2-7]{4}", token) for token in tokens)


def test_a_stated_one_is_used_and_none_is_none() -> None:
    assert run_token(Pose2DParams(run_token="lab3", source="0")) == "lab3"
    assert run_token(Pose2DParams(run_token="none", source="0")) == ""


@pytest.mark.parametrize("stated", ["", "K7F2", "a b", "a_b", "x" * 17, "../x", "a\n"])
def test_what_cannot_stand_in_an_id_is_refused(stated: str) -> None:
    with pytest.raises(
        ValueError, match="run_token must be auto, none, or at most 16 letters a to z and digits"
    ):
        run_token(Pose2DParams(run_token=stated))


def test_ids_end_with_the_token() -> None:
    tracker = Tracker(token="k7f2")
    assert tracker.update(1, [figure(100.0), figure(500.0)]) == ["p1_k7f2", "p2_k7f2"]
    tracker.reset()
    assert tracker.update(2, [figure(100.0)]) == ["p3_k7f2"]
    expect_id("p1_" + "x" * 16)
