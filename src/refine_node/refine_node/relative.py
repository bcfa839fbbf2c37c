"""Refiners that filter the root and the joints about it separately.

A single camera sees the pose far better than how far away the person is: the root's error along the depth is many
times that of the joints about the root, and it is common to all of them.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from pose_core.people import JointState, Person3D
from refine_node.refiner import Refiner


@dataclass(frozen=True)
class Split:
    """A person taken apart, metres; NaN where unknown. `xyz` = `relative` + `root`."""

    root: np.ndarray  # (3,)
    root_std: np.ndarray  # (3,)
    relative: np.ndarray  # (J, 3)
    std: np.ndarray  # (J,)


class RootRelativeRefiner(Refiner):
    """Takes a person apart, leaves the filtering to `_update` and `_ahead`, and puts them together again.

    In a frame without the root (a hip is missing) the root is where the median of the other joints puts it, given the
    pose about it that is expected; where none of them is known yet, where it is expected itself. Until the root is seen
    for the first time the mean of the joints stands in for it.
    """

    def reset(self) -> None:
        self._person: Person3D | None = None
        self._rooted = False

    def refine(self, person: Person3D, stamp: int) -> Person3D:
        root = self._root(person, stamp)
        measured = Split(root, person.root_std, person.xyz - root, person.std)
        estimate, used = self._update(measured, stamp)
        self._person = person
        known = ~np.isnan(estimate.relative[:, 0])
        state = np.where(used, person.state, np.where(known, JointState.PREDICTED, JointState.MISSING))
        return _together(person, estimate, state)

    def predict(self, stamp: int) -> Person3D | None:
        if self._person is None:
            return None
        estimate = self._ahead(stamp)
        known = ~np.isnan(estimate.relative[:, 0])
        return _together(self._person, estimate, np.where(known, JointState.PREDICTED, JointState.MISSING))

    def _root(self, person: Person3D, stamp: int) -> np.ndarray:
        """(3,) the root of `person`, measured or inferred."""
        root = self.skeleton.root_of(person.xyz)
        if np.isfinite(root).all():
            if not self._rooted:
                self.reset()
                self._rooted = True
            return root
        if self._person is not None:
            expected = self._ahead(stamp)
            offsets = person.xyz - expected.relative
            offsets = offsets[~np.isnan(offsets[:, 0])]
            if len(offsets):
                return np.median(offsets, axis=0)
            if not np.isnan(expected.root).any():
                return expected.root
        seen = person.xyz[~np.isnan(person.xyz[:, 0])]
        return seen.mean(0) if len(seen) else np.full(3, np.nan)

    @abstractmethod
    def _update(self, measured: Split, stamp: int) -> tuple[Split, np.ndarray]:
        """The estimate after a measurement, and a mask (J,) of the joints whose measurement was used."""

    @abstractmethod
    def _ahead(self, stamp: int) -> Split:
        """What is expected at `stamp`, after at least one `_update`; changes nothing."""


def _together(person: Person3D, estimate: Split, state: np.ndarray) -> Person3D:
    missing = state == JointState.MISSING
    return replace(
        person,
        xyz=np.where(missing[:, None], np.nan, estimate.relative + estimate.root),
        std=np.where(missing, np.nan, estimate.std),
        root_std=estimate.root_std,
        joint_confidence=np.where(missing, 0.0, person.joint_confidence),
        state=state.astype(np.uint8),
    )
