"""What a refiner is, and the table of all of them."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from pose_core import doors
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

    looks_ahead: ClassVar[bool] = False
    """Whether later frames teach about earlier ones: `RefineParams.look_ahead` says how many."""
    runs_network: ClassVar[bool] = False
    """Whether `RefineParams.model` means something."""

    def __init__(self, params: RefineParams, skeleton: Skeleton) -> None:
        """`check` has told that these go together."""
        self.params = params
        self.skeleton = skeleton
        self.reset()

    @classmethod
    def check(cls, params: RefineParams, skeleton: Skeleton | None = None) -> None:
        """Raise ValueError where people of `skeleton`, or of any if None, cannot be refined with `params`."""
        for name, needed, known in (
            ("look_ahead", "looks_ahead", "0"),
            ("model", "runs_network", "nothing"),
        ):
            if getattr(params, name) and not getattr(cls, needed):
                able = [other for other, kind in REFINERS.usable() if getattr(kind, needed)]
                raise ValueError(
                    f"refiner '{params.refiner}' cannot use {name} {getattr(params, name)}; set {name} to {known}, "
                    f"or refiner to one of {', '.join(able)}"
                )

    @classmethod
    def file(cls, params: RefineParams) -> Path | None:
        """Of the network that runs; None for a refiner without one."""
        return None

    @abstractmethod
    def refine(self, person: Person3D, stamp: int) -> Person3D:
        """The person, smoothed, as seen at `stamp`; works from the first frame on."""

    def recall(self, stamp: int) -> Person3D | None:
        """The person at the `stamp` of one of the last `look_ahead` + 1 frames, in the light of all frames since.

        None where the frame is not known any more. Leaves the state as it is. A joint whose place is inferred from frames
        before and after it has state INTERPOLATED and confidence 0.
        """
        return None

    @abstractmethod
    def predict(self, stamp: int) -> Person3D | None:
        """The person at `stamp` as far as earlier frames tell, all joints PREDICTED; None where they tell nothing.

        Leaves the state as it is. Standard deviations grow with the time since the last frame.
        """

    @abstractmethod
    def reset(self) -> None:
        """Forget all frames."""


def is_refiner(found: Any) -> bool:
    """Whether something is a class of refiners that can be made."""
    return isinstance(found, type) and issubclass(found, Refiner) and not inspect.isabstract(found)


REFINERS: Registry[type[Refiner]] = Registry(
    "refiner",
    doors.REFINERS,
    is_refiner,
    "a subclass of refine_node.refiner.Refiner that has its refine, predict and reset",
)
"""Refiner classes by name; a file in `refine_node/refiners` registers one, an installed package may bring one."""
