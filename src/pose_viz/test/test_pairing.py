"""What belongs to one image comes together, in whatever order it arrives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.people import People2D, People3D
from pose_viz.pairing import KEEP, RECENT_NS, Pairing

MS = 1_000_000


def people2d(stamp):
    return People2D(stamp, "cam", "coco17", 4, 3)


def people3d(stamp):
    return People3D(stamp, "cam", "coco17")


def image(stamp):
    return np.full((3, 4, 3), stamp % 251, np.uint8)


def put(pairing, what, stamp):
    if what == "image":
        pairing.put_image(stamp, image(stamp))
    elif what == "2d":
        pairing.put_people2d(people2d(stamp))
    else:
        pairing.put_people3d(people3d(stamp))


@pytest.mark.parametrize("order", list(itertools.permutations(("image", "2d", "3d"))))
def test_any_order(order):
    pairing = Pairing()
    put(pairing, "3d", 1)  # somebody computes 3D
    for what in order:
        assert pairing.take() is None
        put(pairing, what, 7)
    frame = pairing.take()
    assert (frame.people2d.stamp, frame.people3d.stamp, frame.image[0, 0, 0]) == (7, 7, 7)
    assert pairing.take() is None


def test_without_3d_nobody_waits_for_it():
    pairing = Pairing()
    put(pairing, "image", 5)
    put(pairing, "2d", 5)
    frame = pairing.take()
    assert frame.people2d.stamp == 5
    assert frame.people3d is None


def test_when_3d_stops_it_is_waited_for_no_longer_than_a_second_of_image_time():
    pairing = Pairing()
    put(pairing, "3d", 0)
    for stamp, taken in ((RECENT_NS, False), (RECENT_NS + 1, True)):
        put(pairing, "image", stamp)
        put(pairing, "2d", stamp)
        assert (pairing.take() is not None) == taken


def test_late_3d_does_not_hold_images_for_ever():
    pairing = Pairing()
    put(pairing, "3d", 0)
    for stamp in range(1, KEEP + 1):
        assert pairing.take() is None
        put(pairing, "image", stamp)
        put(pairing, "2d", stamp)
    assert pairing.take().people2d.stamp == 1


def test_the_newest_is_drawn_and_older_ones_are_dropped():
    pairing = Pairing()
    for stamp in (1, 2, 3):
        put(pairing, "image", stamp)
    for stamp in (1, 2):
        put(pairing, "2d", stamp)
    assert pairing.take().people2d.stamp == 2
    put(pairing, "2d", 3)
    assert pairing.take().people2d.stamp == 3
    put(pairing, "image", 2)
    put(pairing, "2d", 3)
    assert pairing.take() is None


def test_stamps_must_be_equal_to_the_nanosecond():
    pairing = Pairing()
    put(pairing, "image", 10**18)
    put(pairing, "2d", 10**18 + 1)
    assert pairing.take() is None


def test_a_stamp_that_goes_back_starts_anew():
    pairing = Pairing()
    put(pairing, "3d", 100)
    for what in ("image", "2d", "3d"):
        put(pairing, what, 100)
    assert pairing.take() is not None
    put(pairing, "2d", 3)
    put(pairing, "image", 3)
    frame = pairing.take()
    assert frame.people2d.stamp == 3
    assert frame.people3d is None


def test_rate():
    pairing = Pairing()
    taken = []
    for number in range(60):
        stamp = round(number * 1e9 / 60)
        put(pairing, "image", stamp)
        put(pairing, "2d", stamp)
        frame = pairing.take(rate=20.0)
        taken += [number] if frame else []
    assert taken == list(range(0, 60, 3))
    assert pairing.due(2 * 10**9, 20.0)
    assert not pairing.due(950 * MS + 40 * MS, 20.0)
    assert pairing.due(951 * MS, 0.0)
    assert pairing.due(10 * MS, 20.0)  # time has gone back


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["image", "2d", "3d"]), st.integers(0, 30)), max_size=120))
def test_buffers_are_bounded_and_frames_consistent(arrivals):
    pairing = Pairing()
    for what, stamp in arrivals:
        put(pairing, what, stamp)
        for waiting in (pairing._images, pairing._people2d, pairing._people3d):
            assert len(waiting) <= KEEP
        frame = pairing.take()
        if frame:
            assert frame.image[0, 0, 0] == frame.people2d.stamp
            assert frame.people3d is None or frame.people3d.stamp == frame.people2d.stamp
