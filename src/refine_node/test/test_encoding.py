"""What a refining network sees of a person."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.networks.step import context
from refine_node import encoding
from refine_node.encoding import encode

JOINTS = 4


def some(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(JOINTS, 3)) * 0.4, rng.uniform(0.01, 0.2, JOINTS), rng.uniform(0.1, 1.0, JOINTS)


def test_lengths_are_in_heights_and_deviations_logarithms():
    relative, std, confidence = some()
    joints = encode(relative, std, confidence, 1.6)
    assert joints.dtype == np.float32
    assert joints.shape == (JOINTS, len(encoding.FEATURES))
    np.testing.assert_allclose(joints[:, :3], relative / 1.6, rtol=1e-6)
    np.testing.assert_allclose(joints[:, 3], np.log(std / 1.6), rtol=1e-6)
    np.testing.assert_allclose(joints[:, 4], confidence, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(factor=st.floats(0.3, 3.0), seed=st.integers(0, 99))
def test_a_person_twice_as_large_looks_the_same(factor, seed):
    relative, std, confidence = some(seed)
    once = encode(relative, std, confidence, 1.7)
    np.testing.assert_allclose(
        encode(factor * relative, factor * std, confidence, factor * 1.7), once, atol=1e-5
    )


@pytest.mark.parametrize("height", [math.nan, 0.0, -1.0, math.inf])
def test_an_unknown_height_is_that_of_an_average_person(height):
    relative, std, confidence = some()
    np.testing.assert_array_equal(
        encode(relative, std, confidence, height), encode(relative, std, confidence, encoding.DEFAULT_HEIGHT)
    )


@pytest.mark.parametrize("what", ["relative", "std", "confidence", "infinite"])
def test_a_missing_joint_is_all_zeros_and_the_others_stay(what):
    whole = encode(*some(), 1.7)
    relative, std, confidence = some()
    if what == "relative":
        relative[1, 2] = np.nan
    elif what == "infinite":
        relative[1, 0] = np.inf
    elif what == "std":
        std[1] = np.nan
    else:
        confidence[1] = 0.0
    joints = encode(relative, std, confidence, 1.7)
    np.testing.assert_array_equal(joints[1], np.zeros(5))
    np.testing.assert_array_equal(np.delete(joints, 1, 0), np.delete(whole, 1, 0))


def test_numbers_are_bounded():
    relative, std, confidence = some()
    relative[0], std[:2], confidence[2] = (100.0, -100.0, 0.0), (0.0, 50.0), 3.0
    joints = encode(relative, std, confidence, 1.7)
    np.testing.assert_array_equal(joints[0, :3], (2.0, -2.0, 0.0))
    np.testing.assert_allclose(joints[:2, 3], (-7.0, 0.0), atol=1e-6)
    assert joints[2, 4] == 1.0


def test_sequences_are_their_frames():
    frames = [some(seed) for seed in range(6)]
    relative, std, confidence = (
        np.stack(arrays).reshape(2, 3, JOINTS, *rest)
        for arrays, rest in zip(zip(*frames, strict=True), [(3,), (), ()], strict=True)
    )
    heights = np.linspace(1.5, 2.0, 6).reshape(2, 3)
    whole = encode(relative, std, confidence, heights)
    for i, frame in enumerate(frames):
        np.testing.assert_array_equal(whole[i // 3, i % 3], encode(*frame, heights.flat[i]))


def test_the_step_is_a_logarithm_over_a_thirtieth_of_a_second():
    steps = np.array([1 / 30, 1 / 60, 1 / 15, np.nan, 1e-6, 10.0, 0.0, -1.0])
    expected = np.log([1.0, 0.5, 2.0, 1.0, 0.25, 15.0, 0.25, 0.25])
    assert context(steps).dtype == np.float32
    np.testing.assert_allclose(context(steps), expected[:, None], atol=1e-6)
    assert context(1 / 30).shape == (1,)
