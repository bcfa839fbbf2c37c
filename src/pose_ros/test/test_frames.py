"""Images shared inside the process: exact stamps, a bound, and no writing."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from pose_ros import frames


@pytest.fixture(autouse=True)
def _empty():
    frames.clear()
    yield
    frames.clear()


def image(value: int) -> np.ndarray:
    return np.full((2, 3, 3), value, np.uint8)


def test_an_image_is_found_by_topic_and_stamp():
    frames.put("/a", 1, image(10))
    frames.put("/b", 1, image(20))
    assert frames.get("/a", 1)[0, 0, 0] == 10
    assert frames.get("/b", 1)[0, 0, 0] == 20
    assert frames.get("/a", 2) is None
    assert frames.get("/c", 1) is None


def test_the_last_images_are_kept():
    for stamp in range(20):
        frames.put("/a", stamp, image(stamp))
    assert [stamp for stamp in range(20) if frames.get("/a", stamp) is not None] == list(range(12, 20))


def test_a_topic_that_restarts_keeps_its_newest_images():
    for stamp in [*range(100, 108), 0, 1]:
        frames.put("/a", stamp, image(stamp))
    kept = [stamp for stamp in range(200) if frames.get("/a", stamp) is not None]
    assert kept == [0, 1, *range(102, 108)]


def test_the_last_topics_are_kept():
    for topic in range(30):
        frames.put(f"/{topic}", 1, image(topic))
    assert [topic for topic in range(30) if frames.get(f"/{topic}", 1) is not None] == list(range(14, 30))


def test_a_shared_image_cannot_be_drawn_on():
    own = image(10)
    frames.put("/a", 1, own)
    with pytest.raises(ValueError, match="read-only"):
        frames.get("/a", 1)[0, 0, 0] = 0
    own[0, 0, 0] = 5  # the owner's array stays as it was


def test_threads_may_share():
    def work(topic: str) -> None:
        for stamp in range(500):
            frames.put(topic, stamp, image(stamp % 256))
            assert frames.get(topic, stamp)[0, 0, 0] == stamp % 256

    failures: list[BaseException] = []

    def guarded(topic: str) -> None:
        try:
            work(topic)
        except (AssertionError, KeyError, RuntimeError, TypeError) as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(f"/{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
