"""Images that CameraInfo announces and that never come."""

from __future__ import annotations

import random

import pytest

from pose2d_node.lost_images import BACK, RECENT, WAITING, LostImages

PERIOD = 33_333_333


def played(images: list[int], infos: list[int], offset: int = 0) -> LostImages:
    """`images` and `infos` of these numbers, each image right after its CameraInfo."""
    lost = LostImages()
    for number in range(max([*images, *infos]) + 1):
        if number in infos:
            lost.announce(offset + number * PERIOD)
        if number in images:
            lost.arrive(offset + number * PERIOD)
    return lost


def test_where_all_come_none_is_lost() -> None:
    lost = played(list(range(500)), list(range(500)))
    assert (lost.lost, lost.share, lost.recent) == (0, 0.0, RECENT)


def test_every_second_image_lost_is_half() -> None:
    lost = played(list(range(0, 400, 2)), list(range(400)))
    # numbers 1 to 393: 395 has two newer images, 397 one, 399 none
    assert lost.lost == 197
    assert lost.share == pytest.approx(0.5, abs=0.01)


def test_seven_of_eight_lost_as_with_fast_dds_defaults() -> None:
    lost = played(list(range(0, 480, 8)), list(range(480)))
    assert lost.lost == pytest.approx(480 * 7 / 8, abs=21)
    assert lost.share == pytest.approx(7 / 8, abs=0.02)


def test_no_image_any_more_is_lost_too() -> None:
    lost = played(list(range(10)), list(range(10 + WAITING + 25)))
    assert lost.lost == 25


@pytest.mark.parametrize("late", [0, 1, 2])
def test_images_and_infos_may_come_in_any_order(late: int) -> None:
    lost = LostImages()
    shuffle = random.Random(late)
    for start in range(0, 300, 3):
        events = [(lost.announce, start + i) for i in range(3)] + [(lost.arrive, start + i) for i in range(3)]
        shuffle.shuffle(events)
        for event, number in events:
            event(number * PERIOD)
    assert lost.lost == 0


def test_without_camera_info_and_with_stamps_that_never_agree_nothing_is_known() -> None:
    assert played(list(range(300)), []).recent == 0
    lost = LostImages()
    for number in range(300):
        lost.announce(number * PERIOD)
        lost.arrive(number * PERIOD + 1)
    assert (lost.lost, lost.recent) == (0, 0)


def test_what_was_announced_before_the_first_image_is_not_lost() -> None:
    lost = played(list(range(50, 200)), list(range(200)))
    assert lost.lost == 0


def test_a_recording_that_begins_again_loses_nothing() -> None:
    lost = LostImages()
    ahead = 2  # CameraInfo overtakes images
    for _ in range(3):
        count = 2 * WAITING + BACK // PERIOD
        for number in range(count + ahead):
            if number < count:
                lost.announce(number * PERIOD)
            if number >= ahead:
                lost.arrive((number - ahead) * PERIOD)
    assert lost.lost == 0
