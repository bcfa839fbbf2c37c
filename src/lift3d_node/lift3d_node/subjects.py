"""What is known of the people before the camera: their heights, and where that knowledge comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lift3d_node.params import Lift3DParams
from pose_core.people import ScaleSource, expect_id
from pose_core.statements import MAX_HEIGHT, MAX_MASS, MIN_HEIGHT, MIN_MASS, SubjectStatement
from pose_core.statements.keeping import Author


@dataclass(frozen=True)
class Subject:
    """Height behind a person's metric scale, and mass where it was stated."""

    height: float
    height_std: float
    source: ScaleSource
    mass: float = math.nan


class Subjects:
    """Heights and masses as they were stated: for one person, for everybody, by the parameter, else the default."""

    def __init__(self, params: Lift3DParams) -> None:
        self.author: Author[SubjectStatement] = Author()
        """Of what was stated; the parameters are no part of it."""
        self.configure(params)

    def configure(self, params: Lift3DParams) -> None:
        """Take the parameters' height and default. Raises ValueError for a height that no person has."""
        if params.height != 0.0:
            check_height(params.height)
        self._params = params

    def state(self, person: str, height: float, mass: float) -> str:
        """Note height (m) and mass (kg) of `person`, or of everybody for an empty id; 0 forgets either.

        Returns what now holds, as a sentence. Raises ValueError for values that no person has, and for too many people.
        """
        if person:
            expect_id(person)
        if height != 0.0:
            check_height(height)
        if mass != 0.0 and not MIN_MASS <= mass <= MAX_MASS:
            raise ValueError(
                f"mass must be from {MIN_MASS:g} to {MAX_MASS:g} kg, or 0 to forget it, got {mass:g}"
            )
        self.author.tell({person: SubjectStatement(person, height, mass) if height or mass else None})
        known = [f"{height:g} m"] * bool(height) + [f"{mass:g} kg"] * bool(mass)
        return f"{person or 'everybody'}: {', '.join(known) or 'forgotten'}"

    def of(self, person: str) -> Subject:
        """What is known of `person`."""
        stated, nothing = self.author.stated.entries, SubjectStatement("")
        own, all_ = stated.get(person, nothing), stated.get("", nothing)
        height = own.height or all_.height or self._params.height
        mass = own.mass or all_.mass or math.nan
        if height:
            return Subject(height, self._params.height_std, ScaleSource.SUBJECT, mass)
        return Subject(
            self._params.default_height, self._params.default_height_std, ScaleSource.DEFAULT, mass
        )


def check_height(height: float) -> None:
    """Raise ValueError unless a person may have this standing height."""
    if not MIN_HEIGHT <= height <= MAX_HEIGHT:
        raise ValueError(
            f"height must be from {MIN_HEIGHT:g} to {MAX_HEIGHT:g} m, or 0 to forget it, got {height:g}"
        )
