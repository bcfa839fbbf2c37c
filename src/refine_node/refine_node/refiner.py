"""What a refiner is, and the table of all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pose_core.people import Person3D
from pose_core.registry import Registry
from pose_core.skeleton import Skeleton
from refine_node.params import RefineParams


class Refiner(ABC):
    """Smooths one person over time; each person has an object of their own.

    Stamps are nanoseconds and increase from call to call; steps may be of any size. What comes in is never changed. A
    joint that is missing (NaN) may come back as a prediction with state PREDICTED; the caller decides for how
    long such joints and predicted people are used.
    """

    delay: float = 0.0
    """Seconds of look-ahead: what `refine` returns describes the time `stamp - delay`."""

    def __init__(self, params: RefineParams, skeleton: Skeleton) -> None:
        self.params = params
        self.skeleton = skeleton
        self.reset()

    @abstractmethod
    def refine(self, person: Person3D, stamp: int) -> Person3D:
        """The person, smoothed, as seen at `stamp`; works from the first frame on."""

    @abstractmethod
    def predict(self, stamp: int) -> Person3D | None:
        """The person at `stamp` as far as earlier frames tell, all joints PREDICTED; None where they tell nothing.

        Leaves the state as it is. Standard deviations grow with the time since the last frame.
        """

    @abstractmethod
    def reset(self) -> None:
        """Forget all frames."""


REFINERS: Registry[type[Refiner]] = Registry("refiner")
"""Refiner classes by name; a file in `refine_node/refiners` registers one."""
