from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.filtering.windows import CausalWindow


def test_the_first_item_fills_the_window_and_later_ones_push_it_out():
    window = CausalWindow(3, (2,))
    np.testing.assert_array_equal(window.push(np.array([1.0, 10.0])), [[1, 10], [1, 10], [1, 10]])
    np.testing.assert_array_equal(window.push(np.array([2.0, 20.0])), [[1, 10], [1, 10], [2, 20]])
    np.testing.assert_array_equal(window.seen, [[1, 10], [2, 20]])
    window.push(np.array([3.0, 30.0]))
    np.testing.assert_array_equal(window.push(np.array([4.0, 40.0])), [[2, 20], [3, 30], [4, 40]])
    assert window.count == 3


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 7), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_the_view_is_the_tail_of_what_was_pushed(length, values):
    window = CausalWindow(length, ())
    for i, value in enumerate(values):
        window.push(np.asarray(value))
        tail = values[max(0, i + 1 - length) : i + 1]
        np.testing.assert_array_equal(window.view, [tail[0]] * (length - len(tail)) + tail)
        np.testing.assert_array_equal(window.seen, tail)


def test_reading_copies_nothing_and_cannot_write():
    window = CausalWindow(4, (33, 3))
    view = window.push(np.zeros((33, 3)))
    assert view.base is not None
    assert view.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1.0


def test_reset_forgets():
    window = CausalWindow(2, ())
    window.push(np.asarray(1.0))
    window.push(np.asarray(2.0))
    window.reset()
    with pytest.raises(ValueError, match="empty"):
        _ = window.view
    np.testing.assert_array_equal(window.push(np.asarray(5.0)), [5.0, 5.0])


def test_integers_stay_exact():
    window = CausalWindow(2, (), np.int64)
    stamp = 1_700_000_000_123_456_789
    assert window.push(np.asarray(stamp))[-1] == stamp


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="at least 1 item, got 0"):
        CausalWindow(0, (3,))
    with pytest.raises(ValueError, match=r"shape \(3,\), got \(2,\)"):
        CausalWindow(2, (3,)).push(np.zeros(2))
