from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from pose2d_node.detection import Detection
from pose2d_node.testing import figure
from pose2d_node.tracker import (
    Tracker,
    diagonal,
    distinct,
    intersection_over_union,
    keypoint_similarity,
    most_alike,
    similarity,
    torso,
)

MS = 1_000_000
NOWHERE = np.zeros(2)


def test_keypoint_similarity_by_value():
    before = figure(0.0, size=100.0)
    size = math.hypot(50.0, 100.0)
    assert diagonal(before) == pytest.approx(size)
    assert keypoint_similarity(before, before, NOWHERE, 0.1) == 1.0
    one_tolerance_away = figure(0.1 * size)
    assert keypoint_similarity(before, one_tolerance_away, NOWHERE, 0.1) == pytest.approx(math.exp(-0.5))
    assert keypoint_similarity(before, one_tolerance_away, np.array([0.1 * size, 0.0]), 0.1) == pytest.approx(
        1.0
    )


def test_guessed_joints_do_not_count():
    before, now = figure(0.0), figure(0.0)
    now.xy_px[:10] += 1000.0
    assert keypoint_similarity(before, now, NOWHERE, 0.1) == pytest.approx(23 / 33)
    now.confidence[:10] = 0.0
    assert keypoint_similarity(before, now, NOWHERE, 0.1) == pytest.approx(1.0)
    now.xy_px[:10] = np.nan
    assert keypoint_similarity(before, now, NOWHERE, 0.1) == pytest.approx(1.0)
    now.confidence[:] = 0.0
    assert keypoint_similarity(before, now, NOWHERE, 0.1) == 0.0


def test_intersection_over_union_by_value():
    a = np.array([0.0, 0.0, 2.0, 2.0])
    assert intersection_over_union(a, a) == 1.0
    assert intersection_over_union(a, a + 1.0) == pytest.approx(1 / 7)
    assert intersection_over_union(a, a + 2.0) == 0.0
    assert intersection_over_union(a, a + 5.0) == 0.0
    assert intersection_over_union(np.zeros(4), np.zeros(4)) == 0.0


def test_similarity_mixes_keypoints_and_boxes():
    before, now = figure(0.0, size=100.0), figure(25.0, size=100.0)
    keypoints = math.exp(-0.5 * (25.0 / (0.2 * math.hypot(50.0, 100.0))) ** 2)
    assert similarity(before, now, NOWHERE, 0.2) == pytest.approx(0.7 * keypoints + 0.3 / 3)


def test_the_torso_does_without_missing_joints():
    seen = figure(10.0, 20.0)
    corners = [11, 12, 23, 24]
    assert torso(seen) == pytest.approx(seen.xy_px[corners].mean(0))
    seen.xy_px[11] = np.nan
    assert torso(seen) == pytest.approx(seen.xy_px[corners[1:]].mean(0))
    seen.xy_px[corners] = np.nan
    assert torso(seen) == pytest.approx([10.0, 20.0])


def walk(tracker: Tracker, where: list[list[float | None]]) -> list[list[str | None]]:
    """Ids of people that stand at the given places (None: unseen), 30 images per second.

    The second one is a little smaller, and the order of the detections changes all the time.
    """
    ids: list[list[str | None]] = []
    for step, places in enumerate(where, 1):
        seen = [(i, figure(x, size=100.0 - 15.0 * i)) for i, x in enumerate(places) if x is not None]
        seen = seen[::-1] if step % 2 else seen
        names = tracker.update(step * 33 * MS, [person for _, person in seen])
        given = dict(zip([i for i, _ in seen], names, strict=True))
        ids.append([given.get(i) for i in range(len(places))])
    return ids


def test_people_keep_their_ids_when_they_walk_through_each_other():
    places = [[-75.0 + 5.0 * i, 75.0 - 5.0 * i] for i in range(31)]  # 1.5 heights per second
    ids = walk(Tracker(), places)
    assert set(ids[0]) == {"p1", "p2"}
    assert all(row == ids[0] for row in ids)


def test_people_keep_their_ids_when_one_hides_the_other():
    places = [[-75.0 + 5.0 * i, None if 12 <= i <= 18 else 75.0 - 5.0 * i] for i in range(31)]
    ids = walk(Tracker(), places)
    assert {row[0] for row in ids} == {ids[0][0]}
    assert {row[1] for row in ids} == {ids[0][1], None}


