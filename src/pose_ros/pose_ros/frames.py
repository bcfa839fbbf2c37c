"""Images shared inside one process, so that what draws on an image need not receive it through DDS.

The stage that owns an image puts it here under its fully resolved topic and stamp; who cannot find it here
subscribes. A few images of a few topics are kept, the oldest go first. Any thread may call these functions.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np

KEPT = 8
"""Images per topic: more than a pipeline has in flight between detection and drawing."""
TOPICS = 16

_lock = threading.Lock()
_rings: OrderedDict[str, OrderedDict[int, np.ndarray]] = OrderedDict()


def put(topic: str, stamp: int, bgr: np.ndarray) -> None:
    """Keep `bgr` (H, W, 3) of `stamp` (ns). It is not copied: its owner must not write to it afterwards."""
    shared = bgr.view()
    shared.flags.writeable = False
    with _lock:
        ring = _rings.setdefault(topic, OrderedDict())
        _rings.move_to_end(topic)
        ring[stamp] = shared
        ring.move_to_end(stamp)
        _drop_oldest(ring, KEPT)
        _drop_oldest(_rings, TOPICS)


def get(topic: str, stamp: int) -> np.ndarray | None:
    """The read-only image of exactly `stamp` (ns), or None."""
    with _lock:
        return _rings.get(topic, OrderedDict()).get(stamp)


def clear() -> None:
    """Forget all images."""
    with _lock:
        _rings.clear()


def _drop_oldest(ring: OrderedDict, kept: int) -> None:
    while len(ring) > kept:
        ring.popitem(last=False)
