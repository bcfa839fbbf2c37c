"""Joint angles as the refinement stage publishes them: solved, and where it is asked for corrected by what bodies do."""

from __future__ import annotations

from pose_biomechanics.angle_refiner import AngleRefiner
from pose_biomechanics.angles import PeopleAngleSolver
from pose_core.angles import PeopleAngles
from pose_core.people import People3D
from refine_node.params import RefineParams


class AngleStage:
    """Angles of everybody, message by message."""

    def __init__(self, params: RefineParams) -> None:
        """Raises ValueError where the network that corrects cannot be used."""
        self._solver = PeopleAngleSolver(params)
        self._refiner: AngleRefiner | None = None
        self._open(params)

    def retune(self, params: RefineParams) -> None:
        """Use other parameters from now on; solving starts anew where they change angles, what corrects goes on.

        Raises ValueError as the constructor.
        """
        self._open(params)
        self._solver.retune(params)

    def reset(self, person: str = "") -> None:
        """Forget a person, or everybody."""
        self._solver.reset(person)
        if self._refiner is not None:
            self._refiner.reset(person)

    def process(self, people: People3D) -> PeopleAngles:
        """Angles of everybody, in their order, with the stamp and times of `people`."""
        solved = self._solver.process(people)
        return solved if self._refiner is None else self._refiner.process(solved)

    def describe(self) -> str:
        """What was corrected so far, for people."""
        return "off" if self._refiner is None else self._refiner.describe()

    def _open(self, params: RefineParams) -> None:
        if params.angle_refinement != (self._refiner is not None):
            self._refiner = AngleRefiner() if params.angle_refinement else None