def test_velocity_tells_people_apart_where_the_nearest_place_would_not():
    left, right = figure(-2.0), figure(2.0)
    passed = [figure(4.0), figure(-4.0)]  # each is nearer to where the other one was
    standing = Tracker()
    standing.update(MS, [left, right])
    assert standing.update(34 * MS, passed) == ["p2", "p1"]
    walking = Tracker()
    for step in range(5, 0, -1):
        walking.update((6 - step) * 33 * MS, [figure(-2.0 - 6.0 * step), figure(2.0 + 6.0 * step)])
    assert walking.update(6 * 33 * MS, [left, right]) == ["p1", "p2"]
    assert walking.update(7 * 33 * MS, passed) == ["p1", "p2"]


@pytest.mark.parametrize("period_ms", [10, 33, 200])
def test_a_gap_is_counted_in_seconds(period_ms):
    tracker = Tracker(max_gap=0.6)
    assert tracker.update(1, [figure(0.0)]) == ["p1"]
    for time_ms in range(period_ms, 600, period_ms):
        assert tracker.update(time_ms * MS, []) == []
    assert tracker.update(600 * MS, [figure(5.0)]) == ["p1"]
    assert tracker.update(1201 * MS, [figure(5.0)]) == ["p2"]


def test_a_jump_to_another_place_is_another_person():
    tracker = Tracker()
    for step in range(1, 10):
        assert tracker.update(step * 16 * MS, [figure(0.0)]) == ["p1"]
    assert tracker.update(160 * MS, [figure(100.0)]) == ["p2"]
    assert tracker.update(176 * MS, [figure(100.0), figure(0.0)]) == ["p2", "p1"]  # it was still there


def test_ids_are_not_given_twice():
    tracker = Tracker(max_gap=0.1)
    given = [tracker.update(step * 1000 * MS, [figure(0.0)])[0] for step in range(1, 5)]
    tracker.reset()
    given += tracker.update(1, [figure(0.0), figure(500.0)])
    assert given == ["p1", "p2", "p3", "p4", "p5", "p6"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (0, 3), (3, 0), (0, 0), (3, 2)])
def test_the_most_alike_are_those_of_scipy(shape: tuple[int, int]):
    """Few values, so that many are equal."""
    chance = np.random.default_rng(3)
    for _ in range(50):
        table = chance.integers(0, 3, shape) / 2.0
        expected = linear_sum_assignment(table, maximize=True)
        np.testing.assert_array_equal(most_alike(table), expected)


def test_stamps_must_increase():
    tracker = Tracker()
    tracker.update(5, [figure(0.0)])
    for stamp in (5, 4):
        with pytest.raises(ValueError, match=f"stamps must increase, got {stamp} after 5; reset the tracker"):
            tracker.update(stamp, [])


def test_a_second_detection_of_a_person_is_dropped():
    person, again, neighbour = (
        figure(0.0, confidence=0.8),
        figure(1.5, confidence=0.9),
        figure(25.0, confidence=0.5),
    )
    assert distinct([person, again, neighbour]) == [again, neighbour]
    assert distinct([neighbour, again, person]) == [neighbour, again]
    assert distinct([person, neighbour]) == [person, neighbour]
    child = replace(figure(0.0, size=70.0), score=0.7)
    assert distinct([person, child]) == [person, child]
    assert distinct([]) == []


people = st.lists(
    st.tuples(
        st.floats(-1000.0, 1000.0), st.floats(-1000.0, 1000.0), st.floats(20.0, 800.0), st.floats(0.01, 1.0)
    ),
    max_size=5,
)


@given(st.lists(people, max_size=6), st.integers(1, 2_000))
@settings(max_examples=50, deadline=None)
def test_everybody_has_one_id_and_each_id_one_person(images, period_ms):
    tracker, known, newest = Tracker(), set(), 0
    for step, seen in enumerate(images, 1):
        ids = tracker.update(step * period_ms * MS, [figure(*person) for person in seen])
        assert len(ids) == len(seen) == len(set(ids))
        newest += len(set(ids) - known)
        known |= set(ids)
        assert known == {f"p{n}" for n in range(1, newest + 1)}


@given(people, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_detections_does_not_matter(seen, random):
    before = distinct([figure(*person) for person in seen])
    shuffled = list(range(len(before)))
    random.shuffle(shuffled)
    moved: list[Detection] = [replace(d, xy_px=d.xy_px + 1.0, box_px=d.box_px + 1.0) for d in before]
    straight, mixed = Tracker(), Tracker()
    straight.update(MS, before)
    mixed.update(MS, before)
    ids = straight.update(34 * MS, moved)
    assert mixed.update(34 * MS, [moved[i] for i in shuffled]) == [ids[i] for i in shuffled]
