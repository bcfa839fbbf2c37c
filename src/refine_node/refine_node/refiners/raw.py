"""No smoothing: the baseline that every refiner must beat."""

from __future__ import annotations

from pose_core.people import Person3D
from refine_node.refiner import REFINERS, Refiner


@REFINERS.register("raw")
class Raw(Refiner):
    """Hands people on as they come and predicts nothing."""

    def refine(self, person: Person3D, stamp: int) -> Person3D:
        return person

    def predict(self, stamp: int) -> Person3D | None:
        return None

    def reset(self) -> None:
        """Nothing is kept."""
