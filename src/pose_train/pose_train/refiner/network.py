"""What a refining network is; the table of all of them is `pose_train/refiner/networks`."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from pose_core.skeleton import SKELETONS, Skeleton
from pose_train.trunk.network import StreamingNetwork

LOOK_AHEADS = (0, 2, 4, 8)
"""Frames that an answer may wait for; a network gives those that its configuration reaches."""


class RefiningNetwork(StreamingNetwork):
    """Noisy joints of one person, frame by frame, to better ones, for several look-aheads at once.

    Sees joints (J, 5) and a context of `refine_node.encoding`. Outputs are (B, T, K, ...) of sequences and (B, K, ...) of a
    frame: entry k of the answer to frame t describes frame t - look_aheads[k]; where there is no such frame it is finite and
    without meaning. `Config` has `skeleton`.
    """

    def __init__(self, config: Any) -> None:
        """Raises ValueError for a configuration that cannot work."""
        super().__init__(config)
        self.skeleton: Skeleton = SKELETONS.get(config.skeleton)

    @property
    @abstractmethod
    def look_aheads(self) -> tuple[int, ...]:
        """Frames between the newest and the one described, ascending."""


OUTPUTS = ("xyz", "log_std")
"""Names that a network may give.

Per frame and look-ahead: `xyz` (J, 3) joints about the root, axes of the camera, in standing heights; `log_std` (J,) natural
logarithm of their standard deviation along one axis, in heights.
"""
