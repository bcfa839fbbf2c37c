from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lift3d_node.pairing import SIZE, Pairing
from pose_core.people import People2D, People3D


def people(stamp: int) -> People2D:
    return People2D(stamp, "camera", "mediapipe33", 640, 480)


def world(stamp: int) -> People3D:
    return People3D(stamp, "camera", "mediapipe33")


def stamps(pairing: Pairing) -> list[int]:
    frames = pairing.take()
    assert all(second is not None and first.stamp == second.stamp for first, second in frames)
    return [first.stamp for first, _ in frames]


def test_people_go_straight_through_where_no_world_is_used() -> None:
    pairing = Pairing(uses_world=False)
    pairing.put_people(people(1))
    assert pairing.complete() == 1
    assert pairing.take() == [(people(1), None)]
    assert pairing.take() == []


@pytest.mark.parametrize("world_first", [True, False])
def test_partners_meet_in_either_order(world_first: bool) -> None:
    pairing = Pairing(uses_world=True)
    steps = [lambda: pairing.put_people(people(5)), lambda: pairing.put_world(world(5))]
    for step in reversed(steps) if world_first else steps:
        assert pairing.complete() == 0
        step()
    assert stamps(pairing) == [5]
    assert pairing.take_lost() == 0


def test_stamps_must_be_equal() -> None:
    pairing = Pairing(uses_world=True)
    pairing.put_people(people(5))
    pairing.put_world(world(6))
    assert pairing.complete() == 0


def test_one_topic_may_run_ahead() -> None:
    pairing = Pairing(uses_world=True)
    for stamp in range(8):
        pairing.put_world(world(stamp))
    for stamp in range(8):
        pairing.put_people(people(stamp))
    assert stamps(pairing) == list(range(8))


def test_a_complete_frame_ends_the_waiting_of_older_ones() -> None:
    pairing = Pairing(uses_world=True)
    for stamp in (1, 2, 3):
        pairing.put_people(people(stamp))
    pairing.put_world(world(3))
    assert stamps(pairing) == [3]
    assert pairing.take_lost() == 2
    assert pairing.take_lost() == 0
    pairing.put_world(world(2))
    assert pairing.complete() == 0


def test_buffers_are_bounded() -> None:
    pairing = Pairing(uses_world=True)
    for stamp in range(SIZE + 3):
        pairing.put_people(people(stamp))
    assert pairing.take_lost() == 3
    pairing.put_world(world(3))
    assert stamps(pairing) == [3]
    pairing = Pairing(uses_world=True)
    for stamp in range(SIZE + 3):
        pairing.put_world(world(stamp))
    pairing.put_people(people(2))
    assert pairing.complete() == 0
    pairing.put_people(people(3))
    assert stamps(pairing) == [3]


@pytest.mark.parametrize("world_first", [True, False])
def test_time_that_goes_back_starts_anew(world_first: bool) -> None:
    """A bag that loops: what waits of the first round never meets the second, not even under equal stamps."""
    pairing = Pairing(uses_world=True)
    pairing.put_people(people(100))
    pairing.put_world(world(90))
    for stamp in (10, 20, 90):
        first, second = (pairing.put_world, world), (pairing.put_people, people)
        for put, make in (first, second) if world_first else (second, first):
            put(make(stamp))
    assert stamps(pairing) == [10, 20, 90]
    assert pairing.take_lost() == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=20, max_size=20), st.integers(0, 1000))
def test_nothing_is_mixed_up_and_all_is_accounted_for(arrives: list[bool], seed: int) -> None:
    """Topics keep their order, one lags the other by chance, worlds get lost."""
    pairing, rng = Pairing(uses_world=True), random.Random(seed)
    worlds = [stamp for stamp, came in enumerate(arrives) if came]
    queue = [list(range(20)), list(worlds)]
    got: list[int] = []
    lost = 0
    while any(queue):
        which = rng.choice([i for i in (0, 1) if queue[i]])
        stamp = queue[which].pop(0)
        (pairing.put_world(world(stamp)) if which else pairing.put_people(people(stamp)))
        got += stamps(pairing)
        lost += pairing.take_lost()
    assert got == sorted(got)
    assert set(got) <= set(worlds)
    assert len(got) + lost <= 20
